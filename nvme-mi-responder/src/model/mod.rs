//! The managed subsystem: identity, ports, controllers, namespaces.
//!
//! [`Subsystem`] holds the storage, sized by const generics; [`Model`] is a view of it without
//! those sizes, on which everything works.

mod background;
mod controller;
mod error;
mod health;
mod health_report;
mod history;
mod identity;
mod namespace;
mod port;
mod settings;

pub(crate) use background::{
    FirmwareUpdate, Outcome, RunningTest, Sanitize, SanitizeState, SelfTests, TestResult,
};
pub(crate) use controller::{Change, Controller, Flags, Observed, WARNINGS, event, status};
pub use controller::{ControllerConfig, ControllerId, Function, PciAddress};
pub use error::{IdentityText, ModelError};
pub use health_report::{CriticalWarning, HealthReport};
pub(crate) use history::{ERRORS, FailedCommand};
pub use identity::{Identity, Vendor};
pub use namespace::NamespaceId;
pub(crate) use namespace::{LBA_FORMATS, Namespace, bytes_of};
pub(crate) use port::{BASELINE_TRANSMISSION_UNIT, Port};
pub use port::{LinkWidth, PciePort, PortConfig, PortId, PortKind, SmbusFrequency, TwoWirePort};
pub(crate) use settings::{Metadata, Settings, TEMPERATURES, default_thresholds};

use core::fmt;

use heapless::{Vec, VecView};

/// An NVM subsystem with room for `PORTS` ports, `CONTROLLERS` controllers (at most 32) and
/// `NAMESPACES` namespaces.
///
/// Built with the methods of its [`Model`], to which it dereferences in all but name:
/// [`Subsystem::model`].
#[derive(Clone, Debug)]
pub struct Subsystem<'i, const PORTS: usize, const CONTROLLERS: usize, const NAMESPACES: usize> {
    identity: Identity<'i>,
    ports: Vec<Port, PORTS>,
    controllers: Vec<Controller, CONTROLLERS>,
    namespaces: Vec<Namespace, NAMESPACES>,
    flags: [[Flags; CONTROLLERS]; PORTS],
    state: State,
}

/// State of the subsystem as a whole.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The serial number of the next namespace.
    pub(crate) next_serial: u16,
    /// Whether requesters may create, delete, attach and detach namespaces.
    pub(crate) namespace_management: bool,
    /// What was downloaded of a firmware image.
    pub(crate) firmware: FirmwareUpdate,
    pub(crate) self_tests: SelfTests,
    pub(crate) sanitize: Sanitize,
    /// How often a sanitize operation emptied the Management Endpoint Buffers.
    pub(crate) buffers_emptied: u32,
}

impl State {
    const INITIAL: Self = Self {
        next_serial: 0,
        namespace_management: false,
        firmware: FirmwareUpdate::NONE,
        self_tests: SelfTests::NONE,
        sanitize: Sanitize::NEVER,
        buffers_emptied: 0,
    };
}

/// A subsystem, whatever its capacities are.
pub struct Model<'m> {
    pub(crate) identity: Identity<'m>,
    pub(crate) ports: &'m mut VecView<Port>,
    /// Ascending by ID.
    pub(crate) controllers: &'m mut VecView<Controller>,
    /// Ascending by ID.
    pub(crate) namespaces: &'m mut VecView<Namespace>,
    /// For each port, what its management endpoint has to report of each controller that there is
    /// room for.
    pub(crate) flags: &'m mut [Flags],
    pub(crate) state: &'m mut State,
}

impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("identity", &self.identity)
            .field("ports", &self.ports)
            .field("controllers", &self.controllers)
            .field("namespaces", &self.namespaces)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<'i, const PORTS: usize, const CONTROLLERS: usize, const NAMESPACES: usize>
    Subsystem<'i, PORTS, CONTROLLERS, NAMESPACES>
{
    /// A subsystem without ports, controllers and namespaces.
    ///
    /// # Errors
    ///
    /// [`ModelError::InvalidText`] and [`ModelError::InvalidQualifiedName`].
    pub fn new(identity: Identity<'i>) -> Result<Self, ModelError> {
        check_texts(&identity)?;
        if !identity.qualified_name.starts_with("nqn.") {
            return Err(ModelError::InvalidQualifiedName);
        }
        Ok(Self {
            identity,
            ports: Vec::new(),
            controllers: Vec::new(),
            namespaces: Vec::new(),
            flags: [[Flags::NONE; CONTROLLERS]; PORTS],
            state: State::INITIAL,
        })
    }

    /// The view on which everything works.
    pub fn model(&mut self) -> Model<'_> {
        Model {
            identity: self.identity,
            ports: self.ports.as_mut_view(),
            controllers: self.controllers.as_mut_view(),
            namespaces: self.namespaces.as_mut_view(),
            flags: self.flags.as_flattened_mut(),
            state: &mut self.state,
        }
    }

    /// [`Model::add_port`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn add_port(&mut self, config: PortConfig) -> Result<PortId, ModelError> {
        self.model().add_port(config)
    }

    /// [`Model::add_controller`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn add_controller(
        &mut self,
        port: PortId,
        config: ControllerConfig,
    ) -> Result<ControllerId, ModelError> {
        self.model().add_controller(port, config)
    }

    /// [`Model::add_namespace`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn add_namespace(&mut self, blocks: u64) -> Result<NamespaceId, ModelError> {
        self.model().add_namespace(blocks)
    }

    /// [`Model::attach_namespace`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn attach_namespace(
        &mut self,
        namespace: NamespaceId,
        controller: ControllerId,
    ) -> Result<(), ModelError> {
        self.model().attach_namespace(namespace, controller)
    }
}

fn check_texts(identity: &Identity<'_>) -> Result<(), ModelError> {
    let text = if !is_text(identity.serial_number, 20) {
        IdentityText::SerialNumber
    } else if !is_text(identity.model_number, 40) {
        IdentityText::ModelNumber
    } else if !is_text(identity.firmware_revision, 8) {
        IdentityText::FirmwareRevision
    } else if !is_text(identity.qualified_name, 223) {
        IdentityText::QualifiedName
    } else {
        return Ok(());
    };
    Err(ModelError::InvalidText(text))
}

#[inline(never)]
fn is_text(text: &str, limit: usize) -> bool {
    let printable = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
    printable && text.len() <= limit
}

