//! Get Features, opcode 0Ah, and Set Features, opcode 09h (NVM Express Base 2.0).
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 11:8 | | NSID, with FID 7Fh |
//! | 44 | | FID, which feature |
//! | 45 | 2:0 | Get: SEL, 0 current, 1 default, 2 saved, 3 capabilities |
//! | 47 | 7 | Set: SV, save the value |
//! | 51:48 | | dword 11, as the feature has it |
//! | 68.. | | Set: data, if the feature has any |
//!
//! The value is in dword 0 of the completion of Get Features, or in its data. SEL 3 gets in dword
//! 0: bit 0 it can be saved, 1 it is of a namespace, 2 it can be changed. No feature can be saved,
//! so SEL 2 gets the default. A reset of the subsystem or of the controller brings the default
//! back, except for the timestamp and the metadata of namespaces, which the specification leaves to
//! the device.
//!
//! | FID | feature | scope | data |
//! |-|-|-|-|
//! | 02h | Power Management: there is one power state, 0, which cannot be changed | controller | |
//! | 04h | Temperature Threshold | controller | |
//! | 0Eh | Timestamp | controller | 8 bytes |
//! | 7Dh | Enhanced Controller Metadata | controller | 4096 bytes |
//! | 7Eh | Controller Metadata | controller | 4096 bytes |
//! | 7Fh | Namespace Metadata | namespace | 4096 bytes |
//!
//! All others are refused, among them those that NVMe-MI 1.2 prohibits (figure 125): 01h, 03h, 05h
//! to 0Bh, 0Dh, 0Fh, 12h to 16h, 18h.
//!
//! libnvme 1.x does not say how much data there is: then Get Features returns all of the feature's,
//! and Set Features takes what is there.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | another FID, SEL, or a value that the feature does not have; an NSID that is not active |
//! | Invalid Namespace or Format (0Bh) | FID 7Fh, and NSID is 0 or above NN; Set of another FID, and NSID is neither 0, nor FFFFFFFFh, nor up to NN |
//! | Feature Identifier Not Saveable (type 1, 0Dh) | SV |
//! | Feature Not Changeable (type 1, 0Eh) | Set of FID 02h |
//! | Feature Not Namespace Specific (type 1, 0Fh) | Set of another FID than 7Fh for one namespace |
//! | NVMe-MI Invalid Command Input Data Size | Set with more or less data than the feature has; metadata may come without the zeros at their end |
//!
//! # Temperature Threshold
//!
//! | bits of dword 11 | field |
//! |-|-|
//! | 15:0 | TMPTH, kelvins |
//! | 19:16 | TMPSEL: 0 composite, 1 to 8 a sensor that the device has, Fh (Set only) all of these |
//! | 21:20 | THSEL: 0 over, 1 under |
//!
//! Dword 0 of Get Features has the same fields. A temperature at or over the one, or at or under
//! the other, sets bit 1 of the critical warning, wherever it is reported. The default is the
//! warning temperature (WCTEMP) over for the composite temperature; otherwise FFFFh over
//! and 0 under, which do not warn.
//!
//! # Timestamp
//!
//! | byte | field |
//! |-|-|
//! | 5:0 | milliseconds since 1970 |
//! | 6 | Get: bits 3:1 origin, 0 it counts from the start of the device, 1 it was set |
//! | 7 | 0 |
//!
//! # Metadata
//!
//! | byte | field |
//! |-|-|
//! | 0 | number of descriptors |
//! | 2.. | descriptors: byte 0 bits 5:0 type, byte 1 revision, 3:2 length of the value, then the value |
//!
//! Dword 11 of Set Features has in bits 14:13 what is done with each descriptor: 0 it replaces all
//! of its type, 1 all of its type are removed, 2 (7Dh only) it is added. All is done or nothing. A
//! controller keeps 96 bytes of descriptors for each of its features, a namespace 96; to exceed
//! this is an Invalid Field, a status that the specification leaves to the device.

use crate::bytes::{u8_at, u16_at, u64_at};
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{CompletionStatus, Failure, Handled, Refusal, Status};
use crate::model::{Metadata, Model, TEMPERATURES, default_thresholds};
use crate::world::{World, report_of};

