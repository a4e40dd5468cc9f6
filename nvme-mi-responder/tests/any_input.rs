//! Whatever comes in, an answer or a counted drop goes out, and the next good request is answered.

mod support;

use mctp::Eid;
use nvme_mi_responder::Requester;
use nvme_mi_responder::world::{HealthReport, MemoryEffects, MemoryVpd, NotSupported, Parts};
use support::{Device, sealed};

type World = Parts<HealthReport, NotSupported, MemoryVpd<256>, NotSupported, MemoryEffects>;

fn device() -> Device<World> {
    let world = Parts::new(HealthReport::healthy())
        .with_vpd(MemoryVpd::new([0; 256]))
        .with_effects(MemoryEffects::default());
    Device::reference(world)
}

/// Sends a message from the message type byte on. It must be dropped and counted, or answered.
fn feed(device: &mut Device<World>, message: &[u8]) {
    let drops = device.responder.drops().total();
    let requester = Requester {
        endpoint_id: Eid(8),
        exchange: 0,
    };
    let integrity_check = message.first().is_some_and(|first| first & 0x80 != 0);
    let body = message.get(1..).unwrap_or_default();
    let taken = device
        .responder
        .receive(device.now, requester, integrity_check, body);
    let mut answers = responses(device);
    // It may have paused the endpoint, or its own response.
    let resume = sealed(&[0x84, 0, 0, 0, 1, 0, 0, 0]);
    let resumed = device
        .responder
        .receive(device.now, requester, true, &resume[1..]);
    assert_eq!(resumed, Ok(()));
    answers += responses(device);
    let answered = answers > 1;
    match taken {
        Ok(()) => assert!(answered, "no answer to {message:02x?}"),
        Err(_) => assert!(!answered && device.responder.drops().total() == drops + 1),
    }
}

fn responses(device: &mut Device<World>) -> usize {
    std::iter::from_fn(|| device.response()).count()
}

fn assert_works(device: &mut Device<World>) {
    let response = device.mi(0x01, 0, 0, &[]);
    assert_eq!((response[0], response[4]), (0, 0x38));
}

/// Requests of every kind, from the message type byte to the last byte before the Message Integrity Check.
fn requests() -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for (class, length) in [
        (0x00, 8),
        (0x08, 16),
        (0x08, 20),
        (0x10, 68),
        (0x10, 72),
        (0x20, 20),
    ] {
        let mut message = vec![0x84, class];
        message.resize(length, 0);
        for opcode in 0..=12 {
            message[4] = opcode;
            requests.push(message.clone());
        }
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
fn every_change_of_one_byte_is_survived_with_and_without_a_good_integrity_check() {
    let mut device = device();
    for request in requests() {
        for position in 0..request.len() {
            for value in 0..=255 {
                let mut changed = request.clone();
                changed[position] = value;
                let mut sealed = sealed(&changed);
                sealed[0] = 0x84;
                feed(&mut device, &sealed);
            }
        }
        let sealed = sealed(&request);
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 0x5A;
            feed(&mut device, &damaged);
        }
        assert_works(&mut device);
    }
}

#[test]
fn every_length_is_survived() {
    let mut device = device();
    for class in [0x00, 0x08, 0x10, 0x20] {
        for length in 0..=4300 {
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
                }
            }
        }
        assert_works(&mut device);
    }
}

#[test]
fn random_messages_are_survived() {
    let mut device = device();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let requests = requests();
    for round in 0..100_000 {
        let mut message = requests[random.below(requests.len())].clone();
        for _ in 0..2 {
            let position = random.below(message.len());
            message[position] = random.next() as u8;
        }
        if round % 4 == 0 {
            let length = random.below(120);
            message = (0..length).map(|_| random.next() as u8).collect();
        }
        let mut sealed = sealed(&message);
        if round % 5 == 0 {
            let position = random.below(sealed.len());
            sealed[position] = random.next() as u8;
        }
        feed(&mut device, &sealed);
    }
    assert_works(&mut device);
}
