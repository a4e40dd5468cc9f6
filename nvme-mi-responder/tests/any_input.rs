//! Whatever comes in, an answer or a counted drop goes out, and the next good request is answered.

mod support;

use mctp::Eid;
use nvme_mi_responder::world::{
    HealthReport, MemoryEffects, MemoryFirmware, MemoryMedia, MemoryPcie, MemoryReset, MemoryVpd,
    SecurityInformation,
};
use nvme_mi_responder::{Instant, Requester};
use support::golden::{Golden, REQUESTS};
use support::{ADMIN, Admin, Device, IDENTITY, Parts, sealed};

/// Unoptimized, these tests take a sample of the values, lengths and random messages: seconds
/// instead of a minute.
const SAMPLE: bool = cfg!(debug_assertions);

/// How many random messages: one of 50 in a sample.
const fn rounds(all: u32) -> u32 {
    if SAMPLE { all / 50 } else { all }
}

/// The distance of values of a byte: 0 and 255 are in the sample.
const VALUES: usize = if SAMPLE { 17 } else { 1 };
/// The distance of lengths.
const LENGTHS: usize = if SAMPLE { 29 } else { 1 };

type Everything = Parts<
    HealthReport,
    MemoryFirmware<'static, 3>,
    MemoryVpd<256>,
    MemoryReset,
    MemoryEffects,
    SecurityInformation,
    MemoryMedia,
    MemoryPcie<2>,
>;

/// A device that supports all that it can.
fn device() -> Device<Everything> {
    let memory = Box::leak(vec![0; 4 * 8192].into_boxed_slice());
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    // A format is pending for a while.
    let mut media = MemoryMedia::new();
    media.format_time = 50;
    let world = Parts::new(HealthReport::healthy())
        .with_firmware(MemoryFirmware::new(memory, slots).with_read_only_first_slot())
        .with_vpd(MemoryVpd::new([0; 256]))
        .with_reset(MemoryReset::default())
        .with_effects(MemoryEffects::default())
        .with_security(SecurityInformation)
        .with_media(media)
        .with_pcie(MemoryPcie::new(&IDENTITY.vendor));
    let mut device = Device::reference(world);
    device = device.with_endpoint_buffer(512);
    device
}

/// Sends a message from the message type byte on. It must be dropped and counted, or answered, or
/// reset the subsystem.
fn feed(device: &mut Device<Everything>, message: &[u8]) {
    // Whatever runs in the background comes to its end now and then.
    device.now = device.now.after(50);
    let drops = device.endpoint.drops().total();
    let resets = device.world().reset.resets;
    let integrity_check = message.first().is_some_and(|first| first & 0x80 != 0);
    let taken = receive(
        device,
        integrity_check,
        message.get(1..).unwrap_or_default(),
    );
    let mut answers = responses(device);
    // It may have paused the endpoint, or its own response.
    let resume = sealed(&[0x84, 0, 0, 0, 1, 0, 0, 0]);
    assert!(receive(device, true, &resume[1..]), "Resume was dropped");
    answers += responses(device);
    let was_reset = device.world().reset.resets > resets;
    if taken {
        assert!(answers > 1 || was_reset, "no answer to {message:02x?}");
    } else {
        assert_eq!(answers, 1, "an answer to {message:02x?}");
        assert_eq!(device.endpoint.drops().total(), drops + 1);
    }
}

fn receive(device: &mut Device<Everything>, integrity_check: bool, body: &[u8]) -> bool {
    let requester = Requester {
        endpoint_id: Eid(8),
        exchange: 0,
    };
    let taken = device.endpoint.receive(
        &mut device.inner,
        device.now,
        requester,
        integrity_check,
        body,
    );
    taken.is_ok()
}

/// Takes all that is to be sent, also by what takes its time. Returns how many responses that are.
fn responses(device: &mut Device<Everything>) -> usize {
    let mut count = 0;
    for _ in 0..1000 {
        while device.response().is_some() {
            count += 1;
        }
        while device.endpoint.event_message().is_some() {
            device.endpoint.event_sent(device.now);
        }
        let next = device.endpoint.next_deadline();
        if count > 0 || next == Instant::NEVER {
            break;
        }
        device.now = next;
        device.endpoint.advance(&mut device.inner, next);
    }
    count
}

fn assert_works(device: &mut Device<Everything>) {
    let response = device.mi(0x01, 0, 0, &[]);
    assert_eq!((response[0], response[4]), (0, 0x38));
}

