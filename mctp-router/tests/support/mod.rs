//! What the tests of the router share: packets built by hand, the device that scenarios drive
//! ([`driver`]) with the core ([`sans_io`]) and with the async router ([`async_router`]), a core
//! in the test's own hands ([`bare_core`]), and a virtual world ([`shell`]).
//!
//! Packets are built and taken apart here from the byte tables of DSP0236 1.3.3, section 8.2, not
//! with the code under test.

// Each test file compiles this module for itself and uses a part of it.
#![allow(dead_code)]

pub(crate) mod async_router;
pub(crate) mod bare_core;
pub(crate) mod bridges;
pub(crate) mod driver;
pub(crate) mod sans_io;
pub(crate) mod shell;

use mctp_router::{Config, NetworkId, PortId, Route, Service};
use mctp_transport::{Eid, PhysicalAddress, TransferLayout};

/// The endpoint ID that the tests give the device.
pub(crate) const DEVICE: u8 = 9;
/// The endpoint ID of the host that the tests play.
pub(crate) const HOST: u8 = 8;
pub(crate) const USB: PortId = PortId(0);
/// That of both ports, unless a test says otherwise.
pub(crate) const NETWORK: NetworkId = NetworkId(0);
pub(crate) const I2C: PortId = PortId(1);
pub(crate) const POINT_TO_POINT: PhysicalAddress = PhysicalAddress::POINT_TO_POINT;
pub(crate) const UUID: [u8; 16] = [
    0x2C, 0x1F, 0x96, 0xD4, 0x5D, 0x1C, 0x4B, 0x0A, 0x9D, 0x6E, 1, 2, 3, 4, 5, 6,
];

/// MCTP over USB 1.0 (DSP0283): packets up to 251 bytes behind a header of 4, many to a transfer of
/// 512.
pub(crate) const USB_LAYOUT: TransferLayout = TransferLayout::new(4, 251, 512).with_packs(true);
/// Like MCTP over SMBus (DSP0237): a packet is a transfer, and goes to an address.
/// What the I2C-like transport says of itself: it is fair. The USB-like one says nothing.
pub(crate) const I2C_MEDIUM_SPECIFIC: u8 = 1;
pub(crate) const I2C_LAYOUT: TransferLayout = TransferLayout::new(4, 254, 259).with_tailroom(1);

/// Message type and prefix of the echo of the Linux MCTP tools.
pub(crate) const ECHO_TYPE: u8 = 0x7E;
pub(crate) const ECHO: Service = Service::vendor_pci(0xCCDE, &[0xF0]);
const ECHO_PREFIX: [u8; 4] = [ECHO_TYPE, 0xCC, 0xDE, 0xF0];

/// An echo request of `len` bytes, message type included; each byte differs from its neighbours.
pub(crate) fn echo_message(len: usize) -> Vec<u8> {
    let body = (ECHO_PREFIX.len()..len).map(|index| (index % 251) as u8);
    ECHO_PREFIX.into_iter().chain(body).collect()
}

/// The header of a packet to be built: by default that of a whole request with tag 0 from the host
/// to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    /// Byte 0: header version in the low half, reserved bits above.
    pub(crate) version: u8,
    pub(crate) destination: u8,
    pub(crate) source: u8,
    pub(crate) start: bool,
    pub(crate) end: bool,
    pub(crate) sequence: u8,
    pub(crate) tag_owner: bool,
    pub(crate) tag: u8,
}

pub(crate) const REQUEST: Wire = Wire {
    version: 1,
    destination: DEVICE,
    source: HOST,
    start: true,
    end: true,
    sequence: 0,
    tag_owner: true,
    tag: 0,
};

impl Wire {
    /// The packet with this header and `payload`.
    pub(crate) fn packet(self, payload: &[u8]) -> Vec<u8> {
        let flags = (self.start as u8) << 7
            | (self.end as u8) << 6
            | self.sequence << 4
            | (self.tag_owner as u8) << 3
            | self.tag;
        [
            &[self.version, self.destination, self.source, flags],
            payload,
        ]
        .concat()
    }

    pub(crate) fn first(self) -> Self {
        Self {
            start: true,
            end: false,
            ..self
        }
    }

    pub(crate) fn middle(self, sequence: u8) -> Self {
        Self {
            start: false,
            end: false,
            sequence,
            ..self
        }
    }

