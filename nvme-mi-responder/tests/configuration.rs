//! Configuration Set and Get, VPD, Management Endpoint Buffer, Reset and Shutdown (NVMe-MI 1.2).

mod support;

use mctp::Eid;
use nvme_mi_responder::world::{
    FirmwareStore, HealthReport, MemoryEffects, MemoryFirmware, MemoryReset, MemoryVpd,
    ShutdownKind, VpdStore,
};
use nvme_mi_responder::{
    PortConfig, PortId, PortKind, Requester, SmbusFrequency, Subsystem, TwoWirePort,
};
use support::{
    ADMIN, Admin, Device, IDENTITY, NotSupported, PCIE_PORT, Parts, TWO_WIRE_PORT, field, sealed,
};

type World = Parts<HealthReport, NotSupported, MemoryVpd<256>, MemoryReset, MemoryEffects>;

fn world() -> World {
    Parts::new(HealthReport::healthy())
        .with_vpd(MemoryVpd::new(core::array::from_fn(|index| index as u8)))
        .with_reset(MemoryReset::default())
        .with_effects(MemoryEffects::default())
}

fn device() -> Device<World> {
    Device::reference(world())
}

fn set(device: &mut Device<World>, identifier: u8, byte_9: u8, port: u8, dword1: u32) -> Vec<u8> {
    device.mi(
        0x03,
        u32::from_le_bytes([identifier, byte_9, 0, port]),
        dword1,
        &[],
    )
}

fn get(device: &mut Device<World>, identifier: u8, port: u8) -> Vec<u8> {
    device.mi(0x04, u32::from_le_bytes([identifier, 0, 0, port]), 0, &[])
}

#[test]
fn unknown_identifiers_are_refused_at_byte_8() {
    for identifier in [0x00, 0x05, 0x06, 0xBF, 0xC0, 0xFF] {
        assert_eq!(set(&mut device(), identifier, 0, 1, 0), [4, 0, 8, 0]);
        assert_eq!(get(&mut device(), identifier, 1), [4, 0, 8, 0]);
    }
}

#[test]
fn a_frequency_is_set_and_got() {
    let mut device = device();
    for frequency in [3, 2, 1] {
        assert_eq!(set(&mut device, 1, frequency, 1, 0), [0; 4]);
        assert_eq!(get(&mut device, 1, 1), [0, frequency, 0, 0]);
    }
    let told = device.world().effects.smbus_frequency;
    assert_eq!(told, Some((PortId(1), SmbusFrequency::Khz100)));
}

#[test]
fn reserved_bits_beside_the_frequency_are_ignored() {
    let mut device = device();
    assert_eq!(set(&mut device, 1, 0xF2, 1, u32::MAX), [0; 4]);
    assert_eq!(get(&mut device, 1, 1), [0, 2, 0, 0]);
}

#[test]
fn a_frequency_that_the_port_cannot_have_is_refused_at_byte_9() {
    for frequency in [0, 4, 15] {
        assert_eq!(set(&mut device(), 1, frequency, 1, 0), [4, 0, 9, 0]);
    }
    let slow = PortConfig {
        kind: PortKind::TwoWire(TwoWirePort {
            frequency: SmbusFrequency::Khz100,
            vpd_address: 0,
            vpd_frequency: None,
            endpoint_address: 0x1D,
            basic_management: true,
        }),
        ..TWO_WIRE_PORT
    };
    let subsystem = Box::leak(Box::new(Subsystem::<2, 0, 0>::new(IDENTITY).unwrap()));
    subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(slow).unwrap();
    let mut device = Device::of(subsystem.model(), world());
    assert_eq!(set(&mut device, 1, 2, 1, 0), [4, 0, 9, 0]);
    assert_eq!(get(&mut device, 1, 1), [0, 1, 0, 0]);
}

#[test]
fn only_two_wire_ports_have_a_frequency() {
    for port in [0, 2] {
        assert_eq!(set(&mut device(), 1, 1, port, 0), [4, 0, 11, 0]);
        assert_eq!(get(&mut device(), 1, port), [4, 0, 11, 0]);
    }
}

