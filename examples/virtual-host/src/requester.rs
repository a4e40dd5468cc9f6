//! The MCTP stack of the host, as a requester.

use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp::{AsyncReqChannel, Eid, MsgIC};
use mctp_bench::{Message, Receiver, Statistics, Status};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{
    Config, Event, Instant, NetworkId, PortConfig, PortId, Router, RouterStorage, Service, Target,
};
use mctp_transport::PhysicalAddress;

use super::guest::Guest;
use super::transport::{HostReceiver, HostSender, PacketLog, Pipes};
use crate::clock::TokioClock;
use crate::waker::with_one_waker;

/// The host's own endpoint ID.
pub const HOST: Eid = Eid(8);

/// How long the host waits for a response.
const TIMEOUT: Duration = Duration::from_secs(5);

const USB: PortId = PortId(0);
const NETWORK: NetworkId = NetworkId(0);

/// The longest MCTP over USB transfer of any version.
const LONGEST_TRANSFER: usize = 8191;

/// The longest message that the host takes, its type not counted.
const LONGEST_MESSAGE: usize = 65_535;

/// Of these one stays free for the response to a request while a stream comes.
const LONG_MESSAGES: usize = 4;

type Storage<'b> = RouterStorage<
    Ports<'b, 1>,
    Networks<1>,
    ShortMessages<'b, 4>,
    LongMessages<'b, LONG_MESSAGES, LONGEST_MESSAGE>,
    Channels<'b, 4>,
    Routes<2>,
>;

/// Asks the device.
pub struct Requester<'r, 'b> {
    router: &'r Router<'b, NoopRawMutex, TokioClock>,
}

impl Requester<'_, '_> {
    /// Sends a request, message type first, and returns the response, message type first.
    ///
    /// Endpoint ID 0 is whoever is at the other end of the cable. Bit 7 of the message type says
    /// that there is an integrity check at the end of the message; the caller makes it.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent, or no response comes within seconds.
    pub async fn request(&self, destination: Eid, request: &[u8]) -> mctp::Result<Vec<u8>> {
        self.request_within(TIMEOUT, destination, request).await
    }

    /// The same with another time limit.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent, or no response comes in that time.
    pub async fn request_within(
        &self,
        limit: Duration,
        destination: Eid,
        request: &[u8],
    ) -> mctp::Result<Vec<u8>> {
        let (first, body) = request.split_first().ok_or(mctp::Error::BadArgument)?;
        let (message_type, integrity_check) = mctp::decode_type_ic(*first);
        let mut channel = self
            .router
            .request_channel(Target::Neighbour(
                USB,
                PhysicalAddress::POINT_TO_POINT,
                destination,
            ))
            .with_timeout(limit);
        channel
            .send_vectored(message_type, integrity_check, &[body])
            .await?;
        let mut buffer = vec![0; LONGEST_MESSAGE];
        let (message_type, integrity_check, body) = channel.recv(&mut buffer).await?;
        let mut response = vec![mctp::encode_type_ic(message_type, integrity_check)];
        response.extend_from_slice(body);
        Ok(response)
    }

    /// Has the device send a stream, and tells `progress` after each message what came so far.
    ///
    /// # Errors
    ///
    /// When the request is refused, or the stream stops before its end.
    pub async fn stream(
        &self,
        device: Eid,
        request: &mctp_bench::Request,
        mut progress: impl FnMut(&Statistics),
    ) -> Result<Statistics, String> {
        let service = Service::vendor_pci(mctp_bench::VENDOR_ID, &[mctp_bench::SUBTYPE]);
        let listener = self.router.listener(service);
        let listener = listener.map_err(|error| error.to_string())?;
        self.ask_for_stream(device, request).await?;
        let mut receiver = Receiver::new();
        // tokio's clock may be paused: then no time passes on it while a stream comes.
        let start = std::time::Instant::now();
        loop {
            let statistics = receiver.statistics();
            if statistics.messages + statistics.dropped >= request.count {
                return Ok(statistics);
            }
            let message = tokio::time::timeout(TIMEOUT, listener.receive()).await;
            let message = message.map_err(|_| {
                format!("after {} messages there were no more", statistics.messages)
            })?;
            match Message::parse(message.bytes()) {
                Some(Message::Data(data)) if message.origin().source() == device => {
                    let time = start.elapsed().as_millis().try_into();
                    receiver.receive(Instant::from_millis(time.unwrap_or(u64::MAX)), &data);
                }
                _ => receiver.count_invalid(),
            }
            progress(&receiver.statistics());
        }
    }

    async fn ask_for_stream(
        &self,
        device: Eid,
        request: &mctp_bench::Request,
    ) -> Result<(), String> {
        let vendor_type = mctp::encode_type_ic(mctp::MCTP_TYPE_VENDOR_PCIE, MsgIC(false));
        let message = [&[vendor_type][..], &request.encode()].concat();
        let answer = self.request(device, &message).await;
        let answer = answer.map_err(|error| format!("no answer to the request: {error}"))?;
        match Message::parse(&answer[1..]) {
            Some(Message::Response(response)) if response.instance_id == request.instance_id => {
                match response.status {
                    Status::OK => Ok(()),
                    Status(other) => Err(format!("the request was refused: status {other:02x}h")),
                }
            }
            _ => Err("the answer to the request is none".into()),
        }
    }

    /// From now on, packets to the device have at most `unit` bytes of payload.
    pub fn set_unit(&self, unit: usize) {
        self.router.configure_port(USB, PortConfig::new(unit));
    }
}

/// How fast a stream comes, as people read it.
#[derive(Clone, Copy, Debug)]
pub struct Throughput<'s>(pub &'s Statistics);

impl std::fmt::Display for Throughput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.bytes_per_second() {
            Some(bytes) => write!(f, "{:.2} MB/s", bytes as f64 / 1e6),
            None => f.write_str("in no time"),
        }
    }
}

/// Runs the host's stack for as long as `programs` run: they get the requester.
///
/// `unit` is the most payload bytes in a packet to the device.
///
/// # Panics
///
/// Never, but for an error in this function: its buffer is made for every USB packet size.
pub async fn run<T>(
    guest: &Guest,
    pipes: Pipes,
    unit: usize,
    log: &PacketLog,
    programs: impl AsyncFnOnce(Requester<'_, '_>) -> T,
) -> T {
    let mut buffer = Pipes::receive_buffer();
    let mut receiver = HostReceiver::new(guest, pipes, log, &mut buffer).expect("long enough");
    let mut sender = HostSender::new(guest, pipes, log);
    let mut storage = Box::new(Storage::new());
    let config = Config::new(*b"the host's UUID.");
    let router = Router::new(&mut *storage, TokioClock::start(), &config);
    let mut transfers = Box::new(PortBuffers::<LONGEST_TRANSFER>::new());
    let fits = "a router has a network, and room for a port";
    router.add_port(NETWORK, &mut transfers).expect(fits);
    router.set_endpoint_id(NETWORK, HOST);
    router.configure_port(USB, PortConfig::new(unit));
    let programs = async {
        while router.next_event().await != Event::LinkUp(USB) {}
        programs(Requester { router: &router }).await
    };
    let stack = async {
        tokio::select! {
            never = router.run_receive(USB, &mut receiver) => match never {},
            never = router.run_send(USB, &mut sender) => match never {},
            never = router.run_timers() => match never {},
            value = programs => value,
        }
    };
    with_one_waker(stack).await
}
