//! Device and host in this process, and one screen that shows what they say to each other.
//!
//! Each line is a check: the answer must be, byte for byte, what the specification demands, and so must the packets that it came in.

mod control;
mod echo;
mod exchange;
mod screen;
mod usb;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use mctp_usb::Version;
use reference_device::Observer;

use crate::cli::DeviceSettings;
use crate::device::{self, Cable};
use crate::host::guest::Guest;
use crate::host::requester;
use crate::host::transport::PacketLog;
use exchange::Exchanger;
use screen::Screen;

/// Bytes that the in-process bus holds in each direction.
const BUS_BUFFER: usize = 64 * 1024;

/// More than the whole takes on a slow machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs the demo, writes the screen to `out`, and returns whether every check passed.
///
/// Must be called in a tokio `LocalSet`.
///
/// # Errors
///
/// When it could not go on to the end.
pub async fn run(
    settings: &DeviceSettings,
    observer: &impl Observer,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut screen = Screen::new(out);
    let demo = device::run(settings, observer, async |mut cable: Cable<'_>| {
        let (device_end, host_end) = tokio::io::duplex(BUS_BUFFER);
        tokio::select! {
            ended = cable.plug_into(device_end) => {
                ended.context("the device let go of the bus")?;
                Err(anyhow!("the host let go of the bus"))
            }
            result = host(settings, host_end, &mut screen) => result,
        }
    });
    tokio::time::timeout(TIME_LIMIT, demo)
        .await
        .context("the device did not answer in time")??;
    Ok(screen.finish()?)
}

async fn host(
    settings: &DeviceSettings,
    bus: tokio::io::DuplexStream,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let version = match settings.usb {
        Version::V1_0 => "1.0",
        Version::V1_1 => "1.1",
    };
    let start = Instant::now();
    screen.title(&format!(
        "An MCTP-over-USB {version} device and a host, on a USB bus inside this process"
    ))?;
    let guest = Guest::attach(bus).await.context("no device on the bus")?;
    let pipes = usb::show(&guest, settings, screen).await?;
    let log = PacketLog::default();
    requester::run(&guest, pipes, settings.unit(), &log, async |requester| {
        let exchanger = Exchanger {
            requester,
            log: &log,
            unit: settings.unit(),
        };
        control::show(&exchanger, settings, screen).await?;
        echo::show(&exchanger, settings, screen).await?;
        control::show_robustness(&exchanger, &guest, &pipes, screen).await
    })
    .await?;
    screen.took(start.elapsed());
    Ok(())
}
