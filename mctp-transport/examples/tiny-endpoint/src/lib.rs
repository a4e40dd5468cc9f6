//! Writes a stack: an endpoint that answers echo requests of one packet, over any transport.
//!
//! It has no endpoint ID: a host reaches it by its physical address, with destination endpoint ID 0.

#![no_std]
#![forbid(unsafe_code)]

use mctp_transport::{
    DropCounters, DropReason, Eid, Packet, PacketHeader, RawHeader, Received, Transfer,
    TransportRx, TransportTx,
};

/// Vendor defined (PCI), with the vendor ID and the subtype of the echo service.
const ECHO: [u8; 4] = [0x7E, 0xCC, 0xDE, 0xF0];

/// Whether this packet is a whole echo request for whoever is there.
fn is_echo_request(packet: &Packet<'_>) -> bool {
    let PacketHeader {
        destination,
        start,
        end,
        tag_owner,
        ..
    } = packet.header;
    destination == Eid(0) && start && end && tag_owner && packet.payload.starts_with(&ECHO)
}

/// Answers requests until the link goes down; what was not answered is counted.
pub async fn serve(
    receiver: &mut impl TransportRx,
    sender: &mut impl TransportTx,
    buffer: &mut [u8],
) -> DropCounters {
    let mut drops = DropCounters::new();
    let mut transfer = Transfer::new(buffer, sender.layout());
    loop {
        let (source, bytes) = match receiver.receive().await {
            Received::Packet { source, bytes } => (source, bytes),
            // It knows itself by its physical address alone.
            Received::Broadcast { .. } => {
                drops.count(DropReason::NotOurDestination);
                continue;
            }
            Received::Dropped(reason) => {
                drops.count(reason);
                continue;
            }
            Received::LinkUp => continue,
            Received::LinkDown => return drops,
        };
        let packet = match Packet::parse(bytes) {
            Ok(packet) if is_echo_request(&packet) => packet,
            Ok(_) => {
                drops.count(DropReason::UnsupportedMessageType);
                continue;
            }
            Err(error) => {
                drops.count(error.into());
                continue;
            }
        };
        let header = RawHeader::from(packet.header)
            .of_response(Eid(0))
            .with_end();
        transfer.clear();
        let Some(place) = transfer.push(source, header, packet.payload.len()) else {
            drops.count(DropReason::UnsupportedTransmissionUnit);
            continue;
        };
        place.copy_from_slice(packet.payload);
        if let Err(error) = sender.send(&mut transfer).await {
            drops.count(error.into());
        }
    }
}
