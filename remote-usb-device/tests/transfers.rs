//! Bulk and interrupt transfers: packets, short packets, queues, cancellation, halt, and an
//! endpoint nobody reads.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use std::cell::RefCell;
use std::rc::Rc;

use embassy_usb::driver::{Endpoint, EndpointError, EndpointIn, EndpointOut};
use futures::future::pending;
use remote_usb_device::MAX_TRANSFERS;
use remote_usb_device::usbredir::wire::{InterruptHeader, Message, Status};
use support::*;

type Reads = Rc<RefCell<Vec<Result<Vec<u8>, EndpointError>>>>;

/// Reads `output` for ever and keeps what came.
fn record(rig: &Rig, mut output: Output) -> Reads {
    let reads = Reads::default();
    let recorded = reads.clone();
    rig.spawn(async move {
        let mut packet = [0; MAX_PACKET];
        loop {
            output.wait_enabled().await;
            let read = output
                .read(&mut packet)
                .await
                .map(|length| packet[..length].to_vec());
            recorded.borrow_mut().push(read);
        }
    });
    reads
}

fn lengths(reads: &Reads) -> Vec<usize> {
    reads
        .borrow()
        .iter()
        .map(|read| read.as_ref().unwrap().len())
        .collect()
}

#[test]
fn out_transfers_arrive_as_the_packets_of_a_bus() {
    let mut rig = Rig::new();
    let endpoints = rig.endpoints();
    let reads = record(&rig, endpoints.bulk_out);
    let mut guest = rig.connect();
    let data: Vec<u8> = (0..1300u32).map(|index| index as u8).collect();
    let sent = data.clone();
    let _guest = rig.play(async move {
        guest.enumerate().await;
        for (id, length) in [
            (1, 0),
            (2, 1),
            (3, 511),
            (4, 512),
            (5, 513),
            (6, 1024),
            (7, 1300),
        ] {
            guest.bulk_out(id, BULK_OUT, &sent[..length]).await;
            guest
                .expect_bulk(id, BULK_OUT, Status::SUCCESS, length, &[])
                .await;
        }
        guest
    });
    assert_eq!(
        lengths(&reads),
        [0, 1, 511, 512, 512, 1, 512, 512, 512, 512, 276]
    );
    let last: Vec<u8> = reads.borrow()[8..]
        .iter()
        .flat_map(|read| read.clone().unwrap())
        .collect();
    assert_eq!(last, data);
}

#[test]
fn out_transfer_is_answered_only_when_all_of_it_was_read() {
    let mut rig = Rig::new();
    let mut output = rig.endpoints().bulk_out;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_out(1, BULK_OUT, &[7; 600]).await;
        let mut packet = [0; MAX_PACKET];
        assert_eq!(output.read(&mut packet).await, Ok(512));
        let (header, _) = guest.control(2, [0x80, 0, 0, 0, 0, 0, 2, 0], &[]).await;
        assert_eq!(
            header.status,
            Status::SUCCESS,
            "a control answer overtakes the unread transfer"
        );
        assert_eq!(output.read(&mut packet).await, Ok(88));
        guest
            .expect_bulk(1, BULK_OUT, Status::SUCCESS, 600, &[])
            .await;
    });
}

/// A transfer that fills the queue several times, to a device that reads as soon as it is polled.
fn streams_through(mut rig: Rig) {
    let endpoints = rig.endpoints();
    let reads = record(&rig, endpoints.bulk_out);
    let mut guest = rig.connect();
    let data: Vec<u8> = (0..5 * OUT_BUFFER as u32 + 3)
        .map(|index| (index / 3) as u8)
        .collect();
    let sent = data.clone();
    let _guest = rig.play(async move {
        guest.enumerate().await;
        guest.bulk_out(1, BULK_OUT, &sent).await;
        guest
            .expect_bulk(1, BULK_OUT, Status::SUCCESS, sent.len(), &[])
            .await;
        guest
    });
    let got: Vec<u8> = reads
        .borrow()
        .iter()
        .flat_map(|read| read.clone().unwrap())
        .collect();
    assert!(got == data);
}

#[test]
fn out_transfer_longer_than_the_queue_streams_through() {
    streams_through(Rig::new());
}

#[test]
fn a_device_that_was_not_polled_during_the_patience_may_read_after_it() {
    streams_through(Rig::impatient());
}

