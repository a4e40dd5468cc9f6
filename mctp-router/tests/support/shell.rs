//! A virtual world for the async router: a clock, an executor that polls only who was woken, and
//! links with a host at the other end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Clock, Config, Instant, NetworkId, PortId, Router, RouterStorage};
use mctp_transport::{
    DropReason, Eid, PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx,
    TransportTx,
};

use super::{
    DEVICE, I2C, I2C_LAYOUT, I2C_MEDIUM_SPECIFIC, NETWORK, POINT_TO_POINT, SentTransfer, USB,
    USB_LAYOUT,
};

/// A router with a borrowed clock.
pub(crate) type TestRouter = Router<'static, NoopRawMutex, &'static VirtualClock>;

/// Time that passes only when a test says so.
#[derive(Clone, Default)]
pub(crate) struct VirtualClock(Rc<ClockState>);

#[derive(Default)]
struct ClockState {
    now: Cell<u64>,
    waiters: RefCell<Vec<(u64, Waker)>>,
}

impl VirtualClock {
    pub(crate) fn millis(&self) -> u64 {
        self.0.now.get()
    }

    fn next(&self) -> Option<u64> {
        self.0
            .waiters
            .borrow()
            .iter()
            .map(|(deadline, _)| *deadline)
            .min()
    }

    fn set(&self, now: u64) {
        self.0.now.set(now);
        self.0.waiters.borrow_mut().retain(|(deadline, waker)| {
            if *deadline <= now {
                waker.wake_by_ref();
            }
            *deadline > now
        });
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.millis())
    }

    fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            if self.now() >= deadline {
                return Poll::Ready(());
            }
            let waiter = (deadline.as_millis(), context.waker().clone());
            self.0.waiters.borrow_mut().push(waiter);
            Poll::Pending
        })
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The executor that a task runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Executor {
    /// The one of an interrupt: it runs until none of its tasks is woken, before [`Low`](Self::Low)
    /// polls a task.
    High,
    /// The one of the main thread.
    Low,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
    executor: Executor,
}

impl Task {
    /// Polls the task if it was woken since it was last polled.
    fn poll(&mut self) -> Option<Poll<()>> {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        let waker = Waker::from(self.woken.clone());
        Some(self.future.as_mut().poll(&mut Context::from_waker(&waker)))
    }
}

/// What becomes of a spawned future: its value once it is done.
pub(crate) struct Outcome<T> {
    value: Rc<RefCell<Option<T>>>,
    task: usize,
}

impl<T> Outcome<T> {
    pub(crate) fn is_done(&self) -> bool {
        self.value.borrow().is_some()
    }

    /// The value, which must be there.
    #[track_caller]
    pub(crate) fn take(&self) -> T {
        self.value.borrow_mut().take().expect("the future is done")
    }
}

