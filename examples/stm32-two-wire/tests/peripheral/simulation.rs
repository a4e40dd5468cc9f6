//! The I2C peripheral of RM0477 in memory, on two wires with another controller and a target.
//!
//! What the reference manual says of the flags is in [`Peripheral`]; what happens on the bus is in
//! [`Simulation::step`], one byte at a time. A use of the registers that the manual or the errata
//! forbid panics, and so does an interrupt that does not end.

use std::cell::{Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp_i2c::TargetAddress;
use stm32_two_wire::registers::{control_1, control_2, own_address_1, status};
use stm32_two_wire::{BusTiming, Halves, Registers, TwoWire};

/// Of the device.
pub(crate) const OWN: TargetAddress = TargetAddress::new(0x1D).unwrap();
/// Of the target that is on the bus beside the device.
pub(crate) const NEIGHBOUR: u8 = 0x20;

/// What the other controller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// START, or repeated START, and an address to write to.
    Write(u8),
    /// START, or repeated START, and an address to read from.
    Read(u8),
    /// A byte that it writes.
    Byte(u8),
    /// A byte that it reads and acknowledges.
    Take,
    /// The last byte that it reads.
    TakeLast,
    Stop,
    /// A STOP within a byte.
    MisplacedStop,
    /// A START within a byte.
    MisplacedStart,
    /// It is gone, without a STOP. Both wires are high.
    Vanish,
    /// It holds the clock for longer than SMBus allows.
    HoldClock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bus {
    Free,
    Foreign,
    Own,
    /// Nobody goes on, and there was no STOP.
    Dead,
}

/// What the neighbour does to a write of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Acknowledge,
    /// Not the byte with this number, the address being 0.
    Refuse(usize),
    /// The other controller wins the bus at this byte.
    Lose(usize),
    /// Holds the clock at this byte: for longer than SMBus allows, or for ever if the peripheral
    /// does not look at that.
    Hold(usize),
}

pub(crate) struct Peripheral {
    control_1: u32,
    control_2: u32,
    own_address_1: u32,
    timeout: u32,
    flags: u32,
    received: Option<u8>,
    to_send: Option<u8>,
    /// Cycles for which it is disabled.
    disabled_for: u32,
    /// START was set when the device was addressed, and `I2C_CR2` was not written since `ADDR` was
    /// cleared: the erratum.
    is_latched: bool,
    /// The hardware takes part as target, to be read from?
    target: Option<bool>,
    bus: Bus,
    /// Bytes of its own transaction on the wire, the address being the first.
    on_wire: Vec<u8>,
    /// Of the present `NBYTES`.
    left: u32,
    pub(crate) resets: u32,
}

impl Peripheral {
    fn is_enabled(&self) -> bool {
        self.control_1 & control_1::ENABLE != 0
    }
    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
    fn start_is_set(&self) -> bool {
        self.control_2 & control_2::START != 0
    }
    fn acknowledges(&self, address: u8) -> bool {
        let own = u32::from(address) << own_address_1::ADDRESS_SHIFT | own_address_1::ENABLE;
        self.is_enabled() && self.own_address_1 == own
    }
    fn wants_interrupt(&self) -> bool {
        const OTHERS: u32 = status::TRANSMIT
            | status::RECEIVED
            | status::NOT_ACKNOWLEDGED
            | status::STOP
            | status::COMPLETE
            | status::RELOAD
            | status::BUS_ERROR
            | status::ARBITRATION_LOST
            | status::TIMEOUT;
        let mut flags = 0;
        if self.control_1 & control_1::ADDRESSED_INTERRUPT != 0 {
            flags |= status::ADDRESSED;
        }
        if self.control_1 & control_1::OTHER_INTERRUPTS == control_1::OTHER_INTERRUPTS {
            flags |= OTHERS;
        }
        self.is_enabled() && self.is(flags)
    }
    fn set(&mut self, flag: u32) {
        self.flags |= flag;
    }
}

/// The registers of a [`Simulation`].
pub(crate) struct SimulatedRegisters(Rc<RefCell<Peripheral>>);

