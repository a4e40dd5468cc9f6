//! The command line: parsed and checked, so that everything behind it works with legal values only.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgGroup, Args, Parser, Subcommand};
use log::LevelFilter;
use mctp_i2c::TargetAddress;
use mctp_transport::{BASELINE_TRANSMISSION_UNIT, HEADER_LEN};
use mctp_usb::Version;
use reference_device::LINUX_TAG_LIFETIME;
use remote_usb_device::Speed;
use uuid::Uuid;

use crate::connection::{Address, Connection};
use crate::model_file::DeviceModel;
use crate::settings::{
    BufferCount, DEFAULT_MAX_MESSAGE, DEFAULT_UUID, DeviceSettings, LARGEST_MAX_MESSAGE,
    SMALLEST_MTU,
};

/// The send time limits that can be asked for, in seconds. The router looks at its limits ten times
/// a second.
const SEND_TIMEOUTS: RangeInclusive<f64> = 0.1..=3600.0;

const ONE_CONNECTION: &str = "usbredir needs one of --listen ADDRESS, --connect ADDRESS and --pty PATH; \
    serial and i2c take --tty PATH as well";

/// The longest packet in a frame of MCTP over serial.
const LARGEST_SERIAL_MTU: usize = mctp_serial::framing::MAX_PACKET;

/// The longest packet in a write of MCTP over I2C.
const LARGEST_I2C_MTU: usize = mctp_i2c::framing::MAX_PACKET;

const EXAMPLES: &str = "\
Examples:
  virtual-device
      Tries the device out with a host in the same process. Needs nothing else.
  virtual-device --usb 1.1 --mtu 8187 --max-message 65536
      The same with the longest packets and messages there are.
  virtual-device usbredir --listen unix:mctp.sock
      Waits for a QEMU guest that is started with:
        -device usb-ehci,id=usb -chardev socket,id=mctp,path=mctp.sock
        -device usb-redir,chardev=mctp,bus=usb.0
  virtual-device usbredir --connect tcp:127.0.0.1:4000 --pcap mctp.pcap
      Attaches to a guest whose chardev waits on that port, and captures the packets.
  virtual-device usbredir --listen unix:mctp.sock --model my-drive.toml
      Manages another NVM subsystem than the default one; models/default.toml says what may be in such a file.
  virtual-device usbip
      Waits for a Linux with vhci-hcd: usbip attach -r 127.0.0.1 -b 1-1
  virtual-device usbip --attach
      Attaches the device to this machine itself. Needs root and vhci-hcd, and no network.
  virtual-device serial --tty /dev/ttyUSB0
      The same device on a serial port: MCTP over serial, without USB.
  virtual-device i2c --listen unix:mctp.sock --address 1D
      The same device on an I2C bus in software: every write on the bus is a record on the stream.
  virtual-device usbredir --help
  virtual-device usbip --help
  virtual-device serial --help
  virtual-device i2c --help
      All ways to attach, with the QEMU options for each.";

const USBREDIR_EXAMPLES: &str = "\
What to give QEMU with each, beside -device usb-ehci,id=usb -device usb-redir,chardev=mctp,bus=usb.0
  --listen unix:mctp.sock       -chardev socket,id=mctp,path=mctp.sock
  --listen tcp:127.0.0.1:4000   -chardev socket,id=mctp,host=127.0.0.1,port=4000
  --connect unix:mctp.sock      -chardev socket,id=mctp,path=mctp.sock,server=on,wait=off
  --connect tcp:127.0.0.1:4000  -chardev socket,id=mctp,host=127.0.0.1,port=4000,server=on,wait=off
  --pty mctp.tty                -chardev serial,id=mctp,path=mctp.tty
  --pty /dev/pts/7              -chardev pty,id=mctp   (QEMU says which /dev/pts/N it took)
With --listen, add reconnect-ms=500 (before QEMU 9.2: reconnect=1) to the chardev, and the guest survives a restart of
the device.";

const USBIP_EXAMPLES: &str = "\
On the Linux that attaches the device, as root:
  modprobe vhci-hcd
  usbip list -r 127.0.0.1
  usbip attach -r 127.0.0.1 -b 1-1
  usbip port
  usbip detach -p 0
