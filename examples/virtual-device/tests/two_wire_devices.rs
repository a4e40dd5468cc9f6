//! The devices of a topology on a two-wire bus in this process, and a bus owner at the address of
//! the bridge.

use std::path::Path;
use std::time::Duration;

use crc::{CRC_32_ISCSI, Crc};
use embassy_futures::join::{join, join_array};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp::{AsyncReqChannel, Eid, MsgIC, MsgType};
use mctp_i2c::{Config, RECEIVE_BUFFER_LEN, Receiver, Role, Sender, TargetAddress, Timing};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{NetworkId, PortConfig, PortId, Router, RouterStorage, Target};
use nvme_mi_responder::wire::{AdminRequest, AdminResponse, Identify, IdentifyStructure};
use tokio::time::Instant;
use uuid::Uuid;
use virtual_device::settings::DEFAULT_UUID;
use virtual_device::topology::Topology;
use virtual_device::two_wire_bus::{Devices, RETRIES};
use virtual_host::clock::TokioClock;
use zerocopy::{FromBytes, IntoBytes};

const EXAMPLE: &str = include_str!("../topologies/eight-devices.toml");

const PORT: PortId = PortId(0);

/// Longer than anything here takes by tokio's clock, which is paused.
const TIME_LIMIT: Duration = Duration::from_secs(600);

type OwnerRouter<'b> = Router<'b, NoopRawMutex, TokioClock>;

fn topology(text: &str) -> Topology {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    Topology::parse(text, &folder).unwrap()
}

/// Runs what a bus owner at the bridge's address does beside the devices.
async fn beside_devices(text: &str, asks: impl AsyncFnOnce(&Owner<'_, '_>)) {
    let topology = topology(text);
    let devices = Devices::new(&topology, DEFAULT_UUID);
    let mut storage = Box::new(RouterStorage::<
        Ports<'_, 1>,
        Networks<1>,
        ShortMessages<'_, 8>,
        LongMessages<'_, 8, 5000>,
        Channels<'_, 9>,
        Routes<2>,
    >::new());
    let mut transfers = Box::new(PortBuffers::<259>::new());
    let config = mctp_router::Config::new(DEFAULT_UUID.into_bytes());
    let router = OwnerRouter::new(&mut *storage, TokioClock::start(), &config);
    assert_eq!(router.add_port(NetworkId(0), &mut transfers), Ok(PORT));
    router.configure_port(PORT, PortConfig::new(64));
    assert!(router.set_endpoint_id(NetworkId(0), Eid(8)));

    let (bus, own) = (devices.bus(), topology.bus.address);
    let mut buffer = [0; RECEIVE_BUFFER_LEN];
    let mut receiver = Receiver::new(bus.target(own), own, &mut buffer).unwrap();
    let controller = bus.controller(|| topology.bus.frequency);
    let config = Config::new(own)
        .with_role(Role::BusOwner)
        .with_timing(Timing::new().with_retries(RETRIES));
    let mut sender = Sender::with_status(controller, bus.delay(), bus.status(), config);
    let owner = Owner {
        router: &router,
        devices: &devices,
        topology: &topology,
    };
    let asks = async {
        // The devices have to be on the bus first.
        tokio::time::sleep(Duration::from_millis(10)).await;
        asks(&owner).await;
    };
    let all = virtual_host::waker::with_one_waker(async {
        tokio::select! {
            never = router.run(PORT, &mut receiver, &mut sender) => match never {},
            never = devices.run(&()) => match never {},
            () = asks => {}
        }
    });
    tokio::time::timeout(TIME_LIMIT, all).await.unwrap();
}

struct Owner<'r, 'b> {
    router: &'r OwnerRouter<'b>,
    devices: &'r Devices,
    topology: &'r Topology,
}

impl Owner<'_, '_> {
    fn address(&self, index: usize) -> TargetAddress {
        self.topology.devices[index].address
    }

    /// Sends a message to the endpoint with this ID at this address, and returns the answer.
    async fn ask(
        &self,
        (address, endpoint_id): (TargetAddress, u8),
        (message_type, check): (u8, bool),
        body: &[u8],
    ) -> mctp::Result<Vec<u8>> {
        let neighbour = Target::Neighbour(PORT, address.into(), Eid(endpoint_id));
        let channel = self.router.request_channel(neighbour);
        let mut channel = channel.with_timeout(Duration::from_secs(10));
        let parts = (MsgType(message_type), MsgIC(check));
        channel.send_vectored(parts.0, parts.1, &[body]).await?;
        let mut buffer = vec![0; 5000];
        let (answer_type, answer_check, answer) = channel.recv(&mut buffer).await?;
        assert_eq!((answer_type, answer_check), parts);
        Ok(answer.to_vec())
    }

