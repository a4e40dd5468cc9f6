//! Who has the peripheral when, and what becomes of each transaction: without a lock or a waker.
//!
//! Inputs: [`start`](Engine::start), once; [`on_interrupt`](Engine::on_interrupt), whenever a flag is
//! set; [`write`](Engine::write) and [`give_up`](Engine::give_up) by the sender;
//! [`take`](Engine::take) by the receiver. Output: [`take_outcome`](Engine::take_outcome).
//!
//! The hardware turns target by itself, whatever it was about to do. So the target comes first: a
//! write that was asked for begins when no transaction addresses the device, and begins again
//! behind one that came before its START. What began on the bus and was lost to another controller
//! is told.
//!
//! What no flag ends, a reset of the peripheral does: a clock that is low for 30 ms, and a write that
//! its sender gives up.

use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::{TargetAddress, TargetError};

use crate::error::WriteError;
use crate::inbox::Inbox;
use crate::registers::{Registers, control_1, control_2, own_address_1, status};
use crate::timing::BusTiming;

/// Bytes behind the address.
const LONGEST: usize = MAX_TRANSACTION - 1;
/// What `NBYTES` holds.
const CHUNK: usize = 255;
/// What is read of the device, as the two wires say when nobody drives them.
const NOTHING: u8 = 0xFF;

/// What the transaction does that addresses the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressed {
    No,
    Written,
    Read,
}

/// What there is of the device's own write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    None,
    /// Begins behind the transaction that addresses the device.
    Waits,
    /// The hardware has it: waits for a free bus, or sends.
    Begun,
    /// Has ended; the sender is still to be told.
    Ended(Result<(), WriteError>),
}

/// What [`Engine::on_interrupt`] changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// There is something to take.
    pub(crate) received: bool,
    /// There is an outcome.
    pub(crate) sent: bool,
}

/// The state of the peripheral.
pub(crate) struct Engine {
    address: Option<TargetAddress>,
    addressed: Addressed,
    own: Own,
    /// Nothing has addressed the device, nor gone on with it, since the own write was asked for.
    is_quiet: bool,
    inbox: Inbox,
    destination: u8,
    outbox: [u8; LONGEST],
    len: usize,
    sent: usize,
    is_refused: bool,
}

impl Engine {
    pub(crate) const fn new() -> Self {
        Self {
            address: None,
            addressed: Addressed::No,
            own: Own::None,
            is_quiet: true,
            inbox: Inbox::new(),
            destination: 0,
            outbox: [0; LONGEST],
            len: 0,
            sent: 0,
            is_refused: false,
        }
    }

    /// Sets the peripheral up: it listens from here on. Once, with the clock of the peripheral on.
    pub(crate) fn start(
        &mut self,
        registers: &mut impl Registers,
        address: TargetAddress,
        timing: BusTiming,
    ) {
        self.address = Some(address);
        registers.write_control_1(0);
        registers.write_timing(timing.timing);
        registers.write_timeout(timing.timeout);
        let own = u32::from(address.as_byte()) << own_address_1::ADDRESS_SHIFT;
        registers.write_own_address_1(own | own_address_1::ENABLE);
        self.enable(registers);
    }

    /// The device is addressed only while there is room for what comes.
    fn enable(&self, registers: &mut impl Registers) {
        let mut value = control_1::ENABLE | control_1::OTHER_INTERRUPTS;
        if !self.inbox.is_full() {
            value |= control_1::ADDRESSED_INTERRUPT;
        }
        registers.write_control_1(value);
    }

