//! Runs the programs of `bench/` under Valgrind.
//!
//! Each says what it measures, and callgrind counts instructions of the stack alone: see
//! `bench/src/meter.rs`. Counts do not depend on the load of the machine. They do on compiler and
//! target: the budgets are for x86-64.

pub(crate) mod callgrind;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::Package;

use crate::install::{self, Needed};
use crate::process::output;
use crate::project::{Project, metadata};
use callgrind::Cost;

pub(crate) const FOLDER: &str = "bench";

/// What counts instructions, and the symbols of the C library that it wants.
const VALGRIND: &[Needed] = &[Needed::program("valgrind", "valgrind libc6-dbg")];

/// `rep movsb` and `rep stosb`, which glibc takes for long blocks on some processors, count as one
/// instruction a byte.
const NO_STRING_INSTRUCTIONS: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000:\
                                      glibc.cpu.x86_rep_stosb_threshold=1000000000";

/// Whose cost it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    Ours,
    Estack,
}

impl Stack {
    /// Its name as a program's argument.
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Estack => "mctp-estack",
        }
    }
}

/// What the routers have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Messages of up to 4 KiB, and few of them.
    Usual,
    /// Messages of up to 64 KiB.
    Long,
    /// Many messages at a time, ports and routes.
    Many,
}

/// Who sends messages how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) peers: u64,
    pub(crate) ports: u64,
    pub(crate) routes: u64,
    pub(crate) in_flight: u64,
    /// Services that are open.
    pub(crate) listeners: u64,
}

impl Load {
    /// One message after the other from one peer on one port.
    pub(crate) const ONE: Self = Self {
        peers: 1,
        ports: 1,
        routes: 1,
        in_flight: 1,
        listeners: 1,
    };
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The program in `bench/src/bin`.
    pub(crate) subject: &'static str,
    pub(crate) stack: Stack,
    pub(crate) room: Room,
    /// Message bytes behind the message type byte.
    pub(crate) payload: u64,
    /// Payload bytes of a packet.
    pub(crate) unit: u64,
    pub(crate) load: Load,
}

impl Case {
    /// One message after the other, through a router with room for one of that length, without a
    /// route.
    pub(crate) fn new(subject: &'static str, stack: Stack, payload: u64, unit: u64) -> Self {
        Self {
            subject,
            stack,
            room: if payload <= 4224 {
                Room::Usual
            } else {
                Room::Long
            },
            payload,
            unit,
            load: Load {
                routes: 0,
                ..Load::ONE
            },
        }
    }

    /// Packets of a message. The message type byte is in the first one.
    pub(crate) fn packets(&self) -> f64 {
        (self.payload + 1).div_ceil(self.unit) as f64
    }

    fn arguments(&self) -> Vec<String> {
        let room = match self.room {
            Room::Usual => "usual",
            Room::Long => "long",
            Room::Many => "many",
        };
        let Load {
            peers,
            ports,
            routes,
            in_flight,
            listeners,
        } = self.load;
        // Tags and sequence numbers come round at least once.
        let rounds = if peers.max(in_flight) >= 8 { 2 } else { 16 };
        let numbers = [
            self.payload,
            self.unit,
            rounds,
            peers,
            ports,
            routes,
            in_flight,
            listeners,
        ];
        let words = [self.stack.name(), room].map(str::to_owned).into_iter();
        words.chain(numbers.map(|n| n.to_string())).collect()
    }
}

/// A version of MCTP over USB, as a program's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsbVersion {
    V1_0,
    V1_1,
}

/// USB transfers from a host, for the receiver alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsbTransfers {
    /// Payload bytes of a packet.
    pub(crate) unit: u64,
    /// Packets of a transfer, which is shorter than 512 bytes.
    pub(crate) packets: u64,
}

impl UsbTransfers {
    pub(crate) const fn new(unit: u64, packets: u64) -> Self {
        Self { unit, packets }
    }
}

/// How the programs are built: mctp-estack's capacities are set by that, and what it takes of its
/// surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// The usual capacities. Critical sections are locks, and log statements ask whether to log.
    Host,
    /// The usual capacities. Critical sections are a microcontroller's, and there are no log
    /// statements: so in what follows.
    Usual,
    /// As boards have it: the same with a running clock, and our router with critical sections and
    /// transfer buffers of 512 bytes. mctp-estack has room for two messages and eight requests,
    /// as the boards have for long ones.
    Board,
    /// Messages of up to 64 KiB.
    Long,
    /// As many messages at a time as it can be built for.
    Many,
}

/// The measuring programs and their budgets.
pub(crate) struct Bench<'p> {
    project: &'p Project,
    package: Package,
    /// The build for the usual capacities.
    usual: Build,
}

impl<'p> Bench<'p> {
    /// Builds programs, the first build for the usual capacities.
    pub(crate) fn build(project: &'p Project, builds: &[(Build, &[&str])]) -> Result<Self> {
        install::debian(VALGRIND)?;
        let metadata = metadata(&project.root.join(FOLDER))?;
        let package = metadata
            .workspace_packages()
            .first()
            .copied()
            .context("the bench workspace is one package")?
            .clone();
        let (usual, _) = builds.first().context("there is something to build")?;
        let bench = Self {
            project,
            package,
            usual: *usual,
        };
        for (build, programs) in builds {
            bench.build_programs(*build, programs)?;
        }
        Ok(bench)
    }

