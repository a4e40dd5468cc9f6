#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod bus;
mod control;
mod request;
mod state;
#[cfg(feature = "synopsys-otg")]
mod synopsys_otg;

pub use bus::GuardedBus;
pub use control::GuardedControlPipe;
pub use state::State;
#[cfg(feature = "synopsys-otg")]
pub use synopsys_otg::{SynopsysBus, SynopsysControlPipe, SynopsysOtg};

use embassy_usb_driver::{Driver, EndpointAddress, EndpointAllocError, EndpointType};

/// A driver between which and the device stack nothing passes that would harm either.
///
/// Give it to `embassy_usb::Builder` in place of the driver that it guards.
pub struct Guard<'d, D> {
    driver: D,
    state: &'d State,
}

impl<'d, D: Driver<'d>> Guard<'d, D> {
    /// Guards `driver`, which keeps the contract of `embassy-usb-driver`.
    pub const fn new(driver: D, state: &'d State) -> Self {
        Self { driver, state }
    }
}

impl<'d, D: Driver<'d>> Driver<'d> for Guard<'d, D> {
    type EndpointOut = D::EndpointOut;
    type EndpointIn = D::EndpointIn;
    type ControlPipe = GuardedControlPipe<'d, D::ControlPipe>;
    type Bus = GuardedBus<'d, D::Bus>;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        ep_addr: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Self::EndpointOut, EndpointAllocError> {
        self.driver
            .alloc_endpoint_out(ep_type, ep_addr, max_packet_size, interval_ms)
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        ep_addr: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Self::EndpointIn, EndpointAllocError> {
        self.driver
            .alloc_endpoint_in(ep_type, ep_addr, max_packet_size, interval_ms)
    }

    fn start(self, control_max_packet_size: u16) -> (Self::Bus, Self::ControlPipe) {
        let Self { driver, state } = self;
        let (bus, pipe) = driver.start(control_max_packet_size);
        (
            GuardedBus { bus, state },
            GuardedControlPipe::new(pipe, state),
        )
    }
}
