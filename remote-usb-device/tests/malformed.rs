//! Whatever comes on one connection, the device neither panics nor waits for ever, and the next
//! connection works.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use proptest::prelude::*;
use remote_usb_device::Error;
use remote_usb_device::usbredir::wire::{
    Capabilities, Header, MAX_LENGTH, MAX_MESSAGE_LENGTH, Message, Status, kind,
};
use support::*;

fn header(kind: u32, length: u32) -> Vec<u8> {
    let mut bytes = [0; 16];
    Header {
        kind,
        length,
        id: 1,
    }
    .emit(Capabilities::DEVICE, &mut bytes)
    .unwrap();
    bytes.to_vec()
}

/// Sends `bytes` after enumeration; true when the device closes the stream for it.
fn closes_after(bytes: Vec<u8>) -> bool {
    let mut rig = Rig::echo();
    let connect = rig.connector();
    rig.play(async move {
        let mut guest = connect();
        guest.enumerate().await;
        guest.send_bytes(&bytes).await;
        drop(guest);
        let mut guest = connect();
        guest.enumerate().await;
        guest.expect_echo().await;
    });
    rig.ends.borrow()[0] == Err(Error::Protocol)
}

#[test]
fn unknown_messages_are_skipped_by_their_length() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for unknown in [
            55,
            999,
            u32::MAX,
            kind::ISO_PACKET,
            kind::DEVICE_CONNECT,
            kind::FILTER_FILTER,
        ] {
            guest.send_bytes(&header(unknown, 5000)).await;
            guest.send_bytes(&[0xEE; 5000]).await;
        }
        guest
            .send_bytes(&header(kind::BULK_RECEIVING_STATUS, 0))
            .await;
        guest.expect_echo().await;
    });
    assert_eq!(rig.handle.counters().skipped_messages, 7);
}

#[test]
fn a_length_that_cannot_be_ends_the_connection() {
    assert!(closes_after(header(999, MAX_LENGTH + 1)));
    assert!(closes_after(header(kind::RESET, 1)));
    assert!(closes_after(header(kind::SET_CONFIGURATION, 0)));
    assert!(closes_after(header(kind::CONTROL_PACKET, 9)));
    assert!(closes_after(header(kind::HELLO, 12)));
}

fn message(message: Message, data: &[u8]) -> Vec<u8> {
    let mut bytes = [0; MAX_MESSAGE_LENGTH];
    let length = message
        .emit(Capabilities::DEVICE, 1, data.len() as u32, &mut bytes)
        .unwrap();
    [&bytes[..length], data].concat()
}

#[test]
fn data_that_disagree_with_their_header_end_the_connection() {
    assert!(closes_after(message(
        bulk(BULK_OUT, Status::SUCCESS, 10),
        &[0; 9]
    )));
    assert!(closes_after(message(
        bulk(BULK_IN, Status::SUCCESS, 10),
        &[0; 10]
    )));
    assert!(closes_after(message(
        control([0x40, 1, 0, 0, 0, 0, 4, 0]),
        &[0; 3]
    )));
    assert!(closes_after(message(
        control([0x80, 6, 0, 1, 0, 0, 18, 0]),
        &[0; 18]
    )));
    assert!(
        !closes_after(message(bulk(BULK_OUT, Status::SUCCESS, 10), &[0; 10])),
        "and good ones do not"
    );
}

#[test]
fn a_connection_cut_anywhere_leaves_nothing_behind() {
    let transfer = message(bulk(BULK_OUT, Status::SUCCESS, 1000), &[5; 1000]);
    for cut in [1, 4, 12, 16, 20, 26, 27, 500, transfer.len() - 1] {
        assert!(!closes_after(transfer[..cut].to_vec()));
    }
}

