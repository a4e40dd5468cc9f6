//! The MCTP control protocol from the requester's side (DSP0236 1.3.3).
//!
//! Body behind the message type byte (00h):
//!
//! | byte | request | response |
//! |---|---|---|
//! | 0 | bit 7 Rq = 1, bit 6 D = 0, bits 4:0 instance ID | Rq = 0, D = 0, the request's instance ID |
//! | 1 | command | the request's command |
//! | 2 | data | completion code, 00h = success |
//! | 3.. | | data, only behind completion code 00h |

use std::fmt;
use std::io;
use std::time::Duration;

use crate::address::Destination;
use crate::exchange::{Exchange, Request};

/// Message type of control messages.
pub const MESSAGE_TYPE: u8 = 0x00;

/// Set Endpoint ID.
pub const SET_ENDPOINT_ID: u8 = 0x01;
/// Get Endpoint ID.
pub const GET_ENDPOINT_ID: u8 = 0x02;
/// Get Endpoint UUID.
pub const GET_ENDPOINT_UUID: u8 = 0x03;
/// Get MCTP Version Support.
pub const GET_VERSION_SUPPORT: u8 = 0x04;
/// Get Message Type Support.
pub const GET_MESSAGE_TYPE_SUPPORT: u8 = 0x05;
/// Get Vendor Defined Message Support.
pub const GET_VENDOR_DEFINED_MESSAGE_SUPPORT: u8 = 0x06;

const REQUEST_BIT: u8 = 0x80;
const INSTANCE_ID_MASK: u8 = 0x1f;
/// Rq and D, which have to be 0 in a response; bit 5 is reserved and not looked at.
const FLAGS_MASK: u8 = 0xc0;

/// The name of a command for people.
pub fn command_name(command: u8) -> &'static str {
    match command {
        SET_ENDPOINT_ID => "Set Endpoint ID",
        GET_ENDPOINT_ID => "Get Endpoint ID",
        GET_ENDPOINT_UUID => "Get Endpoint UUID",
        GET_VERSION_SUPPORT => "Get MCTP Version Support",
        GET_MESSAGE_TYPE_SUPPORT => "Get Message Type Support",
        GET_VENDOR_DEFINED_MESSAGE_SUPPORT => "Get Vendor Defined Message Support",
        _ => "control request",
    }
}

/// The name of a completion code.
pub fn completion_name(code: u8) -> &'static str {
    match code {
        0x00 => "SUCCESS",
        0x01 => "ERROR",
        0x02 => "ERROR_INVALID_DATA",
        0x03 => "ERROR_INVALID_LENGTH",
        0x04 => "ERROR_NOT_READY",
        0x05 => "ERROR_UNSUPPORTED_CMD",
        0x80.. => "command specific",
        _ => "reserved",
    }
}

/// Why a control request gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nothing with the right instance ID and command came.
    #[error(
        "no answer to {name} ({command:02x}h) from {destination} in {tries} tries of {} ms",
        wait.as_millis()
    )]
    NoAnswer {
        /// The name of `command`.
        name: &'static str,
        /// Command code.
        command: u8,
        /// Who should have answered.
        destination: Destination,
        /// How often it was asked.
        tries: u32,
        /// How long each try waited.
        wait: Duration,
    },
    /// The answer has another completion code than SUCCESS.
    #[error("{} ({command:02x}h) was refused: {} ({code:02x}h)", command_name(*command), completion_name(*code))]
    Refused {
        /// Command code.
        command: u8,
        /// Completion code.
        code: u8,
    },
    /// The answer breaks the layout that the specification gives it.
    #[error("bad answer to {} ({command:02x}h): {reason}", command_name(*command))]
    BadAnswer {
        /// Command code.
        command: u8,
        /// What is wrong, for people.
        reason: String,
    },
    /// The kernel could not send or receive.
    #[error("cannot send {} to {destination}: {source}", command_name(*command))]
    Socket {
        /// Command code.
        command: u8,
        /// To whom.
        destination: Destination,
        /// What the kernel says.
        source: io::Error,
    },
}

fn bad(command: u8, reason: impl Into<String>) -> ControlError {
    ControlError::BadAnswer {
        command,
        reason: reason.into(),
    }
}

