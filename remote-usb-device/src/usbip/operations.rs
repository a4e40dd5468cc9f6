//! What a client asks before it has the device.

use core::future::poll_fn;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb_driver::Speed;
use embedded_io_async::{Error as _, Read, ReadExactError, Write};

use super::wire::{
    BUS_ID_LENGTH, DEVICE_LENGTH, Device, OPERATION_LENGTH, Operation, OperationStatus, is_bus_id,
};
use super::{BUS_ID, BUS_NUMBER, DEVICE_NUMBER};
use crate::copy::copy;
use crate::descriptors::MAX_SETTINGS;
use crate::engine::Engine;
use crate::runner::write_whole;
use crate::{Error, State};

/// What a list shows for the path.
const PATH: &str = "/sys/devices/virtual/usb/1-1";
/// Bytes for each interface in a list.
const INTERFACE_LENGTH: usize = 4;
/// The longest reply: that to a list.
const LONGEST_REPLY: usize = OPERATION_LENGTH + 4 + DEVICE_LENGTH + INTERFACE_LENGTH * MAX_SETTINGS;

/// Answers what a client asks before it has the device. Any number of them can do that at once, also
/// while a client has the device.
pub struct Operations<'d, M: RawMutex> {
    pub(crate) state: &'d State<'d, M>,
}

impl<M: RawMutex> Clone for Operations<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: RawMutex> Copy for Operations<'_, M> {}

/// The device is promised to a client for as long as this lives: others are told that it is in use.
///
/// Serve the client's stream by [`Runner::run_usbip`](crate::Runner::run_usbip), then drop this.
#[must_use = "the client waits for its stream to be served"]
pub struct Import<'d, M: RawMutex> {
    state: &'d State<'d, M>,
}

impl<M: RawMutex> Drop for Import<'_, M> {
    fn drop(&mut self) {
        self.state.with(|engine| engine.release());
    }
}

/// A reply that is put together.
struct Reply {
    bytes: [u8; LONGEST_REPLY],
    length: usize,
}

impl Reply {
    fn new(operation: Operation, status: OperationStatus) -> Self {
        let mut reply = Self {
            bytes: [0; LONGEST_REPLY],
            length: 0,
        };
        reply.push(&operation.reply(status));
        reply
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(space) = self.bytes.get_mut(self.length..end) {
            copy(bytes, space);
            self.length = end;
        }
    }

    /// False when the stream takes no more.
    async fn send(&self, write: &mut impl Write) -> Result<bool, Error> {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        let is_sent = write_whole(write, bytes).await?;
        write
            .flush()
            .await
            .map_err(|error| Error::Write(error.kind()))?;
        Ok(is_sent)
    }
}

impl<'d, M: RawMutex> Operations<'d, M> {
    /// Answers one operation, and says whether the client has the device now: then the stream goes
    /// on as that of [`Runner::run_usbip`](crate::Runner::run_usbip). If not, close it.
    ///
    /// It takes no byte from the stream that is not part of the operation. The first time, it gives
    /// the device power for a moment, to read its descriptors, and waits for that. A client that
    /// says nothing is waited for as long as it takes.
    ///
    /// # Errors
    ///
    /// The stream's own errors, and [`Error::Protocol`] for another operation.
    pub async fn serve(
        &self,
        mut read: impl Read,
        mut write: impl Write,
    ) -> Result<Option<Import<'d, M>>, Error> {
        let Some(head) = read_all::<OPERATION_LENGTH>(&mut read).await? else {
            return Ok(None);
        };
        match Operation::parse(&head) {
            Some(Operation::DeviceList) => {
                self.list().await.send(&mut write).await?;
                Ok(None)
            }
            Some(Operation::Import) => {
                let Some(bus_id) = read_all::<BUS_ID_LENGTH>(&mut read).await? else {
                    return Ok(None);
                };
                let (reply, import) = self.import(&bus_id).await;
                let is_sent = reply.send(&mut write).await?;
                Ok(import.filter(|_| is_sent))
            }
            None => Err(Error::Protocol),
        }
    }

    async fn list(&self) -> Reply {
        let mut reply = Reply::new(Operation::DeviceList, OperationStatus::Ok);
        let is_there = self.wait_for_export().await;
        reply.push(&u32::from(is_there).to_be_bytes());
        if is_there {
            self.state.with(|engine| {
                reply.push(&device(engine).emit());
                for [class, subclass, protocol] in engine.descriptors().first_settings() {
                    reply.push(&[class, subclass, protocol, 0]);
                }
            });
        }
        reply
    }

    async fn import(&self, bus_id: &[u8; BUS_ID_LENGTH]) -> (Reply, Option<Import<'d, M>>) {
        let refused = |status| (Reply::new(Operation::Import, status), None);
        if !is_bus_id(bus_id, BUS_ID) {
            return refused(OperationStatus::NoDevice);
        }
        if !self.wait_for_export().await {
            return refused(OperationStatus::NotAvailable);
        }
        if !self.state.with(|engine| engine.import()) {
            return refused(OperationStatus::InUse);
        }
        let import = Import { state: self.state };
        let mut reply = Reply::new(Operation::Import, OperationStatus::Ok);
        self.state.with(|engine| reply.push(&device(engine).emit()));
        (reply, Some(import))
    }

    /// Waits until it is known what the device is; false while it is unplugged.
    async fn wait_for_export(&self) -> bool {
        poll_fn(|cx| self.state.with(|engine| engine.poll_export(cx))).await
    }
}

/// Exactly so many bytes; `None` when the stream ends before.
async fn read_all<const N: usize>(read: &mut impl Read) -> Result<Option<[u8; N]>, Error> {
    let mut bytes = [0; N];
    match read.read_exact(&mut bytes).await {
        Ok(()) => Ok(Some(bytes)),
        Err(ReadExactError::UnexpectedEof) => Ok(None),
        Err(ReadExactError::Other(error)) => Err(Error::Read(error.kind())),
    }
}

fn device(engine: &Engine<'_>) -> Device<'static> {
    let descriptors = engine.descriptors();
    let device = descriptors.device();
    Device {
        path: PATH,
        bus_id: BUS_ID,
        bus: BUS_NUMBER,
        device: DEVICE_NUMBER,
        speed: match engine.speed() {
            Speed::Low => 1,
            Speed::Full => 2,
            Speed::High => 3,
        },
        ids: [device.vendor_id, device.product_id, device.version],
        class: device.class,
        configuration: engine.configuration(),
        configurations: device.configurations,
        interfaces: u8::try_from(descriptors.first_settings().count()).unwrap_or(u8::MAX),
    }
}
