//! The messages of USB/IP, version 1.1.1, for either side of the connection (Linux,
//! Documentation/usb/usbip_protocol.rst).
//!
//! All numbers are big-endian. Once a device is imported, every message begins with 48 bytes:
//!
//! | offset | field | submit (1) | unlink (2) | submit reply (3) | unlink reply (4) |
//! |---|---|---|---|---|---|
//! | 0 | command | 1 | 2 | 3 | 4 |
//! | 4 | number of the request | its own | its own | that of the request | that of the request |
//! | 8 | device ID | as attached | as attached | 0 | 0 |
//! | 12 | direction | 0 OUT, 1 IN | 0 | 0 | 0 |
//! | 16 | endpoint number | 0 to 15 | 0 | 0 | 0 |
//! | 20 | | flags | number to take back | status | status |
//! | 24 | | length | 0 | bytes done | 0 |
//! | 28 | | start frame | 0 | 0 | 0 |
//! | 32 | | packets | 0 | 0 | 0 |
//! | 36 | | interval | 0 | error count | 0 |
//! | 40 | | SETUP packet, on endpoint 0 | 0 | 0 | 0 |
//!
//! Data follow an OUT submit, and the reply to an IN submit. Then come the packet descriptors of an
//! isochronous transfer, 16 bytes each.
//!
//! ```
//! use remote_usb_device::usbip::wire::{Command, Reply, Unlink};
//!
//! let unlink = Command::Unlink(Unlink { number: 7, device_id: 0x1_0002, target: 6 });
//! assert_eq!(Command::parse(&unlink.emit()), Some(unlink));
//! let reply = Reply::Unlink { number: 7, status: -104 };
//! assert_eq!(Reply::parse(&reply.emit()), Some(reply));
//! ```

mod operation;

pub(crate) use operation::is_bus_id;
pub use operation::{
    BUS_ID_LENGTH, DEVICE_LENGTH, Device, IMPORT_REQUEST_LENGTH, OPERATION_LENGTH, Operation,
    OperationStatus, VERSION,
};

/// The length of the header of every message, in bytes.
pub const HEADER_LENGTH: usize = 48;
/// The length of a packet descriptor of an isochronous transfer, in bytes.
pub const PACKET_DESCRIPTOR_LENGTH: u32 = 16;
/// What some clients give for the number of packets when a transfer is not isochronous; others
/// give 0.
pub const NOT_ISOCHRONOUS: u32 = u32::MAX;
/// Flag of a submit: an OUT transfer that is a multiple of the packet size ends with an empty
/// packet.
pub const ZERO_PACKET: u32 = 0x40;

/// Status of a reply: 0, or one of Linux's error numbers, negative.
pub mod status {
    /// Done.
    pub const SUCCESS: i32 = 0;
    /// ENOENT: there is no such endpoint, or it is not enabled.
    pub const NO_ENDPOINT: i32 = -2;
    /// EINVAL: the device has not what this asks for.
    pub const INVALID: i32 = -22;
    /// EPIPE: the endpoint is halted, or the control request was refused.
    pub const STALL: i32 = -32;
    /// EPROTO: it failed on the way.
    pub const FAILED: i32 = -71;
    /// EOVERFLOW: the device sent more than was asked for.
    pub const BABBLE: i32 = -75;
    /// ECONNRESET, of an unlink: the request was outstanding, and gets no reply.
    pub const UNLINKED: i32 = -104;
    /// ESHUTDOWN: the device was reset or reconfigured.
    pub const SHUT_DOWN: i32 = -108;
}

/// A transfer of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Submit {
    /// Pairs the reply with it.
    pub number: u32,
    /// Which device; a connection has one only.
    pub device_id: u32,
    /// From the device.
    pub is_in: bool,
    /// Endpoint number, 0 to 15.
    pub endpoint: u8,
    /// Flags of Linux's URB, such as [`ZERO_PACKET`].
    pub flags: u32,
    /// Bytes to send, or to receive at most; less than 2^31.
    pub length: u32,
    /// Of an isochronous transfer.
    pub start_frame: u32,
    /// Packets of an isochronous transfer, less than 2^31; else 0 or [`NOT_ISOCHRONOUS`].
    pub packets: u32,
    /// Of an interrupt or isochronous transfer.
    pub interval: u32,
    /// On endpoint 0: the SETUP packet, as on a bus.
    pub setup: [u8; 8],
}

/// The host takes a request back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unlink {
    /// Pairs the reply with it.
    pub number: u32,
    /// Which device.
    pub device_id: u32,
    /// The number of the submit to take back.
    pub target: u32,
}

