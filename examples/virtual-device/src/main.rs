//! See the README beside this crate's manifest, or `virtual-device --help`.

pub mod cli;
pub mod demo;
pub mod interrupt;

use std::convert::Infallible;
use std::io::IsTerminal;
use std::process::ExitCode;

use cli::{Invocation, Mode, Refusal, UsbipPort};
use virtual_device::device::Log;
use virtual_device::pcap::Capture;
use virtual_device::{connection, i2c, logger, model_file, serial, settings, usbip, usbredir};
use virtual_host::demo::Options;

const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    match Invocation::parse(std::env::args_os()) {
        Ok(invocation) => run(&invocation),
        Err(Refusal::Information(text)) => {
            // Nothing is left to be done about a closed standard output.
            let _ = text.print();
            ExitCode::SUCCESS
        }
        Err(Refusal::BadInput(sentence)) => {
            eprintln!("virtual-device: {sentence}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn run(invocation: &Invocation) -> ExitCode {
    logger::start(invocation.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // No time passes in the demo while anybody has something to do: nobody waits there for what
        // is not in this process, and a process that is not scheduled must not give up on
        // itself.
        .start_paused(invocation.mode == Mode::Demo)
        .build();
    let result = runtime
        .map_err(Into::into)
        .and_then(|runtime| tokio::task::LocalSet::new().block_on(&runtime, work(invocation)));
    result.unwrap_or_else(|error| {
        eprintln!("virtual-device: {error:#}");
        ExitCode::FAILURE
    })
}

async fn work(invocation: &Invocation) -> anyhow::Result<ExitCode> {
    let capture = invocation
        .pcap
        .as_deref()
        .map(Capture::create)
        .transpose()?;
    let log = Log::new(capture);
    match &invocation.mode {
        Mode::Demo => {
            let mut out = std::io::stdout();
            let options = Options {
                live: out.is_terminal(),
                ..demo::options(invocation.verbose)
            };
            let passed = demo::run(&invocation.device, &options, &log, &mut out).await?;
            Ok(if passed {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Mode::Usbredir(connection) => {
            let device = &invocation.device;
            until_interrupted(usbredir::run(
                device,
                connection,
                invocation.serial_log,
                &log,
            ))
            .await
        }
        Mode::Usbip(UsbipPort::Listen { host, port }) => {
            let (device, serial_log) = (&invocation.device, invocation.serial_log);
            until_interrupted(usbip::listen(device, host, *port, serial_log, &log)).await
        }
        Mode::Usbip(UsbipPort::Attach) => {
            let device = &invocation.device;
            let attached = async {
                usbip::attach(device, invocation.serial_log, &log).await?;
                Ok(ExitCode::SUCCESS)
            };
            until_interrupted_or_done(attached).await
        }
        Mode::Serial(connection) => {
            until_interrupted(serial::run(&invocation.device, connection, &log)).await
        }
        Mode::I2c(connection, address) => {
            let device = &invocation.device;
            until_interrupted(i2c::run(device, connection, *address, &log)).await
        }
    }
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
        result = device => result,
        result = interrupt::interrupted() => {
            result?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
