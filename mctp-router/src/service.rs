//! What a listener serves.

use mctp::MsgType;

/// The vendor of a vendor defined message type (DSP0236 1.3.3, section 12.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Vendor {
    /// Message type 7Eh: a PCI vendor ID, sent as 2 bytes, most significant first.
    Pci(u16),
    /// Message type 7Fh: an IANA enterprise number, sent as 4 bytes, most significant first.
    Iana(u32),
}

/// What a listener serves: a message type and, for vendor defined types, whose.
///
/// The services that listeners hold are the one source of what Get MCTP Version Support, Get Message Type Support and Get
/// Vendor Defined Message Support report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Service {
    pub(crate) message_type: MsgType,
    pub(crate) vendor: Option<Vendor>,
    pub(crate) subtype: &'static [u8],
    pub(crate) command_set: u16,
    pub(crate) versions: &'static [[u8; 4]],
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
        }
    }

    /// Messages of type 7Eh from this PCI vendor. Where several services share a vendor ID, `subtype` tells them apart: the
    /// bytes that follow the vendor ID in each of this service's requests.
    pub const fn vendor_pci(vendor_id: u16, subtype: &'static [u8]) -> Self {
        Self {
            vendor: Some(Vendor::Pci(vendor_id)),
            subtype,
            ..Self::message_type(mctp::MCTP_TYPE_VENDOR_PCIE)
        }
    }

    /// Messages of type 7Fh from this IANA enterprise; `subtype` as in [`vendor_pci`](Self::vendor_pci).
    pub const fn vendor_iana(enterprise: u32, subtype: &'static [u8]) -> Self {
        Self {
            vendor: Some(Vendor::Iana(enterprise)),
            subtype,
            ..Self::message_type(mctp::MCTP_TYPE_VENDOR_IANA)
        }
    }

    /// The command set that Get Vendor Defined Message Support reports; its meaning is the vendor's. 0 unless set.
    #[must_use]
    pub const fn with_command_set(mut self, command_set: u16) -> Self {
        self.command_set = command_set;
        self
    }

    /// The versions that Get MCTP Version Support reports for the message type, oldest first, encoded as in DSP0236 section
    /// 12.7.2 (1.2.0 is F1h F2h F0h 00h). Without any the command is answered "message type not supported" (80h).
    #[must_use]
    pub const fn with_versions(mut self, versions: &'static [[u8; 4]]) -> Self {
        self.versions = versions;
        self
    }

    /// Whether a request of `message_type` that starts with `body` is for this service.
    pub(crate) fn serves(&self, message_type: MsgType, body: &[u8]) -> bool {
        if self.message_type != message_type {
            return false;
        }
        let after_vendor = match self.vendor {
            None => return true,
            Some(Vendor::Pci(id)) => body.strip_prefix(&id.to_be_bytes()),
            Some(Vendor::Iana(id)) => body.strip_prefix(&id.to_be_bytes()),
        };
        after_vendor.is_some_and(|rest| {
            let mut pairs = rest.iter().zip(self.subtype);
            rest.len() >= self.subtype.len() && pairs.all(|(byte, wanted)| byte == wanted)
        })
    }

    /// Whether some request would be for both services.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.message_type == other.message_type
            && self.vendor == other.vendor
            && (self.subtype.starts_with(other.subtype) || other.subtype.starts_with(self.subtype))
    }

    /// Whether a listener may hold it: not the control protocol, which the router itself answers, and a vendor type only with its vendor.
    pub(crate) fn is_valid(&self) -> bool {
        match self.message_type {
            mctp::MCTP_TYPE_CONTROL => false,
            mctp::MCTP_TYPE_VENDOR_PCIE => matches!(self.vendor, Some(Vendor::Pci(_))),
            mctp::MCTP_TYPE_VENDOR_IANA => matches!(self.vendor, Some(Vendor::Iana(_))),
            MsgType(message_type) => message_type < 0x80,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Service = Service::vendor_pci(0xCCDE, &[0xF0]);

    #[test]
    fn a_vendor_service_gets_its_own_requests_only() {
        assert!(ECHO.serves(MsgType(0x7E), &[0xCC, 0xDE, 0xF0]));
        assert!(ECHO.serves(MsgType(0x7E), &[0xCC, 0xDE, 0xF0, 1]));
        assert!(!ECHO.serves(MsgType(0x7E), &[0xCC, 0xDE, 0xF1, 1]));
        assert!(!ECHO.serves(MsgType(0x7E), &[0xCC, 0xDE]));
        assert!(!ECHO.serves(MsgType(0x7F), &[0xCC, 0xDE, 0xF0]));
        assert!(Service::vendor_iana(0x0102_0304, &[]).serves(MsgType(0x7F), &[1, 2, 3, 4]));
    }

    #[test]
    fn services_of_one_vendor_overlap_only_where_their_subtypes_do() {
        assert!(ECHO.overlaps(&Service::vendor_pci(0xCCDE, &[])));
        assert!(!ECHO.overlaps(&Service::vendor_pci(0xCCDE, &[0xF1])));
        assert!(!ECHO.overlaps(&Service::vendor_pci(0xCCDF, &[0xF0])));
    }

    #[test]
    fn control_and_nameless_vendor_types_cannot_be_served() {
        assert!(!Service::message_type(MsgType(0x00)).is_valid());
        assert!(!Service::message_type(MsgType(0x7E)).is_valid());
        assert!(!Service::message_type(MsgType(0x80)).is_valid());
        assert!(ECHO.is_valid() && Service::message_type(MsgType(0x04)).is_valid());
    }
}
