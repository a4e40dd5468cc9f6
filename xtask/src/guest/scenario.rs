//! What is run in a guest: the device, the computer, and the commands of each step.

use std::fmt;

pub(super) use super::computer::Computer;
use super::fullness::Stream;
use super::management;
use super::nvme_cli::{self, Release};
use super::page;
pub(super) use super::parts::{Board, Controller, End, Linux, Listener, Wire};
use super::plans::Step;
use super::sockets;
use super::usbip;
use crate::emulate;

/// One boot, or several.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) board: Board,
    /// The guest's.
    pub(super) computer: Computer,
    pub(super) linux: Linux,
    pub(super) wire: Wire,
    pub(super) listener: Listener,
    /// `--usb` of the device.
    pub(super) usb: &'static str,
    /// `--speed` of the device.
    pub(super) speed: &'static str,
    /// MTU of the guest's interface, and of the device sooner or later: the largest packet with
    /// its 4-byte MCTP header.
    pub(super) mtu: u32,
    /// How often a guest boots with the same device. One that listens meets a new computer each
    /// time, one that connects a computer that reboots.
    pub(super) boots: u32,
    /// Whether the guest sends only what tshark can decode; if not, only the device's own packets
    /// are judged.
    pub(super) well_formed: bool,
    /// `--message-buffers` of `virtual-device`.
    pub(super) message_buffers: u8,
    /// Of a guest on x86.
    pub(super) processors: u8,
    /// Which nvme-cli the guest has.
    pub(super) nvme_cli: Option<Release>,
    /// Whose `usbip` attaches the device to the guest, if the device does not do so itself.
    pub(super) usbip_tool: Option<Release>,
    /// Whether the device has a serial port that shows its log.
    pub(super) serial_log: bool,
    /// What the device manages, if it is not the default: a file beside the default model.
    pub(super) model: Option<&'static str>,
    /// How the device ends, if its plan has that.
    pub(super) end: Option<End>,
    pub(super) steps: &'static [Step],
}

/// Where the device is in a guest that has it as a program.
pub(super) const DEVICE: &str = "device/virtual-device";
/// Where the services are in a guest that has them as a program.
pub(super) const SERVICE: &str = "bin/linux-service";
/// The device's endpoint ID.
const ENDPOINT: u8 = 9;
/// The one that makes the emulated board end, if it is asked to.
const ENDING_ENDPOINT: u8 = 253;
/// Bytes of a packet's header.
const PACKET_HEADER: u16 = 4;

