//! Device and host in this process, and one screen that shows what they say to each other.
//!
//! Each line is a check: the answer must be, byte for byte, what the specification demands, and so
//! must the packets that it came in.

mod bench;
mod control;
mod echo;
mod exchange;
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

use anyhow::{Context, anyhow};
use reference_device::Observer;

use crate::device::{self, Cable};
use crate::host::guest::Guest;
use crate::host::requester;
use crate::host::transport::PacketLog;
use crate::settings::DeviceSettings;
use exchange::Exchanger;
use management::Host;
use screen::Screen;

/// Bytes that the in-process bus holds in each direction.
const BUS_BUFFER: usize = 64 * 1024;

/// How long everybody may do nothing but wait, in all.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How the demo runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the firmware image that the host downloads to the device: a multiple of 4096.
    pub image_length: usize,
    /// About how many bytes the device sends at each message length of the benchmark.
    pub stream_length: usize,
    /// Whether a line of the screen can be written over, as on a terminal: then there is a
    /// progress bar.
    pub live: bool,
}

impl Default for Options {
    /// An image of 4 MiB, streams of 4 MB.
    fn default() -> Self {
        Self {
            image_length: 4 << 20,
            stream_length: 4_000_000,
            live: false,
        }
    }
}

/// Runs the demo, writes the screen to `out`, and returns whether every check passed.
///
/// Must be called in a tokio `LocalSet`, whose runtime should be started with its clock paused: it
/// then moves only while everybody waits, so that no time limit depends on the machine.
///
/// # Errors
///
/// When it could not go on to the end.
pub async fn run(
    settings: &DeviceSettings,
    options: Options,
    observer: &impl Observer,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut screen = Screen::new(out, options.live);
    let demo = device::run(settings, observer, async |cable: Cable<'_>| {
        join(cable, settings, options, &mut screen).await
    });
    tokio::time::timeout(TIME_LIMIT, demo)
        .await
        .context("the device did not answer in time")??;
    Ok(screen.finish()?)
}

/// Puts a host at the other end of the device's cable. It expects the device to have these
/// settings.
async fn join(
    mut cable: Cable<'_>,
    expected: &DeviceSettings,
    options: Options,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let (device_end, host_end) = tokio::io::duplex(BUS_BUFFER);
    tokio::select! {
        ended = cable.plug_into(device_end) => {
            ended.context("the device let go of the bus")?;
            Err(anyhow!("the host let go of the bus"))
        }
        result = host(expected, options, host_end, screen) => result,
    }
}

