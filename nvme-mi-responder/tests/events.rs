//! Asynchronous Events (NVMe-MI 2.0, sections 4.4 and 5.2.4).

mod support;

use mctp::Eid;
use nvme_mi_responder::world::{HealthReport, MemoryMedia, MemoryReset};
use nvme_mi_responder::{
    ControllerConfig, ControllerId, Function, Instant, PortId, Requester, Subsystem,
};
use support::{
    ADMIN, Admin, Device, IDENTITY, NotSupported, PCIE_PORT, Parts, TWO_WIRE_PORT, sealed,
};

type World = Parts<
    HealthReport,
    NotSupported,
    NotSupported,
    MemoryReset,
    NotSupported,
    NotSupported,
    MemoryMedia,
>;

fn world() -> World {
    Parts::new(HealthReport::healthy())
        .with_reset(MemoryReset::default())
        .with_media(MemoryMedia::new())
}

struct Bench(Device<World>);

/// Who subscribes unless a test says otherwise.
const SUBSCRIBER: u8 = 9;

/// What a message is made of.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    to: u8,
    generation: u8,
    retries: u8,
    overflow: bool,
    /// Event, scope, scope ID, information.
    occurrences: Vec<(u8, u8, u32, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let world = world();
        Self(Device::reference(world))
    }

    /// Sends an MI command from an endpoint and returns status, NMRESP and data.
    fn mi_from(&mut self, from: u8, opcode: u8, dword0: u32, data: &[u8]) -> Vec<u8> {
        let mut message = vec![0x84, 8, 0, 0, opcode, 0, 0, 0];
        message.extend(dword0.to_le_bytes());
        message.extend([0; 4]);
        message.extend(data);
        let requester = Requester {
            endpoint_id: Eid(from),
            exchange: 0,
        };
        self.0.meanwhile();
        let now = self.0.now;
        let request = sealed(&message);
        let taken = self
            .0
            .endpoint
            .receive(&mut self.0.inner, now, requester, true, &request[1..]);
        assert_eq!(taken, Ok(()));
        let response = self.0.response().unwrap();
        response[4..response.len() - 4].to_vec()
    }

    /// Configuration Set 04h with AERD, AEMD, ENxFA and events to enable or disable.
    fn set(&mut self, from: u8, settings: [u8; 3], events: &[(u8, bool)]) -> Vec<u8> {
        let dword0 = u32::from_le_bytes([4, settings[0], settings[1], settings[2]]);
        self.mi_from(from, 3, dword0, &enable_list(events))
    }

    /// Enables events of all functions, messages after 1 s, again after 2 s.
    fn enable(&mut self, events: &[u8]) {
        let events: Vec<_> = events.iter().map(|event| (*event, true)).collect();
        let response = self.set(SUBSCRIBER, [20, 1, 7], &events);
        assert_eq!(response[0], 0);
    }

    /// Acknowledges; nothing has happened since the message.
    fn acknowledge(&mut self, from: u8) {
        assert_eq!(self.acknowledged(from).occurrences, []);
    }

    /// Acknowledges, and returns the list in the response.
    fn acknowledged(&mut self, from: u8) -> Message {
        let response = self.set(from, [0, 0, 0], &[]);
        assert_eq!(response[..4], [0; 4]);
        let length = support::field(&response, 6, 3) as usize & 0x7F_FFFF;
        assert_eq!(response.len(), 4 + length.next_multiple_of(4), "padded");
        parse_list(from, &response[4..][..length])
    }

    fn enabled(&mut self) -> Vec<u8> {
        let response = self.mi_from(SUBSCRIBER, 4, 4, &[]);
        let entries = response[9..][..39].chunks(3);
        let enabled = entries.filter(|entry| entry[2] & 0x80 != 0);
        enabled.map(|entry| entry[1]).collect()
    }

    fn warm_up(&mut self, kelvins: u16) {
        self.0.world().health.temperature = kelvins;
        self.0.endpoint.advance(&mut self.0.inner, self.0.now);
    }

    fn is_failed(&mut self) -> bool {
        self.0.mi(1, 0, 0, &[])[4] & 0x80 != 0
    }

    /// Lets time pass, and returns what was sent meanwhile.
    fn wait(&mut self, milliseconds: u32) -> Vec<Vec<u8>> {
        let end = self.0.now.after(milliseconds);
        let mut sent = Vec::new();
        loop {
            while let Some(event) = self.0.endpoint.event_message() {
                sent.push([&[event.endpoint_id.0, 0x84], event.body].concat());
                self.0.endpoint.event_sent(self.0.now);
            }
            let next = self.0.endpoint.next_deadline();
            if next > end {
                break;
            }
            self.0.now = next;
            self.0.meanwhile();
            self.0.endpoint.advance(&mut self.0.inner, next);
        }
        self.0.now = end;
        sent
    }

    fn messages(&mut self, milliseconds: u32) -> Vec<Message> {
        let sent = self.wait(milliseconds);
        sent.iter().map(|sent| parse(sent)).collect()
    }

    fn message(&mut self, milliseconds: u32) -> Message {
        let mut messages = self.messages(milliseconds);
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }
}

