//! The program as its users start it.
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use mctp::Eid;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use support::block_on;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::process::{Child, ChildStderr, Command};
use virtual_device::connection::{Connection, Connector};
use virtual_device::host::enumeration::enumerate;
use virtual_device::host::guest::Guest;
use virtual_device::host::requester;
use virtual_device::host::transport::{PacketLog, Pipes};

/// Longer than anything here takes, on a busy machine and in a debug build as well.
const TIME_LIMIT: Duration = Duration::from_secs(120);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtual-device"));
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

async fn output(arguments: &[&str]) -> Output {
    tokio::time::timeout(TIME_LIMIT, program().args(arguments).output())
        .await
        .expect("the program ends")
        .unwrap()
}

/// A running `virtual-device usbredir`, and what it says.
struct Running {
    child: Child,
    log: tokio::io::Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = program();
        command
            .arg("usbredir")
            .args(arguments)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    /// The next line of the log that has `words` in it.
    async fn says(&mut self, words: &str) -> String {
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
    async fn address(&mut self) -> String {
        let line = self.says("listening on tcp:").await;
        let address = line.split("tcp:").nth(1).unwrap();
        address.split(';').next().unwrap().to_owned()
    }

    /// Asks it to end, and returns whether it did so as it should.
    async fn terminate(mut self) -> bool {
        let id = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id as i32))
            .unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        tokio::time::timeout(TIME_LIMIT, self.child.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    }
}

/// Enumerates the device, and gets 1000 bytes echoed.
async fn use_device(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
    let guest = Guest::attach(stream).await.unwrap();
    let found = enumerate(&guest).await.unwrap();
    assert_eq!(found.device.serial_number, "0dc120b82b6f");
    let pipes = Pipes::of(&found.configuration.interfaces[0]).unwrap();
    let echo = [&[0x7E, 0xCC, 0xDE, 0xF0], &[0x55; 1000][..]].concat();
    let log = PacketLog::default();
    let response = requester::run(&guest, pipes, 64, &log, async |requester| {
        requester.request(Eid(0), &echo).await
    })
    .await;
    assert_eq!(response.unwrap(), echo);
}

async fn connect_unix(path: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[test]
fn without_arguments_everything_is_checked_and_right() {
    block_on(async {
        let output = output(&[]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(text.lines().last().unwrap().starts_with("All "), "{text}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    });
}

#[test]
fn bad_input_is_one_sentence_and_exit_code_2() {
    block_on(async {
        for arguments in [
            &["--mtu", "64"][..],
            &["--usb", "3"],
            &["--max-message", "0"],
            &["--message-buffers", "4"],
            &["usbredir"],
            &["usbredir", "--listen", "nowhere"],
            &["nonsense"],
            &["--model", "no-such-file.toml"],
            &["usbredir", "--listen", "unix:s", "--model", BAD_MODEL],
        ] {
            let output = output(arguments).await;
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(output.stdout.is_empty());
        }
    });
}

/// TOML, but no model.
const BAD_MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

#[test]
fn a_model_file_decides_what_is_managed() {
    block_on(async {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/hot-single-port.toml");
        let text = String::from_utf8(output(&["--model", model]).await.stdout).unwrap();
        assert!(text.contains("Hot and worn, HOT0000000000001"), "{text}");

        let mut device = Running::start(&["--listen", "tcp:127.0.0.1:0", "--model", model]);
        let stream = TcpStream::connect(device.address().await).await.unwrap();
        let guest = Guest::attach(stream).await.unwrap();
        let found = enumerate(&guest).await.unwrap();
        let pipes = Pipes::of(&found.configuration.interfaces[0]).unwrap();
        // NVM Subsystem Health Status Poll: both warnings, 78 degrees Celsius, 101 % used.
        let request = b"\x84\x08\0\0\x01\0\0\0\0\0\0\0\0\0\0\x80\xaa\xef\x81\xb4";
        let log = PacketLog::default();
        let response = requester::run(&guest, pipes, 64, &log, async |requester| {
            requester.request(Eid(0), request).await.unwrap()
        })
        .await;
        assert_eq!(
            response[..16],
            [
                0x84, 0x88, 0, 0, 0, 0, 0, 0, 0x38, 0xFC, 78, 101, 0, 0, 0, 0
            ]
        );
    });
}

#[test]
fn a_file_that_cannot_be_written_is_one_sentence_and_exit_code_1() {
    block_on(async {
        let output = output(&["--pcap", "/no/such/folder/x.pcap"]).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains("/no/such/folder/x.pcap"), "{text}");
    });
}

#[test]
fn the_capture_of_a_demo_has_every_packet_in_order() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo.pcap");
        assert!(
            output(&["--pcap", path.to_str().unwrap()])
                .await
                .status
                .success()
        );
        let mut reader = PcapReader::new(std::fs::File::open(path).unwrap()).unwrap();
        assert_eq!(reader.header().datalink, DataLink::LINUX_SLL);
        let mut packets = Vec::new();
        while let Some(packet) = reader.next_packet() {
            packets.push(packet.unwrap().data.into_owned());
        }
        // Get and Set Endpoint ID with their answers; the message tag is the host's choice.
        for (packet, (kind, header, message)) in packets.iter().zip([
            (0, [1, 0, 8], &[0x00, 0x80, 0x02][..]),
            (4, [1, 8, 0], &[0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00]),
            (0, [1, 0, 8], &[0x00, 0x81, 0x01, 0x00, 0x09]),
            (4, [1, 8, 0], &[0x00, 0x01, 0x01, 0x00, 0x00, 0x09, 0x00]),
        ]) {
            assert_eq!(
                packet[..16],
                [0, kind, 1, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFA]
            );
            assert_eq!(packet[16..19], header);
            assert_eq!(packet[20..], *message);
        }
        assert!(packets.len() > 250, "{}", packets.len());
    });
}

#[test]
fn a_unix_socket_serves_one_guest_after_the_other_and_leaves_no_file() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (socket, capture) = (directory.path().join("s"), directory.path().join("pcap"));
        let address = format!("unix:{}", socket.display());
        let mut device =
            Running::start(&["--listen", &address, "--pcap", capture.to_str().unwrap()]);
        let line = device.says("listening on unix:").await;
        assert!(line.contains("-device usb-redir,chardev="), "{line}");
        for _ in 0..3 {
            use_device(connect_unix(&socket).await).await;
            device.says("disconnected").await;
        }
        let second = output(&["usbredir", "--listen", &address]).await;
        assert_eq!(second.status.code(), Some(1));
        assert!(
            String::from_utf8(second.stderr)
                .unwrap()
                .contains("another program listens")
        );

        let mut reader = PcapReader::new(std::fs::File::open(&capture).unwrap()).unwrap();
        let mut count = 0;
        while let Some(packet) = reader.next_packet() {
            assert!(packet.unwrap().data.len() > 16 + 4);
            count += 1;
        }
        assert_eq!(
            count,
            3 * 2 * 1004_usize.div_ceil(64),
            "while the program still runs"
        );
        assert!(device.terminate().await);
        assert!(!socket.exists());
    });
}