    async fn control(&self, address: TargetAddress, request: &[u8]) -> mctp::Result<Vec<u8>> {
        self.ask((address, 0), (0, false), request).await
    }

    /// What Get Endpoint ID says: the endpoint ID and the type of endpoint.
    async fn endpoint_id(&self, address: TargetAddress) -> (u8, u8) {
        let answer = self.control(address, &[0x80, 0x02]).await.unwrap();
        assert_eq!(answer[..3], [0x00, 0x02, 0x00]);
        (answer[3], answer[4])
    }

    async fn set_endpoint_id(&self, address: TargetAddress, endpoint_id: u8) {
        let request = [0x81, 0x01, 0x00, endpoint_id];
        let answer = self.control(address, &request).await.unwrap();
        assert_eq!(answer, [0x01, 0x01, 0x00, 0x00, endpoint_id, 0x00]);
    }

    async fn uuid(&self, address: TargetAddress) -> Uuid {
        let answer = self.control(address, &[0x82, 0x03]).await.unwrap();
        assert_eq!(answer[..3], [0x02, 0x03, 0x00]);
        Uuid::from_slice(&answer[3..]).unwrap()
    }

    /// Serial number and model number of controller 0, by Identify Controller over NVMe-MI.
    async fn identity(&self, neighbour: (TargetAddress, u8)) -> (String, String) {
        let mut command = Identify::default();
        command.structure = IdentifyStructure::CONTROLLER;
        let mut request = AdminRequest::new(0, 0, command);
        request.data_length.set(4096);
        request.flags = AdminRequest::DATA_LENGTH_VALID;
        let crc = Crc::<u32>::new(&CRC_32_ISCSI);
        let check = crc.checksum(&[&[0x84], request.as_bytes()].concat());
        let message = [request.as_bytes(), &check.to_le_bytes()].concat();
        let answer = self.ask(neighbour, (4, true), &message).await.unwrap();
        let (answer, check) = answer.split_last_chunk::<4>().unwrap();
        let sum = crc.checksum(&[&[0x84], answer].concat());
        assert_eq!(sum.to_le_bytes(), *check);
        let (response, data) = AdminResponse::read_from_prefix(answer).unwrap();
        assert_eq!(response.completion_status(), 0);
        assert_eq!(data.len(), 4096);
        // NVM Express Base 2.0, Figure 275: SN and MN.
        let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().trim_end().to_owned();
        (text(&data[4..24]), text(&data[24..64]))
    }

