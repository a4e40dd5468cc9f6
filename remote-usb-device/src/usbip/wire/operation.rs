//! What a client asks before it has a device.

use crate::copy::copy;

/// The version of the protocol, 1.1.1: in every operation of either side.
pub const VERSION: u16 = 0x0111;
/// The length of what every operation begins with, in bytes.
pub const OPERATION_LENGTH: usize = 8;
/// The length of a bus ID, NUL padding included, in bytes.
pub const BUS_ID_LENGTH: usize = 32;
/// The length of a [`Device`], in bytes.
pub const DEVICE_LENGTH: usize = 312;
/// The length of a whole import request, in bytes.
pub const IMPORT_REQUEST_LENGTH: usize = OPERATION_LENGTH + BUS_ID_LENGTH;

const REQUEST: u16 = 0x8000;
const IMPORT: u16 = 3;
const DEVICE_LIST: u16 = 5;

/// What a client can ask. A connection has one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Operation {
    /// To have the device of the bus ID that follows, in [`BUS_ID_LENGTH`] bytes. The reply has a
    /// [`Device`] after it if it is [`OperationStatus::Ok`], and the connection stays.
    Import,
    /// Which devices there are. The reply has their number in four bytes, and for each a [`Device`]
    /// and four bytes for each interface: class, subclass, protocol, 0.
    DeviceList,
}

/// How an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OperationStatus {
    /// 0.
    Ok,
    /// 1: the device is not there.
    NotAvailable,
    /// 2: another client has it.
    InUse,
    /// 4: there is no device with this bus ID.
    NoDevice,
}

impl Operation {
    /// Reads the beginning of a request; `None` when it is another operation. The version is not
    /// looked at.
    ///
    /// | offset | size | field |
    /// |---|---|---|
    /// | 0 | 2 | version |
    /// | 2 | 2 | 8003h import, 8005h list; without the highest bit in a reply |
    /// | 4 | 4 | status: 0 in a request |
    pub fn parse(bytes: &[u8; OPERATION_LENGTH]) -> Option<Self> {
        let [_, _, high, low, ..] = *bytes;
        match u16::from_be_bytes([high, low]) {
            code if code == REQUEST | IMPORT => Some(Self::Import),
            code if code == REQUEST | DEVICE_LIST => Some(Self::DeviceList),
            _ => None,
        }
    }

    /// The beginning of the request.
    pub fn request(self) -> [u8; OPERATION_LENGTH] {
        self.begin(REQUEST | self.number(), 0)
    }

    /// The beginning of the reply.
    pub fn reply(self, status: OperationStatus) -> [u8; OPERATION_LENGTH] {
        let status = match status {
            OperationStatus::Ok => 0,
            OperationStatus::NotAvailable => 1,
            OperationStatus::InUse => 2,
            OperationStatus::NoDevice => 4,
        };
        self.begin(self.number(), status)
    }

    fn number(self) -> u16 {
        match self {
            Self::Import => IMPORT,
            Self::DeviceList => DEVICE_LIST,
        }
    }

    fn begin(self, code: u16, status: u8) -> [u8; OPERATION_LENGTH] {
        let ([v0, v1], [c0, c1]) = (VERSION.to_be_bytes(), code.to_be_bytes());
        [v0, v1, c0, c1, 0, 0, 0, status]
    }
}

/// A device in a reply.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 256 | path, NUL padded |
/// | 256 | 32 | bus ID, NUL padded |
/// | 288 | 4 | bus number |
/// | 292 | 4 | device number |
/// | 296 | 4 | speed: 1 low, 2 full, 3 high |
/// | 300 | 6 | idVendor, idProduct, bcdDevice |
/// | 306 | 3 | bDeviceClass, bDeviceSubClass, bDeviceProtocol |
/// | 309 | 1 | configuration value in force, 0 if none |
/// | 310 | 1 | number of configurations |
/// | 311 | 1 | number of interfaces |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Device<'a> {
    /// Where the device is, for people; 255 bytes at most.
    pub path: &'a str,
    /// By which it is imported; 31 bytes at most.
    pub bus_id: &'a str,
    /// Bus number.
    pub bus: u32,
    /// Device number.
    pub device: u32,
    /// 1 low, 2 full, 3 high.
    pub speed: u32,
    /// idVendor, idProduct and bcdDevice.
    pub ids: [u16; 3],
    /// bDeviceClass, bDeviceSubClass and bDeviceProtocol.
    pub class: [u8; 3],
    /// The configuration in force.
    pub configuration: u8,
    /// bNumConfigurations.
    pub configurations: u8,
    /// bNumInterfaces.
    pub interfaces: u8,
}

