//! The tables of a topology file, and their way to a [`Topology`].

use std::path::Path;

use mctp_i2c::{BusFrequency, TargetAddress};
use toml::de::{DeTable, DeValue};
use uuid::Uuid;

use super::keys::{Key, Keys, Value, bad_at};
use super::{
    BadTopology, BridgeSettings, BusSettings, DownstreamDevice, MOST_DEVICES, Topology, Upstream,
};
use crate::model_file::DeviceModel;

/// The lowest and the highest endpoint ID that can be assigned (DSP0236 1.3.3, table 2).
const ENDPOINT_IDS: (u8, u8) = (8, 254);

/// How many endpoint IDs there are beside those of the bus owner and of the bridge.
const LARGEST_POOL: u8 = ENDPOINT_IDS.1 - ENDPOINT_IDS.0 + 1 - 2;

/// The longest name of a device.
const LONGEST_NAME: usize = 32;

const fn key(name: &'static str, range: &'static str) -> Key {
    Key {
        name,
        range,
        why: "",
    }
}

const UPSTREAM: Key = Key {
    name: "upstream",
    range: "\"usb\" or \"serial\"",
    why: ": a bridge has one upstream port",
};
const POOL_SIZE: Key = key("pool_size", "1 to 245");
const ENDPOINT_ID: Key = key("endpoint_id", "8 to 254");
const UUID: Key = Key {
    name: "uuid",
    range: "a UUID such as \"0dc120b8-2b6f-5838-9376-c49252525ad8\"",
    why: ": it has 32 hex digits, and those of all 0 and all f name no device",
};
const ADDRESS: Key = Key {
    name: "address",
    range: "0x08 to 0x77",
    why: ": the other addresses of 7 bits are reserved",
};
const FREQUENCY: Key = key("frequency", "one of \"100 kHz\", \"400 kHz\" and \"1 MHz\"");
const NAME: Key = key("name", "a string of 1 to 32 of a-z, A-Z, 0-9, - and _");
const MODEL: Key = key(
    "model",
    "the path of a model file in quotes, or a table with the tables of one",
);
const SERIAL_NUMBER: Key = key(
    "serial_number",
    "a string of 1 to 20 printable ASCII characters",
);
const PLUGGED_IN: Key = key("plugged_in", "true or false");

const BRIDGE: Key = key("bridge", "the table [bridge], with upstream and pool_size");
const BUS: Key = key("bus", "the table [bus], with address and frequency");
const DEVICE: Key = key("device", "a list of 1 to 32 tables, [[device]]");

const FILE_KEYS: [Key; 3] = [BRIDGE, BUS, DEVICE];
const BRIDGE_KEYS: [Key; 4] = [UPSTREAM, POOL_SIZE, ENDPOINT_ID, UUID];
const BUS_KEYS: [Key; 2] = [ADDRESS, FREQUENCY];
const DEVICE_KEYS: [Key; 7] = [
    NAME,
    ADDRESS,
    ENDPOINT_ID,
    UUID,
    MODEL,
    SERIAL_NUMBER,
    PLUGGED_IN,
];

/// Reads the text of a topology file, which is in this folder.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Topology, BadTopology> {
    let file = DeTable::parse(text).map_err(|error| from_toml(text, &error))?;
    let file = Keys::new(text, "", file.get_ref(), 0, &FILE_KEYS)?;
    let bridge_keys = file.table(BRIDGE, &BRIDGE_KEYS)?;
    let bridge = bridge(&bridge_keys)?;
    let bus_keys = file.table(BUS, &BUS_KEYS)?;
    let bus = bus(&bus_keys)?;
    let tables = file.tables(DEVICE, &DEVICE_KEYS)?;
    if !(1..=MOST_DEVICES).contains(&tables.len()) {
        let found = format!("{} of them", tables.len());
        return Err(file.wrong_with(DEVICE, file.required(DEVICE)?, &found));
    }
    let devices = tables
        .iter()
        .map(|keys| device(text, folder, keys))
        .collect::<Result<Vec<_>, _>>()?;
    let topology = Topology {
        bridge,
        bus,
        devices,
    };
    check_differences(&bridge_keys, &bus_keys, &tables, &topology)?;
    check_pool(&bridge_keys, &topology)?;
    Ok(topology)
}

