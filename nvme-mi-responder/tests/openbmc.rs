//! The commands of OpenBMC's NVMe daemon, in its order, and what it insists on. It gives each of
//! the first ones 1 s.

mod support;

use nvme_mi_responder::world::{
    HealthReport, MemoryEffects, MemoryFirmware, MemoryMedia, MemoryTelemetry,
};
use nvme_mi_responder::{PortId, PortKind, SmbusFrequency, Subsystem};
use support::{
    ADMIN, Admin, Device, IDENTITY, NotSupported, PCIE_PORT, Parts, TWO_WIRE_PORT, field,
};

type World = Parts<
    HealthReport,
    MemoryFirmware<'static, 2>,
    NotSupported,
    NotSupported,
    MemoryEffects,
    NotSupported,
    MemoryMedia,
    NotSupported,
    MemoryTelemetry<512>,
>;

fn device() -> Device<World> {
    let slots = [Some(*b"REF00001"), None];
    let world = Parts::new(HealthReport::healthy())
        .with_firmware(MemoryFirmware::new(&mut [], slots))
        .with_effects(MemoryEffects::default())
        .with_media(MemoryMedia::new())
        .with_telemetry(MemoryTelemetry::new([0; 512]));
    Device::reference(world)
}

/// Read NVMe-MI Data Structure; returns the structure.
fn structure(device: &mut Device<World>, data_type: u8, port: u8) -> Vec<u8> {
    let dword0 = u32::from(data_type) << 24 | u32::from(port) << 16;
    let response = device.mi(0x00, dword0, 0, &[]);
    assert_eq!(response[0], 0);
    response[4..].to_vec()
}

/// Configuration Set or Get of a port; returns NMRESP.
fn configuration(device: &mut Device<World>, opcode: u8, dword0: u32, dword1: u32) -> u64 {
    let response = device.mi(opcode, dword0, dword1, &[]);
    assert_eq!((response.len(), response[0]), (4, 0));
    field(&response, 1, 3)
}

/// Its search for the two-wire port: the first of type 2 that can be read.
fn find_two_wire_port(device: &mut Device<World>) -> Option<u8> {
    let subsystem = structure(device, 0x00, 0);
    assert_eq!(subsystem.len(), 32);
    (0..=subsystem[0]).find(|port| {
        let information = structure(device, 0x01, *port);
        assert_eq!(information.len(), 32);
        information[0] == 2
    })
}

#[test]
fn the_endpoint_is_set_up_to_the_largest_unit_and_400_khz() {
    let mut device = device();
    let port = find_two_wire_port(&mut device).expect("the daemon rejects the endpoint");
    let information = structure(&mut device, 0x01, port);
    let unit = field(&information, 2, 2) as u16;
    let of_port = u32::from(port) << 24;
    configuration(&mut device, 0x03, of_port | 0x03, unit.into());
    let effects = device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(port), 250)));
    assert!(information[11] >= 2, "it would leave the port at 100 kHz");
    assert_eq!(configuration(&mut device, 0x04, of_port | 0x01, 0), 1);
    configuration(&mut device, 0x03, of_port | 2 << 8 | 0x01, 0);
    assert_eq!(configuration(&mut device, 0x04, of_port | 0x01, 0), 2);
    assert_eq!(configuration(&mut device, 0x04, of_port | 0x03, 0), 250);
}

#[test]
fn what_it_polls_and_scans_is_answered() {
    let mut device = device();
    let health = device.mi(0x01, 0, 1 << 31, &[]);
    assert_eq!(health[4..8], [0x38, 0xFF, 30, 3]);
    let list = structure(&mut device, 0x02, 0);
    assert_eq!(list[..6], [2, 0, 0, 0, 1, 0]);
    for controller in 0..2 {
        let identify = |structure| Admin {
            opcode: 0x06,
            controller,
            length: 4096,
            dwords: [structure, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        let (_, data) = device.admin_ok(identify(0x01));
        assert_eq!(field(&data, 78, 2), u64::from(controller));
        let (_, secondary) = device.admin_ok(identify(0x15));
        assert_eq!((secondary.len(), secondary[0]), (4096, 0));
    }
}

#[test]
fn its_logs_are_read_in_pieces() {
    let mut device = device();
    let piece = |log, offset, length: u32| Admin {
        opcode: 0x02,
        namespace: u32::MAX,
        length,
        dwords: [log | (length / 4 - 1) << 16, 0, offset, 0, 0, 0],
        ..ADMIN
    };
    let (_, smart) = device.admin_ok(piece(0x02, 0, 512));
    assert_eq!(field(&smart, 1, 2), 303);
    for log in [0x07, 0x08] {
        let (_, header) = device.admin_ok(piece(log, 0, 512));
        assert_eq!(header.len(), 512);
        assert_eq!(header[0], log as u8);
    }
}

#[test]
fn a_port_that_can_do_100_khz_only_stays_below_the_number_from_which_it_tries_400() {
    let mut port = TWO_WIRE_PORT;
    if let PortKind::TwoWire(two_wire) = &mut port.kind {
        two_wire.frequency = SmbusFrequency::Khz100;
    }
    let subsystem = Box::leak(Box::new(Subsystem::<2, 1, 1>::new(IDENTITY).unwrap()));
    subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(port).unwrap();
    let world = Parts::new(HealthReport::healthy());
    let response = Device::of(subsystem.model(), world).mi(0x00, 0x0101_0000, 0, &[]);
    assert_eq!((response[4], response[4 + 11]), (2, 1));
}
