//! The commands, one function each.

use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use linux_requester::address::Destination;
use linux_requester::bus_owner::{self, Plan, Routes};
use linux_requester::control::{ControlClient, command_name, completion_name};
use linux_requester::interface::{self, Interface};
use linux_requester::netlink::{Change, Rtnetlink};
use linux_requester::nvme_mi::{self, ManagementError, status_name};
use linux_requester::socket::MctpSocket;
use linux_requester::{echo, inject, usb};

use crate::benchmark::{self, BenchArguments};
use crate::guest_init;
use crate::nvme_cli::{self, Chapter, NvmeCli};
use crate::serial_log::{self, SerialLogArguments};

/// More than the packets of a 64 KiB message at the smallest transmission unit (1024), so that none is dropped.
const QUEUE_LENGTH: u32 = 4096;
/// A long run of echoes says this often that it is alive.
const PROGRESS: Duration = Duration::from_secs(5);

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
    /// Set an interface up or down
    Link { interface: String, state: LinkState },
    /// Bring an interface up and take the endpoint behind it into service, as the bus owner
    Setup(SetupArguments),
    /// Send one control request and print the answer
    Control(ControlArguments),
    /// Send one NVMe-MI command and print the answer
    Mi(ManagementArguments),
    /// Have messages echoed and check every byte
    Echo(EchoArguments),
    /// Have a stream of messages sent, check each, and send control requests meanwhile
    Bench(BenchArguments),
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
    /// In a test guest: ask the host for something, then wait for a new interface
    AskHost { request: String },
    /// In a test guest, as process 1: run the commands in a file, one a line, and power off
    #[command(hide = true)]
    GuestInit { plan: PathBuf },
}

#[derive(Clone, Copy, ValueEnum)]
enum LinkState {
    Up,
    Down,
}

#[derive(Args)]
struct SetupArguments {
    interface: String,
    /// This computer's endpoint ID
    #[arg(long, default_value_t = 8)]
    local: u8,
    /// The endpoint ID to assign; without it the endpoint keeps the one it has, or gets the lowest free one
    #[arg(long)]
    eid: Option<u8>,
    /// The largest packet in bytes, with the 4-byte MCTP header: 68 to 251, to 8187 with MCTP over USB 1.1
    #[arg(long)]
    mtu: Option<u32>,
    #[command(flatten)]
    retries: Retries,
}

#[derive(Args)]
struct ControlArguments {
    /// An endpoint ID, or `physical:` and an interface
    destination: String,
    /// Command code, hexadecimal
    #[arg(value_parser = hex_byte)]
    command: u8,
    /// Request data, hexadecimal
    #[arg(value_parser = hex_bytes, default_value = "")]
    data: HexBytes,
    /// The answer's completion code has to be this, hexadecimal
    #[arg(long, value_parser = hex_byte)]
    expect: Option<u8>,
    #[command(flatten)]
    retries: Retries,
}

#[derive(Args)]
struct Retries {
    /// Milliseconds to wait for each answer
    #[arg(long, default_value_t = 250)]
    wait: u64,
    /// How often a request is sent at most
    #[arg(long, default_value_t = 4)]
    tries: u32,
}

#[derive(Args)]
struct ManagementArguments {
    endpoint_id: u8,
    /// Hexadecimal, such as 01 for a health status poll
    #[arg(value_parser = hex_byte)]
    opcode: u8,
    /// NMD0 and NMD1, hexadecimal
    #[arg(value_parser = hex_dword, default_value = "0")]
    dword0: u32,
    #[arg(value_parser = hex_dword, default_value = "0")]
    dword1: u32,
    /// Request Data, hexadecimal
    #[arg(long, value_parser = hex_bytes, default_value = "")]
    data: HexBytes,
    /// The response status has to be this, hexadecimal
    #[arg(long, value_parser = hex_byte)]
    expect: Option<u8>,
    /// The response data have to start with these bytes, hexadecimal
    #[arg(long, value_parser = hex_bytes)]
    expect_data: Option<HexBytes>,
    /// The response has to have this value in its bytes 5 to 7, hexadecimal: NMRESP, or for Invalid Parameter bit (5) and byte (7:6) of it
    #[arg(long, value_parser = hex_dword)]
    expect_value: Option<u32>,
    /// There must be no response, as to a Reset
    #[arg(long, conflicts_with_all = ["expect", "expect_data", "expect_value"])]
    silent: bool,
    /// Milliseconds to wait for the answer
    #[arg(long, default_value_t = 5000)]
    wait: u64,
}

