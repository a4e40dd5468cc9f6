//! `bench`: has a device send a stream, and asks it control requests meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::bench::{self, Counts, Stream};
use linux_requester::control::ControlClient;
use linux_requester::listener::Listener;
use linux_requester::socket::MctpSocket;

/// A stream that stands still for this long has ended.
const SILENCE: Duration = Duration::from_secs(5);
/// How often the throughput is printed.
const INTERVAL: Duration = Duration::from_secs(2);
/// Between a control answer and the next request.
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than a slow emulated machine takes.
const CONTROL_WAIT: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct BenchArguments {
    endpoint_id: u8,
    /// Bytes of each message
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(i64::from(bench::SHORTEST)..))]
    length: u16,
    /// Messages
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// Bytes of the stream that may come before a control answer, at most, in the median
    #[arg(long, default_value_t = 65_536)]
    median: u64,
}

pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let (length, count) = (arguments.length, arguments.count);
    let mut listener = Listener::bind(bench::MESSAGE_TYPE)?;
    let mut socket = MctpSocket::open()?;
    let mut stream = Stream::new(length);
    let (over, position) = (AtomicBool::new(false), AtomicU64::new(0));
    let receive_and_ask = || {
        thread::scope(|scope| {
            let control = scope.spawn(|| ask_until(&over, &position, destination));
            let received = receive(&mut listener, arguments, &mut stream, &position);
            over.store(true, Ordering::Relaxed);
            let control = control.join();
            let answers = control.map_err(|_| anyhow!("the control requests ended early"))??;
            Ok::<_, Error>((received?, answers))
        })
    };
    let report = &mut |line: &str| eprintln!("{line}");
    let (took, mut answers) = bench::with_stream(
        &mut socket,
        destination,
        (length, count),
        report,
        receive_and_ask,
    )?;
    let longest = answers.iter().map(|answer| answer.time).max();
    let middle = (answers.len() - 1) / 2;
    let (_, median, _) = answers.select_nth_unstable_by_key(middle, |answer| answer.messages);
    let behind = median.messages * u64::from(length);
    println!(
        "{length} bytes, {} ms: {}",
        took.as_millis(),
        stream.counts.line(length, took)
    );
    println!(
        "{} control requests meanwhile, none lost: longest {} us, median behind {behind} bytes",
        answers.len(),
        longest.unwrap_or_default().as_micros()
    );
    let Counts {
        received,
        dropped,
        invalid,
    } = stream.counts;
    ensure!(
        (received, dropped, invalid) == (count, 0, 0),
        "not all messages came as they should"
    );
    ensure!(
        behind <= arguments.median,
        "control answers wait for the stream"
    );
    Ok(())
}

/// Receives the stream; how long it took from the first message to the last.
fn receive(
    listener: &mut Listener,
    arguments: &BenchArguments,
    stream: &mut Stream,
    position: &AtomicU64,
) -> Result<Duration> {
    let mut start = None;
    let (mut line_start, mut line_counts) = (Instant::now(), Counts::default());
    while stream.position() < arguments.count {
        let message = listener.receive(Instant::now() + SILENCE)?;
        let Some((source, body)) = message else {
            let Counts {
                received,
                dropped,
                invalid,
            } = stream.counts;
            bail!(
                "the stream ended: {received} of {} messages, {dropped} dropped, {invalid} invalid",
                arguments.count
            );
        };
        if source.endpoint_id != arguments.endpoint_id {
            continue;
        }
        start.get_or_insert_with(Instant::now);
        stream.receive(body);
        position.store(stream.position(), Ordering::Relaxed);
        let time = line_start.elapsed();
        if time >= INTERVAL {
            let counts = stream.counts.since(&line_counts);
            println!("{}", counts.line(arguments.length, time));
            (line_start, line_counts) = (Instant::now(), stream.counts);
        }
    }
    Ok(start.map_or(Duration::ZERO, |start: Instant| start.elapsed()))
}

/// What passed between a control request and its answer.
struct Answer {
    time: Duration,
    /// Messages of the stream: unlike the time, they do not tell how fast this machine is.
    messages: u64,
}

/// Asks for the endpoint ID again and again, at least once, while the stream comes. No answer may
/// be lost.
fn ask_until(
    over: &AtomicBool,
    position: &AtomicU64,
    destination: Destination,
) -> Result<Vec<Answer>> {
    let mut socket = MctpSocket::open()?;
    let mut client = ControlClient::new(&mut socket);
    client.wait = CONTROL_WAIT;
    client.tries = 1;
    let mut answers = Vec::new();
    loop {
        let (start, first) = (Instant::now(), position.load(Ordering::Relaxed));
        client.endpoint_id(destination)?;
        answers.push(Answer {
            time: start.elapsed(),
            messages: position.load(Ordering::Relaxed).saturating_sub(first),
        });
        if over.load(Ordering::Relaxed) {
            return Ok(answers);
        }
        thread::sleep(PAUSE);
    }
}
