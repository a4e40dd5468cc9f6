//! What controllers wrote to the device, until it is taken.

use mctp_i2c::{RECEIVE_BUFFER_LEN, TargetError};

/// Bytes of a transaction that are kept: the longest has one less, so that one that is longer does
/// not look like it.
const KEPT: usize = RECEIVE_BUFFER_LEN - 1;
/// One transaction is received while another waits to be taken.
const TRANSACTIONS: usize = 2;

/// Transactions in the order in which they came. One of them may still be coming.
pub(crate) struct Inbox {
    transactions: [Transaction; TRANSACTIONS],
    oldest: usize,
    complete: usize,
}

struct Transaction {
    bytes: [u8; KEPT],
    len: usize,
    error: Option<TargetError>,
}

impl Transaction {
    const EMPTY: Self = Self {
        bytes: [0; KEPT],
        len: 0,
        error: None,
    };
}

impl Inbox {
    pub(crate) const fn new() -> Self {
        Self {
            transactions: [Transaction::EMPTY; TRANSACTIONS],
            oldest: 0,
            complete: 0,
        }
    }

    /// Whether nothing can come before something is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.complete == TRANSACTIONS
    }

    /// A transaction begins, in place of one that did not end.
    pub(crate) fn begin(&mut self) {
        if let Some(transaction) = self.coming() {
            transaction.len = 0;
        }
    }

    /// A byte of the transaction that began.
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(Transaction { bytes, len, .. }) = self.coming()
            && let Some(free) = bytes.get_mut(*len)
        {
            *free = byte;
            *len = len.saturating_add(1);
        }
    }

    /// The transaction that began has ended.
    pub(crate) fn end(&mut self, error: Option<TargetError>) {
        if let Some(transaction) = self.coming() {
            transaction.error = error;
            self.complete = self.complete.saturating_add(1);
        }
    }

    /// Takes the oldest transaction out, if one is complete.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> Option<Result<usize, TargetError>> {
        let oldest = self.transactions.get(self.oldest)?;
        self.complete = self.complete.checked_sub(1)?;
        self.oldest = next(self.oldest);
        if let Some(error) = oldest.error {
            return Some(Err(error));
        }
        let len = oldest.len.min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), oldest.bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        Some(Ok(len))
    }

    /// Where the transaction is that is coming: behind those that are complete.
    fn coming(&mut self) -> Option<&mut Transaction> {
        let at = match self.complete {
            0 => self.oldest,
            1 => next(self.oldest),
            _ => return None,
        };
        self.transactions.get_mut(at)
    }
}

/// The place behind this one, in a circle.
const fn next(at: usize) -> usize {
    (at + 1) % TRANSACTIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(inbox: &mut Inbox, bytes: impl IntoIterator<Item = u8>) {
        inbox.begin();
        bytes.into_iter().for_each(|byte| inbox.push(byte));
        inbox.end(None);
    }

    fn take(inbox: &mut Inbox) -> Option<Result<([u8; 4], usize), TargetError>> {
        let mut buffer = [0; 4];
        inbox
            .take(&mut buffer)
            .map(|taken| taken.map(|len| (buffer, len)))
    }

    #[test]
    fn transactions_are_taken_in_the_order_in_which_they_came() {
        let mut inbox = Inbox::new();
        for round in 0..5 {
            assert_eq!(take(&mut inbox), None);
            receive(&mut inbox, [round]);
            inbox.begin();
            inbox.push(0x55);
            // One is taken while the next is coming.
            assert_eq!(take(&mut inbox), Some(Ok(([round, 0, 0, 0], 1))));
            inbox.push(round);
            inbox.end(None);
            receive(&mut inbox, []);
            assert!(inbox.is_full());
            assert_eq!(take(&mut inbox), Some(Ok(([0x55, round, 0, 0], 2))));
            assert_eq!(take(&mut inbox), Some(Ok(([0; 4], 0))));
        }
    }

    #[test]
    fn what_finds_no_room_is_forgotten() {
        let mut inbox = Inbox::new();
        receive(&mut inbox, [1]);
        receive(&mut inbox, [2]);
        receive(&mut inbox, [3]);
        assert_eq!(take(&mut inbox), Some(Ok(([1, 0, 0, 0], 1))));
        assert_eq!(take(&mut inbox), Some(Ok(([2, 0, 0, 0], 1))));
        assert_eq!(take(&mut inbox), None);
    }

    #[test]
    fn bytes_behind_the_longest_transaction_are_counted_up_to_one() {
        let mut inbox = Inbox::new();
        receive(&mut inbox, (0..300).map(|_| 7));
        let mut buffer = [0; 300];
        assert_eq!(inbox.take(&mut buffer), Some(Ok(KEPT)));
        assert_eq!(KEPT, mctp_i2c::framing::MAX_TRANSACTION);
        assert_eq!((buffer[KEPT - 1], buffer[KEPT]), (7, 0));
        receive(&mut inbox, [1, 2, 3, 4, 5]);
        assert_eq!(take(&mut inbox), Some(Ok(([1, 2, 3, 4], 4))));
    }

    #[test]
    fn an_error_costs_its_transaction() {
        let mut inbox = Inbox::new();
        inbox.begin();
        inbox.push(1);
        inbox.end(Some(TargetError::Bus));
        receive(&mut inbox, [2]);
        assert_eq!(take(&mut inbox), Some(Err(TargetError::Bus)));
        assert_eq!(take(&mut inbox), Some(Ok(([2, 0, 0, 0], 1))));
    }
}
