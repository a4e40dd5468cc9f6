//! `virtual-device usbip`, as its users start it.
#![cfg(unix)]

use std::process::Stdio;
use std::time::Duration;

use remote_usb_device::usbip::DEVICE_ID;
use remote_usb_device::usbip::wire::{self, HEADER_LENGTH, Reply, Submit, Unlink};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

/// Longer than anything here takes, on a busy machine and in a debug build as well.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const LIST: [u8; 8] = [1, 0x11, 0x80, 5, 0, 0, 0, 0];
/// Of a Get Endpoint ID request to whoever is there: header of DSP0283, packet, message.
const GET_ENDPOINT_ID: [u8; 11] = [0x1A, 0xB4, 0, 11, 1, 0, 8, 0xC8, 0x00, 0x81, 0x02];

fn block_on(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(TIME_LIMIT, test).await.unwrap() });
}

fn start(arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtual-device"));
    command.arg("usbip").args(arguments);
    command.kill_on_drop(true).stdin(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, log)
}

/// The device, at a port of its own.
struct Device {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Device {
    async fn start() -> Self {
        let (child, mut log) = start(&["--listen", "127.0.0.1:0"]);
        let address = loop {
            let line = log.next_line().await.unwrap().unwrap();
            if let Some((_, rest)) = line.split_once("listening on tcp:") {
                break rest.split(';').next().unwrap().to_owned();
            }
        };
        Self {
            child,
            log,
            address,
        }
    }