#[test]
fn a_transmission_unit_is_taken_from_64_to_the_largest() {
    let mut device = device();
    for unit in [64, 65, 249, 250] {
        assert_eq!(set(&mut device, 3, 0, 1, unit), [0; 4]);
        assert_eq!(get(&mut device, 3, 1), [0, unit as u8, 0, 0]);
    }
    for unit in [0, 1, 63, 251, 0x0140, 65535] {
        assert_eq!(
            set(&mut device, 3, 0, 1, unit),
            [4, 0, 12, 0],
            "unit {unit}"
        );
    }
    assert_eq!(get(&mut device, 3, 1), [0, 250, 0, 0]);
}

#[test]
fn a_transmission_unit_of_an_unknown_port_is_refused_at_byte_11() {
    assert_eq!(set(&mut device(), 3, 0, 2, 64), [4, 0, 11, 0]);
    assert_eq!(get(&mut device(), 3, 2), [4, 0, 11, 0]);
}

#[test]
fn a_new_transmission_unit_takes_effect_after_the_response_was_sent() {
    let mut device = device();
    let request = sealed(&[0x84, 8, 0, 0, 3, 0, 0, 0, 3, 0, 0, 1, 200, 0, 0, 0]);
    let requester = Requester {
        endpoint_id: Eid(8),
        exchange: 1,
    };
    device
        .endpoint
        .receive(
            &mut device.inner,
            device.now,
            requester,
            true,
            &request[1..],
        )
        .unwrap();
    assert_eq!(device.world().effects.transmission_unit, None);
    assert!(device.response().is_some());
    assert_eq!(
        device.world().effects.transmission_unit,
        Some((PortId(1), 200))
    );
}

#[test]
fn configuration_of_ports_takes_no_request_data() {
    for identifier in [1u32, 2, 3] {
        assert_eq!(
            device().mi(0x03, identifier | 1 << 8 | 1 << 24, 64, &[0; 5]),
            [6, 0, 0, 0]
        );
        assert_eq!(
            device().mi(0x04, identifier | 1 << 24, 0, &[0; 5]),
            [6, 0, 0, 0]
        );
    }
}

#[test]
fn getting_the_health_status_change_succeeds_without_data() {
    assert_eq!(get(&mut device(), 2, 0), [0; 4]);
}

#[test]
fn vpd_is_read_in_any_part() {
    let mut device = device();
    for (offset, length) in [(0, 256), (0, 1), (3, 7), (255, 1)] {
        let response = device.mi(0x05, offset, length, &[]);
        let expected: Vec<u8> = (offset..offset + length).map(|byte| byte as u8).collect();
        assert_eq!(response[..4], [0; 4]);
        assert_eq!(response[4..], expected);
    }
}

/// A whole response to a read of so many bytes, from the message type byte to the check.
fn read_exactly(device: &mut Device<World>, opcode: u8, length: u8) -> Vec<u8> {
    let request = [0x84, 8, 0, 0, opcode, 0, 0, 0, 0, 0, 0, 0, length, 0, 0, 0];
    device.raw(&sealed(&request)).unwrap()
}

#[test]
fn a_read_has_exactly_as_many_bytes_as_it_asks_for() {
    for length in [0, 1, 2, 3, 4, 5, 255] {
        let mut device = device().with_endpoint_buffer(256);
        let content: Vec<u8> = (0..=255).collect();
        assert_eq!(device.mi(0x0B, 0, 256, &content), [0; 4]);
        for opcode in [0x05, 0x0A] {
            let response = read_exactly(&mut device, opcode, length);
            let data = &content[..usize::from(length)];
            let expected = sealed(&[&[0x84, 0x88, 0, 0, 0, 0, 0, 0], data].concat());
            assert_eq!(response, expected, "opcode {opcode:02x}h, {length} bytes");
            assert_eq!(response.len(), 8 + usize::from(length) + 4);
        }
    }
}

#[test]
fn a_refused_read_is_12_bytes_whatever_it_asked_for() {
    let mut device = device().with_endpoint_buffer(4);
    device.world().vpd = MemoryVpd::new([0; 256]);
    assert_eq!(read_exactly(&mut device, 0x0A, 5).len(), 12);
}

#[test]
fn vpd_outside_is_refused_at_the_length() {
    for (opcode, data) in [(0x05, &[][..]), (0x06, &[0; 2][..])] {
        for (offset, length) in [(256, 2), (255, 2), (0, 257), (0xFFFF, 0xFFFF)] {
            let response = device().mi(opcode, offset, length, data);
            assert_eq!(response, [4, 0, 12, 0], "{length} from {offset}");
        }
    }
}

