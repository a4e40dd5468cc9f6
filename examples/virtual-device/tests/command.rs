//! The program as its users start it.
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use mctp::Eid;
use mctp_serial::FrameCheckSequence;
use mctp_serial::framing::{Decoded, Decoder, Encoder, MAX_PACKET, PREAMBLE};
use nvme_mi_responder::{Crc32c, SoftwareCrc32c};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::pty::OpenptFlags;
use support::block_on;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::process::{Child, ChildStderr, Command};
use virtual_device::connection::{Connection, Connector, Plug};
use virtual_host::enumeration::enumerate;
use virtual_host::guest::Guest;
use virtual_host::requester;
use virtual_host::transport::{PacketLog, Pipes};

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

/// A running `virtual-device`, and what it says.
struct Running {
    child: Child,
    log: tokio::io::Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// `virtual-device usbredir`.
    fn start(arguments: &[&str]) -> Self {
        Self::start_as("usbredir", arguments)
    }

    fn start_as(subcommand: &str, arguments: &[&str]) -> Self {
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

/// A bus owner on a serial line: its endpoint ID is 8.
struct SerialHost<S> {
    stream: S,
    encoder: Encoder,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> SerialHost<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            encoder: Encoder::new(FrameCheckSequence::Raw),
            read: Vec::new(),
        }
    }

    async fn send(&mut self, packet: &[u8]) {
        let frame: Vec<u8> = self.encoder.begin(packet).unwrap().collect();
        self.stream.write_all(&frame).await.unwrap();
        self.encoder.finish();
    }

    /// The next packets, and whether the recovery preamble was before them.
    async fn receive(&mut self, count: usize) -> (Vec<Vec<u8>>, bool) {
        let receive = async {
            loop {
                let (packets, is_clean, has_preamble) = packets(&self.read);
                if packets.len() >= count {
                    assert!(is_clean || has_preamble);
                    self.read.clear();
                    return (packets, has_preamble);
                }
                let read = self.stream.read_buf(&mut self.read).await.unwrap();
                assert!(read > 0, "the device is there");
            }
        };
        tokio::time::timeout(TIME_LIMIT, receive)
            .await
            .expect("the device answers")
    }

    /// Asks for the endpoint ID, and gets 150 bytes echoed in packets of the baseline unit.
    async fn use_device(mut self) -> Self {
        self.send(&[0x01, 0, 8, 0xC9, 0x00, 0x80, 0x02]).await;
        let (packets, has_preamble) = self.receive(1).await;
        assert_eq!(
            packets,
            [[0x01, 8, 0, 0xC1, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00]]
        );
        assert!(has_preamble, "before the first frame of a connection");

        let body = [&[0x7E, 0xCC, 0xDE, 0xF0][..], &[0x7D; 150]].concat();
        let flags = [0x8A, 0x1A, 0x6A];
        for (flags, part) in flags.into_iter().zip(body.chunks(64)) {
            self.send(&[&[0x01, 0, 8, flags], part].concat()).await;
        }
        let (packets, has_preamble) = self.receive(3).await;
        let header = |packet: &Vec<u8>| packet[..4].to_vec();
        assert_eq!(
            packets.iter().map(header).collect::<Vec<_>>(),
            [0x82, 0x12, 0x62].map(|flags| vec![0x01, 8, 0, flags])
        );
        let echoed: Vec<u8> = packets
            .iter()
            .flat_map(|packet| &packet[4..])
            .copied()
            .collect();
        assert_eq!(echoed, body);
        assert!(!has_preamble);
        self
    }
}

/// Linux at address 10h of an I2C bus, with endpoint ID 8; the device is at 1Dh.
struct I2cHost {
    stream: UnixStream,
}

impl I2cHost {
    const ADDRESS: u8 = 0x10;
    const DEVICE: u8 = 0x1D;

    async fn connect(socket: &Path) -> Self {
        let stream = connect_unix(socket).await;
        Self { stream }
    }

