//! MCTP over a serial port, by the kernel's line discipline: what `mctp link serial` does. The one
//! system call that no safe library makes is unsafe code.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::interface::{self, Interface};

/// `N_MCTP`.
const MCTP: libc::c_int = 28;

/// A serial port that is an MCTP interface until this is dropped.
#[derive(Debug)]
pub struct Attached {
    /// The interface.
    pub interface: Interface,
    /// The line discipline goes when it is closed.
    _port: File,
}

/// Makes an interface of the serial port at `path`.
pub fn attach(path: &Path) -> Result<Attached> {
    let port = open_raw(path)?;
    let before = interface::all_serial()?;
    set_line_discipline(&port).context("the kernel has no line discipline for MCTP")?;
    let mut after = interface::all_serial()?;
    after.retain(|interface| !before.contains(interface));
    let Some(interface) = after.pop() else {
        bail!(
            "the line discipline of {} made no interface",
            path.display()
        );
    };
    Ok(Attached {
        interface,
        _port: File::from(port),
    })
}

/// Opens the serial port at `path`, so that it passes every byte on as it is.
pub fn open_raw(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let port = rustix::fs::open(path, flags, Mode::empty())
        .with_context(|| format!("cannot open {}", path.display()))?;
    let mut settings =
        tcgetattr(&port).with_context(|| format!("{} is not a serial port", path.display()))?;
    settings.make_raw();
    tcsetattr(&port, OptionalActions::Now, &settings)
        .with_context(|| format!("cannot set up {}", path.display()))?;
    Ok(port)
}

fn set_line_discipline(port: &OwnedFd) -> std::io::Result<()> {
    let discipline = MCTP;
    // SAFETY: the pointer is to an integer that outlives the call, which reads it.
    #[allow(unsafe_code)]
    let result =
        unsafe { libc::ioctl(port.as_raw_fd(), libc::TIOCSETD as _, &raw const discipline) };
    if result < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}
