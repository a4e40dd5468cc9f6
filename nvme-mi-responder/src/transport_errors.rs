//! Error flags of Get State (NVMe-MI 1.2, section 4.2.1.4, Figure 41).

/// Flags of Get State that are the endpoint's own. The rest of 13:5 are [`TransportError`]s.
pub(crate) mod flag {
    use crate::wire::ControlPrimitiveResponse as State;

    pub(crate) const SLOT_BUSY: u16 = State::COMMAND_TO_BUSY_SLOT;
    pub(crate) const BAD_INTEGRITY_CHECK: u16 = State::BAD_INTEGRITY_CHECK;
    pub(crate) const SUBSYSTEM_RESET: u16 = State::SUBSYSTEM_RESET_OCCURRED;
    pub(crate) const PAUSED: u16 = State::PAUSED;
}

/// What went wrong below messages, in packets for this endpoint: a bit of Get State each, with that
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum TransportError {
    /// The next packet of a message did not come in time. Of 1.x.
    Timeout = 5,
    /// A packet is longer than the transmission unit that is supported (UTUNT).
    UnsupportedUnit = 6,
    /// The packet header has another version (BHVS).
    HeaderVersion = 7,
    /// The destination is an endpoint that is not here (UDSTID).
    UnknownDestination = 8,
    /// A packet is not of the transmission unit of its message (ITU).
    IncorrectUnit = 9,
    /// A packet from the middle or the end of a message came without its start (UMEP).
    UnexpectedMiddle = 10,
    /// A packet is out of sequence (OSPSN).
    OutOfSequence = 11,
    /// A message tag is bad, unexpected or expired (BUEMT).
    MessageTag = 12,
    /// A packet is bad, or something else went wrong in the medium (BPOPL).
    PhysicalLayer = 13,
}

/// A set of [`TransportError`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransportErrors(u16);

impl TransportErrors {
    /// Nothing went wrong.
    pub const NONE: Self = Self(0);

    /// These and `error`.
    #[must_use]
    pub const fn with(self, error: TransportError) -> Self {
        Self(self.0 | 1 << error as u8)
    }

    /// These and `others`.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The bits of Get State.
    pub(crate) const fn to_bits(self) -> u16 {
        self.0
    }
}
