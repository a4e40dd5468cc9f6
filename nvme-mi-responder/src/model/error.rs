use core::fmt;

/// Which limit or rule of the model a call would break. The model is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ModelError {
    /// All ports that the subsystem has room for exist.
    #[error("the subsystem has no room for another port")]
    TooManyPorts,
    /// All controllers that the subsystem has room for exist.
    #[error("the subsystem has no room for another controller")]
    TooManyControllers,
    /// All namespaces that the subsystem has room for exist.
    #[error("the subsystem has no room for another namespace")]
    TooManyNamespaces,
    /// There is no such port.
    #[error("there is no port {}", .0.0)]
    NoSuchPort(super::PortId),
    /// There is no such controller.
    #[error("there is no controller {}", .0.0)]
    NoSuchController(super::ControllerId),
    /// There is no such namespace.
    #[error("there is no namespace {}", .0.0)]
    NoSuchNamespace(super::NamespaceId),
    /// The port has a management endpoint already.
    #[error("port {} has a management endpoint already", .0.0)]
    HasEndpoint(super::PortId),
    /// Controllers are on PCIe ports.
    #[error("port {} is not a PCIe port, and controllers are on PCIe ports only", .0.0)]
    NotPcie(super::PortId),
    /// The transmission unit is below 64.
    #[error("a port's transmission unit is at least 64")]
    TransmissionUnitTooSmall,
    /// A PCIe generation is not 1 to 6, the link runs faster than the port can, or the payload
    /// exponent is above 5.
    #[error("the PCIe generation, link or payload size is not one that a port can have")]
    InvalidPciePort,
    /// A two-wire address does not fit 7 bits.
    #[error("a two-wire address has 7 bits")]
    InvalidAddress,
    /// A text of the identity is too long, or not printable ASCII.
    #[error("the {0} is too long or not printable ASCII")]
    InvalidText(IdentityText),
    /// The NVMe Qualified Name does not start with `nqn.`.
    #[error("an NVMe Qualified Name starts with `nqn.`")]
    InvalidQualifiedName,
    /// A namespace has no blocks.
    #[error("a namespace has at least one block")]
    NoBlocks,
    /// Less capacity is left.
    #[error("the subsystem has less capacity left")]
    InsufficientCapacity,
    /// It is attached already.
    #[error("the namespace is attached to that controller already")]
    AlreadyAttached,
    /// It is attached to another controller, and not shared.
    #[error("the namespace is private and attached to another controller")]
    IsPrivate,
    /// It is not attached.
    #[error("the namespace is not attached to that controller")]
    NotAttached,
}

/// A text of the [`Identity`](super::Identity).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum IdentityText {
    /// At most 20 characters.
    SerialNumber,
    /// At most 40 characters.
    ModelNumber,
    /// At most 8 characters.
    FirmwareRevision,
    /// At most 223 characters.
    QualifiedName,
}

impl fmt::Display for IdentityText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SerialNumber => "serial number",
            Self::ModelNumber => "model number",
            Self::FirmwareRevision => "firmware revision",
            Self::QualifiedName => "qualified name",
        })
    }
}
