//! What device there is to be.

use std::time::Duration;

use mctp_transport::{BASELINE_TRANSMISSION_UNIT, HEADER_LEN};
use mctp_usb::Version;
use nvme_mi_responder::ModelError;
use reference_device::LINUX_TAG_LIFETIME;
use remote_usb_device::Speed;
use uuid::Uuid;

use crate::model_file::DeviceModel;
use crate::topology::Topology;
use crate::two_wire_bus::Devices;

/// The device's UUID unless another is asked for: version 5 (RFC 9562, section 5.5) of the name
/// "virtual-device" in the namespace `d5149a61-68d7-450c-b58f-e9a17e47d67a`, chosen at random.
pub const DEFAULT_UUID: Uuid = Uuid::from_u128(0x0dc120b8_2b6f_5838_9376_c49252525ad8);

/// The longest message unless another is asked for: that of NVMe-MI over MCTP, 4096 bytes of data
/// and 128 around them.
pub const DEFAULT_MAX_MESSAGE: usize = 4224;

/// The longest message there can be: Linux assembles no more (64 KiB, message type byte included).
pub const LARGEST_MAX_MESSAGE: usize = 65_536;

/// The smallest MTU: the baseline transmission unit and the packet header before it (DSP0236 1.3.3,
/// section 8.4).
pub const SMALLEST_MTU: usize = BASELINE_TRANSMISSION_UNIT + HEADER_LEN;

/// How many messages of several packets there are buffers for: the numbers that a test or a demo of
/// few and of enough buffers needs. With several services, the router keeps one of them for those
/// that have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BufferCount {
    /// As on the Nucleo.
    Two,
    /// As many as Linux has tags for an endpoint.
    #[default]
    Eight,
}

/// The device asked for. All values are legal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSettings {
    /// Version of the binding.
    pub usb: Version,
    /// Speed of the USB port: high or full.
    pub speed: Speed,
    /// The longest MCTP packet sent, in bytes, packet header included.
    pub mtu: usize,
    /// The longest message taken, in bytes, message type byte included.
    pub max_message: usize,
    /// How many messages of several packets it has buffers for.
    pub message_buffers: BufferCount,
    /// How long the host may read nothing before what is being sent to it is given up.
    pub send_timeout: Duration,
    /// The device's identity.
    pub uuid: Uuid,
    /// What it manages.
    pub model: DeviceModel,
    /// The devices that it is the bridge to: then it manages nothing itself.
    pub topology: Option<Box<Topology>>,
}

impl DeviceSettings {
    /// Payload bytes of the longest packet: the transmission unit of DSP0236, section 8.4.
    pub fn unit(&self) -> usize {
        self.mtu.saturating_sub(HEADER_LEN)
    }

    /// wMaxPacketSize of a bulk endpoint (USB 2.0, section 5.8.3).
    pub fn bulk_packet(&self) -> u16 {
        match self.speed {
            Speed::High => 512,
            Speed::Full | Speed::Low => 64,
        }
    }

    /// The USB serial number: the first 12 hex digits of the UUID.
    pub fn serial_number(&self) -> String {
        self.uuid.simple().to_string()[..12].to_owned()
    }

    /// The devices behind the bridge, if it is one.
    pub(crate) fn devices(&self) -> Option<Devices> {
        let topology = self.topology.as_deref()?;
        Some(Devices::new(topology, self.uuid))
    }

    /// Says in the log who the device is, and warns of identifiers that nobody may distribute.
    pub fn log_identity(&self) {
        log::info!(
            "UUID {}, USB serial number {}",
            self.uuid,
            self.serial_number()
        );
        if let Some(warning) = self.model.vendor_warning() {
            log::warn!("{warning}");
        }
    }
}

/// Why there can be no device with some settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The link has no packets of this length.
    #[error("an MTU of {mtu} bytes is not in {SMALLEST_MTU} to {largest}")]
    Mtu {
        /// What was asked for.
        mtu: usize,
        /// The longest packet of the link.
        largest: usize,
    },
    /// Every endpoint takes 64 bytes, and Linux assembles no more than 64 KiB.
    #[error(
        "a longest message of {0} bytes is not in {BASELINE_TRANSMISSION_UNIT} to {LARGEST_MAX_MESSAGE}"
    )]
    MaxMessage(usize),
    /// The model breaks a rule, which no model read from a file does.
    #[error("the model breaks a rule: {0:?}")]
    Model(ModelError),
    /// The model has no such port, where it says that the management endpoint is.
    #[error("the model has no port {0} for the management endpoint")]
    ManagementPort(u8),
}

impl DeviceSettings {
    pub(crate) fn check_usb(&self) -> Result<(), SettingsError> {
        self.check(self.usb.max_packet().into())
    }

    pub(crate) fn check_serial(&self) -> Result<(), SettingsError> {
        self.check(mctp_serial::framing::MAX_PACKET)
    }

    pub(crate) fn check_i2c(&self) -> Result<(), SettingsError> {
        self.check(mctp_i2c::framing::MAX_PACKET)
    }

    fn check(&self, largest: usize) -> Result<(), SettingsError> {
        let mtu = self.mtu;
        if !(SMALLEST_MTU..=largest).contains(&mtu) {
            return Err(SettingsError::Mtu { mtu, largest });
        }
        if !(BASELINE_TRANSMISSION_UNIT..=LARGEST_MAX_MESSAGE).contains(&self.max_message) {
            return Err(SettingsError::MaxMessage(self.max_message));
        }
        let port = self.model.management_port.0;
        if usize::from(port) >= self.model.ports.len() {
            return Err(SettingsError::ManagementPort(port));
        }
        let (serial_number, revision) = (self.serial_number(), self.model.revision());
        match self.model.build(&serial_number, &revision) {
            Ok(_) => Ok(()),
            Err(broken) => Err(SettingsError::Model(broken.rule)),
        }
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            usb: Version::V1_0,
            speed: Speed::High,
            mtu: SMALLEST_MTU,
            max_message: DEFAULT_MAX_MESSAGE,
            message_buffers: BufferCount::default(),
            send_timeout: LINUX_TAG_LIFETIME,
            uuid: DEFAULT_UUID,
            model: DeviceModel::default(),
            topology: None,
        }
    }
}
