//! The commands: what the command line offers, and which function does it.

mod background;
mod device;
mod drive;
mod firmware;
mod i2c;
mod messages;
mod network;
mod setup;
mod values;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use linux_requester::usbip_device;

use crate::benchmark::{self, BenchArguments, StoppedArguments};
use crate::guest_init;
use crate::nvme_cli::{self, Chapter, NvmeCli};
use crate::serial_log::SerialLogArguments;
use crate::shell;
use firmware::FirmwareArguments;
use messages::{ControlArguments, EchoArguments, ManagementArguments};
use network::{AddressCommand, LinkCommand, NeighbourCommand, RouteCommand};
use setup::SetupArguments;
use values::{image_size, revision, size_range};

#[derive(Parser)]
#[command(
    about = "The host side of MCTP on Linux, over AF_MCTP sockets and rtnetlink",
    after_help = "An interface is given by name; `usb` stands for the first MCTP interface over USB.\n\n\
        Examples:\n  \
        linux-requester wait-interface --timeout 10\n  \
        linux-requester setup usb --mtu 251\n  \
        linux-requester control 9 02\n  \
        linux-requester control physical:usb 01 0009\n  \
        linux-requester echo 9 --sizes 1-1100"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Change an interface, in the words of `mctp link`
    #[command(subcommand)]
    Link(LinkCommand),
    /// Change this computer's endpoint IDs, in the words of `mctp addr`
    #[command(subcommand, visible_alias = "address")]
    Addr(AddressCommand),
    /// Change the routes to endpoints, in the words of `mctp route`
    #[command(subcommand)]
    Route(RouteCommand),
    /// Change where endpoints are on a bus, in the words of `mctp neigh`
    #[command(subcommand, visible_alias = "neighbour")]
    Neigh(NeighbourCommand),
    /// Bring an interface up and take the endpoint behind it into service, as the bus owner
    Setup(SetupArguments),
    /// Send one control request and print the answer
    Control(ControlArguments),
    /// Send one NVMe-MI command and print the answer
    Mi(ManagementArguments),
    /// Read the information of a drive's port over NVMe-MI
    PortInformation { endpoint_id: u8, port_id: u8 },
    /// Read, or set and read, the MCTP transmission unit of a drive's port over NVMe-MI
    TransmissionUnit {
        endpoint_id: u8,
        port_id: u8,
        /// Payload bytes of the longest packet that the drive sends by this port: 64 or more
        #[arg(value_parser = clap::value_parser!(u16).range(64..))]
        bytes: Option<u16>,
    },
    /// Reset the NVM subsystem of a drive over NVMe-MI
    ResetSubsystem { endpoint_id: u8 },
    /// Write a firmware image that the reference device takes
    MakeImage {
        file: PathBuf,
        /// One to eight printable ASCII characters
        #[arg(value_parser = revision)]
        revision: String,
        /// Bytes, a multiple of 4
        #[arg(long, default_value_t = 128 << 10, value_parser = image_size)]
        size: usize,
    },
    /// Have messages echoed and check every byte
    Echo(EchoArguments),
    /// Have a stream of messages sent, check each, and send control requests meanwhile
    Bench(BenchArguments),
    /// In a test guest: have the host stop this machine in the middle of a stream, of which nothing
    /// may be lost
    BenchStopped(StoppedArguments),
    /// In a test guest: update the firmware of the reference device, and have the host check that it has
    /// every byte of it
    Firmware(FirmwareArguments),
    /// Check the device's log on its USB serial port, with echoes to the endpoint meanwhile
    SerialLog {
        endpoint_id: u8,
        /// Sizes of the echoes while nobody reads
        #[arg(long, value_parser = size_range, default_value = "0-1100")]
        busy: RangeInclusive<usize>,
        #[command(flatten)]
        arguments: SerialLogArguments,
    },
    /// Wait until there is an MCTP interface over USB
    WaitInterface {
        /// Seconds
        #[arg(long, default_value_t = 20)]
        timeout: u64,
    },
    /// Set an interface down and up again, with a control request and an echo after each time
    CycleLink {
        interface: String,
        /// The endpoint behind the interface
        endpoint_id: u8,
        #[arg(long, default_value_t = 10)]
        count: u32,
    },
    /// Reset the USB device behind an interface and wait for the interface to come back
    ResetUsb { interface: String },
    /// Send malformed USB transfers with the kernel driver unbound, then bind it again
    Inject {
        interface: String,
        /// The same seed gives the same transfers
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Transfers of each kind
        #[arg(long, default_value_t = 200)]
        count: usize,
    },
    /// Run a command of nvme-cli against an endpoint
    Nvme {
        /// Where nvme-cli is, with its loader and libraries
        folder: PathBuf,
        endpoint_id: u8,
        /// The command and its options, without the device
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Check what nvme-cli says of the reference device with its default model
    NvmeCheck {
        /// Where nvme-cli is, with its loader and libraries
        folder: PathBuf,
        endpoint_id: u8,
        chapter: Chapter,
        /// Bytes of the large firmware image: at least 65536, a multiple of 4096
        #[arg(long, default_value_t = 3 << 20)]
        size: usize,
    },
    /// In a test guest: make an interface of a serial port, for as long as this machine runs
    AttachSerial { port: PathBuf },
    /// In a test guest: make an interface on an I2C bus that ends at a serial port, for as long as
    /// this machine runs
    AttachI2c { port: PathBuf },
    /// In a test guest: join an I2C bus to a serial port, for as long as this machine runs
    JoinI2c { port: PathBuf },
    /// In a test guest: a shell at the console, or a script for it
    Shell { script: Option<PathBuf> },
    /// In a test guest: damage the packet error code of the next packet on the I2C bus that is in the
    /// middle of a message to the device
    DamagePec,
    /// In a test guest: close the I2C bus in the middle of a record to the device
    TearI2c,
    /// In a test guest: close the I2C bus, have the host replace the device, open the bus again, then
    /// ask the device until it answers
    ReopenI2c { interface: String, endpoint_id: u8 },
    /// In a test guest: have the host check that the device has logged a line with this text
    ExpectLog {
        #[arg(trailing_var_arg = true, required = true)]
        text: Vec<String>,
    },
    /// In a test guest: start a device program that attaches itself by USB/IP, and wait for its
    /// interface
    AttachUsbip {
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// In a test guest: end that program, and wait until its interface is gone
    DetachUsbip,
    /// In a test guest: do both so many times, and take the device into service each time
    CycleUsbip {
        #[command(flatten)]
        setup: SetupArguments,
        #[arg(long, default_value_t = 10)]
        count: u32,
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// In a test guest: start a program that runs beside the plan, and wait until it prints a line
    Start {
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// In a test guest: end all such programs, which have to run still
    Stop,
    /// In a test guest: ask the host for something, then wait for a new interface
    AskHost { request: String },
    /// In a test guest: ask the host for something to be done to the device behind an interface that
    /// stays, then ask the device until it answers
    Disturb {
        interface: String,
        endpoint_id: u8,
        #[arg(trailing_var_arg = true, required = true)]
        request: Vec<String>,
    },
    /// In a test guest, as process 1: run the commands in a file, one a line, and power off
    #[command(hide = true)]
    GuestInit { plan: PathBuf },
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Link(command) => network::link(command),
        Command::Addr(command) => network::address(command),
        Command::Route(command) => network::route(command),
        Command::Neigh(command) => network::neighbour(command),
        Command::Setup(arguments) => setup::set_up(arguments),
        Command::Control(arguments) => messages::control(arguments),
        Command::Mi(arguments) => messages::management(arguments),
        Command::PortInformation {
            endpoint_id,
            port_id,
        } => drive::port_information(*endpoint_id, *port_id),
        Command::TransmissionUnit {
            endpoint_id,
            port_id,
            bytes,
        } => drive::transmission_unit(*endpoint_id, *port_id, *bytes),
        Command::ResetSubsystem { endpoint_id } => drive::reset(*endpoint_id),
        Command::MakeImage {
            file,
            revision,
            size,
        } => drive::make_image(file, revision, *size),
        Command::Echo(arguments) => messages::echo_sizes(arguments),
        Command::Bench(arguments) => benchmark::run(arguments),
        Command::BenchStopped(arguments) => benchmark::run_stopped(arguments),
        Command::Firmware(arguments) => firmware::update(arguments),
        Command::SerialLog {
            endpoint_id,
            busy,
            arguments,
        } => messages::serial_log(*endpoint_id, busy, arguments),
        Command::WaitInterface { timeout } => device::wait_interface(Duration::from_secs(*timeout)),
        Command::CycleLink {
            interface,
            endpoint_id,
            count,
        } => device::cycle_link(interface, *endpoint_id, *count),
        Command::ResetUsb { interface } => device::reset_usb(interface),
        Command::Inject {
            interface,
            seed,
            count,
        } => device::inject_transfers(interface, *seed, *count),
        Command::Nvme {
            folder,
            endpoint_id,
            command,
        } => NvmeCli::new(folder.clone(), *endpoint_id).show(&command.join(" ")),
        Command::NvmeCheck {
            folder,
            endpoint_id,
            chapter,
            size,
        } => nvme_cli::run(folder.clone(), *endpoint_id, *chapter, *size),
        Command::AttachSerial { port } => device::attach_serial(port),
        Command::AttachI2c { port } => i2c::attach(port),
        Command::JoinI2c { port } => i2c::join(port),
        Command::Shell { script } => shell::run(script.as_deref()),
        Command::DamagePec => i2c::damage(),
        Command::TearI2c => i2c::tear(),
        Command::ReopenI2c {
            interface,
            endpoint_id,
        } => i2c::reopen(interface, *endpoint_id),
        Command::ExpectLog { text } => {
            guest_init::expect_device_log(&text.join(" "));
            Ok(())
        }
        Command::AttachUsbip { program, arguments } => {
            device::announce(&usbip_device::attach(program, arguments)?)
        }
        Command::DetachUsbip => usbip_device::detach(),
        Command::CycleUsbip {
            setup,
            count,
            program,
            arguments,
        } => device::cycle_usbip(setup, *count, program, arguments),
        Command::Start { program, arguments } => background::start(program, arguments),
        Command::Stop => background::stop(),
        Command::AskHost { request } => device::ask_host(request),
        Command::Disturb {
            interface,
            endpoint_id,
            request,
        } => device::disturb(interface, *endpoint_id, &request.join(" ")),
        Command::GuestInit { plan } => guest_init::run(plan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
