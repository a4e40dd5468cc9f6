//! The bench service's stream into USB transfers, and packets out of them, by `mctp-usb`.

use std::future::Future;
use std::pin::pin;

use embassy_usb_driver::{
    Direction, Endpoint, EndpointAddress, EndpointError, EndpointIn, EndpointInfo, EndpointOut,
    EndpointType,
};
use mctp_bench::Bench;
use mctp_router::{PortId, Service, Target};
use mctp_transport::{Received, TransportRx};
use mctp_usb::{BusEvents, RECEIVE_BUFFER_LEN_1_1, SendLimits, Sender, Version};

use super::NETWORK;
use super::shell::{Receiver, router};
use crate::case::Case;
use crate::executor::{Task, measure};
use crate::leak;
use crate::link::Link;
use crate::stack_clock::StackClock;
use crate::usb_host;

const PORT: PortId = PortId(0);

/// A host that reads whatever it is sent at once.
struct Host {
    info: EndpointInfo,
    link: &'static Link,
}

impl Endpoint for Host {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {}
}

impl EndpointIn for Host {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        self.link.send_usb_transfer(bytes);
        Ok(())
    }
}

fn info(direction: Direction) -> EndpointInfo {
    EndpointInfo {
        addr: EndpointAddress::from_parts(1, direction),
        ep_type: EndpointType::Bulk,
        max_packet_size: 512,
        interval_ms: 0,
    }
}

/// The `mctp-bench` service, asked for messages of [`Case::payload`] bytes, sends them as requests.
#[inline]
pub fn stream(case: &Case) {
    let link = Link::of_stream(case);
    let router = router(case);
    let service = Service::vendor_pci(mctp_bench::VENDOR_ID, &[mctp_bench::SUBTYPE]);
    let mut listener = router.listener(service).expect("a free channel");
    let serve = async move {
        let (bench, mut buffer) = (Bench::new(), [0; 64]);
        let channel = |requester| router.request_channel(Target::Endpoint(NETWORK, requester));
        let served = mctp_bench::serve(&bench, &mut listener, channel, StackClock, &mut buffer);
        let error = served.await;
        panic!("{error}")
    };
    let info = info(Direction::In);
    let version = Version::V1_0;
    let limits = SendLimits::new(version);
    let sender = Sender::new(Host { info, link }, version, leak(BusEvents::new()), limits);
    let receiver = Receiver {
        link,
        port: PORT,
        up: false,
    };
    let mut tasks: Vec<Task> = vec![
        Box::pin(router.run_receive(PORT, leak(receiver))),
        Box::pin(serve),
        Box::pin(router.run_send(PORT, leak(sender))),
    ];
    if cfg!(feature = "board") {
        tasks.push(Box::pin(router.run_timers()));
    }
    measure(case, link, tasks);
    assert_eq!(router.drop_counters().total(), 0);
}

/// Where a host's transfers are read.
struct EndpointOfHost {
    info: EndpointInfo,
    host: &'static usb_host::Host,
}

impl Endpoint for EndpointOfHost {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {}
}

impl EndpointOut for EndpointOfHost {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        Ok(self.host.read(buffer).await)
    }
}

/// The receiver hands out the packets of transfers.
pub fn receive_transfers(case: &usb_host::Case) {
    let host = usb_host::Host::of(case);
    let endpoint = EndpointOfHost {
        info: info(Direction::Out),
        host,
    };
    let version = match case.version_1_1 {
        false => Version::V1_0,
        true => Version::V1_1,
    };
    let buffer = leak([0; RECEIVE_BUFFER_LEN_1_1]);
    let receiver = mctp_usb::Receiver::new(endpoint, version, leak(BusEvents::new()), buffer);
    let mut receiver = receiver.expect("a buffer for the longest packet");
    usb_host::measure(case, host, |context| {
        pin!(receiver.receive())
            .poll(context)
            .map(|received| match received {
                Received::Packet { bytes, .. } => host.take(bytes),
                Received::LinkUp => {}
                other => panic!("{other:?}"),
            })
    });
}
