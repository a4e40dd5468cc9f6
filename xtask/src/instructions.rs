//! `cargo xtask instructions`: what a round trip through the router costs, in instructions, beside `mctp-estack`, and what a command through the
//! NVMe-MI responder.
//!
//! The programs are in `bench/`. Each is run twice under Valgrind, with different numbers of round trips: what differs, divided by how many
//! more there were, is one round trip without the start of the program. Instructions are counted by callgrind, copied bytes by DHAT. Neither
//! depends on the load of the machine; both depend on compiler and target: the budgets are for x86-64.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::Package;

use crate::guest::install;
use crate::process::{output, succeeds};
use crate::project::{Project, metadata};

const FOLDER: &str = "bench";
const FEWER_ROUNDS: u64 = 100;
const MORE_ROUNDS: u64 = 300;

/// Message bytes behind the message type byte, and packet payload bytes: two packets, one, 65 and 17.
const SIZES: &[(u64, u64)] = &[(64, 64), (246, 247), (4096, 64), (4096, 247)];

/// Commands through the NVMe-MI responder.
const COMMANDS: &[&str] = &["health-poll", "identify", "firmware-download"];
/// What computes their Message Integrity Check: 4 bits at a time, 8 bits, or an engine that costs nothing.
const CHECKS: &[&str] = &["software", "table", "engine"];

/// `rep movsb` and `rep stosb`, which glibc takes for long blocks on some processors, count as one instruction a byte.
const NO_STRING_INSTRUCTIONS: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000:\
                                      glibc.cpu.x86_rep_stosb_threshold=1000000000";

/// Measures, prints the tables, and fails when a budget is exceeded.
pub(crate) fn run() -> Result<()> {
    let project = Project::open()?;
    let (table, over) = measure(&project)?;
    println!("{table}");
    within_budget(&over).map(drop)
}

/// The same as a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    let (table, over) = measure(project)?;
    within_budget(&over).with_context(|| table)
}

fn within_budget(over: &[String]) -> Result<String> {
    if !over.is_empty() {
        bail!(
            "{}\nMake it cheaper, or raise [package.metadata.budget] in {FOLDER}/Cargo.toml and say why",
            over.join("\n")
        );
    }
    Ok(format!(
        "{} echo sizes and {} NVMe-MI commands within budget",
        SIZES.len(),
        COMMANDS.len()
    ))
}

/// The tables, and a line for each budget that is exceeded.
fn measure(project: &Project) -> Result<(String, Vec<String>)> {
    let bench = Bench::build(project)?;
    let mut over = Vec::new();
    let echo = bench.echo_table(&mut over)?;
    let parts = bench.parts_table(&mut over)?;
    let commands = bench.commands_table(&mut over)?;
    Ok((format!("{echo}\n{parts}\n{commands}"), over))
}

/// The measuring program and its budgets.
struct Bench {
    program: PathBuf,
    package: Package,
}

impl Bench {
    fn build(project: &Project) -> Result<Self> {
        if !succeeds(Command::new("valgrind").arg("--version")) {
            println!("installing Valgrind");
            install::install(&["valgrind", "libc6-dbg"])?;
        }
        output(
            project
                .cargo(FOLDER)
                .args(["build", "--locked", "--release"]),
        )?;
        let metadata = metadata(&project.root.join(FOLDER))?;
        let package = metadata
            .workspace_packages()
            .first()
            .copied()
            .context("the bench workspace is one package")?
            .clone();
        Ok(Self {
            program: project.target_dir.join("release").join("bench"),
            package,
        })
    }

    fn echo_table(&self, over: &mut Vec<String>) -> Result<String> {
        let mut table = "Instructions for an echo round trip (x86-64, opt-level 3, fat LTO, one codegen unit); ratio: mctp-estack / ours\n\
             sans-IO cores by hand, then the async routers\n"
            .to_owned();
        table += &format!(
            "{:>10} {:>14} {:>12} {:>6}   {:>14} {:>14} {:>12} {:>6}   {}\n",
            "bytes/unit",
            "core",
            "mctp-estack",
            "ratio",
            "in place",
            "mctp traits",
            "mctp-estack",
            "ratio",
            "copies in place, by traits"
        );
        for &(payload, unit) in SIZES {
            let size = format!("{payload}/{unit}");
            let core = self.instructions("core", payload, unit)?;
            let estack_core = self.instructions("mctp-estack-core", payload, unit)?;
            let in_place = self.instructions("in-place", payload, unit)?;
            let traits = self.instructions("traits", payload, unit)?;
            let estack = self.instructions("mctp-estack", payload, unit)?;
            table += &format!(
                "{size:>10} {:>14} {estack_core:>12.0} {:>6.1}   {:>14} {:>14} {estack:>12.0} {:>6.1}   {:.2}, {:.2}\n",
                self.against_budget("core", &size, core, over)?,
                estack_core / core,
                self.against_budget("in-place", &size, in_place, over)?,
                self.against_budget("traits", &size, traits, over)?,
                estack / in_place,
                self.copies("in-place", payload, unit)?,
                self.copies("traits", payload, unit)?,
            );
        }
        Ok(table)
    }