The tool is in Debian's package usbip. With --attach, only the first of these is needed.
Nobody is authenticated, so that --listen is for the loopback interface, or for a network whose members may all have the
device.";

const SERIAL_EXAMPLES: &str = "\
What to give QEMU with each, beside -serial chardev:mctp
  --listen unix:mctp.sock       -chardev socket,id=mctp,path=mctp.sock
  --listen tcp:127.0.0.1:4000   -chardev socket,id=mctp,host=127.0.0.1,port=4000
  --connect unix:mctp.sock      -chardev socket,id=mctp,path=mctp.sock,server=on,wait=off
  --pty mctp.tty                -chardev serial,id=mctp,path=mctp.tty
  --pty /dev/pts/7              -chardev pty,id=mctp   (QEMU says which /dev/pts/N it took)
On the Linux at the other end:
  mctp link serial /dev/ttyS1 &
  mctp link set mctpserial0 up
  mctp addr add 8 dev mctpserial0
  mctp route add 9 via mctpserial0";

const I2C_EXAMPLES: &str = "\
The stream has one record for each write on the bus, in both directions: two bytes that say how many follow, the low byte
first, then these: the target's address, shifted left by one, and what is written to it. So does Linux's i2c-vlink, a test
driver, at /dev/i2c-vlink. What to give QEMU with each, beside -serial chardev:mctp
  --listen unix:mctp.sock       -chardev socket,id=mctp,path=mctp.sock
  --connect unix:mctp.sock      -chardev socket,id=mctp,path=mctp.sock,server=on,wait=off
In the guest, which is at address 10h of its bus, here the one of number 0:
  linux-requester attach-i2c /dev/ttyS1
  mctp link set mctpi2c0 up
  mctp addr add 8 dev mctpi2c0
  mctp route add 9 via mctpi2c0
  mctp neigh add 9 dev mctpi2c0 lladdr 0x1d";

/// An MCTP device without the hardware, over USB, a serial line or an I2C bus.
///
/// Without a command: starts the device and a host on a USB bus inside this process, and shows what
/// they say to each other. Exit code 0 when every answer was what the specifications demand.
#[derive(Parser, Debug)]
#[command(version, after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    device: DeviceArguments,
    /// Without a command: shows every check, not some of them only.
    #[arg(long)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Device")]
struct DeviceArguments {
    /// Version of MCTP over USB (DSP0283).
    #[arg(long, global = true, value_name = "1.0|1.1", default_value = "1.0", value_parser = parse_usb_version)]
    usb: Version,
    /// Speed of the USB port. At full speed, bulk packets have 64 bytes.
    #[arg(long, global = true, value_name = "high|full", default_value = "high", value_parser = parse_speed)]
    speed: Speed,
    /// The longest MCTP packet the device sends, in bytes with its 4-byte header, as in `mctp link
    /// set mtu`: 68 to 251, or to 8187 with --usb 1.1; with serial 68 to 255, of which Linux takes
    /// 68; with i2c 68 to 254.
    #[arg(long, global = true, value_name = "N", default_value_t = SMALLEST_MTU)]
    mtu: usize,
    /// The longest message the device takes, in bytes with the message type byte: 64 to 65536.
    /// An echo of N bytes is a message of N + 4, so 65536 is for the largest echo of the Linux
    /// tools.
    #[arg(long, global = true, value_name = "N", default_value_t = DEFAULT_MAX_MESSAGE)]
    max_message: usize,
    /// How many messages of several packets the device has buffers for: 2 or 8. One service gets
    /// one less of them.
    #[arg(long, global = true, value_name = "N", default_value = "8", value_parser = parse_message_buffers)]
    message_buffers: BufferCount,
    /// How long the host may read nothing before what is being sent to it is given up, in seconds:
    /// 0.1 to 3600. Less than the 6 s after which Linux forgets a request loses messages of a
    /// host that is only stopped for a moment.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = LINUX_TAG_LIFETIME.as_secs_f64())]
    send_timeout: f64,
    /// The device's UUID. Its first 12 hex digits are the USB serial number.
    #[arg(long, global = true, value_name = "UUID", default_value_t = DEFAULT_UUID, value_parser = parse_uuid)]
    uuid: Uuid,
    /// Describes the NVM subsystem that the device manages over NVMe-MI: identity, ports,
    /// controllers, namespaces, health, firmware slots. Without it: models/default.toml, which
    /// is also the documentation of such files.
    #[arg(long, global = true, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Writes every MCTP packet that the device sends or receives to FILE, for Wireshark 4.2 or
    /// later.
    #[arg(long, global = true, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// What to log on standard error: off, error, warn, info, debug or trace [default: warn; info
    /// with usbredir, usbip, serial and i2c].
    #[arg(long, global = true, value_name = "LEVEL", value_parser = parse_level)]
    log: Option<LevelFilter>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Attaches the device to a QEMU guest, until interrupted.
    ///
    /// QEMU's usb-redir device is the other end. The guest may reboot, and the connection may end
    /// and come back.
    Usbredir(UsbredirArguments),
    /// Offers the device to a Linux whose kernel has vhci-hcd, by USB/IP, until interrupted; or
    /// attaches it to this machine.
    ///
    /// One host can have the device at a time. When it detaches it, the next one can have it.
    Usbip(UsbipArguments),
    /// Attaches the device to a serial line, until interrupted: MCTP over serial (DSP0253).
    ///
    /// The other end is Linux's line discipline, say: on a real port, or in a QEMU guest.
    Serial(SerialArguments),
    /// Attaches the device to an I2C bus in software, until interrupted: MCTP over SMBus/I2C
    /// (DSP0237).
    ///
    /// Each write on the bus is a record on a byte stream. The other end is a QEMU guest whose
    /// Linux has the bus driver i2c-vlink, say.
    I2c(I2cArguments),
}

