//! The program as its users start it.

// Each test program uses its part.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};

/// A program that is asked to end does so within a second; a busy machine takes another one.
pub(crate) const SOON: Duration = Duration::from_secs(2);

/// Longer than anything here takes, on a busy machine and in a debug build as well.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtual-device"));
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

pub(crate) async fn output(arguments: &[&str]) -> Output {
    tokio::time::timeout(TIME_LIMIT, program().args(arguments).output())
        .await
        .expect("the program ends")
        .unwrap()
}

/// A running `virtual-device`, and what it says.
pub(crate) struct Running {
    pub(crate) child: Child,
    log: tokio::io::Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// `virtual-device usbredir`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_as("usbredir", arguments)
    }

    pub(crate) fn start_as(subcommand: &str, arguments: &[&str]) -> Self {
        let mut command = program();
        command
            .arg(subcommand)
            .args(arguments)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    /// The next line of the log that has `words` in it.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let search = async {
            loop {
                let line = self.log.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it never said {words:?}"));
                if line.contains(words) {
                    return line;
                }
            }
        };
        tokio::time::timeout(TIME_LIMIT, search)
            .await
            .unwrap_or_else(|_| panic!("no {words:?}"))
    }

    /// The TCP address that it says it listens on.
    pub(crate) async fn address(&mut self) -> String {
        let line = self.says("listening on tcp:").await;
        let address = line.split("tcp:").nth(1).unwrap();
        address.split(';').next().unwrap().to_owned()
    }

    /// Asks it to end, and returns whether it did so as it should, and soon.
    pub(crate) async fn terminate(mut self) -> bool {
        signal(&self.child, rustix::process::Signal::TERM);
        tokio::time::timeout(SOON, self.child.wait())
            .await
            .expect("it ends soon")
            .unwrap()
            .success()
    }
}

/// Sends a signal to a program that runs.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = child.id().expect("it runs") as i32;
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

pub(crate) async fn connect_unix(path: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
