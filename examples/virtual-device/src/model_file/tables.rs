//! The tables of a model file as they are written, and their way to a [`DeviceModel`].

use std::ops::Range;

use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{
    ControllerConfig, Function, IdentityText, LinkWidth, ModelError, NamespaceId, PciAddress,
    PciePort, PortConfig, PortId, PortKind, SmbusFrequency, TwoWirePort, Vendor, vendor_from_build,
};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::temperature::Temperature;
use super::values::{Number, Problem, one_of, problem, within, within_or};
use super::{
    BadModel, BrokenRule, CONTROLLERS, ControllerModel, DeviceModel, FIRMWARE_SLOTS, FirmwareModel,
    LONGEST_VPD, PORTS, Part, ROOMS,
};
use crate::slow_firmware::FirmwareTimes;

/// Reads the text of a model file.
pub(super) fn parse(text: &str) -> Result<DeviceModel, BadModel> {
    checked(text, toml::from_str(text))
}

/// Reads the tables of a model that are a part of another file, whose text is `text`.
pub(super) fn parse_table(
    text: &str,
    table: Spanned<DeValue<'_>>,
) -> Result<DeviceModel, BadModel> {
    checked(text, File::deserialize(ValueDeserializer::from(table)))
}

fn checked(text: &str, file: Result<File, toml::de::Error>) -> Result<DeviceModel, BadModel> {
    let file = file.map_err(|error| from_toml(text, &error))?;
    let located = |problem: Problem| BadModel {
        line: Some(line_of(text, problem.at)),
        sentence: problem.sentence,
    };
    let model = file.model().map_err(located)?;
    let broken = model.build("", &model.revision()).err();
    match broken {
        None => Ok(model),
        Some(broken) => Err(located(file.locate(&model, broken))),
    }
}

fn from_toml(text: &str, error: &toml::de::Error) -> BadModel {
    let sentence = error
        .message()
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("expected a sequence", "expected a list in brackets")
        .replace('\n', ", ");
    BadModel {
        line: error.span().map(|span| line_of(text, span.start)),
        sentence,
    }
}

/// The line of this byte; the first is 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at);
    1 + before.filter(|byte| *byte == b'\n').count()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    subsystem: SubsystemTable,
    #[serde(default)]
    port: Vec<Spanned<PortTable>>,
    #[serde(default)]
    controller: Vec<Spanned<ControllerTable>>,
    #[serde(default)]
    namespace: Vec<Spanned<NamespaceTable>>,
    #[serde(default)]
    health: HealthTable,
    #[serde(default)]
    vpd: VpdTable,
    firmware: FirmwareTable,
}

impl File {
    fn model(&self) -> Result<DeviceModel, Problem> {
        let subsystem = &self.subsystem;
        let ports: Vec<_> = self
            .port
            .iter()
            .map(PortTable::port)
            .collect::<Result<_, _>>()?;
        let controllers = self
            .controller
            .iter()
            .map(|table| table.as_ref().controller());
        let namespaces = self.namespace.iter().map(|table| table.as_ref().blocks());
        let rooms = ROOMS.map(|room| (i64::try_from(room).unwrap_or(i64::MAX), room));
        let capacity = within("capacity", &subsystem.capacity, 0..=i64::MAX)?;
        let management_port = PortId(within(
            "management_port",
            &subsystem.management_port,
            0..=i64::from(u8::MAX),
        )?);
        if usize::from(management_port.0) >= ports.len() {
            return Err(problem(
                &subsystem.management_port,
                format!(
                    "there is no port {}: the file has {} of them",
                    management_port.0,
                    ports.len()
                ),
            ));
        }
        Ok(DeviceModel {
            serial_number: subsystem.serial_number.as_ref().map(text),
            model_number: text(&subsystem.model_number),
            qualified_name: text(&subsystem.qualified_name),
            capacity,
            room_for_namespaces: one_of(
                "room_for_namespaces",
                &subsystem.room_for_namespaces,
                &rooms,
            )?,
            namespace_management: subsystem.namespace_management,
            vendor: subsystem.vendor.vendor()?,
            management_port,
            ports,
            controllers: controllers.collect::<Result<_, _>>()?,
            namespaces: namespaces.collect::<Result<_, _>>()?,
            health: self.health.report()?,
            vpd: self.vpd.content()?,
            firmware: self.firmware.slots()?,
        })
    }

