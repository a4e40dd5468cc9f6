//! The benchmark service as hosts have it: full transfers, what ends a stream, and what a stream
//! does not hold up.

mod support;

use std::time::Duration;

use mctp_bench::{Data, FIRST_SEQUENCE_NUMBER, Message, Request, Response, Status};
use mctp_usb::Version;
use support::{RawHost, block_on_in_virtual_time, frame, with_device};
use virtual_device::settings::DeviceSettings;

const VENDOR_PCI: u8 = 0x7E;
const WITHOUT_END: u64 = 18_000_000_000_000_000_000;
/// The device's endpoint ID, once it has been set.
const DEVICE: u8 = 9;
/// What a host that waits this long gets does not come any more.
const SILENCE: Duration = Duration::from_secs(3);

fn settings(usb: Version, mtu: usize) -> DeviceSettings {
    DeviceSettings {
        usb,
        mtu,
        ..DeviceSettings::default()
    }
}

/// Runs a test with a host that has given the device its endpoint ID.
fn with_host(settings: &DeviceSettings, test: impl AsyncFnOnce(RawHost)) {
    block_on_in_virtual_time(with_device(settings, async |mut host: RawHost| {
        set_endpoint_id(&host, DEVICE).await;
        assert_eq!(
            host.receive().await[0][4..9],
            [0x00, 0x01, 0x01, 0x00, 0x00]
        );
        test(host).await;
    }));
}

async fn set_endpoint_id(host: &RawHost, endpoint_id: u8) {
    host.send(&frame(&[
        1,
        0,
        8,
        0xC8,
        0x00,
        0x81,
        0x01,
        0x00,
        endpoint_id,
    ]))
    .await;
}

async fn ask_for_stream(host: &RawHost, instance_id: u32, length: u16, count: u64) {
    let request = Request {
        instance_id,
        length,
        count,
    };
    host.send(&frame(
        &[&[1, 0, 8, 0xC8 | 3, VENDOR_PCI], &request.encode()[..]].concat(),
    ))
    .await;
}

/// The device began the message itself: it is none of its answers.
fn is_of_stream(packet: &[u8]) -> bool {
    packet[3] & 0x08 != 0
}

/// The number in the first packet of a stream's message.
fn sequence_number(packet: &[u8]) -> Option<u32> {
    let is_first = is_of_stream(packet) && packet[3] & 0x80 != 0;
    match Message::parse(packet.get(5..)?)? {
        Message::Data(Data {
            sequence_number, ..
        }) if is_first => Some(sequence_number),
        _ => None,
    }
}

fn is_answer(packet: &[u8], instance_id: u32) -> bool {
    let response = Response {
        instance_id,
        status: Status::OK,
    };
    packet[5..] == response.encode()
}

/// The packets up to the answer to a request for a stream, and those behind it in its transfer.
async fn until_answer(host: &mut RawHost, instance_id: u32) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut before = Vec::new();
    loop {
        let mut packets = host.receive().await;
        let answer = packets.iter().position(|it| is_answer(it, instance_id));
        let Some(answer) = answer else {
            before.append(&mut packets);
            continue;
        };
        let behind = packets.split_off(answer + 1);
        packets.pop();
        before.append(&mut packets);
        return (before, behind);
    }
}

/// Everything that still comes.
async fn until_silence(host: &mut RawHost) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Ok(more) = tokio::time::timeout(SILENCE, host.receive()).await {
        assert!(packets.len() < 1_000_000, "it does not end");
        packets.extend(more);
    }
    packets
}

/// A whole stream of ten messages comes, and nothing else.
async fn check_new_stream(host: &mut RawHost, instance_id: u32, source: u8) {
    ask_for_stream(host, instance_id, 60, 10).await;
    let (before, mut behind) = until_answer(host, instance_id).await;
    assert_eq!(before, [[0; 0]; 0]);
    behind.extend(until_silence(host).await);
    let numbers: Vec<_> = behind.iter().filter_map(|it| sequence_number(it)).collect();
    let expected: Vec<_> = (0..10)
        .map(|it| FIRST_SEQUENCE_NUMBER.wrapping_add(it))
        .collect();
    assert_eq!(numbers, expected);
    assert!(behind.iter().all(|packet| packet[1..3] == [8, source]));
}