#[test]
fn a_packet_longer_than_the_buffer_is_lost_and_reported() {
    let mut rig = Rig::new();
    let mut output = rig.endpoints().bulk_out;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_out(1, BULK_OUT, &[1; 100]).await;
        guest.bulk_out(2, BULK_OUT, &[2; 10]).await;
        let mut packet = [0; 50];
        assert_eq!(
            output.read(&mut packet).await,
            Err(EndpointError::BufferOverflow)
        );
        assert_eq!(output.read(&mut packet).await, Ok(10));
        assert_eq!(packet[..10], [2; 10]);
    });
}

#[test]
fn in_request_collects_packets_until_a_short_one() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 2048).await;
        input.wait_enabled().await;
        input.write(&[1; 512]).await.unwrap();
        input.write(&[2; 512]).await.unwrap();
        input.write(&[3; 5]).await.unwrap();
        let expected = [&[1; 512][..], &[2; 512], &[3; 5]].concat();
        guest
            .expect_bulk(1, BULK_IN, Status::SUCCESS, 1029, &expected)
            .await;
    });
}

#[test]
fn in_request_ends_when_it_is_full_or_by_an_empty_packet() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 1024).await;
        guest.bulk_in(2, BULK_IN, 1024).await;
        guest.bulk_in(3, BULK_IN, 1024).await;
        input.write_transfer(&[1; 1024], false).await.unwrap();
        input.write_transfer(&[2; 512], true).await.unwrap();
        input.write(&[]).await.unwrap();
        guest
            .expect_bulk(1, BULK_IN, Status::SUCCESS, 1024, &[1; 1024])
            .await;
        guest
            .expect_bulk(2, BULK_IN, Status::SUCCESS, 512, &[2; 512])
            .await;
        guest.expect_bulk(3, BULK_IN, Status::SUCCESS, 0, &[]).await;
    });
}

#[test]
fn a_packet_that_exceeds_the_request_is_babble_and_the_next_is_good() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 700).await;
        guest.bulk_in(2, BULK_IN, 512).await;
        input.write(&[1; 512]).await.unwrap();
        input.write(&[2; 200]).await.unwrap();
        input.write(&[3; 200]).await.unwrap();
        guest.expect_bulk(1, BULK_IN, Status::BABBLE, 0, &[]).await;
        guest
            .expect_bulk(2, BULK_IN, Status::SUCCESS, 200, &[3; 200])
            .await;
        assert_eq!(
            input.write(&[0; 513]).await,
            Err(EndpointError::BufferOverflow)
        );
    });
}

#[test]
fn in_request_longer_than_the_buffer_ends_between_packets() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 20_480).await;
        guest.bulk_in(2, BULK_IN, 20_480).await;
        input
            .write_transfer(&[9; IN_BUFFER + 100], true)
            .await
            .unwrap();
        guest
            .expect_bulk(1, BULK_IN, Status::SUCCESS, IN_BUFFER, &[9; IN_BUFFER])
            .await;
        guest
            .expect_bulk(2, BULK_IN, Status::SUCCESS, 100, &[9; 100])
            .await;
    });
}

#[test]
fn write_waits_while_the_guest_does_not_ask() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let written = Rc::new(RefCell::new(0));
    let count = written.clone();
    rig.spawn(async move {
        input.wait_enabled().await;
        while input.write(&[1; 10]).await.is_ok() {
            *count.borrow_mut() += 1;
        }
    });
    let mut guest = rig.connect();
    let mut guest = rig.play(async move {
        guest.enumerate().await;
        guest
    });
    assert_eq!(*written.borrow(), 0);
    let _guest = rig.play(async move {
        guest.bulk_in(1, BULK_IN, 512).await;
        guest
            .expect_bulk(1, BULK_IN, Status::SUCCESS, 10, &[1; 10])
            .await;
        guest
    });
    assert_eq!(*written.borrow(), 1);
}

#[test]
fn all_transfer_slots_can_be_outstanding_and_one_more_is_refused() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let mut guest = rig.connect();
    let slots = MAX_TRANSFERS as u64;
    let handle = rig.handle;
    assert!(slots >= 16, "Linux's CDC-ACM driver keeps 16");
    rig.play(async move {
        guest.enumerate().await;
        for id in 0..=slots {
            guest.bulk_in(id, BULK_IN, 1024).await;
        }
        guest
            .expect_bulk(slots, BULK_IN, Status::IO_ERROR, 0, &[])
            .await;
        for id in 0..slots {
            input.write(&[id as u8; 3]).await.unwrap();
            guest
                .expect_bulk(id, BULK_IN, Status::SUCCESS, 3, &[id as u8; 3])
                .await;
        }
    });
    assert_eq!(handle.counters().refused_transfers, 1);
}

