//! A request and its response, down to the packets.

use std::time::{Duration, Instant};

use mctp::Eid;
use mctp_transport::Packet;

use crate::host::requester::{HOST, Requester};
use crate::host::transport::{Direction, PacketLog, join_packets};

/// Asks, and checks all of the answer that does not depend on the question.
pub(super) struct Exchanger<'r, 'b, 'l> {
    pub(super) requester: Requester<'r, 'b>,
    pub(super) log: &'l PacketLog,
    pub(super) unit: usize,
}

/// What crossed the wire.
pub(super) struct Exchange {
    pub(super) response: Vec<u8>,
    pub(super) request_packets: Vec<Vec<u8>>,
    pub(super) response_packets: Vec<Vec<u8>>,
    pub(super) time: Duration,
}

impl Exchanger<'_, '_, '_> {
    /// Sends `request`, message type first, to `destination`; the packets of the response must obey DSP0236.
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
        exchange.check(destination, request, self.unit)?;
        Ok(exchange)
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
