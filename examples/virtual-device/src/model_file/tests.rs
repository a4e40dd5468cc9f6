use std::path::Path;

use nvme_mi_responder::world::FirmwareStore;

use super::*;

const SERIAL_NUMBER: &str = "0dc120b82b6f";

/// The default model with the line that contains `key` replaced.
fn with(key: &str, line: &str) -> (String, usize) {
    let at = DEFAULT.lines().position(|line| line.contains(key));
    let at = at.unwrap_or_else(|| panic!("{key} is not there"));
    let mut lines: Vec<_> = DEFAULT.lines().collect();
    lines[at] = line;
    (lines.join("\n"), at + 1)
}

/// What is said of the default model with that line replaced. It must be said of that line.
fn complaint(key: &str, line: &str) -> String {
    let (text, number) = with(key, line);
    let bad = DeviceModel::parse(&text).unwrap_err();
    assert_eq!(bad.line, Some(number), "{line}: {bad}");
    assert!(!bad.sentence.contains('\n'), "{bad}");
    bad.sentence
}

/// What is said of the default model with more behind it, and of which of the lines added, counted
/// from 1.
fn complaint_about_more(more: &str) -> (usize, String) {
    let text = format!("{DEFAULT}{more}");
    let bad = DeviceModel::parse(&text).unwrap_err();
    let line = bad.line.unwrap() - DEFAULT.lines().count();
    (line, bad.sentence)
}

#[test]
fn the_default_model_file_is_the_default_model_of_the_boards() {
    let file = DeviceModel::default();
    let revision = file.revision();
    let mut from_file = file.build(SERIAL_NUMBER, &revision).unwrap();
    let mut in_code = reference_device::default_subsystem(SERIAL_NUMBER).unwrap();
    assert_eq!(
        format!("{:#?}", from_file.model()),
        format!("{:#?}", in_code.model())
    );
    assert_eq!(file.room_for_namespaces, room_of(&in_code));
    assert_eq!(file.management_port, reference_device::MANAGEMENT_PORT);
    assert_eq!(file.health, HealthReport::healthy());
}

fn room_of<const P: usize, const C: usize, const N: usize>(_: &Subsystem<'_, P, C, N>) -> usize {
    N
}

#[test]
fn the_default_model_file_has_the_firmware_slots_of_the_boards() {
    let mut memory = [0; 64];
    let in_code = reference_device::default_firmware(&mut memory);
    let file = DeviceModel::default().firmware;
    let mut memory = [0; 128];
    let from_file = file.build(&mut memory);
    assert_eq!(file.slots.len(), usize::from(in_code.slots()));
    for slot in 1..=in_code.slots() {
        assert_eq!(from_file.revision(slot), in_code.revision(slot), "{slot}");
    }
    let settings = |store: &dyn FirmwareStore| {
        (
            store.is_first_slot_read_only(),
            store.activates_without_reset(),
            store.takes_only_whole_pages(),
            store.running_revision(),
            store.active_slot(),
        )
    };
    assert_eq!(settings(&from_file), settings(&in_code));
}

#[test]
fn every_key_that_is_commented_out_is_one_with_the_value_that_is_shown() {
    let shown: Vec<_> = DEFAULT.lines().map(uncommented).collect();
    let text = shown.join("\n");
    let changed = DEFAULT
        .lines()
        .zip(&shown)
        .filter(|(line, now)| line != *now);
    assert_eq!(changed.count(), 28, "{text}");
    let expected = DeviceModel {
        serial_number: Some(SERIAL_NUMBER.into()),
        vendor: Vendor::NOT_FOR_DISTRIBUTION,
        vpd: Some(vec![1, 0, 0, 0, 0, 0, 0, 0xFF]),
        ..DeviceModel::default()
    };
    assert_eq!(DeviceModel::parse(&text).unwrap(), expected);
}

