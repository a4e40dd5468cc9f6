//! NVMe-MI: what a management controller asks a drive first (NVMe-MI 1.2, section 5; NVM Express
//! Base 2.0, section 5).

use nvme_mi_responder::wire::{
    ControllerHealthPoll, ControllerHealthPollResult, DataStructureType, GetLogPage, Identify,
    IdentifyStructure, LogPageId, PortInformation, ReadDataStructure, ReadDataStructureResult,
    SmartHealth, SubsystemHealth, SubsystemHealthPoll,
};
use nvme_mi_responder::{NamespaceId, PciAddress, PortKind, SmbusFrequency};
use zerocopy::IntoBytes;

use super::control::DEVICE;
use super::exchange::Exchanger;
use super::expectations::{Expectations, SubsystemModel};
use super::expected::{self, read, same};
use super::nvme_mi::{AdminCommand, LONGEST_REQUEST, MiCommand};
use super::screen::Screen;

/// The namespace ID that stands for the controller.
const NO_NAMESPACE: u32 = 0xFFFF_FFFF;

/// The host side of the chapter: whom to ask, and what the answers must be.
#[derive(Clone, Copy)]
pub(super) struct Host<'h, 'r, 'b, 'l> {
    pub(super) exchanger: &'h Exchanger<'r, 'b, 'l>,
    pub(super) expectations: &'h Expectations,
}

/// Whether there can be the chapters on management: controllers to ask, and room for the messages.
///
/// Writes a note if not.
pub(super) fn is_possible(
    expectations: &Expectations,
    screen: &mut Screen<'_>,
) -> anyhow::Result<bool> {
    let obstacle = if expectations.max_message < LONGEST_REQUEST {
        format!("the device takes no message of {LONGEST_REQUEST} bytes")
    } else if expectations.model.controllers.is_empty() {
        "the model has no controllers".into()
    } else {
        return Ok(true);
    };
    screen.heading("NVMe-MI is left out here")?;
    screen.note(&obstacle)?;
    Ok(false)
}

impl Host<'_, '_, '_, '_> {
    pub(super) async fn show(&self, screen: &mut Screen<'_>) -> anyhow::Result<()> {
        let model = self.model();
        screen.heading("NVMe-MI: the host asks what there is to manage")?;
        screen.highlight("NVM subsystem", self.subsystem().await)?;
        for index in 0..model.ports.len() {
            screen.check(&format!("port {index}"), self.port(index).await)?;
        }
        for id in 0..model.controllers.len() as u16 {
            screen.check(&format!("controller {id}"), self.controller(id).await)?;
        }
        screen.check("Identify Controller", self.identify().await)?;
        screen.highlight("namespaces", self.namespaces().await)?;
        for (id, blocks) in (1..).zip(&model.namespaces) {
            let result = self.namespace(id, *blocks).await;
            screen.check(&format!("namespace {id}"), result)?;
        }
        screen.highlight("subsystem health", self.subsystem_health().await)?;
        screen.check("controller health", self.controller_health().await)?;
        screen.check("SMART log", self.smart_log().await)?;
        if self.can_create_namespace() {
            let result = self.create_and_delete().await;
            screen.check("create, attach, detach, delete", result)?;
        }
        screen.check("a request that was damaged", self.damaged().await)?;
        Ok(())
    }

    pub(super) fn model(&self) -> &SubsystemModel {
        &self.expectations.model
    }

    /// Read NVMe-MI Data Structure, of the controller or port that `command` names.
    async fn structure(
        &self,
        data_structure_type: DataStructureType,
        mut command: ReadDataStructure,
        length: usize,
    ) -> Result<Vec<u8>, String> {
        command.data_structure_type = data_structure_type;
        let command = MiCommand::new(command);
        let answer = command.run(self.exchanger, length).await?;
        let told = ReadDataStructureResult::from(answer.result).length.get();
        if usize::from(told) != length {
            return Err(format!("the structure is said to have {told} bytes"));
        }
        Ok(answer.data)
    }

    /// Identify.
    pub(super) async fn ask_identity(
        &self,
        structure: IdentifyStructure,
        controller: u16,
        namespace: u32,
    ) -> Result<Vec<u8>, String> {
        let mut identify = Identify::default();
        identify.structure = structure;
        let command = AdminCommand::new(controller, identify)
            .of_namespace(namespace)
            .returning(4096);
        command.run(self.exchanger).await
    }

    /// A whole log page.
    pub(super) async fn log_page(&self, id: LogPageId, length: u16) -> Result<Vec<u8>, String> {
        let mut get = GetLogPage::default();
        get.log_page_id = id;
        get.number_of_dwords_lower.set(length / 4 - 1);
        let command = AdminCommand::new(0, get)
            .of_namespace(NO_NAMESPACE)
            .returning(length.into());
        command.run(self.exchanger).await
    }