use super::Request;
use super::identify::{self, ALL_NAMESPACES, Scope, highest_namespace_id};

const NOT_SAVEABLE: CompletionStatus = CompletionStatus::specific(0x0D);
const NOT_CHANGEABLE: CompletionStatus = CompletionStatus::specific(0x0E);
const NOT_OF_A_NAMESPACE: CompletionStatus = CompletionStatus::specific(0x0F);

/// Bits of the capabilities (SEL 3).
const OF_A_NAMESPACE: u8 = 1 << 1;
const CHANGEABLE: u8 = 1 << 2;

/// Bits of the Feature Identifiers Supported and Effects log.
const SUPPORTED: u32 = 1 << 0;
const NAMESPACE_SCOPE: u32 = 1 << 20;
const CONTROLLER_SCOPE: u32 = 1 << 21;

/// Bytes of a timestamp.
const TIMESTAMP_LENGTH: u32 = 8;
/// Bytes of metadata.
const METADATA_LENGTH: u32 = 4096;
/// Bytes of metadata before the first descriptor.
const METADATA_HEADER: usize = 2;
/// Bytes of a metadata descriptor before its value.
const DESCRIPTOR_HEADER: usize = 4;

/// TMPSEL and THSEL.
const TEMPERATURE_SELECTORS: u32 = 0x3F << 16;
/// TMPSEL: all temperatures.
const ALL_TEMPERATURES: usize = 0xF;

#[derive(Clone, Copy)]
enum Kind {
    Power,
    Temperature,
    Timestamp,
    Metadata(MetadataOf),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MetadataOf {
    /// Its index in the settings of the controller.
    Controller(usize),
    Namespace,
}

struct Feature {
    id: u8,
    kind: Kind,
    capabilities: u8,
}

impl Feature {
    const fn new(id: u8, kind: Kind, capabilities: u8) -> Self {
        Self {
            id,
            kind,
            capabilities,
        }
    }

    const fn is_of_namespace(&self) -> bool {
        self.capabilities & OF_A_NAMESPACE != 0
    }
}

/// The index of feature 7Dh in the settings of a controller.
const ENHANCED: usize = 0;

/// All features: the one source of what can be got and set, and of what is reported as supported.
const FEATURES: &[Feature] = &[
    Feature::new(0x02, Kind::Power, 0),
    Feature::new(0x04, Kind::Temperature, CHANGEABLE),
    Feature::new(0x0E, Kind::Timestamp, CHANGEABLE),
    Feature::new(
        0x7D,
        Kind::Metadata(MetadataOf::Controller(ENHANCED)),
        CHANGEABLE,
    ),
    Feature::new(0x7E, Kind::Metadata(MetadataOf::Controller(1)), CHANGEABLE),
    Feature::new(
        0x7F,
        Kind::Metadata(MetadataOf::Namespace),
        CHANGEABLE | OF_A_NAMESPACE,
    ),
];

/// The features with their dwords of the Feature Identifiers Supported and Effects log.
pub(super) fn effects() -> impl Iterator<Item = (u8, u32)> {
    FEATURES.iter().map(|feature| {
        let scope = if feature.is_of_namespace() {
            NAMESPACE_SCOPE
        } else {
            CONTROLLER_SCOPE
        };
        (feature.id, SUPPORTED | scope)
    })
}

fn find(request: &Request) -> Result<&'static Feature, CompletionStatus> {
    let [id, ..] = request.dword10.to_le_bytes();
    let found = FEATURES.iter().find(|feature| feature.id == id);
    found.ok_or(CompletionStatus::INVALID_FIELD)
}

/// Get Features.
pub(super) fn get<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let feature = find(request)?;
    let current = match request.dword10 >> 8 & 7 {
        0 => true,
        1 | 2 => false,
        3 => {
            request.return_data(exchange, 0)?;
            return Ok(u32::from(feature.capabilities));
        }
        _ => return Err(CompletionStatus::INVALID_FIELD.into()),
    };
    match feature.kind {
        Kind::Power => {
            request.return_data(exchange, 0)?;
            Ok(0)
        }
        Kind::Temperature => get_threshold(context, request, exchange, current),
        Kind::Timestamp => get_timestamp(context, request, exchange, current),
        Kind::Metadata(of) => get_metadata(context, request, exchange, of, current),
    }
}

