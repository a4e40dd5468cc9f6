//! What Identify tells of a namespace.
//!
//! # Identify Namespace, CNS 00h and 11h
//!
//! | byte | field |
//! |-|-|
//! | 7:0, 15:8, 23:16 | NSZE, NCAP, NUSE: size, capacity and use in blocks, all the same |
//! | 24 | NSFEAT: 0, no thin provisioning |
//! | 25 | NLBAF, LBA formats less one |
//! | 26 | FLBAS, bits 3:0 the LBA format |
//! | 27, 28, 29 | MC, DPC, DPS: 0, no metadata and no protection information |
//! | 30 | NMIC, bit 0 the namespace can be attached to several controllers |
//! | 63:48 | NVMCAP, bytes |
//! | 119:104, 127:120 | NGUID and EUI64, big-endian |
//! | 128.. | LBA formats, 4 bytes each: metadata bytes 1:0, byte 2 the power of two of the block size, byte 3 relative performance, 0 best |
//!
//! With NSID FFFFFFFFh, of these only NLBAF and the formats.
//!
//! # Namespace Identification Descriptor list, CNS 03h
//!
//! Each descriptor has a type (byte 0), the length of its value (byte 1), 2 bytes of zero, and the
//! value; zeros end the list.
//!
//! | type | value |
//! |-|-|
//! | 1 | EUI64, 8 bytes: the vendor's OUI, 3 bytes of the subsystem, 2 of the namespace |
//! | 2 | NGUID, 16 bytes: 4 bytes of the subsystem, 2 of the namespace, 2 of zero, then as EUI64 |
//! | 3 | UUID, 16 bytes: the NGUID with the version (8) and variant bits of RFC 9562 |
//! | 4 | the I/O command set, 1 byte: 0 |
//!
//! The bytes of the subsystem are a CRC-32C of its serial number. Those of the namespace count the
//! namespaces that the subsystem ever had.
//!
//! # Identify Namespace independent of the I/O command set, CNS 08h
//!
//! | byte | field |
//! |-|-|
//! | 0 | NSFEAT: 0 |
//! | 1 | NMIC, as above |
//! | 14 | NSTAT, bit 0 the namespace is ready |

use crate::Crc32c;
use crate::context::Context;
use crate::exchange::Page;
use crate::model::{LBA_FORMATS, Model, Namespace};
use crate::world::World;

/// An EUI64, or an NGUID, or a UUID.
struct Identifiers {
    eui64: [u8; 8],
    nguid: [u8; 16],
}

pub(super) fn put_common(page: &mut Page<'_>) {
    page.put_u8(
        25,
        u8::try_from(LBA_FORMATS.len().saturating_sub(1)).unwrap_or(0),
    );
    let [first, second] = LBA_FORMATS;
    page.put_u8(130, first);
    page.put_u8(134, second);
}

pub(super) fn put<W: World>(context: &mut Context<'_, '_, W>, index: usize, page: &mut Page<'_>) {
    let Some(namespace) = context.model.namespaces.get(index).copied() else {
        return;
    };
    put_common(page);
    page.put_u64(0, namespace.blocks);
    page.put_u64(8, namespace.blocks);
    page.put_u64(16, namespace.blocks);
    page.put_u8(26, namespace.format);
    page.put_u8(30, u8::from(namespace.shared));
    page.put_u64(48, namespace.bytes());
    let identifiers = identifiers(context, &namespace);
    page.put(104, &identifiers.nguid);
    page.put(120, &identifiers.eui64);
}

pub(super) fn put_independent(model: &Model<'_>, index: usize, page: &mut Page<'_>) {
    let shared = model
        .namespaces
        .get(index)
        .is_some_and(|namespace| namespace.shared);
    page.put_u8(1, u8::from(shared));
    page.put_u8(14, 1);
}

pub(super) fn put_descriptors<W: World>(
    context: &mut Context<'_, '_, W>,
    index: usize,
    page: &mut Page<'_>,
) {
    let Some(namespace) = context.model.namespaces.get(index).copied() else {
        return;
    };
    let identifiers = identifiers(context, &namespace);
    let uuid = uuid(identifiers.nguid);
    // A type, the length of the value, 2 bytes of zero, and the value; that of the I/O command set
    // is 0.
    page.put(0, &[1, 8]);
    page.put(4, &identifiers.eui64);
    page.put(12, &[2, 16]);
    page.put(16, &identifiers.nguid);
    page.put(32, &[3, 16]);
    page.put(36, &uuid);
    page.put(52, &[4, 1]);
}

fn identifiers<W: World>(context: &mut Context<'_, '_, W>, namespace: &Namespace) -> Identifiers {
    let identity = &context.model.identity;
    let serial_number = identity.serial_number.as_bytes();
    let subsystem = context.world.crc().crc32c(&[serial_number]);
    let [s0, s1, s2, s3] = subsystem.to_be_bytes();
    let [n0, n1] = namespace.serial.to_be_bytes();
    let [o0, o1, o2] = identity.vendor.ieee_oui;
    Identifiers {
        eui64: [o0, o1, o2, s1, s2, s3, n0, n1],
        nguid: [s0, s1, s2, s3, n0, n1, 0, 0, o0, o1, o2, s1, s2, s3, n0, n1],
    }
}

fn uuid(nguid: [u8; 16]) -> [u8; 16] {
    let version = 0x8 << 76;
    let variant = 0b10 << 62;
    let rest = !(0xF << 76 | 0b11 << 62);
    (u128::from_be_bytes(nguid) & rest | version | variant).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn a_uuid_has_version_eight_and_the_variant_of_the_rfc() {
        assert_eq!(uuid([0xFF; 16])[6..9], [0x8F, 0xFF, 0xBF]);
        assert_eq!(uuid([0; 16])[6..9], [0x80, 0x00, 0x80]);
    }
}
