//! What is the same whichever protocol carries it: one body of tests, run over usbredir and over
//! USB/IP.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use embassy_usb::driver::{Endpoint, EndpointError, EndpointIn, EndpointOut};
use remote_usb_device::MAX_TRANSFERS;
use support::*;

macro_rules! on_both_wires {
    ($($name:ident),* $(,)?) => {
        mod usbredir {
            $(#[test] fn $name() { super::$name::<super::Guest>(); })*
        }
        mod usbip {
            $(#[test] fn $name() { super::$name::<super::UsbipHost>(); })*
        }
    };
}

on_both_wires!(
    out_transfers_arrive_as_the_packets_of_a_bus,
    out_transfer_longer_than_the_queue_streams_through,
    control_overtakes_an_unread_transfer,
    in_request_collects_packets_until_a_short_one,
    in_request_ends_when_it_is_full_or_by_an_empty_packet,
    a_packet_that_exceeds_the_request_is_babble_and_the_next_is_good,
    in_request_longer_than_the_buffer_ends_between_packets,
    all_transfer_slots_can_be_outstanding_and_one_more_is_refused,
    requests_that_are_taken_back_are_gone,
    transfers_that_are_taken_back_are_never_read,
    a_halted_endpoint_answers_stall_until_the_halt_is_cleared,
    transfers_to_endpoints_that_do_not_exist_are_refused,
    an_endpoint_nobody_reads_does_not_stop_the_others,
    control_data_reach_the_device_and_come_back,
    refused_control_requests_are_stalled,
    reset_stops_what_is_outstanding_and_is_shown_to_the_device,
    many_echoes_keep_their_order,
    end_of_stream_unplugs_and_a_new_stream_plugs_in,
    dropping_the_future_of_a_connection_ends_it,
);

const GET_STATUS: [u8; 8] = [0x80, 0, 0, 0, 0, 0, 2, 0];

fn out_transfers_arrive_as_the_packets_of_a_bus<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut output = rig.endpoints().bulk_out;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        let data: Vec<u8> = (0..1300u32).map(|index| index as u8).collect();
        for (id, packets) in [
            (1, &[0][..]),
            (2, &[1]),
            (3, &[511]),
            (4, &[512]),
            (5, &[512, 1]),
            (6, &[512, 512]),
            (7, &[512, 512, 276]),
        ] {
            let length = packets.iter().sum();
            host.bulk_out(id, BULK_OUT, &data[..length]).await;
            let mut read: Vec<u8> = Vec::new();
            for wanted in packets {
                let mut packet = [0; MAX_PACKET];
                assert_eq!(output.read(&mut packet).await, Ok(*wanted));
                read.extend(&packet[..*wanted]);
            }
            assert_eq!(read, data[..length]);
            host.expect(id, Outcome::Done, length, &[]).await;
        }
    });
}

fn out_transfer_longer_than_the_queue_streams_through<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut output = rig.endpoints().bulk_out;
    rig.spawn(async move {
        let mut packet = [0; MAX_PACKET];
        let mut expected = 0u32;
        output.wait_enabled().await;
        while let Ok(length) = output.read(&mut packet).await {
            for byte in &packet[..length] {
                assert_eq!(*byte, (expected / 3) as u8);
                expected += 1;
            }
        }
    });
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        let length = 5 * OUT_BUFFER as u32 + 3;
        let data: Vec<u8> = (0..length).map(|index| (index / 3) as u8).collect();
        host.bulk_out(1, BULK_OUT, &data).await;
        host.expect(1, Outcome::Done, data.len(), &[]).await;
    });
}

fn control_overtakes_an_unread_transfer<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut output = rig.endpoints().bulk_out;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        host.bulk_out(1, BULK_OUT, &[7; 600]).await;
        let mut packet = [0; MAX_PACKET];
        assert_eq!(output.read(&mut packet).await, Ok(512));
        assert_eq!(host.control(2, GET_STATUS, &[]).await.0, Outcome::Done);
        assert_eq!(output.read(&mut packet).await, Ok(88));
        host.expect(1, Outcome::Done, 600, &[]).await;
    });
}

