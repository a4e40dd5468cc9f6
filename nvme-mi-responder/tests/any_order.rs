//! Commands, control primitives, time, resets and lost responses in any order: nobody gets more
//! responses than there are, and nothing gets stuck.

mod support;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;

use mctp::Eid;
use nvme_mi_responder::world::{
    HealthReport, MemoryReset, PcieAccess, PcieDirection, PcieError, PcieRange,
};
use nvme_mi_responder::{Requester, Source};
use support::{Device, NotSupported, Parts, sealed};

/// PCI functions that answer when they are let.
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
    NotSupported,
    NotSupported,
    MemoryReset,
    NotSupported,
    NotSupported,
    NotSupported,
    Gate,
>;

const COMMANDS: [&[u8]; 5] = [
    &[0x84, 0x08, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80],
    // Paused by itself.
    &[0x84, 0x08, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // Waits for the gate.
    &[
        0x84, 0x20, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    // Enables temperature events.
    &[
        0x84, 0x08, 0, 0, 3, 0, 0, 0, 4, 1, 1, 7, 0, 0, 0, 0, 1, 0, 8, 0, 5, 3, 6, 0x80,
    ],
    // Acknowledges one.
    &[
        0x84, 0x08, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 5,
    ],
];
const REPLAY: u8 = 4;

/// What an exchange was for, and what came of it.
#[derive(Debug, Default)]
struct Exchange {
    is_command: bool,
    is_replay: bool,
    responses: u32,
    excuses: u32,
    primitives: u32,
}

struct Chaos {
    device: Device<World>,
    gate: Gate,
    random: u64,
    exchanges: HashMap<u16, Exchange>,
    next_exchange: u16,
    old_source: Option<Source>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let gate = Gate::default();
        let world = Parts::new(HealthReport::healthy())
            .with_reset(MemoryReset::default())
            .with_pcie(gate.clone());
        Self {
            device: Device::reference(world),
            gate,
            random: seed,
            exchanges: HashMap::new(),
            next_exchange: 0,
            old_source: None,
        }
    }

    /// xorshift64: the same numbers in every run.
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 8) % limit
    }

    fn request(&mut self, message: &[u8], exchange: Exchange) {
        let requester = Requester {
            endpoint_id: Eid(8 + (self.next_exchange % 2) as u8),
            exchange: self.next_exchange,
        };
        let body = &sealed(message)[1..];
        let now = self.device.now;
        let (device, endpoint) = (&mut self.device.inner, &mut self.device.endpoint);
        let taken = endpoint.receive(device, now, requester, true, body);
        if taken.is_ok() {
            self.exchanges.insert(self.next_exchange, exchange);
        }
        self.next_exchange += 1;
    }

    fn command(&mut self) {
        let mut message = COMMANDS[self.below(5) as usize].to_vec();
        message[1] |= self.below(2) as u8;
        let exchange = Exchange {
            is_command: true,
            ..Exchange::default()
        };
        self.request(&message, exchange);
    }

    fn primitive(&mut self, slot: u8, opcode: u8) {
        let exchange = Exchange {
            is_replay: opcode == REPLAY,
            ..Exchange::default()
        };
        self.request(&[0x84, slot, 0, 0, opcode, 0, 0, 0], exchange);
    }

    /// Sends the next message. Returns whether there was one.
    fn send(&mut self) -> bool {
        let Some(transmission) = self.device.endpoint.transmission() else {
            return false;
        };
        let number = transmission.requester.exchange;
        let exchange = self.exchanges.get_mut(&number).expect("to nobody");
        let body = transmission.body;
        match (body[0] & 0x78, body[3]) {
            (0, _) => exchange.primitives += 1,
            (_, 1) => {
                exchange.excuses += 1;
                assert_eq!(exchange.responses, 0, "an excuse after the response");
            }
            _ => exchange.responses += 1,
        }
        let most_primitives = u32::from(!exchange.is_command);
        let most_responses = u32::from(exchange.is_command || exchange.is_replay);
        assert!(exchange.excuses <= most_responses, "{exchange:?}");
        assert!(exchange.primitives <= most_primitives, "{exchange:?}");
        assert!(exchange.responses <= most_responses, "{exchange:?}");
        let source = transmission.source;
        self.old_source = Some(source);
        self.device.endpoint.sent(&mut self.device.inner, source);
        true
    }

    fn wait(&mut self, milliseconds: u32) {
        let end = self.device.now.after(milliseconds);
        while self.device.endpoint.next_deadline() <= end {
            self.device.now = self.device.now.max(self.device.endpoint.next_deadline());
            self.device
                .endpoint
                .advance(&mut self.device.inner, self.device.now);
        }
        self.device.now = end;
    }

    fn step(&mut self) {
        match self.below(100) {
            0..30 => self.command(),
            30..50 => {
                let (slot, opcode) = (self.below(2) as u8, self.below(6) as u8);
                self.primitive(slot, opcode);
            }
            50..75 => {
                self.send();
            }
            75..80 => self.gate.0.set(!self.gate.0.get()),
            80..90 => {
                let milliseconds = self.below(300) as u32;
                self.wait(milliseconds);
            }
            90..95 => {
                let kelvins = 300 + self.below(20) as u16;
                self.device.world().health.temperature = kelvins;
            }
            95..98 => self.device.endpoint.event_sent(self.device.now),
            98 => {
                if let Some(source) = self.old_source {
                    self.device.endpoint.sent(&mut self.device.inner, source);
                }
            }
            _ if self.below(10) == 0 => self.device.inner.reset_subsystem(),
            _ => {}
        }
    }

    /// Ends what goes on; then everything works.
    fn settle(&mut self) {
        self.gate.0.set(true);
        self.primitive(0, 1);
        self.wait(20);
        while self.send() {}
        for slot in 0..2 {
            let response = self.device.request(&[0x84, slot, 0, 0, 3, 0, 0, 0]);
            assert_eq!(response[2] & 3, 0, "slot {slot} is idle");
            assert_eq!(response[3] & 0x80, 0, "not paused");
        }
        let response = self.device.mi(1, 0, 0, &[]);
        assert_eq!((response[0], response[4] & 0x7F), (0, 0x38));
        assert!((0..self.next_exchange).all(|exchange| !self.device.endpoint.serves(exchange)));
        self.exchanges.clear();
        self.next_exchange = 0;
        let now = self.device.now;
        self.device.endpoint.advance(&mut self.device.inner, now);
        let deadline = self.device.endpoint.next_deadline();
        assert!(
            deadline > now,
            "a deadline that stays would be waited for for ever"
        );
    }
}

#[test]
fn nobody_gets_too_many_responses_and_nothing_gets_stuck() {
    let rounds = if cfg!(debug_assertions) { 500 } else { 10_000 };
    let mut chaos = Chaos::new(0x2545_F491_4F6C_DD1D);
    for _ in 0..rounds {
        for _ in 0..100 {
            chaos.step();
        }
        chaos.settle();
    }
}
