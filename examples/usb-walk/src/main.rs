//! Walks a device through chapter 9 over usbredir or USB/IP: `usb-walk --help`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use usb_walk::host::Host;
use usb_walk::mctp;
use usb_walk::random::random;
use usb_walk::usbip::UsbipHost;
use usb_walk::usbredir::UsbredirHost;
use usb_walk::walk::walk;

/// How long the device may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks an MCTP device everything that chapter 9 of USB 2.0 has an answer for, and fails at the
/// first wrong answer.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Where the device, or QEMU's chardev for it, listens: unix:PATH or tcp:HOST:PORT for
    /// usbredir, usbip:HOST:PORT for USB/IP.
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// How many random requests to make after the walk.
    #[arg(long, value_name = "N", default_value_t = 0)]
    random: u32,
    /// What they are made from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match connect(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn connect(arguments: &Arguments) -> Result<()> {
    if let Some(address) = arguments.address.strip_prefix("usbip:") {
        let host = UsbipHost::import(tcp(address)?).context("no device by USB/IP")?;
        return run(host, arguments);
    }
    if let Some(address) = arguments.address.strip_prefix("tcp:") {
        return run(usbredir(tcp(address)?)?, arguments);
    }
    #[cfg(unix)]
    if let Some(path) = arguments.address.strip_prefix("unix:") {
        let stream = std::os::unix::net::UnixStream::connect(path)
            .with_context(|| format!("no connection to {path}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        return run(usbredir(stream)?, arguments);
    }
    bail!(
        "{} is none of unix:PATH, tcp:HOST:PORT and usbip:HOST:PORT",
        arguments.address
    )
}

fn tcp(address: &str) -> Result<TcpStream> {
    let stream =
        TcpStream::connect(address).with_context(|| format!("no connection to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn usbredir<S: Read + Write>(stream: S) -> Result<UsbredirHost<S>> {
    UsbredirHost::attach(stream).context("the device is not plugged in")
}

fn run(mut host: impl Host, arguments: &Arguments) -> Result<()> {
    let tally = walk(&mut host, mctp::Endpoint)?;
    println!(
        "{} requests: {} refused, {} without an answer in USB 2.0; the device works",
        tally.requests, tally.refused, tally.unspecified
    );
    if arguments.random > 0 {
        random(&mut host, arguments.seed, arguments.random, mctp::Endpoint)?;
        println!("{} random requests, and the device works", arguments.random);
    }
    Ok(())
}