#[derive(Args, Debug)]
#[command(after_help = USBREDIR_EXAMPLES, next_help_heading = "Connection")]
#[command(group = ArgGroup::new("connection").required(true).multiple(false).args(["listen", "connect", "pty"]))]
struct UsbredirArguments {
    /// Accepts one connection after the other: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    listen: Option<Address>,
    /// Connects, and connects again: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    connect: Option<Address>,
    /// Uses a pseudo terminal: the one at PATH (from QEMU's chardev pty), or, when nothing is
    /// there, a new one that PATH is then a link to (for QEMU's chardev serial).
    #[arg(long, value_name = "PATH")]
    pty: Option<PathBuf>,
    /// Gives the device a serial port beside MCTP, which shows its log: /dev/ttyACM0 of a Linux
    /// guest.
    #[arg(long, help_heading = "Device")]
    serial_log: bool,
}

#[derive(Args, Debug)]
#[command(after_help = USBIP_EXAMPLES, next_help_heading = "Connection")]
#[command(group = ArgGroup::new("connection").multiple(false).args(["listen", "attach"]))]
struct UsbipArguments {
    /// Serves `usbip list` and `usbip attach` at this TCP address: HOST:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3240", value_parser = parse_usbip_address)]
    listen: (String, u16),
    /// Attaches the device to this machine, without network and tools, and detaches it at the end.
    /// Needs root.
    #[arg(long)]
    attach: bool,
    /// Gives the device a serial port beside MCTP, which shows its log: /dev/ttyACM0.
    #[arg(long, help_heading = "Device")]
    serial_log: bool,
}

#[derive(Args, Debug)]
#[command(after_help = SERIAL_EXAMPLES)]
struct SerialArguments {
    #[command(flatten)]
    line: LineArguments,
}

#[derive(Args, Debug)]
#[command(after_help = I2C_EXAMPLES)]
struct I2cArguments {
    #[command(flatten)]
    line: LineArguments,
    /// The device's own address on the bus, in hexadecimal, without the bit for the direction: 08
    /// to 77.
    #[arg(long, help_heading = "Device", value_name = "HEX", default_value = "1D", value_parser = parse_target_address)]
    address: TargetAddress,
}

