//! After any packets, in any order, at any time, the device still answers: Get Endpoint ID at once,
//! and the echo service once unfinished messages have timed out.

use mctp_router::Event;
use mctp_transport::Eid;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::Device;
use crate::support::driver::{Driver, Served, Taking};
use crate::support::{
    DEVICE, ECHO_TYPE, HOST, I2C, NETWORK, REQUEST, USB, Wire, assemble, echo_message,
};

/// Something that happens to the device.
#[derive(Clone, Debug)]
enum Step {
    /// Bytes arrive as a packet.
    Packet(Vec<u8>),
    /// A good message begins, and ends after so many of its packets.
    Unfinished {
        wire: Wire,
        len: usize,
        packets: usize,
    },
    /// Milliseconds pass, deadlines are met.
    Time(u64),
    /// Milliseconds pass, and nobody looks at the deadlines.
    Oversleep(u64),
    /// The echo service takes a message and answers it.
    Serve(Taking),
    /// The host reads one transfer.
    Read,
    /// The host does not accept one transfer.
    Refuse,
    LinkDown,
    LinkUp,
}

fn source() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(HOST), 2 => 0x50..0x58u8, 1 => any::<u8>()]
}

fn wire() -> impl Strategy<Value = Wire> {
    let destination =
        prop_oneof![6 => Just(DEVICE), 2 => Just(0), 1 => Just(0xFF), 1 => any::<u8>()];
    let version = prop_oneof![9 => Just(1), 1 => any::<u8>()];
    (
        version,
        destination,
        source(),
        any::<[bool; 3]>(),
        0..4u8,
        0..8u8,
    )
        .prop_map(
            |(version, destination, source, [start, end, tag_owner], sequence, tag)| Wire {
                version,
                destination,
                source,
                start,
                end,
                sequence,
                tag_owner,
                tag,
            },
        )
}

/// A payload that gets far: a control request or the start of an echo message more often than
/// chance has it.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![
        Just(0),
        1..12usize,
        Just(63),
        Just(64),
        Just(65),
        66..260usize
    ];
    let beginning = prop_oneof![
        2 => Just(vec![ECHO_TYPE, 0xCC, 0xDE, 0xF0]),
        2 => (any::<u8>(), 0..0x16u8).prop_map(|(flags, command)| vec![0x00, flags | 0x80, command]),
        1 => vec(any::<u8>(), 4),
    ];
    (beginning, len, any::<u8>()).prop_map(|(mut payload, len, fill)| {
        payload.resize(len, fill);
        payload
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => vec(any::<u8>(), 0..80).prop_map(Step::Packet),
        12 => (wire(), payload()).prop_map(|(wire, payload)| Step::Packet(wire.packet(&payload))),
        4 => (source(), 0..8u8, 65..1200usize, 1..12usize).prop_map(|(source, tag, len, packets)| {
            Step::Unfinished { wire: REQUEST.from(source).tag(tag), len, packets }
        }),
        2 => (0..9000u64).prop_map(Step::Time),
        1 => (0..9000u64).prop_map(Step::Oversleep),
        2 => Just(Step::Serve(Taking::InPlace)),
        2 => Just(Step::Serve(Taking::Copied)),
        3 => Just(Step::Read),
        1 => Just(Step::Refuse),
        1 => Just(Step::LinkDown),
        2 => Just(Step::LinkUp),
    ]
}

fn take(device: &mut Device, echo: Served, step: Step) {
    match step {
        Step::Packet(bytes) => {
            device.receive(&bytes);
        }
        Step::Unfinished { wire, len, packets } => {
            for packet in wire.packets(&echo_message(len), 64).iter().take(packets) {
                device.receive(packet);
            }
        }
        Step::Time(milliseconds) => device.advance(milliseconds),
        Step::Oversleep(milliseconds) => device.oversleep(milliseconds),
        Step::Serve(taking) => {
            if let Some(taken) = device.take_as(echo, taking) {
                let integrity_check = taken.integrity_check;
                device.respond(&taken, integrity_check, &[taken.bytes()]);
                // Whether it fits, and whether the host reads, is not this service's concern.
                device.give_back(taken);
            }
        }
        Step::Read => {
            device.transfer(USB);
        }
        Step::Refuse => {
            device.set_refuses(USB, true);
            device.transfer(USB);
            device.set_refuses(USB, false);
        }
        Step::LinkDown => device.link_down(USB),
        Step::LinkUp => device.link_up(USB),
    }
}

/// The host reads what waits, and the service takes what came.
fn settle(device: &mut Device, echo: Served) {
    device.link_up(USB);
    device.read_again(USB);
    device.sent();
    while device.take(echo).is_some() {}
}

/// An echo request of three packets is answered with its own bytes.
fn assert_echoes(device: &mut Device, echo: Served) {
    let message = echo_message(150);
    let own = device.endpoint_id(NETWORK).0;
    for packet in REQUEST.to(own).tag(5).packets(&message, 64) {
        device.receive(&packet);
    }
    device.echo_one(echo);
    let sent = assemble(&device.sent());
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].message, message);
    let expected = Wire {
        destination: HOST,
        source: own,
        tag_owner: false,
        ..REQUEST.tag(5)
    };
    assert_eq!(sent[0].header, expected);
}

proptest! {
    #[test]
    fn after_anything_control_is_answered_at_once_and_echo_after_the_timeout(
        steps in vec(step(), 0..60)
    ) {
        let (mut device, echo) = Device::echo();
        device.stop_reading(USB);
        for step in steps {
            take(&mut device, echo, step);
        }
        settle(&mut device, echo);
        device.assert_answers_control();
        device.advance(6001);
        assert_echoes(&mut device, echo);
    }

    #[test]
    fn packets_alone_never_reach_another_port_or_change_more_than_the_endpoint_id(
        packets in vec((wire(), payload()), 0..60)
    ) {
        let (mut device, _) = Device::echo();
        for (wire, payload) in packets {
            device.receive(&wire.packet(&payload));
            prop_assert_eq!(device.transfers(I2C), []);
        }
        let own = device.endpoint_id(NETWORK);
        prop_assert!(Eid::new_normal(own.0).is_ok());
        // The newest eight events are kept; what was set last is among them.
        let set = device.events().into_iter().rev().find_map(|event| match event {
            Event::EndpointIdSet { endpoint_id, .. } => Some(endpoint_id),
            _ => None,
        });
        prop_assert_eq!(set.unwrap_or(Eid(DEVICE)), own);
    }
}
