//! The commands: what a line of a plan can be beside `linux-requester`, and which function does it.

mod device;
mod firmware;
mod i2c;
mod usbip;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench_stopped::{self, StoppedArguments};
use crate::bridge::{self, BridgeArguments};
use crate::nvme_cli::{self, CheckArguments};
use crate::serial_log::{self, SerialLogArguments};
use crate::{background, guest_init, image, shell, usbip_device};
use firmware::FirmwareArguments;
use usbip::UsbipCommand;

#[derive(Parser)]
#[command(
    about = "Process 1 of a test guest, and what it does to an MCTP device",
    after_help = "`usb` stands for the first MCTP interface over USB."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

impl Arguments {
    /// Whether the command attaches something for as long as its process runs.
    pub(crate) fn attaches(&self) -> bool {
        matches!(
            self.command,
            Command::AttachSerial { .. } | Command::AttachI2c { .. } | Command::JoinI2c { .. }
        )
    }
}

#[derive(Subcommand)]
enum Command {
    /// Write a firmware image that the reference device takes
    MakeImage {
        file: PathBuf,
        /// One to eight printable ASCII characters
        #[arg(value_parser = image::parse_revision)]
        revision: String,
        /// Bytes, a multiple of 4
        #[arg(long, default_value_t = 128 << 10, value_parser = image::parse_size)]
        size: usize,
    },
    /// Have the host stop this machine in the middle of a stream, of which nothing
    /// may be lost
    BenchStopped(StoppedArguments),
    /// Be the bus owner of a bridge that answers in one of several ways, and check what
    /// comes of it
    Bridge(BridgeArguments),
    /// Update the firmware of the reference device, and have the host check that it has
    /// every byte of it
    Firmware(FirmwareArguments),
    /// Check the device's log on its USB serial port, with echoes to the endpoint meanwhile
    SerialLog {
        endpoint_id: u8,
        /// Sizes of the echoes while nobody reads
        #[arg(long, default_value = "0-1100")]
        busy: String,
        #[command(flatten)]
        arguments: SerialLogArguments,
    },
    /// Set an interface down and up again, with a control request and an echo after each time
    CycleLink {
        interface: String,
        /// The endpoint behind the interface
        endpoint_id: u8,
        #[arg(long, default_value_t = 10)]
        count: u32,
    },
    /// Have linux-requester fail to set an interface up, which has to be as before then
    FailedSetup { interface: String },
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
    /// Check what nvme-cli says of the reference device with its default model
    NvmeCheck(CheckArguments),
    /// Make an interface of a serial port, for as long as this process runs
    AttachSerial { port: PathBuf },
    /// Make an interface on an I2C bus that ends at a serial port, for as long as
    /// this process runs
    AttachI2c { port: PathBuf },
    /// Join an I2C bus to a serial port, for as long as this process runs
    JoinI2c { port: PathBuf },
    /// A shell at the console, or a script for it
    Shell { script: Option<PathBuf> },
    /// Damage the packet error code of the next packet on the I2C bus that is in the
    /// middle of a message to the device
    DamagePec,
    /// Close the I2C bus in the middle of a record to the device
    TearI2c,
    /// Close the I2C bus, have the host replace the device, open the bus again, then
    /// ask the device until it answers
    ReopenI2c { interface: String, endpoint_id: u8 },
    /// Check that the device has logged a line with this text
    ExpectLog {
        #[arg(trailing_var_arg = true, required = true)]
        text: Vec<String>,
    },
    /// Start a device program that attaches itself by USB/IP, and wait for its
    /// interface
    AttachUsbip {
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// End that program, and wait until its interface is gone
    DetachUsbip,
    /// Do both so many times, and take the device into service each time
    CycleUsbip {
        /// The endpoint ID that it is given
        endpoint_id: u8,
        /// Bytes of the largest packet, with the 4-byte MCTP header
        #[arg(long)]
        mtu: u32,
        #[arg(long, default_value_t = 10)]
        count: u32,
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    #[command(flatten)]
    Usbip(UsbipCommand),
    /// Start a program that runs beside the plan, and wait until it prints a line
    Start {
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Wait until such a program prints a line with this text
    ExpectLine {
        #[arg(trailing_var_arg = true, required = true)]
        text: Vec<String>,
    },
    /// End all such programs, which have to run still
    Stop,
    /// Ask the host for something, then wait for a new interface
    AskHost { request: String },
    /// Ask the host for something to be done to the device behind an interface that
    /// stays, then ask the device until it answers
    Disturb {
        interface: String,
        endpoint_id: u8,
        #[arg(trailing_var_arg = true, required = true)]
        request: Vec<String>,
    },
    /// As process 1: run the commands in a file, one a line, and power off
    GuestInit { plan: PathBuf },
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::MakeImage {
            file,
            revision,
            size,
        } => image::make(file, revision, *size),
        Command::BenchStopped(arguments) => bench_stopped::run(arguments),
        Command::Bridge(arguments) => bridge::run(arguments),
        Command::Firmware(arguments) => firmware::update(arguments),
        Command::SerialLog {
            endpoint_id,
            busy,
            arguments,
        } => serial_log::run(*endpoint_id, busy, arguments),
        Command::CycleLink {
            interface,
            endpoint_id,
            count,
        } => device::cycle_link(interface, *endpoint_id, *count),
        Command::FailedSetup { interface } => device::failed_setup(interface),
        Command::ResetUsb { interface } => device::reset_usb(interface),
        Command::Inject {
            interface,
            seed,
            count,
        } => device::inject_transfers(interface, *seed, *count),
        Command::NvmeCheck(arguments) => nvme_cli::run(arguments),
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
        Command::ExpectLog { text } => guest_init::expect_device_log(&text.join(" ")),
        Command::AttachUsbip { program, arguments } => {
            device::announce(&usbip_device::attach(program, arguments)?)
        }
        Command::DetachUsbip => usbip_device::detach(),
        Command::CycleUsbip {
            endpoint_id,
            mtu,
            count,
            program,
            arguments,
        } => device::cycle_usbip(*endpoint_id, *mtu, *count, program, arguments),
        Command::Usbip(command) => usbip::run(command),
        Command::Start { program, arguments } => background::start(program, arguments),
        Command::ExpectLine { text } => background::expect_line(&text.join(" ")),
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