/// A response, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 00h = success.
    pub completion_code: u8,
    /// What follows the completion code.
    pub data: Vec<u8>,
}

/// The body of a request.
pub fn encode_request(instance_id: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let mut body = vec![REQUEST_BIT | (instance_id & INSTANCE_ID_MASK), command];
    body.extend(data);
    body
}

/// Whether `body` is the response to the request with `instance_id` and `command`.
pub fn is_response_to(body: &[u8], instance_id: u8, command: u8) -> bool {
    matches!(body, [header, answered, _, ..] if *answered == command
        && header & FLAGS_MASK == 0
        && header & INSTANCE_ID_MASK == instance_id)
}

/// Sends control requests and waits for their answers, with the retries of a bus owner.
pub struct ControlClient<'a, E> {
    socket: &'a mut E,
    next_instance_id: u8,
    /// How long each try waits.
    pub wait: Duration,
    /// How often a request is sent at most, always with the same instance ID.
    pub tries: u32,
}

impl<'a, E: Exchange> ControlClient<'a, E> {
    /// A client with mctpd's built-in retries: four tries of 250 ms.
    pub fn new(socket: &'a mut E) -> Self {
        Self {
            socket,
            next_instance_id: 0,
            wait: Duration::from_millis(250),
            tries: 4,
        }
    }

    /// Sends any command; the response may have any completion code.
    pub fn request(
        &mut self,
        destination: Destination,
        command: u8,
        data: &[u8],
    ) -> Result<Response, ControlError> {
        let instance_id = self.next_instance_id;
        self.next_instance_id = (instance_id + 1) & INSTANCE_ID_MASK;
        let body = encode_request(instance_id, command, data);
        let request = Request {
            destination,
            message_type: MESSAGE_TYPE,
            body: &body,
        };
        for _ in 0..self.tries {
            let answer = self
                .socket
                .exchange(request, self.wait, &mut |answer| {
                    is_response_to(answer, instance_id, command)
                })
                .map_err(|source| ControlError::Socket {
                    command,
                    destination,
                    source,
                })?;
            if let Some([_, _, completion_code, data @ ..]) = answer.as_deref() {
                return Ok(Response {
                    completion_code: *completion_code,
                    data: data.to_vec(),
                });
            }
        }
        Err(ControlError::NoAnswer {
            name: command_name(command),
            command,
            destination,
            tries: self.tries,
            wait: self.wait,
        })
    }

    /// Sends a command that has to succeed; the response data.
    fn data_of(
        &mut self,
        destination: Destination,
        command: u8,
        data: &[u8],
    ) -> Result<Vec<u8>, ControlError> {
        let response = self.request(destination, command, data)?;
        match response.completion_code {
            0 => Ok(response.data),
            code => Err(ControlError::Refused { command, code }),
        }
    }

    /// Get Endpoint ID.
    pub fn endpoint_id(&mut self, destination: Destination) -> Result<EndpointId, ControlError> {
        EndpointId::parse(&self.data_of(destination, GET_ENDPOINT_ID, &[])?)
    }

    /// Set Endpoint ID, operation "set".
    pub fn set_endpoint_id(
        &mut self,
        destination: Destination,
        endpoint_id: u8,
    ) -> Result<Assignment, ControlError> {
        Assignment::parse(&self.data_of(destination, SET_ENDPOINT_ID, &[0, endpoint_id])?)
    }

    /// Get Endpoint UUID.
    pub fn uuid(&mut self, destination: Destination) -> Result<Uuid, ControlError> {
        Uuid::parse(&self.data_of(destination, GET_ENDPOINT_UUID, &[])?)
    }

    /// Get MCTP Version Support for a message type; FFh asks for the base specification.
    pub fn versions(
        &mut self,
        destination: Destination,
        message_type: u8,
    ) -> Result<Vec<Version>, ControlError> {
        parse_versions(&self.data_of(destination, GET_VERSION_SUPPORT, &[message_type])?)
    }

    /// Get Message Type Support.
    pub fn message_types(&mut self, destination: Destination) -> Result<Vec<u8>, ControlError> {
        parse_message_types(&self.data_of(destination, GET_MESSAGE_TYPE_SUPPORT, &[])?)
    }

