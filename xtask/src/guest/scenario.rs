//! What is run in which guest.

use std::fmt;

pub(super) use super::computer::Computer;
use super::fullness::Stream;
use super::management;
use super::nvme_cli::{self, Release};
use super::page;
pub(super) use super::parts::{Board, Controller, End, Linux, Listener, Wire};
use super::plans::{
    AT_ONCE, ATTACHED_NVME_CLI, BMC_I2C, BOARD, ECHOES, ENDS, GARBAGE, I2C, I2C_REPLUG, LINK_LOSS,
    LONG_BENCH, MANAGED, NVME_CLI, REPLUG, ROBUST, SERIAL, SERIAL_LOG, SHORT, SHORT_BENCH,
    SLOW_BENCH, SLOW_FIRMWARE, STOPPED_BENCH, STOPPED_SPANNING_BENCH, Step, TWO_WIRE_PAGE,
};

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
    /// Whether the device has a serial port that shows its log.
    pub(super) serial_log: bool,
    /// What the device manages, if it is not the default: a file beside the default model.
    pub(super) model: Option<&'static str>,
    /// How the device ends, if its plan has that.
    pub(super) end: Option<End>,
    steps: &'static [Step],
}

/// The device's endpoint ID.
const ENDPOINT: u8 = 9;
/// The one that makes the emulated board end, if it is asked to.
const ENDING_ENDPOINT: u8 = 253;
/// Bytes of a packet's header.
const PACKET_HEADER: u16 = 4;

/// The short run.
pub(super) fn smoke() -> Vec<Scenario> {
    vec![linux_7_2("smoke", 68, SHORT)]
}

