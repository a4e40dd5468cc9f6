//! What a command handler works on.

use mctp::Eid;
use mctp_time::Instant;

use crate::aem::Events;
use crate::model::{Model, PortId, SmbusFrequency};
use crate::support::Abilities;
use crate::world::ShutdownKind;

/// Everything but the message. Handlers take it first.
pub(crate) struct Context<'c, 'm, W> {
    pub(crate) now: Instant,
    /// Who sent the command.
    pub(crate) requester: Eid,
    /// Whether this command was begun before and ended as pending.
    pub(crate) resumed: bool,
    /// The command slot it is in.
    pub(crate) slot: u8,
    /// Whether the other command slot carries out nothing.
    pub(crate) alone: bool,
    /// What the device can do.
    pub(crate) abilities: Abilities,
    pub(crate) model: &'c mut Model<'m>,
    pub(crate) world: &'c mut W,
    pub(crate) endpoint: &'c mut Endpoint<'m>,
    /// What is to happen when the response has been sent.
    pub(crate) effect: &'c mut Option<Effect>,
}

/// State of the management endpoint that commands see.
#[derive(Debug)]
pub(crate) struct Endpoint<'m> {
    /// The port it is at.
    pub(crate) port: PortId,
    /// The Management Endpoint Buffer; empty: there is none.
    pub(crate) buffer: &'m mut [u8],
    /// A sanitize operation emptied the buffer, and the requester has not been told.
    pub(crate) buffer_lost: bool,
    /// Responses are held back.
    pub(crate) paused: bool,
    /// Error flags of Get State.
    pub(crate) errors: u16,
    /// Asynchronous Event Messages.
    pub(crate) events: Events,
}

/// What happens after the response to its command was sent, or instead of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    TransmissionUnit(PortId, u16),
    Frequency(PortId, SmbusFrequency),
    Shutdown(ShutdownKind),
    Reset,
}
