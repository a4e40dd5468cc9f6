//! What the program says of a command line that is wrong.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::process::{Command, Stdio};

/// The words of a command line, what is wrong with it, and the command that the hint is about.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "--verbose usbip",
        "--verbose is an option of the demo, which runs without a command; with a command, use --log debug",
        "usbip",
    ),
    (
        "usbip --verbose",
        "--verbose is an option of the demo, which runs without a command, and usbip has no use for it",
        "usbip",
    ),
    (
        "--mtu abc",
        "--mtu abc is not in 68 to 251, the packet lengths of MCTP over USB 1.0",
        "",
    ),
    (
        "--mtu 64",
        "--mtu 64 leaves room for 60 payload bytes only: the MTU counts the 4-byte packet header, so the baseline of 64 payload bytes is --mtu 68",
        "",
    ),
    (
        "--mtu 252",
        "--mtu 252 is not in 68 to 251, the packet lengths of MCTP over USB 1.0 (--usb 1.1 has up to 8187)",
        "",
    ),
    (
        "--usb 1.1 --mtu 8188",
        "--mtu 8188 is not in 68 to 8187, the packet lengths of MCTP over USB 1.1",
        "",
    ),
    (
        "--mtu -1",
        "--mtu -1 is not in 68 to 251, the packet lengths of MCTP over USB 1.0",
        "",
    ),
    ("--mtu", "--mtu needs a value behind it", ""),
    (
        "--mtu 68 --mtu 69",
        "--mtu is given twice, and has one value",
        "",
    ),
    (
        "--max-message -1",
        "--max-message -1 is not in 64 to 65536: every endpoint takes 64 bytes, and Linux assembles no more than 64 KiB",
        "",
    ),
    (
        "--max-message 1e4",
        "--max-message 1e4 is not in 64 to 65536: every endpoint takes 64 bytes, and Linux assembles no more than 64 KiB",
        "",
    ),
    (
        "--message-buffers 4",
        "--message-buffers 4: a device has 2 of them, as on the Nucleo, or 8, as many as Linux has tags",
        "",
    ),
    (
        "--send-timeout nan",
        "--send-timeout nan is not in 0.1 to 3600, the seconds that a host may read nothing",
        "",
    ),
    (
        "--send-timeout -1",
        "--send-timeout -1 is not in 0.1 to 3600, the seconds that a host may read nothing",
        "",
    ),
    (
        "--uuid zz",
        "--uuid zz: a UUID is 32 hex digits, such as 0dc120b8-2b6f-5838-9376-c49252525ad8",
        "",
    ),
    (
        "--uuid 00000000-0000-0000-0000-000000000000",
        "--uuid 00000000-0000-0000-0000-000000000000: this UUID names no device, and bus owners recognise a device by its UUID",
        "",
    ),
    (
        "--usb 2.0",
        "--usb 2.0: the versions of MCTP over USB are 1.0 and 1.1",
        "",
    ),
    (
        "--speed super",
        "--speed super: the speeds of the USB port are high and full",
        "",
    ),
    (
        "--log loud",
        "--log loud: the levels are off, error, warn, info, debug and trace",
        "",
    ),
    (
        "--model no-such-file.toml",
        "--model no-such-file.toml: there is no such file",
        "",
    ),
    (
        "--model /",
        "--model /: this is a folder, and a model is a file",
        "",
    ),
    (
        "--model /dev/zero",
        "--model /dev/zero: this is longer than 1 MiB, and a model file has a few KiB",
        "",
    ),
    ("--pcap", "--pcap needs a value behind it", ""),
    (
        "--with-streams",
        "--with-streams is without effect: packets are shown by --pcap FILE and --log trace only",
        "",
    ),
    (
        "--with-streams=yes",
        "--with-streams takes no value, and has yes",
        "",
    ),
    (
        "--serial-log",
        "--serial-log is an option of usbredir and usbip, and no command is given",
        "",
    ),
    (
        "--listen unix:s",
        "--listen is an option of usbredir, usbip, serial and i2c, and no command is given",
        "",
    ),
    (
        "--lissten unix:s",
        "there is no option --lissten; is --listen meant?",
        "",
    ),
    ("--mut 68", "there is no option --mut; is --mtu meant?", ""),
    ("--frobnicate", "there is no option --frobnicate", ""),
    ("-x", "there is no option -x", ""),
    ("serve", "there is no command serve; is serial meant?", ""),
    (
        "dance",
        "there is no command dance; the commands are usbredir, usbip, serial, i2c, topology and help",
        "",
    ),
    (
        "help dance",
        "there is no command dance; the commands are usbredir, usbip, serial, i2c, topology and help",
        "",
    ),
    (
        "usbredir",
        "usbredir needs one of --listen ADDRESS, --connect ADDRESS and --pty PATH",
        "usbredir",
    ),
    (
        "usbredir unix:s",
        "unix:s has no option before it: every value stands behind its option",
        "usbredir",
    ),
    (
        "usbredir serial --listen unix:s",
        "usbredir and serial are two commands, and a device is attached in one way",
        "usbredir",
    ),
    (
        "--serial-log usbredir --listen unix:s",
        "--serial-log belongs behind usbredir, because it is an option of that command",
        "usbredir",
    ),
    (
        "usbredir --listen foo",
        "--listen foo: an address is unix:PATH or tcp:HOST:PORT",
        "usbredir",
    ),
    (
        "usbredir --listen tcp::4000",
        "--listen tcp::4000: the host is missing; an address is tcp:HOST:PORT, such as tcp:127.0.0.1:4000",
        "usbredir",
    ),
    (
        "usbredir --listen unix:",
        "--listen unix:: the path is missing; an address is unix:PATH, such as unix:mctp.sock",
        "usbredir",
    ),
    (
        "usbredir --listen tcp:h:70000",
        "--listen tcp:h:70000: \"70000\" is not a port number, 0 to 65535",
        "usbredir",
    ),
    (
        "usbredir --connect foo",
        "--connect foo: an address is unix:PATH or tcp:HOST:PORT",
        "usbredir",
    ),
    (
        "usbredir --listen unix:a --connect unix:b",
        "--listen and --connect are two ways to attach the device, and it is attached in one",
        "usbredir",
    ),
    (
        "usbredir --listen unix:a --pty b",
        "--listen and --pty are two ways to attach the device, and it is attached in one",
        "usbredir",
    ),
    (
        "usbredir --listen unix:a --listen unix:b",
        "--listen is given twice, and has one value",
        "usbredir",
    ),
    (
        "usbredir --lisen unix:a",
        "there is no option --lisen; is --listen meant?",
        "usbredir",
    ),
    (
        "usbredir --tty /dev/ttyS0",
        "--tty is an option of serial and i2c, and usbredir has no use for it",
        "usbredir",
    ),
    (
        "usbredir --listen unix:a --model no-such-file.toml",
        "--model no-such-file.toml: there is no such file",
        "usbredir",
    ),
    (
        "usbip --listen unix:s",
        "--listen unix:s: USB/IP clients connect by TCP, so the address is HOST:PORT, such as 127.0.0.1:3240",
        "usbip",
    ),
    (
        "usbip --listen 3240",
        "--listen 3240: USB/IP clients connect by TCP, so the address is HOST:PORT, such as 127.0.0.1:3240",
        "usbip",
    ),
    (
        "usbip --listen :3240",
        "--listen :3240: USB/IP clients connect by TCP, so the address is HOST:PORT, such as 127.0.0.1:3240",
        "usbip",
    ),
    (
        "usbip --listen 127.0.0.1:70000",
        "--listen 127.0.0.1:70000: USB/IP clients connect by TCP, so the address is HOST:PORT, such as 127.0.0.1:3240",
        "usbip",
    ),
    (
        "usbip --attach --listen 127.0.0.1:3240",
        "--attach and --listen are two ways to attach the device, and it is attached in one",
        "usbip",
    ),
    (
        "usbip --connect tcp:a:1",
        "--connect is an option of usbredir, serial and i2c, and usbip has no use for it",
        "usbip",
    ),
    (
        "usbip --attach=yes",
        "--attach takes no value, and has yes",
        "usbip",
    ),
    (
        "serial",
        "serial needs one of --listen ADDRESS, --connect ADDRESS, --pty PATH and --tty PATH",
        "serial",
    ),
    (
        "serial --pty a --serial-log",
        "--serial-log is an option of usbredir and usbip, and serial has no use for it",
        "serial",
    ),
    (
        "serial --pty a --usb 1.1",
        "--usb is without effect: a device attached by serial is not on USB",
        "serial",
    ),
    (
        "serial --pty a --baud 9600",
        "--baud is without effect: it is the rate of the serial port at --tty",
        "serial",
    ),
    (
        "serial --tty a --baud x",
        "--baud x: the rate of a serial port is a number of bits a second, such as 115200",
        "serial",
    ),
    (
        "serial --tty a --baud 0",
        "--baud 0: the rate of a serial port is a number of bits a second, such as 115200",
        "serial",
    ),
    (
        "serial --pty a --mtu 256",
        "--mtu 256 is not in 68 to 255, the packet lengths of MCTP over serial",
        "serial",
    ),
    (
        "serial --pty a --address 1D",
        "--address is an option of i2c, and serial has no use for it",
        "serial",
    ),
    (
        "i2c",
        "i2c needs one of --listen ADDRESS, --connect ADDRESS, --pty PATH and --tty PATH",
        "i2c",
    ),
    (
        "i2c --pty a --address 78",
        "--address 78: an address on an I2C bus is 08 to 77, in hexadecimal without 0x, such as 1D, as the others are reserved",
        "i2c",
    ),
    (
        "i2c --pty a --address",
        "--address needs a value behind it",
        "i2c",
    ),
    (
        "i2c --pty a --mtu 255",
        "--mtu 255 is not in 68 to 254, the packet lengths of MCTP over I2C",
        "i2c",
    ),
    (
        "i2c --pty a --speed full",
        "--speed is without effect: a device attached by i2c is not on USB",
        "i2c",
    ),
    (
        "i2c --pty a --serial-log",
        "--serial-log is an option of usbredir and usbip, and i2c has no use for it",
        "i2c",
    ),
];

