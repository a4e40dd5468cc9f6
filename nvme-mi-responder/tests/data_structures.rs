//! Read NVMe-MI Data Structure (NVMe-MI 1.2).

mod support;

use nvme_mi_responder::world::{HealthReport, MemoryFirmware, MemoryPcie, MemoryReset, MemoryVpd};
use nvme_mi_responder::{
    ControllerConfig, LinkWidth, PciAddress, PciePort, PortConfig, PortKind, Subsystem,
};
use support::{
    ADMIN, Admin, Device, IDENTITY, PCIE_PORT, Parts, TWO_WIRE_PORT, field, with_second,
};

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

/// A device with `controllers` controllers on port 0.
fn device_with(controllers: u16) -> Device<Parts<HealthReport>> {
    let subsystem = Box::leak(Box::new(Subsystem::<2, 8, 0>::new(IDENTITY).unwrap()));
    let pcie = subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    for _ in 0..controllers {
        subsystem
            .add_controller(pcie, ControllerConfig::default())
            .unwrap();
    }
    Device::of(subsystem.model(), Parts::new(HealthReport::healthy()))
}

fn dword0(controller: u16, port: u8, data_type: u8) -> u32 {
    u32::from(controller) | u32::from(port) << 16 | u32::from(data_type) << 24
}

fn read(
    device: &mut Device<Parts<HealthReport>>,
    controller: u16,
    port: u8,
    data_type: u8,
) -> Vec<u8> {
    device.mi(0x00, dword0(controller, port, data_type), 0, &[])
}

#[test]
fn reserved_data_types_are_refused_at_byte_11() {
    for data_type in 0x06..=0xFF {
        assert_eq!(
            read(&mut device(), 0, 0, data_type),
            [4, 0, 11, 0],
            "type {data_type}"
        );
    }
}

#[test]
fn any_request_data_are_a_wrong_size() {
    let mut device = device().with_endpoint_buffer(512);
    for data_type in 0..=5 {
        assert_eq!(
            device.mi(0, dword0(0, 1, data_type), 0, &[0; 4]),
            [6, 0, 0, 0]
        );
    }
}

#[test]
fn a_bad_selector_is_told_before_a_wrong_size() {
    assert_eq!(device().mi(0, dword0(0, 2, 1), 0, &[0; 4]), [4, 0, 10, 0]);
}

#[test]
fn subsystem_information_ignores_controller_and_port() {
    let mut device = device();
    assert_eq!(
        read(&mut device, 0xFFFF, 0xFF, 0),
        read(&mut device, 0, 0, 0)
    );
}

#[test]
fn a_pcie_port_has_speeds_up_to_its_own_and_its_link() {
    let port = read(&mut device(), 0, 0, 1);
    assert_eq!(port.len(), 36);
    assert_eq!(port[..3], [0, 32, 0]);
    assert_eq!(port[4..8], [1, with_second(0, 3), 64, 0]);
    assert_eq!(port[8..12], [0; 4]);
    assert_eq!(port[12..18], [1, 0b1111, 4, 4, 4, 0]);
    assert_eq!(port[18..], [0; 18]);
}

#[test]
fn a_pcie_link_that_is_down_has_neither_speed_nor_width() {
    let port = PciePort {
        generation: 6,
        width: LinkWidth::X16,
        link: None,
        payload_exponent: 5,
        number: 9,
    };
    let subsystem = Box::leak(Box::new(Subsystem::<2, 0, 0>::new(IDENTITY).unwrap()));
    subsystem
        .add_port(PortConfig {
            kind: PortKind::Pcie(port),
            max_transmission_unit: 64,
        })
        .unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
    assert_eq!(
        read(&mut device, 0, 0, 1)[12..18],
        [5, 0b11_1111, 0, 16, 0, 9]
    );
}

#[test]
fn an_unknown_port_is_refused_at_byte_10() {
    assert_eq!(read(&mut device(), 0, 2, 1), [4, 0, 10, 0]);
    assert_eq!(read(&mut device(), 0, 2, 5), [4, 0, 10, 0]);
}

