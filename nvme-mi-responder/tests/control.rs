//! Command slots, control primitives and More Processing Required.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use mctp::Eid;
use nvme_mi_responder::world::{
    HealthReport, MemoryEffects, MemoryMedia, MemoryReset, PcieAccess, PcieDirection, PcieError,
    PcieRange,
};
use nvme_mi_responder::{DropReason, Instant, PortId, Requester, TransportError, TransportErrors};
use support::{ADMIN, Admin, Device, NotSupported, Parts, sealed};

/// PCI functions that answer when they are let.
#[derive(Clone, Default)]
struct Gate(Rc<Cell<bool>>);

impl Gate {
    fn open(&self) {
        self.0.set(true);
    }
}

impl PcieAccess for Gate {
    fn prepare(&mut self, _: PcieRange, _: PcieDirection) -> Poll<Result<(), PcieError>> {
        if self.0.get() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
    fn read(&mut self, _: PcieRange, data: &mut [u8]) {
        data.fill(0x5A);
    }
}

type World = Parts<
    HealthReport,
    NotSupported,
    NotSupported,
    MemoryReset,
    MemoryEffects,
    NotSupported,
    NotSupported,
    Gate,
>;

type Slow = Parts<
    HealthReport,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    MemoryMedia,
    Gate,
>;

struct Bench {
    device: Device<World>,
    gate: Gate,
}

/// A message that came out: for whom, and all of it.
type Sent = (u8, u16, Vec<u8>);

const POLL: [u8; 16] = [0x84, 0x08, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Configuration Set of the transmission unit of port 1 to 128.
const SET_UNIT: [u8; 16] = [0x84, 0x08, 0, 0, 3, 0, 0, 0, 3, 0, 0, 1, 128, 0, 0, 0];
const RESET: [u8; 16] = [0x84, 0x08, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Takes until the gate opens.
const READ_PCIE: [u8; 20] = [
    0x84, 0x20, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const PAUSE: u8 = 0;
const RESUME: u8 = 1;
const ABORT: u8 = 2;
const GET_STATE: u8 = 3;
const REPLAY: u8 = 4;

const IDLE: u16 = 0;
const PROCESS: u16 = 2;
const TRANSMIT: u16 = 3;
const SLOT_BUSY: u16 = 1 << 3;
const BAD_INTEGRITY_CHECK: u16 = 1 << 4;
const SUBSYSTEM_RESET: u16 = 1 << 14;
const PAUSED: u16 = 1 << 15;

impl Bench {
    fn new() -> Self {
        let gate = Gate::default();
        let world = Parts::new(HealthReport::healthy())
            .with_reset(MemoryReset::default())
            .with_effects(MemoryEffects::default())
            .with_pcie(gate.clone());
        let device = Device::reference(world);
        Self { device, gate }
    }

    /// Takes a message in, without its Message Integrity Check, from exchange 1 of endpoint 8.
    fn take(&mut self, message: &[u8]) -> Result<(), DropReason> {
        self.take_from(8, 1, message)
    }

    fn take_from(
        &mut self,
        endpoint_id: u8,
        exchange: u16,
        message: &[u8],
    ) -> Result<(), DropReason> {
        let requester = Requester {
            endpoint_id: Eid(endpoint_id),
            exchange,
        };
        let message = sealed(message);
        self.device.meanwhile();
        let now = self.device.now;
        self.device
            .endpoint
            .receive(&mut self.device.inner, now, requester, true, &message[1..])
    }

    /// Takes all messages that are to be sent.
    fn sent(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(transmission) = self.device.endpoint.transmission() {
            let requester = transmission.requester;
            let (source, body) = (transmission.source, transmission.body);
            let message = [&[0x84], body].concat();
            let (content, check) = message.split_last_chunk::<4>().unwrap();
            assert_eq!(*check, support::crc(content));
            let content = content.to_vec();
            sent.push((requester.endpoint_id.0, requester.exchange, content));
            self.device.endpoint.sent(&mut self.device.inner, source);
        }
        sent
    }

    /// Kind and status of what is sent: bytes 1 and 4.
    fn kinds(&mut self) -> Vec<(u8, u8)> {
        let sent = self.sent();
        sent.iter().map(|sent| (sent.2[1], sent.2[4])).collect()
    }

    fn wait(&mut self, milliseconds: u32) {
        let end = self.device.now.after(milliseconds);
        while self.device.endpoint.next_deadline() <= end {
            self.device.now = self.device.endpoint.next_deadline();
            self.device
                .endpoint
                .advance(&mut self.device.inner, self.device.now);
        }
        self.device.now = end;
    }

    /// Sends a control primitive and returns status and parameter of the response to it, which is
    /// the first that is sent.
    fn primitive(&mut self, slot: u8, opcode: u8, parameter: u8) -> (u8, u16) {
        let message = [0x84, slot, 0, 0, opcode, 0xA5, parameter, 0];
        self.take_from(9, 7, &message).unwrap();
        let transmission = self.device.endpoint.transmission().unwrap();
        let (source, response) = (transmission.source, transmission.body.to_vec());
        assert_eq!(transmission.requester.exchange, 7);
        assert_eq!(response.len(), 11, "a response of 12 bytes");
        assert_eq!(response[..3], [0x80 | slot, 0, 0]);
        if response[3] != 4 {
            assert_eq!(response[4], 0xA5, "the tag comes back");
        }
        self.device.endpoint.sent(&mut self.device.inner, source);
        (response[3], u16::from_le_bytes([response[5], response[6]]))
    }

    fn state(&mut self, slot: u8) -> u16 {
        let (status, state) = self.primitive(slot, GET_STATE, 0);
        assert_eq!(status, 0);
        state
    }
}

fn in_slot_1<const N: usize>(mut message: [u8; N]) -> [u8; N] {
    message[1] |= 1;
    message
}

// Get State.

#[test]
fn get_state_says_what_each_slot_does() {
    let mut bench = Bench::new();
    assert_eq!((bench.state(0), bench.state(1)), (IDLE, IDLE));
    bench.take(&READ_PCIE).unwrap();
    bench.take(&in_slot_1(POLL)).unwrap();
    assert_eq!((bench.state(0), bench.state(1)), (PROCESS, TRANSMIT));
    bench.sent();
    assert_eq!((bench.state(0), bench.state(1)), (PROCESS, IDLE));
    bench.gate.open();
    bench.wait(10);
    assert_eq!((bench.state(0), bench.state(1)), (TRANSMIT, IDLE));
    bench.sent();
    assert_eq!((bench.state(0), bench.state(1)), (IDLE, IDLE));
}

#[test]
fn get_state_clears_the_error_flags_only_when_asked_to_and_after_copying_them() {
    let mut bench = Bench::new();
    let requester = Requester {
        endpoint_id: Eid(8),
        exchange: 0,
    };
    let damaged = bench.device.endpoint.receive(
        &mut bench.device.inner,
        Instant::START,
        requester,
        true,
        &[8; 19],
    );
    assert_eq!(damaged, Err(DropReason::BadIntegrityCheck));
    assert_eq!(bench.state(0), BAD_INTEGRITY_CHECK);
    assert_eq!(
        bench.primitive(0, GET_STATE, 1),
        (0, BAD_INTEGRITY_CHECK),
        "the copy"
    );
    assert_eq!(bench.state(0), 0);
}

#[test]
fn reserved_bits_of_the_parameter_are_ignored() {
    let mut bench = Bench::new();
    bench
        .device
        .endpoint
        .note(TransportErrors::NONE.with(TransportError::Timeout));
    for _ in 0..2 {
        assert_eq!(bench.primitive(0, GET_STATE, 0xFE), (0, 1 << 5), "kept");
    }
    for opcode in [PAUSE, RESUME, ABORT] {
        assert_eq!(bench.primitive(0, opcode, 0xFF).0, 0);
    }
    let replay_from_the_start = sealed(&[0x84, 0, 0xFC, 0xFF, REPLAY, 0, 0, 0xFF]);
    let response = bench.device.raw(&replay_from_the_start).unwrap();
    assert_eq!(response[4..8], [0; 4]);
}

#[test]
fn clearing_the_error_flags_keeps_the_pause_and_the_slot_state() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    bench.primitive(0, PAUSE, 0);
    bench
        .device
        .endpoint
        .note(TransportErrors::NONE.with(TransportError::OutOfSequence));
    let flags = PAUSED | TRANSMIT;
    assert_eq!(bench.primitive(0, GET_STATE, 1), (0, flags | 1 << 11));
    assert_eq!(bench.state(0), flags);
}

#[test]
fn get_state_has_a_flag_for_each_transport_error() {
    for (error, bit) in [
        (TransportError::Timeout, 5),
        (TransportError::UnsupportedUnit, 6),
        (TransportError::HeaderVersion, 7),
        (TransportError::UnknownDestination, 8),
        (TransportError::IncorrectUnit, 9),
        (TransportError::UnexpectedMiddle, 10),
        (TransportError::OutOfSequence, 11),
        (TransportError::MessageTag, 12),
        (TransportError::PhysicalLayer, 13),
    ] {
        let mut bench = Bench::new();
        bench
            .device
            .endpoint
            .note(TransportErrors::NONE.with(error));
        assert_eq!(bench.state(0), 1 << bit, "{error:?}");
        assert_eq!(bench.state(1), 1 << bit, "{error:?}");
    }
}

#[test]
fn what_the_transport_has_seen_is_flagged_until_it_is_cleared() {
    let mut bench = Bench::new();
    let errors = TransportErrors::NONE
        .with(TransportError::HeaderVersion)
        .with(TransportError::PhysicalLayer);
    bench.device.endpoint.note(errors);
    let flags = 1 << 7 | 1 << 13;
    assert_eq!(bench.state(0), flags);
    assert_eq!(bench.primitive(1, GET_STATE, 1), (0, flags));
    assert_eq!(bench.state(0), IDLE);
}

// Slots.

#[test]
fn a_command_for_a_busy_slot_is_dropped_counted_and_flagged() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    assert_eq!(bench.take(&POLL), Err(DropReason::SlotBusy));
    assert_eq!(bench.device.endpoint.drops().count(DropReason::SlotBusy), 1);
    assert_eq!(bench.state(0), PROCESS | SLOT_BUSY);
    bench.gate.open();
    bench.wait(10);
    assert_eq!(bench.take(&POLL), Err(DropReason::SlotBusy), "not sent yet");
    assert_eq!(bench.kinds(), [(0xA0, 0)]);
    bench.take(&POLL).unwrap();
    assert_eq!(bench.kinds(), [(0x88, 0)]);
}

#[test]
fn both_slots_work_at_once_and_answer_their_own_requesters() {
    let mut bench = Bench::new();
    bench.take_from(10, 3, &READ_PCIE).unwrap();
    bench.take_from(11, 4, &in_slot_1(READ_PCIE)).unwrap();
    assert_eq!(bench.sent(), []);
    bench.gate.open();
    bench.wait(10);
    let sent = bench.sent();
    assert_eq!((sent[0].0, sent[0].1, sent[0].2[1]), (10, 3, 0xA0));
    assert_eq!((sent[1].0, sent[1].1, sent[1].2[1]), (11, 4, 0xA1));
    assert_eq!(sent.len(), 2);
}

#[test]
fn what_was_sent_before_an_abort_does_not_end_the_next_command() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    let before = bench.device.endpoint.transmission().unwrap().source;
    bench.primitive(0, ABORT, 0);
    bench.take(&POLL).unwrap();
    bench.device.endpoint.sent(&mut bench.device.inner, before);
    assert_eq!(bench.kinds(), [(0x88, 0)]);
}

#[test]
fn what_was_sent_before_a_replay_does_not_end_the_replay() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    let before = bench.device.endpoint.transmission().unwrap().source;
    bench.primitive(0, REPLAY, 0);
    bench.device.endpoint.sent(&mut bench.device.inner, before);
    assert_eq!(bench.kinds(), [(0x88, 0)]);
}

