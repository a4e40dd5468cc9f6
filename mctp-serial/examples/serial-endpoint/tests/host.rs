//! The endpoint on wires in memory, with a host that writes and reads bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mctp_router::{Clock, Instant};
use mctp_serial::Resync;
use serial_endpoint::{Memory, endpoint};

/// One direction of the UART.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<VecDeque<u8>>>);

impl Wire {
    fn put(&self, bytes: &[u8]) {
        self.0.borrow_mut().extend(bytes);
    }

    fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().drain(..).collect()
    }
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

/// One byte at a time, as from a UART.
impl Read for Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let byte = poll_fn(|_| match self.0.borrow_mut().pop_front() {
            Some(byte) => Poll::Ready(byte),
            None => Poll::Pending,
        });
        buffer[0] = byte.await;
        Ok(1)
    }
}

impl Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.put(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Time stands still.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        Instant::START
    }

    async fn wait_until(&self, deadline: Instant) {
        if deadline > Instant::START {
            pending().await
        }
    }
}

const UUID: [u8; 16] = *b"\x2c\x1f\x96\xd4\x5d\x1c\x4b\x0a\x9d\x6e\x01\x02\x03\x04\x05\x06";

/// Zeros, and two frames that Linux drops.
fn preamble() -> Vec<u8> {
    [&[0x00; 78][..], b"\x7E\x00\x00\x00\x7E\x01\x00\x00\x00\x7E"].concat()
}

/// Has the endpoint do whatever it can.
fn run(endpoint: &mut Pin<&mut impl Future>) {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        assert!(endpoint.as_mut().poll(&mut context).is_pending());
    }
}

#[test]
fn answers_the_bus_owner_and_echoes_behind_the_preamble() {
    let (to_device, from_device, resync) = (Wire::default(), Wire::default(), Resync::new());
    let mut memory = Memory::new();
    let uart = (to_device.clone(), from_device.clone());
    let mut endpoint = pin!(endpoint(uart, StoppedClock, UUID, &resync, &mut memory));
    let mut ask = |frame: &[u8]| {
        to_device.put(frame);
        run(&mut endpoint);
        from_device.take()
    };
    assert_eq!(ask(b""), b"", "says nothing by itself");

    // Set Endpoint ID 9 by physical address: accepted.
    let set = b"\x7E\x01\x09\x01\x00\x08\xC8\x00\x81\x01\x00\x09\xA3\x46\x7E";
    let is_set = b"\x7E\x01\x0B\x01\x08\x00\xC0\x00\x01\x01\x00\x00\x09\x00\xF2\x67\x7E";
    assert_eq!(ask(set), [&preamble(), &is_set[..]].concat());

    // Get Message Type Support, behind noise: control and vendor defined by PCI ID.
    let get_types = b"login: \x7E\x01\x07\x01\x09\x08\xC8\x00\x82\x05\x49\xBD\x7E";
    let types = b"\x7E\x01\x0B\x01\x08\x09\xC0\x00\x02\x05\x00\x02\x00\x7D\x5E\x19\x64\x7E";
    assert_eq!(ask(get_types), types);

    // An echo of two bytes, and the preamble because the board asked for it.
    resync.request();
    let echo = b"\x7E\x01\x0A\x01\x09\x08\xC8\x7D\x5E\xCC\xDE\xF0\x7D\x5E\x7D\x5D\x79\xFB\x7E";
    let echoed = b"\x7E\x01\x0A\x01\x08\x09\xC0\x7D\x5E\xCC\xDE\xF0\x7D\x5E\x7D\x5D\x6B\x55\x7E";
    assert_eq!(ask(echo), [&preamble(), &echoed[..]].concat());
    assert_eq!(ask(echo), echoed);
}
