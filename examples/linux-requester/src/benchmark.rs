//! `bench`: has a device send a stream, and asks it control requests meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::bench::{self, Counts, Stream, response_status, status_name};
use linux_requester::control::ControlClient;
use linux_requester::exchange::{Exchange, Request};
use linux_requester::socket::{Listener, MctpSocket};

use crate::guest_init;

/// A stream that stands still for this long has ended.
const SILENCE: Duration = Duration::from_secs(5);
/// How often the throughput is printed.
const INTERVAL: Duration = Duration::from_secs(2);
/// Between a control answer and the next request.
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than a slow emulated machine takes.
const CONTROL_WAIT: Duration = Duration::from_secs(3);
/// How many messages have to come, at least, before the machine is stopped and after.
const AROUND_STOP: usize = 500;
/// A stream that stands still for this long, the time of the stop included, has ended.
const STOP_TIME: Duration = Duration::from_secs(40);
const INSTANCE_ID: u32 = 0x1122_3344;

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

#[derive(Args)]
pub(crate) struct StoppedArguments {
    endpoint_id: u8,
    /// Bytes of each message
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(i64::from(bench::SHORTEST)..))]
    length: u16,
    /// For how many milliseconds the host stops this machine
    #[arg(long)]
    stop: u64,
}

pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let (length, count) = (arguments.length, arguments.count);
    let mut listener = Listener::bind(bench::MESSAGE_TYPE)?;
    request(destination, length, count)?;

    let mut stream = Stream::new(length);
    let (over, position) = (AtomicBool::new(false), AtomicU64::new(0));
    let (received, control) = thread::scope(|scope| {
        let control = scope.spawn(|| ask_until(&over, &position, destination));
        let received = receive(&mut listener, arguments, &mut stream, &position);
        over.store(true, Ordering::Relaxed);
        (received, control.join())
    });
    let mut answers = control.map_err(|_| anyhow!("the control requests ended early"))??;
    let took = received?;
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

/// Has the host stop this machine in the middle of a stream. The stream has to go on, and none of
/// it may be lost.
///
/// The stream has no end of its own: it goes on until the host has said that the machine was
/// stopped, however slow either is.
pub(crate) fn run_stopped(arguments: &StoppedArguments) -> Result<()> {
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let mut listener = Listener::bind(bench::MESSAGE_TYPE)?;
    let mut stream = Stream::new(arguments.length);
    let mut next = |silence: Duration| -> Result<bool> {
        let message = listener.receive(Instant::now() + silence)?;
        message.iter().for_each(|(_, body)| stream.receive(body));
        Ok(message.is_some())
    };
    let mut some_of_stream = || -> Result<()> {
        for _ in 0..AROUND_STOP {
            ensure!(next(STOP_TIME)?, "the stream ended");
        }
        Ok(())
    };

    request(destination, arguments.length, u64::MAX)?;
    some_of_stream()?;
    let host = guest_init::stop(arguments.stop);
    while !host.is_finished() {
        some_of_stream()?;
    }
    guest_init::expect_was_stopped(host)?;
    some_of_stream()?;
    // The answer comes behind the last message.
    request(destination, arguments.length, 0)?;
    while next(Duration::ZERO)? {}
    let Counts {
        received,
        dropped,
        invalid,
    } = stream.counts;
    println!(
        "stopped for {} ms in the middle of {received} messages: {dropped} dropped, {invalid} invalid",
        arguments.stop
    );
    ensure!(
        (dropped, invalid) == (0, 0),
        "not all messages came as they should"
    );
    Ok(())
}

fn request(destination: Destination, length: u16, count: u64) -> Result<()> {
    let body = bench::encode_request(INSTANCE_ID, length, count);
    let request = Request {
        destination,
        message_type: bench::MESSAGE_TYPE,
        body: &body,
    };
    let is_response = &mut |answer: &[u8]| response_status(answer, INSTANCE_ID).is_some();
    let answer = MctpSocket::open()?
        .exchange(request, CONTROL_WAIT, is_response)?
        .context("no answer to the request for a stream")?;
    match response_status(&answer, INSTANCE_ID) {
        Some(0) => Ok(()),
        status => bail!(
            "the request for a stream was refused: {}",
            status_name(status.unwrap_or_default())
        ),
    }
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
