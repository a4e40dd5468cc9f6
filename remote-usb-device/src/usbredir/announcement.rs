//! The messages that tell the guest what the device is.

use embassy_usb_driver::{EndpointType, Speed};

use crate::descriptors::Descriptors;
use crate::engine::Engine;
use crate::usbredir::wire::{self, EndpointKind, INTERFACE_SLOTS, endpoint_slot};

pub(super) fn device_connect(engine: &Engine<'_>) -> wire::DeviceConnect {
    let device = engine.descriptors().device();
    let [class, subclass, protocol] = device.class;
    wire::DeviceConnect {
        speed: match engine.speed() {
            Speed::Low => wire::Speed::LOW,
            Speed::Full => wire::Speed::FULL,
            Speed::High => wire::Speed::HIGH,
        },
        class,
        subclass,
        protocol,
        vendor_id: device.vendor_id,
        product_id: device.product_id,
        version: device.version,
    }
}

pub(super) fn interface_info(descriptors: &Descriptors) -> wire::InterfaceInfo {
    let empty = [0; INTERFACE_SLOTS];
    let mut info = wire::InterfaceInfo {
        count: 0,
        number: empty,
        class: empty,
        subclass: empty,
        protocol: empty,
    };
    let rows = info
        .number
        .iter_mut()
        .zip(&mut info.class)
        .zip(&mut info.subclass)
        .zip(&mut info.protocol);
    for (setting, (((number, class), subclass), protocol)) in
        descriptors.chosen_settings().zip(rows)
    {
        *number = setting.interface;
        [*class, *subclass, *protocol] = setting.class;
        info.count = info.count.saturating_add(1);
    }
    info
}

/// Ep_info for endpoint 0 and the endpoints that are on.
pub(super) fn endpoint_info(engine: &Engine<'_>) -> wire::EndpointInfo {
    let mut info = wire::EndpointInfo::EMPTY;
    let mut describe = |address: u8, kind, size, interval| {
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
        if let Some(entry) = info.interface.get_mut(slot) {
            *entry = engine.descriptors().interface_of(address);
        }
    };
    for address in [0x00, 0x80] {
        describe(address, EndpointKind::CONTROL, engine.control_size(), 0);
    }
    for port in engine.enabled_endpoints() {
        let (kind, interval) = match port.ep_type {
            // QEMU refuses a device with interval 0 here.
            EndpointType::Interrupt => (EndpointKind::INTERRUPT, port.interval_ms.max(1)),
            _ => (EndpointKind::BULK, port.interval_ms),
        };
        describe(port.addr.into(), kind, port.max_packet_size, interval);
    }
    info
}
