//! An MCTP endpoint on a two-wire bus: firmware for any microcontroller whose I2C peripheral can be
//! controller and target.
//!
//! It answers the control protocol, and the echo messages of the Linux MCTP tools (`mctp-echo`). A
//! board brings the peripheral, a delay, a clock, and the memory; everything else is here.

#![no_std]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;
use mctp::MsgIC;
use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::{RECEIVE_BUFFER_LEN, Receiver, Sender, Target, TargetAddress};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Clock, NetworkId, Router, RouterStorage, Service};

/// The echo service of the Linux MCTP tools: PCI vendor ID, and what follows it.
const ECHO: Service = Service::vendor_pci(0xCCDE, &[0xF0]);

/// The longest message that the endpoint takes, in bytes, message type not counted.
const LONGEST_MESSAGE: usize = 1024;

/// All memory of the endpoint: in a static cell on a microcontroller.
#[derive(Debug)]
pub struct Memory<'d> {
    receive_buffer: [u8; RECEIVE_BUFFER_LEN],
    transfers: PortBuffers<'d, MAX_TRANSACTION>,
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
            receive_buffer: [0; RECEIVE_BUFFER_LEN],
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

/// What the endpoint is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Its own address on the bus.
    pub address: TargetAddress,
    /// Its UUID, most significant byte first.
    pub uuid: [u8; 16],
}

/// Both sides of the I2C peripheral, and time.
#[derive(Debug)]
pub struct Hardware<I, T, D, C> {
    /// Writes to other devices.
    pub controller: I,
    /// Takes what other devices write to the endpoint's own address.
    pub target: T,
    /// Keeps the times of the bus.
    pub delay: D,
    /// Keeps the times of messages.
    pub clock: C,
}

/// Runs the endpoint for ever.
///
/// # Panics
///
/// Never, but for an error in this function: the memory has what the pieces take.
pub async fn run<'d, I: I2c, T: Target, D: DelayNs, C: Clock>(
    identity: Identity,
    hardware: Hardware<I, T, D, C>,
    memory: &'d mut Memory<'d>,
) -> Infallible {
    let own = identity.address;
    let receiver = Receiver::new(hardware.target, own, &mut memory.receive_buffer);
    let mut receiver = receiver.expect("the receive buffer is long enough for every packet");
    let config = mctp_i2c::Config::new(own);
    let mut sender = Sender::new(hardware.controller, hardware.delay, config);

    let config = mctp_router::Config::new(identity.uuid);
    let router = Router::<NoopRawMutex, C>::new(&mut memory.router, hardware.clock, &config);
    let port = router.add_port(NetworkId(0), &mut memory.transfers);
    let port = port.expect("the router has one port");
    let echo = router
        .listener(ECHO)
        .expect("the router has a channel for it");

    let echo = async {
        loop {
            let message = echo.receive().await;
            // The requester asks again if it did not get the answer.
            let _ = message.respond(MsgIC(false), &[message.bytes()]).await;
        }
    };
    let never: (Infallible, ()) = join(router.run(port, &mut receiver, &mut sender), echo).await;
    never.0
}
