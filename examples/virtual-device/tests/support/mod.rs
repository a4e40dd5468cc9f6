//! A device in this process, and a host that says on the USB bus exactly what a test wants.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

use std::collections::VecDeque;
use std::time::Duration;

use mctp_usb::Version;
use virtual_device::device::{self, Cable};
use virtual_device::logger;
use virtual_device::settings::DeviceSettings;
use virtual_host::enumeration::{Enumeration, enumerate};
use virtual_host::guest::{BulkIn, Guest};
use virtual_host::transport::Pipes;

/// Runs a test where a [`Guest`] can live, with tokio's clock.
pub fn block_on<T>(test: impl Future<Output = T>) -> T {
    run(test, false)
}

/// The same in virtual time, which passes only while everybody waits.
pub fn block_on_in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    run(test, true)
}

fn run<T>(test: impl Future<Output = T>, start_paused: bool) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(start_paused)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Switches a device on and gives a host on its bus to `test`.
pub async fn with_device<T>(settings: &DeviceSettings, test: impl AsyncFnOnce(RawHost) -> T) -> T {
    device::run(settings, &(), async |cable: Cable<'_>| {
        with_host(cable, test).await
    })
    .await
}

/// The same, with a serial port that shows the log of this process.
pub async fn with_serial_log<T>(test: impl AsyncFnOnce(RawHost) -> T) -> T {
    let settings = DeviceSettings::default();
    let log = Some(logger::reader());
    device::run_with_log(&settings, &(), log, async |cable: Cable<'_>| {
        with_host(cable, test).await
    })
    .await
}

async fn with_host<T>(mut cable: Cable<'_>, test: impl AsyncFnOnce(RawHost) -> T) -> T {
    let (device_end, host_end) = tokio::io::duplex(4096);
    tokio::select! {
        ended = cable.plug_into(device_end) => panic!("the device let go: {ended:?}"),
        value = async { test(RawHost::attach(host_end).await).await } => value,
    }
}

/// A host that has configured the device, and sends and receives bytes on its bulk endpoints.
pub struct RawHost {
    pub guest: Guest,
    pub found: Enumeration,
    pub pipes: Pipes,
    /// How many IN requests the device has in hand while the host receives.
    pub requests_at_once: usize,
    requests: VecDeque<BulkIn>,
}

impl RawHost {
    pub async fn attach(
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    ) -> Self {
        let guest = Guest::attach(stream).await.unwrap();
        let found = enumerate(&guest).await.unwrap();
        let pipes = Pipes::of(&found.configuration.interfaces[0]).unwrap();
        Self {
            guest,
            found,
            pipes,
            requests_at_once: 1,
            requests: VecDeque::new(),
        }
    }

    /// Sends a bulk transfer; the device must take it, whatever is in it.
    pub async fn send(&self, transfer: &[u8]) {
        self.guest
            .bulk_out(self.pipes.output.address, transfer)
            .await
            .unwrap();
    }

    /// The next bulk transfer from the device, taken apart by the lengths in its headers.
    pub async fn receive(&mut self) -> Vec<Vec<u8>> {
        let (endpoint, length) = (self.pipes.input.address, self.pipes.request_length());
        while self.requests.len() < self.requests_at_once.max(1) {
            self.requests
                .push_back(self.guest.bulk_in(endpoint, length));
        }
        let transfer = self.requests[0].complete().await.unwrap();
        self.requests.pop_front();
        packets(self.pipes.version, &transfer)
    }

    /// Resets the bus, and configures the device anew.
    pub async fn reset(&mut self) {
        self.guest.reset();
        self.requests.clear();
        self.guest.set_configuration(1).await.unwrap();
    }

    /// Asks for the endpoint ID of whoever is at the other end of the cable, and returns the
    /// answer's data.
    pub async fn get_endpoint_id(&mut self) -> Option<Vec<u8>> {
        const TAG_AND_INSTANCE: (u8, u8) = (6, 0x1D);
        let (tag, instance) = TAG_AND_INSTANCE;
        self.send(&frame(&[1, 0, 8, 0xC8 | tag, 0x00, 0x80 | instance, 0x02]))
            .await;
        let answer = async {
            loop {
                for packet in self.receive().await {
                    if let [1, _, _, flags, 0x00, i, 0x02, 0x00, data @ ..] = &packet[..]
                        && (*flags & 0xCF, *i) == (0xC0 | tag, instance)
                    {
                        return data.to_vec();
                    }
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), answer)
            .await
            .ok()
    }
}

/// An MCTP packet with its DSP0283 header.
pub fn frame(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len() + 4).unwrap().to_be_bytes();
    [&[0x1A, 0xB4, length[0], length[1]], packet].concat()
}

fn packets(version: Version, mut transfer: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let [0x1A, 0xB4, high, low, rest @ ..] = transfer {
        assert!(version == Version::V1_1 || *high == 0, "reserved in 1.0");
        let length = usize::from(u16::from_be_bytes([*high, *low])) - 4;
        packets.push(rest[..length].to_vec());
        transfer = &rest[length..];
    }
    assert!(
        transfer.is_empty(),
        "the device sent something that is not a packet"
    );
    packets
}
