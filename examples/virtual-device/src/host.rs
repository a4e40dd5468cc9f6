//! What is at the other end of the cable: a host, small but whole, in this process.
//!
//! | part | does what in a PC is done by |
//! |-|-|
//! | [`guest`] | QEMU's `usb-redir` device and the host controller: messages of the usbredir protocol |
//! | [`enumeration`] | the USB core of the operating system: descriptors, configuration |
//! | [`transport`] | the MCTP-over-USB driver |
//! | [`requester`] | the MCTP stack and the programs above it |
//!
//! It shares `mctp-router` and the framing of `mctp-usb` with the device, but nothing of what it
//! checks is taken from them: [`transport::PacketLog`] keeps every packet as it was on the wire.

pub mod enumeration;
pub mod guest;
pub mod requester;
pub mod transport;
