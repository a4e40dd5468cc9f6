//! Files that the device must not wait for: a capture or a log that nobody reads, and peers that say
//! nothing.
#![cfg(unix)]

#[path = "support/program.rs"]
mod program;

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mctp_serial::FrameCheckSequence;
use mctp_serial::framing::Encoder;
use pcap_file::pcap::PcapReader;
use program::{Running, SOON, TIME_LIMIT, connect_unix, program, signal};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::OpenptFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Get Endpoint ID, and an answer of any device with the packet header before it.
const REQUEST: [u8; 7] = [0x01, 0, 8, 0xC9, 0x00, 0x80, 0x02];
const RESPONSE: [u8; 6] = [0x01, 8, 0, 0xC1, 0x00, 0x00];

/// More packets than a queue and a pipe hold.
const FLOOD: usize = 12_000;

fn block_on(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(TIME_LIMIT, test).await.unwrap() });
}

/// A folder with a FIFO in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn fifo(&self) -> PathBuf {
        let path = self.path("fifo");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
        path
    }

    fn address(&self) -> String {
        format!("unix:{}", self.path("s").display())
    }
}

/// Opened without waiting for a writer; reads wait.
fn open_to_read(fifo: &Path) -> File {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(fifo, flags, Mode::empty()).unwrap();
    rustix::fs::fcntl_setfl(&file, OFlags::RDONLY).unwrap();
    file.into()
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(FrameCheckSequence::Raw);
    encoder.begin(packet).unwrap().collect()
}

/// Sends so many packets that are for another device, which a capture has as well.
async fn flood(stream: &mut UnixStream) {
    let packet = [&[0x01, 99, 8, 0xC9][..], &[0x55; 60]].concat();
    let frames = frame(&packet).repeat(FLOOD);
    stream.write_all(&frames).await.unwrap();
}

/// The device answers a request.
async fn is_served(stream: &mut UnixStream) {
    stream.write_all(&frame(&REQUEST)).await.unwrap();
    let mut read = Vec::new();
    while !read.windows(RESPONSE.len()).any(|bytes| bytes == RESPONSE) {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "it is there");
    }
}

/// Every packet that a capture has, all of them whole.
fn packets(file: impl Read) -> usize {
    let mut reader = PcapReader::new(file).unwrap();
    let mut count = 0;
    while let Some(packet) = reader.next_packet() {
        packet.unwrap();
        count += 1;
    }
    count
}

#[test]
fn a_fifo_that_nobody_opens_stops_nothing() {
    block_on(async {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let arguments = [
            "--listen",
            &folder.address(),
            "--pcap",
            fifo.to_str().unwrap(),
        ];
        let mut device = Running::start_as("serial", &arguments);
        device.says("the capture begins when").await;
        device.says("listening").await;
        let mut host = connect_unix(&folder.path("s")).await;
        is_served(&mut host).await;
        signal(&device.child, Signal::TERM);
        device.says("the capture lacks 2 packets").await;
        assert!(device.child.wait().await.unwrap().success());
    });
}

#[test]
fn a_demo_does_not_wait_for_a_fifo_that_nobody_opens() {
    block_on(async {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let output = program::output(&["--pcap", fifo.to_str().unwrap()]).await;
        assert!(output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("WARN  the capture lacks "), "{said}");
    });
}

#[test]
fn a_fifo_that_is_opened_late_has_the_capture_from_its_beginning() {
    block_on(async {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let arguments = [
            "--listen",
            &folder.address(),
            "--pcap",
            fifo.to_str().unwrap(),
        ];
        let device = Running::start_as("serial", &arguments);
        let mut host = connect_unix(&folder.path("s")).await;
        is_served(&mut host).await;
        let reader = tokio::task::spawn_blocking(move || packets(File::open(fifo).unwrap()));
        is_served(&mut host).await;
        assert!(device.terminate().await);
        assert_eq!(reader.await.unwrap(), 4);
    });
}