    async fn subsystem(&self) -> Result<String, String> {
        let model = self.model();
        let expected = expected::subsystem(model);
        let kind = DataStructureType::SUBSYSTEM_INFORMATION;
        let any = ReadDataStructure::default();
        let found = self.structure(kind, any, size_of_val(&expected)).await?;
        same("Subsystem Information", &found, expected.as_bytes())?;
        let ids: Vec<_> = (0..model.controllers.len() as u16).collect();
        let list = expected::short_controller_list(&ids);
        let kind = DataStructureType::CONTROLLER_LIST;
        let found = self.structure(kind, any, list.len()).await?;
        same("the Controller List", &found, &list)?;
        Ok(format!(
            "NVMe-MI 2.0, {}, {}",
            count(model.ports.len() as u64, "port"),
            count(model.controllers.len() as u64, "controller")
        ))
    }

    async fn port(&self, index: usize) -> Result<String, String> {
        let model = self.model();
        let mut one = ReadDataStructure::default();
        one.port_id = index as u8;
        let kind = DataStructureType::PORT_INFORMATION;
        let length = size_of::<PortInformation>();
        let found = self.structure(kind, one, length).await?;
        let port = expected::port(model, index, &read("Port Information", &found)?);
        same("Port Information", &found, port.as_bytes())?;
        let unit = model.ports[index].max_transmission_unit;
        Ok(match model.ports[index].kind {
            PortKind::Pcie(pcie) => {
                let link = match pcie.link {
                    Some(generation) => format!("link up at Gen{generation}"),
                    None => "link down".into(),
                };
                format!("PCIe Gen{} x{}, {link}", pcie.generation, pcie.width as u8)
            }
            PortKind::TwoWire(two_wire) => format!(
                "two-wire {:02x}h, up to {}, transmission unit up to {unit}",
                two_wire.endpoint_address,
                frequency(two_wire.frequency)
            ),
        })
    }

    async fn controller(&self, id: u16) -> Result<String, String> {
        let model = self.model();
        let controller = &model.controllers[usize::from(id)];
        let information = expected::controller(model, controller);
        let mut one = ReadDataStructure::default();
        one.controller_id.set(id);
        let kind = DataStructureType::CONTROLLER_INFORMATION;
        let found = self.structure(kind, one, size_of_val(&information)).await?;
        same("Controller Information", &found, information.as_bytes())?;
        let structure = IdentifyStructure::ACTIVE_NAMESPACES;
        let found = self.ask_identity(structure, id, 0).await?;
        let namespaces = self.attached_namespaces(id);
        let list = expected::namespace_list(namespaces.iter().copied());
        same("its list of namespaces", &found, list.as_bytes())?;
        let place = match controller.config.address {
            Some(PciAddress {
                bus,
                device,
                function,
            }) => {
                format!("at {bus:02x}:{device:02x}.{function}")
            }
            None => "somewhere".into(),
        };
        Ok(format!(
            "PCI {:04x}:{:04x} {place} on port {}; {}",
            model.vendor.pci_vendor,
            model.vendor.pci_device,
            controller.port.0,
            numbered("namespace", &namespaces)
        ))
    }

    /// IDs of the namespaces that the model attaches to a controller, ascending.
    pub(super) fn attached_namespaces(&self, controller: u16) -> Vec<u32> {
        let controller = &self.model().controllers[usize::from(controller)];
        let mut ids: Vec<_> = controller.namespaces.iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    }

    async fn identify(&self) -> Result<String, String> {
        let model = self.model();
        for id in 0..model.controllers.len() as u16 {
            let structure = IdentifyStructure::CONTROLLER;
            let found = self.ask_identity(structure, id, 0).await?;
            let what = "Identify Controller";
            let identity = expected::identify_controller(model, id, &read(what, &found)?);
            same(what, &found, identity.as_bytes())?;
        }
        Ok(format!(
            "{}, {}, firmware {}",
            model.model_number,
            model.serial_number,
            model.revision()
        ))
    }

    async fn namespaces(&self) -> Result<String, String> {
        let model = self.model();
        let structure = IdentifyStructure::ALLOCATED_NAMESPACES;
        let found = self.ask_identity(structure, 0, 0).await?;
        let ids: Vec<u32> = (1..).zip(&model.namespaces).map(|(id, _)| id).collect();
        let list = expected::namespace_list(ids.iter().copied());
        same("the list of allocated namespaces", &found, list.as_bytes())?;
        Ok(format!(
            "{} of {}, in {}",
            ids.len(),
            model.room_for_namespaces,
            size(model.capacity)
        ))
    }

    async fn namespace(&self, id: u32, blocks: u64) -> Result<String, String> {
        let structure = IdentifyStructure::ALLOCATED_NAMESPACE;
        let found = self.ask_identity(structure, 0, id).await?;
        let what = "Identify Namespace";
        let identity = expected::identify_namespace(blocks, &read(what, &found)?);
        same(what, &found, identity.as_bytes())?;
        let structure = IdentifyStructure::NAMESPACE_CONTROLLERS;
        let found = self.ask_identity(structure, 0, id).await?;
        let attached = expected::attached_to(self.model(), NamespaceId(id));
        let list = expected::controller_list(&attached);
        same("its list of controllers", &found, list.as_bytes())?;
        Ok(format!(
            "{blocks} blocks of 512 bytes, {}; {}",
            size(blocks * 512),
            numbered("controller", &attached)
        ))
    }

