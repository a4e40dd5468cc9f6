//! Get Features, opcode 0Ah, and Set Features, opcode 09h (NVM Express Base 2.0, sections 5.15,
//! Figures 191 to 195, and 5.27, Figures 313 to 316; NVMe-MI 1.2, section 6.5, Figures 123 to 125).
//!
//! Dwords 10 to 15 are a [`GetFeatures`] or a [`SetFeatures`]; NSID counts with FID 7Fh.
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
//! All others are refused. Of these, NVMe-MI 1.2 (Figure 125) prohibits Set Features of 01h, 03h,
//! 05h to 0Bh, 0Dh, 0Fh, 12h to 16h and 18h; Get Features of them is optional.
//!
//! Set Features that is repeated sets the same value again and succeeds. Only what a descriptor of
//! metadata that is *added* (7Dh) would do twice is done twice: there are two.
//!
//! libnvme 1.x does not say how much data there is: then Get Features returns all of the feature's,
//! and Set Features takes what is there.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | another FID, SEL, or a value that the feature does not have; FID 7Fh, and NSID is not active, or FFFFFFFFh |
//! | Invalid Namespace or Format (0Bh) | FID 7Fh, and NSID is 0 or above NN; Set of another FID, and NSID is neither 0, nor FFFFFFFFh, nor up to NN |
//! | Feature Identifier Not Saveable (type 1, 0Dh) | SV |
//! | Feature Not Changeable (type 1, 0Eh) | Set of FID 02h |
//! | Feature Not Namespace Specific (type 1, 0Fh) | Set of another FID than 7Fh for one namespace |
//! | NVMe-MI Invalid Command Input Data Size | Set with more or less data than the feature has; metadata may come without the zeros at their end |
//!
//! # Temperature Threshold
//!
//! Dword 11 is a [`TemperatureThreshold`] (section 5.27.1.3, Figure 320). A sensor can be selected
//! if the device has it, all temperatures together by Set only.
//!
//! Dword 0 of Get Features has the same fields. A temperature at or over the one, or at or under
//! the other, sets bit 1 of the critical warning, wherever it is reported. The default is the
//! warning temperature (WCTEMP), if it is reported, over for the composite temperature; otherwise
//! FFFFh over and 0 under, which do not warn.
//!
//! # Timestamp
//!
//! The data are a [`Timestamp`] (section 5.27.1.11, Figures 339 and 340). Its origin is 0 while it
//! counts from the start of the device, 1 when it was set.
//!
//! # Metadata
//!
//! The data are a [`MetadataHeader`] and descriptors, a [`MetadataDescriptor`] and a value each
//! (section 5.27.1.23, Figures 358 to 363).
//!
//! Dword 11 of Set Features has in bits 14:13 what is done with each descriptor: 0 it replaces all
//! of its type, 1 all of its type are removed, 2 (7Dh only) it is added. All is done or nothing. A
//! controller keeps 79 bytes of descriptors for each of its features, a namespace 79; to exceed
//! this is an Invalid Field, a status that the specification leaves to the device.

use core::mem::offset_of;

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, transmute};

use crate::context::Context;
use crate::exchange::{Exchange, put};
use crate::failure::{CompletionStatus, Failure, Handled, Refusal, Status};
use crate::model::{Metadata, Model, TEMPERATURES, default_thresholds};
use crate::wire::{
    CommandSpecificStatus, FeatureId, FeatureSelect, GetFeatures, MetadataDescriptor,
    MetadataHeader, SetFeatures, TemperatureThreshold, Timestamp,
};
use crate::world::{World, report_of};

use super::identify::{self, ALL_NAMESPACES, Scope, highest_namespace_id};
use super::{Request, specific};

const NOT_SAVEABLE: CompletionStatus = specific(CommandSpecificStatus::FEATURE_NOT_SAVEABLE);
const NOT_CHANGEABLE: CompletionStatus = specific(CommandSpecificStatus::FEATURE_NOT_CHANGEABLE);
const NOT_OF_A_NAMESPACE: CompletionStatus =
    specific(CommandSpecificStatus::FEATURE_NOT_NAMESPACE_SPECIFIC);

