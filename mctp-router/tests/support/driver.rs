//! What a scenario does with a device and sees of it, whichever router the device has.

use mctp_router::{BusOwner, Config, Event, NetworkId, PortConfig, PortId, Route, Service, Target};
use mctp_transport::{DropCounters, DropReason, Eid, PhysicalAddress};

use super::{
    DEVICE, ECHO, NETWORK, POINT_TO_POINT, REQUEST, SentTransfer, USB, Wire, assemble, config,
    echo_message,
};

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It is part of a message that is not complete.
    Stored,
    /// It completed a message, or was a control request.
    Accepted,
    /// The transport keeps it until there is a buffer.
    HeldBack,
    Dropped(DropReason),
}

/// Why sending, receiving or serving failed: the errors of the `mctp` crate that the router has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Unreachable,
    Stalled,
    TimedOut,
    TagUnavailable,
    NoSpace,
    BadArgument,
    AddrInUse,
}

impl From<mctp_router::ListenError> for Failure {
    fn from(error: mctp_router::ListenError) -> Self {
        mctp::Error::from(error).into()
    }
}

impl From<mctp::Error> for Failure {
    fn from(error: mctp::Error) -> Self {
        match error {
            mctp::Error::Unreachable => Self::Unreachable,
            mctp::Error::TxFailure => Self::Stalled,
            mctp::Error::TimedOut => Self::TimedOut,
            mctp::Error::TagUnavailable => Self::TagUnavailable,
            mctp::Error::NoSpace => Self::NoSpace,
            mctp::Error::BadArgument => Self::BadArgument,
            mctp::Error::AddrInUse => Self::AddrInUse,
            other => panic!("not an error of the router: {other:?}"),
        }
    }
}

pub(crate) type SendResult = Result<(), Failure>;
/// Message type included.
pub(crate) type Response = Result<Vec<u8>, Failure>;

/// An open listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served(pub(super) usize);

/// A message that is being sent, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sending(pub(super) usize);

/// A request to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked(pub(super) usize);

/// A message that a service has taken, and can answer.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(super) id: usize,
    pub(crate) integrity_check: bool,
    /// Message type included, without the integrity check bit.
    pub(crate) message: Vec<u8>,
    pub(crate) source: Eid,
    /// Network, port and neighbour that it came by; a copy does not know.
    pub(crate) came_by: Option<(NetworkId, PortId, PhysicalAddress)>,
}

impl Taken {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.message[1..]
    }
}

/// How a service takes its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    /// In the router's buffer, which it has until it gives the message back.
    InPlace,
    /// As the listener of the `mctp` crate: copied, and the buffer is free again.
    Copied,
}

/// A request that the device sends.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) target: Target,
    /// Message type included.
    pub(crate) message: Vec<u8>,
    /// In milliseconds; else the configured one.
    pub(crate) timeout: Option<u64>,
}

impl Question {
    pub(crate) fn new(target: Target, message: &[u8]) -> Self {
        Self {
            target,
            message: message.to_vec(),
            timeout: None,
        }
    }

    pub(crate) fn timeout(self, milliseconds: u64) -> Self {
        Self {
            timeout: Some(milliseconds),
            ..self
        }
    }
}

/// The device that a scenario wants.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) networks: [NetworkId; 2],
    /// Four short and four long message buffers, long ones of 70,000 bytes; else two of each, long
    /// ones of 4,224 bytes.
    pub(crate) is_large: bool,
}

/// A device with a USB-like port 0 and an I2C-like port 1, both up, and a virtual clock; ten or more
/// channels, four routes; no endpoint ID and no service.
///
/// Each call ends when everything that it set off has happened. The hosts read what is sent to them,
/// unless told otherwise.
pub(crate) trait Driver: Sized {
    fn new(setup: &Setup) -> Self;

    // What both routers have under the same name.

    fn configure_port(&mut self, port: PortId, config: PortConfig);
    fn add_route(&mut self, route: Route) -> bool;
    fn remove_route(&mut self, network: NetworkId, first: Eid, last: Eid) -> bool;
    fn endpoint_id(&self, network: NetworkId) -> Eid;
    fn set_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool;
    fn set_static_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool;
    fn bus_owner(&self, network: NetworkId) -> Option<BusOwner>;
    fn drop_counters(&self) -> DropCounters;
    fn count_drop(&mut self, reason: DropReason);
    fn messages_accepted(&self) -> u32;
    fn poll_event(&mut self) -> Option<Event>;

    // Time.

    /// Milliseconds since the start.
    fn millis(&self) -> u64;

    /// Lets time pass; deadlines in between are met on time.
    fn advance(&mut self, milliseconds: u64);

    /// Lets time pass in which the device does not run. What comes next is the first that it sees.
    fn oversleep(&mut self, milliseconds: u64);

    /// The device does what it has to do, and looks at the clock.
    fn run(&mut self);

    // Links, and the hosts at their other ends.

