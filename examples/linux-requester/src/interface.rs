//! MCTP network interfaces of USB devices and of serial ports, found through sysfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const NETWORK_INTERFACES: &str = "/sys/class/net";
/// `ARPHRD_MCTP`, the hardware type of MCTP interfaces.
const HARDWARE_TYPE: &str = "290";
/// USB class code of MCTP, in the hexadecimal of sysfs.
const USB_CLASS: &str = "14";
/// What the names of interfaces of serial ports begin with.
const SERIAL: &str = "mctpserial";
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

    /// What the kernel says about the USB side: driver, protocol subclass and speed.
    pub fn usb_description(&self) -> Result<String> {
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

/// The interface by which a test guest has its device: the first one over USB, or of a serial port.
pub fn of_the_device() -> Result<Interface> {
    let serial = || Ok::<_, anyhow::Error>(all_serial()?.into_iter().next());
    let interface = match first()? {
        None => serial()?,
        usb => usb,
    };
    interface.context("there is no MCTP interface over USB or serial")
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
pub(crate) fn read(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}
