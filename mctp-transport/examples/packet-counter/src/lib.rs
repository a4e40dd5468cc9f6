//! Uses a transport without a stack: counts what comes over USB, until the cable is pulled.
//!
//! The transport is any [`TransportRx`]; [`watch_usb`] takes the one of MCTP over USB, for the
//! endpoint of any `embassy-usb-driver`.

#![no_std]
#![forbid(unsafe_code)]

use embassy_usb_driver::EndpointOut;
use mctp_transport::{DropCounters, Packet, Received, TransportRx};
use mctp_usb::{BufferTooSmall, BusEvents, Receiver, Version};

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Packets with a header of version 1.
    pub packets: u32,
    /// Bytes of their payload.
    pub bytes: u64,
    /// What was no such packet.
    pub drops: DropCounters,
}

/// Counts until the link goes down.
pub async fn watch(transport: &mut impl TransportRx) -> Counts {
    let mut counts = Counts::default();
    loop {
        match transport.receive().await {
            Received::Packet { bytes, .. } | Received::Broadcast { bytes, .. } => {
                match Packet::parse(bytes) {
                    Ok(packet) => {
                        counts.packets = counts.packets.saturating_add(1);
                        counts.bytes = counts.bytes.saturating_add(packet.payload.len() as u64);
                    }
                    Err(error) => counts.drops.count(error.into()),
                }
            }
            Received::Dropped(reason) => counts.drops.count(reason),
            Received::LinkUp => {}
            Received::LinkDown => return counts,
        }
    }
}

/// Counts what comes to a bulk OUT endpoint of MCTP over USB 1.0, until the cable is pulled.
///
/// # Errors
///
/// When `buffer` is too short for an endpoint of this packet size.
pub async fn watch_usb(
    endpoint: impl EndpointOut,
    events: &BusEvents,
    buffer: &mut [u8],
) -> Result<Counts, BufferTooSmall> {
    let mut receiver = Receiver::new(endpoint, Version::V1_0, events, buffer)?;
    Ok(watch(&mut receiver).await)
}
