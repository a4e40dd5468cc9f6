//! What the device does besides the control protocol, which its router does: a function for each
//! service.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::pending;

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::Eid;
use mctp_router::wire::Version;
use mctp_router::{Clock, Listener, Message, PortConfig, Responder, Router, Service, Target};
use nvme_mi_responder::wire::{MessageKind, RequestHeader};
use nvme_mi_responder::world::World;
use nvme_mi_responder::{Listen, ReceivedMessage, Server};

use zerocopy::FromBytes;

use crate::management::{ManagementLink, ToldDrops};
use crate::observer::Observer;

/// The router's channels that [`echo`] takes: its listener.
pub const ECHO_CHANNELS: usize = 1;

/// The router's channels that [`manage`] takes: its listener, and an Asynchronous Event Message
/// that is being sent.
pub const MANAGE_CHANNELS: usize = 2;

/// Of NVMe-MI over MCTP: DSP0235 1.0.1, encoded as in DSP0236 section 12.7.2. For a message type
/// the version is that of its binding.
const NVME_MI_VERSIONS: &[Version] = &[Version::from_bytes([0xF1, 0xF0, 0xF1, 0x00])];
/// One for each command slot, one for control primitives.
const NVME_MI_LISTENERS: usize = 3;

/// Serves echo for ever, the vendor test service of the Linux MCTP tools. The response is sent from
/// where the request was received.
///
/// # Errors
///
/// Only at the start: when the router's storage has no channel left, or somebody else serves echo.
pub fn echo<M: RawMutex, C: Clock>(
    router: &Router<'_, M, C>,
) -> mctp::Result<impl Future<Output = Infallible>> {
    let service = const { Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE]) };
    let listener = router.listener(service)?;
    Ok(async move {
        loop {
            let message = listener.receive().await;
            if mctp_echo::is_request(message.bytes()) {
                // A host that does not read is counted by the router; it asks again if it wants to.
                let _ = message
                    .respond(message.origin().integrity_check(), &[message.bytes()])
                    .await;
            }
            // The next request may need its buffer.
            drop(message);
            // A host that asks without end does not keep others from their turn.
            yield_now().await;
        }
    })
}

/// Serves NVMe-MI for ever: both command slots and control primitives at once. The link follows the
/// transmission unit and the frequency that are configured over NVMe-MI. What a host set up is not
/// there for the next: a lost link, which [`report_events`] tells an
/// [observer](ManagementLink::watched_by), resets the management endpoint.
///
/// `clock` is the time that the subsystem lives by, as a rule the router's.
///
/// # Errors
///
/// Only at the start: when the router's storage has no channel left, or somebody else serves
/// NVMe-MI.
pub fn manage<M: RawMutex, C: Clock, W: World>(
    router: &Router<'_, M, C>,
    server: &Server<'_, '_, '_, W>,
    link: &ManagementLink,
    clock: impl Clock,
) -> mctp::Result<impl Future<Output = Infallible>> {
    let service = Service::message_type(mctp::MCTP_TYPE_NVME).with_versions(NVME_MI_VERSIONS);
    let listener = router.listener(service.at(link.network()))?;
    link.follow(server.port());
    Ok(async move {
        let told_drops = Cell::new(ToldDrops::default());
        // A Get State says what was dropped before it came.
        let note_drops = || {
            let mut told = told_drops.take();
            server.note(told.tell(&router.drop_counters()));
            told_drops.set(told);
        };
        let listeners = [(); NVME_MI_LISTENERS].map(|()| InPlace {
            listener: &listener,
            before_a_primitive: &note_drops,
        });
        let serve = server.serve(
            listeners,
            |endpoint_id| router.request_channel(Target::Endpoint(link.network(), endpoint_id)),
            &clock,
        );
        match select(serve, follow_link(router, server, link)).await {
            // It ends only if the listener does, which this one does not.
            Either::First(_) => pending().await,
            Either::Second(never) => never,
        }
    })
}

