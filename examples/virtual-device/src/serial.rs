//! The device on a serial line, until interrupted.

use std::convert::Infallible;

use mctp_serial::framing::MAX_PACKET;
use mctp_serial::{Line, Receiver, Resync, Sender};
use reference_device::{ManagementLink, Observed, Observer, PORT};

use crate::connection::{Connection, Connector, Plug};
use crate::device::{self, DeviceRouter};
use crate::settings::DeviceSettings;
use crate::wire::{ReceivingEnd, SendingEnd, Streams, Wire};

/// Serves one connection after the other, for ever.
///
/// # Errors
///
/// When there can be no connection.
pub async fn run(
    settings: &DeviceSettings,
    connection: &Connection,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let connector = Connector::open(connection, Plug::Serial).await?;
    settings.log_identity();
    // What comes on a serial port while nobody reads is lost there, sooner or later.
    let has_flow_control = !matches!(connection, Connection::Tty { .. });
    run_on(settings, connector, has_flow_control, observer).await
}

/// Serves one stream after the other. With flow control, what is sent while nobody reads waits.
///
/// # Errors
///
/// When there are no more streams.
pub(crate) async fn run_on(
    settings: &DeviceSettings,
    streams: impl Streams,
    has_flow_control: bool,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let wire = Wire::default();
    let link = async |router: &DeviceRouter<'_>, _: &ManagementLink| {
        let resync = Resync::new();
        let mut buffer = [0; MAX_PACKET];
        let line = ReceivingEnd::new(streams, &wire);
        let receiver = Receiver::on_line(line, &resync, &mut buffer)?;
        let receiver = match has_flow_control {
            true => receiver.with_flow_control(),
            false => receiver,
        };
        // The router keeps to the transmission unit that is set.
        let sender = Sender::new(SendingEnd(&wire), &resync).with_max_packet(u8::MAX);
        let mut receiver = Observed::new(receiver, observer);
        let mut sender = Observed::new(sender, observer);
        tokio::select! {
            never = router.run(PORT, &mut receiver, &mut sender) => match never {},
            error = wire.failure() => Err(error),
        }
    };
    device::run_with_link(settings, observer, link).await
}

impl<S: Streams> Line for ReceivingEnd<'_, S> {
    async fn wait_connected(&mut self) {
        self.connected().await;
    }
}
