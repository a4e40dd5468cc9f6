//! Vital Product Data as a FRU (NVMe-MI 1.2, section 8.2), made of what the model says.
//!
//! | bytes | element | says |
//! |-|-|-|
//! | 7:0 | common header | where the other two areas begin |
//! | 119:8 | product info area | manufacturer, product, model number, version, serial number |
//! | 183:120 | NVMe MultiRecord | form factor, power, capacity |
//! | 16 each | NVMe PCIe Port MultiRecord | each PCIe port: speeds and lanes |
//!
//! Text is ASCII with zeros behind it. There is no Topology MultiRecord, and no two-wire port has a
//! record. What is behind the last record is left as it is.

use core::fmt;

use zerocopy::little_endian::U128;
use zerocopy::{Immutable, IntoBytes};

use crate::model::{Identity, PciePort, PortConfig, PortId, PortKind};
use crate::wire::{
    NvmeMultiRecord, NvmePciePortMultiRecord, VpdCommonHeader, VpdProductInfo, VpdRecordHeader,
    VpdRecordType, zero_checksum,
};

/// Of the IPMI format, in the common header and in the product info area.
const FORMAT_VERSION: u8 = 1;
/// Of offsets and of the length of an area, in bytes.
const UNIT: usize = 8;
const ENGLISH: u8 = 0x19;
/// A type/length byte says so in bits 7:6.
const ASCII: u8 = 3 << 6;
const END_OF_RECORD: u8 = 0xC1;
/// Of a MultiRecord: bit 7 of its format byte.
const LAST_RECORD: u8 = 1 << 7;
const RECORD_FORMAT_VERSION: u8 = 2;
/// What bit 0 of the Ref Clk capability says.
const COMMON_CLOCK: u8 = 1 << 0;

const PRODUCT_INFO: usize = size_of::<VpdCommonHeader>();
const RECORDS: usize = PRODUCT_INFO + size_of::<VpdProductInfo>();

/// What the Vital Product Data say of a device beside what its model says.
///
/// ```
/// use nvme_mi_responder::wire::{NvmeMultiRecord, VpdCommonHeader, zero_checksum};
/// use nvme_mi_responder::world::{Fru, MemoryVpd};
/// use nvme_mi_responder::{
///     Identity, LinkWidth, PciePort, PortConfig, PortKind, vendor_from_build,
/// };
/// use zerocopy::{FromBytes, IntoBytes};
///
/// let mut power = NvmeMultiRecord::default();
/// power.maximum_12_volt = 25;
/// let fru = Fru { manufacturer: "Example", product: "Example drive", version: "1", power };
/// let identity = Identity {
///     serial_number: "0001",
///     model_number: "Example drive 4 GB",
///     firmware_revision: "1.0",
///     qualified_name: "nqn.2014-08.com.example:0001",
///     capacity: 4 << 30,
///     vendor: vendor_from_build!(),
/// };
/// let ports = [PortConfig {
///     kind: PortKind::Pcie(PciePort {
///         generation: 4,
///         width: LinkWidth::X4,
///         link: Some(4),
///         payload_exponent: 1,
///         number: 0,
///     }),
///     max_transmission_unit: 64,
/// }];
///
/// let mut content = [0xFF; 256];
/// assert_eq!(fru.write(&identity, &ports, &mut content)?, 8 + 112 + 64 + 16);
/// let (header, _) = VpdCommonHeader::ref_from_prefix(&content).unwrap();
/// assert_eq!(zero_checksum(header.as_bytes()), 0);
/// let vpd = MemoryVpd::new(content);
/// # Ok::<(), nvme_mi_responder::world::FruError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fru<'t> {
    /// Manufacturer name: at most 8 characters.
    pub manufacturer: &'t str,
    /// Product name: at most 24 characters.
    pub product: &'t str,
    /// Product version: at most 2 characters.
    pub version: &'t str,
    /// Form factor and power. The header and the capacity are filled in.
    pub power: NvmeMultiRecord,
}

/// A text of the product info area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FruText {
    /// [`Fru::manufacturer`].
    Manufacturer,
    /// [`Fru::product`].
    Product,
    /// [`Fru::version`].
    Version,
    /// [`Identity::model_number`].
    ModelNumber,
    /// [`Identity::serial_number`].
    SerialNumber,
}