#[test]
fn what_was_sent_for_one_primitive_does_not_end_the_next() {
    let mut bench = Bench::new();
    bench.take(&[0x84, 0, 0, 0, GET_STATE, 1, 0, 0]).unwrap();
    let before = bench.device.endpoint.transmission().unwrap().source;
    bench.take(&[0x84, 0, 0, 0, GET_STATE, 2, 0, 0]).unwrap();
    bench.device.endpoint.sent(&mut bench.device.inner, before);
    assert_eq!(bench.sent()[0].2[5], 2);
}

#[test]
fn only_the_exchange_that_something_is_for_is_served() {
    let mut bench = Bench::new();
    bench.take_from(8, 5, &POLL).unwrap();
    let endpoint = &mut bench.device.endpoint;
    assert!(endpoint.serves(5) && !endpoint.serves(6));
    assert!(endpoint.transmission_for(6).is_none());
    let source = endpoint.transmission_for(5).unwrap().source;
    endpoint.sent(&mut bench.device.inner, source);
    assert!(!endpoint.serves(5));
}

// Pause and Resume.

#[test]
fn pause_holds_back_the_responses_of_both_slots_until_resume() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    assert_eq!(bench.primitive(1, PAUSE, 0), (0, 3));
    bench.take(&in_slot_1(POLL)).unwrap();
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.state(0), TRANSMIT | PAUSED);
    assert_eq!(bench.state(1), TRANSMIT | PAUSED);
    assert_eq!(bench.primitive(0, RESUME, 0), (0, 0));
    assert_eq!(bench.kinds(), [(0x88, 0), (0x89, 0)]);
    assert_eq!(bench.state(0), IDLE);
}

