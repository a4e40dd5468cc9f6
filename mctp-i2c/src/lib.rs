#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_debug_implementations)]
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

#[cfg(feature = "testing")]
extern crate alloc;

mod address;
mod bus_status;
mod config;
pub mod framing;
mod frequency;
mod pec;
mod receiver;
mod sender;
#[cfg(feature = "testing")]
pub mod simulated_bus;
mod target;

pub use address::{NotATarget, TargetAddress};
pub use bus_status::{BusStatus, Unknown};
pub use config::{Config, Role, Timing};
pub use framing::{Decoded, FrameError, WrongLength};
pub use frequency::{BusFrequency, SharedBusFrequency};
pub use pec::pec;
pub use receiver::{BufferTooSmall, MIN_RECEIVE_BUFFER_LEN, RECEIVE_BUFFER_LEN, Receiver};
pub use sender::Sender;
pub use target::{Target, TargetError};
