//! Ports: PCIe and two-wire.

/// A port, in the order in which ports were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortId(pub u8);

/// Lanes of a PCIe link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LinkWidth {
    X1 = 1,
    X2 = 2,
    X4 = 4,
    X8 = 8,
    X12 = 12,
    X16 = 16,
    X32 = 32,
}

/// A PCIe port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PciePort {
    /// The fastest generation, 1 (2.5 GT/s) to 6 (64 GT/s); it and all below are supported.
    pub generation: u8,
    /// The most lanes.
    pub width: LinkWidth,
    /// The generation the link runs at; `None`: the link is down.
    pub link: Option<u8>,
    /// Maximum payload size: 128 bytes times 2 to this power, 0 to 5.
    pub payload_exponent: u8,
    /// Port number of the PCIe link.
    pub number: u8,
}

/// How fast a two-wire port can run. The numbers are those of Configuration Set (SFREQ) and Port
/// Information.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum SmbusFrequency {
    /// 100 kHz.
    Khz100 = 1,
    /// 400 kHz.
    Khz400 = 2,
    /// 1 MHz.
    Mhz1 = 3,
}

impl SmbusFrequency {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Khz100),
            2 => Some(Self::Khz400),
            3 => Some(Self::Mhz1),
            _ => None,
        }
    }
}

/// A two-wire port: SMBus or I2C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TwoWirePort {
    /// Address of the VPD, 7 bits; 0: none.
    pub vpd_address: u8,
    /// The fastest access to the VPD; `None`: there is none.
    pub vpd_frequency: Option<SmbusFrequency>,
    /// Address of the management endpoint, 7 bits; 0: none.
    pub endpoint_address: u8,
    /// The fastest access to the management endpoint.
    pub frequency: SmbusFrequency,
    /// Whether the NVMe Basic Management Command is supported.
    pub basic_management: bool,
}

/// What a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PortKind {
    /// PCIe.
    Pcie(PciePort),
    /// SMBus or I2C.
    TwoWire(TwoWirePort),
}

/// A port as it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortConfig {
    /// What it is.
    pub kind: PortKind,
    /// The largest MCTP transmission unit: bytes of message in a packet, without the packet
    /// header; at least 64.
    pub max_transmission_unit: u16,
}

/// The MCTP transmission unit after a reset, the smallest there is (DSP0236 1.3.3, section
/// 8.4; NVMe-MI 1.2, section 5.1.3, Figure 68).
pub(crate) const BASELINE_TRANSMISSION_UNIT: u16 = 64;

/// A port with its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub(crate) config: PortConfig,
    pub(crate) transmission_unit: u16,
    pub(crate) frequency: SmbusFrequency,
    /// The management endpoint at the port: bytes of its Management Endpoint Buffer. `None`: there
    /// is no endpoint.
    pub(crate) endpoint: Option<u32>,
    /// Composite Controller Status Flags, as its management endpoint reports them.
    pub(crate) composite: u16,
}

impl Port {
    pub(crate) const fn new(config: PortConfig) -> Self {
        Self {
            config,
            transmission_unit: BASELINE_TRANSMISSION_UNIT,
            frequency: SmbusFrequency::Khz100,
            endpoint: None,
            composite: 0,
        }
    }
}
