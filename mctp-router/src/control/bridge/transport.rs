//! The commands of transport bindings, F0h to FFh (DSP0236 1.3.3, section 12.24).

use core::fmt::Debug;

use super::Bridge;
use crate::config::{BusOwner, NetworkId};
use crate::control::ControlRequest;
use crate::wire::{BindingId, Command, CompletionCode, MediumId, Response, TransportSpecific};

/// A command of a transport binding.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransportRequest<'r> {
    /// F0h to FFh.
    pub command: Command,
    /// The transport binding that defines the command: that of the port that it came by, or
    /// [`BindingId::VENDOR_DEFINED`].
    pub binding: BindingId,
    /// The physical medium that the requester says it is for.
    pub medium: MediumId,
    /// What follows binding and medium. Of a vendor defined binding it begins with the IANA
    /// enterprise number of the vendor.
    pub data: &'r [u8],
    /// The network.
    pub network: NetworkId,
    /// Endpoint ID, port and physical address of the requester, which is on the bus of that port.
    pub requester: BusOwner,
}

/// What carries out the commands of transport bindings, F0h to FFh: set by
/// [`RouterCore::set_transport_commands`](crate::RouterCore::set_transport_commands).
///
/// ```
/// use mctp_router::wire::{CompletionCode, Response};
/// use mctp_router::{TransportCommands, TransportRequest};
///
/// /// A binding whose command F0h reads a byte.
/// #[derive(Debug)]
/// struct Byte(u8);
///
/// impl TransportCommands for Byte {
///     fn carry_out(
///         &mut self,
///         request: &TransportRequest<'_>,
///         response: &mut Response,
///     ) -> Result<(), CompletionCode> {
///         match (request.command.0, request.data) {
///             (0xF0, []) => Ok(response.put(&[self.0])),
///             (0xF0, _) => Err(CompletionCode::INVALID_LENGTH),
///             _ => Err(CompletionCode::UNSUPPORTED_COMMAND),
///         }
///     }
/// }
/// ```
pub trait TransportCommands: Debug + Send {
    /// Carries out a command; what it answers is put into the response.
    ///
    /// # Errors
    ///
    /// The completion code of the response, if it is not a success.
    fn carry_out(
        &mut self,
        request: &TransportRequest<'_>,
        response: &mut Response,
    ) -> Result<(), CompletionCode>;
}

impl Bridge<'_> {
    /// Hands a command of a transport binding on. It concerns one bus, so a binding that is not that
    /// of the port is invalid.
    pub(super) fn transport_specific(
        &mut self,
        request: &ControlRequest<'_>,
        response: &mut Response,
    ) -> Result<(), CompletionCode> {
        let commands = self.transport.as_deref_mut();
        let commands = commands.ok_or(CompletionCode::UNSUPPORTED_COMMAND)?;
        let (start, data) = TransportSpecific::parse(request.data)?;
        let port = self.config.port(request.requester.port);
        let is_of_port = port.is_some_and(|port| port.binding == start.binding);
        if !is_of_port && start.binding != BindingId::VENDOR_DEFINED {
            return Err(CompletionCode::INVALID_DATA);
        }
        let handed_on = TransportRequest {
            command: request.header.command,
            binding: start.binding,
            medium: start.medium,
            data,
            network: request.network,
            requester: request.requester,
        };
        commands.carry_out(&handed_on, response)
    }
}
