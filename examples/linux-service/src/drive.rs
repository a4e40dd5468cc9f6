//! A drive that is not there: healthy, with one controller and one namespace.

use nvme_mi_responder::world::{Health, HealthReport, World};
use nvme_mi_responder::{
    ControllerConfig, Crc32c, Identity, LinkWidth, ModelError, PciePort, PortConfig, PortId,
    PortKind, SoftwareCrc32c, Subsystem, Vendor,
};

/// Logical blocks of the namespace: 1 GiB of 512 bytes each.
const BLOCKS: u64 = 1 << 21;

/// What a real drive would measure.
pub(crate) struct Drive {
    health: HealthReport,
}

impl Drive {
    pub(crate) fn healthy() -> Self {
        Self {
            health: HealthReport::healthy(),
        }
    }
}

impl World for Drive {
    fn health(&mut self) -> &mut dyn Health {
        &mut self.health
    }

    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        SoftwareCrc32c.crc32c(parts)
    }
}

/// The drive, and its port with the management endpoint.
pub(crate) fn subsystem() -> Result<(Subsystem<'static, 1, 1, 1>, PortId), ModelError> {
    let mut subsystem = Subsystem::new(Identity {
        serial_number: "0001",
        model_number: "linux-service",
        firmware_revision: "1.0",
        qualified_name: "nqn.2014-08.com.example:0001",
        capacity: BLOCKS << 9,
        vendor: Vendor::NOT_FOR_DISTRIBUTION,
    })?;
    let port = subsystem.add_port(PortConfig {
        kind: PortKind::Pcie(PciePort {
            generation: 4,
            width: LinkWidth::X4,
            link: Some(4),
            payload_exponent: 1,
            number: 0,
        }),
        max_transmission_unit: 64,
    })?;
    let controller = subsystem.add_controller(port, ControllerConfig::default())?;
    let namespace = subsystem.add_namespace(BLOCKS)?;
    subsystem.attach_namespace(namespace, controller)?;
    Ok((subsystem, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_the_drive_is_consistent() {
        assert!(subsystem().is_ok());
    }
}