/// The whole run.
pub(super) fn all() -> Vec<Scenario> {
    use Controller::{Ehci, Xhci};
    vec![
        linux_7_2("7.2-ehci-68", 68, ROBUST),
        Scenario {
            wire: Wire::Usb(Xhci),
            ..linux_7_2("7.2-xhci-251", 251, ROBUST)
        },
        Scenario {
            boots: 3,
            ..linux_7_2("7.2-ehci-reboot", 68, SHORT)
        },
        linux_7_3("7.3-xhci-68", "1.0", 68, ECHOES),
        Scenario {
            speed: "full",
            ..linux_7_3("7.3-xhci-full-speed", "1.0", 251, ROBUST)
        },
        Scenario {
            speed: "full",
            ..linux_7_3("7.3-xhci-full-speed-spanning", "1.1", 8187, ECHOES)
        },
        Scenario {
            wire: Wire::Usb(Ehci),
            ..linux_7_3("7.3-ehci-251", "1.0", 251, ROBUST)
        },
        linux_7_3("7.3-xhci-spanning", "1.1", 8187, ROBUST),
        linux_7_3("7.3-xhci-spanning-68", "1.1", 68, ECHOES),
        Scenario {
            wire: Wire::Usb(Ehci),
            listener: Listener::Device,
            boots: 2,
            ..linux_7_3("7.3-ehci-spanning", "1.1", 8187, ECHOES)
        },
        malformed(linux_7_2("7.2-ehci-malformed", 68, GARBAGE)),
        malformed(linux_7_3("7.3-xhci-malformed", "1.0", 251, GARBAGE)),
        malformed(linux_7_3(
            "7.3-xhci-malformed-spanning",
            "1.1",
            8187,
            GARBAGE,
        )),
        // With buffers for eight echoes, as many as Linux has tags for; then for two.
        at_once(8, linux_7_2("7.2-ehci-at-once", 68, AT_ONCE)),
        at_once(8, linux_7_3("7.3-xhci-at-once", "1.0", 68, AT_ONCE)),
        at_once(
            8,
            linux_7_3("7.3-xhci-spanning-at-once", "1.1", 68, AT_ONCE),
        ),
        at_once(2, linux_7_2("7.2-ehci-at-once-few-buffers", 68, AT_ONCE)),
        at_once(
            2,
            linux_7_3("7.3-xhci-at-once-few-buffers", "1.0", 68, AT_ONCE),
        ),
        at_once(
            2,
            linux_7_3("7.3-xhci-spanning-at-once-few-buffers", "1.1", 68, AT_ONCE),
        ),
        linux_7_2("7.2-ehci-bench", 251, SHORT_BENCH),
        linux_7_2("7.2-ehci-stopped-bench", 251, STOPPED_BENCH),
        linux_7_3(
            "7.3-xhci-spanning-stopped-bench",
            "1.1",
            8187,
            STOPPED_SPANNING_BENCH,
        ),
        linux_7_3("7.3-xhci-long-bench", "1.0", 251, LONG_BENCH),
        linux_7_3("7.3-xhci-spanning-long-bench", "1.1", 8187, LONG_BENCH),
        nvme_cli(
            Release::Bookworm,
            linux_7_2("7.2-ehci-nvme-cli-2.3", 68, NVME_CLI),
        ),
        nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-xhci-nvme-cli-2.13", "1.0", 251, NVME_CLI),
        ),
        slow_firmware(
            Release::Bookworm,
            linux_7_2("7.2-ehci-slow-firmware-2.3", 68, SLOW_FIRMWARE),
        ),
        slow_firmware(
            Release::Trixie,
            linux_7_3("7.3-xhci-slow-firmware-2.13", "1.0", 251, SLOW_FIRMWARE),
        ),
        nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-xhci-link-loss", "1.0", 251, LINK_LOSS),
        ),
        Scenario {
            listener: Listener::Device,
            boots: 2,
            ..nvme_cli(Release::Bookworm, linux_7_2("7.2-ehci-replug", 68, REPLUG))
        },
        serial(linux_7_2("7.2-serial", 68, SERIAL)),
        serial(linux_7_3("7.3-serial", "1.0", 68, SERIAL)),
        serial(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-serial-nvme-cli-2.13", "1.0", 68, ATTACHED_NVME_CLI),
        )),
        i2c(linux_7_3("7.3-i2c", "1.0", 254, I2C)),
        i2c(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-i2c-nvme-cli-2.13", "1.0", 254, ATTACHED_NVME_CLI),
        )),
        i2c(nvme_cli(
            Release::Trixie,
            linux_7_3("7.3-two-wire-page", "1.0", 254, TWO_WIRE_PAGE),
        )),
        i2c_replug("7.3-i2c-replug"),
        an500(linux_7_2("an500-7.2-ehci", 68, BOARD)),
        an500(linux_7_2("an500-7.2-ehci-bench", 251, SLOW_BENCH)),
        an500(nvme_cli(
            Release::Trixie,
            linux_7_3("an500-7.3-xhci-nvme-cli-2.13", "1.0", 251, NVME_CLI),
        )),
        serial_log(linux_7_2("7.2-ehci-serial-log", 68, SERIAL_LOG)),
        serial_log(linux_7_3("7.3-xhci-serial-log", "1.0", 251, SERIAL_LOG)),
        an500(serial_log(linux_7_2(
            "an500-7.2-ehci-serial-log",
            68,
            SERIAL_LOG,
        ))),
        ends(End::Panic, linux_7_2("an500-7.2-ehci-panic", 68, ENDS)),
        ends(
            End::StackOverflow,
            linux_7_3("an500-7.3-xhci-stack-overflow", "1.0", 251, ENDS),
        ),
        ast2600(linux_7_3("ast2600-7.3-ehci-251", "1.0", 251, MANAGED)),
        ast2600(linux_7_3("ast2600-7.3-ehci-spanning", "1.1", 8187, ECHOES)),
        ast2600(i2c(linux_7_3("ast2600-7.3-i2c", "1.0", 254, BMC_I2C))),
        ast2600(i2c_replug("ast2600-7.3-i2c-replug")),
    ]
}

/// What changes without our doing, or takes minutes, is run only by its name.
pub(super) fn on_request() -> Vec<Scenario> {
    vec![
        nvme_cli(
            Release::Sid,
            linux_7_3("7.3-xhci-nvme-cli-sid", "1.1", 251, NVME_CLI),
        ),
        linux_7_2("7.2-ehci-long-bench", 251, LONG_BENCH),
    ]
}

fn nvme_cli(release: Release, scenario: Scenario) -> Scenario {
    Scenario {
        nvme_cli: Some(release),
        ..scenario
    }
}

fn slow_firmware(release: Release, scenario: Scenario) -> Scenario {
    Scenario {
        model: Some("slow-firmware.toml"),
        ..nvme_cli(release, scenario)
    }
}

fn an500(scenario: Scenario) -> Scenario {
    Scenario {
        board: Board::An500,
        ..scenario
    }
}

fn ast2600(scenario: Scenario) -> Scenario {
    Scenario {
        computer: Computer::Ast2600,
        wire: match scenario.wire {
            // Its own.
            Wire::Usb(_) => Wire::Usb(Controller::Ehci),
            other => other,
        },
        ..scenario
    }
}

