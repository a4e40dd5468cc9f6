//! The bus: takes note of resets, and of the endpoints that the device stack enables.

use embassy_usb_driver::{Bus, EndpointAddress, Event, Unsupported};

use crate::state::State;

/// The bus of a guarded driver.
pub struct GuardedBus<'d, B> {
    pub(crate) bus: B,
    pub(crate) state: &'d State,
}

impl<B: Bus> Bus for GuardedBus<'_, B> {
    fn enable(&mut self) -> impl Future<Output = ()> {
        self.bus.enable()
    }

    fn disable(&mut self) -> impl Future<Output = ()> {
        self.bus.disable()
    }

    async fn poll(&mut self) -> Event {
        let event = self.bus.poll().await;
        self.state.note(event);
        event
    }

    fn endpoint_set_enabled(&mut self, endpoint: EndpointAddress, enabled: bool) {
        self.bus.endpoint_set_enabled(endpoint, enabled);
        self.state.set_enabled(endpoint, enabled);
    }

    fn endpoint_set_stalled(&mut self, endpoint: EndpointAddress, stalled: bool) {
        self.bus.endpoint_set_stalled(endpoint, stalled);
    }

    fn endpoint_is_stalled(&mut self, endpoint: EndpointAddress) -> bool {
        self.bus.endpoint_is_stalled(endpoint)
    }

    fn force_reset(&mut self) -> Result<(), Unsupported> {
        self.bus.force_reset()
    }

    fn remote_wakeup(&mut self) -> impl Future<Output = Result<(), Unsupported>> {
        self.bus.remote_wakeup()
    }
}
