//! The bench service's stream into USB transfers, by `mctp-usb-embassy`.

use embassy_usb::driver::{
    Bus, ControlPipe, Direction, Driver, Endpoint, EndpointAddress, EndpointAllocError,
    EndpointError, EndpointIn, EndpointInfo, EndpointOut, EndpointType, Event, Unsupported,
};
use embassy_usb::{Builder, Config};
use mctp_bench::Bench;
use mctp_usb_embassy::MctpUsbClass;

use super::shell::{receive, router};
use crate::case::Case;
use crate::executor::{Task, measure};
use crate::leak;
use crate::link::Link;

/// The endpoints of a host that reads whatever it is sent at once.
struct Host {
    link: &'static Link,
}

struct HostEndpoint {
    info: EndpointInfo,
    link: &'static Link,
}

impl Host {
    fn endpoint(&self, direction: Direction, max_packet_size: u16) -> HostEndpoint {
        let info = EndpointInfo {
            addr: EndpointAddress::from_parts(1, direction),
            ep_type: EndpointType::Bulk,
            max_packet_size,
            interval_ms: 0,
        };
        HostEndpoint {
            info,
            link: self.link,
        }
    }
}

impl Driver<'static> for Host {
    type EndpointOut = HostEndpoint;
    type EndpointIn = HostEndpoint;
    type ControlPipe = Never;
    type Bus = Never;

    fn alloc_endpoint_out(
        &mut self,
        _: EndpointType,
        max_packet_size: u16,
        _: u8,
    ) -> Result<HostEndpoint, EndpointAllocError> {
        Ok(self.endpoint(Direction::Out, max_packet_size))
    }

    fn alloc_endpoint_in(
        &mut self,
        _: EndpointType,
        max_packet_size: u16,
        _: u8,
    ) -> Result<HostEndpoint, EndpointAllocError> {
        Ok(self.endpoint(Direction::In, max_packet_size))
    }

    fn start(self, _: u16) -> (Never, Never) {
        panic!("the endpoints alone are used")
    }
}

impl Endpoint for HostEndpoint {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {}
}

impl EndpointOut for HostEndpoint {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, EndpointError> {
        Err(EndpointError::Disabled)
    }
}

impl EndpointIn for HostEndpoint {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        self.link.send_usb_transfer(bytes);
        Ok(())
    }
}

/// There is no bus and no control pipe.
enum Never {}

impl Bus for Never {
    async fn enable(&mut self) {}

    async fn disable(&mut self) {}

    async fn poll(&mut self) -> Event {
        match *self {}
    }

    fn endpoint_set_enabled(&mut self, _: EndpointAddress, _: bool) {}

    fn endpoint_set_stalled(&mut self, _: EndpointAddress, _: bool) {}

    fn endpoint_is_stalled(&mut self, _: EndpointAddress) -> bool {
        match *self {}
    }

    async fn remote_wakeup(&mut self) -> Result<(), Unsupported> {
        match *self {}
    }
}

impl ControlPipe for Never {
    fn max_packet_size(&self) -> usize {
        match *self {}
    }

    async fn setup(&mut self) -> [u8; 8] {
        match *self {}
    }

    async fn data_out(&mut self, _: &mut [u8], _: bool, _: bool) -> Result<usize, EndpointError> {
        match *self {}
    }

    async fn data_in(&mut self, _: &[u8], _: bool, _: bool) -> Result<(), EndpointError> {
        match *self {}
    }

    async fn accept(&mut self) {}

    async fn reject(&mut self) {}

    async fn accept_set_address(&mut self, _: u8) {}
}

/// The `mctp-bench` service, asked for messages of [`Case::payload`] bytes, sends them as requests.
#[inline]
pub fn stream(case: &Case) {
    let link = Link::of_stream(case);
    let (router, mut bottoms) = router(case);
    let listener = router.listener(mctp::MCTP_TYPE_VENDOR_PCIE);
    let mut listener = listener.expect("a free listener");
    let serve = async move {
        let (bench, mut buffer) = (Bench::new(), [0; 64]);
        let channel = |requester| {
            let mut channel = router.req(requester);
            channel.tag_noexpire().expect("nothing was sent yet");
            channel
        };
        let pause = async || panic!("nothing is given up here");
        let served = mctp_bench::serve(&bench, &mut listener, channel, || 1, pause, &mut buffer);
        let error = served.await;
        panic!("{error}")
    };
    let mut builder = Builder::new(
        Host { link },
        Config::new(0x1209, 0x0001),
        leak([0; 256]),
        leak([0; 256]),
        leak([0; 256]),
        leak([0; 256]),
    );
    let (sender, _) = MctpUsbClass::new(&mut builder).split();
    let bottom = bottoms.remove(0);
    let send = async move { sender.run(bottom).await };
    #[allow(unused_mut)]
    let mut tasks: Vec<Task> = vec![
        Box::pin(receive(router, link, 0)),
        Box::pin(serve),
        Box::pin(send),
    ];
    #[cfg(feature = "board")]
    tasks.push(Box::pin(super::shell::keep_time(router)));
    measure(case, link, tasks);
}
