//! Finding out what a device is (USB 2.0, sections 9.4 and 9.6), in the order in which Linux asks.

use super::guest::{Guest, UsbError};

const GET_DESCRIPTOR: u8 = 6;
const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;

/// US English, the language that every device with strings has.
const ENGLISH: u16 = 0x0409;

/// Why the host does not take the device.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnumerationError {
    /// A request failed.
    #[error("{what}: {error}")]
    Request {
        /// What was asked for.
        what: String,
        /// What came instead.
        error: UsbError,
    },
    /// A descriptor breaks the rules of USB.
    #[error("{0}")]
    Malformed(String),
}

/// The device descriptor (section 9.6.1) with its strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDescriptor {
    /// bcdUSB.
    pub usb_version: u16,
    /// bDeviceClass, bDeviceSubClass and bDeviceProtocol.
    pub class: [u8; 3],
    /// bMaxPacketSize0.
    pub max_packet_size_0: u8,
    /// idVendor.
    pub vendor_id: u16,
    /// idProduct.
    pub product_id: u16,
    /// bcdDevice.
    pub device_version: u16,
    /// The string of iManufacturer.
    pub manufacturer: String,
    /// The string of iProduct.
    pub product: String,
    /// The string of iSerialNumber.
    pub serial_number: String,
    /// bNumConfigurations.
    pub configurations: u8,
}

/// The configuration descriptor (section 9.6.3) and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationDescriptor {
    /// bConfigurationValue.
    pub value: u8,
    /// Bit 6 of bmAttributes.
    pub self_powered: bool,
    /// bMaxPower, in milliamperes.
    pub max_power_ma: u16,
    /// Every alternate setting of every interface.
    pub interfaces: Vec<InterfaceDescriptor>,
}

/// An interface descriptor (section 9.6.5) and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceDescriptor {
    /// bInterfaceNumber.
    pub number: u8,
    /// bAlternateSetting.
    pub alternate_setting: u8,
    /// bInterfaceClass, bInterfaceSubClass and bInterfaceProtocol.
    pub class: [u8; 3],
    /// The string of iInterface.
    pub name: String,
    /// The endpoints, without endpoint 0.
    pub endpoints: Vec<EndpointDescriptor>,
    name_index: u8,
    endpoint_count: u8,
}

/// An endpoint descriptor (section 9.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointDescriptor {
    /// bEndpointAddress: bit 7 for IN.
    pub address: u8,
    /// bmAttributes, bits 1:0: 2 for bulk.
    pub transfer_type: u8,
    /// wMaxPacketSize.
    pub max_packet_size: u16,
}

impl EndpointDescriptor {
    /// Whether it is a bulk endpoint, IN or OUT.
    pub fn is_bulk(&self, input: bool) -> bool {
        self.transfer_type == 2 && (self.address & 0x80 != 0) == input
    }
}

/// All that a host knows of a device when it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// What the device is.
    pub device: DeviceDescriptor,
    /// What it does.
    pub configuration: ConfigurationDescriptor,
}

/// Resets the device, reads its descriptors and chooses its first configuration.
///
/// # Errors
///
/// When a request fails or a descriptor breaks the rules.
pub async fn enumerate(guest: &Guest) -> Result<Enumeration, EnumerationError> {
    guest.reset();
    // The first eight bytes say how large packets on endpoint 0 may be; then it is done in earnest.
    descriptor(guest, DEVICE, 0, 0, 8).await?;
    guest.reset();
    let device = read_device(guest).await?;
    let head = descriptor(guest, CONFIGURATION, 0, 0, 9).await?;
    let total = configuration_length(&head)?;
    let bytes = descriptor(guest, CONFIGURATION, 0, 0, total).await?;
    let mut configuration = parse_configuration(&bytes)?;
    for interface in &mut configuration.interfaces {
        interface.name = string(guest, interface.name_index).await?;
    }
    guest
        .set_configuration(configuration.value)
        .await
        .map_err(|error| EnumerationError::Request {
            what: "SET_CONFIGURATION".into(),
            error,
        })?;
    Ok(Enumeration {
        device,
        configuration,
    })
}

async fn read_device(guest: &Guest) -> Result<DeviceDescriptor, EnumerationError> {
    let bytes = descriptor(guest, DEVICE, 0, 0, 18).await?;
    let mut device = parse_device(&bytes)?;
    let [manufacturer, product, serial_number] = [bytes[14], bytes[15], bytes[16]];
    device.manufacturer = string(guest, manufacturer).await?;
    device.product = string(guest, product).await?;
    device.serial_number = string(guest, serial_number).await?;
    Ok(device)
}

async fn descriptor(
    guest: &Guest,
    kind: u8,
    index: u8,
    language: u16,
    length: u16,
) -> Result<Vec<u8>, EnumerationError> {
    let value = u16::from_be_bytes([kind, index]);
    let request = guest.control_in(0, GET_DESCRIPTOR, value, language, length);
    let bytes = request.await.map_err(|error| EnumerationError::Request {
        what: format!("GET_DESCRIPTOR of type {kind}"),
        error,
    })?;
    if bytes.get(1) != Some(&kind) || bytes.len() > length.into() {
        return malformed(format!(
            "GET_DESCRIPTOR of type {kind} returned something else"
        ));
    }
    Ok(bytes)
}

