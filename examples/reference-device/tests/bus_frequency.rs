//! Configuration Set, SMBus/I2C Frequency (NVMe-MI 1.2, section 5.2.1) on a simulated two-wire bus: a
//! device with two two-wire ports, and a management controller.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use embassy_futures::join::join5;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{ErrorType, I2c, Operation};
use mctp::{AsyncReqChannel, Eid, MCTP_TYPE_NVME, MsgIC};
use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::simulated_bus::{BusError, SimulatedBus, SimulatedController};
use mctp_i2c::{RECEIVE_BUFFER_LEN, Receiver, Sender, SharedBusFrequency, TargetAddress};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Config, NetworkId, PortId, Router, RouterStorage, Target};
use nvme_mi_responder::wire::{
    ConfigurationGet, ConfigurationIdentifier, ManagementCommand, ManagementRequest,
    ManagementResponse, ResponseStatus, SetSmbusFrequency, TwoWireFrequency,
};
use nvme_mi_responder::world::{Effects, Health, HealthReport, World};
use nvme_mi_responder::{
    Crc32c, Device, Identity, ManagementEndpoint, MessageBuffer, PortConfig, PortKind, Server,
    SmbusFrequency, SoftwareCrc32c, Subsystem, TwoWirePort, vendor_from_build,
};
use reference_device::{MANAGE_CHANNELS, ManagementLink, manage, report_events};
use zerocopy::{FromBytes, IntoBytes};

const BMC: TargetAddress = TargetAddress::new(0x10).unwrap();
/// Addresses of the device's ports on the bus, and its endpoint IDs there.
const PORTS: [(TargetAddress, Eid); 2] = [
    (TargetAddress::new(0x1D).unwrap(), Eid(9)),
    (TargetAddress::new(0x1E).unwrap(), Eid(10)),
];

/// A controller that runs at the frequency that is allowed, as the adapter of a HAL does. It tells
/// how fast each of its transactions really was.
struct Clocked<'f> {
    bus: &'f SimulatedBus,
    controller: SimulatedController,
    allowed: &'f SharedBusFrequency,
    rates: &'f RefCell<Vec<u32>>,
}

impl ErrorType for Clocked<'_> {
    type Error = BusError;
}

impl I2c for Clocked<'_> {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        self.controller.set_rate(self.allowed.get().hertz());
        let before = self.bus.usage();
        let result = self.controller.transaction(address, operations).await;
        let after = self.bus.usage();
        let clocks = 9 * (after.bytes - before.bytes) as u32 + 2;
        let time = after.time - before.time;
        let rates = [(100_000, 4_700), (400_000, 1_300), (1_000_000, 500)];
        let rate = rates.iter().find(|(rate, bus_free)| {
            Duration::from_secs(1) / *rate * clocks + Duration::from_nanos(*bus_free) == time
        });
        let (rate, _) = rate.expect("the transaction was at a rate of the bus");
        self.rates.borrow_mut().push(*rate);
        // Others run while the packet is on the bus.
        yield_now().await;
        result
    }
}

struct TwoLinks<'l> {
    health: HealthReport,
    effects: BothLinks<'l>,
}

struct BothLinks<'l>([&'l ManagementLink; 2]);

impl World for TwoLinks<'_> {
    fn health(&mut self) -> &mut dyn Health {
        &mut self.health
    }
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        SoftwareCrc32c.crc32c(parts)
    }
    fn effects(&mut self) -> Option<&mut dyn Effects> {
        Some(&mut self.effects)
    }
}

impl Effects for BothLinks<'_> {
    fn smbus_frequency_changed(
        &mut self,
        port: nvme_mi_responder::PortId,
        frequency: SmbusFrequency,
    ) {
        for mut link in self.0 {
            link.smbus_frequency_changed(port, frequency);
        }
    }
}

fn two_wire_port(address: TargetAddress) -> PortConfig {
    let port = TwoWirePort {
        vpd_address: 0,
        vpd_frequency: None,
        endpoint_address: address.as_byte(),
        frequency: SmbusFrequency::Mhz1,
        basic_management: false,
    };
    PortConfig {
        kind: PortKind::TwoWire(port),
        max_transmission_unit: 64,
    }
}

/// At which rate the packets of each port went.
type Rates = [RefCell<Vec<u32>>; 2];

