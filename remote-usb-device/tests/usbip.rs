//! What is special about USB/IP: lengths that nobody vouches for, resets that have no message, and
//! peers that mean no good.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_usb::driver::{Endpoint, EndpointIn, EndpointOut};
use proptest::prelude::*;
use remote_usb_device::Error;
use remote_usb_device::usbip::wire::{Command, NOT_ISOCHRONOUS, Submit, Unlink, ZERO_PACKET};
use support::*;

const OUT: u8 = BULK_OUT;
const IN: u8 = BULK_IN & 0x0F;
const INTERRUPT: u8 = INTERRUPT_IN & 0x0F;

fn usbip(rig: &Rig) -> impl Fn() -> UsbipHost + Clone + 'static {
    rig.host::<UsbipHost>()
}

/// Bytes as they are written in a dump.
fn dump(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// What Linux 7.2 sent to a device, and what it took for an answer, on one connection. Do not change
/// this test.
#[test]
fn a_connection_of_linux_is_answered_byte_for_byte() {
    let zeros = "00000000 00000000 0000000000000000";
    let device = "12 01 10 02 ef 02 01 40 09 12 01 00 23 01 00 00 00 01";
    let packet = "1ab4000d 01000800 c8000801 02";
    let exchanges = [
        // GET_DESCRIPTOR.
        (
            "00000001 00000001 00010002 00000001 00000000 00000200 00000040 00000000 00000000 \
             00000000 8006000100004000"
                .to_owned(),
            format!(
                "00000003 00000001 00000000 00000000 00000000 00000000 00000012 00000000 {zeros} {device}"
            ),
        ),
        // SET_CONFIGURATION.
        (
            "00000001 00000005 00010002 00000000 00000000 00000000 00000000 00000000 00000000 \
             00000000 0009010000000000"
                .to_owned(),
            format!(
                "00000003 00000005 00000000 00000000 00000000 00000000 00000000 00000000 {zeros}"
            ),
        ),
        // A bulk IN request, which stays outstanding.
        (
            format!(
                "00000001 00000006 00010002 00000001 00000001 00000200 00000200 00000000 {zeros}"
            ),
            String::new(),
        ),
        // A bulk OUT transfer, which this device sends back before it says that it has read it. Linux
        // takes answers of different endpoints in any order.
        (
            format!(
                "00000001 00000007 00010002 00000000 00000001 00000000 0000000d 00000000 {zeros} {packet}"
            ),
            format!(
                "00000003 00000006 00000000 00000000 00000000 00000000 0000000d 00000000 {zeros} {packet} \
                 00000003 00000007 00000000 00000000 00000000 00000000 0000000d 00000000 {zeros}"
            ),
        ),
        // Another IN request, and its unlink.
        (
            format!(
                "00000001 0000013a 00010002 00000001 00000001 00000200 00000200 00000000 {zeros}"
            ),
            String::new(),
        ),
        (
            format!(
                "00000002 0000013b 00010002 00000000 00000000 0000013a 00000000 00000000 {zeros}"
            ),
            format!(
                "00000004 0000013b 00000000 00000000 00000000 ffffff98 00000000 00000000 {zeros}"
            ),
        ),
    ];
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    rig.play(async move {
        for (request, answer) in exchanges {
            host.send_bytes(&dump(&request)).await;
            let answer = dump(&answer);
            let mut received = vec![0; answer.len()];
            assert!(host.receive_exact(&mut received).await);
            assert_eq!(received, answer, "to {request}");
        }
    });
}

#[test]
fn an_idle_in_request_is_never_answered_and_blocks_nothing() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        for number in 1..=16 {
            host.submit_in(number, INTERRUPT, 16).await;
            host.submit_in(100 + number, ALT_IN & 0x0F, 512).await;
        }
        for number in 1..=16 {
            // The other setting of the interface is chosen, so that this endpoint is off.
            host.expect(100 + number, -2, 0, &[]).await;
        }
        host.expect_nothing_but_status().await;
        Host::expect_echo(&mut host).await;
    });
}

