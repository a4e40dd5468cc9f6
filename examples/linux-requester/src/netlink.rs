//! rtnetlink requests for MCTP: link state and MTU, local endpoint ID, routes, neighbours (Linux
//! `rtnetlink(7)`, `net/mctp`).
//!
//! A request is a 16-byte header `length u32, type u16, flags u16, sequence u32, port u32`, a fixed
//! structure that depends on the type, then attributes `length u16, type u16, value` padded to 4
//! bytes; all in the machine's byte order. The kernel answers with an error message whose code is 0
//! for success or a negative `errno`.
//!
//! A neighbour entry maps an endpoint ID to a hardware address. USB and serial lines have none.

use std::io;
use std::ops::RangeInclusive;

/// `AF_NETLINK`.
pub const FAMILY: u16 = 16;
const AF_MCTP: u8 = 45;

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_ACK: u16 = 0x004;
const NLM_F_CREATE: u16 = 0x400;

const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_METRICS: u16 = 8;
const RTAX_MTU: u16 = 2;
/// In the type of an attribute whose value is attributes.
const NESTED: u16 = 0x8000;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

const IFF_UP: u32 = 1;
const RTN_UNICAST: u8 = 1;

/// In the address of a gateway: the network that sockets use which name none.
const DEFAULT_NETWORK: u32 = 0;

const HEADER_LENGTH: usize = 16;

/// One change of the kernel's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets an interface up or down.
    LinkState {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// `true` = up.
        up: bool,
    },
    /// Sets the largest MCTP packet, header included: 68 to 251 for MCTP over USB 1.0, to 8187 for
    /// 1.1.
    LinkMtu {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// Bytes.
        mtu: u32,
    },
    /// Sets how many packets may wait for the interface.
    LinkQueueLength {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// Packets.
        packets: u32,
    },
    /// Gives this computer an endpoint ID on the interface's network.
    AddAddress {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// 8 to 254.
        endpoint_id: u8,
    },
    /// Undoes [`Change::AddAddress`]: what comes for that endpoint ID is dropped.
    RemoveAddress {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// 8 to 254.
        endpoint_id: u8,
    },
    /// Sends what is for `endpoint_id` through the interface.
    AddRoute {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// 8 to 254.
        endpoint_id: u8,
        /// The largest packet in bytes, if it is less than that of the interface.
        mtu: Option<u32>,
    },
    /// Undoes [`Change::AddRoute`].
    RemoveRoute {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// 8 to 254.
        endpoint_id: u8,
    },
    /// Sends what is for the endpoint IDs `first` to `last` to where `gateway` is, a bridge that has
    /// a route of its own. Linux has such routes since 6.17.
    AddGatewayRoute {
        /// 8 to 254.
        first: u8,
        /// `first` to 254.
        last: u8,
        /// The endpoint ID of the bridge.
        gateway: u8,
        /// The largest packet in bytes, with the 4-byte header of MCTP.
        mtu: u32,
    },
    /// Undoes [`Change::AddGatewayRoute`].
    RemoveGatewayRoute {
        /// 8 to 254.
        first: u8,
        /// `first` to 254.
        last: u8,
        /// The endpoint ID of the bridge.
        gateway: u8,
    },
    /// Tells the kernel at which hardware address of the interface's bus `endpoint_id` is.
    AddNeighbour {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// 8 to 254.
        endpoint_id: u8,
        /// On I2C, the 7-bit address of the target.
        hardware_address: u8,
    },
    /// Undoes [`Change::AddNeighbour`].
    RemoveNeighbour {
        /// The kernel's number of the interface.
        interface_index: u32,
        /// 8 to 254.
        endpoint_id: u8,
    },
}

