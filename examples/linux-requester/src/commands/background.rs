//! In a test guest: programs that run beside the plan.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// For a program to say that it is ready.
const TIME: Duration = Duration::from_secs(30);

/// The programs that run, from one command of a plan to the next.
static PROGRAMS: Mutex<Vec<(String, Child)>> = Mutex::new(Vec::new());

/// Starts a program and waits for the first line that it prints, which says that it is ready.
pub(super) fn start(program: &str, arguments: &[String]) -> Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let output = child.stdout.take().context("a program without output")?;
    let (says_ready, ready) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("    {line}");
            // Nobody waits any more after the first line.
            let _ = says_ready.send(());
        }
    });
    let name = format!("{program} {}", arguments.join(" "));
    let is_ready = ready.recv_timeout(TIME).is_ok();
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    programs.push((name.clone(), child));
    ensure!(is_ready, "{name} is not ready");
    Ok(())
}

/// Ends all of them. They have to run still.
pub(super) fn stop() -> Result<()> {
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(!programs.is_empty(), "no program runs");
    for (name, mut child) in programs.drain(..) {
        let end = child.try_wait()?;
        ensure!(end.is_none(), "{name} has ended before it was asked to");
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}
