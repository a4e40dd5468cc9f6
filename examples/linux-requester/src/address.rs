//! Socket addresses of `AF_MCTP` (Linux `include/uapi/linux/mctp.h`), as the bytes that the kernel
//! reads and writes.
//!
//! `struct sockaddr_mctp`, 12 bytes in the machine's byte order:
//!
//! | bytes | field |
//! |---|---|
//! | 0..2 | address family, 45 |
//! | 2..4 | padding |
//! | 4..8 | network, 0 = the default one |
//! | 8 | endpoint ID |
//! | 9 | message type; it is not part of the data that is sent and received |
//! | 10 | bit 4: preallocated tag; bit 3: tag owner (set in a request); bits 2:0: message tag |
//! | 11 | padding |
//!
//! `struct sockaddr_mctp_ext`, 52 bytes, appends the physical address: 12..16 interface index, 16
//! length of the hardware address, 17..20 padding, 20..52 hardware address. USB and serial lines are
//! point to point and have no hardware address (length 0); that of I2C is the 7-bit address of the
//! target, in one byte.

/// `AF_MCTP`.
pub const FAMILY: u16 = 45;
/// Option level of `AF_MCTP` sockets.
pub const SOL_MCTP: i32 = 285;
/// Socket option: addresses are of the extended form.
pub const MCTP_OPT_ADDR_EXT: i32 = 1;
/// Length of the plain form in bytes.
pub const LENGTH: usize = 12;
/// Length of the extended form in bytes.
pub const EXTENDED_LENGTH: usize = 52;
/// In a request: the sender owns the tag. The kernel chooses the tag itself.
pub const TAG_OWNER: u8 = 0x08;
/// In a request, beside [`TAG_OWNER`]: bits 2:0 are a tag that the kernel keeps for this socket.
pub const TAG_PREALLOCATED: u8 = 0x10;
/// The network that every interface is in, unless it was put into another one.
pub const FIRST_NETWORK: u32 = 1;

/// To bind to: any of this computer's endpoint IDs.
const ANY_ENDPOINT_ID: u8 = 0xff;

/// Whom a message is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Routed by endpoint ID.
    EndpointId(u8),
    /// Whatever endpoint is at the other end of a point-to-point interface, or at a hardware address
    /// of a bus, by the null endpoint ID.
    Physical {
        /// The kernel's number of the network interface.
        interface_index: u32,
        /// Of a bus such as I2C: the 7-bit address of the target.
        hardware_address: Option<u8>,
    },
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EndpointId(endpoint_id) => write!(f, "EID {endpoint_id}"),
            Self::Physical {
                interface_index,
                hardware_address: None,
            } => write!(f, "physical address on interface {interface_index}"),
            Self::Physical {
                interface_index,
                hardware_address: Some(address),
            } => write!(
                f,
                "physical address {address:02x}h on interface {interface_index}"
            ),
        }
    }
}

/// The address to send a request of `message_type` to.
pub fn request_address(destination: Destination, message_type: u8) -> Vec<u8> {
    let endpoint_id = match destination {
        Destination::EndpointId(endpoint_id) => endpoint_id,
        Destination::Physical { .. } => 0,
    };
    let mut bytes = Vec::with_capacity(EXTENDED_LENGTH);
    bytes.extend(FAMILY.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend([endpoint_id, message_type, TAG_OWNER, 0]);
    if let Destination::Physical {
        interface_index,
        hardware_address,
    } = destination
    {
        bytes.extend(interface_index.to_ne_bytes());
        let length = u8::from(hardware_address.is_some());
        bytes.extend([length, 0, 0, 0]);
        bytes.extend(hardware_address);
        bytes.resize(EXTENDED_LENGTH, 0);
    }
    bytes
}

/// The address to send a message to that is no plain request: one with a tag of our own, or a
/// response. The last byte but one is `tag`.
pub fn tagged_address(network: u32, endpoint_id: u8, message_type: u8, tag: u8) -> Vec<u8> {
    let mut bytes = request_address(Destination::EndpointId(endpoint_id), message_type);
    bytes[4..8].copy_from_slice(&network.to_ne_bytes());
    bytes[10] = tag;
    bytes
}

/// The address to connect to before a bind, for the requests of one peer alone.
pub fn peer_address(endpoint_id: u8, message_type: u8) -> Vec<u8> {
    tagged_address(0, endpoint_id, message_type, 0)
}

/// The address to send the response to a request to: the same message type and tag, which the
/// requester owns.
pub fn response_address(request: &Source) -> Vec<u8> {
    let Source {
        endpoint_id,
        message_type,
        network,
        tag,
    } = *request;
    tagged_address(network, endpoint_id, message_type, tag & !TAG_OWNER)
}

/// The address to bind to for requests of `message_type` from anybody: the first program that does
/// gets them all.
pub fn listening_address(message_type: u8) -> Vec<u8> {
    request_address(Destination::EndpointId(ANY_ENDPOINT_ID), message_type)
}

/// Who sent a received message, and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The sender's endpoint ID, 0 if it has none.
    pub endpoint_id: u8,
    /// The message type, with the integrity check bit in bit 7.
    pub message_type: u8,
    /// The network that it came from.
    pub network: u32,
    /// Bit 3: tag owner; bits 2:0: message tag.
    pub tag: u8,
}

