//! How a command fails: a response status of NVMe-MI, or a completion status of NVM Express.

/// Response Message Status (NVMe-MI 1.2): byte 4 of a response. Values not listed here are reserved
/// or the vendor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Status {
    /// The command was carried out.
    Success = 0x00,
    /// The command is taking long; the response follows.
    MoreProcessingRequired = 0x01,
    /// Something failed that the requester cannot help.
    InternalError = 0x02,
    /// The opcode is reserved or is not supported.
    InvalidOpcode = 0x03,
    /// A field has a value that it cannot have; the Parameter Error Location says which.
    InvalidParameter = 0x04,
    /// The message is shorter or longer than the fixed part of its command.
    InvalidCommandSize = 0x05,
    /// There is more or less Request Data than the command says.
    InvalidInputDataSize = 0x06,
    /// The endpoint does not allow it.
    AccessDenied = 0x07,
    /// The VPD has been written as often as it can be.
    VpdUpdatesExceeded = 0x20,
    /// The PCIe link does not let the function be reached.
    PcieInaccessible = 0x21,
    /// A sanitize operation emptied the Management Endpoint Buffer.
    BufferClearedBySanitize = 0x22,
    /// A sanitize operation is in progress.
    SanitizeInProgress = 0x2A,
}

/// A response that is not a success: bytes 4 to 7 of the response.
///
/// | byte | bits | field |
/// |-|-|-|
/// | 4 | | [`Status`] |
/// | 5 | 2:0 | Invalid Parameter: the bit of the field's least significant bit |
/// | 7:6 | | Invalid Parameter: the byte of it, counted from the message type byte of the request; FFFFh if beyond |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure(
    /// These bytes as a number.
    u32,
);

impl Failure {
    /// A status without a location.
    pub const fn new(status: Status) -> Self {
        Self(status as u32)
    }

    /// Invalid Parameter, in the field whose least significant bit is bit `bit` of byte `byte` of
    /// the request message.
    pub const fn parameter(byte: u16, bit: u8) -> Self {
        Self(Status::InvalidParameter as u32 | ((bit & 7) as u32) << 8 | (byte as u32) << 16)
    }

    /// Bytes 4 to 7 of the response.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

/// Status Field of a completion queue entry (NVM Express Base 2.0), without the phase tag.
///
/// | bits | of dword 3 of the entry | field |
/// |-|-|-|
/// | 7:0 | 24:17 | Status Code |
/// | 10:8 | 27:25 | Status Code Type |
/// | 14 | 31 | Do Not Retry |
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CompletionStatus(
    /// The field, and [`COMPLETION`].
    u32,
);

/// What no status field and no [`Failure`] has: it tells one from the other in a [`Refusal`].
const COMPLETION: u32 = 1 << 15;
const COMMAND_SPECIFIC: u32 = 1 << 8;
const DO_NOT_RETRY: u32 = 1 << 14;

impl CompletionStatus {
    /// Generic command status 02h, with Do Not Retry.
    pub const INVALID_FIELD: Self = Self::generic(0x02);
    /// Generic command status 06h: Internal Error. It may succeed later.
    pub const INTERNAL_ERROR: Self = Self::generic(0x06).retryable();
    /// Generic command status 0Bh, with Do Not Retry: Invalid Namespace or Format.
    pub const INVALID_NAMESPACE: Self = Self::generic(0x0B);

    /// A generic command status (type 0) that the same command would get again.
    pub const fn generic(code: u8) -> Self {
        Self(COMPLETION | DO_NOT_RETRY | code as u32)
    }

    /// A command specific status (type 1) that the same command would get again.
    pub const fn specific(code: u8) -> Self {
        Self(COMPLETION | DO_NOT_RETRY | COMMAND_SPECIFIC | code as u32)
    }

    /// The same without Do Not Retry: the command may succeed later.
    #[must_use]
    pub const fn retryable(self) -> Self {
        Self(self.0 & !DO_NOT_RETRY)
    }

    /// The status field without phase tag, Do Not Retry in bit 14.
    pub const fn to_bits(self) -> u16 {
        (self.0 & !COMPLETION) as u16
    }

    /// Dword 3 of the completion queue entry.
    pub(crate) const fn to_dword3(self) -> u32 {
        self.0 << 17
    }
}

impl core::fmt::Debug for CompletionStatus {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "CompletionStatus({:#06x})", self.to_bits())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for CompletionStatus {
    fn format(&self, formatter: defmt::Formatter<'_>) {
        defmt::write!(formatter, "CompletionStatus({=u16:#06x})", self.to_bits());
    }
}

/// How a command handler ends without success.
///
/// One word, which is as it is when a handler passes on the error of what it calls. As an enum it
/// would have a tag to be set each time: 428 bytes of code on the STM32H7S3.
///
/// | bit 15 | the word is |
/// |-|-|
/// | 0 | a [`Failure`], or one of the constants: there is no response, or not yet |
/// | 1 | a [`CompletionStatus`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(u32);

impl Refusal {
    /// It is not done: the handler is called again with the same request, which it left as it was.
    pub(crate) const PENDING: Self = Self::unanswered(0);
    /// It is not begun: the handler is called again with the same request, when the other command
    /// slot may have done its work.
    pub(crate) const WAITING: Self = Self::unanswered(1);
    /// No response is sent, ever: the subsystem was reset.
    pub(crate) const SILENCE: Self = Self::unanswered(2);

    /// No handler fails with More Processing Required.
    const fn unanswered(why: u32) -> Self {
        Self(Status::MoreProcessingRequired as u32 | why << 8)
    }

    /// The status of the completion, if a controller refused the command.
    pub(crate) fn completion(self) -> Option<CompletionStatus> {
        (self.0 & COMPLETION != 0).then_some(CompletionStatus(self.0))
    }

    /// Bytes 4 to 7 of a response without a completion, as a number.
    pub(crate) const fn to_dword(self) -> u32 {
        self.0
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure.0)
    }
}

impl From<CompletionStatus> for Refusal {
    fn from(status: CompletionStatus) -> Self {
        Self(status.0)
    }
}

/// What handlers return. Success has a value: NMRESP (24 bits) of an MI command, dword 0 of the
/// completion queue entry of an Admin command. The data are in the exchange.
pub(crate) type Handled = Result<u32, Refusal>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_error_says_which_byte_and_bit() {
        assert_eq!(Failure::parameter(0x0C, 3).to_bytes(), [4, 3, 0x0C, 0]);
    }

    #[test]
    fn statuses_without_a_location_have_zeros_there() {
        assert_eq!(Failure::new(Status::InvalidOpcode).to_bytes(), [3, 0, 0, 0]);
    }

    #[test]
    fn a_command_specific_status_has_type_one_and_do_not_retry() {
        assert_eq!(CompletionStatus::specific(0x14).to_bits(), 0x4114);
        assert_eq!(
            CompletionStatus::specific(0x1D).retryable().to_bits(),
            0x011D
        );
    }

    #[test]
    fn a_completion_status_is_printed_as_its_field() {
        let text = std::format!("{:?}", CompletionStatus::INVALID_FIELD);
        assert_eq!(text, "CompletionStatus(0x4002)");
    }
}
