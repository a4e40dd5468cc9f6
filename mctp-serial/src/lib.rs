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

pub mod framing;
mod line;
mod receiver;
mod resync;
mod sender;

#[cfg(test)]
mod mock;

pub use framing::{BufferTooSmall, FrameCheckSequence};
pub use line::{Line, PermanentLine};
pub use receiver::Receiver;
pub use resync::Resync;
pub use sender::Sender;
