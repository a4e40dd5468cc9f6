//! Streams of benchmark messages in one direction: a message is a round.
//!
//! The path is that of a board: a service, the router, `mctp-usb`, and the endpoints of a driver.
//! These are in memory, and do what those of the Nucleo's driver do to the bytes: a write stores
//! them, a word at a time, where the hardware would take them, and a read copies what an interrupt
//! has left. What the driver costs apart from that is not in it, nor are its interrupts. The
//! hardware is always ready.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;

use embassy_usb_driver::{
    Direction, Endpoint, EndpointAddress, EndpointError, EndpointIn, EndpointInfo, EndpointOut,
    EndpointType,
};
use heapless::Vec;
use mctp::{AsyncReqChannel, MsgIC};
use mctp_bench::{DataMessage, Instant, Message, Request, Stream};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Config, PortConfig, RouterStorage, Service, Target};
use mctp_transport::Packet;
use mctp_usb::framing::HEADER_LEN;
use mctp_usb::{BusEvents, RECEIVE_BUFFER_LEN_1_1, Receiver, SendLimits, Sender, Version};

use crate::{
    CHECKED_ROUNDS, DEVICE, NETWORK, PORT, REQUESTER, RawMutex, Running, Task, count, poll, wake,
};

/// At high speed.
const USB_PACKET: usize = 512;
/// The longest message with its type.
const MESSAGE: usize = 16_384;
/// The longest message in packets of 64 bytes with all headers.
const WIRE: usize = MESSAGE + MESSAGE / 64 * 8;

type Router<'b> = mctp_router::Router<'b, RawMutex, Running>;

#[derive(Clone, Copy)]
enum Kind {
    /// The stream that the benchmark service sends.
    Send,
    /// To a service that takes messages and does not look at them.
    Receive,
    /// To the benchmark service, which compares every byte.
    ReceiveChecked,
}

/// A stream of messages of one length, in bytes behind the message type.
struct Case {
    kind: Kind,
    version: Version,
    /// Bytes of payload of a packet.
    unit: usize,
    length: u16,
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Send => "send",
            Kind::Receive => "receive",
            Kind::ReceiveChecked => "receive-checked",
        };
        write!(formatter, "{kind}/{} {}", self.unit, self.length)
    }
}

/// Measures all kinds, each with messages of half as many packets as well.
pub fn measure_all() {
    for kind in [Kind::Send, Kind::Receive, Kind::ReceiveChecked] {
        for (unit, length) in [(64, 1975), (64, 3951), (247, 1975), (247, 3951)] {
            let version = Version::V1_0;
            // As on the boards: transfers of one USB packet.
            measure::<USB_PACKET>(&Case {
                kind,
                version,
                unit,
                length,
            });
        }
        for length in [8_182, 16_365] {
            let version = Version::V1_1;
            measure::<8191>(&Case {
                kind,
                version,
                unit: 8183,
                length,
            });
        }
    }
}

/// Assembles a device and has it send or receive.
fn measure<const TRANSFER: usize>(case: &Case) {
    let bus = Bus::new(case);
    type Storage<'b> = RouterStorage<
        Ports<'b, 1>,
        Networks<1>,
        ShortMessages<'b, 4>,
        LongMessages<'b, 2, MESSAGE>,
        Channels<'b, 3>,
        Routes<2>,
    >;
    let (mut storage, mut transfers) = (Storage::new(), PortBuffers::<TRANSFER>::new());
    let router: Router<'_> = Router::new(&mut storage, Running, &Config::new([1; 16]));
    assert_eq!(router.add_port(NETWORK, &mut transfers), Ok(PORT));
    assert!(router.set_endpoint_id(NETWORK, DEVICE));
    router.configure_port(PORT, PortConfig::new(case.unit));

    let events = BusEvents::new();
    let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
    let endpoint = Out(&bus, info(Direction::Out));
    let receiver = Receiver::new(endpoint, case.version, &events, &mut buffer);
    let mut receiver = receiver.expect("there is room for the longest packet");
    let limits = SendLimits::new(case.version);
    let mut sender = Sender::new(In(&bus, info(Direction::In)), case.version, &events, limits);

    let mut receive = pin!(router.run_receive(PORT, &mut receiver));
    // The link is up before there is anything to send.
    wake(u32::MAX);
    poll(&mut [receive.as_mut()]);
    wake(u32::MAX);
    let mut send = pin!(router.run_send(PORT, &mut sender));
    let timers = pin!(router.run_timers());
    match case.kind {
        Kind::Send => {
            let service = pin!(send_stream(&router, case.length));
            run_send(case, &bus, &mut [service, send.as_mut(), timers]);
        }
        Kind::Receive => {
            let service = pin!(take_messages(&router, &bus));
            run_receive(case, &bus, &mut [receive.as_mut(), service, timers]);
        }
        Kind::ReceiveChecked => {
            let service = pin!(check_messages(&router, &bus));
            run_receive(case, &bus, &mut [receive.as_mut(), service, timers]);
        }
    }
    assert_eq!(router.drop_counters().total(), 0);
}