fn serial(scenario: Scenario) -> Scenario {
    Scenario {
        wire: Wire::Serial,
        ..scenario
    }
}

fn i2c(scenario: Scenario) -> Scenario {
    Scenario {
        wire: Wire::I2c,
        ..scenario
    }
}

fn i2c_replug(name: &'static str) -> Scenario {
    Scenario {
        listener: Listener::Device,
        boots: 2,
        ..i2c(linux_7_3(name, "1.0", 254, I2C_REPLUG))
    }
}

/// Two processors, so that messages do not reach the driver one after the other.
fn at_once(message_buffers: u8, scenario: Scenario) -> Scenario {
    Scenario {
        message_buffers,
        processors: 2,
        ..scenario
    }
}

fn serial_log(scenario: Scenario) -> Scenario {
    Scenario {
        serial_log: true,
        ..scenario
    }
}

fn ends(end: End, scenario: Scenario) -> Scenario {
    Scenario {
        end: Some(end),
        ..an500(scenario)
    }
}

fn linux_7_2(name: &'static str, mtu: u32, steps: &'static [Step]) -> Scenario {
    Scenario {
        name,
        board: Board::Pc,
        computer: Computer::X86,
        linux: Linux::V7_2,
        wire: Wire::Usb(Controller::Ehci),
        listener: Listener::Qemu,
        usb: "1.0",
        speed: "high",
        mtu,
        boots: 1,
        well_formed: true,
        message_buffers: 8,
        processors: 1,
        nvme_cli: None,
        serial_log: false,
        model: None,
        end: None,
        steps,
    }
}

fn linux_7_3(name: &'static str, usb: &'static str, mtu: u32, steps: &'static [Step]) -> Scenario {
    Scenario {
        linux: Linux::V7_3,
        wire: Wire::Usb(Controller::Xhci),
        usb,
        ..linux_7_2(name, mtu, steps)
    }
}

fn malformed(scenario: Scenario) -> Scenario {
    Scenario {
        well_formed: false,
        ..scenario
    }
}

impl Scenario {
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

