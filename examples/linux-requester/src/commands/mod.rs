//! The commands: what the command line offers, and which function does it.

mod drive;
mod interfaces;
mod listen;
mod messages;
mod network;
mod poll;
mod setup;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::benchmark::{self, BenchArguments};
use drive::UpdateArguments;
use listen::ListenArguments;
use messages::{ControlArguments, EchoArguments, ManagementArguments};
use network::{AddressCommand, LinkCommand, NeighbourCommand, RouteCommand};
use poll::PollArguments;
use setup::SetupArguments;

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
    /// Ask each endpoint ID of a bridge's pool who is there
    Poll(PollArguments),
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
    /// Have a drive store a firmware image, over NVMe-MI; it runs after the next reset
    UpdateFirmware(UpdateArguments),
    /// Reset the NVM subsystem of a drive over NVMe-MI
    ResetSubsystem { endpoint_id: u8 },
    /// Have messages echoed and check every byte
    Echo(EchoArguments),
    /// Have a stream of messages sent, check each, and send control requests meanwhile
    Bench(BenchArguments),
    /// Print the requests that come to this computer, and answer them if told how
    Listen(ListenArguments),
    /// Wait until there is an MCTP interface over USB
    WaitInterface {
        /// Seconds
        #[arg(long, default_value_t = 20)]
        timeout: u64,
    },
    /// Make an interface of a serial port, for as long as this program runs
    AttachSerial { port: PathBuf },
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Link(command) => network::link(command),
        Command::Addr(command) => network::address(command),
        Command::Route(command) => network::route(command),
        Command::Neigh(command) => network::neighbour(command),
        Command::Setup(arguments) => setup::set_up(arguments),
        Command::Poll(arguments) => poll::poll(arguments),
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
        Command::UpdateFirmware(arguments) => drive::update_firmware(arguments),
        Command::ResetSubsystem { endpoint_id } => drive::reset(*endpoint_id),
        Command::Echo(arguments) => messages::echo_sizes(arguments),
        Command::Bench(arguments) => benchmark::run(arguments),
        Command::Listen(arguments) => listen::listen(arguments),
        Command::WaitInterface { timeout } => interfaces::wait(Duration::from_secs(*timeout)),
        Command::AttachSerial { port } => interfaces::attach_serial(port),
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