fn stream(length: u16) -> Stream {
    Stream::new(&Request {
        instance_id: 0,
        length,
        count: u64::MAX,
    })
}

fn service() -> Service {
    Service::vendor_pci(mctp_bench::VENDOR_ID, &[mctp_bench::SUBTYPE])
}

/// As [`mctp_bench::Bench::send`] does it: one message after the other for as long as the router
/// takes them.
async fn send_stream(router: &Router<'_>, length: u16) -> Infallible {
    let mut channel = router.request_channel(Target::Endpoint(NETWORK, REQUESTER));
    for message in stream(length) {
        let slices = message.slices();
        let sent = channel.send_vectored(mctp::MCTP_TYPE_VENDOR_PCIE, MsgIC(false), &slices);
        sent.await.expect("the link is up");
    }
    unreachable!("the stream has no end")
}

async fn take_messages(router: &Router<'_>, bus: &Bus) -> Infallible {
    let listener = router.listener(service()).expect("a free channel");
    loop {
        listener.receive().await;
        bus.messages_taken.set(bus.messages_taken.get() + 1);
    }
}

async fn check_messages(router: &Router<'_>, bus: &Bus) -> Infallible {
    let listener = router.listener(service()).expect("a free channel");
    let mut receiver = mctp_bench::Receiver::new();
    loop {
        let message = listener.receive().await;
        let Some(Message::Data(data)) = Message::parse(message.bytes()) else {
            panic!("not a data message");
        };
        receiver.receive(Instant::START, &data);
        // The same message again begins a new stream.
        let statistics = receiver.statistics();
        assert!(statistics.messages == 1 && statistics.dropped == 0 && statistics.invalid == 0);
        bus.messages_taken.set(bus.messages_taken.get() + 1);
    }
}