    /// Where a broken rule is in the file, and what to say about it.
    fn locate(&self, model: &DeviceModel, broken: BrokenRule) -> Problem {
        let BrokenRule { part, rule } = broken;
        let sentence = match rule {
            ModelError::TooManyPorts => format!("{rule}: {PORTS} are the most"),
            ModelError::TooManyControllers => format!("{rule}: {CONTROLLERS} are the most"),
            ModelError::TooManyNamespaces => {
                format!(
                    "{rule}: room_for_namespaces is {}",
                    model.room_for_namespaces
                )
            }
            ModelError::InsufficientCapacity => {
                format!("{rule} than this: capacity is {} bytes", model.capacity)
            }
            rule => rule.to_string(),
        };
        Problem {
            at: self.place(part, rule).unwrap_or(0),
            sentence,
        }
    }

    fn place(&self, part: Part, rule: ModelError) -> Option<usize> {
        let subsystem = &self.subsystem;
        let span = match (part, rule) {
            (Part::Identity, ModelError::InvalidText(IdentityText::SerialNumber)) => {
                subsystem.serial_number.as_ref()?.span()
            }
            (Part::Identity, ModelError::InvalidText(IdentityText::ModelNumber)) => {
                subsystem.model_number.span()
            }
            (Part::Identity, _) => subsystem.qualified_name.span(),
            (Part::Port(index), _) => self.port_key(index, rule)?,
            (Part::Namespace(index), _) => self.namespace.get(index)?.as_ref().blocks.span(),
            (Part::Controller(index), _) => self.controller.get(index)?.as_ref().port.span(),
            (Part::Attachment(index, place), _) => {
                let namespaces = &self.controller.get(index)?.as_ref().namespaces;
                namespaces.get(place)?.span()
            }
        };
        Some(span.start)
    }

    fn port_key(&self, index: usize, rule: ModelError) -> Option<Range<usize>> {
        let table = self.port.get(index)?;
        let unit = table.as_ref().max_transmission_unit.as_ref();
        let pcie = table.as_ref().pcie.as_ref();
        let key = match rule {
            ModelError::TransmissionUnitTooSmall => unit.map(Spanned::span),
            ModelError::InvalidPciePort => pcie.map(|pcie| pcie.as_ref().link.span()),
            _ => None,
        };
        Some(key.unwrap_or(table.span()))
    }
}

