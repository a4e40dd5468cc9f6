//! `cargo xtask instructions`: what a round trip through the router costs, in instructions, beside
//! `mctp-estack`, and what a command through the NVMe-MI responder. Fails when it is more than a
//! budget in `bench/Cargo.toml`, or than a bound here.

use anyhow::{Context, Result, bail};

use crate::bench::{Bench, Build, Case, FOLDER, Load, Room, Stack, UsbTransfers, UsbVersion};
use crate::project::Project;

/// The programs that this needs.
const PROGRAMS: &[&str] = &[
    "in-place",
    "traits",
    "core-echo",
    "core-assemble",
    "core-packetise",
    "core-forward",
    "assemble",
    "nvme-mi",
    "usb-receive",
];

/// Message bytes behind the message type byte, and packet payload bytes: one packet each, then two,
/// 65 and 17.
pub(crate) const ECHO_SIZES: &[(u64, u64)] =
    &[(63, 64), (246, 247), (64, 64), (4096, 64), (4096, 247)];

/// How often as many instructions mctp-estack must take for the echo, as it is built for a host:
/// messages of one packet, and of 4 KiB at unit 247.
const RATIOS: &[((u64, u64), f64)] = &[((63, 64), 2.4), ((246, 247), 3.2), ((4096, 247), 9.8)];

/// The most for a packet in the middle of a message, one side alone, beside the copy; its share of
/// what each transfer costs is in it.
const PACKET_BOUND: f64 = 67.0;

/// The most for a packet that is forwarded, beside the copy; its share of what each transfer costs is
/// in it. 150 are wanted: its ports are looked up several times, and it is asked everything that a message is asked.
const FORWARD_BOUND: f64 = 390.0;

/// The most by which a packet is dearer under [`LOAD`] than alone.
pub(crate) const GROWTH_BOUND: f64 = 1.3;

/// As much as there may be of everything at the same time.
pub(crate) const LOAD: Load = Load {
    peers: 200,
    ports: 8,
    routes: 200,
    in_flight: 64,
    listeners: 1,
};

/// Services that are open beside the one that is asked.
const OTHER_LISTENERS: u64 = 31;
/// The most for each of them, of a message of one packet: the list that it is found in, one of 32,
/// may have one more.
const LISTENER_BOUND: f64 = 1.0;

/// Controllers beside the first one.
const OTHER_CONTROLLERS: u32 = 7;
/// The command that asks about every controller, and the most for each of them. No other command
/// knows how many there are.
const ASKS_ALL_CONTROLLERS: &str = "health-poll";
const CONTROLLER_BOUND: f64 = 90.0;

/// Four packets: what growth is measured with.
pub(crate) const GROWTH_SIZE: (u64, u64) = (4 * 247 - 1, 247);

/// Packets of the length of a health poll, of the baseline transmission unit, and
/// of the longest unit of 1.0: one in a transfer, and as many as fit, seven at most.
pub(crate) const USB_TRANSFERS: [UsbTransfers; 6] = [
    UsbTransfers::new(20, 1),
    UsbTransfers::new(20, 7),
    UsbTransfers::new(64, 1),
    UsbTransfers::new(64, 7),
    UsbTransfers::new(247, 1),
    UsbTransfers::new(247, 2),
];

/// The most for a packet of USB 1.0 that is a transfer of its own, and for one of a packed transfer;
/// for the first kind and the second of [`USB_TRANSFERS`], the copy into the receive buffer
/// included.
const USB_PACKET_BOUNDS: [f64; 2] = [80.0, 45.0];

/// The most by which a packet of USB 1.1 is dearer than one of 1.0.
const USB_1_1_BOUND: f64 = 1.5;

/// USB transfers of 1.0 in one of our transfers.
const TRANSFERS_AT_ONCE: u64 = 8;