/// Polls a task only when its waker was called, so that a wake that is missing shows as a test that
/// stands still.
pub(crate) struct World {
    pub(crate) clock: VirtualClock,
    tasks: Vec<Option<Task>>,
    /// The task that [`Executor::Low`] looks at first.
    next_low: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            clock: VirtualClock::default(),
            tasks: Vec::new(),
            next_low: 0,
        }
    }

    /// Spawns a task in [`Executor::High`], which a world of one executor uses alone.
    pub(crate) fn spawn<T: 'static>(
        &mut self,
        future: impl Future<Output = T> + 'static,
    ) -> Outcome<T> {
        self.spawn_in(Executor::High, future)
    }

    pub(crate) fn spawn_in<T: 'static>(
        &mut self,
        executor: Executor,
        future: impl Future<Output = T> + 'static,
    ) -> Outcome<T> {
        let value = Rc::new(RefCell::new(None));
        let result = value.clone();
        let future = Box::pin(async move {
            let done = future.await;
            *result.borrow_mut() = Some(done);
        });
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.tasks.push(Some(Task {
            future,
            woken,
            executor,
        }));
        Outcome {
            value,
            task: self.tasks.len() - 1,
        }
    }

    /// Drops a future, wherever it is.
    pub(crate) fn cancel<T>(&mut self, outcome: Outcome<T>) {
        self.tasks[outcome.task] = None;
    }

    /// Wakes a future that is not done.
    pub(crate) fn wake<T>(&self, outcome: &Outcome<T>) {
        if let Some(task) = &self.tasks[outcome.task] {
            task.woken.0.store(true, Ordering::Relaxed);
        }
    }

    /// Runs until nobody is woken any more. Time stands still.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.poll_high() && !self.poll_one_low() {
                return;
            }
        }
        panic!("the tasks never come to rest");
    }

    /// Polls each woken task of [`Executor::High`] once. `false` when there was none.
    fn poll_high(&mut self) -> bool {
        let mut any = false;
        for place in &mut self.tasks {
            let is_high = |task: &&mut Task| task.executor == Executor::High;
            let polled = place.as_mut().filter(is_high).and_then(Task::poll);
            any |= polled.is_some();
            if polled.is_some_and(|polled| polled.is_ready()) {
                *place = None;
            }
        }
        any
    }

    /// Polls one woken task of [`Executor::Low`], round robin. `false` when there was none.
    fn poll_one_low(&mut self) -> bool {
        let len = self.tasks.len();
        for index in (self.next_low..len).chain(0..self.next_low) {
            let place = &mut self.tasks[index];
            let is_low = |task: &&mut Task| task.executor == Executor::Low;
            if let Some(polled) = place.as_mut().filter(is_low).and_then(Task::poll) {
                self.next_low = (index + 1) % len;
                if polled.is_ready() {
                    *place = None;
                }
                return true;
            }
        }
        false
    }

    /// Lets time pass, waiter by waiter.
    pub(crate) fn advance(&mut self, milliseconds: u64) {
        let end = self.clock.millis() + milliseconds;
        self.run();
        while let Some(next) = self.clock.next().filter(|next| *next <= end) {
            self.clock.set(next.max(self.clock.millis()));
            self.run();
        }
        self.clock.set(end);
        self.run();
    }

    /// Lets time pass in which nobody runs.
    pub(crate) fn stop(&mut self, milliseconds: u64) {
        self.clock.set(self.clock.millis() + milliseconds);
    }
}

enum Input {
    Packet(PhysicalAddress, Vec<u8>),
    Dropped(DropReason),
    LinkUp,
    LinkDown,
}

/// A link, seen by the host at its far end.
#[derive(Clone)]
pub(crate) struct Link(Rc<RefCell<LinkState>>);

struct LinkState {
    layout: TransferLayout,
    inputs: VecDeque<Input>,
    receive: Option<Waker>,
    sent: Vec<(u64, SentTransfer)>,
    host: Option<Waker>,
    /// How many transfers the host reads.
    reads: usize,
    refuses: bool,
    can_wait: bool,
    /// How many inputs the receiving half has that the router has not taken.
    here: usize,
    up: bool,
    send: Option<Waker>,
    bytes_per_millisecond: usize,
}

impl Link {
    pub(crate) fn new(layout: TransferLayout) -> Self {
        Self(Rc::new(RefCell::new(LinkState {
            layout,
            inputs: VecDeque::new(),
            receive: None,
            sent: Vec::new(),
            host: None,
            reads: usize::MAX,
            refuses: false,
            can_wait: true,
            here: 0,
            up: false,
            send: None,
            bytes_per_millisecond: usize::MAX,
        })))
    }

    fn input(&self, input: Input) {
        let mut state = self.0.borrow_mut();
        state.inputs.push_back(input);
        if let Some(waker) = state.receive.take() {
            waker.wake();
        }
    }

    fn wake_sender(&self) {
        if let Some(waker) = self.0.borrow_mut().send.take() {
            waker.wake();
        }
    }