/// Asks for a stream and reads it: of each transfer with a part of it the length, and that of its
/// first frame of the stream.
async fn transfers_of_stream(
    host: &mut RawHost,
    length: u16,
    count: u64,
    unit: usize,
) -> Vec<(usize, usize)> {
    ask_for_stream(host, 1, length, count).await;
    let message = usize::from(length) + 1;
    let mut left = count as usize * (message + 8 * message.div_ceil(unit));
    let mut transfers = Vec::new();
    while left > 0 {
        let packets = host.receive().await;
        let frame_len = |packet: &Vec<u8>| packet.len() + 4;
        let of_stream = || packets.iter().filter(|it| is_of_stream(it)).map(frame_len);
        left -= of_stream().sum::<usize>();
        if let Some(first) = of_stream().next() {
            transfers.push((packets.iter().map(frame_len).sum(), first));
        }
    }
    transfers
}

#[test]
fn every_transfer_of_a_stream_is_as_full_as_whole_packets_allow() {
    for (version, mtu, limit) in [
        // At high speed a transfer of 511 bytes ends by itself, and one of 512 does not.
        (Version::V1_0, 251, 511),
        (Version::V1_0, 68, 511),
        (Version::V1_1, 8187, 8191),
        (Version::V1_1, 68, 8191),
    ] {
        for requests_at_once in [1, 4, 32] {
            with_host(&settings(version, mtu), async |mut host: RawHost| {
                host.requests_at_once = requests_at_once;
                for length in [9, 100, 119, 987, 3951, 65_000] {
                    let count = 60_000u64.div_ceil(length.into()).max(3);
                    let transfers = transfers_of_stream(&mut host, length, count, mtu - 4).await;
                    let not_full: Vec<_> = transfers
                        .windows(2)
                        .filter(|pair| pair[0].0 + pair[1].1 <= limit)
                        .collect();
                    assert!(
                        not_full.is_empty(),
                        "{version:?}, MTU {mtu}, {length} bytes, {requests_at_once} requests: \
                         {} of {} are not full, such as {:?}",
                        not_full.len(),
                        transfers.len(),
                        not_full[0]
                    );
                }
            });
        }
    }
}

#[test]
fn control_requests_overtake_a_stream() {
    for (version, mtu) in [(Version::V1_0, 251), (Version::V1_1, 8187)] {
        for length in [9, 100, 65_000] {
            with_host(&settings(version, mtu), async |mut host: RawHost| {
                ask_for_stream(&host, 1, length, WITHOUT_END).await;
                until_answer(&mut host, 1).await;
                let mut longest = 0;
                for _ in 0..100 {
                    for _ in 0..10 {
                        assert!(host.receive().await.iter().any(|it| is_of_stream(it)));
                    }
                    host.send(&frame(&[1, 0, 8, 0xC8 | 6, 0x00, 0x9D, 0x02]))
                        .await;
                    let is_answer = |packet: &Vec<u8>| packet[3] & 0x0F == 6 && packet[4] == 0;
                    let mut waited = 0;
                    while !host.receive().await.iter().any(is_answer) {
                        waited += 1;
                    }
                    longest = longest.max(waited);
                }
                assert!(longest <= 8, "{version:?}, {length} bytes: {longest}");
            });
        }
    }
}

#[test]
fn a_new_request_ends_the_stream_before_its_answer() {
    with_host(&settings(Version::V1_0, 251), async |mut host: RawHost| {
        ask_for_stream(&host, 1, 3951, WITHOUT_END).await;
        until_answer(&mut host, 1).await;
        for _ in 0..20 {
            host.receive().await;
        }
        ask_for_stream(&host, 2, 60, 10).await;
        let (before, mut behind) = until_answer(&mut host, 2).await;
        assert!(
            before.last().is_some_and(|last| last[3] & 0x40 != 0),
            "a whole message"
        );
        behind.extend(until_silence(&mut host).await);
        assert_eq!(behind.len(), 10);
        assert_eq!(sequence_number(&behind[0]), Some(FIRST_SEQUENCE_NUMBER));
        assert!(behind.iter().all(|packet| packet.len() == 4 + 1 + 60));
    });
}