fn enable_list(events: &[(u8, bool)]) -> Vec<u8> {
    let length = 5 + 3 * events.len() as u8;
    let mut list = vec![events.len() as u8, 0, length, 0, 5];
    for (event, enabled) in events {
        list.extend([3, *event, u8::from(*enabled) << 7]);
    }
    list
}

/// Takes a message apart as libnvme does, which refuses anything else.
fn parse(sent: &[u8]) -> Message {
    let (to, message) = sent.split_first().unwrap();
    let (content, check) = message.split_last_chunk::<4>().unwrap();
    assert_eq!(*check, support::crc(content));
    assert_eq!(content[..4], [0x84, 0x28, 0, 0]);
    parse_list(*to, &content[4..])
}

/// Takes an occurrence list apart.
fn parse_list(to: u8, list: &[u8]) -> Message {
    assert_eq!((list[1], list[5]), (0, 7), "version and header length");
    let total = support::field(list, 2, 3) & 0x7F_FFFF;
    assert_eq!(total as usize, list.len());
    let mut rest = &list[7..];
    let mut occurrences = Vec::new();
    for _ in 0..list[0] {
        assert_eq!((rest[0], rest[2]), (9, 0));
        let (occurrence, after) = rest.split_at(9 + usize::from(rest[1]));
        let scope_id = support::field(occurrence, 4, 4) as u32;
        let information = occurrence[9..].to_vec();
        occurrences.push((occurrence[3], occurrence[8], scope_id, information));
        rest = after;
    }
    assert!(rest.is_empty());
    Message {
        to,
        generation: list[6] >> 3,
        retries: list[6] & 7,
        overflow: list[4] & 0x80 != 0,
        occurrences,
    }
}

const TEMPERATURE_OF_70: (u8, u8, u32, [u8; 1]) = (6, 2, 0, [70]);

fn is_temperature(message: &Message, generation: u8, retries: u8) -> bool {
    let (event, scope, scope_id, information) = TEMPERATURE_OF_70;
    *message
        == Message {
            to: SUBSCRIBER,
            generation,
            retries,
            overflow: false,
            occurrences: vec![(event, scope, scope_id, information.to_vec())],
        }
}

// Configuration Get.

#[test]
fn the_supported_list_has_the_lengths_that_libnvme_insists_on() {
    let response = Bench::new().mi_from(8, 4, 4, &[]);
    assert_eq!(response[..4], [0; 4]);
    assert_eq!(response[4..9], [13, 0, 44, 0, 5]);
    for event in 0..13 {
        let entry = &response[9 + 3 * usize::from(event)..][..3];
        assert_eq!(entry, [3, event, 0]);
    }
    assert_eq!(response.len(), 4 + 44);
}

#[test]
fn the_port_says_that_it_sends_event_messages() {
    let response = Bench::new().0.mi(0, 1 << 24 | 1 << 16, 0, &[]);
    assert_eq!(response[5] & 2, 2);
}

#[test]
fn an_enabled_event_is_listed_as_enabled() {
    let mut bench = Bench::new();
    bench.enable(&[6, 0]);
    assert_eq!(bench.enabled(), [0, 6]);
}

// Sync.