/// Bits of the capabilities (SEL 3).
const OF_A_NAMESPACE: u8 = 1 << 1;
const CHANGEABLE: u8 = 1 << 2;

/// Bits of the Feature Identifiers Supported and Effects log.
const SUPPORTED: u32 = 1 << 0;
const NAMESPACE_SCOPE: u32 = 1 << 20;
const CONTROLLER_SCOPE: u32 = 1 << 21;

/// Bytes of metadata.
const METADATA_LENGTH: u32 = 4096;
/// Bits of the type of a metadata descriptor in its byte.
const ELEMENT_TYPE: u8 = 0x3F;

/// Bits of SEL in its byte.
const SELECT: u8 = 7;
/// Bits of TMPSEL and THSEL in their byte.
const TEMPERATURE_SELECT: u8 = 0x3F;
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
    id: FeatureId,
    kind: Kind,
    capabilities: u8,
}

impl Feature {
    const fn new(id: FeatureId, kind: Kind, capabilities: u8) -> Self {
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
    Feature::new(FeatureId::POWER_MANAGEMENT, Kind::Power, 0),
    Feature::new(
        FeatureId::TEMPERATURE_THRESHOLD,
        Kind::Temperature,
        CHANGEABLE,
    ),
    Feature::new(FeatureId::TIMESTAMP, Kind::Timestamp, CHANGEABLE),
    Feature::new(
        FeatureId::ENHANCED_CONTROLLER_METADATA,
        Kind::Metadata(MetadataOf::Controller(ENHANCED)),
        CHANGEABLE,
    ),
    Feature::new(
        FeatureId::CONTROLLER_METADATA,
        Kind::Metadata(MetadataOf::Controller(1)),
        CHANGEABLE,
    ),
    Feature::new(
        FeatureId::NAMESPACE_METADATA,
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
        (feature.id.0, SUPPORTED | scope)
    })
}

fn find(id: FeatureId) -> Result<&'static Feature, CompletionStatus> {
    let found = FEATURES.iter().find(|feature| feature.id == id);
    found.ok_or(CompletionStatus::INVALID_FIELD)
}

