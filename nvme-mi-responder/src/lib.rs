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

pub mod admin;
pub mod aem;
mod bytes;
mod commands;
mod context;
pub mod control;
mod device;
mod endpoint;
mod events;
mod exchange;
mod failure;
mod message;
pub mod mi;
mod model;
pub mod pcie;
mod requester;
mod reset;
mod serve;
mod slots;
mod transport_errors;
pub mod wire;
pub mod world;

pub use device::Device;
pub use endpoint::{EventMessage, ManagementEndpoint, Source, Transmission};
pub use failure::{CompletionStatus, Failure, Status};
pub use mctp_crc32c::{Crc32c, SoftwareCrc32c, TableCrc32c};
pub use mctp_time::{Clock, Instant};
pub use message::{DropReason, Drops, MAX_MESSAGE_LENGTH};
pub use model::{
    ControllerConfig, ControllerId, Function, Identity, IdentityText, LinkWidth, Model, ModelError,
    NamespaceId, PciAddress, PciePort, PortConfig, PortId, PortKind, SmbusFrequency, Subsystem,
    TwoWirePort, Vendor,
};
pub use requester::Requester;
pub use serve::{Copied, Listen, Listener, ReceivedMessage, Server};
pub use slots::MessageBuffer;
pub use transport_errors::{TransportError, TransportErrors};