/// Commands through the NVMe-MI responder.
pub(crate) const COMMANDS: &[&str] = &[
    "health-poll",
    "subsystem-information",
    "smart-log",
    "identify",
    "firmware-download",
];
/// What computes their Message Integrity Check: 4 bits at a time, 8 bits, or an engine that costs
/// nothing.
pub(crate) const CHECKS: &[&str] = &["software", "table", "engine"];

/// Measures, prints the tables, and fails when something is too much.
pub(crate) fn run() -> Result<()> {
    let project = Project::open()?;
    let report = Report::measure(&project)?;
    println!("{}", report.text);
    report.verdict()
}

/// The same as a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    let report = Report::measure(project)?;
    report.verdict().with_context(|| report.text.clone())?;
    Ok(format!(
        "{} echo sizes, growth, USB receive and {} NVMe-MI commands within budgets and bounds",
        ECHO_SIZES.len(),
        COMMANDS.len()
    ))
}

/// One side alone, by the sans-IO core.
pub(crate) struct Part {
    /// A further packet of a message: without the copy, and the copy.
    pub(crate) packet: f64,
    pub(crate) copy: f64,
    /// What a message costs beside its packets.
    pub(crate) message: f64,
}

impl Part {
    pub(crate) fn measure(
        bench: &Bench<'_>,
        subject: &'static str,
        stack: Stack,
        unit: u64,
    ) -> Result<Self> {
        let (few, many, room) = match stack {
            // One of our transfers is among what differs.
            Stack::Ours => {
                let packets = TRANSFERS_AT_ONCE * (511 / (unit + 8));
                (packets + 1, 2 * packets + 1, Room::Long)
            }
            Stack::Estack => (2, 16, Room::Usual),
        };
        let message = |packets| Case {
            room,
            ..Case::new(subject, stack, packets * unit - 1, unit)
        };
        let short = bench.message(&message(few))?;
        let long = bench.message(&message(many))?;
        let packet = long.minus(short).divided_by((many - few) as f64);
        Ok(Self {
            packet: packet.without_copying(),
            copy: packet.copying,
            message: short.instructions - few as f64 * packet.instructions,
        })
    }
}

/// The tables, and a line for each figure that is too much.
struct Report<'p> {
    bench: Bench<'p>,
    text: String,
    over: Vec<String>,
}

impl<'p> Report<'p> {
    fn measure(project: &'p Project) -> Result<Self> {
        let mut report = Self {
            bench: Bench::build(
                project,
                &[(Build::Host, PROGRAMS), (Build::Board, &["in-place"])],
            )?,
            text: String::new(),
            over: Vec::new(),
        };
        report.board()?;
        report.echo()?;
        report.parts()?;
        report.growth()?;
        report.listeners()?;
        report.usb_receive()?;
        report.commands()?;
        report.controllers()?;
        Ok(report)
    }

    fn verdict(&self) -> Result<()> {
        if self.over.is_empty() {
            return Ok(());
        }
        bail!(
            "{}\nMake it cheaper. Budgets are [package.metadata.budget] in {FOLDER}/Cargo.toml: say why when you raise one",
            self.over.join("\n")
        )
    }

    fn line(&mut self, line: &str) {
        self.text += line;
        self.text += "\n";
    }

    /// The figure with the most that it may be.
    fn at_most(&mut self, what: &str, figure: f64, most: f64) -> String {
        if figure > most {
            self.over.push(format!(
                "{what}: {figure:.0} instructions, at most {most:.0} are allowed"
            ));
        }
        format!("{figure:.0} of {most:.0}")
    }

    fn within_budget(&mut self, subject: &str, size: &str, figure: f64) -> Result<String> {
        let budget = self.bench.budget(subject, size)?;
        Ok(self.at_most(&format!("{subject} {size}"), figure, budget))
    }