    async fn echo(&self, neighbour: (TargetAddress, u8), len: usize) -> mctp::Result<()> {
        let message = [&[0xCC, 0xDE, 0xF0][..], &vec![neighbour.1; len]].concat();
        let echo = self.ask(neighbour, (0x7E, false), &message).await?;
        assert_eq!(echo, message);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn eight_devices_get_endpoint_ids_and_tell_who_they_are() {
    beside_devices(EXAMPLE, async |owner| {
        assert!(owner.devices.plug_in("slot5"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut serial_numbers = Vec::new();
        for (index, device) in owner.topology.devices.iter().enumerate() {
            let (address, endpoint_id) = (device.address, 40 + index as u8);
            let before = match device.endpoint_id {
                Some(id) => (id, 0x02),
                None => (0, 0x00),
            };
            assert_eq!(owner.endpoint_id(address).await, before, "{}", device.name);
            owner.set_endpoint_id(address, endpoint_id).await;
            let uuid = device.uuid_behind(DEFAULT_UUID);
            assert_eq!(owner.uuid(address).await, uuid, "{}", device.name);

            let (serial_number, model_number) = owner.identity((address, endpoint_id)).await;
            let of_uuid = uuid.simple().to_string()[..12].to_owned();
            let expected = device.model.serial_number.clone().unwrap_or(of_uuid);
            assert_eq!(serial_number, expected, "{}", device.name);
            assert_eq!(model_number, device.model.model_number, "{}", device.name);
            assert!(!serial_numbers.contains(&serial_number));
            serial_numbers.push(serial_number);
            owner.echo((address, endpoint_id), 1000).await.unwrap();
        }
        assert_eq!(serial_numbers.len(), 8);
        assert_eq!(owner.router.drop_counters().total(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn devices_that_answer_at_once_arbitrate_and_none_is_lost() {
    beside_devices(EXAMPLE, async |owner| {
        assert!(owner.devices.plug_in("slot5"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        for _ in 0..5 {
            let echoes = std::array::from_fn::<_, 8, _>(|index| async move {
                owner.echo((owner.address(index), 0), 700).await
            });
            let echoes = join_array(echoes).await;
            assert!(echoes.iter().all(Result::is_ok), "{echoes:?}");
        }
        assert_eq!(owner.router.drop_counters().total(), 0);
        assert!(owner.devices.bus().usage().arbitrations_lost > 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_unplugged_does_not_acknowledge_and_starts_anew_when_it_is_back() {
    beside_devices(EXAMPLE, async |owner| {
        let (other, address) = (owner.address(0), owner.address(2));
        owner.set_endpoint_id(other, 40).await;
        owner.set_endpoint_id(address, 42).await;
        assert!(owner.devices.unplug("slot2"));
        assert!(!owner.devices.unplug("slot2"), "it is unplugged already");
        let begin = Instant::now();
        let echo = owner.echo((address, 42), 10).await;
        assert!(matches!(echo, Err(mctp::Error::Unreachable)), "{echo:?}");
        let took = begin.elapsed();
        assert!(took < Duration::from_millis(30), "{took:?}");
        // The others are still there.
        owner.echo((other, 40), 500).await.unwrap();

        assert!(owner.devices.plug_in("slot2"));
        assert!(!owner.devices.plug_in("slot2"), "it is plugged in already");
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(owner.endpoint_id(address).await, (0, 0));
        owner.set_endpoint_id(address, 43).await;
        owner.echo((address, 43), 500).await.unwrap();
        assert_eq!(owner.endpoint_id(other).await, (40, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_out_for_a_moment_starts_anew_too() {
    beside_devices(EXAMPLE, async |owner| {
        let address = owner.address(0);
        owner.set_endpoint_id(address, 40).await;
        assert!(owner.devices.unplug("slot0"));
        assert!(owner.devices.plug_in("slot0"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(owner.endpoint_id(address).await, (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_unplugged_amid_its_answer_costs_the_others_nothing() {
    beside_devices(EXAMPLE, async |owner| {
        let (other, address) = (owner.address(0), owner.address(2));
        let unplug = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert!(owner.devices.unplug("slot2"));
        };
        let asked = join(owner.echo((address, 0), 4000), owner.echo((other, 0), 4000));
        let ((lost, echoed), ()) = join(asked, unplug).await;
        assert!(lost.is_err());
        echoed.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_is_out_in_the_beginning_if_the_file_says_so_and_nobody_has_another_name() {
    beside_devices(EXAMPLE, async |owner| {
        let address = owner.address(5);
        let echo = owner.echo((address, 0), 10).await;
        assert!(matches!(echo, Err(mctp::Error::Unreachable)), "{echo:?}");
        assert!(!owner.devices.plug_in("slot8"));
        assert!(!owner.devices.unplug("slot8"));
        assert!(owner.devices.plug_in("slot5"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        owner.echo((address, 0), 10).await.unwrap();
    })
    .await;
}

/// Has so many bytes echoed at 100 kHz, and compares the time with that of the transactions.
async fn takes_bus_time(len: u64) {
    let text = EXAMPLE.replace("\"400 kHz\"", "\"100 kHz\"");
    beside_devices(&text, async |owner| {
        let (begin, before) = (Instant::now(), owner.devices.bus().usage());
        let neighbour = (owner.address(0), 0);
        owner.echo(neighbour, len as usize).await.unwrap();
        let (took, after) = (begin.elapsed(), owner.devices.bus().usage());
        let bytes = after.bytes - before.bytes;
        assert!((2 * len..5 * len / 2).contains(&bytes), "{bytes}");
        let bus_time = after.time - before.time;
        assert!(
            bus_time >= Duration::from_micros(bytes * 90),
            "{bus_time:?}"
        );
        let allowance = Duration::from_millis(2);
        assert!(took + allowance >= bus_time, "{took:?}, {bus_time:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_bus_takes_as_long_as_its_transactions() {
    takes_bus_time(4000).await;
}

#[tokio::test]
async fn the_bus_takes_as_long_as_its_transactions_in_real_time_too() {
    takes_bus_time(1000).await;
}