    /// Get Vendor Defined Message Support for one selector.
    pub fn vendor_message(
        &mut self,
        destination: Destination,
        selector: u8,
    ) -> Result<VendorMessage, ControlError> {
        let data = self.data_of(destination, GET_VENDOR_DEFINED_MESSAGE_SUPPORT, &[selector])?;
        VendorMessage::parse(&data)
    }
}

/// Answer to Get Endpoint ID: `[0]` endpoint ID, `[1]` 5:4 endpoint type, 1:0 kind of ID, `[2]`
/// medium specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointId {
    /// 0 = none assigned yet.
    pub endpoint_id: u8,
    /// 0 = simple endpoint, 1 = bus owner or bridge.
    pub endpoint_type: u8,
    /// 0 dynamic, 1 static supported, 2 static and in use, 3 static but another one is in use.
    pub id_type: u8,
}

impl EndpointId {
    /// Reads response data.
    pub fn parse(data: &[u8]) -> Result<Self, ControlError> {
        let [endpoint_id, types, _medium_specific] = *data else {
            return Err(wrong_length(GET_ENDPOINT_ID, data, "3"));
        };
        Ok(Self {
            endpoint_id,
            endpoint_type: (types >> 4) & 3,
            id_type: types & 3,
        })
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.endpoint_id {
            0 => write!(f, "no EID yet")?,
            endpoint_id => write!(f, "EID {endpoint_id}")?,
        }
        f.write_str(match self.endpoint_type {
            0 => ", simple endpoint",
            1 => ", bus owner or bridge",
            _ => ", reserved endpoint type",
        })?;
        f.write_str(match self.id_type {
            0 => ", dynamic EID",
            1 => ", static EID supported",
            2 => ", static EID in use",
            _ => ", static EID overridden",
        })
    }
}

/// Answer to Set Endpoint ID: `[0]` 5:4 status, 1:0 pool, `[1]` the EID now set, `[2]` pool size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Whether the endpoint took the EID.
    pub accepted: bool,
    /// The EID that the endpoint has now.
    pub endpoint_id: u8,
    /// How many EIDs a bridge wants for what is behind it.
    pub pool_size: u8,
}

impl Assignment {
    /// Reads response data.
    pub fn parse(data: &[u8]) -> Result<Self, ControlError> {
        let [status, endpoint_id, pool_size] = *data else {
            return Err(wrong_length(SET_ENDPOINT_ID, data, "3"));
        };
        let accepted = match (status >> 4) & 3 {
            0 => true,
            1 => false,
            _ => return Err(bad(SET_ENDPOINT_ID, "reserved assignment status")),
        };
        let pool_size = if status & 3 == 0 { 0 } else { pool_size };
        Ok(Self {
            accepted,
            endpoint_id,
            pool_size,
        })
    }
}

/// Sixteen bytes in RFC 4122 order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Reads response data; the nil UUID is refused, because an endpoint could not be recognised by
    /// it.
    pub fn parse(data: &[u8]) -> Result<Self, ControlError> {
        let Ok(bytes) = <[u8; 16]>::try_from(data) else {
            return Err(wrong_length(GET_ENDPOINT_UUID, data, "16"));
        };
        if bytes == [0; 16] {
            return Err(bad(GET_ENDPOINT_UUID, "the UUID is nil"));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A version in the encoding of DSP0236: major, minor, update, alpha; a high nibble of Fh is no
/// digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub [u8; 4]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, update, alpha] = self.0;
        let digits = |byte: u8| match byte >> 4 {
            0xf => format!("{:x}", byte & 0xf),
            _ => format!("{byte:02x}"),
        };
        write!(f, "{}.{}", digits(major), digits(minor))?;
        if update != 0xff {
            write!(f, ".{}", digits(update))?;
        }
        if alpha.is_ascii_alphabetic() {
            write!(f, "{}", char::from(alpha))?;
        }
        Ok(())
    }
}

/// `[0]` number of entries, then 4 bytes each.
fn parse_versions(data: &[u8]) -> Result<Vec<Version>, ControlError> {
    let Some((&count, entries)) = data.split_first() else {
        return Err(wrong_length(GET_VERSION_SUPPORT, data, "at least 1"));
    };
    if entries.len() != usize::from(count) * 4 {
        let reason = format!(
            "{count} entries announced, {} bytes of them sent",
            entries.len()
        );
        return Err(bad(GET_VERSION_SUPPORT, reason));
    }
    let (versions, _) = entries.as_chunks();
    Ok(versions.iter().copied().map(Version).collect())
}

