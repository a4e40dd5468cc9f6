//! What goes between the bus owner and a bridge: it is kept, and some answers are altered.

use std::io;
use std::time::Duration;

use linux_requester::address::Destination;
use linux_requester::exchange::{Exchange, Request};

/// A request, and the answer that the bus owner got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanged {
    pub(super) destination: Destination,
    /// Instance ID, command code and data.
    pub(super) request: Vec<u8>,
    /// Instance ID, command code, completion code and data.
    pub(super) answer: Option<Vec<u8>>,
}

/// What is made of the answers to one command. The bridge has got the request then.
#[derive(Clone, Copy)]
pub(super) struct Alteration {
    pub(super) command: u8,
    /// Only of what is sent to this endpoint ID.
    pub(super) endpoint_id: Option<u8>,
    /// Instance ID, command code, completion code and data; `None` is no answer.
    pub(super) alter: fn(Vec<u8>) -> Option<Vec<u8>>,
}

/// A socket whose exchanges are kept.
pub(super) struct Wire<'a, E> {
    socket: &'a mut E,
    pub(super) alteration: Option<Alteration>,
    pub(super) exchanged: Vec<Exchanged>,
}

impl<'a, E: Exchange> Wire<'a, E> {
    pub(super) fn new(socket: &'a mut E, alteration: Option<Alteration>) -> Self {
        Self {
            socket,
            alteration,
            exchanged: Vec::new(),
        }
    }

    fn altered(&self, request: Request<'_>, answer: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match self.alteration {
            Some(alteration) if alteration.is_for(request) => answer.and_then(alteration.alter),
            _ => answer,
        }
    }
}

impl Alteration {
    fn is_for(&self, request: Request<'_>) -> bool {
        let is_there = |id| request.destination == Destination::EndpointId(id);
        request.body.get(1) == Some(&self.command) && self.endpoint_id.is_none_or(is_there)
    }
}

impl<E: Exchange> Exchange for Wire<'_, E> {
    fn exchange(
        &mut self,
        request: Request<'_>,
        wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let answer = self.socket.exchange(request, wait, accept)?;
        let answer = self.altered(request, answer);
        self.exchanged.push(Exchanged {
            destination: request.destination,
            request: request.body.to_vec(),
            answer: answer.clone(),
        });
        Ok(answer)
    }
}
