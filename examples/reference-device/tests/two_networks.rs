//! One drive with a management endpoint in each of two networks, as a board with USB and two wires
//! has it.

use core::cell::{Cell, RefCell};
use core::future::{Future, pending, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use std::collections::VecDeque;

use embassy_futures::poll_once;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp_router::{NetworkId, PortId};
use mctp_transport::{
    PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx, TransportTx,
};
use nvme_mi_responder::wire::{
    AdminRequest, ConfigurationIdentifier, FirmwareCommit, FirmwareImageDownload, GetLogPage,
    LogPageId, ManagementRequest, SetTransmissionUnitSize,
};
use nvme_mi_responder::world::StreamedFirmware;
use nvme_mi_responder::{
    Crc32c, Device, ManagementEndpoint, MessageBuffer, Server, SoftwareCrc32c,
};
use reference_device::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use reference_device::{
    Clock, ECHO_CHANNELS, Identity, Instant, MANAGE_CHANNELS, MANAGEMENT_PORT, ManagementLink,
    NETWORK, Options, PORT, Router, RouterStorage, TWO_WIRE_PORT, default_world, echo, manage,
    report_events, two_network_subsystem,
};
use zerocopy::IntoBytes;

const TWO_WIRE: NetworkId = NetworkId(1);
const TWO_WIRE_ROUTER_PORT: PortId = PortId(1);
/// Packet header, message type included.
const START: u8 = 0x80;
const END: u8 = 0x40;
const NVME_MI: u8 = 0x84;
/// Bytes of a packet, header not counted, until more was asked for.
const BASELINE: usize = 64;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Instant {
        Instant::from_millis(0)
    }

    async fn wait_until(&self, _: Instant) {
        pending().await
    }
}

/// The host of a network, with endpoint ID 8. The device has 9 in both.
struct Host {
    /// Where it is on its bus.
    address: PhysicalAddress,
    to_device: RefCell<VecDeque<Vec<u8>>>,
    from_device: RefCell<Vec<Vec<u8>>>,
    is_unplugged: Cell<bool>,
}

impl Host {
    fn at(address: PhysicalAddress) -> Self {
        Self {
            address,
            to_device: RefCell::default(),
            from_device: RefCell::default(),
            is_unplugged: Cell::default(),
        }
    }

    /// Sends a message: its type and what follows.
    fn send(&self, tag: u8, message: &[u8]) {
        let chunks = message.chunks(BASELINE);
        let last = chunks.len() - 1;
        for (at, chunk) in chunks.enumerate() {
            let mut flags = (at as u8 & 3) << 4 | 8 | tag;
            flags |= if at == 0 { START } else { 0 };
            flags |= if at == last { END } else { 0 };
            let packet = [&[1, 9, 8, flags], chunk].concat();
            self.to_device.borrow_mut().push_back(packet);
        }
    }

    /// An NVMe-MI message, with its integrity check.
    fn ask(&self, tag: u8, body: &[&[u8]]) {
        let mut message = vec![NVME_MI];
        message.extend(body.concat());
        let check = SoftwareCrc32c.crc32c(&[&message]);
        message.extend(check.to_le_bytes());
        self.send(tag, &message);
    }

    /// The payload bytes of each packet that was received.
    fn packet_lengths(&self) -> Vec<usize> {
        let packets = self.from_device.borrow();
        packets.iter().map(|packet| packet.len() - 4).collect()
    }

    /// The message that was received, type first; the packets are of one.
    fn answer(&self) -> Vec<u8> {
        let packets = self.from_device.take();
        assert!(packets.first().is_some_and(|packet| packet[3] & START != 0));
        assert!(packets.last().is_some_and(|packet| packet[3] & END != 0));
        packets
            .iter()
            .flat_map(|packet| packet[4..].iter().copied())
            .collect()
    }

    /// The response to an NVMe-MI command that succeeded, from its status on.
    fn success(&self) -> Vec<u8> {
        let answer = self.answer();
        assert_eq!((answer[0], answer[4]), (NVME_MI, 0), "{answer:02x?}");
        answer[4..answer.len() - 4].to_vec()
    }
}

struct FromHost<'h> {
    host: &'h Host,
    is_up: bool,
    packet: Vec<u8>,
}

impl TransportRx for FromHost<'_> {
    async fn receive(&mut self) -> Received<'_> {
        poll_fn(|_| {
            if self.is_up && self.host.is_unplugged.replace(false) {
                self.is_up = false;
                return Poll::Ready(Some(Received::LinkDown));
            }
            if !core::mem::replace(&mut self.is_up, true) {
                return Poll::Ready(Some(Received::LinkUp));
            }
            match self.host.to_device.borrow_mut().pop_front() {
                Some(packet) => {
                    self.packet = packet;
                    Poll::Ready(None)
                }
                None => Poll::Pending,
            }
        })
        .await
        .unwrap_or(Received::Packet {
            source: self.host.address,
            bytes: &self.packet,
        })
    }
}

