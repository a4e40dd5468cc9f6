//! The program on a serial line and on an I2C bus, as its users start it.
#![cfg(unix)]

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use mctp_serial::FrameCheckSequence;
use mctp_serial::framing::{Decoded, Decoder, Encoder, MAX_PACKET, PREAMBLE};
use nvme_mi_responder::{Crc32c, SoftwareCrc32c};
use program::{Running, TIME_LIMIT, connect_unix, output};
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::pty::OpenptFlags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

fn block_on(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(test);
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
