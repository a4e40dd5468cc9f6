//! What the device manages, from a model file: `--model FILE`.
//!
//! `models/default.toml` is the default and documents every key. A file is checked as a whole when
//! it is read, with the rules of `nvme-mi-responder` itself where it has them, so that nothing is
//! left to go wrong when the device is switched on.

mod tables;
mod temperature;
mod values;
mod vpd;

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use nvme_mi_responder::world::{HealthReport, MemoryFirmware};
use nvme_mi_responder::{
    ControllerConfig, Identity, Model, ModelError, NamespaceId, PortConfig, PortId, Subsystem,
    Vendor,
};
use toml::Spanned;
use toml::de::DeValue;

use crate::slow_firmware::FirmwareTimes;
pub use vpd::ModelVpd;

/// The model of a device without `--model`.
const DEFAULT: &str = include_str!("../models/default.toml");

/// Ports there is room for.
const PORTS: usize = 8;
/// Controllers there is room for: as many as a subsystem can have.
pub(crate) const CONTROLLERS: usize = 32;
/// Firmware slots there is room for: as many as a store can have.
pub(crate) const FIRMWARE_SLOTS: usize = 7;
/// The longest Vital Product Data, in bytes (NVMe-MI 1.2, section 8.2).
const LONGEST_VPD: usize = 4096;

/// The longest model file, in bytes: a hundred times as long as one with 4096 bytes of Vital Product
/// Data and everything else there can be. What is longer may have no end, such as `/dev/zero`.
const LONGEST_FILE: u64 = 1 << 20;

/// How many namespaces there can be room for.
const ROOMS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// A device as a model file describes it, all of it legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceModel {
    /// `None`: that of the USB device.
    pub serial_number: Option<String>,
    /// As Identify Controller has it.
    pub model_number: String,
    /// NVMe Qualified Name of the subsystem.
    pub qualified_name: String,
    /// Bytes that all namespaces together can have.
    pub capacity: u64,
    /// How many namespaces there can be.
    pub room_for_namespaces: usize,
    /// Whether hosts may create, delete, attach and detach namespaces.
    pub namespace_management: bool,
    /// Who made the device.
    pub vendor: Vendor,
    /// Where the management endpoint is.
    pub management_port: PortId,
    /// Ports from port 0.
    pub ports: Vec<PortConfig>,
    /// Controllers from controller 0.
    pub controllers: Vec<ControllerModel>,
    /// Blocks of 512 bytes of each namespace from namespace 1.
    pub namespaces: Vec<u64>,
    /// Of all controllers.
    pub health: HealthReport,
    /// The Vital Product Data. `None`: those that the rest of the model makes.
    pub vpd: Option<Vec<u8>>,
    /// Firmware slots.
    pub firmware: FirmwareModel,
}

/// A controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerModel {
    /// Its port.
    pub port: PortId,
    /// What it is, and where.
    pub config: ControllerConfig,
    /// The namespaces that are attached to it.
    pub namespaces: Vec<NamespaceId>,
}

/// Firmware slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareModel {
    /// The revision in each slot from slot 1, which is active; `None`: the slot is empty.
    pub slots: Vec<Option<[u8; 8]>>,
    /// Whether slot 1 cannot be written.
    pub first_slot_read_only: bool,
    /// Whether images can be activated without a reset.
    pub activates_without_reset: bool,
    /// How long it takes to keep a piece of an image, and to store an image.
    pub times: FirmwareTimes,
}

/// What is wrong with a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadModel {
    /// The first line is 1. `None`: the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong there.
    pub sentence: String,
}

impl Display for BadModel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}

