//! The PCIe command set.

mod support;

use std::task::Poll;

use nvme_mi_responder::world::{
    HealthReport, MemoryPcie, PcieAccess, PcieDirection, PcieError, PcieRange, PcieSpace, World,
};
use nvme_mi_responder::{ControllerId, Vendor};
use support::{Device, NotSupported, Parts};

const VENDOR: Vendor = Vendor {
    ieee_oui: [0; 3],
    pci_vendor: 0x1AF4,
    pci_device: 0x5678,
    pci_subsystem_vendor: 0x9ABC,
    pci_subsystem: 0xDEF0,
};

/// Remembers what was done, and refuses when it is told to.
#[derive(Default)]
struct Spy {
    done: Vec<(PcieRange, PcieDirection)>,
    written: Vec<u8>,
    error: Option<PcieError>,
    only_configuration: bool,
}

impl PcieAccess for Spy {
    fn supports_memory(&self) -> bool {
        !self.only_configuration
    }
    fn supports_io(&self) -> bool {
        !self.only_configuration
    }
    fn prepare(
        &mut self,
        range: PcieRange,
        direction: PcieDirection,
    ) -> Poll<Result<(), PcieError>> {
        self.done.push((range, direction));
        Poll::Ready(self.error.map_or(Ok(()), Err))
    }
    fn read(&mut self, _: PcieRange, data: &mut [u8]) {
        assert!(data.iter().all(|byte| *byte == 0));
        data.fill(0x5A);
    }
    fn write(&mut self, _: PcieRange, data: &[u8]) {
        self.written = data.to_vec();
    }
}

struct Command<'d> {
    opcode: u8,
    controller: u16,
    length: u16,
    register: u8,
    offset: u64,
    data: &'d [u8],
}

const READ_ID: Command<'static> = Command {
    opcode: 0,
    controller: 0,
    length: 4,
    register: 0,
    offset: 0,
    data: &[],
};

/// Returns the response from the status on.
fn run<W: World>(device: &mut Device<W>, command: Command<'_>) -> Vec<u8> {
    let mut message = vec![0x84, 0x20, 0, 0, command.opcode, 0];
    message.extend(command.controller.to_le_bytes());
    message.extend(command.length.to_le_bytes());
    message.extend([command.register, 0]);
    message.extend(command.offset.to_le_bytes());
    message.extend(command.data);
    device.request(&message)
}

type With<P> = Parts<
    HealthReport,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    P,
>;

fn device_with<P: PcieAccess>(pcie: P) -> Device<With<P>> {
    Device::reference(Parts::new(HealthReport::healthy()).with_pcie(pcie))
}

fn spied(error: Option<PcieError>) -> Device<With<Spy>> {
    device_with(Spy {
        error,
        ..Spy::default()
    })
}

fn refused(status: u8) -> Vec<u8> {
    vec![status, 0, 0, 0]
}

fn invalid(byte: u8) -> Vec<u8> {
    vec![4, 0, byte, 0]
}

#[test]
fn configuration_space_has_the_vendors_numbers() {
    let mut device = device_with(MemoryPcie::<2>::new(&VENDOR));
    for controller in 0..2 {
        let command = Command {
            controller,
            length: 64,
            ..READ_ID
        };
        let response = run(&mut device, command);
        assert_eq!(response[..4], [0; 4]);
        let header = &response[4..];
        assert_eq!(header.len(), 64);
        assert_eq!(header[..4], [0xF4, 0x1A, 0x78, 0x56]);
        assert_eq!(header[9..12], [0x02, 0x08, 0x01], "an NVMe controller");
        assert_eq!(header[0x2C..0x30], [0xBC, 0x9A, 0xF0, 0xDE]);
    }
}

#[test]
fn what_is_written_to_configuration_space_is_read_where_it_may_be_written() {
    let mut device = device_with(MemoryPcie::<2>::new(&VENDOR));
    let write = Command {
        opcode: 1,
        controller: 1,
        length: 64,
        data: &[0xFF; 64],
        ..READ_ID
    };
    assert_eq!(run(&mut device, write), [0; 4]);
    let all = |controller| Command {
        controller,
        length: 64,
        ..READ_ID
    };
    let header = run(&mut device, all(1))[4..].to_vec();
    assert_eq!(header[..8], [0xF4, 0x1A, 0x78, 0x56, 0xFF, 0xFF, 0, 0]);
    assert_eq!(header[0x10], 0xF4, "still 64-bit memory");
    assert_eq!(header[0x11..0x28], [0xFF; 23]);
    let other = run(&mut device, all(0))[4..].to_vec();
    assert_eq!(other[4..8], [0; 4], "the other controller's is its own");
}

