//! Addresses on a two-wire bus (I2C; DSP0237, section 6.22).

use core::fmt;

use mctp_transport::PhysicalAddress;

/// The 7-bit address of a target, 08h to 77h.
///
/// I2C reserves the addresses below (general call, START byte, high-speed controllers) and above
/// (10-bit addressing): no MCTP device has one of them. DSP0237, section 6.22, Table 10 asks to
/// avoid some more, among them 08h (SMBus host), 0Ch (SMBus alert response), 10h (IPMI) and 61h
/// (SMBus default). They are accepted here: a system may have nothing else at them, and Linux is
/// at 10h in many systems.
///
/// | where | form |
/// |-|-|
/// | here, `embedded-hal`, Linux, [`PhysicalAddress`] | bits 6:0 |
/// | destination byte of a transaction | bits 7:1; bit 0 is 0, a write |
/// | source byte of a transaction | bits 7:1; bit 0 is 1 |
/// | control messages (DSP0237, section 6.8, Table 3) | bits 7:1; bit 0 is 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TargetAddress(u8);

impl TargetAddress {
    /// The lowest address.
    pub const MIN: Self = Self(0x08);

    /// The highest address.
    pub const MAX: Self = Self(0x77);

    /// The address in bits 6:0 of `address`; `None` when I2C reserves it, or bit 7 is set.
    #[inline]
    pub const fn new(address: u8) -> Option<Self> {
        match address {
            0x08..=0x77 => Some(Self(address)),
            _ => None,
        }
    }

    /// The address in bits 6:0.
    #[inline]
    pub const fn as_byte(self) -> u8 {
        self.0
    }

    /// The first byte of a transaction to this target: the address in bits 7:1, and bit 0 clear, as
    /// it is a write.
    #[inline]
    pub const fn destination_byte(self) -> u8 {
        self.0 << 1
    }

    /// The fourth byte of a transaction from the device at this address: the address in bits 7:1,
    /// and bit 0 set.
    #[inline]
    pub const fn source_byte(self) -> u8 {
        (self.0 << 1) | 1
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}h", self.0)
    }
}

impl From<TargetAddress> for PhysicalAddress {
    fn from(address: TargetAddress) -> Self {
        Self::from_byte(address.0)
    }
}

/// A physical address of another binding, or one that I2C reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not the address of an I2C target, which is one byte from 08h to 77h")]
pub struct NotATarget;

impl TryFrom<PhysicalAddress> for TargetAddress {
    type Error = NotATarget;

    fn try_from(address: PhysicalAddress) -> Result<Self, NotATarget> {
        match address.as_bytes() {
            [byte] => Self::new(*byte).ok_or(NotATarget),
            _ => Err(NotATarget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_addresses_and_those_of_eight_bits_are_refused() {
        let accepted: Vec<u8> = (0..=u8::MAX)
            .filter_map(TargetAddress::new)
            .map(TargetAddress::as_byte)
            .collect();
        assert_eq!(accepted, (0x08..=0x77).collect::<Vec<_>>());
        assert_eq!(TargetAddress::new(0x08), Some(TargetAddress::MIN));
        assert_eq!(TargetAddress::new(0x77), Some(TargetAddress::MAX));
    }

    #[test]
    fn the_bytes_on_the_wire_have_the_address_in_bits_7_to_1() {
        let address = TargetAddress::new(0x1D).unwrap();
        assert_eq!(address.destination_byte(), 0x3A);
        assert_eq!(address.source_byte(), 0x3B);
        assert_eq!(address.to_string(), "1Dh");
    }

    #[test]
    fn a_physical_address_is_the_same_address_or_none() {
        let address = TargetAddress::new(0x1D).unwrap();
        let physical = PhysicalAddress::from(address);
        assert_eq!(physical.as_bytes(), [0x1D]);
        assert_eq!(TargetAddress::try_from(physical), Ok(address));
        for other in [
            PhysicalAddress::POINT_TO_POINT,
            PhysicalAddress::from_byte(0),
            PhysicalAddress::from_byte(0x78),
            PhysicalAddress::new(&[0, 0x1D]).unwrap(),
        ] {
            assert_eq!(TargetAddress::try_from(other), Err(NotATarget));
        }
    }
}