struct ToHost<'h>(&'h Host);

impl TransportTx for ToHost<'_> {
    fn layout(&self) -> TransferLayout {
        TransferLayout::new(4, 255, 512).with_packs(true)
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        assert_eq!(transfer.destination(), self.0.address);
        let mut packets = self.0.from_device.borrow_mut();
        packets.extend(transfer.packets().map(<[u8]>::to_vec));
        Ok(())
    }
}

type Storage<'b> = RouterStorage<
    Ports<'b, 2>,
    Networks<2>,
    ShortMessages<'b, 4>,
    LongMessages<'b, 2, 4224>,
    Channels<'b, { ECHO_CHANNELS + 2 * MANAGE_CHANNELS }>,
    Routes<0, 0>,
>;

/// Runs a test with the device and both hosts: USB's, and that on the two wires. The test calls what
/// it is given to let all tasks run.
fn with_device(test: impl FnOnce([&Host; 2], &mut dyn FnMut())) {
    let mut storage = Box::new(Storage::new());
    let mut transfers = PortBuffers::<512>::new();
    let mut two_wire_transfers = PortBuffers::<259>::new();
    let identity = Identity::for_development(*b"the device UUID.");
    let options = Options::default();
    let router: Router<'_, NoopRawMutex, _> =
        reference_device::router(Stopped, &identity, &options, &mut transfers, &mut *storage);
    let port = router.add_port(TWO_WIRE, &mut two_wire_transfers);
    assert_eq!(port, Ok(TWO_WIRE_ROUTER_PORT));
    router.set_endpoint_id(NETWORK, mctp::Eid(9));
    router.set_endpoint_id(TWO_WIRE, mctp::Eid(9));

    let links = [
        ManagementLink::new(),
        ManagementLink::at(TWO_WIRE, TWO_WIRE_ROUTER_PORT),
    ];
    let [usb_link, further_links @ ..] = &links;
    let mut subsystem = two_network_subsystem("0123456789ab", 0x1D).unwrap();
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let firmware = StreamedFirmware::checked_by(SoftwareCrc32c, slots);
    let world = default_world(firmware, usb_link, SoftwareCrc32c);
    let world = world.with_further_links(further_links.each_ref());
    let mut device = Device::new(subsystem.model(), world);
    let mut buffers = [(); 4].map(|()| MessageBuffer::new());
    let mut buffers = buffers.each_mut().into_iter();
    let endpoints = [MANAGEMENT_PORT, TWO_WIRE_PORT].map(|port| {
        let pair = [buffers.next().unwrap(), buffers.next().unwrap()];
        ManagementEndpoint::new(&mut device, port, pair).unwrap()
    });
    let device = RefCell::new(device);
    let servers = endpoints.map(|endpoint| Server::new(&device, endpoint));

    let hosts = [
        PhysicalAddress::POINT_TO_POINT,
        PhysicalAddress::from_byte(0x10),
    ]
    .map(Host::at);
    let mut receivers = hosts.each_ref().map(|host| FromHost {
        host,
        is_up: false,
        packet: Vec::new(),
    });
    let mut senders = hosts.each_ref().map(ToHost);
    let [from_usb, from_wires] = receivers.each_mut();
    let [to_usb, to_wires] = senders.each_mut();
    let usb_events = usb_link.watched_by(&());
    let events = further_links[0].watched_by(&usb_events);
    let [usb_server, wires_server] = &servers;
    let mut tasks: [Pin<Box<dyn Future<Output = _> + '_>>; 8] = [
        Box::pin(echo(&router).unwrap()),
        Box::pin(manage(&router, usb_server, usb_link, Stopped).unwrap()),
        Box::pin(manage(&router, wires_server, &further_links[0], Stopped).unwrap()),
        Box::pin(report_events(&router, events)),
        Box::pin(router.run_receive(PORT, from_usb)),
        Box::pin(router.run_send(PORT, to_usb)),
        Box::pin(router.run_receive(TWO_WIRE_ROUTER_PORT, from_wires)),
        Box::pin(router.run_send(TWO_WIRE_ROUTER_PORT, to_wires)),
    ];
    test(hosts.each_ref(), &mut || {
        for _ in 0..100 {
            for task in &mut tasks {
                assert!(poll_once(task.as_mut()).is_pending());
            }
        }
    });
}

/// Echo of so many bytes behind what names the service.
fn echo_request(len: usize) -> Vec<u8> {
    let mut message = vec![0x7E, 0xCC, 0xDE, 0xF0];
    message.resize(len, 0x33);
    message
}