impl Device<'_> {
    /// Writes it.
    pub fn emit(&self) -> [u8; DEVICE_LENGTH] {
        let text = |text: &str, length: usize| {
            let bytes = text.bytes().take(length.saturating_sub(1));
            let mut field = [0; 256];
            for (to, from) in field.iter_mut().zip(bytes) {
                *to = from;
            }
            field.into_iter().take(length)
        };
        let numbers = [self.bus, self.device, self.speed];
        let last = [self.configuration, self.configurations, self.interfaces];
        let fields = text(self.path, 256)
            .chain(text(self.bus_id, BUS_ID_LENGTH))
            .chain(numbers.into_iter().flat_map(u32::to_be_bytes))
            .chain(self.ids.into_iter().flat_map(u16::to_be_bytes))
            .chain(self.class)
            .chain(last);
        let mut bytes = [0; DEVICE_LENGTH];
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}

/// Whether this is the field for that bus ID.
pub(crate) fn is_bus_id(field: &[u8; BUS_ID_LENGTH], bus_id: &str) -> bool {
    let mut expected = [0; BUS_ID_LENGTH];
    copy(bus_id.as_bytes(), &mut expected);
    // What stands behind the first NUL means nothing.
    let length = bus_id.len().saturating_add(1);
    field.get(..length) == expected.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `usbip list` and `usbip attach` of Debian took. Do not change this test.
    #[test]
    fn operations_are_those_of_the_linux_tool() {
        let list = [0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0];
        let import = [0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0];
        assert_eq!(Operation::parse(&list), Some(Operation::DeviceList));
        assert_eq!(Operation::parse(&import), Some(Operation::Import));
        assert_eq!(Operation::DeviceList.request(), list);
        assert_eq!(Operation::Import.request(), import);
        assert_eq!(
            Operation::DeviceList.reply(OperationStatus::Ok),
            [0x01, 0x11, 0, 5, 0, 0, 0, 0]
        );
        assert_eq!(
            Operation::Import.reply(OperationStatus::NoDevice),
            [0x01, 0x11, 0, 3, 0, 0, 0, 4]
        );
        for code in [0x8002u16, 0x8004, 0x0003, 0x0005, 0] {
            let [high, low] = code.to_be_bytes();
            assert_eq!(
                Operation::parse(&[1, 0x11, high, low, 0, 0, 0, 0]),
                None,
                "{code:x}"
            );
        }
    }

    #[test]
    fn device_is_the_block_that_the_tool_reads() {
        let device = Device {
            path: "/sys/devices/virtual",
            bus_id: "1-1",
            bus: 1,
            device: 2,
            speed: 3,
            ids: [0xCCDE, 0, 0x0100],
            class: [0; 3],
            configuration: 0,
            configurations: 1,
            interfaces: 1,
        };
        let bytes = device.emit();
        assert!(bytes.starts_with(b"/sys/devices/virtual\0"));
        assert!(bytes[20..256].iter().all(|byte| *byte == 0));
        assert!(bytes[256..].starts_with(b"1-1\0"));
        let numbers = [
            0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xCC, 0xDE, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1,
        ];
        assert_eq!(bytes[288..], numbers);
        let long = "x".repeat(300);
        let bytes = Device {
            path: &long,
            bus_id: &long,
            ..device
        };
        let bytes = bytes.emit();
        assert_eq!(
            (bytes[254], bytes[255], bytes[286], bytes[287]),
            (b'x', 0, b'x', 0)
        );
    }

    #[test]
    fn bus_ids_are_the_same_up_to_their_end() {
        let mut field = [0; BUS_ID_LENGTH];
        field[..3].copy_from_slice(b"1-1");
        assert!(is_bus_id(&field, "1-1"));
        field[4] = b'x';
        assert!(is_bus_id(&field, "1-1"));
        field[3] = b'1';
        assert!(!is_bus_id(&field, "1-1"));
        assert!(!is_bus_id(&[0; BUS_ID_LENGTH], "1-1"));
    }
}
