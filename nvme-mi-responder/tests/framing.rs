//! Frames, silent drops and the order of checks (NVMe-MI 1.2).

mod support;

use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{DropReason, MAX_MESSAGE_LENGTH};
use support::{ADMIN, Admin, Device, Parts, field, sealed};

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

#[test]
fn answers_subsystem_information_byte_for_byte() {
    let mut request = vec![0x84, 0x08];
    request.resize(16, 0);
    request.extend([0xE2, 0x00, 0x06, 0x07]);
    let mut expected = vec![0x84, 0x88, 0, 0, 0, 0x20, 0, 0, 1, 2, 0];
    expected.resize(40, 0);
    expected.extend([0xB9, 0xDB, 0x44, 0xF0]);
    assert_eq!(device().raw(&request), Some(expected));
}

#[test]
fn the_probe_of_libnvme_gets_exactly_the_72_bytes_it_asked_for() {
    let probe = Admin {
        opcode: 0x06,
        length: 72,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let (_, data) = device().admin_ok(probe);
    assert_eq!(data.len(), 72);
    assert_eq!(field(&data, 0, 2), 0xFFFF);
    assert_eq!(data[4..24], *b"REF0123456789       ");
}

#[test]
fn an_unknown_controller_is_refused_at_its_field() {
    let probe = Admin {
        opcode: 0x06,
        controller: 2,
        length: 72,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device().admin(probe), [4, 0, 6, 0]);
}

#[test]
fn an_unknown_opcode_is_an_invalid_opcode() {
    assert_eq!(device().mi(0x0D, 0, 0, &[]), [3, 0, 0, 0]);
    assert_eq!(
        device().admin(Admin {
            opcode: 0x05,
            ..ADMIN
        }),
        [3, 0, 0, 0]
    );
}

/// Identify Controller, with any changes.
const IDENTIFY: Admin<'static> = Admin {
    opcode: 0x06,
    length: 72,
    dwords: [1, 0, 0, 0, 0, 0],
    ..ADMIN
};

/// Sends what must not be answered, and checks that it is counted, and that the device still works.
fn assert_dropped(message: &[u8], reason: DropReason) {
    let mut device = device();
    assert_eq!(device.raw(message), None);
    assert_eq!(device.endpoint.drops().count(reason), 1, "{reason:?}");
    assert_eq!(device.endpoint.drops().total(), 1);
    assert_works(&mut device);
}

fn assert_works(device: &mut Device<Parts<HealthReport>>) {
    assert_eq!(
        device.mi(0x01, 0, 0, &[])[..8],
        [0, 0, 0, 0, 0x38, 0xFF, 30, 3]
    );
}

fn with_length(opcode_class: u8, length: usize) -> Vec<u8> {
    let mut message = vec![0x84, opcode_class];
    message.resize(length, 0);
    message
}

#[test]
fn a_message_without_the_integrity_check_bit_is_dropped() {
    let mut message = sealed(&with_length(0x08, 16));
    message[0] = 0x04;
    assert_dropped(&message, DropReason::NoIntegrityCheck);
}

#[test]
fn a_message_with_a_bad_integrity_check_is_dropped() {
    let mut message = sealed(&with_length(0x08, 16));
    message[19] ^= 1;
    assert_dropped(&message, DropReason::BadIntegrityCheck);
}

#[test]
fn a_message_too_short_for_its_frame_is_dropped() {
    assert_dropped(&[0x84, 8, 0, 0, 0, 0, 0], DropReason::TooShort);
}

#[test]
fn a_message_too_long_is_dropped_and_the_longest_is_not() {
    assert_dropped(
        &sealed(&with_length(0x08, MAX_MESSAGE_LENGTH - 3)),
        DropReason::TooLong,
    );
    let longest = device().request(&with_length(0x08, MAX_MESSAGE_LENGTH - 4));
    assert_eq!(longest, [6, 0, 0, 0]);
}

#[test]
fn a_response_is_dropped() {
    assert_dropped(&sealed(&with_length(0x88, 16)), DropReason::NotARequest);
}

#[test]
fn a_reserved_kind_is_dropped() {
    for kind in [0x18, 0x28, 0x30, 0x78] {
        assert_dropped(&sealed(&with_length(kind, 72)), DropReason::UnknownKind);
    }
}

#[test]
fn reserved_bits_of_a_request_are_ignored() {
    let mut message = with_length(0x0E, 16);
    message[2] = 0xFC;
    message[3] = 0xFF;
    message[4] = 0x01;
    message[5..15].fill(0xFF);
    message[15] = 0x7F;
    let response = device().raw(&sealed(&message)).unwrap();
    assert_eq!(response[..9], [0x84, 0x88, 0, 0, 0, 0, 0, 0, 0x38]);
}

