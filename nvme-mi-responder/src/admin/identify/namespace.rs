//! What Identify tells of a namespace.
//!
//! # Identify Namespace, CNS 00h and 11h
//!
//! Of an [`IdentifyNamespace`] (NVM Command Set specification 1.0c, section 4.1.5.1, Figure 97)
//! there are: NSZE, NCAP and NUSE, which are the same, as there is no thin provisioning; NLBAF,
//! FLBAS and the LBA formats, without metadata and protection information; NMIC, by how it was
//! created; NVMCAP, NGUID and EUI64.
//!
//! With NSID FFFFFFFFh, of these only NLBAF and the formats.
//!
//! # Namespace Identification Descriptor list, CNS 03h
//!
//! A [`NamespaceDescriptorHeader`] and a value each (section 5.17.2.3, Figure 277); zeros end the
//! list.
//!
//! | type | value |
//! |-|-|
//! | EUI64 | the vendor's OUI, 3 bytes of the subsystem, 2 of the namespace |
//! | NGUID | 4 bytes of the subsystem, 2 of the namespace, 2 of zero, then as EUI64 |
//! | UUID | the NGUID with the version (8) and variant bits of RFC 9562 |
//! | I/O command set | 0 |
//!
//! The bytes of the subsystem are a CRC-32C of its serial number. Those of the namespace count the
//! namespaces that the subsystem ever had.
//!
//! # Identify Namespace independent of the I/O command set, CNS 08h
//!
//! Of an [`IndependentNamespace`] (section 5.17.2.8, Figure 280) NMIC, as above, and that it is
//! ready.

use core::mem::offset_of;

use crate::context::Context;
use crate::exchange::{Page, put};
use crate::model::{LBA_FORMATS, Model, Namespace};
use crate::wire::{
    IdentifyNamespace, IndependentNamespace, LbaFormat, NamespaceDescriptorHeader,
    NamespaceDescriptorType,
};
use crate::world::World;

/// NSTAT: the namespace is ready.
const READY: u8 = 1 << 0;
/// CSI of the NVM command set, the value of a descriptor.
const NVM: [u8; 1] = [0];

/// An EUI64, or an NGUID, or a UUID.
struct Identifiers {
    eui64: [u8; 8],
    nguid: [u8; 16],
}

pub(super) fn put_common(page: &mut Page<'_>) {
    put!(
        page,
        IdentifyNamespace {
            number_of_formats: const { LBA_FORMATS.len() as u8 - 1 },
        }
    );
    // Without a loop: 40 bytes of flash less.
    let [first, second] = LBA_FORMATS;
    let start = offset_of!(IdentifyNamespace, formats) as u32;
    put!(page, start, LbaFormat { data_size: first });
    let start = const { (offset_of!(IdentifyNamespace, formats) + size_of::<LbaFormat>()) as u32 };
    put!(page, start, LbaFormat { data_size: second });
}

pub(super) fn put<W: World>(context: &mut Context<'_, '_, W>, index: usize, page: &mut Page<'_>) {
    let Some(namespace) = context.model.namespaces.get(index).copied() else {
        return;
    };
    put_common(page);
    let identifiers = identifiers(context, &namespace);
    put!(
        page,
        IdentifyNamespace {
            size: namespace.blocks,
            capacity: namespace.blocks,
            utilization: namespace.blocks,
            formatted_size: namespace.format,
            sharing: u8::from(namespace.shared),
        }
    );
    put_array!(
        page,
        IdentifyNamespace {
            globally_unique_id: &identifiers.nguid,
            extended_unique_id: &identifiers.eui64
        }
    );
    put_wide!(
        page,
        IdentifyNamespace {
            nvm_capacity: namespace.bytes()
        }
    );
}

pub(super) fn put_independent(model: &Model<'_>, index: usize, page: &mut Page<'_>) {
    let namespace = model.namespaces.get(index);
    let is_shared = namespace.is_some_and(|namespace| namespace.shared);
    put!(
        page,
        IndependentNamespace {
            sharing: u8::from(is_shared),
            status: READY
        }
    );
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
    let start = put_descriptor(page, 0, NamespaceDescriptorType::EUI64, &identifiers.eui64);
    let start = put_descriptor(
        page,
        start,
        NamespaceDescriptorType::NGUID,
        &identifiers.nguid,
    );
    let start = put_descriptor(page, start, NamespaceDescriptorType::UUID, &uuid);
    put_descriptor(page, start, NamespaceDescriptorType::COMMAND_SET, &NVM);
}

/// Puts a descriptor with a value of at most 255 bytes, and returns where the next one begins.
fn put_descriptor(
    page: &mut Page<'_>,
    start: u32,
    kind: NamespaceDescriptorType,
    value: &[u8],
) -> u32 {
    let length = value.len() as u8;
    put!(
        page,
        start,
        NamespaceDescriptorHeader {
            descriptor_type: kind,
            length: length
        }
    );
    let start = start.wrapping_add(size_of::<NamespaceDescriptorHeader>() as u32);
    page.put(start, value);
    start.wrapping_add(u32::from(length))
}

fn identifiers<W: World>(context: &mut Context<'_, '_, W>, namespace: &Namespace) -> Identifiers {
    let identity = &context.model.identity;
    let serial_number = identity.serial_number.as_bytes();
    let subsystem = context.world.crc32c(&[serial_number]);
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
