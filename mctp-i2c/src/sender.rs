//! The send half: a controller.

use embassy_futures::select::{Either, select};
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{Error, ErrorKind, I2c};
use mctp_transport::{SendError, Transfer, TransferLayout, TransportTx};

use crate::framing::{self, HEADER_LEN, MAX_PACKET, MAX_TRANSACTION, TRAILER_LEN};
use crate::{BusFrequency, BusStatus, Config, Role, TargetAddress, Unknown};

/// One packet in each transfer, as every packet is a transaction of its own.
const LAYOUT: TransferLayout =
    TransferLayout::new(HEADER_LEN as u8, MAX_PACKET as u16, MAX_TRANSACTION as u16)
        .with_tailroom(TRAILER_LEN as u8);

/// For how long transactions wait in vain before a bus owner clears the bus (DSP0237, section 6.18,
/// Table 8, PT3: 2 to 5 s).
const STUCK_BUS_US: u32 = 2_000_000;

/// Sends MCTP packets to targets, each as one write of an I2C controller.
///
/// | what happens to a transaction | what the sender does |
/// |-|-|
/// | all bytes are acknowledged | done, and fair: it leaves the bus idle for a while |
/// | arbitration is lost | begins again at once, which is its right |
/// | address or a byte is not acknowledged | begins again after the fair idle time, and a pause if set |
/// | any other error of the controller | the same |
/// | takes longer than the time limit | gives up at once: the bus hangs |
/// | the bus is [not connected](BusStatus::is_connected) | [`SendError::LinkDown`] at once |
///
/// [`Timing`](crate::Timing) has the number of retries, of whatever kind, and the limits. The fair
/// idle time is that of the [`BusFrequency`] which the [status](BusStatus::bus_frequency) tells
/// before the transaction.
///
/// Whoever sent the packet is told by [`SendError::NotAccepted`] when the retries are used up,
/// within [`send_limit_us`](crate::Timing::send_limit_us). A packet that the target may have taken
/// all the same is sent again as it is: its receiver sees the same packet sequence number twice.
///
/// # What the controller has to do
///
/// - `write` waits until the bus is free, and begins within the start window if it was busy
///   (DSP0237, section 6.17).
/// - It ends with a STOP, also when a byte was not acknowledged.
/// - It runs at the frequency of [`BusStatus::bus_frequency`].
/// - Its error kind tells lost arbitration ([`ErrorKind::ArbitrationLoss`]) from the rest. A
///   controller that cannot tell is good enough: the sender then waits without need.
/// - Its future may be dropped: that is how the time limit works. The controller then lets go of
///   the bus, and its next write is good. A controller that hangs within `poll` can't be helped.
/// - The peripheral still answers to the device's own address while it sends: see
///   [`Target`](crate::Target) on arbitration.
#[derive(Debug)]
pub struct Sender<I, D, S = Unknown> {
    controller: I,
    delay: D,
    status: S,
    config: Config,
    /// The device was the last one on the bus, as far as it knows.
    owes_fair_idle: bool,
    /// For how long transactions have waited in vain, one after the other.
    stuck_us: u32,
}

/// Why a transaction did not come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    ArbitrationLost,
    NotAcknowledged,
    TooLong,
}

impl<I: I2c, D: DelayNs> Sender<I, D> {
    /// Sends by `controller`, and keeps time by `delay`.
    pub const fn new(controller: I, delay: D, config: Config) -> Self {
        Self::with_status(controller, delay, Unknown, config)
    }
}

impl<I: I2c, D: DelayNs, S: BusStatus> Sender<I, D, S> {
    /// As [`new`](Sender::new), on a bus of which the firmware knows more.
    pub const fn with_status(controller: I, delay: D, status: S, config: Config) -> Self {
        Self {
            controller,
            delay,
            status,
            config,
            owes_fair_idle: false,
            stuck_us: 0,
        }
    }

