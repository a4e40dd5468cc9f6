//! What a command handler works on.

use mctp::Eid;
use mctp_time::Instant;

use crate::device::Exclusive;
use crate::events::Events;
use crate::model::{Model, PortId};
use crate::world::{ShutdownKind, World};

/// Everything but the message. Handlers take it first.
pub(crate) struct Context<'c, 'm, W> {
    pub(crate) now: Instant,
    /// Who sent the command.
    pub(crate) requester: Eid,
    /// Whether this command was begun before and ended as pending.
    pub(crate) resumed: bool,
    /// The command slot it is in.
    pub(crate) slot: u8,
    /// The Message Integrity Check of the request.
    pub(crate) check: u32,
    /// How long the command may take in all, in milliseconds, if it ends as pending.
    pub(crate) longest: u32,
    pub(crate) model: &'c mut Model<'m>,
    pub(crate) world: &'c mut W,
    pub(crate) exclusive: &'c mut Option<Exclusive>,
    pub(crate) endpoint: &'c mut EndpointState,
    /// The Management Endpoint Buffer; empty: there is none.
    pub(crate) endpoint_buffer: &'c mut [u8],
    /// What is to happen when the response has been sent.
    pub(crate) effect: &'c mut Option<Effect>,
}

/// State of the management endpoint that commands see.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// The port it is at.
    pub(crate) port: PortId,
    /// A sanitize operation emptied the Management Endpoint Buffer, and the requester has not been
    /// told.
    pub(crate) buffer_lost: bool,
    /// Responses are held back.
    pub(crate) paused: bool,
    /// Error flags of Get State.
    pub(crate) errors: u16,
    /// Asynchronous Event Messages.
    pub(crate) events: Events,
}

impl EndpointState {
    /// How an endpoint begins.
    pub(crate) const fn new(port: PortId) -> Self {
        Self {
            port,
            buffer_lost: false,
            paused: false,
            errors: 0,
            events: Events::NONE,
        }
    }
}

/// What happens after the response to its command was sent, or instead of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The world is told of the transmission unit of the port.
    TransmissionUnit(PortId),
    /// The world is told of the frequency of the port.
    Frequency(PortId),
    Shutdown(ShutdownKind),
    Reset,
}

/// What a device must be able to do for a command or log to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    /// Nothing beside what all devices can.
    Nothing,
    Security,
    Format,
    Firmware,
    NamespaceManagement,
    SelfTest,
    Sanitize,
    VpdWrite,
    Reset,
    Shutdown,
    Pcie,
    PcieMemory,
    PcieIo,
    EndpointBuffer,
    Telemetry,
}

impl<W: World> Context<'_, '_, W> {
    /// Whether the device, reached by this endpoint, can do that.
    pub(crate) fn has(&mut self, ability: Ability) -> bool {
        let world = &mut *self.world;
        match ability {
            Ability::Nothing => true,
            Ability::Security => world.security().is_some(),
            Ability::Format => world.media().is_some_and(|media| media.supports_format()),
            Ability::Firmware => world.firmware().is_some(),
            Ability::NamespaceManagement => self.model.state.namespace_management,
            Ability::SelfTest => world
                .media()
                .is_some_and(|media| media.supports_self_test()),
            Ability::Sanitize => world
                .media()
                .is_some_and(|media| media.sanitize_capabilities() != 0),
            Ability::VpdWrite => world.vpd().is_some_and(|vpd| vpd.is_writable()),
            Ability::Reset => world.reset().is_some_and(|reset| reset.supports_reset()),
            Ability::Shutdown => world.reset().is_some_and(|reset| reset.supports_shutdown()),
            Ability::Pcie => world.pcie().is_some(),
            Ability::PcieMemory => world.pcie().is_some_and(|pcie| pcie.supports_memory()),
            Ability::PcieIo => world.pcie().is_some_and(|pcie| pcie.supports_io()),
            Ability::EndpointBuffer => !self.endpoint_buffer.is_empty(),
            Ability::Telemetry => world.telemetry().is_some(),
        }
    }
}
