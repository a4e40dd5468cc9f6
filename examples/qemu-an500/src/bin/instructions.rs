//! Round trips to be counted: the packets of a request enter the device, and those of its response leave it.
//!
//! The device is the router and the services of `reference_device`, with a transport in memory that copies nothing, and a clock that stands still: what
//! USB and the board cost is not in it. One line for each case and number of rounds, on QEMU's standard output: name, rounds, ticks of TIMER0.
//! `cargo xtask instructions` starts it with `-icount`, so that a tick is a number of instructions and every run counts the same.

#![no_std]
#![no_main]

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, pending, poll_fn};
use core::panic::PanicInfo;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cortex_m_rt::{entry, exception};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use heapless::Vec;
use mctp_router::{Clock, Config, Instant, PortConfig, PortId, Router, RouterStorage};
use mctp_transport::{
    Eid, MessageTag, Packet, PacketHeader, PhysicalAddress, Received, SendError, SequenceNumber,
    Transfer, TransferLayout, TransportRx, TransportTx,
};
use nvme_mi_responder::{Crc32c, MessageBuffers, Responder, SoftwareCrc32c};
use qemu_an500::{stack, time};
use reference_device::{
    MANAGEMENT_PORT, Management, UnitChanges, default_firmware, default_subsystem, default_world,
    serve,
};
use semihosting::{eprintln, println, process};

const PORT: PortId = PortId(0);
const DEVICE: Eid = Eid(9);
const REQUESTER: Eid = Eid(8);
const TAG: MessageTag = MessageTag::from_low_bits(3);
/// End of message, in byte 3 of a packet.
const END: u8 = 0x40;
/// Round trips before those that count, in which the response is checked.
const CHECKED_ROUNDS: u32 = 4;
/// What differs between the two is what round trips cost, and nothing else.
const ROUNDS: [u32; 2] = [100, 300];
/// Bytes of the longest message with its type, and of its packets.
const MESSAGE: usize = 4224;
const PACKETS: usize = 5120;

/// As on the boards: every lock is a critical section.
type RawMutex = CriticalSectionRawMutex;
type Storage<'b> = RouterStorage<'b, 1, 512, 4, 2, MESSAGE, 3, 2>;
type Message = Vec<u8, MESSAGE>;
type Task<'t> = Pin<&'t mut dyn Future<Output = Infallible>>;

/// A request, with its message type, and what its response has to begin with.
struct Case {
    name: &'static str,
    /// Bytes of payload of a packet.
    unit: usize,
    request: Message,
    response: Vec<u8, 64>,
}

#[entry]
fn start() -> ! {
    let mut core = cortex_m::Peripherals::take().expect("nobody has taken them before");
    stack::guard(&mut core);
    time::start();
    for case in [
        control(),
        echo("echo-64/64", 64, 64),
        echo("echo-4096/64", 4096, 64),
        echo("echo-4096/247", 4096, 247),
        health_poll(),
    ] {
        measure(&case);
    }
    process::exit(0)
}

/// Get Endpoint ID (DSP0236 1.3.3, section 12.4).
fn control() -> Case {
    Case {
        name: "control",
        unit: 64,
        request: message(&[0x00, 0x80, 0x02]),
        response: message(&[0x00, 0x00, 0x02, 0x00, DEVICE.0]),
    }
}

/// An echo with `length` bytes behind the message type.
fn echo(name: &'static str, length: usize, unit: usize) -> Case {
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
    let router: Router<'_, RawMutex, _> = Router::new(&mut storage, Stopped, &Config::new([1; 16]));
    assert!(router.set_endpoint_id(DEVICE));
    let unit = PortConfig {
        unit: case.unit,
        ..PortConfig::default()
    };
    router.configure_port(PORT, unit);

    let mut subsystem = default_subsystem("0123456789ab").expect("a good serial number");
    let unit_changes = UnitChanges::new();
    let world = default_world(default_firmware(&mut []), &unit_changes);
    let mut buffers = MessageBuffers::new();
    let responder = Responder::new(subsystem.model(), MANAGEMENT_PORT, world, &mut buffers);
    let mut management = Management {
        responder: responder.expect("the default model has the port"),
        port: MANAGEMENT_PORT,
        unit_changes: &unit_changes,
    };
    let mut buffer = [0; nvme_mi_responder::MAX_MESSAGE_LENGTH - 1];

    let (mut receiver, mut sender) = (Receiver::new(&link), Sender(&link));
    let mut tasks: [Task<'_>; 3] = [
        pin!(router.run_receive(PORT, &mut receiver)),
        pin!(serve(&router, &mut management, Stopped, &mut buffer, &())),
        pin!(router.run_send(PORT, &mut sender)),
    ];
    count(case, &link, &mut tasks);
    assert_eq!(router.drop_counters().total(), 0);
}

fn count(case: &Case, link: &Link, tasks: &mut [Task<'_>]) {
    // Each says what it is before the first request comes.
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
    for rounds in ROUNDS {
        link.sent.set(0);
        let start = time::cycles();
        for _ in 0..rounds {
            round_trip(link, tasks);
        }
        let ticks = time::cycles() - start;
        assert_eq!(link.sent.get(), each * rounds as usize, "all rounds alike");
        println!("{} {rounds} {ticks}", case.name);
    }
}

/// The smallest executor: polls everybody until the end of the response is out.
fn round_trip(link: &Link, tasks: &mut [Task<'_>]) {
    link.taken.set(0);
    link.has_ended.set(false);
    while !link.has_ended.get() {
        poll(tasks);
    }
}

fn poll(tasks: &mut [Task<'_>]) {
    let mut context = Context::from_waker(Waker::noop());
    for task in tasks {
        let _ = task.as_mut().poll(&mut context);
    }
}

/// Reading a clock is the board's cost.
#[derive(Clone, Copy)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Instant {
        Instant::from_millis(1)
    }

    async fn wait_until(&self, _: Instant) {
        pending().await
    }
}

/// A bus with one requester on it.
struct Link {
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
    fn new(case: &Case) -> Self {
        let mut packets = Vec::new();
        let mut sequence = SequenceNumber::default();
        let count = case.request.len().div_ceil(case.unit);
        for (index, payload) in case.request.chunks(case.unit).enumerate() {
            let header = PacketHeader {
                destination: DEVICE,
                source: REQUESTER,
                start: index == 0,
                end: index + 1 == count,
                sequence,
                tag_owner: true,
                tag: TAG,
            };
            packets.extend(header.to_bytes());
            packets.extend(payload.iter().copied());
            sequence = sequence.next();
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

    fn send(&self, packet: &[u8]) {
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

struct Receiver<'l> {
    link: &'l Link,
    is_up: bool,
}

impl<'l> Receiver<'l> {
    fn new(link: &'l Link) -> Self {
        Self { link, is_up: false }
    }
}

impl TransportRx for Receiver<'_> {
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
        TransferLayout {
            headroom: 4,
            tailroom: 0,
            max_packet: 251,
            max_transfer: 511,
            packs: true,
        }
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        for frame in transfer.frames() {
            self.0.send(frame.packet);
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    eprintln!("{information}");
    process::exit(101)
}

#[exception(trampoline = false)]
unsafe fn HardFault() -> ! {
    process::exit(102)
}
