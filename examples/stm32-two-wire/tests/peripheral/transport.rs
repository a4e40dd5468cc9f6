//! Both halves of the transport of `mctp-i2c` on the peripheral.

use core::future::{pending, ready};
use core::pin::pin;
use core::task::Poll;

use embassy_futures::poll_once;
use embedded_hal_async::delay::DelayNs;
use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::{Config, RECEIVE_BUFFER_LEN, Receiver, Sender, TargetAddress, pec};
use mctp_transport::{RawHeader, Received, SendError, Transfer, TransportRx, TransportTx};
use stm32_two_wire::Halves;

use crate::simulation::{Answer, NEIGHBOUR, OWN, Simulation};

/// The pauses of fairness are over at once, and time limits never come.
struct Patience;

impl DelayNs for Patience {
    async fn delay_ns(&mut self, nanoseconds: u32) {
        self.delay_us(nanoseconds / 1000).await;
    }

    async fn delay_us(&mut self, microseconds: u32) {
        match microseconds {
            0..1000 => ready(()).await,
            _ => pending().await,
        }
    }
}

/// Packet header of a message in one packet.
const HEADER: [u8; 4] = [1, 8, 9, 0xC0];

/// The transaction of a packet from one address to another, behind the destination byte.
fn transaction(from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
    let len = (HEADER.len() + payload.len() + 1) as u8;
    let head = [to << 1, 0x0F, len, from << 1 | 1];
    let mut bytes = [&head[..], &HEADER, payload].concat();
    bytes.push(pec(&bytes));
    bytes.split_off(1)
}

#[test]
fn packets_are_exchanged_whoever_wins_the_bus() {
    for interrupts_are_late in [false, true] {
        let mut simulation = Simulation::new();
        simulation.interrupts_are_late = interrupts_are_late;
        let halves = simulation.device.start(OWN, Simulation::timing());
        let Halves {
            controller,
            target,
            status,
        } = halves.unwrap();
        let mut sender = Sender::with_status(controller, Patience, status, Config::new(OWN));
        let mut buffer = [0; RECEIVE_BUFFER_LEN];
        let mut receiver = Receiver::new(target, OWN, &mut buffer).unwrap();
        let is_up = poll_once(receiver.receive());
        assert!(matches!(is_up, Poll::Ready(Received::LinkUp)));

        let payload = [0x33; 250];
        simulation.device_is_first = true;
        for lost_at in [0, 1, 100, 258] {
            // The first attempt is lost, the second is not acknowledged, the third comes through.
            simulation.answer = Answer::Lose(lost_at);
            simulation.foreign_write(&transaction(NEIGHBOUR, OWN.as_byte(), &[lost_at as u8]));
            let mut place = [0; MAX_TRANSACTION];
            let mut transfer = Transfer::new(&mut place, sender.layout());
            let neighbour = TargetAddress::new(NEIGHBOUR).unwrap();
            let header = RawHeader::from_bytes(HEADER);
            let pushed = transfer.push(neighbour.into(), header, payload.len());
            pushed.unwrap().copy_from_slice(&payload);
            {
                let mut send = pin!(sender.send(&mut transfer));
                for next in [Answer::Refuse(lost_at), Answer::Acknowledge] {
                    assert!(poll_once(send.as_mut()).is_pending());
                    simulation.run();
                    simulation.answer = next;
                }
                assert!(poll_once(send.as_mut()).is_pending());
                simulation.run();
                assert_eq!(poll_once(send), Poll::Ready(Ok(())));
            }
            let sent = simulation.delivered.pop().unwrap();
            assert_eq!(sent[0], NEIGHBOUR);
            assert_eq!(sent[1..], transaction(OWN.as_byte(), NEIGHBOUR, &payload));
            let Poll::Ready(Received::Packet { source, bytes }) = poll_once(receiver.receive())
            else {
                panic!("the packet of the neighbour is lost");
            };
            assert_eq!(TargetAddress::try_from(source), Ok(neighbour));
            assert_eq!(bytes, [&HEADER[..], &[lost_at as u8]].concat());
        }
    }
}

#[test]
fn a_neighbour_that_is_not_there_is_told() {
    let mut simulation = Simulation::new();
    let halves = simulation.device.start(OWN, Simulation::timing());
    let mut sender = Sender::new(halves.unwrap().controller, Patience, Config::new(OWN));
    let mut place = [0; MAX_TRANSACTION];
    let mut transfer = Transfer::new(&mut place, sender.layout());
    let nobody = TargetAddress::new(0x44).unwrap();
    let pushed = transfer.push(nobody.into(), RawHeader::from_bytes(HEADER), 1);
    pushed.unwrap().copy_from_slice(&[1]);
    let mut send = pin!(sender.send(&mut transfer));
    for _ in 0..9 {
        assert!(poll_once(send.as_mut()).is_pending());
        simulation.run();
    }
    assert_eq!(poll_once(send), Poll::Ready(Err(SendError::NotAccepted)));
}
