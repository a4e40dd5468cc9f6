//! An interface that goes down and up in the middle of echoes, and in the middle of a stream.
//!
//! What is under way when the interface goes down is lost, and so may be the answers of a device that
//! could not send them. What is asked for when all of that is over has to be answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::bench::{self, Counts, Stream};
use linux_requester::echo::{self, EchoError};
use linux_requester::interface::{Interface, Neighbour};
use linux_requester::listener::Listener;
use linux_requester::netlink::{Change, Rtnetlink};
use linux_requester::socket::MctpSocket;

/// Of several packets, whatever the MTU is.
const ECHO_SIZE: usize = 9000;
/// Echoes at the same time.
const THREADS: u8 = 4;
/// How long an echo is waited for that may be lost.
const SHORT_WAIT: Duration = Duration::from_millis(300);
const WAIT: Duration = Duration::from_secs(3);
/// A message of one packet: of several, some may be lost in the middle.
const STREAM_LENGTH: u16 = 200;
/// How many messages have to come after the interface was down for the last time.
const AFTERWARDS: u32 = 500;
/// A stream that stands still for this long has ended.
const SILENCE: Duration = Duration::from_secs(10);
/// How many echoes are made until so many in a row have their own answers.
const ROUNDS: u8 = 200;
const ENOUGH: u8 = 20;
/// Until nothing of what was asked for before waits for the device any more.
const CALM: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct LoadArguments {
    interface: String,
    /// The endpoint behind the interface
    endpoint_id: u8,
    #[arg(long, default_value_t = 30)]
    count: u32,
}

pub(crate) fn run(arguments: &LoadArguments) -> Result<()> {
    let interface = Neighbour::named(&arguments.interface)?.interface;
    let destination = Destination::EndpointId(arguments.endpoint_id);
    during_echoes(&interface, destination, arguments.count)?;
    check_calm(destination).context("after the echoes")?;
    during_stream(&interface, destination, arguments.count)?;
    check_calm(destination).context("after the stream")
}

/// Down and up, each time after another while, so that it happens at every point of a transfer.
fn cycle(interface: &Interface, count: u32) -> Result<()> {
    let mut netlink = Rtnetlink::open()?;
    let interface_index = interface.index;
    for round in 0..count {
        for up in [false, true] {
            let change = Change::LinkState {
                interface_index,
                up,
            };
            netlink.apply(change)?;
            let milliseconds = if up { 3 + round * 7 % 40 } else { round % 4 };
            thread::sleep(Duration::from_millis(milliseconds.into()));
        }
    }
    Ok(())
}

fn during_echoes(interface: &Interface, destination: Destination, count: u32) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let (answered, lost) = thread::scope(|scope| {
        let is_over = &is_over;
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || echo_until(is_over, destination, number)))
            .collect();
        let cycled = cycle(interface, count);
        is_over.store(true, Ordering::Relaxed);
        let (mut answered, mut lost) = (0, 0);
        for thread in threads {
            let (of_answered, of_lost) =
                thread.join().map_err(|_| anyhow!("a thread panicked"))??;
            answered += of_answered;
            lost += of_lost;
        }
        cycled?;
        anyhow::Ok((answered, lost))
    })?;
    println!("{count} times down and up: {answered} echoes were answered and {lost} lost");
    ensure!(answered + lost > 0, "there was no echo meanwhile");
    Ok(())
}

/// How many echoes were answered, and how many were not. An answer from before the interface was
/// down may be taken for that to another echo, whose tag is the same.
fn echo_until(is_over: &AtomicBool, destination: Destination, number: u8) -> Result<(u32, u32)> {
    let (mut answered, mut lost) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        // Closing the socket gives the tag back.
        let mut socket = MctpSocket::open()?;
        match echo::echo(&mut socket, destination, ECHO_SIZE, number, SHORT_WAIT) {
            Ok(()) => answered += 1,
            Err(_) => lost += 1,
        }
    }
    Ok((answered, lost))
}

/// Everything is answered, at the first try.
fn check_calm(destination: Destination) -> Result<()> {
    thread::sleep(CALM);
    // Then old answers are on their way at most, which are taken for that to another echo.
    let mut in_a_row = 0;
    for round in 0..ROUNDS {
        let mut socket = MctpSocket::open()?;
        match echo::echo(&mut socket, destination, 1, round, WAIT) {
            Ok(()) => in_a_row += 1,
            Err(EchoError::Wrong { .. }) => in_a_row = 0,
            Err(error) => return Err(error.into()),
        }
        if in_a_row == ENOUGH {
            break;
        }
    }
    for size in (0..=600).chain([1000, 4096, ECHO_SIZE, 65_000]) {
        let mut socket = MctpSocket::open()?;
        echo::echo(&mut socket, destination, size, size as u8, WAIT)?;
    }
    Ok(())
}

fn during_stream(interface: &Interface, destination: Destination, count: u32) -> Result<()> {
    let mut listener = Listener::bind(bench::MESSAGE_TYPE)?;
    let mut stream = Stream::new(STREAM_LENGTH);
    let request = |count| -> Result<()> {
        bench::request(&mut MctpSocket::open()?, destination, STREAM_LENGTH, count)?;
        Ok(())
    };
    request(u64::MAX)?;
    thread::scope(|scope| {
        let cycled = scope.spawn(|| cycle(interface, count));
        while !cycled.is_finished() {
            receive(&mut listener, &mut stream, SILENCE)?;
        }
        cycled.join().map_err(|_| anyhow!("a thread panicked"))?
    })?;
    for _ in 0..AFTERWARDS {
        receive(&mut listener, &mut stream, SILENCE)?;
    }
    // The answer comes behind the last message.
    request(0)?;
    let start = Instant::now();
    while receive(&mut listener, &mut stream, Duration::ZERO).is_ok() {
        ensure!(start.elapsed() < SILENCE, "the stream does not end");
    }
    let Counts {
        received,
        dropped,
        invalid,
    } = stream.counts;
    println!("{count} times down and up: {received} messages came, {dropped} were lost");
    ensure!(
        invalid == 0,
        "{invalid} messages were not as they were sent"
    );
    Ok(())
}

fn receive(listener: &mut Listener, stream: &mut Stream, silence: Duration) -> Result<()> {
    let message = listener.receive(Instant::now() + silence)?;
    let (_, body) = message.context("the stream ended")?;
    stream.receive(body);
    Ok(())
}