#[test]
fn both_command_slots_answer_with_their_own_number() {
    let mut message = with_length(0x09, 16);
    message[4] = 0x01;
    assert_eq!(device().raw(&sealed(&message)).unwrap()[1], 0x89);
    assert_eq!(
        device()
            .admin_ok(Admin {
                slot: 1,
                ..IDENTIFY
            })
            .1
            .len(),
        72
    );
}

#[test]
fn a_command_shorter_than_its_fixed_part_has_an_invalid_size() {
    for length in 4..16 {
        assert_eq!(device().request(&with_length(0x08, length)), [5, 0, 0, 0]);
    }
    for length in 4..68 {
        assert_eq!(device().request(&with_length(0x10, length)), [5, 0, 0, 0]);
    }
}

#[test]
fn the_size_of_the_fixed_part_is_checked_before_the_opcode() {
    let mut message = with_length(0x10, 67);
    message[4] = 0xFF;
    assert_eq!(device().request(&message), [5, 0, 0, 0]);
}

#[test]
fn the_opcode_is_checked_before_the_controller() {
    assert_eq!(
        device().admin(Admin {
            opcode: 0xFF,
            controller: 9,
            ..IDENTIFY
        }),
        [3, 0, 0, 0]
    );
}

#[test]
fn the_controller_is_checked_before_the_data() {
    let command = Admin {
        controller: 9,
        length: 3,
        offset: 3,
        data: &[0],
        ..IDENTIFY
    };
    assert_eq!(device().admin(command), [4, 0, 6, 0]);
}

#[test]
fn data_in_the_endpoint_buffer_are_refused_at_byte_2() {
    let mut message = with_length(0x08, 16);
    message[2] = 1;
    assert_eq!(device().request(&message), [4, 0, 2, 0]);
    let mut message = with_length(0x10, 68);
    message[2] = 1;
    message[4] = 6;
    assert_eq!(device().request(&message), [4, 0, 2, 0]);
}

#[test]
fn a_data_offset_is_a_multiple_of_4() {
    for offset in [1, 2, 3, 4095] {
        assert_eq!(device().admin(Admin { offset, ..IDENTIFY }), [4, 0, 28, 0]);
    }
}

#[test]
fn a_data_length_is_a_multiple_of_4_up_to_4096() {
    for length in [1, 2, 3, 73, 4097, 4100, u32::MAX] {
        assert_eq!(
            device().admin(Admin { length, ..IDENTIFY }),
            [4, 0, 32, 0],
            "length {length}"
        );
    }
}

#[test]
fn data_outside_the_result_are_refused_at_the_offset_or_the_length() {
    assert_eq!(
        device().admin(Admin {
            offset: 4100,
            length: 4,
            ..IDENTIFY
        }),
        [4, 0, 28, 0]
    );
    assert_eq!(
        device().admin(Admin {
            offset: 4092,
            length: 8,
            ..IDENTIFY
        }),
        [4, 0, 32, 0]
    );
    assert_eq!(
        device()
            .admin_ok(Admin {
                offset: 4092,
                length: 4,
                ..IDENTIFY
            })
            .1,
        [0; 4]
    );
}

#[test]
fn request_data_where_none_belong_are_a_wrong_size() {
    assert_eq!(
        device().admin(Admin {
            data: &[0; 4],
            ..IDENTIFY
        }),
        [6, 0, 0, 0]
    );
}

#[test]
fn any_part_of_a_result_is_the_same_part_of_the_whole() {
    let mut device = device();
    let (_, whole) = device.admin_ok(Admin {
        length: 4096,
        ..IDENTIFY
    });
    for (offset, length) in [
        (0u32, 4u32),
        (4, 20),
        (24, 40),
        (72, 4),
        (76, 4),
        (100, 3996),
    ] {
        let (_, part) = device.admin_ok(Admin {
            offset,
            length,
            ..IDENTIFY
        });
        assert_eq!(part, whole[offset as usize..][..length as usize]);
    }
}

#[test]
fn without_a_valid_data_length_a_result_has_its_natural_length() {
    let natural = Admin {
        flags: 0,
        length: 0,
        ..IDENTIFY
    };
    assert_eq!(device().admin_ok(natural).1.len(), 4096);
    let none = Admin {
        flags: 1,
        length: 0,
        ..IDENTIFY
    };
    assert_eq!(device().admin_ok(none).1.len(), 0);
}

#[test]
fn the_data_offset_valid_flag_is_ignored() {
    let with_flag = device().admin_ok(Admin {
        flags: 3,
        offset: 4,
        ..IDENTIFY
    });
    assert_eq!(
        with_flag,
        device().admin_ok(Admin {
            flags: 1,
            offset: 4,
            ..IDENTIFY
        })
    );
}
