//! Sections 3.1 and 4.1 of NVMe-MI 1.2: frames, silent drops and the order of checks.

mod support;

use nvme_mi_responder::world::{HealthReport, Parts};
use support::{ADMIN, Admin, Device, field};

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

#[test]
fn answers_subsystem_information_byte_for_byte() {
    let mut request = vec![0x84, 0x08];
    request.resize(16, 0);
    request.extend([0xE2, 0x00, 0x06, 0x07]);
    let mut expected = vec![0x84, 0x88, 0, 0, 0, 0x20, 0, 0, 1, 1, 2];
    expected.resize(40, 0);
    expected.extend([0x3C, 0xF8, 0xDB, 0x52]);
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

#[test]
fn a_command_shorter_than_its_fixed_part_has_an_invalid_size() {
    assert_eq!(
        device().request(&[0x84, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        [5, 0, 0, 0]
    );
}
