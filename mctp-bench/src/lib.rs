#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
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
#![warn(missing_docs)]

mod pattern;
mod receiver;
mod service;
mod stream;
mod wire;

pub use mctp_time::{Clock, Instant};
pub use receiver::{Receiver, Statistics};
pub use service::{Answer, Bench, End, Sent, serve};
pub use stream::{DataMessage, Slices, Stream};
pub use wire::{Data, Message, Request, Response, Status};

/// The PCI vendor ID of the Linux MCTP tools.
pub const VENDOR_ID: u16 = 0xCCDE;

/// What follows the vendor ID in a benchmark message.
pub const SUBTYPE: u8 = 0xF1;

/// Bytes of the shortest data message, message type not counted: all before the payload.
pub const MIN_LENGTH: u16 = 9;

/// The sequence number that a stream starts with: it soon passes through 0.
pub const FIRST_SEQUENCE_NUMBER: u32 = 0xFFFF_FFFA;
