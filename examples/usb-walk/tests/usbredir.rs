//! Over usbredir, device and host in one process.

mod support;

use embassy_usb::driver::Speed;
use support::SendsBack;
use support::stream::{HostEnd, Wire, with_stream};
use usb_walk::host::{Host, Outcome, setup};
use usb_walk::random::random;
use usb_walk::usbredir::UsbredirHost;
use usb_walk::walk::walk;

fn with_host(speed: Speed, guards: bool, test: impl FnOnce(&mut UsbredirHost<HostEnd<'_>>)) {
    with_stream(Wire::Usbredir, speed, guards, |end| {
        test(&mut UsbredirHost::attach(end).unwrap());
    });
}

#[test]
fn the_walk_passes_at_both_speeds() {
    for speed in [Speed::High, Speed::Full] {
        with_host(speed, true, |host| {
            let tally = walk(host, SendsBack).unwrap();
            assert!(tally.requests > 5000, "{tally:?}");
        });
    }
}

#[test]
fn a_million_random_requests_leave_a_device_that_works() {
    with_host(Speed::High, true, |host| {
        random(host, 1, 1_000_000, SendsBack).unwrap();
    });
}

#[test]
fn without_the_guard_an_endpoint_that_is_not_there_has_a_status() {
    with_host(Speed::High, false, |host| {
        let outcome = host.control(setup(0x82, 0, 0, 0x0F, 2), &[]).unwrap();
        assert_eq!(outcome, Outcome::Done(vec![0, 0]));
    });
}

#[test]
fn without_the_guard_a_request_for_nothing_is_refused() {
    with_host(Speed::High, false, |host| {
        let outcome = host.control(setup(0x80, 6, 0x0100, 0, 0), &[]).unwrap();
        assert_eq!(outcome, Outcome::Stall);
    });
}
