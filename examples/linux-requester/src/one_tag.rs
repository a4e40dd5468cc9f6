//! Requests to one endpoint that all have the same tag.

use std::io;
use std::time::{Duration, Instant};

use crate::address::{self, Destination};
use crate::exchange::{Ask, Exchange, Request};
use crate::socket::{DatagramSocket, LARGEST_MESSAGE, open_extended, receive_message};
use crate::tag::PreallocatedTag;

/// An MCTP socket with a [preallocated tag](crate::tag). Requests need not wait for the answers to
/// earlier ones, and one request may have several answers: which answer is to which request, only
/// the messages themselves say.
pub struct OneTagSocket {
    tag: PreallocatedTag<DatagramSocket>,
    network: u32,
    peer: u8,
    buffer: Vec<u8>,
}

impl OneTagSocket {
    /// Opens the socket and takes one of the eight tags for the peer until the socket is dropped.
    pub fn open(network: u32, peer: u8) -> io::Result<Self> {
        Ok(Self {
            tag: PreallocatedTag::allocate(open_extended()?, network, peer)?,
            network,
            peer,
            buffer: vec![0; LARGEST_MESSAGE],
        })
    }

    /// The tag, as it is in packets.
    pub fn tag(&self) -> u8 {
        self.tag.value() & 7
    }
}

impl Ask for OneTagSocket {
    /// The destination has to be the peer. There is a tag for every request.
    fn ask(&mut self, request: Request<'_>) -> io::Result<bool> {
        if request.destination != Destination::EndpointId(self.peer) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let tag = self.tag.value();
        let address = address::tagged_address(self.network, self.peer, request.message_type, tag);
        self.tag.socket().send(request.body, &address)?;
        Ok(true)
    }

    fn answer(&mut self, message_type: u8, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let socket = self.tag.socket();
        while let Some((source, body)) = receive_message(socket, &mut self.buffer, deadline)? {
            if source.message_type == message_type {
                return Ok(Some(body.to_vec()));
            }
        }
        Ok(None)
    }
}

impl Exchange for OneTagSocket {
    fn exchange(
        &mut self,
        request: Request<'_>,
        wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + wait;
        self.ask(request)?;
        while let Some(answer) = self.answer(request.message_type, deadline)? {
            if accept(&answer) {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }
}
