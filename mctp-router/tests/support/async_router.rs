//! The device of the scenarios with the async router, in a virtual world.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use embassy_futures::poll_once;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, MsgIC, MsgType};
use mctp_router::{
    BusOwner, Event, Listener, Message, NetworkId, PortConfig, PortId, RequestChannel, Responder,
    Route, Service,
};
use mctp_transport::{DropCounters, DropReason, Eid, PhysicalAddress};

use super::driver::{
    Asked, Came, Driver, Failure, Question, Response, SendResult, Sending, Served, Setup, Taken,
    Taking,
};
use super::shell::{Executor, Outcome, Running, VirtualClock};
use super::{I2C, SentTransfer, USB};

/// The longest message that any device takes or sends.
const LONGEST: usize = 70_000;

type TestListener = Listener<'static, 'static, NoopRawMutex, &'static VirtualClock>;
type Channel<'a> = RequestChannel<'a, 'static, NoopRawMutex, &'static VirtualClock>;

/// The tasks of services and requests are in the executor of the links, or `IN_TWO_EXECUTORS` in one
/// of lower priority.
pub(crate) struct AsyncRouter<const IN_TWO_EXECUTORS: bool> {
    running: Running,
    /// `None` once closed.
    services: Vec<Option<Serving>>,
    /// With the service that each is of.
    taken: Vec<(Served, Rc<Desk>)>,
    sendings: Vec<Rc<Answer>>,
    /// The task, if it is not a service's.
    requests: Vec<(Rc<Conversation>, Option<Outcome<()>>)>,
}

/// A listener, and the task of its service.
struct Serving {
    listener: Rc<RefCell<TestListener>>,
    jobs: Jobs,
    task: Outcome<()>,
}

/// What a service does side by side, in one task.
#[derive(Clone, Default)]
struct Jobs(Rc<RefCell<Vec<Job>>>);

type Job = Pin<Box<dyn Future<Output = ()>>>;

impl Jobs {
    fn add(&self, job: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(job));
    }

    fn poll(&self, context: &mut Context<'_>) {
        let mut jobs = std::mem::take(&mut *self.0.borrow_mut());
        jobs.retain_mut(|job| job.as_mut().poll(context).is_pending());
        self.0.borrow_mut().extend(jobs);
    }
}

/// Where a test tells a service what to do with a message.
#[derive(Default)]
struct Desk {
    /// The message, once it is there.
    taken: RefCell<Option<Taken>>,
    commands: RefCell<VecDeque<Command>>,
    is_over: Cell<bool>,
}

enum Command {
    Respond(MsgIC, Vec<Vec<u8>>, Rc<Answer>),
    AskBack(Question, Rc<Conversation>),
    DiscardBadIntegrityCheck,
}

impl Desk {
    async fn next(&self) -> Command {
        poll_fn(|_| match self.commands.borrow_mut().pop_front() {
            Some(command) => Poll::Ready(command),
            None => Poll::Pending,
        })
        .await
    }

    async fn over(&self) {
        until(&self.is_over).await;
    }
}

async fn until(flag: &Cell<bool>) {
    poll_fn(|_| match flag.get() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[derive(Default)]
struct Answer {
    served: Option<Served>,
    outcome: Cell<Option<SendResult>>,
    is_abandoned: Cell<bool>,
}

#[derive(Default)]
struct Conversation {
    served: Option<Served>,
    outcome: Cell<Option<SendResult>>,
    answers: RefCell<Vec<Response>>,
    is_over: Cell<bool>,
}

/// What a message can be answered with.
enum Holder<'a> {
    InPlace(Message<'a, 'static, NoopRawMutex, &'static VirtualClock>),
    Copied(Responder<'a, 'static, NoopRawMutex, &'static VirtualClock>),
}

impl Holder<'_> {
    async fn respond(
        &mut self,
        integrity_check: MsgIC,
        slices: &[&[u8]],
    ) -> Result<(), mctp::Error> {
        match self {
            Self::InPlace(message) => message.respond(integrity_check, slices).await,
            Self::Copied(responder) => responder.send_vectored(integrity_check, slices).await,
        }
    }
}

/// Takes the next message, and does with it what the test says.
#[expect(
    clippy::await_holding_refcell_ref,
    reason = "in place, a service has one message at a time"
)]
async fn take(listener: Rc<RefCell<TestListener>>, taking: Taking, desk: Rc<Desk>) {
    let mut copy = vec![0; LONGEST];
    let (exclusive, shared);
    let (holder, taken) = match taking {
        Taking::InPlace => {
            exclusive = listener.borrow_mut();
            let message = exclusive.receive().await;
            let (port, neighbour) = message.origin().neighbour();
            let taken = Taken {
                id: 0,
                integrity_check: message.origin().integrity_check().0,
                message: [&[message.origin().message_type().0], message.bytes()].concat(),
                source: message.origin().source(),
                came_by: Some((message.origin().network(), port, neighbour)),
            };
            (Holder::InPlace(message), taken)
        }
        Taking::Copied => {
            shared = listener.borrow();
            let mut receiver: &TestListener = &shared;
            let (message_type, integrity_check, bytes, responder) = receiver
                .recv(&mut copy)
                .await
                .expect("a long enough buffer");
            let taken = Taken {
                id: 0,
                integrity_check: integrity_check.0,
                message: [&[message_type.0], &*bytes].concat(),
                source: responder.remote_eid(),
                came_by: None,
            };
            (Holder::Copied(responder), taken)
        }
    };
    *desk.taken.borrow_mut() = Some(taken);
    select(desk.over(), serve(holder, &desk)).await;
}

