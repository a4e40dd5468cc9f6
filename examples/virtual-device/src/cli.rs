//! The command line: parsed and checked, so that everything behind it works with legal values only.

mod arguments;
mod help;
mod refusal;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use log::LevelFilter;
use mctp_i2c::TargetAddress;
use mctp_usb::Version;
use remote_usb_device::Speed;

use self::arguments::{Arguments, Command, DeviceArguments};
pub use self::refusal::{BadInput, Refusal};
use self::values::Wire;
use crate::connection::{Address, Connection};
use crate::identity;
use crate::model_file::DeviceModel;
use crate::pcap::Destination;
use crate::settings::{DEFAULT_UUID, DeviceSettings};
use crate::topology::Topology;

/// The rate of a serial port unless another is asked for.
const DEFAULT_BAUD: u32 = 115_200;

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
    /// Says what this topology file describes.
    Topology(Box<Topology>),
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
    Attach {
        /// Whether the port of the controller decides the UUID.
        derive_uuid: bool,
    },
}

impl Mode {
    /// The command that asks for it.
    fn command(&self) -> Option<&'static str> {
        match self {
            Self::Demo => None,
            Self::Usbredir(_) => Some("usbredir"),
            Self::Usbip(_) => Some("usbip"),
            Self::Serial(_) => Some("serial"),
            Self::I2c(..) => Some("i2c"),
            Self::Topology(_) => Some("topology"),
        }
    }

    /// What tells devices of one machine from each other.
    fn attachment(&self) -> String {
        match self {
            Self::Demo => "demo".into(),
            Self::Topology(_) => "topology".into(),
            Self::Usbredir(connection) => format!("usbredir {}", connection.identity()),
            Self::Usbip(UsbipPort::Listen { host, port }) => {
                let (host, port) = (host.clone(), *port);
                let connection = Connection::Listen(Address::Tcp { host, port });
                format!("usbip {}", connection.identity())
            }
            Self::Usbip(UsbipPort::Attach { .. }) => "usbip".into(),
            Self::Serial(connection) => format!("serial {}", connection.identity()),
            Self::I2c(connection, address) => {
                format!("i2c {} {address:?}", connection.identity())
            }
        }
    }
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
    pub pcap: Option<Destination>,
    /// Whether log and capture have the packets of the benchmark's streams.
    pub with_streams: bool,
    /// What to log.
    pub log: LevelFilter,
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
        T: Into<OsString> + Clone,
    {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        Arguments::try_parse_from(&arguments)
            .map_err(|error| Refusal::from_clap(error, &arguments))?
            .check()
            .map_err(|sentence| Refusal::BadInput(BadInput::new(sentence, &arguments)))
    }
}

impl Invocation {
    /// Checks what it wants of standard output, which may be a terminal.
    ///
    /// # Errors
    ///
    /// What to print instead of doing it.
    pub fn check_output(&self, is_terminal: bool) -> Result<(), BadInput> {
        if self.pcap != Some(Destination::StandardOutput) || !is_terminal {
            return Ok(());
        }
        let sentence = "--pcap - writes no capture to a terminal; pipe it to a program, as in | wireshark -k -i -";
        Err(BadInput {
            sentence: sentence.into(),
            command: self.mode.command().map(str::to_owned),
        })
    }
}

impl Arguments {
    fn check(self) -> Result<Invocation, String> {
        let Self {
            device,
            verbose,
            command,
        } = self;
        if verbose && command.is_some() {
            let sentence = "--verbose is an option of the demo, which runs without a command; with a command, use --log debug";
            return Err(sentence.into());
        }
        let (wire, link) = match command {
            Some(Command::Serial(_)) => (Some(Wire::Serial), "serial"),
            Some(Command::I2c(_)) => (Some(Wire::I2c), "i2c"),
            _ => (None, ""),
        };
        if wire.is_some() {
            device.check_no_usb(link)?;
        }
        if matches!(command, Some(Command::Topology(_))) {
            device.check_no_device()?;
        }
        let usb = device.usb.as_deref().map(values::usb_version);
        let usb = usb.transpose()?.unwrap_or(Version::V1_0);
        let speed = device.speed.as_deref().map(values::speed);
        let given_uuid = device.uuid.as_deref().map(values::uuid).transpose()?;
        let log = device.log.as_deref().map(values::log_level).transpose()?;
        let mut settings = DeviceSettings {
            usb,
            speed: speed.transpose()?.unwrap_or(Speed::High),
            mtu: values::mtu(&device.mtu, wire.unwrap_or(Wire::Usb(usb)))?,
            max_message: values::max_message(&device.max_message)?,
            message_buffers: values::message_buffers(&device.message_buffers)?,
            send_timeout: values::send_timeout(&device.send_timeout)?,
            uuid: DEFAULT_UUID,
            model: match &device.model {
                Some(path) => values::model(path)?,
                None => DeviceModel::default(),
            },
        };
        let default_log = match command {
            None => LevelFilter::Warn,
            Some(_) => LevelFilter::Info,
        };
        let log = log.unwrap_or(default_log);
        if device.with_streams && device.pcap.is_none() && log < LevelFilter::Trace {
            return Err("--with-streams is without effect: packets are shown by --pcap FILE and --log trace only".into());
        }
        let (mode, serial_log) = mode(command, given_uuid.is_none())?;
        settings.uuid = match (given_uuid, &mode) {
            (Some(uuid), _) => uuid,
            (None, Mode::Demo) => DEFAULT_UUID,
            (None, mode) => identity::derive_uuid(&identity::machine(), &mode.attachment()),
        };
        Ok(Invocation {
            mode,
            device: settings,
            verbose,
            serial_log,
            pcap: device.pcap.map(values::pcap),
            with_streams: device.with_streams,
            log,
        })
    }
}

