//! The async traits of the `mctp` crate over the blocking sockets of the `mctp-linux` crate.
//!
//! The sockets are made non-blocking. Tokio says when a socket can be read or written; `mctp-linux`
//! then does it, without waiting. A receive future may be dropped at any time without losing a
//! message: it takes the message in its last step.
//!
//! Two things that `mctp-linux` 0.2 leaves open are done here:
//!
//! - A message that is longer than the buffer is [`Error::NoSpace`] instead of its first bytes.
//! - A second request of a [`LinuxRequest`] gives back the tag of the first one, by closing its
//!   socket. Linux has eight tags for an endpoint, and keeps each for six seconds if no response
//!   comes.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use mctp::{
    AsyncListener, AsyncReqChannel, AsyncRespChannel, Eid, Error, Listener, MsgIC, MsgType,
    ReqChannel, RespChannel, Result,
};
use mctp_linux::{MctpLinuxListener, MctpLinuxReq, MctpLinuxResp};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// A send that takes longer means that nobody reads at the other end: a service must not wait for
/// one requester while others ask.
const SEND_TIME: Duration = Duration::from_secs(5);

/// Room for the longest messages with all eight tags of an endpoint. Linux counts the memory of their
/// packets, which is a multiple of their bytes.
const RECEIVE_BUFFER: usize = 16 << 20;

/// Receives the requests of a message type that come to any endpoint ID of this computer.
pub struct LinuxListener {
    readiness: Readiness,
    listener: MctpLinuxListener,
}

impl LinuxListener {
    /// Takes the requests of this type in all networks. Linux gives a message type to one socket:
    /// a second one gets [`Error::AddrInUse`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O enabled.
    pub fn bind(message_type: MsgType) -> Result<Self> {
        let mut listener = MctpLinuxListener::new(message_type, None).map_err(by_its_name)?;
        let readiness = Readiness::of(listener.as_socket()).map_err(Error::Io)?;
        Ok(Self {
            readiness,
            listener,
        })
    }
}

impl AsyncListener for LinuxListener {
    type RespChannel<'a>
        = LinuxResponse<'a>
    where
        Self: 'a;

    async fn recv<'f>(
        &mut self,
        buf: &'f mut [u8],
    ) -> Result<(MsgType, MsgIC, &'f mut [u8], LinuxResponse<'_>)> {
        let length = self.readiness.length_of_next().await?;
        let (message_type, integrity_check, body, channel) = self.listener.recv(buf)?;
        if length > body.len() {
            return Err(Error::NoSpace);
        }
        let response = LinuxResponse {
            readiness: &self.readiness,
            channel,
        };
        Ok((message_type, integrity_check, body, response))
    }
}

/// The way back to a requester: its endpoint ID, and the tag of its request.
pub struct LinuxResponse<'l> {
    readiness: &'l Readiness,
    channel: MctpLinuxResp<'l>,
}

impl AsyncRespChannel for LinuxResponse<'_> {
    type ReqChannel<'a>
        = LinuxRequest
    where
        Self: 'a;

    async fn send_vectored(&mut self, integrity_check: MsgIC, bufs: &[&[u8]]) -> Result<()> {
        let send = || self.channel.send_vectored(integrity_check, bufs);
        self.readiness.send(send).await
    }

    fn remote_eid(&self) -> Eid {
        self.channel.remote_eid()
    }

    fn req_channel(&self) -> Result<LinuxRequest> {
        Ok(LinuxRequest::to(self.remote_eid()))
    }
}

/// Requests to an endpoint, one after the other, each by a socket of its own.
pub struct LinuxRequest {
    endpoint_id: Eid,
    /// That of the last request.
    socket: Option<(Readiness, MctpLinuxReq)>,
}

impl LinuxRequest {
    /// Requests to this endpoint of the default network.
    pub fn to(endpoint_id: Eid) -> Self {
        Self {
            endpoint_id,
            socket: None,
        }
    }
}

impl AsyncReqChannel for LinuxRequest {
    async fn send_vectored(
        &mut self,
        message_type: MsgType,
        integrity_check: MsgIC,
        bufs: &[&[u8]],
    ) -> Result<()> {
        // First the tag of the last request is given back.
        self.socket = None;
        let mut channel = MctpLinuxReq::new(self.endpoint_id, None).map_err(by_its_name)?;
        let readiness = Readiness::of(channel.as_socket()).map_err(Error::Io)?;
        let (readiness, channel) = self.socket.insert((readiness, channel));
        let send = || channel.send_vectored(message_type, integrity_check, bufs);
        readiness.send(send).await
    }

    async fn recv<'f>(&mut self, buf: &'f mut [u8]) -> Result<(MsgType, MsgIC, &'f mut [u8])> {
        let (readiness, channel) = self.socket.as_mut().ok_or(Error::BadArgument)?;
        let length = readiness.length_of_next().await?;
        let response = channel.recv(buf)?;
        match length > response.2.len() {
            true => Err(Error::NoSpace),
            false => Ok(response),
        }
    }

    fn remote_eid(&self) -> Eid {
        self.endpoint_id
    }
}

/// Says when a socket can be read or written: by a second descriptor of the socket, since
/// `mctp-linux` keeps the first one.
struct Readiness(AsyncFd<OwnedFd>);