/// Tells `observer` for ever what happens. For one task: each event is told once.
pub async fn report_events<M: RawMutex, C: Clock>(
    router: &Router<'_, M, C>,
    observer: impl Observer,
) -> Infallible {
    loop {
        let event = router.next_event().await;
        observer.event(event, &router.drop_counters());
    }
}

/// Requests in the router's buffers.
struct InPlace<'l, 'r, 'b, M: RawMutex, C: Clock, F> {
    listener: &'l Listener<'r, 'b, M, C>,
    /// Called when a control primitive was received.
    before_a_primitive: &'l F,
}

impl<'l, 'b, M: RawMutex, C: Clock, F: Fn()> Listen for InPlace<'l, '_, 'b, M, C, F> {
    type Message<'a>
        = Request<'l, 'b, M, C>
    where
        Self: 'a;

    async fn listen(&mut self) -> mctp::Result<Self::Message<'_>> {
        let message = self.listener.receive().await;
        let header = RequestHeader::ref_from_prefix(message.bytes());
        // Get State is one.
        if header.is_ok_and(|(header, _)| header.kind() == MessageKind::CONTROL_PRIMITIVE) {
            (self.before_a_primitive)();
        }
        Ok(Request(message))
    }
}

struct Request<'m, 'b, M: RawMutex, C: Clock>(Message<'m, 'b, M, C>);

impl<'m, 'b, M: RawMutex, C: Clock> ReceivedMessage for Request<'m, 'b, M, C> {
    type Channel = Responder<'m, 'b, M, C>;

    fn source(&self) -> Eid {
        self.0.origin().source()
    }
    fn integrity_check(&self) -> bool {
        self.0.origin().integrity_check().0
    }
    fn body(&self) -> &[u8] {
        self.0.bytes()
    }
    fn into_channel(self) -> Self::Channel {
        self.0.into_responder()
    }
    fn discard_bad_integrity_check(self) {
        self.0.discard_bad_integrity_check();
    }
}

