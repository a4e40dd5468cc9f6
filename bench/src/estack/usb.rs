//! The bench service's stream into USB transfers, and packets out of them, by `mctp-usb-embassy`.

use std::future::Future;
use std::pin::pin;

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
use crate::stack_clock::StackClock;
use crate::usb_host;

/// A host as the device's endpoints have it.
trait Host: Copy {
    async fn sends(self, buffer: &mut [u8]) -> Result<usize, EndpointError>;

    fn reads(self, bytes: &[u8]);
}

/// Reads whatever it is sent at once.
impl Host for &'static Link {
    async fn sends(self, _: &mut [u8]) -> Result<usize, EndpointError> {
        Err(EndpointError::Disabled)
    }

    fn reads(self, bytes: &[u8]) {
        self.send_usb_transfer(bytes);
    }
}

impl Host for &'static usb_host::Host {
    #[inline]
    async fn sends(self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        Ok(self.read(buffer).await)
    }

    fn reads(self, _: &[u8]) {
        panic!("the device has nothing to send");
    }
}

struct HostEndpoint<H> {
    info: EndpointInfo,
    host: H,
}

/// The driver for a device on that host.
struct HostDriver<H>(H);

impl<H: Host> HostDriver<H> {
    fn endpoint(&self, direction: Direction, max_packet_size: u16) -> HostEndpoint<H> {
        let info = EndpointInfo {
            addr: EndpointAddress::from_parts(1, direction),
            ep_type: EndpointType::Bulk,
            max_packet_size,
            interval_ms: 0,
        };
        HostEndpoint { info, host: self.0 }
    }
}

impl<H: Host + 'static> Driver<'static> for HostDriver<H> {
    type EndpointOut = HostEndpoint<H>;
    type EndpointIn = HostEndpoint<H>;
    type ControlPipe = Never;
    type Bus = Never;

    fn alloc_endpoint_out(
        &mut self,
        _: EndpointType,
        max_packet_size: u16,
        _: u8,
    ) -> Result<HostEndpoint<H>, EndpointAllocError> {
        Ok(self.endpoint(Direction::Out, max_packet_size))
    }

    fn alloc_endpoint_in(
        &mut self,
        _: EndpointType,
        max_packet_size: u16,
        _: u8,
    ) -> Result<HostEndpoint<H>, EndpointAllocError> {
        Ok(self.endpoint(Direction::In, max_packet_size))
    }

    fn start(self, _: u16) -> (Never, Never) {
        panic!("the endpoints alone are used")
    }
}

impl<H> Endpoint for HostEndpoint<H> {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {}
}

impl<H: Host> EndpointOut for HostEndpoint<H> {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        self.host.sends(buffer).await
    }
}

impl<H: Host> EndpointIn for HostEndpoint<H> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        self.host.reads(bytes);
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

fn class_of_device_on<H: Host + 'static>(host: H) -> MctpUsbClass<'static, HostDriver<H>> {
    let mut builder = Builder::new(
        HostDriver(host),
        Config::new(0x1209, 0x0001),
        leak([0; 256]),
        leak([0; 256]),
        leak([0; 256]),
        leak([0; 256]),
    );
    MctpUsbClass::new(&mut builder)
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
        let served = mctp_bench::serve(&bench, &mut listener, channel, StackClock, &mut buffer);
        let error = served.await;
        panic!("{error}")
    };
    let (sender, _) = class_of_device_on(link).split();
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

/// The receiver hands out the packets of transfers.
pub fn receive_transfers(case: &usb_host::Case) {
    let host = usb_host::Host::of(case);
    let (_, mut receiver) = class_of_device_on(host).split();
    usb_host::measure(case, host, |context| {
        pin!(receiver.receive())
            .poll(context)
            .map(|received| match received {
                Some(Ok(packet)) => host.take(packet),
                Some(Err(error)) => panic!("{error}"),
                None => panic!("the link is up"),
            })
    });
}