#[test]
fn a_sync_is_answered_with_an_occurrence_list() {
    let mut bench = Bench::new();
    let response = bench.set(SUBSCRIBER, [100, 1, 0], &[(6, true)]);
    assert_eq!(response, [0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0]);
}

#[test]
fn a_sync_changes_only_what_it_names() {
    let mut bench = Bench::new();
    bench.enable(&[6, 9]);
    let response = bench.set(SUBSCRIBER, [0, 1, 0], &[(6, false), (2, true)]);
    assert_eq!(response[0], 0);
    assert_eq!(bench.enabled(), [2, 9]);
}

#[test]
fn the_last_entry_of_an_event_that_is_named_twice_holds() {
    let mut bench = Bench::new();
    bench.set(SUBSCRIBER, [0, 1, 0], &[(6, true), (6, false), (9, true)]);
    assert_eq!(bench.enabled(), [9]);
    bench.set(SUBSCRIBER, [0, 1, 0], &[(9, false), (9, true)]);
    assert_eq!(bench.enabled(), [9]);
}

#[test]
fn a_sync_that_is_malformed_is_refused_where_it_is_and_changes_nothing() {
    let list = enable_list(&[(6, true), (9, true)]);
    let changed = |position: usize, value| {
        let mut changed = list.clone();
        changed[position] = value;
        changed
    };
    let mut bench = Bench::new();
    for (data, byte) in [
        (changed(0, 3), 18),
        (changed(1, 1), 17),
        (changed(4, 6), 20),
        (changed(5, 4), 21),
        (changed(6, 13), 22),
        (changed(9, 0xC0), 25),
    ] {
        let response = bench.mi_from(8, 3, 4, &data);
        assert_eq!(response, [4, 0, byte, 0], "{data:02x?}");
        assert_eq!(bench.enabled(), []);
    }
}

#[test]
fn a_list_of_another_size_than_it_says_is_refused() {
    let mut bench = Bench::new();
    let list = enable_list(&[(6, true)]);
    for data in [&[][..], &list[..4], &list[..7], &[&list[..], &[0]].concat()] {
        let response = bench.mi_from(8, 3, 4, data);
        assert_eq!(response, [6, 0, 0, 0], "{data:02x?}");
    }
    assert_eq!(bench.enabled(), []);
}

// Messages.

#[test]
fn a_temperature_event_is_the_frozen_message() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    let sent = bench.wait(1000);
    let frozen = [
        0x84, 0x28, 0, 0, 1, 0, 0x11, 0, 0, 7, 0, 9, 1, 0, 6, 0, 0, 0, 0, 2, 0x46, 0xFC, 0xA6,
        0xB2, 0xAE,
    ];
    assert_eq!(sent, [[&[SUBSCRIBER][..], &frozen].concat()]);
    bench.acknowledge(SUBSCRIBER);
    bench.warm_up(303);
    bench.wait(500);
    bench.warm_up(343);
    let sent = bench.wait(500);
    let frozen = [
        0x84, 0x28, 0, 0, 1, 0, 0x11, 0, 0, 7, 8, 9, 1, 0, 6, 0, 0, 0, 0, 2, 0x46, 0x30, 0xC3,
        0x8C, 0x02,
    ];
    assert_eq!(sent, [[&[SUBSCRIBER][..], &frozen].concat()], "the next");
}

#[test]
fn nothing_is_sent_before_the_delay_or_without_an_event() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    assert_eq!(bench.messages(999), []);
    assert!(is_temperature(&bench.message(1), 0, 0));
    bench.acknowledge(SUBSCRIBER);
    assert_eq!(bench.messages(60_000), []);
}

#[test]
fn an_event_after_the_delay_is_sent_at_once() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.wait(1000);
    bench.warm_up(343);
    assert!(is_temperature(&bench.message(0), 0, 0));
    bench.acknowledge(SUBSCRIBER);
    bench.wait(400);
    bench.warm_up(303);
    assert_eq!(bench.messages(599), [], "a new delay began");
    assert_eq!(bench.messages(1).len(), 1);
}

#[test]
fn a_sync_of_the_subscriber_leaves_the_message_out() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    assert!(is_temperature(&bench.message(1000), 0, 0));
    bench.enable(&[6]);
    assert!(is_temperature(&bench.message(2000), 0, 1));
}

