//! What the demo must know of a device to check its answers.

use mctp_transport::HEADER_LEN;
use mctp_usb::Version;
use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{ControllerConfig, NamespaceId, PortConfig, PortId, Vendor};
use remote_usb_device::Speed;
use uuid::Uuid;

/// A device as the demo expects it.
///
/// Identity of the USB device and what its services are for are those of the reference device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// Version of MCTP over USB.
    pub usb: Version,
    /// Speed of the USB port: high or full.
    pub speed: Speed,
    /// The USB serial number.
    pub serial_number: String,
    /// The longest MCTP packet that the device sends, in bytes, packet header included.
    pub mtu: usize,
    /// The longest message that the device takes, in bytes, message type byte included.
    pub max_message: usize,
    /// The UUID of the endpoint.
    pub uuid: Uuid,
    /// What the device manages.
    pub model: SubsystemModel,
}

impl Expectations {
    /// Payload bytes of the longest packet: the transmission unit of DSP0236, section 8.4.
    pub(super) fn unit(&self) -> usize {
        self.mtu.saturating_sub(HEADER_LEN)
    }

    /// wMaxPacketSize of a bulk endpoint (USB 2.0, section 5.8.3).
    pub(super) fn bulk_packet(&self) -> u16 {
        match self.speed {
            Speed::High => 512,
            Speed::Full | Speed::Low => 64,
        }
    }
}

/// An NVM subsystem behind NVMe-MI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsystemModel {
    /// As Identify Controller has it.
    pub serial_number: String,
    /// As Identify Controller has it.
    pub model_number: String,
    /// NVMe Qualified Name.
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
    /// Firmware slots.
    pub firmware: FirmwareModel,
}

impl SubsystemModel {
    /// The revision of the firmware that runs in the beginning.
    pub(super) fn revision(&self) -> String {
        self.firmware.revisions().next().unwrap_or_default()
    }
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
    /// Whether a piece of an image and a commit may take longer than the host waits for a response.
    pub is_slow: bool,
}

impl FirmwareModel {
    /// The revision in each slot as text, empty if the slot is.
    pub(super) fn revisions(&self) -> impl Iterator<Item = String> {
        self.slots.iter().map(|revision| {
            let revision = revision.unwrap_or_default();
            let text = String::from_utf8_lossy(&revision);
            text.trim_end_matches(['\0', ' ']).to_owned()
        })
    }
}

/// A healthy drive whose PCIe link is up.
#[cfg(test)]
pub(super) fn test_drive() -> SubsystemModel {
    use nvme_mi_responder::{LinkWidth, PciePort, PortKind};

    let port = PortConfig {
        kind: PortKind::Pcie(PciePort {
            generation: 4,
            width: LinkWidth::X4,
            link: Some(4),
            payload_exponent: 1,
            number: 0,
        }),
        max_transmission_unit: 64,
    };
    let controller = ControllerModel {
        port: PortId(0),
        config: ControllerConfig::default(),
        namespaces: Vec::new(),
    };
    SubsystemModel {
        serial_number: "1".into(),
        model_number: "a drive of tests".into(),
        qualified_name: "nqn.2014-08.com.example:test".into(),
        capacity: 0,
        room_for_namespaces: 1,
        namespace_management: false,
        vendor: Vendor::NOT_FOR_DISTRIBUTION,
        management_port: PortId(0),
        ports: vec![port],
        controllers: vec![controller],
        namespaces: Vec::new(),
        health: HealthReport::healthy(),
        firmware: FirmwareModel {
            slots: vec![Some(*b"REF00001")],
            first_slot_read_only: false,
            activates_without_reset: false,
            is_slow: false,
        },
    }
}