#[test]
fn a_killed_program_does_not_block_its_socket_file() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        let mut first = Running::start(&["--listen", &address]);
        first.says("listening").await;
        first.child.kill().await.unwrap();
        assert!(socket.exists());
        let mut second = Running::start(&["--listen", &address]);
        second.says("listening").await;
        use_device(connect_unix(&socket).await).await;
        assert!(second.terminate().await);
    });
}

#[test]
fn a_tcp_port_serves_one_guest_after_the_other() {
    block_on(async {
        let mut device = Running::start(&["--listen", "tcp:127.0.0.1:0"]);
        let address = device.address().await;
        for _ in 0..2 {
            use_device(TcpStream::connect(&address).await.unwrap()).await;
        }
        assert!(device.terminate().await);
    });
}

#[test]
fn a_client_connects_when_the_guest_is_there_and_again_when_it_comes_back() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let mut device = Running::start(&["--connect", &format!("unix:{}", socket.display())]);
        device.says("does not answer yet").await;
        for _ in 0..2 {
            let listener = UnixListener::bind(&socket).unwrap();
            use_device(listener.accept().await.unwrap().0).await;
            std::fs::remove_file(&socket).unwrap();
        }
        device.says("does not answer yet").await;
        assert!(device.terminate().await);
    });
}

#[test]
fn a_pseudo_terminal_serves_one_guest_after_the_other_and_leaves_no_link() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tty");
        let mut device = Running::start(&["--pty", path.to_str().unwrap()]);
        for _ in 0..2 {
            let line = device.says("waiting at").await;
            assert!(line.contains("-chardev serial,id=mctp,path="), "{line}");
            let mut guest = Connector::open(&Connection::Pty(path.clone()))
                .await
                .unwrap();
            use_device(guest.next().await.unwrap()).await;
        }
        device.says("waiting at").await;
        assert!(device.terminate().await);
        assert!(std::fs::symlink_metadata(&path).is_err());
    });
}

#[test]
fn a_peer_that_does_not_speak_usbredir_is_sent_away_and_the_next_one_served() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let mut device = Running::start(&["--listen", &format!("unix:{}", socket.display())]);
        device.says("listening").await;
        let mut stranger = connect_unix(&socket).await;
        tokio::io::AsyncWriteExt::write_all(&mut stranger, &[0xFF; 200])
            .await
            .unwrap();
        device.says("does not speak the usbredir protocol").await;
        use_device(connect_unix(&socket).await).await;
        assert!(device.terminate().await);
    });
}
