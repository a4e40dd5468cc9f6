//! What a listener serves.

use mctp::MsgType;

use crate::config::NetworkId;
use crate::wire::{Vendor, Version};

/// What a listener serves: a message type and, for vendor defined types, whose; in all networks or
/// in one.
///
/// The services that listeners hold are the one source of what Get MCTP Version Support, Get
/// Message Type Support and Get Vendor Defined Message Support report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Service {
    pub(crate) message_type: MsgType,
    pub(crate) vendor: Option<Vendor>,
    pub(crate) subtype: &'static [u8],
    pub(crate) command_set: u16,
    pub(crate) versions: &'static [Version],
    network: NetworkId,
    /// As much as an opening has of message type, vendor and subtype.
    opening: u32,
    /// Bytes of message type, vendor and subtype.
    opening_len: u16,
}

/// The first four bytes of a message, to find its service by: the message type (without IC bit) the
/// lowest.
#[derive(Clone, Copy)]
pub(crate) struct Opening(u32);

/// Not an `Option`, of which the compiler would make that a channel without service is not 0.
const EVERY_NETWORK: NetworkId = NetworkId(u8::MAX);

const OPENING_LEN: usize = 4;
const IC_BIT: u32 = 0x80;

impl Opening {
    /// Of a message that starts with `message`, the message type byte first.
    #[inline]
    pub(crate) fn of(message: &[u8]) -> Self {
        let bytes = message.first_chunk().copied();
        let bytes = bytes.unwrap_or_else(|| Self::of_short(message));
        Self(u32::from_le_bytes(bytes) & !IC_BIT)
    }

    fn of_short(message: &[u8]) -> [u8; OPENING_LEN] {
        let mut bytes = [0; OPENING_LEN];
        bytes
            .iter_mut()
            .zip(message)
            .for_each(|(to, from)| *to = *from);
        bytes
    }

    /// The list, of 32, that its service is in: that of its message type, or of vendors whose ID begins
    /// alike.
    #[inline]
    pub(crate) const fn bucket(self) -> usize {
        let is_vendor = self.0 as u8 >= mctp::MCTP_TYPE_VENDOR_PCIE.0;
        let of_vendor = if is_vendor {
            self.0 >> 8 ^ self.0 >> 16
        } else {
            0
        };
        ((self.0 ^ of_vendor) & 31) as usize
    }
}

impl Service {
    /// All messages of a type that DSP0239 defines.
    pub const fn message_type(message_type: MsgType) -> Self {
        Self {
            message_type,
            vendor: None,
            subtype: &[],
            command_set: 0,
            versions: &[],
            network: EVERY_NETWORK,
            opening: message_type.0 as u32,
            opening_len: 1,
        }
    }

    /// With these bytes next in the opening.
    const fn opened_by(mut self, bytes: &[u8]) -> Self {
        let mut rest = bytes;
        while let [first, others @ ..] = rest {
            if (self.opening_len as usize) < OPENING_LEN {
                self.opening |=
                    (*first as u32).wrapping_shl(8_u32.wrapping_mul(self.opening_len as u32));
            }
            self.opening_len = self.opening_len.saturating_add(1);
            rest = others;
        }
        self
    }

    /// Messages of type 7Eh from this PCI vendor. Where several services share a vendor ID,
    /// `subtype` tells them apart: the bytes that follow the vendor ID in each of this
    /// service's requests.
    pub const fn vendor_pci(vendor_id: u16, subtype: &'static [u8]) -> Self {
        Self {
            vendor: Some(Vendor::Pci(vendor_id)),
            subtype,
            ..Self::message_type(mctp::MCTP_TYPE_VENDOR_PCIE)
        }
        .opened_by(&vendor_id.to_be_bytes())
        .opened_by(subtype)
    }

    /// Messages of type 7Fh from this IANA enterprise; `subtype` as in
    /// [`vendor_pci`](Self::vendor_pci).
    pub const fn vendor_iana(enterprise: u32, subtype: &'static [u8]) -> Self {
        Self {
            vendor: Some(Vendor::Iana(enterprise)),
            subtype,
            ..Self::message_type(mctp::MCTP_TYPE_VENDOR_IANA)
        }
        .opened_by(&enterprise.to_be_bytes())
        .opened_by(subtype)
    }

    /// The command set that Get Vendor Defined Message Support reports; its meaning is the
    /// vendor's. 0 unless set.
    #[must_use]
    pub const fn with_command_set(mut self, command_set: u16) -> Self {
        self.command_set = command_set;
        self
    }

    /// The versions that Get MCTP Version Support reports for the message type, oldest first.
    /// Without any the command is answered "message type not supported" (80h).
    #[must_use]
    pub const fn with_versions(mut self, versions: &'static [Version]) -> Self {
        self.versions = versions;
        self
    }

    /// Only in this network, and reported only there. Unless set, in all networks.
    #[must_use]
    pub const fn at(mut self, network: NetworkId) -> Self {
        self.network = network;
        self
    }

    /// Whether it is served in a network.
    #[inline]
    pub(crate) fn is_at(&self, network: NetworkId) -> bool {
        self.network == network || self.network == EVERY_NETWORK
    }

    pub(crate) const fn opening(&self) -> Opening {
        Opening(self.opening)
    }

    /// Whether a request that is `message`, and opens so, is for this service.
    #[inline]
    pub(crate) fn serves(&self, opening: Opening, message: &[u8]) -> bool {
        let len = usize::from(self.opening_len);
        let unused = OPENING_LEN.saturating_sub(len).wrapping_mul(8) as u32;
        // A shift by 24 bits or less: the message type always counts.
        (self.opening ^ opening.0).wrapping_shl(unused) == 0
            && message.len() >= len
            && (len <= OPENING_LEN || self.is_opened_by(message))
    }

    /// For what the first four bytes do not tell.
    fn is_opened_by(&self, message: &[u8]) -> bool {
        let behind_vendor = match self.vendor {
            None => message.get(1..),
            Some(Vendor::Pci(_)) => message.get(3..),
            Some(Vendor::Iana(id)) => {
                // The fourth byte of the vendor ID is the fifth of the message.
                let [_, _, _, last] = id.to_be_bytes();
                message.get(4..).and_then(|rest| rest.strip_prefix(&[last]))
            }
        };
        behind_vendor.is_some_and(|rest| rest.starts_with(self.subtype))
    }

    /// Whether some request would be for both services.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let share_network = self.is_at(other.network) || other.is_at(self.network);
        share_network
            && self.message_type == other.message_type
            && self.vendor == other.vendor
            && (self.subtype.starts_with(other.subtype) || other.subtype.starts_with(self.subtype))
    }

    /// Whether a listener may hold it: not the control protocol, which the router itself answers,
    /// and a vendor type only with its vendor.
    pub(crate) fn is_valid(&self) -> bool {
        match self.message_type {
            mctp::MCTP_TYPE_CONTROL => false,
            mctp::MCTP_TYPE_VENDOR_PCIE => matches!(self.vendor, Some(Vendor::Pci(_))),
            mctp::MCTP_TYPE_VENDOR_IANA => matches!(self.vendor, Some(Vendor::Iana(_))),
            MsgType(message_type) => message_type < 0x80,
        }
    }
}
