//! `AF_MCTP` datagram sockets. The six system calls that no safe library makes for this family are
//! here; nowhere else but in the line discipline is there unsafe code.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::address::{self, Source};
use crate::exchange::{Ask, Exchange, Request};
use crate::tag::{Call, Control};

/// The largest message that Linux assembles.
pub(crate) const LARGEST_MESSAGE: usize = 65536;
/// A send that blocks this long means that the interface takes nothing any more.
const SEND_TIME: Duration = Duration::from_secs(5);
/// Room for the packets of the largest message while they wait; each of them occupies about 1.3 KiB
/// of kernel memory.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Pause before a send is repeated that the kernel had no room or no tag for.
const PAUSE: Duration = Duration::from_millis(10);

/// A datagram socket of any address family; addresses are plain bytes.
pub struct DatagramSocket(OwnedFd);

/// What a receive call filled in.
pub struct Received {
    /// Bytes of data.
    pub length: usize,
    /// The sender's address, as the kernel wrote it.
    pub address: Vec<u8>,
}

impl DatagramSocket {
    /// Opens a socket of `family`, whose sends do not block for ever.
    pub fn open(family: u16) -> io::Result<Self> {
        let family = AddressFamily::from_raw(family);
        let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(SEND_TIME))?;
        Ok(Self(socket))
    }

    /// Sets an integer socket option.
    pub fn set_option(&self, level: i32, name: i32, value: i32) -> io::Result<()> {
        // SAFETY: the pointer and length describe `value`, which outlives the call.
        #[allow(unsafe_code)]
        let result = unsafe {
            let length = size_of::<i32>() as libc::socklen_t;
            libc::setsockopt(
                self.0.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                length,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Restricts what a bind is for to one peer, that of `address`.
    pub fn connect(&self, address: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and length describe a slice that outlives the call; the kernel copies
        // it byte by byte.
        #[allow(unsafe_code)]
        let result = unsafe {
            libc::connect(
                self.0.as_raw_fd(),
                address.as_ptr().cast(),
                address.len() as libc::socklen_t,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Receives what is sent to `address`.
    pub fn bind(&self, address: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and length describe a slice that outlives the call; the kernel copies
        // it byte by byte.
        #[allow(unsafe_code)]
        let result = unsafe {
            libc::bind(
                self.0.as_raw_fd(),
                address.as_ptr().cast(),
                address.len() as libc::socklen_t,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Sends one datagram.
    pub fn send(&self, data: &[u8], address: &[u8]) -> io::Result<()> {
        // SAFETY: both pointers and lengths describe slices that outlive the call; the kernel
        // copies them byte by byte.
        #[allow(unsafe_code)]
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                data.as_ptr().cast(),
                data.len(),
                libc::MSG_NOSIGNAL,
                address.as_ptr().cast(),
                address.len() as libc::socklen_t,
            )
        };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Receives one datagram into `data`; `None` when `deadline` has passed.
    pub fn receive(&self, data: &mut [u8], deadline: Instant) -> io::Result<Option<Received>> {
        if !self.readable_before(deadline)? {
            return Ok(None);
        }
        let mut address = vec![0u8; 128];
        let mut address_length = address.len() as libc::socklen_t;
        // SAFETY: pointers and lengths describe exclusively borrowed buffers that outlive the call.
        #[allow(unsafe_code)]
        let length = unsafe {
            libc::recvfrom(
                self.0.as_raw_fd(),
                data.as_mut_ptr().cast(),
                data.len(),
                libc::MSG_DONTWAIT,
                address.as_mut_ptr().cast(),
                &raw mut address_length,
            )
        };
        let Ok(length) = usize::try_from(length) else {
            return Err(io::Error::last_os_error());
        };
        address.truncate(address_length as usize);
        Ok(Some(Received { length, address }))
    }

    fn readable_before(&self, deadline: Instant) -> io::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut sockets = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut sockets, Some(&timeout)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Control for DatagramSocket {
    fn control(&self, call: Call<'_>) -> io::Result<()> {
        let (number, argument) = call.parts();
        // SAFETY: the argument is that of the call, which is exclusively borrowed and outlives the
        // system call.
        #[allow(unsafe_code)]
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), number as _, argument) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}

/// An MCTP socket for requests. It needs no `bind`: answers come back by the tag that the kernel
/// chose for the request.
pub struct MctpSocket {
    socket: DatagramSocket,
    buffer: Vec<u8>,
}

impl MctpSocket {
    /// Opens the socket; the error says so if this kernel has no MCTP.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            socket: open_extended()?,
            buffer: vec![0; LARGEST_MESSAGE],
        })
    }

    /// Sends `request`, again if the kernel has momentarily no tag or no queue space for it.
    fn send(&mut self, request: Request<'_>, deadline: Instant) -> io::Result<()> {
        let address = address::request_address(request.destination, request.message_type);
        loop {
            let Err(error) = self.socket.send(request.body, &address) else {
                return Ok(());
            };
            match error.raw_os_error() {
                // All eight tags wait for answers that may never come. Closing the socket gives
                // ours back.
                Some(libc::EBUSY) => self.socket = open_extended()?,
                Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => {}
                _ => return Err(error),
            }
            if Instant::now() + PAUSE > deadline {
                return Err(error);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The next message of this type that `accept` takes; `None` when `deadline` has passed.
    fn receive(
        &mut self,
        message_type: u8,
        deadline: Instant,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        while let Some((source, body)) = receive_message(&self.socket, &mut self.buffer, deadline)?
        {
            if source.message_type == message_type && accept(body) {
                return Ok(Some(body.to_vec()));
            }
        }
        Ok(None)
    }
}

impl Exchange for MctpSocket {
    fn exchange(
        &mut self,
        request: Request<'_>,
        wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + wait;
        self.send(request, deadline)?;
        self.receive(request.message_type, deadline, accept)
    }
}

impl Ask for MctpSocket {
    fn ask(&mut self, request: Request<'_>) -> io::Result<bool> {
        let address = address::request_address(request.destination, request.message_type);
        match self.socket.send(request.body, &address) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn answer(&mut self, message_type: u8, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        self.receive(message_type, deadline, &mut |_| true)
    }
}

/// The next message, whoever it is from.
pub(crate) fn receive_message<'b>(
    socket: &DatagramSocket,
    buffer: &'b mut [u8],
    deadline: Instant,
) -> io::Result<Option<(Source, &'b [u8])>> {
    while let Some(received) = socket.receive(buffer, deadline)? {
        if let Some(source) = address::parse_source(&received.address) {
            return Ok(Some((source, &buffer[..received.length])));
        }
    }
    Ok(None)
}

/// A socket for requests, also by physical address.
pub(crate) fn open_extended() -> io::Result<DatagramSocket> {
    let socket = DatagramSocket::open(address::FAMILY).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("this kernel gives no MCTP socket: {error}"),
        )
    })?;
    socket.set_option(address::SOL_MCTP, address::MCTP_OPT_ADDR_EXT, 1)?;
    // Only root may exceed the system's limit; without that, answers near 64 KiB may be dropped.
    let _ = set_socket_recv_buffer_size_force(&socket.0, RECEIVE_BUFFER);
    Ok(socket)
}