#[test]
fn configuration_space_is_4096_bytes() {
    let mut device = device_with(MemoryPcie::<2>::new(&VENDOR));
    for (offset, length, expected) in [(0, 4096, None), (4092, 4, None), (4092, 5, Some(12))] {
        let command = Command {
            offset,
            length,
            ..READ_ID
        };
        let response = run(&mut device, command);
        match expected {
            None => assert_eq!(response.len(), 4 + usize::from(length)),
            Some(byte) => assert_eq!(response, invalid(byte)),
        }
    }
}

#[test]
fn an_odd_read_is_padded_with_zeros() {
    let mut device = spied(None);
    for (length, data) in [
        (0, &[][..]),
        (1, &[0x5A, 0, 0, 0]),
        (3, &[0x5A, 0x5A, 0x5A, 0]),
        (5, &[0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0, 0, 0]),
    ] {
        let command = Command { length, ..READ_ID };
        assert_eq!(run(&mut device, command)[4..], *data);
    }
}

#[test]
fn the_padding_of_an_odd_write_is_there_and_ignored() {
    let mut device = spied(None);
    let write = |data| Command {
        opcode: 1,
        length: 5,
        data,
        ..READ_ID
    };
    assert_eq!(run(&mut device, write(&[1, 2, 3, 4, 5, 6, 7, 8])), [0; 4]);
    assert_eq!(device.world().pcie.written, [1, 2, 3, 4, 5]);
    for data in [&[1, 2, 3, 4, 5][..], &[1, 2, 3, 4], &[0; 12]] {
        assert_eq!(run(&mut device, write(data)), refused(6));
    }
    assert_eq!(device.world().pcie.done.len(), 1);
}

#[test]
fn a_read_with_data_is_refused() {
    let command = Command {
        data: &[0; 4],
        ..READ_ID
    };
    assert_eq!(run(&mut spied(None), command), refused(6));
}

#[test]
fn each_opcode_has_its_space_direction_and_offset() {
    let mut device = spied(None);
    let offset = 0x1_2345_6FF0;
    for (opcode, space, expected_offset) in [
        (0, PcieSpace::Configuration, 0xFF0),
        (2, PcieSpace::Memory(3), offset),
        (4, PcieSpace::Io(3), 0x2345_6FF0),
    ] {
        for (opcode, direction, data) in [
            (opcode, PcieDirection::Read, &[][..]),
            (opcode + 1, PcieDirection::Write, &[0; 4]),
        ] {
            let command = Command {
                opcode,
                controller: 1,
                register: 3,
                offset,
                data,
                ..READ_ID
            };
            assert_eq!(run(&mut device, command)[0], 0);
            let range = PcieRange {
                controller: ControllerId(1),
                space,
                offset: expected_offset,
                length: 4,
            };
            let done = device.world().pcie.done.pop();
            assert_eq!(done, Some((range, direction)));
        }
    }
}

#[test]
fn a_controller_that_is_not_there_is_refused_at_byte_6() {
    let command = Command {
        controller: 2,
        length: 5000,
        ..READ_ID
    };
    assert_eq!(run(&mut spied(None), command), invalid(6));
}

#[test]
fn more_than_4096_bytes_are_refused_at_byte_8() {
    let command = Command {
        opcode: 2,
        length: 4097,
        register: 6,
        ..READ_ID
    };
    assert_eq!(run(&mut spied(None), command), invalid(8));
}

#[test]
fn reserved_bits_beside_the_base_address_register_are_ignored() {
    let mut device = spied(None);
    let command = Command {
        opcode: 2,
        register: 0xF8 | 3,
        ..READ_ID
    };
    assert_eq!(run(&mut device, command)[0], 0);
    let (range, _) = device.world().pcie.done[0];
    assert_eq!(range.space, PcieSpace::Memory(3));
}

