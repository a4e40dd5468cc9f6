//! The reference device, assembled for a PC: its USB driver speaks usbredir, its clock is tokio's.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_adapters::tokio_1::FromTokio;
use nvme_mi_responder::world::MemoryPcie;
use nvme_mi_responder::{MessageBuffers, Responder};
use reference_device::{
    Direction, DropCounters, Event, Identity, Management, Memory, Observer, Options, UnitChanges,
};
use tokio::io::{AsyncRead, AsyncWrite};
use usbredir_device::{Buffers, State};

use crate::cli::{DeviceSettings, LARGEST_MAX_MESSAGE};
use crate::clock::TokioClock;
use crate::firmware::LoggedFirmware;
use crate::model_file::{CONTROLLERS, FIRMWARE_SLOTS};
use crate::pcap::{self, Capture};

/// Bytes of a transfer to the guest, and of those from it that may wait: more than the longest that Linux asks for.
const TRANSFER_BUFFER: usize = 16 * 1024;

/// The longest MCTP over USB transfer of any version.
const LONGEST_TRANSFER: usize = 8191;

/// How long a bulk OUT endpoint may leave its queue full before the rest of the bus goes on without it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest firmware image, in bytes.
const FIRMWARE_SLOT: usize = 8 << 20;

/// Bytes of each packet in the log.
const LOGGED: usize = 32;

type UsbBuffers = Buffers<1, TRANSFER_BUFFER, TRANSFER_BUFFER, 4096>;

type DeviceMemory<'d> = Memory<
    'd,
    { mctp_usb::RECEIVE_BUFFER_LEN_1_1 },
    LONGEST_TRANSFER,
    2,
    { LARGEST_MAX_MESSAGE - 1 },
>;

/// The device's USB cable: joins it to a host for as long as a byte stream lasts.
pub struct Cable<'d>(usbredir_device::Runner<'d, NoopRawMutex>);

impl Cable<'_> {
    /// Serves one connection to its end, and returns why it ended if the peer did not just close it.
    ///
    /// Then the device is unplugged, until this is called again.
    ///
    /// # Errors
    ///
    /// When the stream fails, or the peer does not speak usbredir.
    pub async fn plug_into(
        &mut self,
        stream: impl AsyncRead + AsyncWrite,
    ) -> Result<(), usbredir_device::Error> {
        let (read, write) = tokio::io::split(stream);
        self.0
            .run_with_patience(FromTokio::new(read), FromTokio::new(write), async || {
                tokio::time::sleep(PATIENCE).await;
            })
            .await
    }
}

/// Switches the device on, for as long as `world` runs: it gets the device's cable.
///
/// # Panics
///
/// Never, but for an error in this function: its buffers are made for every setting.
pub async fn run<T>(
    settings: &DeviceSettings,
    observer: &impl Observer,
    world: impl AsyncFnOnce(Cable<'_>) -> T,
) -> T {
    let mut buffers = Box::new(UsbBuffers::new());
    let state = State::<NoopRawMutex>::new(&mut buffers);
    let (driver, runner, _) = usbredir_device::new(&state, usbredir_device::Config::default());

    let identity = Identity::for_development(settings.uuid.into_bytes());
    let options = Options {
        usb_version: settings.usb,
        mtu: settings.mtu.try_into().unwrap_or(u16::MAX),
        max_message: settings.max_message,
        ..Options::default()
    };
    let mut memory = Box::new(DeviceMemory::new());
    let serial_number = settings.serial_number();
    let model = &settings.model;
    let revision = model.revision();
    let mut subsystem = model
        .build(&serial_number, &revision)
        .expect("a model that was read from a file breaks no rule");
    let unit_changes = UnitChanges::new();
    let mut images = vec![0; (FIRMWARE_SLOTS + 1) * FIRMWARE_SLOT];
    let firmware = LoggedFirmware {
        store: model.firmware.build(&mut images),
        slots: model.firmware.slots.len().try_into().unwrap_or(u8::MAX),
    };
    let mut surroundings = reference_device::default_world(firmware, &unit_changes)
        .with_pcie(MemoryPcie::<CONTROLLERS>::new(&model.vendor));
    surroundings.health = model.health;
    let mut buffers = Box::new(MessageBuffers::new());
    let responder = Responder::new(
        subsystem.model(),
        model.management_port,
        surroundings,
        &mut buffers,
    )
    .expect("a model that was read from a file has the port of its management endpoint");
    let management = Management {
        responder,
        port: model.management_port,
        unit_changes: &unit_changes,
    };
    let device = reference_device::run(
        driver,
        TokioClock::start(),
        &identity,
        &options,
        &mut memory,
        management,
        observer,
    );
    tokio::select! {
        result = device => match result {
            Err(error) => panic!("{error}"),
        },
        value = world(Cable(runner)) => value,
    }
}

/// Logs what happens and, if asked for, captures what crosses the wire.
#[derive(Default)]
pub struct Log {
    capture: RefCell<Option<Capture>>,
    drops_told: Cell<u32>,
}

impl Log {
    /// With a capture, or without.
    pub fn new(capture: Option<Capture>) -> Self {
        Self {
            capture: RefCell::new(capture),
            drops_told: Cell::new(0),
        }
    }

    fn capture(&self, direction: Direction, bytes: &[u8]) {
        let mut place = self.capture.borrow_mut();
        let Some(capture) = place.as_mut() else {
            return;
        };
        let direction = match direction {
            Direction::Received => pcap::Direction::Received,
            Direction::Sent => pcap::Direction::Sent,
        };
        if let Err(error) = capture.packet(direction, bytes) {
            log::error!("the capture ends here: {error:#}");
            *place = None;
        }
    }
}

impl Observer for Log {
    fn packet(&self, direction: Direction, bytes: &[u8]) {
        self.capture(direction, bytes);
        // A whole control packet; of longer ones the beginning says enough.
        let shown = bytes.get(..LOGGED).unwrap_or(bytes);
        log::trace!("{direction:?} {} bytes: {}", bytes.len(), Hex(shown));
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        match event {
            Event::EndpointIdSet(endpoint_id) => {
                log::info!("endpoint ID {} was set", endpoint_id.0)
            }
            Event::BusOwnerSeen(owner) => log::debug!("the bus owner is {}", owner.endpoint_id.0),
            Event::LinkUp(_) => log::info!("the USB host has configured the device"),
            Event::LinkDown(_) => log::info!("the USB host is gone"),
            other => log::debug!("{other:?}"),
        }
        if self.drops_told.replace(drops.total()) != drops.total() {
            for (reason, count) in drops.nonzero() {
                log::debug!("dropped so far: {count} for {}", reason.as_str());
            }
        }
    }
}

/// Bytes as people read them: two digits each, spaces between.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_readable() {
        assert_eq!(Hex(&[0x00, 0x81, 0xFF]).to_string(), "00 81 ff");
        assert_eq!(Hex(&[]).to_string(), "");
    }
}