    /// NVM Subsystem Health Status Poll, which clears the composite flags. They must have been
    /// these.
    pub(super) async fn poll_subsystem(&self, flags: u16) -> Result<(), String> {
        let mut poll = SubsystemHealthPoll::default();
        poll.flags = SubsystemHealthPoll::CLEAR_STATUS;
        let health = expected::subsystem_health(self.model(), flags);
        let command = MiCommand::new(poll);
        let answer = command.run(self.exchanger, size_of_val(&health)).await?;
        same("Subsystem Health", &answer.data, health.as_bytes())
    }

    async fn subsystem_health(&self) -> Result<String, String> {
        self.poll_subsystem(0).await?;
        let model = self.model();
        let temperature = match model.health.temperature {
            0 => "temperature not known".into(),
            kelvins => format!("{} °C", i32::from(kelvins) - 273),
        };
        Ok(format!(
            "works, {temperature}, {} % used, {}",
            model.health.percentage_used,
            warning(model)
        ))
    }

    async fn controller_health(&self) -> Result<String, String> {
        let model = self.model();
        let count = model.controllers.len();
        // All of them, whether something changed in them or not, from 0 on.
        let mut poll = ControllerHealthPoll::default();
        poll.functions = ControllerHealthPoll::ALL
            | ControllerHealthPoll::INCLUDE_FUNCTIONS
            | ControllerHealthPoll::INCLUDE_PHYSICAL_FUNCTIONS
            | ControllerHealthPoll::INCLUDE_VIRTUAL_FUNCTIONS;
        poll.maximum_entries = (count - 1) as u8;
        let health = (0..count as u16).map(|id| expected::controller_health(model, id));
        let health: Vec<_> = health.collect();
        let health = health.as_bytes();
        let command = MiCommand::new(poll);
        let answer = command.run(self.exchanger, health.len()).await?;
        same("Controller Health", &answer.data, health)?;
        let told = ControllerHealthPollResult::from(answer.result).entries;
        if usize::from(told) != count {
            return Err(format!("it is said to be of {told} controllers"));
        }
        Ok(format!(
            "{count} of {count} ready, {} K, {} % spare",
            model.health.temperature, model.health.available_spare
        ))
    }

    async fn smart_log(&self) -> Result<String, String> {
        let model = self.model();
        const LENGTH: u16 = size_of::<SmartHealth>() as u16;
        let found = self.log_page(LogPageId::SMART_HEALTH, LENGTH).await?;
        let expected = expected::smart_log(model);
        same("the SMART log", &found, expected.as_bytes())?;
        Ok(format!(
            "the same; {} on, {}, {}",
            count(model.health.power_on_hours, "hour"),
            count(model.health.power_cycles, "power cycle"),
            count(model.health.media_errors, "media error")
        ))
    }

    /// A request whose integrity check is wrong gets no answer, and the next one does.
    async fn damaged(&self) -> Result<String, String> {
        let command = MiCommand::new(SubsystemHealthPoll::default());
        let mut message = command.message();
        if let Some(last) = message.last_mut() {
            *last ^= 0x01;
        }
        self.exchanger.ask_in_vain(DEVICE, &message).await?;
        let length = size_of::<SubsystemHealth>();
        command.run(self.exchanger, length).await?;
        Ok("not answered, and the one after it is".into())
    }
}

fn warning(model: &SubsystemModel) -> String {
    match expected::warnings(model) {
        0 => "no warnings".into(),
        bits => format!("warnings {bits:02x}h"),
    }
}

fn frequency(frequency: SmbusFrequency) -> &'static str {
    match frequency {
        SmbusFrequency::Khz100 => "100 kHz",
        SmbusFrequency::Khz400 => "400 kHz",
        SmbusFrequency::Mhz1 => "1 MHz",
    }
}

fn count(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Such as "namespaces 1, 2", or "no namespace".
fn numbered(what: &str, ids: &[impl ToString]) -> String {
    match ids {
        [] => format!("no {what}"),
        [id] => format!("{what} {}", id.to_string()),
        ids => {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            format!("{what}s {}", ids.join(", "))
        }
    }
}

/// Bytes in the largest unit that leaves a whole number before the point.
pub(super) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1).ilog2() / 10).min(4);
    match power {
        0 => format!("{bytes} bytes"),
        power => format!(
            "{:.1} {}",
            bytes as f64 / 1024f64.powi(power as i32),
            units[power as usize]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 512, 3 << 20, 1 << 30, 1_000_204_886_016, u64::MAX];
        assert_eq!(
            sizes.map(size),
            [
                "0 bytes",
                "512 bytes",
                "3.0 MiB",
                "1.0 GiB",
                "931.5 GiB",
                "16777216.0 TiB"
            ]
        );
    }

    #[test]
    fn lists_read_like_english() {
        assert_eq!(numbered("namespace", &[0u32; 0]), "no namespace");
        assert_eq!(numbered("namespace", &[7]), "namespace 7");
        assert_eq!(numbered("controller", &[0, 1]), "controllers 0, 1");
    }
}