/// Why there is no FRU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FruError {
    /// A text is too long for its field, or not printable ASCII.
    InvalidText(FruText),
    /// The bytes to write to are too few: [`Fru::length`] says how many are needed.
    NoRoom,
}

impl fmt::Display for FruError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoRoom => return f.write_str("the Vital Product Data have less room"),
            Self::InvalidText(text) => text,
        };
        let text = match text {
            FruText::Manufacturer => "manufacturer name",
            FruText::Product => "product name",
            FruText::Version => "product version",
            FruText::ModelNumber => "model number",
            FruText::SerialNumber => "serial number",
        };
        write!(f, "the {text} is too long or not printable ASCII")
    }
}

impl core::error::Error for FruError {}

impl Fru<'_> {
    /// How many bytes [`write`](Self::write) writes for these ports.
    pub fn length(ports: &[PortConfig]) -> usize {
        let of_ports = pcie_ports(ports)
            .count()
            .saturating_mul(size_of::<NvmePciePortMultiRecord>());
        const { RECORDS + size_of::<NvmeMultiRecord>() }.saturating_add(of_ports)
    }

    /// Writes the FRU of a device with this identity and these ports, port 0 first. Returns how many
    /// bytes it has.
    ///
    /// # Errors
    ///
    /// `into` may have been written in part.
    pub fn write(
        &self,
        identity: &Identity<'_>,
        ports: &[PortConfig],
        into: &mut [u8],
    ) -> Result<usize, FruError> {
        let length = Self::length(ports);
        let mut rest = into.get_mut(..length).ok_or(FruError::NoRoom)?;
        put(&mut rest, &common_header())?;
        put(&mut rest, &self.product_info(identity)?)?;
        let mut left = pcie_ports(ports).count();
        let mut record = self.power;
        record.version = 0;
        record.total_capacity = U128::new(identity.capacity.into());
        record.header = header_of(VpdRecordType::NVME, left == 0, record.as_bytes());
        put(&mut rest, &record)?;
        for (id, port) in pcie_ports(ports) {
            left = left.saturating_sub(1);
            put(&mut rest, &port_record(id, port, left == 0))?;
        }
        Ok(length)
    }

    fn product_info(&self, identity: &Identity<'_>) -> Result<VpdProductInfo, FruError> {
        let mut info = VpdProductInfo::default();
        info.format_version = FORMAT_VERSION;
        info.area_length = const { (size_of::<VpdProductInfo>() / UNIT) as u8 };
        info.language_code = ENGLISH;
        info.manufacturer_name_length = text(
            &mut info.manufacturer_name,
            self.manufacturer,
            FruText::Manufacturer,
        )?;
        info.product_name_length = text(&mut info.product_name, self.product, FruText::Product)?;
        info.model_number_length = text(
            &mut info.model_number,
            identity.model_number,
            FruText::ModelNumber,
        )?;
        info.product_version_length =
            text(&mut info.product_version, self.version, FruText::Version)?;
        info.serial_number_length = text(
            &mut info.serial_number,
            identity.serial_number,
            FruText::SerialNumber,
        )?;
        info.end_of_record = END_OF_RECORD;
        info.checksum = zero_checksum(info.as_bytes());
        Ok(info)
    }
}

fn pcie_ports(ports: &[PortConfig]) -> impl Iterator<Item = (PortId, PciePort)> {
    (0..=u8::MAX)
        .zip(ports)
        .filter_map(|(id, port)| match port.kind {
            PortKind::Pcie(pcie) => Some((PortId(id), pcie)),
            PortKind::TwoWire(_) => None,
        })
}

fn common_header() -> VpdCommonHeader {
    let mut header = VpdCommonHeader::default();
    header.format_version = FORMAT_VERSION;
    header.product_info_offset = const { (PRODUCT_INFO / UNIT) as u8 };
    header.multi_record_offset = const { (RECORDS / UNIT) as u8 };
    header.checksum = zero_checksum(header.as_bytes());
    header
}

