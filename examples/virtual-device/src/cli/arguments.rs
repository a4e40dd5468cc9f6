//! The command line as clap reads it. Values are still text here: [`values`](super::values) says
//! what is wrong with one, in the words of this program.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::help::{EXAMPLES, I2C_EXAMPLES, SERIAL_EXAMPLES, USBIP_EXAMPLES, USBREDIR_EXAMPLES};

/// An MCTP device without the hardware, over USB, a serial line or an I2C bus.
///
/// Without a command: starts the device and a host on a USB bus inside this process, and shows what
/// they say to each other. Exit code 0 when every answer was what the specifications demand.
#[derive(Parser, Debug)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) device: DeviceArguments,
    /// Without a command: shows every check, not some of them only.
    #[arg(long)]
    pub(super) verbose: bool,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Device")]
pub(super) struct DeviceArguments {
    /// Version of MCTP over USB (DSP0283) [default: 1.0].
    #[arg(
        long,
        global = true,
        value_name = "1.0|1.1",
        allow_negative_numbers = true
    )]
    pub(super) usb: Option<String>,
    /// Speed of the USB port. At full speed, bulk packets have 64 bytes [default: high].
    #[arg(
        long,
        global = true,
        value_name = "high|full",
        allow_negative_numbers = true
    )]
    pub(super) speed: Option<String>,
    /// The longest MCTP packet the device sends, in bytes with its 4-byte header, as in `mctp link
    /// set mtu`: 68 to 251, or to 8187 with --usb 1.1; with serial 68 to 255, of which Linux takes
    /// 68; with i2c 68 to 254.
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value = "68",
        allow_negative_numbers = true
    )]
    pub(super) mtu: String,
    /// The longest message the device takes, in bytes with the message type byte: 64 to 65536.
    /// An echo of N bytes is a message of N + 4, so 65536 is for the largest echo of the Linux
    /// tools.
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value = "4224",
        allow_negative_numbers = true
    )]
    pub(super) max_message: String,
    /// How many messages of several packets the device has buffers for: 2 or 8. One service gets
    /// one less of them.
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value = "8",
        allow_negative_numbers = true
    )]
    pub(super) message_buffers: String,
    /// How long the host may read nothing before what is being sent to it is given up, in seconds:
    /// 0.1 to 3600. Less than the 6 s after which Linux forgets a request loses messages of a
    /// host that is only stopped for a moment.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value = "6",
        allow_negative_numbers = true
    )]
    pub(super) send_timeout: String,
    /// The device's UUID. Its first 12 hex digits are the USB serial number [default: made of this
    /// machine's identity, the command and its address; in the demo
    /// 0dc120b8-2b6f-5838-9376-c49252525ad8].
    #[arg(
        long,
        global = true,
        value_name = "UUID",
        allow_negative_numbers = true
    )]
    pub(super) uuid: Option<String>,
    /// Describes the NVM subsystem that the device manages over NVMe-MI: identity, ports,
    /// controllers, namespaces, health, firmware slots. Without it: models/default.toml, which
    /// is also the documentation of such files.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// Writes every MCTP packet that the device sends or receives to FILE, for Wireshark 4.2 or
    /// later. FILE may be a FIFO; - is standard output.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) pcap: Option<PathBuf>,
    /// With the packets of the benchmark's streams in --pcap and --log trace, which leave them out
    /// otherwise: a second of a stream has more packets than everything else of a day.
    #[arg(long, global = true)]
    pub(super) with_streams: bool,
    /// What to log on standard error: off, error, warn, info, debug or trace [default: warn; info
    /// with usbredir, usbip, serial and i2c].
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        allow_negative_numbers = true
    )]
    pub(super) log: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
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
    /// Checks a topology file: a bridge and the devices behind it. Prints what it describes.
    Topology(TopologyArguments),
}

#[derive(Args, Debug)]
#[command(after_help = USBREDIR_EXAMPLES, next_help_heading = "Connection")]
#[command(group = ArgGroup::new("connection").required(true).multiple(false).args(["listen", "connect", "pty"]))]
pub(super) struct UsbredirArguments {
    /// Accepts one connection after the other: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Connects, and connects again: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) connect: Option<String>,
    /// Uses a pseudo terminal: the one at PATH (from QEMU's chardev pty), or, when nothing is
    /// there, a new one that PATH is then a link to (for QEMU's chardev serial).
    #[arg(long, value_name = "PATH")]
    pub(super) pty: Option<PathBuf>,
    /// Gives the device a serial port beside MCTP, which shows its log: /dev/ttyACM0 of a Linux
    /// guest.
    #[arg(long, help_heading = "Device")]
    pub(super) serial_log: bool,
}

#[derive(Args, Debug)]
#[command(after_help = USBIP_EXAMPLES, next_help_heading = "Connection")]
#[command(group = ArgGroup::new("connection").multiple(false).args(["listen", "attach"]))]
pub(super) struct UsbipArguments {
    /// Serves `usbip list` and `usbip attach` at this TCP address: HOST:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3240")]
    pub(super) listen: String,
    /// Attaches the device to this machine, without network and tools, and detaches it at the end.
    /// Needs root.
    #[arg(long)]
    pub(super) attach: bool,
    /// Gives the device a serial port beside MCTP, which shows its log: /dev/ttyACM0.
    #[arg(long, help_heading = "Device")]
    pub(super) serial_log: bool,
}

#[derive(Args, Debug)]
#[command(after_help = SERIAL_EXAMPLES)]
pub(super) struct SerialArguments {
    #[command(flatten)]
    pub(super) line: LineArguments,
}

#[derive(Args, Debug)]
#[command(after_help = I2C_EXAMPLES)]
pub(super) struct I2cArguments {
    #[command(flatten)]
    pub(super) line: LineArguments,
    /// The device's own address on the bus, in hexadecimal, without the bit for the direction: 08
    /// to 77.
    #[arg(
        long,
        help_heading = "Device",
        value_name = "HEX",
        default_value = "1D",
        allow_negative_numbers = true
    )]
    pub(super) address: String,
}

#[derive(Args, Debug)]
pub(super) struct TopologyArguments {
    /// The file to check, with the model files that it names. topologies/eight-devices.toml is also
    /// the documentation of such files.
    #[arg(long, value_name = "FILE")]
    pub(super) check: PathBuf,
}

/// A byte stream, which may be that of a serial port.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
#[command(group = ArgGroup::new("connection").required(true).multiple(false).args(["listen", "connect", "pty", "tty"]))]
pub(super) struct LineArguments {
    /// Accepts one connection after the other: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Connects, and connects again: unix:PATH or tcp:HOST:PORT.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) connect: Option<String>,
    /// Uses a pseudo terminal: the one at PATH (from QEMU's chardev pty), or, when nothing is
    /// there, a new one that PATH is then a link to (for QEMU's chardev serial, or for `mctp link
    /// serial PATH` on this machine).
    #[arg(long, value_name = "PATH")]
    pub(super) pty: Option<PathBuf>,
    /// Uses a serial port, such as /dev/ttyUSB0.
    #[arg(long, value_name = "PATH")]
    pub(super) tty: Option<PathBuf>,
    /// The rate of the serial port, in bits a second [default: 115200].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) baud: Option<String>,
}
