//! What is kept of the log, sans-IO.

/// How every line ends.
pub(crate) const LINE_END: [u8; 2] = *b"\r\n";

/// Bytes of the longest line about lost ones, the end of the line before it included.
const NOTE_LEN: usize = 33;

/// The first lines and the newest ones.
///
/// The first `EARLY` bytes, as far as they are whole lines, stay for good. What comes after them
/// goes through a ring of `RECENT` bytes, where whole lines make room for new ones.
#[derive(Debug)]
pub struct Buffer<const EARLY: usize, const RECENT: usize> {
    early: [u8; EARLY],
    early_len: usize,
    /// A line did not fit: those after it must not stand before it.
    early_is_full: bool,
    recent: [u8; RECENT],
    /// Where the oldest byte of the ring is.
    oldest: usize,
    recent_len: usize,
    /// How many bytes there have ever been.
    written: u64,
}

/// How far a reader has come. [`Place::START`] is before the first line.
#[derive(Clone, Debug)]
pub struct Place {
    /// The byte to read next, counted from the first one ever written.
    next: u64,
    /// The last byte read did not end a line.
    within_line: bool,
    note: Note,
}

impl Place {
    /// Before the first line.
    pub const START: Self = Self {
        next: 0,
        within_line: false,
        note: Note::NONE,
    };
}

impl Default for Place {
    fn default() -> Self {
        Self::START
    }
}

impl<const EARLY: usize, const RECENT: usize> Buffer<EARLY, RECENT> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            early: [0; EARLY],
            early_len: 0,
            early_is_full: false,
            recent: [0; RECENT],
            oldest: 0,
            recent_len: 0,
            written: 0,
        }
    }

    /// Adds a line, given without its end. One that is longer than the ring is cut.
    pub fn append(&mut self, line: &[u8]) {
        if !self.append_early(line) {
            self.append_recent(line);
        }
    }

    fn append_early(&mut self, line: &[u8]) -> bool {
        let room = self.early.get_mut(self.early_len..).unwrap_or_default();
        let needed = line.len().saturating_add(LINE_END.len());
        if self.early_is_full || needed > room.len() {
            self.early_is_full = true;
            return false;
        }
        let text = line.iter().chain(&LINE_END);
        room.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        self.early_len = self.early_len.saturating_add(needed);
        self.count(needed);
        true
    }

    fn append_recent(&mut self, line: &[u8]) {
        let longest = RECENT.saturating_sub(LINE_END.len());
        let line = line.get(..longest).unwrap_or(line);
        let needed = line.len().saturating_add(LINE_END.len());
        while RECENT.saturating_sub(self.recent_len) < needed && self.recent_len > 0 {
            self.drop_oldest_line();
        }
        self.put(line);
        self.put(&LINE_END);
    }

    fn drop_oldest_line(&mut self) {
        let (first, second) = self.recent_from(0);
        let mut bytes = first.iter().chain(second);
        let length = bytes
            .position(|byte| *byte == b'\n')
            .map_or(self.recent_len, |end| end.saturating_add(1));
        self.oldest = wrapped::<RECENT>(self.oldest, length);
        self.recent_len = self.recent_len.saturating_sub(length);
    }

    /// Adds bytes for which there is room; leaves out what exceeds it.
    fn put(&mut self, bytes: &[u8]) {
        let bytes = bytes
            .get(..RECENT.saturating_sub(self.recent_len))
            .unwrap_or(bytes);
        let end = wrapped::<RECENT>(self.oldest, self.recent_len);
        let (start, tail) = self.recent.split_at_mut_checked(end).unwrap_or_default();
        let (here, there) = bytes.split_at_checked(tail.len()).unwrap_or((bytes, &[]));
        for (room, bytes) in [(tail, here), (start, there)] {
            if let Some(room) = room.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
            }
        }
        self.recent_len = self.recent_len.saturating_add(bytes.len());
        self.count(bytes.len());
    }

    fn count(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64);
    }

    /// The ring's bytes from the one that is `offset` after the oldest, in two pieces.
    fn recent_from(&self, offset: usize) -> (&[u8], &[u8]) {
        let from = wrapped::<RECENT>(self.oldest, offset);
        let length = self.recent_len.saturating_sub(offset);
        let (start, tail) = self.recent.split_at_checked(from).unwrap_or_default();
        match tail.get(..length) {
            Some(all) => (all, &[]),
            None => {
                let rest = length.saturating_sub(tail.len());
                (tail, start.get(..rest).unwrap_or_default())
            }
        }
    }

    /// Reads on from `place` into `out`, as much as there is and fits. Returns how many bytes.
    ///
    /// Where lines are gone that the reader has not had, there is one that says how many bytes they
    /// were.
    pub fn read(&self, place: &mut Place, out: &mut [u8]) -> usize {
        let mut filled = 0usize;
        loop {
            let room = out.get_mut(filled..).unwrap_or_default();
            let length = self.read_piece(place, room);
            if length == 0 {
                return filled;
            }
            filled = filled.saturating_add(length);
        }
    }

    /// Whether there is something to read from `place` on.
    pub fn has_more(&self, place: &Place) -> bool {
        place.next < self.written || !place.note.rest().is_empty()
    }

    /// Reads what stands in one piece.
    fn read_piece(&self, place: &mut Place, out: &mut [u8]) -> usize {
        if place.note.rest().is_empty() {
            self.note_loss(place);
        }
        if !place.note.rest().is_empty() {
            let length = copy(place.note.rest(), out);
            place.note.start = place.note.start.saturating_add(length);
            return length;
        }
        let early = self.early.get(..self.early_len).unwrap_or_default();
        let next = usize::try_from(place.next).unwrap_or(usize::MAX);
        let piece = match early.get(next..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => {
                let offset = place.next.saturating_sub(self.oldest_position());
                self.recent_from(usize::try_from(offset).unwrap_or(usize::MAX))
                    .0
            }
        };
        let length = copy(piece, out);
        let read = piece.get(..length).unwrap_or_default();
        if let Some(last) = read.last() {
            place.within_line = *last != b'\n';
        }
        place.next = place.next.saturating_add(length as u64);
        length
    }

    /// The oldest byte of the ring, counted as in [`Place`].
    fn oldest_position(&self) -> u64 {
        self.written.saturating_sub(self.recent_len as u64)
    }

    /// Takes `place` over what is gone.
    fn note_loss(&self, place: &mut Place) {
        let oldest = self.oldest_position();
        if place.next >= self.early_len as u64 && place.next < oldest {
            place.note = Note::of(oldest.saturating_sub(place.next), place.within_line);
            place.within_line = false;
            place.next = oldest;
        }
    }
}