    /// Whether there is [`Step::Page`].
    pub(super) fn runs_page(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Page))
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
    /// services, so that a packet may leave before the next one is there.
    pub(super) fn full_streams(&self) -> Vec<Stream> {
        if self.board == Board::An500 {
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

    /// The text that `linux-requester guest-init` runs, one command a line.
    pub(super) fn plan(&self) -> String {
        let lines: Vec<_> = self
            .steps
            .iter()
            .flat_map(|step| self.commands(*step))
            .collect();
        lines.join("\n")
    }

    /// What `linux-requester` calls the interface, or on a bus the device's place there.
    fn interface(&self) -> String {
        match self.wire {
            Wire::Usb(_) => "usb".into(),
            Wire::Serial => "mctpserial0".into(),
            Wire::I2c => format!("{}/1d", self.computer.i2c_interface()),
        }
    }

    fn commands(&self, step: Step) -> Vec<String> {
        let echo = |sizes: &str| format!("echo {ENDPOINT} --sizes {sizes}");
        // One try: no request may be lost, least of all the first one after garbage. An emulated
        // machine on a busy host is slow at times, so that the try is longer than the four
        // of mctpd together.
        let control = |rest: &str| format!("control {rest} --tries 1 --wait 3000");
        let interface = self.interface();
        // It logs its counters when its endpoint ID is set, which this forces (DSP0236 1.3.3, section
        // 12.4) even where it would be a retransmission.
        let log_drops = control(&format!(
            "physical:{interface} 01 01{ENDPOINT:02x} --expect 00"
        ));
        let dropped = |count, reason| format!("expect-log dropped so far: {count} for {reason}");
        match step {
            Step::Bind => vec!["wait-interface --timeout 30".into()],
            Step::Control => vec![
                format!(
                    "setup {interface} --eid {ENDPOINT} --mtu {} --tries 1 --wait 3000",
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
            Step::EchoesAtOnce(mtu) => vec![
                format!("setup {interface} --eid {ENDPOINT} --mtu {mtu} --tries 1 --wait 3000"),
                set_unit(mtu),
                format!("echo {ENDPOINT} --size 3000 --at-once 12 --count 20 --may-lose"),
            ],
            Step::LogDrops => vec![log_drops],
            Step::BusEchoes => [1, 60, 249, 250, 1000, 4096]
                .map(|size| format!("echo {ENDPOINT} --size {size}"))
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
                format!("echo {ENDPOINT} --size 1000 --silent --wait 1500"),
                format!("echo {ENDPOINT} --size 1000"),
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
            Step::CycleLink => vec![format!("cycle-link {interface} {ENDPOINT} --count 10")],
            Step::Reset => vec![format!("reset-usb {interface}")],
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
                    format!("bench {ENDPOINT} --length {length} --count {count}")
                })
                .collect(),
            Step::BenchStopped(stops) => stops
                .iter()
                .map(|(length, stop)| {
                    format!("bench-stopped {ENDPOINT} --length {length} --stop {stop}")
                })
                .collect(),
            Step::SerialLog => {
                // Who is slow has to miss something, and the UART of the emulated board is slow
                // itself.
                let (lines, busy) = match self.board {
                    Board::Pc => ("--first connecting --expect connected", "0-1100"),
                    Board::An500 => ("--first mps2-an500 --expect ccde:0000", "0-300"),
                };
                vec![format!(
                    "serial-log {ENDPOINT} /dev/ttyACM0 {lines} --expect up --busy {busy} --loss"
                )]
            }
        }
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
        if self.board == Board::Pc && self.wire != Wire::I2c {
            commands.extend(self.nvme_cli_chapter("stopped-firmware"));
        }
        commands
    }

    /// A chapter of checks with nvme-cli, and its options.
    fn nvme_cli_chapter(&self, chapter: &str) -> Option<String> {
        let folder = self.nvme_cli?.folder();
        Some(format!("nvme-check /{folder} {ENDPOINT} {chapter}"))
    }

    /// The Management Interface commands of the reference device's default model.
    fn management_commands(&self) -> Vec<String> {
        let mi = |rest: &str| format!("mi {ENDPOINT} {rest}");
        let mut commands: Vec<_> = management::COMMANDS.iter().map(|rest| mi(rest)).collect();
        commands.extend(set_and_read_unit(self.mtu));
        commands
    }
}

/// Configures the device's transmission unit over NVMe-MI.
fn set_unit(mtu: u32) -> String {
    let unit = mtu - 4;
    format!("mi {ENDPOINT} 03 01000003 {unit:x} --expect 00")
}

/// The same, and has the device say which unit it has.
fn set_and_read_unit(mtu: u32) -> [String; 2] {
    let unit = mtu - 4;
    let read = format!("mi {ENDPOINT} 04 01000003 --expect 00 --expect-value {unit:x}");
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
                Wire::Usb(_) => format!("MCTP over USB {}", self.usb),
                Wire::Serial => "MCTP over serial".to_owned(),
                Wire::I2c => "MCTP over I2C".to_owned(),
            },
            self.mtu,
            self.plan().replace('\n', "\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kernels_meet_every_wire() {
        for linux in [Linux::V7_2, Linux::V7_3] {
            for controller in ["usb-ehci", "qemu-xhci", "16550A"] {
                assert!(
                    all()
                        .iter()
                        .any(|s| s.linux == linux && s.wire.device() == controller),
                    "{linux:?} {controller}"
                );
            }
        }
    }

    #[test]
    fn the_emulated_management_controller_meets_its_own_usb_host_controller() {
        let of_usb = |s: &&Scenario| {
            s.computer == Computer::Ast2600 && s.wire == Wire::Usb(Controller::Ehci)
        };
        assert!(all().iter().filter(of_usb).count() > 1);
    }

    #[test]
    fn the_bus_in_software_is_of_the_newer_kernel_alone() {
        let on_the_bus = |linux| {
            let is_there = |s: &&Scenario| s.wire == Wire::I2c && s.linux == linux;
            all().iter().filter(is_there).count()
        };
        assert_eq!(on_the_bus(Linux::V7_2), 0);
        assert!(on_the_bus(Linux::V7_3) > 0);
    }

    #[test]
    fn names_are_different_because_they_are_folders() {
        let mut names: Vec<_> = all().iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn guests_reboot_with_a_device_that_stays_and_are_replaced_with_one_that_listens() {
        for listener in [Listener::Qemu, Listener::Device] {
            assert!(all().iter().any(|s| s.boots > 1 && s.listener == listener));
        }
    }

    #[test]
    fn scenarios_that_inject_are_not_expected_to_be_well_formed() {
        for scenario in all() {
            assert_eq!(scenario.plan().contains("inject"), !scenario.well_formed);
        }
    }
}