#[test]
fn a_change_that_nobody_asks_about_is_seen_within_half_a_second() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.0.world().health.temperature = 343;
    assert!(is_temperature(&bench.message(1500), 0, 0));
}

#[test]
fn a_change_is_seen_within_half_a_second_however_often_commands_come() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.0.world().health.temperature = 343;
    let mut messages = Vec::new();
    for _ in 0..15 {
        // Configuration Get of the transmission unit, which tells of no health.
        assert_eq!(bench.mi_from(SUBSCRIBER, 4, 0x0100_0003, &[])[0], 0);
        messages.extend(bench.messages(100));
    }
    assert_eq!(messages.len(), 1);
    assert!(is_temperature(&messages[0], 0, 0));
}

#[test]
fn what_is_seen_first_when_the_message_is_made_is_sent_only_if_it_is_enabled() {
    let mut bench = Bench::new();
    bench.enable(&[9]);
    bench.0.world().health.critical_warning = 1;
    assert_eq!(bench.messages(900), []);
    bench.0.world().health.temperature = 313;
    bench.0.now = bench.0.now.after(100);
    // The message is made when this command comes.
    assert_eq!(bench.mi_from(SUBSCRIBER, 4, 0x0100_0003, &[])[0], 0);
    let message = bench.message(0);
    assert_eq!(message.occurrences, [(9, 2, 0, vec![0xFE])]);
}

#[test]
fn events_within_the_delay_are_in_one_message() {
    let mut bench = Bench::new();
    bench.enable(&[1, 6, 9]);
    bench.warm_up(343);
    bench.wait(500);
    bench.0.world().health.critical_warning = 2;
    let model = bench.0.model();
    model.set_fatal(ControllerId(1), true).unwrap();
    let message = bench.message(500);
    let expected = [
        (1, 1, 1, vec![]),
        (6, 2, 0, vec![70]),
        (9, 2, 0, vec![0xFD]),
    ];
    assert_eq!(message.occurrences, expected);
}

#[test]
fn a_link_that_goes_down_or_comes_up_is_one_event() {
    let mut bench = Bench::new();
    bench.enable(&[0x0B]);
    let model = bench.0.model();
    model.set_link(PortId(0), Some(3)).unwrap();
    assert_eq!(bench.messages(2000), [], "still up");
    for link in [None, Some(4)] {
        let model = bench.0.model();
        model.set_link(PortId(0), link).unwrap();
        let message = bench.message(2000);
        assert_eq!(message.occurrences, [(0x0B, 2, 0, vec![])]);
        bench.acknowledge(SUBSCRIBER);
    }
}