    /// What one more packet costs, and what a message costs beside its packets.
    fn parts_table(&self, over: &mut Vec<String>) -> Result<String> {
        let mut table =
            "Instructions of one side alone, through the async router, transport mock included\n"
                .to_owned();
        table += &format!("{:>12} {:>16} {:>16}\n", "", "a packet", "the rest");
        for subject in ["assemble", "packetise"] {
            for unit in [64, 247] {
                // The message type byte is in the first packet.
                let message = |packets: u64| packets * unit - 1;
                let long = self.instructions(subject, message(16), unit)?;
                let short = self.instructions(subject, message(2), unit)?;
                let packet = (long - short) / 14.0;
                table += &format!(
                    "{:>12} {:>16} {:>16.0}\n",
                    format!("{subject} {unit}"),
                    self.against_budget(subject, &unit.to_string(), packet, over)?,
                    short - 2.0 * packet
                );
            }
        }
        Ok(table)
    }

    /// What a command costs, from the request as it is received to the response as it is sent.
    fn commands_table(&self, over: &mut Vec<String>) -> Result<String> {
        let mut table =
            "Instructions of a command through the NVMe-MI responder, by what computes the integrity check of both messages\n"
                .to_owned();
        table += &format!("{:>18}", "");
        table.extend(CHECKS.iter().map(|check| format!(" {check:>16}")));
        table += "\n";
        for command in COMMANDS {
            table += &format!("{command:>18}");
            for check in CHECKS {
                let callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
                let arguments = ["nvme-mi", command, check];
                let count = self.per_round(&callgrind, "Collected :", &arguments)?;
                table += &format!(" {:>16}", self.against_budget(command, check, count, over)?);
            }
            table += "\n";
        }
        Ok(table)
    }

    /// The figure with its budget. Notes it in `over` when it is more.
    fn against_budget(
        &self,
        subject: &str,
        size: &str,
        count: f64,
        over: &mut Vec<String>,
    ) -> Result<String> {
        let budget = self.package.metadata["budget"][subject][size]
            .as_u64()
            .with_context(|| format!("bench has no [package.metadata.budget] {subject} {size}"))?;
        if count > budget as f64 {
            over.push(format!(
                "{subject} {size}: {count:.0} instructions, the budget is {budget}"
            ));
        }
        Ok(format!("{count:.0} of {budget}"))
    }

    fn instructions(&self, subject: &str, payload: u64, unit: u64) -> Result<f64> {
        let callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let [payload, unit] = [payload, unit].map(|number| number.to_string());
        self.per_round(&callgrind, "Collected :", &[subject, &payload, &unit])
    }

    /// How often a payload byte is copied by `memcpy` between entering and leaving the device, both directions together.
    fn copies(&self, subject: &str, payload: u64, unit: u64) -> Result<f64> {
        let dhat = ["--tool=dhat", "--mode=copy", "--dhat-out-file=/dev/null"];
        let arguments = [subject, &payload.to_string(), &unit.to_string()];
        let bytes = self.per_round(&dhat, "Total:", &arguments)?;
        Ok(bytes / payload as f64)
    }

    /// What Valgrind's `tool` prints behind `label`, for one round of what `arguments` ask of the program.
    fn per_round(&self, tool: &[&str], label: &str, arguments: &[&str]) -> Result<f64> {
        let total = |rounds: u64| {
            let mut command = Command::new("valgrind");
            command
                .env("GLIBC_TUNABLES", NO_STRING_INSTRUCTIONS)
                .arg("--log-fd=1")
                .args(tool)
                .arg(&self.program)
                .args(arguments)
                .arg(rounds.to_string());
            let printed = output(&mut command)?;
            number_after(label, &printed)
                .with_context(|| format!("Valgrind did not print `{label}`:\n{printed}"))
        };
        let difference = total(MORE_ROUNDS)?.saturating_sub(total(FEWER_ROUNDS)?);
        Ok(difference as f64 / (MORE_ROUNDS - FEWER_ROUNDS) as f64)
    }
}

/// The number behind `label`, which may have commas in it.
fn number_after(label: &str, text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(label)?;
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_valgrind_prints() {
        let callgrind = "==7== Events    : Ir\n==7== Collected : 16202849\n==7==";
        assert_eq!(number_after("Collected :", callgrind), Some(16_202_849));
        let dhat = "==7== Total:     1,234,567 bytes in 89 blocks";
        assert_eq!(number_after("Total:", dhat), Some(1_234_567));
        assert_eq!(number_after("Total:", callgrind), None);
    }
}
