//! Who the device is, and an identity that stays the same for the life of the chip, without storing
//! anything.
//!
//! The UUID of [`uuid_from_unique_id`] is a name-based one, version 5 (RFC 9562, section 5.5): its
//! name is the chip's unique ID, its namespace is [`NAMESPACE`]. Anyone can repeat the derivation,
//! for example to print labels before a board is switched on:
//!
//! ```
//! use reference_device::{NAMESPACE, uuid_from_unique_id};
//! use uuid::Uuid;
//!
//! let unique_id = *b"\x3e\x00\x1f\x00\x0f\x51\x33\x32\x38\x35\x32\x37";
//! let expected = Uuid::new_v5(&Uuid::from_bytes(NAMESPACE), &unique_id);
//! assert_eq!(uuid_from_unique_id(&unique_id), expected.into_bytes());
//! ```
//!
//! A hash, rather than the ID's own bytes, because the USB serial number is the beginning of the
//! UUID: chips of one wafer differ in a few bits of their ID, and every digit of the serial number
//! should depend on all of them.

use nvme_mi_responder::Vendor;

mod sha1;

/// The USB serial number: 12 hexadecimal digits.
pub type SerialNumber = heapless::String<12>;

/// Device class, subclass and protocol of a composite device whose interfaces are grouped
/// (Interface Association Descriptor ECN, table 1-1).
const GROUPED: [u8; 3] = [0xEF, 0x02, 0x01];

/// Who the device is: to MCTP by its UUID, to USB by the rest and the serial number, which is the
/// first 12 hexadecimal digits of the UUID.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The UUID, most significant byte first. It must never change.
    pub uuid: [u8; 16],
    /// USB vendor ID.
    pub vendor_id: u16,
    /// USB product ID.
    pub product_id: u16,
    /// USB manufacturer string.
    pub manufacturer: &'a str,
    /// USB product string.
    pub product: &'a str,
}

impl<'a> Identity<'a> {
    /// An identity for development, VID:PID ccde:0000. Not for products: they need a vendor ID of
    /// their own.
    pub const fn for_development(uuid: [u8; 16]) -> Self {
        Self {
            uuid,
            vendor_id: 0xCCDE,
            product_id: 0x0000,
            manufacturer: "MCTP",
            product: "MCTP reference device",
        }
    }

    /// The identity that the build environment names; what it does not name is that of
    /// [`for_development`](Self::for_development).
    ///
    /// | variable | means | is |
    /// |-|-|-|
    /// | `MCTP_USB_VID` | USB vendor ID | one to four hexadecimal digits |
    /// | `MCTP_USB_PID` | USB product ID | one to four hexadecimal digits |
    /// | `MCTP_USB_MANUFACTURER` | USB manufacturer string | at most 62 bytes |
    /// | `MCTP_USB_PRODUCT` | USB product string | the same |
    ///
    /// Anything else is an error of the build, which says so.
    pub const fn from_build(uuid: [u8; 16]) -> Self {
        const BUILT: Identity<'static> = {
            let default = Identity::for_development([0; 16]);
            Identity {
                vendor_id: match option_env!("MCTP_USB_VID") {
                    None => default.vendor_id,
                    Some(text) => match Vendor::parse_pci_id(text) {
                        Some(id) => id,
                        None => panic!("MCTP_USB_VID is not one to four hexadecimal digits"),
                    },
                },
                product_id: match option_env!("MCTP_USB_PID") {
                    None => default.product_id,
                    Some(text) => match Vendor::parse_pci_id(text) {
                        Some(id) => id,
                        None => panic!("MCTP_USB_PID is not one to four hexadecimal digits"),
                    },
                },
                manufacturer: match option_env!("MCTP_USB_MANUFACTURER") {
                    None => default.manufacturer,
                    Some(text) if fits_string_descriptor(text) => text,
                    Some(_) => panic!("MCTP_USB_MANUFACTURER is longer than 62 bytes"),
                },
                product: match option_env!("MCTP_USB_PRODUCT") {
                    None => default.product,
                    Some(text) if fits_string_descriptor(text) => text,
                    Some(_) => panic!("MCTP_USB_PRODUCT is longer than 62 bytes"),
                },
                ..default
            }
        };
        Self { uuid, ..BUILT }
    }

    /// The USB serial number: the first 12 hexadecimal digits of the UUID.
    pub fn serial_number(&self) -> SerialNumber {
        let mut serial_number = SerialNumber::new();
        for index in 0..serial_number.capacity() {
            let digit = self.uuid[index / 2] >> (4 - index % 2 * 4) & 0x0F;
            let letter = if digit < 10 { b'0' } else { b'a' - 10 };
            // There is room for so many.
            let _ = serial_number.push((letter + digit).into());
        }
        serial_number
    }

    /// The device descriptor's part of the identity, for one function or for several;
    /// `serial_number` gives the serial number a place.
    pub(crate) fn usb_config(
        &self,
        serial_number: &'a mut SerialNumber,
        composite: bool,
    ) -> embassy_usb::Config<'a> {
        *serial_number = self.serial_number();
        let mut config = embassy_usb::Config::new(self.vendor_id, self.product_id);
        config.manufacturer = Some(self.manufacturer);
        config.product = Some(self.product);
        config.serial_number = Some(serial_number);
        // Several functions have their interfaces grouped, and the device says so. Of one function,
        // the interface says what it is.
        let class = if composite { GROUPED } else { [0; 3] };
        [
            config.device_class,
            config.device_sub_class,
            config.device_protocol,
        ] = class;
        config.composite_with_iads = composite;
        config
    }
}

