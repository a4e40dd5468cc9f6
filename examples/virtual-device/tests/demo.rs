//! The demo is a test by itself: here it runs with every kind of device.

mod support;

use mctp_usb::Version::{V1_0, V1_1};
use remote_usb_device::Speed;
use support::block_on;
use virtual_device::demo;
use virtual_device::model_file::DeviceModel;
use virtual_device::settings::DeviceSettings;

fn screen(settings: &DeviceSettings) -> String {
    let mut out = Vec::new();
    let options = demo::Options {
        image_length: 64 * 1024,
        stream_length: 200_000,
        live: false,
    };
    let passed = block_on(demo::run(settings, options, &(), &mut out)).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(passed, "{settings:?}\n{text}");
    text
}

/// Lines of each chapter with its heading.
fn chapters(text: &str) -> Vec<usize> {
    text.split("\n\n")
        .map(|chapter| chapter.lines().count())
        .collect()
}

#[test]
fn every_chapter_of_the_demo_fits_one_screen() {
    let text = screen(&DeviceSettings::default());
    assert!(chapters(&text).iter().all(|lines| *lines <= 24), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn the_firmware_update_shows_the_slots_before_and_after() {
    let text = screen(&DeviceSettings::default());
    for words in [
        "1: REF00001 runs, 2: REF00002, 3: empty",
        "1: REF00001 runs, 2: REF00002, 3: DEMO0001 next",
        "1: REF00001, 2: REF00002, 3: DEMO0001 runs",
        "[####################] 100 % 64.0 KiB, 16 pieces",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn every_example_of_a_model_is_what_its_file_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let model = DeviceModel::read(&path).unwrap();
        let words = model.model_number.clone();
        let text = screen(&DeviceSettings {
            model,
            ..DeviceSettings::default()
        });
        assert!(text.contains(&words), "{text}");
        assert!(chapters(&text).iter().all(|lines| *lines <= 24), "{text}");
    }
}

#[test]
fn a_model_without_anything_to_manage_or_update_is_no_failure() {
    let mut model = DeviceModel::default();
    model.controllers.clear();
    let text = screen(&DeviceSettings {
        model: model.clone(),
        ..DeviceSettings::default()
    });
    assert!(text.contains("the model has no controllers"), "{text}");
    let mut model = DeviceModel::default();
    model.firmware.slots.truncate(1);
    let text = screen(&DeviceSettings {
        model,
        ..DeviceSettings::default()
    });
    assert!(text.contains("none of them can be written"), "{text}");
}

#[test]
fn a_full_speed_port_is_enough() {
    let text = screen(&DeviceSettings {
        speed: Speed::Full,
        ..DeviceSettings::default()
    });
    assert!(text.contains("full speed"), "{text}");
    assert!(text.contains("64 bytes each"), "{text}");
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
