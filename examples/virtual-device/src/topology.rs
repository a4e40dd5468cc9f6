//! A bridge and the devices behind it, from a topology file.
//!
//! `topologies/eight-devices.toml` is an example and documents every key. A file is checked as a
//! whole when it is read: what is wrong with it is one sentence that names the line, the key, the
//! values that are allowed, and the value that is there.

mod file;
mod keys;

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use mctp_i2c::{BusFrequency, TargetAddress};
use nvme_mi_responder::PortKind;
use uuid::Uuid;

use crate::model_file::{self, DeviceModel};
use crate::settings::DeviceSettings;

/// The most devices on the two-wire bus of a bridge.
pub const MOST_DEVICES: usize = 32;

/// Where the bus owner of the bridge is. How the process is attached there is no part of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// MCTP over USB.
    Usb,
    /// MCTP over serial.
    Serial,
}

impl Display for Upstream {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usb => "usb",
            Self::Serial => "serial",
        })
    }
}

/// A bridge and the devices behind it, all of it legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The bridge.
    pub bridge: BridgeSettings,
    /// The bus below it.
    pub bus: BusSettings,
    /// The devices on this bus, in the order of the file.
    pub devices: Vec<DownstreamDevice>,
}

/// The bridge itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeSettings {
    /// Its upstream port.
    pub upstream: Upstream,
    /// How many endpoint IDs it asks for beside its own.
    pub pool_size: u8,
    /// Its static endpoint ID, if it has one.
    pub endpoint_id: Option<u8>,
    /// Its UUID. `None`: made of how the process is attached, as without a topology.
    pub uuid: Option<Uuid>,
}

/// The two-wire bus below the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusSettings {
    /// The address of the bridge.
    pub address: TargetAddress,
    /// The fastest that anybody may drive the bus.
    pub frequency: BusFrequency,
}

/// An NVMe device on the two-wire bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownstreamDevice {
    /// What it is called in the file.
    pub name: String,
    /// Its address.
    pub address: TargetAddress,
    /// Its static endpoint ID, if it has one.
    pub endpoint_id: Option<u8>,
    /// Its UUID. `None`: made of the UUID of the bridge and the name.
    pub uuid: Option<Uuid>,
    /// What it manages.
    pub model: DeviceModel,
    /// Whether it is on the bus in the beginning.
    pub plugged_in: bool,
}

impl DownstreamDevice {
    /// The UUID of the device behind the bridge with this UUID: that of the file, or else version 5
    /// (RFC 9562, section 5.5) of the device's name in the namespace of the bridge's UUID.
    pub fn uuid_behind(&self, bridge: Uuid) -> Uuid {
        self.uuid
            .unwrap_or_else(|| Uuid::new_v5(&bridge, self.name.as_bytes()))
    }

    /// The device behind the bridge with this UUID, for [`crate::device`]. If the model has its
    /// management endpoint at a two-wire port, the address of this port is that of the device.
    pub fn settings(&self, bridge: Uuid) -> DeviceSettings {
        let mut model = self.model.clone();
        let port = model.ports.get_mut(usize::from(model.management_port.0));
        if let Some(PortKind::TwoWire(port)) = port.map(|port| &mut port.kind) {
            port.endpoint_address = self.address.as_byte();
        }
        DeviceSettings {
            uuid: self.uuid_behind(bridge),
            model,
            ..DeviceSettings::default()
        }
    }
}

/// What is wrong with a topology file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTopology {
    /// The first line is 1. `None`: the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong there.
    pub sentence: String,
}

impl Display for BadTopology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}

impl Topology {
    /// Reads a file. The model files that it names are found from its folder.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong with it, and where: `FILE, line N: ...`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = model_file::read_text(path, "topology");
        let text = text.map_err(|why| format!("{name}: {why}"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).map_err(|bad| match bad.line {
            Some(_) => format!("{name}, {bad}"),
            None => format!("{name}: {bad}"),
        })
    }

    /// Reads the text of a topology file, which is in this folder.
    ///
    /// # Errors
    ///
    /// When it is not one, or describes a topology that cannot be.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, BadTopology> {
        file::parse(text, folder)
    }
}

/// What the file describes: a line for the bridge, one for the bus, and one for each device.
impl Display for Topology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let endpoint_id = |id: Option<u8>| match id {
            Some(id) => format!(", static endpoint ID {id}"),
            None => String::new(),
        };
        let Self {
            bridge,
            bus,
            devices,
        } = self;
        write!(
            f,
            "bridge: upstream {}, pool of {}{}",
            bridge.upstream,
            bridge.pool_size,
            endpoint_id(bridge.endpoint_id)
        )?;
        if let Some(uuid) = bridge.uuid {
            write!(f, ", UUID {uuid}")?;
        }
        write!(
            f,
            "\nbus: {}, bridge at 0x{:02X}, devices: {}",
            bus.frequency,
            bus.address.as_byte(),
            devices.len()
        )?;
        for device in devices {
            write!(
                f,
                "\n{}: address 0x{:02X}{}, model {:?}{}",
                device.name,
                device.address.as_byte(),
                endpoint_id(device.endpoint_id),
                device.model.model_number,
                if device.plugged_in { "" } else { ", unplugged" }
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrong_files;
