//! The async shell, with listeners in memory and a clock that is set.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, Eid, Error, MsgIC, MsgType};
use nvme_mi_responder::world::{
    Health, HealthReport, PcieAccess, PcieDirection, PcieError, PcieRange,
};
use nvme_mi_responder::{
    Clock, ControllerId, Device, DropReason, Drops, Instant, Listener, MAX_MESSAGE_LENGTH,
    ManagementEndpoint, PortId, Server, TransportError, TransportErrors,
};
use support::{NotSupported, Parts, buffers, reference_subsystem, sealed};

/// What requesters sent, what they got, and everything else that the responder does not see
/// through.
#[derive(Default)]
struct Outside {
    now: Cell<u64>,
    requests: RefCell<VecDeque<(u8, Vec<u8>)>>,
    listening: Cell<usize>,
    /// Requester, tag of the request, message.
    responses: RefCell<Vec<(u8, usize, Vec<u8>)>>,
    events: RefCell<Vec<(u8, Vec<u8>)>>,
    taken: Cell<usize>,
    is_broken: Cell<bool>,
    refuses_responses: Cell<bool>,
    /// A response takes until this ends.
    is_sending_slowly: Cell<bool>,
    pcie_is_slow: Cell<bool>,
    kelvins: Cell<u16>,
}

#[derive(Clone)]
struct Handle(Rc<Outside>);

struct Response {
    outside: Handle,
    requester: u8,
    tag: usize,
}

impl AsyncListener for Handle {
    type RespChannel<'a> = Response;

    async fn recv<'f>(
        &mut self,
        buffer: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8], Response)> {
        self.0.listening.set(self.0.listening.get() + 1);
        let (requester, message) = poll_fn(|_| {
            if self.0.is_broken.get() {
                return Poll::Ready(Err(Error::RxFailure));
            }
            match self.0.requests.borrow_mut().pop_front() {
                Some(request) => Poll::Ready(Ok(request)),
                None => Poll::Pending,
            }
        })
        .await?;
        self.0.listening.set(self.0.listening.get() - 1);
        let tag = self.0.taken.get();
        self.0.taken.set(tag + 1);
        let body = buffer.get_mut(..message.len() - 1).ok_or(Error::NoSpace)?;
        body.copy_from_slice(&message[1..]);
        let response = Response {
            outside: self.clone(),
            requester,
            tag,
        };
        Ok((MsgType(4), MsgIC(message[0] & 0x80 != 0), body, response))
    }
}

impl AsyncRespChannel for Response {
    type ReqChannel<'a> = Events;

    async fn send_vectored(&mut self, check: MsgIC, bufs: &[&[u8]]) -> mctp::Result<()> {
        assert!(check.0, "without the integrity check bit");
        if self.outside.0.refuses_responses.get() {
            return Err(Error::TxFailure);
        }
        poll_fn(|_| match self.outside.0.is_sending_slowly.get() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
        let message = [&[0x84], &*bufs.concat()].concat();
        let response = (self.requester, self.tag, message);
        self.outside.0.responses.borrow_mut().push(response);
        Ok(())
    }
    fn remote_eid(&self) -> Eid {
        Eid(self.requester)
    }
    fn req_channel(&self) -> mctp::Result<Events> {
        Err(Error::Unsupported)
    }
}

struct Events(Handle, Eid);

impl AsyncReqChannel for Events {
    async fn send_vectored(
        &mut self,
        message_type: MsgType,
        check: MsgIC,
        bufs: &[&[u8]],
    ) -> mctp::Result<()> {
        let message = [&[message_type.0 | u8::from(check.0) << 7], &*bufs.concat()].concat();
        self.0.0.events.borrow_mut().push((self.1.0, message));
        Ok(())
    }
    async fn recv<'f>(&mut self, _: &'f mut [u8]) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8])> {
        Err(Error::Unsupported)
    }
    fn remote_eid(&self) -> Eid {
        self.1
    }
}