#[test]
fn interrupt_packets_answer_requests() {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().interrupt_in;
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        host.submit_in(1, INTERRUPT, 16).await;
        host.submit_in(2, INTERRUPT, 16).await;
        input.wait_enabled().await;
        input.write(&[1; 16]).await.unwrap();
        host.expect(1, 0, 16, &[1; 16]).await;
        input.write(&[2; 3]).await.unwrap();
        host.expect(2, 0, 3, &[2; 3]).await;
    });
}

#[test]
fn alternate_settings_are_chosen_by_plain_requests() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let handle = rig.handle;
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        let set = host.control(1, [1, 11, 1, 0, 1, 0, 0, 0], &[]).await;
        assert_eq!(set.0, 0);
        let get = host.control(2, [0x81, 10, 0, 0, 1, 0, 1, 0], &[]).await;
        assert_eq!(get, (0, vec![1]));
        host.submit_in(3, ALT_IN & 0x0F, 512).await;
        host.submit_out(4, ALT_OUT, b"other", 0).await;
        let mut answers = [host.receive().await, host.receive().await];
        answers.sort_by_key(|answer| matches!(answer, Answer::Submit { number: 4, .. }));
        let [Answer::Submit { data, .. }, _] = answers else {
            panic!("no answer")
        };
        assert_eq!(data, b"other");
        assert!(handle.is_configured());
    });
}

#[test]
fn an_empty_packet_ends_a_transfer_only_if_the_host_says_so() {
    let mut rig = Rig::on(Wire::Usbip);
    let mut output = rig.endpoints().bulk_out;
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        let mut packet = [0; MAX_PACKET];
        for (length, flags, packets) in [
            (1024, 0, &[512, 512][..]),
            (1024, ZERO_PACKET, &[512, 512, 0]),
            (512, ZERO_PACKET, &[512, 0]),
            (513, ZERO_PACKET, &[512, 1]),
            (0, ZERO_PACKET, &[0]),
            (0, 0, &[0]),
            (512, u32::MAX, &[512, 0]),
        ] {
            let data = vec![length as u8; length];
            host.submit_out(1, OUT, &data, flags).await;
            for wanted in packets {
                assert!(!host.is_idle());
                assert_eq!(output.read(&mut packet).await, Ok(*wanted));
            }
            host.expect(1, 0, length as u32, &[]).await;
        }
    });
}

#[test]
fn an_in_transfer_of_the_requested_length_needs_no_empty_packet() {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().bulk_in;
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        host.submit_in(1, IN, 1024).await;
        input.wait_enabled().await;
        input.write_transfer(&[1; 1024], false).await.unwrap();
        host.expect(1, 0, 1024, &[1; 1024]).await;
    });
}

#[test]
fn isochronous_transfers_are_refused_after_draining() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        for (is_in, length, packets) in [(false, 1000, 3), (true, 1000, 3), (false, 0, 1024)] {
            let header = Submit {
                packets,
                ..submit(1, is_in, 0x0D, length)
            };
            let data = if is_in { 0 } else { length };
            let drained = vec![0xEE; (data + 16 * packets) as usize];
            host.submit(header, &drained).await;
            host.expect(1, -22, 0, &[]).await;
        }
        // What is not isochronous has no packets, whatever the number.
        for packets in [0, NOT_ISOCHRONOUS, 1] {
            let header = Submit {
                packets,
                ..submit(2, false, OUT, 10)
            };
            host.submit(header, &[3; 10]).await;
            host.expect(2, 0, 10, &[]).await;
            host.submit_in(3, IN, 512).await;
            host.expect(3, 0, 10, &[3; 10]).await;
            let header = Submit {
                packets,
                ..submit(4, false, 0x0D, 10)
            };
            if packets != 1 {
                host.submit(header, &[3; 10]).await;
                host.expect(4, -2, 0, &[]).await;
            }
        }
    });
}

