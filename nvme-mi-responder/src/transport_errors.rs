//! Error flags of Get State (NVMe-MI 1.2, section 4.2.1.4, Figure 41).

use crate::wire::ControlPrimitiveResponse as State;

/// Flags of Get State that are the endpoint's own. The rest of 13:5 are [`TransportError`]s.
pub(crate) mod flag {
    use super::State;

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
    Timeout = bit(State::PACKET_TIMEOUT),
    /// A packet is longer than the transmission unit that is supported (UTUNT).
    UnsupportedUnit = bit(State::UNSUPPORTED_TRANSMISSION_UNIT),
    /// The packet header has another version (BHVS).
    HeaderVersion = bit(State::BAD_HEADER_VERSION),
    /// The destination is an endpoint that is not here (UDSTID).
    UnknownDestination = bit(State::UNKNOWN_DESTINATION),
    /// A packet is not of the transmission unit of its message (ITU).
    IncorrectUnit = bit(State::INCORRECT_TRANSMISSION_UNIT),
    /// A packet from the middle or the end of a message came without its start (UMEP).
    UnexpectedMiddle = bit(State::UNEXPECTED_MIDDLE_OR_END),
    /// A packet is out of sequence (OSPSN).
    OutOfSequence = bit(State::OUT_OF_SEQUENCE),
    /// A message tag is bad, unexpected or expired (BUEMT).
    MessageTag = bit(State::BAD_MESSAGE_TAG),
    /// A packet is bad, or something else went wrong in the medium (BPOPL).
    PhysicalLayer = bit(State::BAD_PACKET),
}

/// The number of the only bit of `flag`.
const fn bit(flag: u16) -> u8 {
    flag.trailing_zeros() as u8
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
