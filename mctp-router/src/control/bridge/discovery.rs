//! Endpoint discovery: Prepare for Endpoint Discovery, Endpoint Discovery and Discovery Notify
//! (DSP0236 1.3.3, sections 12.14 to 12.16), on buses whose binding has it.

use super::{Answer, Bridge};
use crate::config::PortId;
use crate::control::ControlRequest;
use crate::wire::{
    BindingId, CompletionCode, EndpointDiscoveryRequest, PrepareForEndpointDiscoveryRequest,
    Request,
};

impl Bridge<'_> {
    /// Carries out Prepare for Endpoint Discovery: the endpoint ID is kept.
    pub(super) fn prepare_for_discovery(
        &mut self,
        request: &ControlRequest<'_>,
    ) -> Result<(), CompletionCode> {
        let port = request.requester.port;
        if !self.has_discovery(port) {
            return Err(CompletionCode::UNSUPPORTED_COMMAND);
        }
        PrepareForEndpointDiscoveryRequest::parse(request.data)?;
        self.set_discovered(port, false);
        Ok(())
    }

    /// Answers Endpoint Discovery, unless the endpoint is discovered.
    pub(super) fn discover(&self, request: &ControlRequest<'_>) -> Answer {
        let port = request.requester.port;
        if !self.has_discovery(port) {
            return Answer::Refusal(CompletionCode::UNSUPPORTED_COMMAND);
        }
        if self.discovered.has(port) {
            return Answer::Silence;
        }
        let parsed = EndpointDiscoveryRequest::parse(request.data);
        parsed.map(|_| ()).into()
    }

    /// Whether the bus of a port has endpoint discovery: of the bindings that are known, PCIe VDM
    /// alone (DSP0238).
    pub(super) fn has_discovery(&self, port: PortId) -> bool {
        let port = self.config.port(port);
        port.is_some_and(|port| port.binding == BindingId::PCIE_VDM)
    }

    /// Sets the Discovered flag of the bus of a port.
    pub(super) fn set_discovered(&mut self, port: PortId, is_discovered: bool) {
        self.discovered.set(port, is_discovered);
    }
}
