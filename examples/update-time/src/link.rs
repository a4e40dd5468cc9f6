//! The two-wire port of either side.

use std::time::Duration;

use embassy_futures::yield_now;
use embedded_hal_async::delay::DelayNs;
use mctp_i2c::simulated_bus::{SimulatedBus, SimulatedController, SimulatedDelay, SimulatedTarget};
use mctp_i2c::{Config, RECEIVE_BUFFER_LEN, Receiver, Sender, TargetAddress, Timing};
use mctp_transport::{RawHeader, SendError, Transfer, TransferLayout, TransportTx};

/// Transactions that wait in a target: one is taken while the next one comes.
const ROOM: usize = 2;

/// Both halves of the transport at this address.
pub(crate) fn halves<'b>(
    bus: &SimulatedBus,
    address: TargetAddress,
    turnaround: Duration,
    buffer: &'b mut [u8; RECEIVE_BUFFER_LEN],
) -> (Receiver<'b, SimulatedTarget>, PacedSender) {
    let receiver = Receiver::new(bus.target(address, ROOM), address, buffer)
        .expect("the receive buffer is long enough for every packet");
    let config = Config::new(address).with_timing(Timing::new().without_fairness());
    let sender = PacedSender {
        sender: Sender::new(bus.controller(), bus.delay(), config),
        delay: bus.delay(),
        turnaround,
    };
    (receiver, sender)
}

/// A sender that waits before each message, and lets the other tasks run after each packet, as they
/// do on hardware while the packet is on the bus.
pub(crate) struct PacedSender {
    sender: Sender<SimulatedController, SimulatedDelay>,
    delay: SimulatedDelay,
    turnaround: Duration,
}

impl TransportTx for PacedSender {
    fn layout(&self) -> TransferLayout {
        self.sender.layout()
    }

    fn medium_specific(&self) -> u8 {
        self.sender.medium_specific()
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        let is_start = transfer.first_header().is_some_and(RawHeader::is_start);
        if is_start && !self.turnaround.is_zero() {
            let microseconds = self.turnaround.as_micros().try_into().unwrap_or(u32::MAX);
            self.delay.delay_us(microseconds).await;
        }
        let sent = self.sender.send(transfer).await;
        yield_now().await;
        sent
    }
}