fn set_unit(port: nvme_mi_responder::PortId, unit: u16) -> ManagementRequest {
    let mut command = SetTransmissionUnitSize::default();
    command.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
    command.port_id = port.0;
    command.size.set(unit);
    ManagementRequest::new(0, command)
}

/// The 20 bytes of revisions in the Firmware Slot Information log.
fn revisions(host: &Host, run: &mut dyn FnMut()) -> Vec<u8> {
    let mut log = GetLogPage::default();
    log.log_page_id = LogPageId::FIRMWARE_SLOT_INFORMATION;
    log.number_of_dwords_lower.set(512 / 4 - 1);
    let mut request = AdminRequest::new(0, 0, log);
    request.flags = AdminRequest::DATA_LENGTH_VALID;
    request.data_length.set(512);
    host.ask(0, &[request.as_bytes()]);
    run();
    let page = host.success().split_off(16);
    page[8..32].to_vec()
}

#[test]
fn both_endpoints_answer_at_once() {
    with_device(|[usb, wires], run| {
        // NVM Subsystem Health Status Poll.
        let poll: &[u8] = &[8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        usb.send(1, &echo_request(20));
        wires.send(1, &echo_request(30));
        usb.ask(2, &[poll]);
        wires.ask(2, &[poll]);
        run();
        for (host, len) in [(usb, 20), (wires, 30)] {
            let packets = host.from_device.take();
            let echo = packets.iter().find(|packet| packet[4] == 0x7E).unwrap();
            assert_eq!((echo.len() - 4, echo[3]), (len, 0xC1));
            let health = packets.iter().find(|packet| packet[4] == NVME_MI).unwrap();
            assert_eq!((health[3], health[8]), (0xC2, 0));
            assert_eq!(packets.len(), 2);
        }
    });
}

#[test]
fn the_transmission_unit_of_a_port_is_that_of_its_link_alone() {
    with_device(|[usb, wires], run| {
        let lengths = |usb_unit: usize, wires_unit: usize, run: &mut dyn FnMut()| {
            for (host, unit) in [(usb, usb_unit), (wires, wires_unit)] {
                host.send(1, &echo_request(250));
                run();
                assert_eq!(host.packet_lengths().first(), Some(&unit));
                assert_eq!(host.answer(), echo_request(250));
            }
        };
        lengths(64, 64, run);
        // Whoever asks: the port is what counts.
        for (host, port, units) in [
            (wires, TWO_WIRE_PORT, (64, 128)),
            (wires, MANAGEMENT_PORT, (200, 128)),
            (usb, TWO_WIRE_PORT, (200, 250)),
        ] {
            let unit = if port == TWO_WIRE_PORT {
                units.1
            } else {
                units.0
            };
            host.ask(0, &[set_unit(port, unit as u16).as_bytes()]);
            run();
            host.success();
            lengths(units.0, units.1, run);
        }
    });
}

#[test]
fn a_firmware_update_by_one_is_seen_by_the_other() {
    with_device(|[usb, wires], run| {
        assert!(revisions(usb, run).starts_with(b"REF00001REF00002"));
        // Pieces are multiples of 4 KiB.
        let content = [0x5A; 4096 - 24];
        let image = [
            &firmware_store::firmware_image_header(*b"REF00003", &content)[..],
            &content,
        ];
        let image = image.concat();
        let mut download = FirmwareImageDownload::default();
        download.number_of_dwords.set(image.len() as u32 / 4 - 1);
        let mut request = AdminRequest::new(0, 0, download);
        request.flags = AdminRequest::DATA_LENGTH_VALID;
        request.data_length.set(image.len() as u32);
        // The image comes by one, and is committed by the other: the download is the drive's.
        wires.ask(0, &[request.as_bytes(), &image]);
        run();
        assert_eq!(wires.success()[12..16], [0; 4]);
        let commit = AdminRequest::new(0, 0, FirmwareCommit::new(3, 0));
        usb.ask(0, &[commit.as_bytes()]);
        run();
        assert_eq!(usb.success()[12..16], [0; 4]);
        for host in [usb, wires] {
            assert!(revisions(host, run).starts_with(b"REF00001REF00002REF00003"));
        }
    });
}

#[test]
fn a_lost_link_resets_its_own_endpoint() {
    with_device(|[usb, wires], run| {
        // Control primitive Pause, of both endpoints.
        let pause: &[u8] = &[0, 0, 0, 0, 7, 0, 0];
        let get_state: &[u8] = &[0, 0, 0, 3, 8, 0, 0];
        for host in [usb, wires] {
            host.ask(0, &[pause]);
            run();
            host.success();
        }
        usb.is_unplugged.set(true);
        run();
        // Bit 15 of CPSR: paused.
        for (host, paused) in [(usb, 0), (wires, 1)] {
            host.ask(0, &[get_state]);
            run();
            let state = host.success();
            assert_eq!(state[3] >> 7, paused, "{state:02x?}");
        }
    });
}
