//! The logger behind the `log` crate's macros.

use core::cell::RefCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};

use embassy_sync::blocking_mutex::CriticalSectionMutex;
use log::{LevelFilter, Log, Metadata, Record};

use crate::buffer::{Buffer, Place};
use crate::line::{LINE_LEN, Line};
use crate::reader::Reader;

/// The board's part: the time, and the wire on which lines go out at once.
pub trait Sink: Sync {
    /// Milliseconds since the start. Called from any context.
    fn uptime(&self) -> u64;

    /// Takes a line, its end included. Must not wait: what there is no room for is lost.
    ///
    /// Called from any context, so perhaps within another call of it.
    fn write(&self, text: &[u8]);

    /// Takes a part of the last words before the device stops. Called with nothing else going on
    /// any more, so it may wait for the wire.
    fn write_last(&self, text: &[u8]) {
        self.write(text);
    }
}

/// Info in release builds, debug in others.
pub const fn default_level() -> LevelFilter {
    if cfg!(debug_assertions) {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    }
}

/// What the lock protects.
pub(crate) struct Shared<const EARLY: usize, const RECENT: usize> {
    pub(crate) buffer: Buffer<EARLY, RECENT>,
    waiting: Option<Waker>,
}

pub(crate) type Lock<const EARLY: usize, const RECENT: usize> =
    CriticalSectionMutex<RefCell<Shared<EARLY, RECENT>>>;

/// The log of a device, in a `static`: a logger with its wire, and what is kept. See the
/// [crate](crate) for an example.
///
/// | parameter | meaning |
/// |-|-|
/// | `EARLY` | bytes of first lines that are kept |
/// | `RECENT` | bytes of newest lines that are kept: more than `LINE` |
/// | `LINE` | the longest line, in bytes, its end included; a longer one is cut, and ends in `...`. It is made on the stack of whoever logs |
pub struct DeviceLog<S, const EARLY: usize, const RECENT: usize, const LINE: usize = LINE_LEN> {
    sink: S,
    lock: Lock<EARLY, RECENT>,
    has_ended: AtomicBool,
}

impl<S, const EARLY: usize, const RECENT: usize, const LINE: usize>
    DeviceLog<S, EARLY, RECENT, LINE>
{
    /// An empty log.
    pub const fn new(sink: S) -> Self {
        let shared = Shared {
            buffer: Buffer::new(),
            waiting: None,
        };
        Self {
            sink,
            lock: Lock::new(RefCell::new(shared)),
            has_ended: AtomicBool::new(false),
        }
    }

    /// A reader, from the first line on.
    pub const fn reader(&self) -> Reader<'_, EARLY, RECENT> {
        Reader {
            lock: &self.lock,
            place: Place::START,
        }
    }
}

impl<S: Sink, const EARLY: usize, const RECENT: usize, const LINE: usize>
    DeviceLog<S, EARLY, RECENT, LINE>
{
    /// Makes this the logger of the program. [`log::set_max_level`] changes the level later. Not on
    /// cores without atomic exchange (Cortex-M0).
    ///
    /// # Errors
    ///
    /// When there is one already.
    #[cfg(target_has_atomic = "ptr")]
    pub fn start(&'static self, level: LevelFilter) -> Result<(), log::SetLoggerError>
    where
        S: Send,
    {
        log::set_logger(self)?;
        log::set_max_level(level);
        Ok(())
    }

    /// Writes `panicked at FILE:LINE: MESSAGE` to the wire: for a panic handler. See
    /// [`last_words`](Self::last_words).
    pub fn panic(&self, information: &PanicInfo<'_>) {
        let message = information.message();
        match information.location() {
            Some(place) => self.last_words(&format_args!(
                "panicked at {}:{}: {message}",
                place.file(),
                place.line()
            )),
            None => self.last_words(&format_args!("panicked: {message}")),
        }
    }

    /// Writes a line to the wire, for handlers of faults and panics: nothing else runs any more.
    /// Asks for no lock, so it works wherever it happened. The first words are the last: words
    /// that come while they are formatted, or later, are not written.
    pub fn last_words(&self, words: &dyn fmt::Display) {
        // Not an atomic exchange, which not every core has: nothing else runs.
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        self.has_ended.store(true, Ordering::Relaxed);
        // The wire may be within a line. It takes everything, and whatever fails is not the
        // device's worry any more.
        let _ = write!(LastWords(&self.sink), "\r\n{words}\r\n");
    }

    /// Keeps a line, and wakes who waits for it.
    fn keep(&self, line: &[u8]) {
        let waiting = self.lock.lock(|shared| {
            // Never in use here: nobody logs while he has it.
            let mut shared = shared.try_borrow_mut().ok()?;
            shared.buffer.append(line);
            shared.waiting.take()
        });
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl<S: Sink + Send, const EARLY: usize, const RECENT: usize, const LINE: usize> Log
    for DeviceLog<S, EARLY, RECENT, LINE>
{
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = Line::<LINE>::of(record, self.sink.uptime());
        self.keep(line.text());
        self.sink.write(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Lets the next line wake the task.
pub(crate) fn register<const EARLY: usize, const RECENT: usize>(
    lock: &Lock<EARLY, RECENT>,
    context: &Context<'_>,
) {
    let waker = context.waker().clone();
    // The waker before is dropped after the lock.
    let _before = lock.lock(|shared| {
        let mut shared = shared.try_borrow_mut().ok()?;
        shared.waiting.replace(waker)
    });
}

/// Writes to the wire, piece by piece.
struct LastWords<'s, S>(&'s S);

impl<S: Sink> Write for LastWords<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_last(text.as_bytes());
        Ok(())
    }
}

// What the README says.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<DeviceLog<(), 1024, 4096>>() < 1024 + 4096 + 64);
