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
    let demo = device::run(settings, observer, async |cable: Cable<'_>| {
        join(cable, settings, &mut screen).await
    });
    tokio::time::timeout(TIME_LIMIT, demo)
        .await
        .context("the device did not answer in time")??;
    Ok(screen.finish()?)
}

/// Puts a host at the other end of the device's cable. It expects the device to have these settings.
async fn join(
    mut cable: Cable<'_>,
    expected: &DeviceSettings,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let (device_end, host_end) = tokio::io::duplex(BUS_BUFFER);
    tokio::select! {
        ended = cable.plug_into(device_end) => {
            ended.context("the device let go of the bus")?;
            Err(anyhow!("the host let go of the bus"))
        }
        result = host(expected, host_end, screen) => result,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The screen of a host that expects another device than there is, and whether it was content.
    fn screen_of_mismatch(device: &DeviceSettings, expected: &DeviceSettings) -> (String, bool) {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let demo = device::run(device, &(), async |cable: Cable<'_>| {
            join(cable, expected, &mut screen).await
        });
        tokio::task::LocalSet::new()
            .block_on(&runtime, demo)
            .unwrap();
        let passed = screen.finish().unwrap();
        (String::from_utf8(out).unwrap(), passed)
    }

    fn wrong_lines(text: &str) -> usize {
        text.lines()
            .filter(|line| line.starts_with("WRONG"))
            .count()
    }

    #[test]
    fn another_uuid_than_expected_is_seen_in_both_places() {
        let expected = DeviceSettings::default();
        let device = DeviceSettings {
            uuid: uuid::uuid!("12345678-9abc-4def-8012-3456789abcde"),
            ..expected.clone()
        };
        let (text, passed) = screen_of_mismatch(&device, &expected);
        assert!(!passed);
        assert_eq!(wrong_lines(&text), 2, "serial number and UUID:\n{text}");
    }

    #[test]
    fn packets_of_another_length_than_expected_are_seen() {
        let expected = DeviceSettings::default();
        let device = DeviceSettings {
            mtu: 100,
            ..expected.clone()
        };
        let (text, passed) = screen_of_mismatch(&device, &expected);
        assert!(!passed);
        assert_eq!(
            wrong_lines(&text),
            4,
            "every echo of several packets:\n{text}"
        );
    }

    #[test]
    fn an_echo_that_does_not_come_is_seen() {
        let expected = DeviceSettings::default();
        let device = DeviceSettings {
            max_message: 4100,
            ..expected.clone()
        };
        let (text, passed) = screen_of_mismatch(&device, &expected);
        assert!(!passed);
        assert_eq!(wrong_lines(&text), 1, "the longest echo:\n{text}");
    }
}