impl Model<'_> {
    /// Adds a port. The first is port 0.
    ///
    /// # Errors
    ///
    /// [`ModelError::TooManyPorts`], [`ModelError::TransmissionUnitTooSmall`],
    /// [`ModelError::InvalidPciePort`], [`ModelError::InvalidAddress`].
    pub fn add_port(&mut self, config: PortConfig) -> Result<PortId, ModelError> {
        if config.max_transmission_unit < BASELINE_TRANSMISSION_UNIT {
            return Err(ModelError::TransmissionUnitTooSmall);
        }
        match config.kind {
            PortKind::Pcie(port) => check_pcie(port)?,
            PortKind::TwoWire(port) => {
                if port.vpd_address > 0x7F || port.endpoint_address > 0x7F {
                    return Err(ModelError::InvalidAddress);
                }
            }
        }
        let id = u8::try_from(self.ports.len()).map_err(|_| ModelError::TooManyPorts)?;
        self.ports
            .push(Port::new(config))
            .map_err(|_| ModelError::TooManyPorts)?;
        Ok(PortId(id))
    }

    /// Adds a controller on a PCIe port. The first is controller 0.
    ///
    /// # Errors
    ///
    /// [`ModelError::TooManyControllers`], [`ModelError::NoSuchPort`], [`ModelError::NotPcie`].
    pub fn add_controller(
        &mut self,
        port: PortId,
        config: ControllerConfig,
    ) -> Result<ControllerId, ModelError> {
        match self
            .port(port)
            .ok_or(ModelError::NoSuchPort(port))?
            .config
            .kind
        {
            PortKind::Pcie(_) => {}
            PortKind::TwoWire(_) => return Err(ModelError::NotPcie(port)),
        }
        let index = self.controllers.len();
        let id = match u16::try_from(index) {
            Ok(id @ 0..32) => ControllerId(id),
            _ => return Err(ModelError::TooManyControllers),
        };
        let added = self.controllers.push(Controller::new(id, port, config));
        added.map_err(|_| ModelError::TooManyControllers)?;
        Ok(id)
    }

    /// Adds a namespace of `blocks` blocks of 512 bytes, attached to no controller. It gets the
    /// lowest ID that is free.
    ///
    /// # Errors
    ///
    /// [`ModelError::TooManyNamespaces`], [`ModelError::NoBlocks`],
    /// [`ModelError::InsufficientCapacity`].
    pub fn add_namespace(&mut self, blocks: u64) -> Result<NamespaceId, ModelError> {
        self.create_namespace(blocks, 0)
    }

    /// Adds a namespace in LBA format `format`.
    pub(crate) fn create_namespace(
        &mut self,
        blocks: u64,
        format: u8,
    ) -> Result<NamespaceId, ModelError> {
        let shift = LBA_FORMATS.get(usize::from(format)).copied().unwrap_or(9);
        if blocks == 0 {
            return Err(ModelError::NoBlocks);
        }
        if self.namespaces.is_full() {
            return Err(ModelError::TooManyNamespaces);
        }
        if bytes_of(blocks, shift) > self.unallocated() {
            return Err(ModelError::InsufficientCapacity);
        }
        // They are in ascending order from 1: the first that is not in its place shows a gap.
        let in_place = (1u32..).zip(self.namespaces.iter());
        let before = in_place
            .take_while(|(place, namespace)| namespace.id.0 == *place)
            .count();
        let id = NamespaceId(u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1));
        let serial = self.state.next_serial;
        let namespace = Namespace {
            id,
            blocks,
            format,
            serial,
            attached: 0,
            shared: true,
            metadata: Metadata::EMPTY,
        };
        let added = self.namespaces.push(namespace);
        added.map_err(|_| ModelError::TooManyNamespaces)?;
        move_last_to(self.namespaces, before);
        self.state.next_serial = serial.wrapping_add(1);
        Ok(id)
    }

    /// Lets requesters create, delete, attach and detach namespaces.
    pub fn allow_namespace_management(&mut self) {
        self.state.namespace_management = true;
    }

    /// Forbids that, as it is in the beginning.
    pub fn forbid_namespace_management(&mut self) {
        self.state.namespace_management = false;
    }

    /// The PCIe link of a port came up at this generation, changed to it, or (`None`) went down.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchPort`], [`ModelError::NotPcie`], [`ModelError::InvalidPciePort`].
    pub fn set_link(&mut self, port: PortId, link: Option<u8>) -> Result<(), ModelError> {
        let found = self.port_mut(port).ok_or(ModelError::NoSuchPort(port))?;
        let PortKind::Pcie(pcie) = &mut found.config.kind else {
            return Err(ModelError::NotPcie(port));
        };
        check_pcie(PciePort { link, ..*pcie })?;
        if core::mem::replace(&mut pcie.link, link).is_some() != link.is_some() {
            self.raise_events(event::LINK_CHANGED);
        }
        Ok(())
    }

    /// Bytes that belong to no namespace.
    pub fn unallocated(&self) -> u64 {
        let used = self
            .namespaces
            .iter()
            .map(Namespace::bytes)
            .fold(0, u64::saturating_add);
        self.identity.capacity.saturating_sub(used)
    }

    pub(crate) fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(usize::from(id.0))
    }

    pub(crate) fn port_mut(&mut self, id: PortId) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(id.0))
    }

    /// Where in `controllers` the controller is, which is also its bit in `Namespace::attached`.
    pub(crate) fn controller_index(&self, id: ControllerId) -> Option<usize> {
        // The IDs count from 0: one more controller costs nothing.
        let index = usize::from(id.0);
        (index < self.controllers.len()).then_some(index)
    }

    pub(crate) fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.id == id)
    }

    pub(crate) fn namespace_mut(&mut self, id: NamespaceId) -> Option<&mut Namespace> {
        self.namespaces
            .iter_mut()
            .find(|namespace| namespace.id == id)
    }
}

/// Moves the last item to `place`, and those from there on one further.
fn move_last_to<T>(items: &mut [T], place: usize) {
    for left in (place..items.len()).rev() {
        if let Some([left, right]) = items
            .get_mut(left..)
            .and_then(|rest| rest.first_chunk_mut())
        {
            core::mem::swap(left, right);
        }
    }
}

fn check_pcie(port: PciePort) -> Result<(), ModelError> {
    let link = port.link.unwrap_or(1);
    let good = (1..=6).contains(&port.generation)
        && (1..=port.generation).contains(&link)
        && port.payload_exponent <= 5;
    if good {
        Ok(())
    } else {
        Err(ModelError::InvalidPciePort)
    }
}

#[cfg(test)]
mod tests {
    use super::move_last_to;

    #[test]
    fn the_last_item_moves_to_any_place_and_the_others_keep_their_order() {
        let moved = |place| {
            let mut items = [1, 2, 3, 9];
            move_last_to(&mut items, place);
            items
        };
        assert_eq!(
            [0, 1, 2, 3].map(moved),
            [[9, 1, 2, 3], [1, 9, 2, 3], [1, 2, 9, 3], [1, 2, 3, 9]]
        );
    }
}
