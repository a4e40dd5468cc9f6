//! The I2C bus of a test guest: what `i2c_link` makes, and what is done to it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use linux_requester::address::Destination;
use linux_requester::control::{ControlClient, ControlError};
use linux_requester::interface::{Interface, Neighbour};
use linux_requester::socket::MctpSocket;

use super::device::await_device;
use crate::guest_init;
use crate::i2c_link::{self, Link};
use crate::undo;

/// How long a device is waited for that cannot answer.
const SILENCE: Duration = Duration::from_millis(500);
/// What the host says when the device has been replaced.
const REPLACED: &str = "the device was replaced";

/// For as long as this machine runs, whichever command uses it.
static LINK: Mutex<Option<Link>> = Mutex::new(None);

fn link() -> MutexGuard<'static, Option<Link>> {
    LINK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_link<T>(act: impl FnOnce(&mut Link) -> Result<T>) -> Result<T> {
    act(link().as_mut().context("no I2C bus was attached")?)
}

pub(super) fn attach(port: &Path) -> Result<()> {
    let joined = i2c_link::join(port)?;
    let Interface { name, index } = joined.make_interface()?;
    println!("interface {name} (index {index}): {}", port.display());
    *link() = Some(joined);
    Ok(())
}

pub(super) fn join(port: &Path) -> Result<()> {
    let joined = i2c_link::join(port)?;
    println!("{} ends at {}", joined.bus.display(), port.display());
    *link() = Some(joined);
    Ok(())
}

pub(super) fn damage() -> Result<()> {
    with_link(|link| {
        link.damage_next_middle_packet();
        Ok(())
    })
}

pub(super) fn tear() -> Result<()> {
    with_link(Link::tear)
}

/// With the bus closed nobody can answer, and then there is another device.
pub(super) fn reopen(name: &str, endpoint_id: u8) -> Result<()> {
    let destination = Neighbour::named(name)?.destination();
    with_link(Link::close)?;
    let replaced = replace_device(destination);
    undo::then(replaced, with_link(Link::open))?;
    await_device(destination, endpoint_id)
}

/// Checks that nobody answers, and has the host replace the device.
fn replace_device(destination: Destination) -> Result<()> {
    let mut socket = MctpSocket::open()?;
    let mut client = ControlClient::new(&mut socket);
    client.wait = SILENCE;
    client.tries = 1;
    match client.endpoint_id(destination) {
        Err(ControlError::NoAnswer { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("a device answered though the bus was closed"),
    }
    drop(socket);
    let answer = guest_init::ask_host("replace-device")?;
    ensure!(
        answer == REPLACED,
        "the host answered {answer:?} to the request to replace the device"
    );
    Ok(())
}