/// Runs the device for ever.
async fn device(bus: &SimulatedBus, rates: &Rates) -> Infallible {
    let mut storage = RouterStorage::<
        Ports<'_, 2>,
        Networks<2>,
        ShortMessages<'_, 4>,
        LongMessages<'_, 2, 4224>,
        Channels<'_, { 2 * MANAGE_CHANNELS }>,
        Routes<0>,
    >::new();
    let mut transfers = [(); 2].map(|()| PortBuffers::<MAX_TRANSACTION>::new());
    let config = Config::new(*b"the device UUID.");
    let router = Router::<NoopRawMutex, _>::new(&mut storage, bus.clone(), &config);
    for (port, transfers) in (0..).zip(&mut transfers) {
        let added = router.add_port(NetworkId(port), transfers);
        assert_eq!(added, Ok(PortId(port)));
        router.set_endpoint_id(NetworkId(port), PORTS[usize::from(port)].1);
    }
    let links = [0, 1].map(|port| ManagementLink::at(NetworkId(port), PortId(port)));

    let identity = Identity {
        serial_number: "1",
        model_number: "A drive with two two-wire ports",
        firmware_revision: "1",
        qualified_name: "nqn.2014-08.com.example:two-wire-ports",
        capacity: 0,
        vendor: vendor_from_build!(),
    };
    let mut subsystem = Subsystem::<2, 1, 1>::new(identity).unwrap();
    let mut model = subsystem.model();
    for (address, _) in PORTS {
        model.add_port(two_wire_port(address)).unwrap();
    }
    let world = TwoLinks {
        health: HealthReport::healthy(),
        effects: BothLinks(links.each_ref()),
    };
    let mut device = Device::new(model, world);
    let mut buffers = [(); 4].map(|()| MessageBuffer::new());
    let mut buffers = buffers.each_mut().into_iter();
    let endpoints = [0, 1].map(|port| {
        let pair = [(); 2].map(|()| buffers.next().unwrap());
        ManagementEndpoint::new(&mut device, nvme_mi_responder::PortId(port), pair).unwrap()
    });
    let device = RefCell::new(device);
    let servers = endpoints.map(|endpoint| Server::new(&device, endpoint));

    let run_port = async |port: usize| {
        let frequency = links[port].frequency();
        let mut buffer = [0; RECEIVE_BUFFER_LEN];
        let address = PORTS[port].0;
        let mut receiver = Receiver::new(bus.target(address, 2), address, &mut buffer).unwrap();
        let controller = Clocked {
            bus,
            controller: bus.controller(),
            allowed: frequency.now(),
            rates: &rates[port],
        };
        let status = frequency.status(&router, PortId(port as u8), bus.status());
        let config = mctp_i2c::Config::new(address);
        let mut sender = Sender::with_status(controller, bus.delay(), status, config);
        let port = PortId(port as u8);
        router.run(port, &mut receiver, &mut sender).await
    };
    let [first, second] =
        [0, 1].map(|port| manage(&router, &servers[port], &links[port], bus.clone()).unwrap());
    let watch_first = links[0].watched_by(&());
    let events = report_events(&router, links[1].watched_by(&watch_first));
    join5(run_port(0), run_port(1), first, second, events)
        .await
        .0
}

/// The management controller.
struct Host<'r, 'b> {
    router: &'r Router<'b, NoopRawMutex, SimulatedBus>,
    rates: &'r Rates,
}

impl Host<'_, '_> {
    /// Sends a command to the management endpoint at `port`; returns its result.
    async fn ask(&self, port: usize, command: impl ManagementCommand) -> [u8; 3] {
        let (address, endpoint_id) = PORTS[port];
        let target = Target::Neighbour(PortId(0), address.into(), endpoint_id);
        let mut channel = self.router.request_channel(target);
        let request = ManagementRequest::new(0, command);
        let message_type = mctp::encode_type_ic(MCTP_TYPE_NVME, MsgIC(true));
        let check = SoftwareCrc32c.crc32c(&[&[message_type], request.as_bytes()]);
        let message = [request.as_bytes(), &check.to_le_bytes()];
        let sent = channel.send_vectored(MCTP_TYPE_NVME, MsgIC(true), &message);
        sent.await.unwrap();
        let mut buffer = [0; 64];
        let (_, _, response) = channel.recv(&mut buffer).await.unwrap();
        let (response, _) = ManagementResponse::read_from_prefix(response).unwrap();
        assert_eq!(response.status, ResponseStatus::SUCCESS);
        response.result
    }

    /// Asks the endpoint at `asked` to let `named` run at `frequency`.
    async fn set(&self, asked: usize, named: usize, frequency: TwoWireFrequency) {
        let mut command = SetSmbusFrequency::default();
        command.identifier = ConfigurationIdentifier::SMBUS_FREQUENCY;
        command.frequency = frequency.0;
        command.port_id = named as u8;
        self.ask(asked, command).await;
    }