#[test]
fn a_cancelled_in_request_is_answered_at_once_and_its_id_is_free() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().bulk_in;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for id in [1, 2, 3] {
            guest.bulk_in(id, BULK_IN, 1024).await;
        }
        input.wait_enabled().await;
        input.write(&[0; 512]).await.unwrap();
        for id in [1, 3] {
            guest.send(id, Message::CancelDataPacket, &[]).await;
            guest
                .expect_bulk(id, BULK_IN, Status::CANCELLED, 0, &[])
                .await;
        }
        guest.bulk_in(1, BULK_IN, 512).await;
        guest.bulk_in(3, BULK_IN, 512).await;
        for (id, byte) in [(2, 5), (1, 6), (3, 7)] {
            input.write(&[byte; 20]).await.unwrap();
            guest
                .expect_bulk(id, BULK_IN, Status::SUCCESS, 20, &[byte; 20])
                .await;
        }
        guest.send(2, Message::CancelDataPacket, &[]).await;
        let (header, _) = guest.control(9, [0x80, 0, 0, 0, 0, 0, 2, 0], &[]).await;
        assert_eq!(
            header.status,
            Status::SUCCESS,
            "an id that was answered is not answered again"
        );
    });
}

#[test]
fn a_cancelled_out_transfer_is_never_read() {
    let mut rig = Rig::new();
    let mut output = rig.endpoints().bulk_out;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for id in 1..=4u8 {
            guest.bulk_out(id.into(), BULK_OUT, &[id; 600]).await;
        }
        let mut packet = [0; MAX_PACKET];
        assert_eq!(output.read(&mut packet).await, Ok(512));
        for id in [1, 3] {
            guest.send(id, Message::CancelDataPacket, &[]).await;
        }
        guest
            .expect_bulk(1, BULK_OUT, Status::CANCELLED, 512, &[])
            .await;
        guest
            .expect_bulk(3, BULK_OUT, Status::CANCELLED, 0, &[])
            .await;
        for id in [2u8, 4] {
            assert_eq!(output.read(&mut packet).await, Ok(512));
            assert_eq!(packet, [id; 512]);
            assert_eq!(output.read(&mut packet).await, Ok(88));
            guest
                .expect_bulk(id.into(), BULK_OUT, Status::SUCCESS, 600, &[])
                .await;
        }
    });
}

#[test]
fn interrupt_in_packets_come_unasked_between_start_and_stop() {
    let mut rig = Rig::new();
    let mut input = rig.endpoints().interrupt_in;
    rig.spawn(async move {
        input.wait_enabled().await;
        for byte in 1..=3 {
            input.write(&[byte; 8]).await.unwrap();
        }
        pending().await
    });
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        let (header, _) = guest.control(9, [0x80, 0, 0, 0, 0, 0, 2, 0], &[]).await;
        assert_eq!(header.status, Status::SUCCESS, "nothing before start");
        guest
            .send(
                4,
                Message::StartInterruptReceiving {
                    endpoint: INTERRUPT_IN,
                },
                &[],
            )
            .await;
        let status = Message::InterruptReceivingStatus {
            status: Status::SUCCESS,
            endpoint: INTERRUPT_IN,
        };
        let started = guest.receive().await;
        assert_eq!((started.id, started.message), (4, status));
        for byte in 1..=3 {
            let packet = guest.receive().await;
            let header = InterruptHeader {
                endpoint: INTERRUPT_IN,
                status: Status::SUCCESS,
                length: 8,
            };
            assert_eq!(
                (packet.message, packet.data),
                (Message::Interrupt(header), vec![byte; 8])
            );
        }
        guest
            .send(
                5,
                Message::StopInterruptReceiving {
                    endpoint: INTERRUPT_IN,
                },
                &[],
            )
            .await;
        assert_eq!(guest.receive().await.message, status);
        guest
            .send(
                6,
                Message::StartInterruptReceiving { endpoint: BULK_IN },
                &[],
            )
            .await;
        let status = Message::InterruptReceivingStatus {
            status: Status::INVALID,
            endpoint: BULK_IN,
        };
        assert_eq!(guest.receive().await.message, status);
    });
}