impl<const EARLY: usize, const RECENT: usize> Default for Buffer<EARLY, RECENT> {
    fn default() -> Self {
        Self::new()
    }
}

/// The index `offset` after `index` in a ring of `LEN`; both are at most `LEN`.
fn wrapped<const LEN: usize>(index: usize, offset: usize) -> usize {
    let sum = index.saturating_add(offset);
    sum.checked_sub(LEN).unwrap_or(sum)
}

/// Copies as much as fits.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..length), to.get_mut(..length)) {
        to.copy_from_slice(from);
    }
    length
}

/// The line about lost bytes, as far as it has not been read.
#[derive(Clone, Debug)]
struct Note {
    text: [u8; NOTE_LEN],
    start: usize,
}

impl Note {
    const NONE: Self = Self {
        text: [0; NOTE_LEN],
        start: NOTE_LEN,
    };

    /// Written from its end: the number is there before its length is known.
    fn of(lost: u64, within_line: bool) -> Self {
        let mut note = Self::NONE;
        note.prepend(b" bytes lost ...\r\n");
        let mut rest = u32::try_from(lost).unwrap_or(u32::MAX);
        loop {
            note.prepend(&[b'0'.wrapping_add((rest % 10) as u8)]);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        note.prepend(b"... ");
        if within_line {
            note.prepend(&LINE_END);
        }
        note
    }

    fn prepend(&mut self, text: &[u8]) {
        let start = self.start.saturating_sub(text.len());
        if let Some(room) = self.text.get_mut(start..self.start)
            && room.len() == text.len()
        {
            room.copy_from_slice(text);
            self.start = start;
        }
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all<const E: usize, const R: usize>(
        buffer: &Buffer<E, R>,
        place: &mut Place,
    ) -> String {
        let mut out = [0; 7];
        let mut text = Vec::new();
        loop {
            let length = buffer.read(place, &mut out);
            if length == 0 {
                return String::from_utf8(text).unwrap();
            }
            text.extend(&out[..length]);
        }
    }

    fn buffer_with<const E: usize, const R: usize>(lines: &[&str]) -> Buffer<E, R> {
        let mut buffer = Buffer::new();
        lines.iter().for_each(|line| buffer.append(line.as_bytes()));
        buffer
    }

    #[test]
    fn a_late_reader_gets_the_first_lines_then_what_is_lost_then_the_newest() {
        let buffer = buffer_with::<12, 12>(&["one", "two", "three", "four", "five", "six"]);
        let text = read_all(&buffer, &mut Place::default());
        assert_eq!(
            text,
            "one\r\ntwo\r\n... 13 bytes lost ...\r\nfive\r\nsix\r\n"
        );
    }

    #[test]
    fn nothing_is_said_of_losses_where_there_are_none() {
        let buffer = buffer_with::<12, 12>(&["one", "two", "five", "six"]);
        let mut place = Place::START;
        assert_eq!(
            read_all(&buffer, &mut place),
            "one\r\ntwo\r\nfive\r\nsix\r\n"
        );
        assert_eq!(read_all(&buffer, &mut place), "");
        assert!(!buffer.has_more(&place));
    }

    #[test]
    fn each_reader_that_attaches_gets_the_first_lines_again() {
        let mut buffer = buffer_with::<12, 12>(&["one", "two"]);
        let mut first = Place::START;
        assert_eq!(read_all(&buffer, &mut first), "one\r\ntwo\r\n");
        buffer.append(b"three");
        assert_eq!(read_all(&buffer, &mut first), "three\r\n");
        assert_eq!(
            read_all(&buffer, &mut Place::default()),
            "one\r\ntwo\r\nthree\r\n"
        );
    }

    #[test]
    fn a_reader_overtaken_within_a_line_goes_on_with_a_whole_one() {
        let mut buffer = buffer_with::<0, 14>(&["abcdef", "gh"]);
        let mut place = Place::START;
        let mut start = [0; 3];
        assert_eq!(buffer.read(&mut place, &mut start), 3);
        buffer.append(b"ijklmn");
        assert_eq!(&start, b"abc");
        assert_eq!(
            read_all(&buffer, &mut place),
            "\r\n... 5 bytes lost ...\r\ngh\r\nijklmn\r\n"
        );
    }

    #[test]
    fn a_line_too_long_for_the_early_lines_ends_them() {
        let buffer = buffer_with::<12, 32>(&["one", "a long line", "two"]);
        assert_eq!(buffer.early_len, 5);
        let text = read_all(&buffer, &mut Place::default());
        assert_eq!(text, "one\r\na long line\r\ntwo\r\n");
    }

    #[test]
    fn a_line_longer_than_the_ring_is_cut_and_still_ends() {
        let buffer = buffer_with::<0, 8>(&["0123456789"]);
        assert_eq!(read_all(&buffer, &mut Place::default()), "012345\r\n");
    }

    #[test]
    fn the_longest_note_fits_its_place() {
        let note = Note::of(u64::MAX, true);
        assert_eq!(note.rest(), b"\r\n... 4294967295 bytes lost ...\r\n");
        assert_eq!(note.start, 0);
    }

    #[test]
    fn no_memory_at_all_keeps_nothing() {
        let buffer = buffer_with::<0, 0>(&["one", ""]);
        assert_eq!(read_all(&buffer, &mut Place::default()), "");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Read(usize),
        Attach,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..60usize).prop_map(Step::Append),
            4 => (0..50usize).prop_map(Step::Read),
            1 => Just(Step::Attach),
        ]
    }

