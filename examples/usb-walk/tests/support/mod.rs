//! A device that has something of everything that chapter 9 speaks of, and an executor that is
//! polled by its host.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses a part of it"
)]

pub mod memory;
pub mod stream;

use std::pin::Pin;
use std::task::{Context, Waker};

use anyhow::{Context as _, Result, ensure};
use embassy_futures::join::join3;
use embassy_usb::control::{InResponse, OutResponse, Recipient, Request, RequestType};
use embassy_usb::driver::{Driver, EndpointIn, EndpointOut};
use embassy_usb::{Builder, Config, Handler};
use usb_walk::descriptors::Device;
use usb_walk::host::{Host, Outcome};
use usb_walk::walk::Function;

/// How often a device is polled before a host gives it up: many times what it needs.
pub const PATIENCE: usize = 200;

/// The tasks of a device.
#[derive(Default)]
pub struct Tasks<'d>(Vec<Pin<Box<dyn Future<Output = ()> + 'd>>>);

impl<'d> Tasks<'d> {
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'd) {
        self.0.push(Box::pin(task));
    }

    pub fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for task in &mut self.0 {
            let _ = task.as_mut().poll(&mut context);
        }
    }
}

/// What the device keeps.
pub struct Memory {
    config_descriptor: [u8; 128],
    bos_descriptor: [u8; 16],
    control: [u8; 128],
    store: Store,
}

/// Keeps what the host sends with the vendor request 1, and gives it back with 2.
struct Store {
    bytes: [u8; 128],
    length: usize,
}

impl Handler for Store {
    fn control_out(&mut self, request: Request, data: &[u8]) -> Option<OutResponse> {
        let is_ours = (request.request_type, request.recipient, request.request)
            == (RequestType::Vendor, Recipient::Device, 1);
        is_ours.then(|| {
            self.length = data.len();
            self.bytes[..data.len()].copy_from_slice(data);
            OutResponse::Accepted
        })
    }

    fn control_in<'a>(&'a mut self, request: Request, _: &'a mut [u8]) -> Option<InResponse<'a>> {
        let is_ours = (request.request_type, request.recipient, request.request)
            == (RequestType::Vendor, Recipient::Device, 2);
        is_ours.then(|| InResponse::Accepted(&self.bytes[..self.length]))
    }
}

impl Memory {
    pub const fn new() -> Self {
        Self {
            config_descriptor: [0; 128],
            bos_descriptor: [0; 16],
            control: [0; 128],
            store: Store {
                bytes: [0; 128],
                length: 0,
            },
        }
    }
}

/// Endpoints of the second interface, in its setting 1.
pub const SECOND_INTERFACE: [u8; 2] = [0x02, 0x82];
/// Endpoints of the first interface.
pub const FIRST_INTERFACE: [u8; 2] = [0x01, 0x81];

/// Two interfaces, each with a pair of bulk endpoints that sends back what it receives; that of the
/// second one is there in setting 1 only.
pub async fn device<'d>(
    driver: impl Driver<'d> + 'd,
    max_packet_size: u16,
    memory: &'d mut Memory,
) {
    let mut config = Config::new(0x1209, 0x0001);
    config.manufacturer = Some("somebody");
    config.serial_number = Some("0001");
    let mut builder = Builder::new(
        driver,
        config,
        &mut memory.config_descriptor,
        &mut memory.bos_descriptor,
        &mut [],
        &mut memory.control,
    );
    builder.handler(&mut memory.store);
    let mut function = builder.function(0xFF, 0, 0);
    let mut interface = function.interface();
    let mut setting = interface.alt_setting(0xFF, 0, 0, None);
    let first = (
        setting.endpoint_bulk_out(None, max_packet_size),
        setting.endpoint_bulk_in(None, max_packet_size),
    );
    let mut interface = function.interface();
    interface.alt_setting(0xFF, 0, 0, None);
    let mut setting = interface.alt_setting(0xFF, 0, 0, None);
    let second = (
        setting.endpoint_bulk_out(None, max_packet_size),
        setting.endpoint_bulk_in(None, max_packet_size),
    );
    drop(function);
    let mut stack = builder.build();
    join3(
        stack.run(),
        send_back(first.0, first.1),
        send_back(second.0, second.1),
    )
    .await;
}

async fn send_back(mut output: impl EndpointOut, mut input: impl EndpointIn) {
    let mut buffer = [0; 512];
    loop {
        output.wait_enabled().await;
        while let Ok(length) = output.read(&mut buffer).await {
            if input.write(&buffer[..length]).await.is_err() {
                break;
            }
        }
    }
}

/// What [`device`] is for.
pub struct SendsBack;

impl<H: Host> Function<H> for SendsBack {
    /// An odd number of packets there and back: the toggles are others afterwards.
    fn try_out(&self, host: &mut H, device: &Device) -> Result<()> {
        let output = device.bulk_endpoint(0).context("no bulk OUT endpoint")?;
        let input = device.bulk_endpoint(0x80).context("no bulk IN endpoint")?;
        for length in [1, 7, 63] {
            let packet: Vec<u8> = (0..length).map(|byte| byte ^ length).collect();
            let sent = host.bulk_out(output, &packet)?;
            ensure!(sent == Outcome::Done(Vec::new()), "a packet is refused");
            let received = host.bulk_in(input, 64)?;
            ensure!(
                received == Outcome::Done(packet),
                "another packet than the {length} bytes sent: {received:02x?}"
            );
        }
        Ok(())
    }

    fn provoke(&self, host: &mut H, device: &Device) -> Result<()> {
        let output = device.bulk_endpoint(0).context("no bulk OUT endpoint")?;
        let sent = host.bulk_out(output, b"not collected")?;
        ensure!(sent == Outcome::Done(Vec::new()), "a packet is refused");
        Ok(())
    }
}