#[test]
fn only_the_port_of_the_endpoint_has_its_buffer() {
    let mut device = device();
    device = device.with_endpoint_buffer(512);
    assert_eq!(field(&read(&mut device, 0, 1, 1), 8, 4), 512);
    assert_eq!(field(&read(&mut device, 0, 0, 1), 8, 4), 0);
}

#[test]
fn the_controller_list_starts_at_the_controller_asked_for_and_ignores_the_port() {
    let mut device = device_with(5);
    assert_eq!(
        read(&mut device, 3, 0xFF, 2),
        [0, 6, 0, 0, 2, 0, 3, 0, 4, 0, 0, 0]
    );
}

#[test]
fn the_controller_list_is_empty_when_none_match() {
    assert_eq!(read(&mut device(), 2, 0, 2), [0, 2, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn lists_are_padded_to_four_bytes_but_their_length_is_not() {
    for controllers in 0..=8u16 {
        let list = read(&mut device_with(controllers), 0, 0, 2);
        assert_eq!(field(&list, 1, 2), 2 + 2 * u64::from(controllers));
        assert_eq!(field(&list, 4, 2), u64::from(controllers));
        assert!(list.len().is_multiple_of(4));
    }
}

#[test]
fn the_routing_id_has_the_device_number_in_bits_7_to_3() {
    let address = PciAddress {
        bus: 0xAB,
        device: 0x1F,
        function: 5,
    };
    assert_eq!(address.routing_id(), 0xABFD);
    let controller = read(&mut device(), 1, 0, 3);
    assert_eq!((controller[9], field(&controller, 10, 2)), (1, 0x0111));
}

#[test]
fn a_controller_without_an_address_has_no_valid_routing_id() {
    let controller = read(&mut device_with(1), 0, 0, 3);
    assert_eq!(controller[8..12], [0; 4]);
}

#[test]
fn an_unknown_controller_is_refused_at_byte_8() {
    assert_eq!(read(&mut device(), 2, 0, 3), [4, 0, 8, 0]);
    assert_eq!(read(&mut device(), 2, 0, 4), [4, 0, 8, 0]);
}

/// Command types of the Optionally Supported Command List.
const MANAGEMENT: u8 = 0x08;
const ADMIN_COMMAND: u8 = 0x10;
const PCIE: u8 = 0x20;

/// The opcodes of a type in the Optionally Supported Command List.
fn optional(response: &[u8], command_type: u8) -> Vec<u8> {
    let count = field(response, 4, 2) as usize;
    assert_eq!(field(response, 1, 2) as usize, 2 + 2 * count);
    let entries = response[6..][..2 * count].chunks(2);
    let of_type = entries.filter(|entry| entry[0] == command_type);
    of_type.map(|entry| entry[1]).collect()
}

#[test]
fn the_list_of_optional_commands_is_what_is_carried_out() {
    let memory = Box::leak(vec![0; 4 * 8192].into_boxed_slice());
    let world = Parts::new(HealthReport::healthy())
        .with_firmware(MemoryFirmware::new(
            memory,
            [Some(*b"REF00001"), None, None],
        ))
        .with_vpd(MemoryVpd::new([0; 16]))
        .with_reset(MemoryReset::default())
        .with_pcie(MemoryPcie::<2>::new(&IDENTITY.vendor));
    let mut device = Device::reference(world);
    device = device.with_endpoint_buffer(16);
    let list = device.mi(0, dword0(0, 0, 4), 0, &[]);
    assert_eq!(optional(&list, MANAGEMENT), [0x06, 0x07, 0x0A, 0x0B, 0x0C]);
    for opcode in 0..=0xFF {
        // A type that neither Reset nor Shutdown has, so that they are refused and nothing is
        // reset.
        let supported = device.mi(opcode, 0xFF00_0000, 0, &[])[0] != 3;
        let expected = opcode <= 0x05 || optional(&list, MANAGEMENT).contains(&opcode);
        assert_eq!(supported, expected, "MI opcode {opcode:#x}");
        // A controller that is not there: known commands are refused for that, unknown ones before.
        let refusal = device.admin(Admin {
            opcode,
            controller: 9,
            ..ADMIN
        });
        let mandatory = [0x02, 0x06, 0x0A].contains(&opcode);
        let expected = mandatory || optional(&list, ADMIN_COMMAND).contains(&opcode);
        assert_eq!(
            refusal == [4, 0, 6, 0],
            expected,
            "Admin opcode {opcode:#x}"
        );
        assert!(expected || refusal == [3, 0, 0, 0]);
        let mut pcie = vec![0x84, 0x20, 0, 0, opcode, 0, 9, 0];
        pcie.resize(20, 0);
        let supported = device.request(&pcie) == [4, 0, 6, 0];
        assert_eq!(
            supported,
            optional(&list, PCIE).contains(&opcode),
            "PCIe opcode {opcode:#x}"
        );
    }
}

#[test]
fn prohibited_admin_commands_are_invalid_opcodes() {
    let prohibited = [
        0x00, 0x01, 0x04, 0x05, 0x08, 0x0C, 0x18, 0x19, 0x1A, 0x1D, 0x1E, 0x7C, 0x7F, 0x21, 0x22,
        0x25, 0x29, 0x39, 0x3D, 0x3E, 0x41, 0x42, 0x45, 0x85, 0x88, 0x89,
    ];
    for opcode in prohibited {
        assert_eq!(
            device().admin(Admin { opcode, ..ADMIN }),
            [3, 0, 0, 0],
            "opcode {opcode:#x}"
        );
    }
}

#[test]
fn a_device_without_options_lists_and_carries_out_none() {
    let mut device = device();
    assert_eq!(optional(&read(&mut device, 0, 0, 4), MANAGEMENT), [0u8; 0]);
    for opcode in [
        0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0xBF, 0xC0, 0xFF,
    ] {
        assert_eq!(device.mi(opcode, 0, 0, &[]), [3, 0, 0, 0]);
    }
}

#[test]
fn no_command_uses_the_endpoint_buffer() {
    let mut device = device().with_endpoint_buffer(512);
    assert_eq!(read(&mut device, 0, 1, 5), [0, 2, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_list_of_a_port_without_an_endpoint_buffer_is_a_reserved_type() {
    assert_eq!(read(&mut device(), 0, 1, 5), [4, 0, 11, 0]);
    let mut device = device().with_endpoint_buffer(512);
    assert_eq!(
        read(&mut device, 0, 0, 5),
        [4, 0, 11, 0],
        "without endpoint"
    );
}

#[test]
fn controller_information_names_the_port_of_the_controller() {
    let subsystem = Box::leak(Box::new(Subsystem::<2, 2, 0>::new(IDENTITY).unwrap()));
    for port in 0..2 {
        assert_eq!(subsystem.add_port(PCIE_PORT).unwrap().0, port);
        let last = nvme_mi_responder::PortId(port);
        subsystem
            .add_controller(last, ControllerConfig::default())
            .unwrap();
    }
    let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
    for controller in 0..2 {
        let information = read(&mut device, controller, 0, 3);
        assert_eq!(u16::from(information[4]), controller);
    }
}

#[test]
fn a_two_wire_port_says_whether_it_has_the_basic_management_command() {
    for basic_management in [false, true] {
        let mut port = TWO_WIRE_PORT;
        if let PortKind::TwoWire(two_wire) = &mut port.kind {
            two_wire.basic_management = basic_management;
        }
        let subsystem = Box::leak(Box::new(Subsystem::<2, 0, 0>::new(IDENTITY).unwrap()));
        subsystem.add_port(PCIE_PORT).unwrap();
        subsystem.add_port(port).unwrap();
        let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
        let information = read(&mut device, 0, 1, 1);
        assert_eq!(information[4 + 12], u8::from(basic_management));
    }
}
