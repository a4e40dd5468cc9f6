//! A byte stream that comes and goes, as both halves of a device's link have it.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::{Connector, SILENCE, Stream};

/// Makes one stream after the other.
pub(crate) trait Streams {
    /// Waits for the next stream. The one before must have ended.
    ///
    /// # Errors
    ///
    /// When there will be none any more.
    async fn next(&mut self) -> anyhow::Result<Stream>;

    /// Waits for a stream while the one before has not ended.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    async fn newcomer(&mut self) -> anyhow::Result<Stream> {
        pending().await
    }
}

impl Streams for Connector {
    async fn next(&mut self) -> anyhow::Result<Stream> {
        Connector::next(self).await
    }

    async fn newcomer(&mut self) -> anyhow::Result<Stream> {
        Connector::newcomer(self).await
    }
}

/// The wire: with a stream while somebody is connected.
#[derive(Default)]
pub(crate) struct Wire {
    stream: RefCell<Option<Stream>>,
    /// How many streams there were.
    connections: Cell<u64>,
    /// A write that waits for the stream, which is gone when the receiving end says so.
    writer: Cell<Option<Waker>>,
    /// Why there will be no stream any more.
    failure: Cell<Option<anyhow::Error>>,
    failed: Notify,
}

impl Wire {
    /// Waits until there can be no stream any more, and says why.
    pub(crate) async fn failure(&self) -> anyhow::Error {
        loop {
            self.failed.notified().await;
            if let Some(error) = self.failure.take() {
                return error;
            }
        }
    }

    /// Whether there is a stream.
    pub(crate) fn is_connected(&self) -> bool {
        self.stream.borrow().is_some()
    }

    /// How many streams there were, the present one included: what a sender knows of one is not so
    /// of the next.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.get()
    }

    pub(crate) fn connect(&self, stream: Stream) {
        log::info!("connected");
        self.stream.replace(Some(stream));
        self.connections.set(self.connections.get() + 1);
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
///
/// Whoever is connected has the wire until it hangs up. But one that has said nothing for
/// [`SILENCE`] gives way to the next that connects.
pub(crate) struct ReceivingEnd<'w, S> {
    streams: S,
    wire: &'w Wire,
    /// Until when the present peer may keep others waiting. `None`: it has said something.
    silent_until: Option<Instant>,
    /// The next stream, which was made before the present one had ended.
    next: Option<Stream>,
}

impl<'w, S: Streams> ReceivingEnd<'w, S> {
    /// The end of `wire` whose streams these are.
    pub(crate) fn new(streams: S, wire: &'w Wire) -> Self {
        Self {
            streams,
            wire,
            silent_until: None,
            next: None,
        }
    }

    /// Waits for the next stream. The one before must have ended.
    pub(crate) async fn connected(&mut self) {
        let stream = match self.next.take() {
            Some(stream) => Ok(stream),
            None => self.streams.next().await,
        };
        match stream {
            Ok(stream) => {
                self.wire.connect(stream);
                self.silent_until = Some(Instant::now() + SILENCE);
            }
            Err(error) => self.fail(error).await,
        }
    }

    async fn fail(&self, error: anyhow::Error) -> ! {
        self.wire.fail(error);
        pending().await
    }

    /// Ends the stream.
    pub(crate) fn disconnect(&mut self) {
        self.wire.disconnect();
    }
}

impl<S> ErrorType for ReceivingEnd<'_, S> {
    type Error = io::Error;
}

/// Reads nothing when the stream has ended.
impl<S: Streams> Read for ReceivingEnd<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = poll_fn(|context| {
            let mut bytes = ReadBuf::new(buffer);
            let read = self.wire.poll(context, |stream, context| {
                stream.poll_read(context, &mut bytes)
            });
            read.map_ok(|()| bytes.filled().len())
        });
        let silent_until = self.silent_until;
        let newcomer = async {
            let until = match silent_until {
                Some(until) => until,
                None => pending().await,
            };
            tokio::time::sleep_until(until).await;
            self.streams.newcomer().await
        };
        let read = tokio::select! {
            biased;
            read = read => read,
            newcomer = newcomer => match newcomer {
                Ok(stream) => {
                    log::info!("the peer has said nothing, and gives way to the next");
                    self.next = Some(stream);
                    Ok(0)
                }
                Err(error) => self.fail(error).await,
            },
        };
        match read {
            Ok(len @ 1..) => {
                self.silent_until = None;
                Ok(len)
            }
            // However a stream fails, the other end is gone: a pseudo terminal knows no other end.
            ended => {
                log::debug!("{ended:?}");
                self.wire.disconnect();
                Ok(0)
            }
        }
    }
}

/// What the device sends to.
pub(crate) struct SendingEnd<'w>(pub(crate) &'w Wire);

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
