//! Physical addresses (DSP0236 1.3.3, sections 8.6 and 9.1).

/// Where a neighbour is on its own bus, as the transport binding defines it.
///
/// The bytes are in the order in which the control protocol reports them: most significant first. An
/// SMBus/I2C address has no place for the R/W bit here; control messages carry it in bits 7:1, with
/// bit 0 clear (DSP0237, section 6.8, Table 3), so the writer of one shifts it by one.
///
/// | binding | bytes |
/// |-|-|
/// | USB (DSP0283), serial (DSP0253) | none: point to point |
/// | SMBus/I2C (DSP0237) | 1: the 7-bit target address in bits 6:0 |
/// | PCIe VDM (DSP0238) | 2: bus, device and function |
///
/// A stack compares and keeps addresses, and hands them back to the transport they came from; only
/// that transport reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PhysicalAddress {
    /// The address, zeros, and in the last byte its length: four bytes, so that comparing and
    /// copying are one instruction or two.
    bytes: [u8; 4],
}

impl PhysicalAddress {
    /// The longest address, in bytes: those of the bindings above, and a segment before bus, device
    /// and function.
    pub const MAX_LEN: usize = 3;

    /// The only address there is on a point-to-point link.
    pub const POINT_TO_POINT: Self = Self { bytes: [0; 4] };

    /// An address of one byte, such as an I2C target address.
    pub const fn from_byte(byte: u8) -> Self {
        Self {
            bytes: [byte, 0, 0, 1],
        }
    }

    /// An address of up to [`MAX_LEN`](Self::MAX_LEN) bytes; `None` when `address` is longer.
    pub fn new(address: &[u8]) -> Option<Self> {
        let mut bytes = [0; 4];
        let [place @ .., len] = &mut bytes;
        place.get_mut(..address.len())?.copy_from_slice(address);
        *len = address.len().try_into().ok()?;
        Some(Self { bytes })
    }

    /// The bytes of the address, most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        let [address @ .., len] = &self.bytes;
        address.get(..usize::from(*len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_bytes_it_was_given() {
        for len in 0..=PhysicalAddress::MAX_LEN {
            let bytes = &[1, 2, 3][..len];
            assert_eq!(PhysicalAddress::new(bytes).unwrap().as_bytes(), bytes);
        }
    }

    #[test]
    fn refuses_more_bytes_than_it_can_keep() {
        assert_eq!(
            PhysicalAddress::new(&[0; PhysicalAddress::MAX_LEN + 1]),
            None
        );
    }

    #[test]
    fn an_address_of_zero_is_not_the_point_to_point_address() {
        assert_ne!(
            PhysicalAddress::from_byte(0),
            PhysicalAddress::POINT_TO_POINT
        );
    }
}
