//! A device's log as its board and its readers use it.

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use device_log::{DeviceLog, LINE_LEN, Sink};
use log::{Level, LevelFilter, Log, Record};

/// A wire that remembers.
#[derive(Default)]
struct Wire {
    uptime: AtomicU64,
    text: Mutex<String>,
}

impl Wire {
    const fn new() -> Self {
        Self {
            uptime: AtomicU64::new(0),
            text: Mutex::new(String::new()),
        }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

impl Sink for &Wire {
    fn uptime(&self) -> u64 {
        self.uptime.load(Ordering::Relaxed)
    }

    fn write(&self, text: &[u8]) {
        *self.text.lock().unwrap() += std::str::from_utf8(text).unwrap();
    }
}

fn say<const E: usize, const R: usize>(log: &DeviceLog<&Wire, E, R>, level: Level, text: &str) {
    log.log(
        &Record::builder()
            .level(level)
            .args(format_args!("{text}"))
            .build(),
    );
}

fn rest<const E: usize, const R: usize>(reader: &mut device_log::Reader<'_, E, R>) -> String {
    let mut text = vec![0; 65536];
    let length = reader.try_read(&mut text);
    String::from_utf8(text[..length].to_vec()).unwrap()
}

/// The level is the program's: one at a time.
static LEVEL: Mutex<()> = Mutex::new(());

#[test]
fn a_line_goes_to_the_wire_and_is_kept() {
    let _level = LEVEL.lock().unwrap();
    log::set_max_level(LevelFilter::Info);
    let wire = Wire::new();
    let log: DeviceLog<_, 256, 256> = DeviceLog::new(&wire);
    wire.uptime.store(7, Ordering::Relaxed);
    say(&log, Level::Info, "started");
    wire.uptime.store(61_002, Ordering::Relaxed);
    say(&log, Level::Warn, "warm");
    let expected = "    0.007 INFO  started\r\n   61.002 WARN  warm\r\n";
    assert_eq!(wire.text(), expected);
    assert_eq!(rest(&mut log.reader()), expected);
}

#[test]
fn the_level_can_be_changed_at_any_time() {
    let _level = LEVEL.lock().unwrap();
    let wire = Wire::new();
    let log: DeviceLog<_, 256, 256> = DeviceLog::new(&wire);
    for (level, text) in [
        (LevelFilter::Info, "not said"),
        (LevelFilter::Debug, "said"),
        (LevelFilter::Off, "not said"),
    ] {
        log::set_max_level(level);
        say(&log, Level::Debug, text);
    }
    assert_eq!(wire.text(), "    0.000 DEBUG said\r\n");
}

#[test]
fn lines_of_any_length_are_logged_at_once_and_never_longer_than_the_limit() {
    let _level = LEVEL.lock().unwrap();
    log::set_max_level(LevelFilter::Info);
    let wire = Wire::new();
    let log: DeviceLog<_, 512, 512> = DeviceLog::new(&wire);
    for length in [0, 1, LINE_LEN, 10 * LINE_LEN, 1 << 20] {
        say(&log, Level::Info, &"x".repeat(length));
    }
    let text = wire.text();
    assert_eq!(text.lines().count(), 5);
    assert!(text.lines().all(|line| line.len() <= LINE_LEN));
}

#[test]
fn threads_that_log_at_once_lose_no_line_and_mix_none() {
    let _level = LEVEL.lock().unwrap();
    log::set_max_level(LevelFilter::Info);
    let wire = Wire::new();
    let log: DeviceLog<_, 1024, 60_000> = DeviceLog::new(&wire);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for line in 0..250 {
                    say(log, Level::Info, &format!("thread {thread} line {line}."));
                }
            });
        }
    });
    let kept = rest(&mut log.reader());
    let mut expected: Vec<_> = (0..4)
        .flat_map(|thread| (0..250).map(move |line| format!("thread {thread} line {line}.")))
        .collect();
    let mut lines: Vec<_> = kept
        .lines()
        .map(|line| line.strip_prefix("    0.000 INFO  ").unwrap().to_owned())
        .collect();
    expected.sort();
    lines.sort();
    assert_eq!(lines, expected);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_reader_that_waits_is_woken_by_the_next_line() {
    let _level = LEVEL.lock().unwrap();
    log::set_max_level(LevelFilter::Info);
    let wire = Wire::new();
    let log: DeviceLog<_, 256, 256> = DeviceLog::new(&wire);
    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);

    let mut reader = log.reader();
    let mut text = [0; 64];
    let mut read = pin!(reader.read(&mut text));
    assert_eq!(read.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    say(&log, Level::Info, "here");
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert_eq!(read.as_mut().poll(&mut context), Poll::Ready(22));
}

#[test]
fn a_reader_with_no_room_does_not_wait() {
    let wire = Wire::new();
    let log: DeviceLog<_, 64, 64> = DeviceLog::new(&wire);
    assert_eq!(embassy_futures::block_on(log.reader().read(&mut [])), 0);
}

/// Words that have something to say while they are said.
struct Talkative<'l>(&'l DeviceLog<&'l Wire, 64, 64>);

impl std::fmt::Display for Talkative<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.last_words(&"about itself");
        f.write_str("the end")
    }
}

#[test]
fn last_words_are_written_once_even_while_the_log_is_locked() {
    let wire = Wire::new();
    let log: DeviceLog<_, 64, 64> = DeviceLog::new(&wire);
    // As in the middle of logging: critical sections nest.
    critical_section::with(|_| log.last_words(&Talkative(&log)));
    log.last_words(&"again");
    assert_eq!(wire.text(), "\r\nthe end\r\n");
}

/// What the device would do.
#[test]
fn a_program_logs_through_the_macros() {
    static WIRE: Wire = Wire::new();
    static LOG: DeviceLog<&Wire, 64, 64> = DeviceLog::new(&WIRE);
    let _level = LEVEL.lock().unwrap();
    LOG.start(LevelFilter::Info).unwrap();
    log::info!("static");
    log::debug!("not said");
    assert_eq!(rest(&mut LOG.reader()), "    0.000 INFO  static\r\n");
    assert!(LOG.start(LevelFilter::Info).is_err());
}