#[test]
fn pause_does_not_hold_back_the_work() {
    let mut bench = Bench::new();
    bench.primitive(0, PAUSE, 0);
    bench.take(&READ_PCIE).unwrap();
    bench.gate.open();
    bench.wait(10);
    assert_eq!(bench.state(0), TRANSMIT | PAUSED);
}

#[test]
fn pause_holds_back_more_processing_required() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    bench.primitive(0, PAUSE, 0);
    bench.wait(1000);
    assert_eq!(bench.sent(), []);
    bench.primitive(0, RESUME, 0);
    assert_eq!(bench.kinds(), [(0xA0, 1)]);
}

#[test]
fn resume_without_a_pause_succeeds() {
    assert_eq!(Bench::new().primitive(0, RESUME, 0), (0, 0));
}

#[test]
fn a_command_with_auto_pause_pauses_without_a_response_of_its_own() {
    let mut bench = Bench::new();
    let mut poll = POLL;
    poll[2] = 2;
    bench.take(&poll).unwrap();
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.state(0), TRANSMIT | PAUSED);
    bench.primitive(0, RESUME, 0);
    assert_eq!(bench.kinds(), [(0x88, 0)]);
}

// Abort.

#[test]
fn abort_of_an_idle_slot_succeeds_and_says_that_there_was_nothing() {
    assert_eq!(Bench::new().primitive(0, ABORT, 0), (0, 0));
}

