//! A device of embassy-usb on the real driver: a request that stores data and one that loads it,
//! and one interface, with a bulk pair in its setting 0 and without endpoints in 1.
#![allow(dead_code)] // Each test file uses a part of it.

use embassy_futures::join::join;
use embassy_usb::control::{InResponse, OutResponse, Recipient, Request, RequestType};
use embassy_usb::driver::{Driver, Endpoint, EndpointIn, EndpointOut};
use embassy_usb::{Builder, Config, Handler};
use otg_simulator::{Host, Simulator, Speed};

/// The endpoint addresses of the bulk pair.
pub(crate) const BULK_OUT: u8 = 0x01;
pub(crate) const BULK_IN: u8 = 0x81;
pub(crate) const MAX_PACKET_SIZE: u16 = 512;
/// A packet of each OUT endpoint.
pub(crate) const OUT_BUFFER_LEN: usize = 64 + MAX_PACKET_SIZE as usize;
/// The address that the host gives to the device.
pub(crate) const ADDRESS: u8 = 5;

/// The standard requests of the tests.
pub(crate) const GET_DEVICE_DESCRIPTOR: [u8; 8] = [0x80, 0x06, 0x00, 0x01, 0x00, 0x00, 18, 0];
pub(crate) const GET_CONFIGURATION_DESCRIPTOR: [u8; 8] =
    [0x80, 0x06, 0x00, 0x02, 0x00, 0x00, 0xFF, 0];

/// USB 2.0, 9.6.1, with the values of `run`.
pub(crate) const DEVICE_DESCRIPTOR: [u8; 18] = [
    18, 1, // length, DEVICE
    0x10, 0x02, // USB 2.1: embassy-usb has a BOS descriptor
    0xFF, 0, 0,  // vendor class
    64, // packet size of endpoint 0
    0x34, 0x12, 0x78, 0x56, // vendor and product
    0x10, 0x00, // release
    0, 0, 0, // no strings
    1, // configurations
];

/// USB 2.0, 9.6.3, 9.6.5 and 9.6.6: a configuration with an interface in two settings.
pub(crate) const CONFIGURATION_DESCRIPTOR: [u8; 41] = [
    9, 2, 41, 0, 1, 1, 0, 0x80,
    50, // CONFIGURATION: 1 interface, value 1, bus powered, 100 mA
    9, 4, 0, 0, 2, 0xFF, 0, 0, 0, // INTERFACE 0, setting 0: 2 endpoints, vendor class
    7, 5, BULK_OUT, 2, 0x00, 0x02, 0, // ENDPOINT: bulk, 512 bytes
    7, 5, BULK_IN, 2, 0x00, 0x02, 0, // ENDPOINT: bulk, 512 bytes
    9, 4, 0, 1, 0, 0xFF, 0, 0, 0, // INTERFACE 0, setting 1: no endpoints
];

/// A request that stores its data in the device, and the one that reads the data back.
pub(crate) const fn store(len: u8) -> [u8; 8] {
    [0x40, 0, 0, 0, 0, 0, len, 0]
}
pub(crate) const LOAD: [u8; 8] = [0xC0, 0, 0, 0, 0, 0, 0xFF, 0];

/// The buffers of the device.
pub(crate) struct Memory {
    storage: Storage,
    config_descriptor: [u8; 128],
    bos_descriptor: [u8; 64],
    control: [u8; 256],
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            storage: Storage::default(),
            config_descriptor: [0; 128],
            bos_descriptor: [0; 64],
            control: [0; 256],
        }
    }
}

/// What the requests of `store` and `LOAD` work on.
#[derive(Default)]
struct Storage(Vec<u8>);

impl Handler for Storage {
    fn control_out(&mut self, request: Request, data: &[u8]) -> Option<OutResponse> {
        is_vendor(request).then(|| {
            self.0 = data.to_vec();
            OutResponse::Accepted
        })
    }

    fn control_in<'a>(&'a mut self, request: Request, _: &'a mut [u8]) -> Option<InResponse<'a>> {
        is_vendor(request).then_some(InResponse::Accepted(&self.0))
    }
}

fn is_vendor(request: Request) -> bool {
    (request.request_type, request.recipient) == (RequestType::Vendor, Recipient::Device)
}

/// Runs the device: what it receives it sends back.
pub(crate) async fn run<'d>(driver: impl Driver<'d> + 'd, memory: &'d mut Memory) {
    let mut config = Config::new(0x1234, 0x5678);
    config.max_power = 100;
    config.composite_with_iads = false;
    config.device_class = 0xFF;
    config.device_sub_class = 0;
    config.device_protocol = 0;
    let mut builder = Builder::new(
        driver,
        config,
        &mut memory.config_descriptor,
        &mut memory.bos_descriptor,
        &mut [],
        &mut memory.control,
    );
    let mut function = builder.function(0xFF, 0, 0);
    let mut interface = function.interface();
    let mut setting = interface.alt_setting(0xFF, 0, 0, None);
    let mut output = setting.endpoint_bulk_out(None, MAX_PACKET_SIZE);
    let mut input = setting.endpoint_bulk_in(None, MAX_PACKET_SIZE);
    interface.alt_setting(0xFF, 0, 0, None);
    drop(function);
    builder.handler(&mut memory.storage);
    let mut device = builder.build();
    join(device.run(), async {
        loop {
            output.wait_enabled().await;
            let mut buffer = [0; MAX_PACKET_SIZE as usize];
            while let Ok(len) = output.read(&mut buffer).await {
                if input.write(&buffer[..len]).await.is_err() {
                    break;
                }
            }
        }
    })
    .await;
}

/// Runs a test with a device that the host has reset.
pub(crate) fn with_device(speed: Speed, test: impl FnOnce(&Simulator, &mut Host)) {
    let mut memory = Memory::new();
    let mut out_buffer = [0; OUT_BUFFER_LEN];
    let simulator = Simulator::new(speed);
    let mut host = Host::new(&simulator);
    host.spawn(run(simulator.driver(&mut out_buffer), &mut memory));
    host.reset();
    test(&simulator, &mut host);
}

/// Runs a test with a configured device at high speed.
pub(crate) fn with_configured_device(test: impl FnOnce(&Simulator, &mut Host)) {
    with_device(Speed::High, |simulator, host| {
        host.set_address(ADDRESS).unwrap();
        host.set_configuration(1).unwrap();
        test(simulator, host);
    });
}