#[test]
fn vpd_access_of_no_bytes_succeeds() {
    assert_eq!(device().mi(0x05, 300, 0, &[]), [0; 4]);
    assert_eq!(device().mi(0x06, 300, 0, &[]), [0; 4]);
}

#[test]
fn vpd_that_was_written_is_read_back() {
    let mut device = device();
    assert_eq!(device.mi(0x06, 8, 3, b"abc"), [0; 4]);
    assert_eq!(device.mi(0x05, 7, 5, &[])[4..9], [7, b'a', b'b', b'c', 11]);
    assert_eq!(device.world().vpd.content()[8..11], *b"abc");
}

#[test]
fn vpd_write_needs_exactly_its_data() {
    for data in [&b"ab"[..], b"abcd", b""] {
        let mut device = device();
        assert_eq!(device.mi(0x06, 8, 3, data), [6, 0, 0, 0]);
        assert_eq!(device.world().vpd.content()[8..11], [8, 9, 10]);
    }
}

#[test]
fn vpd_written_too_often_exceeds_its_updates_and_stays() {
    let mut device = device();
    device.world().vpd = MemoryVpd::new([0; 256]).with_remaining_writes(1);
    assert_eq!(device.mi(0x06, 0, 1, b"a"), [0; 4]);
    assert_eq!(device.mi(0x06, 0, 1, b"b"), [0x20, 0, 0, 0]);
    assert_eq!(device.mi(0x05, 0, 1, &[])[4], b'a');
}

#[test]
fn a_vpd_write_that_is_sent_again_succeeds_and_is_no_update() {
    let data: Vec<u8> = (1..=100).collect();
    let mut device = device();
    device.world().vpd = MemoryVpd::new([0; 256]).with_remaining_writes(1);
    assert_eq!(device.mi(0x06, 7, 100, &data), [0; 4]);
    assert_eq!(device.world().vpd.remaining_writes(), Some(0));
    for _ in 0..2 {
        assert_eq!(device.mi(0x06, 7, 100, &data), [0; 4], "the same");
    }
    assert_eq!(device.mi(0x06, 8, 1, &[2]), [0; 4], "a part of it");
    for changed in [0, 31, 32, 64, 99] {
        let mut other = data.clone();
        other[changed] ^= 0x80;
        assert_eq!(
            device.mi(0x06, 7, 100, &other),
            [0x20, 0, 0, 0],
            "{changed}"
        );
    }
    assert_eq!(device.world().vpd.content()[7..107], data);
}

#[test]
fn vpd_that_is_there_already_is_written_with_all_updates_left() {
    let mut device = device();
    device.world().vpd = MemoryVpd::new([5; 256]).with_remaining_writes(3);
    assert_eq!(device.mi(0x06, 0, 256, &[5; 256]), [0; 4]);
    assert_eq!(device.world().vpd.remaining_writes(), Some(3));
}

#[test]
fn configuration_that_is_set_again_succeeds_and_is_told_again() {
    let mut device = device();
    for _ in 0..2 {
        device.world().effects = MemoryEffects::default();
        assert_eq!(set(&mut device, 3, 0, 1, 200), [0; 4]);
        assert_eq!(set(&mut device, 1, 2, 1, 0), [0; 4]);
        let told = device.world().effects;
        assert_eq!(told.transmission_unit, Some((PortId(1), 200)));
        assert_eq!(
            told.smbus_frequency,
            Some((PortId(1), SmbusFrequency::Khz400))
        );
    }
}

#[test]
fn a_shutdown_that_is_sent_again_succeeds_and_changes_nothing() {
    let mut device = device();
    assert_eq!(device.mi(0x0C, 0, 0, &[]), [0; 4]);
    assert_eq!(field(&device.mi(0x01, 0, 1 << 31, &[]), 8, 2), 0x0104);
    assert_eq!(device.mi(0x0C, 0, 0, &[]), [0; 4]);
    assert_eq!(field(&device.mi(0x01, 0, 0, &[]), 8, 2), 0);
}

#[test]
fn to_write_no_vpd_is_no_update() {
    let mut device = device();
    device.world().vpd = MemoryVpd::new([0; 256]).with_remaining_writes(1);
    assert_eq!(device.mi(0x06, 0, 0, &[]), [0; 4]);
    assert_eq!(device.mi(0x06, 0, 1, b"a"), [0; 4]);
}

