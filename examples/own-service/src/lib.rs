#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod loopback;
pub mod thermometer;

use core::convert::Infallible;

use embassy_futures::join::join4;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_usb::driver::Driver;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
use reference_device::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use reference_device::{
    Assembly, Clock, ECHO_CHANNELS, Identity, LinkMemory, MCTP_DESCRIPTORS, Options, RouterStorage,
    assemble, echo,
};

use loopback::Loopback;

/// `wMaxPacketSize` of bulk endpoints at high speed.
const MAX_PACKET_SIZE: u16 = 512;
/// The longest message that the device takes, in bytes, message type not counted.
const LONGEST_MESSAGE: usize = 1024;

/// All memory of the device: in a static cell on a microcontroller.
pub struct Memory<'d> {
    link: LinkMemory<'d, RECEIVE_BUFFER_LEN_1_0, { MCTP_DESCRIPTORS + loopback::DESCRIPTORS }>,
    transfers: PortBuffers<'d, 512>,
    router: RouterStorage<
        Ports<'d, 1>,
        Networks<1>,
        ShortMessages<'d, 4>,
        LongMessages<'d, 1, LONGEST_MESSAGE>,
        Channels<'d, { ECHO_CHANNELS + thermometer::CHANNELS }>,
        Routes<2>,
    >,
    loopback: [u8; MAX_PACKET_SIZE as usize],
}

impl Memory<'_> {
    /// Memory for one device.
    pub const fn new() -> Self {
        Self {
            link: LinkMemory::new(),
            transfers: PortBuffers::new(),
            router: RouterStorage::new(),
            loopback: [0; MAX_PACKET_SIZE as usize],
        }
    }
}

impl Default for Memory<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the device for ever, all of it in one executor. `measure` gives a temperature in tenths of
/// a degree Celsius.
///
/// # Panics
///
/// Never, but for an error in this function: the memory has what the pieces take.
pub async fn device<'d, D: Driver<'d>>(
    usb: D,
    clock: impl Clock,
    identity: &Identity<'d>,
    memory: &'d mut Memory<'d>,
    measure: impl Fn() -> i16,
) -> Infallible {
    let options = Options {
        usb_max_packet_size: MAX_PACKET_SIZE,
        ..Options::default()
    };
    let link = (&mut memory.link, &mut memory.transfers);
    let Assembly { router, link }: Assembly<'_, _, NoopRawMutex, _> =
        assemble(usb, clock, identity, &options, link, &mut memory.router);

    let functions = link.run_with(&router, &(), |builder| {
        Loopback::new(builder, MAX_PACKET_SIZE)
    });
    let (link, mut loopback) = functions.expect("the receive buffer is made for this version");
    let counted = "the router has a channel for each service";
    let echo = echo(&router).expect(counted);
    let thermometer = thermometer::serve(&router, measure).expect(counted);
    join4(link, loopback.run(&mut memory.loopback), echo, thermometer)
        .await
        .0
}
