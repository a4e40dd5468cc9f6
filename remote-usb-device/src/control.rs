//! Endpoint 0, as embassy-usb works with it.

use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb_driver::EndpointError;

use crate::State;
use crate::engine::Outcome;

/// Endpoint 0 of the driver.
///
/// Besides the host's requests it hands embassy-usb a few of the driver's own: SET_ADDRESS, which
/// the host controller keeps to itself, and GET_DESCRIPTOR, to learn what to announce.
pub struct ControlPipe<'d, M: RawMutex> {
    pub(crate) state: &'d State<'d, M>,
}

impl<M: RawMutex> ControlPipe<'_, M> {
    async fn finish(&mut self, outcome: Outcome) {
        poll_fn(|cx| {
            self.state.with(|engine| {
                engine.control_waker().register(cx.waker());
                engine.poll_status(outcome)
            })
        })
        .await;
    }
}

impl<M: RawMutex> embassy_usb_driver::ControlPipe for ControlPipe<'_, M> {
    fn max_packet_size(&self) -> usize {
        self.state.with(|engine| engine.control_size().into())
    }

    async fn setup(&mut self) -> [u8; 8] {
        poll_fn(|cx| {
            self.state.with(|engine| {
                engine.control_waker().register(cx.waker());
                engine.poll_setup().map_or(Poll::Pending, Poll::Ready)
            })
        })
        .await
    }

    async fn data_out(
        &mut self,
        buf: &mut [u8],
        _first: bool,
        _last: bool,
    ) -> Result<usize, EndpointError> {
        self.state.with(|engine| engine.data_out(buf))
    }

    async fn data_in(
        &mut self,
        data: &[u8],
        _first: bool,
        last: bool,
    ) -> Result<(), EndpointError> {
        poll_fn(|cx| {
            self.state.with(|engine| {
                engine.control_waker().register(cx.waker());
                engine.poll_data_in(data, last)
            })
        })
        .await
    }

    async fn accept(&mut self) {
        self.finish(Outcome::Done).await;
    }

    async fn reject(&mut self) {
        self.finish(Outcome::Stall).await;
    }

    async fn accept_set_address(&mut self, _addr: u8) {
        self.finish(Outcome::Done).await;
    }
}
