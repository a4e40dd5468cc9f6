//! The device on a QEMU guest's bus, until interrupted.

use std::convert::Infallible;

use reference_device::Observer;

use crate::connection::{Connection, Connector, Plug};
use crate::device;
use crate::logger;
use crate::settings::DeviceSettings;

/// Serves one connection after the other, for ever. With `serial_log`, the device has a serial port
/// that shows the program's log.
///
/// # Errors
///
/// When there can be no connection.
pub async fn run(
    settings: &DeviceSettings,
    connection: &Connection,
    serial_log: bool,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let mut connector = Connector::open(connection, Plug::Usbredir).await?;
    let log = serial_log.then(logger::reader);
    device::run_with_log(
        settings,
        observer,
        log,
        async |mut cable: device::Cable<'_>| {
            loop {
                let stream = connector.next().await?;
                log::info!("connected");
                match cable.plug_into(stream).await {
                    Err(remote_usb_device::Error::Protocol) => {
                        log::warn!("disconnected: the peer does not speak the usbredir protocol");
                    }
                    // However a stream fails, the other end is gone: a pseudo terminal knows no
                    // other end.
                    ended => {
                        log::debug!("{ended:?}");
                        log::info!("disconnected");
                    }
                }
            }
        },
    )
    .await
}