    async fn says(&mut self, words: &str) {
        while let Some(line) = self.log.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("it never said {words:?}");
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// Sends an operation, and reads until the device hangs up.
    async fn ask(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        reply
    }

    async fn import(&self) -> Host {
        let mut stream = self.connect().await;
        stream.write_all(&import("1-1")).await.unwrap();
        let mut reply = [0; 8 + wire::DEVICE_LENGTH];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[..8], [1, 0x11, 0, 3, 0, 0, 0, 0]);
        Host { stream }
    }
}

fn import(bus_id: &str) -> Vec<u8> {
    let mut request = vec![1, 0x11, 0x80, 3, 0, 0, 0, 0];
    request.extend(bus_id.bytes());
    request.resize(wire::IMPORT_REQUEST_LENGTH, 0);
    request
}

/// Who has the device.
struct Host {
    stream: TcpStream,
}

impl Host {
    async fn submit(
        &mut self,
        number: u32,
        endpoint: u8,
        setup: [u8; 8],
        data: Result<&[u8], u32>,
    ) {
        let command = wire::Command::Submit(Submit {
            number,
            device_id: DEVICE_ID,
            is_in: data.is_err(),
            endpoint,
            flags: 0,
            length: data.map_or_else(|asked| asked, |data| data.len() as u32),
            start_frame: 0,
            packets: 0,
            interval: 0,
            setup,
        });
        let bytes = [&command.emit()[..], data.unwrap_or_default()].concat();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn reply(&mut self) -> Reply {
        let mut header = [0; HEADER_LENGTH];
        self.stream.read_exact(&mut header).await.unwrap();
        Reply::parse(&header).unwrap()
    }

    /// The data of the next reply, which is that to an IN transfer.
    async fn data(&mut self, wanted: u32) -> Vec<u8> {
        let Reply::Submit {
            number,
            status: 0,
            length,
        } = self.reply().await
        else {
            panic!("no data")
        };
        assert_eq!(number, wanted);
        let mut data = vec![0; length as usize];
        self.stream.read_exact(&mut data).await.unwrap();
        data
    }

    /// Configures the device and asks for its endpoint ID.
    async fn use_device(&mut self) {
        self.submit(1, 0, [0x80, 6, 0, 1, 0, 0, 64, 0], Err(64))
            .await;
        let descriptor = self.data(1).await;
        assert_eq!(descriptor[8..12], [0xDE, 0xCC, 0x00, 0x00]);
        self.submit(2, 0, [0, 9, 1, 0, 0, 0, 0, 0], Ok(&[])).await;
        let done = |number, length| Reply::Submit {
            number,
            status: 0,
            length,
        };
        assert_eq!(self.reply().await, done(2, 0));
        self.submit(3, 1, [0; 8], Err(512)).await;
        self.submit(4, 1, [0; 8], Ok(&GET_ENDPOINT_ID)).await;
        // The device may answer before it says that it has read the request.
        let mut answer = Vec::new();
        for _ in 0..2 {
            match self.reply().await {
                Reply::Submit {
                    number: 3, length, ..
                } => {
                    answer = vec![0; length as usize];
                    self.stream.read_exact(&mut answer).await.unwrap();
                }
                other => assert_eq!(other, done(4, 11)),
            }
        }
        assert_eq!(answer[8..12], [0x00, 0x01, 0x02, 0x00]);
    }
}

#[test]
fn a_client_has_the_device_while_others_list_it_and_are_told_that_it_is_in_use() {
    block_on(async {
        let mut device = Device::start().await;
        let list = device.ask(&LIST).await;
        assert_eq!(list[..12], [1, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
        let of_device = &list[12..12 + wire::DEVICE_LENGTH];
        assert!(of_device[256..].starts_with(b"1-1\0"));
        // Bus 1, device 2, high speed; vendor, product and release; no class of its own; not
        // configured, one configuration of one interface.
        let numbers = [
            0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xCC, 0xDE, 0, 0, 0, 0x10, 0, 0, 0, 0, 1, 1,
        ];
        assert_eq!(of_device[288..], numbers);
        // One interface: MCTP (14h), no subclass, version 1.
        assert_eq!(list[12 + wire::DEVICE_LENGTH..], [0x14, 0, 1, 0]);
        assert_eq!(device.ask(&import("9-9")).await[7], 4);
        for _ in 0..3 {
            let mut host = device.import().await;
            device.says("attached").await;
            host.use_device().await;
            assert_eq!(device.ask(&LIST).await.len(), list.len());
            assert_eq!(
                device.ask(&import("1-1")).await,
                [1, 0x11, 0, 3, 0, 0, 0, 2]
            );
            // An IN request stays outstanding until it is taken back.
            host.submit(10, 1, [0; 8], Err(512)).await;
            let (number, target) = (11, 10);
            let unlink = wire::Command::Unlink(Unlink {
                number,
                device_id: DEVICE_ID,
                target,
            });
            host.stream.write_all(&unlink.emit()).await.unwrap();
            let status = -104;
            assert_eq!(host.reply().await, Reply::Unlink { number, status });
            drop(host);
            device.says("detached").await;
        }
        drop(device);
    });
}

#[test]
fn clients_that_mean_no_good_do_not_keep_others_away() {
    block_on(async {
        let mut device = Device::start().await;
        let silent = [
            device.connect().await,
            device.connect().await,
            device.connect().await,
        ];
        device.ask(b"GET / HT").await;
        device.says("does not speak USB/IP").await;
        let mut host = device.import().await;
        host.use_device().await;
        host.stream.write_all(&[0xFF; 48]).await.unwrap();
        assert_eq!(host.stream.read(&mut [0; 10]).await.unwrap(), 0);
        device
            .says("detached: the host does not speak USB/IP")
            .await;
        device.says("said nothing").await;
        for mut stream in silent {
            assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        }
        device.import().await.use_device().await;
    });
}

#[test]
fn a_termination_signal_ends_it_with_success_while_a_host_has_the_device() {
    block_on(async {
        let mut device = Device::start().await;
        let mut host = device.import().await;
        host.use_device().await;
        let id = device
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id as i32));
        rustix::process::kill_process(id.unwrap(), rustix::process::Signal::TERM).unwrap();
        assert!(device.child.wait().await.unwrap().success());
        assert_eq!(host.stream.read(&mut [0; 10]).await.unwrap(), 0);
    });
}

#[test]
fn attaching_where_it_is_not_possible_is_one_sentence() {
    let controller = std::path::Path::new("/sys/devices/platform/vhci_hcd.0");
    if controller.exists() && rustix::process::geteuid().is_root() {
        // It would attach a device to the machine of whoever runs this.
        return;
    }
    block_on(async {
        let (child, mut log) = start(&["--attach"]);
        let sentence = log.next_line().await.unwrap().unwrap();
        let expected = if controller.exists() {
            "needs root"
        } else {
            "no virtual USB host controller"
        };
        assert!(sentence.contains(expected), "{sentence}");
        assert_eq!(log.next_line().await.unwrap(), None);
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
    });
}
