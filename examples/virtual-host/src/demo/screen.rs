//! What the newcomer reads: checks under headings, and a last line that says how it went.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::time::Duration;

/// Columns of the screen and of the names of its checks.
#[derive(Clone, Copy)]
struct Columns {
    screen: usize,
    label: usize,
}

const SHORT: Columns = Columns {
    screen: 80,
    label: 27,
};
const VERBOSE: Columns = Columns {
    screen: 100,
    label: 36,
};

/// Characters of a progress bar, its ends not counted.
const BAR: usize = 20;

/// Characters of a pace behind a progress bar: what is longer is cut.
const PACE: usize = 12;

/// A progress bar.
fn bar(done: usize, all: usize) -> String {
    let part = |of: usize| (of * done).checked_div(all).unwrap_or(of);
    let filled = "#".repeat(part(BAR));
    format!("[{filled:.<BAR$}] {:3} %", part(100))
}

/// Bytes as people read them: two digits each, spaces between.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Writes the screen and counts the checks on it.
pub(super) struct Screen<'w> {
    out: &'w mut dyn Write,
    /// Whether a line can be written over, as on a terminal.
    live: bool,
    /// Whether every check is shown; otherwise the highlights, and what is wrong.
    verbose: bool,
    columns: Columns,
    /// The progress bar on the line that is being written.
    bar: Option<String>,
    checks: usize,
    failures: usize,
    took: Duration,
}

impl<'w> Screen<'w> {
    pub(super) fn new(out: &'w mut dyn Write, live: bool, verbose: bool) -> Self {
        Self {
            out,
            live,
            verbose,
            columns: if verbose { VERBOSE } else { SHORT },
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

    /// A line that says why something is left out.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "      {text}")
    }

    /// A line that explains the one before it, where every check is shown.
    pub(super) fn detail(&mut self, text: &str) -> io::Result<()> {
        match self.verbose {
            true => self.note(text),
            false => Ok(()),
        }
    }

    /// One check: what was found, or what is wrong.
    pub(super) fn check(&mut self, label: &str, result: Result<String, String>) -> io::Result<()> {
        self.count(label, result, self.verbose)
    }

    /// The same, and the short screen shows it.
    pub(super) fn highlight(
        &mut self,
        label: &str,
        result: Result<String, String>,
    ) -> io::Result<()> {
        self.count(label, result, true)
    }

    /// A check that the short screen shows if `is_highlight`.
    pub(super) fn check_or_highlight(
        &mut self,
        is_highlight: bool,
        label: &str,
        result: Result<String, String>,
    ) -> io::Result<()> {
        self.count(label, result, is_highlight || self.verbose)
    }

    fn count(
        &mut self,
        label: &str,
        result: Result<String, String>,
        is_shown: bool,
    ) -> io::Result<()> {
        self.checks += 1;
        self.clear_progress()?;
        let width = self.columns.label;
        match result {
            Ok(found) if is_shown => writeln!(self.out, "  ok  {label:<width$} {found}"),
            Ok(_) => Ok(()),
            Err(wrong) => {
                self.failures += 1;
                writeln!(self.out, "WRONG {label:<width$} {wrong}")
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
        let padded = || format!("  {:<PACE$.PACE$}", pace.to_string());
        self.progress_with(label, done, all, padded)
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
        let width = self.columns.label;
        write!(self.out, "\r      {label:<width$} {bar}{}", pace())?;
        self.bar = Some(bar);
        self.out.flush()
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        // Some terminals begin a new line behind the last column.
        let width = self.columns.screen - 1;
        match self.bar.take() {
            Some(_) => write!(self.out, "\r{:width$}\r", ""),
            None => Ok(()),
        }
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.took = time;
    }

    /// Writes the last lines, `advice` before the verdict, and returns whether every check passed.
    pub(super) fn finish(self, advice: &str) -> io::Result<bool> {
        let Self {
            out,
            checks,
            failures,
            took,
            ..
        } = self;
        writeln!(out, "\n{advice}")?;
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
        let mut screen = Screen::new(&mut out, false, true);
        screen.check("good", Ok("as it should be".into())).unwrap();
        screen.check("bad", Err("something else".into())).unwrap();
        assert!(!screen.finish("").unwrap());
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("WRONG bad"));
        assert!(text.ends_with("1 of 2 checks FAILED.\n"));
    }

    #[test]
    fn the_short_screen_has_the_highlights_and_whatever_is_wrong() {
        let written = |verbose| {
            let mut out = Vec::new();
            let mut screen = Screen::new(&mut out, false, verbose);
            screen.check("one of many", Ok("found".into())).unwrap();
            screen.detail("its bytes").unwrap();
            screen.highlight("one of few", Ok("found".into())).unwrap();
            screen.check("another", Err("missing".into())).unwrap();
            screen.finish("advice").unwrap();
            String::from_utf8(out).unwrap()
        };
        let (short, verbose) = (written(false), written(true));
        for line in ["WRONG another", "  ok  one of few", "1 of 3 checks FAILED."] {
            assert!(short.contains(line) && verbose.contains(line), "{line}");
        }
        for line in ["  ok  one of many", "its bytes"] {
            assert!(!short.contains(line) && verbose.contains(line), "{line}");
        }
    }

    #[test]
    fn hex_is_readable() {
        assert_eq!(Hex(&[0x00, 0x81, 0xFF]).to_string(), "00 81 ff");
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
        let mut screen = Screen::new(&mut out, true, false);
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
                .all(|line| line.len() == lines[0].len() && line.len() < SHORT.screen)
        );
    }

    #[test]
    fn a_check_is_written_over_the_progress_before_it_and_only_on_a_terminal() {
        let written = |live| {
            let mut out = Vec::new();
            let mut screen = Screen::new(&mut out, live, true);
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
