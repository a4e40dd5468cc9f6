//! Requests that come to this computer: what a device asks its controller, or any endpoint any
//! other.
//!
//! The kernel gives a message type to one socket, or for each peer to one: a listener for one peer
//! gets the requests of that peer, and a listener for all gets those of the others. Which it is, is
//! said by a `connect` before the `bind`. That does not bind the socket to the peer otherwise: an
//! answer needs an address as before.

use std::io;
use std::time::Instant;

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::address::{self, Source};
use crate::socket::{DatagramSocket, LARGEST_MESSAGE, receive_message};

/// Room for messages that come faster than they are read for a while. Linux counts the whole
/// transfer for each of the packets in it, up to 16 KiB for a message of 100 bytes, though they
/// share its memory.
const BUFFER: usize = 512 << 20;

/// An MCTP socket for the requests of others.
pub struct Listener {
    socket: DatagramSocket,
    buffer: Vec<u8>,
}

impl Listener {
    /// Takes all requests of a message type, from now on.
    pub fn bind(message_type: u8) -> io::Result<Self> {
        Self::of(None, message_type)
    }

    /// Takes the requests of a message type that this peer sends in the default network.
    pub fn bind_to_peer(peer: u8, message_type: u8) -> io::Result<Self> {
        Self::of(Some(peer), message_type)
    }

    fn of(peer: Option<u8>, message_type: u8) -> io::Result<Self> {
        let socket = DatagramSocket::open(address::FAMILY)?;
        // Only root may exceed the system's limit; without that, what comes faster than it is read
        // may be dropped.
        let _ = set_socket_recv_buffer_size_force(&socket, BUFFER);
        if let Some(peer) = peer {
            socket.connect(&address::peer_address(peer, message_type))?;
        }
        socket.bind(&address::listening_address(message_type))?;
        Ok(Self {
            socket,
            buffer: vec![0; LARGEST_MESSAGE],
        })
    }

    /// The next request, without its message type byte; `None` when `deadline` has passed.
    pub fn receive(&mut self, deadline: Instant) -> io::Result<Option<(Source, &[u8])>> {
        receive_message(&self.socket, &mut self.buffer, deadline)
    }

    /// Answers a request: with its message type, and its tag.
    pub fn answer(&self, request: &Source, body: &[u8]) -> io::Result<()> {
        self.socket.send(body, &address::response_address(request))
    }
}
