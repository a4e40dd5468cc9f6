//! The bytes of the messages. All numbers but the vendor ID are little-endian.

use crate::{MIN_LENGTH, SUBTYPE, VENDOR_ID};

const VENDOR: [u8; 2] = VENDOR_ID.to_be_bytes();
/// Vendor ID, subtype and the magic number BECAh.
pub(crate) const DATA: [u8; 5] = [VENDOR[0], VENDOR[1], SUBTYPE, 0xCA, 0xBE];
/// Vendor ID, subtype and the magic number 22DDh.
const COMMAND: [u8; 5] = [VENDOR[0], VENDOR[1], SUBTYPE, 0xDD, 0x22];
const VERSION: u8 = 1;
const RESPONSE: u8 = 0x00;
const REQUEST_BENCH: u8 = 0x01;

/// A benchmark message, as any bytes may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message<'m> {
    /// One message of a stream.
    Data(Data<'m>),
    /// Asks for a stream, or for something else that gets this status.
    Command {
        /// The requester's number for the request.
        instance_id: u32,
        /// The stream asked for, or why there is none.
        request: Result<Request, Status>,
    },
    /// The answer to a command.
    Response(Response),
}

impl<'m> Message<'m> {
    /// Reads `body`, a message of type 7Eh from behind the message type. `None` when it is somebody
    /// else's, or not whole.
    pub fn parse(body: &'m [u8]) -> Option<Self> {
        match body.split_first_chunk()? {
            (&DATA, rest) => Data::parse(rest).map(Self::Data),
            (&COMMAND, rest) => Self::parse_command(rest),
            _ => None,
        }
    }

    fn parse_command(rest: &[u8]) -> Option<Self> {
        let (&[version, command], rest) = rest.split_first_chunk()?;
        let (&instance_id, arguments) = rest.split_first_chunk()?;
        let instance_id = u32::from_le_bytes(instance_id);
        let request = match (version, command) {
            (_, RESPONSE) => {
                let status = Status(*arguments.first()?);
                return Some(Self::Response(Response {
                    instance_id,
                    status,
                }));
            }
            (VERSION, REQUEST_BENCH) => Request::parse(instance_id, arguments),
            (VERSION, _) => Err(Status::UNKNOWN_COMMAND),
            _ => Err(Status::OTHER),
        };
        Some(Self::Command {
            instance_id,
            request,
        })
    }

    /// Whether `body` says that it is a benchmark message, be it whole or not.
    pub(crate) fn has_prefix(body: &[u8]) -> bool {
        matches!(body, [high, low, SUBTYPE, ..] if [*high, *low] == VENDOR)
    }
}

/// What a data message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Data<'m> {
    /// Counts the messages of a stream, from
    /// [`FIRST_SEQUENCE_NUMBER`](crate::FIRST_SEQUENCE_NUMBER).
    pub sequence_number: u32,
    /// The payload, from byte 9 of the message.
    pub payload: &'m [u8],
}

impl<'m> Data<'m> {
    fn parse(rest: &'m [u8]) -> Option<Self> {
        let (&sequence_number, payload) = rest.split_first_chunk()?;
        Some(Self {
            sequence_number: u32::from_le_bytes(sequence_number),
            payload,
        })
    }

    /// Bytes of the whole message, its type not counted.
    pub(crate) fn message_len(&self) -> u64 {
        (self.payload.len() as u64).saturating_add(MIN_LENGTH.into())
    }
}

/// Asks a device for a stream to the requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request {
    /// The requester's number for the request. The response repeats it.
    pub instance_id: u32,
    /// Bytes of each message, its type not counted: at least [`MIN_LENGTH`].
    pub length: u16,
    /// How many messages. The Linux tools' default, "without end", is 18,000,000,000,000,000,000.
    pub count: u64,
}

impl Request {
    /// Bytes of an encoded request.
    pub const LEN: usize = 25;

    /// The message, from behind the message type.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(
            &mut bytes,
            &[
                &COMMAND,
                &[VERSION, REQUEST_BENCH],
                &self.instance_id.to_le_bytes(),
                // No flags.
                &[0; 4],
                &self.length.to_le_bytes(),
                &self.count.to_le_bytes(),
            ],
        );
        bytes
    }

    fn parse(instance_id: u32, arguments: &[u8]) -> Result<Self, Status> {
        // The flags have no meaning yet.
        let Some(&[_, _, _, _, length @ .., c0, c1, c2, c3, c4, c5, c6, c7]) =
            arguments.first_chunk::<14>()
        else {
            return Err(Status::BAD_ARGUMENT);
        };
        let request = Self {
            instance_id,
            length: u16::from_le_bytes(length),
            count: u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
        };
        if request.length < MIN_LENGTH {
            return Err(Status::BAD_ARGUMENT);
        }
        Ok(request)
    }
}

/// Says what becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response {
    /// That of the command.
    pub instance_id: u32,
    /// What becomes of it.
    pub status: Status,
}

impl Response {
    /// Bytes of an encoded response.
    pub const LEN: usize = 12;

    /// The message, from behind the message type.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(
            &mut bytes,
            &[
                &COMMAND,
                &[VERSION, RESPONSE],
                &self.instance_id.to_le_bytes(),
                &[self.status.0],
            ],
        );
        bytes
    }
}

/// What becomes of a command. Other values than those named here may come from other
/// implementations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(pub u8);

