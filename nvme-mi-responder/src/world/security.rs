//! Security Send and Security Receive.

/// The security protocols of the device (SFSC security protocol IDs, SPC-4).
///
/// The responder itself answers for protocol 00h, which says what protocols there are.
pub trait SecurityProtocols {
    /// The protocols in ascending order, 00h (information) among them.
    fn protocols(&self) -> &[u8];

    /// Takes `data` that were sent to one of the protocols other than 00h. `specific` is SP
    /// Specific. Returns whether they could be taken; Invalid Field if not.
    fn send(&mut self, protocol: u8, specific: u16, data: &[u8]) -> bool {
        let _ = (protocol, specific, data);
        false
    }

    /// Fills `into`, all zeros, with the bytes from `offset` of what one of the protocols other
    /// than 00h has to say. Returns whether there is anything; Invalid Field if not.
    fn receive(&mut self, protocol: u8, specific: u16, offset: u32, into: &mut [u8]) -> bool {
        let _ = (protocol, specific, offset, into);
        false
    }
}

/// Says that there is no security protocol but 00h, which says so.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SecurityInformation;

impl SecurityProtocols for SecurityInformation {
    fn protocols(&self) -> &[u8] {
        &[0x00]
    }
}