#[test]
fn reserved_bits_beside_the_place_in_the_vpd_are_ignored() {
    let mut device = device();
    let plain = device.mi(0x05, 3, 7, &[]);
    assert_eq!(device.mi(0x05, 0xFFFF_0003, 0xFFFF_0007, &[]), plain);
    assert_eq!(device.mi(0x06, 0xFFFF_0003, 0xFFFF_0001, b"a"), [0; 4]);
}

#[test]
fn a_device_without_vpd_has_nothing_to_read() {
    let mut device = Device::reference(Parts::new(HealthReport::healthy()));
    assert_eq!(device.mi(0x05, 0, 0, &[]), [0; 4]);
    assert_eq!(device.mi(0x05, 0, 1, &[]), [4, 0, 12, 0]);
}

#[test]
fn the_endpoint_buffer_is_written_and_read_in_any_part() {
    let mut device = device();
    device = device.with_endpoint_buffer(4200);
    assert_eq!(device.mi(0x0B, 4196, 4, b"abcd"), [0; 4]);
    assert_eq!(device.mi(0x0A, 4194, 6, &[])[4..10], *b"\0\0abcd");
    assert_eq!(device.mi(0x0A, 100, 4096, &[]).len(), 4 + 4096);
    assert_eq!(device.mi(0x0A, 0, 4097, &[]), [4, 0, 12, 0]);
    assert_eq!(device.mi(0x0A, 4200, 1, &[]), [4, 0, 8, 0]);
    assert_eq!(device.mi(0x0A, 1, u32::MAX, &[]), [4, 0, 12, 0]);
    assert_eq!(device.mi(0x0B, 0, 4, b"abc"), [6, 0, 0, 0]);
    assert_eq!(device.mi(0x0A, 9999, 0, &[]), [0; 4]);
    assert_eq!(device.mi(0x0A, 0, 4, b"abcd"), [6, 0, 0, 0]);
}

#[test]
fn the_length_of_an_access_to_the_endpoint_buffer_has_16_bits_and_the_offset_32() {
    let mut device = device().with_endpoint_buffer(16);
    assert_eq!(device.mi(0x0B, 0, 0xFFFF_0004, b"abcd"), [0; 4]);
    assert_eq!(device.mi(0x0A, 0, 0xFFFF_0004, &[])[4..], *b"abcd");
    assert_eq!(device.mi(0x0A, 0x0001_0000, 4, &[]), [4, 0, 8, 0]);
}

#[test]
fn a_write_to_the_endpoint_buffer_can_be_sent_again() {
    let mut device = device().with_endpoint_buffer(16);
    for _ in 0..2 {
        assert_eq!(device.mi(0x0B, 1, 3, b"abc"), [0; 4]);
        assert_eq!(device.mi(0x0A, 0, 5, &[])[4..], *b"\0abc\0");
    }
}

#[test]
fn a_reset_that_is_sent_again_resets_again() {
    let mut device = device();
    for resets in 1..=2 {
        assert_eq!(
            device.raw(&sealed(&[
                0x84, 8, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
            ])),
            None
        );
        assert_eq!(device.world().reset.resets, resets);
    }
}

#[test]
fn a_reset_has_no_response() {
    let mut device = device();
    assert_eq!(
        device.raw(&sealed(&[
            0x84, 8, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        ])),
        None
    );
    assert_eq!(device.world().reset.resets, 1);
    assert_eq!(device.endpoint.drops().total(), 0);
}

#[test]
fn a_reset_puts_transmission_unit_and_frequency_back() {
    let mut device = device();
    set(&mut device, 3, 0, 1, 250);
    set(&mut device, 1, 3, 1, 0);
    device.raw(&sealed(&[
        0x84, 8, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]));
    assert_eq!(get(&mut device, 3, 1), [0, 64, 0, 0]);
    assert_eq!(get(&mut device, 1, 1), [0, 1, 0, 0]);
    let effects = device.world().effects;
    assert_eq!(effects.transmission_unit, Some((PortId(1), 64)));
    assert_eq!(
        effects.smbus_frequency,
        Some((PortId(1), SmbusFrequency::Khz100))
    );
}

#[test]
fn a_reset_tells_of_settings_that_it_changed_only() {
    let mut device = device();
    device.inner.reset_subsystem();
    let effects = device.world().effects;
    assert_eq!(effects.transmission_unit, None);
    assert_eq!(effects.smbus_frequency, None);
}

