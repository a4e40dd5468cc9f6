//! NVMe-MI: what a management controller asks a drive first (NVMe-MI 1.2, section 5; NVM Express
//! Base 2.0, section 5).

use nvme_mi_responder::{NamespaceId, PciAddress, PortKind, SmbusFrequency};

use super::control::DEVICE;
use super::exchange::Exchanger;
use super::expected::{self, same, same_fields};
use super::nvme_mi::{AdminCommand, LONGEST_REQUEST, MiCommand};
use super::screen::Screen;
use crate::cli::DeviceSettings;
use crate::model_file::DeviceModel;

/// The namespace ID that stands for the controller.
const NO_NAMESPACE: u32 = 0xFFFF_FFFF;

/// The host side of the chapter: whom to ask, and what the answers must be.
#[derive(Clone, Copy)]
pub(super) struct Host<'h, 'r, 'b, 'l> {
    pub(super) exchanger: &'h Exchanger<'r, 'b, 'l>,
    pub(super) settings: &'h DeviceSettings,
}

/// Whether there can be the chapters on management: controllers to ask, and room for the messages.
///
/// Writes a note if not.
pub(super) fn is_possible(
    settings: &DeviceSettings,
    screen: &mut Screen<'_>,
) -> anyhow::Result<bool> {
    let obstacle = if settings.max_message < LONGEST_REQUEST {
        format!("the device takes no message of {LONGEST_REQUEST} bytes: --max-message")
    } else if settings.model.controllers.is_empty() {
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
        screen.check("NVM subsystem", self.subsystem().await)?;
        for index in 0..model.ports.len() {
            screen.check(&format!("port {index}"), self.port(index).await)?;
        }
        for id in 0..model.controllers.len() as u16 {
            screen.check(&format!("controller {id}"), self.controller(id).await)?;
        }
        screen.check("Identify Controller", self.identify().await)?;
        screen.check("namespaces", self.namespaces().await)?;
        for (id, blocks) in (1..).zip(&model.namespaces) {
            let result = self.namespace(id, *blocks).await;
            screen.check(&format!("namespace {id}"), result)?;
        }
        screen.check("subsystem health", self.subsystem_health().await)?;
        screen.check("controller health", self.controller_health().await)?;
        screen.check("SMART log", self.smart_log().await)?;
        if self.can_create_namespace() {
            let result = self.create_and_delete().await;
            screen.check("create, attach, detach, delete", result)?;
        }
        screen.check("a request that was damaged", self.damaged().await)?;
        Ok(())
    }

    pub(super) fn model(&self) -> &DeviceModel {
        &self.settings.model
    }

    /// Read NVMe-MI Data Structure.
    async fn structure(&self, data_type: u8, id: u8, length: usize) -> Result<Vec<u8>, String> {
        // A controller's ID is in the first two bytes, a port's in the third.
        let [controller, port] = if data_type == 0x01 { [0, id] } else { [id, 0] };
        let command = MiCommand {
            opcode: 0x00,
            dwords: [u32::from_le_bytes([controller, 0, port, data_type]), 0],
        };
        let answer = command.run(self.exchanger, length).await?;
        if answer.value as usize != length {
            return Err(format!(
                "the structure is said to have {} bytes",
                answer.value
            ));
        }
        Ok(answer.data)
    }

    /// Identify.
    pub(super) async fn ask_identity(
        &self,
        structure: u32,
        controller: u16,
        namespace: u32,
    ) -> Result<Vec<u8>, String> {
        let command = AdminCommand {
            opcode: 0x06,
            controller,
            namespace,
            dwords: [structure, 0],
            returns: 4096,
            ..AdminCommand::default()
        };
        command.run(self.exchanger).await
    }

    /// A log page of 512 bytes.
    pub(super) async fn log_page(&self, page: u32) -> Result<Vec<u8>, String> {
        let command = AdminCommand {
            opcode: 0x02,
            namespace: NO_NAMESPACE,
            dwords: [page | (512 / 4 - 1) << 16, 0],
            returns: 512,
            ..AdminCommand::default()
        };
        command.run(self.exchanger).await
    }

    async fn subsystem(&self) -> Result<String, String> {
        let model = self.model();
        let found = self.structure(0x00, 0, 32).await?;
        same("Subsystem Information", &found, &expected::subsystem(model))?;
        let ids = 0..model.controllers.len() as u16;
        let list = expected::controller_list(ids);
        let found = self.structure(0x02, 0, list.len()).await?;
        same("the Controller List", &found, &list)?;
        Ok(format!(
            "NVMe-MI 2.0, {}, {}",
            count(model.ports.len() as u64, "port"),
            count(model.controllers.len() as u64, "controller")
        ))
    }

    async fn port(&self, index: usize) -> Result<String, String> {
        let model = self.model();
        let found = self.structure(0x01, index as u8, 32).await?;
        let port = expected::port(model, index, &found);
        same("Port Information", &found, &port)?;
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
        let found = self.structure(0x03, id as u8, 32).await?;
        let information = expected::controller(model, controller);
        same("Controller Information", &found, &information)?;
        let found = self.ask_identity(0x02, id, 0).await?;
        let namespaces = self.attached_namespaces(id);
        let list = expected::namespace_list(namespaces.iter().copied());
        same("its list of namespaces", &found, &list)?;
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
            let found = self.ask_identity(0x01, id, 0).await?;
            let fields = expected::identify_controller(self.settings, id);
            same_fields("Identify Controller", &found, &fields)?;
        }
        Ok(format!(
            "{}, {}, firmware {}",
            model.model_number,
            expected::serial_number(self.settings),
            model.revision()
        ))
    }

    async fn namespaces(&self) -> Result<String, String> {
        let model = self.model();
        let found = self.ask_identity(0x10, 0, 0).await?;
        let ids: Vec<u32> = (1..).zip(&model.namespaces).map(|(id, _)| id).collect();
        let list = expected::namespace_list(ids.iter().copied());
        same("the list of allocated namespaces", &found, &list)?;
        Ok(format!(
            "{} of {}, in {}",
            ids.len(),
            model.room_for_namespaces,
            size(model.capacity)
        ))
    }

    async fn namespace(&self, id: u32, blocks: u64) -> Result<String, String> {
        let found = self.ask_identity(0x11, 0, id).await?;
        let fields = expected::identify_namespace(blocks);
        same_fields("Identify Namespace", &found, &fields)?;
        let found = self.ask_identity(0x12, 0, id).await?;
        let attached: Vec<u16> = expected::attached_to(self.model(), NamespaceId(id)).collect();
        let mut list = expected::controller_list(attached.iter().copied());
        list.resize(4096, 0);
        same("its list of controllers", &found, &list)?;
        Ok(format!(
            "{blocks} blocks of 512 bytes, {}; {}",
            size(blocks * 512),
            numbered("controller", &attached)
        ))
    }

    /// NVM Subsystem Health Status Poll, which clears the composite flags. They must have been
    /// these.
    pub(super) async fn poll_subsystem(&self, flags: u16) -> Result<(), String> {
        let command = MiCommand {
            opcode: 0x01,
            dwords: [0, 1 << 31],
        };
        let answer = command.run(self.exchanger, 8).await?;
        let health = expected::subsystem_health(self.model(), flags);
        same("Subsystem Health", &answer.data, &health)
    }

    async fn subsystem_health(&self) -> Result<String, String> {
        self.poll_subsystem(0).await?;
        let model = self.model();
        let temperature = match model.health.temperature {
            0 => "temperature not known".into(),
            kelvins => format!("{} °C", i32::from(kelvins) - 273),
        };
        Ok(format!(
            "works, {temperature}, {} % used, {}; nothing changed",
            model.health.percentage_used,
            warning(model)
        ))
    }

    async fn controller_health(&self) -> Result<String, String> {
        let model = self.model();
        let count = model.controllers.len();
        // All of them, whether something changed in them or not, from 0 on.
        let selection = 1 << 31 | 0b111 << 24 | (count as u32 - 1) << 16;
        let command = MiCommand {
            opcode: 0x02,
            dwords: [selection, 0],
        };
        let answer = command.run(self.exchanger, count * 16).await?;
        let health = (0..count as u16).flat_map(|id| expected::controller_health(model, id));
        let health: Vec<u8> = health.collect();
        same("Controller Health", &answer.data, &health)?;
        if answer.value >> 16 != count as u32 {
            return Err(format!(
                "it is said to be of {} controllers",
                answer.value >> 16
            ));
        }
        Ok(format!(
            "{count} of {count} ready, {} K, {} % spare",
            model.health.temperature, model.health.available_spare
        ))
    }

    async fn smart_log(&self) -> Result<String, String> {
        let model = self.model();
        let found = self.log_page(0x02).await?;
        same("the SMART log", &found, &expected::smart_log(model))?;
        Ok(format!(
            "the same; {} on, {}, {}",
            count(model.health.power_on_hours, "hour"),
            count(model.health.power_cycles, "power cycle"),
            count(model.health.media_errors, "media error")
        ))
    }

    /// A request whose integrity check is wrong gets no answer, and the next one does.
    async fn damaged(&self) -> Result<String, String> {
        let command = MiCommand {
            opcode: 0x01,
            dwords: [0, 0],
        };
        let mut message = command.message();
        if let Some(last) = message.last_mut() {
            *last ^= 0x01;
        }
        self.exchanger.ask_in_vain(DEVICE, &message).await?;
        command.run(self.exchanger, 8).await?;
        Ok("not answered, and the one after it is".into())
    }
}

fn warning(model: &DeviceModel) -> String {
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
