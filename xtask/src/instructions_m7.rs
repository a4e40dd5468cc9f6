//! The second half of `cargo xtask instructions`: what a round trip costs on an emulated Cortex-M7.
//!
//! The program is `instructions` of `examples/qemu-an500`, built as the firmware is. With `-icount shift=0` QEMU's clock goes on by a nanosecond for each
//! instruction, whatever the load of this computer. The program prints what its timer counted for fewer and for more round trips: what differs, divided by
//! how many more there were, is one round trip.

use std::fmt::Write;
use std::io::Read;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::emulate;
use crate::guest::install;
use crate::project::{Project, metadata};

const PROGRAM: &str = "instructions";
/// Checks the memory functions of the Nucleo board, which run nowhere else here.
const MEMORY_FUNCTIONS: &str = "memory-functions";
/// Of the timer: 25 MHz, and a nanosecond for each instruction.
const INSTRUCTIONS_PER_TICK: f64 = 40.0;
/// It takes less than a second.
const LONGEST_RUN: Duration = Duration::from_secs(60);

/// Ticks for so many round trips.
#[derive(Debug, PartialEq)]
struct Count {
    name: String,
    rounds: u64,
    ticks: u64,
}

/// Measures, prints the table, and fails when a budget is exceeded.
pub(crate) fn run() -> Result<()> {
    let (table, over) = measure(&Project::open()?)?;
    println!("{table}");
    within_budget(&over)
}

/// The same as a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    printed_by(project, MEMORY_FUNCTIONS)?;
    let (table, over) = measure(project)?;
    within_budget(&over).with_context(|| table.clone())?;
    Ok(format!(
        "{} round trips within budget, memory functions right",
        table.lines().count() - 1
    ))
}

fn within_budget(over: &[String]) -> Result<()> {
    if !over.is_empty() {
        bail!(
            "{}\nMake it cheaper, or raise [package.metadata.instructions] in {}/Cargo.toml and say why",
            over.join("\n"),
            emulate::FOLDER
        );
    }
    Ok(())
}

/// The table, and a line for each budget that is exceeded.
fn measure(project: &Project) -> Result<(String, Vec<String>)> {
    install::qemu(&install::ARM)?;
    let printed = printed_by(project, PROGRAM)?;
    let metadata = metadata(&project.root.join(emulate::FOLDER))?;
    let packages = metadata.workspace_packages();
    let package = packages.first().context("the board is one package")?;
    let budgets = &package.metadata["instructions"];
    let mut table = "Instructions for a round trip on the emulated Cortex-M7\n".to_owned();
    let mut over = Vec::new();
    for (name, count) in round_trips(&counts(&printed)?)? {
        let budget = budgets[&name].as_u64();
        let budget = budget
            .with_context(|| format!("there is no [package.metadata.instructions] {name}"))?;
        writeln!(table, "{name:>16} {count:>8.0} of {budget}")?;
        if count > budget as f64 {
            over.push(format!(
                "{name}: {count:.0} instructions, the budget is {budget}"
            ));
        }
    }
    Ok((table, over))
}

/// What a program prints until it ends well.
fn printed_by(project: &Project, name: &str) -> Result<String> {
    let program = emulate::build(project, name, &[])?;
    let mut qemu = emulate::counting(&program);
    let mut running = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start qemu-system-arm")?;
    let deadline = Instant::now() + LONGEST_RUN;
    let status = loop {
        if let Some(status) = running.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            running.kill()?;
            running.wait()?;
            bail!("{name} has not ended after {} s", LONGEST_RUN.as_secs());
        }
        sleep(Duration::from_millis(20));
    };
    // Less than pipes hold.
    let (mut printed, mut errors) = (String::new(), String::new());
    let pipes = running.stdout.as_mut().zip(running.stderr.as_mut());
    let (stdout, stderr) = pipes.context("QEMU has no standard output")?;
    stdout.read_to_string(&mut printed)?;
    stderr.read_to_string(&mut errors)?;
    if !status.success() {
        bail!("{name} ended with {status}\n{printed}{errors}");
    }
    Ok(printed)
}

fn counts(printed: &str) -> Result<Vec<Count>> {
    printed.lines().map(count).collect()
}

fn count(line: &str) -> Result<Count> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [name, rounds, ticks] = words[..] else {
        bail!("`{line}` is no count");
    };
    Ok(Count {
        name: name.to_owned(),
        rounds: rounds.parse()?,
        ticks: ticks.parse()?,
    })
}

/// One round trip of each kind, in instructions.
fn round_trips(counts: &[Count]) -> Result<Vec<(String, f64)>> {
    let round_trip = |pair: &[Count]| match pair {
        [fewer, more] if fewer.name == more.name && fewer.rounds < more.rounds => {
            let ticks = more.ticks.saturating_sub(fewer.ticks) as f64;
            let rounds = (more.rounds - fewer.rounds) as f64;
            Ok((fewer.name.clone(), ticks * INSTRUCTIONS_PER_TICK / rounds))
        }
        _ => bail!("{pair:?} are not two counts of one round trip"),
    };
    if counts.is_empty() {
        bail!("the measuring program has counted nothing");
    }
    counts.chunks(2).map(round_trip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_trip_is_what_more_of_them_add() {
        let counts = counts("control 100 3528\ncontrol 300 10583\n").unwrap();
        assert_eq!(
            round_trips(&counts).unwrap(),
            [("control".to_owned(), 1411.0)]
        );
    }

    #[test]
    fn half_a_measurement_is_refused() {
        for printed in [
            "",
            "control 100 3528",
            "control 100 3528\necho 300 10583",
            "control 300 10583\ncontrol 100 3528",
        ] {
            assert!(round_trips(&counts(printed).unwrap()).is_err(), "{printed}");
        }
        assert!(counts("control 100").is_err());
    }
}
