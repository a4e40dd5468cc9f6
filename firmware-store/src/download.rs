//! Which bytes of an image have come.

/// How many parts of an image can be there with gaps between them.
pub const MAX_PIECES: usize = 16;

/// The bytes of an image that one command brings. There is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Piece {
    start: u32,
    /// Behind the last byte, and above `start`.
    end: u32,
}

impl Piece {
    /// The `length` bytes from `offset`. `None`: there are none, or they end beyond what an offset
    /// can tell.
    pub const fn new(offset: u32, length: u32) -> Option<Self> {
        match offset.checked_add(length) {
            Some(end) if length > 0 => Some(Self { start: offset, end }),
            _ => None,
        }
    }

    /// Where the piece begins in the image.
    pub const fn offset(self) -> u32 {
        self.start
    }

    /// Where the piece ends in the image: the offset of the byte behind it.
    pub const fn end(self) -> u32 {
        self.end
    }

    /// Whether this is [`NO_PIECE`].
    const fn is_none(self) -> bool {
        self.end == 0
    }

    const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether no byte is missing between them.
    const fn meets(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Both as one, where they meet.
    fn joined_with(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// Stands where there is no piece: it overlaps none, and changes none that is joined with it.
const NO_PIECE: Piece = Piece { start: 0, end: 0 };

/// Why a piece cannot be added to a [`Download`]. The download is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PieceError {
    /// A part of the piece was added before.
    Overlap,
    /// The image has [`MAX_PIECES`] parts with gaps between them, and the piece would be another.
    /// One that touches a part can still be added.
    TooManyPieces,
}

/// Which bytes of an image are there, for a responder that gives pieces to a
/// [`FirmwareStore`](crate::FirmwareStore).
///
/// For each piece that comes, in this order:
///
/// 1. [`is_repetition`](Self::is_repetition): the requester did not get the response to the piece
///    before, and sends it again. The responder answers success and writes nothing.
/// 2. [`check`](Self::check): the piece is a new one.
/// 3. [`FirmwareStore::write`](crate::FirmwareStore::write), until it is ready.
/// 4. [`add`](Self::add), if the store kept the piece.
///
/// [`length`](Self::length) is what [`FirmwareStore::commit`](crate::FirmwareStore::commit) takes.
///
/// ```
/// use firmware_store::{Download, Piece, PieceError};
///
/// let mut download = Download::new();
/// let first = Piece::new(0, 4096).unwrap();
/// download.add(first, 0x1234_5678)?;
/// assert!(download.is_repetition(first, 0x1234_5678));
/// assert_eq!(download.check(first), Err(PieceError::Overlap));
/// assert_eq!(download.length(), Some(4096));
/// # Ok::<(), PieceError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Download {
    /// In any order, [`NO_PIECE`] among them. No two touch or overlap.
    parts: [Piece; MAX_PIECES],
    /// The piece that was added last, not joined with others.
    last: Piece,
    /// Of its bytes.
    last_check: u32,
}

impl Default for Download {
    fn default() -> Self {
        Self::new()
    }
}

impl Download {
    /// No bytes.
    pub const fn new() -> Self {
        Self {
            parts: [NO_PIECE; MAX_PIECES],
            last: NO_PIECE,
            last_check: 0,
        }
    }

    /// Whether the piece is the one that was added last: the same range, and bytes with the same
    /// check.
    ///
    /// The store cannot read images back, so a check stands for the bytes: a CRC of the piece, or
    /// of the message that brought it. Where other bytes have it by chance, the image keeps the
    /// first ones, and the store finds it damaged when it is committed.
    pub fn is_repetition(&self, piece: Piece, check: u32) -> bool {
        self.last == piece && self.last_check == check
    }

    /// Makes sure that the piece can be added.
    ///
    /// # Errors
    ///
    /// The piece overlaps another one, or there are too many.
    pub fn check(&self, piece: Piece) -> Result<(), PieceError> {
        if self.parts.iter().any(|part| part.overlaps(piece)) {
            return Err(PieceError::Overlap);
        }
        let has_place = |part: &Piece| part.is_none() || part.meets(piece);
        if self.parts.iter().any(has_place) {
            Ok(())
        } else {
            Err(PieceError::TooManyPieces)
        }
    }

    /// Adds a piece that was checked, joined with those that it touches. `check` stands for its
    /// bytes, for [`is_repetition`](Self::is_repetition).
    ///
    /// A piece that overlaps others is joined with them too.
    ///
    /// # Errors
    ///
    /// [`PieceError::TooManyPieces`].
    pub fn add(&mut self, piece: Piece, check: u32) -> Result<(), PieceError> {
        let mut joined = piece;
        let mut free = None;
        for part in &mut self.parts {
            if part.meets(joined) {
                joined = joined.joined_with(*part);
                *part = NO_PIECE;
            }
            if part.is_none() {
                free = Some(part);
            }
        }
        *free.ok_or(PieceError::TooManyPieces)? = joined;
        self.last = piece;
        self.last_check = check;
        Ok(())
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Whether the first byte of the image is there.
    pub fn has_beginning(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.start == 0 && !part.is_none())
    }

    /// The length of the image, if there is one from its beginning without a gap.
    pub fn length(&self) -> Option<u32> {
        let mut length = 0;
        for part in &self.parts {
            if part.start != 0 {
                return None;
            }
            length = part.end.max(length);
        }
        (length > 0).then_some(length)
    }

