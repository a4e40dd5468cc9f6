//! Who the device is, and an identity that stays the same for the life of the chip, without storing
//! anything.
//!
//! The UUID of [`uuid_from_unique_id`] is a custom one, version 8 (RFC 9562, section 5.8). It has all
//! bits of the chip's unique ID, so that no two chips have the same; anyone can work it out, for
//! example to print labels before a board is switched on:
//!
//! | bytes | content |
//! |-|-|
//! | 0-5 | the first half of the unique ID, exclusive-ored with its second half |
//! | 6-9 | `80f2` `a61d`, the same for all boards: chosen at random, but for the version, 8, and the variant |
//! | 10-15 | the second half of the unique ID |
//!
//! ```
//! let unique_id = *b"\x3e\x00\x1f\x00\x0f\x51\x33\x32\x38\x35\x32\x37";
//! let uuid = reference_device::uuid_from_unique_id(&unique_id);
//! assert_eq!(uuid::Uuid::from_bytes(uuid).to_string(), "0d322735-3d66-80f2-a61d-333238353237");
//! ```
//!
//! The first six bytes are also the USB serial number. Both halves are in them, because two chips may
//! differ in either half only.

use nvme_mi_responder::Vendor;

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

/// Bytes 6 to 9 of the UUIDs made here. In their places RFC 9562 has the version (section 4.2) and
/// the variant that has versions (section 4.1).
const MARK: [u8; 4] = [0x80, 0xF2, 0xA6, 0x1D];

/// The UUID of the device whose microcontroller has this unique ID, in the byte order of the MCTP
/// control protocol (most significant first, DSP0236 1.3.3, section 12.6).
///
/// `unique_id` is 96 bits in the order in which they stand in memory, as on every STM32.
pub fn uuid_from_unique_id(unique_id: &[u8; 12]) -> [u8; 16] {
    let [a, b, c, d, e, f, second @ ..] = *unique_id;
    let mut uuid = [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (byte, other) in uuid.iter_mut().zip(second) {
        *byte ^= other;
    }
    uuid[6..10].copy_from_slice(&MARK);
    uuid[10..].copy_from_slice(&second);
    uuid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn no_two_chips_have_the_same_uuid(unique_id: [u8; 12]) {
            let uuid = uuid_from_unique_id(&unique_id);
            let [first, second] = [&uuid[..6], &uuid[10..]];
            let first = core::array::from_fn::<u8, 6, _>(|index| first[index] ^ second[index]);
            prop_assert_eq!(&first, &unique_id[..6]);
            prop_assert_eq!(second, &unique_id[6..]);
        }

        #[test]
        fn the_uuid_is_a_custom_one(unique_id: [u8; 12]) {
            let uuid = Uuid::from_bytes(uuid_from_unique_id(&unique_id));
            prop_assert_eq!(uuid.get_version(), Some(uuid::Version::Custom));
            prop_assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
    }

    /// Worked out by hand from the table above. Do not change: the UUID of every board in use depends
    /// on it.
    const FROZEN: [([u8; 12], &str); 2] = [
        (
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            "06060a0a-0e0e-80f2-a61d-060708090a0b",
        ),
        (
            *b"\x3e\x00\x1f\x00\x0f\x51\x33\x32\x38\x35\x32\x37",
            "0d322735-3d66-80f2-a61d-333238353237",
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
