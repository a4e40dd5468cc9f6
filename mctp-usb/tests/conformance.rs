//! What every transport must do, by the checks of mctp-transport.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use embassy_usb_driver::{
    Direction, Endpoint, EndpointAddress, EndpointError, EndpointIn, EndpointInfo, EndpointOut,
    EndpointType,
};
use mctp_transport::conformance::{Act, Neighbour, Subject, check};
use mctp_usb::{BusEvents, Receiver, SendLimits, Sender, Version};

/// Bytes before each packet (DSP0283 1.0, section 7): identifier, reserved bits and length.
const HEADER_LEN: usize = 4;

#[derive(Debug, Default)]
struct Bus {
    is_configured: bool,
    host_reads: bool,
    /// USB packets to the device, and from it.
    out: VecDeque<Vec<u8>>,
    taken: Vec<u8>,
}

/// Both endpoints of the device.
#[derive(Debug)]
struct BulkEndpoint {
    bus: Rc<RefCell<Bus>>,
    info: EndpointInfo,
}

impl BulkEndpoint {
    fn new(bus: &Rc<RefCell<Bus>>, direction: Direction, max_packet_size: u16) -> Self {
        Self {
            bus: bus.clone(),
            info: EndpointInfo {
                addr: EndpointAddress::from_parts(1, direction),
                ep_type: EndpointType::Bulk,
                max_packet_size,
                interval_ms: 0,
            },
        }
    }
}

impl Endpoint for BulkEndpoint {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {
        poll_fn(|_| match self.bus.borrow().is_configured {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

impl EndpointOut for BulkEndpoint {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        poll_fn(|_| {
            let mut bus = self.bus.borrow_mut();
            if !bus.is_configured {
                return Poll::Ready(Err(EndpointError::Disabled));
            }
            let Some(packet) = bus.out.pop_front() else {
                return Poll::Pending;
            };
            buffer[..packet.len()].copy_from_slice(&packet);
            Poll::Ready(Ok(packet.len()))
        })
        .await
    }
}

impl EndpointIn for BulkEndpoint {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        poll_fn(|_| {
            let mut bus = self.bus.borrow_mut();
            if !bus.is_configured {
                return Poll::Ready(Err(EndpointError::Disabled));
            }
            if !bus.host_reads {
                return Poll::Pending;
            }
            bus.taken.extend_from_slice(bytes);
            Poll::Ready(Ok(()))
        })
        .await
    }
}

/// The host.
struct Host {
    bus: Rc<RefCell<Bus>>,
    max_packet_size: usize,
}

impl Host {
    /// Sends a USB transfer, and ends it.
    fn transfer(&self, bytes: &[u8]) {
        let mut bus = self.bus.borrow_mut();
        let packets = bytes.chunks(self.max_packet_size).map(<[u8]>::to_vec);
        bus.out.extend(packets);
        // A transfer of 512 bytes ends by itself in 1.0 at high speed; a zero-length packet does no
        // harm there.
        if bytes.len().is_multiple_of(self.max_packet_size) {
            bus.out.push_back(Vec::new());
        }
    }
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let [high, low] = ((packet.len() + HEADER_LEN) as u16).to_be_bytes();
    [&[0x1A, 0xB4, high, low], packet].concat()
}

impl Neighbour for Host {
    fn act(&mut self, act: Act) {
        match act {
            Act::LinkUp => self.bus.borrow_mut().is_configured = true,
            Act::LinkDown => {
                let mut bus = self.bus.borrow_mut();
                bus.is_configured = false;
                bus.out.clear();
            }
            Act::Send(packets) => {
                let frames: Vec<_> = packets.iter().map(|packet| frame(packet)).collect();
                let together = frames.concat();
                match together.len() <= 512 {
                    true => self.transfer(&together),
                    false => frames.iter().for_each(|frame| self.transfer(frame)),
                }
            }
            Act::SendCut(packet) => self.transfer(&frame(&packet)[..HEADER_LEN + packet.len() / 2]),
            Act::SendPart(packet) => {
                let frame = frame(&packet);
                let part = frame.get(..self.max_packet_size).map(<[u8]>::to_vec);
                self.bus.borrow_mut().out.extend(part);
            }
            Act::Read(reads) => self.bus.borrow_mut().host_reads = reads,
            Act::RefuseNext => unreachable!("a bulk endpoint does not refuse"),
        }
    }

    fn taken(&mut self) -> Vec<Vec<u8>> {
        let bytes = std::mem::take(&mut self.bus.borrow_mut().taken);
        let (mut packets, mut rest) = (Vec::new(), &bytes[..]);
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER_LEN>() {
            assert_eq!(header[..2], [0x1A, 0xB4]);
            let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER_LEN;
            let (packet, later) = behind.split_at(length);
            packets.push(packet.to_vec());
            rest = later;
        }
        assert!(rest.is_empty(), "whole packets");
        packets
    }

    fn can_cut(&self) -> bool {
        true
    }

    fn can_refuse(&self) -> bool {
        false
    }
}

fn check_version(version: Version) {
    for max_packet_size in [64, 512] {
        check(|| {
            let bus = Rc::new(RefCell::new(Bus {
                host_reads: true,
                ..Bus::default()
            }));
            let endpoint = |direction| BulkEndpoint::new(&bus, direction, max_packet_size);
            let events: &BusEvents = Box::leak(Box::new(BusEvents::new()));
            let len = version.min_receive_buffer_len(max_packet_size);
            let buffer = Vec::leak(vec![0; len.max(9000)]);
            let receiver = Receiver::new(endpoint(Direction::Out), version, events, buffer);
            let limits = SendLimits::new(version);
            Subject {
                receiver: receiver.unwrap(),
                sender: Sender::new(endpoint(Direction::In), version, events, limits),
                neighbour: Host {
                    bus: bus.clone(),
                    max_packet_size: max_packet_size.into(),
                },
            }
        });
    }
}

#[test]
fn mctp_over_usb_1_0_is_a_transport_by_all_checks() {
    check_version(Version::V1_0);
}

#[cfg(feature = "v1-1")]
#[test]
fn mctp_over_usb_1_1_is_a_transport_by_all_checks() {
    check_version(Version::V1_1);
}