/// A message that makes sense, more or less.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let endpoint = prop_oneof![
        Just(BULK_IN),
        Just(BULK_OUT),
        Just(INTERRUPT_IN),
        Just(INTERRUPT_OUT),
        Just(ALT_IN),
        Just(ALT_OUT),
        any::<u8>()
    ];
    let id = 0u64..6;
    (
        0u8..12,
        endpoint,
        id,
        any::<[u8; 8]>(),
        0usize..2000,
        any::<bool>(),
    )
        .prop_map(|(choice, endpoint, id, setup, length, standard)| {
            let is_in = endpoint & 0x80 != 0;
            let (message, data) = match choice {
                0 => (Message::Reset, 0),
                1 | 2 => (
                    Message::SetConfiguration {
                        configuration: setup[0] % 2,
                    },
                    0,
                ),
                3 => (Message::GetConfiguration, 0),
                4 => (
                    Message::SetAltSetting {
                        interface: setup[0] % 3,
                        alt_setting: setup[1] % 3,
                    },
                    0,
                ),
                5 => (
                    Message::GetAltSetting {
                        interface: setup[0] % 3,
                    },
                    0,
                ),
                6 => (Message::StartInterruptReceiving { endpoint }, 0),
                7 | 8 => (Message::CancelDataPacket, 0),
                9 => {
                    let [low, high] = (length as u16).to_le_bytes();
                    let request_type = if standard { setup[0] & 0x83 } else { setup[0] };
                    // GET_STATUS and the like, or anything.
                    let request = if standard { setup[1] % 13 } else { setup[1] };
                    let setup = [
                        request_type,
                        request,
                        setup[2],
                        setup[3],
                        setup[4],
                        setup[5],
                        low,
                        high,
                    ];
                    (
                        control(setup),
                        if request_type & 0x80 == 0 { length } else { 0 },
                    )
                }
                _ => (
                    bulk(endpoint, Status::SUCCESS, length),
                    if is_in { 0 } else { length },
                ),
            };
            let mut bytes = [0; MAX_MESSAGE_LENGTH];
            let head = message
                .emit(Capabilities::DEVICE, id, data as u32, &mut bytes)
                .unwrap();
            [&bytes[..head], &vec![0x5A; data]].concat()
        })
}

/// Sends each part on its own, reads nothing until the device has come to rest, then connects anew.
fn survives(parts: Vec<Vec<u8>>, after_enumeration: bool) {
    let mut rig = Rig::echo();
    let connect = rig.connector();
    let mut guest = connect();
    let guest = rig.play(async move {
        if after_enumeration {
            guest.enumerate().await;
        }
        for part in parts {
            guest.send_bytes(&part).await;
        }
        guest
    });
    rig.play(async move {
        drop(guest);
        let mut guest = connect();
        guest.enumerate().await;
        guest.expect_echo().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn survives_any_bytes_from_the_start(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survives(vec![bytes], false);
    }

    #[test]
    fn survives_any_bytes_after_enumeration(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        survives(vec![bytes], true);
    }

    #[test]
    fn survives_any_messages_and_answers_on_the_same_connection(messages in proptest::collection::vec(any_message(), 0..40)) {
        let mut rig = Rig::echo();
        let mut guest = rig.connect();
        rig.play(async move {
            guest.enumerate().await;
            for message in messages {
                guest.send_bytes(&message).await;
            }
            guest.send(0, Message::Reset, &[]).await;
            guest.send(99, Message::SetConfiguration { configuration: 1 }, &[]).await;
            // Answers to what came before, then that to the configuration.
            loop {
                let answer = guest.receive().await;
                if answer.id == 99 {
                    let good = Message::ConfigurationStatus { status: Status::SUCCESS, configuration: 1 };
                    assert_eq!(answer.message, good);
                    break;
                }
            }
            guest.bulk_out(1001, BULK_OUT, b"echo").await;
            guest.bulk_in(1000, BULK_IN, 512).await;
            loop {
                let answer = guest.receive().await;
                if answer.id == 1000 {
                    assert_eq!(answer.data, b"echo");
                    break;
                }
            }
        });
    }

    #[test]
    fn survives_messages_with_one_byte_changed(
        messages in proptest::collection::vec(any_message(), 1..20), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = messages.concat();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        survives(vec![bytes], true);
    }
}