fn port_record(id: PortId, port: PciePort, is_last: bool) -> NvmePciePortMultiRecord {
    // A bit for each generation up to the fastest.
    let beyond = 1u8.checked_shl(port.generation.into()).unwrap_or(0);
    let mut record = NvmePciePortMultiRecord {
        port_number: port.number,
        link_speeds: beyond.wrapping_sub(1),
        maximum_link_width: port.width as u8,
        reference_clock: COMMON_CLOCK,
        port_id: id.0,
        ..NvmePciePortMultiRecord::default()
    };
    record.header = header_of(VpdRecordType::NVME_PCIE_PORT, is_last, record.as_bytes());
    record
}

/// The header of a record with these bytes, whose own header does not matter.
fn header_of(record_type: VpdRecordType, is_last: bool, record: &[u8]) -> VpdRecordHeader {
    let body = record.get(size_of::<VpdRecordHeader>()..);
    let body = body.unwrap_or_default();
    let mut header = VpdRecordHeader::default();
    header.record_type = record_type;
    header.format = RECORD_FORMAT_VERSION | if is_last { LAST_RECORD } else { 0 };
    header.length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    header.record_checksum = zero_checksum(body);
    header.header_checksum = zero_checksum(header.as_bytes());
    header
}

/// Puts a text into its field, which is zero, and returns the type/length byte of the field.
fn text(field: &mut [u8], value: &str, which: FruText) -> Result<u8, FruError> {
    let invalid = FruError::InvalidText(which);
    // Type and length have 2 and 6 bits.
    let length = u8::try_from(field.len()).unwrap_or(u8::MAX) & 0x3F;
    let place = field.get_mut(..value.len()).ok_or(invalid)?;
    if !value.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return Err(invalid);
    }
    place.copy_from_slice(value.as_bytes());
    Ok(ASCII | length)
}

