//! Writes records to a file that may be slow, or that nobody reads.
//!
//! A thread writes, and the device never waits for it: a queue holds the records until then. While
//! the queue is full, records are left out and counted. A process that ends gives the thread a
//! bounded time to write the rest.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a caller that waits looks again.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// It is in the queue.
    Queued,
    /// The queue is full.
    LeftOut,
    /// The file takes no more.
    Ended,
}

/// A queue of records, and the thread that writes them.
pub(crate) struct BackgroundWriter {
    queue: SyncSender<Vec<u8>>,
    thread: JoinHandle<io::Result<()>>,
    written: Arc<AtomicU64>,
    queued: AtomicU64,
    left_out: AtomicU64,
    /// How many records were written when the last one was left out.
    stuck_at: AtomicU64,
}

impl BackgroundWriter {
    /// A queue with room for so many records, to the file that `open` returns. `open` runs in the
    /// thread, because it may wait: for the other end of a FIFO.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub(crate) fn start<W: Write>(
        room: usize,
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, records) = sync_channel::<Vec<u8>>(room);
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        let thread = thread::Builder::new().spawn(move || {
            let mut file = open()?;
            for record in records {
                // One system call for each record, so that no file ends with a part of one.
                file.write_all(&record)?;
                file.flush()?;
                count.fetch_add(1, Relaxed);
            }
            Ok(())
        })?;
        Ok(Self {
            queue,
            thread,
            written,
            queued: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            stuck_at: AtomicU64::new(u64::MAX),
        })
    }

    /// Hands a record over. While the queue is full, waits until the thread has written nothing for
    /// as long as `patience`; the next record does not wait for the same again.
    pub(crate) fn hand_over(&self, mut record: Vec<u8>, patience: Duration) -> Handed {
        let mut progress = Progress::new(self);
        loop {
            match self.try_send(record) {
                Ok(handed) => return handed,
                Err(_) if self.is_stuck() || progress.is_missing_for(patience) => {
                    self.stuck_at.store(self.written.load(Relaxed), Relaxed);
                    self.left_out.fetch_add(1, Relaxed);
                    return Handed::LeftOut;
                }
                Err(same) => record = same,
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn is_stuck(&self) -> bool {
        self.stuck_at.load(Relaxed) == self.written.load(Relaxed)
    }

    /// The record comes back when the queue is full.
    fn try_send(&self, record: Vec<u8>) -> Result<Handed, Vec<u8>> {
        match self.queue.try_send(record) {
            Ok(()) => {
                self.queued.fetch_add(1, Relaxed);
                Ok(Handed::Queued)
            }
            Err(TrySendError::Full(record)) => Err(record),
            Err(TrySendError::Disconnected(_)) => Ok(Handed::Ended),
        }
    }

    /// How many records were left out, since this was asked last.
    pub(crate) fn take_left_out(&self) -> u64 {
        self.left_out.swap(0, Relaxed)
    }

    /// Counts records as left out after all.
    pub(crate) fn add_left_out(&self, records: u64) {
        self.left_out.fetch_add(records, Relaxed);
    }

    /// Waits until every record is written, but no longer than `limit`, and no longer than
    /// `patience` without progress. How many records the file lacks.
    pub(crate) fn finish(&self, patience: Duration, limit: Duration) -> u64 {
        let start = Instant::now();
        let mut progress = Progress::new(self);
        while self.unwritten() > 0
            && !self.thread.is_finished()
            && !progress.is_missing_for(patience)
            && start.elapsed() < limit
        {
            thread::sleep(POLL_INTERVAL);
        }
        self.unwritten() + self.left_out.load(Relaxed)
    }

    /// Whether the file has any record.
    pub(crate) fn has_written(&self) -> bool {
        self.written.load(Relaxed) > 0
    }

    fn unwritten(&self) -> u64 {
        let queued = self.queued.load(Relaxed);
        queued.saturating_sub(self.written.load(Relaxed))
    }

    /// Why the file takes no more. Waits for the thread, which has ended if a record was answered
    /// with [`Handed::Ended`].
    pub(crate) fn into_error(self) -> io::Error {
        drop(self.queue);
        match self.thread.join() {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => io::Error::other("the writer ended"),
        }
    }
}

/// Since when nothing was written.
struct Progress<'w> {
    writer: &'w BackgroundWriter,
    written: u64,
    since: Instant,
}

impl<'w> Progress<'w> {
    fn new(writer: &'w BackgroundWriter) -> Self {
        Self {
            writer,
            written: writer.written.load(Relaxed),
            since: Instant::now(),
        }
    }

    fn is_missing_for(&mut self, patience: Duration) -> bool {
        let written = self.writer.written.load(Relaxed);
        if self.written != written {
            self.written = written;
            self.since = Instant::now();
        }
        self.since.elapsed() >= patience
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    /// A file that takes a record whenever the test lets it.
    struct Gate(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated(room: usize) -> (BackgroundWriter, Sender<()>, Receiver<Vec<u8>>) {
        let (pass, gate) = channel();
        let (file, written) = channel();
        let writer = BackgroundWriter::start(room, move || Ok(Gate(gate, file)));
        (writer.unwrap(), pass, written)
    }

    #[test]
    fn records_that_find_a_full_queue_are_left_out_and_counted() {
        let (writer, pass, written) = gated(2);
        assert_eq!(writer.hand_over(vec![0], LONG), Handed::Queued);
        // The thread has the first record once there is room for two more.
        assert_eq!(writer.hand_over(vec![1], LONG), Handed::Queued);
        assert_eq!(writer.hand_over(vec![2], LONG), Handed::Queued);
        assert_eq!(writer.hand_over(vec![3], SHORT), Handed::LeftOut);
        // Nobody waits twice for the same.
        assert_eq!(writer.hand_over(vec![4], LONG), Handed::LeftOut);
        assert_eq!(writer.take_left_out(), 2);
        for _ in 0..3 {
            pass.send(()).unwrap();
        }
        assert_eq!(writer.finish(LONG, LONG), 0);
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [[0], [1], [2]]);
    }

    #[test]
    fn a_file_that_takes_nothing_is_not_waited_for() {
        let (writer, _pass, _written) = gated(2);
        assert_eq!(writer.hand_over(vec![0], LONG), Handed::Queued);
        let start = Instant::now();
        assert_eq!(writer.finish(SHORT, LONG), 1);
        assert_eq!(writer.finish(LONG, SHORT), 1);
        assert!(start.elapsed() < LONG);
    }

    #[test]
    fn a_file_that_fails_is_reported_with_its_error() {
        let writer = BackgroundWriter::start(2, || {
            Err::<Vec<u8>, _>(io::ErrorKind::PermissionDenied.into())
        });
        let writer = writer.unwrap();
        while writer.hand_over(vec![0], LONG) != Handed::Ended {}
        assert_eq!(writer.into_error().kind(), io::ErrorKind::PermissionDenied);
    }
}