#[test]
fn a_sanitize_operation_that_failed_is_an_event() {
    let mut bench = Bench::new();
    bench.enable(&[0x0C]);
    bench.0.world().media.sanitize_fails = true;
    let block_erase = Admin {
        opcode: 0x84,
        dwords: [2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    bench.0.admin_ok(block_erase);
    assert_eq!(bench.messages(4900), []);
    let message = bench.message(2000);
    assert_eq!(message.occurrences, [(0x0C, 2, 0, vec![])]);
}

#[test]
fn what_is_not_enabled_or_was_before_is_not_sent() {
    let mut bench = Bench::new();
    bench.warm_up(313);
    bench.enable(&[9]);
    assert_eq!(bench.messages(10_000), []);
    bench.warm_up(303);
    bench.enable(&[6]);
    assert_eq!(bench.messages(10_000), []);
}

#[test]
fn what_the_sync_itself_makes_the_device_see_was_before() {
    let mut bench = Bench::new();
    bench.0.world().health.temperature = 313;
    bench.enable(&[6]);
    assert_eq!(bench.messages(10_000), []);
}

#[test]
fn a_sanitize_operation_that_failed_before_the_sync_is_not_sent() {
    let mut bench = Bench::new();
    bench.0.world().media.sanitize_fails = true;
    let block_erase = Admin {
        opcode: 0x84,
        dwords: [2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    bench.0.admin_ok(block_erase);
    bench.0.now = bench.0.now.after(6_000);
    bench.enable(&[0x0C]);
    assert_eq!(bench.messages(10_000), []);
}

#[test]
fn every_event_of_the_model_has_its_scope_and_information() {
    let mut bench = Bench::new();
    bench.enable(&[0, 1, 2, 3, 4, 6, 7, 8, 9]);
    let model = bench.0.model();
    let id = ControllerId(1);
    model.set_ready(id, false).unwrap();
    model.set_ready(id, true).unwrap();
    model.set_fatal(id, true).unwrap();
    model.set_shutdown_status(id, 2).unwrap();
    model.set_enabled(id, false).unwrap();
    model
        .attach_namespace(nvme_mi_responder::NamespaceId(2), id)
        .unwrap();
    let health = &mut bench.0.world().health;
    health.temperature = 313;
    health.percentage_used = 4;
    health.available_spare = 99;
    health.critical_warning = 1;
    bench.0.endpoint.advance(&mut bench.0.inner, Instant::START);
    let expected = [
        (0, 1, 1, vec![]),
        (1, 1, 1, vec![]),
        (2, 1, 1, vec![2]),
        (3, 1, 1, vec![]),
        (4, 1, 1, vec![]),
        (6, 2, 0, vec![40]),
        (7, 2, 0, vec![4]),
        (8, 2, 0, vec![99]),
        (9, 2, 0, vec![0xFE]),
    ];
    assert_eq!(bench.message(1000).occurrences, expected);
}

#[test]
fn a_shutdown_event_says_whether_it_is_one_of_the_subsystem() {
    let mut bench = Bench::new();
    bench.enable(&[2]);
    let model = bench.0.model();
    model.set_shutdown_status(ControllerId(1), 1).unwrap();
    let message = bench.message(1500);
    assert_eq!(message.occurrences, [(2, 1, 1, vec![1])]);
    // A shutdown of the subsystem is complete in both controllers.
    assert_eq!(bench.0.mi(0x0C, 0, 0, &[]), [0; 4]);
    let list = bench.acknowledged(SUBSCRIBER);
    let expected = [(2, 1, 0, vec![0b110]), (2, 1, 1, vec![0b110])];
    assert_eq!(list.occurrences, expected);
    let controllers = bench.0.mi(0x02, 0x8100_0000, 0, &[]);
    assert_eq!(controllers[6..8], [0x09, 0], "the health poll has no type");
    // The host uses controller 1 again.
    let model = bench.0.model();
    model.set_shutdown_status(ControllerId(1), 0).unwrap();
    assert_eq!(bench.message(1500).occurrences, [(2, 1, 1, vec![0])]);
}

#[test]
fn controller_events_are_only_of_the_functions_that_are_wanted() {
    for (functions, expected) in [(0, vec![]), (1, vec![0]), (2, vec![1]), (4, vec![2])] {
        let mut subsystem = Subsystem::<2, 3, 1>::new(IDENTITY).unwrap();
        let pcie = subsystem.add_port(PCIE_PORT).unwrap();
        subsystem.add_port(TWO_WIRE_PORT).unwrap();
        for function in [Function::Plain, Function::Physical, Function::Virtual] {
            let config = ControllerConfig {
                function,
                ..ControllerConfig::default()
            };
            subsystem.add_controller(pcie, config).unwrap();
        }
        let subsystem = Box::leak(Box::new(subsystem));
        let world = world();
        let mut bench = Bench(Device::of(subsystem.model(), world));
        bench.set(SUBSCRIBER, [20, 1, functions], &[(0, true), (6, true)]);
        for id in 0..3 {
            let model = bench.0.model();
            model.set_ready(ControllerId(id), false).unwrap();
            model.set_ready(ControllerId(id), true).unwrap();
        }
        bench.warm_up(343);
        let message = bench.message(1000);
        let of_controllers = message.occurrences.iter().filter(|found| found.1 == 1);
        let ids: Vec<_> = of_controllers.map(|found| found.2).collect();
        assert_eq!(ids, expected, "functions {functions:03b}");
        assert!(message.occurrences.iter().any(|found| found.0 == 6));
    }
}

#[test]
fn more_occurrences_than_fit_are_cut_off_and_the_list_says_so() {
    let mut subsystem = Subsystem::<2, 32, 1>::new(IDENTITY).unwrap();
    let pcie = subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    for _ in 0..32 {
        subsystem
            .add_controller(pcie, ControllerConfig::default())
            .unwrap();
    }
    let subsystem = Box::leak(Box::new(subsystem));
    let world = world();
    let mut bench = Bench(Device::of(subsystem.model(), world));
    bench.enable(&[0]);
    for id in 0..32 {
        let model = bench.0.model();
        model.set_ready(ControllerId(id), false).unwrap();
        model.set_ready(ControllerId(id), true).unwrap();
    }
    bench.0.endpoint.advance(&mut bench.0.inner, Instant::START);
    let message = bench.message(1000);
    assert!(message.overflow);
    assert!((16..32).contains(&message.occurrences.len()));
    bench.acknowledge(SUBSCRIBER);
    assert_eq!(
        bench.messages(10_000),
        [],
        "what did not fit is not sent later"
    );
}

// Retry and acknowledgement.

#[test]
fn a_message_is_sent_again_with_its_generation_until_it_is_acknowledged() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    assert!(is_temperature(&bench.message(1000), 0, 0));
    assert_eq!(bench.messages(1999), []);
    assert!(is_temperature(&bench.message(1), 0, 1));
    assert!(is_temperature(&bench.message(2000), 0, 2));
    bench.acknowledge(SUBSCRIBER);
    assert_eq!(bench.messages(60_000), []);
    assert!(!bench.is_failed());
}

#[test]
fn a_message_that_is_never_acknowledged_is_given_up_and_the_health_poll_says_so() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    let messages = bench.messages(60_000);
    let retries: Vec<_> = messages.iter().map(|message| message.retries).collect();
    assert_eq!(retries, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(bench.is_failed());
    bench.warm_up(344);
    assert_eq!(bench.messages(60_000), []);
}

#[test]
fn a_message_is_given_up_only_after_the_last_retry_delay() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    assert_eq!(bench.messages(1000 + 7 * 2000).len(), 8);
    assert_eq!(bench.messages(1999), []);
    assert!(!bench.is_failed());
    bench.wait(1);
    assert!(bench.is_failed());
}

#[test]
fn an_acknowledgement_after_the_last_retry_lets_events_be_sent_again() {
    let mut bench = Bench::new();
    bench.enable(&[6, 9]);
    bench.warm_up(343);
    bench.wait(60_000);
    bench.warm_up(303);
    bench.0.world().health.critical_warning = 2;
    bench.acknowledge(SUBSCRIBER);
    assert!(!bench.is_failed());
    assert_eq!(bench.messages(10_000), [], "what happened meanwhile");
    bench.warm_up(343);
    let message = bench.message(0);
    assert_eq!((message.generation, message.retries), (1, 0));
    assert_eq!(message.occurrences, [(6, 2, 0, vec![70])]);
}

#[test]
fn a_sync_after_the_last_retry_lets_events_be_sent_again() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    bench.wait(60_000);
    bench.0.world().health.temperature = 342;
    bench.enable(&[6]);
    assert!(!bench.is_failed());
    assert_eq!(bench.messages(10_000), [], "what happened meanwhile");
    bench.warm_up(344);
    assert_eq!(bench.message(0).generation, 1);
}

#[test]
fn events_after_a_message_are_in_the_response_to_its_acknowledgement() {
    let mut bench = Bench::new();
    bench.enable(&[6, 8]);
    bench.warm_up(343);
    bench.wait(1000);
    bench.warm_up(353);
    let again = bench.message(2000);
    assert_eq!(again.occurrences, [(6, 2, 0, vec![70])], "not added");
    // Seen only when the acknowledgement comes.
    bench.0.world().health.available_spare = 99;
    let list = bench.acknowledged(SUBSCRIBER);
    assert_eq!((list.generation, list.retries), (1, 0));
    let expected = [(6, 2, 0, vec![80]), (8, 2, 0, vec![99])];
    assert_eq!(list.occurrences, expected);
    assert_eq!(bench.messages(10_000), [], "reported already");
    bench.acknowledge(SUBSCRIBER);
    bench.warm_up(303);
    assert_eq!(bench.message(0).generation, 2);
}

#[test]
fn an_acknowledgement_with_no_message_out_leaves_what_is_collected() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    bench.wait(500);
    bench.acknowledge(SUBSCRIBER);
    assert!(is_temperature(&bench.message(500), 0, 0));
}