#[test]
fn control_requests_get_no_more_than_there_is_room_for() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
        for length in [1, 17, 18, 64] {
            let header = Submit {
                setup,
                ..submit(1, true, 0, length)
            };
            host.submit(header, &[]).await;
            let Answer::Submit {
                status: 0,
                length: got,
                ..
            } = host.receive().await
            else {
                panic!("no answer")
            };
            assert_eq!(got, length.min(18));
        }
        // The direction, or the length, is not that of the SETUP packet.
        let header = Submit {
            setup,
            ..submit(2, false, 0, 18)
        };
        host.submit(header, &[0; 18]).await;
        host.expect(2, -22, 0, &[]).await;
        let setup = [0x40, 1, 0, 0, 0, 0, 4, 0];
        let header = Submit {
            setup,
            ..submit(3, true, 0, 4)
        };
        host.submit(header, &[]).await;
        host.expect(3, -22, 0, &[]).await;
        for length in [3, 5, 100_000] {
            let header = Submit {
                setup,
                ..submit(4, false, 0, length)
            };
            host.submit(header, &vec![0; length as usize]).await;
            host.expect(4, -22, 0, &[]).await;
        }
        Host::expect_echo(&mut host).await;
    });
}

#[test]
fn many_control_requests_at_once_are_answered_in_order() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        for number in 1..=50 {
            let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
            let header = Submit {
                setup,
                ..submit(number, true, 0, 18)
            };
            host.submit(header, &[]).await;
        }
        for number in 1..=50 {
            match host.receive().await {
                Answer::Submit {
                    number: got,
                    status: 0,
                    length: 18,
                    ..
                } if got == number => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_device_that_is_unplugged_ends_the_connection_and_is_there_again_when_plugged_in() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let connect = usbip(&rig);
    let handle = rig.handle;
    rig.play(async move {
        let mut host = connect();
        host.enumerate().await;
        host.submit_in(1, IN, 512).await;
        handle.set_attached(false);
        assert_eq!(host.try_receive().await, None);
        let mut host = connect();
        assert_eq!(host.try_receive().await, None, "still unplugged");
        handle.set_attached(true);
        let mut host = connect();
        host.enumerate().await;
        Host::expect_echo(&mut host).await;
        handle.set_attached(false);
        handle.set_attached(true);
        assert_eq!(host.try_receive().await, None, "not the same device");
    });
    assert_eq!(*rig.ends.borrow(), [Ok(()); 3]);
}

#[test]
fn only_a_configured_device_is_reset_by_the_first_request_of_an_enumeration() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    let events = rig.events.clone();
    rig.play(async move {
        let resets = || {
            let log = &events.borrow().log;
            log.iter().filter(|event| *event == "reset").count()
        };
        let first = [0x80, 6, 0, 1, 0, 0, 64, 0];
        for number in 1..=3 {
            assert_eq!(host.control(number, first, &[]).await.0, 0);
        }
        let at_attaching = resets();
        host.enumerate().await;
        assert_eq!(resets(), at_attaching);
        host.submit_in(7, IN, 512).await;
        let header = Submit {
            setup: first,
            ..submit(8, true, 0, 64)
        };
        host.submit(header, &[]).await;
        let mut answers = [host.receive().await, host.receive().await];
        answers.sort_by_key(|answer| matches!(answer, Answer::Submit { number: 8, .. }));
        assert!(matches!(
            answers[0],
            Answer::Submit {
                number: 7,
                status: -108,
                ..
            }
        ));
        assert!(matches!(
            answers[1],
            Answer::Submit {
                number: 8,
                status: 0,
                ..
            }
        ));
        assert_eq!(resets(), at_attaching + 1);
        host.enumerate().await;
        Host::expect_echo(&mut host).await;
    });
}

#[test]
fn a_device_that_was_given_another_address_is_enumerated_again() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        for address in [0, 5] {
            host.control(1, [0, 9, 0, 0, 0, 0, 0, 0], &[]).await;
            host.control(2, [0, 5, address, 0, 0, 0, 0, 0], &[]).await;
            host.enumerate().await;
            Host::expect_echo(&mut host).await;
        }
    });
}

