//! The device on a serial line, until interrupted.

use std::convert::Infallible;

use mctp_serial::framing::MAX_PACKET;
use mctp_serial::{Line, Receiver, Resync, Sender};
use reference_device::{ManagementLink, Observed, Observer, PORT};

use crate::connection::{Connection, Connector, Plug};
use crate::device::{self, DeviceRouter};
use crate::settings::DeviceSettings;
use crate::wire::{ReceivingEnd, SendingEnd, Wire};

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
    let wire = Wire::default();
    let connector = Connector::open(connection, Plug::Serial).await?;
    settings.log_identity();
    let link = async |router: &DeviceRouter<'_>, _: &ManagementLink| {
        let resync = Resync::new();
        let mut buffer = [0; MAX_PACKET];
        let line = ReceivingEnd::new(connector, &wire);
        let receiver = Receiver::on_line(line, &resync, &mut buffer)?;
        let receiver = match connection {
            // What comes while nobody reads is lost there, sooner or later.
            Connection::Tty { .. } => receiver,
            _ => receiver.with_flow_control(),
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

impl Line for ReceivingEnd<'_> {
    async fn wait_connected(&mut self) {
        self.connected().await;
    }
}
