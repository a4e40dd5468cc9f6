//! What the program offers, and what runs it.

use std::cell::RefCell;
use std::convert::Infallible;

use anyhow::{Context, Result, anyhow};
use clap::{Parser, ValueEnum};
use embassy_futures::select::{Either, select};
use linux_service::{LinuxListener, LinuxRequest};
use mctp::{Error, MCTP_TYPE_NVME, MCTP_TYPE_VENDOR_PCIE, MsgType};
use nvme_mi_responder::{
    Device, Listener, MAX_MESSAGE_LENGTH, ManagementEndpoint, MessageBuffer, Server,
};

use crate::clock::TokioClock;
use crate::drive::{self, Drive};

/// The largest message that Linux assembles, in bytes.
const LARGEST_MESSAGE: usize = 65536;

#[derive(Parser)]
#[command(
    about = "Services on a Linux machine, over AF_MCTP sockets, until they are interrupted",
    after_help = "Try it on one machine, as root:\n  \
        mctp link set lo up\n  \
        mctp addr add 8 dev lo\n  \
        linux-service echo &\n  \
        linux-requester echo 8 --sizes 1-1100"
)]
pub(crate) struct Arguments {
    /// What to serve
    #[arg(value_enum, default_value = "echo")]
    services: Vec<Service>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Service {
    /// The echo service of the Linux MCTP tools (message type 7Eh)
    Echo,
    /// The management endpoint of a drive that is not there (message type 04h)
    NvmeMi,
}

/// Returns only with the reason why it serves no more.
pub(crate) fn run(arguments: &Arguments) -> Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let is_asked = |service| arguments.services.contains(&service);
    runtime.block_on(async {
        match (is_asked(Service::Echo), is_asked(Service::NvmeMi)) {
            (true, true) => match select(echo(), nvme_mi()).await {
                Either::First(end) | Either::Second(end) => end,
            },
            (true, false) => echo().await,
            (false, _) => nvme_mi().await,
        }
    })
}

async fn echo() -> Result<Infallible> {
    let mut listener = listen(MCTP_TYPE_VENDOR_PCIE)?;
    println!("linux-service: answers echoes, message type 7Eh");
    let mut buffer = vec![0; LARGEST_MESSAGE];
    let error = mctp_echo::serve(&mut listener, &mut buffer).await;
    Err(end("the echo service", &error))
}

async fn nvme_mi() -> Result<Infallible> {
    let listener = listen(MCTP_TYPE_NVME)?;
    let (mut subsystem, port) = drive::subsystem().context("the model of the drive is wrong")?;
    let mut device = Device::new(subsystem.model(), Drive::healthy());
    let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
    let endpoint = ManagementEndpoint::new(&mut device, port, buffers.each_mut())?;
    let device = RefCell::new(device);
    let mut buffer = [0; MAX_MESSAGE_LENGTH];
    let buffer = RefCell::new(&mut buffer[..]);
    println!("linux-service: answers NVMe-MI, message type 04h");
    // Linux gives a message type to one socket, so that there is one listener: a command waits for
    // the one before it.
    let listeners = [Listener::new(listener, &buffer)];
    let server = Server::new(&device, endpoint);
    let error = server
        .serve(listeners, LinuxRequest::to, &TokioClock::start())
        .await;
    Err(end("the NVMe-MI service", &error))
}

fn listen(message_type: MsgType) -> Result<LinuxListener> {
    LinuxListener::bind(message_type).map_err(|error| match error {
        Error::AddrInUse => anyhow!(
            "another program takes the messages of type {:02X}h, for which Linux has one",
            message_type.0
        ),
        Error::Io(error) => {
            anyhow!("this kernel or user may not take MCTP messages: {error}")
        }
        error => anyhow!("cannot take MCTP messages: {error}"),
    })
}

fn end(service: &str, error: &Error) -> anyhow::Error {
    anyhow!("{service} has no requests any more: {error}")
}
