use std::time::Duration;

use uuid::Uuid;

use super::*;

fn parse(line: &str) -> Result<Invocation, Refusal> {
    Invocation::parse(std::iter::once("virtual-device").chain(line.split_whitespace()))
}

fn refusal(line: &str) -> String {
    match parse(line).unwrap_err() {
        Refusal::BadInput(bad) => bad.sentence,
        Refusal::Information(text) => panic!("{text}"),
    }
}

#[test]
fn nothing_asked_for_is_the_demo_with_the_documented_device() {
    let invocation = parse("").unwrap();
    assert_eq!(invocation.mode, Mode::Demo);
    assert_eq!(invocation.device, DeviceSettings::default());
    assert_eq!(invocation.log, LevelFilter::Warn);
    assert_eq!(invocation.device.serial_number(), "0dc120b82b6f");
}

#[test]
fn every_check_is_shown_without_a_command_only() {
    assert!(parse("--verbose").unwrap().verbose && !parse("").unwrap().verbose);
    let sentence = refusal("--verbose usbip");
    assert!(sentence.contains("without a command"), "{sentence}");
}

#[test]
fn the_default_uuid_is_derived_as_documented() {
    let name = b"virtual-device";
    assert_eq!(DEFAULT_UUID, Uuid::new_v5(&identity::NAMESPACE, name));
}

#[test]
fn every_attachment_has_a_uuid_of_its_own_unless_one_is_given() {
    let lines = [
        "usbredir --listen unix:a",
        "usbredir --listen unix:b",
        "usbredir --connect unix:a",
        "usbredir --listen tcp:h:1",
        "usbredir --listen tcp:h:2",
        "usbredir --pty a",
        "usbip",
        "usbip --listen 127.0.0.1:3241",
        "serial --listen unix:a",
        "serial --tty a",
        "i2c --listen unix:a",
        "i2c --listen unix:a --address 1E",
    ];
    let uuid = |line: &str| parse(line).unwrap().device.uuid;
    let mut uuids: Vec<_> = lines.map(uuid).into();
    uuids.push(DEFAULT_UUID);
    uuids.sort();
    uuids.dedup();
    assert_eq!(uuids.len(), lines.len() + 1);
    for line in lines {
        assert_eq!(uuid(line), uuid(line), "it survives a restart");
        let given = format!("{line} --uuid 12345678-9abc-4def-8012-3456789abcde");
        assert_eq!(
            uuid(&given).as_u128(),
            0x12345678_9abc_4def_8012_3456789abcde
        );
    }
}

#[test]
fn options_may_stand_before_and_behind_the_command() {
    let before = parse("--usb 1.1 --mtu 8187 usbredir --listen unix:s").unwrap();
    let behind = parse("usbredir --listen unix:s --mtu 8187 --usb 1.1").unwrap();
    assert_eq!(before, behind);
    assert_eq!(before.device.unit(), 8183);
    assert_eq!(before.log, LevelFilter::Info);
}

#[test]
fn the_defaults_that_help_shows_are_those_of_the_device() {
    let settings = parse("").unwrap().device;
    assert_eq!(settings, DeviceSettings::default());
    assert_eq!(
        settings.send_timeout,
        Duration::from_secs(6),
        "that of Linux"
    );
    let of = |line| parse(line).unwrap().device.send_timeout;
    assert_eq!(of("--send-timeout 1.5"), Duration::from_millis(1500));
    assert_eq!(of("--send-timeout 3600"), Duration::from_secs(3600));
}

#[test]
fn an_mtu_that_forgot_the_packet_header_is_explained() {
    for mtu in 64..68 {
        let sentence = refusal(&format!("--mtu {mtu}"));
        let words = "64 payload bytes is --mtu 68";
        assert!(sentence.contains(words), "{sentence}");
    }
}

#[test]
fn mtu_limits_are_those_of_the_link() {
    for good in [
        "--mtu 68",
        "--mtu 251",
        "--usb 1.1 --mtu 252",
        "--usb 1.1 --mtu 8187",
        "serial --pty tty --mtu 68",
        "serial --pty tty --mtu 255",
        "i2c --pty tty --mtu 68",
        "i2c --pty tty --mtu 254",
    ] {
        parse(good).unwrap();
    }
    for bad in ["--mtu 0", "--mtu 63", "--mtu 252", "--usb 1.1 --mtu 8188"] {
        assert!(refusal(bad).contains("is not in 68 to"), "{bad}");
    }
}

#[test]
fn a_device_on_an_i2c_bus_has_an_address() {
    let mode = |line: &str| parse(line).unwrap().mode;
    let device = |address| {
        let connection = Connection::Pty("tty".into());
        Mode::I2c(connection, TargetAddress::new(address).unwrap())
    };
    assert_eq!(mode("i2c --pty tty"), device(0x1D));
    for (text, address) in [("08", 0x08), ("8", 0x08), ("3a", 0x3A), ("77", 0x77)] {
        let line = format!("i2c --pty tty --address {text}");
        assert_eq!(mode(&line), device(address));
    }
    for bad in ["07", "78", "0", "1D0", "0x1D", "+1D", "-1", "here"] {
        let sentence = refusal(&format!("i2c --pty tty --address {bad}"));
        let words = "is 08 to 77, in hexadecimal";
        assert!(sentence.contains(words), "{sentence}");
    }
}

