//! One QEMU and one virtual device, from start to verdict. Every wait has an end.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::computer;
use super::device::{Devices, Files};
use super::kernel::Kernel;
use super::scenario::{Listener, Scenario, Wire};
use crate::process::output;

/// A guest that prints nothing for this long hangs.
const SILENCE: Duration = Duration::from_secs(60);
/// A guest that prints for ever is stopped.
const LONGEST_RUN: Duration = Duration::from_secs(1200);
const SOCKET_TIME: Duration = Duration::from_secs(10);
const END_TIME: Duration = Duration::from_secs(20);
const LOG_TIME: Duration = Duration::from_secs(2);
/// What makes Linux 7.2 and 7.3 lose track of frames for good, each in place of a frame; first
/// nothing.
const FAULTS: [&[u8]; 5] = [
    &[],
    // One flag too many.
    &[0x7E],
    // A frame that ends within its packet.
    &[0x7E, 0x01, 0x10, 0x01, 0x08, 0x09],
    // Another revision.
    &[
        0x7E, 0x02, 0x05, 0x01, 0x08, 0x09, 0xC0, 0x00, 0x00, 0x00, 0x7E,
    ],
    // A byte count that Linux has no room for.
    &[0x7E, 0x01, 0x50],
];
/// Lines of the guest's first process that are for us.
const MARK: &str = "@guest ";

/// What to run.
pub(super) struct Setup<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) kernel: &'a Kernel,
    pub(super) initramfs: &'a Path,
    pub(super) devices: &'a Devices,
    /// For the socket, the captures and the logs.
    pub(super) folder: &'a Path,
    /// Where QEMU captures the USB transfers, if it is to.
    pub(super) usb_capture: Option<&'a Path>,
    /// Whether the guest's console is this terminal, for a person who switches the guest off.
    pub(super) interactive: bool,
}

/// How it went.
pub(super) struct Outcome {
    pub(super) result: Result<()>,
    /// What the guest printed, then what the device logged.
    pub(super) log: String,
    /// One capture for each start of a device that captures.
    pub(super) captures: Vec<PathBuf>,
}

