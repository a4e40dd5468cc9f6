//! A device in a thread of its own, for a host in the same process.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use mctp_i2c::TargetAddress;
use reference_device::EventLog;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use crate::connection;
use crate::device::{self, Cable};
use crate::settings::{DeviceSettings, SettingsError};
use crate::wire::Streams;
use crate::{i2c, serial};

/// Bytes that a stream holds in each direction.
const STREAM_BUFFER: usize = 64 * 1024;

/// Why there is no device.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There can be no such device.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system has no thread or no runtime for it.
    #[error("the system has no thread for the device: {0}")]
    Thread(#[from] io::Error),
}

/// A device on USB, in a thread and a runtime of its own, until this is dropped.
///
/// A host reaches it by a [`ByteStream`], which carries usbredir or USB/IP. The device is on one
/// bus at a time: another stream waits until the one before it has ended. Between two streams the
/// device is unplugged and stays switched on.
///
/// Devices share nothing, so that a process may have as many as it wants. Two of them on one
/// network need different UUIDs. What happens to a device shows in the process's log, by the `log`
/// crate.
///
/// ```
/// use virtual_device::{DeviceSettings, VirtualDevice};
///
/// let device = VirtualDevice::start(DeviceSettings::default())?;
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let questions = virtual_host::with_device(device.usbredir(), async |requester| {
///     let get_endpoint_uuid = [0x00, 0x80, 0x03];
///     let answer = requester.request(mctp::Eid(0), &get_endpoint_uuid).await;
///     answer.expect("the device answers")
/// });
/// let answer = tokio::task::LocalSet::new().block_on(&runtime, questions)?;
/// let uuid = DeviceSettings::default().uuid;
/// assert_eq!(answer, [&[0x00, 0x00, 0x03, 0x00][..], uuid.as_bytes()].concat());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualDevice(Running<UsbHost>);

/// What is plugged in.
enum UsbHost {
    Usbredir(DuplexStream),
    Usbip(DuplexStream),
}

impl VirtualDevice {
    /// Switches a device on.
    ///
    /// # Errors
    ///
    /// When the settings are not those of a device, or the system has no thread for it.
    pub fn start(settings: DeviceSettings) -> Result<Self, StartError> {
        settings.check_usb()?;
        let running = Running::start(async move |mut hosts: mpsc::UnboundedReceiver<UsbHost>| {
            device::run(&settings, &EventLog::new(), async |mut cable: Cable<'_>| {
                while let Some(host) = hosts.recv().await {
                    let ended = match host {
                        UsbHost::Usbredir(stream) => cable.plug_into(stream).await,
                        UsbHost::Usbip(stream) => {
                            let (read, write) = tokio::io::split(stream);
                            cable.plug_into_usbip(read, write).await
                        }
                    };
                    log::debug!("unplugged: {ended:?}");
                }
            })
            .await
        })?;
        Ok(Self(running))
    }

    /// A USB bus that speaks usbredir, as QEMU's `usb-redir` does: the device says hello.
    pub fn usbredir(&self) -> ByteStream {
        self.0.connect(UsbHost::Usbredir)
    }

    /// A USB bus that speaks USB/IP, from the import on: the first message is the host's
    /// `USBIP_CMD_SUBMIT` or `USBIP_CMD_UNLINK`.
    pub fn usbip(&self) -> ByteStream {
        self.0.connect(UsbHost::Usbip)
    }
}

/// As [`VirtualDevice`], on a serial line or an I2C bus.
///
/// ```
/// use std::io::{Read, Write};
/// use virtual_device::{DeviceSettings, VirtualLineDevice};
///
/// let device = VirtualLineDevice::start_serial(DeviceSettings::default())?;
/// let mut line = device.connect();
/// // Get Endpoint ID to whoever is at the other end: flag, revision, length, packet, check, flag.
/// line.write_all(b"\x7E\x01\x07\x01\x00\x08\xC8\x00\x80\x02\x2B\xC1\x7E")?;
/// // The answer is behind a preamble.
/// let (mut preamble, mut answer) = ([0; 88], [0; 14]);
/// line.read_exact(&mut preamble)?;
/// line.read_exact(&mut answer)?;
/// assert_eq!(answer[7..], [0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualLineDevice(Running<DuplexStream>);

impl VirtualLineDevice {
    /// Switches a device on that is on a serial line: MCTP over serial (DSP0253).
    ///
    /// # Errors
    ///
    /// When the settings are not those of a device, or the system has no thread for it.
    pub fn start_serial(settings: DeviceSettings) -> Result<Self, StartError> {
        settings.check_serial()?;
        Self::start(async move |lines| {
            serial::run_on(&settings, Lines(lines), true, &EventLog::new()).await
        })
    }

    /// Switches a device on that is the target at `address` on an I2C bus: MCTP over SMBus/I2C
    /// (DSP0237). Each write on the bus is a record on the stream: two bytes that say how many
    /// follow, the low byte first, then the address of the target, shifted left by one, and what is
    /// written to it.
    ///
    /// # Errors
    ///
    /// When the settings are not those of a device, or the system has no thread for it.
    pub fn start_i2c(settings: DeviceSettings, address: TargetAddress) -> Result<Self, StartError> {
        settings.check_i2c()?;
        Self::start(async move |lines| {
            i2c::run_on(&settings, Lines(lines), address, &EventLog::new()).await
        })
    }

    fn start(
        device: impl AsyncFnOnce(mpsc::UnboundedReceiver<DuplexStream>) -> anyhow::Result<Infallible>
        + Send
        + 'static,
    ) -> Result<Self, StartError> {
        let running = Running::start(async move |lines| match device(lines).await {
            Ok(never) => match never {},
            // Nobody can connect any more.
            Err(error) => log::debug!("{error:#}"),
        })?;
        Ok(Self(running))
    }

    /// A new line or bus with the device on it, and nobody else.
    pub fn connect(&self) -> ByteStream {
        self.0.connect(|line| line)
    }
}

struct Lines(mpsc::UnboundedReceiver<DuplexStream>);

impl Streams for Lines {
    async fn next(&mut self) -> anyhow::Result<connection::Stream> {
        let line = self.0.recv().await;
        Ok(Box::new(line.ok_or_else(|| {
            anyhow::anyhow!("the device is switched off")
        })?))
    }
}

/// A device, and those who want to connect to it.
struct Running<T> {
    hosts: mpsc::UnboundedSender<T>,
    runtime: Handle,
    /// `None` only while this is being dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Running<T> {
    fn start(
        device: impl AsyncFnOnce(mpsc::UnboundedReceiver<T>) + Send + 'static,
    ) -> Result<Self, io::Error> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (hosts, waiting) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("virtual-device".into());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = device(waiting) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            hosts,
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    fn connect(&self, as_host: impl FnOnce(DuplexStream) -> T) -> ByteStream {
        let (theirs, stream) = duplex(STREAM_BUFFER);
        // If the device is not there any more, after a panic, the stream ends at once.
        let _ = self.hosts.send(as_host(theirs));
        ByteStream {
            stream,
            runtime: self.runtime.clone(),
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was told when it happened.
            let _ = thread.join();
        }
    }
}

/// The host's end of a byte stream to a device.
///
/// tokio reads and writes it as [`AsyncRead`] and [`AsyncWrite`]. A thread without a runtime does so
/// by [`Read`] and [`Write`], which panic inside of an asynchronous task. The stream ends when the
/// device is dropped. Dropping the stream unplugs the device.
pub struct ByteStream {
    stream: DuplexStream,
    runtime: Handle,
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, bytes)
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Read for ByteStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.read(bytes))
    }
}

impl Write for ByteStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.stream.flush())
    }
}