/// A byte stream, which may be that of a serial port.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
#[command(group = ArgGroup::new("connection").required(true).multiple(false).args(["listen", "connect", "pty", "tty"]))]
struct LineArguments {
    /// Accepts one connection after the other: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    listen: Option<Address>,
    /// Connects, and connects again: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    connect: Option<Address>,
    /// Uses a pseudo terminal: the one at PATH (from QEMU's chardev pty), or, when nothing is
    /// there, a new one that PATH is then a link to (for QEMU's chardev serial, or for `mctp link
    /// serial PATH` on this machine).
    #[arg(long, value_name = "PATH")]
    pty: Option<PathBuf>,
    /// Uses a serial port, such as /dev/ttyUSB0.
    #[arg(long, value_name = "PATH")]
    tty: Option<PathBuf>,
    /// The rate of the serial port, in bits a second [default: 115200].
    #[arg(long, value_name = "N", value_parser = parse_baud)]
    baud: Option<u32>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Device and host in this process.
    Demo,
    /// The device on a guest's bus.
    Usbredir(Connection),
    /// The device for a Linux that attaches it by USB/IP.
    Usbip(UsbipPort),
    /// The device on a serial line.
    Serial(Connection),
    /// The device on an I2C bus in software, at this address.
    I2c(Connection, TargetAddress),
}

/// How a Linux gets the device by USB/IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsbipPort {
    /// It connects to this TCP address.
    Listen {
        /// A name or an IP address, an IPv6 one without its brackets.
        host: String,
        /// The port; 0 to listen on any.
        port: u16,
    },
    /// It is that of this machine.
    Attach,
}

/// The whole command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub mode: Mode,
    /// With which device.
    pub device: DeviceSettings,
    /// Whether the demo shows every check.
    pub verbose: bool,
    /// Whether the device has a serial port that shows its log.
    pub serial_log: bool,
    /// Where to write a capture.
    pub pcap: Option<PathBuf>,
    /// What to log.
    pub log: LevelFilter,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum Refusal {
    /// Help or version was asked for: the text.
    Information(clap::Error),
    /// One sentence that says what is wrong.
    BadInput(String),
}

impl Invocation {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    ///
    /// What to print instead.
    pub fn parse<I, T>(arguments: I) -> Result<Self, Refusal>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let Arguments {
            device,
            verbose,
            command,
        } = Arguments::try_parse_from(arguments).map_err(Refusal::from_clap)?;
        if verbose && command.is_some() {
            let sentence = "--verbose is for the checks that run without a command; with a command, use --log debug";
            return Err(Refusal::BadInput(sentence.into()));
        }
        let settings = DeviceSettings {
            usb: device.usb,
            speed: device.speed,
            mtu: device.mtu,
            max_message: device.max_message,
            message_buffers: device.message_buffers,
            send_timeout: check_send_timeout(device.send_timeout).map_err(Refusal::BadInput)?,
            uuid: device.uuid,
            model: match device.model {
                Some(path) => DeviceModel::read(&path).map_err(Refusal::BadInput)?,
                None => DeviceModel::default(),
            },
        };
        check(&settings, command.as_ref()).map_err(Refusal::BadInput)?;
        let (mode, serial_log, default_log) = match command {
            None => (Mode::Demo, false, LevelFilter::Warn),
            Some(Command::Usbredir(arguments)) => {
                let serial_log = arguments.serial_log;
                let mode = Mode::Usbredir(arguments.connection()?);
                (mode, serial_log, LevelFilter::Info)
            }
            Some(Command::Usbip(arguments)) => {
                let (host, port) = arguments.listen;
                let port = if arguments.attach {
                    UsbipPort::Attach
                } else {
                    UsbipPort::Listen { host, port }
                };
                (Mode::Usbip(port), arguments.serial_log, LevelFilter::Info)
            }
            Some(Command::Serial(arguments)) => {
                let mode = Mode::Serial(arguments.line.connection()?);
                (mode, false, LevelFilter::Info)
            }
            Some(Command::I2c(arguments)) => {
                let mode = Mode::I2c(arguments.line.connection()?, arguments.address);
                (mode, false, LevelFilter::Info)
            }
        };
        Ok(Self {
            mode,
            device: settings,
            verbose,
            serial_log,
            pcap: device.pcap,
            log: device.log.unwrap_or(default_log),
        })
    }
}

impl UsbredirArguments {
    fn connection(self) -> Result<Connection, Refusal> {
        connection(self.listen, self.connect, self.pty, None)
    }
}

