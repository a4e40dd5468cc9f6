//! The demo is a test by itself: here it runs with every kind of device, and with devices that are
//! not what the host expects.

use mctp_usb::Version::{V1_0, V1_1};
use remote_usb_device::Speed;

use super::*;

/// The demo with less to download and to stream.
fn reduced(verbose: bool) -> Options {
    Options {
        image_length: 64 * 1024,
        stream_length: 200_000,
        ..options(verbose)
    }
}

fn short() -> Options {
    reduced(false)
}

fn verbose() -> Options {
    reduced(true)
}

fn block_on<T>(demo: impl Future<Output = anyhow::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new()
        .block_on(&runtime, demo)
        .unwrap()
}

/// The screen of a device that is as it should be.
fn screen_with(settings: &DeviceSettings, options: &Options) -> String {
    let mut out = Vec::new();
    let passed = block_on(run(settings, options, &(), &mut out));
    let text = String::from_utf8(out).unwrap();
    assert!(passed, "{settings:?}\n{text}");
    text
}

fn screen(settings: &DeviceSettings) -> String {
    screen_with(settings, &verbose())
}

/// The screen of a host that expects another device than there is, and whether it was content.
fn screen_of_mismatch(
    device: &DeviceSettings,
    expected: &DeviceSettings,
    options: Options,
) -> (String, bool) {
    let mut out = Vec::new();
    let options = Options {
        image_length: 8192,
        stream_length: 70_000,
        ..options
    };
    let expectations = expectations(expected);
    let passed = block_on(device::run(device, &(), async |cable: Cable<'_>| {
        join(cable, &expectations, &options, &mut out).await
    }));
    (String::from_utf8(out).unwrap(), passed)
}

fn checks_shown(text: &str) -> usize {
    let is_check = |line: &&str| line.starts_with("  ok  ") || line.starts_with("WRONG ");
    text.lines().filter(is_check).count()
}

