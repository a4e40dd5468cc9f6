#![doc = include_str!("../README.md")]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod core;
mod fifo;
mod host;
mod instruction;
mod simulator;
mod task;
mod window;

pub use host::{Host, TransferError};
pub use simulator::{ENDPOINT_COUNT, FIFO_DEPTH_WORDS, Simulator};

/// The speed of the port that the device is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// 480 Mbit/s.
    High,
    /// 12 Mbit/s. The core keeps its high-speed PHY.
    Full,
}

/// The data toggle of a packet (USB 2.0, section 8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Toggle {
    /// DATA0.
    #[default]
    Data0,
    /// DATA1.
    Data1,
}

impl Toggle {
    /// The toggle of the next packet.
    pub fn next(self) -> Self {
        match self {
            Self::Data0 => Self::Data1,
            Self::Data1 => Self::Data0,
        }
    }
}

/// What the device answers to a SETUP or OUT transaction. High speed's NYET counts as ACK, and no
/// PING is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The packet was taken.
    Ack,
    /// Not now.
    Nak,
    /// The endpoint is halted, or the control request was refused.
    Stall,
    /// Silence: no such address or endpoint, or the device does not take part in the bus.
    NoResponse,
}

/// What the device answers to an IN token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InResponse {
    /// A data packet.
    Data {
        /// DATA0 or DATA1.
        toggle: Toggle,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Not now.
    Nak,
    /// The endpoint is halted, or the control request was refused.
    Stall,
    /// Silence: no such address or endpoint, or the device does not take part in the bus.
    NoResponse,
}

/// The host's handshake after a data packet of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// The host acknowledges the packet.
    Ack,
    /// The host is silent, or its ACK is lost.
    Lost,
}
