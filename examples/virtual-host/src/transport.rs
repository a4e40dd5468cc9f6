//! MCTP over USB (DSP0283) as the host's driver does it: IN requests always outstanding, OUT
//! transfers one by one.

use std::cell::RefCell;
use std::collections::VecDeque;

use mctp_transport::{
    DropReason, Packet, PhysicalAddress, Received, SendError, Transfer, TransferLayout,
    TransportRx, TransportTx,
};
use mctp_usb::Version;
use mctp_usb::framing::{HEADER_LEN, Reassembler};

use super::enumeration::{EndpointDescriptor, InterfaceDescriptor};
use super::guest::{BulkIn, Guest, UsbError};

/// IN requests that the device has in hand.
const REQUESTS: usize = 4;

/// Which way a packet went, as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the device.
    ToDevice,
    /// From the device.
    FromDevice,
}

/// Every packet that crossed the wire, as it was.
#[derive(Debug, Default)]
pub struct PacketLog(RefCell<Vec<(Direction, Vec<u8>)>>);

impl PacketLog {
    /// Takes what was logged since the last call.
    pub fn take(&self) -> Vec<(Direction, Vec<u8>)> {
        self.0.take()
    }

    fn add(&self, direction: Direction, packet: &[u8]) {
        self.0.borrow_mut().push((direction, packet.to_vec()));
    }
}

/// Where the interface's packets go, and how long they may be.
#[derive(Clone, Copy, Debug)]
pub struct Pipes {
    /// The binding that the interface speaks.
    pub version: Version,
    /// The bulk OUT endpoint.
    pub output: EndpointDescriptor,
    /// The bulk IN endpoint.
    pub input: EndpointDescriptor,
}

impl Pipes {
    /// Finds them in an MCTP interface as Linux 7.3 does: by class, subclass and protocol. `None`
    /// when it is not one.
    pub fn of(interface: &InterfaceDescriptor) -> Option<Self> {
        let version = match interface.class {
            [0x14, 0x00, 0x01] => Version::V1_0,
            [0x14, 0x02, 0x01] => Version::V1_1,
            _ => return None,
        };
        let bulk = |input| {
            interface
                .endpoints
                .iter()
                .find(|endpoint| endpoint.is_bulk(input))
        };
        Some(Self {
            version,
            output: *bulk(false)?,
            input: *bulk(true)?,
        })
    }

    /// How many bytes to ask the device for: a whole 1.0 transfer, or more than one of 1.1.
    pub const fn request_length(&self) -> usize {
        match self.version {
            Version::V1_0 => 512,
            _ => 16 * 1024,
        }
    }

    /// A receive buffer for [`HostReceiver::new`].
    pub fn receive_buffer() -> Vec<u8> {
        vec![0; mctp_usb::RECEIVE_BUFFER_LEN_1_1]
    }
}

/// Receives from the bulk IN endpoint.
pub struct HostReceiver<'h> {
    guest: &'h Guest,
    pipes: Pipes,
    log: &'h PacketLog,
    reassembler: Reassembler<'h>,
    requests: VecDeque<BulkIn>,
    found: VecDeque<Result<Vec<u8>, DropReason>>,
    packet: Vec<u8>,
    link: Link,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    New,
    Up,
    Gone,
}

impl<'h> HostReceiver<'h> {
    /// Receives into `buffer`, see [`Pipes::receive_buffer`].
    ///
    /// # Errors
    ///
    /// When the buffer is too short.
    pub fn new(
        guest: &'h Guest,
        pipes: Pipes,
        log: &'h PacketLog,
        buffer: &'h mut [u8],
    ) -> Result<Self, mctp_usb::BufferTooSmall> {
        Ok(Self {
            guest,
            pipes,
            log,
            reassembler: Reassembler::new(pipes.version, pipes.input.max_packet_size, buffer)?,
            requests: VecDeque::new(),
            found: VecDeque::new(),
            packet: Vec::new(),
            link: Link::New,
        })
    }

    async fn next_transfer(&mut self) -> Result<Vec<u8>, UsbError> {
        let (endpoint, length) = (self.pipes.input.address, self.pipes.request_length());
        while self.requests.len() < REQUESTS {
            self.requests
                .push_back(self.guest.bulk_in(endpoint, length));
        }
        let transfer = match self.requests.front_mut() {
            Some(request) => request.complete().await,
            None => Ok(Vec::new()),
        };
        self.requests.pop_front();
        transfer
    }

    /// Takes the transfer apart into the USB packets it came in, and those into MCTP packets.
    fn take_apart(&mut self, transfer: &[u8]) {
        let full = usize::from(self.pipes.input.max_packet_size);
        let ends_with_zero_length_packet =
            transfer.len().is_multiple_of(full) && transfer.len() < self.pipes.request_length();
        let last: &[&[u8]] = if ends_with_zero_length_packet {
            &[&[]]
        } else {
            &[]
        };
        for usb_packet in transfer.chunks(full).chain(last.iter().copied()) {
            self.reassembler.buffer()[..usb_packet.len()].copy_from_slice(usb_packet);
            let given_up = self.reassembler.received(usb_packet.len());
            self.found.extend(given_up.map(Err));
            while let Some(found) = self.reassembler.next_packet() {
                if let Ok(packet) = found {
                    self.log.add(Direction::FromDevice, packet);
                }
                self.found.push_back(found.map(<[u8]>::to_vec));
            }
        }
    }

