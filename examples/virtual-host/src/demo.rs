//! A device's answers, each of them checked, on one screen.
//!
//! The answer must be, byte for byte, what the specification demands of the device that is
//! [expected](Expectations), and so must the packets that it came in.

mod bench;
mod control;
mod echo;
mod exchange;
mod expectations;
mod expected;
mod firmware_update;
mod management;
mod namespace_life;
mod nvme_mi;
mod screen;
mod usb;

use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::guest::Guest;
use crate::requester;
use crate::transport::PacketLog;
use exchange::Exchanger;
pub use expectations::{ControllerModel, Expectations, FirmwareModel, SubsystemModel};
use management::Host;
use screen::Screen;

/// How long everybody may do nothing but wait, in all.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How the demo runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the firmware image that the host downloads to the device: a multiple of 4096.
    pub image_length: usize,
    /// About how many bytes the device sends at each message length of the benchmark.
    pub stream_length: usize,
    /// Whether a line of the screen can be written over, as on a terminal: then there is a
    /// progress bar.
    pub live: bool,
    /// Whether the screen has a line for every check. Otherwise it has some of them, and those that
    /// failed: it then fits 80 columns and 40 lines.
    pub verbose: bool,
    /// What to read after it all, above the last line.
    pub advice: String,
}

impl Default for Options {
    /// An image of 4 MiB, streams of 4 MB, a short screen.
    fn default() -> Self {
        Self {
            image_length: 4 << 20,
            stream_length: 4_000_000,
            live: false,
            verbose: false,
            advice: String::new(),
        }
    }
}

/// Asks the device at the other end of `bus`, which speaks usbredir, for everything; writes the
/// screen to `out`, and returns whether every check passed.
///
/// Must be called in a tokio `LocalSet`, whose runtime should be started with its clock paused if
/// the device is in this process: the clock then moves only while everybody waits, so that no time
/// limit depends on the machine.
///
/// # Errors
///
/// When it could not go on to the end.
pub async fn run(
    expectations: &Expectations,
    options: &Options,
    bus: impl AsyncRead + AsyncWrite + Unpin + 'static,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut screen = Screen::new(out, options.live, options.verbose);
    tokio::time::timeout(
        TIME_LIMIT,
        chapters(expectations, options, bus, &mut screen),
    )
    .await
    .context("the device did not answer in time")??;
    Ok(screen.finish(&options.advice)?)
}

async fn chapters(
    expectations: &Expectations,
    options: &Options,
    bus: impl AsyncRead + AsyncWrite + Unpin + 'static,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let version = expectations.usb;
    let start = Instant::now();
    screen.title(&format!(
        "An MCTP-over-USB {version} device and a host, on a USB bus inside this process"
    ))?;
    let guest = Guest::attach(bus).await.context("no device on the bus")?;
    let pipes = usb::show(&guest, expectations, screen).await?;
    let log = PacketLog::default();
    let unit = expectations.unit();
    requester::run(&guest, pipes, unit, &log, async |requester| {
        let exchanger = Exchanger {
            requester,
            log: &log,
            unit: Cell::new(unit),
        };
        control::show(&exchanger, expectations, screen).await?;
        echo::show(&exchanger, expectations, screen).await?;
        bench::show(&exchanger, options.stream_length, screen).await?;
        if management::is_possible(expectations, screen)? {
            let host = Host {
                exchanger: &exchanger,
                expectations,
            };
            host.show(screen).await?;
            host.show_update(options.image_length, screen).await?;
        }
        control::show_robustness(&exchanger, &guest, &pipes, screen).await
    })
    .await?;
    screen.took(start.elapsed());
    Ok(())
}