#[test]
fn generations_go_round() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    for round in 0..100u16 {
        bench.warm_up(304 + round);
        let message = bench.message(1000);
        assert_eq!(u16::from(message.generation), round & 0x1F);
        bench.acknowledge(SUBSCRIBER);
    }
}

#[test]
fn an_acknowledgement_with_nothing_out_succeeds() {
    let mut bench = Bench::new();
    bench.acknowledge(SUBSCRIBER);
    bench.enable(&[6]);
    bench.acknowledge(SUBSCRIBER);
    bench.warm_up(343);
    assert_eq!(bench.messages(1000).len(), 1);
}

#[test]
fn an_acknowledgement_from_somebody_else_acknowledges_nothing() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    bench.wait(1000);
    bench.warm_up(353);
    bench.acknowledge(SUBSCRIBER + 1);
    assert!(is_temperature(&bench.message(2000), 0, 1));
    assert_eq!(bench.acknowledged(SUBSCRIBER).occurrences.len(), 1);
}

#[test]
fn a_retry_delay_of_0_is_100_ms() {
    let mut bench = Bench::new();
    bench.set(SUBSCRIBER, [0, 0, 7], &[(6, true)]);
    bench.warm_up(343);
    assert_eq!(bench.messages(99).len(), 1);
    assert_eq!(bench.messages(1).len(), 1);
}