#[test]
fn interrupt_out_packets_are_read_and_answered() {
    let mut rig = Rig::new();
    let endpoints = rig.endpoints();
    let reads = record(&rig, endpoints.interrupt_out);
    let mut guest = rig.connect();
    let _guest = rig.play(async move {
        guest.enumerate().await;
        let header = |status| InterruptHeader {
            endpoint: INTERRUPT_OUT,
            status,
            length: 4,
        };
        guest
            .send(
                3,
                Message::Interrupt(header(Status::SUCCESS)),
                &[1, 2, 3, 4],
            )
            .await;
        let answer = guest.receive().await;
        assert_eq!(
            (answer.id, answer.message),
            (3, Message::Interrupt(header(Status::SUCCESS)))
        );
        guest
    });
    assert_eq!(*reads.borrow(), [Ok(vec![1, 2, 3, 4])]);
}

#[test]
fn a_halted_endpoint_answers_stall_until_the_halt_is_cleared() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 512).await;
        guest
            .control(2, [0x02, 3, 0, 0, BULK_OUT, 0, 0, 0], &[])
            .await;
        guest.bulk_out(3, BULK_OUT, &[1; 10]).await;
        guest.expect_bulk(3, BULK_OUT, Status::STALL, 0, &[]).await;
        guest
            .send(4, control([0x02, 3, 0, 0, BULK_IN, 0, 0, 0]), &[])
            .await;
        let mut ids = [guest.receive().await.id, guest.receive().await.id];
        ids.sort();
        assert_eq!(ids, [1, 4], "the outstanding request ends too");
        let (_, data) = guest
            .control(5, [0x82, 0, 0, 0, BULK_IN, 0, 2, 0], &[])
            .await;
        assert_eq!(data, [1, 0]);
        for endpoint in [BULK_OUT, BULK_IN] {
            let (header, _) = guest
                .control(6, [0x02, 1, 0, 0, endpoint, 0, 0, 0], &[])
                .await;
            assert_eq!(header.status, Status::SUCCESS);
        }
        guest.expect_echo().await;
    });
}

#[test]
fn transfers_to_endpoints_that_do_not_exist_are_refused() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_out(1, 0x0E, &[0; 1000]).await;
        guest.expect_bulk(1, 0x0E, Status::INVALID, 0, &[]).await;
        guest.bulk_in(2, 0x8E, 1000).await;
        guest.expect_bulk(2, 0x8E, Status::INVALID, 0, &[]).await;
        guest.bulk_out(3, INTERRUPT_OUT, &[0; 4]).await;
        guest
            .expect_bulk(3, INTERRUPT_OUT, Status::INVALID, 0, &[])
            .await;
        guest.expect_echo().await;
    });
    assert_eq!(rig.handle.counters().refused_transfers, 3);
}

#[test]
fn an_endpoint_nobody_reads_does_not_stop_the_others() {
    let mut rig = Rig::new();
    let endpoints = rig.endpoints();
    let reads = record(&rig, endpoints.interrupt_out);
    let mut guest = rig.connect();
    let _guest = rig.play(async move {
        guest.enumerate().await;
        let fits = OUT_BUFFER as u64 / 512;
        for id in 0..fits + 2 {
            guest.bulk_out(id, BULK_OUT, &[0; 512]).await;
        }
        guest
            .expect_bulk(fits, BULK_OUT, Status::IO_ERROR, 0, &[])
            .await;
        guest
            .expect_bulk(fits + 1, BULK_OUT, Status::IO_ERROR, 0, &[])
            .await;
        let (header, _) = guest.control(9, [0x80, 0, 0, 0, 0, 0, 2, 0], &[]).await;
        assert_eq!(header.status, Status::SUCCESS);
        let header = InterruptHeader {
            endpoint: INTERRUPT_OUT,
            status: Status::SUCCESS,
            length: 1,
        };
        guest.send(3, Message::Interrupt(header), &[1]).await;
        assert_eq!(guest.receive().await.message, Message::Interrupt(header));
        guest
    });
    assert_eq!(reads.borrow().len(), 1);
    assert_eq!(rig.handle.counters().unread_transfers, 2);
}

