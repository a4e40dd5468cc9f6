//! The second half of `cargo xtask instructions`: what round trips, packets and the boards' memory
//! functions cost on an emulated Cortex-M7.
//!
//! The program of the former two is `instructions` of `examples/qemu-an500`, built as the firmware
//! is. With `-icount shift=0` QEMU's clock goes on by a nanosecond for each instruction, whatever
//! the load of this computer. The program prints what its timer counted for fewer and for more
//! rounds: what differs, divided by how many more there were, is one round. A round is a round
//! trip, or a message of a stream in one direction. Of a stream there are a shorter and a longer
//! message: what the longer one costs more, divided by how many more packets it has, is one further
//! packet.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::emulate;
use crate::guest::install;
use crate::process::output;
use crate::project::{Project, metadata};
use crate::shipped::{self, TARGET};

const PROGRAM: &str = "instructions";
/// Checks the memory functions of the Nucleo board, which run nowhere else here, and counts them.
const MEMORY_FUNCTIONS: &str = "memory-functions";
/// Of the timer: 25 MHz, and a nanosecond for each instruction.
const INSTRUCTIONS_PER_TICK: f64 = 40.0;
/// Of the Nucleo board's core, in Hz.
const CLOCK: f64 = 600e6;
/// Bytes of message a second that a stream has to reach if an instruction takes a cycle: the most
/// that USB high speed leaves, so that the core is not the limit.
const LEAST_RATE: f64 = 40e6;
/// It takes less than a second.
const LONGEST_RUN: Duration = Duration::from_secs(60);

/// As the boards have them: room for two messages of 4,224 bytes, and eight requests.
const ESTACK_CAPACITIES: &[(&str, &str)] = &[
    ("MCTP_ESTACK_MAX_MESSAGE", "4224"),
    ("MCTP_ESTACK_NUM_RECEIVE", "2"),
    ("MCTP_ESTACK_FLOWS", "8"),
    ("MCTP_ESTACK_MAX_MTU", "251"),
];

/// Ticks for so many rounds.
#[derive(Debug, PartialEq)]
struct Count {
    name: String,
    /// Bytes of a stream's messages, message type not counted.
    length: Option<u64>,
    rounds: u64,
    ticks: u64,
}

/// One round, in instructions.
#[derive(Debug, PartialEq)]
pub(crate) struct Round {
    pub(crate) name: String,
    length: Option<u64>,
    pub(crate) instructions: f64,
}

/// A stream of messages in packets.
#[derive(Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) name: String,
    /// Instructions for a packet, with its part of what the message costs.
    pub(crate) packet: f64,
    /// Instructions for each packet more that a message has.
    pub(crate) further_packet: f64,
    /// Bytes of message a second at an instruction a cycle.
    pub(crate) rate: f64,
}

/// Measures, prints the table, and fails when a budget is exceeded.
pub(crate) fn run() -> Result<()> {
    let (table, over) = measure(&Project::open()?)?;
    println!("{table}");
    within_budget(&over)
}

