//! Steps that run the whole device: in one process, and behind a Linux kernel.

use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::install;
use crate::process::{output, output_with_input};
use crate::project::Project;

/// The README's second command: it fails unless every answer that the in-process host gets is
/// right.
pub(super) fn demo(project: &Project) -> Result<String> {
    let mut cargo = project.cargo(".");
    cargo.args([
        "run",
        "--locked",
        "--release",
        "--quiet",
        "--package",
        "virtual-device",
    ]);
    last_line(&output(&mut cargo)?)
}

/// How many demos run at once, and beside how many busy processes.
const DEMOS: usize = 64;
const BUSY_PROCESSES: usize = 8;
/// Seconds in which every one of them has to end. They take about one on two cores of their own.
const DEMO_TIME: &str = "1200";

/// A process that is hardly ever scheduled must not give up on a peer that works.
pub(super) fn demos(project: &Project) -> Result<String> {
    demo(project)?;
    let program = project.target_dir.join("release/virtual-device");
    let _busy = (0..BUSY_PROCESSES)
        .map(|_| Busy::start())
        .collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let start = || {
            scope.spawn(|| {
                let mut demo = Command::new("timeout");
                demo.args([DEMO_TIME, "nice", "-n", "10"]).arg(&program);
                output(&mut demo)
            })
        };
        let demos: Vec<_> = (0..DEMOS).map(|_| start()).collect();
        for demo in demos {
            demo.join().map_err(|_| anyhow!("a demo was not run"))??;
        }
        Ok(format!(
            "{DEMOS} demos beside {BUSY_PROCESSES} busy processes"
        ))
    })
}

/// A process that takes all the time it gets, until this is dropped, or the process that started it
/// is killed.
struct Busy(Child);

impl Busy {
    fn start() -> Result<Self> {
        let child = Command::new("sh")
            .args(["-c", "while kill -0 $PPID 2>/dev/null; do :; done"])
            .spawn();
        Ok(Self(child.context("cannot start a shell")?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // It may have been ended by others.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In a process of its own, so that what it prints is seen only when it fails.
pub(super) fn guest(project: &Project) -> Result<String> {
    let mut guest = Command::new(std::env::current_exe()?);
    guest.arg("guest").args(install::option());
    last_line(&output(guest.current_dir(&project.root))?)
}

/// Seconds for a guest of `cargo xtask login`, which takes about ten on two idle cores, beside what
/// has to be built for it.
const LOGIN_TIME: &str = "1200";

/// What a newcomer would type in the guests of `cargo xtask login`, piped into it.
pub(super) fn login(project: &Project) -> Result<String> {
    let echo = "linux-requester echo 9 --size 4096";
    let second = "virtual-device usbip --log warn & sleep 1; usbip attach -r 127.0.0.1 -b 1-1 && sleep 2 && \
                  linux-requester setup mctpusb1 --eid 10 --wait 3000 && linux-requester echo 10";
    let commands = format!("nvme id-ctrl mctp:1,9 && {echo} || exit 1\n{second}; exit $?\n");
    let pc = log_in(project, &[], &commands)?;
    ensure!(
        pc.contains("Reference NVM subsystem") && pc.matches("every byte right").count() == 2,
        "nvme-cli and the echoes of two devices printed\n{pc}"
    );
    let bmc = log_in(project, &["--bmc"], &format!("uname -m; {echo}"))?;
    ensure!(
        bmc.starts_with("armv7l") && bmc.contains("every byte right"),
        "the BMC printed\n{bmc}"
    );
    Ok("nvme-cli, echoes and a second device answer in a PC and a BMC".to_owned())
}

fn log_in(project: &Project, options: &[&str], commands: &str) -> Result<String> {
    let mut login = Command::new("timeout");
    login
        .arg(LOGIN_TIME)
        .arg(std::env::current_exe()?)
        .arg("login")
        .args(install::option())
        .args(options)
        .current_dir(&project.root);
    output_with_input(&mut login, commands)
}

fn last_line(text: &str) -> Result<String> {
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    Ok(line.context("it printed nothing")?.trim().to_owned())
}