/// Ends the program when it goes out of scope, so that no failure leaves one behind.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Stops the process, lets it go on after that time, and tells its guest so.
    fn stop_for(&mut self, time: Duration) -> Result<()> {
        let process = self.0.id().to_string();
        let signal = |name: &str| output(Command::new("kill").args([name, process.as_str()]));
        signal("-STOP")?;
        thread::sleep(time);
        signal("-CONT")?;
        self.tell("was stopped")
    }

    /// Tells the guest something.
    fn tell(&self, text: &str) -> Result<()> {
        let mut console = self.0.stdin.as_ref().context("no console to write to")?;
        Ok(writeln!(console, "{text}")?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the scenario. An error is a failure to start; what the guest makes of it is in the outcome.
pub(super) fn run(setup: &Setup<'_>) -> Result<Outcome> {
    // A socket's path may have about a hundred characters, which a build folder can exceed.
    let socket_folder = tempfile::tempdir().context("cannot make a folder for the socket")?;
    let mut machine = Machine {
        setup,
        socket: socket_folder.path().join("link"),
        device: None,
        starts: Vec::new(),
        guest_log: String::new(),
    };
    let result = machine.run();
    machine.device = None;
    let log = machine.log();
    std::fs::write(setup.folder.join("guest.log"), &machine.guest_log)?;
    Ok(Outcome {
        result,
        log,
        captures: machine
            .starts
            .into_iter()
            .filter_map(|files| files.capture)
            .collect(),
    })
}

struct Machine<'a> {
    setup: &'a Setup<'a>,
    socket: PathBuf,
    device: Option<Running>,
    /// The files of each start of the device.
    starts: Vec<Files>,
    guest_log: String,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<()> {
        let scenario = self.setup.scenario;
        let device_first = scenario.listener == Listener::Device;
        let device_later = !device_first && scenario.wire != Wire::Usbip;
        let (computers, boots_of_each) = self.setup.scenario.computers_and_boots_of_each();
        if device_first {
            self.start_device()?;
        }
        for _ in 0..computers {
            let mut qemu = self.start_qemu()?;
            if device_later {
                self.start_device()?;
            }
            if self.setup.interactive {
                qemu.0.wait()?;
                return Ok(());
            }
            let lines = lines_of(&mut qemu.0)?;
            for _ in 0..boots_of_each {
                self.follow(&lines, &mut qemu)?;
            }
        }
        // A device in the guest has its log there.
        if scenario.serial_log && scenario.wire != Wire::Usbip {
            self.check_whole_log()?;
        }
        Ok(())
    }

    /// Whatever becomes of the log on the serial port, the device's own has everything: there are
    /// as many packets in it each way, as every echo and control request is answered in as many
    /// packets as it had.
    fn check_whole_log(&self) -> Result<()> {
        let files = self.starts.last().context("no device was started")?;
        let log = std::fs::read_to_string(&files.log)?;
        let count = |text| log.lines().filter(|line| line.contains(text)).count();
        let (received, sent) = (count("TRACE Received "), count("TRACE Sent "));
        if received == 0 || received != sent {
            bail!("the device has logged {received} packets received and {sent} sent");
        }
        Ok(())
    }

    /// Reads the guest's output until its verdict.
    fn follow(&mut self, lines: &Receiver<String>, qemu: &mut Running) -> Result<()> {
        let deadline = Instant::now() + LONGEST_RUN;
        while Instant::now() < deadline {
            let line = match lines.recv_timeout(SILENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the guest printed nothing for {} s", SILENCE.as_secs());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("QEMU ended before the guest's plan did")
                }
            };
            self.guest_log.push_str(&line);
            self.guest_log.push('\n');
            let Some((_, message)) = line.split_once(MARK) else {
                continue;
            };
            match message.split_once(": ") {
                None if message == "pass" => return Ok(()),
                Some(("fail", reason)) => return Err(anyhow!("in the guest: {reason}")),
                Some(("log", text)) => self.expect_device_log(text)?,
                Some(("ask", "restart-device")) => self.restart_device()?,
                Some(("ask", "replace-device")) => {
                    self.restart_device()?;
                    qemu.tell("the device was replaced")?;
                }
                Some(("ask", "await-end")) => self.await_end()?,
                Some(("ask", request)) if request.starts_with("garble ") => {
                    let fault = request.trim_start_matches("garble ").parse::<usize>()?;
                    self.garble(FAULTS.get(fault).context("there is no such fault")?)?;
                }
                Some(("ask", request)) if request.starts_with("stop ") => {
                    let time = request.trim_start_matches("stop ").parse()?;
                    qemu.stop_for(Duration::from_millis(time))?;
                }
                _ => bail!("the guest said `{message}`, which means nothing here"),
            }
        }
        bail!("the guest was not ready after {} s", LONGEST_RUN.as_secs())
    }

    fn start_qemu(&self) -> Result<Running> {
        let Setup {
            scenario,
            kernel,
            initramfs,
            folder,
            usb_capture,
            interactive,
            ..
        } = self.setup;
        let [input, output] = match interactive {
            true => [Stdio::inherit(), Stdio::inherit()],
            false => [Stdio::piped(), Stdio::piped()],
        };
        let mut command = computer::command(
            scenario,
            kernel,
            initramfs,
            &self.socket,
            *usb_capture,
            *interactive,
        );
        command
            .stdin(input)
            .stdout(output)
            .stderr(File::create(folder.join("qemu.log"))?);
        Ok(Running(command.spawn().with_context(|| {
            format!("cannot start QEMU for {}", scenario.computer.name())
        })?))
    }

    fn start_device(&mut self) -> Result<()> {
        let Setup {
            scenario,
            devices,
            folder,
            ..
        } = self.setup;
        match scenario.listener {
            Listener::Qemu => self.wait_for_socket()?,
            // The socket of a device that was killed is still there.
            Listener::Device => drop(std::fs::remove_file(&self.socket)),
        }
        let files = Files::new(folder, self.starts.len() + 1, scenario.board);
        let mut command = devices.command(scenario, &self.socket, &files)?;
        let child = command.spawn().context("cannot start the device")?;
        self.device = Some(Running(child));
        self.starts.push(files);
        if scenario.listener == Listener::Device {
            self.wait_for_socket()?;
        }
        Ok(())
    }

    /// The guest receives these bytes, and then there is another device.
    fn garble(&mut self, bytes: &[u8]) -> Result<()> {
        self.device = None;
        let mut stream = connect(&self.socket)?;
        stream.write_all(bytes)?;
        // QEMU drops what it has not read when its peer hangs up.
        thread::sleep(Duration::from_millis(200));
        drop(stream);
        self.start_device()
    }

    fn restart_device(&mut self) -> Result<()> {
        self.device = None;
        self.start_device()
    }

    /// The device has to end by itself, and to say why.
    fn await_end(&mut self) -> Result<()> {
        let end = self.setup.scenario.end.context("no end is planned")?;
        let (code, words) = end.signs();
        let device = self.device.as_mut().context("no device was started")?;
        let deadline = Instant::now() + END_TIME;
        let status = loop {
            if let Some(status) = device.0.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("the device has not ended within {} s", END_TIME.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        };
        if status.code() != Some(code) {
            bail!("the device ended with {status} instead of {code}");
        }
        self.expect_device_log(words)?;
        self.start_device()
    }

    /// The device logs what it does before it answers; the line may still be on its way.
    fn expect_device_log(&self, text: &str) -> Result<()> {
        let files = self.starts.last().context("no device was started")?;
        let deadline = Instant::now() + LOG_TIME;
        while !std::fs::read_to_string(&files.log)?
            .lines()
            .any(|line| line.contains(text))
        {
            if Instant::now() > deadline {
                bail!("the device has not logged `{text}`");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn wait_for_socket(&self) -> Result<()> {
        let deadline = Instant::now() + SOCKET_TIME;
        while !self.socket.exists() {
            if Instant::now() > deadline {
                bail!(
                    "nobody listened on the usbredir socket within {} s",
                    SOCKET_TIME.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Everything that may say why a scenario failed.
    fn log(&self) -> String {
        let mut log = format!("--- guest\n{}", self.guest_log);
        let mut files = vec![self.setup.folder.join("qemu.log")];
        for start in &self.starts {
            files.extend([start.log.clone(), start.output.clone()]);
        }
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let name = file.file_name().unwrap_or_default().display();
            log.push_str(&format!("--- {name}\n{text}"));
        }
        log
    }
}

/// QEMU takes one peer at a time, and may not have noticed yet that the one before is gone.
fn connect(socket: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + SOCKET_TIME;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("QEMU takes no connection");
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The lines that a program prints, so that waiting for one can have an end.
pub(super) fn lines_of(program: &mut Child) -> Result<Receiver<String>> {
    let stdout = program
        .stdout
        .take()
        .context("QEMU has no standard output")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // A terminal's output need not be UTF-8, and ends its lines with a carriage return too.
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
