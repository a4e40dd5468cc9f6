//! What a wire asks of the engine, and what the engine has to say, in the terms of no wire.

use embassy_usb_driver::EndpointType;

/// How a request of the host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// By the host, or because the device was reset, reconfigured or switched off.
    Cancelled,
    /// No such endpoint, not of this type, or not enabled.
    Invalid,
    /// Something that this device has not: isochronous transfers, data against the SETUP packet.
    Unsupported,
    /// It failed on the way: no room, or nobody read it.
    Failed,
    Stall,
    /// The device sent more than was asked for.
    Babble,
}

/// In which form the wire carried a control request, which is that of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// SETUP packet and data.
    Setup,
    /// A message without data that stands for one of the standard requests for configurations and
    /// alternate settings.
    Message,
}

/// A control request of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlRequest {
    pub(crate) id: u64,
    pub(crate) setup: [u8; 8],
    pub(crate) form: Form,
}

impl ControlRequest {
    pub(crate) fn is_in(&self) -> bool {
        let [request_type, ..] = self.setup;
        request_type & 0x80 != 0
    }

    /// Whether data follow the answer when it succeeds.
    pub(crate) fn has_data(&self) -> bool {
        self.is_in() && self.form == Form::Setup
    }

    /// wLength.
    pub(crate) fn length(&self) -> u16 {
        let [.., low, high] = self.setup;
        u16::from_le_bytes([low, high])
    }

    /// The answer to a request that the device has no part in.
    pub(crate) fn refused(self, outcome: Outcome) -> Answer {
        Answer::Control {
            request: self,
            outcome,
            length: 0,
            value: 0,
        }
    }
}

/// What the wire has to tell the host. Data follow a control answer and that of an IN transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The device is plugged in, and its descriptors are known.
    Attached,
    /// Other endpoints are enabled, or other alternate settings chosen, than before.
    EndpointsChanged,
    /// The device was unplugged.
    Detached,
    Control {
        request: ControlRequest,
        outcome: Outcome,
        /// Bytes done.
        length: u16,
        /// The first byte of an IN request that succeeded, else the configuration in force.
        value: u8,
    },
    Transfer {
        id: u64,
        kind: EndpointType,
        /// Endpoint address, bit 7 for IN.
        endpoint: u8,
        outcome: Outcome,
        /// Bytes done.
        length: usize,
    },
    /// What became of the request `target`, which the host took back by the request `id`.
    Withdrawn {
        id: u64,
        target: u64,
        /// It was outstanding, and gets no answer of its own. If not, that answer comes before this
        /// one.
        found: bool,
    },
    /// Whether packets of this interrupt IN endpoint come unasked from now on; id 0 when nobody
    /// asked.
    Receiving {
        id: u64,
        endpoint: u8,
        outcome: Outcome,
    },
}

impl Answer {
    /// The refusal of a transfer.
    pub(crate) fn refused(kind: EndpointType, id: u64, endpoint: u8, outcome: Outcome) -> Self {
        Self::Transfer {
            id,
            kind,
            endpoint,
            outcome,
            length: 0,
        }
    }
}