/// Reads the address that came with a received message; `None` if it is not an MCTP address.
pub fn parse_source(bytes: &[u8]) -> Option<Source> {
    let bytes = bytes.first_chunk::<LENGTH>()?;
    let (family, rest) = bytes.split_first_chunk()?;
    if u16::from_ne_bytes(*family) != FAMILY {
        return None;
    }
    let network = rest[2..].first_chunk()?;
    Some(Source {
        endpoint_id: bytes[8],
        message_type: bytes[9],
        network: u32::from_ne_bytes(*network),
        tag: bytes[10],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routed_request_uses_the_plain_form_and_owns_the_tag() {
        let bytes = request_address(Destination::EndpointId(9), 0x7e);
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(bytes[..2], 45u16.to_ne_bytes());
        assert_eq!(bytes[4..], [0, 0, 0, 0, 9, 0x7e, 0x08, 0]);
    }

    #[test]
    fn listeners_take_requests_to_any_endpoint_id() {
        let bytes = listening_address(0x7e);
        assert_eq!(bytes[4..], [0, 0, 0, 0, 0xff, 0x7e, 0x08, 0]);
    }

    #[test]
    fn physical_request_has_the_null_endpoint_id_and_the_interface() {
        let destination = Destination::Physical {
            interface_index: 3,
            hardware_address: None,
        };
        let bytes = request_address(destination, 0);
        assert_eq!(bytes.len(), EXTENDED_LENGTH);
        assert_eq!(bytes[8..12], [0, 0, 8, 0]);
        assert_eq!(bytes[12..16], 3u32.to_ne_bytes());
        assert!(bytes[16..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn physical_request_on_a_bus_has_the_hardware_address_and_its_length() {
        let destination = Destination::Physical {
            interface_index: 3,
            hardware_address: Some(0x1d),
        };
        let bytes = request_address(destination, 0);
        assert_eq!(bytes.len(), EXTENDED_LENGTH);
        assert_eq!(bytes[8..12], [0, 0, 8, 0]);
        assert_eq!(bytes[12..16], 3u32.to_ne_bytes());
        assert_eq!(bytes[16..21], [1, 0, 0, 0, 0x1d]);
        assert!(bytes[21..].iter().all(|&byte| byte == 0));
        assert_eq!(
            destination.to_string(),
            "physical address 1dh on interface 3"
        );
    }

    #[test]
    fn a_peer_is_connected_to_without_a_tag() {
        let bytes = peer_address(9, 0x04);
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(bytes[2..], [0, 0, 0, 0, 0, 0, 9, 0x04, 0, 0]);
    }

    #[test]
    fn a_response_has_the_tag_of_its_request_and_its_owner_bit_clear() {
        let request = Source {
            endpoint_id: 9,
            message_type: 0x84,
            network: 3,
            tag: TAG_OWNER | 5,
        };
        let bytes = response_address(&request);
        assert_eq!(bytes[..2], 45u16.to_ne_bytes());
        assert_eq!(bytes[4..8], 3u32.to_ne_bytes());
        assert_eq!(bytes[8..], [9, 0x84, 5, 0]);
        let read = parse_source(&bytes);
        assert_eq!(read, Some(Source { tag: 5, ..request }));
    }

    #[test]
    fn source_is_read_from_both_forms_and_other_families_are_refused() {
        let mut bytes = request_address(Destination::EndpointId(9), 0x7e);
        let source = Source {
            endpoint_id: 9,
            message_type: 0x7e,
            network: 0,
            tag: TAG_OWNER,
        };
        assert_eq!(parse_source(&bytes), Some(source));
        bytes.resize(EXTENDED_LENGTH, 0);
        assert_eq!(parse_source(&bytes), Some(source));
        assert_eq!(parse_source(&bytes[..9]), None);
        bytes[..2].copy_from_slice(&2u16.to_ne_bytes());
        assert_eq!(parse_source(&bytes), None);
    }
}