async fn serve(mut holder: Holder<'_>, desk: &Desk) {
    loop {
        match (desk.next().await, &mut holder) {
            (Command::Respond(integrity_check, slices, answer), holder) => {
                let slices: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
                let sending = holder.respond(integrity_check, &slices);
                let outcome = match select(until(&answer.is_abandoned), sending).await {
                    Either::First(()) => Err(Failure::Unreachable),
                    Either::Second(result) => result.map_err(Failure::from),
                };
                answer.outcome.set(Some(outcome));
            }
            (Command::AskBack(question, conversation), Holder::Copied(responder)) => {
                let channel = responder.req_channel().expect("it always can");
                converse(channel, question, conversation).await;
            }
            (Command::AskBack(..), Holder::InPlace(_)) => panic!("only who copied can ask back"),
            (Command::DiscardBadIntegrityCheck, _) => break,
        }
    }
    match holder {
        Holder::InPlace(message) => message.discard_bad_integrity_check(),
        Holder::Copied(_) => panic!("a copy is no longer the router's"),
    }
}

async fn converse(channel: Channel<'_>, question: Question, conversation: Rc<Conversation>) {
    let over = until(&conversation.is_over);
    select(over, ask(channel, question, &conversation)).await;
}

async fn ask(mut channel: Channel<'_>, question: Question, conversation: &Conversation) {
    if let Some(timeout) = question.timeout {
        channel = channel.with_timeout(Duration::from_millis(timeout));
    }
    let target = question.target.endpoint_id();
    assert!(conversation.served.is_some() || channel.remote_eid() == target);
    let (message_type, body) = question.message.split_first().unwrap();
    let sent = channel
        .send_vectored(MsgType(*message_type), MsgIC(false), &[body])
        .await;
    let outcome = sent.map_err(Failure::from);
    conversation.outcome.set(Some(outcome));
    if outcome.is_err() {
        return;
    }
    let mut buffer = vec![0; LONGEST];
    loop {
        let answer = channel.recv(&mut buffer).await;
        let answer = answer.map(|(message_type, _, answer)| [&[message_type.0], &*answer].concat());
        let is_last = answer.is_err();
        conversation
            .answers
            .borrow_mut()
            .push(answer.map_err(Failure::from));
        if is_last {
            return;
        }
    }
}

impl<const IN_TWO_EXECUTORS: bool> AsyncRouter<IN_TWO_EXECUTORS> {
    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) -> Outcome<()> {
        let executor = match IN_TWO_EXECUTORS {
            true => Executor::Low,
            false => Executor::High,
        };
        self.running.world.spawn_in(executor, task)
    }

    fn tell(&mut self, taken: &Taken, command: Command) {
        let (served, desk) = &self.taken[taken.id];
        assert!(!desk.is_over.get(), "not given back");
        desk.commands.borrow_mut().push_back(command);
        self.wake(Some(*served));
    }

    fn wake(&mut self, served: Option<Served>) {
        if let Some(serving) = served.and_then(|served| self.services[served.0].as_ref()) {
            self.running.world.wake(&serving.task);
        }
        self.running.world.run();
    }

    fn ask_by(&mut self, conversation: &Rc<Conversation>, task: Option<Outcome<()>>) -> Asked {
        self.requests.push((conversation.clone(), task));
        self.running.world.run();
        Asked(self.requests.len() - 1)
    }
}