#[test]
fn writes_that_are_given_up_tear_no_answer() {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().bulk_in;
    rig.spawn(async move {
        loop {
            input.wait_enabled().await;
            select(input.write_transfer(&[7; 900], false), yield_now()).await;
        }
    });
    let mut host = usbip(&rig)();
    rig.play(async move {
        host.enumerate().await;
        for round in 0..200 {
            host.submit_in(round, IN, 4096).await;
            let Answer::Submit {
                status: 0, data, ..
            } = host.receive().await
            else {
                panic!("no answer")
            };
            assert!(data.iter().all(|byte| *byte == 7));
        }
    });
}

/// Sends `bytes` to a device, and says whether it closes the connection for them. Another
/// connection has to work after that.
fn closes_after(bytes: Vec<u8>, enumerated: bool) -> bool {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let connect = usbip(&rig);
    rig.play(async move {
        let mut host = connect();
        if enumerated {
            host.enumerate().await;
        }
        host.send_bytes(&bytes).await;
        drop(host);
        let mut host = connect();
        host.enumerate().await;
        Host::expect_echo(&mut host).await;
    });
    rig.ends.borrow()[0] == Err(Error::Protocol)
}

#[test]
fn what_cannot_be_ends_the_connection() {
    let good = Command::Submit(submit(1, true, IN, 512)).emit();
    assert!(!closes_after(good.to_vec(), true));
    for (offset, value) in [
        (0, 0),
        (0, 3),
        (0, u32::MAX),
        (12, 2),
        (16, 16),
        (16, 0x81),
        (24, 1 << 31),
        (24, u32::MAX),
        (32, 1 << 31),
        (32, u32::MAX - 1),
    ] {
        for enumerated in [false, true] {
            let mut bad = good.to_vec();
            bad[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
            assert!(closes_after(bad, enumerated), "{value:x} at {offset}");
        }
    }
    let packets = 1025;
    let too_many = Submit {
        packets,
        ..submit(1, true, 0x0D, 0)
    };
    assert!(closes_after(
        Command::Submit(too_many).emit().to_vec(),
        true
    ));
}

#[test]
fn the_greatest_lengths_are_taken_as_they_come() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let connect = usbip(&rig);
    rig.play(async move {
        for endpoint in [IN, INTERRUPT, 0x0D] {
            let mut host = connect();
            host.enumerate().await;
            host.submit_in(1, endpoint, i32::MAX as u32).await;
            if endpoint == 0x0D {
                host.expect(1, -2, 0, &[]).await;
            }
            host.expect_nothing_but_status().await;
            // Two gibibytes are promised, and half a megabyte comes.
            let header = Command::Submit(submit(2, false, endpoint, i32::MAX as u32)).emit();
            host.send_bytes(&header).await;
            host.send_bytes(&[7; 500_000]).await;
        }
        let mut host = connect();
        host.enumerate().await;
        Host::expect_echo(&mut host).await;
    });
}

#[test]
fn a_connection_cut_anywhere_leaves_nothing_behind() {
    let header = Command::Submit(submit(1, false, OUT, 1000)).emit();
    let transfer = [&header[..], &[5; 1000]].concat();
    for cut in [1, 20, 47, 48, 49, 500, transfer.len() - 1, transfer.len()] {
        assert!(!closes_after(transfer[..cut].to_vec(), true));
        assert!(!closes_after(transfer[..cut].to_vec(), false));
    }
}

