//! What a receiver makes of what is on the bus.

mod support;

use mctp_i2c::framing::{MAX_PACKET, MAX_TRANSACTION, encode};
use mctp_i2c::simulated_bus::{Fate, SimulatedBus};
use mctp_i2c::{BufferTooSmall, Config, MIN_RECEIVE_BUFFER_LEN, RECEIVE_BUFFER_LEN, Receiver, pec};
use mctp_transport::{DropReason, PhysicalAddress};
use proptest::prelude::*;
use support::{BMC, DRIVE, Seen, packet, receiver, seen, send_to, sender};

const BAD: Seen = Seen::Dropped(DropReason::BadLinkIntegrity);
const TOO_LONG: Seen = Seen::Dropped(DropReason::UnsupportedTransmissionUnit);
const TOO_SHORT: Seen = Seen::Dropped(DropReason::Truncated);

fn transaction(packet: &[u8]) -> Vec<u8> {
    let mut buffer = [0; MAX_TRANSACTION];
    encode(DRIVE, BMC, packet, &mut buffer).unwrap().to_vec()
}

/// A block write of so many bytes behind its byte count, of the right form as far as it can be.
fn block_write(byte_count: usize) -> Vec<u8> {
    let mut bytes = vec![0x3A, 0x0F, byte_count as u8, 0x21, 1, 0, 8, 0xC8];
    bytes.resize(3 + byte_count, 0x55);
    bytes.push(pec(&bytes));
    bytes
}

#[test]
fn a_request_of_linux_is_received_as_it_was_sent() {
    let bus = SimulatedBus::new(100_000);
    let mut drive = receiver(&bus, DRIVE, RECEIVE_BUFFER_LEN);
    assert_eq!(drive.address(), PhysicalAddress::from_byte(0x1D));
    let bytes = [
        0x3A, 0x0F, 0x08, 0x21, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02, 0x56,
    ];
    bus.write(&bytes).unwrap();
    let packet = vec![0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02];
    assert_eq!(seen(&bus, &mut drive), [Seen::Packet(BMC, packet)]);
}

#[test]
fn each_malformed_transaction_is_one_drop_and_the_next_packet_is_received() {
    let good = transaction(&packet(&[0, 0x80, 2]));
    let with = |index: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[index] = byte;
        let last = bytes.len() - 1;
        bytes[last] = pec(&bytes[..last]);
        bytes
    };
    let mut wrong_pec = good.clone();
    *wrong_pec.last_mut().unwrap() ^= 0x10;
    for (bytes, dropped) in [
        // A probe for devices, and one byte of SMBus.
        (vec![0x3A], TOO_SHORT),
        (vec![0x3A, 0x0F], TOO_SHORT),
        (good[..8].to_vec(), TOO_SHORT),
        (with(1, 0x10), BAD),
        (with(2, 0), BAD),
        (with(2, 9), BAD),
        (with(2, 255), BAD),
        // From an IPMI controller, and from the general call address.
        (with(3, 0x20), BAD),
        (with(3, 0x01), BAD),
        (good[..good.len() - 1].to_vec(), BAD),
        ([&good[..], &[0]].concat(), BAD),
        (wrong_pec, BAD),
        (vec![0x3A; 400], BAD),
        (block_write(256), BAD),
        (block_write(300), BAD),
    ] {
        let bus = SimulatedBus::new(100_000);
        let mut drive = receiver(&bus, DRIVE, RECEIVE_BUFFER_LEN);
        bus.write(&bytes).unwrap();
        bus.write(&good).unwrap();
        let arrived = Seen::Packet(BMC, packet(&[0, 0x80, 2]));
        assert_eq!(seen(&bus, &mut drive), [dropped, arrived], "{bytes:02X?}");
    }
}

#[test]
fn a_packet_is_received_if_the_buffer_has_room_for_it_and_told_as_too_long_if_not() {
    for unit in [64, 65, 128, 249, 250] {
        let bus = SimulatedBus::new(100_000);
        let mut drive = receiver(&bus, DRIVE, unit + 10);
        let longest = packet(&vec![7; unit]);
        bus.write(&transaction(&longest)).unwrap();
        assert_eq!(seen(&bus, &mut drive), [Seen::Packet(BMC, longest)]);
        for payload in unit + 2..=250 {
            bus.write(&transaction(&packet(&vec![7; payload]))).unwrap();
            assert_eq!(seen(&bus, &mut drive), [TOO_LONG], "{payload} of {unit}");
        }
    }
}

#[test]
fn a_buffer_without_room_for_a_baseline_packet_is_refused() {
    let bus = SimulatedBus::new(100_000);
    let new = |len| Receiver::new(bus.target(DRIVE, 1), DRIVE, &mut vec![0; len]).err();
    assert_eq!(MIN_RECEIVE_BUFFER_LEN, 74);
    assert_eq!(RECEIVE_BUFFER_LEN, 260);
    assert_eq!(new(MIN_RECEIVE_BUFFER_LEN - 1), Some(BufferTooSmall));
    assert_eq!(new(0), Some(BufferTooSmall));
    assert_eq!(new(MIN_RECEIVE_BUFFER_LEN), None);
}

