//! Captured telemetry.

use crate::model::ControllerId;

/// Who had telemetry captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Initiator {
    /// A host, with Get Log Page.
    Host,
    /// The controller itself; see [`Model::telemetry_captured`](crate::Model::telemetry_captured).
    Controller,
}

/// What the telemetry logs are made of. A device that has none does not offer these logs.
pub trait Telemetry {
    /// A host asked for telemetry to be captured: what [`read`](Self::read) returns as [`Initiator::Host`] is now that of this moment.
    fn capture(&mut self, controller: ControllerId);

    /// How much captured telemetry there is, in blocks of 512 bytes.
    fn blocks(&self, controller: ControllerId, initiator: Initiator) -> u16;

    /// Fills `into`, which is zero, with captured telemetry from `offset` on.
    fn read(
        &mut self,
        controller: ControllerId,
        initiator: Initiator,
        offset: u32,
        into: &mut [u8],
    );
}

/// Telemetry of `BYTES` bytes, kept in memory, the same for all controllers.
#[derive(Clone, Copy, Debug)]
pub struct MemoryTelemetry<const BYTES: usize> {
    /// What a capture takes.
    pub content: [u8; BYTES],
    by_host: Option<[u8; BYTES]>,
    by_controller: Option<[u8; BYTES]>,
}

impl<const BYTES: usize> MemoryTelemetry<BYTES> {
    /// With this content, of which nothing is captured yet.
    pub const fn new(content: [u8; BYTES]) -> Self {
        Self {
            content,
            by_host: None,
            by_controller: None,
        }
    }

    /// Captures as the controllers do by themselves.
    /// [`Model::telemetry_captured`](crate::Model::telemetry_captured) makes it known.
    pub fn capture_by_controller(&mut self) {
        self.by_controller = Some(self.content);
    }

    fn captured(&self, initiator: Initiator) -> &[u8] {
        let captured = match initiator {
            Initiator::Host => &self.by_host,
            Initiator::Controller => &self.by_controller,
        };
        captured.as_ref().map_or(&[], |content| content)
    }
}

impl<const BYTES: usize> Telemetry for MemoryTelemetry<BYTES> {
    fn capture(&mut self, _: ControllerId) {
        self.by_host = Some(self.content);
    }

    fn blocks(&self, _: ControllerId, initiator: Initiator) -> u16 {
        let blocks = self.captured(initiator).len().div_ceil(512);
        u16::try_from(blocks).unwrap_or(u16::MAX)
    }

    fn read(&mut self, _: ControllerId, initiator: Initiator, offset: u32, into: &mut [u8]) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let left = self.captured(initiator).get(from..).unwrap_or_default();
        for (byte, captured) in into.iter_mut().zip(left) {
            *byte = *captured;
        }
    }
}
