//! MCTP network interfaces of USB devices, serial ports and I2C buses, found through sysfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::address::Destination;
use crate::link::LinkSettings;

const NETWORK_INTERFACES: &str = "/sys/class/net";
/// `ARPHRD_MCTP`, the hardware type of MCTP interfaces.
const HARDWARE_TYPE: &str = "290";
/// `IFF_UP` of the flags of an interface.
const UP: u32 = 1;
/// USB class code of MCTP, in the hexadecimal of sysfs.
const USB_CLASS: &str = "14";
/// What the names of interfaces of serial ports begin with.
const SERIAL: &str = "mctpserial";
/// What the names of interfaces of I2C buses begin with; the number of the bus follows.
pub const I2C: &str = "mctpi2c";
/// The name that stands for the first MCTP interface over USB.
pub const ANY: &str = "usb";

const POLL_PAUSE: Duration = Duration::from_millis(50);

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Such as `mctpusb0`.
    pub name: String,
    /// The kernel's number; an interface that comes back after a disconnect has a new one.
    pub index: u32,
}

impl Interface {
    /// The interface with this name; `usb` is the first MCTP interface over USB.
    pub fn named(name: &str) -> Result<Self> {
        if name == ANY {
            return first()?.context("there is no MCTP interface over USB");
        }
        let path = Path::new(NETWORK_INTERFACES).join(name).join("ifindex");
        let index = read(&path).with_context(|| format!("there is no interface {name}"))?;
        let index = index
            .parse()
            .with_context(|| format!("bad index of interface {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            index,
        })
    }

    /// Its settings at this moment.
    pub fn settings(&self) -> Result<LinkSettings> {
        let folder = Path::new(NETWORK_INTERFACES).join(&self.name);
        let setting = |name: &str| read(&folder.join(name));
        let flags = setting("flags")?;
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16)?;
        Ok(LinkSettings {
            up: flags & UP != 0,
            mtu: setting("mtu")?.parse()?,
            queue_length: setting("tx_queue_len")?.parse()?,
        })
    }

    /// How many bytes have left by it.
    pub fn sent_bytes(&self) -> Result<u64> {
        let folder = Path::new(NETWORK_INTERFACES).join(&self.name);
        let bytes = read(&folder.join("statistics/tx_bytes"))?;
        Ok(bytes.parse()?)
    }

    /// The sysfs folder of the USB interface behind the network interface.
    pub fn usb_interface(&self) -> Result<PathBuf> {
        let link = Path::new(NETWORK_INTERFACES)
            .join(&self.name)
            .join("device");
        link.canonicalize()
            .with_context(|| format!("{} belongs to no USB device", self.name))
    }

    /// A line that says what the interface is, and the USB device behind it.
    pub fn description(&self) -> Result<String> {
        let Self { name, index } = self;
        Ok(format!(
            "interface {name} (index {index}): {}",
            self.usb_description()?
        ))
    }

    /// What the kernel says about the USB side: driver, protocol subclass and speed.
    fn usb_description(&self) -> Result<String> {
        let usb = self.usb_interface()?;
        let device = usb.parent().context("a USB interface without a device")?;
        let driver = fs::read_link(usb.join("driver")).context("no driver")?;
        Ok(format!(
            "driver {}, subclass {}h, {} Mb/s, serial number {}",
            driver.file_name().unwrap_or_default().to_string_lossy(),
            read(&usb.join("bInterfaceSubClass"))?,
            read(&device.join("speed"))?,
            read(&device.join("serial")).unwrap_or_else(|_| "none".to_owned()),
        ))
    }
}

/// An endpoint by its place: an interface, and where that is of a bus, a hardware address there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface.
    pub interface: Interface,
    /// The 7-bit address of an I2C target.
    pub hardware_address: Option<u8>,
}

impl Neighbour {
    /// The neighbour on the [interface with this name](Interface::named); behind `/`, if there is
    /// one, stands the hardware address in hexadecimal: `mctpi2c0/1d`.
    pub fn named(text: &str) -> Result<Self> {
        let (name, hardware_address) = match text.split_once('/') {
            None => (text, None),
            Some((name, address)) => (name, Some(hardware_address(address)?)),
        };
        Ok(Self {
            interface: Interface::named(name)?,
            hardware_address,
        })
    }

    /// Its physical address.
    pub fn destination(&self) -> Destination {
        Destination::Physical {
            interface_index: self.interface.index,
            hardware_address: self.hardware_address,
        }
    }
}

/// The 7-bit address that `text` is in hexadecimal, with or without `0x`.
pub fn hardware_address(text: &str) -> Result<u8> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match u8::from_str_radix(digits, 16) {
        Ok(address @ 0..=0x7f) => Ok(address),
        _ => bail!("`{text}` is no 7-bit hardware address in hexadecimal"),
    }
}

/// Waits until there is an MCTP interface over USB whose index is not `other_than`.
pub fn wait_for_another(other_than: Option<u32>, timeout: Duration) -> Result<Interface> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(interface) = first()?.filter(|found| Some(found.index) != other_than) {
            return Ok(interface);
        }
        if Instant::now() > deadline {
            bail!(
                "no MCTP interface over USB appeared within {} s",
                timeout.as_secs()
            );
        }
        std::thread::sleep(POLL_PAUSE);
    }
}

/// The first MCTP interface over USB, if there is one.
pub fn first() -> Result<Option<Interface>> {
    let mut names: Vec<_> = fs::read_dir(NETWORK_INTERFACES)
        .context("cannot list the network interfaces")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_mctp_over_usb(name))
        .collect();
    names.sort();
    // An interface may vanish while it is looked at: then it is not there.
    Ok(names.iter().find_map(|name| Interface::named(name).ok()))
}

/// All MCTP interfaces of serial ports.
pub fn all_serial() -> Result<Vec<Interface>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(NETWORK_INTERFACES).context("cannot list the network interfaces")? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if name.starts_with(SERIAL) {
            found.push(Interface::named(&name)?);
        }
    }
    Ok(found)
}

fn is_mctp_over_usb(name: &str) -> bool {
    let folder = Path::new(NETWORK_INTERFACES).join(name);
    let has = |file: &str, value: &str| read(&folder.join(file)).is_ok_and(|text| text == value);
    has("type", HARDWARE_TYPE) && has("device/bInterfaceClass", USB_CLASS)
}

/// The content of a one-line file of sysfs.
pub fn read(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_has_seven_bits() {
        assert_eq!(hardware_address("1d").unwrap(), 0x1d);
        assert_eq!(hardware_address("0x1d").unwrap(), 0x1d);
        assert_eq!(hardware_address("7F").unwrap(), 0x7f);
        for wrong in ["", "0x", "80", "0x80", "1d0x", "g"] {
            assert!(hardware_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_of_an_interface_are_those_of_the_kernel() {
        let loopback = Interface::named("lo").unwrap();
        let settings = loopback.settings().unwrap();
        assert!(settings.mtu >= 1280, "{settings:?}");
    }

    #[test]
    fn a_neighbour_needs_an_interface() {
        for wrong in ["", "/1d", "no-such-interface/1d", "lo/", "lo/1d/2"] {
            assert!(Neighbour::named(wrong).is_err(), "{wrong}");
        }
    }
}
