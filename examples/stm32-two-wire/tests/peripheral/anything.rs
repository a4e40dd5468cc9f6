//! Whatever happens in whatever order, nothing is wedged, and nothing is received or sent that was
//! not written.

use core::pin::pin;
use core::task::Poll;

use embassy_futures::poll_once;
use embedded_hal_async::i2c::I2c;
use mctp_i2c::{Target, TargetError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::simulation::{self, Answer, Foreign, NEIGHBOUR, OWN, Simulation};

#[derive(Clone, Debug)]
enum Action {
    /// A controller writes to the device.
    Written(Vec<u8>),
    /// A controller does something else.
    Foreign(Vec<Foreign>),
    /// The device writes, for so many steps.
    Write(Vec<u8>, usize),
    /// So many steps, without interrupts or with.
    Steps(usize, bool),
    Receive,
    Answer(Answer),
    DeviceIsFirst(bool),
}

fn foreign() -> impl Strategy<Value = Foreign> {
    prop_oneof![
        Just(Foreign::Write(0x40)),
        Just(Foreign::Write(OWN.as_byte())),
        any::<u8>().prop_map(Foreign::Byte),
        Just(Foreign::Stop),
        Just(Foreign::MisplacedStop),
        Just(Foreign::MisplacedStart),
        Just(Foreign::Vanish),
        Just(Foreign::HoldClock),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Acknowledge),
        (0..4_usize).prop_map(Answer::Refuse),
        (0..4_usize).prop_map(Answer::Lose),
        (0..4_usize).prop_map(Answer::Hold),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => vec(any::<u8>(), 0..5).prop_map(Action::Written),
        1 => vec(foreign(), 1..5).prop_map(Action::Foreign),
        2 => (vec(any::<u8>(), 0..5), 0..20_usize).prop_map(|(bytes, steps)| Action::Write(bytes, steps)),
        2 => (0..9_usize, any::<bool>()).prop_map(|(steps, late)| Action::Steps(steps, late)),
        3 => Just(Action::Receive),
        1 => answer().prop_map(Action::Answer),
        1 => any::<bool>().prop_map(Action::DeviceIsFirst),
    ]
}

struct World {
    simulation: Simulation,
    halves: simulation::DeviceHalves<'static>,
    written: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let simulation = Simulation::new();
        let halves = simulation.device.start(OWN, Simulation::timing());
        Self {
            simulation,
            halves: halves.unwrap(),
            written: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Written(bytes) => {
                self.simulation.foreign_write(&bytes);
                self.written.push(bytes);
            }
            Action::Foreign(script) => self.simulation.foreign.extend(script),
            Action::Write(bytes, steps) => {
                self.write(&bytes, |simulation| {
                    for _ in 0..steps {
                        simulation.step();
                        simulation.interrupts();
                    }
                });
            }
            Action::Steps(steps, late) => {
                for _ in 0..steps {
                    self.simulation.step();
                    if !late {
                        self.simulation.interrupts();
                    }
                }
                self.simulation.interrupts();
            }
            Action::Receive => self.receive(),
            Action::Answer(answer) => self.simulation.answer = answer,
            Action::DeviceIsFirst(is_first) => self.simulation.device_is_first = is_first,
        }
    }

    /// Returns whether the write came through.
    fn write(&mut self, bytes: &[u8], run: impl FnOnce(&mut Simulation)) -> bool {
        self.sent.push([&[NEIGHBOUR], bytes].concat());
        let mut write = pin!(self.halves.controller.write(NEIGHBOUR, bytes));
        if poll_once(write.as_mut()).is_pending() {
            run(&mut self.simulation);
        }
        poll_once(write) == Poll::Ready(Ok(()))
    }

    fn receive(&mut self) {
        let mut buffer = [0; 16];
        loop {
            match poll_once(self.halves.target.receive(&mut buffer)) {
                Poll::Ready(Ok(len)) => self.received.push(buffer[..len].to_vec()),
                Poll::Ready(Err(error)) => assert_eq!(error, TargetError::Bus),
                Poll::Pending => return,
            }
        }
    }

    /// Whatever there was comes to its end: the other controller ends what it does.
    fn settle(&mut self) {
        self.simulation.answer = Answer::Acknowledge;
        self.simulation.foreign.push_back(Foreign::Stop);
        for _ in 0..100 {
            self.simulation.run();
            self.receive();
        }
        assert!(self.simulation.foreign.is_empty() && !self.simulation.is_held());
        // What the other controller wrote to nobody in particular is not looked at.
        self.received.clear();
        self.written.clear();
    }
}

/// Whether `part` is what is left of `whole` when some are taken out.
fn is_left_of(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|bytes| whole.any(|other| other == bytes))
}

proptest! {
    #[test]
    fn nothing_wedges_the_peripheral(actions in vec(action(), 0..60)) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.settle();
        prop_assert!(is_left_of(&world.simulation.delivered, &world.sent));
        // One more write was perhaps under way when a controller vanished.
        let came_through = (0..3).filter(|_| world.write(&[1, 2, 3], Simulation::run)).count();
        prop_assert!(came_through >= 1);
        world.act(Action::Written(vec![4, 5, 6]));
        world.settle_and_compare()?;
    }

    #[test]
    fn without_faults_and_lost_patience_all_is_received_and_sent(
        actions in vec(action(), 0..60),
    ) {
        let mut world = World::new();
        let mut came_through = Vec::new();
        for action in actions {
            match action {
                Action::Foreign(_) | Action::Answer(_) => {}
                Action::Write(bytes, _) => {
                    world.receive();
                    if world.write(&bytes, |simulation| simulation.run()) {
                        came_through.push([&[NEIGHBOUR], &bytes[..]].concat());
                    }
                }
                other => world.act(other),
            }
        }
        for _ in 0..100 {
            world.simulation.run();
            world.receive();
        }
        prop_assert!(world.simulation.foreign.is_empty());
        prop_assert_eq!(world.received, world.written);
        prop_assert_eq!(&world.simulation.delivered, &came_through);
    }
}

impl World {
    fn settle_and_compare(&mut self) -> Result<(), TestCaseError> {
        self.simulation.run();
        self.receive();
        prop_assert_eq!(&self.received, &self.written);
        Ok(())
    }
}