/// A command that makes sense, more or less, and its data.
fn any_command(number: u32) -> impl Strategy<Value = (Command, Vec<u8>)> {
    let endpoint = prop_oneof![
        Just(0u8),
        Just(OUT),
        Just(INTERRUPT),
        Just(ALT_OUT),
        Just(ALT_IN & 0x0F),
        0u8..16
    ];
    let setup = prop_oneof![
        Just([0x80, 6, 0, 1, 0, 0, 64, 0]),
        Just([0, 9, 1, 0, 0, 0, 0, 0]),
        Just([0, 9, 0, 0, 0, 0, 0, 0]),
        Just([1, 11, 1, 0, 1, 0, 0, 0]),
        (any::<[u8; 8]>(), 0u8..13).prop_map(|(mut setup, request)| {
            (setup[0], setup[1]) = (setup[0] & 0x83, request);
            setup
        }),
        any::<[u8; 8]>(),
    ];
    let numbers = (
        0u32..2000,
        prop_oneof![Just(0), Just(u32::MAX), 0u32..4],
        0..number,
    );
    (
        0u8..4,
        endpoint,
        setup,
        any::<bool>(),
        numbers,
        any::<u32>(),
    )
        .prop_map(
            move |(choice, endpoint, setup, is_in, (mut length, packets, target), flags)| {
                if choice == 0 {
                    let device_id = flags;
                    let unlink = Unlink {
                        number,
                        device_id,
                        target,
                    };
                    return (Command::Unlink(unlink), Vec::new());
                }
                let mut is_in = is_in;
                if endpoint == 0 && choice > 1 {
                    is_in = setup[0] & 0x80 != 0;
                    length = u16::from_le_bytes([setup[6], setup[7]]).into();
                    length = if is_in { length } else { length.min(4000) };
                }
                let header = Submit {
                    flags,
                    packets,
                    setup,
                    ..submit(number, is_in, endpoint, length)
                };
                let is_there =
                    |endpoint| [0, OUT, INTERRUPT, ALT_OUT, ALT_IN & 0x0F].contains(&endpoint);
                let isochronous =
                    (!is_there(endpoint) || !has_direction(endpoint, is_in)) && packets != u32::MAX;
                let descriptors = if isochronous { 16 * packets } else { 0 };
                let data = if is_in { 0 } else { length } + descriptors;
                (Command::Submit(header), vec![0x5A; data as usize])
            },
        )
}

/// Whether the device has this endpoint in this direction.
fn has_direction(endpoint: u8, is_in: bool) -> bool {
    match endpoint {
        0 | 1 => true,
        2 => true,
        3 => true,
        _ => is_in,
    }
}

fn commands() -> impl Strategy<Value = Vec<(Command, Vec<u8>)>> {
    let numbers: Vec<_> = (1..=30).map(any_command).collect();
    (numbers, 1usize..30).prop_map(|(mut commands, count)| {
        commands.truncate(count);
        commands
    })
}

fn bytes_of(commands: &[(Command, Vec<u8>)]) -> Vec<u8> {
    let messages = commands.iter();
    messages
        .flat_map(|(command, data)| [&command.emit()[..], data].concat())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..3000), enumerated in any::<bool>()) {
        closes_after(bytes, enumerated);
    }

    #[test]
    fn survives_random_headers(
        headers in proptest::collection::vec((0u32..4, any::<u32>(), 0u32..3, 0u32..18, any::<[u32; 5]>(), any::<[u8; 8]>()), 1..20)
    ) {
        let mut bytes = Vec::new();
        for (command, number, direction, endpoint, rest, setup) in headers {
            for word in [command, number, 0x1_0002, direction, endpoint] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(rest.into_iter().flat_map(u32::to_be_bytes));
            bytes.extend(setup);
        }
        closes_after(bytes, true);
    }

    #[test]
    fn survives_commands_with_one_byte_changed(
        commands in commands(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = bytes_of(&commands);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        closes_after(bytes, true);
    }

    /// The host fails for an answer too many, one after an unlink, and one that is too long.
    #[test]
    fn answers_every_request_once_as_linux_wants_it(commands in commands(), enumerated in any::<bool>()) {
        let mut rig = Rig::echo_on(Wire::Usbip);
        let mut host = usbip(&rig)();
        rig.play(async move {
            if enumerated {
                host.enumerate().await;
            }
            for (command, data) in commands {
                match command {
                    Command::Submit(header) => host.submit(header, &data).await,
                    Command::Unlink(unlink) => host.unlink(unlink.number, unlink.target).await,
                }
            }
            // Ends whatever is outstanding.
            for (number, setup) in [(500, [0x80, 6, 0, 1, 0, 0, 64, 0]), (501, [0, 9, 0, 0, 0, 0, 0, 0])] {
                let length = u32::from(setup[6]);
                host.submit(Submit { setup, ..submit(number, length > 0, 0, length) }, &[]).await;
            }
            while !host.is_idle() {
                host.receive().await;
            }
            host.enumerate().await;
            Host::expect_echo(&mut host).await;
        });
    }
}
