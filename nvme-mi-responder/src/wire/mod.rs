//! The bytes of NVMe-MI messages and of what they carry (NVMe-MI 1.2; what 2.0 and later add is
//! named so; NVM Express Base 2.0 for Admin commands).
//!
//! Each header, request, response and data structure is a type: its page is its byte table. They
//! are for both sides: a requester, such as a baseboard management controller, builds requests and
//! reads responses; a responder reads requests and builds responses. The modules group the types;
//! every type can also be named here, as `wire::ManagementRequest`.
//!
//! # What a message consists of
//!
//! | message | request | command | response | result |
//! |-|-|-|-|-|
//! | control primitive | [`ControlPrimitiveRequest`] | | [`ControlPrimitiveResponse`] | |
//! | Management Interface command | [`ManagementRequest`] | [`ManagementCommand`] | [`ManagementResponse`] | such as [`ReadDataStructureResult`] |
//! | Admin command | [`AdminRequest`] | [`AdminCommand`] | [`AdminResponse`] | |
//! | PCIe command | [`PcieRequest`] | | [`PcieResponse`] | |
//! | Asynchronous Event Message (2.0) | | | [`EventMessage`] | |
//!
//! Request Data or Response Data follow, with a type of their own. A response that is not a success
//! is a [`GenericResponse`], an [`InvalidParameterResponse`] or a
//! [`MoreProcessingRequiredResponse`]. The Message Integrity Check ends every message. A *command*
//! is what a request has in the dwords that each command uses differently, a *result* what a
//! response has in their place.
//!
//! # Byte numbers
//!
//! A message counts from the message type byte, byte 0 (NVMe-MI 1.2, section 3.1.1, Figure 17).
//! That byte belongs to MCTP: message bodies of the `mctp` traits and of `AF_MCTP` sockets begin
//! behind it. So messages begin at byte 1 here, commands at byte 8 (Management Interface) or 44
//! (Admin), results at byte 5. A data structure counts from its own first byte. [`location!`] gives
//! these numbers, and [`Wire::BYTE_TABLE`] has all of a type. A field that the table calls `3:2` is
//! in bytes 2 and 3, the least significant in byte 2.
//!
//! # How they are used
//!
//! All types are made of bytes and can stand anywhere in a buffer. [`zerocopy`] reads and writes
//! them: `ref_from_prefix` and `read_from_bytes` read, `mut_from_prefix` and `as_bytes` write.
//! `default` is all zeros; where the stack is small, a structure of 4096 bytes is better built in
//! its buffer, with `mut_from_bytes`. Reading checks lengths only: any bytes are a value of each
//! type. Values that the standard does not define survive parsing, and so do reserved bits, which
//! only the methods ignore. Fields that are reserved, or not described here, are private: they are
//! zero in what is built, and `==` sees them in what is read.
//!
//! ```
//! use nvme_mi_responder::wire::{
//!     ManagementRequest, ManagementResponse, ResponseStatus, SubsystemHealth, SubsystemHealthPoll,
//! };
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! // The request: poll the health of the subsystem, and clear what changed.
//! let mut command = SubsystemHealthPoll::default();
//! command.flags = SubsystemHealthPoll::CLEAR_STATUS;
//! let request = ManagementRequest::new(0, command);
//! assert_eq!(request.as_bytes(), [8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
//!
//! // The response, without message type byte and Message Integrity Check.
//! let answer = [0x88, 0, 0, 0, 0, 0, 0, 0x38, 0xFF, 30, 2, 0, 2, 0, 0];
//! let (response, data) = ManagementResponse::ref_from_prefix(&answer).unwrap();
//! assert_eq!(response.status, ResponseStatus::SUCCESS);
//! let (health, _) = SubsystemHealth::ref_from_prefix(data).unwrap();
//! assert_eq!((health.composite_temperature, health.percentage_used), (30, 2));
//! let changes = health.composite_controller_status.get();
//! assert_eq!(changes, SubsystemHealth::TEMPERATURE_CHANGE);
//! ```

pub mod admin;
pub mod admin_commands;
mod commands;
pub mod control;
pub mod events;
pub mod features;
pub mod health;
pub mod identify;
mod layout;
pub mod logs;
pub mod management;
pub mod message;
pub mod pcie;
pub mod structures;
#[cfg(test)]
mod tests;
pub mod vpd;

#[doc(inline)]
pub use crate::location;
#[doc(no_inline)]
pub use admin::*;
#[doc(no_inline)]
pub use admin_commands::*;
pub use commands::{COMMANDS, Command};
#[doc(no_inline)]
pub use control::*;
#[doc(no_inline)]
pub use events::*;
#[doc(no_inline)]
pub use features::*;
#[doc(no_inline)]
pub use health::*;
#[doc(no_inline)]
pub use identify::*;
pub use layout::{FieldLayout, Layout, Wire};
#[doc(no_inline)]
pub use logs::*;
#[doc(no_inline)]
pub use management::*;
#[doc(no_inline)]
pub use message::*;
#[doc(no_inline)]
pub use pcie::*;
#[doc(no_inline)]
pub use structures::*;
#[doc(no_inline)]
pub use vpd::*;
