//! The MCTP control protocol from the requester's side (DSP0236 1.3.3).
//!
//! [`mctp_router::wire`] has the bytes, and [`mctp_router::requester`] the request, its retries and
//! which message is its response. The kernel carries the message type beside the body: it is taken
//! off what is sent, and put before what comes.

use std::fmt;
use std::io;
use std::time::Duration;

use mctp_router::Instant;
use mctp_router::requester::{self, Limits, Next};
use mctp_router::wire::{
    AssignmentStatus, Command, CompletionCode, EndpointIdType, Flags, GetEndpointIdRequest,
    GetEndpointIdResponse, GetEndpointUuidRequest, GetMessageTypeSupportRequest,
    GetVendorSupportRequest, GetVersionSupportRequest, InvalidResponse, MESSAGE_TYPE, Operation,
    Request as ControlRequest, SetEndpointIdRequest, SetEndpointIdResponse, VendorSupport, Version,
};

use crate::address::Destination;
use crate::exchange::{Exchange, Request};

/// Why a control request gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nothing with the right instance ID and command came.
    #[error("no answer to {command} from {destination} in {tries} tries of {} ms", wait.as_millis())]
    NoAnswer {
        /// Command code.
        command: Command,
        /// Who should have answered.
        destination: Destination,
        /// How often it was asked.
        tries: u8,
        /// How long each try waited.
        wait: Duration,
    },
    /// The answer has another completion code than SUCCESS.
    #[error("{command} was refused: {code}")]
    Refused {
        /// Command code.
        command: Command,
        /// Completion code.
        code: CompletionCode,
    },
    /// The answer breaks the layout that the specification gives it.
    #[error("bad answer to {command}: {reason}")]
    BadAnswer {
        /// Command code.
        command: Command,
        /// What is wrong with it.
        reason: InvalidAnswer,
    },
    /// The kernel could not send or receive.
    #[error("cannot send {command} to {destination}")]
    Socket {
        /// Command code.
        command: Command,
        /// To whom.
        destination: Destination,
        /// What the kernel says.
        source: io::Error,
    },
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    /// Its data are not those of the command.
    #[error(transparent)]
    Data(#[from] InvalidResponse),
    /// An assignment status that is neither accepted nor rejected.
    #[error("reserved assignment status")]
    ReservedStatus,
    /// An endpoint cannot be recognised by the nil UUID.
    #[error("the UUID is nil")]
    NilUuid,
}

/// A response, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whether it is a success.
    pub completion_code: CompletionCode,
    /// What follows the completion code of a success.
    pub data: Vec<u8>,
}

/// The response to the request of `exchange`, if `body` is that.
fn response_to(exchange: &requester::Exchange, body: &[u8]) -> Option<Response> {
    let message = [&[MESSAGE_TYPE], body].concat();
    let (completion_code, data) = match exchange.response(&message)? {
        Ok(data) => (CompletionCode::SUCCESS, data.to_vec()),
        Err(completion_code) => (completion_code, Vec::new()),
    };
    Some(Response {
        completion_code,
        data,
    })
}