/// The line without its comment mark if it is a key or a table behind it.
fn uncommented(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("# ") else {
        return line;
    };
    let is_key = |word: &str| {
        word.bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    match rest.split_once(" = ") {
        Some((key, _)) if is_key(key) => rest,
        _ if rest.starts_with('[') => rest,
        _ => line,
    }
}

#[test]
fn every_example_is_a_good_model() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        DeviceModel::read(&path).unwrap();
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn an_example_arrives_in_the_model_as_it_is_written() {
    let model = DeviceModel::parse(include_str!("../../models/hot-single-port.toml")).unwrap();
    assert_eq!(model.serial_number.as_deref(), Some("HOT0000000000001"));
    assert_eq!(model.capacity, 1_000_204_886_016);
    assert_eq!(model.namespaces, [1_953_525_168]);
    assert_eq!(model.health.temperature, 351);
    assert_eq!(model.health.critical_warning, 3);
    assert_eq!(model.health.sensors, [351, 338, 0, 0, 0, 0, 0, 0]);
    assert_eq!(model.health.media_errors, 3);
    assert_eq!(model.revision(), "HOT-1.04");
    assert!(!model.firmware.first_slot_read_only);
    let address = model.controllers[0].config.address.unwrap();
    assert_eq!(address.routing_id(), 0x4100);
}

#[test]
fn a_temperature_may_have_either_unit_or_be_unknown() {
    let health = |temperature: &str, sensors: &str| {
        let lines = format!("temperature = {temperature}\nsensors = {sensors}");
        let (text, _) = with("temperature = \"30 C\"", &lines);
        DeviceModel::parse(&text).unwrap().health
    };
    let health_in_units = health("\"-5 C\"", "[\"310 K\", \"unknown\", 320]");
    assert_eq!(health_in_units.temperature, 268);
    assert_eq!(health_in_units.sensors[..4], [310, 0, 320, 0]);
    assert_eq!(health("\"unknown\"", "[]").temperature, 0);
}

#[test]
fn identifiers_are_those_of_the_file_and_warned_of_until_all_are_replaced() {
    let model = |keys: &str| {
        let (text, _) = with(
            "# [subsystem.vendor]",
            &format!("[subsystem.vendor]\n{keys}"),
        );
        DeviceModel::parse(&text).unwrap()
    };
    let keys = "ieee_oui = \"00-11-22\"\npci_vendor = 0x1234\npci_device = 1\n";
    let some = model(keys);
    let warning = some.vendor_warning().unwrap();
    assert_eq!(
        warning,
        "for development only, not to be distributed: the PCI subsystem vendor ID; [subsystem.vendor] of a model file has your own"
    );
    let all = model(&format!(
        "{keys}pci_subsystem_vendor = 0x1235\npci_subsystem = 2"
    ));
    assert_eq!(all.vendor_warning(), None);
    let vendor = Vendor {
        ieee_oui: [0x00, 0x11, 0x22],
        pci_vendor: 0x1234,
        pci_device: 1,
        pci_subsystem_vendor: 0x1235,
        pci_subsystem: 2,
    };
    assert_eq!(all.identity("", "").vendor, vendor);
    let warning = DeviceModel::default().vendor_warning().unwrap();
    for name in ["IEEE OUI", "PCI vendor ID", "PCI subsystem vendor ID"] {
        assert!(warning.contains(name), "{warning}");
    }
}

#[test]
fn a_file_without_end_is_read_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.toml");
    let read = |length: usize| {
        std::fs::write(
            &path,
            format!("{DEFAULT}{}", " ".repeat(length - DEFAULT.len())),
        )
        .unwrap();
        DeviceModel::read(&path)
    };
    assert_eq!(read(1 << 20), Ok(DeviceModel::default()));
    let sentence = "this is longer than 1 MiB, and a model file has a few KiB";
    assert!(read((1 << 20) + 1).unwrap_err().ends_with(sentence));
    #[cfg(unix)]
    assert_eq!(
        DeviceModel::read(Path::new("/dev/zero")).unwrap_err(),
        format!("/dev/zero: {sentence}")
    );
}