impl Readiness {
    /// Makes the socket non-blocking, for `mctp-linux` as well.
    #[allow(unsafe_code)]
    fn of(socket: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: the descriptor is that of `socket`, which is open while it is borrowed, and
        // `second` is made before that ends.
        let second = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }.try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&second, true)?;
        // Only root may exceed the system's limit; without that, some of many long messages at once
        // may be dropped.
        let _ = set_socket_recv_buffer_size_force(&second, RECEIVE_BUFFER);
        // SAFETY: an `OwnedFd` is open, and always the same descriptor, until it is dropped.
        Ok(Self(unsafe { AsyncFd::register(second) }?))
    }

    /// Waits for a message, and leaves it in the socket.
    async fn length_of_next(&self) -> Result<usize> {
        let look = |socket: &OwnedFd| {
            let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
            let (_, length) = recv(socket, &mut [0u8; 1], flags)?;
            Ok(length)
        };
        let length = self.0.async_io(Interest::READABLE, look).await;
        length.map_err(Error::Io)
    }

    /// Has `send` send, as soon as the kernel takes it.
    fn send(&self, mut send: impl FnMut() -> Result<()>) -> impl Future<Output = Result<()>> {
        let attempt = move |_: &OwnedFd| match send() {
            // What has to wait, tokio has to see.
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            other => Ok(other),
        };
        async move {
            match timeout(SEND_TIME, self.0.async_io(Interest::WRITABLE, attempt)).await {
                Ok(Ok(sent)) => sent.map_err(by_its_name),
                Ok(Err(error)) => Err(Error::Io(error)),
                Err(_) => Err(Error::TxFailure),
            }
        }
    }
}

/// What the traits have a name for, by that name.
fn by_its_name(error: Error) -> Error {
    let number = match &error {
        Error::Io(error) => Errno::from_io_error(error),
        _ => None,
    };
    match number {
        Some(Errno::ADDRINUSE) => Error::AddrInUse,
        Some(Errno::BUSY) => Error::TagUnavailable,
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH) => Error::Unreachable,
        Some(Errno::NOBUFS) => Error::TxFailure,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use embassy_futures::poll_once;

    use super::*;

    /// Kernels without MCTP have other sockets with messages.
    fn pair() -> (UnixDatagram, UnixDatagram, Readiness) {
        let (here, there) = UnixDatagram::pair().unwrap();
        let readiness = Readiness::of(&here).unwrap();
        (here, there, readiness)
    }

    #[tokio::test]
    async fn a_message_is_waited_for_and_left_in_the_socket_with_its_whole_length() {
        let (here, there, readiness) = pair();
        let mut waiting = Box::pin(readiness.length_of_next());
        assert!(poll_once(&mut waiting).is_pending());
        there.send(&[1; 300]).unwrap();
        assert_eq!(waiting.await.unwrap(), 300);
        // It is still there, whatever became of the future, and so is the next one.
        there.send(&[2; 7]).unwrap();
        assert_eq!(readiness.length_of_next().await.unwrap(), 300);
        let mut buffer = [0; 4];
        assert_eq!(here.recv(&mut buffer).unwrap(), 4);
        assert_eq!(readiness.length_of_next().await.unwrap(), 7);
        assert_eq!(here.recv(&mut buffer).unwrap(), 4);
        assert!(poll_once(Box::pin(readiness.length_of_next())).is_pending());
    }

    #[tokio::test]
    async fn a_send_waits_until_the_kernel_takes_it() {
        let (here, there, readiness) = pair();
        there.set_nonblocking(true).unwrap();
        // More than the kernel keeps for a reader.
        const MESSAGES: usize = 1000;
        let sender = async {
            for _ in 0..MESSAGES {
                let send = || here.send(&[0; 1024]).map(drop).map_err(Error::Io);
                readiness.send(send).await.unwrap();
            }
        };
        let reader = async {
            let (mut received, mut pauses) = (0, 0);
            while received < MESSAGES {
                tokio::time::sleep(Duration::from_millis(1)).await;
                while there.recv(&mut [0; 1024]).is_ok() {
                    received += 1;
                }
                pauses += 1;
            }
            pauses
        };
        let ((), pauses) = tokio::join!(sender, reader);
        assert!(pauses > 1, "all of them at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_nobody_takes_is_given_up() {
        let (_here, _there, readiness) = pair();
        let never = || Err(Error::Io(io::ErrorKind::WouldBlock.into()));
        let end = readiness.send(never).await;
        assert!(matches!(end, Err(Error::TxFailure)), "{end:?}");
    }

    #[test]
    fn errors_of_linux_have_the_names_of_the_traits() {
        let named = |errno: Errno| by_its_name(Error::Io(errno.into()));
        assert!(matches!(named(Errno::ADDRINUSE), Error::AddrInUse));
        assert!(matches!(named(Errno::BUSY), Error::TagUnavailable));
        assert!(matches!(named(Errno::HOSTUNREACH), Error::Unreachable));
        assert!(matches!(named(Errno::NOBUFS), Error::TxFailure));
        assert!(matches!(named(Errno::PERM), Error::Io(_)));
        assert!(matches!(by_its_name(Error::NoSpace), Error::NoSpace));
    }
}