#[test]
fn a_fifo_that_is_not_read_loses_packets_that_are_counted_and_stops_nothing() {
    block_on(async {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let reader = open_to_read(&fifo);
        let arguments = [
            "--listen",
            &folder.address(),
            "--pcap",
            fifo.to_str().unwrap(),
        ];
        let mut device = Running::start_as("serial", &arguments);
        let mut host = connect_unix(&folder.path("s")).await;
        flood(&mut host).await;
        device.says("the capture lacks some from here on").await;
        is_served(&mut host).await;
        signal(&device.child, Signal::TERM);
        let start = Instant::now();
        let line = device.says("the capture lacks ").await;
        let (_, rest) = line.split_once("lacks ").unwrap();
        let lacks: usize = rest.split(' ').next().unwrap().parse().unwrap();
        assert!(device.child.wait().await.unwrap().success());
        assert!(start.elapsed() < SOON);
        // What a pipe holds may end within a packet: nobody was there to read the rest.
        let mut reader = PcapReader::new(reader).unwrap();
        let mut read = 0;
        while let Some(Ok(_)) = reader.next_packet() {
            read += 1;
        }
        assert_eq!(read + lacks, FLOOD + 2);
    });
}

#[test]
fn a_fifo_whose_reader_is_gone_ends_the_capture_and_stops_nothing() {
    block_on(async {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let reader = open_to_read(&fifo);
        let arguments = [
            "--listen",
            &folder.address(),
            "--pcap",
            fifo.to_str().unwrap(),
        ];
        let mut device = Running::start_as("serial", &arguments);
        let mut host = connect_unix(&folder.path("s")).await;
        is_served(&mut host).await;
        drop(reader);
        let serving = async {
            loop {
                is_served(&mut host).await;
            }
        };
        tokio::select! {
            () = serving => {}
            _ = device.says("the capture ends here: Broken pipe") => {}
        }
        is_served(&mut connect_again(host, &folder).await).await;
        assert!(device.terminate().await);
    });
}

/// A request may be on its way half.
async fn connect_again(host: UnixStream, folder: &Folder) -> UnixStream {
    drop(host);
    connect_unix(&folder.path("s")).await
}

