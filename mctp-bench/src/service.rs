//! The service around the cores: receives, answers and sends. No decision about bytes is taken
//! here.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, Eid, Error, MsgIC};
use mctp_time::{Clock, Instant};

use crate::receiver::{Receiver, Statistics};
use crate::stream::{DataMessage, Stream};
use crate::wire::{Message, Request, Response, Status};

/// How much a stack may take without a pause before other tasks get a turn. A stack's transfers are
/// full long before: then it waits by itself.
const BYTES_IN_A_ROW: usize = 16 * 1024;

/// How long after a message was given up it is sent again, in milliseconds.
const PAUSE: u32 = 1000;

/// The service of one endpoint: what it receives, and the stream that it sends.
///
/// - Give each message of the service to [`receive`](Self::receive). If it returns an answer, send
///   that, then [`start`](Self::start) what was asked for.
/// - Meanwhile await [`send`](Self::send) again and again: it sends one stream.
/// - Call [`stop`](Self::stop) when the link is lost or the endpoint ID changes.
///
/// Over the traits of the `mctp` crate, [`serve`] does the first two.
#[derive(Default)]
#[allow(missing_debug_implementations)] // A signal has none.
pub struct Bench {
    receiver: Cell<Receiver>,
    /// For the sender: a stream to send, or that there is none any more.
    next: Signal<NoopRawMutex, Option<(Eid, Stream)>>,
    /// The sender has stopped.
    idle: Signal<NoopRawMutex, ()>,
}

/// The answer to a command, and what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "it must be sent, and then started"]
pub struct Answer {
    /// The response from behind the message type.
    pub bytes: [u8; Response::LEN],
    requester: Eid,
    request: Option<Request>,
}

/// What was sent of a stream.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sent {
    /// Who asked for it, and got it.
    pub requester: Eid,
    /// How many messages.
    pub messages: u64,
    /// How often a message was given up by the stack, because the neighbour did not read, and then
    /// sent again.
    pub given_up: u64,
    /// Why no more.
    pub end: End,
}

/// Why a stream ended.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// All of it was sent.
    Complete,
    /// There was another request, or [`Bench::stop`].
    Stopped,
    /// A message could not be sent: there is no link.
    Failed(Error),
}

impl Bench {
    /// Nothing received, nothing to send.
    pub const fn new() -> Self {
        Self {
            receiver: Cell::new(Receiver::new()),
            next: Signal::new(),
            idle: Signal::new(),
        }
    }

    /// Takes a message of type 7Eh, from behind the message type, that `source` sent and that came
    /// `now`.
    ///
    /// For a command it ends the stream that is being sent, waits for the message under way, so
    /// that none of the old stream comes after the answer, and returns the answer. For one
    /// message at a time.
    pub async fn receive(&self, now: Instant, source: Eid, body: &[u8]) -> Option<Answer> {
        let (instance_id, request) = match Message::parse(body) {
            Some(Message::Command {
                instance_id,
                request,
            }) => (instance_id, request),
            other => {
                self.count(now, other, body);
                return None;
            }
        };
        let status = request.err().unwrap_or(Status::OK);
        if request.is_ok() {
            self.idle.reset();
            self.stop();
            self.idle.wait().await;
        }
        let response = Response {
            instance_id,
            status,
        };
        Some(Answer {
            bytes: response.encode(),
            requester: source,
            request: request.ok(),
        })
    }

    /// Sends what an answer promised, once the answer is sent.
    pub fn start(&self, answer: &Answer) {
        if let Some(request) = &answer.request {
            let stream = Stream::new(request);
            self.next.signal(Some((answer.requester, stream)));
        }
    }

    /// Ends the stream that is being sent, behind the message under way.
    pub fn stop(&self) {
        self.next.signal(None);
    }