/// `[0]` number of types, then the types. mctpd gives an endpoint up if the length is not exactly
/// that.
fn parse_message_types(data: &[u8]) -> Result<Vec<u8>, ControlError> {
    let Some((&count, types)) = data.split_first() else {
        return Err(wrong_length(GET_MESSAGE_TYPE_SUPPORT, data, "at least 1"));
    };
    if types.len() != usize::from(count) {
        let reason = format!("{count} types announced, {} sent", types.len());
        return Err(bad(GET_MESSAGE_TYPE_SUPPORT, reason));
    }
    Ok(types.to_vec())
}

/// Answer to Get Vendor Defined Message Support: `[0]` next selector, `[1]` format, then the ID (2
/// bytes for PCI, 4 for IANA) and 2 bytes of command set type, most significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorMessage {
    /// FFh = this was the last one.
    pub next_selector: u8,
    /// Who defined the messages.
    pub vendor: Vendor,
    /// The vendor's own number for the message set.
    pub command_set: u16,
}

/// A vendor, in one of the two numberings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// PCI vendor ID; message type 7Eh.
    Pci(u16),
    /// IANA enterprise number; message type 7Fh.
    Iana(u32),
}

impl VendorMessage {
    /// Reads response data.
    pub fn parse(data: &[u8]) -> Result<Self, ControlError> {
        let (next_selector, vendor, command_set) = match *data {
            [next, 0, a, b, c, d] => (next, Vendor::Pci(u16::from_be_bytes([a, b])), [c, d]),
            [next, 1, a, b, c, d, e, f] => {
                (next, Vendor::Iana(u32::from_be_bytes([a, b, c, d])), [e, f])
            }
            [_, 0 | 1, ..] | [] | [_] => {
                return Err(wrong_length(
                    GET_VENDOR_DEFINED_MESSAGE_SUPPORT,
                    data,
                    "6 or 8",
                ));
            }
            [_, format, ..] => {
                let reason = format!("vendor ID format {format:02x}h is neither PCI nor IANA");
                return Err(bad(GET_VENDOR_DEFINED_MESSAGE_SUPPORT, reason));
            }
        };
        Ok(Self {
            next_selector,
            vendor,
            command_set: u16::from_be_bytes(command_set),
        })
    }
}

impl fmt::Display for VendorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vendor {
            Vendor::Pci(id) => write!(f, "PCI vendor {id:04x}h")?,
            Vendor::Iana(number) => write!(f, "IANA enterprise {number}")?,
        }
        write!(f, ", command set {:04x}h", self.command_set)
    }
}

