//! The program as its users start it.
#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
mod support;

use std::time::Duration;

use mctp::Eid;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use program::{Running, TIME_LIMIT, connect_unix, output};
use support::block_on;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use virtual_device::connection::{Connection, Connector, Plug};
use virtual_host::enumeration::enumerate;
use virtual_host::guest::Guest;
use virtual_host::requester;
use virtual_host::transport::{PacketLog, Pipes};

/// Enumerates the device, and gets 1000 bytes echoed.
async fn use_device(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
    let guest = Guest::attach(stream).await.unwrap();
    let found = enumerate(&guest).await.unwrap();
    let serial_number = found.device.serial_number;
    let is_hexadecimal = serial_number.bytes().all(|digit| digit.is_ascii_hexdigit());
    assert!(
        serial_number.len() == 12 && is_hexadecimal,
        "{serial_number}"
    );
    let pipes = Pipes::of(&found.configuration.interfaces[0]).unwrap();
    let echo = [&[0x7E, 0xCC, 0xDE, 0xF0], &[0x55; 1000][..]].concat();
    let log = PacketLog::default();
    let response = requester::run(&guest, pipes, 64, &log, async |requester| {
        requester.request(Eid(0), &echo).await
    })
    .await;
    assert_eq!(response.unwrap(), echo);
}

/// The packets of a capture.
fn captured(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(bytes).unwrap();
    assert_eq!(reader.header().datalink, DataLink::LINUX_SLL);
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        packets.push(packet.unwrap().data.into_owned());
    }
    packets
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
fn a_model_file_decides_what_is_managed() {
    block_on(async {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/hot-single-port.toml");
        let text =
            String::from_utf8(output(&["--verbose", "--model", model]).await.stdout).unwrap();
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
        let packets = captured(&std::fs::read(path).unwrap());
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
fn streams_of_the_benchmark_are_captured_and_traced_only_if_asked_for() {
    /// The first packet of a message of a stream: its type, and the prefix of data messages.
    fn is_of_stream(packet: &[u8]) -> bool {
        packet[20..].starts_with(&[0x7E, 0xCC, 0xDE, 0xF1, 0xCA, 0xBE])
    }
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo.pcap");
        let mut counts = Vec::new();
        for more in [&[][..], &["--with-streams"]] {
            let arguments = ["--log", "trace", "--pcap", path.to_str().unwrap()];
            let output = output(&[&arguments, more].concat()).await;
            assert!(output.status.success());
            let packets = captured(&std::fs::read(&path).unwrap());
            let log = String::from_utf8(output.stderr).unwrap();
            let traced = log.lines().filter(|line| line.contains(" bytes: "));
            assert_eq!(traced.count(), packets.len());
            let has_streams = packets.iter().any(|packet| is_of_stream(packet));
            assert_eq!(has_streams, !more.is_empty());
            counts.push(packets.len());
        }
        assert!(counts[1] > 3 * counts[0], "{counts:?}");
    });
}

#[test]
fn a_capture_on_standard_output_has_nothing_else_there() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo.pcap");
        let to_file = output(&["--pcap", path.to_str().unwrap()]).await;
        let to_output = output(&["--pcap", "-"]).await;
        assert!(to_output.status.success());
        assert_eq!(
            captured(&to_output.stdout).len(),
            captured(&std::fs::read(&path).unwrap()).len()
        );
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().count();
        assert_eq!(
            lines(&to_output.stderr),
            lines(&to_file.stdout),
            "the screen"
        );
    });
}

#[test]
fn each_device_has_a_uuid_of_its_own_that_a_restart_does_not_change() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let mut uuids = Vec::new();
        for socket in ["a", "b", "a"] {
            let path = directory.path().join(socket);
            let mut device = Running::start(&["--listen", &format!("unix:{}", path.display())]);
            device.says("listening").await;
            let line = device.says("UUID ").await;
            uuids.push(line.split_once("UUID ").unwrap().1.to_owned());
            let warning = device.says("not to be distributed").await;
            assert!(warning.contains("PCI vendor ID"), "{warning}");
            assert!(device.terminate().await);
        }
        assert_eq!(uuids[0], uuids[2]);
        assert_ne!(uuids[0], uuids[1]);
        assert!(!uuids[0].contains("0dc120b8"), "that of the demo");
        // Any port is another one each time.
        let mut devices =
            ["tcp:127.0.0.1:0"; 2].map(|address| Running::start(&["--listen", address]));
        let [one, other] = &mut devices;
        assert_ne!(
            one.says("UUID ").await.split_once("UUID ").unwrap().1,
            other.says("UUID ").await.split_once("UUID ").unwrap().1
        );
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

        // While the program still runs, but after its thread has written them.
        let expected = 3 * 2 * 1004_usize.div_ceil(64);
        let all = async {
            while captured(&std::fs::read(&capture).unwrap()).len() != expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(TIME_LIMIT, all).await.unwrap();
        assert!(device.terminate().await);
        assert!(!socket.exists());
    });
}

#[test]
fn a_signal_at_the_start_leaves_no_socket_file() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        for _ in 0..20 {
            let mut device = Running::start(&["--listen", &format!("unix:{}", socket.display())]);
            device.says("listening").await;
            assert!(device.terminate().await);
            assert!(!socket.exists());
        }
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
            let mut guest = Connector::open(&Connection::Pty(path.clone()), Plug::Usbredir)
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
        stranger.write_all(&[0xFF; 200]).await.unwrap();
        device.says("does not speak the usbredir protocol").await;
        use_device(connect_unix(&socket).await).await;
        assert!(device.terminate().await);
    });
}