fn from_toml(text: &str, error: &toml::de::Error) -> BadTopology {
    let message = error.message().replace('\n', ", ");
    let Some(span) = error.span() else {
        return BadTopology {
            line: None,
            sentence: message,
        };
    };
    let from_key = text.get(span.start..).unwrap_or_default();
    let line = from_key.lines().next().unwrap_or_default().trim();
    let sentence = match line.split_once('=') {
        None if message == "duplicate key" => {
            let name = line.trim_end_matches(']');
            format!("the file has the table [{name}] already, and has it once")
        }
        Some((name, value)) if message == "duplicate key" => {
            let (name, value) = (name.trim(), value.trim());
            let known = [&FILE_KEYS[..], &BRIDGE_KEYS, &BUS_KEYS, &DEVICE_KEYS];
            let known = known.concat();
            let range = known.iter().find(|key| key.name == name);
            let range = range.map_or(String::new(), |key| {
                format!(": it is {}{}", key.range, key.why)
            });
            format!("{name} is in this table already, and here again with {value}{range}")
        }
        _ => message,
    };
    bad_at(text, span.start, sentence)
}

fn bridge(keys: &Keys<'_, '_>) -> Result<BridgeSettings, BadTopology> {
    let upstream = keys.required(UPSTREAM)?;
    let pool_size = keys.required(POOL_SIZE)?;
    Ok(BridgeSettings {
        upstream: keys.string(UPSTREAM, upstream, |text| match text {
            "usb" => Some(Upstream::Usb),
            "serial" => Some(Upstream::Serial),
            _ => None,
        })?,
        pool_size: keys.number(POOL_SIZE, pool_size, |size| {
            (1..=LARGEST_POOL).contains(&size).then_some(size)
        })?,
        endpoint_id: endpoint_id(keys)?,
        uuid: uuid(keys)?,
    })
}

fn bus(keys: &Keys<'_, '_>) -> Result<BusSettings, BadTopology> {
    let frequency = keys.required(FREQUENCY)?;
    Ok(BusSettings {
        address: address(keys)?,
        frequency: keys.string(FREQUENCY, frequency, |text| match text {
            "100 kHz" => Some(BusFrequency::Khz100),
            "400 kHz" => Some(BusFrequency::Khz400),
            "1 MHz" => Some(BusFrequency::Mhz1),
            _ => None,
        })?,
    })
}

fn device(text: &str, folder: &Path, keys: &Keys<'_, '_>) -> Result<DownstreamDevice, BadTopology> {
    let name = keys.required(NAME)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let name = keys.string(NAME, name, |name| {
        let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain);
        fits.then(|| name.to_owned())
    })?;
    let address = address(keys)?;
    let endpoint_id = endpoint_id(keys)?;
    let uuid = uuid(keys)?;
    let mut model = match keys.optional(MODEL) {
        Some(value) => model(text, folder, keys, value)?,
        None => DeviceModel::default(),
    };
    if let Some(value) = keys.optional(SERIAL_NUMBER) {
        let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
        let serial_number = keys.string(SERIAL_NUMBER, value, |text| {
            let fits = (1..=20).contains(&text.len()) && text.bytes().all(is_printable);
            fits.then(|| text.to_owned())
        })?;
        model.serial_number = Some(serial_number);
    }
    let plugged_in = keys.optional(PLUGGED_IN);
    let plugged_in = plugged_in.map(|value| keys.boolean(PLUGGED_IN, value));
    Ok(DownstreamDevice {
        name,
        address,
        endpoint_id,
        uuid,
        model,
        plugged_in: plugged_in.transpose()?.unwrap_or(true),
    })
}

fn model(
    text: &str,
    folder: &Path,
    keys: &Keys<'_, '_>,
    value: &Value<'_>,
) -> Result<DeviceModel, BadTopology> {
    match value.as_ref() {
        DeValue::String(path) => DeviceModel::read(&folder.join(path.as_ref()))
            .map_err(|why| keys.wrong_because(MODEL, value, &format!(": {why}"))),
        DeValue::Table(_) => {
            DeviceModel::parse_table(text, value.clone()).map_err(|bad| BadTopology {
                line: bad.line.or(Some(keys.line(value))),
                sentence: format!("device.model: {}", bad.sentence),
            })
        }
        _ => Err(keys.wrong(MODEL, value)),
    }
}

fn address(keys: &Keys<'_, '_>) -> Result<TargetAddress, BadTopology> {
    keys.number(ADDRESS, keys.required(ADDRESS)?, TargetAddress::new)
}

fn endpoint_id(keys: &Keys<'_, '_>) -> Result<Option<u8>, BadTopology> {
    let (lowest, highest) = ENDPOINT_IDS;
    let value = keys.optional(ENDPOINT_ID);
    let id = value.map(|value| {
        keys.number(ENDPOINT_ID, value, |id| {
            (lowest..=highest).contains(&id).then_some(id)
        })
    });
    id.transpose()
}