    /// Waits for a stream to send and sends it, to its end.
    ///
    /// Messages follow each other without a pause while the stack takes them at once, so that a
    /// transfer of the stack's is full before it leaves. Other tasks get a turn when the stack
    /// has no room for more, or after 16 KiB.
    ///
    /// `request_channel` makes a channel to an endpoint. Each message has a tag of its own if the
    /// channel takes one for each request.
    ///
    /// A message that the stack gives up with [`Error::TxFailure`], because the neighbour does not
    /// read, is sent again after a second, so that the stream goes on once the neighbour reads
    /// again. Nothing is held meanwhile, for however long. With a stack that always fails so, the
    /// message is sent again and again until the stream is stopped. Any other error ends the
    /// stream.
    pub async fn send<C: AsyncReqChannel>(
        &self,
        request_channel: impl FnOnce(Eid) -> C,
        clock: &impl Clock,
    ) -> Sent {
        let (requester, stream) = loop {
            match self.next.wait().await {
                Some(next) => break next,
                None => self.idle.signal(()),
            }
        };
        let mut channel = request_channel(requester);
        let mut sent = Sent {
            requester,
            messages: 0,
            given_up: 0,
            end: End::Complete,
        };
        let mut in_a_row: usize = 0;
        for message in stream {
            let has_waited = loop {
                if self.next.signaled() {
                    sent.end = End::Stopped;
                    return sent;
                }
                match send_one(&mut channel, &message).await {
                    (Ok(()), has_waited) => break has_waited,
                    (Err(Error::TxFailure), _) => {
                        sent.given_up = sent.given_up.saturating_add(1);
                        self.pause_unless_stopped(clock).await;
                        // Neither the clock nor the stack has to wait.
                        yield_now().await;
                    }
                    (Err(error), _) => {
                        sent.end = End::Failed(error);
                        return sent;
                    }
                }
            };
            sent.messages = sent.messages.saturating_add(1);
            in_a_row = if has_waited {
                0
            } else {
                in_a_row.saturating_add(message.length())
            };
            if in_a_row > BYTES_IN_A_ROW {
                in_a_row = 0;
                yield_now().await;
            }
        }
        sent
    }

    /// Ends early when the stream is to end.
    async fn pause_unless_stopped(&self, clock: &impl Clock) {
        let pause = clock.wait_until(clock.now().after(PAUSE));
        if let Either::Second(next) = select(pause, self.next.wait()).await {
            // For the sender.
            self.next.signal(next);
        }
    }

    /// What was received of the newest stream.
    pub fn statistics(&self) -> Statistics {
        self.receiver.get().statistics()
    }

    fn count(&self, now: Instant, message: Option<Message<'_>>, body: &[u8]) {
        let mut receiver = self.receiver.get();
        match message {
            Some(Message::Data(data)) => receiver.receive(now, &data),
            None if Message::has_prefix(body) => receiver.count_invalid(),
            // Nobody was asked anything, and what others send is theirs.
            _ => return,
        }
        self.receiver.set(receiver);
    }
}

/// Sends a message; says also whether it had to wait, so that others had a turn.
async fn send_one(
    channel: &mut impl AsyncReqChannel,
    message: &DataMessage,
) -> (mctp::Result<()>, bool) {
    let slices = message.slices();
    let mut sending =
        pin!(channel.send_vectored(mctp::MCTP_TYPE_VENDOR_PCIE, MsgIC(false), &slices));
    let mut has_waited = false;
    let result = poll_fn(|context| {
        let result = sending.as_mut().poll(context);
        has_waited |= result.is_pending();
        result
    });
    (result.await, has_waited)
}

