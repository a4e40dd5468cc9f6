//! MCTP over a serial port, by the kernel's line discipline: what `mctp link serial` does. The one
//! system call that no safe library makes is unsafe code.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

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

/// Makes an interface of the serial port at `path`. The port stays raw afterwards; if there is no
/// interface, it has the settings that it had before.
pub fn attach(path: &Path) -> Result<Attached> {
    let port = open(path)?;
    let before = make_raw(&port, path)?;
    match make_interface(&port) {
        Ok(interface) => Ok(Attached {
            interface,
            _port: File::from(port),
        }),
        Err(error) => Err(undo_raw(&port, &before, error)),
    }
    .with_context(|| format!("cannot attach {}", path.display()))
}

/// Opens the serial port at `path`, so that it passes every byte on as it is.
pub fn open_raw(path: &Path) -> Result<OwnedFd> {
    let port = open(path)?;
    make_raw(&port, path)?;
    Ok(port)
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .with_context(|| format!("cannot open {}", path.display()))
}

/// The settings from before.
fn make_raw(port: &OwnedFd, path: &Path) -> Result<Termios> {
    let before =
        tcgetattr(port).with_context(|| format!("{} is not a serial port", path.display()))?;
    let mut settings = before.clone();
    settings.make_raw();
    tcsetattr(port, OptionalActions::Now, &settings)
        .with_context(|| format!("cannot set up {}", path.display()))?;
    Ok(before)
}

/// Sets the port as it was before; `error` is why.
fn undo_raw(port: &OwnedFd, before: &Termios, error: Error) -> Error {
    match tcsetattr(port, OptionalActions::Now, before) {
        Ok(()) => error,
        Err(undo) => error.context(format!("the port stays raw ({undo})")),
    }
}

fn make_interface(port: &OwnedFd) -> Result<Interface> {
    let before = interface::all_serial()?;
    set_line_discipline(port).context("the kernel has no line discipline for MCTP")?;
    let mut after = interface::all_serial()?;
    after.retain(|interface| !before.contains(interface));
    after.pop().context("the line discipline made no interface")
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

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::*;

    /// The other side of a serial port, and the port's path.
    fn serial_port() -> (OwnedFd, std::path::PathBuf) {
        let other_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&other_side).unwrap();
        unlockpt(&other_side).unwrap();
        let path = ptsname(&other_side, Vec::new()).unwrap();
        (other_side, path.into_string().unwrap().into())
    }

    fn echoes(port: &OwnedFd) -> bool {
        let settings = tcgetattr(port).unwrap();
        settings.local_modes.contains(LocalModes::ECHO)
    }

    #[test]
    fn a_port_that_is_no_interface_has_its_settings_back() {
        let (_other_side, path) = serial_port();
        let port = open(&path).unwrap();
        assert!(echoes(&port));
        let before = make_raw(&port, &path).unwrap();
        assert!(!echoes(&port));
        let error = undo_raw(&port, &before, anyhow::anyhow!("no interface"));
        assert_eq!(format!("{error:#}"), "no interface");
        assert!(echoes(&port));
    }

    #[test]
    fn a_file_is_not_a_serial_port() {
        let error = attach(Path::new("/dev/null")).unwrap_err();
        assert!(format!("{error:#}").contains("/dev/null is not a serial port"));
    }
}
