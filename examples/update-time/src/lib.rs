//! How long a firmware update over NVMe-MI takes on a two-wire bus (DSP0237).
//!
//! A management controller and the reference device, each with a router of its own, are on a
//! [`SimulatedBus`]. The management controller sends an image of [`IMAGE_LEN`] bytes by Firmware
//! Image Download, 4 KiB in each command, then Firmware Commit; the device checks and stores the
//! image. All requests and responses have their integrity checks. The clock is virtual: processors
//! take no time on it, so the time of an update is that of the bus, and the turnaround that is
//! asked for.
//!
//! Both sides are without fairness (DSP0237, section 6.13), by which a sender leaves the bus idle
//! behind each packet.
//!
//! ```
//! use std::time::Duration;
//!
//! use update_time::{Setting, simulate};
//!
//! let update = simulate(Setting {
//!     transmission_unit: 250,
//!     bits_per_second: 1_000_000,
//!     turnaround: Duration::ZERO,
//! })?;
//! assert_eq!(update.commands, 769);
//! assert_eq!(update.elapsed, update.bus_time);
//! # Ok::<(), String>(())
//! ```

#![forbid(unsafe_code)]

mod device;
mod host;
mod link;
mod plot;
mod table;

use std::time::Duration;

use embassy_futures::select::{Either, select};
use mctp_i2c::simulated_bus::SimulatedBus;

pub use plot::plot;
pub use table::{Row, rows, table};

/// Length of the firmware image, its header included: 3 MiB.
pub const IMAGE_LEN: usize = 3 << 20;

/// What an update runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Payload bytes of the longest packet, of both sides: 64 to 250.
    pub transmission_unit: u16,
    /// Clock rate of the bus.
    pub bits_per_second: u32,
    /// Time from the last packet of a request to the first packet of its response.
    pub turnaround: Duration,
}

/// What an update took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// Requests, each with its response.
    pub commands: u64,
    /// Packets in both directions, each a transaction of its own.
    pub packets: u64,
    /// Bytes of all transactions: packets and what DSP0237 has around them.
    pub bytes: u64,
    /// The time in which the bus was in use, bus-free times included.
    pub bus_time: Duration,
    /// The time from the first request to the last response.
    pub elapsed: Duration,
}

/// Runs one update.
///
/// # Errors
///
/// When a command fails, or has no response.
pub fn simulate(setting: Setting) -> Result<Update, String> {
    let bus = SimulatedBus::new(setting.bits_per_second);
    let device = Box::pin(device::run(&bus, setting));
    let host = Box::pin(host::update(&bus, setting));
    let commands = match bus.block_on(select(device, host)) {
        Some(Either::First(never)) => match never {},
        Some(Either::Second(commands)) => commands?,
        None => return Err(format!("the update waits for ever: {bus:?}")),
    };
    let usage = bus.usage();
    Ok(Update {
        commands,
        packets: usage.transactions,
        bytes: usage.bytes,
        bus_time: usage.time,
        elapsed: bus.elapsed(),
    })
}