#[test]
fn a_base_address_register_that_is_not_there_is_refused_at_byte_10() {
    for register in [6, 7] {
        for opcode in [2, 4] {
            let command = Command {
                opcode,
                register,
                ..READ_ID
            };
            assert_eq!(run(&mut spied(None), command), invalid(10));
        }
        let command = Command {
            register,
            ..READ_ID
        };
        assert_eq!(run(&mut spied(None), command)[0], 0, "not used");
    }
    let command = Command {
        opcode: 2,
        ..READ_ID
    };
    let error = Some(PcieError::NoSuchSpace);
    assert_eq!(run(&mut spied(error), command), invalid(10));
}

#[test]
fn a_range_outside_of_its_space_is_refused_at_byte_12() {
    for (opcode, offset) in [(2, u64::MAX - 2), (4, 0xFFFF_FFFD), (0, 0xFFD)] {
        let command = Command {
            opcode,
            offset,
            ..READ_ID
        };
        assert_eq!(run(&mut spied(None), command), invalid(12), "{opcode}");
    }
    let error = Some(PcieError::OutOfRange);
    assert_eq!(run(&mut spied(error), READ_ID), invalid(12));
}

#[test]
fn what_the_device_refuses_has_its_status() {
    let denied = Some(PcieError::Denied);
    assert_eq!(run(&mut spied(denied), READ_ID), refused(7));
    let inaccessible = Some(PcieError::Inaccessible);
    assert_eq!(run(&mut spied(inaccessible), READ_ID), refused(0x21));
}

#[test]
fn base_address_registers_are_read_whatever_the_device_denies() {
    let mut device = spied(Some(PcieError::Denied));
    let read = |offset, length| Command {
        offset,
        length,
        ..READ_ID
    };
    for offset in (0x10..=0x24).step_by(4) {
        assert_eq!(
            run(&mut device, read(offset, 4)),
            [0, 0, 0, 0, 0x5A, 0x5A, 0x5A, 0x5A]
        );
    }
    assert_eq!(run(&mut device, read(0x10, 24)).len(), 4 + 24);
    for (offset, length) in [(0x0C, 4), (0x0C, 8), (0x24, 8), (0x28, 4)] {
        assert_eq!(run(&mut device, read(offset, length)), refused(7));
    }
    let write = Command {
        opcode: 1,
        data: &[0; 4],
        ..read(0x10, 4)
    };
    assert_eq!(run(&mut device, write), refused(7));
    let memory = Command {
        opcode: 2,
        ..read(0x10, 4)
    };
    assert_eq!(run(&mut device, memory), refused(7));
    let mut gone = spied(Some(PcieError::Inaccessible));
    assert_eq!(run(&mut gone, read(0x10, 4)), refused(0x21));
}

#[test]
fn data_in_the_endpoint_buffer_are_refused_at_byte_2() {
    let mut message = vec![0x84, 0x20, 1, 0];
    message.resize(20, 0);
    assert_eq!(spied(None).request(&message), [4, 0, 2, 0]);
}

#[test]
fn a_short_request_is_an_invalid_size() {
    let mut device = spied(None);
    for length in 4..20 {
        let mut message = vec![0x84, 0x20, 0, 0];
        message.resize(length, 0xFF);
        assert_eq!(device.request(&message), refused(5));
    }
}

#[test]
fn other_opcodes_and_those_that_the_device_does_not_support_are_invalid() {
    let mut device = device_with(Spy {
        only_configuration: true,
        ..Spy::default()
    });
    for opcode in 2..=255 {
        let command = Command { opcode, ..READ_ID };
        assert_eq!(run(&mut device, command), refused(3), "{opcode:02x}");
    }
    let mut device = Device::reference(Parts::new(HealthReport::healthy()));
    assert_eq!(run(&mut device, READ_ID), refused(3));
}

#[test]
fn the_list_of_optional_commands_has_the_commands_that_are_supported() {
    let listed = |only_configuration| {
        let mut device = device_with(Spy {
            only_configuration,
            ..Spy::default()
        });
        let response = device.mi(0, 4 << 24, 0, &[]);
        let commands = response[6..].chunks(2);
        let pcie = commands.filter(|command| command[0] == 0x20);
        pcie.map(|command| command[1]).collect::<Vec<_>>()
    };
    assert_eq!(listed(true), [0, 1]);
    assert_eq!(listed(false), [0, 1, 2, 3, 4, 5]);
}