/// Set Features.
pub(super) fn set<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let feature = find(request)?;
    if request.dword10 & 1 << 31 != 0 {
        return Err(NOT_SAVEABLE.into());
    }
    if !feature.is_of_namespace() {
        check_not_of_namespace(context.model, request.namespace_id)?;
    }
    match feature.kind {
        Kind::Power => return Err(NOT_CHANGEABLE.into()),
        Kind::Temperature => set_threshold(context, request, exchange)?,
        Kind::Timestamp => set_timestamp(context, request, exchange)?,
        Kind::Metadata(of) => {
            if exchange.request_data().len() < METADATA_HEADER {
                return Err(Failure::new(Status::InvalidInputDataSize).into());
            }
            let metadata = metadata_of(context.model, request, of)?;
            let mut changed = *metadata;
            change(&mut changed, request.dword11, exchange.request_data(), of)?;
            *metadata = changed;
        }
    }
    Ok(0)
}

fn check_not_of_namespace(model: &Model<'_>, namespace_id: u32) -> Result<(), CompletionStatus> {
    match namespace_id {
        0 | ALL_NAMESPACES => Ok(()),
        id if id <= highest_namespace_id(model) => Err(NOT_OF_A_NAMESPACE),
        _ => Err(CompletionStatus::INVALID_NAMESPACE),
    }
}

/// A threshold that exists: which temperature, and whether it is an under threshold.
struct Selected {
    temperature: usize,
    under: bool,
}

impl Selected {
    fn parse(dword11: u32) -> Result<Self, CompletionStatus> {
        let under = match dword11 >> 20 & 3 {
            0 => false,
            1 => true,
            _ => return Err(CompletionStatus::INVALID_FIELD),
        };
        Ok(Self {
            temperature: (dword11 >> 16 & 0xF) as usize,
            under,
        })
    }
}

/// Whether the device measures that temperature.
fn is_measured<W: World>(
    context: &mut Context<'_, '_, W>,
    controller: usize,
    temperature: usize,
) -> bool {
    let Some(sensor) = temperature.checked_sub(1) else {
        return true;
    };
    let Some(controller) = context.model.controllers.get(controller) else {
        return false;
    };
    let report = report_of(controller, context.world.health());
    report
        .sensors
        .get(sensor)
        .is_some_and(|kelvins| *kelvins != 0)
}

fn get_threshold<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
    current: bool,
) -> Handled {
    let selected = Selected::parse(request.dword11)?;
    if !is_measured(context, request.controller, selected.temperature) {
        return Err(CompletionStatus::INVALID_FIELD.into());
    }
    request.return_data(exchange, 0)?;
    let health = context.world.health().warning_temperature();
    let (over, under) = match context.model.controllers.get(request.controller) {
        Some(controller) if current => {
            let thresholds = controller.settings.thresholds;
            thresholds.of(selected.temperature, health)
        }
        _ => default_thresholds(selected.temperature, health),
    };
    let threshold = if selected.under { under } else { over };
    let selectors = request.dword11 & TEMPERATURE_SELECTORS;
    Ok(selectors | u32::from(threshold))
}

fn set_threshold<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &Exchange<'_>,
) -> Result<(), Refusal> {
    exchange.expect_request_data(0)?;
    let selected = Selected::parse(request.dword11)?;
    let all = selected.temperature == ALL_TEMPERATURES;
    if !all && !is_measured(context, request.controller, selected.temperature) {
        return Err(CompletionStatus::INVALID_FIELD.into());
    }
    let kelvins = (request.dword11 & 0xFFFF) as u16;
    for temperature in 0..TEMPERATURES {
        let meant = if all {
            is_measured(context, request.controller, temperature)
        } else {
            selected.temperature == temperature
        };
        if let Some(controller) = context.model.controllers.get_mut(request.controller)
            && meant
        {
            let thresholds = &mut controller.settings.thresholds;
            thresholds.set(temperature, selected.under, kelvins);
        }
    }
    Ok(())
}

