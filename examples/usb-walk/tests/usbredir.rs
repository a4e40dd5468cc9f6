//! Over usbredir, device and host in one process.

mod support;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_usb::driver::Speed;
use embassy_usb_guard::{Guard, State};
use embedded_io_async::ErrorType;
use support::{Memory, PATIENCE, SendsBack, Tasks, device};
use usb_walk::host::{Host, Outcome, setup};
use usb_walk::random::random;
use usb_walk::usbredir::UsbredirHost;
use usb_walk::walk::walk;
use usbredir_device::{Buffers, Config};

type Bytes = Rc<RefCell<VecDeque<u8>>>;

/// The device's end of a stream.
struct DeviceEnd {
    bytes: Bytes,
}

impl ErrorType for DeviceEnd {
    type Error = Infallible;
}

impl embedded_io_async::Read for DeviceEnd {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(
            |_| match io::Read::read(&mut *self.bytes.borrow_mut(), buffer) {
                Ok(0) | Err(_) => Poll::Pending,
                Ok(count) => Poll::Ready(Ok(count)),
            },
        )
        .await
    }
}

impl embedded_io_async::Write for DeviceEnd {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        self.bytes.borrow_mut().extend(buffer);
        Ok(buffer.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The host's end: the device runs while the host waits for it.
struct HostEnd<'d> {
    tasks: Tasks<'d>,
    to_device: Bytes,
    to_host: Bytes,
}

impl io::Read for HostEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..PATIENCE {
            let count = io::Read::read(&mut *self.to_host.borrow_mut(), buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.tasks.poll();
        }
        Err(io::Error::other("the device waits, and so does the host"))
    }
}

impl io::Write for HostEnd<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.to_device.borrow_mut().extend(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a test with a device at a port of this speed, guarded or not.
fn with_host(speed: Speed, guards: bool, test: impl FnOnce(&mut UsbredirHost<HostEnd<'_>>)) {
    let max_packet_size = match speed {
        Speed::High => 512,
        _ => 64,
    };
    let mut config = Config::default();
    config.speed = speed;
    let (to_device, to_host) = (Bytes::default(), Bytes::default());
    let guard = State::new();
    let mut memory = Memory::new();
    let mut buffers: Box<Buffers> = Box::new(Buffers::new());
    let state = usbredir_device::State::<NoopRawMutex>::new(&mut buffers);
    let (driver, mut runner, _) = usbredir_device::new(&state, config);
    let mut tasks = Tasks::default();
    let (read, write) = (to_device.clone(), to_host.clone());
    tasks.spawn(async move {
        let (read, write) = (DeviceEnd { bytes: read }, DeviceEnd { bytes: write });
        runner.run(read, write).await.unwrap();
    });
    if guards {
        let guarded = Guard::new(driver, &guard);
        tasks.spawn(device(guarded, max_packet_size, &mut memory));
    } else {
        tasks.spawn(device(driver, max_packet_size, &mut memory));
    }
    let end = HostEnd {
        tasks,
        to_device,
        to_host,
    };
    test(&mut UsbredirHost::attach(end).unwrap());
}

#[test]
fn the_walk_passes_at_both_speeds() {
    for speed in [Speed::High, Speed::Full] {
        with_host(speed, true, |host| {
            let tally = walk(host, SendsBack).unwrap();
            assert!(tally.requests > 5000, "{tally:?}");
        });
    }
}

#[test]
fn a_million_random_requests_leave_a_device_that_works() {
    with_host(Speed::High, true, |host| {
        random(host, 1, 1_000_000, SendsBack).unwrap();
    });
}

#[test]
fn without_the_guard_an_endpoint_that_is_not_there_has_a_status() {
    with_host(Speed::High, false, |host| {
        let outcome = host.control(setup(0x82, 0, 0, 0x0F, 2), &[]).unwrap();
        assert_eq!(outcome, Outcome::Done(vec![0, 0]));
    });
}

#[test]
fn without_the_guard_a_request_for_nothing_is_refused() {
    with_host(Speed::High, false, |host| {
        let outcome = host.control(setup(0x80, 6, 0x0100, 0, 0), &[]).unwrap();
        assert_eq!(outcome, Outcome::Stall);
    });
}
