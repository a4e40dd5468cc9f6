//! The device for a Linux whose kernel has `vhci-hcd`, by USB/IP, until interrupted.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context;
use embassy_futures::join::join_array;
use embedded_io_adapters::tokio_1::FromTokio;
use reference_device::Observer;
use remote_usb_device::usbip::BUS_ID;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::connection;
use crate::device::{self, Cable, UsbipOperations};
use crate::logger;
use crate::settings::DeviceSettings;

#[cfg(target_os = "linux")]
mod vhci;
#[cfg(target_os = "linux")]
pub use vhci::attach;

/// How many clients are served at once. One of them can have the device.
const CLIENTS: usize = 8;
/// How long a client may take to say what it wants.
const OPERATION_TIME: Duration = Duration::from_secs(5);
/// The time between attempts to accept a client, after one has failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Serves `usbip list` and `usbip attach` at this TCP address, for ever. With `serial_log`, the
/// device has a serial port that shows the program's log.
///
/// # Errors
///
/// When it is not possible to listen there.
pub async fn listen(
    settings: &DeviceSettings,
    host: &str,
    port: u16,
    serial_log: bool,
    observer: &impl Observer,
) -> anyhow::Result<Infallible> {
    let listener = TcpListener::bind((host, port))
        .await
        .with_context(|| format!("cannot listen on tcp:{host}:{port}"))?;
    let address = listener.local_addr()?;
    log::info!(
        "listening on tcp:{address}; on a Linux with vhci-hcd: usbip --tcp-port {} attach -r {} -b {BUS_ID}",
        address.port(),
        address.ip()
    );
    settings.log_identity();
    let log = serial_log.then(logger::reader);
    device::run_with_log(settings, observer, log, async |cable: Cable<'_>| {
        let operations = cable.usbip_operations();
        let cable = Mutex::new(cable);
        let [never, ..] =
            join_array([(); CLIENTS].map(|()| serve(&listener, operations, &cable))).await;
        never
    })
    .await
}

/// Serves one client after the other.
async fn serve(
    listener: &TcpListener,
    operations: UsbipOperations<'_>,
    cable: &Mutex<Cable<'_>>,
) -> anyhow::Result<Infallible> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => serve_client(stream, operations, cable).await,
            // Out of descriptors, say, which may change.
            Err(error) => {
                log::warn!("cannot accept a client: {error}");
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

async fn serve_client(
    mut stream: TcpStream,
    operations: UsbipOperations<'_>,
    cable: &Mutex<Cable<'_>>,
) {
    if let Err(error) = connection::prepare(&stream) {
        log::debug!("{error}");
    }
    let (mut read, mut write) = stream.split();
    let operation = operations.serve(FromTokio::new(&mut read), FromTokio::new(&mut write));
    match tokio::time::timeout(OPERATION_TIME, operation).await {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(_import))) => {
            log::info!("attached");
            let ended = cable.lock().await.plug_into_usbip(read, write).await;
            log_end(ended);
        }
        Ok(Err(remote_usb_device::Error::Protocol)) => {
            log::warn!("a client does not speak USB/IP");
        }
        Ok(Err(error)) => log::debug!("{error}"),
        Err(_) => log::warn!(
            "a client said nothing for {} s and was sent away",
            OPERATION_TIME.as_secs()
        ),
    }
}

fn log_end(ended: Result<(), remote_usb_device::Error>) {
    match ended {
        Err(remote_usb_device::Error::Protocol) => {
            log::warn!("detached: the host does not speak USB/IP");
        }
        // However a stream fails, the other end is gone.
        ended => {
            log::debug!("{ended:?}");
            log::info!("detached");
        }
    }
}

/// There is no such kernel.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub async fn attach(_: DeviceSettings, _: bool, _: bool, _: &impl Observer) -> anyhow::Result<()> {
    anyhow::bail!("--attach needs Linux; use --listen here, and attach from a Linux machine")
}
