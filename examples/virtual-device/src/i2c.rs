//! The device on an I2C bus in software, until interrupted.
//!
//! Its stream carries a record for each write on the bus: two bytes that say how many follow, the
//! low byte first, then the address of the target, shifted left by one, and what is written to it.

use std::convert::Infallible;

use mctp_i2c::{Config, RECEIVE_BUFFER_LEN, Receiver, Sender, TargetAddress, Timing};
use reference_device::{ManagementLink, Observed, Observer, PORT};

use crate::connection::{Connection, Connector, Plug};
use crate::device::{self, DeviceRouter};
use crate::records::{RecordController, RecordTarget, TokioDelay, WireStatus};
use crate::settings::DeviceSettings;
use crate::wire::{ReceivingEnd, Streams, Wire};

/// Serves one connection after the other, for ever, as the target at `address`.
///
/// # Errors
///
/// When there can be no connection.
pub async fn run(
    settings: &DeviceSettings,
    connection: &Connection,
    address: TargetAddress,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let connector = Connector::open(connection, Plug::I2c).await?;
    settings.log_identity();
    run_on(settings, connector, address, observer).await
}

/// Serves one stream after the other.
///
/// # Errors
///
/// When there are no more streams.
pub(crate) async fn run_on(
    settings: &DeviceSettings,
    streams: impl Streams,
    address: TargetAddress,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let wire = Wire::default();
    let config = Config::new(address).with_timing(timing(settings));
    let link = async |router: &DeviceRouter<'_>, management_link: &ManagementLink| {
        let mut buffer = [0; RECEIVE_BUFFER_LEN];
        let target = RecordTarget::new(ReceivingEnd::new(streams, &wire), address);
        let receiver = Receiver::new(target, address, &mut buffer)?;
        let frequency = management_link.frequency();
        let controller = RecordController::new(&wire, frequency.now());
        let status = frequency.status(router, PORT, WireStatus(&wire));
        let sender = Sender::with_status(controller, TokioDelay, status, config);
        let mut receiver = Observed::new(receiver, observer);
        let mut sender = Observed::new(sender, observer);
        tokio::select! {
            never = router.run(PORT, &mut receiver, &mut sender) => match never {},
            error = wire.failure() => Err(error),
        }
    };
    device::run_with_link(settings, observer, link).await
}

/// No other device waits for the bus, so nothing has to be fair. It is busy while the other end
/// reads nothing, for which the router has its own limit.
fn timing(settings: &DeviceSettings) -> Timing {
    let mut timing = Timing::new().without_fairness();
    let limit = settings.send_timeout.as_micros();
    timing.bus_free_limit_us = limit.try_into().unwrap_or(u32::MAX);
    timing
}