#[derive(Args)]
struct EchoArguments {
    endpoint_id: u8,
    /// Payload bytes
    #[arg(long, default_value_t = 1)]
    size: usize,
    /// Every size from A to B, written A-B
    #[arg(long, value_parser = size_range, conflicts_with = "size")]
    sizes: Option<RangeInclusive<usize>>,
    /// How often each size is sent
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Milliseconds to wait for each answer; Linux forgets a request after 6000
    #[arg(long, default_value_t = 6000)]
    wait: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Link { interface, state } => link(interface, *state),
        Command::Setup(arguments) => set_up(arguments),
        Command::Control(arguments) => control(arguments),
        Command::Mi(arguments) => management(arguments),
        Command::Echo(arguments) => echo_sizes(arguments),
        Command::Bench(arguments) => benchmark::run(arguments),
        Command::SerialLog {
            endpoint_id,
            busy,
            arguments,
        } => serial_log(*endpoint_id, busy, arguments),
        Command::WaitInterface { timeout } => wait_interface(Duration::from_secs(*timeout)),
        Command::CycleLink {
            interface,
            endpoint_id,
            count,
        } => cycle_link(interface, *endpoint_id, *count),
        Command::ResetUsb { interface } => reset_usb(interface),
        Command::Inject {
            interface,
            seed,
            count,
        } => inject_transfers(interface, *seed, *count),
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
        Command::AskHost { request } => ask_host(request),
        Command::GuestInit { plan } => guest_init::run(plan),
    }
}

fn link(name: &str, state: LinkState) -> Result<()> {
    let interface = Interface::named(name)?;
    set_link(
        &mut Rtnetlink::open()?,
        &interface,
        matches!(state, LinkState::Up),
    )
}

fn set_link(netlink: &mut Rtnetlink, interface: &Interface, up: bool) -> Result<()> {
    let word = if up { "up" } else { "down" };
    netlink
        .apply(Change::LinkState {
            interface_index: interface.index,
            up,
        })
        .with_context(|| format!("cannot set {} {word}", interface.name))?;
    println!("{} is {word}", interface.name);
    Ok(())
}

fn set_up(arguments: &SetupArguments) -> Result<()> {
    let interface = Interface::named(&arguments.interface)?;
    let mut netlink = Rtnetlink::open()?;
    configure(&mut netlink, &interface, arguments)?;

    let mut socket = MctpSocket::open()?;
    let mut client = arguments.retries.client(&mut socket);
    let mut routes = InterfaceRoutes {
        netlink,
        interface_index: interface.index,
    };
    let plan = Plan {
        interface_index: interface.index,
        local_endpoint_id: arguments.local,
        endpoint_id: arguments.eid,
    };
    let endpoint = bus_owner::set_up(&mut client, &mut routes, plan, &mut |line| {
        println!("{line}")
    })?;
    println!(
        "endpoint {} on {} is in service",
        endpoint.endpoint_id, interface.name
    );
    Ok(())
}

fn configure(
    netlink: &mut Rtnetlink,
    interface: &Interface,
    arguments: &SetupArguments,
) -> Result<()> {
    let Interface {
        name,
        index: interface_index,
    } = interface;
    let interface_index = *interface_index;
    netlink
        .apply(Change::LinkQueueLength {
            interface_index,
            packets: QUEUE_LENGTH,
        })
        .with_context(|| format!("cannot set the queue length of {name}"))?;
    if let Some(mtu) = arguments.mtu {
        netlink
            .apply(Change::LinkMtu {
                interface_index,
                mtu,
            })
            .with_context(|| format!("cannot set the MTU of {name} to {mtu}"))?;
        println!("{name} has MTU {mtu}");
    }
    set_link(netlink, interface, true)?;
    let endpoint_id = arguments.local;
    netlink
        .apply(Change::AddAddress {
            interface_index,
            endpoint_id,
        })
        .with_context(|| format!("cannot give {name} the local EID {endpoint_id}"))?;
    println!("{name} has local EID {endpoint_id}");
    Ok(())
}

struct InterfaceRoutes {
    netlink: Rtnetlink,
    interface_index: u32,
}

impl Routes for InterfaceRoutes {
    fn add(&mut self, endpoint_id: u8) -> io::Result<()> {
        let interface_index = self.interface_index;
        self.netlink.apply(Change::AddRoute {
            interface_index,
            endpoint_id,
        })
    }

    fn remove(&mut self, endpoint_id: u8) -> io::Result<()> {
        let interface_index = self.interface_index;
        self.netlink.apply(Change::RemoveRoute {
            interface_index,
            endpoint_id,
        })
    }
}