    /// The frequency of a port, as the endpoint there says.
    async fn get(&self, port: usize) -> TwoWireFrequency {
        let mut command = ConfigurationGet::default();
        command.identifier = ConfigurationIdentifier::SMBUS_FREQUENCY;
        command.port_id = port as u8;
        TwoWireFrequency(self.ask(port, command).await[0])
    }

    /// How fast the packets of a port went since this was asked last, in bits per second.
    fn rates(&self, port: usize) -> Vec<u32> {
        self.rates[port].take()
    }
}

/// Runs what the management controller does beside the device.
fn beside_device(bus: &SimulatedBus, scenario: impl AsyncFnOnce(Host<'_, '_>)) {
    let rates = Rates::default();
    let mut storage = RouterStorage::<
        Ports<'_, 1>,
        Networks<1>,
        ShortMessages<'_, 2>,
        LongMessages<'_, 1, 1024>,
        Channels<'_, 1>,
        Routes<0>,
    >::new();
    let mut transfers = PortBuffers::<MAX_TRANSACTION>::new();
    let router = Router::new(
        &mut storage,
        bus.clone(),
        &Config::new(*b"the host's UUID."),
    );
    router.add_port(NetworkId(0), &mut transfers).unwrap();
    router.set_endpoint_id(NetworkId(0), Eid(8));
    let mut buffer = [0; RECEIVE_BUFFER_LEN];
    let mut receiver = Receiver::new(bus.target(BMC, 2), BMC, &mut buffer).unwrap();
    let config = mctp_i2c::Config::new(BMC);
    let mut sender = Sender::with_status(bus.controller(), bus.delay(), bus.status(), config);
    let host = Host {
        router: &router,
        rates: &rates,
    };
    let scenario = async {
        // Everybody has to be on the bus first.
        yield_now().await;
        scenario(host).await;
    };
    let link = router.run(PortId(0), &mut receiver, &mut sender);
    let device = Box::pin(device(bus, &rates));
    let running = select(select(device, link), scenario);
    let Some(Either::Second(())) = bus.block_on(running) else {
        panic!("it waits for ever: {bus:?}");
    };
}

#[test]
fn a_frequency_holds_behind_the_response_to_its_command_and_on_its_port_alone() {
    let bus = SimulatedBus::new(100_000);
    beside_device(&bus, async |host| {
        assert_eq!(host.get(0).await, TwoWireFrequency::KHZ_100);
        assert_eq!(host.rates(0), [100_000]);
        host.set(0, 0, TwoWireFrequency::KHZ_400).await;
        assert_eq!(host.rates(0), [100_000], "the response to the command");
        assert_eq!(host.get(0).await, TwoWireFrequency::KHZ_400);
        assert_eq!(host.rates(0), [400_000]);
        assert_eq!(host.get(1).await, TwoWireFrequency::KHZ_100);
        assert_eq!(host.rates(1), [100_000]);

        host.set(0, 0, TwoWireFrequency::MHZ_1).await;
        assert_eq!(host.get(0).await, TwoWireFrequency::MHZ_1);
        host.set(0, 0, TwoWireFrequency::KHZ_100).await;
        assert_eq!(host.get(0).await, TwoWireFrequency::KHZ_100);
        assert_eq!(host.rates(0), [400_000, 1_000_000, 1_000_000, 100_000]);
    });
}

#[test]
fn the_port_that_a_command_names_is_the_one_that_changes_whichever_it_came_by() {
    let bus = SimulatedBus::new(100_000);
    beside_device(&bus, async |host| {
        host.set(0, 1, TwoWireFrequency::MHZ_1).await;
        assert_eq!(host.get(0).await, TwoWireFrequency::KHZ_100);
        assert_eq!(host.rates(0), [100_000, 100_000]);
        assert_eq!(host.get(1).await, TwoWireFrequency::MHZ_1);
        assert_eq!(host.rates(1), [1_000_000]);
    });
}

#[test]
fn a_bus_that_lost_its_power_is_slow_again() {
    let bus = SimulatedBus::new(100_000);
    beside_device(&bus, async |host| {
        host.set(0, 0, TwoWireFrequency::MHZ_1).await;
        assert_eq!(host.get(0).await, TwoWireFrequency::MHZ_1);
        for is_connected in [false, true] {
            bus.set_connected(is_connected);
            bus.delay().delay_us(10).await;
        }
        assert_eq!(host.rates(0), [100_000, 1_000_000]);
        assert_eq!(host.get(0).await, TwoWireFrequency::KHZ_100);
        assert_eq!(host.rates(0), [100_000]);
    });
}
