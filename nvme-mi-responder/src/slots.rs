//! Command slots (NVMe-MI 1.2, section 4.2): each holds one command and, in its place, the response to it.

use crate::clock::Instant;
use crate::context::Effect;
use crate::message::{Header, Kind, MAX_MESSAGE_LENGTH, MESSAGE_TYPE};
use crate::responder::Requester;

/// What a slot does. Receive, the state in which packets come in, is the router's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// The last response, if there was one, is still in the buffer.
    #[default]
    Idle,
    /// The command is carried out, or waits for it.
    Process,
    /// The response is to be sent.
    Transmit,
}

/// A command slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) state: SlotState,
    pub(crate) requester: Requester,
    pub(crate) header: Header,
    /// When the command came.
    pub(crate) received: Instant,
    /// Whether the command was begun and is pending.
    pub(crate) begun: bool,
    /// What happens when the response has been sent.
    pub(crate) effect: Option<Effect>,
    /// Bytes of the message in the buffer: in `Process` the request, without Message Integrity Check; else the response, with it.
    pub(crate) length: usize,
    pub(crate) buffer: [u8; MAX_MESSAGE_LENGTH],
}

impl Slot {
    pub(crate) const fn new() -> Self {
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
                in_buffer: false,
            },
            received: Instant::START,
            begun: false,
            effect: None,
            length: 0,
            buffer: [0; MAX_MESSAGE_LENGTH],
        }
    }

    /// Takes a command in. `content` is what follows its message type byte, without Message Integrity Check.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        requester: Requester,
        header: Header,
        content: &[u8],
    ) {
        self.state = SlotState::Process;
        self.requester = requester;
        self.header = header;
        self.received = now;
        self.begun = false;
        self.effect = None;
        self.length = content.len().saturating_add(1);
        crate::bytes::put(&mut self.buffer, 0, &[MESSAGE_TYPE]);
        crate::bytes::put(&mut self.buffer, 1, content);
    }

    /// Forgets the command and its response.
    pub(crate) fn discard(&mut self) {
        self.state = SlotState::Idle;
        self.effect = None;
        self.length = 0;
    }

    /// The response without its message type byte.
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.get(1..self.length).unwrap_or_default()
    }
}