fn text(value: &Spanned<String>) -> String {
    value.as_ref().clone()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SubsystemTable {
    serial_number: Option<Spanned<String>>,
    model_number: Spanned<String>,
    qualified_name: Spanned<String>,
    capacity: Spanned<Number>,
    room_for_namespaces: Spanned<Number>,
    #[serde(default)]
    namespace_management: bool,
    management_port: Spanned<Number>,
    #[serde(default)]
    vendor: VendorTable,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct VendorTable {
    ieee_oui: Option<Spanned<String>>,
    pci_vendor: Option<Spanned<Number>>,
    pci_device: Option<Spanned<Number>>,
    pci_subsystem_vendor: Option<Spanned<Number>>,
    pci_subsystem: Option<Spanned<Number>>,
}

impl VendorTable {
    fn vendor(&self) -> Result<Vendor, Problem> {
        let built: Vendor = vendor_from_build!();
        let id = |key, value, default| within_or(key, value, 0..=0xFFFF, default);
        Ok(Vendor {
            ieee_oui: match &self.ieee_oui {
                None => built.ieee_oui,
                Some(oui) => Vendor::parse_oui(oui.as_ref()).ok_or_else(|| {
                    problem(
                        oui,
                        "an OUI is three bytes in hexadecimal with dashes between, as ac-de-48",
                    )
                })?,
            },
            pci_vendor: id("pci_vendor", &self.pci_vendor, built.pci_vendor)?,
            pci_device: id("pci_device", &self.pci_device, built.pci_device)?,
            pci_subsystem_vendor: id(
                "pci_subsystem_vendor",
                &self.pci_subsystem_vendor,
                built.pci_subsystem_vendor,
            )?,
            pci_subsystem: id("pci_subsystem", &self.pci_subsystem, built.pci_subsystem)?,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PortTable {
    max_transmission_unit: Option<Spanned<Number>>,
    pcie: Option<Spanned<PcieTable>>,
    two_wire: Option<Spanned<TwoWireTable>>,
}

impl PortTable {
    fn port(table: &Spanned<Self>) -> Result<PortConfig, Problem> {
        let Self {
            max_transmission_unit,
            pcie,
            two_wire,
        } = table.as_ref();
        let kind = match (pcie, two_wire) {
            (Some(pcie), None) => PortKind::Pcie(pcie.as_ref().port()?),
            (None, Some(two_wire)) => PortKind::TwoWire(TwoWireTable::port(two_wire)?),
            _ => {
                return Err(problem(
                    table,
                    "a port has either a [port.pcie] or a [port.two_wire] table",
                ));
            }
        };
        Ok(PortConfig {
            kind,
            max_transmission_unit: within_or(
                "max_transmission_unit",
                max_transmission_unit,
                0..=i64::from(u16::MAX),
                64,
            )?,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PcieTable {
    generation: Spanned<Number>,
    lanes: Spanned<Number>,
    link: Spanned<Number>,
    max_payload: Option<Spanned<Number>>,
    number: Option<Spanned<Number>>,
}

const WIDTHS: [(i64, LinkWidth); 7] = [
    (1, LinkWidth::X1),
    (2, LinkWidth::X2),
    (4, LinkWidth::X4),
    (8, LinkWidth::X8),
    (12, LinkWidth::X12),
    (16, LinkWidth::X16),
    (32, LinkWidth::X32),
];

/// Bytes, and the power of two by which that is more than 128.
const PAYLOADS: [(i64, u8); 6] = [
    (128, 0),
    (256, 1),
    (512, 2),
    (1024, 3),
    (2048, 4),
    (4096, 5),
];

impl PcieTable {
    fn port(&self) -> Result<PciePort, Problem> {
        let link = within("link", &self.link, 0..=6)?;
        Ok(PciePort {
            generation: within("generation", &self.generation, 1..=6)?,
            width: one_of("lanes", &self.lanes, &WIDTHS)?,
            link: Some(link).filter(|link| *link != 0),
            payload_exponent: match &self.max_payload {
                Some(value) => one_of("max_payload", value, &PAYLOADS)?,
                None => 0,
            },
            number: within_or("number", &self.number, 0..=255, 0)?,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TwoWireTable {
    address: Spanned<Number>,
    frequency: Frequency,
    vpd_address: Option<Spanned<Number>>,
    vpd_frequency: Option<Frequency>,
    #[serde(default)]
    basic_management: bool,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(try_from = "String")]
struct Frequency(SmbusFrequency);

impl TryFrom<String> for Frequency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self(match &*text {
            "100 kHz" => SmbusFrequency::Khz100,
            "400 kHz" => SmbusFrequency::Khz400,
            "1 MHz" => SmbusFrequency::Mhz1,
            _ => {
                return Err(format!(
                    "a frequency is \"100 kHz\", \"400 kHz\" or \"1 MHz\", not {text:?}"
                ));
            }
        }))
    }
}

impl TwoWireTable {
    fn port(table: &Spanned<Self>) -> Result<TwoWirePort, Problem> {
        let this = table.as_ref();
        if this.vpd_address.is_some() != this.vpd_frequency.is_some() {
            return Err(problem(
                table,
                "vpd_address and vpd_frequency are given both, or neither",
            ));
        }
        Ok(TwoWirePort {
            vpd_address: within_or("vpd_address", &this.vpd_address, 0..=0x7F, 0)?,
            vpd_frequency: this.vpd_frequency.map(|frequency| frequency.0),
            endpoint_address: within("address", &this.address, 0..=0x7F)?,
            frequency: this.frequency.0,
            basic_management: this.basic_management,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ControllerTable {
    port: Spanned<Number>,
    #[serde(default)]
    function: FunctionName,
    pci_address: Option<Address>,
    #[serde(default)]
    namespaces: Vec<Spanned<Number>>,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(try_from = "String")]
struct FunctionName(Function);

impl TryFrom<String> for FunctionName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self(match &*text {
            "plain" => Function::Plain,
            "physical" => Function::Physical,
            "virtual" => Function::Virtual,
            _ => {
                return Err(format!(
                    "a function is \"plain\", \"physical\" or \"virtual\", not {text:?}"
                ));
            }
        }))
    }
}

impl ControllerTable {
    fn controller(&self) -> Result<ControllerModel, Problem> {
        let namespace =
            |value| within("a namespace", value, 1..=i64::from(u32::MAX)).map(NamespaceId);
        Ok(ControllerModel {
            port: PortId(within("port", &self.port, 0..=255)?),
            config: ControllerConfig {
                function: self.function.0,
                address: self.pci_address.map(|address| address.0),
            },
            namespaces: self
                .namespaces
                .iter()
                .map(namespace)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Bus, device and function.
#[derive(Clone, Copy, serde::Deserialize)]
#[serde(try_from = "String")]
struct Address(PciAddress);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        pci_address(&text).map(Self).ok_or_else(|| {
            format!("a PCI address is bus, device (to 1f) and function (to 7) in hexadecimal, as \"01:00.0\", not {text:?}")
        })
    }
}

fn pci_address(text: &str) -> Option<PciAddress> {
    let (bus, rest) = text.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let number = |digits: &str, length: usize, most: u8| {
        let good = digits.len() <= length && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u8::from_str_radix(digits, 16).ok().filter(|_| good);
        number.filter(|number| *number <= most)
    };
    Some(PciAddress {
        bus: number(bus, 2, 0xFF)?,
        device: number(device, 2, 0x1F)?,
        function: number(function, 1, 7)?,
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NamespaceTable {
    blocks: Spanned<Number>,
}

impl NamespaceTable {
    fn blocks(&self) -> Result<u64, Problem> {
        within("blocks", &self.blocks, 1..=i64::MAX)
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HealthTable {
    critical_warning: Option<Spanned<Number>>,
    temperature: Option<Spanned<Temperature>>,
    available_spare: Option<Spanned<Number>>,
    spare_threshold: Option<Spanned<Number>>,
    percentage_used: Option<Spanned<Number>>,
    data_units_read: Option<Spanned<Number>>,
    data_units_written: Option<Spanned<Number>>,
    host_reads: Option<Spanned<Number>>,
    host_writes: Option<Spanned<Number>>,
    busy_minutes: Option<Spanned<Number>>,
    power_cycles: Option<Spanned<Number>>,
    power_on_hours: Option<Spanned<Number>>,
    unsafe_shutdowns: Option<Spanned<Number>>,
    media_errors: Option<Spanned<Number>>,
    warning_minutes: Option<Spanned<Number>>,
    critical_minutes: Option<Spanned<Number>>,
    sensors: Option<Spanned<Vec<Spanned<Temperature>>>>,
}

/// Critical warnings that there are.
const WARNINGS: i64 = 0x3F;

impl HealthTable {
    fn report(&self) -> Result<HealthReport, Problem> {
        let healthy = HealthReport::healthy();
        let count = |key, value, default: u64| within_or(key, value, 0..=i64::MAX, default);
        let minutes =
            |key, value, default: u32| within_or(key, value, 0..=i64::from(u32::MAX), default);
        let percent = |key, value, default: u8| within_or(key, value, 0..=100, default);
        Ok(HealthReport {
            critical_warning: within_or(
                "critical_warning",
                &self.critical_warning,
                0..=WARNINGS,
                0,
            )?,
            temperature: match &self.temperature {
                Some(temperature) => temperature.as_ref().kelvins(),
                None => healthy.temperature,
            },
            available_spare: percent(
                "available_spare",
                &self.available_spare,
                healthy.available_spare,
            )?,
            spare_threshold: percent(
                "spare_threshold",
                &self.spare_threshold,
                healthy.spare_threshold,
            )?,
            percentage_used: within_or(
                "percentage_used",
                &self.percentage_used,
                0..=255,
                healthy.percentage_used,
            )?,
            data_units_read: count(
                "data_units_read",
                &self.data_units_read,
                healthy.data_units_read,
            )?,
            data_units_written: count(
                "data_units_written",
                &self.data_units_written,
                healthy.data_units_written,
            )?,
            host_reads: count("host_reads", &self.host_reads, healthy.host_reads)?,
            host_writes: count("host_writes", &self.host_writes, healthy.host_writes)?,
            busy_minutes: count("busy_minutes", &self.busy_minutes, healthy.busy_minutes)?,
            power_cycles: count("power_cycles", &self.power_cycles, healthy.power_cycles)?,
            power_on_hours: count(
                "power_on_hours",
                &self.power_on_hours,
                healthy.power_on_hours,
            )?,
            unsafe_shutdowns: count(
                "unsafe_shutdowns",
                &self.unsafe_shutdowns,
                healthy.unsafe_shutdowns,
            )?,
            media_errors: count("media_errors", &self.media_errors, healthy.media_errors)?,
            warning_minutes: minutes(
                "warning_minutes",
                &self.warning_minutes,
                healthy.warning_minutes,
            )?,
            critical_minutes: minutes(
                "critical_minutes",
                &self.critical_minutes,
                healthy.critical_minutes,
            )?,
            sensors: self.sensors()?,
        })
    }

    fn sensors(&self) -> Result<[u16; 8], Problem> {
        let mut sensors = [0; 8];
        let Some(list) = &self.sensors else {
            return Ok(sensors);
        };
        let values = list.as_ref();
        if values.len() > sensors.len() {
            let sentence = format!("there are at most 8 sensors, not {}", values.len());
            return Err(problem(list, sentence));
        }
        for (sensor, value) in sensors.iter_mut().zip(values) {
            *sensor = value.as_ref().kelvins();
        }
        Ok(sensors)
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VpdTable {
    content: Option<Spanned<String>>,
}

impl VpdTable {
    fn content(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = &self.content else {
            return Ok(None);
        };
        let bytes: Vec<_> = text
            .as_ref()
            .split_whitespace()
            .map(|byte| hex_byte(byte).ok_or_else(|| problem(text, not_a_byte(byte))))
            .collect::<Result<_, _>>()?;
        if !(1..=LONGEST_VPD).contains(&bytes.len()) {
            let sentence = format!("content has 1 to {LONGEST_VPD} bytes, not {}", bytes.len());
            return Err(problem(text, sentence));
        }
        Ok(Some(bytes))
    }
}

fn not_a_byte(text: &str) -> String {
    format!("content is bytes from 00 to ff with spaces between, as \"01 00\", not {text:?}")
}

fn hex_byte(text: &str) -> Option<u8> {
    let is_byte = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(text, 16).ok().filter(|_| is_byte)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FirmwareTable {
    slots: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    first_slot_read_only: bool,
    #[serde(default)]
    activates_without_reset: bool,
    piece_seconds: Option<Spanned<Number>>,
    commit_seconds: Option<Spanned<Number>>,
}

/// The longest time of a piece and of a commit in seconds, which More Processing Required can still announce.
const LONGEST_TIME: i64 = 3600;

impl FirmwareTable {
    fn slots(&self) -> Result<FirmwareModel, Problem> {
        let slots = self.slots.as_ref();
        if !(1..=FIRMWARE_SLOTS).contains(&slots.len()) {
            let sentence = format!(
                "there are 1 to {FIRMWARE_SLOTS} firmware slots, not {}",
                slots.len()
            );
            return Err(problem(&self.slots, sentence));
        }
        let slots: Vec<_> = slots.iter().map(revision).collect::<Result<_, _>>()?;
        if slots.first().is_some_and(Option::is_none) {
            return Err(problem(
                &self.slots,
                "slot 1 is active, so it cannot be empty",
            ));
        }
        let milliseconds = |key, value| {
            let seconds: u32 = within_or(key, value, 0..=LONGEST_TIME, 0)?;
            Ok::<_, Problem>(seconds.saturating_mul(1000))
        };
        Ok(FirmwareModel {
            slots,
            first_slot_read_only: self.first_slot_read_only,
            activates_without_reset: self.activates_without_reset,
            times: FirmwareTimes {
                piece: milliseconds("piece_seconds", &self.piece_seconds)?,
                commit: milliseconds("commit_seconds", &self.commit_seconds)?,
            },
        })
    }
}

/// A firmware revision, padded with spaces.
fn revision(text: &Spanned<String>) -> Result<Option<[u8; 8]>, Problem> {
    let bytes = text.as_ref().as_bytes();
    let mut revision = [b' '; 8];
    let printable = bytes.iter().all(|byte| (0x20..0x7F).contains(byte));
    let Some(place) = revision.get_mut(..bytes.len()).filter(|_| printable) else {
        return Err(problem(
            text,
            "a firmware revision is at most 8 printable ASCII characters",
        ));
    };
    place.copy_from_slice(bytes);
    Ok((!bytes.is_empty()).then_some(revision))
}
