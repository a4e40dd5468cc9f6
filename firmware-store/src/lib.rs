#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_debug_implementations)]
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

mod bytes;
mod download;
mod error;
mod image;
mod memory;
mod slots;
mod store;
mod streamed;

pub use download::{Download, MAX_PIECES, Piece, PieceError};
pub use error::FirmwareError;
pub use image::firmware_image_header;
pub use memory::{ImageAreas, MemoryFirmware};
pub use slots::{FirmwareSlots, Images};
pub use store::FirmwareStore;
pub use streamed::{CheckedImages, StreamedFirmware};
