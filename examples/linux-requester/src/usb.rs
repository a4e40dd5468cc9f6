//! The USB device behind an MCTP interface: reset, and raw transfers in place of the kernel driver.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nusb::transfer::{Buffer, Bulk, Direction, Out};
use nusb::{Device, MaybeFuture};

use crate::interface::{Interface, read};

/// A device that takes no OUT transfer for this long is stuck.
const TRANSFER_TIME: Duration = Duration::from_secs(2);

/// Resets the device, as after a disturbance on the cable. The kernel takes the driver off and binds it again.
pub fn reset(interface: &Interface) -> Result<()> {
    let usb_interface = interface.usb_interface()?;
    let device = open(&usb_interface)?;
    device.reset().wait().context("cannot reset the USB device")
}

/// Sends raw bulk OUT transfers with the kernel driver unbound, and binds it again; the number of transfers taken.
pub fn send_raw(interface: &Interface, transfers: impl Iterator<Item = Vec<u8>>) -> Result<usize> {
    let usb_interface = interface.usb_interface()?;
    let driver = usb_interface
        .join("driver")
        .canonicalize()
        .context("no driver is bound to the USB interface")?;
    tell(&driver.join("unbind"), &usb_interface)?;
    let sent = send_all(&usb_interface, transfers);
    tell(&driver.join("bind"), &usb_interface)?;
    sent
}

fn send_all(usb_interface: &Path, transfers: impl Iterator<Item = Vec<u8>>) -> Result<usize> {
    let device = open(usb_interface)?;
    let number = u8::from_str_radix(&read(&usb_interface.join("bInterfaceNumber"))?, 16)?;
    let claimed = device
        .claim_interface(number)
        .wait()
        .context("cannot claim the interface")?;
    let descriptor = claimed
        .descriptor()
        .context("the interface has no descriptor")?;
    let address = descriptor
        .endpoints()
        .find(|endpoint| endpoint.direction() == Direction::Out)
        .context("the interface has no OUT endpoint")?
        .address();
    let mut endpoint = claimed
        .endpoint::<Bulk, Out>(address)
        .context("no bulk OUT endpoint")?;

    let mut sent = 0;
    for transfer in transfers {
        let length = transfer.len();
        let completion = endpoint.transfer_blocking(Buffer::from(transfer), TRANSFER_TIME);
        if let Err(error) = completion.status {
            bail!("the device did not take transfer {sent} of {length} bytes: {error}");
        }
        sent += 1;
    }
    Ok(sent)
}

/// Writes the name of the USB interface, such as `1-1:1.0`, to a file of its driver.
fn tell(file: &Path, usb_interface: &Path) -> Result<()> {
    let name = usb_interface
        .file_name()
        .context("a USB interface without a name")?;
    fs::write(file, name.as_encoded_bytes())
        .with_context(|| format!("cannot write to {}", file.display()))
}

fn open(usb_interface: &Path) -> Result<Device> {
    let device = usb_interface
        .parent()
        .context("a USB interface without a device")?;
    let node = device_node(
        &read(&device.join("busnum"))?,
        &read(&device.join("devnum"))?,
    )?;
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&node)
        .with_context(|| format!("cannot open {}", node.display()))?;
    Device::from_fd(OwnedFd::from(file))
        .wait()
        .context("cannot use the USB device")
}

fn device_node(bus: &str, device: &str) -> Result<PathBuf> {
    let (bus, device): (u16, u16) = (bus.parse()?, device.parse()?);
    Ok(PathBuf::from(format!("/dev/bus/usb/{bus:03}/{device:03}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_node_has_three_digits_for_bus_and_device() {
        let node = device_node("1", "12").unwrap();
        assert_eq!(node, Path::new("/dev/bus/usb/001/012"));
        assert!(device_node("", "1").is_err());
    }
}