#[test]
fn abort_ends_a_command_that_takes_long_without_a_response() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    bench.wait(200);
    bench.sent();
    assert_eq!(bench.primitive(0, ABORT, 0), (0, 2));
    bench.gate.open();
    bench.wait(1000);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.state(0), IDLE);
    bench.take(&POLL).unwrap();
    assert_eq!(bench.kinds(), [(0x88, 0)]);
}

/// A command that must be alone is pending, `ends` ends it, and another one is in its slot. One
/// more that must be alone is carried out.
fn assert_nothing_waits_after(ends: impl FnOnce(&mut Device<Slow>)) {
    let mut media = MemoryMedia::new();
    media.format_time = 1000;
    let world = Parts::new(HealthReport::healthy())
        .with_media(media)
        .with_pcie(Gate::default());
    let mut device = Device::reference(world);
    let format = Admin {
        opcode: 0x80,
        namespace: 1,
        ..ADMIN
    };
    assert_eq!(device.raw(&sealed(&format.message())), None);
    ends(&mut device);
    assert_eq!(device.raw(&sealed(&READ_PCIE)), None);
    let sanitize = Admin {
        slot: 1,
        opcode: 0x84,
        dwords: [2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.admin_ok(sanitize);
}

#[test]
fn no_command_waits_for_one_that_was_aborted() {
    assert_nothing_waits_after(|device| {
        let abort = [0x84, 0, 0, 0, ABORT, 0, 0, 0];
        assert_eq!(device.request(&abort), [0, 0, 2, 0]);
    });
}

#[test]
fn no_command_waits_for_one_that_a_reset_ended() {
    assert_nothing_waits_after(|device| device.inner.reset_subsystem());
}

#[test]
fn abort_discards_a_response_and_more_processing_required() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    assert_eq!(bench.primitive(0, ABORT, 0), (0, 0));
    bench.take(&READ_PCIE).unwrap();
    bench.wait(100);
    assert_eq!(bench.primitive(0, ABORT, 0), (0, 2));
    assert_eq!(bench.sent(), []);
}

#[test]
fn abort_of_one_slot_leaves_the_other_alone() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    bench.take(&in_slot_1(POLL)).unwrap();
    bench.primitive(0, ABORT, 0);
    assert_eq!(bench.kinds(), [(0x89, 0)]);
}

