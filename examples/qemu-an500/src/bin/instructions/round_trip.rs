//! Round trips: the packets of a request enter the device, and those of its response leave it.
//!
//! The device is the router and the services of `reference_device`, with a transport in memory that
//! copies nothing: what USB costs is not in it.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embassy_futures::join::join3;
use heapless::Vec;
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Config, PortConfig, Router, RouterStorage};
use mctp_transport::{
    Packet, PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx,
    TransportTx,
};
use nvme_mi_responder::{
    Crc32c, Device, ManagementEndpoint, MessageBuffer, Server, SoftwareCrc32c,
};
use reference_device::{
    ECHO_CHANNELS, MANAGE_CHANNELS, MANAGEMENT_PORT, ManagementLink, default_firmware,
    default_subsystem, default_world, manage, report_events,
};

use crate::{CHECKED_ROUNDS, DEVICE, NETWORK, PORT, RawMutex, Running, Task, count, poll, wake};

/// End of message, in byte 3 of a packet.
const END: u8 = 0x40;
/// Bytes of the longest message with its type, and of its packets.
pub const MESSAGE: usize = 4224;
const PACKETS: usize = 5120;

type Storage<'b> = RouterStorage<
    Ports<'b, 1>,
    Networks<1>,
    ShortMessages<'b, 4>,
    LongMessages<'b, 2, MESSAGE>,
    Channels<'b, { ECHO_CHANNELS + MANAGE_CHANNELS }>,
    Routes<2>,
>;
type Message = Vec<u8, MESSAGE>;

/// A request, with its message type, and what its response has to begin with.
pub struct Case {
    name: &'static str,
    /// Bytes of payload of a packet.
    pub unit: usize,
    request: Message,
    response: Vec<u8, 64>,
}

