//! One line of the log while it is made.

use core::fmt::{self, Write};

use log::Record;

use crate::buffer::LINE_END;

/// The longest line unless another length is asked for, in bytes, its end included.
pub const LINE_LEN: usize = 192;

const CUT: &[u8] = b"...";

/// Collects text as far as it fits in `LEN` bytes.
pub(crate) struct Line<const LEN: usize> {
    bytes: [u8; LEN],
    len: usize,
    is_cut: bool,
}

impl<const LEN: usize> Line<LEN> {
    /// `   12.345 INFO  text`: seconds since the start, level, text.
    pub(crate) fn of(record: &Record<'_>, uptime: u64) -> Self {
        let mut line = Self {
            bytes: [0; LEN],
            len: 0,
            is_cut: false,
        };
        // A line takes whatever it is given. What a value's own formatting fails with is its
        // problem: the line is as long as it got.
        let _ = write!(
            line,
            "{:5}.{:03} {:5} {}",
            uptime / 1000,
            uptime % 1000,
            record.level().as_str(),
            record.args()
        );
        line.push(&LINE_END);
        line
    }

    /// With its end.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Without its end.
    pub(crate) fn text(&self) -> &[u8] {
        let len = self.len.saturating_sub(LINE_END.len());
        self.bytes.get(..len).unwrap_or_default()
    }

    /// Adds what there is room for.
    fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let length = bytes.len().min(room.len());
        room.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        self.len = self.len.saturating_add(length);
    }
}

impl<const LEN: usize> Write for Line<LEN> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Ok(());
        }
        let reserved = const { CUT.len() + LINE_END.len() };
        let room = LEN.saturating_sub(reserved).saturating_sub(self.len);
        let mut lengths = (0..=room.min(text.len())).rev();
        let fits = lengths.find(|length| text.is_char_boundary(*length));
        let fits = fits.unwrap_or(0);
        self.push(text.as_bytes().get(..fits).unwrap_or_default());
        if fits < text.len() {
            self.push(CUT);
            self.is_cut = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn line(text: &str, uptime: u64) -> String {
        let mut record = Record::builder();
        let line = Line::<LINE_LEN>::of(
            &record
                .level(Level::Info)
                .args(format_args!("{text}"))
                .build(),
            uptime,
        );
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_seconds_level_and_text() {
        assert_eq!(line("text", 12_345), "   12.345 INFO  text\r\n");
        assert_eq!(line("", 0), "    0.000 INFO  \r\n");
        assert_eq!(
            line("a month", 2_678_400_007),
            "2678400.007 INFO  a month\r\n"
        );
    }

    #[test]
    fn a_line_too_long_is_cut_between_characters_and_says_so() {
        for start in 0..4 {
            let text = "x".repeat(start) + &"\u{20AC}".repeat(100);
            let line = line(&text, 0);
            assert!(line.ends_with("\u{20AC}...\r\n"), "{line}");
            assert!(line.len() <= LINE_LEN && line.len() > LINE_LEN - 4);
        }
    }
}
