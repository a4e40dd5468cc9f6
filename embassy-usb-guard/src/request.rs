//! Which standard requests (USB 2.0, section 9.4) the device stack may see.

use embassy_usb_driver::EndpointAddress;

use crate::state::{DeviceState, State};

/// bmRequestType, bit 7: the data stage, if there is one, goes to the host.
pub(crate) const IN: u8 = 0x80;
/// bmRequestType, bits 6 to 5; 0 for a standard request.
const TYPE: u8 = 0x60;
/// bmRequestType, bits 4 to 0.
const RECIPIENT: u8 = 0x1F;
const DEVICE: u8 = 0;
const INTERFACE: u8 = 1;
const ENDPOINT: u8 = 2;

/// bRequest (table 9-4).
const GET_STATUS: u8 = 0;
const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
const SET_ADDRESS: u8 = 5;
const GET_DESCRIPTOR: u8 = 6;
const SET_CONFIGURATION: u8 = 9;
const SET_INTERFACE: u8 = 11;

/// Descriptor types (table 9-5).
const STRING: u8 = 3;
const DEVICE_QUALIFIER: u8 = 6;
const OTHER_SPEED_CONFIGURATION: u8 = 7;

/// The bits of wIndex that address an endpoint (figure 9-2).
const ENDPOINT_BITS: u16 = 0x008F;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The device stack answers.
    Pass,
    /// The guard answers with STALL.
    Stall,
    /// The guard answers: the device has no address any more.
    ClearAddress,
}

/// The fields of a SETUP packet (section 9.3).
#[derive(Clone, Copy)]
pub(crate) struct Request {
    request_type: u8,
    request: u8,
    value: u16,
    index: u16,
    pub(crate) length: u16,
}

impl Request {
    pub(crate) fn parse(setup: [u8; 8]) -> Self {
        let [request_type, request, v0, v1, i0, i1, l0, l1] = setup;
        Self {
            request_type,
            request,
            value: u16::from_le_bytes([v0, v1]),
            index: u16::from_le_bytes([i0, i1]),
            length: u16::from_le_bytes([l0, l1]),
        }
    }

    pub(crate) fn is_in(&self) -> bool {
        self.request_type & IN != 0
    }

    /// The state of a device that has accepted this request, if it is Set Configuration.
    pub(crate) fn next_state(&self) -> Option<DeviceState> {
        if self.request_type != DEVICE || self.request != SET_CONFIGURATION {
            return None;
        }
        Some(match self.value {
            0 => DeviceState::Address,
            _ => DeviceState::Configured,
        })
    }

    pub(crate) fn verdict(&self, state: &State) -> Verdict {
        if self.request_type & TYPE != 0 {
            return Verdict::Pass;
        }
        let clears_address = self.request_type == DEVICE
            && self.request == SET_ADDRESS
            && self.value == 0
            && self.length == 0
            && state.device() != DeviceState::Configured;
        if clears_address {
            return Verdict::ClearAddress;
        }
        // Of all standard requests only Set Descriptor has an OUT data stage, and the device stack
        // has none of it.
        let legal = (self.is_in() || self.length == 0)
            && match self.request_type & RECIPIENT {
                DEVICE => self.is_legal_for_device(state.device()),
                INTERFACE => self.is_legal_for_interface(state.device()),
                ENDPOINT => self.is_legal_for_endpoint(state),
                _ => false,
            };
        if legal { Verdict::Pass } else { Verdict::Stall }
    }

    fn is_legal_for_device(&self, state: DeviceState) -> bool {
        match self.request {
            GET_DESCRIPTOR => {
                let [index, kind] = self.value.to_le_bytes();
                match kind {
                    STRING => true,
                    // A device that cannot work at the other speed has neither of them (section
                    // 9.6.2).
                    DEVICE_QUALIFIER | OTHER_SPEED_CONFIGURATION => false,
                    _ => index == 0,
                }
            }
            SET_ADDRESS => state != DeviceState::Configured,
            SET_CONFIGURATION => state != DeviceState::Default,
            // No feature of a device can be set: no remote wakeup, and no test mode.
            CLEAR_FEATURE | SET_FEATURE => false,
            _ => true,
        }
    }

