//! Times and roles of a port on a two-wire bus (DSP0237, sections 6.13 to 6.20).

use crate::{BusFrequency, TargetAddress};

/// What the device is on its bus.
///
/// Both send to any neighbour by its physical address, and receive from any: MCTP over SMBus/I2C
/// knows no master and slave beyond one transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// An endpoint, such as a drive.
    #[default]
    Device,
    /// The bus owner: it also clears a bus that hangs, by
    /// [`BusStatus::clear_stuck_bus`](crate::BusStatus::clear_stuck_bus) (section 6.20).
    BusOwner,
}

/// What a [`Sender`](crate::Sender) has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Config {
    /// The device's own address: the source of its packets, to which neighbours answer.
    pub address: TargetAddress,
    /// What the device is on its bus. [`Role::Device`] unless set.
    pub role: Role,
    /// The times to keep that do not depend on the clock frequency of the bus.
    pub timing: Timing,
}

impl Config {
    /// A device at this address.
    pub const fn new(address: TargetAddress) -> Self {
        Self {
            address,
            role: Role::Device,
            timing: Timing::new(),
        }
    }

    /// Sets [`role`](Self::role).
    #[must_use]
    pub const fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Sets [`timing`](Self::timing).
    #[must_use]
    pub const fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }
}

/// The times of the binding that hold at every clock frequency, as far as a sender keeps them. Those
/// that come with the frequency are in [`BusFrequency`].
///
/// | | value | from |
/// |-|-|-|
/// | `retries`, PN1 | **8** or more | 6.18 |
/// | `bus_free_limit_us`, PT2a | **100,000** | 6.18 |
/// | `byte_limit_us`, PT1a and PT1c | 250 and 250: **500** | 6.18 |
///
/// Bold is what is taken; the numbers are those of Table 8. What hardware keeps is not here: the
/// bus-free time before a START (4.7, 1.3, 0.5 µs), and the window in which a device that lost
/// arbitration begins again (20, 4, 2 µs after the bus is free).
///
/// Numbers of DSP0237 1.1.0; those of 1.2.0 that are public are the same. PT2a is the time after
/// which a controller that sees neither START nor STOP may take the bus for free, and so an upper
/// bound of another device's transaction: that it is the longest wait for a free bus, too, is our
/// reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Timing {
    /// Whether the device leaves the bus alone for the idle window and the idle delay of the
    /// [frequency](BusFrequency) after each transaction of its own (FAIR_IDLE, section 6.13).
    pub is_fair: bool,
    /// How often a packet is sent again that was not acknowledged, or lost arbitration. The binding
    /// asks for 8 of an endpoint, and for 12 of a bridge that forwards the packet (PN2).
    pub retries: u8,
    /// How long a packet that was not acknowledged waits beyond the fair idle time before it is
    /// sent again, in microseconds. 0 unless set, as the binding names no time. All retries to a
    /// target that does not take the command code are over in about 3 ms at 100 kHz: more time
    /// helps a neighbour that is busy for longer.
    pub retry_pause_us: u32,
    /// How long a transaction may wait for the bus to become free, in microseconds.
    pub bus_free_limit_us: u32,
    /// How long each byte may take, stretched by the target, in microseconds.
    pub byte_limit_us: u32,
}

impl Timing {
    /// The times of the tables, with fairness.
    pub const fn new() -> Self {
        Self {
            is_fair: true,
            retries: 8,
            retry_pause_us: 0,
            bus_free_limit_us: 100_000,
            byte_limit_us: 500,
        }
    }

    /// Without fairness: the device begins its next transaction at once.
    #[must_use]
    pub const fn without_fairness(mut self) -> Self {
        self.is_fair = false;
        self
    }

    /// Sets [`retries`](Self::retries).
    #[must_use]
    pub const fn with_retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// Sets [`retry_pause_us`](Self::retry_pause_us).
    #[must_use]
    pub const fn with_retry_pause_us(mut self, retry_pause_us: u32) -> Self {
        self.retry_pause_us = retry_pause_us;
        self
    }

    /// How long one transaction of `len` bytes may take, the wait for a free bus included, in
    /// microseconds: 230 ms for the longest. A bus on which it takes longer hangs.
    pub const fn transaction_limit_us(&self, len: usize) -> u32 {
        // More bytes than any transaction has are as many as the longest.
        let len = if len < crate::framing::MAX_TRANSACTION {
            len as u32
        } else {
            crate::framing::MAX_TRANSACTION as u32
        };
        self.bus_free_limit_us
            .saturating_add(self.byte_limit_us.saturating_mul(len))
    }

    /// How long the device waits at most before a transaction of its own, at any frequency, in
    /// microseconds: on a bus that never becomes idle it goes on after
    /// [`bus_free_limit_us`](Self::bus_free_limit_us).
    const fn fair_idle_limit_us(&self) -> u32 {
        if !self.is_fair {
            return 0;
        }
        let longest = BusFrequency::Khz100;
        self.bus_free_limit_us
            .saturating_add(longest.idle_window_us())
            .saturating_add(longest.idle_delay_us())
    }

    /// After how long at the latest the sender of a packet, of `len` bytes in its transaction, is
    /// told that it was not taken, in microseconds. That is every retry as slow as can be: a
    /// neighbour that is not there is told within 3 ms, a bus that hangs within
    /// [`transaction_limit_us`](Self::transaction_limit_us) and the fair idle time. The attempt of
    /// a bus owner to clear the bus comes on top.
    pub const fn send_limit_us(&self, len: usize) -> u32 {
        let each = self
            .transaction_limit_us(len)
            .saturating_add(self.fair_idle_limit_us())
            .saturating_add(self.retry_pause_us);
        each.saturating_mul((self.retries as u32).saturating_add(1))
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_transaction_may_take_230_milliseconds() {
        assert_eq!(Timing::new().transaction_limit_us(259), 229_500);
        assert_eq!(Timing::new().transaction_limit_us(usize::MAX), 229_500);
        assert_eq!(Timing::new().transaction_limit_us(73), 136_500);
    }

    #[test]
    fn a_sender_is_told_within_three_seconds_whatever_happens() {
        assert_eq!(Timing::new().send_limit_us(259), 9 * (229_500 + 100_091));
        let plain = Timing::new().without_fairness();
        assert_eq!(plain.send_limit_us(73), 9 * 136_500);
    }

    #[test]
    fn limits_that_no_counter_holds_are_as_long_as_it_can_hold() {
        let timing = Timing {
            byte_limit_us: u32::MAX,
            retry_pause_us: u32::MAX,
            ..Timing::new()
        };
        assert_eq!(timing.transaction_limit_us(259), u32::MAX);
        assert_eq!(timing.send_limit_us(259), u32::MAX);
    }
}
