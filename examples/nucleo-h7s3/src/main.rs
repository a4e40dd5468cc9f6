//! The reference device on the STM32H7S3L8 Nucleo board.
//!
//! The device is `reference_device::run`. Here are the clock, memory, NVM subsystem and log it asks for; [`board`] has the hardware.

#![no_std]
#![no_main]

mod board;
mod clock;
mod log;
mod management;

use defmt::info;
use embassy_executor::Spawner;
use embassy_futures::join::join;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
use panic_probe as _;
use reference_device::{Identity, Memory, Options, run, uuid_from_unique_id};
use static_cell::{ConstStaticCell, StaticCell};

use board::{Board, USB_OUT_BUFFER};
use clock::SystemClock;
use log::EventLog;

/// MCTP over USB 1.0, and two long messages at once, each of at most the size that an NVMe-MI host expects.
type DeviceMemory = Memory<'static, RECEIVE_BUFFER_LEN_1_0, 512, 2, 4224>;

static MEMORY: StaticCell<DeviceMemory> = StaticCell::new();
static USB_OUT: ConstStaticCell<[u8; USB_OUT_BUFFER]> = ConstStaticCell::new([0; USB_OUT_BUFFER]);

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let board = Board::start(USB_OUT.take());
    let identity = Identity::for_development(uuid_from_unique_id(&board.unique_id));
    info!("UUID {=[u8; 16]:02x}", identity.uuid);
    info!("USB serial number {=[u8]:a}", identity.serial_number());

    let options = Options::default();
    let device = run(
        board.usb,
        SystemClock,
        &identity,
        &options,
        MEMORY.init_with(Memory::new),
        management::start(&identity),
        &EventLog,
    );
    let (Err(error), ()) = join(device, board::blink(board.led)).await;
    defmt::panic!("the device cannot start: {}", error);
}