    /// `.cargo/config.toml` of the bench crate has the usual capacities.
    fn build_programs(&self, build: Build, programs: &[&str]) -> Result<()> {
        let mut cargo = self.project.cargo(FOLDER);
        cargo.args(["build", "--locked", "--release"]);
        cargo.args(programs.iter().flat_map(|program| ["--bin", program]));
        cargo.env("CARGO_TARGET_DIR", self.target_dir(build));
        match build {
            Build::Host => &mut cargo,
            Build::Board => cargo.args(["--no-default-features", "--features", "board"]),
            _ => cargo.args(["--no-default-features", "--features", "firmware"]),
        };
        match build {
            Build::Host | Build::Usual => &mut cargo,
            Build::Board => cargo.envs([
                ("MCTP_ESTACK_NUM_RECEIVE", "2"),
                ("MCTP_ESTACK_FLOWS", "8"),
                ("MCTP_ESTACK_MAX_MTU", "251"),
            ]),
            Build::Long => cargo.env("MCTP_ESTACK_MAX_MESSAGE", "65536"),
            Build::Many => cargo.env("MCTP_ESTACK_NUM_RECEIVE", "32"),
        };
        output(&mut cargo).map(drop)
    }

    fn target_dir(&self, build: Build) -> PathBuf {
        let target_dir = &self.project.target_dir;
        match build {
            Build::Host => target_dir.clone(),
            Build::Usual => target_dir.join("bench-usual"),
            Build::Board => target_dir.join("bench-board"),
            Build::Long => target_dir.join("bench-long"),
            Build::Many => target_dir.join("bench-many"),
        }
    }

    /// What a message of the case costs.
    pub(crate) fn message(&self, case: &Case) -> Result<Cost> {
        let build = match (case.stack, case.room) {
            (Stack::Ours, _) | (_, Room::Usual) => self.usual,
            (_, Room::Long) => Build::Long,
            (_, Room::Many) => Build::Many,
        };
        self.message_in(build, case)
    }

    /// The same for another build.
    pub(crate) fn message_in(&self, build: Build, case: &Case) -> Result<Cost> {
        self.run(build, case.subject, &case.arguments())
    }

    /// What a packet of the case costs, its share of the message included.
    pub(crate) fn packet(&self, case: &Case) -> Result<f64> {
        Ok(self.message(case)?.instructions / case.packets())
    }

    /// What a command through the NVMe-MI responder costs.
    pub(crate) fn command(&self, command: &str, check: &str) -> Result<f64> {
        let arguments = [command, check, "100"].map(str::to_owned);
        let cost = self.run(self.usual, "nvme-mi", &arguments)?;
        Ok(cost.instructions)
    }

    /// The same of a model with so many controllers, and an integrity check that costs nothing.
    pub(crate) fn command_among(&self, command: &str, controllers: u32) -> Result<f64> {
        let controllers = controllers.to_string();
        let arguments = [command, "engine", "100", &controllers].map(str::to_owned);
        let cost = self.run(self.usual, "nvme-mi", &arguments)?;
        Ok(cost.instructions)
    }

    /// What a packet of USB transfers costs the receiver.
    pub(crate) fn usb_packet(
        &self,
        stack: Stack,
        version: UsbVersion,
        transfers: UsbTransfers,
    ) -> Result<Cost> {
        let version = match version {
            UsbVersion::V1_0 => "1.0",
            UsbVersion::V1_1 => "1.1",
        };
        let words = [stack.name(), version].map(str::to_owned).into_iter();
        let numbers = [transfers.unit, transfers.packets, 1000].map(|number| number.to_string());
        let arguments: Vec<_> = words.chain(numbers).collect();
        self.run(self.usual, "usb-receive", &arguments)
    }

    fn run(&self, build: Build, program: &str, arguments: &[String]) -> Result<Cost> {
        let profile = tempfile::NamedTempFile::new()?;
        let mut file = std::ffi::OsString::from("--callgrind-out-file=");
        file.push(profile.path());
        let mut command = Command::new("valgrind");
        command
            .env("GLIBC_TUNABLES", NO_STRING_INSTRUCTIONS)
            .args(["--tool=callgrind", "--log-fd=2"])
            .args(["--compress-strings=no", "--compress-pos=no"])
            .arg("--toggle-collect=bench::meter::*counted*")
            .arg("--zero-before=bench::meter::start")
            .arg(file)
            .arg(self.target_dir(build).join("release").join(program))
            .args(arguments);
        let printed = output(&mut command)?;
        let messages = messages(&printed)
            .with_context(|| format!("{program} does not say what it measured:\n{printed}"))?;
        let cost = callgrind::parse(&std::fs::read_to_string(profile.path())?)?;
        // Such as after what is to be counted got another name.
        ensure!(cost.instructions > 0.0, "{program}: nothing was counted");
        Ok(cost.divided_by(messages))
    }

    /// The figure in `[package.metadata.budget]` of the bench crate.
    pub(crate) fn budget(&self, subject: &str, size: &str) -> Result<f64> {
        let budget = &self.package.metadata["budget"][subject][size];
        budget
            .as_f64()
            .with_context(|| format!("bench has no [package.metadata.budget] {subject} {size}"))
    }
}

/// How many messages a program says it measured.
fn messages(printed: &str) -> Option<f64> {
    let (count, _) = printed.lines().last()?.split_once(" messages")?;
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_how_many_messages_it_measured() {
        assert_eq!(messages("64 messages, 16384 bytes sent\n"), Some(64.0));
        assert_eq!(messages(""), None);
    }

    #[test]
    fn the_message_type_byte_is_in_the_first_packet() {
        let packets = |payload| Case::new("in-place", Stack::Ours, payload, 64).packets();
        assert_eq!([63, 64, 127, 128].map(packets), [1.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn long_messages_get_a_router_with_room_for_them() {
        let room = |payload| Case::new("in-place", Stack::Ours, payload, 64).room;
        assert_eq!([4096, 65_535].map(room), [Room::Usual, Room::Long]);
    }
}
