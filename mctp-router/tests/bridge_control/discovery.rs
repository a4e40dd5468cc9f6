//! Endpoint discovery (DSP0236 1.3.3, sections 12.14 and 12.15) and the commands of transport
//! bindings (section 12.24).

use mctp_router::wire::{BindingId, CompletionCode, MediumId, Response};
use mctp_router::{BridgeConfig, BusOwner, TransportCommands, TransportRequest};
use mctp_transport::Eid;

use crate::device::{DISCOVERY_PORTS, Device, FIRST, I2C, UPSTREAM};
use crate::support::{HOST, NETWORK, POINT_TO_POINT, REQUEST};

const INVALID_DATA: u8 = 2;
const INVALID_LENGTH: u8 = 3;
const UNSUPPORTED: u8 = 5;

const ABOVE: (mctp_router::PortId, mctp_transport::PhysicalAddress) = (UPSTREAM, POINT_TO_POINT);

fn with_discovery() -> Device {
    Device::new(&BridgeConfig::bridge(UPSTREAM, 4, &DISCOVERY_PORTS))
}

/// Whether a broadcast Endpoint Discovery is answered.
fn is_found(device: &mut Device) -> bool {
    let answer = device.try_ask(ABOVE, REQUEST.to(0xFF), &[0x0C]);
    assert!(answer.is_none() || answer == Some(vec![0]));
    answer.is_some()
}

#[test]
fn an_undiscovered_endpoint_answers_until_it_has_an_endpoint_id() {
    let mut device = with_discovery();
    assert!(is_found(&mut device) && is_found(&mut device));
    assert_eq!(device.ask(&[1, 0, 9]), [0, 1, 9, 4]);
    assert!(!is_found(&mut device));
    assert_eq!(
        device.try_ask(ABOVE, REQUEST, &[0x0C]),
        None,
        "nor directly"
    );
}

#[test]
fn prepared_for_discovery_it_answers_again_and_keeps_its_endpoint_id() {
    let mut device = with_discovery();
    device.ask(&[1, 0, 9]);
    let answer = device.try_ask(ABOVE, REQUEST.to(0xFF), &[0x0B]);
    assert_eq!(answer, Some(vec![0]));
    assert_eq!(device.own(), 9);
    assert!(is_found(&mut device));
    assert_eq!(device.ask(&[1, 3, 0]), [0, 1, 9, 4]);
    assert!(!is_found(&mut device), "the flag alone was set");
}

#[test]
fn each_bus_has_a_discovered_flag_of_its_own() {
    let mut device = with_discovery();
    device.ask(&[1, 0, 9]);
    let below = (crate::device::SERIAL, POINT_TO_POINT);
    assert_eq!(device.ask_from(below, 0x30, &[0x0C]), [0]);
    device.ask_from(below, 0x30, &[1, 3, 0]);
    assert_eq!(device.try_ask(below, REQUEST, &[0x0C]), None);
}

#[test]
fn a_bus_without_discovery_does_not_support_it() {
    let mut device = with_discovery();
    for command in [0x0B, 0x0C] {
        assert_eq!(
            device.ask_from((I2C, FIRST), 0x30, &[command]),
            [UNSUPPORTED]
        );
        let mut over_usb = Device::bridge();
        assert_eq!(over_usb.ask(&[command]), [UNSUPPORTED]);
        assert_eq!(over_usb.ask(&[command, 0]), [UNSUPPORTED]);
        assert_eq!(device.ask(&[command, 0]), [INVALID_LENGTH]);
    }
}

/// Keeps what it was asked, and answers with as many bytes as the first byte says.
#[derive(Debug)]
struct Recorder(std::sync::mpsc::Sender<(u8, BindingId, MediumId, Vec<u8>, BusOwner)>);

impl TransportCommands for Recorder {
    fn carry_out(
        &mut self,
        request: &TransportRequest<'_>,
        response: &mut Response,
    ) -> Result<(), CompletionCode> {
        assert_eq!(request.network, NETWORK);
        let asked = (
            request.command.0,
            request.binding,
            request.medium,
            request.data.to_vec(),
            request.requester,
        );
        self.0.send(asked).unwrap();
        let len = *request.data.first().ok_or(CompletionCode(0x90))?;
        response.put(&vec![0xAB; len.into()]);
        Ok(())
    }
}

#[test]
fn commands_of_the_binding_go_to_whom_the_application_set() {
    let (sender, asked) = std::sync::mpsc::channel();
    let mut device = Device::bridge();
    assert_eq!(device.ask(&[0xF3, 3, 0x11, 2]), [UNSUPPORTED]);
    let recorder = Box::leak(Box::new(Recorder(sender)));
    assert!(device.core.set_transport_commands(recorder));
    let requester = BusOwner {
        endpoint_id: Eid(HOST),
        port: UPSTREAM,
        address: POINT_TO_POINT,
    };
    for command in 0xF0..=0xFF {
        assert_eq!(device.ask(&[command, 3, 0x11, 2, 7]), [0, 0xAB, 0xAB]);
        let expected = (
            command,
            BindingId::USB,
            MediumId::USB_2_0,
            vec![2, 7],
            requester,
        );
        assert_eq!(asked.try_recv(), Ok(expected));
    }
    assert_eq!(device.ask(&[0xF0, 3, 0x11]), [0x90], "its completion code");
    assert_eq!(
        device.ask(&[0xF0, 0xFF, 0, 1, 0, 0, 9]),
        [0, 0xAB],
        "of a vendor"
    );
    assert_eq!(asked.try_iter().count(), 2);
    for request in [&[0xF0][..], &[0xF0, 3]] {
        assert_eq!(device.ask(request), [INVALID_LENGTH]);
    }
    // Of another bus than the one that it came by.
    assert_eq!(device.ask(&[0xF0, 1, 3, 2]), [INVALID_DATA]);
    assert_eq!(
        device.ask_from((I2C, FIRST), 0x30, &[0xF0, 3, 0x11, 2]),
        [INVALID_DATA]
    );
    assert_eq!(asked.try_iter().count(), 0);
}

#[test]
fn a_device_that_is_no_bridge_has_no_such_commands() {
    let mut device = Device::simple();
    let (sender, _asked) = std::sync::mpsc::channel();
    assert!(
        !device
            .core
            .set_transport_commands(Box::leak(Box::new(Recorder(sender))))
    );
    assert_eq!(device.ask(&[0xF0, 3, 0x11, 2]), [UNSUPPORTED]);
}
