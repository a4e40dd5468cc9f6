//! Sending requests and looking at the answers.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use linux_requester::address::{Destination, FIRST_NETWORK};
use linux_requester::control::ControlClient;
use linux_requester::echo::{self, EchoError};
use linux_requester::exchange::Exchange;
use linux_requester::interface::Neighbour;
use linux_requester::nvme_mi::{self, ManagementError};
use linux_requester::one_tag::OneTagSocket;
use linux_requester::socket::MctpSocket;
use mctp_router::wire::{Command, CompletionCode};

use super::values::{HexBytes, hex, hex_byte, hex_bytes, hex_dword, size_range};

/// A long run of echoes says this often that it is alive.
const PROGRESS: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct ControlArguments {
    /// An endpoint ID, or `physical:` and an interface, on I2C with `/` and the hexadecimal address
    /// there: `physical:mctpi2c0/1d`
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
pub(super) struct Retries {
    /// Milliseconds to wait for each answer
    #[arg(long, default_value_t = 250)]
    wait: u64,
    /// How often a request is sent at most
    #[arg(long, default_value_t = 4)]
    tries: u8,
}

#[derive(Args)]
pub(super) struct ManagementArguments {
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
    /// The response has to have this value in its bytes 5 to 7, hexadecimal: NMRESP, or for
    /// Invalid Parameter bit (5) and byte (7:6) of it
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
pub(super) struct EchoArguments {
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
    /// Send so many at once, each from a socket and a thread of its own; the kernel refuses those
    /// that it has no tag for. With one tag, all from one socket before the first answer
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    at_once: u8,
    /// Count echoes at once that were sent and not answered, and do not fail for them
    #[arg(long)]
    may_lose: bool,
    /// None must be answered
    #[arg(long, conflicts_with_all = ["at_once", "may_lose"])]
    silent: bool,
    /// Send all with the same tag, which the kernel keeps for them
    #[arg(long, conflicts_with_all = ["may_lose", "silent"])]
    one_tag: bool,
    /// The network of the endpoint, which for a tag has to be said
    #[arg(long, requires = "one_tag", default_value_t = FIRST_NETWORK)]
    network: u32,
    /// Milliseconds to wait for each answer; Linux forgets a request after 6000
    #[arg(long, default_value_t = 6000)]
    wait: u64,
}

impl EchoArguments {
    fn sizes(&self) -> RangeInclusive<usize> {
        let one = self.size..=self.size;
        self.sizes.clone().unwrap_or(one)
    }
}

impl Retries {
    pub(super) fn client<'a>(&self, socket: &'a mut MctpSocket) -> ControlClient<'a, MctpSocket> {
        let mut client = ControlClient::new(socket);
        client.wait = Duration::from_millis(self.wait);
        client.tries = self.tries.max(1);
        client
    }
}

pub(super) fn control(arguments: &ControlArguments) -> Result<()> {
    let destination = parse_destination(&arguments.destination)?;
    let mut socket = MctpSocket::open()?;
    let mut client = arguments.retries.client(&mut socket);
    let start = Instant::now();
    let command = Command(arguments.command);
    let response = client.request(destination, command, &arguments.data.0)?;
    println!(
        "{command} to {destination}: {}, data [{}], after {} ms",
        response.completion_code,
        hex(&response.data),
        start.elapsed().as_millis()
    );
    if let Some(expected) = arguments.expect.map(CompletionCode) {
        let code = response.completion_code;
        ensure!(
            code == expected,
            "completion code {code} instead of {expected}"
        );
    }
    Ok(())
}

