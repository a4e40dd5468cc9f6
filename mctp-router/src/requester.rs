//! The requester's side of the control protocol: one exchange, its repetitions, and its response
//! (DSP0236 1.3.3, sections 11.5 and 11.8).
//!
//! Sans-IO: [`Exchange::poll`] says when to send the request, [`Exchange::response`] which message
//! answers it. Tag and addresses are up to who sends it.
//!
//! ```
//! use mctp_router::Instant;
//! use mctp_router::requester::{Exchange, Limits, Next};
//! use mctp_router::wire::{GetEndpointIdRequest, Request};
//!
//! let mut exchange = Exchange::new(5, GetEndpointIdRequest::COMMAND, Limits::default());
//! let begin = Instant::from_millis(0);
//! assert_eq!(exchange.poll(begin), Next::Send);
//! assert_eq!(exchange.request(&[]).as_slice(), [0x00, 0x85, 0x02]);
//! // Without a response, it is repeated with the same instance ID.
//! assert_eq!(exchange.poll(begin), Next::Wait(Instant::from_millis(300)));
//! assert_eq!(exchange.poll(Instant::from_millis(300)), Next::Send);
//!
//! assert_eq!(exchange.response(&[0x00, 0x04, 0x02, 0x00, 9, 0, 0]), None, "of another request");
//! assert_eq!(exchange.response(&[0x00, 0x05, 0x02, 0x00, 9, 0, 0]), Some(Ok(&[9, 0, 0][..])));
//! ```

use heapless::Vec;
use mctp_time::Instant;
use mctp_transport::BASELINE_TRANSMISSION_UNIT;
use zerocopy::{FromBytes, IntoBytes};

use crate::wire::{Command, CompletionCode, Header, MESSAGE_TYPE, Message, ResponseHeader};

/// How often a request is sent, and how long each time waits for the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// How often the request is sent at most, the first time included: at least 1.
    pub tries: u8,
    /// How many milliseconds each try waits.
    pub timeout: u32,
}

impl Default for Limits {
    /// Three tries (DSP0237, number of request retries MN1: at least two) of 300 ms (request
    /// timeout MT2: the response time MT1 of 100 ms, and 100 ms for each direction). We know of no
    /// values of USB and serial.
    fn default() -> Self {
        Self {
            tries: 3,
            timeout: 300,
        }
    }
}

/// What is next in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next {
    /// Send the [request](Exchange::request), for the first time or once more.
    Send,
    /// Wait for the response until then.
    Wait(Instant),
    /// There was no response to the last try.
    Over,
}

/// A control request until its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Exchange {
    header: Header,
    tries_left: u8,
    timeout: u32,
    /// When the last try is over.
    due: Instant,
}

impl Exchange {
    /// A request that has not been sent; bits 4:0 of `instance_id` count. Requests to one endpoint
    /// that follow one another have different instance IDs.
    pub const fn new(instance_id: u8, command: Command, limits: Limits) -> Self {
        Self {
            header: Header::request(instance_id, command),
            tries_left: limits.tries,
            timeout: limits.timeout,
            due: Instant::START,
        }
    }

    /// The command that is asked for.
    pub const fn command(&self) -> Command {
        self.header.command
    }

    /// The message, from its message type on: the same at each try. `data` that are longer than one
    /// packet has room for are left out.
    pub fn request(&self, data: &[u8]) -> Vec<u8, BASELINE_TRANSMISSION_UNIT> {
        let mut message = Vec::new();
        // There is room for the header.
        let _ = message.extend_from_slice(Message::new(self.header).as_bytes());
        let _ = message.extend_from_slice(data);
        message
    }

    /// What is next.
    pub fn poll(&mut self, now: Instant) -> Next {
        if now < self.due {
            return Next::Wait(self.due);
        }
        let Some(tries_left) = self.tries_left.checked_sub(1) else {
            return Next::Over;
        };
        self.tries_left = tries_left;
        self.due = now.after(self.timeout);
        Next::Send
    }

    /// The last try has no response: its receiver did not acknowledge it, say. The next one is due
    /// `pause` milliseconds after `now`, if there is one left.
    pub fn give_up_try(&mut self, now: Instant, pause: u32) {
        self.due = self.due.min(now.after(pause));
    }

    /// When the last try is over.
    pub const fn deadline(&self) -> Instant {
        self.due
    }

    /// The data of the response, if `message` (message type first) is the response: of a success, or
    /// the completion code. `None` for any other message.
    pub fn response<'m>(&self, message: &'m [u8]) -> Option<Result<&'m [u8], CompletionCode>> {
        let (response, data) = Message::<ResponseHeader>::ref_from_prefix(message).ok()?;
        let is_answer = response.type_ic == MESSAGE_TYPE && response.body.answers(&self.header);
        let code = response.body.completion_code;
        is_answer.then_some(match code.is_success() {
            true => Ok(data),
            false => Err(code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(tries: u8) -> Exchange {
        let limits = Limits { tries, timeout: 10 };
        Exchange::new(0xFF, Command::GET_ENDPOINT_ID, limits)
    }

    #[test]
    fn a_request_is_sent_as_often_as_it_may_be_and_always_the_same() {
        let mut exchange = exchange(3);
        let mut sent = 0;
        for now in 0..100 {
            match exchange.poll(Instant::from_millis(now)) {
                Next::Send => {
                    assert_eq!(now, sent * 10);
                    sent += 1;
                    assert_eq!(exchange.request(&[7]).as_slice(), [0x00, 0x9F, 0x02, 7]);
                }
                Next::Wait(until) => assert_eq!(until, exchange.deadline()),
                Next::Over => assert!(now >= 30),
            }
        }
        assert_eq!(sent, 3);
    }

    #[test]
    fn a_try_that_nobody_acknowledged_is_over_early() {
        let mut exchange = exchange(2);
        let at = Instant::from_millis;
        assert_eq!(exchange.poll(at(0)), Next::Send);
        exchange.give_up_try(at(1), 2);
        assert_eq!(exchange.poll(at(2)), Next::Wait(at(3)));
        assert_eq!(exchange.poll(at(3)), Next::Send);
        exchange.give_up_try(at(3), 500);
        assert_eq!(
            exchange.poll(at(13)),
            Next::Over,
            "and never later than without"
        );
    }

    #[test]
    fn only_the_response_is_taken_for_it() {
        let exchange = exchange(1);
        let response = [0x00, 0x1F, 0x02, 0x00, 9];
        assert_eq!(exchange.response(&response), Some(Ok(&[9][..])));
        assert_eq!(
            exchange.response(&[0x00, 0x3F, 0x02, 0x04]),
            Some(Err(CompletionCode::NOT_READY)),
            "with the reserved bit"
        );
        for (byte, value) in [
            (0, 0x80),
            (0, 1),
            (1, 0x9F),
            (1, 0x5F),
            (1, 0x1E),
            (2, 0x03),
        ] {
            let mut other = response;
            other[byte] = value;
            assert_eq!(exchange.response(&other), None, "{other:x?}");
        }
        for len in 0..4 {
            assert_eq!(exchange.response(&response[..len]), None);
        }
    }

    #[test]
    fn data_that_do_not_fit_are_left_out() {
        assert_eq!(exchange(1).request(&[0; 61]).len(), 64);
        assert_eq!(exchange(1).request(&[0; 62]).len(), 3);
    }
}