    /// Sends one transaction, again and again if need be.
    async fn transact(
        &mut self,
        destination: TargetAddress,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        for _ in 0..=self.config.timing.retries {
            let frequency = self.status.bus_frequency();
            self.fair_idle(frequency).await;
            if !self.status.is_connected() {
                return Err(SendError::LinkDown);
            }
            match self.attempt(destination, bytes).await {
                Ok(()) => {
                    // Now rather than before the next packet, which then need not wait.
                    self.fair_idle(frequency).await;
                    return Ok(());
                }
                Err(Failure::ArbitrationLost) => {}
                Err(Failure::NotAcknowledged) => self.retry_pause().await,
                Err(Failure::TooLong) => break,
            }
        }
        match self.status.is_connected() {
            true => Err(SendError::NotAccepted),
            false => Err(SendError::LinkDown),
        }
    }

    /// One transaction; `bytes` begin with the destination byte, which the controller makes itself.
    async fn attempt(&mut self, destination: TargetAddress, bytes: &[u8]) -> Result<(), Failure> {
        // So it is, too, when the future is dropped.
        self.owes_fair_idle = true;
        let limit = self.config.timing.transaction_limit_us(bytes.len());
        let behind = bytes.get(1..).unwrap_or_default();
        let write = self.controller.write(destination.as_byte(), behind);
        let written = select(write, self.delay.delay_us(limit)).await;
        let Either::First(written) = written else {
            self.waited_in_vain(limit).await;
            return Err(Failure::TooLong);
        };
        self.stuck_us = 0;
        written.map_err(|error| match error.kind() {
            ErrorKind::ArbitrationLoss => {
                self.owes_fair_idle = false;
                Failure::ArbitrationLost
            }
            _ => Failure::NotAcknowledged,
        })
    }

    /// Waits until others had their chance, if the device was the last one on the bus.
    async fn fair_idle(&mut self, frequency: BusFrequency) {
        let timing = self.config.timing;
        if !timing.is_fair || !self.owes_fair_idle {
            return;
        }
        let window = frequency.idle_window_us();
        let windows = timing.bus_free_limit_us.checked_div(window);
        for _ in 0..=windows.unwrap_or(0) {
            self.delay.delay_us(window).await;
            if !self.status.is_busy() {
                break;
            }
        }
        self.delay.delay_us(frequency.idle_delay_us()).await;
        self.owes_fair_idle = false;
    }

    /// The bus did not become free, or a target held it, for `waited` microseconds.
    async fn waited_in_vain(&mut self, waited: u32) {
        self.stuck_us = self.stuck_us.saturating_add(waited);
        if self.config.role == Role::BusOwner && self.stuck_us >= STUCK_BUS_US {
            self.stuck_us = 0;
            let limit = self.config.timing.transaction_limit_us(MAX_TRANSACTION);
            select(self.status.clear_stuck_bus(), self.delay.delay_us(limit)).await;
        }
    }

    async fn retry_pause(&mut self) {
        let pause = self.config.timing.retry_pause_us;
        if pause > 0 {
            self.delay.delay_us(pause).await;
        }
    }
}

impl<I: I2c, D: DelayNs, S: BusStatus> TransportTx for Sender<I, D, S> {
    fn layout(&self) -> TransferLayout {
        LAYOUT
    }

    /// Bit 0: the device is fair (DSP0237, section 6.9, Table 4).
    fn medium_specific(&self) -> u8 {
        u8::from(self.config.timing.is_fair)
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        let destination = TargetAddress::try_from(transfer.destination());
        let (Ok(destination), true) = (destination, is_sent(transfer.layout())) else {
            return Err(SendError::NotAccepted);
        };
        let source = self.config.address;
        let mut is_complete = true;
        while let Some(bytes) = transfer.next_bus_transfer(|frame| {
            is_complete = framing::complete(destination, source, frame).is_ok();
        }) && is_complete
        {
            self.transact(destination, bytes).await?;
        }
        match is_complete {
            true => Ok(()),
            false => Err(SendError::NotAccepted),
        }
    }
}

/// Whether transfers of this layout can be sent.
fn is_sent(layout: TransferLayout) -> bool {
    (layout.headroom, layout.tailroom, layout.packs) == (LAYOUT.headroom, LAYOUT.tailroom, false)
        && layout.max_packet <= LAYOUT.max_packet
}