fn get_timestamp<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
    current: bool,
) -> Handled {
    let page = request.return_data(exchange, TIMESTAMP_LENGTH)?;
    if let Some(controller) = context.model.controllers.get(request.controller)
        && current
    {
        let timestamp = controller.timestamp;
        page.put_u64(0, timestamp.at(context.now));
        page.put_u8(6, u8::from(timestamp.set.is_some()) << 1);
    }
    Ok(0)
}

fn set_timestamp<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &Exchange<'_>,
) -> Result<(), Refusal> {
    exchange.expect_request_data(TIMESTAMP_LENGTH as usize)?;
    let value = u64_at(exchange.request_data(), 0);
    if let Some(controller) = context.model.controllers.get_mut(request.controller) {
        controller.timestamp.set = Some((context.now, value));
    }
    Ok(())
}

fn metadata_of<'m>(
    model: &'m mut Model<'_>,
    request: &Request,
    of: MetadataOf,
) -> Result<&'m mut Metadata, CompletionStatus> {
    let found = match of {
        MetadataOf::Controller(index) => {
            let controller = model.controllers.get_mut(request.controller);
            controller.and_then(|controller| controller.settings.metadata.get_mut(index))
        }
        MetadataOf::Namespace => {
            let index = identify::find(model, request, Scope::Active)?;
            let namespace = index.and_then(|index| model.namespaces.get_mut(index));
            namespace.map(|namespace| &mut namespace.metadata)
        }
    };
    found.ok_or(CompletionStatus::INVALID_FIELD)
}

fn get_metadata<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
    of: MetadataOf,
    current: bool,
) -> Handled {
    let metadata = metadata_of(context.model, request, of)?;
    let page = request.return_data(exchange, METADATA_LENGTH)?;
    if current {
        let count = descriptors(metadata.as_bytes()).count();
        page.put_u8(0, u8::try_from(count).unwrap_or(u8::MAX));
        page.put(METADATA_HEADER as u32, metadata.as_bytes());
    }
    Ok(0)
}

/// What a Set Features command with this dword 11 and these data does to metadata. After an error
/// they are good for nothing.
fn change(
    metadata: &mut Metadata,
    dword11: u32,
    data: &[u8],
    of: MetadataOf,
) -> Result<(), CompletionStatus> {
    let (removes, adds) = match dword11 >> 13 & 3 {
        0 => (true, true),
        1 => (true, false),
        2 if of == MetadataOf::Controller(ENHANCED) => (false, true),
        _ => return Err(CompletionStatus::INVALID_FIELD),
    };
    let count = usize::from(u8_at(data, 0));
    let given = || descriptors(data.get(METADATA_HEADER..).unwrap_or_default()).take(count);
    if given().count() != count {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    for descriptor in given() {
        if removes {
            remove(metadata, type_of(descriptor));
        }
        if adds {
            let added = metadata.push(descriptor);
            added.ok_or(CompletionStatus::INVALID_FIELD)?;
        }
    }
    Ok(())
}

fn type_of(descriptor: &[u8]) -> u8 {
    u8_at(descriptor, 0) & 0x3F
}

fn remove(metadata: &mut Metadata, element_type: u8) {
    let before = core::mem::replace(metadata, Metadata::EMPTY);
    for descriptor in descriptors(before.as_bytes()) {
        if type_of(descriptor) != element_type {
            // They are fewer than those that had room.
            let _ = metadata.push(descriptor);
        }
    }
}

/// The descriptors at the start of `bytes`, as far as they are complete.
fn descriptors(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = bytes;
    core::iter::from_fn(move || {
        left.get(..DESCRIPTOR_HEADER)?;
        let length = DESCRIPTOR_HEADER.saturating_add(usize::from(u16_at(left, 2)));
        let (descriptor, rest) = left.split_at_checked(length)?;
        left = rest;
        Some(descriptor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_end_where_one_is_incomplete() {
        let bytes = [1, 0, 2, 0, 9, 9, 2, 0, 0, 0, 3, 0, 1, 0];
        let found: Vec<_> = descriptors(&bytes).collect();
        assert_eq!(found, [&bytes[..6], &bytes[6..10]]);
    }
}
