//! Which type the request of each command has.

use super::{
    AdminCommand, ConfigurationGet, ConfigurationSet, ControlPrimitive, ControlPrimitiveRequest,
    ControllerHealthPoll, DeviceSelfTest, EndpointBufferRead, EndpointBufferWrite, FirmwareCommit,
    FirmwareImageDownload, FormatNvm, GetFeatures, GetLogPage, Identify, Layout, ManagementCommand,
    MessageKind, NamespaceAttachment, NamespaceManagement, PcieOpcode, PcieRequest,
    ReadDataStructure, Reset, Sanitize, SecurityReceive, SecuritySend, SetFeatures, Shutdown,
    SubsystemHealthPoll, VpdRead, VpdWrite, Wire,
};

/// A command, and the type of what its request has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The kind of message that carries the command.
    pub kind: MessageKind,
    /// The opcode.
    pub opcode: u8,
    /// The layout of the type: of the whole request for a control primitive and a PCIe command, of
    /// the dwords of the command for others.
    pub request: Layout,
}

impl Command {
    const fn control(opcode: ControlPrimitive) -> Self {
        Self {
            kind: MessageKind::CONTROL_PRIMITIVE,
            opcode: opcode.0,
            request: ControlPrimitiveRequest::BYTE_TABLE,
        }
    }

    const fn management<C: ManagementCommand + Wire>() -> Self {
        Self {
            kind: MessageKind::MANAGEMENT,
            opcode: C::OPCODE.0,
            request: C::BYTE_TABLE,
        }
    }

    const fn admin<C: AdminCommand + Wire>() -> Self {
        Self {
            kind: MessageKind::ADMIN,
            opcode: C::OPCODE.0,
            request: C::BYTE_TABLE,
        }
    }

    const fn pcie(opcode: PcieOpcode) -> Self {
        Self {
            kind: MessageKind::PCIE,
            opcode: opcode.0,
            request: PcieRequest::BYTE_TABLE,
        }
    }
}

/// All commands that this crate carries out, some of them only if the device has what they need.
pub const COMMANDS: &[Command] = &[
    Command::control(ControlPrimitive::PAUSE),
    Command::control(ControlPrimitive::RESUME),
    Command::control(ControlPrimitive::ABORT),
    Command::control(ControlPrimitive::GET_STATE),
    Command::control(ControlPrimitive::REPLAY),
    Command::management::<ReadDataStructure>(),
    Command::management::<SubsystemHealthPoll>(),
    Command::management::<ControllerHealthPoll>(),
    Command::management::<ConfigurationSet>(),
    Command::management::<ConfigurationGet>(),
    Command::management::<VpdRead>(),
    Command::management::<VpdWrite>(),
    Command::management::<Reset>(),
    Command::management::<EndpointBufferRead>(),
    Command::management::<EndpointBufferWrite>(),
    Command::management::<Shutdown>(),
    Command::admin::<GetLogPage>(),
    Command::admin::<Identify>(),
    Command::admin::<SetFeatures>(),
    Command::admin::<GetFeatures>(),
    Command::admin::<NamespaceManagement>(),
    Command::admin::<FirmwareCommit>(),
    Command::admin::<FirmwareImageDownload>(),
    Command::admin::<DeviceSelfTest>(),
    Command::admin::<NamespaceAttachment>(),
    Command::admin::<FormatNvm>(),
    Command::admin::<SecuritySend>(),
    Command::admin::<SecurityReceive>(),
    Command::admin::<Sanitize>(),
    Command::pcie(PcieOpcode::CONFIGURATION_READ),
    Command::pcie(PcieOpcode::CONFIGURATION_WRITE),
    Command::pcie(PcieOpcode::MEMORY_READ),
    Command::pcie(PcieOpcode::MEMORY_WRITE),
    Command::pcie(PcieOpcode::IO_READ),
    Command::pcie(PcieOpcode::IO_WRITE),
];
