//! What both programs have in common: capacities, an entry point, and hardware that comes from
//! nowhere and goes nowhere.
//!
//! Each program is a router with two ports, an echo service and timers, every one of them a task of
//! an executor. Buffers of transports, which receive a packet before the router sees it, are
//! neither's.

#![no_std]

use core::future::pending;
use core::hint::black_box;
use core::panic::PanicInfo;

// Critical sections.
use cortex_m as _;

/// Ports of the router.
pub const PORTS: usize = 2;
/// The longest message, in bytes, message type not counted.
pub const LONG_MESSAGE: usize = 4096;
/// Messages that can be on their way to the device at once.
pub const MESSAGES: usize = 8;
/// Requests that the device may have waiting for a response. Both count what they keep of them by
/// this.
pub const REQUESTS: usize = 8;
/// Bytes of the longest packet, that of MCTP over USB 1.0.
pub const PACKET: usize = 251;
/// Packets that wait at a port to be sent.
pub const QUEUE: usize = 4;

/// Makes `$function` the entry point of a program.
#[macro_export]
macro_rules! entry {
    ($function:path) => {
        #[allow(unsafe_code)] // The name is the linker's, and nothing else in the program has it.
        #[unsafe(export_name = "_start")]
        extern "C" fn start() -> ! {
            $function()
        }
    };
}

/// The next packet that a port receives.
pub async fn receive() -> &'static [u8] {
    black_box(&[])
}

/// Sends packets of a port.
pub async fn send(packets: &[u8]) {
    black_box(packets);
}

/// Milliseconds since any start.
pub fn now() -> u64 {
    black_box(0)
}

/// Until a time comes.
pub async fn wait_until(milliseconds: u64) {
    if now() < milliseconds {
        pending().await
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