    pub(crate) fn last(self, sequence: u8) -> Self {
        Self {
            start: false,
            end: true,
            sequence,
            ..self
        }
    }

    pub(crate) fn tag(self, tag: u8) -> Self {
        Self { tag, ..self }
    }

    pub(crate) fn from(self, source: u8) -> Self {
        Self { source, ..self }
    }

    pub(crate) fn to(self, destination: u8) -> Self {
        Self {
            destination,
            ..self
        }
    }

    /// The packets of `message` (message type included) in units of `unit`, numbered from this
    /// header's sequence number.
    pub(crate) fn packets(self, message: &[u8], unit: usize) -> Vec<Vec<u8>> {
        let chunks: Vec<&[u8]> = message.chunks(unit).collect();
        let number = |index: usize| (self.sequence + (index % 4) as u8) % 4;
        let packets = chunks.iter().enumerate().map(|(index, chunk)| {
            let header = Self {
                start: index == 0,
                end: index + 1 == chunks.len(),
                sequence: number(index),
                ..self
            };
            header.packet(chunk)
        });
        packets.collect()
    }

    pub(crate) fn parse(packet: &[u8]) -> (Self, &[u8]) {
        let flags = packet[3];
        let header = Self {
            version: packet[0],
            destination: packet[1],
            source: packet[2],
            start: flags & 0x80 != 0,
            end: flags & 0x40 != 0,
            sequence: flags >> 4 & 3,
            tag_owner: flags & 0x08 != 0,
            tag: flags & 0x07,
        };
        (header, &packet[4..])
    }
}

/// A message put together again, and how it was cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    /// The header of the start packet, as if it were the only one.
    pub(crate) header: Wire,
    /// Message type included.
    pub(crate) message: Vec<u8>,
    /// The payload length of each packet.
    pub(crate) units: Vec<usize>,
}

/// A route to the neighbour 33h of a port.
pub(crate) fn route(first: u8, last: u8, port: PortId, unit: usize) -> Route {
    let address = PhysicalAddress::from_byte(0x33);
    Route::new(Eid(first), Eid(last), port, address).with_transmission_unit(unit)
}

/// Puts messages together as a strict receiver does: nothing missing, sequence numbers without
/// gaps, one size for all packets but the last, which is not larger. In the order in which the
/// messages end.
pub(crate) fn assemble(packets: &[Vec<u8>]) -> Vec<Assembled> {
    let mut open: Vec<(Wire, Assembled)> = Vec::new();
    let mut done = Vec::new();
    for packet in packets {
        let (header, payload) = Wire::parse(packet);
        assert_eq!(header.version, 1, "version 1, reserved bits zero");
        let key = |wire: &Wire| (wire.destination, wire.source, wire.tag_owner, wire.tag);
        let known = open.iter().position(|(last, _)| key(last) == key(&header));
        let index = match (known, header.start) {
            (None, true) => {
                let whole = Wire {
                    end: true,
                    ..header
                };
                let new = Assembled {
                    header: whole,
                    message: Vec::new(),
                    units: Vec::new(),
                };
                open.push((header, new));
                open.len() - 1
            }
            (Some(index), false) => {
                let expected = (open[index].0.sequence + 1) % 4;
                assert_eq!(header.sequence, expected, "sequence numbers count by one");
                index
            }
            (Some(_), true) => panic!("a start packet within its message: {header:?}"),
            (None, false) => panic!("a middle or end packet without a start: {header:?}"),
        };
        let (last, assembled) = &mut open[index];
        *last = header;
        assembled.message.extend_from_slice(payload);
        assembled.units.push(payload.len());
        if header.end {
            let (_, assembled) = open.remove(index);
            let [middles @ .., last] = &assembled.units[..] else {
                unreachable!()
            };
            let unit = assembled.units[0];
            assert!(
                middles.iter().all(|len| *len == unit),
                "one unit: {:?}",
                assembled.units
            );
            assert!(
                middles.is_empty() || unit >= 64,
                "at least the baseline unit"
            );
            assert!(*last <= unit && *last > 0, "the last is not larger");
            done.push(assembled);
        }
    }
    assert!(open.is_empty(), "unfinished: {open:?}");
    done
}

/// A transfer that a port sent: to whom, and its packets.
pub(crate) type SentTransfer = (PhysicalAddress, Vec<Vec<u8>>);

pub(crate) fn config() -> Config {
    Config::new(UUID)
}