impl DeviceModel {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong with it, and where: `FILE, line N: ...`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = read_text(path, "model").map_err(|why| format!("{name}: {why}"))?;
        Self::parse(&text).map_err(|bad| match bad.line {
            Some(_) => format!("{name}, {bad}"),
            None => format!("{name}: {bad}"),
        })
    }

    /// Reads the text of a model file.
    ///
    /// # Errors
    ///
    /// When it is not one, or describes a device that cannot be.
    pub fn parse(text: &str) -> Result<Self, BadModel> {
        tables::parse(text)
    }

    /// Reads the tables of a model that are a part of another file, whose text is `text`.
    pub(crate) fn parse_table(text: &str, table: Spanned<DeValue<'_>>) -> Result<Self, BadModel> {
        tables::parse_table(text, table)
    }

    /// The revision of the firmware that runs in the beginning.
    pub fn revision(&self) -> String {
        let revision = self.firmware.slots.first().copied().flatten();
        let revision = revision.unwrap_or_default();
        String::from_utf8_lossy(&revision).trim_end().to_owned()
    }

    /// Which of the identifiers are for trials, and what to do about them. `None` when the model
    /// has identifiers of somebody.
    pub fn vendor_warning(&self) -> Option<String> {
        let (vendor, trial) = (&self.vendor, Vendor::NOT_FOR_DISTRIBUTION);
        let identifiers = [
            ("the IEEE OUI", vendor.ieee_oui == trial.ieee_oui),
            ("the PCI vendor ID", vendor.pci_vendor == trial.pci_vendor),
            (
                "the PCI subsystem vendor ID",
                vendor.pci_subsystem_vendor == trial.pci_subsystem_vendor,
            ),
        ];
        let of_trial = identifiers
            .into_iter()
            .filter(|(_, is_of_trial)| *is_of_trial);
        let names: Vec<_> = of_trial.map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| {
            format!(
                "for development only, not to be distributed: {}; [subsystem.vendor] of a model file has your own",
                names.join(", ")
            )
        })
    }

    /// Builds the subsystem.
    ///
    /// # Errors
    ///
    /// When a rule of the model is broken; which no model read from a file does.
    pub(crate) fn build<'i>(
        &'i self,
        usb_serial_number: &'i str,
        revision: &'i str,
    ) -> Result<Box<dyn AnySubsystem + 'i>, BrokenRule> {
        let identity = self.identity(usb_serial_number, revision);
        let mut subsystem =
            empty(identity, self.room_for_namespaces).map_err(Part::Identity.broken())?;
        let mut model = subsystem.model();
        for (index, port) in self.ports.iter().enumerate() {
            model.add_port(*port).map_err(Part::Port(index).broken())?;
        }
        for (index, blocks) in self.namespaces.iter().enumerate() {
            let part = Part::Namespace(index);
            model.add_namespace(*blocks).map_err(part.broken())?;
        }
        for (index, controller) in self.controllers.iter().enumerate() {
            let part = Part::Controller(index);
            let added = model.add_controller(controller.port, controller.config);
            let id = added.map_err(part.broken())?;
            for (place, namespace) in controller.namespaces.iter().enumerate() {
                let part = Part::Attachment(index, place);
                let attached = model.attach_namespace(*namespace, id);
                attached.map_err(part.broken())?;
            }
        }
        if self.namespace_management {
            model.allow_namespace_management();
        }
        Ok(subsystem)
    }

    fn identity<'i>(&'i self, usb_serial_number: &'i str, revision: &'i str) -> Identity<'i> {
        Identity {
            serial_number: self.serial_number.as_deref().unwrap_or(usb_serial_number),
            model_number: &self.model_number,
            firmware_revision: revision,
            qualified_name: &self.qualified_name,
            capacity: self.capacity,
            vendor: self.vendor,
        }
    }
}

/// The line of this byte of a text; the first is 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    tables::line_of(text, at)
}

/// The text of a file that may have no end, which should be a `kind` file.
pub(crate) fn read_text(path: &Path, kind: &str) -> Result<String, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::IsADirectory => format!("this is a folder, and a {kind} is a file"),
        ErrorKind::PermissionDenied => "this file may not be read".into(),
        _ => format!("this file cannot be read: {error}"),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    let mut start = file.take(LONGEST_FILE + 1);
    start.read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(format!(
            "this is longer than 1 MiB, and a {kind} file has a few KiB"
        ));
    }
    String::from_utf8(bytes).map_err(|_| format!("this is no text in UTF-8, as a {kind} file is"))
}

impl FirmwareModel {
    /// The slots in `memory`. The store has more of them than the model: [`FirmwareModel::slots`]
    /// says how many are to be seen.
    pub(crate) fn build<'b>(&self, memory: &'b mut [u8]) -> MemoryFirmware<'b, FIRMWARE_SLOTS> {
        let slot = |index: usize| self.slots.get(index).copied().flatten();
        let mut store = MemoryFirmware::new(memory, std::array::from_fn(slot));
        if self.first_slot_read_only {
            store = store.with_read_only_first_slot();
        }
        if self.activates_without_reset {
            store = store.with_immediate_activation();
        }
        store
    }
}

impl Default for DeviceModel {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the default model file is a good one")
    }
}

/// A part of a model, by its place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Identity,
    Port(usize),
    Namespace(usize),
    Controller(usize),
    /// Of a controller, the namespace in this place of its list.
    Attachment(usize, usize),
}

impl Part {
    fn broken(self) -> impl Fn(ModelError) -> BrokenRule {
        move |rule| BrokenRule { part: self, rule }
    }
}

/// A part that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokenRule {
    part: Part,
    pub(crate) rule: ModelError,
}

/// A subsystem of any size.
pub(crate) trait AnySubsystem {
    /// The view of it that all sizes have in common.
    fn model(&mut self) -> Model<'_>;
}

impl<const P: usize, const C: usize, const N: usize> AnySubsystem for Subsystem<'_, P, C, N> {
    fn model(&mut self) -> Model<'_> {
        self.model()
    }
}

/// A subsystem without ports, controllers and namespaces that has room for as many namespaces: one
/// of [`ROOMS`].
fn empty(identity: Identity<'_>, room: usize) -> Result<Box<dyn AnySubsystem + '_>, ModelError> {
    Ok(match room {
        1 => Box::new(Subsystem::<PORTS, CONTROLLERS, 1>::new(identity)?),
        2 => Box::new(Subsystem::<PORTS, CONTROLLERS, 2>::new(identity)?),
        4 => Box::new(Subsystem::<PORTS, CONTROLLERS, 4>::new(identity)?),
        8 => Box::new(Subsystem::<PORTS, CONTROLLERS, 8>::new(identity)?),
        16 => Box::new(Subsystem::<PORTS, CONTROLLERS, 16>::new(identity)?),
        32 => Box::new(Subsystem::<PORTS, CONTROLLERS, 32>::new(identity)?),
        64 => Box::new(Subsystem::<PORTS, CONTROLLERS, 64>::new(identity)?),
        _ => Box::new(Subsystem::<PORTS, CONTROLLERS, 128>::new(identity)?),
    })
}

#[cfg(test)]
mod tests;