/// How many checks there were, by the last line.
fn checks_told(text: &str) -> usize {
    let last = text.lines().last().unwrap();
    let number = last.split(' ').find_map(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn the_short_screen_fits_80_columns_and_40_lines_and_every_check_runs() {
    let settings = DeviceSettings::default();
    let (short, verbose) = (screen_with(&settings, &short()), screen(&settings));
    assert!(short.lines().count() <= 40, "{short}");
    let fits = |line: &str| line.chars().count() <= 80;
    assert!(short.lines().all(fits), "{short}");
    assert_eq!(checks_told(&short), checks_told(&verbose));
    assert_eq!(checks_shown(&verbose), checks_told(&verbose));
    assert!(checks_shown(&short) < checks_shown(&verbose));
}

#[test]
fn whatever_is_wrong_is_on_the_short_screen_too() {
    let expected = DeviceSettings::default();
    let device = DeviceSettings {
        max_message: 4100,
        ..expected.clone()
    };
    let (shown, passed) = screen_of_mismatch(&device, &expected, short());
    assert!(!passed);
    let (all, _) = screen_of_mismatch(&device, &expected, verbose());
    let wrong = wrong_lines(&all);
    assert!(wrong.len() > 1);
    for label in &wrong {
        assert!(shown.contains(&format!("\nWRONG {label} ")), "{shown}");
    }
    let last = format!("{} of {} checks FAILED.", wrong.len(), checks_shown(&all));
    for text in [&shown, &all] {
        assert_eq!(text.lines().last(), Some(&*last), "{text}");
    }
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
        "64.0 KiB, 16 pieces",
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

/// The labels of the lines that are wrong.
fn wrong_lines(text: &str) -> Vec<String> {
    let wrong = text.lines().filter_map(|line| line.strip_prefix("WRONG "));
    wrong
        .map(|line| line.chars().take(36).collect::<String>().trim_end().into())
        .collect()
}

#[test]
fn another_uuid_than_expected_is_seen_in_all_places() {
    let expected = DeviceSettings::default();
    let device = DeviceSettings {
        uuid: uuid::uuid!("12345678-9abc-4def-8012-3456789abcde"),
        ..expected.clone()
    };
    let (text, passed) = screen_of_mismatch(&device, &expected, verbose());
    assert!(!passed);
    assert_eq!(
        wrong_lines(&text),
        ["strings", "Get Endpoint UUID", "Identify Controller"],
        "{text}"
    );
}

#[test]
fn packets_of_another_length_than_expected_are_seen() {
    let expected = DeviceSettings::default();
    let device = DeviceSettings {
        mtu: 100,
        ..expected.clone()
    };
    let (text, passed) = screen_of_mismatch(&device, &expected, verbose());
    assert!(!passed);
    let wrong = wrong_lines(&text);
    let echoes = ["61 bytes", "256 bytes", "4096 bytes", "4220 bytes"];
    assert_eq!(wrong[..4], echoes, "{text}");
    // From then on the transmission unit is what the host configured.
    assert_eq!(wrong.last().unwrap(), "slots before", "{text}");
}

#[test]
fn an_answer_that_does_not_come_is_seen() {
    let expected = DeviceSettings::default();
    let device = DeviceSettings {
        max_message: 4100,
        ..expected.clone()
    };
    let (text, passed) = screen_of_mismatch(&device, &expected, verbose());
    assert!(!passed);
    assert_eq!(
        wrong_lines(&text),
        [
            "4220 bytes",
            "create, attach, detach, delete",
            "a damaged image",
            "Firmware Image Download"
        ],
        "{text}"
    );
}

/// The lines that are wrong when the host expects this model and gets the default one.
fn wrong_with_model(change: impl Fn(&mut DeviceModel)) -> Vec<String> {
    let device = DeviceSettings::default();
    let mut expected = device.clone();
    change(&mut expected.model);
    let (text, passed) = screen_of_mismatch(&device, &expected, verbose());
    let wrong = wrong_lines(&text);
    assert_eq!(passed, wrong.is_empty(), "{text}");
    wrong
}

#[test]
fn another_identity_than_expected_is_seen() {
    assert_eq!(wrong_with_model(|_| ()), [""; 0]);
    for change in [
        |model: &mut DeviceModel| model.serial_number = Some("another".into()),
        |model: &mut DeviceModel| model.model_number.push('2'),
        |model: &mut DeviceModel| model.qualified_name.push('2'),
        |model: &mut DeviceModel| model.room_for_namespaces = 8,
        |model: &mut DeviceModel| model.capacity += 1,
        |model: &mut DeviceModel| model.vendor.ieee_oui[2] ^= 1,
        |model: &mut DeviceModel| model.firmware.first_slot_read_only = false,
    ] {
        assert_eq!(wrong_with_model(change), ["Identify Controller"]);
    }
    let wrong = wrong_with_model(|model| model.vendor.pci_device ^= 1);
    assert_eq!(wrong, ["controller 0", "controller 1"]);
}

#[test]
fn other_ports_controllers_and_namespaces_than_expected_are_seen() {
    let wrong = wrong_with_model(|model| model.ports[1].max_transmission_unit = 249);
    assert_eq!(wrong, ["port 1"]);
    let wrong = wrong_with_model(|model| model.controllers[1].config.address = None);
    assert_eq!(wrong, ["controller 1"]);
    let wrong = wrong_with_model(|model| model.controllers[1].namespaces.clear());
    assert_eq!(wrong, ["controller 1", "namespace 1"]);
    let wrong = wrong_with_model(|model| model.namespaces[1] += 1);
    assert_eq!(wrong, ["Identify Controller", "namespace 2"]);
    let wrong = wrong_with_model(|model| model.namespaces.truncate(1));
    assert_eq!(
        wrong,
        [
            "Identify Controller",
            "namespaces",
            "create, attach, detach, delete"
        ]
    );
}

#[test]
fn another_health_than_expected_is_seen() {
    let all = [
        "subsystem health",
        "controller health",
        "SMART log",
        "create, attach, detach, delete",
        "subsystem health after the reset",
    ];
    let wrong = wrong_with_model(|model| model.health.temperature = 304);
    assert_eq!(wrong, all);
    let wrong = wrong_with_model(|model| model.health.critical_warning = 4);
    assert_eq!(wrong, all);
    let wrong = wrong_with_model(|model| model.health.available_spare = 99);
    assert_eq!(wrong, all[1..3]);
    let wrong = wrong_with_model(|model| model.health.sensors[7] = 1);
    assert_eq!(wrong, ["SMART log"]);
}

#[test]
fn other_firmware_than_expected_is_seen() {
    let wrong = wrong_with_model(|model| model.firmware.slots[1] = None);
    assert_eq!(wrong, ["slots before", "a damaged image"]);
    let wrong = wrong_with_model(|model| model.firmware.slots[0] = Some(*b"REF00009"));
    assert_eq!(
        wrong,
        [
            "Identify Controller",
            "slots before",
            "a damaged image",
            "slots after the commit",
            "slots after the reset",
        ]
    );
}