impl Clock for Handle {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.now.get())
    }
    fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        poll_fn(move |_| {
            if self.now() >= deadline {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}

impl PcieAccess for Handle {
    fn prepare(&mut self, _: PcieRange, _: PcieDirection) -> Poll<Result<(), PcieError>> {
        if self.0.pcie_is_slow.get() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl Health for Handle {
    fn report(&mut self, _: ControllerId) -> HealthReport {
        HealthReport {
            temperature: self.0.kelvins.get(),
            ..HealthReport::healthy()
        }
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls because something happened outside, then for as long as the future wakes itself.
fn settle<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if !flag.0.swap(false, Ordering::Relaxed) {
            return None;
        }
    }
    panic!("it never rests");
}

struct Bench<F> {
    outside: Handle,
    server: F,
}

impl<F: Future<Output = (Error, Drops)> + Unpin> Bench<F> {
    fn settle(&mut self) -> Option<(Error, Drops)> {
        settle(&mut Pin::new(&mut self.server))
    }

    /// Sends a message without its Message Integrity Check.
    fn send(&mut self, requester: u8, message: &[u8]) {
        self.send_raw(requester, &sealed(message));
    }

    fn send_raw(&mut self, requester: u8, message: &[u8]) {
        let request = (requester, message.to_vec());
        self.outside.0.requests.borrow_mut().push_back(request);
        assert!(self.settle().is_none());
    }

    fn wait(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.outside.0.now.set(self.outside.0.now.get() + 1);
            assert!(self.settle().is_none());
        }
    }

    /// Requester, tag and bytes 1 and 4 of each response since the last time.
    fn responses(&mut self) -> Vec<(u8, usize, u8, u8)> {
        let responses = self.outside.0.responses.take();
        let summary = |(requester, tag, message): (u8, usize, Vec<u8>)| {
            (requester, tag, message[1], message[4])
        };
        responses.into_iter().map(summary).collect()
    }
}

type Serving = Pin<Box<dyn Future<Output = (Error, Drops)>>>;

/// A reference device behind `LISTENERS` listeners.
fn bench<const LISTENERS: usize>() -> Bench<Serving> {
    let outside = Handle(Rc::default());
    outside.0.kelvins.set(303);
    let world = Parts::new(outside.clone()).with_pcie(outside.clone());
    let server = Box::pin(run::<LISTENERS>(outside.clone(), world));
    Bench { outside, server }
}

type World = Parts<
    Handle,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    Handle,
>;

async fn run<const LISTENERS: usize>(outside: Handle, world: World) -> (Error, Drops) {
    let mut subsystem = reference_subsystem();
    let mut device = Device::new(subsystem.model(), world);
    let endpoint = ManagementEndpoint::new(&mut device, PortId(1), buffers()).unwrap();
    let mut buffer = [0; 300];
    let buffer = RefCell::new(&mut buffer[..]);
    let listeners = [(); LISTENERS].map(|()| Listener::new(outside.clone(), &buffer));
    let event_channel = |endpoint_id| Events(outside.clone(), endpoint_id);
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint);
    let error = server.serve(listeners, event_channel, &outside).await;
    (error, server.into_endpoint().drops())
}

const POLL: [u8; 16] = [0x84, 0x08, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const READ_PCIE: [u8; 20] = [
    0x84, 0x20, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const PAUSE: [u8; 8] = [0x84, 0, 0, 0, 0, 0, 0, 0];
const RESUME: [u8; 8] = [0x84, 0, 0, 0, 1, 0, 0, 0];
const ABORT: [u8; 8] = [0x84, 0, 0, 0, 2, 0, 0, 0];
const GET_STATE: [u8; 8] = [0x84, 0, 0, 0, 3, 0, 0, 0];
const REPLAY: [u8; 8] = [0x84, 0, 0, 0, 4, 0, 0, 0];

fn in_slot_1<const N: usize>(mut message: [u8; N]) -> [u8; N] {
    message[1] |= 1;
    message
}

#[test]
fn answers_whoever_asks_with_their_tag() {
    let mut bench = bench::<3>();
    bench.send(8, &POLL);
    bench.send(9, &in_slot_1(POLL));
    assert_eq!(bench.responses(), [(8, 0, 0x88, 0), (9, 1, 0x89, 0)]);
}

#[test]
fn a_slow_command_gets_more_processing_required_and_then_its_response_with_the_same_tag() {
    for mut bench in [bench::<1>(), bench::<3>()] {
        bench.outside.0.pcie_is_slow.set(true);
        bench.send(8, &READ_PCIE);
        bench.wait(99);
        assert_eq!(bench.responses(), []);
        bench.wait(11);
        assert_eq!(bench.responses(), [(8, 0, 0xA0, 1)]);
        bench.wait(500);
        assert_eq!(bench.responses(), []);
        bench.outside.0.pcie_is_slow.set(false);
        bench.wait(10);
        assert_eq!(bench.responses(), [(8, 0, 0xA0, 0)]);
    }
}

#[test]
fn a_slow_command_holds_up_neither_the_other_slot_nor_control_primitives() {
    let mut bench = bench::<3>();
    bench.outside.0.pcie_is_slow.set(true);
    bench.send(8, &READ_PCIE);
    bench.send(9, &in_slot_1(POLL));
    assert_eq!(bench.responses(), [(9, 1, 0x89, 0)]);
    bench.send(9, &in_slot_1(READ_PCIE));
    bench.send(8, &ABORT);
    assert_eq!(bench.responses(), [(8, 3, 0x80, 0)]);
    bench.outside.0.pcie_is_slow.set(false);
    bench.wait(10);
    assert_eq!(bench.responses(), [(9, 2, 0xA1, 0)]);
    bench.send(8, &POLL);
    assert_eq!(bench.responses(), [(8, 4, 0x88, 0)]);
}

#[test]
fn a_pause_holds_responses_until_resume() {
    let mut bench = bench::<3>();
    bench.send(8, &PAUSE);
    bench.send(8, &POLL);
    bench.send(8, &in_slot_1(POLL));
    assert_eq!(bench.responses(), [(8, 0, 0x80, 0)]);
    bench.send(8, &RESUME);
    let mut responses = bench.responses();
    responses.sort();
    assert_eq!(
        responses,
        [(8, 1, 0x88, 0), (8, 2, 0x89, 0), (8, 3, 0x80, 0)]
    );
}

#[test]
fn a_single_listener_is_not_held_up_by_a_pause_and_replay_has_the_response() {
    let mut bench = bench::<1>();
    bench.send(8, &PAUSE);
    bench.send(8, &POLL);
    assert_eq!(bench.responses(), [(8, 0, 0x80, 0)]);
    bench.send(8, &REPLAY);
    assert_eq!(bench.responses(), [(8, 2, 0x80, 0), (8, 2, 0x88, 0)]);
}

#[test]
fn what_is_dropped_costs_only_itself() {
    let mut bench = bench::<3>();
    let mut damaged = sealed(&POLL);
    damaged[7] ^= 1;
    for _ in 0..10 {
        bench.send_raw(8, &damaged);
    }
    bench.send_raw(8, &[0x84; 400]);
    assert_eq!(bench.responses(), []);
    bench.send(8, &POLL);
    assert_eq!(bench.responses(), [(8, 11, 0x88, 0)]);
    bench.outside.0.is_broken.set(true);
    let (_, drops) = bench.settle().unwrap();
    assert_eq!(drops.count(DropReason::BadIntegrityCheck), 10);
    assert_eq!(drops.count(DropReason::TooLong), 1);
}

#[test]
fn a_response_that_cannot_be_sent_costs_only_itself() {
    let mut bench = bench::<3>();
    bench.outside.0.refuses_responses.set(true);
    bench.send(8, &POLL);
    bench.outside.0.refuses_responses.set(false);
    bench.send(8, &POLL);
    assert_eq!(bench.responses(), [(8, 1, 0x88, 0)]);
}

#[test]
fn events_go_to_their_subscriber_and_again_until_acknowledged() {
    let mut bench = bench::<3>();
    let enable = [
        0x84, 8, 0, 0, 3, 0, 0, 0, 4, 20, 1, 0, 0, 0, 0, 0, 1, 0, 8, 0, 5, 3, 6, 0x80,
    ];
    bench.send(9, &enable);
    bench.outside.0.kelvins.set(343);
    bench.wait(499);
    assert_eq!(bench.outside.0.events.take(), []);
    // Seen after half a second, collected for one.
    bench.wait(1001);
    let events = bench.outside.0.events.take();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].0, &events[0].1[..2]), (9, &[0x84, 0x28][..]));
    bench.wait(2000);
    assert_eq!(bench.outside.0.events.take().len(), 1);
    let acknowledge = [
        0x84, 8, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 5,
    ];
    bench.send(9, &acknowledge);
    bench.wait(10_000);
    assert_eq!(bench.outside.0.events.take(), []);
}

#[test]
fn one_listener_at_a_time_uses_the_buffer() {
    let mut bench = bench::<3>();
    bench.send(8, &POLL);
    assert_eq!(bench.outside.0.listening.get(), 1);
}

#[test]
fn a_message_that_waits_for_a_response_to_be_sent_is_not_taken_for_a_drop() {
    let mut bench = bench::<3>();
    bench.outside.0.is_sending_slowly.set(true);
    bench.send(8, &POLL);
    bench.send(9, &in_slot_1(POLL));
    assert_eq!(bench.responses(), []);
    bench.outside.0.is_sending_slowly.set(false);
    assert!(bench.settle().is_none());
    assert_eq!(bench.responses(), [(8, 0, 0x88, 0), (9, 1, 0x89, 0)]);
    bench.outside.0.is_broken.set(true);
    let (_, drops) = bench.settle().unwrap();
    assert_eq!(drops, Drops::default());
}

#[test]
fn a_listener_that_fails_ends_the_service_with_its_error() {
    let mut bench = bench::<3>();
    bench.send(8, &POLL);
    bench.outside.0.is_broken.set(true);
    assert!(matches!(bench.settle(), Some((Error::RxFailure, _))));
}

#[test]
fn a_service_that_was_dropped_serves_again_without_what_was_pending() {
    let outside = Handle(Rc::default());
    outside.0.kelvins.set(303);
    outside.0.pcie_is_slow.set(true);
    let world = Parts::new(outside.clone()).with_pcie(outside.clone());
    let mut subsystem = reference_subsystem();
    let mut device = Device::new(subsystem.model(), world);
    let endpoint = ManagementEndpoint::new(&mut device, PortId(1), buffers()).unwrap();
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint);
    let mut buffer = [0; MAX_MESSAGE_LENGTH];
    let buffer = RefCell::new(&mut buffer[..]);
    for round in 0..2 {
        let request = (8, sealed(&READ_PCIE));
        outside.0.requests.borrow_mut().push_back(request);
        let listeners = [(); 3].map(|()| Listener::new(outside.clone(), &buffer));
        let event_channel = |endpoint_id| Events(outside.clone(), endpoint_id);
        let serving = server.serve(listeners, event_channel, &outside);
        assert!(settle(&mut pin!(serving)).is_none());
        assert_eq!(outside.0.taken.get(), round + 1);
    }
    outside.0.pcie_is_slow.set(false);
    let request = (9, sealed(&READ_PCIE));
    outside.0.requests.borrow_mut().push_back(request);
    let listeners = [(); 3].map(|()| Listener::new(outside.clone(), &buffer));
    let event_channel = |endpoint_id| Events(outside.clone(), endpoint_id);
    let serving = server.serve(listeners, event_channel, &outside);
    assert!(settle(&mut pin!(serving)).is_none());
    let responses = outside.0.responses.take();
    assert_eq!(responses.len(), 1);
    assert_eq!((responses[0].0, responses[0].1), (9, 2));
    assert_eq!(server.into_endpoint().drops().total(), 0);
}

