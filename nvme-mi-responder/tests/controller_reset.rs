//! A Controller Level Reset, which a host makes: what it changes for the requester, and what it
//! does not.

mod support;

use nvme_mi_responder::{ControllerId, ModelError};
use support::{Device, Everything, everything, field};

const READY: u64 = 1 << 0;
const SHUTDOWN: u64 = 1 << 2;
const ENABLED: u64 = 1 << 5;
const STATUS: u64 = 1 << 8;

/// Composite Controller Status Flags, which are cleared.
fn changes(device: &mut Device<Everything>) -> u64 {
    field(&device.mi(0x01, 0, 1 << 31, &[]), 8, 2)
}

/// Controller Status of both controllers.
fn statuses(device: &mut Device<Everything>) -> [u64; 2] {
    let health = device.mi(0x02, 1 << 31 | 1 << 24 | 1 << 16, 0, &[]);
    [6, 22].map(|offset| field(&health, offset, 2))
}

#[test]
fn it_is_a_change_of_enable_and_ready_of_that_controller() {
    let mut device = everything();
    changes(&mut device);
    device.inner.reset_controller(ControllerId(1)).unwrap();
    assert_eq!(statuses(&mut device), [READY, READY | ENABLED]);
    assert_eq!(changes(&mut device), READY | ENABLED | STATUS);
}

#[test]
fn it_ends_a_fatal_status_and_a_shutdown() {
    let mut device = everything();
    let model = device.model();
    model.set_fatal(ControllerId(0), true).unwrap();
    model.set_shutdown_status(ControllerId(0), 2).unwrap();
    assert_eq!(statuses(&mut device), [READY | 1 << 1 | 2 << 2, READY]);
    changes(&mut device);
    device.inner.reset_controller(ControllerId(0)).unwrap();
    assert_eq!(statuses(&mut device), [READY | ENABLED, READY]);
    assert_eq!(changes(&mut device), READY | SHUTDOWN | ENABLED | STATUS);
}

#[test]
fn the_endpoint_and_its_ports_stay_as_they_are() {
    let mut device = everything();
    let unit = |device: &mut Device<Everything>| device.mi(0x04, 0x0100_0003, 0, &[]);
    assert_eq!(device.mi(0x03, 0x0100_0003, 250, &[])[0], 0);
    device.inner.reset_controller(ControllerId(0)).unwrap();
    assert_eq!(unit(&mut device)[1..3], [250, 0]);
    let get_state = support::sealed(&[0x84, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(device.raw(&get_state).unwrap()[6..8], [0, 0]);
}

#[test]
fn it_is_of_a_controller_that_there_is() {
    let none = ControllerId(7);
    let refused = everything().inner.reset_controller(none);
    assert_eq!(refused, Err(ModelError::NoSuchController(none)));
}