/// Serves until `listener` fails; returns why.
///
/// `request_channel` makes a channel to an endpoint, and `buffer` holds one message at a time: a
/// request has 25 bytes, and longer messages than the buffer are lost.
pub async fn serve<C: AsyncReqChannel>(
    bench: &Bench,
    listener: &mut impl AsyncListener,
    mut request_channel: impl FnMut(Eid) -> C,
    clock: impl Clock,
    buffer: &mut [u8],
) -> Error {
    let receive = async {
        loop {
            let (body, mut response) = match listener.recv(buffer).await {
                Ok((_, _, body, response)) => (body, response),
                Err(Error::NoSpace) => continue,
                Err(error) => return error,
            };
            let source = response.remote_eid();
            if let Some(answer) = bench.receive(clock.now(), source, body).await
                && response.send(&answer.bytes).await.is_ok()
            {
                bench.start(&answer);
            }
            // Whoever sends without a pause does not keep others from their turn.
            yield_now().await;
        }
    };
    let send = async {
        loop {
            bench.send(&mut request_channel, &clock).await;
        }
    };
    match select(receive, send).await {
        Either::First(error) => error,
        Either::Second(never) => never,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use embassy_futures::block_on;
    use embassy_sync::channel::Channel;
    use mctp::{MsgType, Result};

    use super::*;
    use crate::SUBTYPE;

    const REQUESTER: Eid = Eid(8);

    /// A stack with one neighbour: what it sends is put into `inbox`, what it gets is in `sent`.
    struct Stack {
        inbox: Channel<NoopRawMutex, Vec<u8>, 8>,
        sent: RefCell<Vec<Vec<u8>>>,
        /// What fails from now on.
        no_responses: Cell<bool>,
        no_requests: Cell<bool>,
        /// Nobody reads: requests are given up.
        unread: Cell<bool>,
        /// How many were.
        given_up: Cell<u64>,
    }

    struct Listener<'s>(&'s Stack);
    struct Responder<'s>(&'s Stack);
    struct Requests<'s>(&'s Stack, Eid);

    impl AsyncListener for Listener<'_> {
        type RespChannel<'a>
            = Responder<'a>
        where
            Self: 'a;
        async fn recv<'f>(
            &mut self,
            buf: &'f mut [u8],
        ) -> Result<(MsgType, MsgIC, &'f mut [u8], Responder<'_>)> {
            let message = self.0.inbox.receive().await;
            if message.is_empty() {
                return Err(Error::RxFailure);
            }
            let buf = buf.get_mut(..message.len()).ok_or(Error::NoSpace)?;
            buf.copy_from_slice(&message);
            Ok((MsgType(0x7E), MsgIC(false), buf, Responder(self.0)))
        }
    }

    impl AsyncRespChannel for Responder<'_> {
        type ReqChannel<'a>
            = Requests<'a>
        where
            Self: 'a;
        async fn send_vectored(&mut self, _: MsgIC, bufs: &[&[u8]]) -> Result<()> {
            if self.0.no_responses.get() {
                return Err(Error::TxFailure);
            }
            self.0.sent.borrow_mut().push(bufs.concat());
            Ok(())
        }
        fn remote_eid(&self) -> Eid {
            REQUESTER
        }
        fn req_channel(&self) -> Result<Requests<'_>> {
            Err(Error::Unsupported)
        }
    }

    impl AsyncReqChannel for Requests<'_> {
        async fn send_vectored(&mut self, typ: MsgType, ic: MsgIC, bufs: &[&[u8]]) -> Result<()> {
            assert_eq!((typ, ic, self.1), (MsgType(0x7E), MsgIC(false), REQUESTER));
            // Sending takes a while.
            yield_now().await;
            yield_now().await;
            if self.0.no_requests.get() {
                return Err(Error::Unreachable);
            }
            if self.0.unread.get() {
                self.0.given_up.set(self.0.given_up.get() + 1);
                return Err(Error::TxFailure);
            }
            self.0.sent.borrow_mut().push(bufs.concat());
            Ok(())
        }
        async fn recv<'f>(&mut self, _: &'f mut [u8]) -> Result<(MsgType, MsgIC, &'f mut [u8])> {
            Err(Error::Unsupported)
        }
        fn remote_eid(&self) -> Eid {
            self.1
        }
    }

    impl Stack {
        fn new() -> Self {
            Self {
                inbox: Channel::new(),
                sent: RefCell::default(),
                no_responses: Cell::new(false),
                no_requests: Cell::new(false),
                unread: Cell::new(false),
                given_up: Cell::new(0),
            }
        }

        /// Runs the service and, as its neighbour, `neighbour`.
        fn run(&self, bench: &Bench, neighbour: impl AsyncFnOnce()) {
            let mut listener = Listener(self);
            let mut buffer = [0; 128];
            let channel = |endpoint_id| Requests(self, endpoint_id);
            let service = serve(bench, &mut listener, channel, PAUSES, &mut buffer);
            match block_on(select(service, neighbour())) {
                Either::First(error) => panic!("{error}"),
                Either::Second(()) => {}
            }
        }

        async fn receive(&self, message: &[u8]) {
            self.inbox.send(message.to_vec()).await;
        }

        async fn ask(&self, instance_id: u32, length: u16, count: u64) {
            self.receive(&request(instance_id, length, count)).await;
        }

        async fn until_sent(&self, count: usize) {
            while self.sent.borrow().len() < count {
                yield_now().await;
            }
        }

        fn take_sent(&self) -> Vec<Vec<u8>> {
            self.sent.take()
        }
    }

    /// A clock that stands still, and whose waits are so many turns of everybody else.
    struct Turns(usize);

    const NOW: Instant = Instant::from_millis(5);
    const PAUSES: Turns = Turns(10);

    impl Clock for Turns {
        fn now(&self) -> Instant {
            NOW
        }

        async fn wait_until(&self, deadline: Instant) {
            assert_eq!(deadline, NOW.after(1000));
            for _ in 0..self.0 {
                yield_now().await;
            }
        }
    }

    /// Long enough for everything that is ready to happen.
    async fn settle() {
        for _ in 0..50 {
            yield_now().await;
        }
    }

    fn request(instance_id: u32, length: u16, count: u64) -> [u8; 25] {
        let request = Request {
            instance_id,
            length,
            count,
        };
        request.encode()
    }

    fn response(instance_id: u32, status: Status) -> Vec<u8> {
        let response = Response {
            instance_id,
            status,
        };
        response.encode().to_vec()
    }

    fn stream(length: u16, count: u64) -> Vec<Vec<u8>> {
        let stream = Stream::new(&Request {
            instance_id: 0,
            length,
            count,
        });
        stream.map(|message| message.slices().concat()).collect()
    }

    #[test]
    fn a_request_is_answered_and_then_carried_out() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.ask(7, 3000, 5).await;
            stack.until_sent(6).await;
            settle().await;
        });
        let mut expected = vec![response(7, Status::OK)];
        expected.extend(stream(3000, 5));
        assert_eq!(stack.take_sent(), expected);
    }

    #[test]
    fn a_request_for_no_messages_is_answered_only() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.ask(7, 100, 0).await;
            settle().await;
        });
        assert_eq!(stack.take_sent(), [response(7, Status::OK)]);
    }

    #[test]
    fn nothing_of_an_old_stream_comes_after_the_answer_to_a_new_request() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.ask(1, 100, u64::MAX).await;
            stack.until_sent(10).await;
            stack.ask(2, 50, 3).await;
            settle().await;
        });
        let sent = stack.take_sent();
        let answer = sent
            .iter()
            .position(|message| *message == response(2, Status::OK))
            .unwrap();
        assert!(sent[1..answer].iter().all(|message| message.len() == 100));
        assert_eq!(sent[answer + 1..], stream(50, 3));
    }

    #[test]
    fn a_bad_command_is_refused_and_does_not_end_the_stream() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.ask(1, 100, 40).await;
            stack.until_sent(3).await;
            stack.ask(2, 8, 1).await;
            let mut unknown = request(3, 100, 1);
            unknown[6] = 9;
            stack.receive(&unknown).await;
            stack.until_sent(43).await;
        });
        let sent = stack.take_sent();
        assert!(sent.contains(&response(2, Status::BAD_ARGUMENT)));
        assert!(sent.contains(&response(3, Status::UNKNOWN_COMMAND)));
        let messages: Vec<_> = sent.into_iter().filter(|sent| sent.len() == 100).collect();
        assert_eq!(messages, stream(100, 40));
    }

    #[test]
    fn a_stream_whose_answer_was_not_sent_does_not_begin() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.no_responses.set(true);
            stack.ask(1, 100, 5).await;
            settle().await;
        });
        assert!(stack.take_sent().is_empty());
    }

    #[test]
    fn a_message_that_cannot_be_sent_ends_the_stream_and_not_the_service() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.ask(1, 100, u64::MAX).await;
            stack.until_sent(4).await;
            stack.no_requests.set(true);
            settle().await;
            stack.no_requests.set(false);
            let sent = stack.take_sent().len();
            settle().await;
            assert!(stack.take_sent().is_empty(), "after {sent}");
            stack.ask(2, 60, 2).await;
            stack.until_sent(3).await;
        });
        assert_eq!(stack.take_sent()[1..], stream(60, 2));
    }

    #[test]
    fn what_was_given_up_is_sent_again_once_the_neighbour_reads() {
        let stack = Stack::new();
        stack.run(&Bench::new(), async || {
            stack.ask(1, 100, 20).await;
            stack.until_sent(4).await;
            for _ in 0..3 {
                let sent = stack.sent.borrow().len();
                stack.unread.set(true);
                settle().await;
                stack.unread.set(false);
                stack.until_sent(sent + 2).await;
            }
            stack.until_sent(21).await;
            settle().await;
        });
        assert_eq!(stack.take_sent()[1..], stream(100, 20));
    }

    #[test]
    fn a_neighbour_that_never_reads_again_costs_a_try_after_each_pause_and_no_more() {
        let stack = Stack::new();
        let bench = Bench::new();
        stack.run(&bench, async || {
            stack.ask(1, 100, u64::MAX).await;
            stack.until_sent(4).await;
            stack.unread.set(true);
            for _ in 0..50 {
                settle().await;
            }
            // 2,500 turns, of which each pause has ten.
            assert!((100..=250).contains(&stack.given_up.get()));
            // The pause does not hold up a stop, and not the next request.
            bench.stop();
            settle().await;
            let given_up = stack.given_up.get();
            settle().await;
            assert_eq!(stack.given_up.get(), given_up);
            stack.unread.set(false);
            stack.take_sent();
            stack.ask(2, 60, 2).await;
            stack.until_sent(3).await;
        });
        assert_eq!(stack.take_sent()[1..], stream(60, 2));
    }

    #[test]
    fn stop_ends_the_stream() {
        let stack = Stack::new();
        let bench = Bench::new();
        stack.run(&bench, async || {
            stack.ask(1, 100, u64::MAX).await;
            stack.until_sent(4).await;
            bench.stop();
            settle().await;
            stack.take_sent();
            settle().await;
            assert!(stack.take_sent().is_empty());
            stack.ask(2, 60, 2).await;
            stack.until_sent(3).await;
        });
    }

    #[test]
    fn a_stop_with_nothing_to_stop_does_not_end_the_next_stream() {
        let stack = Stack::new();
        let bench = Bench::new();
        bench.stop();
        stack.run(&bench, async || {
            stack.ask(1, 100, 3).await;
            stack.until_sent(4).await;
            bench.stop();
            stack.ask(2, 100, 3).await;
            stack.until_sent(8).await;
        });
    }

    #[test]
    fn what_was_sent_says_why_it_ended() {
        let stack = Stack::new();
        let bench = Bench::new();
        let sent = |count| {
            let answer = Answer {
                bytes: [0; 12],
                requester: REQUESTER,
                request: Some(Request {
                    instance_id: 1,
                    length: 9,
                    count,
                }),
            };
            bench.start(&answer);
            let stops = async {
                stack.until_sent(2).await;
                bench.stop();
                core::future::pending::<()>().await;
            };
            let send = bench.send(|endpoint_id| Requests(&stack, endpoint_id), &PAUSES);
            match block_on(select(send, stops)) {
                Either::First(sent) => sent,
                Either::Second(()) => unreachable!(),
            }
        };
        let complete = sent(1);
        assert!(matches!(complete.end, End::Complete) && complete.messages == 1);
        let stopped = sent(u64::MAX);
        assert!(matches!(stopped.end, End::Stopped) && stopped.requester == REQUESTER);
        assert_eq!(stopped.messages + 1, stack.take_sent().len() as u64);
        stack.no_requests.set(true);
        let failed = sent(3);
        assert!(matches!(failed.end, End::Failed(Error::Unreachable)) && failed.messages == 0);
    }

    /// A stack that takes `room` messages at once, and then lets the next one wait.
    struct Eager<'s> {
        taken: &'s Cell<usize>,
        room: usize,
    }

    impl AsyncReqChannel for Eager<'_> {
        async fn send_vectored(&mut self, _: MsgType, _: MsgIC, _: &[&[u8]]) -> Result<()> {
            while self.taken.get() == self.room {
                yield_now().await;
            }
            self.taken.set(self.taken.get() + 1);
            Ok(())
        }
        async fn recv<'f>(&mut self, _: &'f mut [u8]) -> Result<(MsgType, MsgIC, &'f mut [u8])> {
            Err(Error::Unsupported)
        }
        fn remote_eid(&self) -> Eid {
            REQUESTER
        }
    }

    /// What a task that empties the stack at each of its turns finds in it while a stream is sent.
    fn found_at_each_turn(room: usize, length: u16, count: u64) -> Vec<usize> {
        let bench = Bench::new();
        bench.start(&Answer {
            bytes: [0; 12],
            requester: REQUESTER,
            request: Some(Request {
                instance_id: 1,
                length,
                count,
            }),
        });
        let taken = Cell::new(0);
        let mut found = Vec::new();
        let other = async {
            loop {
                found.push(taken.take());
                yield_now().await;
            }
        };
        let channel = |_| Eager {
            taken: &taken,
            room,
        };
        let send = bench.send(channel, &PAUSES);
        match block_on(select(send, other)) {
            Either::First(sent) => assert_eq!(sent.messages, count),
            Either::Second(never) => never,
        }
        found
    }

    #[test]
    fn the_stack_is_full_whenever_others_get_a_turn() {
        for length in [9, 100, 987, 3951] {
            let found = found_at_each_turn(4, length, 1000);
            assert_eq!(found, [4; 249]);
        }
    }

    #[test]
    fn a_stack_that_never_waits_does_not_keep_others_from_their_turn() {
        for length in [9, 100, 987, 3951, u16::MAX] {
            let in_a_row = 16 * 1024 / usize::from(length) + 1;
            let found = found_at_each_turn(usize::MAX, length, 10_000);
            assert!(!found.is_empty());
            assert!(found.iter().all(|found| *found == in_a_row), "{found:?}");
        }
    }

    /// A stack that gives up every message at once.
    struct Failing<'s> {
        given_up: &'s Cell<u64>,
    }

    impl AsyncReqChannel for Failing<'_> {
        async fn send_vectored(&mut self, _: MsgType, _: MsgIC, _: &[&[u8]]) -> Result<()> {
            self.given_up.set(self.given_up.get() + 1);
            assert!(self.given_up.get() <= 100, "others had no turn");
            Err(Error::TxFailure)
        }
        async fn recv<'f>(&mut self, _: &'f mut [u8]) -> Result<(MsgType, MsgIC, &'f mut [u8])> {
            Err(Error::Unsupported)
        }
        fn remote_eid(&self) -> Eid {
            REQUESTER
        }
    }

    #[test]
    fn a_stack_that_fails_at_once_without_a_pause_does_not_keep_others_from_their_turn() {
        let bench = Bench::new();
        bench.start(&Answer {
            bytes: [0; 12],
            requester: REQUESTER,
            request: Some(Request {
                instance_id: 1,
                length: 100,
                count: 1,
            }),
        });
        let given_up = Cell::new(0);
        let channel = |_| Failing {
            given_up: &given_up,
        };
        let stops = async {
            for _ in 0..10 {
                yield_now().await;
            }
            bench.stop();
            core::future::pending::<()>().await;
        };
        let send = bench.send(channel, &Turns(0));
        let Either::First(sent) = block_on(select(send, stops)) else {
            unreachable!()
        };
        assert!(matches!(sent.end, End::Stopped));
        assert_eq!((sent.messages, sent.given_up), (0, given_up.get()));
        assert!((5..=11).contains(&sent.given_up), "{sent:?}");
    }

    #[test]
    fn streams_are_received_and_counted() {
        let stack = Stack::new();
        let bench = Bench::new();
        stack.run(&bench, async || {
            for message in stream(100, 10).iter().filter(|message| message[5] != 2) {
                stack.receive(message).await;
            }
            stack.receive(&stream(100, 3)[2]).await;
            settle().await;
        });
        let statistics = bench.statistics();
        assert_eq!((statistics.messages, statistics.bytes), (10, 1000));
        assert_eq!((statistics.dropped, statistics.invalid), (1, 1));
        assert_eq!((statistics.first, statistics.last), (NOW, NOW));
        assert!(stack.take_sent().is_empty());
    }

    #[test]
    fn responses_and_messages_of_others_are_not_answered_and_cut_off_ones_are_invalid() {
        let stack = Stack::new();
        let bench = Bench::new();
        stack.run(&bench, async || {
            stack.receive(&response(1, Status::OK)).await;
            stack.receive(&[0xCC, 0xDE, 0xF0, 1, 2]).await;
            settle().await;
            assert_eq!(bench.statistics(), Statistics::default());
            stack.receive(&[0xCC, 0xDE, SUBTYPE]).await;
            stack.receive(&request(1, 100, 1)[..10]).await;
            // Longer than the buffer: it is lost, and the service goes on.
            stack.receive(&[0xCC; 129]).await;
            settle().await;
        });
        assert!(stack.take_sent().is_empty());
        assert_eq!(bench.statistics().invalid, 2);
    }

    #[test]
    fn the_service_ends_when_its_listener_does() {
        let stack = Stack::new();
        let bench = Bench::new();
        let mut listener = Listener(&stack);
        let channel = |endpoint_id| Requests(&stack, endpoint_id);
        let mut buffer = [0; 25];
        let error = block_on(async {
            stack.receive(&[]).await;
            serve(&bench, &mut listener, channel, PAUSES, &mut buffer).await
        });
        assert!(matches!(error, Error::RxFailure));
    }
}