    pub(crate) fn packet(&self, packet: &[u8]) {
        self.packet_from(POINT_TO_POINT, packet);
    }

    pub(crate) fn packet_from(&self, from: PhysicalAddress, packet: &[u8]) {
        self.input(Input::Packet(from, packet.to_vec()));
    }

    pub(crate) fn packets(&self, packets: &[Vec<u8>]) {
        packets.iter().for_each(|packet| self.packet(packet));
    }

    pub(crate) fn broken_packet(&self) {
        self.input(Input::Dropped(DropReason::BadLinkIntegrity));
    }

    /// How fast the link carries what the device sends.
    pub(crate) fn set_speed(&self, bytes_per_millisecond: usize) {
        self.0.borrow_mut().bytes_per_millisecond = bytes_per_millisecond;
    }

    pub(crate) fn up(&self) {
        self.0.borrow_mut().up = true;
        self.input(Input::LinkUp);
        self.wake_sender();
    }

    pub(crate) fn down(&self) {
        self.0.borrow_mut().up = false;
        self.input(Input::LinkDown);
        self.wake_sender();
    }

    pub(crate) fn stop_reading(&self) {
        self.set_reads(0);
    }

    pub(crate) fn read_again(&self) {
        self.set_reads(usize::MAX);
    }

    pub(crate) fn set_reads(&self, transfers: usize) {
        self.0.borrow_mut().reads = transfers;
        self.wake_sender();
    }

    /// Whether the host does not accept what it reads.
    pub(crate) fn set_refuses(&self, refuses: bool) {
        self.0.borrow_mut().refuses = refuses;
    }

    /// For the next receiving half.
    pub(crate) fn set_can_wait(&self, can_wait: bool) {
        self.0.borrow_mut().can_wait = can_wait;
    }

    /// Whether a packet waits that the router has not taken.
    pub(crate) fn holds_packets(&self) -> bool {
        let state = self.0.borrow();
        state.here > 0 || !state.inputs.is_empty()
    }

    /// Waits until the host has read something.
    pub(crate) async fn until_sent(&self) {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if !state.sent.is_empty() {
                return Poll::Ready(());
            }
            state.host = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What the host has read since it was last asked, with the time at which it had each transfer.
    pub(crate) fn timed_transfers(&self) -> Vec<(u64, SentTransfer)> {
        std::mem::take(&mut self.0.borrow_mut().sent)
    }

    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        let transfers = self.timed_transfers().into_iter();
        transfers.flat_map(|(_, (_, packets))| packets).collect()
    }
}

pub(crate) struct LinkRx {
    link: Link,
    /// What has come and was not received.
    here: VecDeque<Input>,
    /// What was received last.
    last: Option<(PhysicalAddress, Vec<u8>)>,
}

impl LinkRx {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            here: VecDeque::new(),
            last: None,
        }
    }
}

/// For the next receiving half.
impl Drop for LinkRx {
    fn drop(&mut self) {
        let mut state = self.link.0.borrow_mut();
        self.here.extend(state.inputs.drain(..));
        state.inputs = std::mem::take(&mut self.here);
        state.here = 0;
    }
}

impl TransportRx for LinkRx {
    fn can_wait(&self) -> bool {
        self.link.0.borrow().can_wait
    }

    fn put_back(&mut self) {
        let (source, packet) = self.last.take().expect("a packet was received last");
        self.here.push_front(Input::Packet(source, packet));
        self.link.0.borrow_mut().here = self.here.len();
    }

    fn take_out_of_turn(&mut self, mut take: impl FnMut(PhysicalAddress, &[u8]) -> bool) {
        let is_left = |input: &Input| match input {
            Input::Packet(source, packet) => !take(*source, packet),
            _ => true,
        };
        self.here.retain(is_left);
    }

