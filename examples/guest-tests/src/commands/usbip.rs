//! Devices that are programs in this guest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Subcommand;

use super::device::{announce, check_alive};
use crate::link_under_load::{self, LoadArguments};
use crate::two_devices::{self, TwoDevicesArguments};
use crate::usbip_tool::Tool;
use crate::{guest_init, requester, usbip_device};

#[derive(Subcommand)]
pub(super) enum UsbipCommand {
    /// Start a device program that listens for `usbip`
    ListenUsbip {
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check what `usbip` says of a device that listens: free, attached, and to others. It is
    /// attached in the end
    CheckUsbipTool {
        /// Where `usbip` is, with its loader and libraries
        folder: PathBuf,
    },
    /// Attach the device by `usbip`
    AttachByTool {
        /// Where `usbip` is, with its loader and libraries
        folder: PathBuf,
    },
    /// Detach and attach the device by `usbip` so many times, and take it into service each time
    CycleByTool {
        /// The endpoint ID that it is given
        endpoint_id: u8,
        /// Bytes of the largest packet, with the 4-byte MCTP header
        #[arg(long)]
        mtu: u32,
        #[arg(long, default_value_t = 10)]
        count: u32,
        /// Where `usbip` is, with its loader and libraries
        folder: PathBuf,
    },
    /// Set an interface down and up in the middle of echoes and of a stream, then check that
    /// everything is answered
    CycleLinkUnderLoad(LoadArguments),
    /// Start two devices that attach themselves, and have both answer at the same time
    TwoDevices(TwoDevicesArguments),
    /// Check that neither the kernel nor the device found anything wrong
    CheckUsbip,
    /// Check that the device has logged as many packets sent as received
    CheckLogBalance,
}

pub(super) fn run(command: &UsbipCommand) -> Result<()> {
    match command {
        UsbipCommand::ListenUsbip { program, arguments } => {
            Tool::prepare()?;
            usbip_device::listen(program, arguments)
        }
        UsbipCommand::CheckUsbipTool { folder } => announce(&Tool::new(folder).check()?),
        UsbipCommand::AttachByTool { folder } => announce(&Tool::new(folder).attach()?),
        UsbipCommand::CycleByTool {
            endpoint_id,
            mtu,
            count,
            folder,
        } => cycle(*endpoint_id, *mtu, *count, folder),
        UsbipCommand::CycleLinkUnderLoad(arguments) => link_under_load::run(arguments),
        UsbipCommand::TwoDevices(arguments) => two_devices::run(arguments),
        UsbipCommand::CheckUsbip => check(),
        UsbipCommand::CheckLogBalance => check_log_balance(),
    }
}

fn cycle(endpoint_id: u8, mtu: u32, count: u32, folder: &Path) -> Result<()> {
    let tool = Tool::new(folder);
    let setup = format!("setup usb --eid {endpoint_id} --mtu {mtu} --tries 1 --wait 3000");
    for round in 1..=count {
        let cycle = || {
            tool.detach()?;
            announce(&tool.attach()?)?;
            requester::run(setup.split_whitespace())?;
            check_alive(endpoint_id)
        };
        cycle().with_context(|| format!("after {round} times detached and attached"))?;
    }
    println!("control and echo worked after each of {count} times detached and attached");
    Ok(())
}

/// What Linux says of a device that broke the protocol, and what a kernel or program says that broke
/// itself.
const WRONG: [&str; 9] = [
    "cannot find a urb of seqnum",
    "cannot find the pending unlink",
    "unknown pdu",
    "recv xbuf",
    "recv iso",
    "BUG:",
    "WARNING:",
    "Oops",
    "panicked",
];

fn check() -> Result<()> {
    let log = std::fs::read_to_string(usbip_device::LOG).context("the device has no log")?;
    let mut lines = guest_init::kernel_log()?;
    lines.extend(log.lines().map(str::to_owned));
    let wrong = |line: &&String| WRONG.iter().any(|text| line.contains(text));
    let found = lines.iter().find(wrong);
    ensure!(
        found.is_none(),
        "the log has: {}",
        found.map_or("", String::as_str)
    );
    println!("nothing wrong in {} lines of logs", lines.len());
    Ok(())
}

fn check_log_balance() -> Result<()> {
    let log = std::fs::read_to_string(usbip_device::LOG).context("the device has no log")?;
    let count = |text| log.lines().filter(|line| line.contains(text)).count();
    let (received, sent) = (count("TRACE Received "), count("TRACE Sent "));
    println!("the device has logged {received} packets received and {sent} sent");
    ensure!(received > 0 && received == sent, "the numbers differ");
    Ok(())
}