#[test]
fn another_endpoint_id_ends_the_stream_and_the_same_one_does_not() {
    with_host(&settings(Version::V1_0, 251), async |mut host: RawHost| {
        ask_for_stream(&host, 1, 987, WITHOUT_END).await;
        until_answer(&mut host, 1).await;
        set_endpoint_id(&host, DEVICE).await;
        for _ in 0..200 {
            host.receive().await;
        }
        assert!(host.receive().await.iter().all(|it| is_of_stream(it)));
        set_endpoint_id(&host, DEVICE + 1).await;
        let rest = until_silence(&mut host).await;
        assert!(rest.len() < 50, "{}", rest.len());
        check_new_stream(&mut host, 2, DEVICE + 1).await;
    });
}

#[test]
fn a_reset_ends_the_stream() {
    with_host(&settings(Version::V1_0, 251), async |mut host: RawHost| {
        ask_for_stream(&host, 1, 987, WITHOUT_END).await;
        until_answer(&mut host, 1).await;
        host.receive().await;
        host.reset().await;
        let rest = until_silence(&mut host).await;
        assert!(rest.len() < 50, "{}", rest.len());
        check_new_stream(&mut host, 2, DEVICE).await;
    });
}

#[test]
fn a_stream_goes_on_without_loss_when_the_host_reads_again_however_late() {
    for (version, mtu) in [(Version::V1_0, 251), (Version::V1_1, 8187)] {
        // One packet each, and several.
        for length in [100, 9000] {
            with_host(&settings(version, mtu), async |mut host: RawHost| {
                const COUNT: u32 = 1000;
                ask_for_stream(&host, 1, length, COUNT.into()).await;
                let (_, mut packets) = until_answer(&mut host, 1).await;
                for seconds in [1, 3, 5, 7, 20] {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    for _ in 0..2 {
                        packets.extend(host.receive().await);
                    }
                }
                packets.extend(until_silence(&mut host).await);
                let expected: Vec<_> = (0..COUNT)
                    .map(|it| FIRST_SEQUENCE_NUMBER.wrapping_add(it))
                    .collect();
                assert_eq!(whole_messages(&packets, length), expected);
            });
        }
    }
}

#[test]
fn a_stream_that_nobody_reads_any_more_gives_way_to_the_next_one() {
    for (version, mtu) in [(Version::V1_0, 251), (Version::V1_1, 8187)] {
        with_host(&settings(version, mtu), async |mut host: RawHost| {
            for round in [0, 10] {
                ask_for_stream(&host, round + 1, 100, WITHOUT_END).await;
                until_answer(&mut host, round + 1).await;
                tokio::time::sleep(Duration::from_secs(3600)).await;
                // This request is answered once somebody reads, or it is lost, but then the next
                // one is not.
                ask_for_stream(&host, round + 2, 100, WITHOUT_END).await;
                tokio::time::sleep(Duration::from_secs(10)).await;
                for _ in 0..100 {
                    let _ = tokio::time::timeout(SILENCE, host.receive()).await;
                }
                assert!(host.get_endpoint_id().await.is_some());
                ask_for_stream(&host, round + 3, 60, 10).await;
                let (_, mut behind) = until_answer(&mut host, round + 3).await;
                behind.extend(until_silence(&mut host).await);
                assert_eq!(whole_messages(&behind, 60).len(), 10);
                check_new_stream(&mut host, round + 4, DEVICE).await;
            }
        });
    }
}

/// The numbers of the stream's messages of this length of which all packets came. What follows the
/// beginning of one that was given up is another beginning.
fn whole_messages(packets: &[Vec<u8>], length: u16) -> Vec<u32> {
    let message = usize::from(length) + 1;
    let (mut whole, mut current) = (Vec::new(), None);
    for packet in packets.iter().filter(|packet| is_of_stream(packet)) {
        if packet[3] & 0x80 != 0 {
            current = sequence_number(packet).map(|number| (number, 0));
        }
        let Some((number, received)) = &mut current else {
            continue;
        };
        *received += packet.len() - 4;
        if packet[3] & 0x40 != 0 {
            assert_eq!(*received, message, "message {number:#x}");
            whole.push(*number);
            current = None;
        }
    }
    whole
}
