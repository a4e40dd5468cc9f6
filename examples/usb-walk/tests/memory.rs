//! Over a driver in memory.

mod support;

use embassy_usb_guard::{Guard, State};
use support::memory::{MemoryDriver, MemoryHost};
use support::{Memory, SendsBack, device};
use usb_walk::host::{Host, setup};
use usb_walk::random::random;
use usb_walk::walk::walk;

/// Runs a test with a guarded device.
fn with_host(test: impl FnOnce(&mut MemoryHost<'_>)) {
    let state = State::new();
    let mut memory = Memory::new();
    let driver = MemoryDriver::default();
    let guarded = Guard::new(driver.clone(), &state);
    test(&mut MemoryHost::new(
        driver,
        device(guarded, 512, &mut memory),
    ));
}

#[test]
fn the_walk_passes() {
    with_host(|host| {
        let tally = walk(host, SendsBack).unwrap();
        assert!(tally.requests > 5000, "{tally:?}");
    });
}

#[test]
fn a_million_random_requests_leave_a_device_that_works() {
    with_host(|host| random(host, 1, 1_000_000, SendsBack).unwrap());
}

#[test]
#[should_panic(expected = "there is no endpoint 0f")]
fn without_the_guard_a_request_for_an_endpoint_that_is_not_there_reaches_the_driver() {
    let mut memory = Memory::new();
    let driver = MemoryDriver::default();
    let mut host = MemoryHost::new(driver.clone(), device(driver, 512, &mut memory));
    host.reset().unwrap();
    let _ = host.control(setup(0x82, 0, 0, 0x0F, 2), &[]);
}

#[test]
fn without_the_guard_a_request_for_nothing_never_ends() {
    let mut memory = Memory::new();
    let driver = MemoryDriver::default();
    let mut host = MemoryHost::new(driver.clone(), device(driver, 512, &mut memory));
    host.reset().unwrap();
    assert!(host.control(setup(0x80, 6, 0x0100, 0, 0), &[]).is_err());
}