    fn board(&mut self) -> Result<()> {
        self.line("Instructions of an echo round trip with a board's settings (x86-64, opt-level 3), in place");
        for &(payload, unit) in ECHO_SIZES {
            let size = format!("{payload}/{unit}");
            let figure = |stack| {
                let case = Case::new("in-place", stack, payload, unit);
                Ok::<_, anyhow::Error>(self.bench.message_in(Build::Board, &case)?.instructions)
            };
            let (ours, estack) = (figure(Stack::Ours)?, figure(Stack::Estack)?);
            let budgeted = self.within_budget("board", &size, ours)?;
            let ratio = estack / ours;
            self.line(&format!(
                "{size:>10} {budgeted:>14} {estack:>12.0} {ratio:>8.2}"
            ));
        }
        self.line("");
        Ok(())
    }

    fn echo(&mut self) -> Result<()> {
        self.line("Instructions of an echo round trip (x86-64, opt-level 3, fat LTO, one codegen unit): sans-IO core, async router in place and by the mctp traits");
        self.line(&format!(
            "{:>10} {:>14} {:>14} {:>14} {:>12} {:>8}",
            "bytes/unit", "core", "in place", "traits", "mctp-estack", "/ in place"
        ));
        for &(payload, unit) in ECHO_SIZES {
            let size = format!("{payload}/{unit}");
            let mut figures = [("core-echo", 0.0), ("in-place", 0.0), ("traits", 0.0)];
            let mut columns = Vec::new();
            for (subject, figure) in &mut figures {
                let case = Case::new(subject, Stack::Ours, payload, unit);
                *figure = self.bench.message(&case)?.instructions;
                columns.push(self.within_budget(subject, &size, *figure)?);
            }
            let case = Case::new("in-place", Stack::Estack, payload, unit);
            let estack = self.bench.message(&case)?.instructions;
            let ratio = estack / figures[1].1;
            self.check_ratio((payload, unit), ratio);
            self.line(&format!(
                "{size:>10} {:>14} {:>14} {:>14} {estack:>12.0} {ratio:>8.2}",
                columns[0], columns[1], columns[2]
            ));
        }
        Ok(())
    }

    fn check_ratio(&mut self, size: (u64, u64), ratio: f64) {
        let bound = RATIOS.iter().find(|(bounded, _)| *bounded == size);
        if let Some(((payload, unit), least)) = bound
            && ratio < *least
        {
            self.over.push(format!(
                "echo {payload}/{unit}: mctp-estack takes {ratio:.2} times as many instructions, {least} times are wanted"
            ));
        }
    }

    fn parts(&mut self) -> Result<()> {
        self.line("\nInstructions of one side alone, sans-IO core: a further packet of a message without the copy, the copy, a message beside its packets");
        for (subject, bound) in [
            ("core-assemble", PACKET_BOUND),
            ("core-packetise", PACKET_BOUND),
            ("core-forward", FORWARD_BOUND),
        ] {
            for unit in [64, 247] {
                let part = Part::measure(&self.bench, subject, Stack::Ours, unit)?;
                let name = format!("{subject} {unit}");
                let packet = self.at_most(&name, part.packet, bound);
                self.line(&format!(
                    "{name:>20} {packet:>12} {:>6.0} {:>6.0}",
                    part.copy, part.message
                ));
            }
        }
        Ok(())
    }

    fn growth(&mut self) -> Result<()> {
        let Load {
            peers,
            ports,
            routes,
            in_flight,
            ..
        } = LOAD;
        self.line(&format!(
            "\nInstructions of a packet: one peer, port, route and message at a time; {peers} peers, {ports} ports, {routes} routes, {in_flight} messages in flight"
        ));
        for subject in ["in-place", "assemble", "core-echo", "core-forward"] {
            let (payload, unit) = GROWTH_SIZE;
            let mut case = Case::new(subject, Stack::Ours, payload, unit);
            case.load = Load::ONE;
            let alone = self.bench.packet(&case)?;
            (case.room, case.load) = (Room::Many, LOAD);
            let loaded = self.bench.packet(&case)?;
            let ratio = loaded / alone;
            if ratio > GROWTH_BOUND {
                self.over.push(format!(
                    "{subject}: a packet is {ratio:.2} times as dear under load, at most {GROWTH_BOUND} are allowed"
                ));
            }
            self.line(&format!(
                "{subject:>20} {alone:>8.0} {loaded:>8.0} {ratio:>8.2}"
            ));
        }
        Ok(())
    }

