//! What the newcomer reads: checks under headings, and a last line that says how it went.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of the screen.
const WIDTH: usize = 100;

/// Characters of a progress bar, its ends not counted.
const BAR: usize = 20;

/// A progress bar.
pub(super) fn bar(done: usize, all: usize) -> String {
    let part = |of: usize| (of * done).checked_div(all).unwrap_or(of);
    let filled = "#".repeat(part(BAR));
    format!("[{filled:.<BAR$}] {:3} %", part(100))
}

/// Writes the screen and counts the checks on it.
pub(super) struct Screen<'w> {
    out: &'w mut dyn Write,
    /// Whether a line can be written over, as on a terminal.
    live: bool,
    /// The progress bar on the line that is being written.
    bar: Option<String>,
    checks: usize,
    failures: usize,
    took: Duration,
}

impl<'w> Screen<'w> {
    pub(super) fn new(out: &'w mut dyn Write, live: bool) -> Self {
        Self {
            out,
            live,
            bar: None,
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
        self.clear_progress()?;
        match result {
            Ok(shown) => writeln!(self.out, "  ok  {label:<36} {shown}"),
            Err(wrong) => {
                self.failures += 1;
                writeln!(self.out, "WRONG {label:<36} {wrong}")
            }
        }
    }

    /// How far something has come, on the line where its check will be.
    pub(super) fn progress(&mut self, label: &str, done: usize, all: usize) -> io::Result<()> {
        self.progress_with(label, done, all, String::new)
    }

    /// The same, and how fast it is, which is told whenever the bar changes.
    pub(super) fn progress_at(
        &mut self,
        label: &str,
        done: usize,
        all: usize,
        pace: impl Display,
    ) -> io::Result<()> {
        // As wide as the longest there is, which it may have to cover.
        self.progress_with(label, done, all, || format!("  {:<26}", pace.to_string()))
    }

    fn progress_with(
        &mut self,
        label: &str,
        done: usize,
        all: usize,
        pace: impl FnOnce() -> String,
    ) -> io::Result<()> {
        let bar = bar(done, all);
        if !self.live || self.bar.as_ref() == Some(&bar) {
            return Ok(());
        }
        write!(self.out, "\r      {label:<36} {bar}{}", pace())?;
        self.bar = Some(bar);
        self.out.flush()
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        match self.bar.take() {
            Some(_) => write!(self.out, "\r{:WIDTH$}\r", ""),
            None => Ok(()),
        }
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.took = time;
    }

    /// Writes the last lines, and returns whether every check passed.
    pub(super) fn finish(self) -> io::Result<bool> {
        let Self {
            out,
            live: _,
            bar: _,
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
        let mut screen = Screen::new(&mut out, false);
        screen.check("good", Ok("as it should be".into())).unwrap();
        screen.check("bad", Err("something else".into())).unwrap();
        assert!(!screen.finish().unwrap());
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("WRONG bad"));
        assert!(text.ends_with("1 of 2 checks FAILED.\n"));
    }

    #[test]
    fn a_bar_fills_from_the_left() {
        assert_eq!(bar(0, 768), "[....................]   0 %");
        assert_eq!(bar(460, 768), "[###########.........]  59 %");
        assert_eq!(bar(768, 768), "[####################] 100 %");
        assert_eq!(bar(0, 0), "[####################] 100 %");
    }

    #[test]
    fn a_slower_pace_covers_a_faster_one() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, true);
        screen.progress_at("stream", 1, 100, "100.00 MB/s").unwrap();
        screen.progress_at("stream", 2, 100, "9.00 MB/s").unwrap();
        screen.progress_at("stream", 2, 100, "8.00 MB/s").unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.split('\r').skip(1).collect();
        assert!(
            lines[0].trim_end().ends_with("1 %  100.00 MB/s"),
            "{text:?}"
        );
        assert!(lines[1].trim_end().ends_with("2 %  9.00 MB/s"), "{text:?}");
        assert_eq!(lines.len(), 2, "the same bar is written once");
        assert!(
            lines
                .iter()
                .all(|line| line.len() == lines[0].len() && line.len() <= WIDTH)
        );
    }

    #[test]
    fn a_check_is_written_over_the_progress_before_it_and_only_on_a_terminal() {
        let written = |live| {
            let mut out = Vec::new();
            let mut screen = Screen::new(&mut out, live);
            screen.progress("download", 500, 1000).unwrap();
            screen.progress("download", 501, 1000).unwrap();
            screen.check("download", Ok("done".into())).unwrap();
            String::from_utf8(out).unwrap()
        };
        let check = format!("  ok  {:<36} done\n", "download");
        assert_eq!(written(false), check);
        let live = written(true);
        assert!(live.contains("[##########..........]  50 %\r"), "{live:?}");
        assert!(live.ends_with(&format!("\r{check}")), "{live:?}");
        assert_eq!(live.matches('%').count(), 1, "the same bar is written once");
    }
}
