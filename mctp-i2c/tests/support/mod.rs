//! A device that sends on a simulated bus, and its neighbours.
#![allow(dead_code, reason = "each test program uses a part")]

use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::simulated_bus::{
    SimulatedBus, SimulatedController, SimulatedDelay, SimulatedStatus, SimulatedTarget,
};
use mctp_i2c::{Config, Receiver, Sender, TargetAddress};
use mctp_transport::{
    DropReason, PhysicalAddress, RawHeader, Received, SendError, Transfer, TransportRx, TransportTx,
};

pub(crate) const DRIVE: TargetAddress = TargetAddress::new(0x1D).unwrap();
pub(crate) const BMC: TargetAddress = TargetAddress::new(0x10).unwrap();
pub(crate) const HEADER: [u8; 4] = [1, 8, 9, 0xC0];

pub(crate) type SimulatedSender = Sender<SimulatedController, SimulatedDelay, SimulatedStatus>;

pub(crate) fn sender(bus: &SimulatedBus, config: Config) -> SimulatedSender {
    Sender::with_status(bus.controller(), bus.delay(), bus.status(), config)
}

/// Sends one packet; `None` when that would last for ever.
pub(crate) fn send_to(
    destination: PhysicalAddress,
    sender: &mut SimulatedSender,
    bus: &SimulatedBus,
    payload: &[u8],
) -> Option<Result<(), SendError>> {
    let mut buffer = [0; MAX_TRANSACTION];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    let place = transfer.push(destination, RawHeader::from_bytes(HEADER), payload.len());
    place.unwrap().copy_from_slice(payload);
    bus.block_on(sender.send(&mut transfer))
}

pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    [&HEADER, payload].concat()
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Packet(TargetAddress, Vec<u8>),
    Dropped(DropReason),
    LinkUp,
    LinkDown,
}

pub(crate) fn seen(bus: &SimulatedBus, receiver: &mut Receiver<'_, SimulatedTarget>) -> Vec<Seen> {
    let next = || {
        Some(match bus.block_on(receiver.receive())? {
            Received::Packet { source, bytes } => {
                Seen::Packet(source.try_into().unwrap(), bytes.to_vec())
            }
            Received::Broadcast { .. } => panic!("nothing is broadcast on this bus"),
            Received::Dropped(reason) => Seen::Dropped(reason),
            Received::LinkUp => Seen::LinkUp,
            Received::LinkDown => Seen::LinkDown,
        })
    };
    std::iter::from_fn(next).collect()
}

/// A receiver whose link is up.
pub(crate) fn receiver(
    bus: &SimulatedBus,
    address: TargetAddress,
    buffer_len: usize,
) -> Receiver<'static, SimulatedTarget> {
    let buffer = Vec::leak(vec![0; buffer_len]);
    let mut receiver = Receiver::new(bus.target(address, 8), address, buffer).unwrap();
    assert_eq!(seen(bus, &mut receiver), [Seen::LinkUp]);
    receiver
}
