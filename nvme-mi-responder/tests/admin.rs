//! What all Admin commands have in common: which there are, which way their data go, and which
//! failures are whose.

mod support;

use nvme_mi_responder::world::{HealthReport, MemoryTelemetry};
use support::{ADMIN, Admin, Device, Parts, everything, field};

/// Opcodes that NVMe-MI prohibits: 1.2, and from 21h on those that 2.0 adds.
const PROHIBITED: [u8; 26] = [
    0x00, 0x01, 0x04, 0x05, 0x08, 0x0C, 0x18, 0x19, 0x1A, 0x1D, 0x1E, 0x7C, 0x7F, 0x21, 0x22, 0x25,
    0x29, 0x39, 0x3D, 0x3E, 0x41, 0x42, 0x45, 0x85, 0x88, 0x89,
];

const DEVICE_SELF_TEST: Admin<'static> = Admin {
    opcode: 0x14,
    dwords: [1, 0, 0, 0, 0, 0],
    ..ADMIN
};

/// Detaches namespace 1 from controller 0.
const DETACHMENT: Admin<'static> = Admin {
    opcode: 0x15,
    namespace: 1,
    length: 4096,
    dwords: [1, 0, 0, 0, 0, 0],
    data: &CONTROLLER_0,
    ..ADMIN
};

const CONTROLLER_0: [u8; 4096] = {
    let mut list = [0; 4096];
    list[0] = 1;
    list
};

#[test]
fn a_prohibited_opcode_is_an_invalid_opcode() {
    let mut device = everything();
    for opcode in PROHIBITED {
        let response = device.admin(Admin { opcode, ..ADMIN });
        assert_eq!(response, [3, 0, 0, 0], "opcode {opcode:02X}h");
    }
}

#[test]
fn optional_commands_that_are_not_there_are_an_invalid_opcode() {
    let mut device = everything();
    for opcode in [0x1C, 0x20, 0x24, 0x86, 0xC0, 0xFF] {
        let response = device.admin(Admin { opcode, ..ADMIN });
        assert_eq!(response, [3, 0, 0, 0], "opcode {opcode:02X}h");
    }
}

#[test]
fn what_is_wrong_with_the_command_itself_is_in_its_completion() {
    let command = |opcode, namespace, dword10| Admin {
        opcode,
        namespace,
        dwords: [dword10, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let mut device = everything();
    for (wrong, status) in [
        (command(0x02, 0, 0xBF), 0x109),
        (command(0x06, 0, 0xEE), 0x002),
        (command(0x06, 5, 0x00), 0x00B),
        (command(0x09, 0, 0xC0), 0x002),
        (command(0x0A, 0, 0xC0), 0x002),
        (command(0x0D, 5, 1), 0x00B),
        (command(0x10, 0, 7), 0x106),
        (command(0x14, 0, 9), 0x002),
        (command(0x80, 1, 0xF), 0x10A),
        (command(0x82, 0, 0xEA00_0000), 0x002),
        (command(0x84, 0, 7), 0x002),
    ] {
        assert_eq!(
            device.admin_status(wrong),
            status,
            "opcode {:02X}h",
            wrong.opcode
        );
    }
}

#[test]
fn a_command_without_data_has_neither_an_offset_nor_a_length() {
    let mut device = everything();
    let with_offset = Admin {
        offset: 4,
        ..DEVICE_SELF_TEST
    };
    assert_eq!(device.admin(with_offset), [4, 0, 28, 0]);
    let with_length = Admin {
        length: 4,
        ..DEVICE_SELF_TEST
    };
    assert_eq!(device.admin(with_length), [4, 0, 32, 0]);
    let with_data = Admin {
        data: &[0; 4],
        ..DEVICE_SELF_TEST
    };
    assert_eq!(device.admin(with_data), [6, 0, 0, 0]);
    device.admin_ok(DEVICE_SELF_TEST);
}

#[test]
fn data_to_the_controller_have_no_offset() {
    let with_offset = Admin {
        offset: 4,
        ..DETACHMENT
    };
    assert_eq!(everything().admin(with_offset), [4, 0, 28, 0]);
}

#[test]
fn data_to_the_controller_are_a_multiple_of_4_up_to_4096() {
    for length in [2, 6, 4097, 4100] {
        let data = vec![0; length as usize];
        let command = Admin {
            length,
            data: &data,
            ..DETACHMENT
        };
        assert_eq!(everything().admin(command), [4, 0, 32, 0], "{length}");
    }
}

#[test]
fn data_to_the_controller_are_as_long_as_the_message_says() {
    for length in [4, 4092] {
        let command = Admin {
            length,
            ..DETACHMENT
        };
        assert_eq!(everything().admin(command), [6, 0, 0, 0], "{length}");
    }
}

/// The flags of libnvme 1.x: 0 where it fills in neither, 1 or 3 where `nvme_mi_admin_xfer` gives
/// the length of the response instead.
#[test]
fn data_with_a_length_of_zero_are_taken_whatever_the_flags_say() {
    for flags in [0, 1, 3] {
        let mut device = everything();
        let command = Admin {
            flags,
            length: 0,
            ..DETACHMENT
        };
        device.admin_ok(command);
        let not_attached = device.admin_status(command);
        assert_eq!(not_attached, 0x11A, "flags {flags}: it was detached");
    }
}

#[test]
fn more_data_than_a_command_can_carry_are_refused_without_a_length_too() {
    let data = [0; 4100];
    let command = Admin {
        length: 0,
        data: &data,
        ..DETACHMENT
    };
    assert_eq!(everything().admin(command), [6, 0, 0, 0]);
}

#[test]
fn the_ignore_shutdown_flag_changes_nothing() {
    let identify = Admin {
        opcode: 0x06,
        length: 4096,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let ignoring = Admin {
        flags: 5,
        ..identify
    };
    let mut device = everything();
    assert_eq!(device.admin_ok(ignoring), device.admin_ok(identify));
}

/// FID 1Eh (Flexible Data Placement events) is the one of which nvme-cli 3.0 wants an odd length
/// when it goes through all features.
#[test]
fn a_command_that_fails_says_why_whatever_length_is_asked_for() {
    let mut device = everything();
    let events = Admin {
        opcode: 0x0A,
        namespace: 1,
        length: 510,
        dwords: [0x1E, 0xFF << 16, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device.admin_status(events), 0x002);
    let timestamp = Admin {
        length: 6,
        dwords: [0x0E, 0, 0, 0, 0, 0],
        ..events
    };
    assert_eq!(device.admin(timestamp), [4, 0, 32, 0]);
}

#[test]
fn telemetry_that_cannot_be_returned_is_not_captured() {
    let telemetry = MemoryTelemetry::new([1; 512]);
    let world = Parts::new(HealthReport::healthy()).with_telemetry(telemetry);
    let mut device = Device::reference(world);
    let capture = Admin {
        opcode: 0x02,
        length: 512,
        dwords: [127 << 16 | 1 << 8 | 0x07, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    for length in [510, 516] {
        let wrong = Admin { length, ..capture };
        assert_eq!(device.admin(wrong), [4, 0, 32, 0]);
    }
    let (_, header) = device.admin_ok(capture);
    assert_eq!(field(&header, 381, 1), 1, "the first capture");
}