    fn listeners(&mut self) -> Result<()> {
        self.line(&format!(
            "\nInstructions of a message of one packet: one service, {OTHER_LISTENERS} more, for each of them"
        ));
        for subject in ["in-place", "core-echo"] {
            let mut case = Case::new(subject, Stack::Ours, 63, 64);
            case.room = Room::Many;
            let alone = self.bench.message(&case)?.instructions;
            case.load.listeners += OTHER_LISTENERS;
            let among_others = self.bench.message(&case)?.instructions;
            let each = (among_others - alone) / OTHER_LISTENERS as f64;
            if each > LISTENER_BOUND {
                self.over.push(format!(
                    "{subject}: each further service costs {each:.1} instructions of a message"
                ));
            }
            self.line(&format!(
                "{subject:>20} {alone:>8.0} {among_others:>8.0} {each:>8.1}"
            ));
        }
        Ok(())
    }

    fn usb_receive(&mut self) -> Result<()> {
        self.line("\nInstructions of a packet out of a USB transfer, the copy into the receive buffer included: 1.0, 1.1, mctp-usb-embassy");
        let mut bounds = USB_PACKET_BOUNDS.into_iter();
        for transfers in USB_TRANSFERS {
            let UsbTransfers { unit, packets } = transfers;
            let name = format!("{packets} of {unit} bytes");
            let figure = |stack, version| {
                let cost = self.bench.usb_packet(stack, version, transfers)?;
                Ok::<_, anyhow::Error>(cost.instructions)
            };
            let ours = figure(Stack::Ours, UsbVersion::V1_0)?;
            let of_1_1 = figure(Stack::Ours, UsbVersion::V1_1)?;
            let peer = figure(Stack::Estack, UsbVersion::V1_0)?;
            let budgeted = match bounds.next() {
                Some(most) => self.at_most(&format!("USB receive, {name}"), ours, most),
                None => format!("{ours:.0}"),
            };
            let ratio = of_1_1 / ours;
            if ratio > USB_1_1_BOUND {
                self.over.push(format!(
                    "USB receive, {name}: a packet of 1.1 is {ratio:.2} times as dear as one of 1.0"
                ));
            }
            self.line(&format!(
                "{name:>20} {budgeted:>12} {of_1_1:>8.0} {peer:>8.0}"
            ));
        }
        Ok(())
    }

    fn commands(&mut self) -> Result<()> {
        self.line("\nInstructions of a command through the NVMe-MI responder, by what computes the integrity check of both messages");
        let checks: String = CHECKS.iter().map(|check| format!(" {check:>16}")).collect();
        self.line(&format!("{:>21}{checks}", ""));
        for command in COMMANDS {
            let mut line = format!("{command:>21}");
            for check in CHECKS {
                let figure = self.bench.command(command, check)?;
                line += &format!(" {:>16}", self.within_budget(command, check, figure)?);
            }
            self.line(&line);
        }
        Ok(())
    }

    fn controllers(&mut self) -> Result<()> {
        self.line(&format!(
            "\nInstructions of a command: one controller, {OTHER_CONTROLLERS} more, for each of them"
        ));
        for command in COMMANDS {
            let alone = self.bench.command_among(command, 1)?;
            let among_others = self.bench.command_among(command, 1 + OTHER_CONTROLLERS)?;
            let each = (among_others - alone) / f64::from(OTHER_CONTROLLERS);
            let most = match *command {
                ASKS_ALL_CONTROLLERS => CONTROLLER_BOUND,
                _ => 0.0,
            };
            let each = self.at_most(&format!("{command}, each controller"), each, most);
            self.line(&format!(
                "{command:>21} {alone:>8.0} {among_others:>8.0} {each:>12}"
            ));
        }
        Ok(())
    }
}
