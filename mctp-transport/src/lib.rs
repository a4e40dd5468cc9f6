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

#[cfg(feature = "testing")]
extern crate alloc;

mod address;
#[cfg(feature = "testing")]
pub mod conformance;
mod drop_reason;
pub mod header;
#[cfg(feature = "testing")]
pub mod memory;
mod transfer;
mod transport;

pub use address::PhysicalAddress;
pub use drop_reason::{DropCounters, DropReason};
pub use header::{AssemblyKey, ExpectedHeader};
pub use header::{BASELINE_TRANSMISSION_UNIT, HEADER_LEN, HEADER_VERSION};
pub use header::{HeaderError, MessageTag, Packet, PacketHeader, RawHeader, SequenceNumber};
pub use mctp::Eid;
pub use transfer::{Frame, Room, Transfer, TransferLayout};
pub use transport::{Received, SendError, TransportRx, TransportTx};
