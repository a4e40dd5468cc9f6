//! What the driver learns from the device's own descriptors (USB 2.0, section 9.6) before it takes
//! requests of the host.

use heapless::Vec;

/// How many alternate settings of all interfaces are kept: as many as usbredir can announce.
pub(crate) const MAX_SETTINGS: usize = 32;

/// bDescriptorType of an interface.
const INTERFACE: u8 = 4;
/// bDescriptorType of an endpoint.
const ENDPOINT: u8 = 5;

/// What the device descriptor says.
#[derive(Clone, Copy)]
pub(crate) struct Device {
    /// Class, subclass and protocol.
    pub(crate) class: [u8; 3],
    pub(crate) vendor_id: u16,
    pub(crate) product_id: u16,
    /// bcdDevice.
    pub(crate) version: u16,
    /// bNumConfigurations.
    pub(crate) configurations: u8,
}

/// One alternate setting of one interface.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) interface: u8,
    pub(crate) alt_setting: u8,
    /// Class, subclass and protocol.
    pub(crate) class: [u8; 3],
}

/// The device as its descriptors describe it, and which alternate settings are chosen.
pub(crate) struct Descriptors {
    device: Device,
    settings: Vec<Setting, MAX_SETTINGS>,
    /// The interface of each endpoint: the 16 OUT, then the 16 IN.
    interface: [u8; 32],
    /// The chosen alternate setting of each interface number.
    chosen: [u8; MAX_SETTINGS],
}

impl Descriptors {
    pub(crate) const fn new() -> Self {
        Self {
            device: Device {
                class: [0; 3],
                vendor_id: 0,
                product_id: 0,
                version: 0,
                configurations: 0,
            },
            settings: Vec::new(),
            interface: [0; 32],
            chosen: [0; MAX_SETTINGS],
        }
    }

    /// Takes a device descriptor; one that is too short changes nothing.
    pub(crate) fn learn_device(&mut self, bytes: &[u8]) {
        let &[
            _,
            _,
            _,
            _,
            class,
            subclass,
            protocol,
            _,
            v0,
            v1,
            p0,
            p1,
            d0,
            d1,
            _,
            _,
            _,
            configurations,
            ..,
        ] = bytes
        else {
            return;
        };
        self.device = Device {
            class: [class, subclass, protocol],
            vendor_id: u16::from_le_bytes([v0, v1]),
            product_id: u16::from_le_bytes([p0, p1]),
            version: u16::from_le_bytes([d0, d1]),
            configurations,
        };
    }

    /// Takes a configuration descriptor with all that follows it. Settings beyond 32 are not
    /// announced.
    pub(crate) fn learn_configuration(&mut self, mut bytes: &[u8]) {
        self.settings.clear();
        self.reset();
        let mut current = 0;
        while let Some((descriptor, rest)) = split_descriptor(bytes) {
            match *descriptor {
                [
                    _,
                    INTERFACE,
                    interface,
                    alt_setting,
                    _,
                    class,
                    subclass,
                    protocol,
                    ..,
                ] => {
                    current = interface;
                    let class = [class, subclass, protocol];
                    let _ = self.settings.push(Setting {
                        interface,
                        alt_setting,
                        class,
                    });
                }
                [_, ENDPOINT, address, ..] => {
                    if let Some(interface) = self.interface.get_mut(place(address)) {
                        *interface = current;
                    }
                }
                _ => {}
            }
            bytes = rest;
        }
    }

    /// Back to alternate setting 0 everywhere.
    pub(crate) fn reset(&mut self) {
        self.chosen = [0; MAX_SETTINGS];
    }

    pub(crate) fn choose(&mut self, interface: u8, alt_setting: u8) {
        if let Some(chosen) = self.chosen.get_mut(usize::from(interface)) {
            *chosen = alt_setting;
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The chosen alternate setting of each interface.
    pub(crate) fn chosen_settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| {
            self.chosen
                .get(usize::from(setting.interface))
                .copied()
                .unwrap_or(0)
                == setting.alt_setting
        })
    }

    /// Class, subclass and protocol of each interface in its first setting.
    pub(crate) fn first_settings(&self) -> impl Iterator<Item = [u8; 3]> {
        let first = self
            .settings
            .iter()
            .filter(|setting| setting.alt_setting == 0);
        first.map(|setting| setting.class)
    }

    /// The interface that an endpoint belongs to.
    pub(crate) fn interface_of(&self, address: u8) -> u8 {
        self.interface.get(place(address)).copied().unwrap_or(0)
    }
}

/// Where the interface of an endpoint stands.
const fn place(address: u8) -> usize {
    let is_in = address & 0x80 != 0;
    (address & 0x0F | if is_in { 0x10 } else { 0 }) as usize
}

/// The first descriptor and what follows; `None` at the end, or when the length is wrong.
fn split_descriptor(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.first()?);
    if length < 2 {
        None
    } else {
        bytes.split_at_checked(length)
    }
}