#[test]
fn abort_ends_a_pause() {
    let mut bench = Bench::new();
    bench.primitive(0, PAUSE, 0);
    bench.take(&in_slot_1(POLL)).unwrap();
    bench.primitive(0, ABORT, 0);
    assert_eq!(bench.kinds(), [(0x89, 0)]);
}

#[test]
fn what_an_aborted_response_was_about_to_do_is_done() {
    let mut bench = Bench::new();
    bench.take(&SET_UNIT).unwrap();
    bench.primitive(0, ABORT, 0);
    let effects = bench.device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(1), 128)));
}

#[test]
fn the_unit_that_is_told_last_is_the_one_that_is_set() {
    let mut bench = Bench::new();
    let mut set_200 = in_slot_1(SET_UNIT);
    set_200[12] = 200;
    bench.take(&set_200).unwrap();
    bench.take(&SET_UNIT).unwrap();
    assert_eq!(bench.kinds(), [(0x88, 0), (0x89, 0)]);
    let effects = bench.device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(1), 128)));
    let unit = bench.device.mi(4, 0x0100_0003, 0, &[]);
    assert_eq!(unit, [0, 128, 0, 0]);
}

// Replay.

#[test]
fn replay_sends_the_last_response_again_to_whoever_asks_for_it() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    let before = bench.sent();
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 1));
    let after = bench.sent();
    assert_eq!((after.len(), after[0].0, after[0].1), (1, 9, 7));
    assert_eq!(after[0].2, before[0].2);
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 1), "as often as wanted");
}

#[test]
fn replay_of_a_slot_without_a_response_says_so() {
    let mut bench = Bench::new();
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 0));
    bench.take(&READ_PCIE).unwrap();
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 0), "not yet");
    bench.take(&in_slot_1(POLL)).unwrap();
    bench.primitive(1, ABORT, 0);
    assert_eq!(bench.primitive(1, REPLAY, 0), (0, 0), "not any more");
    assert_eq!(bench.sent(), []);
}

#[test]
fn replay_ends_a_pause_and_sends_what_was_held_back_once() {
    let mut bench = Bench::new();
    bench.primitive(0, PAUSE, 0);
    bench.take(&POLL).unwrap();
    bench.take(&in_slot_1(POLL)).unwrap();
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 1));
    assert_eq!(bench.kinds(), [(0x88, 0), (0x89, 0)]);
    assert_eq!(bench.state(0), IDLE);
}

#[test]
fn replay_from_within_a_response_is_refused() {
    let mut bench = Bench::new();
    bench.take(&POLL).unwrap();
    bench.sent();
    for offset in [1, 255] {
        // At byte 6.
        assert_eq!(bench.primitive(0, REPLAY, offset), (4, 6));
    }
    assert_eq!(bench.sent(), []);
}

