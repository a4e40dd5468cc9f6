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

mod bus_events;
#[cfg(feature = "embassy-usb")]
mod class;
pub mod framing;
mod receiver;
mod sender;

#[cfg(test)]
mod mock;

pub use bus_events::BusEvents;
#[cfg(feature = "embassy-usb")]
pub use class::{Config, MctpUsbClass, PROTOCOL_1_X, State, USB_CLASS_MCTP};
pub use framing::{BufferTooSmall, RECEIVE_BUFFER_LEN_1_0, RECEIVE_BUFFER_LEN_1_1, Version};
pub use receiver::Receiver;
pub use sender::{SendLimits, Sender};