#[test]
fn more_empty_transfers_than_slots_do_not_stop_the_others_either() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for id in 0..MAX_TRANSFERS as u64 + 2 {
            guest.bulk_out(id, BULK_OUT, &[]).await;
        }
        guest
            .expect_bulk(MAX_TRANSFERS as u64, BULK_OUT, Status::IO_ERROR, 0, &[])
            .await;
        guest
            .expect_bulk(MAX_TRANSFERS as u64 + 1, BULK_OUT, Status::IO_ERROR, 0, &[])
            .await;
        let (header, _) = guest.control(9, [0x80, 0, 0, 0, 0, 0, 2, 0], &[]).await;
        assert_eq!(header.status, Status::SUCCESS);
    });
}

#[test]
fn an_endpoint_that_is_read_again_works_again() {
    let mut rig = Rig::new();
    let mut output = rig.endpoints().bulk_out;
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        let fits = OUT_BUFFER as u64 / 512;
        for id in 0..=fits {
            guest.bulk_out(id, BULK_OUT, &[id as u8; 512]).await;
        }
        guest
            .expect_bulk(fits, BULK_OUT, Status::IO_ERROR, 0, &[])
            .await;
        let mut packet = [0; MAX_PACKET];
        for id in 0..fits {
            assert_eq!(output.read(&mut packet).await, Ok(512));
            assert_eq!(packet, [id as u8; 512]);
            guest
                .expect_bulk(id, BULK_OUT, Status::SUCCESS, 512, &[])
                .await;
        }
        guest.bulk_out(50, BULK_OUT, &[50; 3]).await;
        assert_eq!(output.read(&mut packet).await, Ok(3));
        guest
            .expect_bulk(50, BULK_OUT, Status::SUCCESS, 3, &[])
            .await;
    });
}

#[test]
fn reset_and_unplugging_wake_waiting_readers_and_writers_as_disabled() {
    let mut rig = Rig::new();
    let endpoints = rig.endpoints();
    let reads = record(&rig, endpoints.bulk_out);
    let mut input = endpoints.bulk_in;
    let writes = Rc::new(RefCell::new(Vec::new()));
    let recorded = writes.clone();
    rig.spawn(async move {
        loop {
            input.wait_enabled().await;
            let result = input.write_transfer(&[0; 700], false).await;
            recorded.borrow_mut().push(result);
        }
    });
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 1024).await;
        guest
            .expect_bulk(1, BULK_IN, Status::SUCCESS, 700, &[0; 700])
            .await;
        guest.send(0, Message::Reset, &[]).await;
        guest.configure().await;
    });
    assert_eq!(
        *reads.borrow(),
        [Err(EndpointError::Disabled), Err(EndpointError::Disabled)]
    );
    assert_eq!(
        *writes.borrow(),
        [
            Ok(()),
            Err(EndpointError::Disabled),
            Err(EndpointError::Disabled)
        ]
    );
}

#[test]
fn many_echoes_on_many_outstanding_requests_keep_their_order() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for round in 0..200u64 {
            let length = (round as usize * 37) % 512;
            guest.bulk_in(2 * round, BULK_IN, 512).await;
            guest
                .bulk_out(2 * round + 1, BULK_OUT, &vec![round as u8; length])
                .await;
            let mut answers = [guest.receive().await, guest.receive().await];
            answers.sort_by_key(|answer| answer.id);
            assert_eq!(answers[0].data, vec![round as u8; length]);
            assert_eq!(answers[1].message, bulk(BULK_OUT, Status::SUCCESS, length));
        }
    });
}

#[test]
fn a_message_that_had_to_wait_needs_no_further_byte_to_go_on() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        let mut burst = Vec::new();
        for id in 1..=40 {
            let mut bytes = [0; 32];
            let message = Message::SetConfiguration { configuration: 1 };
            let length = message.emit(guest.caps, id, 0, &mut bytes).unwrap();
            burst.extend_from_slice(&bytes[..length]);
        }
        guest.send_bytes(&burst).await;
        let mut answered = Vec::new();
        while answered.len() < 40 {
            let answer = guest.receive().await;
            if matches!(answer.message, Message::ConfigurationStatus { .. }) {
                answered.push(answer.id);
            }
        }
        answered.sort();
        assert_eq!(answered, (1..=40).collect::<Vec<_>>());
    });
}