#[test]
fn a_standard_error_that_is_not_read_loses_lines_that_are_counted_and_stops_nothing() {
    block_on(async {
        let folder = Folder::new();
        let mut command = program();
        command.args(["serial", "--listen", &folder.address(), "--log", "trace"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut host = connect_unix(&folder.path("s")).await;
        flood(&mut host).await;
        is_served(&mut host).await;
        // From now on it is read.
        let mut stderr = child.stderr.take().unwrap();
        let text = async {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.unwrap();
            text
        };
        let end = async {
            is_served(&mut host).await;
            signal(&child, Signal::TERM);
            child.wait().await.unwrap()
        };
        let (text, status) = tokio::join!(text, end);
        assert!(status.success());
        assert!(text.contains(" lines of the log are left out: nobody read standard error\n"));
    });
}

#[test]
fn a_signal_ends_every_way_to_attach_soon_with_everything_stuck() {
    block_on(async {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let path = |name: &str| folder.path(name).display().to_string();
        let unix = |name: &str| format!("unix:{}", path(name));
        let lines = [
            ["usbredir", "--listen", &unix("a")],
            ["usbredir", "--listen", "tcp:127.0.0.1:0"],
            ["usbredir", "--connect", &unix("nobody")],
            ["usbredir", "--pty", &path("b")],
            ["usbip", "--listen", "127.0.0.1:0"],
            ["serial", "--listen", &unix("c")],
            ["serial", "--connect", &unix("nobody")],
            ["serial", "--pty", &path("d")],
            ["i2c", "--listen", &unix("e")],
            ["i2c", "--pty", &path("f")],
        ];
        for line in lines {
            for kill in [Signal::TERM, Signal::INT] {
                let mut command = program();
                command.args(line).arg("--pcap").arg(&fifo);
                let stuck = full_pipe();
                let mut child = command.stderr(stuck.1).spawn().unwrap();
                // As long as the handlers of the signals are not there, it ends by the signal itself.
                tokio::time::sleep(Duration::from_millis(300)).await;
                signal(&child, kill);
                let ended = tokio::time::timeout(SOON, child.wait()).await;
                let status = ended.unwrap_or_else(|_| panic!("{line:?} does not end"));
                assert!(status.unwrap().success(), "{line:?}");
                drop(stuck.0);
            }
        }
    });
}

#[test]
fn a_signal_ends_a_demo_whose_screen_is_stuck() {
    block_on(async {
        for kill in [Signal::TERM, Signal::INT] {
            let stuck = full_pipe();
            let mut child = program().stdout(stuck.1).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(child.try_wait().unwrap().is_none(), "it waits");
            signal(&child, kill);
            let status = tokio::time::timeout(SOON, child.wait()).await.unwrap();
            assert_eq!(status.unwrap().signal(), Some(kill.as_raw()));
            drop(stuck.0);
        }
    });
}

/// A pipe that has no room, and that nobody reads.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, OFlags::WRONLY | OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'\n'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, OFlags::WRONLY).unwrap();
    (reader, writer)
}

/// A pipe whose reader is gone.
fn broken_pipe() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

#[test]
fn a_broken_standard_output_ends_the_program_quietly() {
    block_on(async {
        for (arguments, code) in [(&[][..], 141), (&["--help"], 0), (&["help", "usbip"], 0)] {
            let mut command = program();
            command.args(arguments).stdout(broken_pipe());
            let child = command.stderr(Stdio::piped()).spawn().unwrap();
            let output = child.wait_with_output().await.unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        }
    });
}

#[test]
fn a_broken_standard_error_changes_no_exit_code() {
    block_on(async {
        let missing = ["--pcap", "/no/such/folder/x.pcap"];
        for (arguments, code) in [
            (&["--mtu", "1"][..], 2),
            (&missing, 1),
            (&["--log", "trace"], 0),
        ] {
            let mut command = program();
            command.args(arguments).stderr(broken_pipe());
            let status = command.stdout(Stdio::null()).status().await.unwrap();
            assert_eq!(status.code(), Some(code), "{arguments:?}");
        }
        let folder = Folder::new();
        let mut command = program();
        command.args(["serial", "--listen", &folder.address()]);
        let mut child = command.stderr(broken_pipe()).spawn().unwrap();
        is_served(&mut connect_unix(&folder.path("s")).await).await;
        signal(&child, Signal::TERM);
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn a_capture_is_not_written_to_a_terminal() {
    block_on(async {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&controller).unwrap();
        rustix::pty::unlockpt(&controller).unwrap();
        let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        let mut command = program();
        command.args(["usbip", "--pcap", "-"]).stdout(terminal);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "virtual-device: --pcap - writes no capture to a terminal; pipe it to a program, as in | wireshark -k -i -\nFor the options: virtual-device usbip --help\n"
        );
    });
}

#[test]
fn a_peer_that_says_nothing_does_not_keep_others_away() {
    block_on(async {
        let folder = Folder::new();
        let connect = async |name: &str| connect_unix(&folder.path(name)).await;
        let listen = |command, name| {
            let address = format!("unix:{}", folder.path(name).display());
            Running::start_as(command, &["--listen", &address, "--log", "debug"])
        };
        let (mut usb, mut serial) = (listen("usbredir", "u"), listen("serial", "s"));
        let mut i2c = listen("i2c", "i");
        // Nothing, and the beginning of a hello.
        let mut silent = connect("u").await;
        let mut beginning = connect("u").await;
        let header = [0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0];
        beginning.write_all(&header).await.unwrap();
        let mut on_line = connect("s").await;
        let mut on_bus = connect("i").await;
        let start = Instant::now();
        let mut next = connect("s").await;
        let mut next_on_bus = connect("i").await;
        is_served(&mut next).await;
        assert!(
            start.elapsed() >= Duration::from_secs(9),
            "it had some time"
        );
        serial.says("gives way to the next").await;
        assert!(on_line.read_to_end(&mut Vec::new()).await.is_ok());
        i2c.says("gives way to the next").await;
        assert!(on_bus.read_to_end(&mut Vec::new()).await.is_ok());
        let request = b"\x0C\0\x3A\x0F\x08\x21\x01\x00\x08\xC8\x00\x80\x02\x56";
        next_on_bus.write_all(request).await.unwrap();
        assert_eq!(next_on_bus.read_u8().await.unwrap(), 16);
        usb.says("said no hello for 10 s").await;
        assert!(silent.read_to_end(&mut Vec::new()).await.is_ok());
        usb.says("said no hello for 10 s").await;
        assert!(beginning.read_to_end(&mut Vec::new()).await.is_ok());
        // One that has said something keeps its place, however long it says nothing then.
        let mut waiting = connect("s").await;
        let request = waiting.write_all(&frame(&REQUEST)).await;
        request.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(12), waiting.read_u8()).await;
        assert!(answer.is_err(), "it has to wait");
        is_served(&mut next).await;
        drop(next);
        assert!(waiting.read_u8().await.is_ok());
    });
}