    /// One record.
    async fn write(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as u16).to_le_bytes();
        let record = [&length, bytes].concat();
        self.stream.write_all(&record).await.unwrap();
    }

    /// One packet to the device.
    async fn send(&mut self, packet: &[u8]) {
        let byte_count = packet.len() as u8 + 1;
        let header = [
            Self::DEVICE << 1,
            0x0F,
            byte_count,
            (Self::ADDRESS << 1) | 1,
        ];
        let bytes = [&header, packet].concat();
        let check = mctp_i2c::pec(&bytes);
        self.write(&[&bytes[..], &[check]].concat()).await;
    }

    /// The next record.
    async fn read(&mut self) -> Vec<u8> {
        let read = async {
            let mut record = vec![0; self.stream.read_u16_le().await.unwrap().into()];
            self.stream.read_exact(&mut record).await.unwrap();
            record
        };
        tokio::time::timeout(TIME_LIMIT, read)
            .await
            .expect("the device answers")
    }

    /// The next packet, which has to be from the device to Linux.
    async fn receive(&mut self) -> Vec<u8> {
        let record = self.read().await;
        assert_eq!(record[0], Self::ADDRESS << 1);
        let decoded = mctp_i2c::framing::decode(&record).unwrap();
        assert_eq!(decoded.source.as_byte(), Self::DEVICE);
        decoded.packet.to_vec()
    }

    /// As Linux and this device have been seen to (the bytes are those of mctp-i2c's tests).
    async fn get_endpoint_id(&mut self) {
        self.write(b"\x3A\x0F\x08\x21\x01\x00\x08\xC8\x00\x80\x02\x56")
            .await;
        assert_eq!(
            self.read().await,
            b"\x20\x0F\x0C\x3B\x01\x08\x00\xC0\x00\x00\x02\x00\x00\x00\x00\x02"
        );
    }

    /// Sends an NVMe-MI request; returns the response.
    async fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        let check = SoftwareCrc32c.crc32c(&[request]).to_le_bytes();
        self.send(&[&[0x01, 0, 8, 0xC8], request, &check].concat())
            .await;
        self.receive().await[4..].to_vec()
    }

    /// Has 600 bytes echoed. They come in packets of the longest unit, and return in such of
    /// `unit`.
    async fn echo(&mut self, unit: usize) {
        let body = [&[0x7E, 0xCC, 0xDE, 0xF0][..], &[0x7D; 600]].concat();
        for (flags, part) in [0x8A, 0x1A, 0x6A].into_iter().zip(body.chunks(250)) {
            self.send(&[&[0x01, 0, 8, flags], part].concat()).await;
        }
        let mut echoed = Vec::new();
        while echoed.len() < body.len() {
            let packet = self.receive().await;
            assert_eq!(packet.len() - 4, unit.min(body.len() - echoed.len()));
            assert_eq!(packet[..3], [0x01, 8, 0]);
            echoed.extend_from_slice(&packet[4..]);
        }
        assert_eq!(echoed, body);
    }
}

/// The packets in what was read, whether there was nothing else, and whether it begins with the
/// recovery preamble.
fn packets(mut read: &[u8]) -> (Vec<Vec<u8>>, bool, bool) {
    let has_preamble = read.starts_with(&PREAMBLE);
    let mut is_clean = true;
    let mut buffer = [0; MAX_PACKET];
    let mut decoder = Decoder::new(&mut buffer).unwrap();
    let mut packets = Vec::new();
    while let Some(decoded) = decoder.decode(&mut read) {
        match decoded {
            Decoded::Packet => packets.push(decoder.packet().to_vec()),
            Decoded::Dropped(_) => is_clean = false,
        }
    }
    (packets, is_clean, has_preamble)
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
            &["i2c"],
            &["i2c", "--listen", "unix:s", "--address", "78"],
            &["i2c", "--listen", "unix:s", "--address", "07"],
            &["i2c", "--listen", "unix:s", "--address", "drive"],
            &["i2c", "--listen", "unix:s", "--mtu", "255"],
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

#[test]
fn a_serial_line_serves_one_host_after_the_other() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        let mut device = Running::start_as("serial", &["--listen", &address]);
        let line = device.says("listening on unix:").await;
        assert!(line.contains("-serial chardev:mctp"), "{line}");
        for _ in 0..3 {
            let host = SerialHost::new(connect_unix(&socket).await);
            drop(host.use_device().await);
            device.says("disconnected").await;
        }
        assert!(device.terminate().await);
        assert!(!socket.exists());
    });
}

#[test]
fn noise_on_a_serial_line_costs_nothing_else() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        let device = Running::start_as("serial", &["--listen", &address]);
        let mut stream = connect_unix(&socket).await;
        let noise: Vec<u8> = (0..=255).cycle().take(3000).collect();
        stream.write_all(&noise).await.unwrap();
        drop(SerialHost::new(stream).use_device().await);
        assert!(device.terminate().await);
    });
}

/// A pseudo terminal is a serial port too, whose rate nobody keeps to.
#[test]
fn a_serial_port_is_set_up_and_used() {
    block_on(async {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let controller = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&controller).unwrap();
        rustix::pty::unlockpt(&controller).unwrap();
        let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
        rustix::fs::fcntl_setfl(&controller, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        // The program must not have the other end as well.
        rustix::io::fcntl_setfd(&controller, FdFlags::CLOEXEC).unwrap();

        let arguments = ["--tty", name.to_str().unwrap(), "--baud", "230400"];
        let mut device = Running::start_as("serial", &arguments);
        device.says("at 230400 bits a second").await;
        device.says("connected").await;
        let settings = rustix::termios::tcgetattr(&controller).unwrap();
        assert_eq!(settings.output_speed(), 230_400);
        let copy = std::fs::File::from(controller.try_clone().unwrap());
        let stream = tokio::io::join(
            pipe::Receiver::from_file_unchecked(std::fs::File::from(controller)).unwrap(),
            pipe::Sender::from_file_unchecked(copy).unwrap(),
        );
        let host = SerialHost::new(stream).use_device().await;
        drop(host);
        device.says("disconnected").await;
        assert!(device.terminate().await);
    });
}