/// Get Features.
pub(super) fn get<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: GetFeatures = request.command();
    let feature = find(command.feature_id)?;
    let current = match FeatureSelect(command.select & SELECT) {
        FeatureSelect::CURRENT => true,
        FeatureSelect::DEFAULT | FeatureSelect::SAVED => false,
        FeatureSelect::SUPPORTED_CAPABILITIES => {
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
        Kind::Temperature => {
            let asked = transmute!(command.dword11);
            get_threshold(context, request, exchange, asked, current)
        }
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
    let command: SetFeatures = request.command();
    let feature = find(command.feature_id)?;
    if command.save & SetFeatures::SAVE != 0 {
        return Err(NOT_SAVEABLE.into());
    }
    if !feature.is_of_namespace() {
        check_not_of_namespace(context.model, request.namespace_id())?;
    }
    match feature.kind {
        Kind::Power => return Err(NOT_CHANGEABLE.into()),
        Kind::Temperature => {
            exchange.expect_request_data(0)?;
            set_threshold(context, request, transmute!(command.dword11))?;
        }
        Kind::Timestamp => set_timestamp(context, request, exchange)?,
        Kind::Metadata(of) => {
            let data = exchange.request_data();
            let (header, given) = MetadataHeader::ref_from_prefix(data)
                .map_err(|_| Failure::new(Status::InvalidInputDataSize))?;
            let action = ElementAction::of(command.dword11.get(), of)?;
            let given = Given {
                count: usize::from(header.count),
                descriptors: given,
            };
            let metadata = metadata_of(context.model, request, of)?;
            let mut changed = *metadata;
            change(&mut changed, action, &given)?;
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
    fn of(value: TemperatureThreshold) -> Result<Self, CompletionStatus> {
        let under = match value.threshold_type() {
            0 => false,
            1 => true,
            _ => return Err(CompletionStatus::INVALID_FIELD),
        };
        Ok(Self {
            temperature: usize::from(value.temperature_select()),
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
    asked: TemperatureThreshold,
    current: bool,
) -> Handled {
    let selected = Selected::of(asked)?;
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
    let value = TemperatureThreshold {
        threshold: U16::new(threshold),
        select: asked.select & TEMPERATURE_SELECT,
        ..TemperatureThreshold::default()
    };
    Ok(u32::from_le_bytes(transmute!(value)))
}

fn set_threshold<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    value: TemperatureThreshold,
) -> Result<(), CompletionStatus> {
    let selected = Selected::of(value)?;
    let all = selected.temperature == ALL_TEMPERATURES;
    if !all && !is_measured(context, request.controller, selected.temperature) {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    let kelvins = value.threshold.get();
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
    let page = request.return_data(exchange, size_of::<Timestamp>() as u32)?;
    if let Some(controller) = context.model.controllers.get(request.controller)
        && current
    {
        let timestamp = controller.timestamp;
        let milliseconds = timestamp.at(context.now);
        let is_set = timestamp.set.is_some();
        // Of the 8 bytes of the number the upper 2 are zero, and not those of the field.
        page.put_u64(offset_of!(Timestamp, milliseconds) as u32, milliseconds);
        put!(
            page,
            Timestamp {
                attributes: if is_set { Timestamp::SET_BY_HOST } else { 0 }
            }
        );
    }
    Ok(0)
}

fn set_timestamp<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &Exchange<'_>,
) -> Result<(), Refusal> {
    let timestamp = Timestamp::ref_from_bytes(exchange.request_data())
        .map_err(|_| Failure::new(Status::InvalidInputDataSize))?;
    if let Some(controller) = context.model.controllers.get_mut(request.controller) {
        controller.timestamp.set = Some((context.now, timestamp.get()));
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
        put!(
            page,
            MetadataHeader {
                count: u8::try_from(count).unwrap_or(u8::MAX)
            }
        );
        page.put(size_of::<MetadataHeader>() as u32, metadata.as_bytes());
    }
    Ok(0)
}

/// EA, element action, bits 14:13 of dword 11: what is done with each descriptor that is given.
#[derive(Clone, Copy)]
struct ElementAction {
    /// All of its type are removed.
    removes: bool,
    /// It is added.
    adds: bool,
}

impl ElementAction {
    fn of(dword11: u32, of: MetadataOf) -> Result<Self, CompletionStatus> {
        let (removes, adds) = match dword11 >> 13 & 3 {
            0 => (true, true),
            1 => (true, false),
            2 if of == MetadataOf::Controller(ENHANCED) => (false, true),
            _ => return Err(CompletionStatus::INVALID_FIELD),
        };
        Ok(Self { removes, adds })
    }
}

/// The descriptors of a command.
struct Given<'d> {
    /// How many there are to be.
    count: usize,
    descriptors: &'d [u8],
}

/// Does that with metadata. After an error they are good for nothing.
fn change(
    metadata: &mut Metadata,
    action: ElementAction,
    given: &Given<'_>,
) -> Result<(), CompletionStatus> {
    let all = || descriptors(given.descriptors).take(given.count);
    if all().count() != given.count {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    for descriptor in all() {
        if action.removes {
            remove(metadata, type_of(descriptor));
        }
        if action.adds {
            let added = metadata.push(descriptor);
            added.ok_or(CompletionStatus::INVALID_FIELD)?;
        }
    }
    Ok(())
}

fn type_of(descriptor: &[u8]) -> u8 {
    MetadataDescriptor::ref_from_prefix(descriptor)
        .map_or(0, |(header, _)| header.element_type & ELEMENT_TYPE)
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
        let (header, _) = MetadataDescriptor::ref_from_prefix(left).ok()?;
        let value = usize::from(header.length.get());
        let length = size_of::<MetadataDescriptor>().saturating_add(value);
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