impl Scenario {
    /// What the emulated board runs, if it is the device.
    pub(super) fn firmware(&self) -> Option<&'static str> {
        match (self.board, self.wire) {
            (Board::Pc, _) => None,
            (Board::An500, Wire::Serial) => Some(emulate::SERIAL_FIRMWARE),
            (Board::An500, _) => Some(emulate::FIRMWARE),
        }
    }

    /// `--mtu` of the device.
    pub(super) fn device_mtu(&self) -> u32 {
        if self.sets_unit() { 68 } else { self.mtu }
    }

    /// Whether it is the Configuration Set of a larger transmission unit that has to have an effect:
    /// where nvme-cli runs, and on the bus for which NVMe-MI has it.
    pub(super) fn sets_unit(&self) -> bool {
        self.nvme_cli.is_some() || self.wire == Wire::I2c
    }

    /// Whether each transmission unit that the plan sets, and the first one, has to show in packets.
    /// nvme-cli's chapters have resets, which set it back.
    pub(super) fn has_units(&self) -> bool {
        self.wire == Wire::I2c && self.nvme_cli.is_none()
    }

    /// The transmission unit that the device begins with.
    pub(super) fn device_unit(&self) -> u16 {
        self.device_mtu() as u16 - PACKET_HEADER
    }

    /// The transmission units that the plan sets.
    pub(super) fn units(&self) -> Vec<u16> {
        let of_step = |step: &Step| match step {
            Step::Management => Some(self.mtu),
            Step::SetUnit(mtu) => Some(*mtu),
            _ => None,
        };
        let units = self.steps.iter().filter_map(of_step);
        units.map(|mtu| mtu as u16 - PACKET_HEADER).collect()
    }

    /// What the device logs: with a serial port every packet, so that a reader who is slow misses
    /// some; where drops are counted, these.
    pub(super) fn log_level(&self) -> &'static str {
        if self.serial_log {
            "trace"
        } else if self.asks_at_once() || self.steps.contains(&Step::BadPacketErrorCode) {
            "debug"
        } else {
            "info"
        }
    }

    /// Whether there are [`Step::EchoesAtOnce`].
    pub(super) fn asks_at_once(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step, Step::EchoesAtOnce(_)))
    }

    /// Whether there is [`Step::NvmeCli`].
    pub(super) fn runs_nvme_cli(&self) -> bool {
        self.steps.contains(&Step::NvmeCli)
    }

    /// Whether there is [`Step::Page`].
    pub(super) fn runs_page(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Page))
    }

    /// Whether there is [`Step::Service`].
    pub(super) fn has_service(&self) -> bool {
        self.steps.contains(&Step::Service)
    }

    /// How many messages of several packets the device takes at once.
    pub(super) fn messages_at_once(&self) -> usize {
        self.message_buffers.into()
    }

    /// How many computers the device meets, and how often each of them boots.
    pub(super) fn computers_and_boots_of_each(&self) -> (u32, u32) {
        match self.listener {
            Listener::Device => (self.boots, 1),
            Listener::Qemu => (1, self.boots),
        }
    }

    /// The streams whose transfers have to be full. The emulated board's USB link goes before its
    /// services, so that a packet may leave before the next one is there. In a guest that has the
    /// device as a program nobody sees the transfers.
    pub(super) fn full_streams(&self) -> Vec<Stream> {
        if self.board == Board::An500 || self.wire == Wire::Usbip {
            return Vec::new();
        }
        let of_step = |step: &Step| match *step {
            Step::Bench(streams) => streams,
            _ => &[],
        };
        let streams = self.steps.iter().flat_map(of_step);
        streams
            .map(|&(length, count)| Stream { length, count })
            .collect()
    }

    /// The longest USB transfer: in 1.1 it is the device's own limit.
    pub(super) fn max_transfer(&self) -> usize {
        if self.usb == "1.0" { 512 } else { 8191 }
    }

    /// The text that `guest-tests guest-init` runs, one command a line.
    pub(super) fn plan(&self) -> String {
        let mut lines: Vec<_> = self
            .steps
            .iter()
            .flat_map(|step| self.commands(*step))
            .collect();
        if self.wire == Wire::Usbip {
            lines.push("check-usbip".into());
        }
        if self.wire == Wire::Usbip && self.serial_log {
            lines.push("check-log-balance".into());
        }
        lines.join("\n")
    }

    /// What both programs call the interface, or on a bus the device's place there.
    fn interface(&self) -> String {
        match self.wire {
            Wire::Usb(_) | Wire::Usbip => "usb".into(),
            Wire::Serial => "mctpserial0".into(),
            Wire::I2c => format!("{}/1d", self.computer.i2c_interface()),
        }
    }

    fn commands(&self, step: Step) -> Vec<String> {
        let echo = |sizes: &str| format!("linux-requester echo {ENDPOINT} --sizes {sizes}");
        // One try: no request may be lost, least of all the first one after garbage. An emulated
        // machine on a busy host is slow at times, so that the try is longer than the four
        // of mctpd together.
        let control = |rest: &str| format!("linux-requester control {rest} --tries 1 --wait 3000");
        let interface = self.interface();
        // It logs its counters when its endpoint ID is set, which this forces (DSP0236 1.3.3, section
        // 12.4) even where it would be a retransmission.
        let log_drops = control(&format!(
            "physical:{interface} 01 01{ENDPOINT:02x} --expect 00"
        ));
        let dropped = |count, reason| format!("expect-log dropped so far: {count} for {reason}");
        match step {
            Step::Bind if self.wire == Wire::Usbip => match self.tool_folder() {
                Some(folder) => vec![self.listen_usbip(), format!("check-usbip-tool /{folder}")],
                None => vec![self.attach_usbip()],
            },
            Step::Bind => vec!["linux-requester wait-interface --timeout 30".into()],
            Step::Control => vec![
                format!(
                    "linux-requester setup {interface} --eid {ENDPOINT} --mtu {} --tries 1 --wait 3000",
                    self.mtu
                ),
                control(&format!(
                    "physical:{interface} 01 00{ENDPOINT:02x} --expect 00"
                )),
                control(&format!("{ENDPOINT} 01 00ff --expect 02")),
                control(&format!("{ENDPOINT} 04 ff --expect 00")),
                control(&format!("{ENDPOINT} 04 00 --expect 00")),
                control(&format!("{ENDPOINT} 04 55 --expect 80")),
                control(&format!("{ENDPOINT} 06 fe --expect 02")),
                control(&format!("{ENDPOINT} 15 --expect 05")),
            ],
            Step::ShortEcho => vec![echo("0-130"), echo("490-520"), echo("1100-1100")],
            Step::AllEchoes => vec![echo("0-1100"), echo("4095-4097"), echo("65000-65000")],
            Step::SlowEchoes => vec![echo("0-300"), echo("490-520"), echo("4095-4097")],
            Step::EchoesAtOnce(mtu) => {
                // Where nothing is captured, there is a buffer for each that Linux has a tag for.
                let may_lose = match self.wire {
                    Wire::Usbip => "",
                    _ => " --may-lose",
                };
                vec![
                    format!(
                        "linux-requester setup {interface} --eid {ENDPOINT} --mtu {mtu} --tries 1 --wait 3000"
                    ),
                    set_unit(mtu),
                    format!(
                        "linux-requester echo {ENDPOINT} --size 3000 --at-once 12 --count 20{may_lose}"
                    ),
                ]
            }
            Step::LogDrops => vec![log_drops],
            Step::BusEchoes => [1, 60, 249, 250, 1000, 4096]
                .map(|size| format!("linux-requester echo {ENDPOINT} --size {size}"))
                .into(),
            Step::SetUnit(mtu) => set_and_read_unit(mtu).into(),
            Step::Attach => {
                let kind = match self.wire {
                    Wire::I2c => "i2c",
                    _ => "serial",
                };
                vec![format!("attach-{kind} {}", self.computer.device_port())]
            }
            Step::ReopenBus => vec![format!("reopen-i2c {interface} {ENDPOINT}")],
            Step::TearBus => vec!["tear-i2c".into()],
            // Of five packets the second; the device has no use for the three behind it.
            Step::BadPacketErrorCode => vec![
                "damage-pec".into(),
                format!("linux-requester echo {ENDPOINT} --size 1000 --silent --wait 1500"),
                format!("linux-requester echo {ENDPOINT} --size 1000"),
                log_drops,
                dropped(1, "bad link framing, length or checksum"),
                dropped(1, "packet out of sequence"),
                dropped(2, "middle or end packet without a start"),
            ],
            Step::Firmware => vec![format!("firmware {ENDPOINT}")],
            Step::Join => vec![format!("join-i2c {}", self.computer.device_port())],
            Step::Page => vec![page::RUN.into()],
            Step::Garble(fault) => vec![format!("disturb {interface} {ENDPOINT} garble {fault}")],
            Step::ReplaceDevice => vec![format!("disturb {interface} {ENDPOINT} restart-device")],
            Step::FailedSetup => vec![format!("failed-setup {interface}")],
            Step::CycleLink => vec![format!("cycle-link {interface} {ENDPOINT} --count 10")],
            Step::Reset => vec![format!("reset-usb {interface}")],
            Step::RestartDevice if self.wire == Wire::Usbip => match self.tool_folder() {
                Some(folder) => vec![
                    "detach-usbip".into(),
                    self.listen_usbip(),
                    format!("attach-by-tool /{folder}"),
                ],
                None => vec!["detach-usbip".into(), self.attach_usbip()],
            },
            Step::Reattach(times) => {
                let (command, with) = match self.tool_folder() {
                    Some(folder) => ("cycle-by-tool", format!("/{folder}")),
                    None => ("cycle-usbip", self.device_that_attaches_itself()),
                };
                vec![format!(
                    "{command} {ENDPOINT} --mtu {} --count {times} {with}",
                    self.mtu
                )]
            }
            Step::CycleLinkUnderLoad(times) => vec![format!(
                "cycle-link-under-load {interface} {ENDPOINT} --count {times}"
            )],
            Step::TwoDevices => vec![format!(
                "two-devices --mtu {} {}",
                self.mtu,
                self.device_that_attaches_itself()
            )],
            Step::RestartDevice => vec!["ask-host restart-device".into()],
            Step::End => vec![
                control(&format!(
                    "physical:{interface} 01 00{ENDING_ENDPOINT:02x} --expect 00"
                )),
                "ask-host await-end".into(),
            ],
            Step::Inject => (1..=3)
                .map(|seed| format!("inject {interface} --seed {seed}"))
                .collect(),
            Step::Management => self.management_commands(),
            Step::NvmeCli => self.nvme_cli_commands(),
            Step::LeaveBehind => [set_unit(self.mtu)]
                .into_iter()
                .chain(self.nvme_cli_chapter("before-link-loss"))
                .collect(),
            Step::Replug => Vec::from_iter(self.nvme_cli_chapter("replugged")),
            Step::FindDefaults => Vec::from_iter(self.nvme_cli_chapter("after-link-loss")),
            Step::SlowFirmware => [set_unit(self.mtu)]
                .into_iter()
                .chain(self.nvme_cli_chapter("slow-firmware"))
                .collect(),
            Step::Bench(streams) => streams
                .iter()
                .map(|(length, count)| {
                    format!("linux-requester bench {ENDPOINT} --length {length} --count {count}")
                })
                .collect(),
            Step::BenchStopped(stops) => stops
                .iter()
                .map(|(length, stop)| {
                    format!("bench-stopped {ENDPOINT} --length {length} --stop {stop}")
                })
                .collect(),
            Step::OneTag => lines(sockets::ONE_TAG),
            Step::Event => lines(sockets::EVENT),
            Step::Service => lines(sockets::SERVICE),
            Step::SerialLog => {
                // Who is slow has to miss something, and the UART of the emulated board is slow
                // itself.
                let (lines, busy) = match self.board {
                    Board::Pc if self.wire == Wire::Usbip => ("--first attached", "0-1100"),
                    Board::Pc => ("--first connecting --expect connected", "0-1100"),
                    Board::An500 => ("--first mps2-an500 --expect ccde:0000", "0-300"),
                };
                vec![format!(
                    "serial-log {ENDPOINT} /dev/ttyACM0 {lines} --expect up --busy {busy} --loss"
                )]
            }
        }
    }

    /// Starts the device in the guest.
    fn attach_usbip(&self) -> String {
        format!("attach-usbip {}", self.device_that_attaches_itself())
    }

    /// The same for a tool that attaches it.
    fn listen_usbip(&self) -> String {
        format!(
            "listen-usbip {}",
            self.device_in_the_guest("--listen 127.0.0.1:3240")
        )
    }

    fn device_that_attaches_itself(&self) -> String {
        self.device_in_the_guest("--attach")
    }

    /// The command line of the device in the guest.
    fn device_in_the_guest(&self, how: &str) -> String {
        let serial_log = if self.serial_log { " --serial-log" } else { "" };
        format!(
            "/{DEVICE} usbip {how} --usb {} --speed {} --mtu {} --max-message 65536 --message-buffers {} --log {}{serial_log}",
            self.usb,
            self.speed,
            self.device_mtu(),
            self.message_buffers,
            self.log_level()
        )
    }

    /// Where the guest has the tool that attaches the device.
    fn tool_folder(&self) -> Option<String> {
        Some(usbip::folder(self.usbip_tool?))
    }

    fn nvme_cli_commands(&self) -> Vec<String> {
        let chapters = nvme_cli::CHAPTERS.iter();
        let mut commands: Vec<_> = chapters
            .flat_map(|name| self.nvme_cli_chapter(name))
            .collect();
        // Resets have set the unit back.
        commands.push(set_unit(self.mtu));
        let size = match self.board {
            Board::Pc => 3 << 20,
            Board::An500 => 128 << 10,
        };
        commands.extend(self.nvme_cli_chapter(&format!("large-firmware --size {size}")));
        // After the stop libnvme may have sent a piece again, and then takes each response for that of
        // the next piece. Linux's `mctp-i2c` drops what is left of a request whose response is there.
        // A device in the guest is stopped with it.
        if self.board == Board::Pc && !matches!(self.wire, Wire::I2c | Wire::Usbip) {
            commands.extend(self.nvme_cli_chapter("stopped-firmware"));
        }
        commands
    }

    /// A chapter of checks with nvme-cli, and its options.
    fn nvme_cli_chapter(&self, chapter: &str) -> Option<String> {
        let folder = self.nvme_cli?.folder();
        let interface = self.interface();
        Some(format!(
            "nvme-check /{folder} {interface} {ENDPOINT} {chapter}"
        ))
    }

    /// The Management Interface commands of the reference device's default model.
    fn management_commands(&self) -> Vec<String> {
        let mi = |rest: &str| format!("linux-requester mi {ENDPOINT} {rest}");
        let mut commands: Vec<_> = management::COMMANDS.iter().map(|rest| mi(rest)).collect();
        commands.extend(set_and_read_unit(self.mtu));
        commands
    }
}

fn lines(commands: &[&str]) -> Vec<String> {
    commands.iter().map(|&command| command.into()).collect()
}

/// Configures the device's transmission unit over NVMe-MI.
fn set_unit(mtu: u32) -> String {
    let unit = mtu - 4;
    format!("linux-requester mi {ENDPOINT} 03 01000003 {unit:x} --expect 00")
}

/// The same, and has the device say which unit it has.
fn set_and_read_unit(mtu: u32) -> [String; 2] {
    let unit = mtu - 4;
    let read =
        format!("linux-requester mi {ENDPOINT} 04 01000003 --expect 00 --expect-value {unit:x}");
    [set_unit(mtu), read]
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, Linux {} on {}, {}, {}, MTU {}\n  {}",
            self.name,
            self.board.program(),
            self.linux.version(),
            self.computer.name(),
            self.wire.device(),
            match self.wire {
                Wire::Usb(_) | Wire::Usbip => format!("MCTP over USB {}", self.usb),
                Wire::Serial => "MCTP over serial".to_owned(),
                Wire::I2c => "MCTP over I2C".to_owned(),
            },
            self.mtu,
            self.plan().replace('\n', "\n  ")
        )
    }
}
