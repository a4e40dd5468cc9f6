//! The class in a real `embassy-usb` device, over a driver that follows a script.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_usb::driver::{
    Bus, ControlPipe, Direction, Driver, Endpoint, EndpointAddress, EndpointAllocError,
    EndpointError, EndpointIn, EndpointInfo, EndpointOut, EndpointType, Event, Unsupported,
};
use mctp_transport::{DropReason, Received, TransportRx, TransportTx};
use mctp_usb::{BufferTooSmall, Config, MctpUsbClass, RECEIVE_BUFFER_LEN_1_1, State, Version};

/// What the host does, and what it saw.
#[derive(Default)]
struct Host {
    setups: VecDeque<[u8; 8]>,
    events: VecDeque<Event>,
    out_packets: VecDeque<Vec<u8>>,
    control_in: Vec<u8>,
    enabled: bool,
}

#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Host>>);

impl Wire {
    /// Pending until the host has something.
    async fn next<T>(&self, take: impl Fn(&mut Host) -> Option<T>) -> T {
        poll_fn(|_| match take(&mut self.0.borrow_mut()) {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        })
        .await
    }
}

struct Pipe {
    info: EndpointInfo,
    wire: Wire,
}

impl Endpoint for Pipe {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {
        self.wire.next(|host| host.enabled.then_some(())).await;
    }
}

impl EndpointOut for Pipe {
    /// Does not end when the endpoint is disabled, as some drivers' reads do not.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EndpointError> {
        let bytes = self.wire.next(|host| host.out_packets.pop_front()).await;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl EndpointIn for Pipe {
    async fn write(&mut self, _: &[u8]) -> Result<(), EndpointError> {
        pending().await
    }
}

impl Bus for Wire {
    async fn enable(&mut self) {}
    async fn disable(&mut self) {}

    async fn poll(&mut self) -> Event {
        self.next(|host| host.events.pop_front()).await
    }

    fn endpoint_set_enabled(&mut self, _: EndpointAddress, enabled: bool) {
        self.0.borrow_mut().enabled = enabled;
    }

    fn endpoint_set_stalled(&mut self, _: EndpointAddress, stalled: bool) {
        assert!(!stalled, "an endpoint is stalled");
    }

    fn endpoint_is_stalled(&mut self, _: EndpointAddress) -> bool {
        false
    }

    async fn remote_wakeup(&mut self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}

impl ControlPipe for Wire {
    fn max_packet_size(&self) -> usize {
        64
    }

    async fn setup(&mut self) -> [u8; 8] {
        self.next(|host| host.setups.pop_front()).await
    }

    async fn data_out(&mut self, _: &mut [u8], _: bool, _: bool) -> Result<usize, EndpointError> {
        Err(EndpointError::Disabled)
    }

    async fn data_in(&mut self, data: &[u8], _: bool, _: bool) -> Result<(), EndpointError> {
        self.0.borrow_mut().control_in.extend_from_slice(data);
        Ok(())
    }

    async fn accept(&mut self) {}

    async fn reject(&mut self) {
        self.0.borrow_mut().control_in = b"rejected".to_vec();
    }