fn uuid(keys: &Keys<'_, '_>) -> Result<Option<Uuid>, BadTopology> {
    let value = keys.optional(UUID);
    let uuid = value.map(|value| {
        keys.string(UUID, value, |text| {
            let uuid = Uuid::try_parse(text).ok();
            uuid.filter(|uuid| !uuid.is_nil() && !uuid.is_max())
        })
    });
    uuid.transpose()
}

/// What must differ: a value of each device, compared with those of the devices before it and that
/// of the bridge.
struct Distinct<'k, 'f, 't, T> {
    key: Key,
    /// The table of the bridge that has the key, and its value.
    of_bridge: Option<(&'k Keys<'f, 't>, T)>,
}

impl<T: PartialEq> Distinct<'_, '_, '_, T> {
    fn check<'d>(
        self,
        tables: &[Keys<'_, '_>],
        devices: &'d [DownstreamDevice],
        value_of: impl Fn(&'d DownstreamDevice) -> Option<T>,
    ) -> Result<(), BadTopology> {
        let mut seen: Vec<(T, String)> = Vec::new();
        if let Some((keys, value)) = self.of_bridge {
            let line = keys.optional(self.key).map_or(0, |value| keys.line(value));
            seen.push((value, format!("the bridge (line {line})")));
        }
        for (keys, device) in tables.iter().zip(devices) {
            let (Some(written), Some(value)) = (keys.optional(self.key), value_of(device)) else {
                continue;
            };
            if let Some((_, owner)) = seen.iter().find(|(other, _)| *other == value) {
                let why = format!(", which {owner} has");
                return Err(keys.wrong_because(self.key, written, &why));
            }
            let line = keys.line(written);
            seen.push((value, format!("the device {:?} (line {line})", device.name)));
        }
        Ok(())
    }
}

fn check_differences<'t>(
    bridge_keys: &Keys<'_, 't>,
    bus_keys: &Keys<'_, 't>,
    tables: &[Keys<'_, '_>],
    topology: &Topology,
) -> Result<(), BadTopology> {
    let Topology {
        bridge,
        bus,
        devices,
    } = topology;
    let name = Distinct {
        key: NAME,
        of_bridge: None,
    };
    name.check(tables, devices, |device| Some(&device.name))?;
    let address = Distinct {
        key: ADDRESS,
        of_bridge: Some((bus_keys, bus.address)),
    };
    address.check(tables, devices, |device| Some(device.address))?;
    let endpoint_id = Distinct {
        key: ENDPOINT_ID,
        of_bridge: bridge.endpoint_id.map(|id| (bridge_keys, id)),
    };
    endpoint_id.check(tables, devices, |device| device.endpoint_id)?;
    let uuid = Distinct {
        key: UUID,
        of_bridge: bridge.uuid.map(|uuid| (bridge_keys, uuid)),
    };
    uuid.check(tables, devices, |device| device.uuid)?;
    check_serial_numbers(tables, devices)
}

/// A serial number comes from its key or from the model, so that it is compared apart.
fn check_serial_numbers(
    tables: &[Keys<'_, '_>],
    devices: &[DownstreamDevice],
) -> Result<(), BadTopology> {
    for (index, (keys, device)) in tables.iter().zip(devices).enumerate() {
        let Some(serial_number) = &device.model.serial_number else {
            continue;
        };
        let mut before = devices.iter().take(index);
        let same = before.find(|other| {
            other.model.serial_number.as_ref() == Some(serial_number)
                && other.model.model_number == device.model.model_number
        });
        let Some(other) = same else { continue };
        let written = keys
            .optional(SERIAL_NUMBER)
            .map_or(keys.required(MODEL), Ok)?;
        let line = keys.line(written);
        let range = SERIAL_NUMBER.range;
        let (name, model) = (&other.name, &device.model.model_number);
        return Err(BadTopology {
            line: Some(line),
            sentence: format!(
                "device.serial_number is {range}, not {serial_number:?}, which {name:?} of the model {model:?} has"
            ),
        });
    }
    Ok(())
}

/// Each device that has no endpoint ID of its own takes one of the pool; the others leave fewer.
fn check_pool(keys: &Keys<'_, '_>, topology: &Topology) -> Result<(), BadTopology> {
    let devices = &topology.devices;
    let fixed = devices.iter().filter(|device| device.endpoint_id.is_some());
    let fixed = fixed.count();
    let least = devices.len().saturating_sub(fixed).max(1);
    let most = usize::from(LARGEST_POOL).saturating_sub(fixed);
    if (least..=most).contains(&usize::from(topology.bridge.pool_size)) {
        return Ok(());
    }
    let sentence = format!(
        "bridge.pool_size is {least} to {most}, not {}: {fixed} of {} devices have an endpoint_id, the others need one",
        topology.bridge.pool_size,
        devices.len()
    );
    Err(keys.bad(keys.required(POOL_SIZE)?, sentence))
}