#[test]
fn pieces_and_commits_take_no_time_unless_it_is_given() {
    let times = DeviceModel::default().firmware.times;
    assert_eq!((times.piece, times.commit), (0, 0));
    let slow = DeviceModel::parse(include_str!("../../models/slow-firmware.toml")).unwrap();
    let times = slow.firmware.times;
    assert_eq!((times.piece, times.commit), (1000, 45_000));
}

#[test]
fn vital_product_data_are_bytes_in_hexadecimal() {
    let vpd = |content: &str| {
        let text = format!("{DEFAULT}[vpd]\ncontent = {content}\n");
        DeviceModel::parse(&text).map(|model| model.vpd.unwrap())
    };
    let written = vpd("\"\"\"\n01 aB\n  FF\n\"\"\"");
    assert_eq!(written, Ok(vec![0x01, 0xAB, 0xFF]));
    assert_eq!(vpd(&format!("{:?}", "00 ".repeat(4096))), Ok(vec![0; 4096]));
    let form = "content is bytes from 00 to ff with spaces between, as \"01 00\", not";
    for (content, sentence) in [
        ("\"01 0\"", format!("{form} \"0\"")),
        ("\"0100\"", format!("{form} \"0100\"")),
        ("\"+1\"", format!("{form} \"+1\"")),
        ("\"0g\"", format!("{form} \"0g\"")),
        ("\"\"", "content has 1 to 4096 bytes, not 0".into()),
        (
            &format!("{:?}", "00 ".repeat(4097)),
            "content has 1 to 4096 bytes, not 4097".into(),
        ),
        ("\"00\"\ncontent = \"00\"", "duplicate key".into()),
    ] {
        let bad = vpd(content).unwrap_err();
        assert!(bad.line > Some(DEFAULT.lines().count()), "{bad}");
        assert_eq!(bad.sentence, sentence);
    }
    let bad = vpd("1").unwrap_err();
    assert!(bad.sentence.contains("expected a string"), "{bad}");
}

#[test]
fn an_unknown_key_is_named_with_those_that_there_are() {
    let sentence = complaint("lanes = 4", "lane = 4");
    assert!(sentence.contains("unknown key `lane`"), "{sentence}");
    assert!(sentence.contains("`lanes`"), "{sentence}");
    let (line, sentence) = complaint_about_more("[fan]\nspeed = 1\n");
    assert_eq!(line, 1);
    assert!(sentence.contains("unknown key `fan`"), "{sentence}");
}

