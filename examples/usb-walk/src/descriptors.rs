//! What a device says of itself (USB 2.0, section 9.6), as far as its answers depend on it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use crate::host::{Host, Outcome, setup};

const CONFIGURATION: u8 = 2;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const ASSOCIATION: u8 = 11;

/// A device with one configuration.
#[derive(Clone, Debug)]
pub struct Device {
    /// The device descriptor.
    pub descriptor: Vec<u8>,
    /// The configuration descriptor and all that comes with it.
    pub configuration: Vec<u8>,
    /// The indices of strings that a descriptor names.
    pub strings: BTreeSet<u8>,
    /// The endpoints of each alternate setting of each interface.
    pub interfaces: BTreeMap<u8, Vec<Vec<u8>>>,
}

impl Device {
    /// Reads the descriptors.
    ///
    /// # Errors
    ///
    /// When the device has none, or they break the rules.
    pub fn read(host: &mut impl Host) -> Result<Self> {
        let descriptor = read(host, 1, 18)?;
        ensure!(
            descriptor.len() == 18 && descriptor[..2] == [18, 1],
            "no device descriptor: {descriptor:02x?}"
        );
        ensure!(
            descriptor[17] == 1,
            "{} configurations, and this program knows one",
            descriptor[17]
        );
        let header = read(host, CONFIGURATION, 9)?;
        ensure!(
            header.len() == 9 && header[1] == CONFIGURATION,
            "no configuration descriptor: {header:02x?}"
        );
        let configuration = read(
            host,
            CONFIGURATION,
            u16::from_le_bytes([header[2], header[3]]),
        )?;
        let interfaces = interfaces(&configuration)?;
        ensure!(
            interfaces.len() == usize::from(configuration[4]),
            "bNumInterfaces is not their number"
        );
        let strings = strings(&descriptor, &configuration);
        Ok(Self {
            descriptor,
            configuration,
            strings,
            interfaces,
        })
    }

    /// bConfigurationValue.
    pub fn configuration_value(&self) -> u8 {
        self.configuration[5]
    }

    /// bmAttributes, bit 6.
    pub fn is_self_powered(&self) -> bool {
        self.configuration[7] & 0x40 != 0
    }

    /// bmAttributes, bit 5.
    pub fn can_wake_the_host(&self) -> bool {
        self.configuration[7] & 0x20 != 0
    }

    /// The endpoints of the first alternate settings.
    pub fn endpoints(&self) -> impl Iterator<Item = u8> {
        self.interfaces
            .values()
            .flat_map(|settings| settings[0].iter().copied())
    }

    /// The first bulk endpoint that goes in (`IN`, 0x80) or out (0).
    pub fn bulk_endpoint(&self, direction: u8) -> Option<u8> {
        let endpoints = parts(&self.configuration).filter(|part| part[1] == ENDPOINT);
        let bulk = endpoints.filter(|part| part[3] & 3 == 2 && part[2] & 0x80 == direction);
        bulk.map(|part| part[2]).next()
    }
}

fn read(host: &mut impl Host, kind: u8, length: u16) -> Result<Vec<u8>> {
    let request = setup(0x80, 6, u16::from(kind) << 8, 0, length);
    match host
        .control(request, &[])
        .with_context(|| format!("descriptor {kind}"))?
    {
        Outcome::Done(bytes) => Ok(bytes),
        Outcome::Stall => anyhow::bail!("descriptor {kind} is refused"),
    }
}

fn strings(descriptor: &[u8], configuration: &[u8]) -> BTreeSet<u8> {
    let of_parts = parts(configuration).filter_map(|part| match part[1] {
        CONFIGURATION => part.get(6),
        INTERFACE => part.get(8),
        ASSOCIATION => part.get(7),
        _ => None,
    });
    let named = descriptor[14..17].iter().chain(of_parts);
    named.copied().filter(|index| *index != 0).collect()
}

/// The descriptors, one by one.
fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(*rest.first()?);
        let (part, after) = rest.split_at_checked(length.max(2))?;
        rest = after;
        Some(part)
    })
}

fn interfaces(configuration: &[u8]) -> Result<BTreeMap<u8, Vec<Vec<u8>>>> {
    let mut interfaces: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
    let mut current = None;
    for part in parts(configuration) {
        match part[1] {
            INTERFACE => {
                let settings = interfaces.entry(part[2]).or_default();
                ensure!(
                    settings.len() == usize::from(part[3]),
                    "alternate settings out of order"
                );
                settings.push(Vec::new());
                current = Some(part[2]);
            }
            ENDPOINT => {
                let interface = current.context("an endpoint before the first interface")?;
                let settings = interfaces
                    .get_mut(&interface)
                    .context("no such interface")?;
                settings
                    .last_mut()
                    .context("no alternate setting")?
                    .push(part[2]);
            }
            _ => {}
        }
    }
    Ok(interfaces)
}