async fn string(guest: &Guest, index: u8) -> Result<String, EnumerationError> {
    if index == 0 {
        return Ok(String::new());
    }
    let bytes = descriptor(guest, STRING, index, ENGLISH, 255).await?;
    if usize::from(bytes[0]) != bytes.len() || bytes.len() % 2 != 0 {
        return malformed(format!("string {index} has another length than it says"));
    }
    let units: Vec<_> = bytes[2..]
        .chunks(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    String::from_utf16(&units).or_else(|_| malformed(format!("string {index} is not UTF-16")))
}

fn parse_device(bytes: &[u8]) -> Result<DeviceDescriptor, EnumerationError> {
    if bytes.len() != 18 || bytes[0] != 18 {
        return malformed("the device descriptor does not have 18 bytes".into());
    }
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    Ok(DeviceDescriptor {
        usb_version: word(2),
        class: [bytes[4], bytes[5], bytes[6]],
        max_packet_size_0: bytes[7],
        vendor_id: word(8),
        product_id: word(10),
        device_version: word(12),
        manufacturer: String::new(),
        product: String::new(),
        serial_number: String::new(),
        configurations: bytes[17],
    })
}

fn configuration_length(head: &[u8]) -> Result<u16, EnumerationError> {
    match head {
        [9, CONFIGURATION, low, high, ..] => Ok(u16::from_le_bytes([*low, *high])),
        _ => malformed("the configuration descriptor does not have 9 bytes".into()),
    }
}

fn parse_configuration(bytes: &[u8]) -> Result<ConfigurationDescriptor, EnumerationError> {
    if usize::from(configuration_length(bytes)?) != bytes.len() || bytes.len() < 9 {
        return malformed("wTotalLength is not the length of the configuration".into());
    }
    let mut configuration = ConfigurationDescriptor {
        value: bytes[5],
        self_powered: bytes[7] & 0x40 != 0,
        max_power_ma: u16::from(bytes[8]) * 2,
        interfaces: Vec::new(),
    };
    let mut rest = &bytes[9..];
    while let [length, ..] = *rest {
        let Some((one, after)) = rest.split_at_checked(length.into()).filter(|_| length >= 2)
        else {
            return malformed(
                "a descriptor in the configuration is longer or shorter than it may be".into(),
            );
        };
        parse_inner(one, &mut configuration.interfaces)?;
        rest = after;
    }
    let mut numbers: Vec<_> = configuration
        .interfaces
        .iter()
        .map(|interface| interface.number)
        .collect();
    numbers.dedup();
    if numbers.len() != bytes[4].into() {
        return malformed("bNumInterfaces is not the number of interfaces".into());
    }
    for interface in &configuration.interfaces {
        if interface.endpoints.len() != interface.endpoint_count.into() {
            return malformed("bNumEndpoints is not the number of endpoints".into());
        }
    }
    Ok(configuration)
}

/// Interfaces and endpoints; others are for class drivers.
fn parse_inner(
    bytes: &[u8],
    interfaces: &mut Vec<InterfaceDescriptor>,
) -> Result<(), EnumerationError> {
    match *bytes {
        [
            9,
            INTERFACE,
            number,
            alternate_setting,
            endpoint_count,
            class,
            subclass,
            protocol,
            name_index,
        ] => {
            interfaces.push(InterfaceDescriptor {
                number,
                alternate_setting,
                class: [class, subclass, protocol],
                name: String::new(),
                endpoints: Vec::new(),
                name_index,
                endpoint_count,
            });
            Ok(())
        }
        [7, ENDPOINT, address, attributes, low, high, _] => {
            let Some(interface) = interfaces.last_mut() else {
                return malformed("an endpoint before any interface".into());
            };
            interface.endpoints.push(EndpointDescriptor {
                address,
                transfer_type: attributes & 3,
                max_packet_size: u16::from_le_bytes([low, high]),
            });
            Ok(())
        }
        [_, INTERFACE | ENDPOINT, ..] => {
            malformed("an interface or endpoint of a strange length".into())
        }
        _ => Ok(()),
    }
}

fn malformed<T>(what: String) -> Result<T, EnumerationError> {
    Err(EnumerationError::Malformed(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION_BYTES: [u8; 32] = [
        9, 2, 32, 0, 1, 1, 0, 0xC0, 50, // configuration 1, self-powered, 100 mA
        9, 4, 0, 0, 2, 0x14, 0x00, 0x01, 0, // interface 0, MCTP
        7, 5, 0x01, 2, 0x00, 0x02, 0, // bulk OUT, 512
        7, 5, 0x81, 2, 0x00, 0x02, 0, // bulk IN, 512
    ];

    #[test]
    fn a_configuration_is_read_field_by_field() {
        let configuration = parse_configuration(&CONFIGURATION_BYTES).unwrap();
        assert!(configuration.self_powered);
        assert_eq!((configuration.value, configuration.max_power_ma), (1, 100));
        let [interface] = &configuration.interfaces[..] else {
            panic!()
        };
        assert_eq!(interface.class, [0x14, 0, 1]);
        assert!(interface.endpoints[0].is_bulk(false) && interface.endpoints[1].is_bulk(true));
        assert_eq!(interface.endpoints[1].max_packet_size, 512);
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused() {
        for (at, value) in [
            (0, 8),
            (2, 31),
            (4, 2),
            (9, 0),
            (13, 3),
            (18, 9),
            (25, 8),
            (10, 5),
        ] {
            let mut bytes = CONFIGURATION_BYTES;
            bytes[at] = value;
            assert!(parse_configuration(&bytes).is_err(), "byte {at}");
        }
        assert!(parse_configuration(&CONFIGURATION_BYTES[..31]).is_err());
    }

    #[test]
    fn a_device_descriptor_has_18_bytes() {
        assert!(parse_device(&[0; 18]).is_err());
        assert!(parse_device(&[18; 17]).is_err());
        let mut bytes = [0; 18];
        bytes[0] = 18;
        bytes[8..10].copy_from_slice(&[0xDE, 0xCC]);
        assert_eq!(parse_device(&bytes).unwrap().vendor_id, 0xCCDE);
    }
}