#[test]
fn a_missing_key_is_named() {
    let (text, line) = with("lanes = 4", "");
    let bad = DeviceModel::parse(&text).unwrap_err();
    assert!(bad.sentence.contains("missing key `lanes`"), "{bad}");
    // That of the table which should have it.
    assert_eq!(bad.line, Some(line - 2), "{bad}");
    let bad = DeviceModel::parse("").unwrap_err();
    assert!(bad.sentence.contains("missing key `subsystem`"), "{bad}");
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_the_right_one() {
    for (key, line, words) in [
        (
            "lanes = 4",
            "lanes = \"four\"",
            "string \"four\", expected a whole number",
        ),
        ("lanes = 4", "lanes = 4.0", "expected a whole number"),
        (
            "lanes = 4",
            "lanes = 99999999999999999999",
            "99999999999999999999 is too large a number",
        ),
        (
            "lanes = 4",
            "lanes = 9223372036854775808",
            "9223372036854775808 is too large a number",
        ),
        ("model_number", "model_number = 5", "expected a string"),
        (
            "namespace_management",
            "namespace_management = 1",
            "expected a boolean",
        ),
        (
            "slots = [",
            "slots = \"REF00001\"",
            "expected a list in brackets",
        ),
        (
            "frequency = \"1 MHz\"",
            "frequency = 3",
            "expected a string",
        ),
        (
            "frequency = \"1 MHz\"",
            "frequency = \"2 MHz\"",
            "or \"1 MHz\", not \"2 MHz\"",
        ),
        (
            "\"01:00.1\"",
            "function = \"main\"",
            "or \"virtual\", not \"main\"",
        ),
        (
            "\"01:00.1\"",
            "pci_address = \"01:20.1\"",
            "as \"01:00.0\", not \"01:20.1\"",
        ),
        (
            "\"01:00.1\"",
            "pci_address = \"+1:00.1\"",
            "as \"01:00.0\", not \"+1:00.1\"",
        ),
        (
            "# commit_seconds",
            "commit_seconds = \"45 s\"",
            "string \"45 s\", expected a whole number",
        ),
        (
            "# commit_seconds",
            "first_slot_read_only = true",
            "duplicate key",
        ),
        ("[port.pcie]", "[port.pcie", "]"),
    ] {
        let sentence = complaint(key, line);
        assert!(sentence.contains(words), "{line}: {sentence}");
    }
}

#[test]
fn a_value_out_of_range_is_shown_with_the_range() {
    for (key, line, sentence) in [
        (
            "generation = 4",
            "generation = 7",
            "generation is 1 to 6, not 7",
        ),
        (
            "lanes = 4",
            "lanes = 3",
            "lanes is one of 1, 2, 4, 8, 12, 16, 32, not 3",
        ),
        (
            "address = 0x1D",
            "address = 0x80",
            "address is 0 to 127, not 128",
        ),
        (
            "available_spare",
            "available_spare = 101",
            "available_spare is 0 to 100, not 101",
        ),
        (
            "temperature = \"30 C\"",
            "temperature = \"30 F\"",
            "a temperature is a whole number with its unit, as \"30 C\" or \"303 K\", or \"unknown\", not \"30 F\"",
        ),
        (
            "temperature = \"30 C\"",
            "temperature = 30",
            "a temperature has a unit, as \"30 C\" or \"303 K\": 30 alone would be kelvins, which is no temperature of a drive",
        ),
        (
            "# sensors = []",
            "sensors = [\"30 C\", 41]",
            "a temperature has a unit, as \"30 C\" or \"303 K\": 41 alone would be kelvins, which is no temperature of a drive",
        ),
        (
            "# sensors = []",
            "sensors = [300, 300, 300, 300, 300, 300, 300, 300, 300]",
            "there are at most 8 sensors, not 9",
        ),
        (
            "blocks = 1_048_576",
            "blocks = 0",
            "blocks is 1 to 9223372036854775807, not 0",
        ),
        (
            "room_for_namespaces = 4",
            "room_for_namespaces = 3",
            "room_for_namespaces is one of 1, 2, 4, 8, 16, 32, 64, 128, not 3",
        ),
        (
            "max_transmission_unit = 250",
            "max_transmission_unit = 70_000",
            "max_transmission_unit is 0 to 65535, not 70000",
        ),
        (
            "slots = [",
            "slots = [\"REF00001\", \"123456789\"]",
            "a firmware revision is at most 8 printable ASCII characters",
        ),
        (
            "slots = [",
            "slots = [\"\"]",
            "slot 1 is active, so it cannot be empty",
        ),
        (
            "slots = [",
            "slots = []",
            "there are 1 to 7 firmware slots, not 0",
        ),
        (
            "# commit_seconds",
            "commit_seconds = 3601",
            "commit_seconds is 0 to 3600, not 3601",
        ),
        (
            "# piece_seconds",
            "piece_seconds = 3601",
            "piece_seconds is 0 to 3600, not 3601",
        ),
        (
            "# commit_seconds",
            "commit_seconds = -1",
            "commit_seconds is 0 to 3600, not -1",
        ),
        (
            "management_port = 1",
            "management_port = 2",
            "there is no port 2: the file has 2 of them",
        ),
    ] {
        assert_eq!(complaint(key, line), sentence);
    }
}

#[test]
fn a_broken_rule_of_the_model_is_told_where_it_is_broken() {
    for (key, line, sentence) in [
        (
            "model_number",
            "model_number = \"Forty characters and one more, so too long\"",
            "the model number is too long or not printable ASCII",
        ),
        (
            "qualified_name",
            "qualified_name = \"iqn.2014-08.com.example\"",
            "an NVMe Qualified Name starts with `nqn.`",
        ),
        (
            "max_transmission_unit = 250",
            "max_transmission_unit = 63",
            "a port's transmission unit is at least 64",
        ),
        (
            "link = 4",
            "link = 5",
            "the PCIe generation, link or payload size is not one that a port can have",
        ),
        (
            "blocks = 1_048_576",
            "blocks = 8_000_000",
            "the subsystem has less capacity left than this: capacity is 4294967296 bytes",
        ),
        (
            "namespaces = [1]",
            "namespaces = [1, 3]",
            "there is no namespace 3",
        ),
        (
            "namespaces = [1]",
            "namespaces = [1, 1]",
            "the namespace is attached to that controller already",
        ),
        (
            "port = 0 ",
            "port = 1",
            "port 1 is not a PCIe port, and controllers are on PCIe ports only",
        ),
        ("port = 0 ", "port = 2", "there is no port 2"),
    ] {
        assert_eq!(complaint(key, line), sentence);
    }
}

#[test]
fn too_many_of_anything_is_told_at_the_first_that_is_too_many() {
    let controllers = "[[controller]]\nport = 0\n".repeat(31);
    let (line, sentence) = complaint_about_more(&controllers);
    assert_eq!(line, 62);
    assert_eq!(
        sentence,
        "the subsystem has no room for another controller: 32 are the most"
    );
    let (line, sentence) = complaint_about_more(&"[[namespace]]\nblocks = 1\n".repeat(3));
    assert_eq!(line, 6);
    assert_eq!(
        sentence,
        "the subsystem has no room for another namespace: room_for_namespaces is 4"
    );
    let port = "[[port]]\ntwo_wire = { address = 1, frequency = \"1 MHz\" }\n";
    let (line, sentence) = complaint_about_more(&port.repeat(7));
    assert_eq!(line, 13);
    assert_eq!(
        sentence,
        "the subsystem has no room for another port: 8 are the most"
    );
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_a_model_or_has_one_sentence_said_of_it() {
    let lines: Vec<_> = DEFAULT.lines().collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n");
    let cut = |at: usize| DEFAULT.get(..at).unwrap_or_default().to_owned();
    let texts = (0..lines.len()).map(without);
    let texts = texts.chain((0..DEFAULT.len()).step_by(11).map(cut));
    let numbers = [0, 1, 7, 8, 32, 255, 65_535, u64::MAX >> 1, u64::MAX];
    let texts = texts.chain(numbers.iter().map(|number| {
        let replaced = lines.iter().map(|line| match line.split_once(" = ") {
            Some((key, value)) if value.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("{key} = {number}\n")
            }
            _ => format!("{line}\n"),
        });
        replaced.collect()
    }));
    let (mut good, mut bad) = (0, 0);
    for text in texts {
        match DeviceModel::parse(&text) {
            Ok(_) => good += 1,
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                bad += 1;
            }
        }
    }
    // Without a comment, or a key that may be left out, and without one that may not.
    assert!(good > 50 && bad > 50, "{good} good, {bad} bad");
}

#[test]
fn a_port_is_of_one_kind() {
    let (line, sentence) = complaint_about_more("[[port]]\nmax_transmission_unit = 64\n");
    assert_eq!(line, 1);
    assert_eq!(
        sentence,
        "a port has either a [port.pcie] or a [port.two_wire] table"
    );
    let (_, sentence) = complaint_about_more(
        "[[port]]\ntwo_wire = { address = 1, frequency = \"1 MHz\", vpd_address = 2 }\n",
    );
    assert_eq!(
        sentence,
        "vpd_address and vpd_frequency are given both, or neither"
    );
}

#[test]
fn a_file_is_named_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.toml");
    let missing = DeviceModel::read(&path).unwrap_err();
    assert!(missing.contains("drive.toml"), "{missing}");
    std::fs::write(&path, "[subsystem]\nmodel_number = 1\n").unwrap();
    let bad = DeviceModel::read(&path).unwrap_err();
    assert!(bad.contains("drive.toml, line 2: "), "{bad}");
}
