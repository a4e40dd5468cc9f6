//! Interfaces that are waited for, and made.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use linux_requester::interface::{self, Interface};
use linux_requester::line_discipline;

pub(super) fn wait(timeout: Duration) -> Result<()> {
    let found = interface::wait_for_another(None, timeout)?;
    println!("{}", found.description()?);
    Ok(())
}

/// Returns only if there is no interface.
pub(super) fn attach_serial(port: &Path) -> Result<()> {
    let attached = line_discipline::attach(port)?;
    let Interface { name, index } = &attached.interface;
    println!("interface {name} (index {index}): {}", port.display());
    // It goes when this program is ended.
    loop {
        thread::park();
    }
}