#[test]
fn bytes_that_the_peripheral_lost_cost_their_packet() {
    let bus = SimulatedBus::new(100_000);
    let mut drive = receiver(&bus, DRIVE, RECEIVE_BUFFER_LEN);
    bus.decide(|number, _| match number {
        1 => Fate::Overrun,
        _ => Fate::Delivered,
    });
    for number in 0..3 {
        bus.write(&transaction(&packet(&[number]))).unwrap();
    }
    let arrived = |number| Seen::Packet(BMC, packet(&[number]));
    assert_eq!(seen(&bus, &mut drive), [arrived(0), BAD, arrived(2)]);
}

#[test]
fn nothing_from_before_the_bus_was_lost_is_received() {
    let bus = SimulatedBus::new(100_000);
    let mut drive = receiver(&bus, DRIVE, RECEIVE_BUFFER_LEN);
    bus.write(&transaction(&packet(&[1]))).unwrap();
    bus.set_connected(false);
    bus.set_connected(true);
    bus.write(&transaction(&packet(&[2]))).unwrap();
    let arrived = Seen::Packet(BMC, packet(&[2]));
    let expected = [Seen::LinkDown, Seen::LinkUp, arrived];
    assert_eq!(seen(&bus, &mut drive), expected);
}

#[test]
fn a_bit_that_is_flipped_on_the_bus_never_changes_a_packet() {
    for payload in [1, 64, 250] {
        let payload = vec![0xA5; payload];
        for bit in 0..(payload.len() + 9) * 8 {
            let bus = SimulatedBus::new(1_000_000);
            let mut bmc = receiver(&bus, BMC, RECEIVE_BUFFER_LEN);
            let mut drive = sender(&bus, Config::new(DRIVE));
            bus.decide(move |number, _| match number {
                0 => Fate::BitFlipped { bit },
                _ => Fate::Delivered,
            });
            assert_eq!(
                send_to(BMC.into(), &mut drive, &bus, &payload),
                Some(Ok(()))
            );
            let arrived = Seen::Packet(DRIVE, packet(&payload));
            match seen(&bus, &mut bmc).as_slice() {
                // Another address, or a read: it is not acknowledged, and sent again.
                [seen] if bit < 8 => assert_eq!(*seen, arrived, "bit {bit}"),
                [seen] => assert_eq!(*seen, BAD, "bit {bit}"),
                more => panic!("bit {bit}: {more:?}"),
            }
            assert_eq!(
                send_to(BMC.into(), &mut drive, &bus, &payload),
                Some(Ok(()))
            );
            assert_eq!(seen(&bus, &mut bmc), [arrived]);
        }
    }
}

proptest! {
    /// Whatever is written to the device, each write is told once, and the next packet is received.
    #[test]
    fn after_any_bytes_the_next_packet_is_received(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        like_a_packet: bool,
        buffer_len in MIN_RECEIVE_BUFFER_LEN..=300,
    ) {
        let bus = SimulatedBus::new(100_000);
        let mut drive = receiver(&bus, DRIVE, buffer_len);
        for bytes in &writes {
            let mut bytes = [&[0x3A], &bytes[..]].concat();
            let behind = bytes.len().wrapping_sub(4) as u8;
            if like_a_packet && let [_, command, byte_count, ..] = &mut bytes[..] {
                (*command, *byte_count) = (0x0F, behind);
            }
            bus.write(&bytes).unwrap();
            let seen = seen(&bus, &mut drive);
            prop_assert_eq!(seen.len(), 1);
        }
        bus.write(&transaction(&packet(&[0xAA; 64]))).unwrap();
        prop_assert_eq!(seen(&bus, &mut drive), [Seen::Packet(BMC, packet(&[0xAA; 64]))]);
    }

    /// Any packets arrive as they were sent, in their order, whatever fails on the way.
    #[test]
    fn packets_arrive_as_they_were_sent_or_their_sender_is_told(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=MAX_PACKET - 4), 1..8),
        faults in prop::collection::vec((0..6_u8, 0..300_usize), 0..40),
    ) {
        let bus = SimulatedBus::new(400_000);
        let mut bmc = receiver(&bus, BMC, RECEIVE_BUFFER_LEN);
        let mut drive = sender(&bus, Config::new(DRIVE));
        bus.decide(move |number, _| match faults.get(number as usize) {
            Some((0, byte)) => Fate::ArbitrationLost { byte: *byte },
            Some((1, byte)) => Fate::NotAcknowledged { byte: *byte },
            Some((2, len)) => Fate::CutOff { len: *len },
            Some((3, _)) => Fate::Stretched,
            _ => Fate::Delivered,
        });
        for payload in &packets {
            let sent = send_to(BMC.into(), &mut drive, &bus, payload).unwrap();
            let seen = seen(&bus, &mut bmc);
            let arrived: Vec<_> = seen.iter().filter(|seen| matches!(seen, Seen::Packet(..))).collect();
            let expected = Seen::Packet(DRIVE, packet(payload));
            prop_assert!(arrived.iter().all(|arrived| **arrived == expected));
            prop_assert!(sent.is_err() || !arrived.is_empty());
        }
    }
}
