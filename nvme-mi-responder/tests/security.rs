//! Security Send and Security Receive.

mod support;

use nvme_mi_responder::world::{HealthReport, SecurityInformation, SecurityProtocols};
use support::{ADMIN, Admin, Device, Parts};

const INVALID_FIELD: u16 = 0x002;

/// Protocol 00h, and 01h, which says what it was told.
#[derive(Default)]
struct Echo {
    specific: u16,
    told: Vec<u8>,
    times: u32,
}

impl SecurityProtocols for Echo {
    fn protocols(&self) -> &[u8] {
        &[0x00, 0x01]
    }

    fn send(&mut self, protocol: u8, specific: u16, data: &[u8]) -> bool {
        assert_eq!(protocol, 0x01);
        self.specific = specific;
        self.told = data.to_vec();
        self.times += 1;
        specific != 0xBAD0
    }

    fn receive(&mut self, protocol: u8, specific: u16, offset: u32, into: &mut [u8]) -> bool {
        assert_eq!(protocol, 0x01);
        let told = self.told.get(offset as usize..).unwrap_or_default();
        let length = told.len().min(into.len());
        into[..length].copy_from_slice(&told[..length]);
        specific == self.specific
    }
}

fn device<S: SecurityProtocols>(security: S) -> Device<impl nvme_mi_responder::world::World> {
    Device::reference(Parts::new(HealthReport::healthy()).with_security(security))
}

fn receive(protocol: u32, specific: u32, length: u32) -> Admin<'static> {
    Admin {
        opcode: 0x82,
        length,
        dwords: [protocol << 24 | specific << 8, length, 0, 0, 0, 0],
        ..ADMIN
    }
}

fn send(protocol: u32, specific: u32, data: &[u8]) -> Admin<'_> {
    let length = data.len() as u32;
    Admin {
        opcode: 0x81,
        length,
        dwords: [protocol << 24 | specific << 8, length, 0, 0, 0, 0],
        data,
        ..ADMIN
    }
}

#[test]
fn the_list_of_protocols_is_as_security_info_of_libnvme_asks_for_it() {
    let (_, list) = device(SecurityInformation).admin_ok(receive(0, 0, 264));
    assert_eq!(list.len(), 264);
    assert_eq!(list[..9], [0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(list[9..], [0; 255]);
    let (_, list) = device(Echo::default()).admin_ok(receive(0, 0, 264));
    assert_eq!(list[..10], [0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
}

#[test]
fn a_part_of_the_list_is_that_part() {
    let command = Admin {
        offset: 4,
        length: 8,
        ..receive(0, 0, 264)
    };
    let (_, part) = device(Echo::default()).admin_ok(command);
    assert_eq!(part, [0, 0, 0, 2, 0, 1, 0, 0]);
}

#[test]
fn there_are_no_certificates() {
    let (_, certificates) = device(SecurityInformation).admin_ok(receive(0, 1, 8));
    assert_eq!(certificates, [0; 8]);
}

#[test]
fn what_protocol_zero_does_not_have_is_refused() {
    let mut device = device(Echo::default());
    assert_eq!(device.admin_status(receive(0, 2, 8)), INVALID_FIELD);
    assert_eq!(device.admin_status(send(0, 0, &[0; 8])), INVALID_FIELD);
}

#[test]
fn protocols_that_do_not_exist_are_refused() {
    let mut device = device(Echo::default());
    for protocol in [0x02, 0xEA, 0xFF] {
        assert_eq!(device.admin_status(receive(protocol, 0, 8)), INVALID_FIELD);
        assert_eq!(
            device.admin_status(send(protocol, 0, &[0; 8])),
            INVALID_FIELD
        );
    }
}

#[test]
fn data_go_to_the_protocol_and_come_back() {
    let mut device = device(Echo::default());
    let data: Vec<u8> = (0..4096).map(|at| ((at * 7) >> 4) as u8).collect();
    device.admin_ok(send(1, 0x1234, &data));
    assert_eq!(device.admin_ok(receive(1, 0x1234, 4096)).1, data);
    let part = Admin {
        offset: 1024,
        length: 64,
        ..receive(1, 0x1234, 4096)
    };
    assert_eq!(device.admin_ok(part).1, data[1024..1088]);
}

#[test]
fn data_that_are_sent_again_go_to_the_protocol_again() {
    let mut device =
        Device::reference(Parts::new(HealthReport::healthy()).with_security(Echo::default()));
    for times in 1..=2 {
        device.admin_ok(send(1, 0x1234, &[7; 8]));
        assert_eq!(device.world().security.times, times);
    }
}

#[test]
fn what_a_protocol_refuses_is_an_invalid_field_without_data() {
    let mut device = device(Echo::default());
    assert_eq!(device.admin_status(send(1, 0xBAD0, &[0; 8])), INVALID_FIELD);
    assert_eq!(device.admin_status(receive(1, 5, 64)), INVALID_FIELD);
}

#[test]
fn lengths_that_contradict_each_other_are_refused_at_their_field() {
    let mut device = device(Echo::default());
    let wrong = Admin {
        dwords: [1 << 24, 12, 0, 0, 0, 0],
        ..send(1, 0, &[0; 8])
    };
    assert_eq!(device.admin(wrong), [4, 0, 32, 0]);
    let more = Admin {
        length: 12,
        ..receive(0, 0, 8)
    };
    assert_eq!(device.admin(more), [4, 0, 32, 0]);
}

#[test]
fn a_device_without_protocols_has_no_security_commands() {
    let mut device = Device::reference(Parts::new(HealthReport::healthy()));
    assert_eq!(device.admin(receive(0, 0, 8)), [3, 0, 0, 0]);
    assert_eq!(device.admin(send(0, 0, &[0; 8])), [3, 0, 0, 0]);
}