fn wrong_length(command: u8, data: &[u8], expected: &str) -> ControlError {
    bad(
        command,
        format!("{} bytes of data instead of {expected}", data.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with the scripted bodies in turn; an empty one is a lost answer.
    struct Script(Vec<Vec<u8>>, Vec<Vec<u8>>);

    impl Exchange for Script {
        fn exchange(
            &mut self,
            request: Request<'_>,
            _wait: Duration,
            accept: &mut dyn FnMut(&[u8]) -> bool,
        ) -> io::Result<Option<Vec<u8>>> {
            self.1.push(request.body.to_vec());
            let answer = self.0.remove(0);
            Ok(accept(&answer).then_some(answer))
        }
    }

    const PEER: Destination = Destination::EndpointId(9);

    #[test]
    fn retries_keep_the_instance_id_and_the_next_request_has_another() {
        let mut script = Script(
            vec![vec![], vec![0, 2, 0, 9, 0, 0], vec![1, 5, 0, 1, 0]],
            vec![],
        );
        let mut client = ControlClient::new(&mut script);
        assert_eq!(client.endpoint_id(PEER).unwrap().endpoint_id, 9);
        assert_eq!(client.message_types(PEER).unwrap(), [0]);
        assert_eq!(script.1, [vec![0x80, 2], vec![0x80, 2], vec![0x81, 5]]);
    }

    #[test]
    fn gives_up_after_four_tries_and_says_whom_it_asked() {
        let mut script = Script(vec![vec![]; 4], vec![]);
        let error = ControlClient::new(&mut script)
            .endpoint_id(PEER)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no answer to Get Endpoint ID (02h) from EID 9 in 4 tries of 250 ms"
        );
    }

    #[test]
    fn only_a_response_with_the_same_instance_id_and_command_is_an_answer() {
        assert!(is_response_to(&[0x03, 2, 0], 3, 2));
        assert!(is_response_to(&[0x23, 2, 0], 3, 2), "bit 5 is reserved");
        assert!(!is_response_to(&[0x83, 2, 0], 3, 2), "a request");
        assert!(!is_response_to(&[0x43, 2, 0], 3, 2), "a datagram");
        assert!(!is_response_to(&[0x04, 2, 0], 3, 2), "another instance ID");
        assert!(!is_response_to(&[0x03, 3, 0], 3, 2), "another command");
        assert!(!is_response_to(&[0x03, 2], 3, 2), "no completion code");
    }

    #[test]
    fn instance_ids_wrap_after_31() {
        let mut script = Script(
            (0..33).map(|n| vec![n % 32, 2, 0, 9, 0, 0]).collect(),
            vec![],
        );
        let mut client = ControlClient::new(&mut script);
        for _ in 0..33 {
            client.endpoint_id(PEER).unwrap();
        }
        assert_eq!(script.1[32], [0x80, 2]);
    }

    #[test]
    fn refusal_is_named() {
        let mut script = Script(vec![vec![0, 3, 5]], vec![]);
        let error = ControlClient::new(&mut script).uuid(PEER).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Get Endpoint UUID (03h) was refused: ERROR_UNSUPPORTED_CMD (05h)"
        );
    }

    #[test]
    fn versions_are_written_as_in_the_specification() {
        let text = |bytes| Version(bytes).to_string();
        assert_eq!(text([0xf1, 0xf1, 0xf0, 0x00]), "1.1.0");
        assert_eq!(text([0xf3, 0xf1, 0xff, 0x00]), "3.1");
        assert_eq!(text([0xf1, 0xf0, 0xff, 0x61]), "1.0a");
        assert_eq!(text([0x10, 0x11, 0xf7, 0x00]), "10.11.7");
    }

    #[test]
    fn counts_must_agree_with_the_length() {
        assert!(parse_versions(&[1, 0xf1, 0xf3, 0xf3]).is_err());
        assert_eq!(parse_versions(&[1, 0xf1, 0xf3, 0xf3, 0]).unwrap().len(), 1);
        assert!(parse_message_types(&[1]).is_err());
        assert!(parse_message_types(&[1, 0, 0x7e]).is_err());
        assert_eq!(parse_message_types(&[2, 0, 0x7e]).unwrap(), [0, 0x7e]);
    }

    #[test]
    fn vendor_ids_have_two_or_four_bytes() {
        let pci = VendorMessage::parse(&[0xff, 0, 0xcc, 0xde, 0, 1]).unwrap();
        assert_eq!(pci.to_string(), "PCI vendor ccdeh, command set 0001h");
        let iana = VendorMessage::parse(&[1, 1, 0, 0, 0xa0, 0x15, 0, 2]).unwrap();
        assert_eq!((iana.next_selector, iana.vendor), (1, Vendor::Iana(40981)));
        assert!(VendorMessage::parse(&[0xff, 0, 0xcc, 0xde, 0]).is_err());
        assert!(VendorMessage::parse(&[0xff, 2, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn endpoint_answers_have_exact_lengths() {
        assert!(EndpointId::parse(&[9, 0]).is_err());
        assert!(EndpointId::parse(&[9, 0, 0, 0]).is_err());
        let answer = EndpointId::parse(&[0, 0x10, 0]).unwrap();
        assert_eq!(
            answer.to_string(),
            "no EID yet, bus owner or bridge, dynamic EID"
        );
        assert!(Uuid::parse(&[0; 16]).is_err());
        assert!(Uuid::parse(&[1; 15]).is_err());
        let rejected = Assignment::parse(&[0x10, 12, 0]).unwrap();
        assert_eq!((rejected.accepted, rejected.endpoint_id), (false, 12));
    }
}
