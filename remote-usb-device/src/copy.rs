//! Copies that cannot panic, because they do as much as there is room for.

use core::cell::Cell;

/// Copies `from` to the beginning of `to`.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Moves what begins at `start` to the front.
pub(crate) fn move_to_front(bytes: &mut [u8], start: usize) {
    let bytes = Cell::from_mut(bytes).as_slice_of_cells();
    for (to, from) in bytes.iter().zip(bytes.iter().skip(start)) {
        to.set(from.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_is_copied() {
        let mut to = [0; 3];
        copy(&[1, 2], &mut to);
        assert_eq!(to, [1, 2, 0]);
        copy(&[3, 4, 5, 6], &mut to);
        assert_eq!(to, [3, 4, 5]);
    }

    #[test]
    fn nothing_moves_from_behind_the_end() {
        let mut bytes = [1, 2, 3];
        move_to_front(&mut bytes, 4);
        assert_eq!(bytes, [1, 2, 3]);
        move_to_front(&mut bytes, 1);
        assert_eq!(bytes, [2, 3, 3]);
    }
}