    fn link_up(&mut self, port: PortId);
    fn link_down(&mut self, port: PortId);

    /// Says whether the port's transport can wait. It cannot, unless told so.
    fn set_can_wait(&mut self, port: PortId, can_wait: bool);

    /// A packet comes by a port.
    fn receive_at(&mut self, port: PortId, from: PhysicalAddress, packet: &[u8]) -> Came;

    /// Several packets come at once.
    fn receive_all_at(&mut self, port: PortId, from: PhysicalAddress, packets: &[Vec<u8>]);

    /// A packet comes that the transport finds broken.
    fn receive_broken(&mut self, port: PortId);

    /// How many transfers the host reads from now on.
    fn set_reads(&mut self, port: PortId, transfers: usize);

    /// How fast the link carries what the device sends.
    fn set_speed(&mut self, port: PortId, bytes_per_millisecond: usize);

    /// Whether the host does not accept what it reads.
    fn set_refuses(&mut self, port: PortId, refuses: bool);

    /// What the host has read since it was last asked, with the time at which it had each transfer.
    fn timed_transfers(&mut self, port: PortId) -> Vec<(u64, SentTransfer)>;

    // Services.

    fn listen(&mut self, service: Service) -> Result<Served, Failure>;

    /// Ends a service, with all that it has taken and sends.
    fn close(&mut self, served: Served);

    /// Takes the oldest message. A service that has one in place takes no other before it gives that
    /// one back.
    fn take_as(&mut self, served: Served, taking: Taking) -> Option<Taken>;

    /// Answers a message. The slices are sent as one.
    fn respond(&mut self, taken: &Taken, integrity_check: bool, slices: &[&[u8]]) -> Sending;

    /// `None` while it is being sent.
    fn outcome(&mut self, sending: Sending) -> Option<SendResult>;

    /// Ends a message that is being sent.
    fn abandon(&mut self, sending: Sending);

    /// Ends with a message; what is being sent of its answer is abandoned.
    fn give_back(&mut self, taken: Taken);

    fn discard_bad_integrity_check(&mut self, taken: Taken);

    /// From now on each message of the service is sent back.
    fn serve_echo(&mut self, service: Service, taking: Taking);

    // Requests.

    /// Sends a request, and takes its responses until there are none in time.
    fn ask(&mut self, question: Question) -> Asked;

    /// Asks who sent a message that was copied; the question's target does not matter.
    fn ask_back(&mut self, taken: &Taken, question: Question) -> Asked;

    /// What came of sending the request; `None` while it is being sent.
    fn request_outcome(&mut self, asked: Asked) -> Option<SendResult>;

    /// The responses since this was last called, message type included; an error is the last.
    fn answers(&mut self, asked: Asked) -> Vec<Response>;

    /// Ends a request, whatever has become of it.
    fn end_request(&mut self, asked: Asked);

    // What scenarios make of it.

    fn blank(config: &Config) -> Self {
        Self::new(&Setup {
            config: config.clone(),
            networks: [NETWORK; 2],
            is_large: false,
        })
    }

    /// With endpoint ID [`DEVICE`] and a listener for the echo, which takes nothing by itself.
    fn echo_with(config: &Config) -> (Self, Served) {
        let mut device = Self::blank(config);
        assert!(device.set_endpoint_id(NETWORK, Eid(DEVICE)));
        let echo = device.listen(ECHO).unwrap();
        (device, echo)
    }

    fn echo() -> (Self, Served) {
        Self::echo_with(&config())
    }

    /// With endpoint ID [`DEVICE`], and large.
    fn large_with(config: &Config) -> Self {
        let mut device = Self::new(&Setup {
            config: config.clone(),
            networks: [NETWORK; 2],
            is_large: true,
        });
        assert!(device.set_endpoint_id(NETWORK, Eid(DEVICE)));
        device
    }

    fn large() -> Self {
        Self::large_with(&config())
    }

    /// Each port in a network of its own, and without endpoint IDs.
    fn in_two_networks() -> Self {
        Self::new(&Setup {
            config: config(),
            networks: [NetworkId(0), NetworkId(1)],
            is_large: true,
        })
    }

    /// A packet comes by USB.
    fn receive(&mut self, packet: &[u8]) -> Came {
        self.receive_at(USB, POINT_TO_POINT, packet)
    }

    /// Several packets come at once by USB.
    fn receive_all(&mut self, packets: &[Vec<u8>]) {
        self.receive_all_at(USB, POINT_TO_POINT, packets);
    }

    fn drops(&self, reason: DropReason) -> u32 {
        self.drop_counters().of(reason)
    }

    /// What `action` made the counters count.
    fn drops_of<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> Vec<(DropReason, u32)> {
        let before = self.drop_counters();
        action(self);
        let grown = self.drop_counters();
        let grown = grown.nonzero();
        let grown = grown.map(|(reason, count)| (reason, count - before.of(reason)));
        grown.filter(|(_, count)| *count > 0).collect()
    }

