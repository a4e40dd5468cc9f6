//! What the driver learns from the device's own descriptors (USB 2.0, section 9.6) before it
//! announces it.

use embassy_usb_driver::{EndpointInfo as PortInfo, EndpointType};
use heapless::Vec;

use crate::wire::{
    DeviceConnect, EndpointInfo, EndpointKind, INTERFACE_SLOTS, InterfaceInfo, Speed, endpoint_slot,
};

/// bDescriptorType of an interface.
const INTERFACE: u8 = 4;
/// bDescriptorType of an endpoint.
const ENDPOINT: u8 = 5;

/// One alternate setting of one interface.
#[derive(Clone, Copy)]
struct Setting {
    interface: u8,
    alt_setting: u8,
    class: [u8; 3],
}

/// The device as its descriptors describe it, and which alternate settings are chosen.
pub(crate) struct Descriptors {
    class: [u8; 3],
    vendor_id: u16,
    product_id: u16,
    version: u16,
    settings: Vec<Setting, INTERFACE_SLOTS>,
    /// The interface of each endpoint slot.
    interface: [u8; 32],
    /// The chosen alternate setting of each interface number.
    chosen: [u8; INTERFACE_SLOTS],
}

impl Descriptors {
    pub(crate) const fn new() -> Self {
        Self {
            class: [0; 3],
            vendor_id: 0,
            product_id: 0,
            version: 0,
            settings: Vec::new(),
            interface: [0; 32],
            chosen: [0; INTERFACE_SLOTS],
        }
    }

    /// Takes a device descriptor; one that is too short changes nothing.
    pub(crate) fn learn_device(&mut self, bytes: &[u8]) {
        let &[
            _,
            _,
            _,
            _,
            class,
            subclass,
            protocol,
            _,
            v0,
            v1,
            p0,
            p1,
            d0,
            d1,
            ..,
        ] = bytes
        else {
            return;
        };
        self.class = [class, subclass, protocol];
        self.vendor_id = u16::from_le_bytes([v0, v1]);
        self.product_id = u16::from_le_bytes([p0, p1]);
        self.version = u16::from_le_bytes([d0, d1]);
    }

    /// Takes a configuration descriptor with all that follows it. Settings beyond 32 are not
    /// announced.
    pub(crate) fn learn_configuration(&mut self, mut bytes: &[u8]) {
        self.settings.clear();
        self.reset();
        let mut current = 0;
        while let Some((descriptor, rest)) = split_descriptor(bytes) {
            match *descriptor {
                [
                    _,
                    INTERFACE,
                    interface,
                    alt_setting,
                    _,
                    class,
                    subclass,
                    protocol,
                    ..,
                ] => {
                    current = interface;
                    let class = [class, subclass, protocol];
                    let _ = self.settings.push(Setting {
                        interface,
                        alt_setting,
                        class,
                    });
                }
                [_, ENDPOINT, address, ..] => {
                    if let Some(interface) = self.interface.get_mut(endpoint_slot(address)) {
                        *interface = current;
                    }
                }
                _ => {}
            }
            bytes = rest;
        }
    }

    /// Back to alternate setting 0 everywhere.
    pub(crate) fn reset(&mut self) {
        self.chosen = [0; INTERFACE_SLOTS];
    }

    pub(crate) fn choose(&mut self, interface: u8, alt_setting: u8) {
        if let Some(chosen) = self.chosen.get_mut(usize::from(interface)) {
            *chosen = alt_setting;
        }
    }

    pub(crate) fn connect(&self, speed: Speed) -> DeviceConnect {
        let [class, subclass, protocol] = self.class;
        DeviceConnect {
            speed,
            class,
            subclass,
            protocol,
            vendor_id: self.vendor_id,
            product_id: self.product_id,
            version: self.version,
        }
    }

    pub(crate) fn interface_info(&self) -> InterfaceInfo {
        let empty = [0; INTERFACE_SLOTS];
        let mut info = InterfaceInfo {
            count: 0,
            number: empty,
            class: empty,
            subclass: empty,
            protocol: empty,
        };
        let chosen = self.settings.iter().filter(|setting| {
            self.chosen
                .get(usize::from(setting.interface))
                .copied()
                .unwrap_or(0)
                == setting.alt_setting
        });
        let rows = info
            .number
            .iter_mut()
            .zip(&mut info.class)
            .zip(&mut info.subclass)
            .zip(&mut info.protocol);
        for (setting, (((number, class), subclass), protocol)) in chosen.zip(rows) {
            *number = setting.interface;
            [*class, *subclass, *protocol] = setting.class;
            info.count = info.count.saturating_add(1);
        }
        info
    }

    /// Ep_info for endpoint 0 and the `enabled` endpoints.
    pub(crate) fn endpoint_info(
        &self,
        control_size: u16,
        enabled: impl Iterator<Item = PortInfo>,
    ) -> EndpointInfo {
        let mut info = EndpointInfo::EMPTY;
        for address in [0x00, 0x80] {
            self.describe(&mut info, address, EndpointKind::CONTROL, control_size, 0);
        }
        for port in enabled {
            let (kind, interval) = match port.ep_type {
                // QEMU refuses a device with interval 0 here.
                EndpointType::Interrupt => (EndpointKind::INTERRUPT, port.interval_ms.max(1)),
                _ => (EndpointKind::BULK, port.interval_ms),
            };
            self.describe(
                &mut info,
                port.addr.into(),
                kind,
                port.max_packet_size,
                interval,
            );
        }
        info
    }

    fn describe(
        &self,
        info: &mut EndpointInfo,
        address: u8,
        kind: EndpointKind,
        size: u16,
        interval: u8,
    ) {
        let slot = endpoint_slot(address);
        if let Some(entry) = info.kind.get_mut(slot) {
            *entry = kind;
        }
        if let Some(entry) = info.max_packet_size.get_mut(slot) {
            *entry = size;
        }
        if let Some(entry) = info.interval.get_mut(slot) {
            *entry = interval;
        }
        if let (Some(entry), Some(interface)) =
            (info.interface.get_mut(slot), self.interface.get(slot))
        {
            *entry = *interface;
        }
    }
}

/// The first descriptor and what follows; `None` at the end, or when the length is wrong.
fn split_descriptor(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.first()?);
    if length < 2 {
        None
    } else {
        bytes.split_at_checked(length)
    }
}