    async fn accept_set_address(&mut self, _: u8) {}
}

impl<'a> Driver<'a> for Wire {
    type EndpointOut = Pipe;
    type EndpointIn = Pipe;
    type ControlPipe = Wire;
    type Bus = Wire;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Pipe, EndpointAllocError> {
        let info = EndpointInfo {
            addr: EndpointAddress::from_parts(1, Direction::Out),
            ep_type,
            max_packet_size,
            interval_ms,
        };
        let wire = self.clone();
        Ok(Pipe { info, wire })
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        address: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Pipe, EndpointAllocError> {
        let mut pipe = self.alloc_endpoint_out(ep_type, address, max_packet_size, interval_ms)?;
        pipe.info.addr = EndpointAddress::from_parts(1, Direction::In);
        Ok(pipe)
    }

    fn start(self, _: u16) -> (Wire, Wire) {
        (self.clone(), self)
    }
}

const SET_CONFIGURATION: [u8; 8] = [0x00, 9, 1, 0, 0, 0, 0, 0];

fn descriptor_request(kind: u8, index: u8) -> [u8; 8] {
    [0x80, 6, index, kind, 0x09, 0x04, 0xFF, 0]
}

/// Polls so often that nothing is left to do.
fn settle<F: Future + ?Sized>(mut future: core::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

/// A device with this one function.
fn device<T>(
    config: Config<'_>,
    buffer: &mut [u8],
    check: impl FnOnce(&Wire, &mut dyn FnMut(), &mut dyn FnMut() -> Option<String>) -> T,
) -> T {
    let (mut descriptors, mut bos, mut msos, mut control) = ([0; 64], [0; 16], [0; 16], [0; 64]);
    let wire = Wire::default();
    let mut state = State::new();
    let mut usb_config = embassy_usb::Config::new(0x1209, 0x0001);
    usb_config.composite_with_iads = false;
    usb_config.device_class = 0;
    usb_config.device_sub_class = 0;
    usb_config.device_protocol = 0;
    let mut builder = embassy_usb::Builder::new(
        wire.clone(),
        usb_config,
        &mut descriptors,
        &mut bos,
        &mut msos,
        &mut control,
    );
    let (mut receiver, sender) = MctpUsbClass::new(&mut builder, &mut state, config)
        .split(buffer)
        .unwrap();
    assert_eq!(sender.layout().max_packet, config.version.max_packet());
    let mut device = builder.build();
    let mut run = pin!(device.run());
    check(
        &wire,
        &mut || assert!(settle(run.as_mut()).is_none()),
        &mut || settle(pin!(receiver.receive())).map(|received| format!("{received:?}")),
    )
}

/// What the host reads for a control request.
fn control_in(config: Config<'_>, request: [u8; 8]) -> Vec<u8> {
    device(config, &mut [0; RECEIVE_BUFFER_LEN_1_1], |wire, run, _| {
        wire.0.borrow_mut().setups.push_back(request);
        run();
        wire.0.borrow().control_in.clone()
    })
}

fn config(version: Version, max_packet_size: u16, name: Option<&str>) -> Config<'_> {
    let mut config = Config::new(version);
    config.max_packet_size = max_packet_size;
    config.interface_name = name;
    config
}

/// USB 2.0, section 9.6: configuration, interface (class, subclass and protocol of DSP0283), bulk
/// OUT, bulk IN.
fn expected_descriptors(subclass: u8, max_packet_size: u16, string: u8) -> Vec<u8> {
    let [low, high] = max_packet_size.to_le_bytes();
    [
        &[9, 2, 32, 0, 1, 1, 0, 0x80, 50][..],
        &[9, 4, 0, 0, 2, 0x14, subclass, 0x01, string],
        &[7, 5, 0x01, 0x02, low, high, 0],
        &[7, 5, 0x81, 0x02, low, high, 0],
    ]
    .concat()
}

#[test]
fn the_descriptors_are_those_of_the_specification() {
    for (version, subclass) in [
        (Version::V1_0, 0x00),
        #[cfg(feature = "v1-1")]
        (Version::V1_1, 0x02),
    ] {
        for max_packet_size in [64, 512] {
            assert_eq!(
                control_in(
                    config(version, max_packet_size, None),
                    descriptor_request(2, 0)
                ),
                expected_descriptors(subclass, max_packet_size, 0)
            );
        }
    }
}

#[test]
fn the_interface_has_the_name_it_was_given() {
    let config = config(Version::V1_0, 512, Some("MCTP"));
    assert_eq!(
        control_in(config, descriptor_request(2, 0)),
        expected_descriptors(0x00, 512, 4)
    );
    assert_eq!(
        control_in(config, descriptor_request(3, 4)),
        [10, 3, b'M', 0, b'C', 0, b'T', 0, b'P', 0]
    );
    assert_eq!(control_in(config, descriptor_request(3, 5)), b"rejected");
}

#[test]
fn an_interface_without_a_name_answers_for_no_string() {
    let config = config(Version::V1_0, 512, None);
    assert_eq!(control_in(config, descriptor_request(3, 4)), b"rejected");
}

#[test]
fn a_buffer_that_is_too_small_is_an_error_not_a_fault() {
    let mut buffer = [0; 511];
    let (mut descriptors, mut control) = ([0; 64], [0; 64]);
    let (mut bos, mut msos) = ([0; 16], [0; 16]);
    let mut state = State::new();
    let mut builder = embassy_usb::Builder::new(
        Wire::default(),
        embassy_usb::Config::new(0x1209, 0x0001),
        &mut descriptors,
        &mut bos,
        &mut msos,
        &mut control,
    );
    let class = MctpUsbClass::new(&mut builder, &mut state, Config::new(Version::V1_0));
    assert_eq!(
        class.split(&mut buffer).err(),
        Some(BufferTooSmall {
            len: 511,
            needed: 512
        })
    );
}

const LINK_UP: &str = "LinkUp";
const LINK_DOWN: &str = "LinkDown";

fn packet(bytes: &[u8]) -> String {
    let source = mctp_transport::PhysicalAddress::POINT_TO_POINT;
    format!("{:?}", Received::Packet { source, bytes })
}

fn cut_off() -> String {
    format!("{:?}", Received::Dropped(DropReason::LinkDown))
}

/// The first 64 bytes of a packet of 100; what comes next completes it unless something happens on
/// the bus.
fn half_a_packet() -> Vec<u8> {
    let mut bytes = vec![1; 64];
    bytes[..4].copy_from_slice(&[0x1A, 0xB4, 0, 104]);
    bytes
}

const WHOLE: [u8; 9] = [0x1A, 0xB4, 0, 9, 1, 2, 3, 4, 5];

/// What the stack is told when something happens on the bus inside a packet.
fn told_after_half_a_packet(happen: impl FnOnce(&mut Host)) -> Vec<String> {
    let config = config(Version::V1_0, 64, None);
    let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
    device(config, &mut buffer, |wire, run, receive| {
        assert_eq!(receive(), None);
        wire.0.borrow_mut().setups.push_back(SET_CONFIGURATION);
        run();
        assert_eq!(receive().as_deref(), Some(LINK_UP));
        wire.0.borrow_mut().out_packets.push_back(half_a_packet());
        assert_eq!(receive(), None);
        happen(&mut wire.0.borrow_mut());
        run();
        wire.0.borrow_mut().out_packets.push_back(WHOLE.to_vec());
        std::iter::from_fn(receive).collect()
    })
}

#[test]
fn without_an_event_the_next_usb_packet_goes_on_with_the_packet() {
    let too_short = format!("{:?}", Received::Dropped(DropReason::BadLinkIntegrity));
    assert_eq!(told_after_half_a_packet(|_| ()), [too_short]);
}

#[test]
fn a_bus_reset_leaves_no_partial_packet() {
    assert_eq!(
        told_after_half_a_packet(|host| {
            host.events.push_back(Event::Reset);
            host.setups.push_back(SET_CONFIGURATION);
        }),
        [&cut_off(), LINK_DOWN, LINK_UP, &packet(&WHOLE[4..])]
    );
}

#[test]
fn a_bus_reset_alone_is_a_link_that_was_down() {
    assert_eq!(
        told_after_half_a_packet(|host| host.events.push_back(Event::Reset)),
        [&cut_off(), LINK_DOWN, LINK_UP, &packet(&WHOLE[4..])]
    );
}

#[test]
fn a_new_configuration_leaves_no_partial_packet() {
    assert_eq!(
        told_after_half_a_packet(|host| host.setups.push_back(SET_CONFIGURATION)),
        [&cut_off(), LINK_DOWN, LINK_UP, &packet(&WHOLE[4..])]
    );
}

#[test]
fn loss_of_power_leaves_no_partial_packet() {
    assert_eq!(
        told_after_half_a_packet(|host| host.events.push_back(Event::PowerRemoved)),
        [&cut_off(), LINK_DOWN, LINK_UP, &packet(&WHOLE[4..])]
    );
}

#[test]
fn suspend_and_resume_leave_no_partial_packet_and_keep_the_link() {
    assert_eq!(
        told_after_half_a_packet(|host| host.events.extend([Event::Suspend, Event::Resume])),
        [cut_off(), packet(&WHOLE[4..])]
    );
}

#[test]
fn suspend_alone_leaves_no_partial_packet() {
    assert_eq!(
        told_after_half_a_packet(|host| host.events.push_back(Event::Suspend)),
        [cut_off(), packet(&WHOLE[4..])]
    );
}

#[test]
fn setting_the_interface_leaves_no_partial_packet_and_keeps_the_link() {
    let set_interface = [0x01, 11, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        told_after_half_a_packet(|host| host.setups.push_back(set_interface)),
        [cut_off(), packet(&WHOLE[4..])]
    );
}