async fn host(
    settings: &DeviceSettings,
    options: Options,
    bus: tokio::io::DuplexStream,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let version = settings.usb;
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
            unit: Cell::new(settings.unit()),
        };
        control::show(&exchanger, settings, screen).await?;
        echo::show(&exchanger, settings, screen).await?;
        bench::show(&exchanger, options.stream_length, screen).await?;
        if management::is_possible(settings, screen)? {
            let host = Host {
                exchanger: &exchanger,
                settings,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::DeviceModel;

    const SHORT: Options = Options {
        image_length: 8192,
        stream_length: 70_000,
        live: false,
    };

    /// The screen of a host that expects another device than there is, and whether it was content.
    fn screen_of_mismatch(device: &DeviceSettings, expected: &DeviceSettings) -> (String, bool) {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let demo = device::run(device, &(), async |cable: Cable<'_>| {
            join(cable, expected, SHORT, &mut screen).await
        });
        tokio::task::LocalSet::new()
            .block_on(&runtime, demo)
            .unwrap();
        let passed = screen.finish().unwrap();
        (String::from_utf8(out).unwrap(), passed)
    }

    /// The labels of the lines that are wrong.
    fn wrong_lines(text: &str) -> Vec<String> {
        let wrong = text.lines().filter_map(|line| line.strip_prefix("WRONG "));
        wrong
            .map(|line| line.chars().take(36).collect::<String>().trim_end().into())
            .collect()
    }

    #[test]
    fn another_uuid_than_expected_is_seen_in_all_places() {
        let expected = DeviceSettings::default();
        let device = DeviceSettings {
            uuid: uuid::uuid!("12345678-9abc-4def-8012-3456789abcde"),
            ..expected.clone()
        };
        let (text, passed) = screen_of_mismatch(&device, &expected);
        assert!(!passed);
        assert_eq!(
            wrong_lines(&text),
            ["strings", "Get Endpoint UUID", "Identify Controller"],
            "{text}"
        );
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
        let wrong = wrong_lines(&text);
        let echoes = ["61 bytes", "256 bytes", "4096 bytes", "4220 bytes"];
        assert_eq!(wrong[..4], echoes, "{text}");
        // From then on the transmission unit is what the host configured.
        assert_eq!(wrong.last().unwrap(), "slots before", "{text}");
    }

    #[test]
    fn an_answer_that_does_not_come_is_seen() {
        let expected = DeviceSettings::default();
        let device = DeviceSettings {
            max_message: 4100,
            ..expected.clone()
        };
        let (text, passed) = screen_of_mismatch(&device, &expected);
        assert!(!passed);
        assert_eq!(
            wrong_lines(&text),
            [
                "4220 bytes",
                "create, attach, detach, delete",
                "a damaged image",
                "Firmware Image Download"
            ],
            "{text}"
        );
    }

    /// The lines that are wrong when the host expects this model and gets the default one.
    fn wrong_with_model(change: impl Fn(&mut DeviceModel)) -> Vec<String> {
        let device = DeviceSettings::default();
        let mut expected = device.clone();
        change(&mut expected.model);
        let (text, passed) = screen_of_mismatch(&device, &expected);
        let wrong = wrong_lines(&text);
        assert_eq!(passed, wrong.is_empty(), "{text}");
        wrong
    }

    #[test]
    fn another_identity_than_expected_is_seen() {
        assert_eq!(wrong_with_model(|_| ()), [""; 0]);
        for change in [
            |model: &mut DeviceModel| model.serial_number = Some("another".into()),
            |model: &mut DeviceModel| model.model_number.push('2'),
            |model: &mut DeviceModel| model.qualified_name.push('2'),
            |model: &mut DeviceModel| model.room_for_namespaces = 8,
            |model: &mut DeviceModel| model.capacity += 1,
            |model: &mut DeviceModel| model.vendor.ieee_oui[2] ^= 1,
            |model: &mut DeviceModel| model.firmware.first_slot_read_only = false,
        ] {
            assert_eq!(wrong_with_model(change), ["Identify Controller"]);
        }
        let wrong = wrong_with_model(|model| model.vendor.pci_device ^= 1);
        assert_eq!(wrong, ["controller 0", "controller 1"]);
    }

    #[test]
    fn other_ports_controllers_and_namespaces_than_expected_are_seen() {
        let wrong = wrong_with_model(|model| model.ports[1].max_transmission_unit = 249);
        assert_eq!(wrong, ["port 1"]);
        let wrong = wrong_with_model(|model| model.controllers[1].config.address = None);
        assert_eq!(wrong, ["controller 1"]);
        let wrong = wrong_with_model(|model| model.controllers[1].namespaces.clear());
        assert_eq!(wrong, ["controller 1", "namespace 1"]);
        let wrong = wrong_with_model(|model| model.namespaces[1] += 1);
        assert_eq!(wrong, ["Identify Controller", "namespace 2"]);
        let wrong = wrong_with_model(|model| model.namespaces.truncate(1));
        assert_eq!(
            wrong,
            [
                "Identify Controller",
                "namespaces",
                "create, attach, detach, delete"
            ]
        );
    }

    #[test]
    fn another_health_than_expected_is_seen() {
        let all = [
            "subsystem health",
            "controller health",
            "SMART log",
            "create, attach, detach, delete",
            "subsystem health after the reset",
        ];
        let wrong = wrong_with_model(|model| model.health.temperature = 304);
        assert_eq!(wrong, all);
        let wrong = wrong_with_model(|model| model.health.critical_warning = 4);
        assert_eq!(wrong, all);
        let wrong = wrong_with_model(|model| model.health.available_spare = 99);
        assert_eq!(wrong, all[1..3]);
        let wrong = wrong_with_model(|model| model.health.sensors[7] = 1);
        assert_eq!(wrong, ["SMART log"]);
    }

    #[test]
    fn other_firmware_than_expected_is_seen() {
        let wrong = wrong_with_model(|model| model.firmware.slots[1] = None);
        assert_eq!(wrong, ["slots before", "a damaged image"]);
        let wrong = wrong_with_model(|model| model.firmware.slots[0] = Some(*b"REF00009"));
        assert_eq!(
            wrong,
            [
                "Identify Controller",
                "slots before",
                "a damaged image",
                "slots after the commit",
                "slots after the reset",
            ]
        );
    }
}
