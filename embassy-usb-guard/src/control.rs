//! The control pipe: sees every request before the device stack, and ends those that the stack does
//! not end.

use embassy_usb_driver::{ControlPipe, EndpointError};

use crate::request::{Request, Verdict};
use crate::state::{DeviceState, State};

/// The control pipe of a guarded driver.
pub struct GuardedControlPipe<'d, P> {
    pipe: P,
    state: &'d State,
    /// The state of the device if the device stack accepts the request.
    next_state: Option<DeviceState>,
}

/// How a request ends.
enum Ending {
    Accept,
    AcceptAddress(u8),
    Stall,
}

impl<'d, P: ControlPipe> GuardedControlPipe<'d, P> {
    pub(crate) fn new(pipe: P, state: &'d State) -> Self {
        Self {
            pipe,
            state,
            next_state: None,
        }
    }

    async fn end(&mut self, ending: Ending) {
        self.state.ends_without_data.set(false);
        match ending {
            Ending::Accept => self.pipe.accept().await,
            Ending::AcceptAddress(address) => self.pipe.accept_set_address(address).await,
            Ending::Stall => self.pipe.reject().await,
        }
    }
}

impl<P: ControlPipe> ControlPipe for GuardedControlPipe<'_, P> {
    fn max_packet_size(&self) -> usize {
        self.pipe.max_packet_size()
    }

    async fn setup(&mut self) -> [u8; 8] {
        loop {
            if self.state.ends_without_data.get() {
                self.end(Ending::Accept).await;
            }
            let setup = self.pipe.setup().await;
            let request = Request::parse(setup);
            let ending = match request.verdict(self.state) {
                Verdict::Pass => {
                    self.state
                        .ends_without_data
                        .set(request.is_in() && request.length == 0);
                    self.next_state = request.next_state();
                    return setup;
                }
                Verdict::Stall => Ending::Stall,
                Verdict::ClearAddress => {
                    self.state.set_device(DeviceState::Default);
                    Ending::AcceptAddress(0)
                }
            };
            self.end(ending).await;
        }
    }

    fn data_out(
        &mut self,
        buffer: &mut [u8],
        first: bool,
        last: bool,
    ) -> impl Future<Output = Result<usize, EndpointError>> {
        self.pipe.data_out(buffer, first, last)
    }

    fn data_in(
        &mut self,
        data: &[u8],
        first: bool,
        last: bool,
    ) -> impl Future<Output = Result<(), EndpointError>> {
        self.pipe.data_in(data, first, last)
    }

    async fn accept(&mut self) {
        if let Some(state) = self.next_state {
            self.state.set_device(state);
        }
        self.end(Ending::Accept).await;
    }

    async fn reject(&mut self) {
        self.end(Ending::Stall).await;
    }

    async fn accept_set_address(&mut self, address: u8) {
        self.state.set_device(DeviceState::Address);
        self.end(Ending::AcceptAddress(address)).await;
    }
}
