//! The endpoint on a simulated bus, beside a controller that sends what Linux sends, and beside a
//! bus owner made of the same crates.

use std::pin::pin;
use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp::{AsyncReqChannel, Eid, MsgIC, MsgType};
use mctp_i2c::framing::{MAX_TRANSACTION, encode};
use mctp_i2c::simulated_bus::{Fate, SimulatedBus, SimulatedTarget};
use mctp_i2c::{Config, Decoded, Receiver, Role, Sender, Target, TargetAddress, framing};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{NetworkId, PortConfig, PortId, Router, RouterStorage};
use two_wire_endpoint::{Hardware, Identity, Memory, run};

const DRIVE: TargetAddress = TargetAddress::new(0x1D).unwrap();
const BMC: TargetAddress = TargetAddress::new(0x10).unwrap();

/// The port of the bus owner's router.
const PORT: PortId = PortId(0);

/// An endpoint at this address of the bus.
async fn endpoint(bus: &SimulatedBus, address: TargetAddress) {
    let hardware = Hardware {
        controller: bus.controller(),
        target: bus.target(address, 2),
        delay: bus.delay(),
        clock: bus.clone(),
    };
    let identity = Identity {
        address,
        uuid: [0x11; 16],
    };
    match run(identity, hardware, Box::leak(Box::new(Memory::new()))).await {}
}

/// The next transaction to the management controller, without its destination byte.
async fn next(bmc: &mut SimulatedTarget) -> Vec<u8> {
    let mut buffer = [0; MAX_TRANSACTION];
    let len = bmc.receive(&mut buffer).await.unwrap();
    buffer[..len].to_vec()
}

/// The MCTP packet in such a transaction.
fn packet_of(behind_destination: &[u8]) -> Vec<u8> {
    let bytes = [&[BMC.destination_byte()], behind_destination].concat();
    let Decoded { source, packet, .. } = framing::decode(&bytes).unwrap();
    assert_eq!(source, DRIVE);
    packet.to_vec()
}

/// Runs what the management controller does beside the endpoint.
fn beside_endpoint<F: Future>(bus: &SimulatedBus, bmc: F) -> F::Output {
    let (endpoint, bmc) = (pin!(endpoint(bus, DRIVE)), pin!(bmc));
    match bus.block_on(select(endpoint, bmc)) {
        Some(Either::Second(output)) => output,
        _ => panic!("it waits for ever: {bus:?}"),
    }
}

#[test]
fn answers_get_endpoint_id_of_linux_byte_for_byte() {
    let bus = SimulatedBus::new(100_000);
    let mut bmc = bus.target(BMC, 8);
    let answer = beside_endpoint(&bus, async {
        // The endpoint has to be on the bus first.
        embassy_futures::yield_now().await;
        bus.write(&[
            0x3A, 0x0F, 0x08, 0x21, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02, 0x56,
        ])
        .unwrap();
        next(&mut bmc).await
    });
    let expected = [
        // The last byte but one says that the endpoint is fair.
        0x0F, 0x0C, 0x3B, 0x01, 0x08, 0x00, 0xC0, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x05,
    ];
    assert_eq!(answer, expected);
}

#[test]
fn echoes_messages_of_one_packet_and_of_several_after_faults_of_the_bus() {
    let bus = SimulatedBus::new(400_000);
    let mut bmc = bus.target(BMC, 64);
    // Everything that the endpoint sends fails twice at first.
    bus.decide(|number, bytes| match (bytes[0], number % 3) {
        (0x20, 0) => Fate::ArbitrationLost { byte: 3 },
        (0x20, 1) => Fate::NotAcknowledged { byte: 5 },
        _ => Fate::Delivered,
    });
    beside_endpoint(&bus, async {
        embassy_futures::yield_now().await;
        for (tag, len) in [1, 60, 64, 200, 1000].into_iter().enumerate() {
            let body = (0..len).map(|byte| byte as u8);
            let message: Vec<u8> = [0x7E, 0xCC, 0xDE, 0xF0].into_iter().chain(body).collect();
            let pieces: Vec<_> = message.chunks(64).collect();
            for (number, piece) in pieces.iter().enumerate() {
                let (start, end) = (number == 0, number + 1 == pieces.len());
                let flags = u8::from(start) << 7 | u8::from(end) << 6 | 0x08;
                let flags = flags | (number as u8 & 3) << 4 | tag as u8;
                let packet = [&[1, 0, 8, flags], *piece].concat();
                let mut buffer = [0; MAX_TRANSACTION];
                let bytes = encode(DRIVE, BMC, &packet, &mut buffer).unwrap();
                bus.write(bytes).unwrap();
                embassy_futures::yield_now().await;
            }
            let mut echo = Vec::new();
            while echo.len() < message.len() {
                let packet = packet_of(&next(&mut bmc).await);
                assert_eq!(packet[3] & 0x0F, tag as u8, "the tag, and not its owner");
                echo.extend_from_slice(&packet[4..]);
            }
            assert_eq!(echo, message);
        }
    });
}