#[test]
fn a_serial_port_that_is_not_there_is_one_sentence_and_exit_code_1() {
    block_on(async {
        for (path, why) in [
            ("/no/such/port", "cannot open /no/such/port: "),
            ("/dev/null", "/dev/null is not a serial port"),
        ] {
            let refused = output(&["serial", "--tty", path]).await;
            assert_eq!(refused.status.code(), Some(1));
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(said.contains(why), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    });
}

#[test]
fn an_i2c_bus_serves_one_host_after_the_other() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        for (arguments, unit) in [(&[][..], 64), (&["--mtu", "254", "--address", "1d"], 250)] {
            let arguments = [&["--listen", &address], arguments].concat();
            let mut device = Running::start_as("i2c", &arguments);
            let line = device.says("listening on unix:").await;
            assert!(line.contains("-serial chardev:mctp"), "{line}");
            for _ in 0..3 {
                let mut host = I2cHost::connect(&socket).await;
                host.get_endpoint_id().await;
                host.echo(unit).await;
                // Of this record there will be no more.
                host.stream.write_all(&[12, 0, 0x3A]).await.unwrap();
                drop(host);
                device.says("disconnected").await;
            }
            assert!(device.terminate().await);
            assert!(!socket.exists());
        }
    });
}

#[test]
fn a_frequency_that_is_set_on_an_i2c_bus_shows_in_the_log() {
    // Configuration Set and Configuration Get, SMBus/I2C Frequency (NVMe-MI 1.2, sections 5.2.1 and
    // 5.1.1): 400 kHz for port 1, and what it has.
    const SET_400_KHZ: [u8; 16] = [0x84, 0x08, 0, 0, 3, 0, 0, 0, 1, 2, 0, 1, 0, 0, 0, 0];
    const GET: [u8; 16] = [0x84, 0x08, 0, 0, 4, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0];
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        let mut device = Running::start_as("i2c", &["--listen", &address]);
        let mut host = I2cHost::connect(&socket).await;
        let response = host.ask(&SET_400_KHZ).await;
        assert_eq!(response[..5], [0x84, 0x88, 0, 0, 0], "success");
        host.get_endpoint_id().await;
        device.says("the bus runs at 400 kHz").await;
        // What one host set is not there for the next, once the device has seen that it is another.
        drop(host);
        device.says("the link is lost").await;
        let mut host = I2cHost::connect(&socket).await;
        let is_reset = async { while host.ask(&GET).await[..6] != [0x84, 0x88, 0, 0, 0, 1] {} };
        let is_reset = tokio::time::timeout(TIME_LIMIT, is_reset).await;
        assert!(is_reset.is_ok(), "it is at 100 kHz again");
        host.get_endpoint_id().await;
        device.says("the bus runs at 100 kHz").await;
        assert!(device.terminate().await);
    });
}

#[test]
fn writes_to_others_and_bad_packets_on_an_i2c_bus_cost_nothing_else() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        let device = Running::start_as("i2c", &["--listen", &address]);
        let mut host = I2cHost::connect(&socket).await;
        let request = b"\x3A\x0F\x08\x21\x01\x00\x08\xC8\x00\x80\x02\x56";
        for (index, byte) in [
            // Another target, a read, another command code, another packet error code.
            (0, 0x3C),
            (0, 0x3B),
            (1, 0x0E),
            (11, 0x57),
        ] {
            let mut other = *request;
            other[index] = byte;
            host.write(&other).await;
        }
        // As if somebody looked who is there; and the longest record, of something else.
        host.write(&[0x3A]).await;
        host.write(&[0x3A; 300]).await;
        // The answers are to these alone.
        host.get_endpoint_id().await;
        host.echo(64).await;
        drop(host);
        assert!(device.terminate().await);
    });
}

#[test]
fn a_stream_without_i2c_records_is_dropped_and_the_next_one_served() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let address = format!("unix:{}", socket.display());
        let mut device = Running::start_as("i2c", &["--listen", &address]);
        device.says("listening").await;
        for (length, words) in [
            (0_u16, "a record has 0 bytes instead of 1 to 300"),
            (301, "a record has 301 bytes instead of 1 to 300"),
            (u16::MAX, "a record has 65535 bytes instead of 1 to 300"),
        ] {
            let mut host = I2cHost::connect(&socket).await;
            host.get_endpoint_id().await;
            host.stream.write_all(&length.to_le_bytes()).await.unwrap();
            device.says(words).await;
            device.says("disconnected").await;
            let end = host.stream.read_u8().await;
            assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        }
        let mut host = I2cHost::connect(&socket).await;
        host.get_endpoint_id().await;
        host.echo(64).await;
        assert!(device.terminate().await);
    });
}