/// Measures all kinds.
pub fn measure_all() {
    for case in [
        control(),
        echo("echo-63/64", 63, 64),
        echo("echo-64/64", 64, 64),
        echo("echo-4096/64", 4096, 64),
        echo("echo-4096/247", 4096, 247),
        health_poll(),
    ] {
        measure(&case);
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Get Endpoint ID (DSP0236 1.3.3, section 12.5).
pub fn control() -> Case {
    Case {
        name: "control",
        unit: 64,
        request: message(&[0x00, 0x80, 0x02]),
        response: message(&[0x00, 0x00, 0x02, 0x00, DEVICE.0]),
    }
}

/// An echo with `length` bytes behind the message type.
pub fn echo(name: &'static str, length: usize, unit: usize) -> Case {
    let [high, low] = mctp_echo::VENDOR_ID.to_be_bytes();
    let mut request: Message = message(&[0x7E, high, low, mctp_echo::SUBTYPE]);
    request.extend((0..=u8::MAX).cycle().take(length + 1 - request.len()));
    Case {
        name,
        unit,
        response: message(&request[..64]),
        request,
    }
}

/// NVM Subsystem Health Status Poll that clears the status (NVMe-MI 1.2, section 5.6).
fn health_poll() -> Case {
    let mut request: Message = message(&[0x84, 0x08, 0, 0, 0x01]);
    request.extend([0; 10]);
    request.extend([0x80]);
    let check = SoftwareCrc32c.crc32c(&[&request]);
    request.extend(check.to_le_bytes());
    Case {
        name: "health-poll",
        unit: 64,
        request,
        response: message(&[0x84, 0x88, 0, 0, 0]),
    }
}

fn message<const N: usize>(bytes: &[u8]) -> Vec<u8, N> {
    Vec::from_slice(bytes).expect("there is room for the longest message")
}

/// Assembles a device and has it answer.
fn measure(case: &Case) {
    let link = Link::new(case);
    let mut storage = Storage::new();
    let router: Router<'_, RawMutex, _> = Router::new(&mut storage, Running, &Config::new([1; 16]));
    let mut transfers = PortBuffers::<512>::new();
    assert_eq!(router.add_port(NETWORK, &mut transfers), Ok(PORT));
    assert!(router.set_endpoint_id(NETWORK, DEVICE));
    router.configure_port(PORT, PortConfig::new(case.unit));

    let mut subsystem = default_subsystem("0123456789ab").expect("a good serial number");
    let management_link = ManagementLink::new();
    let world = default_world(default_firmware(&mut []), &management_link, SoftwareCrc32c);
    let mut device = Device::new(subsystem.model(), world);
    let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
    let endpoint = ManagementEndpoint::new(&mut device, MANAGEMENT_PORT, buffers.each_mut());
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint.expect("the default model has the port"));
    let counted = "the storage has a channel for each";
    let echo = reference_device::echo(&router).expect(counted);
    let manage = manage(&router, &server, &management_link, Running).expect(counted);
    let events = report_events(&router, management_link.watched_by(&()));
    let services = async { join3(echo, manage, events).await.0 };

    let (mut receiver, mut sender) = (Receiver::new(&link), Sender(&link));
    let mut tasks: [Task<'_>; 4] = [
        pin!(router.run_receive(PORT, &mut receiver)),
        pin!(services),
        pin!(router.run_send(PORT, &mut sender)),
        pin!(router.run_timers()),
    ];
    run(case, &link, &mut tasks);
    assert_eq!(router.drop_counters().total(), 0);
}

pub fn run(case: &Case, link: &Link, tasks: &mut [Task<'_>]) {
    // Each says what it is before the first request comes.
    wake(u32::MAX);
    poll(tasks);
    for _ in 0..CHECKED_ROUNDS {
        link.response.borrow_mut().clear();
        link.keeps.set(true);
        round_trip(link, tasks);
        link.keeps.set(false);
        let response = link.response.borrow();
        assert!(response.starts_with(&case.response), "{response:02x?}");
    }
    let each = link.sent.get() / CHECKED_ROUNDS as usize;
    count(case, |rounds| {
        link.sent.set(0);
        for _ in 0..rounds {
            round_trip(link, tasks);
        }
        assert_eq!(link.sent.get(), each * rounds as usize, "all rounds alike");
    });
}

/// Wakes the first task, which receives, and polls until the end of the response is out.
fn round_trip(link: &Link, tasks: &mut [Task<'_>]) {
    link.taken.set(0);
    link.has_ended.set(false);
    wake(1);
    while !link.has_ended.get() {
        poll(tasks);
    }
}

/// A bus with one requester on it.
pub struct Link {
    packets: Vec<u8, PACKETS>,
    /// Bytes of each packet but the last.
    packet_length: usize,
    /// How many bytes of the request were taken.
    taken: Cell<usize>,
    /// The last packet of a response came out.
    has_ended: Cell<bool>,
    /// Packet bytes that came out.
    sent: Cell<usize>,
    /// Whether the response is kept, to be checked.
    keeps: Cell<bool>,
    response: RefCell<Message>,
}

impl Link {
    pub fn new(case: &Case) -> Self {
        let mut packets = Vec::new();
        for (header, payload) in crate::packets(&case.request, case.unit) {
            packets.extend(header);
            packets.extend(payload.iter().copied());
        }
        Self {
            taken: Cell::new(packets.len()),
            packets,
            packet_length: case.unit + mctp_transport::HEADER_LEN,
            has_ended: Cell::new(false),
            sent: Cell::new(0),
            keeps: Cell::new(false),
            response: RefCell::new(Vec::new()),
        }
    }

    fn next_packet(&self) -> Option<&[u8]> {
        let start = self.taken.get();
        let end = self.packets.len().min(start + self.packet_length);
        self.taken.set(end);
        self.packets
            .get(start..end)
            .filter(|packet| !packet.is_empty())
    }

    fn put_back(&self) {
        // Those before it have the full length.
        let before = self.taken.get() - 1;
        self.taken.set(before - before % self.packet_length);
    }

    pub fn send(&self, packet: &[u8]) {
        self.sent.set(self.sent.get() + packet.len());
        self.has_ended
            .set(packet.get(3).is_some_and(|flags| flags & END != 0));
        if self.keeps.get() {
            let payload = Packet::parse(packet).expect("a packet").payload;
            let kept = self.response.borrow_mut().extend_from_slice(payload);
            kept.expect("there is room for the longest message");
        }
    }
}

pub struct Receiver<'l> {
    link: &'l Link,
    is_up: bool,
}

impl<'l> Receiver<'l> {
    pub fn new(link: &'l Link) -> Self {
        Self { link, is_up: false }
    }
}

impl TransportRx for Receiver<'_> {
    fn can_wait(&self) -> bool {
        true
    }

    fn put_back(&mut self) {
        self.link.put_back();
    }

    fn receive(&mut self) -> impl Future<Output = Received<'_>> {
        poll_fn(|_| {
            if !self.is_up {
                self.is_up = true;
                return Poll::Ready(Received::LinkUp);
            }
            match self.link.next_packet() {
                Some(bytes) => Poll::Ready(Received::Packet {
                    source: PhysicalAddress::POINT_TO_POINT,
                    bytes,
                }),
                None => Poll::Pending,
            }
        })
    }
}

struct Sender<'l>(&'l Link);

impl TransportTx for Sender<'_> {
    /// As of MCTP over USB 1.0.
    fn layout(&self) -> TransferLayout {
        TransferLayout::new(4, 251, 511).with_packs(true)
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        for packet in transfer.packets() {
            self.0.send(packet);
        }
        Ok(())
    }
}