    /// The packet is dropped, for this reason and no other.
    #[track_caller]
    fn assert_drops(&mut self, packet: &[u8], reason: DropReason) {
        let accepted = self.messages_accepted();
        let drops = self.drops_of(|device| {
            assert_eq!(device.receive(packet), Came::Dropped(reason));
        });
        assert_eq!(drops, [(reason, 1)]);
        assert_eq!(self.messages_accepted(), accepted);
        assert_eq!(self.sent(), [[0u8; 0]; 0], "discards are silent");
    }

    /// Copies the oldest message of a service: type, then the rest.
    fn take(&mut self, served: Served) -> Option<Vec<u8>> {
        let taken = self.take_as(served, Taking::Copied)?;
        let message = taken.message.clone();
        self.give_back(taken);
        Some(message)
    }

    /// Takes the oldest message of a service, in place.
    #[track_caller]
    fn lend(&mut self, served: Served) -> Taken {
        self.take_as(served, Taking::InPlace).expect("a message")
    }

    /// Takes a copy of the oldest message of a service.
    #[track_caller]
    fn copy(&mut self, served: Served) -> Taken {
        self.take_as(served, Taking::Copied).expect("a message")
    }

    /// Echoes the oldest message of a service.
    #[track_caller]
    fn echo_one(&mut self, served: Served) {
        let taken = self.copy(served);
        let sending = self.respond(&taken, taken.integrity_check, &[taken.bytes()]);
        assert_eq!(self.outcome(sending), Some(Ok(())));
        self.give_back(taken);
    }

    /// The next good message is served: the claim after every discard.
    #[track_caller]
    fn assert_serves(&mut self, echo: Served) {
        let message = echo_message(130);
        let drops = self.drops_of(|device| {
            let packets = REQUEST.tag(7).from(0x55).packets(&message, 64);
            let came: Vec<_> = packets
                .iter()
                .map(|packet| device.receive(packet))
                .collect();
            assert_eq!(came, [Came::Stored, Came::Stored, Came::Accepted]);
            device.echo_one(echo);
            let sent = assemble(&device.sent());
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].message, message);
            assert_eq!((sent[0].header.destination, sent[0].header.tag), (0x55, 7));
            assert!(!sent[0].header.tag_owner);
        });
        assert_eq!(drops, []);
    }

    /// What the host has read since it was last asked.
    fn transfers(&mut self, port: PortId) -> Vec<SentTransfer> {
        let transfers = self.timed_transfers(port).into_iter();
        transfers.map(|(_, transfer)| transfer).collect()
    }

    /// All packets that the USB host has read since it was last asked.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let transfers = self.transfers(USB).into_iter();
        transfers.flat_map(|(_, packets)| packets).collect()
    }

    fn stop_reading(&mut self, port: PortId) {
        self.set_reads(port, 0);
    }

    fn read_again(&mut self, port: PortId) {
        self.set_reads(port, usize::MAX);
    }

    /// The host, which reads nothing else, reads the next transfer.
    fn transfer(&mut self, port: PortId) -> Option<SentTransfer> {
        self.set_reads(port, 1);
        self.set_reads(port, 0);
        let mut read = self.transfers(port);
        assert!(read.len() <= 1, "what was read before is to be asked for");
        read.pop()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.poll_event()).collect()
    }

    /// Sets the unit of a port.
    fn set_unit(&mut self, port: PortId, unit: usize) {
        self.configure_port(port, PortConfig::new(unit));
    }

    /// Sends a control request by USB and returns the payload of the one response.
    #[track_caller]
    fn control(&mut self, header: Wire, payload: &[u8]) -> Vec<u8> {
        assert_eq!(self.receive(&header.packet(payload)), Came::Accepted);
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "one response: {sent:02X?}");
        Wire::parse(&sent[0]).1.to_vec()
    }

    /// Get Endpoint ID is answered at once.
    #[track_caller]
    fn assert_answers_control(&mut self) {
        let own = self.endpoint_id(NETWORK).0;
        let response = self.control(REQUEST.to(0).tag(6), &[0x00, 0x9F, 0x02]);
        assert_eq!(response, [0x00, 0x1F, 0x02, 0x00, own, 0x00, 0x00]);
    }

    /// A large device that echoes.
    fn echoing() -> Self {
        let mut device = Self::large();
        device.serve_echo(ECHO, Taking::InPlace);
        device
    }

    /// One message to the device that echoes, and back.
    #[track_caller]
    fn assert_echoes(&mut self, tag: u8, len: usize) {
        let message = echo_message(len);
        self.receive_all(&REQUEST.tag(tag).packets(&message, 64));
        let sent = assemble(&self.sent());
        assert_eq!(sent.len(), 1, "one echo of {len} bytes");
        assert_eq!((sent[0].header.tag, &sent[0].message), (tag, &message));
    }
}