impl Registers for SimulatedRegisters {
    fn control_1(&mut self) -> u32 {
        let mut peripheral = self.0.borrow_mut();
        peripheral.disabled_for += 1;
        peripheral.control_1
    }
    fn write_control_1(&mut self, value: u32) {
        let mut peripheral = self.0.borrow_mut();
        let enables = value & control_1::ENABLE != 0;
        if peripheral.is_enabled() && !enables {
            peripheral.disabled_for = 0;
            peripheral.resets += 1;
            peripheral.flags = 0;
            peripheral.control_2 &= !control_2::START;
            peripheral.received = None;
            peripheral.to_send = None;
            peripheral.is_latched = false;
            peripheral.target = None;
            // Nobody else is left to end it.
            if matches!(peripheral.bus, Bus::Own | Bus::Dead) {
                peripheral.bus = Bus::Free;
            }
        } else if !peripheral.is_enabled() && enables && peripheral.resets > 0 {
            assert!(peripheral.disabled_for >= 3, "enabled too early");
        }
        peripheral.control_1 = value;
    }
    fn control_2(&mut self) -> u32 {
        self.0.borrow().control_2
    }
    fn write_control_2(&mut self, value: u32) {
        let mut peripheral = self.0.borrow_mut();
        let start = (peripheral.control_2 | value) & control_2::START;
        assert!(!peripheral.start_is_set(), "changed while START is set");
        peripheral.is_latched &= peripheral.is(status::ADDRESSED);
        if peripheral.is(status::RELOAD) {
            peripheral.flags &= !status::RELOAD;
            peripheral.left = value >> control_2::BYTES_SHIFT & 0xFF;
            assert_ne!(peripheral.left, 0);
            peripheral.set(status::TRANSMIT);
        }
        peripheral.control_2 = value | start;
    }
    fn write_own_address_1(&mut self, value: u32) {
        self.0.borrow_mut().own_address_1 = value;
    }
    fn write_timing(&mut self, value: u32) {
        assert!(!self.0.borrow().is_enabled());
        assert_ne!(value, 0);
    }
    fn write_timeout(&mut self, value: u32) {
        assert!(!self.0.borrow().is_enabled());
        self.0.borrow_mut().timeout = value;
    }
    fn status(&mut self) -> u32 {
        let peripheral = self.0.borrow();
        let busy = match peripheral.bus {
            Bus::Free => 0,
            _ => status::BUSY,
        };
        peripheral.flags | busy
    }
    fn write_status(&mut self, value: u32) {
        assert_eq!(value, status::TRANSMIT_EMPTY);
        self.0.borrow_mut().to_send = None;
    }
    fn clear(&mut self, flags: u32) {
        let mut peripheral = self.0.borrow_mut();
        if flags & peripheral.flags & status::ADDRESSED != 0 {
            peripheral.is_latched = peripheral.start_is_set();
            peripheral.control_2 &= !control_2::START;
            if peripheral.target == Some(true) && peripheral.to_send.is_none() {
                peripheral.set(status::TRANSMIT);
            }
        }
        // The others are cleared by what is done about them.
        let not_cleared = status::TRANSMIT | status::RECEIVED | status::COMPLETE | status::RELOAD;
        peripheral.flags &= !flags | not_cleared;
    }
    fn received_byte(&mut self) -> u8 {
        let mut peripheral = self.0.borrow_mut();
        peripheral.flags &= !status::RECEIVED;
        peripheral.received.take().expect("no byte was received")
    }
    fn write_byte(&mut self, byte: u8) {
        let mut peripheral = self.0.borrow_mut();
        assert!(peripheral.is(status::TRANSMIT), "no byte was asked for");
        peripheral.flags &= !status::TRANSMIT;
        peripheral.to_send = Some(byte);
    }
}

pub(crate) type Device = TwoWire<NoopRawMutex, SimulatedRegisters>;
pub(crate) type DeviceHalves<'d> = Halves<'d, NoopRawMutex, SimulatedRegisters>;

/// Two wires.
pub(crate) struct Simulation {
    peripheral: Rc<RefCell<Peripheral>>,
    pub(crate) device: &'static Device,
    /// Interrupts come only when the bus waits for them.
    pub(crate) interrupts_are_late: bool,
    /// What the other controller does, in order.
    pub(crate) foreign: VecDeque<Foreign>,
    /// Who begins when both could: the device, or the other controller.
    pub(crate) device_is_first: bool,
    pub(crate) answer: Answer,
    /// What the other controller has read.
    pub(crate) taken: Vec<u8>,
    /// What the neighbour has got with a STOP: the address, and the bytes behind it.
    pub(crate) delivered: Vec<Vec<u8>>,
}

