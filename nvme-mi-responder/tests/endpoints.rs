//! Two management endpoints of one device: what each has for itself, and what they share.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use mctp::Eid;
use nvme_mi_responder::world::{
    HealthReport, MemoryEffects, MemoryFirmware, MemoryMedia, MemoryReset, PcieAccess,
    PcieDirection, PcieError, PcieRange, SecurityInformation, ShutdownKind,
};
use nvme_mi_responder::{
    Device, Instant, ManagementEndpoint, PortId, Requester, TransportError, TransportErrors,
};
use support::{
    ADMIN, Admin, NotSupported, Parts, buffers, crc, field, reference_subsystem, sealed,
};

/// Lets PCIe commands end when it is open.
#[derive(Clone, Default)]
struct Gate(Rc<Cell<bool>>);

impl PcieAccess for Gate {
    fn prepare(&mut self, _: PcieRange, _: PcieDirection) -> Poll<Result<(), PcieError>> {
        if self.0.get() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

type World = Parts<
    HealthReport,
    MemoryFirmware<'static, 3>,
    NotSupported,
    MemoryReset,
    MemoryEffects,
    SecurityInformation,
    MemoryMedia,
    Gate,
>;

/// A device with an endpoint at its PCIe port 0 and one at its two-wire port 1.
struct Bench {
    device: Device<'static, World>,
    endpoints: [ManagementEndpoint<'static>; 2],
    gate: Gate,
    now: Instant,
}

/// The endpoint at the PCIe port, and the one at the two-wire port.
const PCIE: usize = 0;
const TWO_WIRE: usize = 1;

/// Bytes of the Management Endpoint Buffer of each.
const BUFFER: usize = 16;

/// Who asks: endpoint ID 8 on both links, as bus owners mostly have.
const REQUESTER: Requester = Requester {
    endpoint_id: Eid(8),
    exchange: 3,
};

const POLL: [u8; 16] = [0x84, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const POLL_AND_CLEAR: [u8; 16] = [0x84, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80];
const READ_PCIE: [u8; 20] = [
    0x84, 0x20, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const RESET: [u8; 16] = [0x84, 8, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const PAUSE: [u8; 8] = [0x84, 0, 0, 0, 0, 0, 0, 0];
const RESUME: [u8; 8] = [0x84, 0, 0, 0, 1, 0, 0, 0];
const GET_STATE: [u8; 8] = [0x84, 0, 0, 0, 3, 0, 0, 0];
const REPLAY: [u8; 8] = [0x84, 0, 0, 0, 4, 0, 0, 0];
/// Of the whole controller 0, blocks of 512 bytes.
const FORMAT: Admin<'static> = Admin {
    opcode: 0x80,
    namespace: 1,
    ..ADMIN
};

const PAUSED: u64 = 1 << 15;
const SUBSYSTEM_RESET: u64 = 1 << 14;
const TEMPERATURE_CHANGED: u64 = 1 << 9;

impl Bench {
    fn new() -> Self {
        let gate = Gate::default();
        let memory = vec![0; 4 * 8192].leak();
        let mut media = MemoryMedia::new();
        media.format_time = 1_000;
        let slots = [Some(*b"REF00001"), None, None];
        let world = Parts::new(HealthReport::healthy())
            .with_firmware(MemoryFirmware::new(memory, slots))
            .with_reset(MemoryReset::default())
            .with_effects(MemoryEffects::default())
            .with_security(SecurityInformation)
            .with_media(media)
            .with_pcie(gate.clone());
        let subsystem = Box::leak(Box::new(reference_subsystem()));
        let mut device = Device::new(subsystem.model(), world);
        let endpoints = [PCIE, TWO_WIRE].map(|port| {
            let port = PortId(port as u8);
            let endpoint = ManagementEndpoint::new(&mut device, port, buffers()).unwrap();
            endpoint.with_endpoint_buffer(&mut device, vec![0; BUFFER].leak())
        });
        Self {
            device,
            endpoints,
            gate,
            now: Instant::START,
        }
    }

    /// Takes a message in at that endpoint.
    fn take(&mut self, at: usize, message: &[u8]) {
        let message = sealed(message);
        let (device, endpoint) = (&mut self.device, &mut self.endpoints[at]);
        let taken = endpoint.receive(device, self.now, REQUESTER, true, &message[1..]);
        assert_eq!(taken, Ok(()));
    }

    /// What that endpoint sends next, from the message type byte on, without integrity check.
    fn sent(&mut self, at: usize) -> Option<Vec<u8>> {
        let transmission = self.endpoints[at].transmission()?;
        let source = transmission.source;
        let message = [&[0x84], transmission.body].concat();
        self.endpoints[at].sent(&mut self.device, source);
        let (content, check) = message.split_last_chunk::<4>().unwrap();
        assert_eq!(*check, crc(content));
        Some(content.to_vec())
    }

    fn ask(&mut self, at: usize, message: &[u8]) -> Vec<u8> {
        self.take(at, message);
        self.sent(at).expect("no response")
    }

    /// The composite flags that a health poll tells.
    fn composite(&mut self, at: usize, poll: &[u8]) -> u64 {
        field(&self.ask(at, poll), 12, 2)
    }

    fn state(&mut self, at: usize) -> u64 {
        field(&self.ask(at, &GET_STATE), 6, 2)
    }

    fn configuration(&mut self, at: usize, opcode: u8, identifier: u8, port: u8, value: u8) -> u64 {
        let (frequency, unit) = match identifier {
            1 => (value, 0),
            _ => (0, value),
        };
        let message = [
            0x84, 8, 0, 0, opcode, 0, 0, 0, identifier, frequency, 0, port, unit, 0, 0, 0,
        ];
        let response = self.ask(at, &message);
        assert_eq!(response[4], 0, "success");
        field(&response, 5, 2)
    }

    fn unit(&mut self, at: usize, port: u8) -> u64 {
        self.configuration(at, 4, 3, port, 0)
    }

    /// Subscribes to changes of the temperature, told after a second.
    fn subscribe(&mut self, at: usize) {
        let message = [
            0x84, 8, 0, 0, 3, 0, 0, 0, 4, 20, 1, 7, 0, 0, 0, 0, 1, 0, 8, 0, 5, 3, 6, 0x80,
        ];
        assert_eq!(self.ask(at, &message)[4], 0);
    }

    fn wait(&mut self, milliseconds: u32) {
        let end = self.now.after(milliseconds);
        loop {
            let next = self
                .endpoints
                .iter()
                .map(|endpoint| endpoint.next_deadline());
            let next = next.min().unwrap();
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            for endpoint in &mut self.endpoints {
                if endpoint.next_deadline() <= self.now {
                    endpoint.advance(&mut self.device, self.now);
                }
            }
        }
        self.now = end;
    }

    fn heat(&mut self, kelvins: u16) {
        self.device.world().health.temperature = kelvins;
    }

    fn event(&mut self, at: usize) -> Option<Vec<u8>> {
        let event = self.endpoints[at].event_message()?.body.to_vec();
        self.endpoints[at].event_sent(self.now);
        Some(event)
    }
}

#[test]
fn a_port_has_one_endpoint() {
    let mut bench = Bench::new();
    let another = ManagementEndpoint::new(&mut bench.device, PortId(1), buffers());
    assert!(another.is_err());
}

#[test]
fn each_endpoint_has_composite_flags_of_its_own() {
    let mut bench = Bench::new();
    bench.heat(310);
    assert_eq!(bench.composite(PCIE, &POLL_AND_CLEAR), TEMPERATURE_CHANGED);
    assert_eq!(bench.composite(PCIE, &POLL), 0);
    assert_eq!(bench.composite(TWO_WIRE, &POLL), TEMPERATURE_CHANGED);
    assert_eq!(
        bench.composite(TWO_WIRE, &POLL_AND_CLEAR),
        TEMPERATURE_CHANGED
    );
    assert_eq!(bench.composite(TWO_WIRE, &POLL), 0);
}

#[test]
fn each_endpoint_has_changed_flags_of_its_own() {
    let mut bench = Bench::new();
    bench.heat(310);
    // All controllers in which the temperature changed, and clear.
    let poll = [0x84, 8, 0, 0, 2, 0, 0, 0, 0, 0, 7, 7, 2, 0, 0, 0x80];
    for at in [PCIE, TWO_WIRE] {
        assert_eq!(bench.ask(at, &poll)[7], 2, "controllers");
        assert_eq!(bench.ask(at, &poll)[7], 0);
    }
}

#[test]
fn what_happens_in_the_device_is_a_change_for_both() {
    let mut bench = Bench::new();
    let attach = Admin {
        opcode: 0x15,
        namespace: 2,
        data: &[1, 0, 0, 0],
        length: 4,
        ..ADMIN
    };
    let response = bench.ask(PCIE, &attach.message());
    assert_eq!(response[4..], [0; 16], "success");
    for at in [PCIE, TWO_WIRE] {
        assert_eq!(bench.composite(at, &POLL), 1 << 6 | 1 << 8);
        // Both see it in the list of active namespaces.
        let list = Admin {
            opcode: 0x06,
            length: 8,
            dwords: [2, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        let response = bench.ask(at, &list.message());
        assert_eq!(response[20..28], [1, 0, 0, 0, 2, 0, 0, 0]);
    }
}

#[test]
fn the_slots_of_one_endpoint_are_not_those_of_the_other() {
    let mut bench = Bench::new();
    bench.take(PCIE, &READ_PCIE);
    assert_eq!(bench.state(PCIE), 2, "processing");
    assert_eq!(bench.state(TWO_WIRE), 0, "idle");
    assert_eq!(bench.ask(TWO_WIRE, &POLL)[4], 0);
    bench.gate.0.set(true);
    bench.wait(10);
    assert_eq!(bench.sent(TWO_WIRE), None);
    assert_eq!(bench.sent(PCIE).unwrap()[1], 0xA0);
}

#[test]
fn a_pause_is_of_one_endpoint() {
    let mut bench = Bench::new();
    bench.ask(PCIE, &PAUSE);
    assert_eq!(bench.state(PCIE), PAUSED);
    assert_eq!(bench.state(TWO_WIRE), 0);
    bench.take(PCIE, &POLL);
    assert_eq!(bench.sent(PCIE), None);
    assert_eq!(bench.ask(TWO_WIRE, &POLL)[4], 0);
    bench.ask(PCIE, &RESUME);
    assert_eq!(bench.sent(PCIE).unwrap()[1], 0x88);
}

#[test]
fn replay_gives_the_last_response_of_its_own_endpoint() {
    let mut bench = Bench::new();
    let poll = bench.ask(PCIE, &POLL);
    let unit = [0x84, 8, 0, 0, 4, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0];
    let unit = bench.ask(TWO_WIRE, &unit);
    for (at, expected) in [(PCIE, poll), (TWO_WIRE, unit)] {
        assert_eq!(bench.ask(at, &REPLAY)[6], 1, "there is one");
        assert_eq!(bench.sent(at), Some(expected));
    }
}

#[test]
fn error_flags_are_of_one_endpoint() {
    let mut bench = Bench::new();
    bench.endpoints[PCIE].note(TransportErrors::NONE.with(TransportError::PhysicalLayer));
    assert_eq!(bench.state(PCIE), 1 << 13);
    assert_eq!(bench.state(TWO_WIRE), 0);
}

#[test]
fn unit_and_frequency_are_of_the_port_that_is_named() {
    let mut bench = Bench::new();
    // By the endpoint at port 0, for port 1.
    bench.configuration(PCIE, 3, 3, 1, 128);
    bench.configuration(PCIE, 3, 1, 1, 2);
    assert_eq!(
        bench.device.world().effects.transmission_unit,
        Some((PortId(1), 128))
    );
    for at in [PCIE, TWO_WIRE] {
        assert_eq!(bench.unit(at, 0), 64);
        assert_eq!(bench.unit(at, 1), 128);
        assert_eq!(bench.configuration(at, 4, 1, 1, 0), 2);
    }
}

#[test]
fn a_subscription_is_of_one_endpoint() {
    let mut bench = Bench::new();
    bench.subscribe(PCIE);
    bench.heat(310);
    bench.wait(3_000);
    assert!(bench.event(PCIE).is_some());
    assert_eq!(bench.event(TWO_WIRE), None);
    bench.subscribe(TWO_WIRE);
    bench.heat(320);
    bench.wait(3_000);
    assert!(bench.event(TWO_WIRE).is_some(), "a subscription of its own");
}

#[test]
fn both_are_told_of_the_same_event() {
    let mut bench = Bench::new();
    bench.subscribe(PCIE);
    bench.subscribe(TWO_WIRE);
    bench.heat(310);
    bench.wait(3_000);
    for at in [PCIE, TWO_WIRE] {
        assert!(bench.event(at).is_some(), "endpoint {at}");
    }
}

#[test]
fn endpoint_buffers_are_apart() {
    let mut bench = Bench::new();
    let mut write = vec![0x84, 8, 0, 0, 0x0B, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    write.extend(*b"abcd");
    assert_eq!(bench.ask(PCIE, &write)[4], 0);
    let read = [0x84, 8, 0, 0, 0x0A, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    assert_eq!(bench.ask(PCIE, &read)[8..], *b"abcd");
    assert_eq!(bench.ask(TWO_WIRE, &read)[8..], [0; 4]);
}

#[test]
fn a_sanitize_operation_empties_the_buffers_of_both() {
    let mut bench = Bench::new();
    let mut write = vec![0x84, 8, 0, 0, 0x0B, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    write.extend(*b"abcd");
    for at in [PCIE, TWO_WIRE] {
        assert_eq!(bench.ask(at, &write)[4], 0);
    }
    let sanitize = Admin {
        opcode: 0x84,
        dwords: [4, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    bench.ask(PCIE, &sanitize.message());
    let read = [0x84, 8, 0, 0, 0x0A, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    for at in [PCIE, TWO_WIRE] {
        assert_eq!(bench.ask(at, &read)[4], 0x22, "told once");
        assert_eq!(bench.ask(at, &read)[8..], [0; 4]);
    }
}

#[test]
fn a_command_that_must_be_alone_waits_for_the_one_of_the_other_endpoint() {
    let mut bench = Bench::new();
    bench.take(PCIE, &FORMAT.message());
    let create = Admin {
        opcode: 0x0D,
        data: &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        length: 16,
        ..ADMIN
    };
    bench.take(TWO_WIRE, &create.message());
    assert_eq!(bench.sent(TWO_WIRE), None, "it waits");
    // Others do not.
    let in_slot_1 = [0x84, 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(bench.ask(TWO_WIRE, &in_slot_1)[4], 0);
    bench.wait(500);
    // Each is told how long that may take: what is left of ten minutes, and of both.
    assert_eq!(field(&bench.sent(PCIE).unwrap(), 4, 4), 5_999 << 16 | 1);
    assert_eq!(field(&bench.sent(TWO_WIRE).unwrap(), 4, 4), 5_999 << 16 | 1);
    assert_eq!(bench.sent(TWO_WIRE), None);
    bench.wait(600);
    assert_eq!(bench.sent(PCIE).unwrap()[4..], [0; 16]);
    let created = bench.sent(TWO_WIRE).unwrap();
    assert_eq!(field(&created, 8, 4), 3, "the namespace");
}

#[test]
fn the_time_that_a_command_may_take_counts_from_when_it_begins() {
    let mut bench = Bench::new();
    bench.take(PCIE, &FORMAT.message());
    bench.take(TWO_WIRE, &FORMAT.message());
    bench.wait(500);
    assert_eq!(field(&bench.sent(PCIE).unwrap(), 4, 4), 5_999 << 16 | 1);
    let both = field(&bench.sent(TWO_WIRE).unwrap(), 4, 4);
    assert_eq!(both, 11_999 << 16 | 1);
    // The first ends after a second, and the second one begins.
    bench.wait(600);
    assert_eq!(bench.sent(PCIE).unwrap()[4..], [0; 16]);
    assert_eq!(bench.ask(TWO_WIRE, &REPLAY)[6], 1);
    let second = field(&bench.sent(TWO_WIRE).unwrap(), 4, 4);
    assert_eq!(second, 5_999 << 16 | 1);
}

#[test]
fn one_that_waits_begins_when_the_other_is_aborted_or_its_link_lost() {
    for is_lost in [false, true] {
        let mut bench = Bench::new();
        bench.take(PCIE, &FORMAT.message());
        let mut delete = FORMAT;
        delete.opcode = 0x0D;
        delete.dwords[0] = 1;
        bench.take(TWO_WIRE, &delete.message());
        bench.wait(10);
        assert_eq!(bench.sent(TWO_WIRE), None);
        if is_lost {
            bench.endpoints[PCIE].reset(&mut bench.device);
        } else {
            bench.ask(PCIE, &[0x84, 0, 0, 0, 2, 0, 0, 0]);
        }
        bench.wait(10);
        assert_eq!(bench.sent(TWO_WIRE).unwrap()[4..], [0; 16]);
        assert_eq!(bench.sent(PCIE), None);
    }
}

#[test]
fn a_subsystem_reset_by_one_endpoint_is_one_of_both() {
    let mut bench = Bench::new();
    bench.take(TWO_WIRE, &READ_PCIE);
    bench.ask(TWO_WIRE, &PAUSE);
    bench.subscribe(PCIE);
    bench.configuration(PCIE, 3, 3, 1, 128);
    bench.take(PCIE, &RESET);
    assert_eq!(bench.sent(PCIE), None);
    bench.gate.0.set(true);
    bench.wait(1_000);
    assert_eq!(bench.sent(TWO_WIRE), None, "the command is gone");
    for at in [PCIE, TWO_WIRE] {
        assert_eq!(bench.state(at), SUBSYSTEM_RESET);
        assert_eq!(bench.composite(at, &POLL) & 1 << 4, 1 << 4);
    }
    assert_eq!(bench.unit(TWO_WIRE, 1), 64);
}

#[test]
fn a_firmware_download_goes_on_by_the_other_endpoint() {
    let mut bench = Bench::new();
    let image = support::firmware_image(b"REF00002", 2);
    for (piece, at) in image.chunks(4096).zip([PCIE, TWO_WIRE]) {
        let offset = if at == PCIE { 0 } else { 1024 };
        let download = Admin {
            opcode: 0x11,
            length: 4096,
            dwords: [1023, offset, 0, 0, 0, 0],
            data: piece,
            ..ADMIN
        };
        assert_eq!(bench.ask(at, &download.message())[4..], [0; 16]);
    }
    let commit = Admin {
        opcode: 0x10,
        dwords: [2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(bench.ask(PCIE, &commit.message())[4..], [0; 16]);
    let log = Admin {
        opcode: 0x02,
        namespace: u32::MAX,
        length: 512,
        dwords: [127 << 16 | 3, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    for at in [PCIE, TWO_WIRE] {
        let response = bench.ask(at, &log.message());
        assert_eq!(response[20 + 16..20 + 24], *b"REF00002");
    }
}

// A Management Endpoint Reset: the link was lost.

#[test]
fn a_lost_link_leaves_nothing_of_one_host_to_the_next() {
    let mut bench = Bench::new();
    bench.heat(310);
    bench.composite(TWO_WIRE, &POLL);
    bench.subscribe(TWO_WIRE);
    bench.configuration(TWO_WIRE, 3, 3, 1, 128);
    bench.configuration(TWO_WIRE, 3, 1, 1, 3);
    let mut write = vec![0x84, 8, 0, 0, 0x0B, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    write.extend(*b"abcd");
    bench.ask(TWO_WIRE, &write);
    bench.take(TWO_WIRE, &READ_PCIE);
    bench.endpoints[TWO_WIRE].note(TransportErrors::NONE.with(TransportError::Timeout));
    bench.ask(TWO_WIRE, &PAUSE);

    bench.endpoints[TWO_WIRE].reset(&mut bench.device);
    bench.gate.0.set(true);
    bench.heat(320);
    bench.wait(5_000);

    assert_eq!(bench.sent(TWO_WIRE), None);
    assert_eq!(bench.event(TWO_WIRE), None);
    assert_eq!(bench.state(TWO_WIRE), 0);
    assert_eq!(bench.ask(TWO_WIRE, &REPLAY)[6], 0, "nothing to replay");
    assert_eq!(bench.unit(TWO_WIRE, 1), 64);
    assert_eq!(bench.configuration(TWO_WIRE, 4, 1, 1, 0), 1);
    let effects = bench.device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(1), 64)));
    let read = [0x84, 8, 0, 0, 0x0A, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    assert_eq!(bench.ask(TWO_WIRE, &read)[8..], [0; 4]);
    // Only what happened since.
    assert_eq!(bench.composite(TWO_WIRE, &POLL), TEMPERATURE_CHANGED);
}

#[test]
fn a_lost_link_leaves_the_other_endpoint_and_the_device_as_they_are() {
    let mut bench = Bench::new();
    bench.heat(310);
    bench.subscribe(PCIE);
    bench.configuration(PCIE, 3, 3, 1, 128);
    let poll = bench.ask(PCIE, &POLL);
    let piece = support::firmware_image(b"REF00002", 1);
    let download = Admin {
        opcode: 0x11,
        length: 4096,
        dwords: [1023, 0, 0, 0, 0, 0],
        data: &piece,
        ..ADMIN
    };
    assert_eq!(bench.ask(TWO_WIRE, &download.message())[4..], [0; 16]);
    bench.endpoints[TWO_WIRE].reset(&mut bench.device);
    assert_eq!(bench.ask(PCIE, &REPLAY)[6], 1);
    assert_eq!(bench.sent(PCIE), Some(poll));
    assert_eq!(bench.composite(PCIE, &POLL), TEMPERATURE_CHANGED);
    bench.heat(320);
    bench.wait(3_000);
    assert!(bench.event(PCIE).is_some());
    // The download is the device's.
    let commit = Admin {
        opcode: 0x10,
        dwords: [2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(bench.ask(TWO_WIRE, &commit.message())[4..], [0; 16]);
}

/// Configuration Set of the transmission unit of port 1 to 128.
const SET_UNIT: [u8; 16] = [0x84, 8, 0, 0, 3, 0, 0, 0, 3, 0, 0, 1, 128, 0, 0, 0];
const SHUTDOWN: [u8; 16] = [0x84, 8, 0, 0, 0x0C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn what_a_command_does_after_its_response_is_done_when_the_link_is_lost_instead() {
    let mut bench = Bench::new();
    bench.take(PCIE, &SET_UNIT);
    bench.endpoints[PCIE].reset(&mut bench.device);
    assert_eq!(bench.sent(PCIE), None);
    let effects = bench.device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(1), 128)));
    assert_eq!(bench.unit(TWO_WIRE, 1), 128);
    bench.take(PCIE, &SHUTDOWN);
    bench.endpoints[PCIE].reset(&mut bench.device);
    let reset = bench.device.world().reset;
    assert_eq!(reset.last_shutdown, Some(ShutdownKind::Normal));
}

#[test]
fn a_unit_that_a_lost_link_took_back_is_not_told_again() {
    let mut bench = Bench::new();
    bench.take(PCIE, &SET_UNIT);
    bench.endpoints[TWO_WIRE].reset(&mut bench.device);
    assert!(bench.sent(PCIE).is_some());
    let effects = bench.device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(1), 64)));
    assert_eq!(bench.unit(TWO_WIRE, 1), 64);
}

#[test]
fn a_command_whose_response_a_subsystem_reset_discards_does_nothing_more() {
    let mut bench = Bench::new();
    bench.take(PCIE, &SHUTDOWN);
    let source = bench.endpoints[PCIE].transmission().unwrap().source;
    bench.take(TWO_WIRE, &RESET);
    bench.endpoints[PCIE].sent(&mut bench.device, source);
    assert_eq!(bench.device.world().reset.last_shutdown, None);
}

#[test]
fn a_lost_link_does_not_hide_that_the_other_endpoint_reset_the_subsystem() {
    let mut bench = Bench::new();
    bench.take(TWO_WIRE, &RESET);
    bench.endpoints[PCIE].reset(&mut bench.device);
    assert_eq!(bench.state(PCIE), SUBSYSTEM_RESET);
}