type OwnerRouter<'b> = Router<'b, NoopRawMutex, SimulatedBus>;

const OTHER: TargetAddress = TargetAddress::new(0x1E).unwrap();

/// Runs what a bus owner made of the same crates does beside two endpoints.
fn beside_two_endpoints(bus: &SimulatedBus, asks: impl AsyncFnOnce(&OwnerRouter<'_>)) {
    let mut storage = RouterStorage::<
        Ports<'_, 1>,
        Networks<1>,
        ShortMessages<'_, 4>,
        LongMessages<'_, 2, 1024>,
        Channels<'_, 2>,
        Routes<2>,
    >::new();
    let (mut transfers, mut buffer) = (PortBuffers::<259>::new(), [0; 260]);
    let config = mctp_router::Config::new([0x22; 16]);
    let router = OwnerRouter::new(&mut storage, bus.clone(), &config);
    assert_eq!(router.add_port(NetworkId(0), &mut transfers), Ok(PORT));
    router.configure_port(PORT, PortConfig::new(250));
    let mut receiver = Receiver::new(bus.target(BMC, 2), BMC, &mut buffer).unwrap();
    let config = Config::new(BMC).with_role(Role::BusOwner);
    let mut sender = Sender::with_status(bus.controller(), bus.delay(), bus.status(), config);

    let owner = pin!(router.run(PORT, &mut receiver, &mut sender));
    let endpoints = pin!(select(endpoint(bus, DRIVE), endpoint(bus, OTHER)));
    let asks = pin!(async {
        embassy_futures::yield_now().await;
        asks(&router).await;
    });
    let done = bus.block_on(select(select(owner, endpoints), asks));
    assert!(matches!(done, Some(Either::Second(()))), "{bus:?}");
}

/// Has 500 bytes echoed by the endpoint at this address.
async fn echo(router: &OwnerRouter<'_>, address: TargetAddress) -> mctp::Result<()> {
    let neighbour = mctp_router::Target::Neighbour(PORT, address.into(), Eid(0));
    let mut channel = router.request_channel(neighbour);
    let message = [&[0xCC, 0xDE, 0xF0, address.as_byte()], &[7; 500][..]].concat();
    channel.send(MsgType(0x7E), &message).await?;
    let mut answer = [0; 1024];
    let (message_type, integrity_check, echo) = channel.recv(&mut answer).await?;
    assert_eq!(
        (message_type, integrity_check),
        (MsgType(0x7E), MsgIC(false))
    );
    assert_eq!(echo, message);
    Ok(())
}

#[test]
fn a_bus_owner_reaches_two_endpoints_and_learns_that_a_third_is_not_there() {
    let bus = SimulatedBus::new(100_000);
    beside_two_endpoints(&bus, async |router| {
        let absent = TargetAddress::new(0x1F).unwrap();
        for address in [DRIVE, OTHER, absent, OTHER, DRIVE] {
            let begin = bus.elapsed();
            let echoed = echo(router, address).await;
            if address == absent {
                assert!(matches!(echoed, Err(mctp::Error::Unreachable)));
                let took = bus.elapsed() - begin;
                assert!(took < Duration::from_millis(10), "{took:?}");
            } else {
                echoed.unwrap();
            }
        }
    });
}

#[test]
fn a_bus_owner_that_asks_two_endpoints_at_once_gets_both_answers() {
    for rate in [100_000, 400_000, 1_000_000] {
        let bus = SimulatedBus::new(rate);
        beside_two_endpoints(&bus, async |router| {
            for _ in 0..20 {
                let echoed = join(echo(router, DRIVE), echo(router, OTHER)).await;
                assert!(matches!(echoed, (Ok(()), Ok(()))), "{echoed:?}");
            }
            assert_eq!(router.drop_counters().total(), 0);
        });
    }
}
