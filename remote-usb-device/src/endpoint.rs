//! Bulk and interrupt endpoints, as classes work with them.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb_driver::{EndpointError, EndpointInfo};

use crate::State;
use crate::engine::Engine;
use crate::queue::Port;

/// What both directions share.
struct Common<'d, M: RawMutex> {
    state: &'d State<'d, M>,
    index: usize,
    info: EndpointInfo,
}

/// The session that a call began in; the call ends as `Disabled` if the endpoint stops, however
/// soon it starts again.
#[derive(Default)]
struct Session(Option<u32>);

impl Session {
    fn check(&mut self, port: &Port) -> Result<(), EndpointError> {
        let began_in = *self.0.get_or_insert(port.session);
        if began_in == port.session {
            Ok(())
        } else {
            Err(EndpointError::Disabled)
        }
    }
}

fn poll_enabled(port: &mut Port, cx: &Context<'_>) -> Poll<()> {
    if port.enabled {
        return Poll::Ready(());
    }
    port.waker.register(cx.waker());
    Poll::Pending
}

/// An IN endpoint: packets to the guest.
///
/// [`write`](embassy_usb_driver::EndpointIn::write) waits while the guest asks for nothing.
pub struct EndpointIn<'d, M: RawMutex>(Common<'d, M>);

/// An OUT endpoint: packets from the guest.
///
/// [`read`](embassy_usb_driver::EndpointOut::read) gives one packet of the guest's transfer at a
/// time, at most the maximum packet size. A transfer that is a multiple of it has no empty packet
/// at its end; an empty transfer is one empty packet.
pub struct EndpointOut<'d, M: RawMutex>(Common<'d, M>);

impl<'d, M: RawMutex> EndpointIn<'d, M> {
    pub(crate) fn new(state: &'d State<'d, M>, index: usize, info: EndpointInfo) -> Self {
        Self(Common { state, index, info })
    }

    fn poll_write(
        &self,
        session: &mut Session,
        cx: &Context<'_>,
        packet: &[u8],
    ) -> Poll<Result<(), EndpointError>> {
        let state = self.0.state;
        state.with(|engine: &mut Engine<'_>| {
            let Some((queue, storage)) = engine.input(self.0.index) else {
                return Poll::Ready(Err(EndpointError::Disabled));
            };
            session.check(&queue.port)?;
            let result = queue.write(storage, packet);
            match result {
                Poll::Pending => queue.port.waker.register(cx.waker()),
                Poll::Ready(_) => engine.writer_waker().wake(),
            }
            result
        })
    }
}

impl<'d, M: RawMutex> EndpointOut<'d, M> {
    pub(crate) fn new(state: &'d State<'d, M>, index: usize, info: EndpointInfo) -> Self {
        Self(Common { state, index, info })
    }

    fn poll_read(
        &self,
        session: &mut Session,
        cx: &Context<'_>,
        packet: &mut [u8],
    ) -> Poll<Result<usize, EndpointError>> {
        let state = self.0.state;
        state.with(|engine: &mut Engine<'_>| {
            let Some((queue, storage)) = engine.output(self.0.index) else {
                return Poll::Ready(Err(EndpointError::Disabled));
            };
            session.check(&queue.port)?;
            let result = if queue.port.stalled {
                Poll::Pending
            } else {
                queue.read(storage, packet)
            };
            match result {
                Poll::Pending => queue.port.waker.register(cx.waker()),
                Poll::Ready(_) => engine.wake_stream(),
            }
            result
        })
    }
}

impl<M: RawMutex> embassy_usb_driver::Endpoint for EndpointIn<'_, M> {
    fn info(&self) -> &EndpointInfo {
        &self.0.info
    }

    async fn wait_enabled(&mut self) {
        poll_fn(|cx| {
            let state = self.0.state;
            state.with(|engine| match engine.input(self.0.index) {
                Some((queue, _)) => poll_enabled(&mut queue.port, cx),
                None => Poll::Pending,
            })
        })
        .await;
    }
}

impl<M: RawMutex> embassy_usb_driver::Endpoint for EndpointOut<'_, M> {
    fn info(&self) -> &EndpointInfo {
        &self.0.info
    }

    async fn wait_enabled(&mut self) {
        poll_fn(|cx| {
            let state = self.0.state;
            state.with(|engine| match engine.output(self.0.index) {
                Some((queue, _)) => poll_enabled(&mut queue.port, cx),
                None => Poll::Pending,
            })
        })
        .await;
    }
}

impl<M: RawMutex> embassy_usb_driver::EndpointIn for EndpointIn<'_, M> {
    async fn write(&mut self, buf: &[u8]) -> Result<(), EndpointError> {
        let mut session = Session::default();
        poll_fn(|cx| self.poll_write(&mut session, cx, buf)).await
    }

    /// All of it in one session: the rest of a transfer is not sent after a reset.
    async fn write_transfer(&mut self, buf: &[u8], needs_zlp: bool) -> Result<(), EndpointError> {
        let mut session = Session::default();
        let max_packet_size = usize::from(self.0.info.max_packet_size).max(1);
        let mut rest = buf;
        loop {
            let (packet, next) = rest
                .split_at_checked(max_packet_size)
                .unwrap_or((rest, &[]));
            if !packet.is_empty() || needs_zlp {
                poll_fn(|cx| self.poll_write(&mut session, cx, packet)).await?;
            }
            let full = packet.len() == max_packet_size;
            if next.is_empty() && !(full && needs_zlp) {
                return Ok(());
            }
            rest = next;
        }
    }
}

impl<M: RawMutex> embassy_usb_driver::EndpointOut for EndpointOut<'_, M> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, EndpointError> {
        let mut session = Session::default();
        poll_fn(|cx| self.poll_read(&mut session, cx, buf)).await
    }

    /// All of it in one session: the packets of two transfers on either side of a reset are not
    /// joined.
    async fn read_transfer(&mut self, buf: &mut [u8]) -> Result<usize, EndpointError> {
        let mut session = Session::default();
        let mut filled = 0usize;
        loop {
            let room = buf.get_mut(filled..).unwrap_or_default();
            let length = poll_fn(|cx| self.poll_read(&mut session, cx, room)).await?;
            filled = filled.saturating_add(length);
            if length < usize::from(self.0.info.max_packet_size) || filled == buf.len() {
                return Ok(filled);
            }
        }
    }
}