impl DeviceArguments {
    /// A topology file is checked without a device.
    fn check_no_device(&self) -> Result<(), String> {
        let options = [
            ("--usb", self.usb.is_some()),
            ("--speed", self.speed.is_some()),
            ("--uuid", self.uuid.is_some()),
            ("--model", self.model.is_some()),
            ("--pcap", self.pcap.is_some()),
        ];
        match options.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(format!(
                "{option} is without effect: topology checks a file, without a device"
            )),
            None => Ok(()),
        }
    }

    /// What is of a USB port alone is a mistake elsewhere.
    fn check_no_usb(&self, command: &str) -> Result<(), String> {
        for (option, value) in [("--usb", &self.usb), ("--speed", &self.speed)] {
            if value.is_some() {
                return Err(format!(
                    "{option} is without effect: a device attached by {command} is not on USB"
                ));
            }
        }
        Ok(())
    }
}

/// What to do, and whether the device has a serial port that shows its log.
fn mode(command: Option<Command>, derive_uuid: bool) -> Result<(Mode, bool), String> {
    Ok(match command {
        None => (Mode::Demo, false),
        Some(Command::Usbredir(arguments)) => {
            let connection = Ways {
                listen: arguments.listen,
                connect: arguments.connect,
                pty: arguments.pty,
                tty: None,
            };
            (Mode::Usbredir(connection.one()?), arguments.serial_log)
        }
        Some(Command::Usbip(arguments)) => {
            let port = if arguments.attach {
                UsbipPort::Attach { derive_uuid }
            } else {
                let (host, port) = values::usbip_address(&arguments.listen)?;
                UsbipPort::Listen { host, port }
            };
            (Mode::Usbip(port), arguments.serial_log)
        }
        Some(Command::Serial(arguments)) => {
            (Mode::Serial(Ways::of_line(arguments.line)?.one()?), false)
        }
        Some(Command::I2c(arguments)) => {
            let address = values::target_address(&arguments.address)?;
            let connection = Ways::of_line(arguments.line)?.one()?;
            (Mode::I2c(connection, address), false)
        }
        Some(Command::Topology(arguments)) => {
            (Mode::Topology(values::topology(&arguments.check)?), false)
        }
    })
}

/// The ways to a byte stream, one of which is given.
struct Ways {
    listen: Option<String>,
    connect: Option<String>,
    pty: Option<PathBuf>,
    tty: Option<Connection>,
}

impl Ways {
    fn of_line(line: arguments::LineArguments) -> Result<Self, String> {
        let baud = line.baud.as_deref().map(values::baud).transpose()?;
        if baud.is_some() && line.tty.is_none() {
            return Err(
                "--baud is without effect: it is the rate of the serial port at --tty".into(),
            );
        }
        let baud = baud.unwrap_or(DEFAULT_BAUD);
        Ok(Self {
            listen: line.listen,
            connect: line.connect,
            pty: line.pty,
            tty: line.tty.map(|path| Connection::Tty { path, baud }),
        })
    }

    fn one(self) -> Result<Connection, String> {
        let terminal = self.pty.map(Connection::Pty).or(self.tty);
        if terminal.is_some() && !cfg!(unix) {
            return Err(
                "--pty and --tty need a Unix system; use --listen tcp:HOST:PORT here".into(),
            );
        }
        if let Some(text) = self.listen {
            return values::address("--listen", &text).map(Connection::Listen);
        }
        if let Some(text) = self.connect {
            return values::address("--connect", &text).map(Connection::Connect);
        }
        terminal.ok_or_else(|| "a device needs one connection".into())
    }
}

#[cfg(test)]
mod tests;
