//! The benchmark service of the Linux MCTP tools (feature `bench`).

use core::cell::Cell;
use core::convert::Infallible;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{Eid, MsgIC};
use mctp_bench::{Bench, Statistics};
use mctp_router::{Clock, Event, Instant, Listener, Message, Router, Service, Target};
use mctp_transport::DropCounters;

use crate::device::NETWORK;
use crate::observer::{Direction, Observer};

/// The router's channels that a [`Benchmark`] takes: its listener, and the message being sent.
pub const BENCH_CHANNELS: usize = 2;
/// How often the observer hears of a stream that is being received, in milliseconds.
const REPORT_INTERVAL: u32 = 2000;

/// The benchmark service of the Linux MCTP tools: sends streams of messages on request, and counts
/// those that it gets.
///
/// It ends a stream when the link is lost or the endpoint ID changes, so it has to see the router's
/// events: give it to [`report_events`](crate::report_events) as the observer. A host that only
/// does not read finds its stream going on. It passes on to its own observer what it sees. Both
/// belong in one executor.
///
/// ```
/// # use core::convert::Infallible;
/// # use embassy_futures::join::join;
/// # use embassy_sync::blocking_mutex::raw::RawMutex;
/// # use mctp_router::{Clock, Router};
/// # use reference_device::{Benchmark, NETWORK, Observer, report_events};
/// # async fn device<M: RawMutex, C: Clock>(router: &Router<'_, M, C>, clock: C, observer: &impl Observer) -> mctp::Result<Infallible> {
/// let benchmark = Benchmark::new(router.endpoint_id(NETWORK), observer);
/// let streams = benchmark.serve(router, clock)?;
/// # Ok(
/// join(streams, report_events(router, &benchmark)).await.0
/// # )
/// # }
/// ```
pub struct Benchmark<'o, O> {
    bench: Bench,
    /// The one that promised a stream.
    endpoint_id: Cell<Eid>,
    observer: &'o O,
}

impl<O: Observer> Observer for Benchmark<'_, O> {
    const LOOKS_AT_PACKETS: bool = O::LOOKS_AT_PACKETS;

    fn packet(&self, direction: Direction, bytes: &[u8]) {
        self.observer.packet(direction, bytes);
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        let ends = match event {
            Event::LinkDown(_) => true,
            Event::EndpointIdSet {
                network: NETWORK,
                endpoint_id,
                ..
            } => self.endpoint_id.replace(endpoint_id) != endpoint_id,
            _ => false,
        };
        if ends {
            self.bench.stop();
        }
        self.observer.event(event, drops);
    }
}

impl<'o, O: Observer> Benchmark<'o, O> {
    /// For an endpoint that has this endpoint ID now. `observer` hears of streams, and of all that
    /// this one hears of.
    pub fn new(endpoint_id: Eid, observer: &'o O) -> Self {
        Self {
            bench: Bench::new(),
            endpoint_id: Cell::new(endpoint_id),
            observer,
        }
    }

    /// Serves for ever. Whoever else there is in this executor gets a turn after each message
    /// received, and when there is no room for the next one to send.
    ///
    /// # Errors
    ///
    /// Only at the start: when the router's storage has no channel left, or somebody else serves
    /// benchmarks.
    pub fn serve<M: RawMutex, C: Clock>(
        &self,
        router: &Router<'_, M, C>,
        clock: impl Clock,
    ) -> mctp::Result<impl Future<Output = Infallible>> {
        let service =
            Service::vendor_pci(mctp_bench::VENDOR_ID, &[mctp_bench::SUBTYPE]).at(NETWORK);
        let mut listener = router.listener(service)?;
        Ok(async move {
            let send = async {
                loop {
                    let channel = |peer| router.request_channel(Target::Endpoint(NETWORK, peer));
                    let sent = self.bench.send(channel, &clock).await;
                    self.observer.stream_sent(&sent);
                }
            };
            join(self.receive(&mut listener, &clock), send).await.1
        })
    }

    async fn receive<M: RawMutex, C: Clock>(
        &self,
        listener: &mut Listener<'_, '_, M, C>,
        clock: &impl Clock,
    ) -> Infallible {
        let mut report = Report::default();
        loop {
            match select(listener.receive(), clock.wait_until(report.at)).await {
                Either::First(message) => self.answer(&message, clock).await,
                Either::Second(()) => {}
            }
            let statistics = self.bench.statistics();
            if report.is_due(clock.now(), &statistics) {
                self.observer.stream_received(&statistics);
            }
            yield_now().await;
        }
    }

    async fn answer<M: RawMutex, C: Clock>(
        &self,
        message: &Message<'_, '_, M, C>,
        clock: &impl Clock,
    ) {
        let taken = self
            .bench
            .receive(clock.now(), message.origin().source(), message.bytes());
        if let Some(answer) = taken.await
            && message
                .respond(MsgIC(false), &[&answer.bytes])
                .await
                .is_ok()
        {
            self.bench.start(&answer);
        }
    }
}

/// When the observer hears of what is being received: every [`REPORT_INTERVAL`], as long as
/// something comes.
struct Report {
    told: Statistics,
    at: Instant,
}

impl Report {
    fn is_due(&mut self, now: Instant, statistics: &Statistics) -> bool {
        if self.told == *statistics {
            return false;
        }
        if self.at == Instant::NEVER {
            self.at = now.after(REPORT_INTERVAL);
        }
        let is_due = self.at <= now;
        if is_due {
            self.told = *statistics;
            self.at = Instant::NEVER;
        }
        is_due
    }
}

impl Default for Report {
    fn default() -> Self {
        Self {
            told: Statistics::default(),
            at: Instant::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_stream_is_reported_now_and_then_and_at_its_end_and_then_no_more() {
        let mut report = Report::default();
        let mut statistics = Statistics::default();
        let mut due = Vec::new();
        for millis in (0..10_000).step_by(100) {
            if millis <= 5000 {
                statistics.messages += 1;
            }
            if report.is_due(Instant::from_millis(millis), &statistics) {
                due.push(millis);
            }
        }
        assert_eq!(due, [2000, 4100, 6200]);
        assert_eq!(report.at, Instant::NEVER);
    }
}