/// Sends control requests and waits for their answers, with the retries of a bus owner.
pub struct ControlClient<'a, E> {
    socket: &'a mut E,
    next_instance_id: u8,
    /// How long each try waits.
    pub wait: Duration,
    /// How often a request is sent at most, always with the same instance ID.
    pub tries: u8,
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
        command: Command,
        data: &[u8],
    ) -> Result<Response, ControlError> {
        let limits = Limits {
            tries: self.tries,
            timeout: u32::try_from(self.wait.as_millis()).unwrap_or(u32::MAX),
        };
        let mut exchange = requester::Exchange::new(self.next_instance_id, command, limits);
        self.next_instance_id = (self.next_instance_id + 1) % Flags::INSTANCE_IDS;
        // Data for more than one packet are sent as well: that a device refuses them can be tried.
        let header = exchange.request(&[]);
        let body = [&header[size_of_val(&MESSAGE_TYPE)..], data].concat();
        let request = Request {
            destination,
            message_type: MESSAGE_TYPE,
            body: &body,
        };
        let mut now = Instant::START;
        while exchange.poll(now) == Next::Send {
            let answer = self
                .socket
                .exchange(request, self.wait, &mut |answer| {
                    response_to(&exchange, answer).is_some()
                })
                .map_err(|source| ControlError::Socket {
                    command,
                    destination,
                    source,
                })?;
            if let Some(response) = answer.and_then(|body| response_to(&exchange, &body)) {
                return Ok(response);
            }
            // The socket has waited for the whole try.
            now = exchange.deadline();
        }
        Err(ControlError::NoAnswer {
            command,
            destination,
            tries: self.tries,
            wait: self.wait,
        })
    }

    /// Sends a request that has to succeed; `read` takes what is asked for from the answer.
    fn ask<R: ControlRequest, T>(
        &mut self,
        destination: Destination,
        request: &R,
        read: impl FnOnce(R::Response<'_>) -> Result<T, InvalidAnswer>,
    ) -> Result<T, ControlError> {
        let command = R::COMMAND;
        let response = self.request(destination, command, request.as_bytes())?;
        if !response.completion_code.is_success() {
            let code = response.completion_code;
            return Err(ControlError::Refused { command, code });
        }
        R::parse_response(&response.data)
            .map_err(InvalidAnswer::from)
            .and_then(read)
            .map_err(|reason| ControlError::BadAnswer { command, reason })
    }

    /// Get Endpoint ID.
    pub fn endpoint_id(
        &mut self,
        destination: Destination,
    ) -> Result<GetEndpointIdResponse, ControlError> {
        self.ask(destination, &GetEndpointIdRequest, |response| Ok(*response))
    }

    /// Set Endpoint ID, operation "set".
    pub fn set_endpoint_id(
        &mut self,
        destination: Destination,
        endpoint_id: u8,
    ) -> Result<SetEndpointIdResponse, ControlError> {
        let operation = Operation::SET;
        let request = SetEndpointIdRequest {
            operation,
            endpoint_id,
        };
        self.ask(destination, &request, |response| {
            match response.status.assignment() {
                AssignmentStatus::Reserved => Err(InvalidAnswer::ReservedStatus),
                _ => Ok(*response),
            }
        })
    }

    /// Get Endpoint UUID.
    pub fn uuid(&mut self, destination: Destination) -> Result<Uuid, ControlError> {
        self.ask(
            destination,
            &GetEndpointUuidRequest,
            |response| match response.uuid {
                uuid if uuid == [0; 16] => Err(InvalidAnswer::NilUuid),
                uuid => Ok(Uuid(uuid)),
            },
        )
    }

    /// Get MCTP Version Support for a message type; FFh asks for the base specification.
    pub fn versions(
        &mut self,
        destination: Destination,
        message_type: u8,
    ) -> Result<Vec<Version>, ControlError> {
        let request = GetVersionSupportRequest { message_type };
        self.ask(destination, &request, |response| {
            Ok(response.versions.to_vec())
        })
    }

    /// Get Message Type Support.
    pub fn message_types(&mut self, destination: Destination) -> Result<Vec<u8>, ControlError> {
        let request = GetMessageTypeSupportRequest;
        self.ask(destination, &request, |response| {
            Ok(response.message_types.to_vec())
        })
    }

    /// Get Vendor Defined Message Support for one selector.
    pub fn vendor_message(
        &mut self,
        destination: Destination,
        selector: u8,
    ) -> Result<VendorSupport, ControlError> {
        self.ask(destination, &GetVendorSupportRequest { selector }, Ok)
    }
}

/// The answer to Get Endpoint ID as people read it.
#[derive(Clone, Copy, Debug)]
pub struct InWords<'a>(pub &'a GetEndpointIdResponse);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.endpoint_id {
            0 => write!(f, "no EID yet")?,
            endpoint_id => write!(f, "EID {endpoint_id}")?,
        }
        let endpoint_type = self.0.endpoint_type;
        f.write_str(if endpoint_type.is_simple() {
            ", simple endpoint"
        } else if endpoint_type.is_bus_owner_or_bridge() {
            ", bus owner or bridge"
        } else {
            ", reserved endpoint type"
        })?;
        f.write_str(match endpoint_type.id_type() {
            EndpointIdType::Dynamic => ", dynamic EID",
            EndpointIdType::Static => ", static EID supported",
            EndpointIdType::StaticInForce => ", static EID in use",
            EndpointIdType::StaticOverridden => ", static EID overridden",
        })
    }
}