#[test]
fn a_reset_empties_the_endpoint_buffer() {
    let mut device = device();
    let buffer = Box::leak(Box::new([7; 4]));
    device.endpoint = device
        .endpoint
        .with_endpoint_buffer(&mut device.inner, buffer);
    device.inner.reset_subsystem();
    assert_eq!(device.mi(0x0A, 0, 4, &[]), [0; 8]);
}

#[test]
fn a_reset_is_reported_as_a_change_of_each_controller() {
    let mut device = device();
    device.inner.reset_subsystem();
    // RDY, NSSRO, CECO and CSTS.
    assert_eq!(field(&device.mi(0x01, 0, 0, &[]), 8, 2), 0x0131);
    let controllers = device.mi(0x02, 0x81FE_0000, 0, &[]);
    for controller in [&controllers[4..20], &controllers[20..36]] {
        assert_eq!(
            (field(controller, 2, 2), field(controller, 9, 2)),
            (0x0031, 0x0131)
        );
    }
}

#[test]
fn a_reset_after_a_shutdown_is_a_change_of_the_shutdown_status_too() {
    let mut device = device();
    assert_eq!(device.mi(0x0C, 0, 0, &[])[0], 0);
    device.inner.reset_subsystem();
    // RDY, SHST, NSSRO, CECO and CSTS.
    assert_eq!(field(&device.mi(0x01, 0, 0, &[]), 8, 2), 0x0135);
}

#[test]
fn other_types_of_reset_and_shutdown_are_refused_at_byte_11() {
    let mut device = device();
    for kind in 1..=255u32 {
        assert_eq!(device.mi(0x07, kind << 24, 0, &[]), [4, 0, 11, 0]);
    }
    for kind in 2..=255u32 {
        assert_eq!(device.mi(0x0C, kind << 24, 0, &[]), [4, 0, 11, 0]);
    }
    assert_eq!(device.world().reset, MemoryReset::default());
}

#[test]
fn reset_and_shutdown_with_request_data_do_nothing() {
    let mut device = device();
    assert_eq!(device.mi(0x07, 0, 0, &[0]), [6, 0, 0, 0]);
    assert_eq!(device.mi(0x0C, 0, 0, &[0]), [6, 0, 0, 0]);
    assert_eq!(device.world().reset, MemoryReset::default());
}

#[test]
fn a_shutdown_happens_after_its_response_and_shows_in_every_controller() {
    for (kind, expected) in [(0, ShutdownKind::Normal), (1, ShutdownKind::Abrupt)] {
        let mut device = device();
        let request = sealed(&[0x84, 8, 0, 0, 0x0C, 0, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0]);
        let requester = Requester {
            endpoint_id: Eid(8),
            exchange: 1,
        };
        device
            .endpoint
            .receive(
                &mut device.inner,
                device.now,
                requester,
                true,
                &request[1..],
            )
            .unwrap();
        assert_eq!(device.world().reset.last_shutdown, None);
        assert_eq!(device.response().map(|response| response.len()), Some(12));
        assert_eq!(device.world().reset.last_shutdown, Some(expected));
        // SHST and CSTS changed; SHST is 2, complete.
        assert_eq!(field(&device.mi(0x01, 0, 0, &[]), 8, 2), 0x0104);
        assert_eq!(device.mi(0x02, 0x8100_0000, 0, &[])[6], 0x09);
    }
}

#[test]
fn reset_and_shutdown_activate_firmware_that_waits_for_a_reset() {
    for opcode in [0x07, 0x0C] {
        let memory = Box::leak(vec![0; 3 * 8192].into_boxed_slice());
        let slots = [Some(*b"REF00001"), Some(*b"REF00002")];
        let mut device =
            Device::reference(world().with_firmware(MemoryFirmware::new(memory, slots)));
        // Action 2, activate on reset, for slot 2.
        let commit = Admin {
            opcode: 0x10,
            dwords: [2 << 3 | 2, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        device.admin_ok(commit);
        assert_eq!(device.world().firmware.active_slot(), 1);
        device.raw(&sealed(&[
            0x84, 8, 0, 0, opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]));
        assert_eq!(device.world().firmware.active_slot(), 2, "opcode {opcode}");
    }
}