impl Retries {
    fn client<'a>(&self, socket: &'a mut MctpSocket) -> ControlClient<'a, MctpSocket> {
        let mut client = ControlClient::new(socket);
        client.wait = Duration::from_millis(self.wait);
        client.tries = self.tries.max(1);
        client
    }
}

fn control(arguments: &ControlArguments) -> Result<()> {
    let destination = parse_destination(&arguments.destination)?;
    let mut socket = MctpSocket::open()?;
    let mut client = arguments.retries.client(&mut socket);
    let start = Instant::now();
    let response = client.request(destination, arguments.command, &arguments.data.0)?;
    println!(
        "{} ({:02x}h) to {destination}: {} ({:02x}h), data [{}], after {} ms",
        command_name(arguments.command),
        arguments.command,
        completion_name(response.completion_code),
        response.completion_code,
        hex(&response.data),
        start.elapsed().as_millis()
    );
    if let Some(expected) = arguments.expect {
        let code = response.completion_code;
        ensure!(
            code == expected,
            "completion code {code:02x}h instead of {expected:02x}h"
        );
    }
    Ok(())
}

fn management(arguments: &ManagementArguments) -> Result<()> {
    let command = nvme_mi::Command {
        opcode: arguments.opcode,
        dwords: [arguments.dword0, arguments.dword1],
        data: arguments.data.0.clone(),
    };
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let wait = Duration::from_millis(arguments.wait);
    let start = Instant::now();
    let response = match command.send(&mut MctpSocket::open()?, destination, wait) {
        Err(ManagementError::NoAnswer { opcode, .. }) if arguments.silent => {
            println!("NVMe-MI command {opcode:02x}h to {destination}: no answer, as it should be");
            return Ok(());
        }
        response => response?,
    };
    let status = response.status;
    println!(
        "NVMe-MI command {:02x}h to {destination}: {} ({status:02x}h), NMRESP {:06x}h, data [{}], after {} ms",
        arguments.opcode,
        status_name(status),
        response.management_response,
        hex(&response.data),
        start.elapsed().as_millis()
    );
    ensure!(!arguments.silent, "an answer, where there must be none");
    if let Some(expected) = arguments.expect {
        ensure!(
            status == expected,
            "status {status:02x}h instead of {expected:02x}h"
        );
    }
    if let Some(expected) = arguments.expect_value {
        let value = response.management_response;
        ensure!(
            value == expected,
            "bytes 5 to 7 are {value:06x}h instead of {expected:06x}h"
        );
    }
    if let Some(expected) = &arguments.expect_data {
        ensure!(
            response.data.starts_with(&expected.0),
            "data do not start with [{}]",
            hex(&expected.0)
        );
    }
    Ok(())
}

fn parse_destination(text: &str) -> Result<Destination> {
    if let Some(name) = text.strip_prefix("physical:") {
        let interface_index = Interface::named(name)?.index;
        return Ok(Destination::Physical { interface_index });
    }
    let endpoint_id = text
        .parse()
        .with_context(|| format!("`{text}` is neither an endpoint ID nor `physical:INTERFACE`"))?;
    Ok(Destination::EndpointId(endpoint_id))
}

fn echo_sizes(arguments: &EchoArguments) -> Result<()> {
    let sizes = arguments
        .sizes
        .clone()
        .unwrap_or(arguments.size..=arguments.size);
    let wait = Duration::from_millis(arguments.wait);
    let mut socket = MctpSocket::open()?;
    let (start, mut last_line) = (Instant::now(), Instant::now());
    let (mut messages, mut bytes) = (0u64, 0u64);
    for size in sizes.clone() {
        for _ in 0..arguments.count {
            let destination = Destination::EndpointId(arguments.endpoint_id);
            echo::echo(&mut socket, destination, size, messages as u8, wait)?;
            messages += 1;
            bytes += size as u64;
        }
        if last_line.elapsed() > PROGRESS {
            println!("... {messages} echoes so far, the last of {size} bytes");
            last_line = Instant::now();
        }
    }
    println!(
        "{messages} echoes of {} to {} bytes, every byte right: {bytes} bytes each way in {} ms",
        sizes.start(),
        sizes.end(),
        start.elapsed().as_millis()
    );
    Ok(())
}

fn serial_log(
    endpoint_id: u8,
    busy: &RangeInclusive<usize>,
    arguments: &SerialLogArguments,
) -> Result<()> {
    let busy = || {
        echo_sizes(&EchoArguments {
            endpoint_id,
            size: 0,
            sizes: Some(busy.clone()),
            count: 1,
            wait: 6000,
        })
    };
    let notable = || {
        let destination = Destination::EndpointId(endpoint_id);
        let one_try = Retries {
            wait: 3000,
            tries: 1,
        };
        let mut socket = MctpSocket::open()?;
        // Set Endpoint ID (DSP0236 1.3.3, section 12.3) to the one that it has.
        one_try
            .client(&mut socket)
            .request(destination, 0x01, &[0, endpoint_id])?;
        Ok(format!("endpoint ID {endpoint_id} was set"))
    };
    serial_log::check(arguments, busy, notable)
}