#[test]
fn a_flood_of_messages_is_answered_in_order_and_leaves_other_tasks_their_turns() {
    let mut bench = bench::<3>();
    let requests = std::iter::repeat_n((8, sealed(&POLL)), 200);
    bench.outside.0.requests.borrow_mut().extend(requests);
    let mut context = Context::from_waker(Waker::noop());
    assert!(bench.server.as_mut().poll(&mut context).is_pending());
    assert!(bench.outside.0.taken.get() < 10);
    assert!(bench.settle().is_none());
    let tags = bench.responses().into_iter().map(|response| response.1);
    assert_eq!(tags.collect::<Vec<_>>(), Vec::from_iter(0..200));
}

/// Two endpoints of one device, each with listeners of its own, in one task.
#[test]
fn two_endpoints_of_one_device_are_served_at_once() {
    let ours = [(); 2].map(|()| Handle(Rc::default()));
    ours[0].0.kelvins.set(303);
    ours[0].0.pcie_is_slow.set(true);
    let world = Parts::new(ours[0].clone()).with_pcie(ours[0].clone());
    let mut subsystem = reference_subsystem();
    let mut device = Device::new(subsystem.model(), world);
    let mut buffer = [[0; MAX_MESSAGE_LENGTH]; 2];
    let buffer = buffer
        .each_mut()
        .map(|buffer| RefCell::new(&mut buffer[..]));
    let endpoints =
        [0, 1].map(|port| ManagementEndpoint::new(&mut device, PortId(port), buffers()).unwrap());
    let device = RefCell::new(device);
    let [first, second] = endpoints.map(|endpoint| Server::new(&device, endpoint));
    let serve = |server, index: usize| {
        let (outside, buffer) = (&ours[index], &buffer[index]);
        let listeners = [(); 3].map(|()| Listener::new(outside.clone(), buffer));
        let event_channel = |endpoint_id| Events(outside.clone(), endpoint_id);
        Server::serve(server, listeners, event_channel, outside)
    };
    let both = async {
        embassy_futures::select::select(serve(&first, 0), serve(&second, 1)).await;
    };
    let mut both = pin!(both);
    let mut ask = |at: usize, message: &[u8]| {
        ours[at]
            .0
            .requests
            .borrow_mut()
            .push_back((8, sealed(message)));
        assert!(settle(&mut both).is_none());
        ours[at].0.responses.take()
    };
    // What is slow at one is no matter of the other.
    assert_eq!(ask(0, &READ_PCIE).len(), 0);
    assert_eq!(ask(1, &POLL).len(), 1);
    assert_eq!(ask(1, &PAUSE).len(), 1);
    assert_eq!(ask(1, &POLL).len(), 0);
    let mut in_slot_1 = POLL;
    in_slot_1[1] |= 1;
    assert_eq!(ask(0, &in_slot_1).len(), 1);
    // The link of the second is lost: nothing is left of its host.
    second.reset();
    assert_eq!(ask(1, &POLL).len(), 1);
    ours[0].0.pcie_is_slow.set(false);
    ours[0].0.now.set(10);
    assert_eq!(ask(1, &POLL).len(), 1);
    assert_eq!(ours[0].0.responses.take().len(), 1, "the first goes on");
}