/// Whether a packet that was dropped may be counted for this: the other reasons are of messages that
/// had to make room, or were late.
fn is_of_the_packet(reason: DropReason) -> bool {
    !matches!(
        reason,
        DropReason::ReplacedByNewStart
            | DropReason::EvictedUnfinished
            | DropReason::AssemblyTimeout
            | DropReason::SendTimeout
    )
}

impl<const IN_TWO_EXECUTORS: bool> Driver for AsyncRouter<IN_TWO_EXECUTORS> {
    fn new(setup: &Setup) -> Self {
        let (config, networks) = (&setup.config, setup.networks);
        let running = match setup.is_large {
            true => Running::with::<4, 4, 70_000, 12>(config, networks),
            false => Running::with::<2, 2, 4224, 10>(config, networks),
        };
        let mut device = Self {
            running,
            services: Vec::new(),
            taken: Vec::new(),
            sendings: Vec::new(),
            requests: Vec::new(),
        };
        for port in [USB, I2C] {
            device.set_can_wait(port, false);
        }
        device.events();
        device
    }

    fn configure_port(&mut self, port: PortId, config: PortConfig) {
        self.running.router.configure_port(port, config);
    }

    fn add_route(&mut self, route: Route) -> bool {
        self.running.router.add_route(route)
    }

    fn remove_route(&mut self, network: NetworkId, first: Eid, last: Eid) -> bool {
        self.running.router.remove_route(network, first, last)
    }

    fn endpoint_id(&self, network: NetworkId) -> Eid {
        self.running.router.endpoint_id(network)
    }

    fn set_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool {
        self.running.router.set_endpoint_id(network, endpoint_id)
    }

    fn set_static_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool {
        let router = self.running.router;
        router.set_static_endpoint_id(network, endpoint_id)
    }

    fn bus_owner(&self, network: NetworkId) -> Option<BusOwner> {
        self.running.router.bus_owner(network)
    }

    fn drop_counters(&self) -> DropCounters {
        self.running.router.drop_counters()
    }

    fn count_drop(&mut self, reason: DropReason) {
        self.running.router.count_drop(reason);
    }

    fn messages_accepted(&self) -> u32 {
        self.running.router.messages_accepted()
    }

