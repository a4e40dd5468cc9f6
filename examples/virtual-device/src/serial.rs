//! The device on a serial line, until interrupted.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};
use mctp_serial::framing::MAX_PACKET;
use mctp_serial::{Line, Receiver, Resync, Sender};
use reference_device::{Observed, Observer, PORT};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::cli::DeviceSettings;
use crate::connection::{Connection, Connector, Plug, Stream};
use crate::device::{self, DeviceRouter};

/// Serves one connection after the other, for ever.
///
/// # Errors
///
/// When there can be no connection.
pub async fn run(
    settings: &DeviceSettings,
    connection: &Connection,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let wire = Wire::default();
    let connector = Connector::open(connection, Plug::Serial).await?;
    device::run_with_link(settings, observer, async |router: &DeviceRouter<'_>| {
        let resync = Resync::new();
        let mut buffer = [0; MAX_PACKET];
        let line = ReceivingEnd {
            connector,
            wire: &wire,
        };
        let receiver = Receiver::on_line(line, &resync, &mut buffer)?;
        let receiver = match connection {
            // What comes while nobody reads is lost there, sooner or later.
            Connection::Tty { .. } => receiver,
            _ => receiver.with_flow_control(),
        };
        // The router keeps to the transmission unit that is set.
        let sender = Sender::new(SendingEnd(&wire), &resync).with_max_packet(u8::MAX);
        let mut receiver = Observed::new(receiver, observer);
        let mut sender = Observed::new(sender, observer);
        tokio::select! {
            never = router.run(PORT, &mut receiver, &mut sender) => match never {},
            error = wire.failure() => Err(error),
        }
    })
    .await
}

/// The line as both halves of the device have it: with a stream while somebody is connected.
#[derive(Default)]
struct Wire {
    stream: RefCell<Option<Stream>>,
    /// A write that waits for the stream, which is gone when the receiving end says so.
    writer: Cell<Option<Waker>>,
    /// Why there will be no stream any more.
    failure: Cell<Option<anyhow::Error>>,
    failed: Notify,
}

impl Wire {
    fn connect(&self, stream: Stream) {
        log::info!("connected");
        self.stream.replace(Some(stream));
    }

    fn disconnect(&self) {
        if self.stream.replace(None).is_some() {
            log::info!("disconnected");
        }
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    fn fail(&self, error: anyhow::Error) {
        self.failure.set(Some(error));
        self.failed.notify_one();
    }

    async fn failure(&self) -> anyhow::Error {
        loop {
            self.failed.notified().await;
            if let Some(error) = self.failure.take() {
                return error;
            }
        }
    }

    /// Asks the stream; [`io::ErrorKind::NotConnected`] when there is none.
    fn poll<T>(
        &self,
        context: &mut Context<'_>,
        ask: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match self.stream.borrow_mut().as_mut() {
            Some(stream) => ask(Pin::new(stream), context),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// The same, for a write.
    fn poll_write<T>(
        &self,
        context: &mut Context<'_>,
        ask: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.writer.set(Some(context.waker().clone()));
        self.poll(context, ask)
    }
}

/// What the device receives from. It makes the connections.
struct ReceivingEnd<'w> {
    connector: Connector,
    wire: &'w Wire,
}

impl ErrorType for ReceivingEnd<'_> {
    type Error = io::Error;
}

impl Read for ReceivingEnd<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = poll_fn(|context| {
            let mut bytes = ReadBuf::new(buffer);
            let read = self.wire.poll(context, |stream, context| {
                stream.poll_read(context, &mut bytes)
            });
            read.map_ok(|()| bytes.filled().len())
        });
        match read.await {
            Ok(len @ 1..) => Ok(len),
            // However a stream fails, the other end is gone: a pseudo terminal knows no other end.
            ended => {
                log::debug!("{ended:?}");
                self.wire.disconnect();
                Ok(0)
            }
        }
    }
}

impl Line for ReceivingEnd<'_> {
    async fn wait_connected(&mut self) {
        match self.connector.next().await {
            Ok(stream) => self.wire.connect(stream),
            Err(error) => {
                self.wire.fail(error);
                pending().await
            }
        }
    }
}

/// What the device sends to.
struct SendingEnd<'w>(&'w Wire);

impl ErrorType for SendingEnd<'_> {
    type Error = io::Error;
}

impl Write for SendingEnd<'_> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|context| {
            self.0
                .poll_write(context, |stream, context| stream.poll_write(context, bytes))
        })
        .await
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            self.0
                .poll_write(context, |stream, context| stream.poll_flush(context))
        })
        .await
    }
}
