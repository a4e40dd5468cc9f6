//! Which requests a service gets, and which services can be open side by side.

mod support;

use mctp::MsgType;
use mctp_router::{ListenError, NetworkId, Receipt, Service};

use support::bare_core::BareCore;
use support::{ECHO, REQUEST};

/// Whether a request that is `message`, the message type byte first, is delivered to `service`.
fn serves(service: Service, message: &[u8]) -> bool {
    let (mut device, echo) = BareCore::echo();
    device.core.close(echo);
    let channel = device.core.open_listener(service).unwrap();
    device.receive(&REQUEST.packet(message)) == Receipt::Delivered(channel)
}

/// What comes of opening a listener for `service` beside one for `open`.
fn listen_beside(open: Service, service: Service) -> Result<(), ListenError> {
    let (mut device, echo) = BareCore::echo();
    device.core.close(echo);
    device.core.open_listener(open).unwrap();
    device.core.open_listener(service).map(|_| ())
}

#[test]
fn a_vendor_service_gets_its_own_requests_only() {
    assert!(serves(ECHO, &[0x7E, 0xCC, 0xDE, 0xF0]));
    assert!(serves(ECHO, &[0xFE, 0xCC, 0xDE, 0xF0, 1]));
    assert!(serves(ECHO, &[0x7E, 0xCC, 0xDE, 0xF0, 1, 2, 3, 4, 5, 6]));
    assert!(!serves(ECHO, &[0x7E, 0xCC, 0xDE, 0xF1, 1]));
    assert!(!serves(ECHO, &[0x7E, 0xCC, 0xDE]));
    assert!(!serves(ECHO, &[0x7F, 0xCC, 0xDE, 0xF0]));
    let iana = Service::vendor_iana(0x0102_0304, &[]);
    assert!(serves(iana, &[0x7F, 1, 2, 3, 4]));
    assert!(!serves(iana, &[0x7F, 1, 2, 3, 5]));
}

#[test]
fn bytes_that_a_message_does_not_have_are_not_zeros() {
    let zeros = Service::vendor_pci(0, &[0]);
    assert!(!serves(zeros, &[0x7E]) && !serves(zeros, &[0x7E, 0, 0]));
    assert!(serves(zeros, &[0x7E, 0, 0, 0]));
}

#[test]
fn a_subtype_of_any_length_counts_whole() {
    let message = [0x7F, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6];
    for len in 0..=6 {
        let subtype: &'static [u8] = &[1, 2, 3, 4, 5, 6][..len];
        let service = Service::vendor_iana(9, subtype);
        for cut in 1..=message.len() {
            assert_eq!(serves(service, &message[..cut]), cut >= 5 + len);
        }
        for changed in 0..5 + len {
            let mut other = message;
            other[changed] ^= 1;
            assert!(!serves(service, &other), "{len} {changed}");
        }
    }
}

#[test]
fn services_of_one_vendor_overlap_only_where_their_subtypes_do() {
    let pci = Service::vendor_pci;
    assert_eq!(
        listen_beside(ECHO, pci(0xCCDE, &[])),
        Err(ListenError::Overlaps)
    );
    assert_eq!(
        listen_beside(pci(0xCCDE, &[]), ECHO),
        Err(ListenError::Overlaps)
    );
    assert_eq!(listen_beside(ECHO, pci(0xCCDE, &[0xF1])), Ok(()));
    assert_eq!(listen_beside(ECHO, pci(0xCCDF, &[0xF0])), Ok(()));
}

#[test]
fn services_of_one_network_do_not_overlap_with_those_of_another() {
    let [one, other] = [0, 1].map(|network| ECHO.at(NetworkId(network)));
    assert_eq!(listen_beside(one, other), Ok(()));
    for (open, service) in [(one, one), (ECHO, one), (other, ECHO)] {
        assert_eq!(listen_beside(open, service), Err(ListenError::Overlaps));
    }
}

#[test]
fn control_and_nameless_vendor_types_cannot_be_served() {
    for message_type in [0x00, 0x7E, 0x7F, 0x80] {
        let service = Service::message_type(MsgType(message_type));
        let (mut device, _) = BareCore::echo();
        assert_eq!(
            device.core.open_listener(service),
            Err(ListenError::CannotBeServed)
        );
    }
    assert_eq!(
        listen_beside(ECHO, Service::message_type(MsgType(0x04))),
        Ok(())
    );
}
