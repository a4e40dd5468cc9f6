//! The values of options, and what is said of one that is none: the value, what is allowed, and why.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use mctp_i2c::TargetAddress;
use mctp_transport::{BASELINE_TRANSMISSION_UNIT, HEADER_LEN};
use mctp_usb::Version;
use remote_usb_device::Speed;
use uuid::Uuid;

use crate::connection::Address;
use crate::model_file::DeviceModel;
use crate::pcap::Destination;
use crate::settings::{BufferCount, LARGEST_MAX_MESSAGE, SMALLEST_MTU};
use crate::topology::Topology;

/// The send time limits that can be asked for, in seconds. The router looks at its limits ten times
/// a second.
const SEND_TIMEOUTS: RangeInclusive<f64> = 0.1..=3600.0;

/// The longest packet in a frame of MCTP over serial.
const LARGEST_SERIAL_MTU: usize = mctp_serial::framing::MAX_PACKET;

/// The longest packet in a write of MCTP over I2C.
const LARGEST_I2C_MTU: usize = mctp_i2c::framing::MAX_PACKET;

/// What MCTP is carried by, which decides how long a packet can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Usb(Version),
    Serial,
    I2c,
}

pub(super) fn usb_version(text: &str) -> Result<Version, String> {
    match text {
        "1.0" => Ok(Version::V1_0),
        "1.1" => Ok(Version::V1_1),
        _ => bad(
            "--usb",
            text,
            "the versions of MCTP over USB are 1.0 and 1.1",
        ),
    }
}

pub(super) fn speed(text: &str) -> Result<Speed, String> {
    match text {
        "high" => Ok(Speed::High),
        "full" => Ok(Speed::Full),
        _ => bad(
            "--speed",
            text,
            "the speeds of the USB port are high and full",
        ),
    }
}

pub(super) fn mtu(text: &str, wire: Wire) -> Result<usize, String> {
    let (largest, link) = match wire {
        Wire::Usb(version) => (usize::from(version.max_packet()), format!("USB {version}")),
        Wire::Serial => (LARGEST_SERIAL_MTU, "serial".into()),
        Wire::I2c => (LARGEST_I2C_MTU, "I2C".into()),
    };
    let largest_of_all = usize::from(Version::V1_1.max_packet());
    match number(text) {
        Some(mtu) if (SMALLEST_MTU..=largest).contains(&mtu) => Ok(mtu),
        Some(mtu) if (BASELINE_TRANSMISSION_UNIT..SMALLEST_MTU).contains(&mtu) => Err(format!(
            "--mtu {mtu} leaves room for {} payload bytes only: the MTU counts the 4-byte packet header, so the baseline of 64 payload bytes is --mtu 68",
            mtu - HEADER_LEN
        )),
        other => {
            let is_for_1_1 = matches!(wire, Wire::Usb(_))
                && other.is_some_and(|mtu| (largest + 1..=largest_of_all).contains(&mtu));
            let more = if is_for_1_1 {
                " (--usb 1.1 has up to 8187)"
            } else {
                ""
            };
            Err(format!(
                "--mtu {} is not in {SMALLEST_MTU} to {largest}, the packet lengths of MCTP over {link}{more}",
                shown(text)
            ))
        }
    }
}

pub(super) fn max_message(text: &str) -> Result<usize, String> {
    let limits = BASELINE_TRANSMISSION_UNIT..=LARGEST_MAX_MESSAGE;
    let length = number(text).filter(|length| limits.contains(length));
    length.ok_or_else(|| {
        format!(
            "--max-message {} is not in 64 to {LARGEST_MAX_MESSAGE}: every endpoint takes 64 bytes, and Linux assembles no more than 64 KiB",
            shown(text)
        )
    })
}

pub(super) fn message_buffers(text: &str) -> Result<BufferCount, String> {
    match text {
        "2" => Ok(BufferCount::Two),
        "8" => Ok(BufferCount::Eight),
        _ => bad(
            "--message-buffers",
            text,
            "a device has 2 of them, as on the Nucleo, or 8, as many as Linux has tags",
        ),
    }
}

pub(super) fn send_timeout(text: &str) -> Result<Duration, String> {
    let seconds = number(text).filter(|seconds| SEND_TIMEOUTS.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        format!(
            "--send-timeout {} is not in {} to {}, the seconds that a host may read nothing",
            shown(text),
            SEND_TIMEOUTS.start(),
            SEND_TIMEOUTS.end()
        )
    })
}

pub(super) fn uuid(text: &str) -> Result<Uuid, String> {
    let option = "--uuid";
    let Ok(uuid) = Uuid::try_parse(text) else {
        let allowed = "a UUID is 32 hex digits, such as 0dc120b8-2b6f-5838-9376-c49252525ad8";
        return bad(option, text, allowed);
    };
    if uuid.is_nil() || uuid.is_max() {
        let allowed = "this UUID names no device, and bus owners recognise a device by its UUID";
        return bad(option, text, allowed);
    }
    Ok(uuid)
}

pub(super) fn model(path: &Path) -> Result<DeviceModel, String> {
    DeviceModel::read(path).map_err(|sentence| format!("--model {sentence}"))
}

pub(super) fn topology(path: &Path) -> Result<Box<Topology>, String> {
    let topology = Topology::read(path);
    topology
        .map(Box::new)
        .map_err(|sentence| format!("--check {sentence}"))
}

pub(super) fn pcap(path: PathBuf) -> Destination {
    if path.as_os_str() == "-" {
        Destination::StandardOutput
    } else {
        Destination::File(path)
    }
}

pub(super) fn log_level(text: &str) -> Result<LevelFilter, String> {
    let allowed = "the levels are off, error, warn, info, debug and trace";
    text.parse().or_else(|_| bad("--log", text, allowed))
}

pub(super) fn address(option: &str, text: &str) -> Result<Address, String> {
    Address::parse(text).or_else(|sentence| bad(option, text, sentence))
}

pub(super) fn usbip_address(text: &str) -> Result<(String, u16), String> {
    let allowed =
        "USB/IP clients connect by TCP, so the address is HOST:PORT, such as 127.0.0.1:3240";
    let tcp = text.strip_prefix("tcp:").unwrap_or(text);
    match Address::parse(&format!("tcp:{tcp}")) {
        Ok(Address::Tcp { host, port }) if !text.starts_with("unix:") => Ok((host, port)),
        _ => bad("--listen", text, allowed),
    }
}

pub(super) fn baud(text: &str) -> Result<u32, String> {
    let allowed = "the rate of a serial port is a number of bits a second, such as 115200";
    let baud = number(text).filter(|baud| *baud > 0);
    baud.map_or_else(|| bad("--baud", text, allowed), Ok)
}

pub(super) fn target_address(text: &str) -> Result<TargetAddress, String> {
    let allowed = "an address on an I2C bus is 08 to 77, in hexadecimal without 0x, such as 1D, as the others are reserved";
    let digits = Some(text).filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let address = digits
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .and_then(TargetAddress::new);
    address.map_or_else(|| bad("--address", text, allowed), Ok)
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    // The standard library takes a plus sign, which no other program expects.
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn bad<T>(option: &str, value: &str, allowed: impl Display) -> Result<T, String> {
    Err(format!("{option} {}: {allowed}", shown(value)))
}

/// The value in one line. In quotes when its end would not be seen otherwise.
pub(super) fn shown(value: &str) -> String {
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control();
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("{value:?}")
    }
}