impl LineArguments {
    fn connection(self) -> Result<Connection, Refusal> {
        if self.baud.is_some() && self.tty.is_none() {
            let sentence = "--baud is the rate of the serial port at --tty";
            return Err(Refusal::BadInput(sentence.into()));
        }
        let baud = self.baud.unwrap_or(115_200);
        let tty = self.tty.map(|path| Connection::Tty { path, baud });
        connection(self.listen, self.connect, self.pty, tty)
    }
}

/// The one of these that was given.
fn connection(
    listen: Option<Address>,
    connect: Option<Address>,
    pty: Option<PathBuf>,
    tty: Option<Connection>,
) -> Result<Connection, Refusal> {
    let terminal = pty.map(Connection::Pty).or(tty);
    if terminal.is_some() && !cfg!(unix) {
        return Err(Refusal::BadInput(
            "--pty and --tty need a Unix system; use --listen tcp:HOST:PORT here".into(),
        ));
    }
    listen
        .map(Connection::Listen)
        .or(connect.map(Connection::Connect))
        .or(terminal)
        .ok_or_else(|| Refusal::BadInput(ONE_CONNECTION.into()))
}

impl Refusal {
    /// Keeps the sentence of clap's message and drops the usage lines behind it.
    fn from_clap(error: clap::Error) -> Self {
        if !error.use_stderr() {
            return Self::Information(error);
        }
        if error.kind() == ErrorKind::MissingRequiredArgument {
            return Self::BadInput(ONE_CONNECTION.into());
        }
        let text = error.to_string();
        let sentence: Vec<_> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let sentence = sentence.join(" ");
        Self::BadInput(sentence.trim_start_matches("error: ").to_owned())
    }
}

fn parse_usb_version(text: &str) -> Result<Version, String> {
    match text {
        "1.0" => Ok(Version::V1_0),
        "1.1" => Ok(Version::V1_1),
        _ => Err("the versions of MCTP over USB are 1.0 and 1.1".into()),
    }
}

fn parse_speed(text: &str) -> Result<Speed, &'static str> {
    match text {
        "high" => Ok(Speed::High),
        "full" => Ok(Speed::Full),
        _ => Err("the speeds are high and full"),
    }
}

fn parse_usbip_address(text: &str) -> Result<(String, u16), String> {
    if text.starts_with("unix:") {
        return Err("USB/IP clients connect by TCP: HOST:PORT, such as 127.0.0.1:3240".into());
    }
    let address = text.strip_prefix("tcp:").unwrap_or(text);
    if !address.contains(':') {
        return Err("an address is HOST:PORT here, such as 127.0.0.1:3240".into());
    }
    match Address::parse(&format!("tcp:{address}"))? {
        Address::Tcp { host, port } => Ok((host, port)),
        Address::Unix(_) => Err("an address is HOST:PORT here, such as 127.0.0.1:3240".into()),
    }
}

fn parse_message_buffers(text: &str) -> Result<BufferCount, &'static str> {
    match text {
        "2" => Ok(BufferCount::Two),
        "8" => Ok(BufferCount::Eight),
        _ => Err("a device has 2 or 8 of these buffers"),
    }
}

fn parse_baud(text: &str) -> Result<u32, &'static str> {
    let baud = text.parse().ok().filter(|baud| *baud > 0);
    baud.ok_or("a rate is a number of bits a second, such as 115200")
}

fn parse_target_address(text: &str) -> Result<TargetAddress, &'static str> {
    let address = Some(text).filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()));
    address
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .and_then(TargetAddress::new)
        .ok_or("an address on an I2C bus is 08 to 77, in hexadecimal, such as 1D")
}

fn parse_level(text: &str) -> Result<LevelFilter, &'static str> {
    text.parse()
        .map_err(|_| "the levels are off, error, warn, info, debug and trace")
}

fn parse_uuid(text: &str) -> Result<Uuid, String> {
    let uuid = Uuid::try_parse(text)
        .map_err(|_| "a UUID is 32 hex digits, such as 0dc120b8-2b6f-5838-9376-c49252525ad8")?;
    if uuid.is_nil() || uuid.is_max() {
        return Err("this UUID names no device: bus owners recognise a device by its UUID".into());
    }
    Ok(uuid)
}