/// Sixteen bytes in RFC 4122 order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

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
    fn data_for_more_than_one_packet_are_sent_whole() {
        let mut script = Script(vec![vec![0, 2, 3]], vec![]);
        let response = ControlClient::new(&mut script)
            .request(PEER, Command::GET_ENDPOINT_ID, &[7; 100])
            .unwrap();
        assert_eq!(response.completion_code, CompletionCode::INVALID_LENGTH);
        assert_eq!(script.1, [[&[0x80, 2][..], &[7; 100]].concat()]);
    }

    #[test]
    fn as_many_tries_are_made_as_are_set() {
        for tries in [1, 4, 60] {
            let mut script = Script(vec![vec![]; 60], vec![]);
            let mut client = ControlClient::new(&mut script);
            client.tries = tries;
            assert!(client.endpoint_id(PEER).is_err());
            assert_eq!(script.1, vec![vec![0x80, 2]; usize::from(tries)]);
        }
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        let mut script = Script(vec![vec![0x01, 2, 0, 9, 0, 0]; 4], vec![]);
        let error = ControlClient::new(&mut script).endpoint_id(PEER);
        assert!(matches!(error, Err(ControlError::NoAnswer { .. })));
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

    /// The answer to the first request, whatever it asks for.
    fn answering<T>(answer: &[u8], ask: impl FnOnce(&mut ControlClient<'_, Script>) -> T) -> T {
        let mut script = Script(vec![answer.to_vec()], vec![]);
        ask(&mut ControlClient::new(&mut script))
    }

    #[test]
    fn counts_must_agree_with_the_length() {
        let versions = |answer: &[u8]| answering(answer, |client| client.versions(PEER, 0xff));
        assert_eq!(
            versions(&[0, 4, 0, 1, 0xf1, 0xf3, 0xf3, 0]).unwrap().len(),
            1
        );
        assert_eq!(
            versions(&[0, 4, 0, 2, 0xf1, 0xf3, 0xf3, 0])
                .unwrap_err()
                .to_string(),
            "bad answer to Get MCTP Version Support (04h): 2 entries announced, 1 sent"
        );
        let types = |answer: &[u8]| answering(answer, |client| client.message_types(PEER));
        assert_eq!(types(&[0, 5, 0, 2, 0, 0x7e]).unwrap(), [0, 0x7e]);
        assert!(types(&[0, 5, 0, 1]).is_err() && types(&[0, 5, 0, 1, 0, 0x7e]).is_err());
    }

    #[test]
    fn endpoints_are_told_in_words() {
        let told = |data: &[u8]| {
            answering(&[&[0, 2, 0], data].concat(), |client| {
                client
                    .endpoint_id(PEER)
                    .map(|response| InWords(&response).to_string())
            })
        };
        assert_eq!(
            told(&[0, 0x10, 0]).unwrap(),
            "no EID yet, bus owner or bridge, dynamic EID"
        );
        assert_eq!(
            told(&[9, 0x22, 0]).unwrap(),
            "EID 9, reserved endpoint type, static EID in use"
        );
        assert!(told(&[9, 0]).is_err() && told(&[9, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_nil_uuid_and_a_reserved_status_are_bad_answers() {
        let uuid = |byte| {
            answering(&[&[0, 3, 0], &[byte; 16][..]].concat(), |client| {
                client.uuid(PEER)
            })
        };
        assert_eq!(uuid(1).unwrap(), Uuid([1; 16]));
        assert_eq!(
            uuid(0).unwrap_err().to_string(),
            "bad answer to Get Endpoint UUID (03h): the UUID is nil"
        );
        let set = |status| {
            answering(&[0, 1, 0, status, 12, 0], |client| {
                client.set_endpoint_id(PEER, 12)
            })
        };
        assert_eq!(
            set(0x10).unwrap().status.assignment(),
            AssignmentStatus::Rejected
        );
        assert!(set(0x20).is_err());
    }
}
