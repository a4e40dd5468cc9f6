//! What counts. Callgrind collects instructions inside of [`counted`] but not inside of
//! [`uncounted`], by its option `--toggle-collect`, and forgets at [`start`] what it has collected,
//! by `--zero-before`.
//!
//! A call of [`uncounted`] itself counts about five instructions. Neither may be called inside of
//! itself.

/// A part of a stack.
#[inline(never)]
pub fn counted<R>(part: impl FnOnce() -> R) -> R {
    part()
}

/// What a part of a stack calls of the link.
#[inline(never)]
pub fn uncounted<R>(part: impl FnOnce() -> R) -> R {
    part()
}

/// The beginning of what counts.
#[inline(never)]
pub fn start() {
    std::hint::black_box(());
}