#[test]
fn a_device_that_somebody_else_has_for_a_moment_is_waited_for() {
    let outside = Handle(Rc::default());
    outside.0.kelvins.set(303);
    let world = Parts::new(outside.clone()).with_pcie(outside.clone());
    let mut subsystem = reference_subsystem();
    let mut device = Device::new(subsystem.model(), world);
    let endpoint = ManagementEndpoint::new(&mut device, PortId(1), buffers()).unwrap();
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint);
    let mut buffer = [0; MAX_MESSAGE_LENGTH];
    let buffer = RefCell::new(&mut buffer[..]);
    let listeners = [(); 3].map(|()| Listener::new(outside.clone(), &buffer));
    let event_channel = |endpoint_id| Events(outside.clone(), endpoint_id);
    let mut serving = pin!(server.serve(listeners, event_channel, &outside));
    outside
        .0
        .requests
        .borrow_mut()
        .push_back((8, sealed(&POLL)));
    let taken = device.borrow_mut();
    // It asks again and again, and fails at nothing.
    for _ in 0..3 {
        assert!(embassy_futures::poll_once(serving.as_mut()).is_pending());
    }
    assert_eq!(outside.0.responses.borrow().len(), 0);
    drop(taken);
    assert!(settle(&mut serving).is_none());
    assert_eq!(outside.0.responses.borrow().len(), 1);
}