fn in_request_collects_packets_until_a_short_one<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        host.bulk_in(1, BULK_IN, 2048).await;
        input.wait_enabled().await;
        input.write(&[1; 512]).await.unwrap();
        input.write(&[2; 512]).await.unwrap();
        input.write(&[3; 5]).await.unwrap();
        let expected = [&[1; 512][..], &[2; 512], &[3; 5]].concat();
        host.expect(1, Outcome::Done, 1029, &expected).await;
    });
}

fn in_request_ends_when_it_is_full_or_by_an_empty_packet<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        for id in 1..=3 {
            host.bulk_in(id, BULK_IN, 1024).await;
        }
        input.write_transfer(&[1; 1024], false).await.unwrap();
        host.expect(1, Outcome::Done, 1024, &[1; 1024]).await;
        input.write(&[2; 512]).await.unwrap();
        // What is a multiple of the packet size, and less than asked for, has no end yet.
        assert_eq!(host.control(9, GET_STATUS, &[]).await.0, Outcome::Done);
        input.write(&[]).await.unwrap();
        host.expect(2, Outcome::Done, 512, &[2; 512]).await;
        input.write(&[]).await.unwrap();
        host.expect(3, Outcome::Done, 0, &[]).await;
    });
}

fn a_packet_that_exceeds_the_request_is_babble_and_the_next_is_good<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        host.bulk_in(1, BULK_IN, 700).await;
        host.bulk_in(2, BULK_IN, 512).await;
        for (byte, length) in [(1, 512), (2, 200), (3, 200)] {
            input.write(&vec![byte; length]).await.unwrap();
        }
        host.expect(1, Outcome::Babble, 0, &[]).await;
        host.expect(2, Outcome::Done, 200, &[3; 200]).await;
    });
}

fn in_request_longer_than_the_buffer_ends_between_packets<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        host.bulk_in(1, BULK_IN, 20_480).await;
        host.bulk_in(2, BULK_IN, 20_480).await;
        let data = [9; IN_BUFFER + 100];
        input.write_transfer(&data, true).await.unwrap();
        host.expect(1, Outcome::Done, IN_BUFFER, &data[..IN_BUFFER])
            .await;
        host.expect(2, Outcome::Done, 100, &[9; 100]).await;
    });
}

fn all_transfer_slots_can_be_outstanding_and_one_more_is_refused<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host::<H>()();
    let slots = MAX_TRANSFERS as u64;
    rig.play(async move {
        host.enumerate().await;
        for id in 0..=slots {
            host.bulk_in(id, BULK_IN, 1024).await;
        }
        host.expect(slots, Outcome::Failed, 0, &[]).await;
        for id in 0..slots {
            input.write(&[id as u8; 3]).await.unwrap();
            host.expect(id, Outcome::Done, 3, &[id as u8; 3]).await;
        }
    });
    assert_eq!(rig.handle.counters().refused_transfers, 1);
}

fn requests_that_are_taken_back_are_gone<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        for id in [1, 2, 3] {
            host.bulk_in(id, BULK_IN, 1024).await;
        }
        input.wait_enabled().await;
        input.write(&[0; 512]).await.unwrap();
        for id in [1, 3] {
            assert!(host.take_back(id).await);
        }
        host.bulk_in(1, BULK_IN, 512).await;
        host.bulk_in(3, BULK_IN, 512).await;
        for (id, byte) in [(2, 5), (1, 6), (3, 7)] {
            input.write(&[byte; 20]).await.unwrap();
            host.expect(id, Outcome::Done, 20, &[byte; 20]).await;
        }
    });
}