impl Simulation {
    pub(crate) fn new() -> Self {
        let peripheral = Rc::new(RefCell::new(Peripheral {
            control_1: 0,
            control_2: 0,
            own_address_1: 0,
            timeout: 0,
            flags: 0,
            received: None,
            to_send: None,
            disabled_for: 0,
            is_latched: false,
            target: None,
            bus: Bus::Free,
            on_wire: Vec::new(),
            left: 0,
            resets: 0,
        }));
        Self {
            device: Box::leak(Box::new(TwoWire::new(SimulatedRegisters(
                peripheral.clone(),
            )))),
            peripheral,
            interrupts_are_late: false,
            foreign: VecDeque::new(),
            device_is_first: false,
            answer: Answer::Acknowledge,
            taken: Vec::new(),
            delivered: Vec::new(),
        }
    }

    pub(crate) fn timing() -> BusTiming {
        BusTiming::khz_100(16_000_000).unwrap()
    }

    /// The other controller writes these bytes to the device, and ends.
    pub(crate) fn foreign_write(&mut self, bytes: &[u8]) {
        self.foreign.push_back(Foreign::Write(OWN.as_byte()));
        self.foreign
            .extend(bytes.iter().copied().map(Foreign::Byte));
        self.foreign.push_back(Foreign::Stop);
    }

    pub(crate) fn resets(&self) -> u32 {
        self.peripheral.borrow().resets
    }

    pub(crate) fn start_is_set(&self) -> bool {
        self.peripheral.borrow().start_is_set()
    }

    /// The device holds the clock.
    pub(crate) fn is_held(&self) -> bool {
        let next_is_byte = matches!(self.foreign.front(), Some(Foreign::Byte(_)));
        let peripheral = self.look();
        peripheral.is(status::ADDRESSED | status::TRANSMIT)
            || peripheral.received.is_some() && next_is_byte
    }

    /// The interrupts of the flags that are set.
    pub(crate) fn interrupts(&self) {
        for _ in 0..10 {
            if !self.peripheral.borrow().wants_interrupt() {
                return;
            }
            self.device.on_interrupt();
        }
        panic!("an interrupt does not end");
    }