#[test]
fn an_invalid_parameter_has_its_location_in_place_of_tag_and_parameter() {
    let mut bench = Bench::new();
    bench.take(&[0x84, 1, 0, 0, REPLAY, 0xA5, 1, 0]).unwrap();
    assert_eq!(bench.sent()[0].2, [0x84, 0x81, 0, 0, 4, 0, 6, 0]);
}

#[test]
fn a_primitive_neither_pauses_by_itself_nor_uses_the_endpoint_buffer() {
    let mut bench = Bench::new();
    for opcode in [PAUSE, RESUME, ABORT, GET_STATE, REPLAY] {
        for (flags, bit) in [(1, 0), (2, 1), (3, 0)] {
            bench.take(&[0x84, 0, flags, 0, opcode, 0, 0, 0]).unwrap();
            // At byte 2.
            assert_eq!(bench.sent()[0].2, [0x84, 0x80, 0, 0, 4, bit, 2, 0]);
        }
    }
    assert_eq!(bench.state(0), IDLE, "not paused");
}

#[test]
fn replay_sends_more_processing_required_again_with_the_time_that_remains() {
    let mut bench = Bench::new();
    bench.take_from(8, 4, &READ_PCIE).unwrap();
    bench.wait(50);
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 0), "nothing was sent");
    bench.wait(50);
    // What is left of ten minutes, in units of 100 ms.
    let told = |time: [u8; 2]| vec![0x84, 0xA0, 0, 0, 1, 0, time[0], time[1]];
    assert_eq!(bench.sent(), [(8, 4, told([0x6F, 0x17]))]);
    bench.wait(60_000);
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 1));
    assert_eq!(bench.sent(), [(9, 7, told([0x17, 0x15]))]);
    assert!(!bench.device.endpoint.serves(4));
    bench.wait(1000);
    assert_eq!(bench.sent(), [], "once");
    bench.gate.open();
    bench.wait(10);
    let response = vec![0x84, 0xA0, 0, 0, 0, 0, 0, 0, 0x5A, 0x5A, 0x5A, 0x5A];
    assert_eq!(bench.sent(), [(9, 7, response)]);
}

#[test]
fn replay_after_an_abort_of_a_command_that_takes_long_has_nothing() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    bench.wait(100);
    assert_eq!(bench.kinds(), [(0xA0, 1)]);
    bench.primitive(0, ABORT, 0);
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 0));
    assert_eq!(bench.sent(), []);
}

#[test]
fn replay_does_not_repeat_what_its_command_did() {
    let mut bench = Bench::new();
    bench.take(&SET_UNIT).unwrap();
    bench.sent();
    bench.device.world().effects = MemoryEffects::default();
    bench.primitive(0, REPLAY, 0);
    assert_eq!(bench.kinds(), [(0x88, 0)]);
    let effects = bench.device.world().effects;
    assert_eq!(effects, MemoryEffects::default());
}

// All primitives.

#[test]
fn a_primitive_takes_the_place_of_one_whose_response_was_not_sent() {
    let mut bench = Bench::new();
    bench.take(&[0x84, 0, 0, 0, PAUSE, 1, 0, 0]).unwrap();
    bench.take(&[0x84, 0, 0, 0, RESUME, 2, 0, 0]).unwrap();
    bench.take(&[0x84, 1, 0, 0, GET_STATE, 3, 0, 0]).unwrap();
    let sent = bench.sent();
    let tags: Vec<_> = sent.iter().map(|sent| (sent.2[1], sent.2[5])).collect();
    assert_eq!(tags, [(0x80, 2), (0x81, 3)]);
}

#[test]
fn other_primitives_are_invalid_opcodes() {
    let mut bench = Bench::new();
    for opcode in 5..=255 {
        assert_eq!(bench.primitive(0, opcode, 0), (3, 0), "{opcode:02x}");
    }
}

