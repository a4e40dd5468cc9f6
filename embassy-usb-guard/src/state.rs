//! What bus and control pipe have to know of each other.

use core::cell::Cell;

use embassy_usb_driver::{Direction, EndpointAddress, Event};

/// The visible device states (USB 2.0, section 9.1.1) in which a host can send a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DeviceState {
    /// After a bus reset.
    Default,
    /// The host has assigned an address.
    Address,
    /// The host has chosen a configuration.
    Configured,
}

/// What a [`Guard`](crate::Guard) keeps in mind; it belongs to the guard's user, and outlives the
/// guard.
#[derive(Debug)]
pub struct State {
    device: Cell<DeviceState>,
    /// One bit for each enabled endpoint: OUT endpoints from bit 0, IN endpoints from bit 16.
    enabled: Cell<u32>,
    /// An IN request with wLength 0 is with the device stack, which says only when it refuses it.
    pub(crate) ends_without_data: Cell<bool>,
}

impl State {
    /// Of a device that has no host yet.
    pub const fn new() -> Self {
        Self {
            device: Cell::new(DeviceState::Default),
            enabled: Cell::new(0),
            ends_without_data: Cell::new(false),
        }
    }

    pub(crate) fn device(&self) -> DeviceState {
        self.device.get()
    }

    pub(crate) fn set_device(&self, state: DeviceState) {
        self.device.set(state);
    }

    pub(crate) fn is_enabled(&self, endpoint: EndpointAddress) -> bool {
        self.enabled.get() & bit(endpoint) != 0
    }

    pub(crate) fn set_enabled(&self, endpoint: EndpointAddress, enabled: bool) {
        let others = self.enabled.get() & !bit(endpoint);
        self.enabled.set(if enabled {
            others | bit(endpoint)
        } else {
            others
        });
    }

    /// After a reset, and without power, nothing is left of what the host did before.
    pub(crate) fn note(&self, event: Event) {
        if matches!(event, Event::Suspend | Event::Resume) {
            return;
        }
        self.device.set(DeviceState::Default);
        self.enabled.set(0);
        self.ends_without_data.set(false);
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

fn bit(endpoint: EndpointAddress) -> u32 {
    let first = match endpoint.direction() {
        Direction::Out => 1 << 0,
        Direction::In => 1 << 16,
    };
    // An address has no number above 15.
    first << (endpoint.index() & 0xF)
}