fn transfers_that_are_taken_back_are_never_read<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut output = rig.endpoints().bulk_out;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        for id in 1..=4u8 {
            host.bulk_out(id.into(), BULK_OUT, &[id; 600]).await;
        }
        let mut packet = [0; MAX_PACKET];
        assert_eq!(output.read(&mut packet).await, Ok(512));
        for id in [1, 3] {
            assert!(host.take_back(id).await);
        }
        for id in [2u8, 4] {
            assert_eq!(output.read(&mut packet).await, Ok(512));
            assert_eq!(packet, [id; 512]);
            assert_eq!(output.read(&mut packet).await, Ok(88));
            host.expect(id.into(), Outcome::Done, 600, &[]).await;
        }
    });
}

fn a_halted_endpoint_answers_stall_until_the_halt_is_cleared<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        let set_halt = |endpoint| [0x02, 3, 0, 0, endpoint, 0, 0, 0];
        let clear_halt = |endpoint| [0x02, 1, 0, 0, endpoint, 0, 0, 0];
        for endpoint in [BULK_OUT, BULK_IN] {
            let halted = host.control(2, set_halt(endpoint), &[]).await;
            assert_eq!(halted.0, Outcome::Done);
        }
        host.bulk_out(3, BULK_OUT, &[1; 10]).await;
        host.expect(3, Outcome::Stall, 0, &[]).await;
        host.bulk_in(4, BULK_IN, 512).await;
        host.expect(4, Outcome::Stall, 0, &[]).await;
        for endpoint in [BULK_OUT, BULK_IN] {
            let cleared = host.control(6, clear_halt(endpoint), &[]).await;
            assert_eq!(cleared.0, Outcome::Done);
        }
        host.expect_echo().await;
    });
}

fn transfers_to_endpoints_that_do_not_exist_are_refused<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        host.bulk_out(1, 0x0E, &[0; 1000]).await;
        host.expect(1, Outcome::NoEndpoint, 0, &[]).await;
        host.bulk_in(2, 0x8E, 1000).await;
        host.expect(2, Outcome::NoEndpoint, 0, &[]).await;
        host.bulk_out(3, ALT_OUT, &[0; 4]).await;
        host.expect(3, Outcome::NoEndpoint, 0, &[]).await;
        host.expect_echo().await;
    });
    assert_eq!(rig.handle.counters().refused_transfers, 3);
}

fn an_endpoint_nobody_reads_does_not_stop_the_others<H: Host>() {
    let mut rig = Rig::on(H::WIRE);
    let mut output = rig.endpoints().bulk_out;
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        let fits = OUT_BUFFER as u64 / 512;
        for id in 0..fits + 2 {
            host.bulk_out(id, BULK_OUT, &[id as u8; 512]).await;
        }
        host.expect(fits, Outcome::Failed, 0, &[]).await;
        host.expect(fits + 1, Outcome::Failed, 0, &[]).await;
        assert_eq!(host.control(99, GET_STATUS, &[]).await.0, Outcome::Done);
        let mut packet = [0; MAX_PACKET];
        for id in 0..fits {
            assert_eq!(output.read(&mut packet).await, Ok(512));
            assert_eq!(packet, [id as u8; 512]);
            host.expect(id, Outcome::Done, 512, &[]).await;
        }
        host.bulk_out(50, BULK_OUT, &[50; 3]).await;
        assert_eq!(output.read(&mut packet).await, Ok(3));
        host.expect(50, Outcome::Done, 3, &[]).await;
    });
    assert_eq!(rig.handle.counters().unread_transfers, 2);
}

fn control_data_reach_the_device_and_come_back<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        for length in [0usize, 1, 63, 64, 65, 300] {
            let data: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let [low, high] = (length as u16).to_le_bytes();
            let stored = host.control(1, [0x40, 1, 0, 0, 0, 0, low, high], &data);
            assert_eq!(stored.await, (Outcome::Done, Vec::new()));
            let back = host.control(2, [0xC0, 2, 0, 0, 0, 0, 0, 4], &[]).await;
            assert_eq!(back, (Outcome::Done, data));
        }
    });
}