/// What a host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Command {
    /// Command 1.
    Submit(Submit),
    /// Command 2.
    Unlink(Unlink),
}

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reply {
    /// Command 3.
    Submit {
        /// Of the request.
        number: u32,
        /// See [`status`].
        status: i32,
        /// Bytes done; of an IN transfer, so many follow.
        length: u32,
    },
    /// Command 4.
    Unlink {
        /// Of the request.
        number: u32,
        /// [`status::UNLINKED`], or 0 when the target was answered already.
        status: i32,
    },
}

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMIT_REPLY: u32 = 3;
const UNLINK_REPLY: u32 = 4;

/// The ten numbers of a header.
type Words = [u32; 10];

fn words(header: &[u8; HEADER_LENGTH]) -> Words {
    let mut words = [0; 10];
    for (word, bytes) in words.iter_mut().zip(header.chunks_exact(4)) {
        *word = bytes
            .first_chunk()
            .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    }
    words
}

fn header(words: Words, setup: [u8; 8]) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    let bytes = words.into_iter().flat_map(u32::to_be_bytes).chain(setup);
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = from;
    }
    header
}

/// Whether a number that is signed on the wire is one that a transfer can have.
fn is_size(value: u32) -> bool {
    i32::try_from(value).is_ok()
}

impl Command {
    /// Reads a header. `None` when it is not this protocol: another command, a direction or an
    /// endpoint that there cannot be, a negative length or number of packets. Then it cannot be
    /// known where the next header is.
    pub fn parse(bytes: &[u8; HEADER_LENGTH]) -> Option<Self> {
        let [
            command,
            number,
            device_id,
            direction,
            endpoint,
            flags,
            length,
            start_frame,
            packets,
            interval,
        ] = words(bytes);
        match command {
            SUBMIT => {
                let is_plausible = direction <= 1
                    && endpoint <= 15
                    && is_size(length)
                    && (is_size(packets) || packets == NOT_ISOCHRONOUS);
                is_plausible.then_some(Self::Submit(Submit {
                    number,
                    device_id,
                    is_in: direction == 1,
                    endpoint: endpoint as u8,
                    flags,
                    length,
                    start_frame,
                    packets,
                    interval,
                    setup: bytes.last_chunk().copied().unwrap_or_default(),
                }))
            }
            UNLINK => Some(Self::Unlink(Unlink {
                number,
                device_id,
                target: flags,
            })),
            _ => None,
        }
    }

    /// Writes a header. The data of an OUT transfer follow.
    pub fn emit(&self) -> [u8; HEADER_LENGTH] {
        match *self {
            Self::Submit(submit) => {
                let words = [
                    SUBMIT,
                    submit.number,
                    submit.device_id,
                    submit.is_in.into(),
                    submit.endpoint.into(),
                    submit.flags,
                    submit.length,
                    submit.start_frame,
                    submit.packets,
                    submit.interval,
                ];
                header(words, submit.setup)
            }
            Self::Unlink(unlink) => {
                let (number, device_id, target) = (unlink.number, unlink.device_id, unlink.target);
                header(
                    [UNLINK, number, device_id, 0, 0, target, 0, 0, 0, 0],
                    [0; 8],
                )
            }
        }
    }
}

impl Reply {
    /// Reads a header; `None` when it is no reply.
    pub fn parse(bytes: &[u8; HEADER_LENGTH]) -> Option<Self> {
        let [command, number, _, _, _, status, length, ..] = words(bytes);
        let status = status.cast_signed();
        match command {
            SUBMIT_REPLY => Some(Self::Submit {
                number,
                status,
                length,
            }),
            UNLINK_REPLY => Some(Self::Unlink { number, status }),
            _ => None,
        }
    }

