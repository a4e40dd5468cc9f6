//! What is measured: the arguments of the program.

use mctp::MsgType;

/// Message bytes, the message type byte not counted, that a router with room for the usual messages
/// takes.
pub const USUAL_MESSAGE: usize = 4224;
/// And one with room for long messages.
pub const LONG_MESSAGE: usize = 65536;

/// What the routers have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// One port, a few messages of up to 4 KiB.
    Usual,
    /// One port, a few messages of up to 64 KiB.
    Long,
    /// Eight ports, 64 messages of up to 4 KiB, 200 routes.
    Many,
}

/// What to measure.
pub struct Case {
    pub room: Room,
    /// Bytes of a message behind the message type byte.
    pub payload: usize,
    /// Payload bytes of a packet, packet header not counted.
    pub unit: usize,
    /// How often all groups of messages are sent.
    pub rounds: usize,
    /// Endpoints that send requests, each its share of the messages.
    pub peers: usize,
    /// Ports that they are on, in turn.
    pub ports: usize,
    /// Routes that the router knows: to the first endpoints.
    pub routes: usize,
    /// Messages of a group: they come interleaved, packet by packet.
    pub in_flight: usize,
    /// Services that are open, the one that is measured among them.
    pub listeners: usize,
}

impl Case {
    /// The case of `ROOM PAYLOAD UNIT ROUNDS PEERS PORTS ROUTES IN_FLIGHT LISTENERS`.
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let (room, numbers) = arguments.split_first()?;
        let room = match room.as_str() {
            "usual" => Room::Usual,
            "long" => Room::Long,
            "many" => Room::Many,
            _ => return None,
        };
        let numbers: Result<Vec<usize>, _> = numbers.iter().map(|word| word.parse()).collect();
        let [
            payload,
            unit,
            rounds,
            peers,
            ports,
            routes,
            in_flight,
            listeners,
        ] = numbers.ok()?[..]
        else {
            return None;
        };
        Some(Self {
            room,
            payload,
            unit,
            rounds,
            peers,
            ports,
            routes,
            in_flight,
            listeners,
        })
    }

    /// The longest message that the router has room for.
    pub fn longest_message(&self) -> usize {
        match self.room {
            Room::Usual | Room::Many => USUAL_MESSAGE,
            Room::Long => LONG_MESSAGE,
        }
    }

    /// The type of the echo service's messages: vendor defined of a PCI vendor, or PLDM for a
    /// message too short to say so.
    pub fn message_type(&self) -> MsgType {
        if self.payload < self.head().len() {
            mctp::MCTP_TYPE_PLDM
        } else {
            mctp::MCTP_TYPE_VENDOR_PCIE
        }
    }

    /// A message of the echo service from behind the message type byte: its vendor ID and subtype,
    /// then a pattern.
    pub fn body(&self) -> Vec<u8> {
        let pattern = (0..=u8::MAX).cycle();
        let body = self.head().into_iter().chain(pattern);
        body.take(self.payload).collect()
    }

    fn head(&self) -> [u8; 3] {
        let [high, low] = mctp_echo::VENDOR_ID.to_be_bytes();
        [high, low, mctp_echo::SUBTYPE]
    }
}