#[test]
fn a_serial_port_has_a_rate() {
    let mode = |line: &str| parse(line).unwrap().mode;
    let port = |baud| {
        let path = "/dev/ttyS1".into();
        Mode::Serial(Connection::Tty { path, baud })
    };
    assert_eq!(mode("serial --tty /dev/ttyS1"), port(115_200));
    assert_eq!(mode("serial --tty /dev/ttyS1 --baud 9600"), port(9600));
    for bad in ["0", "fast", "-1", "+9600", "4294967296"] {
        let sentence = refusal(&format!("serial --tty /dev/ttyS1 --baud {bad}"));
        assert!(sentence.contains("bits a second"), "{sentence}");
    }
}

#[test]
fn usbip_listens_on_the_loopback_interface_unless_told_otherwise() {
    let mode = |line: &str| parse(line).unwrap().mode;
    let listen = |host: &str, port| {
        let host = host.to_owned();
        Mode::Usbip(UsbipPort::Listen { host, port })
    };
    assert_eq!(mode("usbip"), listen("127.0.0.1", 3240));
    assert_eq!(mode("usbip --listen 0.0.0.0:0"), listen("0.0.0.0", 0));
    assert_eq!(mode("usbip --listen tcp:host:1"), listen("host", 1));
    assert_eq!(mode("usbip --listen [::1]:3240"), listen("::1", 3240));
    let attach = |derive_uuid| Mode::Usbip(UsbipPort::Attach { derive_uuid });
    assert_eq!(mode("usbip --attach"), attach(true));
    let uuid = "12345678-9abc-4def-8012-3456789abcde";
    assert_eq!(
        mode(&format!("usbip --attach --uuid {uuid}")),
        attach(false)
    );
    assert!(parse("usbip --attach --serial-log").unwrap().serial_log);
    assert_eq!(parse("usbip").unwrap().log, LevelFilter::Info);
}

#[test]
fn message_limits_are_kept() {
    for good in ["--max-message 64", "--max-message 65536"] {
        parse(good).unwrap();
    }
    for bad in ["--max-message 63", "--max-message 65537"] {
        assert!(refusal(bad).contains("is not in 64 to 65536"), "{bad}");
    }
}

#[test]
fn a_capture_goes_to_a_file_or_to_standard_output() {
    let pcap = |line| parse(line).unwrap().pcap;
    assert_eq!(pcap(""), None);
    assert_eq!(pcap("--pcap -"), Some(Destination::StandardOutput));
    let file = |path: &str| Some(Destination::File(path.into()));
    assert_eq!(pcap("--pcap ./-"), file("./-"));
    assert_eq!(pcap("usbip --pcap x"), file("x"));
}

#[test]
fn streams_are_shown_where_packets_are() {
    assert!(!parse("--pcap x").unwrap().with_streams);
    assert!(parse("--pcap x --with-streams").unwrap().with_streams);
    assert!(parse("--log trace --with-streams").unwrap().with_streams);
    assert!(refusal("--log debug --with-streams").contains("without effect"));
}

#[test]
fn a_model_file_is_read_with_every_command() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/models/hot-single-port.toml");
    for command in [
        "",
        "usbredir --listen unix:s",
        "usbip",
        "serial --listen unix:s",
        "i2c --listen unix:s",
    ] {
        let invocation = parse(&format!("{command} --model {file}")).unwrap();
        assert_eq!(invocation.device.model.model_number, "Hot and worn");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let sentence = refusal(&format!("--model {file}"));
    assert!(sentence.contains("Cargo.toml, line "), "{sentence}");
    assert!(sentence.contains("unknown key"), "{sentence}");
}

#[test]
fn a_value_is_shown_in_one_line_whatever_is_in_it() {
    let bad = |value| match Invocation::parse(["virtual-device", "--log", value]).unwrap_err() {
        Refusal::BadInput(bad) => bad.sentence,
        Refusal::Information(text) => panic!("{text}"),
    };
    assert!(bad("a b").starts_with("--log \"a b\": "));
    assert!(bad("a\nb").starts_with("--log \"a\\nb\": "));
    assert!(bad("").starts_with("--log \"\": "));
}

#[test]
fn help_is_information_and_has_examples() {
    for (line, words) in [
        ("--help", "Examples:"),
        ("help", "Examples:"),
        ("usbredir --help", "server=on"),
        ("help usbredir", "server=on"),
        ("usbip --help", "modprobe vhci-hcd"),
        ("help usbip", "modprobe vhci-hcd"),
        ("serial --help", "mctp link serial"),
        ("help serial", "mctp link serial"),
        ("i2c --help", "mctp neigh add"),
        ("help i2c", "mctp neigh add"),
        ("--version", "virtual-device"),
    ] {
        let Refusal::Information(text) = parse(line).unwrap_err() else {
            panic!("{line}")
        };
        assert!(text.to_string().contains(words), "{line}");
    }
}
