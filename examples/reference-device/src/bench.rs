//! The benchmark service of the Linux MCTP tools (feature `bench`).

use core::cell::Cell;
use core::convert::Infallible;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{Eid, MsgIC};
use mctp_bench::{Bench, Statistics};
use mctp_router::{Clock, Event, Instant, Message, Router, Service};

use crate::observer::Observer;

/// The router's channels that it takes: its listener, and the message being sent.
pub(crate) const CHANNELS: usize = 2;
/// How often the observer hears of a stream that is being received, in milliseconds.
const REPORT_INTERVAL: u64 = 2000;

/// The service, and whether the endpoint is still the one that promised a stream.
pub(crate) struct Benchmark {
    bench: Bench,
    endpoint_id: Cell<Eid>,
}

impl Benchmark {
    /// For an endpoint that has this endpoint ID now.
    pub(crate) fn new(endpoint_id: Eid) -> Self {
        Self {
            bench: Bench::new(),
            endpoint_id: Cell::new(endpoint_id),
        }
    }

    /// Ends the stream that is being sent when the link is lost or the endpoint ID changes.
    pub(crate) fn note(&self, event: &Event) {
        let ends = match event {
            Event::LinkDown(_) => true,
            Event::EndpointIdSet(set) => self.endpoint_id.replace(*set) != *set,
            _ => false,
        };
        if ends {
            self.bench.stop();
        }
    }

    /// Serves for ever. Whoever else there is in this executor gets a turn after each message received, and when there is no
    /// room for the next one to send.
    pub(crate) async fn run<M: RawMutex, C: Clock>(
        &self,
        router: &Router<'_, M, C>,
        clock: &impl Clock,
        observer: &impl Observer,
    ) -> Infallible {
        let send = async {
            loop {
                let sent = self.bench.send(|peer| router.request_channel(peer)).await;
                observer.stream_sent(&sent);
            }
        };
        join(self.receive(router, clock, observer), send).await.1
    }

    async fn receive<M: RawMutex, C: Clock>(
        &self,
        router: &Router<'_, M, C>,
        clock: &impl Clock,
        observer: &impl Observer,
    ) {
        let service = Service::vendor_pci(mctp_bench::VENDOR_ID, &[mctp_bench::SUBTYPE]);
        let Ok(mut listener) = router.listener(service) else {
            return;
        };
        let mut report = Report::default();
        loop {
            match select(listener.receive(), clock.wait_until(report.at)).await {
                Either::First(message) => self.answer(&message, clock).await,
                Either::Second(()) => {}
            }
            let statistics = self.bench.statistics();
            if report.is_due(clock.now(), &statistics) {
                observer.stream_received(&statistics);
            }
            yield_now().await;
        }
    }

    async fn answer<M: RawMutex, C: Clock>(
        &self,
        message: &Message<'_, '_, M, C>,
        clock: &impl Clock,
    ) {
        let now = clock.now().as_millis();
        let taken = self.bench.receive(now, message.source(), message.bytes());
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

/// When the observer hears of what is being received: every [`REPORT_INTERVAL`], as long as something comes.
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
            self.at = Instant::from_millis(now.as_millis().saturating_add(REPORT_INTERVAL));
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
