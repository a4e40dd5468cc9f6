//! `bench-stopped`: the guest is stopped in the middle of a stream.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::bench::{self, Counts, Stream};
use linux_requester::listener::Listener;
use linux_requester::socket::MctpSocket;

use crate::guest_init;

/// How many messages have to come, at least, before the machine is stopped and after.
const AROUND_STOP: usize = 500;
/// A stream that stands still for this long, the time of the stop included, has ended.
const STOP_TIME: Duration = Duration::from_secs(40);

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

/// Has the host stop this machine in the middle of a stream. The stream has to go on, and none of
/// it may be lost.
///
/// The stream has no end of its own: it goes on until the host has said that the machine was
/// stopped, however slow either is.
pub(crate) fn run(arguments: &StoppedArguments) -> Result<()> {
    let destination = Destination::EndpointId(arguments.endpoint_id);
    let mut listener = Listener::bind(bench::MESSAGE_TYPE)?;
    let mut stream = Stream::new(arguments.length);
    let mut next = |silence: Duration| -> Result<bool> {
        let message = listener.receive(Instant::now() + silence)?;
        message.iter().for_each(|(_, body)| stream.receive(body));
        Ok(message.is_some())
    };
    let some_of_stream = |next: &mut dyn FnMut(Duration) -> Result<bool>| -> Result<()> {
        for _ in 0..AROUND_STOP {
            ensure!(next(STOP_TIME)?, "the stream ended");
        }
        Ok(())
    };
    let mut socket = MctpSocket::open()?;
    let stream_of = (arguments.length, u64::MAX);
    let report = &mut |line: &str| println!("{line}");
    bench::with_stream(&mut socket, destination, stream_of, report, || {
        some_of_stream(&mut next)?;
        let host = guest_init::stop(arguments.stop);
        while !host.is_finished() {
            some_of_stream(&mut next)?;
        }
        guest_init::expect_was_stopped(host)?;
        some_of_stream(&mut next)
    })?;
    // The answer comes behind the last message.
    bench::request(&mut socket, destination, arguments.length, 0)?;
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
