//! The bus: power, reset, and which endpoints are on.

use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb_driver::{EndpointAddress, Event, Unsupported};

use crate::State;

/// The bus side of the driver, which embassy-usb works with.
///
/// Power is there while a guest is connected and the device is
/// [attached](crate::Handle::set_attached). There is no suspend: usbredir has no message for it.
pub struct Bus<'d, M: RawMutex> {
    pub(crate) state: &'d State<'d, M>,
}

impl<M: RawMutex> embassy_usb_driver::Bus for Bus<'_, M> {
    async fn enable(&mut self) {
        self.state.with(|engine| engine.enable());
    }

    /// Tells the guest that the device was unplugged, if it knew of it.
    async fn disable(&mut self) {
        poll_fn(|cx| {
            self.state.with(|engine| {
                if engine.disable() {
                    return Poll::Ready(());
                }
                engine.bus_waker().register(cx.waker());
                Poll::Pending
            })
        })
        .await;
    }

    async fn poll(&mut self) -> Event {
        poll_fn(|cx| {
            self.state.with(|engine| match engine.poll_bus() {
                Some(event) => Poll::Ready(event),
                None => {
                    engine.bus_waker().register(cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    fn endpoint_set_enabled(&mut self, ep_addr: EndpointAddress, enabled: bool) {
        self.state
            .with(|engine| engine.set_enabled(ep_addr, enabled));
    }

    fn endpoint_set_stalled(&mut self, ep_addr: EndpointAddress, stalled: bool) {
        self.state
            .with(|engine| engine.set_stalled(ep_addr, stalled));
    }

    fn endpoint_is_stalled(&mut self, ep_addr: EndpointAddress) -> bool {
        self.state.with(|engine| engine.is_stalled(ep_addr))
    }

    fn force_reset(&mut self) -> Result<(), Unsupported> {
        self.state.with(|engine| engine.power_cycle());
        Ok(())
    }

    async fn remote_wakeup(&mut self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}
