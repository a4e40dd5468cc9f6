//! An MCTP endpoint on a UART: the control protocol and the echo service of the Linux MCTP tools.
//!
//! A board gives the two directions of its UART, a clock and the device's UUID, and runs
//! [`endpoint`] in its executor. On Linux, `mctp link serial` makes an interface of the other end.

#![no_std]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::{Read, Write};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Clock, Config, NetworkId, Router, RouterStorage, Service};
use mctp_serial::framing::BASELINE_PACKET;
use mctp_serial::{Receiver, Resync, Sender};

/// The longest echo request, in bytes, message type not counted.
const LONGEST_MESSAGE: usize = 1024;
/// Bytes of a transfer, in which the router has one packet: the least that it takes.
const TRANSFER_LEN: usize = 80;

/// All memory of the endpoint but the futures: in a static cell on a microcontroller.
pub struct Memory<'d> {
    received: [u8; BASELINE_PACKET],
    transfers: PortBuffers<'d, TRANSFER_LEN>,
    router: RouterStorage<
        Ports<'d, 1>,
        Networks<1>,
        ShortMessages<'d, 2>,
        LongMessages<'d, 1, LONGEST_MESSAGE>,
        Channels<'d, 1>,
        Routes<1>,
    >,
}

impl Memory<'_> {
    /// Memory for one endpoint.
    pub const fn new() -> Self {
        Self {
            received: [0; BASELINE_PACKET],
            transfers: PortBuffers::new(),
            router: RouterStorage::new(),
        }
    }
}

impl Default for Memory<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the endpoint for ever. `resync` lets the board ask for the recovery preamble: at the press
/// of a button, say.
///
/// # Panics
///
/// Never, but for an error in this function: the memory has what the pieces take.
pub async fn endpoint<'d>(
    (rx, tx): (impl Read, impl Write),
    clock: impl Clock,
    uuid: [u8; 16],
    resync: &Resync,
    memory: &'d mut Memory<'d>,
) -> Infallible {
    let mut receiver = Receiver::new(rx, resync, &mut memory.received)
        .expect("the buffer has room for the baseline unit");
    let mut sender = Sender::new(tx, resync);

    let config = Config::new(uuid);
    let router = Router::<NoopRawMutex, _>::new(&mut memory.router, clock, &config);
    let uart = router
        .add_port(NetworkId(0), &mut memory.transfers)
        .expect("there is room for one port");
    join(router.run(uart, &mut receiver, &mut sender), echo(&router))
        .await
        .0
}

async fn echo<C: Clock>(router: &Router<'_, NoopRawMutex, C>) -> Infallible {
    let echo = const { Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE]) };
    let listener = router
        .listener(echo)
        .expect("there is room for one service");
    loop {
        let message = listener.receive().await;
        if mctp_echo::is_request(message.bytes()) {
            let integrity_check = message.origin().integrity_check();
            // A neighbour that takes nothing is counted by the router.
            let _ = message.respond(integrity_check, &[message.bytes()]).await;
        }
    }
}