    /// Forgets all pieces.
    pub fn clear(&mut self) {
        self.parts.fill(NO_PIECE);
        self.last = NO_PIECE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u32, length: u32) -> Piece {
        Piece::new(offset, length).unwrap()
    }

    /// A download of these ranges.
    fn download(ranges: &[(u32, u32)]) -> Download {
        let mut download = Download::new();
        for (offset, length) in ranges {
            assert_eq!(download.add(piece(*offset, *length), 0), Ok(()));
        }
        download
    }

    #[test]
    fn a_piece_has_at_least_a_byte_and_an_end() {
        assert_eq!(Piece::new(0, 0), None);
        assert_eq!(Piece::new(u32::MAX, 1), None);
        assert_eq!(Piece::new(1, u32::MAX), None);
        let last = piece(u32::MAX - 1, 1);
        assert_eq!((last.offset(), last.end()), (u32::MAX - 1, u32::MAX));
    }

    #[test]
    fn an_image_is_whole_when_it_has_a_beginning_and_no_gap() {
        assert_eq!(Download::new().length(), None);
        assert_eq!(download(&[(0, 8)]).length(), Some(8));
        assert_eq!(download(&[(4, 8)]).length(), None);
        assert_eq!(download(&[(0, 4), (8, 4)]).length(), None);
        for order in [
            [(0, 4), (4, 4), (8, 4)],
            [(8, 4), (0, 4), (4, 4)],
            [(8, 4), (4, 4), (0, 4)],
        ] {
            assert_eq!(download(&order).length(), Some(12), "{order:?}");
        }
    }

    #[test]
    fn a_download_has_its_beginning_once_the_first_byte_is_there() {
        assert!(Download::new().is_empty() && !Download::new().has_beginning());
        let rest = download(&[(4, 4)]);
        assert!(!rest.is_empty() && !rest.has_beginning());
        assert!(download(&[(4, 4), (0, 4)]).has_beginning());
    }

    #[test]
    fn a_piece_that_shares_a_byte_with_another_overlaps() {
        let download = download(&[(8, 8), (32, 8)]);
        for (offset, length) in [(8, 8), (8, 1), (15, 1), (0, 9), (15, 17), (0, 64), (39, 9)] {
            let piece = piece(offset, length);
            assert_eq!(
                download.check(piece),
                Err(PieceError::Overlap),
                "{offset} {length}"
            );
        }
        for (offset, length) in [(0, 8), (16, 16), (40, 8), (20, 4)] {
            assert_eq!(download.check(piece(offset, length)), Ok(()));
        }
    }

    #[test]
    fn a_piece_that_is_added_all_the_same_is_joined_with_those_it_overlaps() {
        let mut download = download(&[(8, 8), (0, 4), (32, 8), (20, 4)]);
        assert_eq!(download.add(piece(2, 30), 0), Ok(()));
        assert_eq!(download.length(), Some(40));
    }

    #[test]
    fn a_gap_too_many_is_refused_and_pieces_that_touch_others_are_not() {
        let ranges: [_; MAX_PIECES] = core::array::from_fn(|index| (index as u32 * 8, 4));
        let mut download = download(&ranges);
        let another = piece(200, 4);
        assert_eq!(download.add(another, 0), Err(PieceError::TooManyPieces));
        assert_eq!(download.add(piece(124, 4), 0), Ok(()));
        assert_eq!(download.add(another, 0), Err(PieceError::TooManyPieces));
        assert_eq!(download.add(piece(4, 4), 0), Ok(()));
        assert_eq!(download.add(another, 0), Ok(()));
    }

    #[test]
    fn the_piece_that_was_added_last_is_recognised_by_its_range_and_crc() {
        let mut download = Download::new();
        let (first, second) = (piece(0, 4), piece(4, 4));
        assert!(!download.is_repetition(first, 1));
        download.add(first, 1).unwrap();
        assert!(download.is_repetition(first, 1));
        assert!(!download.is_repetition(first, 2), "other bytes");
        assert!(!download.is_repetition(piece(0, 8), 1), "longer");
        assert!(!download.is_repetition(second, 1), "elsewhere");
        download.add(second, 2).unwrap();
        assert!(download.is_repetition(second, 2));
        assert!(!download.is_repetition(first, 1), "not the last one");
    }

    #[test]
    fn a_piece_that_was_refused_is_not_the_last_one() {
        let ranges: [_; MAX_PIECES] = core::array::from_fn(|index| (index as u32 * 8, 4));
        let mut download = download(&ranges);
        let (last, refused) = (piece(120, 4), piece(200, 4));
        assert_eq!(download.add(refused, 1), Err(PieceError::TooManyPieces));
        assert!(!download.is_repetition(refused, 1));
        assert!(download.is_repetition(last, 0));
    }

    #[test]
    fn a_download_takes_140_bytes() {
        assert_eq!(size_of::<Download>(), 140);
    }

    #[test]
    fn a_cleared_download_knows_no_piece() {
        let mut download = download(&[(0, 4)]);
        download.clear();
        assert!(download.is_empty());
        assert!(!download.is_repetition(piece(0, 4), 0));
        assert_eq!(download.add(piece(0, 4), 0), Ok(()));
    }
}
