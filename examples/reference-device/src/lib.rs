//! The reference device: MCTP over USB with control protocol and echo, assembled once for every board.
//!
//! A board brings a USB driver, a clock and an identity, gives them to [`run`], and that is the device:
//!
//! ```text
//! USB driver (board) -> mctp-usb -> mctp-router -> mctp-echo
//!                                       |
//!                                       +-> control protocol
//! ```
//!
//! Boards in this repository: `virtual-device` (a process on a PC) and `nucleo-h7s3` (STM32H7S3L8 Nucleo).

#![no_std]
#![forbid(unsafe_code)]

mod device;
mod identity;
mod observer;

pub use device::{Memory, Options, run};
pub use identity::{Identity, NAMESPACE, uuid_from_unique_id};
pub use mctp_router::{Clock, Event, Instant};
pub use mctp_transport::DropCounters;
pub use mctp_usb::Version;
pub use observer::{Direction, Observer};
