//! Format, sanitize and self-test.

mod memory;

pub use memory::MemoryMedia;

use core::task::Poll;

use mctp_time::Instant;

use crate::model::{ControllerId, NamespaceId};

/// The media failed: Internal Error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MediaError;

/// Secure Erase Settings (SES) of Format NVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SecureErase {
    /// 0: data may stay on the media.
    None,
    /// 1: user data are erased.
    UserData,
    /// 2: the key to the user data is deleted.
    Cryptographic,
}

/// What is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// The controller that is told to.
    pub controller: ControllerId,
    /// The namespace; `None`: all that are attached to the controller.
    pub namespace: Option<NamespaceId>,
    /// Bytes of a block.
    pub block_length: u32,
    /// Whether data are erased.
    pub erase: SecureErase,
}

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SelfTest {
    /// The controller.
    pub controller: ControllerId,
    /// NSID: 0 the controller alone, FFFFFFFFh all its namespaces too, or one of them.
    pub namespace: u32,
    /// An extended test; else a short one.
    pub extended: bool,
}

/// How far a self-test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SelfTestProgress {
    /// Percent, 0 to 99.
    Running(u8),
    /// It found nothing: result 0h.
    Passed,
    /// A segment failed, with its number if it is known: results 7h and 6h.
    Failed(Option<u8>),
    /// It could not be completed: result 5h.
    Incomplete,
}

/// Sanitize Action (SANACT) of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SanitizeAction {
    /// 2: block erase.
    BlockErase,
    /// 3: overwrite this often, 1 to 16, with this pattern, inverted between passes if so wanted.
    Overwrite {
        /// How often.
        passes: u8,
        /// With what.
        pattern: u32,
        /// Whether the pattern is inverted between passes.
        invert: bool,
    },
    /// 4: crypto erase.
    CryptoErase,
}

/// How far a sanitize operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SanitizeProgress {
    /// The part that is done, of 65536.
    Running(u16),
    /// All of it.
    Done,
    /// It failed.
    Failed,
}

/// What the media can do. Self-test and sanitize operations run in the background: they are begun,
/// and then asked for before every message.
pub trait Media {
    /// Whether namespaces can be formatted.
    fn supports_format(&self) -> bool {
        false
    }

    /// Whether [`SecureErase::Cryptographic`] can be asked for.
    fn supports_cryptographic_erase(&self) -> bool {
        false
    }

    /// Formats. Called again with the same format while it is `Pending`; called with another, the
    /// requester gave that up.
    ///
    /// # Errors
    ///
    /// [`MediaError`].
    fn format(&mut self, now: Instant, format: Format) -> Poll<Result<(), MediaError>> {
        let _ = (now, format);
        Poll::Ready(Err(MediaError))
    }

    /// The longest that [`format`](Self::format) takes from its first call until it is ready, in
    /// milliseconds: what the requester is told to wait.
    fn longest_format(&self) -> u32 {
        super::TEN_MINUTES
    }

    /// Whether controllers can test themselves.
    fn supports_self_test(&self) -> bool {
        false
    }

    /// Minutes that an extended self-test takes (EDSTT).
    fn extended_self_test_minutes(&self) -> u16 {
        0
    }

    /// Begins a self-test. There is none under way.
    fn start_self_test(&mut self, now: Instant, test: SelfTest) {
        let _ = (now, test);
    }

    /// How far the self-test is.
    fn self_test_progress(&mut self, now: Instant) -> SelfTestProgress {
        let _ = now;
        SelfTestProgress::Incomplete
    }

    /// Ends the self-test.
    fn stop_self_test(&mut self) {}

    /// Sanitize Capabilities (SANICAP, NVM Express Base 2.0): bit 0 crypto erase, bit 1 block
    /// erase, bit 2 overwrite, bit 29 blocks are deallocated whatever is asked for (NDI). 0,
    /// the default: not supported.
    fn sanitize_capabilities(&self) -> u32 {
        0
    }

    /// Begins to sanitize. No operation is under way. `deallocate`: the blocks are to be
    /// deallocated afterwards.
    ///
    /// # Errors
    ///
    /// [`MediaError`]; it was not begun.
    fn start_sanitize(
        &mut self,
        now: Instant,
        action: SanitizeAction,
        deallocate: bool,
    ) -> Result<(), MediaError> {
        let _ = (now, action, deallocate);
        Err(MediaError)
    }

    /// How far the sanitize operation is.
    fn sanitize_progress(&mut self, now: Instant) -> SanitizeProgress {
        let _ = now;
        SanitizeProgress::Failed
    }

    /// Whether nobody wrote user data since the last sanitize operation, or ever (GDE).
    fn is_erased(&self) -> bool {
        false
    }
}