#[test]
fn a_primitive_of_another_size_is_refused_and_does_nothing() {
    let mut bench = Bench::new();
    for length in [4, 5, 7, 9, 16] {
        let mut message = vec![0x84, 0, 0, 0];
        message.resize(length, 0);
        bench.take(&message).unwrap();
        assert_eq!(bench.kinds(), [(0x80, 5)], "{length}");
    }
    assert_eq!(bench.state(0), IDLE, "not paused");
}

#[test]
fn primitives_are_answered_while_both_slots_are_busy() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    bench.take(&in_slot_1(READ_PCIE)).unwrap();
    assert_eq!((bench.state(0), bench.state(1)), (PROCESS, PROCESS));
}

// More Processing Required.

#[test]
fn a_command_that_takes_100_ms_gets_more_processing_required_once_and_its_response_to_the_same_exchange()
 {
    let mut bench = Bench::new();
    bench.take_from(8, 4, &READ_PCIE).unwrap();
    bench.wait(99);
    assert_eq!(bench.sent(), []);
    bench.wait(1);
    // What is left of ten minutes, in units of 100 ms.
    let told = vec![0x84, 0xA0, 0, 0, 1, 0, 0x6F, 0x17];
    assert_eq!(bench.sent(), [(8, 4, told)]);
    assert_eq!(bench.state(0), PROCESS);
    bench.wait(60_000);
    assert_eq!(bench.sent(), []);
    bench.gate.open();
    bench.wait(10);
    let response = vec![0x84, 0xA0, 0, 0, 0, 0, 0, 0, 0x5A, 0x5A, 0x5A, 0x5A];
    assert_eq!(bench.sent(), [(8, 4, response)]);
}

#[test]
fn a_response_that_is_ready_makes_more_processing_required_pointless() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    bench.wait(150);
    bench.gate.open();
    bench.wait(10);
    assert_eq!(bench.kinds(), [(0xA0, 0)]);
}

#[test]
fn each_slot_has_its_own_more_processing_required() {
    let mut bench = Bench::new();
    bench.take(&READ_PCIE).unwrap();
    bench.wait(50);
    bench.take(&in_slot_1(READ_PCIE)).unwrap();
    bench.wait(50);
    assert_eq!(bench.kinds(), [(0xA0, 1)]);
    bench.wait(50);
    assert_eq!(bench.kinds(), [(0xA1, 1)]);
}

#[test]
fn the_next_command_of_a_slot_gets_more_processing_required_too() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.take(&READ_PCIE).unwrap();
        bench.wait(100);
        assert_eq!(bench.kinds(), [(0xA0, 1)]);
        bench.primitive(0, ABORT, 0);
    }
}

#[test]
fn nothing_is_waited_for_when_nothing_is_pending() {
    let mut bench = Bench::new();
    assert_eq!(bench.device.endpoint.next_deadline(), Instant::NEVER);
    bench.take(&READ_PCIE).unwrap();
    assert!(bench.device.endpoint.next_deadline() < Instant::from_millis(100));
    bench.primitive(0, ABORT, 0);
    assert_eq!(bench.device.endpoint.next_deadline(), Instant::NEVER);
}

// Reset.

#[test]
fn a_reset_ends_commands_pauses_and_replays_and_is_flagged() {
    let mut bench = Bench::new();
    bench
        .device
        .endpoint
        .note(TransportErrors::NONE.with(TransportError::Timeout));
    bench.take(&READ_PCIE).unwrap();
    bench.wait(100);
    bench.primitive(0, PAUSE, 0);
    bench.take(&in_slot_1(RESET)).unwrap();
    bench.gate.open();
    bench.wait(1000);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.state(0), IDLE | SUBSYSTEM_RESET);
    assert_eq!(bench.state(1), IDLE | SUBSYSTEM_RESET);
    assert_eq!(bench.primitive(0, REPLAY, 0), (0, 0));
    assert_eq!(bench.primitive(1, REPLAY, 0), (0, 0));
    assert_eq!(bench.primitive(0, GET_STATE, 1), (0, SUBSYSTEM_RESET));
    assert_eq!(bench.state(0), IDLE);
}