    async fn receive(&mut self) -> Received<'_> {
        let input = poll_fn(|context| {
            let mut state = self.link.0.borrow_mut();
            self.here.extend(state.inputs.drain(..));
            let input = self.here.pop_front();
            state.here = self.here.len();
            match input {
                Some(input) => Poll::Ready(input),
                None => {
                    state.receive = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        match input.await {
            Input::Packet(source, packet) => {
                let (_, packet) = self.last.insert((source, packet));
                Received::Packet {
                    source,
                    bytes: packet,
                }
            }
            Input::Dropped(reason) => Received::Dropped(reason),
            Input::LinkUp => Received::LinkUp,
            Input::LinkDown => Received::LinkDown,
        }
    }
}

pub(crate) struct LinkTx {
    link: Link,
    clock: VirtualClock,
}

impl LinkTx {
    pub(crate) fn new(link: Link, clock: VirtualClock) -> Self {
        Self { link, clock }
    }
}

impl TransportTx for LinkTx {
    fn layout(&self) -> TransferLayout {
        self.link.0.borrow().layout
    }

    fn medium_specific(&self) -> u8 {
        match self.layout() {
            I2C_LAYOUT => I2C_MEDIUM_SPECIFIC,
            _ => 0,
        }
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        let read = poll_fn(|context| {
            let mut state = self.link.0.borrow_mut();
            if !state.up {
                return Poll::Ready(Err(SendError::LinkDown));
            }
            if state.reads > 0 {
                state.reads -= usize::from(state.reads != usize::MAX);
                if state.refuses {
                    return Poll::Ready(Err(SendError::NotAccepted));
                }
                return Poll::Ready(Ok(()));
            }
            state.send = Some(context.waker().clone());
            Poll::Pending
        });
        read.await?;
        let speed = self.link.0.borrow().bytes_per_millisecond;
        let duration = transfer.as_bytes().len().div_ceil(speed) as u64;
        if speed != usize::MAX {
            let deadline = Instant::from_millis(self.clock.millis() + duration);
            self.clock.wait_until(deadline).await;
        }
        let sent = (
            transfer.destination(),
            transfer.packets().map(<[u8]>::to_vec).collect(),
        );
        let mut state = self.link.0.borrow_mut();
        state.sent.push((self.clock.millis(), sent));
        if let Some(waker) = state.host.take() {
            waker.wake();
        }
        Ok(())
    }
}

/// A router that runs, with endpoint ID [`DEVICE`], a USB-like port and an I2C-like port, both up.
///
/// Four short and four long message buffers, long ones of 70,000 bytes; twelve channels; four
/// routes.
pub(crate) struct Running {
    pub(crate) world: World,
    pub(crate) router: &'static TestRouter,
    pub(crate) usb: Link,
    pub(crate) i2c: Link,
    senders: Vec<Outcome<Infallible>>,
    receivers: Vec<Outcome<Infallible>>,
    timers: Option<Outcome<Infallible>>,
}

fn run_receive(
    world: &mut World,
    router: &'static TestRouter,
    port: PortId,
    link: &Link,
) -> Outcome<Infallible> {
    let mut rx = LinkRx::new(link.clone());
    world.spawn(async move { router.run_receive(port, &mut rx).await })
}

fn run_send(
    world: &mut World,
    router: &'static TestRouter,
    port: PortId,
    link: &Link,
) -> Outcome<Infallible> {
    let mut tx = LinkTx {
        link: link.clone(),
        clock: world.clock.clone(),
    };
    world.spawn(async move { router.run_send(port, &mut tx).await })
}

impl Running {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with_endpoint_id::<4>(config)
    }

    /// With one long message buffer.
    pub(crate) fn with_one_long_buffer(config: &Config) -> Self {
        Self::with_endpoint_id::<1>(config)
    }

    fn with_endpoint_id<const LONG_MESSAGES: usize>(config: &Config) -> Self {
        let running = Self::with::<4, LONG_MESSAGES, 70_000, 12>(config, [NETWORK; 2]);
        running.router.set_endpoint_id(NETWORK, Eid(DEVICE));
        running
    }

    /// With these buffers and channels, a network for each port, and without endpoint IDs.
    pub(crate) fn with<
        const SHORT_MESSAGES: usize,
        const LONG_MESSAGES: usize,
        const LONG_MESSAGE_LEN: usize,
        const CHANNELS: usize,
    >(
        config: &Config,
        networks: [NetworkId; 2],
    ) -> Self {
        let mut world = World::new();
        let storage = Box::leak(Box::new(RouterStorage::<
            Ports<2>,
            Networks<2>,
            ShortMessages<SHORT_MESSAGES>,
            LongMessages<LONG_MESSAGES, LONG_MESSAGE_LEN>,
            Channels<CHANNELS>,
            Routes<4, 2>,
        >::default()));
        let clock: &VirtualClock = Box::leak(Box::new(world.clock.clone()));
        let router: &TestRouter = Box::leak(Box::new(Router::new(storage, clock, config)));
        for (port, network) in [USB, I2C].into_iter().zip(networks) {
            let buffers = Box::leak(Box::new(PortBuffers::<512>::default()));
            assert_eq!(router.add_port(network, buffers), Ok(port));
        }
        let (usb, i2c) = (Link::new(USB_LAYOUT), Link::new(I2C_LAYOUT));
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for (port, link) in [(USB, &usb), (I2C, &i2c)] {
            receivers.push(run_receive(&mut world, router, port, link));
            senders.push(run_send(&mut world, router, port, link));
        }
        let timers = Some(world.spawn(router.run_timers()));
        world.run();
        usb.up();
        i2c.up();
        world.run();
        Self {
            world,
            router,
            usb,
            i2c,
            senders,
            receivers,
            timers,
        }
    }

    /// Runs each port in one future from now on, with no other task for any of them.
    pub(crate) fn run_ports_whole(&mut self) {
        let tasks = self.senders.drain(..).chain(self.receivers.drain(..));
        for task in tasks.chain(self.timers.take()) {
            self.world.cancel(task);
        }
        for (port, link) in [(USB, self.usb.clone()), (I2C, self.i2c.clone())] {
            let (router, clock) = (self.router, self.world.clock.clone());
            self.world.spawn(async move {
                let (mut rx, mut tx) = (LinkRx::new(link.clone()), LinkTx { link, clock });
                router.run(port, &mut rx, &mut tx).await
            });
        }
        self.world.run();
    }

    pub(crate) fn link(&self, port: PortId) -> &Link {
        [&self.usb, &self.i2c][usize::from(port.0)]
    }

    /// Drops the sending half of the USB port, and runs it again after `pause` milliseconds.
    pub(crate) fn restart_usb_sender(&mut self, pause: u64) {
        self.world.cancel(self.senders.remove(0));
        self.world.advance(pause);
        let sender = run_send(&mut self.world, self.router, USB, &self.usb);
        self.senders.insert(0, sender);
        self.world.run();
    }

    /// Drops the receiving half of a port, and runs it again.
    pub(crate) fn restart_receiver(&mut self, port: PortId) {
        let index = usize::from(port.0);
        self.world.cancel(self.receivers.remove(index));
        let link = self.link(port).clone();
        let receiver = run_receive(&mut self.world, self.router, port, &link);
        self.receivers.insert(index, receiver);
        self.world.run();
    }

    /// A service that sends back what it gets, in place.
    pub(crate) fn serve_echo(&mut self, service: mctp_router::Service) {
        let listener = self.router.listener(service).expect("a free channel");
        self.world.spawn(async move {
            loop {
                let message = listener.receive().await;
                // The host asks again if it did not get it.
                let _ = message
                    .respond(message.origin().integrity_check(), &[message.bytes()])
                    .await;
            }
        });
        self.world.run();
    }

    pub(crate) fn drops(&self, reason: DropReason) -> u32 {
        self.router.drop_counters().of(reason)
    }
}