    /// Of Set Interface, the device stack looks at 8 bits of wValue and of wIndex.
    fn is_legal_for_interface(&self, state: DeviceState) -> bool {
        let is_short = self.request != SET_INTERFACE || (self.value | self.index) <= 0xFF;
        state == DeviceState::Configured && is_short
    }

    /// The device stack asks the driver for whatever endpoint the host names.
    fn is_legal_for_endpoint(&self, state: &State) -> bool {
        if self.index & !ENDPOINT_BITS != 0 {
            return false;
        }
        let [address, _] = self.index.to_le_bytes();
        let endpoint = EndpointAddress::from(address);
        if endpoint.index() == 0 {
            // The default control pipe has no halt feature (sections 9.4.1 and 9.4.9).
            return self.request == GET_STATUS;
        }
        state.device() == DeviceState::Configured && state.is_enabled(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use embassy_usb_driver::EndpointAddress;

    use super::*;

    /// One bulk endpoint each way, both of number 1.
    fn configured() -> State {
        let state = State::new();
        state.set_device(DeviceState::Configured);
        for address in [0x01, 0x81] {
            state.set_enabled(EndpointAddress::from(address), true);
        }
        state
    }

    #[test]
    fn only_endpoints_that_are_enabled_have_a_status_and_a_halt() {
        let state = configured();
        for endpoint in 0..=0xFF {
            for setup in [
                [0x82, GET_STATUS, 0, 0, endpoint, 0, 2, 0],
                [0x02, CLEAR_FEATURE, 0, 0, endpoint, 0, 0, 0],
                [0x02, SET_FEATURE, 0, 0, endpoint, 0, 0, 0],
            ] {
                let is_control = endpoint & 0x7F == 0 && setup[1] == GET_STATUS;
                let wanted = match endpoint {
                    0x01 | 0x81 => Verdict::Pass,
                    _ if is_control => Verdict::Pass,
                    _ => Verdict::Stall,
                };
                let verdict = Request::parse(setup).verdict(&state);
                assert_eq!(verdict, wanted, "{setup:02x?}");
            }
        }
    }

    #[test]
    fn a_reset_takes_configuration_and_endpoints_away() {
        let state = configured();
        state.note(embassy_usb_driver::Event::Reset);
        assert_eq!(state.device(), DeviceState::Default);
        for setup in [
            [0x82, GET_STATUS, 0, 0, 0x81, 0, 2, 0],
            [0x81, GET_STATUS, 0, 0, 0, 0, 2, 0],
            [0x00, SET_CONFIGURATION, 1, 0, 0, 0, 0, 0],
        ] {
            let verdict = Request::parse(setup).verdict(&state);
            assert_eq!(verdict, Verdict::Stall, "{setup:02x?}");
        }
    }

    #[test]
    fn suspend_and_resume_change_nothing() {
        let state = configured();
        state.note(embassy_usb_driver::Event::Suspend);
        state.note(embassy_usb_driver::Event::Resume);
        assert_eq!(state.device(), DeviceState::Configured);
        assert!(state.is_enabled(EndpointAddress::from(0x81)));
    }

    #[test]
    fn class_and_vendor_requests_pass_in_every_state() {
        for state in [State::new(), configured()] {
            for request_type in [0x21, 0xA1, 0x22, 0x40, 0xC0] {
                let setup = [request_type, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
                assert_eq!(Request::parse(setup).verdict(&state), Verdict::Pass);
            }
        }
    }

    #[test]
    fn descriptors_of_the_other_speed_are_both_absent() {
        for kind in [DEVICE_QUALIFIER, OTHER_SPEED_CONFIGURATION] {
            let setup = [0x80, GET_DESCRIPTOR, 0, kind, 0, 0, 0xFF, 0];
            assert_eq!(Request::parse(setup).verdict(&configured()), Verdict::Stall);
        }
    }
}