/// In quotes where an argument is empty or has a space.
const QUOTED: &[(&[&str], &str)] = &[
    (
        &["--mtu", ""],
        "--mtu \"\" is not in 68 to 251, the packet lengths of MCTP over USB 1.0",
    ),
    (&["--model", ""], "--model needs a value behind it"),
    (
        &["--log", "a\nb"],
        "--log \"a\\nb\": the levels are off, error, warn, info, debug and trace",
    ),
];

/// Standard error of the program, which must say nothing else.
fn said(arguments: &[impl AsRef<OsStr> + Debug]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_virtual-device"));
    let output = program
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_wrong_invocation_gets_one_sentence_and_where_the_options_are_explained() {
    assert!(WRONG.len() >= 40);
    for (line, sentence, command) in WRONG {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let space = if command.is_empty() { "" } else { " " };
        let expected = format!(
            "virtual-device: {sentence}\nFor the options: virtual-device{space}{command} --help\n"
        );
        assert_eq!(said(&arguments), expected, "{line}");
    }
}

#[test]
fn a_value_whose_end_would_not_be_seen_is_in_quotes() {
    for (arguments, sentence) in QUOTED {
        let expected =
            format!("virtual-device: {sentence}\nFor the options: virtual-device --help\n");
        assert_eq!(said(arguments), expected);
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_refused_where_text_is_wanted() {
    use std::os::unix::ffi::OsStrExt;
    let not_text = OsStr::from_bytes(b"\xFF");
    let sentence = "an argument is not UTF-8, which only the path of a file need not be";
    let expected = format!("virtual-device: {sentence}\nFor the options: virtual-device --help\n");
    assert_eq!(said(&[OsStr::new("--log"), not_text]), expected);
    let missing = said(&[OsStr::new("--model"), not_text]);
    assert!(missing.contains("there is no such file"), "{missing}");
}
