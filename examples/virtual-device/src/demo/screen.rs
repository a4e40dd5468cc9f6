//! What the newcomer reads: checks under headings, and a last line that says how it went.

use std::io::{self, Write};
use std::time::Duration;

/// Writes the screen and counts the checks on it.
pub(super) struct Screen<'w> {
    out: &'w mut dyn Write,
    checks: usize,
    failures: usize,
    took: Duration,
}

impl<'w> Screen<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Self {
        Self {
            out,
            checks: 0,
            failures: 0,
            took: Duration::ZERO,
        }
    }

    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{text}")
    }

    /// A line that explains the one before it.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "      {text}")
    }

    /// One check: what was shown, or what is wrong.
    pub(super) fn check(&mut self, label: &str, result: Result<String, String>) -> io::Result<()> {
        self.checks += 1;
        match result {
            Ok(shown) => writeln!(self.out, "  ok  {label:<36} {shown}"),
            Err(wrong) => {
                self.failures += 1;
                writeln!(self.out, "WRONG {label:<36} {wrong}")
            }
        }
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.took = time;
    }

    /// Writes the last lines, and returns whether every check passed.
    pub(super) fn finish(self) -> io::Result<bool> {
        let Self {
            out,
            checks,
            failures,
            took,
        } = self;
        writeln!(
            out,
            "\nLook at the packets in Wireshark: --pcap FILE. Plug the device into a QEMU guest: usbredir --help."
        )?;
        let milliseconds = took.as_secs_f64() * 1000.0;
        match failures {
            0 => writeln!(out, "All {checks} checks passed, in {milliseconds:.0} ms.")?,
            _ => writeln!(out, "{failures} of {checks} checks FAILED.")?,
        }
        Ok(failures == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_makes_the_whole_fail() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        screen.check("good", Ok("as it should be".into())).unwrap();
        screen.check("bad", Err("something else".into())).unwrap();
        assert!(!screen.finish().unwrap());
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("WRONG bad"));
        assert!(text.ends_with("1 of 2 checks FAILED.\n"));
    }
}
