//! What hosts do wrong, and that it costs only what it must.

mod support;

use std::time::Duration;

use mctp_usb::Version;
use proptest::prelude::*;
use support::{RawHost, block_on, block_on_in_virtual_time, frame, with_device};
use virtual_device::device::{self, Cable};
use virtual_device::settings::DeviceSettings;

/// No endpoint ID, simple endpoint, dynamic, nothing specific to the medium.
const NO_ENDPOINT_ID: &[u8] = &[0, 0, 0];

fn v1_1() -> DeviceSettings {
    DeviceSettings {
        usb: Version::V1_1,
        ..DeviceSettings::default()
    }
}

/// Bytes, things that begin like a packet, and packets with anything in them.
fn bad_transfer() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..600);
    let headers = (any::<[u8; 2]>(), prop::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(length, rest)| [&[0x1A, 0xB4], &length[..], &rest].concat());
    let packets = (any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 0..247)).prop_map(
        |([destination, source, flags, choice], payload)| {
            let destination = [0, 9, 255, destination][usize::from(choice % 4)];
            frame(&[&[1, destination, source, flags], &payload[..]].concat())
        },
    );
    prop_oneof![bytes, headers, packets]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_next_good_request_is_answered(transfers in prop::collection::vec(bad_transfer(), 1..12)) {
        block_on_in_virtual_time(with_device(&DeviceSettings::default(), async |mut host: RawHost| {
            for transfer in &transfers {
                host.send(transfer).await;
            }
            assert!(host.get_endpoint_id().await.is_some());
        }));
    }

    #[test]
    fn in_1_1_the_next_good_request_is_answered_when_the_link_was_set_up_anew(
        transfers in prop::collection::vec(bad_transfer(), 1..12),
    ) {
        block_on_in_virtual_time(with_device(&v1_1(), async |mut host: RawHost| {
            for transfer in &transfers {
                host.send(transfer).await;
            }
            // An unfinished packet takes what follows for its rest: only a new start ends it.
            host.guest.set_configuration(0).await.unwrap();
            host.guest.set_configuration(1).await.unwrap();
            assert!(host.get_endpoint_id().await.is_some());
        }));
    }
}