    /// Handles the flags. What is still to be done has a flag, and so the next interrupt.
    ///
    /// The order is that of the bus: while `ADDR` is set, nothing follows.
    pub(crate) fn on_interrupt(&mut self, registers: &mut impl Registers) -> Changes {
        let before = self.own;
        let mut changes = Changes::default();
        let flags = registers.status();
        let is = |flag| flags & flag != 0;
        registers.clear(flags & status::UNUSED);
        if is(status::TIMEOUT) {
            registers.clear(status::TIMEOUT);
            changes.received = self.reset(registers, WriteError::Timeout);
            changes.sent = self.has_ended_since(before);
            return changes;
        }
        if is(status::NOT_ACKNOWLEDGED) {
            registers.clear(status::NOT_ACKNOWLEDGED);
            self.is_refused = true;
        }
        if is(status::ARBITRATION_LOST) {
            registers.clear(status::ARBITRATION_LOST);
            if self.own == Own::Begun {
                self.own = Own::Ended(Err(WriteError::ArbitrationLost));
            }
        }
        if is(status::RECEIVED) {
            self.is_quiet = false;
            self.inbox.push(registers.received_byte());
        }
        if is(status::BUS_ERROR) {
            // Of a controller it means nothing: the transaction goes on (errata, spurious bus
            // error detection in controller mode).
            registers.clear(status::BUS_ERROR);
            changes.received |= self.end_target(registers, Some(TargetError::Bus));
        }
        if is(status::STOP) {
            registers.clear(status::STOP);
            if self.addressed != Addressed::No {
                changes.received |= self.end_target(registers, None);
            } else if self.own == Own::Begun && registers.control_2() & control_2::START == 0 {
                self.own = Own::Ended(self.outcome());
            }
        }
        if is(status::ADDRESSED) {
            self.begin_target(registers, is(status::READ));
        }
        if is(status::TRANSMIT) {
            let byte = self.next_byte();
            registers.write_byte(byte);
        }
        if is(status::RELOAD) || is(status::COMPLETE) {
            self.continue_own(registers);
        }
        changes.sent = self.has_ended_since(before);
        changes
    }

    fn has_ended_since(&self, before: Own) -> bool {
        self.own != before && matches!(self.own, Own::Ended(_))
    }

    /// The device is addressed, and the clock is held.
    fn begin_target(&mut self, registers: &mut impl Registers, is_read: bool) {
        self.is_quiet = false;
        if !is_read && self.inbox.is_full() {
            // The clock is held until something was taken.
            self.enable(registers);
            return;
        }
        if is_read {
            self.addressed = Addressed::Read;
            // Not a byte of a write that was lost.
            registers.write_status(status::TRANSMIT_EMPTY);
        } else {
            self.addressed = Addressed::Written;
            self.inbox.begin();
        }
        if self.own == Own::Begun {
            self.own = Own::Waits;
        }
        // Clears START, too. To write the register behind that keeps the hardware from sending all
        // the same (errata, spurious controller transfer upon own target address match).
        registers.clear(status::ADDRESSED);
        registers.write_control_2(0);
    }

    /// What addressed the device has ended. Returns whether there is something to take.
    fn end_target(&mut self, registers: &mut impl Registers, error: Option<TargetError>) -> bool {
        let addressed = core::mem::replace(&mut self.addressed, Addressed::No);
        if addressed == Addressed::Written {
            self.inbox.end(error);
        }
        if self.own == Own::Waits {
            self.begin_own(registers);
        }
        addressed == Addressed::Written
    }