impl Status {
    /// It is carried out.
    pub const OK: Self = Self(0);
    /// It is not, for a reason that has no status of its own. Here: another version.
    pub const OTHER: Self = Self(1);
    /// There is no such command.
    pub const UNKNOWN_COMMAND: Self = Self(2);
    /// Its arguments are too few, or make no sense: messages shorter than [`MIN_LENGTH`].
    pub const BAD_ARGUMENT: Self = Self(3);
}

/// Puts the parts into `bytes`, one behind the other.
fn put(bytes: &mut [u8], parts: &[&[u8]]) {
    let places = bytes.iter_mut();
    for (place, byte) in places.zip(parts.iter().copied().flatten()) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the Linux tools send when nothing else is asked for, with instance ID 11223344h.
    const DEFAULT_REQUEST: [u8; 25] = [
        0xCC, 0xDE, 0xF1, 0xDD, 0x22, 0x01, 0x01, 0x44, 0x33, 0x22, 0x11, 0x00, 0x00, 0x00, 0x00,
        0x64, 0x00, 0x00, 0x00, 0x08, 0xC5, 0xA1, 0xD8, 0xCC, 0xF9,
    ];

    fn command(bytes: &[u8]) -> Option<(u32, Result<Request, Status>)> {
        match Message::parse(bytes) {
            Some(Message::Command {
                instance_id,
                request,
            }) => Some((instance_id, request)),
            _ => None,
        }
    }

    #[test]
    fn the_default_request_of_the_linux_tools_is_100_bytes_without_end() {
        let request = Request {
            instance_id: 0x1122_3344,
            length: 100,
            count: 18_000_000_000_000_000_000,
        };
        assert_eq!(request.encode(), DEFAULT_REQUEST);
        assert_eq!(command(&DEFAULT_REQUEST), Some((0x1122_3344, Ok(request))));
    }

    #[test]
    fn a_response_is_twelve_bytes() {
        let response = Response {
            instance_id: 0x1122_3344,
            status: Status::BAD_ARGUMENT,
        };
        let bytes = [
            0xCC, 0xDE, 0xF1, 0xDD, 0x22, 0x01, 0x00, 0x44, 0x33, 0x22, 0x11, 0x03,
        ];
        assert_eq!(response.encode(), bytes);
        assert_eq!(Message::parse(&bytes), Some(Message::Response(response)));
    }

    #[test]
    fn a_data_message_has_its_number_at_5_and_its_payload_at_9() {
        let bytes = [
            0xCC, 0xDE, 0xF1, 0xCA, 0xBE, 0xFA, 0xFF, 0xFF, 0xFF, 9, 10, 11,
        ];
        let data = Data {
            sequence_number: 0xFFFF_FFFA,
            payload: &[9, 10, 11],
        };
        assert_eq!(Message::parse(&bytes), Some(Message::Data(data)));
        assert_eq!(data.message_len(), 12);
    }

    #[test]
    fn what_is_wrong_with_a_command_is_its_status() {
        let changed = |place: usize, value: u8| {
            let mut bytes = DEFAULT_REQUEST;
            bytes[place] = value;
            command(&bytes).unwrap().1
        };
        assert_eq!(changed(5, 2), Err(Status::OTHER));
        assert_eq!(changed(6, 2), Err(Status::UNKNOWN_COMMAND));
        assert_eq!(changed(15, 8), Err(Status::BAD_ARGUMENT));
        assert_eq!(changed(15, 9).unwrap().length, MIN_LENGTH);
        for len in 11..25 {
            let expected = (0x1122_3344, Err(Status::BAD_ARGUMENT));
            assert_eq!(command(&DEFAULT_REQUEST[..len]), Some(expected));
        }
    }

    #[test]
    fn flags_are_ignored() {
        for place in 11..15 {
            let mut bytes = DEFAULT_REQUEST;
            bytes[place] = 0xFF;
            assert_eq!(command(&bytes), command(&DEFAULT_REQUEST));
        }
    }

    #[test]
    fn cut_off_messages_and_those_of_others_are_none() {
        for len in 0..11 {
            assert_eq!(Message::parse(&DEFAULT_REQUEST[..len]), None, "{len}");
        }
        let response = Response {
            instance_id: 1,
            status: Status::OK,
        };
        assert_eq!(Message::parse(&response.encode()[..11]), None);
        assert_eq!(Message::parse(&[&DATA[..], &[1, 2, 3]].concat()), None);
        for place in 0..5 {
            let mut bytes = DEFAULT_REQUEST;
            bytes[place] ^= 1;
            assert_eq!(Message::parse(&bytes), None, "{place}");
        }
    }

    proptest! {
        #[test]
        fn requests_survive_the_wire(instance_id: u32, length in MIN_LENGTH.., count: u64) {
            let request = Request { instance_id, length, count };
            prop_assert_eq!(command(&request.encode()), Some((instance_id, Ok(request))));
        }

        #[test]
        fn responses_survive_the_wire(instance_id: u32, status: u8) {
            let response = Response { instance_id, status: Status(status) };
            let bytes = response.encode();
            prop_assert_eq!(Message::parse(&bytes), Some(Message::Response(response)));
        }

        #[test]
        fn a_message_that_is_read_has_the_prefix(prefix in prop_oneof![Just(DATA), Just(COMMAND), any::<[u8; 5]>()], rest: Vec<u8>) {
            let bytes = [&prefix[..], &rest].concat();
            if Message::parse(&bytes).is_some() {
                prop_assert!(Message::has_prefix(&bytes));
            }
        }
    }
}
