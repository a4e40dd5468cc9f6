//! The router beside a second implementation of the discard tables (DSP0236 1.3.3, sections 8.6 to
//! 8.9), the shortest there is: random packets of two senders, most of which continue what was
//! begun. What is delivered and what is counted must agree at each step.

mod support;

use std::collections::BTreeMap;

use mctp_router::Receipt;
use mctp_transport::{DropCounters, DropReason};
use support::bare_core::BareCore;
use support::{DEVICE, REQUEST, Wire, echo_message};

/// A message of the model: its bytes, the unit of its start, the sequence number to come, and when
/// it was last heard of.
struct Unfinished {
    message: Vec<u8>,
    unit: usize,
    expected: u8,
    last: u64,
}

#[derive(Default)]
struct Model {
    now: u64,
    unfinished: BTreeMap<u8, Unfinished>,
    drops: DropCounters,
    delivered: Vec<Vec<u8>>,
}

impl Model {
    fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let now = self.now;
        let before = self.unfinished.len();
        self.unfinished
            .retain(|_, unfinished| unfinished.last + 6000 > now);
        for _ in self.unfinished.len()..before {
            self.drops.count(DropReason::AssemblyTimeout);
        }
    }

    fn receive(&mut self, header: Wire, payload: &[u8]) {
        if let Err(reason) = self.try_receive(header, payload) {
            self.drops.count(reason);
        }
    }

    fn try_receive(&mut self, header: Wire, payload: &[u8]) -> Result<(), DropReason> {
        if header.version & 0x0F != 1 {
            return Err(DropReason::UnsupportedHeaderVersion);
        }
        if header.start && payload.is_empty() {
            return Err(DropReason::Truncated);
        }
        if ![0, DEVICE].contains(&header.destination) {
            return Err(DropReason::NotOurDestination);
        }
        if header.start {
            return self.start(header, payload);
        }
        let unfinished = self
            .unfinished
            .remove(&header.source)
            .ok_or(DropReason::MiddleWithoutStart)?;
        let Unfinished {
            mut message,
            unit,
            expected,
            ..
        } = unfinished;
        if header.sequence != expected {
            return Err(DropReason::OutOfSequence);
        }
        if payload.len() > unit || (payload.len() < unit && !header.end) {
            return Err(DropReason::PacketSizeMismatch);
        }
        message.extend_from_slice(payload);
        if message.len() > 4225 {
            return Err(DropReason::MessageTooLong);
        }
        self.go_on(header, message, unit);
        Ok(())
    }

    fn start(&mut self, header: Wire, payload: &[u8]) -> Result<(), DropReason> {
        let supported = payload.starts_with(&echo_message(4));
        if (supported || !header.end) && self.unfinished.remove(&header.source).is_some() {
            self.drops.count(DropReason::ReplacedByNewStart);
        }
        if !header.end && payload.len() < 60 {
            return Err(DropReason::UnsupportedTransmissionUnit);
        }
        if !supported {
            return Err(DropReason::UnsupportedMessageType);
        }
        self.go_on(header, payload.to_vec(), payload.len());
        Ok(())
    }

    fn go_on(&mut self, header: Wire, message: Vec<u8>, unit: usize) {
        if header.end {
            self.delivered.push(message);
            return;
        }
        let expected = (header.sequence + 1) % 4;
        let unfinished = Unfinished {
            message,
            unit,
            expected,
            last: self.now,
        };
        self.unfinished.insert(header.source, unfinished);
    }
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

fn random_packet(random: &mut Random, model: &Model) -> (Wire, Vec<u8>) {
    let source = 8 + random.below(2) as u8;
    let mut header = Wire {
        version: if random.one_in(50) { 2 } else { 0xA1 },
        destination: match random.below(20) {
            0 => 10,
            1 => 0xFF,
            2..8 => 0,
            _ => DEVICE,
        },
        start: random.one_in(30),
        end: random.one_in(8),
        sequence: random.below(4) as u8,
        ..REQUEST.from(source)
    };
    let mut len = [0, 3, 59, 60, 64, 65, 247][random.below(7) as usize];
    match model.unfinished.get(&source) {
        Some(unfinished) if !random.one_in(20) => {
            header.sequence = unfinished.expected;
            len = if header.end {
                len.min(unfinished.unit)
            } else {
                unfinished.unit
            };
        }
        None if !random.one_in(4) => header.start = true,
        _ => {}
    }
    if random.one_in(100) {
        // All zeros but for what tells packets of a message apart.
        header = Wire {
            version: 0,
            destination: 0,
            start: false,
            tag_owner: false,
            ..header.from(0)
        };
    }
    let filler = random.below(256) as u8;
    let mut payload = vec![filler; len];
    if header.start && len >= 4 && !random.one_in(6) {
        payload[..4].copy_from_slice(&echo_message(4));
    } else if header.start && len > 0 {
        // A type that nobody serves.
        payload[0] = 0x05;
    }
    (header, payload)
}

#[test]
fn router_and_model_agree_on_every_packet() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut device, echo) = BareCore::echo();
    let mut model = Model::default();
    for step in 0..300_000 {
        if random.one_in(10) {
            let longest = if random.one_in(50) { 20_000 } else { 500 };
            let milliseconds = random.below(longest);
            device.advance(milliseconds);
            // To the millisecond, as the model does.
            device.core.expire(device.now());
            model.advance(milliseconds);
        }
        let (header, payload) = random_packet(&mut random, &model);
        let receipt = device.receive(&header.packet(&payload));
        model.receive(header, &payload);
        let delivered = model.delivered.pop();
        assert_eq!(
            matches!(receipt, Receipt::Delivered(_)),
            delivered.is_some(),
            "step {step}: {header:?}"
        );
        assert_eq!(device.take(echo), delivered, "step {step}: {header:?}");
        assert_eq!(
            device.core.drop_counters(),
            &model.drops,
            "step {step}: {header:?}, {} bytes",
            payload.len()
        );
    }
    // The packets were of all kinds.
    let reasons = [
        DropReason::MiddleWithoutStart,
        DropReason::UnsupportedHeaderVersion,
        DropReason::NotOurDestination,
        DropReason::UnsupportedMessageType,
        DropReason::UnsupportedTransmissionUnit,
        DropReason::ReplacedByNewStart,
        DropReason::AssemblyTimeout,
        DropReason::OutOfSequence,
        DropReason::PacketSizeMismatch,
        DropReason::Truncated,
    ];
    for reason in reasons {
        assert!(model.drops.of(reason) > 100, "{reason:?}");
    }
    assert!(device.core.messages_accepted() > 10_000);
}
