//! What requesters have begun and not ended: a firmware update, self-tests and sanitize operations.

use firmware_store::{Download, Piece};

/// The download of a firmware image.
#[derive(Clone, Debug)]
pub(crate) struct FirmwareUpdate {
    pub(crate) download: Download,
    /// The next piece begins another download.
    pub(crate) ended: bool,
}

impl FirmwareUpdate {
    pub(crate) const NONE: Self = Self {
        download: Download::new(),
        ended: false,
    };

    /// Whether the piece is the last one of this download again, whose response was lost.
    pub(crate) fn is_repetition(&self, piece: Piece, check: u32) -> bool {
        !self.ended && self.download.is_repetition(piece, check)
    }

    /// Whether a piece that is no repetition begins another download.
    pub(crate) fn starts_over_with(&self, piece: Piece) -> bool {
        self.ended || (piece.offset() == 0 && self.download.has_beginning())
    }
}

/// Results of self-tests that are kept.
const RESULTS: usize = 20;

/// How a self-test ended: bits 3:0 of the status of a result in the Device Self-test log.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Outcome {
    Passed = 0,
    Aborted = 1,
    Reset = 2,
    NamespaceDeleted = 3,
    Formatted = 4,
    Incomplete = 5,
    FailedSomewhere = 6,
    Failed = 7,
    Sanitized = 9,
}

/// The self-test under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningTest {
    /// Self-test Code: 1 short, 2 extended.
    pub(crate) code: u8,
    /// Where the controller is in the model.
    pub(crate) controller: usize,
    /// NSID as in the command.
    pub(crate) namespace: u32,
    pub(crate) percent: u8,
}

/// A self-test that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestResult {
    /// Code in bits 7:4, outcome in bits 3:0.
    pub(crate) status: u8,
    pub(crate) segment: u8,
    pub(crate) namespace: u32,
    /// Power-on hours when it ended.
    pub(crate) hours: u32,
}

/// The self-tests of the subsystem.
#[derive(Clone, Debug)]
pub(crate) struct SelfTests {
    pub(crate) running: Option<RunningTest>,
    /// Newest first; status 0 where there is none yet, as a code is never 0.
    pub(crate) results: [TestResult; RESULTS],
}

impl SelfTests {
    pub(crate) const NONE: Self = Self {
        running: None,
        results: [TestResult {
            status: 0,
            segment: 0,
            namespace: 0,
            hours: 0,
        }; RESULTS],
    };

    /// Adds the newest result; the oldest is lost.
    pub(crate) fn add(&mut self, result: TestResult) {
        // Each takes the place of the one after it. (`memmove`, which nothing else needs, would be
        // 1.6 KB of flash.)
        let mut newer = result;
        for place in &mut self.results {
            core::mem::swap(place, &mut newer);
        }
    }
}

/// The state of the last sanitize operation: bits 2:0 of the status in the Sanitize Status log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SanitizeState {
    Never = 0,
    Done = 1,
    Running = 2,
    Failed = 3,
    DoneWithoutDeallocating = 4,
}

/// The last sanitize operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sanitize {
    pub(crate) state: SanitizeState,
    /// An operation failed, and nothing led out of that: SFM of the NVM Subsystem Health Status.
    pub(crate) failure_mode: bool,
    /// The part that is done, of 65536.
    pub(crate) progress: u16,
    /// Dword 10 of the command.
    pub(crate) dword10: u32,
}

impl Sanitize {
    /// There was none.
    pub(crate) const NEVER: Self = Self {
        state: SanitizeState::Never,
        failure_mode: false,
        progress: 0,
        dword10: 0,
    };
}
