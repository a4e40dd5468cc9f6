//! Times and roles of a port on a two-wire bus (DSP0237, sections 6.13 to 6.20).

use crate::TargetAddress;

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
    /// The times to keep. Those for 100 kHz unless set: they are right for every faster bus too, on
    /// which they cost some 80 µs for each packet.
    pub timing: Timing,
}

impl Config {
    /// A device at this address.
    pub const fn new(address: TargetAddress) -> Self {
        Self {
            address,
            role: Role::Device,
            timing: Timing::KHZ_100,
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

/// The times of the binding, as far as a sender keeps them.
///
/// | | 100 kHz | 400 kHz | 1 MHz | from |
/// |-|-|-|-|-|
/// | `idle_window_us`, T<sub>IDLE_WINDOW</sub> | 30 to **60** | 5 to **20** | 3 to **6** | 6.17 |
/// | `idle_delay_us`, T<sub>IDLE_DELAY</sub> | **31** or more | **16** or more | 3.1 or more: **4** | 6.17 |
/// | `retries`, PN1 | **8** or more | the same | the same | 6.18 |
/// | `bus_free_limit_us`, PT2a | **100,000** | the same | the same | 6.18 |
/// | `byte_limit_us`, PT1a and PT1c | 250 and 250: **500** | the same | the same | 6.18 |
///
/// Bold is what the constants have; the numbers are those of Tables 5 to 7 in section 6.17, and of
/// Table 8 in 6.18. What hardware keeps is not here: the bus-free time before a START (4.7, 1.3,
/// 0.5 µs), and the window in which a device that lost arbitration begins again (20, 4, 2 µs after
/// the bus is free).
///
/// Numbers of DSP0237 1.1.0; those of 1.2.0 that are public are the same. PT2a is the time after
/// which a controller that sees neither START nor STOP may take the bus for free, and so an upper
/// bound of another device's transaction: that it is the longest wait for a free bus, too, is our
/// reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Timing {
    /// Fairness: after a transaction of its own, the device waits until the bus was free for so
    /// long, in microseconds, so that whoever lost arbitration meanwhile comes first (FAIR_IDLE,
    /// section 6.13). 0, together with `idle_delay_us`, is no fairness at all.
    pub idle_window_us: u32,
    /// Then for so long, in microseconds, whatever is on the bus, because the windows of other
    /// devices may be longer.
    pub idle_delay_us: u32,
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
    /// For a bus of 100 kHz; right for every bus.
    pub const KHZ_100: Self = Self::of_fairness(60, 31);

    /// For a bus of 400 kHz.
    pub const KHZ_400: Self = Self::of_fairness(20, 16);

    /// For a bus of 1 MHz.
    pub const MHZ_1: Self = Self::of_fairness(6, 4);

    const fn of_fairness(idle_window_us: u32, idle_delay_us: u32) -> Self {
        Self {
            idle_window_us,
            idle_delay_us,
            retries: 8,
            retry_pause_us: 0,
            bus_free_limit_us: 100_000,
            byte_limit_us: 500,
        }
    }

    /// Without fairness: the device begins its next transaction at once.
    #[must_use]
    pub const fn without_fairness(mut self) -> Self {
        self.idle_window_us = 0;
        self.idle_delay_us = 0;
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

    /// How long the device waits at most before a transaction of its own, in microseconds: on a bus
    /// that never becomes idle it goes on after
    /// [`bus_free_limit_us`](Self::bus_free_limit_us).
    pub(crate) const fn fair_idle_limit_us(&self) -> u32 {
        if self.idle_window_us == 0 {
            return self.idle_delay_us;
        }
        self.bus_free_limit_us
            .saturating_add(self.idle_window_us)
            .saturating_add(self.idle_delay_us)
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
        Self::KHZ_100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fair_device_waits_for_longer_than_the_windows_of_others_differ() {
        // DSP0237 1.1.0, section 6.17, Tables 5 to 7: shortest and longest window, and start window.
        for (timing, shortest, longest, start) in [
            (Timing::KHZ_100, 30, 60, 20),
            (Timing::KHZ_400, 5, 20, 4),
            (Timing::MHZ_1, 3, 6, 2),
        ] {
            assert!((shortest..=longest).contains(&timing.idle_window_us));
            assert!(timing.idle_window_us > start);
            assert!(timing.idle_delay_us > longest - shortest);
        }
    }

    #[test]
    fn the_longest_transaction_may_take_230_milliseconds() {
        assert_eq!(Timing::KHZ_100.transaction_limit_us(259), 229_500);
        assert_eq!(Timing::KHZ_100.transaction_limit_us(usize::MAX), 229_500);
        assert_eq!(Timing::KHZ_100.transaction_limit_us(73), 136_500);
    }

    #[test]
    fn a_sender_is_told_within_three_seconds_whatever_happens() {
        assert_eq!(Timing::KHZ_100.send_limit_us(259), 9 * (229_500 + 100_091));
        let plain = Timing::KHZ_100.without_fairness();
        assert_eq!(plain.send_limit_us(73), 9 * 136_500);
    }

    #[test]
    fn limits_that_no_counter_holds_are_as_long_as_it_can_hold() {
        let timing = Timing {
            byte_limit_us: u32::MAX,
            retry_pause_us: u32::MAX,
            ..Timing::KHZ_100
        };
        assert_eq!(timing.transaction_limit_us(259), u32::MAX);
        assert_eq!(timing.send_limit_us(259), u32::MAX);
    }
}
