//! A FIFO of the core: a ring of words, without allocation, for it is used inside a signal handler.

/// Words of the core's FIFO memory: the upper bound of one FIFO.
pub(crate) const FIFO_MEMORY_WORDS: usize = 1024;

/// A ring of words.
pub(crate) struct Fifo {
    words: [u32; FIFO_MEMORY_WORDS],
    first: usize,
    len: usize,
}

impl Fifo {
    pub(crate) const fn new() -> Self {
        Self {
            words: [0; FIFO_MEMORY_WORDS],
            first: 0,
            len: 0,
        }
    }

    /// Words in the FIFO.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends a word; false if the memory is full.
    pub(crate) fn push(&mut self, word: u32) -> bool {
        if self.len == FIFO_MEMORY_WORDS {
            return false;
        }
        self.words[(self.first + self.len) % FIFO_MEMORY_WORDS] = word;
        self.len += 1;
        true
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        let word = self.get(0)?;
        self.first = (self.first + 1) % FIFO_MEMORY_WORDS;
        self.len -= 1;
        Some(word)
    }

    /// The word at `index` from the front.
    pub(crate) fn get(&self, index: usize) -> Option<u32> {
        (index < self.len).then(|| self.words[(self.first + index) % FIFO_MEMORY_WORDS])
    }
}