fn check(settings: &DeviceSettings, command: Option<&Command>) -> Result<(), String> {
    match command {
        Some(Command::Serial(_)) => check_mtu(settings.mtu, LARGEST_SERIAL_MTU, "serial")?,
        Some(Command::I2c(_)) => check_mtu(settings.mtu, LARGEST_I2C_MTU, "I2C")?,
        Some(Command::Usbredir(_) | Command::Usbip(_)) | None => {
            check_usb_mtu(settings.usb, settings.mtu)?
        }
    }
    if !(BASELINE_TRANSMISSION_UNIT..=LARGEST_MAX_MESSAGE).contains(&settings.max_message) {
        return Err(format!(
            "--max-message {} is not in 64 to {LARGEST_MAX_MESSAGE}: every endpoint takes 64 bytes, and Linux assembles no more than 64 KiB",
            settings.max_message
        ));
    }
    Ok(())
}

fn check_send_timeout(seconds: f64) -> Result<Duration, String> {
    if !SEND_TIMEOUTS.contains(&seconds) {
        return Err(format!(
            "--send-timeout {seconds} is not in {} to {}, the seconds that a host may read nothing",
            SEND_TIMEOUTS.start(),
            SEND_TIMEOUTS.end()
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn check_usb_mtu(usb: Version, mtu: usize) -> Result<(), String> {
    let largest = usize::from(usb.max_packet());
    let more = if (largest + 1..=usize::from(Version::V1_1.max_packet())).contains(&mtu) {
        " (--usb 1.1 has up to 8187)"
    } else {
        ""
    };
    check_mtu(mtu, largest, &format!("USB {usb}{more}"))
}

fn check_mtu(mtu: usize, largest: usize, link: &str) -> Result<(), String> {
    if (SMALLEST_MTU..=largest).contains(&mtu) {
        return Ok(());
    }
    if (BASELINE_TRANSMISSION_UNIT..SMALLEST_MTU).contains(&mtu) {
        return Err(format!(
            "--mtu {mtu} leaves room for {} payload bytes only: the MTU counts the 4-byte packet header, so the baseline of 64 payload bytes is --mtu 68",
            mtu - HEADER_LEN
        ));
    }
    Err(format!(
        "--mtu {mtu} is not in {SMALLEST_MTU} to {largest}, the packet lengths of MCTP over {link}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Invocation, Refusal> {
        Invocation::parse(std::iter::once("virtual-device").chain(line.split_whitespace()))
    }

    fn refusal(line: &str) -> String {
        match parse(line).unwrap_err() {
            Refusal::BadInput(sentence) => sentence,
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
        let namespace = Uuid::parse_str("d5149a61-68d7-450c-b58f-e9a17e47d67a").unwrap();
        assert_eq!(DEFAULT_UUID, Uuid::new_v5(&namespace, b"virtual-device"));
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
    fn the_send_time_limit_is_that_of_linux_unless_another_is_asked_for() {
        let of = |line| parse(line).unwrap().device.send_timeout;
        assert_eq!(of(""), Duration::from_secs(6));
        assert_eq!(of("--send-timeout 1.5"), Duration::from_millis(1500));
        assert_eq!(of("--send-timeout 3600"), Duration::from_secs(3600));
        for bad in ["0", "0.05", "3601", "inf", "NaN", "1e300"] {
            let sentence = refusal(&format!("--send-timeout {bad}"));
            assert!(sentence.contains("is not in 0.1 to 3600"), "{sentence}");
        }
        assert!(refusal("--send-timeout=-1").contains("is not in 0.1 to 3600"));
        assert!(refusal("--send-timeout soon").contains("--send-timeout"));
    }

    #[test]
    fn an_mtu_that_forgot_the_packet_header_is_explained() {
        for mtu in 64..68 {
            let sentence = refusal(&format!("--mtu {mtu}"));
            assert!(
                sentence.contains("64 payload bytes is --mtu 68"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn mtu_limits_are_those_of_the_usb_version() {
        for good in [
            "--mtu 68",
            "--mtu 251",
            "--usb 1.1 --mtu 252",
            "--usb 1.1 --mtu 8187",
        ] {
            parse(good).unwrap();
        }
        for bad in ["--mtu 0", "--mtu 63", "--mtu 252", "--usb 1.1 --mtu 8188"] {
            assert!(refusal(bad).contains("is not in 68 to"), "{bad}");
        }
        assert!(refusal("--mtu 252").contains("--usb 1.1"));
    }

    #[test]
    fn mtu_limits_of_a_serial_line_are_those_of_its_frames() {
        for good in ["--mtu 68", "--mtu 255"] {
            parse(&format!("serial --pty tty {good}")).unwrap();
        }
        let sentence = refusal("serial --pty tty --mtu 256");
        assert!(sentence.ends_with("is not in 68 to 255, the packet lengths of MCTP over serial"));
    }

    #[test]
    fn mtu_limits_of_an_i2c_bus_are_those_of_its_writes() {
        for good in ["--mtu 68", "--mtu 254"] {
            parse(&format!("i2c --pty tty {good}")).unwrap();
        }
        let sentence = refusal("i2c --pty tty --mtu 255");
        assert!(sentence.ends_with("is not in 68 to 254, the packet lengths of MCTP over I2C"));
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
            assert_eq!(
                mode(&format!("i2c --pty tty --address {text}")),
                device(address)
            );
        }
        for bad in ["07", "78", "0", "1D0", "0x1D", "+1D", "here"] {
            let sentence = refusal(&format!("i2c --pty tty --address {bad}"));
            assert!(
                sentence.contains("is 08 to 77, in hexadecimal"),
                "{sentence}"
            );
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
        for bad in ["0", "fast", "4294967296"] {
            let sentence = refusal(&format!("serial --tty /dev/ttyS1 --baud {bad}"));
            assert!(sentence.contains("bits a second"), "{sentence}");
        }
        assert!(refusal("serial --pty tty --baud 9600").contains("--tty"));
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
        assert_eq!(mode("usbip --attach"), Mode::Usbip(UsbipPort::Attach));
        assert!(parse("usbip --attach --serial-log").unwrap().serial_log);
        assert_eq!(parse("usbip").unwrap().log, LevelFilter::Info);
        assert!(refusal("usbip --listen unix:s").contains("by TCP"));
        assert!(refusal("usbip --listen 3240").contains("HOST:PORT"));
        assert!(refusal("usbip --listen :3240").contains("host is missing"));
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
    fn a_model_file_is_read_with_either_command() {
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
        let line = "--model no-such-file.toml";
        assert!(refusal(line).starts_with("--model no-such-file.toml: "));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let sentence = refusal(&format!("--model {file}"));
        assert!(sentence.contains("Cargo.toml, line "), "{sentence}");
        assert!(sentence.contains("unknown key"), "{sentence}");
    }

    #[test]
    fn every_refusal_is_one_line() {
        for bad in [
            "--usb 2.0",
            "--mtu x",
            "--mtu -1",
            "--uuid 12",
            "--uuid 00000000-0000-0000-0000-000000000000",
            "--log loud",
            "usbredir",
            "usbredir --listen unix:a --pty b",
            "usbredir --listen a",
            "usbredir --connect tcp:1",
            "usbredir --listen unix:",
            "usbredir --tty a",
            "usbip --listen a",
            "usbip --listen 127.0.0.1:70000",
            "usbip --attach --listen 127.0.0.1:3240",
            "usbip --connect tcp:a:1",
            "usbip --mtu 252",
            "serial",
            "serial --listen a",
            "serial --tty a --pty b",
            "serial --tty a --baud 0",
            "serial --pty a --serial-log",
            "serial --pty a --address 1D",
            "i2c",
            "i2c --listen a",
            "i2c --pty a --tty b",
            "i2c --pty a --address",
            "serve",
            "--verbose usbip",
            "usbip --verbose",
        ] {
            let sentence = refusal(bad);
            assert!(
                !sentence.contains('\n') && sentence.len() > 10,
                "{bad}: {sentence}"
            );
        }
    }

    #[test]
    fn help_is_information_and_has_examples() {
        for (line, words) in [
            ("--help", "Examples:"),
            ("usbredir --help", "server=on"),
            ("usbip --help", "modprobe vhci-hcd"),
            ("serial --help", "mctp link serial"),
            ("i2c --help", "mctp neigh add"),
            ("--version", "virtual-device"),
        ] {
            let Refusal::Information(text) = parse(line).unwrap_err() else {
                panic!("{line}")
            };
            assert!(text.to_string().contains(words), "{line}");
        }
    }
}