impl Change {
    /// What the change does to the interface of this name, for people: `set mctpusb0 up`.
    pub fn describe(&self, interface: &str) -> String {
        match *self {
            Self::LinkState { up: true, .. } => format!("set {interface} up"),
            Self::LinkState { up: false, .. } => format!("set {interface} down"),
            Self::LinkMtu { mtu, .. } => format!("set the MTU of {interface} to {mtu}"),
            Self::LinkQueueLength { packets, .. } => {
                format!("set the queue length of {interface} to {packets}")
            }
            Self::AddAddress { endpoint_id, .. } => {
                format!("give {interface} the local EID {endpoint_id}")
            }
            Self::RemoveAddress { endpoint_id, .. } => {
                format!("take the local EID {endpoint_id} from {interface}")
            }
            Self::AddRoute { endpoint_id, .. } => {
                format!("make the route to EID {endpoint_id} through {interface}")
            }
            Self::RemoveRoute { endpoint_id, .. } => {
                format!("remove the route to EID {endpoint_id} through {interface}")
            }
            Self::AddGatewayRoute {
                first,
                last,
                gateway,
                ..
            } => format!("make the route to EIDs {first} to {last} through EID {gateway}"),
            Self::RemoveGatewayRoute {
                first,
                last,
                gateway,
            } => format!("remove the route to EIDs {first} to {last} through EID {gateway}"),
            Self::AddNeighbour { endpoint_id, .. } => {
                format!("make the neighbour EID {endpoint_id} on {interface}")
            }
            Self::RemoveNeighbour { endpoint_id, .. } => {
                format!("remove the neighbour EID {endpoint_id} on {interface}")
            }
        }
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was made.
    Changed,
    /// The address, route or neighbour was there before.
    Present,
}

/// The whole netlink message that asks for `change`.
pub fn encode(change: Change, sequence: u32) -> Vec<u8> {
    match change {
        Change::LinkState {
            interface_index,
            up,
        } => {
            let flags = if up { IFF_UP } else { 0 };
            Message::new(RTM_NEWLINK, 0, &link_header(interface_index, flags, IFF_UP))
        }
        Change::LinkMtu {
            interface_index,
            mtu,
        } => Message::new(RTM_NEWLINK, 0, &link_header(interface_index, 0, 0))
            .attribute(IFLA_MTU, &mtu.to_ne_bytes()),
        Change::LinkQueueLength {
            interface_index,
            packets,
        } => Message::new(RTM_NEWLINK, 0, &link_header(interface_index, 0, 0))
            .attribute(IFLA_TXQLEN, &packets.to_ne_bytes()),
        Change::AddAddress {
            interface_index,
            endpoint_id,
        } => Message::new(RTM_NEWADDR, NLM_F_CREATE, &address_header(interface_index))
            .attribute(IFA_LOCAL, &[endpoint_id]),
        Change::RemoveAddress {
            interface_index,
            endpoint_id,
        } => Message::new(RTM_DELADDR, 0, &address_header(interface_index))
            .attribute(IFA_LOCAL, &[endpoint_id]),
        Change::AddRoute {
            interface_index,
            endpoint_id,
            mtu,
        } => {
            let message = route(RTM_NEWROUTE, NLM_F_CREATE, interface_index, endpoint_id);
            match mtu {
                None => message,
                Some(mtu) => message.mtu(mtu),
            }
        }
        Change::RemoveRoute {
            interface_index,
            endpoint_id,
        } => route(RTM_DELROUTE, 0, interface_index, endpoint_id),
        Change::AddGatewayRoute {
            first,
            last,
            gateway,
            mtu,
        } => gateway_route(RTM_NEWROUTE, NLM_F_CREATE, first..=last, gateway).mtu(mtu),
        Change::RemoveGatewayRoute {
            first,
            last,
            gateway,
        } => gateway_route(RTM_DELROUTE, 0, first..=last, gateway),
        Change::AddNeighbour {
            interface_index,
            endpoint_id,
            hardware_address,
        } => neighbour(RTM_NEWNEIGH, NLM_F_CREATE, interface_index, endpoint_id)
            .attribute(NDA_LLADDR, &[hardware_address]),
        Change::RemoveNeighbour {
            interface_index,
            endpoint_id,
        } => neighbour(RTM_DELNEIGH, 0, interface_index, endpoint_id),
    }
    .finish(sequence)
}

/// What the kernel says to request number `sequence`: `None` if `bytes` is about something else.
pub fn parse_answer(bytes: &[u8], sequence: u32) -> Option<io::Result<()>> {
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let answered = u32::from_ne_bytes(*bytes.get(8..)?.first_chunk()?);
    if kind != NLMSG_ERROR || answered != sequence {
        return None;
    }
    let code = i32::from_ne_bytes(*bytes.get(HEADER_LENGTH..)?.first_chunk()?);
    Some(match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    })
}