#[test]
fn a_replay_takes_over_a_slow_command_and_the_listener_of_the_command_is_free() {
    let mut bench = bench::<2>();
    bench.outside.0.pcie_is_slow.set(true);
    bench.send(8, &READ_PCIE);
    bench.wait(110);
    assert_eq!(bench.responses(), [(8, 0, 0xA0, 1)]);
    bench.send(8, &REPLAY);
    assert_eq!(bench.responses(), [(8, 1, 0x80, 0), (8, 1, 0xA0, 1)]);
    bench.send(9, &in_slot_1(POLL));
    assert_eq!(bench.responses(), [(9, 2, 0x89, 0)]);
    bench.outside.0.pcie_is_slow.set(false);
    bench.wait(10);
    assert_eq!(bench.responses(), [(8, 1, 0xA0, 0)]);
}

#[test]
fn what_was_noted_before_the_link_was_lost_is_forgotten_with_it() {
    let outside = Handle(Rc::default());
    outside.0.kelvins.set(303);
    let world = Parts::new(outside.clone()).with_pcie(outside.clone());
    let mut subsystem = reference_subsystem();
    let mut device = Device::new(subsystem.model(), world);
    let endpoint = ManagementEndpoint::new(&mut device, PortId(1), buffers()).unwrap();
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint);
    let mut buffer = [0; MAX_MESSAGE_LENGTH];
    let buffer = RefCell::new(&mut buffer[..]);
    let listeners = [(); 3].map(|()| Listener::new(outside.clone(), &buffer));
    let event_channel = |endpoint_id| Events(outside.clone(), endpoint_id);
    let mut serving = pin!(server.serve(listeners, event_channel, &outside));
    let mut state = || {
        let request = (8, sealed(&GET_STATE));
        outside.0.requests.borrow_mut().push_back(request);
        assert!(settle(&mut serving).is_none());
        let (_, _, response) = outside.0.responses.take().remove(0);
        u16::from_le_bytes([response[6], response[7]])
    };
    let out_of_sequence = TransportErrors::NONE.with(TransportError::OutOfSequence);
    server.note(out_of_sequence);
    server.reset();
    assert_eq!(state(), 0);
    server.reset();
    server.note(out_of_sequence);
    assert_eq!(state(), 1 << 11, "what was noted after it is not");
}