/// Whether a USB string descriptor with this text fits the 128 bytes that the device has for
/// control transfers: 2 bytes, and 2 for each character.
const fn fits_string_descriptor(text: &str) -> bool {
    text.len() <= 62
}

/// The namespace of the UUIDs made here: `d5149a61-68d7-450c-b58f-e9a17e47d67a`, chosen at random
/// for this project.
pub const NAMESPACE: [u8; 16] = [
    0xd5, 0x14, 0x9a, 0x61, 0x68, 0xd7, 0x45, 0x0c, 0xb5, 0x8f, 0xe9, 0xa1, 0x7e, 0x47, 0xd6, 0x7a,
];

/// The UUID of the device whose microcontroller has this unique ID, in the byte order of the MCTP
/// control protocol (most significant first, DSP0236 1.3.3, section 12.5).
///
/// `unique_id` is 96 bits in the order in which they stand in memory, as on every STM32.
pub fn uuid_from_unique_id(unique_id: &[u8; 12]) -> [u8; 16] {
    let (namespace, _) = NAMESPACE.as_chunks();
    let (unique_id, _) = unique_id.as_chunks();
    let mut name = [0; 7];
    let bytes = namespace.iter().chain(unique_id);
    for (word, bytes) in name.iter_mut().zip(bytes) {
        *word = u32::from_be_bytes(*bytes);
    }
    let hash = sha1::of_one_block(name);
    let mut uuid = [0; 16];
    for (bytes, word) in uuid.as_chunks_mut().0.iter_mut().zip(&hash) {
        *bytes = word.to_be_bytes();
    }
    // RFC 9562, sections 4.1 and 4.2: version 5, and the variant that has versions.
    uuid[6] = 0x50 | uuid[6] & 0x0F;
    uuid[8] = 0x80 | uuid[8] & 0x3F;
    uuid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn the_uuid_is_a_name_based_one(unique_id: [u8; 12]) {
            let expected = Uuid::new_v5(&Uuid::from_bytes(NAMESPACE), &unique_id);
            prop_assert_eq!(uuid_from_unique_id(&unique_id), expected.into_bytes());
        }
    }

    /// Made with Python's `uuid.uuid5` and, for the second, with `hashlib.sha1` by the steps of RFC
    /// 9562, section 5.5. Do not change: the UUID of every board in use depends on it.
    const FROZEN: [([u8; 12], &str); 2] = [
        (
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            "65b9801a-e5c2-5a7f-88da-8baa1e0ecb14",
        ),
        (
            *b"\x3e\x00\x1f\x00\x0f\x51\x33\x32\x38\x35\x32\x37",
            "733eaaf7-37e1-5e01-aca5-977eb8722cfc",
        ),
    ];

    #[test]
    fn boards_in_use_keep_their_uuid() {
        for (unique_id, uuid) in FROZEN {
            let derived = Uuid::from_bytes(uuid_from_unique_id(&unique_id));
            assert_eq!(derived, Uuid::parse_str(uuid).unwrap());
        }
    }

    #[test]
    fn the_serial_number_is_the_start_of_the_uuid() {
        let identity =
            Identity::for_development(*b"\x2c\x1f\x96\xd4\x5d\xac\x4b\x0a\x9d\x6e\0\0\0\0\0\0");
        assert_eq!(identity.serial_number(), "2c1f96d45dac");
    }

    #[test]
    fn chips_that_differ_in_one_bit_differ_in_the_serial_number() {
        let reference = uuid_from_unique_id(&[0; 12]);
        for bit in 0..96 {
            let mut unique_id = [0; 12];
            unique_id[bit / 8] = 1 << (bit % 8);
            assert_ne!(uuid_from_unique_id(&unique_id)[..6], reference[..6]);
        }
    }
}
