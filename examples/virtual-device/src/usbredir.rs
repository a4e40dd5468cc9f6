//! The device on a QEMU guest's bus, until interrupted.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use log::Level;
use reference_device::Observer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::{Connection, Connector, Plug, SILENCE, Stream};
use crate::device;
use crate::logger;
use crate::settings::DeviceSettings;

/// Serves one connection after the other, for ever. With `serial_log`, the device has a serial port
/// that shows the program's log.
///
/// # Errors
///
/// When there can be no connection.
pub async fn run(
    settings: &DeviceSettings,
    connection: &Connection,
    serial_log: bool,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let mut connector = Connector::open(connection, Plug::Usbredir).await?;
    settings.log_identity();
    let log = serial_log.then(logger::reader);
    device::run_with_log(
        settings,
        observer,
        log,
        async |mut cable: device::Cable<'_>| {
            // Somebody who never says hello may connect again and again.
            let mut is_silence_told = false;
            loop {
                let (stream, heard) = HeardStream::new(connector.next().await?);
                log::info!("connected");
                let ended = tokio::select! {
                    ended = cable.plug_into(stream) => ended,
                    () = heard.nothing_for(SILENCE) => {
                        let is_told = std::mem::replace(&mut is_silence_told, true);
                        log::log!(
                            if is_told { Level::Debug } else { Level::Warn },
                            "disconnected: the peer said no hello for {} s",
                            SILENCE.as_secs()
                        );
                        continue;
                    }
                };
                is_silence_told = false;
                match ended {
                    Err(remote_usb_device::Error::Protocol) => {
                        log::warn!("disconnected: the peer does not speak the usbredir protocol");
                    }
                    // However a stream fails, the other end is gone: a pseudo terminal knows no
                    // other end.
                    ended => {
                        log::debug!("{ended:?}");
                        log::info!("disconnected");
                    }
                }
            }
        },
    )
    .await
}

/// The length of the shortest hello, whose sender says nothing of what it can do: the header of a
/// message, and the sender's version.
const SHORTEST_HELLO: usize = 12 + 64;

/// How many bytes the peer has sent.
#[derive(Clone, Default)]
struct Heard(Rc<Cell<usize>>);

impl Heard {
    /// Returns when the peer has said no hello for so long, and never if it has.
    async fn nothing_for(&self, silence: Duration) {
        tokio::time::sleep(silence).await;
        if self.0.get() >= SHORTEST_HELLO {
            pending().await
        }
    }
}

/// A stream that counts what is read of it.
struct HeardStream {
    stream: Stream,
    heard: Heard,
}

impl HeardStream {
    fn new(stream: Stream) -> (Self, Heard) {
        let heard = Heard::default();
        let this = Self {
            stream,
            heard: heard.clone(),
        };
        (this, heard)
    }
}

impl AsyncRead for HeardStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let heard = &self.heard.0;
        heard.set(heard.get().saturating_add(buffer.filled().len() - before));
        read
    }
}

impl AsyncWrite for HeardStream {
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