// The subscription.

#[test]
fn a_sync_from_somebody_else_takes_the_subscription_over() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    bench.wait(1000);
    bench.set(10, [20, 1, 7], &[(6, true)]);
    assert_eq!(
        bench.messages(10_000),
        [],
        "the other's message is forgotten"
    );
    bench.warm_up(344);
    assert_eq!(bench.message(1000).to, 10);
}

#[test]
fn disabling_all_ends_messages_and_retries() {
    let mut bench = Bench::new();
    bench.enable(&[6]);
    bench.warm_up(343);
    bench.wait(1000);
    let response = bench.set(SUBSCRIBER, [0, 1, 0], &[(6, false)]);
    assert_eq!(response[..11], [0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0]);
    bench.warm_up(353);
    assert_eq!(bench.messages(60_000), []);
    assert_eq!(bench.0.endpoint.next_deadline(), Instant::NEVER);
    assert!(!bench.is_failed());
}

#[test]
fn a_reset_ends_the_subscription() {
    let mut bench = Bench::new();
    bench.enable(&[0, 6]);
    bench.warm_up(343);
    bench.wait(1000);
    bench.0.inner.reset_subsystem();
    bench.warm_up(353);
    assert_eq!(bench.messages(60_000), []);
    assert_eq!(bench.enabled(), []);
}

#[test]
fn the_flow_of_libnvmes_monitor_works() {
    let mut bench = Bench::new();
    assert_eq!(bench.enabled(), []);
    // Nothing is enabled, so disabling all of it is an Ack.
    bench.acknowledge(SUBSCRIBER);
    let response = bench.set(SUBSCRIBER, [100, 1, 0], &[(6, true)]);
    assert!(response.len() >= 4 + 7);
    bench.warm_up(343);
    assert!(is_temperature(&bench.message(1000), 0, 0));
    bench.acknowledge(SUBSCRIBER);
    bench.warm_up(303);
    let message = bench.message(1000);
    assert_eq!((message.generation, message.retries), (1, 0));
    // Interrupted, and started again.
    assert_eq!(bench.enabled(), [6]);
    bench.set(SUBSCRIBER, [0, 1, 0], &[(6, false)]);
    bench.set(SUBSCRIBER, [100, 1, 0], &[(6, true)]);
    bench.warm_up(343);
    assert!(is_temperature(&bench.message(1000), 2, 0));
    bench.acknowledge(SUBSCRIBER);
    assert_eq!(bench.0.now, Instant::from_millis(3000));
}
