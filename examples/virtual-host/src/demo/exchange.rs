//! A request and its response, down to the packets.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mctp::Eid;
use mctp_transport::Packet;

use super::screen::Hex;
use crate::requester::{HOST, Requester};
use crate::transport::{Direction, PacketLog, join_packets};

/// How long there must be no answer where none is allowed: many times what the device takes for
/// one.
const SILENCE: Duration = Duration::from_millis(50);

/// Asks, and checks all of the answer that does not depend on the question.
pub(super) struct Exchanger<'r, 'b, 'l> {
    pub(super) requester: Requester<'r, 'b>,
    pub(super) log: &'l PacketLog,
    /// The most payload bytes in a packet, either way.
    pub(super) unit: Cell<usize>,
}

/// What crossed the wire.
pub(super) struct Exchange {
    pub(super) response: Vec<u8>,
    pub(super) request_packets: Vec<Vec<u8>>,
    pub(super) response_packets: Vec<Vec<u8>>,
    pub(super) time: Duration,
}

impl Exchanger<'_, '_, '_> {
    /// Sends `request`, message type first, to `destination`; the packets of the response must obey
    /// DSP0236.
    pub(super) async fn ask(&self, destination: Eid, request: &[u8]) -> Result<Exchange, String> {
        self.log.take();
        let start = Instant::now();
        let response = self.requester.request(destination, request).await;
        let time = start.elapsed();
        let response = response.map_err(|error| format!("no answer: {error}"))?;
        let (mut request_packets, mut response_packets) = (Vec::new(), Vec::new());
        for (direction, packet) in self.log.take() {
            match direction {
                Direction::ToDevice => request_packets.push(packet),
                Direction::FromDevice => response_packets.push(packet),
            }
        }
        let exchange = Exchange {
            response,
            request_packets,
            response_packets,
            time,
        };
        exchange.check(destination, request, self.unit.get())?;
        Ok(exchange)
    }

    /// Sends `request`, to which there must be no answer.
    pub(super) async fn ask_in_vain(&self, destination: Eid, request: &[u8]) -> Result<(), String> {
        let asked = self
            .requester
            .request_within(SILENCE, destination, request)
            .await;
        match asked {
            Err(mctp::Error::TimedOut) => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(answer) => Err(format!("there was an answer: {}", Hex(&answer))),
        }
    }

    /// From now on, packets have `unit` bytes of payload.
    pub(super) fn set_unit(&self, unit: usize) {
        self.requester.set_unit(unit);
        self.unit.set(unit);
    }
}

impl Exchange {
    fn check(&self, destination: Eid, request: &[u8], unit: usize) -> Result<(), String> {
        if join(&self.request_packets, unit)? != request {
            return Err("the host sent something else than it was told to".into());
        }
        if join(&self.response_packets, unit)? != self.response {
            return Err("the packets of the response are not the response".into());
        }
        let (Some(asked), Some(answered)) =
            (self.request_packets.first(), self.response_packets.first())
        else {
            return Err("no packets".into());
        };
        let asked = Packet::parse(asked)
            .map_err(|error| error.to_string())?
            .header;
        let answered = Packet::parse(answered)
            .map_err(|error| error.to_string())?
            .header;
        if answered.destination != HOST || answered.source != destination {
            return Err(format!(
                "the answer is from {} to {}",
                answered.source.0, answered.destination.0
            ));
        }
        if answered.tag_owner || answered.tag != asked.tag {
            return Err("the answer has another message tag than the request".into());
        }
        Ok(())
    }
}

fn join(packets: &[Vec<u8>], unit: usize) -> Result<Vec<u8>, String> {
    let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    join_packets(&packets, unit)
}
