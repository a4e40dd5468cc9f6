//! Over USB/IP, device and host in one process.

mod support;

use embassy_usb::driver::Speed;
use support::SendsBack;
use support::stream::{HostEnd, Wire, with_stream};
use usb_walk::random::random;
use usb_walk::usbip::UsbipHost;
use usb_walk::walk::walk;

fn with_host(speed: Speed, test: impl FnOnce(&mut UsbipHost<HostEnd<'_>>)) {
    with_stream(Wire::Usbip, speed, true, |end| {
        test(&mut UsbipHost::new(end))
    });
}

#[test]
fn the_walk_passes_at_both_speeds() {
    for speed in [Speed::High, Speed::Full] {
        with_host(speed, |host| {
            let tally = walk(host, SendsBack).unwrap();
            assert!(tally.requests > 5000, "{tally:?}");
        });
    }
}

#[test]
fn a_million_random_requests_leave_a_device_that_works() {
    with_host(Speed::High, |host| {
        random(host, 1, 1_000_000, SendsBack).unwrap();
    });
}