#[test]
fn a_host_that_reads_nothing_for_a_while_is_answered_when_it_reads_again() {
    block_on_in_virtual_time(with_device(
        &DeviceSettings::default(),
        async |mut host: RawHost| {
            let echo = [&[1, 0, 8, 0xC8, 0x7E, 0xCC, 0xDE, 0xF0], &[7; 60][..]].concat();
            for tag in 0..100 {
                let mut packet = echo.clone();
                packet[3] = 0xC8 | (tag & 7);
                host.send(&frame(&packet)).await;
                host.send(&frame(&[
                    1,
                    0,
                    8,
                    0xC8 | (tag & 7),
                    0x00,
                    0x80 | (tag & 0x1F),
                    0x02,
                ]))
                .await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(
                host.get_endpoint_id().await.as_deref(),
                Some(NO_ENDPOINT_ID)
            );
        },
    ));
}

#[test]
fn four_hundred_unfinished_messages_do_not_delay_an_answer() {
    block_on_in_virtual_time(with_device(
        &DeviceSettings::default(),
        async |mut host: RawHost| {
            for number in 0..400u16 {
                let (source, tag) = (8 + (number / 8) as u8, (number % 8) as u8);
                let start = [
                    &[1, 0, source, 0x88 | tag, 0x7E, 0xCC, 0xDE, 0xF0],
                    &[7; 60][..],
                ]
                .concat();
                host.send(&frame(&start)).await;
            }
            let asked = tokio::time::Instant::now();
            assert_eq!(
                host.get_endpoint_id().await.as_deref(),
                Some(NO_ENDPOINT_ID)
            );
            assert!(
                asked.elapsed() <= Duration::from_millis(30),
                "{:?}",
                asked.elapsed()
            );
        },
    ));
}

#[test]
fn a_message_too_long_for_the_device_costs_only_itself() {
    let settings = DeviceSettings {
        max_message: 256,
        ..DeviceSettings::default()
    };
    block_on_in_virtual_time(with_device(&settings, async |mut host: RawHost| {
        for index in 0..8u8 {
            let ends = if index == 0 {
                0x80
            } else if index == 7 {
                0x40
            } else {
                0
            };
            let header = [1, 0, 8, ends | (index & 3) << 4 | 0x0B];
            let payload = if index == 0 { [0x7E; 64] } else { [index; 64] };
            host.send(&frame(&[&header, &payload[..]].concat())).await;
        }
        assert_eq!(
            host.get_endpoint_id().await.as_deref(),
            Some(NO_ENDPOINT_ID)
        );
    }));
}

#[test]
fn a_bus_reset_in_the_middle_of_a_message_is_survived() {
    for settings in [DeviceSettings::default(), v1_1()] {
        block_on_in_virtual_time(with_device(&settings, async |mut host: RawHost| {
            host.send(&frame(
                &[&[1, 0, 8, 0x88, 0x7E, 0xCC, 0xDE, 0xF0], &[7; 60][..]].concat(),
            ))
            .await;
            host.send(&[0x1A, 0xB4, 0x00, 0x48, 1, 0, 8]).await;
            host.guest.reset();
            host.guest.set_configuration(1).await.unwrap();
            assert_eq!(
                host.get_endpoint_id().await.as_deref(),
                Some(NO_ENDPOINT_ID)
            );
        }));
    }
}

#[test]
fn a_cancelled_read_costs_nothing() {
    block_on(with_device(
        &DeviceSettings::default(),
        async |mut host: RawHost| {
            let mut request = host.guest.bulk_in(host.pipes.input.address, 512);
            request.cancel();
            assert!(request.complete().await.is_err());
            assert_eq!(
                host.get_endpoint_id().await.as_deref(),
                Some(NO_ENDPOINT_ID)
            );
        },
    ));
}

#[test]
fn the_endpoint_id_survives_unplugging_for_a_moment() {
    block_on(device::run(
        &DeviceSettings::default(),
        &(),
        async |mut cable: Cable<'_>| {
            for expected in [0, 9, 9] {
                let (device_end, host_end) = tokio::io::duplex(4096);
                tokio::select! {
                    ended = cable.plug_into(device_end) => panic!("{ended:?}"),
                    () = async {
                        let mut host = RawHost::attach(host_end).await;
                        assert_eq!(host.get_endpoint_id().await.unwrap()[0], expected);
                        host.send(&frame(&[1, 0, 8, 0xC8, 0x00, 0x81, 0x01, 0x00, 9])).await;
                        assert_eq!(host.receive().await[0][4..], [0x00, 0x01, 0x01, 0x00, 0x00, 9, 0]);
                    } => {}
                }
            }
        },
    ));
}

/// Get State of command slot 1 that clears the error flags, tag A5h. Returns the flags.
async fn take_error_flags(host: &mut RawHost) -> u16 {
    let get_state = [0x84, 1, 0, 0, 3, 0xA5, 1, 0, 0x36, 0x21, 0x4B, 0xD1];
    host.send(&frame(&[&[1, 0, 8, 0xC8], &get_state[..]].concat()))
        .await;
    let packets = host.receive().await;
    let [1, 8, _, _, 0x84, 0x81, 0, 0, 0, 0xA5, low, high, ..] = packets[0][..] else {
        panic!("not a state: {packets:02x?}");
    };
    u16::from_le_bytes([low, high])
}

#[test]
fn what_was_wrong_with_packets_is_in_the_state_of_the_management_endpoint() {
    block_on_in_virtual_time(with_device(
        &DeviceSettings::default(),
        async |mut host: RawHost| {
            assert_eq!(take_error_flags(&mut host).await, 0);
            let bad_version = [2, 0, 8, 0xC8, 0x7E, 0xCC, 0xDE];
            let unexpected_response = [1, 0, 8, 0xC0, 0x7E, 0xCC, 0xDE];
            let without_start = [1, 0, 8, 0x18, 0x7E, 0xCC, 0xDE];
            for packet in [bad_version, unexpected_response, without_start] {
                host.send(&frame(&packet)).await;
            }
            assert_eq!(
                take_error_flags(&mut host).await,
                1 << 7 | 1 << 10 | 1 << 12
            );
            assert_eq!(take_error_flags(&mut host).await, 0);
        },
    ));
}