pub(super) fn management(arguments: &ManagementArguments) -> Result<()> {
    let dwords = [arguments.dword0, arguments.dword1];
    let data = arguments.data.0.clone();
    let command = nvme_mi::Command::from_dwords(arguments.opcode, dwords, data);
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
    let status = response.status.0;
    println!(
        "NVMe-MI command {:02x}h to {destination}: {} ({status:02x}h), NMRESP {:06x}h, data [{}], after {} ms",
        arguments.opcode,
        response.status.name().unwrap_or("a status without a name"),
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

pub(super) fn parse_destination(text: &str) -> Result<Destination> {
    if let Some(name) = text.strip_prefix("physical:") {
        return Ok(Neighbour::named(name)?.destination());
    }
    let endpoint_id = text.parse().with_context(|| {
        format!("`{text}` is neither an endpoint ID nor `physical:INTERFACE[/ADDRESS]`")
    })?;
    Ok(Destination::EndpointId(endpoint_id))
}

pub(super) fn echo_sizes(arguments: &EchoArguments) -> Result<()> {
    if arguments.one_tag {
        return echo_with_one_tag(arguments);
    }
    if arguments.at_once > 1 {
        return echo_at_once(arguments);
    }
    if arguments.silent {
        return unanswered_echoes(arguments);
    }
    echo_each(arguments, &mut MctpSocket::open()?)
}

fn echo_with_one_tag(arguments: &EchoArguments) -> Result<()> {
    let EchoArguments {
        endpoint_id,
        network,
        count,
        at_once,
        ..
    } = *arguments;
    let mut socket = OneTagSocket::open(network, endpoint_id).with_context(|| {
        format!("the kernel gives no tag for EID {endpoint_id} of network {network}")
    })?;
    println!("all of them with tag {}", socket.tag());
    if at_once == 1 {
        return echo_each(arguments, &mut socket);
    }
    let wait = Duration::from_millis(arguments.wait);
    let destination = Destination::EndpointId(endpoint_id);
    let mut messages = 0;
    for size in arguments.sizes() {
        for round in 1..=count {
            let content = (round as u8).wrapping_mul(at_once);
            echo::echo_ahead(&mut socket, destination, at_once, size, content, wait)?;
            messages += u64::from(at_once);
        }
    }
    println!("{messages} echoes, {at_once} at once, every byte right");
    Ok(())
}

fn echo_each(arguments: &EchoArguments, socket: &mut impl Exchange) -> Result<()> {
    let sizes = arguments.sizes();
    let wait = Duration::from_millis(arguments.wait);
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let (start, mut last_line) = (Instant::now(), Instant::now());
    let (mut messages, mut bytes) = (0u64, 0u64);
    for size in sizes.clone() {
        for _ in 0..arguments.count {
            echo::echo(socket, destination, size, messages as u8, wait)?;
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

fn unanswered_echoes(arguments: &EchoArguments) -> Result<()> {
    let wait = Duration::from_millis(arguments.wait);
    let destination = Destination::EndpointId(arguments.endpoint_id);
    for size in arguments.sizes() {
        for round in 1..=arguments.count {
            // Closing the socket gives the tag back.
            let mut socket = MctpSocket::open()?;
            match echo::echo(&mut socket, destination, size, round as u8, wait) {
                Err(EchoError::NoAnswer { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => bail!("an echo of {size} bytes was answered, where it must not be"),
            }
        }
    }
    println!("no answer, as it should be");
    Ok(())
}

/// Each round has sockets of its own: closing them gives the tags of lost requests back.
fn echo_at_once(arguments: &EchoArguments) -> Result<()> {
    let wait = Duration::from_millis(arguments.wait);
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let start = Instant::now();
    let (mut sent, mut refused, mut unanswered) = (0, 0, 0);
    for size in arguments.sizes() {
        for round in 1..=arguments.count {
            let open = |_| MctpSocket::open();
            let sockets = (0..arguments.at_once).map(open).collect::<Result<_, _>>()?;
            let content = (round as u8).wrapping_mul(arguments.at_once);
            let outcome = echo::echo_at_once(sockets, destination, size, content, wait)?;
            sent += outcome.sent;
            refused += outcome.refused;
            unanswered += outcome.unanswered.len();
            if !outcome.unanswered.is_empty() {
                println!(
                    "round {round}: {} sent, not answered: {:?}",
                    outcome.sent, outcome.unanswered
                );
            }
        }
    }
    println!(
        "at once: {sent} sent, {refused} refused with EBUSY, {} answered, {unanswered} unanswered, in {} ms",
        sent - unanswered,
        start.elapsed().as_millis()
    );
    ensure!(
        arguments.may_lose || unanswered == 0,
        "not every echo that was sent was answered"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_is_an_endpoint_id_or_an_interface() {
        assert_eq!(parse_destination("9").unwrap(), Destination::EndpointId(9));
        for wrong in [
            "",
            "256",
            "usb",
            "physical:no-such-interface",
            "physical:no-such-interface/1d",
        ] {
            assert!(parse_destination(wrong).is_err(), "{wrong}");
        }
    }
}
