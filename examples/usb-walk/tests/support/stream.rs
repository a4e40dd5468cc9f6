//! A stream between a device and a host in one process: the device runs while the host waits.

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
use remote_usb_device::{Buffers, Config, Runner};

use super::{Memory, PATIENCE, Tasks, device};

type Bytes = Rc<RefCell<VecDeque<u8>>>;

/// The device's end of a stream.
pub struct DeviceEnd {
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
pub struct HostEnd<'d> {
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

/// Which protocol the device speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Usbredir,
    Usbip,
}

async fn serve(
    mut runner: Runner<'_, NoopRawMutex>,
    wire: Wire,
    read: DeviceEnd,
    write: DeviceEnd,
) {
    let ended = match wire {
        Wire::Usbredir => runner.run_usbredir(read, write).await,
        Wire::Usbip => runner.run_usbip(read, write).await,
    };
    ended.unwrap();
}

/// Runs a test with the host's end of a stream to a device at a port of this speed, guarded or not.
pub fn with_stream(wire: Wire, speed: Speed, guards: bool, test: impl FnOnce(HostEnd<'_>)) {
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
    let state = remote_usb_device::State::<NoopRawMutex>::new(&mut buffers);
    let (driver, runner, _) = remote_usb_device::new(&state, config);
    let mut tasks = Tasks::default();
    let (read, write) = (to_device.clone(), to_host.clone());
    let (read, write) = (DeviceEnd { bytes: read }, DeviceEnd { bytes: write });
    tasks.spawn(serve(runner, wire, read, write));
    if guards {
        let guarded = Guard::new(driver, &guard);
        tasks.spawn(device(guarded, max_packet_size, &mut memory));
    } else {
        tasks.spawn(device(driver, max_packet_size, &mut memory));
    }
    test(HostEnd {
        tasks,
        to_device,
        to_host,
    });
}
