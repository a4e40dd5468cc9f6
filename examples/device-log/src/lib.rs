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

mod buffer;
mod line;
mod logger;
mod reader;

pub use buffer::{Buffer, Place};
pub use line::LINE_LEN;
pub use logger::{DeviceLog, Sink, default_level};
pub use reader::Reader;