fn refused_control_requests_are_stalled<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        let too_long = CONTROL_BUFFER + 1;
        let [low, high] = (too_long as u16).to_le_bytes();
        for (setup, length) in [
            ([0xC0, 99, 0, 0, 0, 0, 4, 0], 0),
            ([0x40, 99, 0, 0, 0, 0, 4, 0], 4),
            ([0x00, 9, 7, 0, 0, 0, 0, 0], 0),
            ([0x40, 1, 0, 0, 0, 0, low, high], too_long),
        ] {
            let refused = host.control(1, setup, &vec![0; length]).await;
            assert_eq!(refused, (Outcome::Stall, Vec::new()), "{setup:02x?}");
        }
        host.expect_echo().await;
    });
}

fn reset_stops_what_is_outstanding_and_is_shown_to_the_device<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let mut host = rig.host::<H>()();
    let events = rig.events.clone();
    rig.play(async move {
        host.enumerate().await;
        host.expect_echo().await;
        let resets = || {
            let log = &events.borrow().log;
            log.iter().filter(|event| *event == "reset").count()
        };
        let before = resets();
        host.enumerate_again().await;
        assert_eq!(resets(), before + 1);
        host.expect_echo().await;
        assert!(before >= 1, "one at attaching, too");
    });
    assert!(rig.events.borrow().log.contains(&"configured true".into()));
}

fn many_echoes_keep_their_order<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let mut host = rig.host::<H>()();
    rig.play(async move {
        host.enumerate().await;
        for round in 0..200u64 {
            let data = vec![round as u8; (round as usize * 37) % 512];
            host.bulk_in(2 * round, BULK_IN, 512).await;
            host.bulk_out(2 * round + 1, BULK_OUT, &data).await;
            let mut answers = [host.answer().await, host.answer().await];
            answers.sort_by_key(|answer| answer.id);
            assert_eq!(answers[0].data, data);
            assert_eq!(answers[1].length, data.len());
        }
    });
}

fn end_of_stream_unplugs_and_a_new_stream_plugs_in<H: Host>() {
    let mut rig = Rig::echo_on(H::WIRE);
    let connect = rig.host::<H>();
    rig.play(async move {
        for _ in 0..3 {
            let mut host = connect();
            host.enumerate().await;
            host.expect_echo().await;
            for id in 1..=16 {
                host.bulk_in(id, BULK_IN, 512).await;
            }
            host.bulk_out(20, 0x0E, &[1; 512]).await;
        }
    });
    let log = rig.events.borrow().log.clone();
    let enabled = log.iter().filter(|event| *event == "enabled true");
    assert_eq!(enabled.count(), 3);
    assert_eq!(log.last().unwrap(), "enabled false");
    assert_eq!(*rig.ends.borrow(), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(rig.handle.counters().connections, 3);
    assert!(!rig.handle.is_configured());
}

fn dropping_the_future_of_a_connection_ends_it<H: Host>() {
    let mut rig = with_reader::<H>();
    let connect = rig.host::<H>();
    let drop_connection = rig.drop_connection;
    rig.play(async move {
        let mut host = connect();
        host.enumerate().await;
        host.bulk_in(1, BULK_IN, 512).await;
        drop_connection.signal(());
        let mut host = connect();
        host.enumerate().await;
        host.bulk_out(1, BULK_OUT, &[1; 10]).await;
        host.expect(1, Outcome::Done, 10, &[]).await;
    });
}

/// A device that reads its bulk OUT endpoint, for ever.
fn with_reader<H: Host>() -> Rig {
    let mut rig = Rig::on(H::WIRE);
    let mut output = rig.endpoints().bulk_out;
    rig.spawn(async move {
        let mut packet = [0; MAX_PACKET];
        loop {
            output.wait_enabled().await;
            let read = output.read(&mut packet).await;
            assert!(read.is_ok() || read == Err(EndpointError::Disabled));
        }
    });
    rig
}