/// The same as a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    let (table, over) = measure(project)?;
    within_budget(&over).with_context(|| table.clone())?;
    Ok(format!(
        "{} kinds of round trips, packets and memory functions within budget, memory functions right",
        table.lines().count() - 3
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
    let budgets = &budgets(project)?;
    let (round_trips, streams) = shipped(project)?;
    let mut table = "Instructions for a round trip on the emulated Cortex-M7, and for NVMe-MI commands from body to body\n".to_owned();
    let mut over = Vec::new();
    for Round {
        name, instructions, ..
    } in &round_trips
    {
        let budget = budget(budgets, name)?;
        writeln!(table, "{name:>25} {instructions:>8.0} of {budget}")?;
        over.extend(over_budget(name, *instructions, budget));
    }
    table += "Instructions for a packet, of these for each further one of a message, and bytes of message at 600 MHz\n";
    for stream in streams {
        let budget = budget(&budgets["packet"], &stream.name)?;
        writeln!(table, "{}", line(&stream, budget))?;
        over.extend(over_budget(&stream.name, stream.packet, budget));
        over.extend(too_slow(&stream));
    }
    table += "Instructions for a byte that the memory functions copy or fill, at 4 KiB\n";
    let calls = counts(&printed_by(project, MEMORY_FUNCTIONS)?)?;
    for function in rounds(&calls)? {
        let name = &function.name;
        let (budget, byte) = (byte_budget(&budgets["byte"], name)?, a_byte(&function)?);
        writeln!(table, "{name:>20} {byte:>8.3} of {budget}")?;
        over.extend(over_byte_budget(name, byte, budget));
    }
    Ok((table, over))
}

/// What a memory function takes for each byte, in instructions.
fn a_byte(function: &Round) -> Result<f64> {
    let length = function.length.filter(|length| *length > 0);
    let length = length.with_context(|| format!("{} has no length", function.name))?;
    Ok(function.instructions / length as f64)
}

fn byte_budget(budgets: &serde_json::Value, name: &str) -> Result<f64> {
    let budget = budgets[name].as_f64();
    budget.with_context(|| {
        format!("there is no budget for {name} in [package.metadata.instructions.byte]")
    })
}

fn over_byte_budget(name: &str, byte: f64, budget: f64) -> Option<String> {
    let text = format!("{name}: {byte:.3} instructions a byte, the budget is {budget}");
    (byte > budget).then_some(text)
}

/// What round trips and streams cost in the shipped build.
pub(crate) fn shipped(project: &Project) -> Result<(Vec<Round>, Vec<Stream>)> {
    install::qemu(&install::ARM)?;
    let rounds = rounds(&counts(&printed_by(project, PROGRAM)?)?)?;
    let (messages, round_trips): (Vec<_>, Vec<_>) =
        rounds.into_iter().partition(|round| round.length.is_some());
    Ok((round_trips, streams(&messages)?))
}

/// The round trips through mctp-estack, built as ours (`s`) and at other levels: of each the level
/// that is best for it.
pub(crate) fn estack(project: &Project) -> Result<Vec<(Round, &'static str)>> {
    let mut best = Vec::<(Round, &str)>::new();
    for level in ["z", "s", "3"] {
        let mut cargo = shipped::build(project, emulate::FOLDER);
        cargo.args(["--bin", PROGRAM, "--features", "mctp-estack"]);
        cargo.envs(ESTACK_CAPACITIES.iter().copied());
        let level_value = level
            .parse::<u8>()
            .map_or(format!("{level:?}"), |number| number.to_string());
        cargo.args([
            "--config",
            &format!("profile.release.opt-level={level_value}"),
        ]);
        output(&mut cargo)?;
        let program = project
            .target_dir
            .join(TARGET)
            .join("release")
            .join(PROGRAM);
        let rounds = rounds(&counts(&printed_until_end(&program, PROGRAM)?)?)?;
        if best.is_empty() {
            best = rounds.into_iter().map(|round| (round, level)).collect();
            continue;
        }
        for (best, round) in best.iter_mut().zip(rounds) {
            if round.instructions < best.0.instructions {
                *best = (round, level);
            }
        }
    }
    Ok(best)
}

/// `[package.metadata.instructions]` of the board.
pub(crate) fn budgets(project: &Project) -> Result<serde_json::Value> {
    let metadata = metadata(&project.root.join(emulate::FOLDER))?;
    let packages = metadata.workspace_packages();
    let package = packages.first().context("the board is one package")?;
    Ok(package.metadata["instructions"].clone())
}

pub(crate) fn budget(budgets: &serde_json::Value, name: &str) -> Result<u64> {
    let budget = budgets[name].as_u64();
    budget.with_context(|| {
        format!("there is no budget for {name} in [package.metadata.instructions]")
    })
}

fn line(stream: &Stream, budget: u64) -> String {
    let Stream {
        name,
        packet,
        further_packet,
        rate,
    } = stream;
    let megabytes = rate / 1e6;
    format!("{name:>20} {packet:>8.0} of {budget:<6} {further_packet:>6.0} {megabytes:>4.0} MB/s")
}

fn over_budget(name: &str, instructions: f64, budget: u64) -> Option<String> {
    let text = format!("{name}: {instructions:.0} instructions, the budget is {budget}");
    (instructions > budget as f64).then_some(text)
}

fn too_slow(stream: &Stream) -> Option<String> {
    let [rate, least] = [stream.rate, LEAST_RATE].map(|rate| rate / 1e6);
    let text = format!("{}: {rate:.1} MB/s, USB leaves {least:.0}", stream.name);
    (stream.rate < LEAST_RATE).then_some(text)
}

/// What a program prints until it ends well.
fn printed_by(project: &Project, name: &str) -> Result<String> {
    printed_until_end(&emulate::build(project, name, &[])?, name)
}

fn printed_until_end(program: &Path, name: &str) -> Result<String> {
    let mut qemu = emulate::counting(program);
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
    let (name, length, rounds, ticks) = match words[..] {
        [name, rounds, ticks] => (name, None, rounds, ticks),
        [name, length, rounds, ticks] => (name, Some(length.parse()?), rounds, ticks),
        _ => bail!("`{line}` is no count"),
    };
    Ok(Count {
        name: name.to_owned(),
        length,
        rounds: rounds.parse()?,
        ticks: ticks.parse()?,
    })
}

/// One round of each kind.
fn rounds(counts: &[Count]) -> Result<Vec<Round>> {
    let round = |pair: &[Count]| match pair {
        [fewer, more]
            if (&fewer.name, fewer.length) == (&more.name, more.length)
                && fewer.rounds < more.rounds =>
        {
            let ticks = more.ticks.saturating_sub(fewer.ticks) as f64;
            let rounds = (more.rounds - fewer.rounds) as f64;
            Ok(Round {
                name: fewer.name.clone(),
                length: fewer.length,
                instructions: ticks * INSTRUCTIONS_PER_TICK / rounds,
            })
        }
        _ => bail!("{pair:?} are not two counts of one kind of round"),
    };
    if counts.is_empty() {
        bail!("the measuring program has counted nothing");
    }
    counts.chunks(2).map(round).collect()
}

/// Of a shorter and a longer message each.
fn streams(messages: &[Round]) -> Result<Vec<Stream>> {
    if messages.is_empty() {
        bail!("the measuring program has counted no streams");
    }
    messages.chunks(2).map(stream).collect()
}

fn stream(pair: &[Round]) -> Result<Stream> {
    let [shorter, longer] = pair else {
        bail!("{pair:?} are not two messages of one stream");
    };
    let (fewer, more) = (packets(shorter)?, packets(longer)?);
    if shorter.name != longer.name || fewer >= more {
        bail!("{pair:?} are not a shorter and a longer message of one stream");
    }
    let length = longer.length.unwrap_or_default() as f64;
    Ok(Stream {
        name: longer.name.clone(),
        packet: longer.instructions / more,
        further_packet: (longer.instructions - shorter.instructions) / (more - fewer),
        rate: length * CLOCK / longer.instructions,
    })
}

/// How many packets a message has: behind its name's slash are the bytes of payload of a packet.
fn packets(message: &Round) -> Result<f64> {
    let unit = message.name.split_once('/').map(|(_, unit)| unit);
    let unit: u64 = unit.context("a stream's name has no unit")?.parse()?;
    let with_type = message.length.unwrap_or_default() + 1;
    Ok(with_type.div_ceil(unit.max(1)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds_of(printed: &str) -> Result<Vec<Round>> {
        rounds(&counts(printed)?)
    }

    #[test]
    fn one_round_is_what_more_of_them_add() {
        let control = Round {
            name: "control".to_owned(),
            length: None,
            instructions: 1411.0,
        };
        let printed = "control 100 3528\ncontrol 300 10583\n";
        assert_eq!(rounds_of(printed).unwrap(), [control]);
    }

    #[test]
    fn half_a_measurement_is_refused() {
        for printed in [
            "",
            "control 100 3528",
            "control 100 3528\necho 300 10583",
            "control 300 10583\ncontrol 100 3528",
            "send/64 99 100 3528\nsend/64 999 300 10583",
        ] {
            assert!(rounds_of(printed).is_err(), "{printed}");
        }
        assert!(counts("control 100").is_err());
        assert!(counts("send/64 long 100 3528").is_err());
    }

    /// The messages have 8 and 16 packets.
    const STREAM: &str = "send/247 1975 100 200\nsend/247 1975 300 600\n\
        send/247 3951 100 300\nsend/247 3951 300 900\n";

    #[test]
    fn a_stream_is_its_longer_message_and_what_that_costs_more() {
        let stream = &streams(&rounds_of(STREAM).unwrap()).unwrap()[0];
        assert_eq!(stream.name, "send/247");
        assert_eq!(stream.packet, 120.0 / 16.0);
        assert_eq!(stream.further_packet, 40.0 / 8.0);
        assert_eq!(stream.rate, 3951.0 * 600e6 / 120.0);
    }

    #[test]
    fn a_stream_without_its_two_messages_is_refused() {
        let wrong = [
            STREAM.replace("1975", "3951"),
            STREAM.replace("send/247 1975", "send/64 1975"),
            STREAM.replace("/247", ""),
            "control 100 3528\ncontrol 300 10583\n".to_owned(),
        ];
        for printed in wrong {
            let rounds = rounds_of(&printed).unwrap();
            assert!(streams(&rounds).is_err(), "{printed}");
        }
        assert!(streams(&[]).is_err());
    }

    #[test]
    fn a_memory_function_is_judged_by_the_byte() {
        let functions = rounds_of("memset 4096 100 2618\nmemset 4096 300 7852\n").unwrap();
        let byte = a_byte(&functions[0]).unwrap();
        assert_eq!(byte, 5234.0 * 40.0 / 200.0 / 4096.0);
        assert_eq!(over_byte_budget("memset", byte, 0.3), None);
        let told = "memset: 0.301 instructions a byte, the budget is 0.3";
        assert_eq!(
            over_byte_budget("memset", 0.301, 0.3).as_deref(),
            Some(told)
        );
        let without_length = rounds_of("memset 100 2618\nmemset 300 7852\n").unwrap();
        assert!(a_byte(&without_length[0]).is_err());
        assert!(byte_budget(&serde_json::json!({}), "memset").is_err());
    }

    #[test]
    fn a_stream_slower_than_usb_is_told() {
        let mut stream = Stream {
            name: "send/64".to_owned(),
            packet: 900.0,
            further_packet: 890.0,
            rate: 40e6,
        };
        assert_eq!(too_slow(&stream), None);
        stream.rate = 39.9e6;
        let told = "send/64: 39.9 MB/s, USB leaves 40";
        assert_eq!(too_slow(&stream).as_deref(), Some(told));
    }
}
