//! The serial port with the device's log (feature `serial-log`): a CDC-ACM function (USB Class
//! Definitions for Communications Devices 1.2, PSTN subclass 1.2).

use core::convert::Infallible;

use device_log::Reader;
use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_usb::Builder;
use embassy_usb::class::cdc_acm::{CdcAcmClass, ControlChanged, Receiver, Sender, State};
use embassy_usb::driver::{Driver, EndpointError};

/// The longest USB packet: a bulk endpoint's at high speed.
const LONGEST_PACKET: usize = 512;
/// Bytes of the log that are sent at once. Shorter than a packet, so that each is the end of a
/// transfer, which the host does not wait any longer for.
const TEXT: usize = 128;

/// What a [`SerialPort`] keeps: less than 800 bytes. Its lifetime is that of the device.
///
/// The USB driver needs memory for one more OUT packet.
pub struct SerialMemory<'d> {
    state: State<'d>,
    received: [u8; LONGEST_PACKET],
    text: [u8; TEXT],
}

impl SerialMemory<'_> {
    /// Memory for one port.
    pub const fn new() -> Self {
        Self {
            state: State::new(),
            received: [0; LONGEST_PACKET],
            text: [0; TEXT],
        }
    }
}

impl Default for SerialMemory<'_> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<SerialMemory<'_>>() < 800);

/// Bytes that a [`SerialPort`] takes in the configuration descriptor.
pub const SERIAL_DESCRIPTORS: usize = 61;

/// A serial port that shows the device's log to whoever opens it: a USB function for
/// [`Link::run_with`](crate::Link::run_with).
///
/// - Each time it is opened (DTR), the log begins with the first lines. While it is closed, nothing
///   is sent. What the driver had taken, and the one before did not read, comes before that: at
///   most 128 bytes.
/// - What the host writes is read and forgotten; most do, as a terminal's echo.
pub struct SerialPort<'d, D: Driver<'d>> {
    sender: Sender<'d, D>,
    receiver: Receiver<'d, D>,
    control: ControlChanged<'d>,
    received: &'d mut [u8],
    text: &'d mut [u8],
}

impl<'d, D: Driver<'d>> SerialPort<'d, D> {
    /// Adds it to a device. `max_packet_size` is that of its bulk endpoints: 512 at high speed, 64
    /// at full speed.
    pub fn new(
        builder: &mut Builder<'d, D>,
        memory: &'d mut SerialMemory<'d>,
        max_packet_size: u16,
    ) -> Self {
        let class = CdcAcmClass::new(builder, &mut memory.state, max_packet_size);
        let (sender, receiver, control) = class.split_with_control();
        let shorter_than_packet = usize::from(max_packet_size).saturating_sub(1);
        let text_len = memory.text.len().min(shorter_than_packet);
        Self {
            sender,
            receiver,
            control,
            received: &mut memory.received,
            text: &mut memory.text[..text_len],
        }
    }

    /// Shows the log for ever.
    pub async fn show<const EARLY: usize, const RECENT: usize>(
        mut self,
        log: Reader<'_, EARLY, RECENT>,
    ) -> Infallible {
        join(
            drain(&mut self.receiver, self.received),
            send(&mut self.sender, &self.control, log, self.text),
        )
        .await
        .1
    }
}

/// Reads and forgets. An endpoint that is not read would hold up the host, and on some buses the
/// other functions.
async fn drain<'d, D: Driver<'d>>(receiver: &mut Receiver<'d, D>, buffer: &mut [u8]) {
    loop {
        receiver.wait_connection().await;
        loop {
            match receiver.read_packet(buffer).await {
                Ok(_) => {}
                Err(EndpointError::Disabled) => break,
                // Not with this buffer. A driver that keeps such a packet would fail again at once.
                Err(EndpointError::BufferOverflow) => yield_now().await,
            }
        }
    }
}

/// Sends the log, from its beginning, each time that somebody opens the port.
async fn send<'d, D: Driver<'d>, const EARLY: usize, const RECENT: usize>(
    sender: &mut Sender<'d, D>,
    control: &ControlChanged<'d>,
    mut log: Reader<'_, EARLY, RECENT>,
    text: &mut [u8],
) -> Infallible {
    loop {
        sender.wait_connection().await;
        while !control.dtr() {
            control.control_changed().await;
        }
        log.attach();
        let closed = async {
            while control.dtr() {
                control.control_changed().await;
            }
        };
        select(closed, pass_on(&mut log, sender, text)).await;
    }
}

/// Sends what there is, until the device is unplugged.
async fn pass_on<'d, D: Driver<'d>, const EARLY: usize, const RECENT: usize>(
    log: &mut Reader<'_, EARLY, RECENT>,
    sender: &mut Sender<'d, D>,
    text: &mut [u8],
) {
    loop {
        let length = log.read(text).await;
        let text = text.get(..length).unwrap_or_default();
        if sender.write_packet(text).await.is_err() {
            return;
        }
    }
}