    /// Goes on until nothing happens any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000 {
            let went_on = self.step();
            if went_on && self.interrupts_are_late {
                continue;
            }
            let had_interrupts = self.look().wants_interrupt();
            self.interrupts();
            if !went_on && !had_interrupts {
                return;
            }
        }
        panic!("the bus does not come to rest");
    }

    /// One byte or condition on the bus, without interrupts. `false` when nothing happens.
    pub(crate) fn step(&mut self) -> bool {
        let bus = self.peripheral.borrow().bus;
        match bus {
            Bus::Free => self.begin(),
            Bus::Own => self.step_own(),
            Bus::Foreign => self.step_foreign(),
            // A START begins a transaction anywhere.
            Bus::Dead => !self.foreign.is_empty() && self.step_foreign(),
        }
    }

    fn peripheral(&self) -> std::cell::RefMut<'_, Peripheral> {
        self.peripheral.borrow_mut()
    }

    pub(crate) fn look(&self) -> Ref<'_, Peripheral> {
        self.peripheral.borrow()
    }

    fn begin(&mut self) -> bool {
        let wants = self.look().is_enabled() && self.look().start_is_set();
        assert!(
            !self.look().is_latched,
            "a spurious transfer begins: the erratum"
        );
        if self.foreign.is_empty() && !wants {
            return false;
        }
        if !wants || !self.foreign.is_empty() && !self.device_is_first {
            if wants {
                // Both begin, and the other one's address wins.
                let mut peripheral = self.peripheral();
                peripheral.control_2 &= !control_2::START;
                peripheral.set(status::ARBITRATION_LOST);
            }
            self.peripheral().bus = Bus::Foreign;
            return self.step_foreign();
        }
        let mut peripheral = self.peripheral.borrow_mut();
        peripheral.bus = Bus::Own;
        peripheral.control_2 &= !control_2::START;
        peripheral.left = peripheral.control_2 >> control_2::BYTES_SHIFT & 0xFF;
        peripheral.on_wire = vec![(peripheral.control_2 >> control_2::ADDRESS_SHIFT & 0x7F) as u8];
        drop(peripheral);
        self.answered()
    }

    /// A byte of the device, the newest on the wire, is answered.
    fn answered(&mut self) -> bool {
        let answer = self.answer;
        let mut peripheral = self.peripheral.borrow_mut();
        let number = peripheral.on_wire.len() - 1;
        let is_there = peripheral.on_wire[0] == NEIGHBOUR;
        if answer == Answer::Lose(number) && !self.foreign.is_empty() {
            peripheral.set(status::ARBITRATION_LOST);
            // The byte behind may be in the register already.
            peripheral.to_send = Some(0x5A);
            peripheral.bus = Bus::Foreign;
            return true;
        }
        if answer == Answer::Hold(number) {
            if peripheral.timeout != 0 {
                peripheral.set(status::TIMEOUT);
            }
            return peripheral.timeout != 0;
        }
        if !is_there || answer == Answer::Refuse(number) {
            peripheral.set(status::NOT_ACKNOWLEDGED | status::STOP);
            peripheral.to_send = Some(0x5A);
            peripheral.bus = Bus::Free;
            return true;
        }
        if peripheral.left > 0 {
            peripheral.set(status::TRANSMIT);
        } else if peripheral.control_2 & control_2::RELOAD != 0 {
            peripheral.set(status::RELOAD);
        } else if peripheral.control_2 & control_2::AUTOMATIC_END != 0 {
            peripheral.set(status::STOP);
            peripheral.bus = Bus::Free;
            self.delivered.push(std::mem::take(&mut peripheral.on_wire));
        } else {
            peripheral.set(status::COMPLETE);
        }
        true
    }

    fn step_own(&mut self) -> bool {
        let byte = self.peripheral().to_send.take();
        let Some(byte) = byte else {
            // The clock is held.
            return false;
        };
        let mut peripheral = self.peripheral();
        peripheral.on_wire.push(byte);
        peripheral.left -= 1;
        drop(peripheral);
        self.answered()
    }

    fn step_foreign(&mut self) -> bool {
        if self.is_held() {
            return false;
        }
        let Some(next) = self.foreign.pop_front() else {
            return false;
        };
        let mut peripheral = self.peripheral.borrow_mut();
        match next {
            Foreign::Write(address) | Foreign::Read(address) => {
                peripheral.bus = Bus::Foreign;
                peripheral.target = None;
                if peripheral.acknowledges(address) {
                    let is_read = matches!(next, Foreign::Read(_));
                    peripheral.target = Some(is_read);
                    peripheral.flags &= !status::READ;
                    peripheral.set(status::ADDRESSED);
                    if is_read {
                        peripheral.set(status::READ);
                    }
                }
            }
            Foreign::Byte(byte) => {
                if peripheral.target == Some(false) {
                    peripheral.received = Some(byte);
                    peripheral.set(status::RECEIVED);
                }
            }
            Foreign::Take | Foreign::TakeLast => {
                let byte = match peripheral.target {
                    Some(true) => peripheral.to_send.take().expect("the clock is not held"),
                    _ => 0xFF,
                };
                self.taken.push(byte);
                if peripheral.target == Some(true) {
                    let flag = match next {
                        Foreign::Take => status::TRANSMIT,
                        _ => status::NOT_ACKNOWLEDGED,
                    };
                    peripheral.set(flag);
                }
            }
            Foreign::Stop | Foreign::MisplacedStop => {
                if peripheral.target.take().is_some() {
                    peripheral.set(match next {
                        Foreign::Stop => status::STOP,
                        _ => status::BUS_ERROR,
                    });
                }
                peripheral.bus = Bus::Free;
            }
            Foreign::MisplacedStart => {
                if peripheral.target.is_some() {
                    peripheral.set(status::BUS_ERROR);
                }
            }
            Foreign::Vanish => peripheral.bus = Bus::Dead,
            Foreign::HoldClock => {
                assert_ne!(peripheral.timeout, 0);
                peripheral.set(status::TIMEOUT);
                peripheral.bus = Bus::Free;
            }
        }
        true
    }
}
