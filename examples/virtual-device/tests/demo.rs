//! The demo is a test by itself: here it runs with every kind of device.

mod support;

use mctp_usb::Version::{V1_0, V1_1};
use support::block_on;
use virtual_device::cli::DeviceSettings;
use virtual_device::demo;

fn screen(settings: &DeviceSettings) -> String {
    let mut out = Vec::new();
    let passed = block_on(demo::run(settings, &(), &mut out)).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(passed, "{settings:?}\n{text}");
    text
}

#[test]
fn the_demo_fits_one_screen() {
    let text = screen(&DeviceSettings::default());
    assert!(text.lines().count() <= 45, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn every_packet_length_and_message_length_works() {
    for (usb, mtu) in [
        (V1_0, 68),
        (V1_0, 251),
        (V1_1, 68),
        (V1_1, 512),
        (V1_1, 1020),
        (V1_1, 8187),
    ] {
        for max_message in [64, 4224, 65_536] {
            screen(&DeviceSettings {
                usb,
                mtu,
                max_message,
                ..DeviceSettings::default()
            });
        }
    }
}

#[test]
fn the_device_has_the_identity_that_it_is_given() {
    let uuid = "12345678-9abc-4def-8012-3456789abcde";
    let text = screen(&DeviceSettings {
        uuid: uuid.parse().unwrap(),
        ..DeviceSettings::default()
    });
    assert!(
        text.contains(uuid) && text.contains("serial number 123456789abc"),
        "{text}"
    );
}