fn wait_interface(timeout: Duration) -> Result<()> {
    announce(&interface::wait_for_another(None, timeout)?)
}

fn announce(interface: &Interface) -> Result<()> {
    let usb = interface.usb_description()?;
    println!(
        "interface {} (index {}): {usb}",
        interface.name, interface.index
    );
    Ok(())
}

fn cycle_link(name: &str, endpoint_id: u8, count: u32) -> Result<()> {
    let interface = Interface::named(name)?;
    let mut netlink = Rtnetlink::open()?;
    for round in 1..=count {
        set_link(&mut netlink, &interface, false)?;
        set_link(&mut netlink, &interface, true)?;
        check_alive(endpoint_id).with_context(|| format!("after {round} times down and up"))?;
    }
    println!("control and echo worked after each of {count} times down and up");
    Ok(())
}

fn check_alive(endpoint_id: u8) -> Result<()> {
    let destination = Destination::EndpointId(endpoint_id);
    let mut socket = MctpSocket::open()?;
    let one_try = Retries {
        wait: 3000,
        tries: 1,
    };
    let answer = one_try.client(&mut socket).endpoint_id(destination)?;
    ensure!(
        answer.endpoint_id == endpoint_id,
        "EID {endpoint_id} answers with {answer}"
    );
    echo::echo(
        &mut socket,
        destination,
        200,
        endpoint_id,
        Duration::from_secs(2),
    )?;
    Ok(())
}

fn reset_usb(name: &str) -> Result<()> {
    let before = Interface::named(name)?;
    usb::reset(&before)?;
    println!("USB reset done");
    announce(&interface::wait_for_another(
        Some(before.index),
        Duration::from_secs(20),
    )?)
}

fn inject_transfers(name: &str, seed: u64, count: usize) -> Result<()> {
    let before = Interface::named(name)?;
    for kind in inject::KINDS {
        let of_kind = inject::transfers(seed, count)
            .filter(|(found, _)| *found == kind)
            .count();
        println!("{of_kind} transfers: {kind:?}");
    }
    let transfers = inject::transfers(seed, count).map(|(_, transfer)| transfer);
    let sent = usb::send_raw(&before, transfers)?;
    println!(
        "the device took all {sent} malformed transfers and answered the good request behind them"
    );
    announce(&interface::wait_for_another(
        Some(before.index),
        Duration::from_secs(20),
    )?)
}

fn ask_host(request: &str) -> Result<()> {
    let before = interface::first()?.map(|interface| interface.index);
    guest_init::tell_host(request);
    announce(&interface::wait_for_another(
        before,
        Duration::from_secs(40),
    )?)
}

#[derive(Clone, Default)]
struct HexBytes(Vec<u8>);

fn hex_byte(text: &str) -> Result<u8, String> {
    u8::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not a hexadecimal byte"))
}

fn hex_dword(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not a hexadecimal dword"))
}

fn hex_bytes(text: &str) -> Result<HexBytes, String> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(format!(
            "`{text}` is not a row of hexadecimal bytes, two digits each"
        ));
    }
    let bytes = digits
        .chunks(2)
        .map(|pair| hex_byte(&String::from_utf8_lossy(pair)));
    bytes.collect::<Result<_, _>>().map(HexBytes)
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

fn size_range(text: &str) -> Result<RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').context("a range is written A-B")?;
    let (first, last) = (first.parse()?, last.parse()?);
    if first > last {
        bail!("the range {text} is empty");
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn hexadecimal_data_has_two_digits_a_byte() {
        assert_eq!(hex_bytes("00fF").unwrap().0, [0x00, 0xff]);
        assert_eq!(hex_bytes("").unwrap().0, [0u8; 0]);
        for wrong in ["0", "0g", "+1", "é"] {
            assert!(hex_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_a_range_that_is_not_empty() {
        assert_eq!(size_range("1-1100").unwrap(), 1..=1100);
        for wrong in ["", "5", "6-5", "a-b", "-1-2"] {
            assert!(size_range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn destination_is_an_endpoint_id_or_an_interface() {
        assert_eq!(parse_destination("9").unwrap(), Destination::EndpointId(9));
        for wrong in ["", "256", "usb", "physical:no-such-interface"] {
            assert!(parse_destination(wrong).is_err(), "{wrong}");
        }
    }
}
