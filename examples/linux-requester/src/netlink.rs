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
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_ACK: u16 = 0x004;
const NLM_F_DUMP: u16 = 0x300;
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
/// Of `struct rtmsg`.
const ROUTE_LENGTH: usize = 12;

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

/// A route that the kernel has, to endpoints or to this computer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The first endpoint ID.
    pub first: u8,
    /// The last one.
    pub last: u8,
    /// The endpoint ID of the bridge that it goes through, if it does.
    pub gateway: Option<u8>,
}

/// The whole netlink message that asks for all routes.
pub fn encode_get_routes(sequence: u32) -> Vec<u8> {
    let header = [AF_MCTP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    Message::new(RTM_GETROUTE, NLM_F_DUMP, &header).finish(sequence)
}

/// Appends the routes in one datagram of the answer to request number `sequence`. `true` if there
/// are no more.
pub fn parse_routes(mut bytes: &[u8], sequence: u32, routes: &mut Vec<Route>) -> io::Result<bool> {
    while let Some((message, rest)) = split_message(bytes) {
        bytes = rest;
        if let Some(result) = parse_answer(message, sequence) {
            return result.map(|()| true);
        }
        let kind = u16_at(message, 4);
        let answered = message.get(8..12) == Some(&sequence.to_ne_bytes()[..]);
        match kind {
            Some(NLMSG_DONE) if answered => return Ok(true),
            Some(RTM_NEWROUTE) if answered => routes.extend(parse_route(message)),
            _ => {}
        }
    }
    Ok(false)
}

/// `None` if it is no route of MCTP.
fn parse_route(message: &[u8]) -> Option<Route> {
    let header = message.get(HEADER_LENGTH..)?;
    let [AF_MCTP, more, ..] = *header else {
        return None;
    };
    let (mut first, mut gateway) = (None, None);
    let mut attributes = header.get(ROUTE_LENGTH..)?;
    while let Some(length) = u16_at(attributes, 0).map(usize::from) {
        let value = attributes.get(4..length)?;
        match u16_at(attributes, 2) {
            Some(RTA_DST) => first = value.first().copied(),
            Some(RTA_GATEWAY) => gateway = value.get(4).copied(),
            _ => {}
        }
        let next = attributes.get(length.next_multiple_of(4)..);
        attributes = next.unwrap_or_default();
    }
    let first = first?;
    Some(Route {
        first,
        last: first.saturating_add(more),
        gateway,
    })
}

/// The first message of a datagram, and what follows it.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let message = bytes.get(..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..);
    (length >= HEADER_LENGTH).then_some((message, rest.unwrap_or_default()))
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
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

    use super::{
        Applied, Change, FAMILY, Route, encode, encode_get_routes, parse_answer, parse_routes,
    };
    use crate::socket::DatagramSocket;

    /// The kernel answers at once; this is for a kernel that does not.
    const ANSWER_TIME: Duration = Duration::from_secs(5);
    /// Linux sends no longer one of a list.
    const LONGEST_DATAGRAM: usize = 32 << 10;

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

        /// All routes of MCTP, in every network.
        pub fn routes(&mut self) -> io::Result<Vec<Route>> {
            self.sequence = self.sequence.wrapping_add(1);
            let request = encode_get_routes(self.sequence);
            self.socket.send(&request, &kernel_address())?;
            let deadline = Instant::now() + ANSWER_TIME;
            let mut bytes = vec![0; LONGEST_DATAGRAM];
            let mut routes = Vec::new();
            while let Some(received) = self.socket.receive(&mut bytes, deadline)? {
                if parse_routes(&bytes[..received.length], self.sequence, &mut routes)? {
                    return Ok(routes);
                }
            }
            Err(no_answer())
        }

        fn answer(&self) -> io::Result<()> {
            let deadline = Instant::now() + ANSWER_TIME;
            let mut bytes = [0; 4096];
            while let Some(received) = self.socket.receive(&mut bytes, deadline)? {
                if let Some(result) = parse_answer(&bytes[..received.length], self.sequence) {
                    return result;
                }
            }
            Err(no_answer())
        }
    }

    fn no_answer() -> io::Error {
        io::Error::new(
            io::ErrorKind::TimedOut,
            "the kernel did not answer a netlink request",
        )
    }

    /// `struct sockaddr_nl` of the kernel: family, padding, port 0, no groups.
    fn kernel_address() -> [u8; 12] {
        let mut address = [0; 12];
        address[..2].copy_from_slice(&FAMILY.to_ne_bytes());
        address
    }
}

#[cfg(test)]
mod tests;