fn run_send(case: &Case, bus: &Bus, tasks: &mut [Task<'_>]) {
    // Messages are sent without a pause, and end within transfers: where one ends, the bytes tell.
    let length = bus.usb_bytes.len();
    let mut end = length * CHECKED_ROUNDS as usize;
    let mut send_to = |end: usize| {
        while bus.written.get() < end {
            poll(tasks);
        }
    };
    send_to(end);
    bus.keeps.set(false);
    check_first_message(case, &bus.kept.borrow());
    count(case, |rounds| {
        end += length * rounds as usize;
        send_to(end);
    });
}

fn run_receive(case: &Case, bus: &Bus, tasks: &mut [Task<'_>]) {
    // The listener is there before the first message comes.
    poll(tasks);
    let mut receive = |rounds| {
        bus.messages_taken.set(0);
        for round in 0..rounds {
            bus.taken.set(0);
            wake(1);
            while bus.messages_taken.get() == round {
                poll(tasks);
            }
        }
    };
    receive(CHECKED_ROUNDS);
    count(case, receive);
}

/// A message from its type on.
fn message_bytes(message: &DataMessage) -> Vec<u8, MESSAGE> {
    let mut bytes = Vec::new();
    bytes.extend([mctp::MCTP_TYPE_VENDOR_PCIE.0]);
    bytes.extend(message.slices().iter().copied().flatten().copied());
    bytes
}

fn check_first_message(case: &Case, mut sent: &[u8]) {
    let mut message: Vec<u8, MESSAGE> = Vec::new();
    loop {
        let header = *sent.first_chunk().expect("more packets");
        let length = case.version.decode(header).expect("a packet's header");
        let packet = Packet::parse(&sent[HEADER_LEN..length]).expect("a packet");
        message.extend(packet.payload.iter().copied());
        sent = &sent[length..];
        if packet.header.end {
            break;
        }
    }
    let first = stream(case.length).next().expect("a message");
    assert!(message == message_bytes(&first), "{case}");
}

/// A bus with one host on it.
struct Bus {
    /// A message to the device, each packet a transfer of its own, as Linux 6.15 to 7.2 sends
    /// them.
    usb_bytes: Vec<u8, WIRE>,
    /// Bytes of each transfer but the last.
    transfer_length: usize,
    /// How many bytes of it were taken.
    taken: Cell<usize>,
    messages_taken: Cell<u32>,
    /// Where the hardware takes what it is to send.
    fifo: [AtomicU32; USB_PACKET / 4],
    /// How many bytes were sent.
    written: Cell<usize>,
    /// Whether they are kept, to be checked.
    keeps: Cell<bool>,
    kept: RefCell<Vec<u8, WIRE>>,
}

impl Bus {
    fn new(case: &Case) -> Self {
        let message = message_bytes(&stream(case.length).next().expect("a message"));
        let mut usb_bytes = Vec::new();
        for (header, payload) in crate::packets(&message, case.unit) {
            let length = header.len() + payload.len();
            usb_bytes.extend(case.version.encode(length).expect("not too long"));
            usb_bytes.extend(header);
            usb_bytes.extend(payload.iter().copied());
        }
        Self {
            taken: Cell::new(usb_bytes.len()),
            usb_bytes,
            transfer_length: HEADER_LEN + mctp_transport::HEADER_LEN + case.unit,
            messages_taken: Cell::new(0),
            fifo: [const { AtomicU32::new(0) }; USB_PACKET / 4],
            written: Cell::new(0),
            keeps: Cell::new(true),
            kept: RefCell::new(Vec::new()),
        }
    }

    /// The next USB packet for the device.
    fn next_packet(&self) -> Option<&[u8]> {
        let start = self.taken.get();
        let rest = self
            .usb_bytes
            .get(start..)
            .filter(|rest| !rest.is_empty())?;
        let rest_of_transfer = self.transfer_length - start % self.transfer_length;
        let length = rest.len().min(rest_of_transfer).min(USB_PACKET);
        self.taken.set(start + length);
        Some(&rest[..length])
    }

    #[inline(never)]
    fn fill_fifo(&self, packet: &[u8]) {
        let (words, rest) = packet.as_chunks();
        let (mut last, mut places) = ([0; 4], self.fifo.iter());
        for (word, place) in words.iter().zip(places.by_ref()) {
            place.store(u32::from_ne_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            last[..rest.len()].copy_from_slice(rest);
            let place = places.next().expect("a USB packet fits");
            place.store(u32::from_ne_bytes(last), Ordering::Relaxed);
        }
    }

    fn keep(&self, length: usize) {
        let words = self.fifo.iter().map(|word| word.load(Ordering::Relaxed));
        let bytes = words.flat_map(u32::to_ne_bytes).take(length);
        let mut kept = self.kept.borrow_mut();
        let room = kept.capacity() - kept.len();
        kept.extend(bytes.take(room));
    }
}

fn info(direction: Direction) -> EndpointInfo {
    EndpointInfo {
        addr: EndpointAddress::from_parts(1, direction),
        ep_type: EndpointType::Bulk,
        max_packet_size: USB_PACKET as u16,
        interval_ms: 0,
    }
}

struct In<'b>(&'b Bus, EndpointInfo);

impl Endpoint for In<'_> {
    fn info(&self) -> &EndpointInfo {
        &self.1
    }

    async fn wait_enabled(&mut self) {}
}

impl EndpointIn for In<'_> {
    async fn write(&mut self, packet: &[u8]) -> Result<(), EndpointError> {
        let Self(bus, _) = self;
        bus.fill_fifo(packet);
        bus.written.set(bus.written.get() + packet.len());
        if bus.keeps.get() {
            bus.keep(packet.len());
        }
        Ok(())
    }
}

struct Out<'b>(&'b Bus, EndpointInfo);

impl Endpoint for Out<'_> {
    fn info(&self) -> &EndpointInfo {
        &self.1
    }

    async fn wait_enabled(&mut self) {}
}

impl EndpointOut for Out<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        let packet = poll_fn(|_| self.0.next_packet().map_or(Poll::Pending, Poll::Ready)).await;
        buffer[..packet.len()].copy_from_slice(packet);
        Ok(packet.len())
    }
}
