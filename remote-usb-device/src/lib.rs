#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod bus;
mod collector;
mod control;
mod copy;
mod descriptors;
mod driver;
mod endpoint;
mod engine;
mod protocol;
mod queue;
mod runner;
mod state;
pub mod usbip;
pub mod usbredir;

pub use bus::Bus;
pub use control::ControlPipe;
pub use driver::Driver;
pub use embassy_usb_driver::Speed;
pub use endpoint::{EndpointIn, EndpointOut};
pub use engine::Counters;
pub use queue::MAX_TRANSFERS;
pub use runner::{Error, Runner};
pub use state::{Buffers, State};

use embassy_sync::blocking_mutex::raw::RawMutex;

/// What cannot be learnt from the device's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Config {
    /// The speed that the guest sees. Choose the maximum packet sizes of the classes to match: a
    /// bulk endpoint has 512 bytes at high speed, and 8 to 64 at full speed. High unless set
    /// otherwise.
    pub speed: Speed,
}

impl Default for Config {
    fn default() -> Self {
        Self { speed: Speed::High }
    }
}

/// Control over a device from beside its tasks.
pub struct Handle<'d, M: RawMutex> {
    state: &'d State<'d, M>,
}

impl<M: RawMutex> Clone for Handle<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: RawMutex> Copy for Handle<'_, M> {}

impl<'d, M: RawMutex> Handle<'d, M> {
    /// Unplugs the device (`false`) or plugs it in again. It starts plugged in. Over usbredir the
    /// connection stays; over USB/IP, which has no message for that, unplugging ends it.
    pub fn set_attached(&self, attached: bool) {
        self.state.with(|engine| engine.set_attached(attached));
    }

    /// Answers what a USB/IP client asks before it has the device.
    pub fn usbip(&self) -> usbip::Operations<'d, M> {
        usbip::Operations { state: self.state }
    }

    /// True while a guest has configured the device.
    pub fn is_configured(&self) -> bool {
        self.state.with(|engine| engine.is_configured())
    }

    /// What went unusually so far.
    pub fn counters(&self) -> Counters {
        self.state.with(|engine| engine.counters)
    }
}

/// Makes the parts of a device: the driver for embassy-usb, the runner for the stream, and a
/// handle.
///
/// Call it once for each state: two drivers on one state would take each other's requests.
pub fn new<'d, M: RawMutex>(
    state: &'d State<'d, M>,
    config: Config,
) -> (Driver<'d, M>, Runner<'d, M>, Handle<'d, M>) {
    state.with(|engine| engine.set_speed(config.speed));
    (Driver { state }, Runner { state }, Handle { state })
}
