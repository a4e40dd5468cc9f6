//! USB/IP 1.1.1: the device side, for any host whose kernel has a virtual host controller, such as
//! Linux's `vhci-hcd`.
//!
//! There are two ways in. Over TCP, a client first asks what there is, then imports it:
//! [`Operations::serve`] answers that, and when it gives an [`Import`], the same stream goes to
//! [`Runner::run_usbip`](crate::Runner::run_usbip). Where a program hands a socket to the kernel
//! itself, [`Runner::run_usbip`](crate::Runner::run_usbip) serves the other end from the beginning.
//!
//! # What is special about it
//!
//! - An IN request with nothing to send stays outstanding, and nothing is sent unasked.
//! - There is no message for a bus reset. The device sees one when a host attaches it, and when the
//!   host asks a configured device for 64 bytes of the device descriptor, as Linux does to
//!   enumerate it again; so it does a device that was given another address.
//! - A request that the host takes back is never answered after that: not even if an answer of it
//!   was about to be sent.
//! - A device that is unplugged ends the connection.
//! - One control request is worked on at a time. The stream waits for it, as for an OUT endpoint
//!   that nobody reads, when the next one comes.
//! - The host may ask for any length; nothing is reserved for it. An IN request longer than the
//!   buffer ends early, between packets, and OUT data pass through the buffer as they come.
//! - Isochronous transfers are refused with -22 (EINVAL), after their data were drained.
//!
//! The peer is not authenticated, and nothing is encrypted: listen on the loopback interface.

mod link;
mod operations;
pub mod wire;

pub(crate) use link::Usbip;
pub use operations::{Import, Operations};

/// The bus ID by which the device is imported.
pub const BUS_ID: &str = "1-1";
/// The bus number that a list shows.
pub const BUS_NUMBER: u32 = 1;
/// The device number that a list shows.
pub const DEVICE_NUMBER: u32 = 2;
/// What to write as the device's number to the `attach` file of Linux's `vhci-hcd`: bus number,
/// shifted left by 16, and device number.
pub const DEVICE_ID: u32 = BUS_NUMBER << 16 | DEVICE_NUMBER;