    fn next_found(&mut self) -> Option<Result<(), DropReason>> {
        Some(self.found.pop_front()?.map(|packet| self.packet = packet))
    }
}

impl TransportRx for HostReceiver<'_> {
    /// The device waits for room in the pipe.
    fn can_wait(&self) -> bool {
        true
    }

    fn put_back(&mut self) {
        self.found.push_front(Ok(std::mem::take(&mut self.packet)));
    }

    async fn receive(&mut self) -> Received<'_> {
        match self.link {
            Link::New => {
                self.link = Link::Up;
                return Received::LinkUp;
            }
            Link::Up => {}
            Link::Gone => std::future::pending().await,
        }
        loop {
            match self.next_found() {
                Some(Ok(())) => break,
                Some(Err(reason)) => return Received::Dropped(reason),
                None => {}
            }
            match self.next_transfer().await {
                Ok(transfer) => self.take_apart(&transfer),
                Err(_) => {
                    self.link = Link::Gone;
                    return Received::LinkDown;
                }
            }
        }
        Received::Packet {
            source: PhysicalAddress::POINT_TO_POINT,
            bytes: &self.packet,
        }
    }
}

/// Sends to the bulk OUT endpoint.
pub struct HostSender<'h> {
    guest: &'h Guest,
    pipes: Pipes,
    log: &'h PacketLog,
}

impl<'h> HostSender<'h> {
    /// Sends each MCTP packet that it is given, and logs it.
    pub fn new(guest: &'h Guest, pipes: Pipes, log: &'h PacketLog) -> Self {
        Self { guest, pipes, log }
    }
}

impl TransportTx for HostSender<'_> {
    fn layout(&self) -> TransferLayout {
        let max_transfer = match self.pipes.version {
            Version::V1_0 => 512,
            _ => 8191,
        };
        let max_packet = self.pipes.version.max_packet();
        TransferLayout::new(HEADER_LEN as u8, max_packet, max_transfer).with_packs(true)
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        let Pipes {
            version, output, ..
        } = &self.pipes;
        while let Some(bytes) = transfer.next_bus_transfer(|frame| {
            if let Some(header) = version.encode(frame.packet.len()) {
                frame.headroom.copy_from_slice(&header);
            }
            self.log.add(Direction::ToDevice, frame.packet);
        }) {
            let ends_by_itself = *version == Version::V1_0
                || !bytes.len().is_multiple_of(output.max_packet_size.into());
            let mut sent = self.guest.bulk_out(output.address, bytes).await;
            if !ends_by_itself {
                sent = sent.and(self.guest.bulk_out(output.address, &[]).await);
            }
            sent.map_err(|_| SendError::LinkDown)?;
        }
        Ok(())
    }
}

/// Checks how a message was cut into packets (DSP0236 1.3.3, sections 8.2 to 8.5), and returns it
/// put together again.
///
/// # Errors
///
/// What is wrong with the packets.
pub fn join_packets(packets: &[&[u8]], unit: usize) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    let mut first = None;
    for (index, bytes) in packets.iter().enumerate() {
        let packet = Packet::parse(bytes).map_err(|error| error.to_string())?;
        let (header, is_last) = (packet.header, index + 1 == packets.len());
        let start = *first.get_or_insert(header);
        let sequence = start.sequence.value().wrapping_add(index as u8) & 3;
        let same = (
            header.source,
            header.destination,
            header.tag,
            header.tag_owner,
        ) == (start.source, start.destination, start.tag, start.tag_owner);
        if bytes[0] != 1 || !same || header.sequence.value() != sequence {
            return Err(format!("packet {index} has another header than the first"));
        }
        if header.start != (index == 0) || header.end != is_last {
            return Err(format!(
                "packet {index} of {} is marked wrongly",
                packets.len()
            ));
        }
        if packet.payload.len() > unit
            || packet.payload.is_empty()
            || (!is_last && packet.payload.len() != unit)
        {
            return Err(format!(
                "packet {index} has {} bytes of payload",
                packet.payload.len()
            ));
        }
        message.extend_from_slice(packet.payload);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_message_are_put_together() {
        let first = [&[1, 9, 8, 0x88][..], &[7; 64]].concat();
        let second = [1, 9, 8, 0x58, 1, 2];
        let message = join_packets(&[&first, &second], 64).unwrap();
        assert_eq!(message, [&[7; 64][..], &[1, 2]].concat());
    }

    #[test]
    fn packets_that_break_a_rule_are_found() {
        let first = [&[1, 9, 8, 0x88][..], &[7; 64]].concat();
        for bad in [
            [1, 9, 8, 0x68, 1],
            [1, 9, 8, 0x18, 1],
            [1, 9, 8, 0x59, 1],
            [1, 9, 9, 0x58, 1],
            [0x11, 9, 8, 0x58, 1],
            [1, 9, 8, 0xD8, 1],
        ] {
            assert!(join_packets(&[&first, &bad], 64).is_err(), "{bad:?}");
        }
        assert!(
            join_packets(&[&first[..67], &[1, 9, 8, 0x58, 1]], 64).is_err(),
            "a short middle packet"
        );
        assert!(
            join_packets(&[&first, &[1, 9, 8, 0x58]], 64).is_err(),
            "an empty last packet"
        );
    }
}