    /// Checks that a reader, who is up to date, got what was written, in order, but for losses that
    /// it was told of.
    fn check(written: &str, read: &str, early: usize) {
        // Where in `written` the reader may be: a line end may be one that was written, or that
        // before the note.
        let mut positions = vec![0];
        for line in read.split_inclusive('\n') {
            let lost = line.strip_prefix("... ");
            let lost = lost.and_then(|line| line.strip_suffix(" bytes lost ...\r\n"));
            positions = match lost {
                Some(lost) => {
                    let lost: usize = lost.parse().unwrap();
                    let after = positions.iter().filter(|position| **position >= early);
                    let after = after.map(|position| position + lost);
                    after
                        .filter(|after| written[..*after].ends_with('\n'))
                        .collect()
                }
                None => {
                    let readings = [line, line.trim_end_matches("\r\n")];
                    let matches = positions.iter().flat_map(|position| {
                        let rest = &written[*position..];
                        let fits = readings.iter().filter(|text| rest.starts_with(**text));
                        fits.map(move |text| position + text.len())
                    });
                    matches.collect()
                }
            };
            assert!(!positions.is_empty(), "{line:?}");
        }
        assert!(positions.contains(&written.len()));
    }

    proptest! {
        #[test]
        fn readers_get_every_byte_in_order_or_are_told_how_many_they_missed(
            steps in proptest::collection::vec(step(), 0..200)
        ) {
            let mut buffer = Buffer::<40, 100>::new();
            let mut written = String::new();
            let mut place = Place::START;
            let mut read = String::new();
            for step in steps {
                match step {
                    Step::Append(length) => {
                        let line: String = (0..length).map(|at| {
                            char::from(b'a' + ((written.len() + 7 * at) % 26) as u8)
                        }).collect();
                        buffer.append(line.as_bytes());
                        written += &line;
                        written += "\r\n";
                    }
                    Step::Read(length) => {
                        let mut out = [0; 50];
                        let length = buffer.read(&mut place, &mut out[..length]);
                        read += std::str::from_utf8(&out[..length]).unwrap();
                    }
                    Step::Attach => {
                        read += &read_all(&buffer, &mut place);
                        check(&written, &read, buffer.early_len);
                        place = Place::default();
                        read.clear();
                    }
                }
            }
            read += &read_all(&buffer, &mut place);
            check(&written, &read, buffer.early_len);
        }
    }
}