    /// Asks for a write to `destination`. One that is still there is given up.
    pub(crate) fn write<'b>(
        &mut self,
        registers: &mut impl Registers,
        destination: u8,
        parts: impl Iterator<Item = &'b [u8]>,
    ) {
        self.give_up(registers);
        self.destination = destination;
        self.len = 0;
        for part in parts {
            let free = self.outbox.get_mut(self.len..);
            let Some(place) = free.and_then(|free| free.get_mut(..part.len())) else {
                self.own = Own::Ended(Err(WriteError::TooLong));
                return;
            };
            place.copy_from_slice(part);
            self.len = self.len.saturating_add(part.len());
        }
        if self.address.is_none_or(|own| own.as_byte() == destination) {
            // Nobody else is there.
            self.own = Own::Ended(Err(WriteError::NotAcknowledged));
            return;
        }
        self.is_quiet = true;
        let is_addressed = registers.status() & status::ADDRESSED != 0;
        if is_addressed || self.addressed != Addressed::No {
            self.own = Own::Waits;
        } else {
            self.begin_own(registers);
        }
    }

    /// The hardware waits for a free bus, and sends.
    fn begin_own(&mut self, registers: &mut impl Registers) {
        self.own = Own::Begun;
        self.sent = 0;
        self.is_refused = false;
        // What a write before this left there.
        registers.write_status(status::TRANSMIT_EMPTY);
        registers.write_control_2(self.chunk() | control_2::START);
    }

    /// The next bytes that the hardware is to send, as `I2C_CR2` has them.
    fn chunk(&self) -> u32 {
        let left = self.len.saturating_sub(self.sent);
        let (bytes, end) = match left {
            0..=CHUNK => (left, control_2::AUTOMATIC_END),
            _ => (CHUNK, control_2::RELOAD),
        };
        let address = u32::from(self.destination) << control_2::ADDRESS_SHIFT;
        address | (bytes as u32) << control_2::BYTES_SHIFT | end
    }

    /// The byte that the hardware asks for.
    fn next_byte(&mut self) -> u8 {
        if self.addressed != Addressed::No || self.own != Own::Begun {
            return NOTHING;
        }
        let byte = self
            .outbox
            .get(..self.len)
            .and_then(|bytes| bytes.get(self.sent));
        self.sent = self.sent.saturating_add(1);
        byte.copied().unwrap_or(NOTHING)
    }

    /// `NBYTES` were sent.
    fn continue_own(&mut self, registers: &mut impl Registers) {
        if self.own == Own::Begun && self.sent < self.len {
            registers.write_control_2(self.chunk());
        } else {
            // It was not asked for that: without this, the flag would stay.
            self.reset(registers, WriteError::Bus);
        }
    }

    /// How the own write ended, which a STOP did.
    fn outcome(&self) -> Result<(), WriteError> {
        if self.is_refused {
            Err(WriteError::NotAcknowledged)
        } else if self.sent < self.len {
            Err(WriteError::Bus)
        } else {
            Ok(())
        }
    }

    /// How the own write ended, once it has.
    pub(crate) fn take_outcome(&mut self) -> Option<Result<(), WriteError>> {
        let Own::Ended(outcome) = self.own else {
            return None;
        };
        self.own = Own::None;
        Some(outcome)
    }

    /// Nobody waits for the own write any more. What the hardware has of it ends by a reset, which
    /// lets go of both wires. Returns whether there is something to take.
    pub(crate) fn give_up(&mut self, registers: &mut impl Registers) -> bool {
        const GOES_ON: u32 = status::ADDRESSED | status::RECEIVED | status::STOP;
        let own = core::mem::replace(&mut self.own, Own::None);
        let is_stuck = match own {
            Own::Begun => true,
            // A transaction that did nothing for so long has ended without a STOP.
            Own::Waits => self.is_quiet,
            Own::None | Own::Ended(_) => return false,
        };
        // `ADDR` takes START with it; a STOP has ended one or the other.
        let is_stuck = is_stuck && registers.status() & GOES_ON == 0;
        is_stuck && self.reset(registers, WriteError::Bus)
    }

    /// Lets go of the bus, and listens again. Whatever is under way is lost. Returns whether there
    /// is something to take.
    fn reset(&mut self, registers: &mut impl Registers, error: WriteError) -> bool {
        registers.write_control_1(0);
        // Disabled for three cycles of its bus, each of which a read takes at least.
        for _ in 0..3 {
            registers.control_1();
        }
        self.enable(registers);
        if self.own == Own::Begun {
            self.own = Own::Ended(Err(error));
        }
        self.end_target(registers, Some(TargetError::Bus))
    }

    /// Takes what a controller has written, if there is a transaction.
    pub(crate) fn take(
        &mut self,
        registers: &mut impl Registers,
        buffer: &mut [u8],
    ) -> Option<Result<usize, TargetError>> {
        let was_full = self.inbox.is_full();
        let taken = self.inbox.take(buffer);
        if was_full {
            // Who addressed the device meanwhile holds on.
            self.enable(registers);
        }
        taken
    }
}
