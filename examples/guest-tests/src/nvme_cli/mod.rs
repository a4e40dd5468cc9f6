//! nvme-cli against the reference device, as a rule with its default model: what it prints is checked field by
//! field.
//!
//! The plans of the guests have the chapters in an order in which each leaves the device as the next
//! one expects it.

mod firmware;
mod identify;
mod link_loss;
mod logs;
mod media;
mod namespaces;
mod program;
mod settings;
mod slow_firmware;

use std::fmt::Debug;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use linux_requester::interface::Neighbour;
use serde_json::Value;

use program::NvmeCli;

/// What can be checked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Chapter {
    /// Controllers, namespaces and their identifiers
    Identify,
    /// Log pages
    Logs,
    /// Features
    Settings,
    /// A firmware update, and all that can be wrong with one
    Firmware,
    /// Namespaces made, attached, detached and deleted
    Namespaces,
    /// Self-test, format, sanitize and security protocols
    Media,
    /// The download of a large image, interrupted and started over
    LargeFirmware,
    /// A download in which a response is lost and a commit of 45 s, with the model
    /// `slow-firmware.toml`
    SlowFirmware,
    /// Downloads in which the machine is stopped
    StoppedFirmware,
    /// What a host leaves behind
    BeforeLinkLoss,
    /// What the next host finds
    AfterLinkLoss,
    /// One of these, in two computers with the same device
    Replugged,
}

#[derive(Args)]
pub(crate) struct CheckArguments {
    /// Where nvme-cli is, with its loader and libraries
    folder: PathBuf,
    /// By which the endpoint is reached
    interface: String,
    endpoint_id: u8,
    chapter: Chapter,
    /// Bytes of the large firmware image: at least 65536, a multiple of 4096
    #[arg(long, default_value_t = 3 << 20)]
    size: usize,
}

/// Runs a chapter.
pub(crate) fn run(arguments: &CheckArguments) -> Result<()> {
    let interface = Neighbour::named(&arguments.interface)?.interface;
    let folder = arguments.folder.clone();
    let nvme = NvmeCli::new(folder, interface, arguments.endpoint_id);
    match arguments.chapter {
        Chapter::Identify => identify::check(&nvme),
        Chapter::Logs => logs::check(&nvme),
        Chapter::Settings => settings::check(&nvme),
        Chapter::Firmware => firmware::check(&nvme),
        Chapter::Namespaces => namespaces::check(&nvme),
        Chapter::Media => media::check(&nvme),
        Chapter::LargeFirmware => firmware::download_large(&nvme, arguments.size),
        Chapter::SlowFirmware => slow_firmware::check(&nvme),
        Chapter::StoppedFirmware => firmware::download_stopped(&nvme),
        Chapter::BeforeLinkLoss => link_loss::leave_behind(&nvme),
        Chapter::AfterLinkLoss => link_loss::find(&nvme),
        Chapter::Replugged => link_loss::replugged(&nvme),
    }
}

/// Checks that fields of a JSON object are these numbers. Some versions of nvme-cli print large
/// ones as text.
fn expect_numbers(object: &Value, fields: &[(&str, u64)]) -> Result<()> {
    for (name, expected) in fields {
        expect(name, number(object, name)?, *expected)?;
    }
    Ok(())
}

fn number(object: &Value, name: &str) -> Result<u64> {
    let value = field(object, name)?;
    value
        .as_u64()
        .or_else(|| value.as_str()?.parse().ok())
        .with_context(|| format!("{name} is {value}, which is no number"))
}

/// Text without the spaces that pad it.
fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    let value = field(object, name)?;
    let text = value.as_str();
    Ok(text
        .with_context(|| format!("{name} is {value}, which is no text"))?
        .trim_end())
}

fn field<'a>(object: &'a Value, name: &str) -> Result<&'a Value> {
    object
        .get(name)
        .with_context(|| format!("there is no {name} in {object}"))
}

fn array<'a>(object: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    let value = field(object, name)?;
    value
        .as_array()
        .with_context(|| format!("{name} is {value}, which is no list"))
}

fn expect<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<()> {
    ensure!(
        found == expected,
        "{what} is {found:?} instead of {expected:?}"
    );
    Ok(())
}
