use core::task::Poll;

use mctp_time::Instant;

use super::{
    Format, Media, MediaError, SanitizeAction, SanitizeProgress, SelfTest, SelfTestProgress,
};

/// Media of which there is nothing but the time that things take. They can do everything.
#[derive(Clone, Debug)]
pub struct MemoryMedia {
    /// Milliseconds that a format takes.
    pub format_time: u32,
    /// Milliseconds that a short self-test takes.
    pub short_test_time: u32,
    /// Milliseconds that an extended self-test takes.
    pub extended_test_time: u32,
    /// Milliseconds that a sanitize operation takes.
    pub sanitize_time: u32,
    /// Whether formats fail.
    pub format_fails: bool,
    /// How self-tests end.
    pub test_result: SelfTestProgress,
    /// Whether sanitize operations fail.
    pub sanitize_fails: bool,
    format: Option<(Format, Instant)>,
    test: Option<Span>,
    sanitize: Option<Span>,
}

/// When something began, and how many milliseconds it takes.
#[derive(Clone, Copy, Debug)]
struct Span {
    began: Instant,
    takes: u32,
}

impl Span {
    /// How much of `whole`, at most 65536, is done; `None`: all of it.
    fn done(self, now: Instant, whole: u32) -> Option<u32> {
        let passed = now.since(self.began);
        let passed = u32::try_from(passed)
            .ok()
            .filter(|passed| *passed < self.takes)?;
        // No more than 16 bits of it count, so that the product fits.
        let excess = 16u32.saturating_sub(passed.leading_zeros());
        let product = (passed >> excess).saturating_mul(whole);
        let done = product.checked_div(self.takes >> excess)?;
        Some(done.min(whole.saturating_sub(1)))
    }
}

impl MemoryMedia {
    /// A format takes no time, a short self-test 2 s, an extended one 60 s, sanitizing 5 s, and all
    /// succeed.
    pub const fn new() -> Self {
        Self {
            format_time: 0,
            short_test_time: 2_000,
            extended_test_time: 60_000,
            sanitize_time: 5_000,
            format_fails: false,
            test_result: SelfTestProgress::Passed,
            sanitize_fails: false,
            format: None,
            test: None,
            sanitize: None,
        }
    }
}

impl Default for MemoryMedia {
    fn default() -> Self {
        Self::new()
    }
}

impl Media for MemoryMedia {
    fn supports_format(&self) -> bool {
        true
    }

    fn supports_cryptographic_erase(&self) -> bool {
        true
    }

    fn format(&mut self, now: Instant, format: Format) -> Poll<Result<(), MediaError>> {
        let began = match self.format {
            Some((running, began)) if running == format => began,
            _ => now,
        };
        if now < began.after(self.format_time) {
            self.format = Some((format, began));
            return Poll::Pending;
        }
        self.format = None;
        Poll::Ready(if self.format_fails {
            Err(MediaError)
        } else {
            Ok(())
        })
    }

    fn supports_self_test(&self) -> bool {
        true
    }

    fn extended_self_test_minutes(&self) -> u16 {
        u16::try_from(self.extended_test_time.div_ceil(60_000)).unwrap_or(u16::MAX)
    }

    fn start_self_test(&mut self, now: Instant, test: SelfTest) {
        let takes = if test.extended {
            self.extended_test_time
        } else {
            self.short_test_time
        };
        self.test = Some(Span { began: now, takes });
    }

    fn self_test_progress(&mut self, now: Instant) -> SelfTestProgress {
        match self.test.and_then(|span| span.done(now, 100)) {
            Some(percent) => SelfTestProgress::Running(u8::try_from(percent).unwrap_or(99)),
            None => self.test_result,
        }
    }

    fn stop_self_test(&mut self) {
        self.test = None;
    }

    fn sanitize_capabilities(&self) -> u32 {
        0b111
    }

    fn start_sanitize(
        &mut self,
        now: Instant,
        _: SanitizeAction,
        _: bool,
    ) -> Result<(), MediaError> {
        let takes = self.sanitize_time;
        self.sanitize = Some(Span { began: now, takes });
        Ok(())
    }

    fn sanitize_progress(&mut self, now: Instant) -> SanitizeProgress {
        match self.sanitize.and_then(|span| span.done(now, 1 << 16)) {
            Some(part) => SanitizeProgress::Running(u16::try_from(part).unwrap_or(u16::MAX)),
            None if self.sanitize_fails => SanitizeProgress::Failed,
            None => SanitizeProgress::Done,
        }
    }

    fn is_erased(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_is_done_grows_to_the_end_whatever_it_takes() {
        for takes in [1, 2, 99, 5_000, 65_535, 65_536, 3_600_000, u32::MAX] {
            let span = Span {
                began: Instant::from_millis(7),
                takes,
            };
            for whole in [100, 65_536] {
                let at = |passed| span.done(span.began.after(passed), whole);
                assert_eq!(at(0), Some(0));
                assert_eq!(at(takes), None);
                let quarters = (0..4u64).map(|part| at((u64::from(takes) * part / 4) as u32));
                for (part, done) in (0u64..).zip(quarters) {
                    let exact = u64::from(takes) * part / 4 * u64::from(whole) / u64::from(takes);
                    let exact = exact as u32;
                    assert!(done.unwrap().abs_diff(exact) <= 2, "{takes} {part}");
                }
            }
        }
    }
}
