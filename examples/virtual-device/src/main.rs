//! See the README beside this crate's manifest, or `virtual-device --help`.

pub mod cli;
pub mod demo;
pub mod interrupt;

use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use cli::{Invocation, Mode, Refusal, UsbipPort};
use virtual_device::observer::Log;
use virtual_device::pcap::{self, Capture, Destination};
use virtual_device::{
    connection, i2c, identity, logger, model_file, serial, settings, topology, usbip, usbredir,
};
use virtual_host::demo::Options;

const BAD_INPUT: u8 = 2;

/// As the shell says it of a program that SIGPIPE has ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// How long the end of the program waits for a capture that nobody reads, and then for such a log:
/// less than a second together.
const CAPTURE_TIME: Duration = Duration::from_millis(500);
const LOG_TIME: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let invocation = Invocation::parse(std::env::args_os()).and_then(|invocation| {
        let is_terminal = io::stdout().is_terminal();
        let checked = invocation.check_output(is_terminal);
        checked.map_err(Refusal::BadInput).map(|()| invocation)
    });
    match invocation {
        Ok(invocation) => run(&invocation),
        Err(Refusal::Information(text)) => {
            // Nothing is left to be done about a closed standard output.
            let _ = text.print();
            ExitCode::SUCCESS
        }
        Err(Refusal::BadInput(bad)) => {
            logger::print(bad.to_string().as_bytes());
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn run(invocation: &Invocation) -> ExitCode {
    logger::start(invocation.log);
    let is_demo = invocation.mode == Mode::Demo;
    let start = if is_demo {
        Ok(())
    } else {
        logger::write_in_background()
    };
    // No time passes in the demo while anybody has something to do: nobody waits there for what is
    // not in this process, and a process that is not scheduled must not give up on itself.
    let result = start
        .and_then(|()| interrupt::run_to_end(is_demo, work(invocation)))
        .unwrap_or_else(|error| Err(error.into()));
    let code = result.unwrap_or_else(|error| {
        let prints = is_demo || matches!(invocation.mode, Mode::Topology(_));
        if prints && is_broken_pipe(&error) {
            return ExitCode::from(BROKEN_PIPE);
        }
        logger::print(format!("virtual-device: {error:#}").as_bytes());
        ExitCode::FAILURE
    });
    logger::finish(LOG_TIME);
    code
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn work(invocation: &Invocation) -> anyhow::Result<ExitCode> {
    // The demo can wait for a slow file. A device must not.
    let (patience, limit) = match invocation.mode {
        Mode::Demo => (CAPTURE_TIME, Duration::MAX),
        _ => (Duration::ZERO, CAPTURE_TIME),
    };
    let destination = invocation.pcap.as_ref();
    let capture = destination.map(|destination| Capture::create(destination, patience));
    let log = Log::new(capture.transpose()?, invocation.with_streams);
    let result = device(invocation, &log).await;
    log.finish(CAPTURE_TIME, limit);
    result
}

async fn device(invocation: &Invocation, log: &Log) -> anyhow::Result<ExitCode> {
    let device = &invocation.device;
    let serial_log = invocation.serial_log;
    match &invocation.mode {
        Mode::Demo => run_demo(invocation, log).await,
        Mode::Topology(topology) => {
            writeln!(io::stdout(), "{topology}")?;
            Ok(ExitCode::SUCCESS)
        }
        Mode::Usbredir(connection) => {
            until_interrupted(usbredir::run(device, connection, serial_log, log)).await
        }
        Mode::Usbip(UsbipPort::Listen { host, port }) => {
            until_interrupted(usbip::listen(device, host, *port, serial_log, log)).await
        }
        Mode::Usbip(UsbipPort::Attach { derive_uuid }) => {
            let attached = async {
                usbip::attach(device.clone(), *derive_uuid, serial_log, log).await?;
                Ok(ExitCode::SUCCESS)
            };
            until_interrupted_or_done(attached).await
        }
        Mode::Serial(connection) => until_interrupted(serial::run(device, connection, log)).await,
        Mode::I2c(connection, address) => {
            until_interrupted(i2c::run(device, connection, *address, log)).await
        }
    }
}

async fn run_demo(invocation: &Invocation, log: &Log) -> anyhow::Result<ExitCode> {
    let (mut out, is_live): (Box<dyn Write>, _) = match invocation.pcap {
        // That is the capture's.
        Some(Destination::StandardOutput) => (Box::new(io::stderr()), io::stderr().is_terminal()),
        _ => (Box::new(io::stdout()), io::stdout().is_terminal()),
    };
    let options = Options {
        live: is_live,
        ..demo::options(invocation.verbose)
    };
    let passed = demo::run(&invocation.device, &options, log, &mut out).await?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn until_interrupted(
    device: impl Future<Output = anyhow::Result<Infallible>>,
) -> anyhow::Result<ExitCode> {
    until_interrupted_or_done(async { match device.await? {} }).await
}

async fn until_interrupted_or_done(
    device: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        // The signals are handled before the device is there: a signal must not leave its socket
        // file behind.
        biased;
        result = interrupt::interrupted() => {
            result?;
            Ok(ExitCode::SUCCESS)
        }
        result = device => result,
    }
}