/// `struct ifinfomsg`: family, padding, device type u16, index, flags, mask of the flags to change.
fn link_header(interface_index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(interface_index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, interface index u32.
fn address_header(interface_index: u32) -> Vec<u8> {
    let mut header = vec![AF_MCTP, 0, 0, 0];
    header.extend(interface_index.to_ne_bytes());
    header
}

fn route(kind: u16, flags: u16, interface_index: u32, endpoint_id: u8) -> Message {
    route_to(kind, flags, endpoint_id..=endpoint_id)
        .attribute(RTA_OIF, &interface_index.to_ne_bytes())
}

/// Without an interface: Linux refuses a route that has both. The value is a `struct mctp_fq_addr`:
/// network u32, endpoint ID, 3 bytes of padding.
fn gateway_route(kind: u16, flags: u16, ids: RangeInclusive<u8>, gateway: u8) -> Message {
    let mut address = DEFAULT_NETWORK.to_ne_bytes().to_vec();
    address.extend([gateway, 0, 0, 0]);
    route_to(kind, flags, ids).attribute(RTA_GATEWAY, &address)
}

/// `struct rtmsg`: family, destination length, source length, TOS, table, protocol, scope, type,
/// flags u32. In MCTP a destination length of n means n endpoint IDs more than the one given.
fn route_to(kind: u16, flags: u16, ids: RangeInclusive<u8>) -> Message {
    let more = ids.end().saturating_sub(*ids.start());
    let header = [AF_MCTP, more, 0, 0, 0, 0, 0, RTN_UNICAST, 0, 0, 0, 0];
    Message::new(kind, flags, &header).attribute(RTA_DST, &[*ids.start()])
}

/// The attribute within the metrics of a route.
fn mtu_metric(mtu: u32) -> [u8; 8] {
    let mut attribute = [0; 8];
    attribute[..2].copy_from_slice(&8u16.to_ne_bytes());
    attribute[2..4].copy_from_slice(&RTAX_MTU.to_ne_bytes());
    attribute[4..].copy_from_slice(&mtu.to_ne_bytes());
    attribute
}

/// `struct ndmsg`: family, padding u8 and u16, interface index u32, state u16, flags, type.
fn neighbour(kind: u16, flags: u16, interface_index: u32, endpoint_id: u8) -> Message {
    let mut header = vec![AF_MCTP, 0, 0, 0];
    header.extend(interface_index.to_ne_bytes());
    header.extend([0; 4]);
    Message::new(kind, flags, &header).attribute(NDA_DST, &[endpoint_id])
}

struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER_LENGTH];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Appends an attribute; all of ours are a few bytes long.
    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = 4 + value.len();
        self.0.extend((length as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Appends the largest packet of a route.
    fn mtu(self, mtu: u32) -> Self {
        self.attribute(NESTED | RTA_METRICS, &mtu_metric(mtu))
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

#[cfg(target_os = "linux")]
pub use linux::Rtnetlink;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::time::{Duration, Instant};

    use super::{Applied, Change, FAMILY, encode, parse_answer};
    use crate::socket::DatagramSocket;

    /// The kernel answers at once; this is for a kernel that does not.
    const ANSWER_TIME: Duration = Duration::from_secs(5);

    /// A socket to the kernel's network configuration. Changing anything needs the network
    /// administration capability.
    pub struct Rtnetlink {
        socket: DatagramSocket,
        sequence: u32,
    }

    impl Rtnetlink {
        /// Opens the socket.
        pub fn open() -> io::Result<Self> {
            let socket = DatagramSocket::open(FAMILY)?;
            Ok(Self {
                socket,
                sequence: 0,
            })
        }

        /// Makes `change` and waits for the kernel's answer. Something that is there already is not
        /// an error.
        pub fn apply(&mut self, change: Change) -> io::Result<Applied> {
            self.sequence = self.sequence.wrapping_add(1);
            self.socket
                .send(&encode(change, self.sequence), &kernel_address())?;
            match self.answer() {
                Ok(()) => Ok(Applied::Changed),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Applied::Present),
                Err(error) => Err(error),
            }
        }

        fn answer(&self) -> io::Result<()> {
            let deadline = Instant::now() + ANSWER_TIME;
            let mut bytes = [0; 4096];
            while let Some(received) = self.socket.receive(&mut bytes, deadline)? {
                if let Some(result) = parse_answer(&bytes[..received.length], self.sequence) {
                    return result;
                }
            }
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the kernel did not answer a netlink request",
            ))
        }
    }

    /// `struct sockaddr_nl` of the kernel: family, padding, port 0, no groups.
    fn kernel_address() -> [u8; 12] {
        let mut address = [0; 12];
        address[..2].copy_from_slice(&FAMILY.to_ne_bytes());
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u16_at(bytes: &[u8], offset: usize) -> u16 {
        u16::from_ne_bytes(bytes[offset..offset + 2].try_into().unwrap())
    }

    fn u32_at(bytes: &[u8], offset: usize) -> u32 {
        u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap())
    }

    #[test]
    fn link_up_sets_and_masks_only_the_up_flag() {
        let bytes = encode(
            Change::LinkState {
                interface_index: 7,
                up: true,
            },
            1,
        );
        assert_eq!(bytes.len(), 32);
        assert_eq!(u32_at(&bytes, 0), 32);
        assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6)), (16, 5));
        assert_eq!(
            (u32_at(&bytes, 20), u32_at(&bytes, 24), u32_at(&bytes, 28)),
            (7, 1, 1)
        );
    }

    #[test]
    fn link_down_clears_the_up_flag() {
        let bytes = encode(
            Change::LinkState {
                interface_index: 7,
                up: false,
            },
            1,
        );
        assert_eq!((u32_at(&bytes, 24), u32_at(&bytes, 28)), (0, 1));
    }

    #[test]
    fn mtu_is_a_four_byte_attribute_and_leaves_the_flags_alone() {
        let bytes = encode(
            Change::LinkMtu {
                interface_index: 7,
                mtu: 251,
            },
            1,
        );
        assert_eq!((u32_at(&bytes, 24), u32_at(&bytes, 28)), (0, 0));
        assert_eq!(
            (u16_at(&bytes, 32), u16_at(&bytes, 34), u32_at(&bytes, 36)),
            (8, 4, 251)
        );
    }

    #[test]
    fn one_byte_attributes_are_padded_but_count_their_own_length() {
        let bytes = encode(
            Change::AddAddress {
                interface_index: 7,
                endpoint_id: 8,
            },
            1,
        );
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[16], 45);
        assert_eq!((u16_at(&bytes, 24), u16_at(&bytes, 26)), (5, 2));
        assert_eq!(bytes[28..], [8, 0, 0, 0]);
    }

    #[test]
    fn route_names_the_endpoint_id_and_the_interface() {
        let bytes = encode(
            Change::AddRoute {
                interface_index: 7,
                endpoint_id: 9,
                mtu: None,
            },
            2,
        );
        assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
        assert_eq!((u16_at(&bytes, 4), u32_at(&bytes, 8)), (24, 2));
        assert_eq!((bytes[16], bytes[23]), (45, 1));
        assert_eq!(
            (u16_at(&bytes, 28), u16_at(&bytes, 30), bytes[32]),
            (5, 1, 9)
        );
        assert_eq!(
            (u16_at(&bytes, 36), u16_at(&bytes, 38), u32_at(&bytes, 40)),
            (8, 4, 7)
        );
    }

    /// Linux `rtnetlink(7)`: the metrics are nested attributes, of which 2 is the MTU.
    #[test]
    fn mtu_of_a_route_is_nested_in_its_metrics() {
        let add = |mtu| Change::AddRoute {
            interface_index: 7,
            endpoint_id: 9,
            mtu,
        };
        let without = encode(add(None), 2);
        let bytes = encode(add(Some(68)), 2);
        assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
        assert_eq!(bytes[4..without.len()], without[4..]);
        let metrics = &bytes[without.len()..];
        assert_eq!((u16_at(metrics, 0), u16_at(metrics, 2)), (12, 0x8008));
        assert_eq!((u16_at(metrics, 4), u16_at(metrics, 6)), (8, 2));
        assert_eq!((u32_at(metrics, 8), metrics.len()), (68, 12));
    }

    /// `rtm_dst_len` 3 is the extent of four endpoint IDs; no interface; the gateway is in the
    /// default network (Linux `include/uapi/linux/mctp.h` and `net/mctp/route.c`).
    #[cfg(target_endian = "little")]
    #[test]
    fn gateway_route_has_the_bytes_that_linux_parses() {
        let add = Change::AddGatewayRoute {
            first: 10,
            last: 13,
            gateway: 9,
            mtu: 68,
        };
        let remove = Change::RemoveGatewayRoute {
            first: 10,
            last: 13,
            gateway: 9,
        };
        let body = [
            0x2d, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, // struct rtmsg
            5, 0, 1, 0, 10, 0, 0, 0, // RTA_DST
            12, 0, 5, 0, 0, 0, 0, 0, 9, 0, 0, 0, // RTA_GATEWAY
        ];
        let metrics = [12, 0, 8, 0x80, 8, 0, 2, 0, 68, 0, 0, 0];
        let new_header = [60, 0, 0, 0, 24, 0, 5, 4, 3, 0, 0, 0, 0, 0, 0, 0];
        let delete_header = [48, 0, 0, 0, 25, 0, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(encode(add, 3), [&new_header[..], &body, &metrics].concat());
        assert_eq!(encode(remove, 4), [&delete_header[..], &body].concat());
    }

    #[test]
    fn neighbour_names_the_interface_the_endpoint_id_and_the_hardware_address() {
        let bytes = encode(
            Change::AddNeighbour {
                interface_index: 7,
                endpoint_id: 9,
                hardware_address: 0x1d,
            },
            2,
        );
        assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
        assert_eq!((u16_at(&bytes, 4), u32_at(&bytes, 8)), (28, 2));
        assert_eq!((bytes[16], u32_at(&bytes, 20)), (45, 7));
        assert_eq!(
            (u16_at(&bytes, 28), u16_at(&bytes, 30), bytes[32]),
            (5, 1, 9)
        );
        assert_eq!(
            (u16_at(&bytes, 36), u16_at(&bytes, 38), bytes[40]),
            (5, 2, 0x1d)
        );
        assert_eq!(bytes.len(), 44);
    }

    #[test]
    fn neighbour_is_removed_by_interface_and_endpoint_id() {
        let bytes = encode(
            Change::RemoveNeighbour {
                interface_index: 7,
                endpoint_id: 9,
            },
            2,
        );
        assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6)), (29, 5));
        assert_eq!((bytes[16], u32_at(&bytes, 20)), (45, 7));
        assert_eq!(bytes[28..], encode_attribute(1, 9));
    }

    /// One of one byte.
    fn encode_attribute(kind: u16, value: u8) -> Vec<u8> {
        let mut bytes = 5u16.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([value, 0, 0, 0]);
        bytes
    }

    #[test]
    fn answers_to_other_requests_are_skipped_and_errors_are_reported() {
        let mut bytes = vec![0; 20];
        bytes[4..6].copy_from_slice(&2u16.to_ne_bytes());
        bytes[8..12].copy_from_slice(&5u32.to_ne_bytes());
        assert!(parse_answer(&bytes, 4).is_none());
        assert!(parse_answer(&bytes, 5).unwrap().is_ok());
        bytes[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
        let error = parse_answer(&bytes, 5).unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(17));
        assert!(parse_answer(&bytes[..18], 5).is_none());
    }
}
