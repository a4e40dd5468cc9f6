//! Attaches the device to the kernel of this machine: a socket pair, one end of which is handed to
//! `vhci-hcd` by a file in sysfs (Linux, drivers/usb/usbip/vhci_sysfs.c).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reference_device::Observer;
use remote_usb_device::Speed;
use remote_usb_device::usbip::DEVICE_ID;

use super::log_end;
use crate::device::{self, Cable};
use crate::identity;
use crate::logger;
use crate::settings::DeviceSettings;

/// The first controller.
const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
/// In the file `status`: a port that nothing is attached to.
const FREE: &str = "004";
/// How often a controller that is not ready is asked again, and after what time.
const ATTEMPTS: u32 = 20;
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Attaches the device to this machine, until the machine detaches it. Dropping the future detaches
/// it too. With `derive_uuid`, the port of the controller decides the UUID. With `serial_log`, the
/// device has a serial port that shows the program's log.
///
/// # Errors
///
/// Without root or `vhci-hcd`, and when no port is free.
pub async fn attach(
    mut settings: DeviceSettings,
    derive_uuid: bool,
    serial_log: bool,
    observer: &impl Observer,
) -> anyhow::Result<()> {
    let controller = Path::new(CONTROLLER);
    if !controller.exists() {
        bail!(
            "this kernel has no virtual USB host controller; as root, `modprobe vhci-hcd` loads it"
        );
    }
    let speed = match settings.speed {
        Speed::High => 3,
        Speed::Full => 2,
        Speed::Low => 1,
    };
    // The kernel asks for the descriptors at once. They wait in the socket until the device is
    // there, which has to know its port first.
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let port = attach_to_free_port(controller, theirs.into(), speed).await?;
    let _attached = Attached { controller, port };
    log::info!("attached to port {port} of {CONTROLLER}");
    if derive_uuid {
        let attachment = format!("usbip port {port}");
        settings.uuid = identity::derive_uuid(&identity::machine(), &attachment);
    }
    settings.log_identity();
    let (read, write) = tokio::net::UnixStream::from_std(ours)?.into_split();
    let log = serial_log.then(logger::reader);
    device::run_with_log(&settings, observer, log, async |mut cable: Cable<'_>| {
        log_end(cable.plug_into_usbip(read, write).await);
        Ok(())
    })
    .await
}

/// Detaches the device when it goes out of scope.
struct Attached<'a> {
    controller: &'a Path,
    port: u32,
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        // The machine may have detached it by itself.
        if let Err(error) = write(&self.controller.join("detach"), &self.port.to_string()) {
            log::debug!("port {}: {error}", self.port);
        }
    }
}

/// Hands the socket to the first port that takes it. The controller then has a reference of its own.
async fn attach_to_free_port(
    controller: &Path,
    socket: OwnedFd,
    speed: u32,
) -> anyhow::Result<u32> {
    let file = controller.join("attach");
    for _ in 0..ATTEMPTS {
        let status = std::fs::read_to_string(controller.join("status"))
            .context("cannot read which ports of the virtual USB host controller are free")?;
        let attempt = first_that_takes(free_ports(&status), |port| {
            let socket = socket.as_raw_fd();
            write(&file, &format!("{port} {socket} {DEVICE_ID} {speed}"))
        });
        match attempt {
            Ok(Some(port)) => return Ok(port),
            Ok(None) => bail!("every port of the virtual USB host controller is taken"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                bail!("attaching a USB device to this machine needs root");
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            Err(error) => {
                return Err(error).context("the virtual USB host controller takes no device");
            }
        }
    }
    bail!("the virtual USB host controller is not ready")
}

/// The first port that is not busy after all; `None` when all are.
fn first_that_takes(
    ports: impl IntoIterator<Item = u32>,
    mut attach: impl FnMut(u32) -> io::Result<()>,
) -> io::Result<Option<u32>> {
    for port in ports {
        match attach(port) {
            Ok(()) => return Ok(Some(port)),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The ports up to high speed that nothing is attached to, from the file `status`: a line of titles,
/// then for each port its kind, number, status and more.
fn free_ports(status: &str) -> Vec<u32> {
    let port = |line: &str| {
        let mut words = line.split_whitespace();
        let (kind, number, state) = (words.next()?, words.next()?, words.next()?);
        (kind == "hs" && state == FREE).then(|| number.parse().ok())?
    };
    status.lines().filter_map(port).collect()
}

/// The kernel takes the text of one write.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(file)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010002 000003 1-1
hs  0001 004 000 00000000 000000 0-0
hs  0002 005 003 00010002 000004 1-1
hs  0007 004 000 00000000 000000 0-0
ss  0008 004 000 00000000 000000 0-0
";

    #[test]
    fn free_ports_are_those_for_high_speed_that_the_kernel_says_are_free() {
        assert_eq!(free_ports(STATUS), [1, 7]);
        assert_eq!(free_ports(""), [0u32; 0]);
        assert_eq!(free_ports("hs\nhs x 004\nhs 0003"), [0u32; 0]);
    }

    #[test]
    fn a_port_that_was_taken_meanwhile_is_passed_over() {
        let mut asked = Vec::new();
        let port = first_that_takes([1, 2, 3], |port| {
            asked.push(port);
            if port < 3 {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            Ok(())
        });
        assert_eq!(port.unwrap(), Some(3));
        assert_eq!(asked, [1, 2, 3]);
        let busy = |_| Err(io::ErrorKind::ResourceBusy.into());
        assert_eq!(first_that_takes([1, 2], busy).unwrap(), None);
        let other = |_| Err(io::ErrorKind::InvalidInput.into());
        assert!(first_that_takes([1, 2], other).is_err());
    }

    #[tokio::test]
    async fn the_kernel_is_told_port_descriptor_device_and_speed() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("status", STATUS), ("attach", ""), ("detach", "")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let number = theirs.as_raw_fd();
        let port = attach_to_free_port(folder.path(), theirs.into(), 3).await;
        assert_eq!(port.unwrap(), 1);
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("attach"), format!("1 {number} 65538 3"));
        drop(Attached {
            controller: folder.path(),
            port: 1,
        });
        assert_eq!(read("detach"), "1");
    }

    #[tokio::test]
    async fn a_controller_without_a_free_port_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("status"), "hub port sta\n").unwrap();
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let error = attach_to_free_port(folder.path(), theirs.into(), 3).await;
        assert!(error.unwrap_err().to_string().contains("is taken"));
    }
}