/// Good requests of every kind, from the message type byte to the last byte before the Message
/// Integrity Check.
fn requests() -> Vec<Vec<u8>> {
    let golden = REQUESTS.iter().map(Golden::bytes);
    let mut requests: Vec<Vec<u8>> = golden
        .map(|request| request[..request.len() - 4].to_vec())
        .collect();
    for (opcode, data) in [(0x05, 0), (0x06, 4), (0x0A, 0), (0x0B, 4)] {
        let mut message = vec![0x84, 8, 0, 0, opcode, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0];
        message.resize(16 + data, 0xA5);
        requests.push(message);
    }
    let admin = |opcode, length, dword10, data| Admin {
        opcode,
        length,
        namespace: 1,
        dwords: [dword10, 0, 0, 0, 0, 0],
        data,
        ..ADMIN
    };
    for command in [
        admin(0x02, 64, 0x007F_0002, &[]),
        admin(0x06, 72, 1, &[]),
        admin(0x06, 72, 0, &[]),
        admin(0x09, 0, 4, &[]),
        admin(0x0A, 0, 4, &[]),
        admin(0x0D, 0, 1, &[]),
        admin(0x10, 0, 2, &[]),
        admin(0x11, 8, 1, &[1, 2, 3, 4, 5, 6, 7, 8]),
        admin(0x14, 0, 1, &[]),
        admin(0x80, 0, 0, &[]),
        admin(0x82, 264, 0, &[]),
        admin(0x84, 0, 2, &[]),
    ] {
        requests.push(command.message());
    }
    for opcode in 0..6 {
        requests.push(vec![
            0x84, 0x20, 0, 0, opcode, 0, 0, 0, 4, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0,
        ]);
    }
    requests
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

#[test]
fn every_change_of_one_byte_is_survived() {
    let mut device = device();
    for request in requests() {
        for position in 1..request.len() {
            for value in (0..=255).step_by(VALUES) {
                let mut changed = request.clone();
                changed[position] = value;
                feed(&mut device, &sealed(&changed));
            }
        }
        assert_works(&mut device);
    }
}

#[test]
fn every_change_of_one_byte_without_its_integrity_check_is_dropped() {
    let mut device = device();
    for request in requests() {
        let good = sealed(&request);
        for position in 0..good.len() {
            let values = (0..=255).step_by(VALUES);
            for value in values.filter(|value| *value != good[position]) {
                let mut damaged = good.clone();
                damaged[position] = value;
                // The message type is for the layer below; of byte 0 only the integrity check bit
                // comes here.
                if position > 0 || value & 0x80 == 0 {
                    let drops = device.endpoint.drops().total();
                    feed(&mut device, &damaged);
                    assert_eq!(device.endpoint.drops().total(), drops + 1);
                }
            }
        }
        assert_works(&mut device);
    }
}

#[test]
fn every_length_is_survived() {
    for class in [0x00, 0x08, 0x10, 0x20] {
        let mut device = device();
        for length in (0..100).chain((100..=4300).step_by(LENGTHS)) {
            let mut message = vec![0x84, class, 0, 0, 6];
            message.resize(length, 0);
            feed(&mut device, &message);
            feed(&mut device, &sealed(&message));
        }
        assert_works(&mut device);
    }
}

#[test]
fn every_opcode_is_survived_with_all_fields_zero_and_all_one() {
    let mut device = device();
    for class in [0x00, 0x08, 0x10, 0x20] {
        for opcode in 0..=255 {
            for fill in [0x00, 0xFF] {
                for length in [8, 12, 16, 20, 68, 72, 4164] {
                    let mut message = vec![0x84, class, 0, 0, opcode];
                    message.resize(length, fill);
                    feed(&mut device, &sealed(&message));
                    // The same for a controller that is there.
                    message[6..8].fill(0);
                    feed(&mut device, &sealed(&message));
                }
            }
        }
        assert_works(&mut device);
    }
}

#[test]
fn random_changes_of_two_bytes_are_survived() {
    let mut device = device();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let requests = requests();
    for _ in 0..rounds(100_000) {
        let mut message = requests[random.below(requests.len())].clone();
        for _ in 0..2 {
            let position = 1 + random.below(message.len() - 1);
            message[position] = random.next() as u8;
        }
        feed(&mut device, &sealed(&message));
    }
    assert_works(&mut device);
}

#[test]
fn random_messages_are_survived() {
    let mut device = device();
    let mut random = Random(0xD1B5_4A32_D192_ED03);
    for round in 0..rounds(1_000_000) {
        let length = 1 + random.below(100);
        let mut message: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        message[0] = 0x84;
        // Half of them get past the frame.
        if round % 2 == 0 && length > 1 {
            message[1] = [0x00, 0x08, 0x10, 0x20][random.below(4)] | random.below(2) as u8;
            // Half of those are for a controller that is there.
            if length > 7 && random.below(2) == 0 {
                message[6..8].copy_from_slice(&[random.below(2) as u8, 0]);
            }
            message = sealed(&message);
        }
        feed(&mut device, &message);
    }
    assert_works(&mut device);
}