    fn poll_event(&mut self) -> Option<Event> {
        match poll_once(self.running.router.next_event()) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        }
    }

    fn millis(&self) -> u64 {
        self.running.world.clock.millis()
    }

    fn advance(&mut self, milliseconds: u64) {
        self.running.world.advance(milliseconds);
    }

    fn oversleep(&mut self, milliseconds: u64) {
        self.running.world.stop(milliseconds);
    }

    fn run(&mut self) {
        self.running.world.run();
    }

    fn link_up(&mut self, port: PortId) {
        self.running.link(port).up();
        self.run();
    }

    fn link_down(&mut self, port: PortId) {
        self.running.link(port).down();
        self.run();
    }

    fn set_can_wait(&mut self, port: PortId, can_wait: bool) {
        self.running.link(port).set_can_wait(can_wait);
        self.running.restart_receiver(port);
    }

    fn receive_at(&mut self, port: PortId, from: PhysicalAddress, packet: &[u8]) -> Came {
        let (before, accepted) = (self.drop_counters(), self.messages_accepted());
        self.running.link(port).packet_from(from, packet);
        self.run();
        if self.running.link(port).holds_packets() {
            return Came::HeldBack;
        }
        let after = self.drop_counters();
        let grown = |(reason, count): &(DropReason, u32)| {
            *count > before.of(*reason) && is_of_the_packet(*reason)
        };
        match after.nonzero().find(grown) {
            Some((reason, _)) => Came::Dropped(reason),
            None if self.messages_accepted() != accepted => Came::Accepted,
            None => Came::Stored,
        }
    }

    fn receive_all_at(&mut self, port: PortId, from: PhysicalAddress, packets: &[Vec<u8>]) {
        for packet in packets {
            self.running.link(port).packet_from(from, packet);
        }
        self.run();
    }

    fn receive_broken(&mut self, port: PortId) {
        self.running.link(port).broken_packet();
        self.run();
    }

    fn set_reads(&mut self, port: PortId, transfers: usize) {
        self.running.link(port).set_reads(transfers);
        self.run();
    }

    fn set_speed(&mut self, port: PortId, bytes_per_millisecond: usize) {
        self.running.link(port).set_speed(bytes_per_millisecond);
    }

    fn set_refuses(&mut self, port: PortId, refuses: bool) {
        self.running.link(port).set_refuses(refuses);
    }

    fn timed_transfers(&mut self, port: PortId) -> Vec<(u64, SentTransfer)> {
        self.running.link(port).timed_transfers()
    }

    fn listen(&mut self, service: Service) -> Result<Served, Failure> {
        let listener = self.running.router.listener(service)?;
        let jobs = Jobs::default();
        let polled = jobs.clone();
        let task = self.spawn(poll_fn(move |context| {
            polled.poll(context);
            Poll::Pending
        }));
        self.services.push(Some(Serving {
            listener: Rc::new(RefCell::new(listener)),
            jobs,
            task,
        }));
        Ok(Served(self.services.len() - 1))
    }

    fn close(&mut self, served: Served) {
        let serving = self.services[served.0].take().expect("an open listener");
        self.running.world.cancel(serving.task);
        drop((serving.jobs, serving.listener));
        self.run();
    }

    fn take_as(&mut self, served: Served, taking: Taking) -> Option<Taken> {
        let serving = self.services[served.0].as_ref().expect("an open listener");
        let desk = Rc::new(Desk::default());
        let listener = serving.listener.clone();
        serving.jobs.add(take(listener, taking, desk.clone()));
        self.wake(Some(served));
        let taken = desk.taken.take();
        if taken.is_none() {
            // Whoever waits for the next message would take it.
            let serving = self.services[served.0].as_ref();
            serving.expect("an open listener").jobs.0.borrow_mut().pop();
        }
        self.taken.push((served, desk));
        let id = self.taken.len() - 1;
        taken.map(|taken| Taken { id, ..taken })
    }

    fn respond(&mut self, taken: &Taken, integrity_check: bool, slices: &[&[u8]]) -> Sending {
        let answer = Rc::new(Answer {
            served: Some(self.taken[taken.id].0),
            ..Answer::default()
        });
        self.sendings.push(answer.clone());
        let slices = slices.iter().map(|slice| slice.to_vec()).collect();
        self.tell(
            taken,
            Command::Respond(MsgIC(integrity_check), slices, answer),
        );
        Sending(self.sendings.len() - 1)
    }

    fn outcome(&mut self, sending: Sending) -> Option<SendResult> {
        self.sendings[sending.0].outcome.get()
    }

    fn abandon(&mut self, sending: Sending) {
        let answer = &self.sendings[sending.0];
        answer.is_abandoned.set(true);
        self.wake(answer.served);
    }

    fn give_back(&mut self, taken: Taken) {
        let (served, desk) = &self.taken[taken.id];
        desk.is_over.set(true);
        self.wake(Some(*served));
    }

    fn discard_bad_integrity_check(&mut self, taken: Taken) {
        self.tell(&taken, Command::DiscardBadIntegrityCheck);
    }

    fn serve_echo(&mut self, service: Service, taking: Taking) {
        let mut listener = self
            .running
            .router
            .listener(service)
            .expect("a free channel");
        // The host asks again if it did not get it.
        self.spawn(async move {
            let mut buffer = vec![0; LONGEST];
            loop {
                if taking == Taking::InPlace {
                    let message = listener.receive().await;
                    let echo = [message.bytes()];
                    let _ = message
                        .respond(message.origin().integrity_check(), &echo)
                        .await;
                } else {
                    let received = listener.recv(&mut buffer).await;
                    let (_, integrity_check, request, mut response) =
                        received.expect("a long enough buffer");
                    let _ = response.send_vectored(integrity_check, &[request]).await;
                }
            }
        });
        self.run();
    }

    fn ask(&mut self, question: Question) -> Asked {
        let conversation = Rc::new(Conversation::default());
        let channel = self.running.router.request_channel(question.target);
        let conversed = converse(channel, question, conversation.clone());
        let task = self.spawn(conversed);
        self.ask_by(&conversation, Some(task))
    }

    fn ask_back(&mut self, taken: &Taken, question: Question) -> Asked {
        let conversation = Rc::new(Conversation {
            served: Some(self.taken[taken.id].0),
            ..Conversation::default()
        });
        self.tell(taken, Command::AskBack(question, conversation.clone()));
        self.ask_by(&conversation, None)
    }

    fn request_outcome(&mut self, asked: Asked) -> Option<SendResult> {
        self.requests[asked.0].0.outcome.get()
    }

    fn answers(&mut self, asked: Asked) -> Vec<Response> {
        self.requests[asked.0].0.answers.take()
    }

    fn end_request(&mut self, asked: Asked) {
        let (conversation, task) = &mut self.requests[asked.0];
        conversation.is_over.set(true);
        let served = conversation.served;
        if let Some(task) = task.take() {
            self.running.world.cancel(task);
        }
        self.wake(served);
    }
}
