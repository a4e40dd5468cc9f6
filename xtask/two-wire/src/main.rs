//! The endpoint of `mctp-i2c/examples`: router, control protocol, echo and MCTP over I2C, in one
//! task of an executor.
//!
//! Transactions come from nowhere and go nowhere: what an I2C driver takes is not counted.

#![no_std]
#![no_main]

use core::future::pending;
use core::hint::black_box;
use core::panic::PanicInfo;

// Critical sections.
use cortex_m as _;
use embassy_executor::Executor;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{ErrorKind, ErrorType, I2c, Operation};
use mctp_i2c::{Target, TargetAddress, TargetError};
use mctp_router::{Clock, Instant};
use static_cell::{ConstStaticCell, StaticCell};
use two_wire_endpoint::{Hardware, Identity, Memory};

/// The device is at address 1Dh of its bus.
const OWN: TargetAddress = TargetAddress::new(0x1D).unwrap();

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static MEMORY: ConstStaticCell<Memory<'static>> = ConstStaticCell::new(Memory::new());

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
    let identity = Identity {
        address: OWN,
        uuid: black_box([1; 16]),
    };
    let hardware = Hardware {
        controller: Peripheral,
        target: Peripheral,
        delay: Timer,
        clock: Timer,
    };
    two_wire_endpoint::run(identity, hardware, MEMORY.take()).await;
}

/// Both sides of an I2C peripheral.
struct Peripheral;

impl ErrorType for Peripheral {
    type Error = ErrorKind;
}

impl I2c for Peripheral {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        black_box((address, operations));
        black_box(Ok(()))
    }
}

impl Target for Peripheral {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TargetError> {
        black_box(buffer);
        black_box(Ok(1))
    }
}

struct Timer;

impl DelayNs for Timer {
    async fn delay_ns(&mut self, nanoseconds: u32) {
        if black_box(nanoseconds) > 0 {
            pending().await
        }
    }
}

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