    /// Writes a header.
    pub fn emit(&self) -> [u8; HEADER_LENGTH] {
        let (command, number, status, length) = match *self {
            Self::Submit {
                number,
                status,
                length,
            } => (SUBMIT_REPLY, number, status, length),
            Self::Unlink { number, status } => (UNLINK_REPLY, number, status, 0),
        };
        let status = status.cast_unsigned();
        header([command, number, 0, 0, 0, status, length, 0, 0, 0], [0; 8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header as it is written in a dump: words of four bytes in hexadecimal.
    fn dump(text: &str) -> [u8; HEADER_LENGTH] {
        let digits: String = text.split_whitespace().collect();
        let bytes: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect();
        bytes.try_into().unwrap()
    }

    fn submit(number: u32, is_in: bool, endpoint: u8, length: u32) -> Submit {
        Submit {
            number,
            device_id: 0x0001_0002,
            is_in,
            endpoint,
            flags: if is_in { 0x200 } else { 0 },
            length,
            start_frame: 0,
            packets: 0,
            interval: 0,
            setup: [0; 8],
        }
    }

    /// What Linux 7.2 sent to a device, and what it took for an answer. Do not change this test.
    #[test]
    fn reads_and_writes_what_linux_does() {
        let descriptor = Submit {
            setup: [0x80, 6, 0, 1, 0, 0, 0x40, 0],
            ..submit(1, true, 0, 64)
        };
        let configuration = Submit {
            setup: [0, 9, 1, 0, 0, 0, 0, 0],
            ..submit(5, false, 0, 0)
        };
        let commands = [
            (
                "00000001 00000001 00010002 00000001 00000000 00000200 00000040 00000000 \
                 00000000 00000000 80060001 00004000",
                Command::Submit(descriptor),
            ),
            (
                "00000001 00000005 00010002 00000000 00000000 00000000 00000000 00000000 \
                 00000000 00000000 00090100 00000000",
                Command::Submit(configuration),
            ),
            (
                "00000001 00000006 00010002 00000001 00000001 00000200 00000200 00000000 \
                 00000000 00000000 00000000 00000000",
                Command::Submit(submit(6, true, 1, 512)),
            ),
            (
                "00000001 00000007 00010002 00000000 00000001 00000000 0000000d 00000000 \
                 00000000 00000000 00000000 00000000",
                Command::Submit(submit(7, false, 1, 13)),
            ),
            (
                "00000002 0000013b 00010002 00000000 00000000 0000013a 00000000 00000000 \
                 00000000 00000000 00000000 00000000",
                Command::Unlink(Unlink {
                    number: 0x13B,
                    device_id: 0x0001_0002,
                    target: 0x13A,
                }),
            ),
        ];
        for (text, command) in commands {
            assert_eq!(Command::parse(&dump(text)), Some(command));
            assert_eq!(command.emit(), dump(text));
        }
        let reply = |number, length| Reply::Submit {
            number,
            status: 0,
            length,
        };
        let replies = [
            (
                "00000003 00000001 00000000 00000000 00000000 00000000 00000012 00000000 \
                 00000000 00000000 00000000 00000000",
                reply(1, 18),
            ),
            (
                "00000003 00000005 00000000 00000000 00000000 00000000 00000000 00000000 \
                 00000000 00000000 00000000 00000000",
                reply(5, 0),
            ),
            (
                "00000003 00000007 00000000 00000000 00000000 00000000 0000000d 00000000 \
                 00000000 00000000 00000000 00000000",
                reply(7, 13),
            ),
            (
                "00000004 0000013b 00000000 00000000 00000000 ffffff98 00000000 00000000 \
                 00000000 00000000 00000000 00000000",
                Reply::Unlink {
                    number: 0x13B,
                    status: -104,
                },
            ),
        ];
        for (text, reply) in replies {
            assert_eq!(Reply::parse(&dump(text)), Some(reply));
            assert_eq!(reply.emit(), dump(text));
        }
    }

    #[test]
    fn what_cannot_be_is_not_parsed() {
        let good = Command::Submit(submit(1, true, 15, i32::MAX as u32)).emit();
        assert!(Command::parse(&good).is_some());
        for (offset, value) in [
            (0, 0u32),
            (0, 3),
            (12, 2),
            (16, 16),
            (16, u32::MAX),
            (24, 1 << 31),
            (32, 1 << 31),
            (32, u32::MAX - 1),
        ] {
            let mut bad = good;
            bad[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
            assert_eq!(Command::parse(&bad), None, "{value} at {offset}");
        }
        let mut not_isochronous = good;
        not_isochronous[32..36].fill(0xFF);
        assert!(Command::parse(&not_isochronous).is_some());
    }

    proptest! {
        #[test]
        fn what_parses_emits_the_same_meaning(bytes in any::<[u8; 24]>(), small in any::<[u8; 24]>()) {
            let mut header = [0; HEADER_LENGTH];
            header[..24].copy_from_slice(&bytes);
            header[24..].copy_from_slice(&small);
            for command in 0..5u8 {
                header[..4].copy_from_slice(&[0, 0, 0, command]);
                header[12..20].copy_from_slice(&[0, 0, 0, bytes[0] & 1, 0, 0, 0, bytes[1] & 15]);
                if let Some(command) = Command::parse(&header) {
                    prop_assert_eq!(Command::parse(&command.emit()), Some(command));
                }
                if let Some(reply) = Reply::parse(&header) {
                    prop_assert_eq!(Reply::parse(&reply.emit()), Some(reply));
                }
            }
        }
    }
}