/// Lets the link follow the transmission unit and the frequency of the subsystem's port, and resets
/// the management endpoint when the link is lost.
async fn follow_link<M: RawMutex, C: Clock, W: World>(
    router: &Router<'_, M, C>,
    server: &Server<'_, '_, '_, W>,
    link: &ManagementLink,
) -> Infallible {
    loop {
        link.changed().await;
        if let Some(unit) = link.take_unit() {
            router.configure_port(link.router_port(), PortConfig::new(unit.into()));
        }
        if let Some(frequency) = link.take_frequency() {
            let port = link.router_port();
            link.frequency().change(router, port, frequency);
        }
        if link.take_loss() {
            server.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::{Cell, RefCell};
    use core::future::pending;
    use core::pin::pin;
    use std::boxed::Box;

    use embassy_futures::poll_once;
    use embassy_sync::blocking_mutex::raw::NoopRawMutex;
    use mctp_router::storage::{
        Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
    };
    use mctp_router::{Config, Instant, RouterStorage};
    use mctp_transport::{
        PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx, TransportTx,
    };
    use nvme_mi_responder::{Device, ManagementEndpoint, MessageBuffer, SoftwareCrc32c};

    use super::*;
    use crate::device::{NETWORK, PORT};
    use crate::{MANAGEMENT_PORT, default_firmware, default_subsystem, default_world};

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Instant {
            Instant::from_millis(0)
        }

        async fn wait_until(&self, _: Instant) {
            pending().await
        }
    }

    type Storage<'b, const CHANNELS: usize> = RouterStorage<
        Ports<'b, 1>,
        Networks<1>,
        ShortMessages<'b, 4>,
        LongMessages<'b, 2, 4224>,
        Channels<'b, CHANNELS>,
        Routes<2>,
    >;

    fn storage<'b, const CHANNELS: usize>() -> Storage<'b, CHANNELS> {
        RouterStorage::new()
    }

    /// With so many channels: whether echo, and then NVMe-MI, can be served.
    fn served<const CHANNELS: usize>() -> (bool, bool) {
        let mut storage = storage::<CHANNELS>();
        let config = Config::new([1; 16]);
        let router = Router::<NoopRawMutex, _>::new(&mut storage, Stopped, &config);
        let mut subsystem = default_subsystem("0123456789ab").unwrap();
        let link = ManagementLink::new();
        let world = default_world(default_firmware(&mut []), &link, SoftwareCrc32c);
        let mut device = Device::new(subsystem.model(), world);
        let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
        let buffers = buffers.each_mut();
        let endpoint = ManagementEndpoint::new(&mut device, MANAGEMENT_PORT, buffers);
        let device = RefCell::new(device);
        let server = Server::new(&device, endpoint.unwrap());
        let echo = echo(&router);
        let manage = manage(&router, &server, &link, Stopped);
        (echo.is_ok(), manage.is_ok())
    }

    #[test]
    fn a_service_that_finds_no_channel_says_so_at_the_start() {
        assert_eq!(served::<ECHO_CHANNELS>(), (true, false));
        let both = served::<{ ECHO_CHANNELS + MANAGE_CHANNELS }>();
        assert_eq!(both, (true, true));
    }

    /// Echo requests of one packet with tags 0 to 3, from endpoint ID 8.
    const REQUESTS: [[u8; 9]; 4] = [
        [1, 0, 8, 0xC8, 0x7E, 0xCC, 0xDE, 0xF0, 1],
        [1, 0, 8, 0xC9, 0x7E, 0xCC, 0xDE, 0xF0, 2],
        [1, 0, 8, 0xCA, 0x7E, 0xCC, 0xDE, 0xF0, 3],
        [1, 0, 8, 0xCB, 0x7E, 0xCC, 0xDE, 0xF0, 4],
    ];

    /// A host that plugs itself in and sends all requests at once.
    struct Asking<const LENGTH: usize> {
        link_is_up: bool,
        requests: core::slice::Iter<'static, [u8; LENGTH]>,
    }

    impl<const LENGTH: usize> TransportRx for Asking<LENGTH> {
        async fn receive(&mut self) -> Received<'_> {
            if !core::mem::replace(&mut self.link_is_up, true) {
                return Received::LinkUp;
            }
            match self.requests.next() {
                Some(bytes) => Received::Packet {
                    source: PhysicalAddress::POINT_TO_POINT,
                    bytes,
                },
                None => pending().await,
            }
        }
    }

    /// Counts the packets that the host reads.
    struct Reading<'c>(&'c Cell<usize>);

    impl TransportTx for Reading<'_> {
        fn layout(&self) -> TransferLayout {
            TransferLayout::new(4, 251, 512).with_packs(true)
        }

        async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
            self.0.set(self.0.get() + transfer.packets().count());
            Ok(())
        }
    }

    #[test]
    fn echo_requests_without_end_do_not_keep_others_from_their_turn() {
        let (mut storage, mut buffers) = (storage::<ECHO_CHANNELS>(), PortBuffers::<512>::new());
        let config = Config::new([1; 16]);
        let router = Router::<NoopRawMutex, _>::new(&mut storage, Stopped, &config);
        assert_eq!(router.add_port(NETWORK, &mut buffers), Ok(PORT));
        let answered = Cell::new(0);
        let mut reading = Reading(&answered);
        let mut asking = Asking {
            link_is_up: false,
            requests: REQUESTS.iter(),
        };
        let mut echo = pin!(echo(&router).unwrap());
        let mut send = pin!(router.run_send(PORT, &mut reading));
        let mut receive = pin!(router.run_receive(PORT, &mut asking));
        let mut poll_all_but_echo = || {
            assert!(poll_once(send.as_mut()).is_pending());
            assert!(poll_once(receive.as_mut()).is_pending());
            assert!(poll_once(send.as_mut()).is_pending());
        };
        poll_all_but_echo();
        for turn in 1..=REQUESTS.len() {
            assert!(poll_once(echo.as_mut()).is_pending());
            poll_all_but_echo();
            assert_eq!(answered.get(), turn);
        }
    }

    /// NVM Subsystem Health Status Poll from endpoint ID 8 with tag 0, and the same with a bad
    /// integrity check and tag 1.
    const POLLS: [[u8; 24]; 2] = [
        [
            1, 0, 8, 0xC8, 0x84, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xAA, 0xEF, 0x81,
            0xB4,
        ],
        [
            1, 0, 8, 0xC9, 0x84, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xAA, 0xEF, 0x81,
            0xB4,
        ],
    ];

    #[test]
    fn two_endpoints_of_one_device_are_reached_by_two_networks_of_one_router() {
        let mut storage = RouterStorage::<
            Ports<'_, 2>,
            Networks<2>,
            ShortMessages<'_, 4>,
            LongMessages<'_, 2, 4224>,
            Channels<'_, { 2 * MANAGE_CHANNELS }>,
            Routes<2, 2>,
        >::new();
        let config = Config::new([1; 16]);
        let router = Router::<NoopRawMutex, _>::new(&mut storage, Stopped, &config);
        let mut transfers = [PortBuffers::<512>::new(), PortBuffers::<512>::new()];
        let networks = [NETWORK, mctp_router::NetworkId(1)];
        let mut links = networks
            .iter()
            .zip(&mut transfers)
            .map(|(network, transfers)| {
                let port = router.add_port(*network, transfers).unwrap();
                ManagementLink::at(*network, port)
            });
        let links = [links.next().unwrap(), links.next().unwrap()];
        let mut subsystem = default_subsystem("0123456789ab").unwrap();
        let world = default_world(default_firmware(&mut []), &links[0], SoftwareCrc32c);
        let mut device = Device::new(subsystem.model(), world);
        let mut buffers = [(); 4].map(|()| MessageBuffer::new());
        let mut buffers = buffers.each_mut().into_iter();
        let endpoints = [MANAGEMENT_PORT, nvme_mi_responder::PortId(0)].map(|port| {
            let pair = [buffers.next().unwrap(), buffers.next().unwrap()];
            ManagementEndpoint::new(&mut device, port, pair).unwrap()
        });
        let device = RefCell::new(device);
        let servers = endpoints.map(|endpoint| Server::new(&device, endpoint));
        let [mut first, mut second] = [0, 1].map(|index| {
            let (server, link) = (&servers[index], &links[index]);
            Box::pin(manage(&router, server, link, Stopped).unwrap())
        });
        let answered = [Cell::new(0), Cell::new(0)];
        let mut reading = answered.each_ref().map(Reading);
        let mut asking = [(); 2].map(|()| Asking {
            link_is_up: false,
            requests: POLLS.iter(),
        });
        let [to_first, to_second] = reading.each_mut();
        let [from_first, from_second] = asking.each_mut();
        let mut links = [
            (
                Box::pin(router.run_send(links[0].router_port(), to_first)),
                Box::pin(router.run_receive(links[0].router_port(), from_first)),
            ),
            (
                Box::pin(router.run_send(links[1].router_port(), to_second)),
                Box::pin(router.run_receive(links[1].router_port(), from_second)),
            ),
        ];
        for _ in 0..4 {
            assert!(poll_once(first.as_mut()).is_pending());
            assert!(poll_once(second.as_mut()).is_pending());
            for (send, receive) in &mut links {
                assert!(poll_once(receive.as_mut()).is_pending());
                assert!(poll_once(send.as_mut()).is_pending());
            }
        }
        assert_eq!(answered.each_ref().map(Cell::get), [1, 1]);
        let drops = router.drop_counters();
        assert_eq!(drops.of(mctp_transport::DropReason::BadIntegrityCheck), 2);
        assert_eq!(drops.total(), 2);
    }
}
