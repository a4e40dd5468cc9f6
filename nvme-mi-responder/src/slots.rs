//! Command slots (NVMe-MI 1.2): each holds one command and, in its place, the response to it.
//!
//! | state | code | until |
//! |-|-|-|
//! | Idle | 0 | a command comes |
//! | Receive | 1 | its last packet is there; this is the router's, and never seen here |
//! | Process | 2 | the command is carried out |
//! | Transmit | 3 | the response is sent |
//!
//! A command for a slot that is not idle is dropped, and Get State says so (CMNICS). The sources
//! for this crate disagree on which of the two commands is lost; the one whose response may already
//! be on its way is kept.

use mctp_time::Instant;

use crate::context::Effect;
use crate::message::{Header, Kind, MAX_MESSAGE_LENGTH, Opened};
use crate::requester::Requester;
use crate::world::World;

/// What a slot does. The numbers are those of Get State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// The last response, if there was one, is still in the buffer.
    #[default]
    Idle = 0,
    /// The command is carried out, or waits for it.
    Process = 2,
    /// The response is to be sent.
    Transmit = 3,
}

/// Bytes of the body of a message without data, such as all responses to control primitives, with
/// its Message Integrity Check.
pub(crate) const SHORT_LENGTH: usize = 11;

/// A short message that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    pub(crate) requester: Requester,
    pub(crate) message: [u8; SHORT_LENGTH],
}

/// Bytes of the longest message without its message type byte.
pub(crate) const MAX_BODY_LENGTH: usize = MAX_MESSAGE_LENGTH - 1;

/// Room for the message of a command slot: 4223 bytes, which belong in a static. New, all of them
/// are zero. It holds a response until the next command comes, for Replay, and the request of a
/// command that is pending.
#[derive(Debug)]
pub struct MessageBuffer(pub(crate) [u8; MAX_BODY_LENGTH]);

impl MessageBuffer {
    /// Room for a message.
    pub const fn new() -> Self {
        Self([0; MAX_BODY_LENGTH])
    }
}

impl Default for MessageBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// A command slot.
#[derive(Debug)]
pub(crate) struct Slot<'m> {
    pub(crate) state: SlotState,
    pub(crate) requester: Requester,
    pub(crate) header: Header,
    /// The Message Integrity Check of the request.
    pub(crate) check: u32,
    /// When the command came.
    pub(crate) received: Instant,
    /// Whether the command was begun and is pending.
    pub(crate) begun: bool,
    /// While it is: when to look at it again.
    pub(crate) next_look: Instant,
    /// How long the pending command may take in all, in milliseconds.
    pub(crate) longest: u32,
    /// Whether the requester was told of More Processing Required.
    pub(crate) told: bool,
    /// More Processing Required, until it is sent.
    pub(crate) more_processing: Option<Notice>,
    /// The response to the last control primitive, until it is sent.
    pub(crate) primitive: Option<Notice>,
    /// What happens when the response has been sent.
    pub(crate) effect: Option<Effect>,
    /// Counts commands and replays, so that [`ManagementEndpoint::sent`](crate::ManagementEndpoint::sent) ends what
    /// was sent and nothing newer.
    pub(crate) serial: u8,
    /// Counts control primitives, likewise.
    pub(crate) primitives: u8,
    /// Bytes of the message in the buffer, without its message type byte: in `Process` the request,
    /// without Message Integrity Check; else the response, with it.
    pub(crate) length: usize,
    pub(crate) buffer: &'m mut [u8; MAX_BODY_LENGTH],
}

impl<'m> Slot<'m> {
    pub(crate) fn new(MessageBuffer(buffer): &'m mut MessageBuffer) -> Self {
        Self {
            state: SlotState::Idle,
            requester: Requester {
                endpoint_id: mctp::MCTP_ADDR_NULL,
                exchange: 0,
            },
            header: Header {
                kind: Kind::Management,
                slot: 0,
                auto_pause: false,
            },
            check: 0,
            received: Instant::START,
            begun: false,
            next_look: Instant::NEVER,
            longest: 0,
            told: false,
            more_processing: None,
            primitive: None,
            effect: None,
            serial: 0,
            primitives: 0,
            length: 0,
            buffer,
        }
    }

    /// Takes a command in, of which the request is elsewhere.
    pub(crate) fn accept(&mut self, now: Instant, requester: Requester, opened: &Opened<'_>) {
        self.state = SlotState::Process;
        self.requester = requester;
        self.header = opened.header;
        self.check = opened.check;
        self.received = now;
        self.begun = false;
        self.told = false;
        self.effect = None;
        self.serial = self.serial.wrapping_add(1);
        self.length = 0;
    }

    /// Keeps the request of a command that is pending.
    pub(crate) fn keep(&mut self, request: &[u8]) {
        crate::bytes::put(self.buffer, 0, request);
        self.length = request.len();
    }

    /// Forgets the command and its response.
    pub(crate) fn discard(&mut self) {
        self.state = SlotState::Idle;
        self.more_processing = None;
        self.effect = None;
        self.length = 0;
    }

    /// Gets the last response ready to be sent once more, to `requester`: More Processing Required,
    /// if that is what the pending command sent. `false` if there is none.
    pub(crate) fn replay(
        &mut self,
        now: Instant,
        requester: Requester,
        world: &mut impl World,
    ) -> bool {
        let is_pending = self.state == SlotState::Process;
        let has_response = if is_pending {
            self.told
        } else {
            self.length > 0
        };
        if !has_response {
            return false;
        }
        self.requester = requester;
        self.serial = self.serial.wrapping_add(1);
        if is_pending {
            self.tell(now, world);
        } else {
            self.state = SlotState::Transmit;
        }
        true
    }

    /// The response without its message type byte.
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Whether something is still to be sent for that exchange.
    pub(crate) fn serves(&self, exchange: u16) -> bool {
        let waits = |notice: &Option<Notice>| {
            notice.is_some_and(|notice| notice.requester.exchange == exchange)
        };
        let works = self.state != SlotState::Idle && self.requester.exchange == exchange;
        works || waits(&self.more_processing) || waits(&self.primitive)
    }
}
