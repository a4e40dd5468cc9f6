//! The endpoint of `mctp-serial/examples`: router, control protocol, echo and MCTP over serial, in
//! one task of an executor.
//!
//! Bytes come from nowhere and go nowhere: what a UART driver takes is not counted.

#![no_std]
#![no_main]

use core::future::pending;
use core::hint::black_box;
use core::panic::PanicInfo;

// Critical sections.
use cortex_m as _;
use embassy_executor::Executor;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mctp_router::{Clock, Instant};
use mctp_serial::Resync;
use serial_endpoint::Memory;
use static_cell::{ConstStaticCell, StaticCell};

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static MEMORY: ConstStaticCell<Memory<'static>> = ConstStaticCell::new(Memory::new());
static RESYNC: Resync = Resync::new();

#[allow(unsafe_code)] // The name is the linker's, and nothing else in the program has it.
#[unsafe(export_name = "_start")]
extern "C" fn start() -> ! {
    let executor = EXECUTOR.init(Executor::new());
    executor.run(|spawner| {
        // There is one such task.
        if let Ok(task) = endpoint() {
            spawner.spawn(task);
        }
    })
}

#[embassy_executor::task]
async fn endpoint() {
    let uart = (Uart, Uart);
    let uuid = black_box([1; 16]);
    serial_endpoint::endpoint(uart, Timer, uuid, &RESYNC, MEMORY.take()).await;
}

struct Uart;

impl ErrorType for Uart {
    type Error = ErrorKind;
}

impl Read for Uart {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        black_box(buffer);
        black_box(Ok(1))
    }
}

impl Write for Uart {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        black_box(bytes);
        black_box(Ok(1))
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        black_box(Ok(()))
    }
}

struct Timer;

impl Clock for Timer {
    fn now(&self) -> Instant {
        black_box(Instant::START)
    }

    async fn wait_until(&self, deadline: Instant) {
        if self.now() < deadline {
            pending().await
        }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
