//! Programs that run beside the plan.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// For a program to say something.
const TIME: Duration = Duration::from_secs(30);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// The programs that run, from one command of a plan to the next.
static PROGRAMS: Mutex<Vec<Program>> = Mutex::new(Vec::new());
/// What they have printed, and no command of the plan has waited for.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Program {
    name: String,
    process: Child,
    /// Reads what it prints, until it ends.
    reader: JoinHandle<()>,
}

/// Starts a program and waits for the first line that it prints, which says that it is ready.
pub(crate) fn start(program: &str, arguments: &[String]) -> Result<()> {
    let mut process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let output = process.stdout.take().context("a program without output")?;
    let (says_ready, ready) = channel();
    let reader = thread::spawn(move || follow(output, &says_ready));
    let name = format!("{program} {}", arguments.join(" "));
    lock(&PROGRAMS).push(Program {
        name: name.clone(),
        process,
        reader,
    });
    let said = ready.recv_timeout(TIME);
    said.with_context(|| format!("{name} has printed nothing"))
}

fn follow(output: impl Read, says_ready: &Sender<()>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        println!("    {line}");
        lock(&LINES).push(line);
        // Nobody waits any more after the first one.
        let _ = says_ready.send(());
    }
}

/// Waits until a program prints a line with this in it.
pub(crate) fn expect_line(text: &str) -> Result<()> {
    let deadline = Instant::now() + TIME;
    while !take_line(text) {
        ensure!(
            Instant::now() < deadline,
            "no program has printed a line with `{text}` within {} s",
            TIME.as_secs()
        );
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}

/// Whether there is such a line; it and those before it do not count again.
fn take_line(text: &str) -> bool {
    let mut lines = lock(&LINES);
    let found = lines.iter().position(|line| line.contains(text));
    if let Some(found) = found {
        lines.drain(..=found);
    }
    found.is_some()
}

/// Ends all programs. They have to run still.
pub(crate) fn stop() -> Result<()> {
    let mut programs = lock(&PROGRAMS);
    ensure!(!programs.is_empty(), "no program runs");
    for mut program in programs.drain(..) {
        let end = program.process.try_wait()?;
        let name = &program.name;
        ensure!(end.is_none(), "{name} has ended before it was asked to");
        program.process.kill()?;
        program.process.wait()?;
        // It has no reason to fail.
        let _ = program.reader.join();
    }
    lock(&LINES).clear();
    Ok(())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_waited_for_until_a_program_prints_it_and_counts_once() {
        let script = "echo ready; sleep 0.1; echo first; echo second; exec sleep 60";
        start("sh", &["-c".into(), script.into()]).unwrap();
        expect_line("second").unwrap();
        assert!(!take_line("first") && !take_line("second"));
        stop().unwrap();
        assert_eq!(stop().unwrap_err().to_string(), "no program runs");

        start("sh", &["-c".into(), "echo ready".into()]).unwrap();
        let ended = || lock(&PROGRAMS)[0].process.wait();
        assert!(ended().unwrap().success());
        let error = stop().unwrap_err().to_string();
        assert_eq!(error, "sh -c echo ready has ended before it was asked to");
    }
}