fn put(rest: &mut &mut [u8], element: &(impl IntoBytes + Immutable)) -> Result<(), FruError> {
    let bytes = element.as_bytes();
    let (place, behind) = core::mem::take(rest)
        .split_at_mut_checked(bytes.len())
        .ok_or(FruError::NoRoom)?;
    place.copy_from_slice(bytes);
    *rest = behind;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LinkWidth, SmbusFrequency, TwoWirePort, Vendor};

    const IDENTITY: Identity<'_> = Identity {
        serial_number: "0dc120b82b6f",
        model_number: "Example drive",
        firmware_revision: "1.0",
        qualified_name: "nqn.2014-08.com.example:0001",
        capacity: 0x1_2345_6789,
        vendor: Vendor::NOT_FOR_DISTRIBUTION,
    };

    const PCIE: PortConfig = PortConfig {
        kind: PortKind::Pcie(PciePort {
            generation: 4,
            width: LinkWidth::X4,
            link: None,
            payload_exponent: 1,
            number: 3,
        }),
        max_transmission_unit: 64,
    };

    const TWO_WIRE: PortConfig = PortConfig {
        kind: PortKind::TwoWire(TwoWirePort {
            vpd_address: 0x53,
            vpd_frequency: Some(SmbusFrequency::Khz400),
            endpoint_address: 0x1D,
            frequency: SmbusFrequency::Mhz1,
            basic_management: false,
        }),
        max_transmission_unit: 250,
    };

    fn fru() -> Fru<'static> {
        let power = NvmeMultiRecord {
            form_factor: 0x10,
            initial_12_volt: 10,
            maximum_12_volt: 25,
            maximum_thermal_load: 20,
            ..NvmeMultiRecord::default()
        };
        Fru {
            manufacturer: "Example",
            product: "Drive",
            version: "1",
            power,
        }
    }

    /// Computed apart from this crate, by the tables of NVMe-MI 1.2, Figures 148 to 152. Do not
    /// change.
    #[rustfmt::skip]
    const WITH_ONE_PCIE_PORT: &[u8; 200] = b"\
        \x01\x00\x00\x00\x01\x0F\x00\xEF\
        \x01\x0E\x19\
        \xC8Example\0\
        \xD8Drive\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \xE8Example drive\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \xC21\0\
        \xD40dc120b82b6f\0\0\0\0\0\0\0\0\
        \x00\x00\xC1\0\0\0\0\0\0\xA8\
        \x0B\x02\x3B\x60\x58\
        \x00\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0A\x19\x14\
        \x89\x67\x45\x23\x01\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \x0C\x82\x0B\xE8\x7F\
        \x00\x03\x00\x0F\x04\x00\x01\x01\0\0\0";

    #[test]
    fn a_fru_is_that_of_the_tables() {
        let mut content = [0xFF; 256];
        let ports = [TWO_WIRE, PCIE];
        assert_eq!(fru().write(&IDENTITY, &ports, &mut content), Ok(200));
        assert_eq!(content[..200], WITH_ONE_PCIE_PORT[..]);
        assert_eq!(content[200..], [0xFF; 56], "what is behind it");
    }

    #[test]
    fn every_checksum_makes_the_sum_zero() {
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let bytes = WITH_ONE_PCIE_PORT;
        for part in [0..8, 8..120, 120..125, 123..124, 184..189] {
            let expected = if part == (123..124) { 0x60 } else { 0 };
            assert_eq!(sum(&bytes[part.clone()]), expected, "{part:?}");
        }
        assert_eq!(bytes[123].wrapping_add(sum(&bytes[125..184])), 0);
        assert_eq!(bytes[187].wrapping_add(sum(&bytes[189..200])), 0);
    }

    #[test]
    fn the_last_record_says_so() {
        for (ports, formats) in [
            (&[TWO_WIRE][..], &[0x82][..]),
            (&[PCIE], &[0x02, 0x82]),
            (&[PCIE, PCIE, TWO_WIRE, PCIE], &[0x02, 0x02, 0x02, 0x82]),
        ] {
            let mut content = [0; 256];
            let length = fru().write(&IDENTITY, ports, &mut content).unwrap();
            assert_eq!(length, Fru::length(ports));
            let mut found = Vec::new();
            let mut at = 120;
            while at < length {
                found.push(content[at + 1]);
                at += 5 + usize::from(content[at + 2]);
            }
            assert_eq!((found.as_slice(), at), (formats, length));
        }
    }

    #[test]
    fn a_text_that_fits_exactly_fits_and_another_is_refused_by_its_name() {
        let mut content = [0; 256];
        let mut write = |fru: Fru<'_>, identity: Identity<'_>| {
            fru.write(&identity, &[], &mut content).map(drop)
        };
        let fits = Fru {
            manufacturer: "12345678",
            product: "123456789012345678901234",
            version: "12",
            ..fru()
        };
        let text = "1234567890123456789012345678901234567890";
        let identity = Identity {
            model_number: text,
            serial_number: &text[..20],
            ..IDENTITY
        };
        assert_eq!(write(fits, identity), Ok(()));
        let long = "12345678901234567890123456789012345678901";
        for (which, fru, identity) in [
            (
                FruText::Manufacturer,
                Fru {
                    manufacturer: &long[..9],
                    ..fits
                },
                identity,
            ),
            (
                FruText::Manufacturer,
                Fru {
                    manufacturer: "a\n",
                    ..fits
                },
                identity,
            ),
            (
                FruText::Product,
                Fru {
                    product: &long[..25],
                    ..fits
                },
                identity,
            ),
            (
                FruText::Product,
                Fru {
                    product: "\u{e9}",
                    ..fits
                },
                identity,
            ),
            (
                FruText::Version,
                Fru {
                    version: "1.0",
                    ..fits
                },
                identity,
            ),
            (
                FruText::ModelNumber,
                fits,
                Identity {
                    model_number: long,
                    ..identity
                },
            ),
            (
                FruText::SerialNumber,
                fits,
                Identity {
                    serial_number: &long[..21],
                    ..identity
                },
            ),
        ] {
            let error = write(fru, identity).unwrap_err();
            assert_eq!(error, FruError::InvalidText(which));
            assert!(error.to_string().contains("too long or not printable"));
        }
    }

    #[test]
    fn too_little_room_is_an_error() {
        let ports = [PCIE];
        for length in 0..Fru::length(&ports) {
            let mut content = vec![0; length];
            let result = fru().write(&IDENTITY, &ports, &mut content);
            assert_eq!(result, Err(FruError::NoRoom), "{length}");
        }
    }

    #[test]
    fn no_generation_overflows() {
        for (generation, speeds) in [(0, 0), (1, 1), (5, 0x1F), (6, 0x3F), (8, 0xFF), (255, 0xFF)] {
            let PortKind::Pcie(port) = PCIE.kind else {
                unreachable!()
            };
            let record = port_record(PortId(0), PciePort { generation, ..port }, true);
            assert_eq!(record.link_speeds, speeds, "{generation}");
        }
    }
}
