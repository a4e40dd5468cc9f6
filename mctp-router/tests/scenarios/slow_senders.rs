//! Where only unfinished messages hold the buffers: who sends too slowly loses first, and nobody
//! keeps a buffer for a byte now and then.

use mctp_transport::DropReason;

use crate::Device;
use crate::support::driver::{Came, Driver};
use crate::support::{ECHO, REQUEST, echo_message};

/// Begins a message of `source` that holds a buffer.
fn begin(device: &mut Device, source: u8, tag: u8, unit: usize) -> Came {
    let packets = REQUEST
        .from(source)
        .tag(tag)
        .packets(&echo_message(4000), unit);
    device.receive(&packets[0])
}

/// Two sources renew their messages with as little as they may each 240 ms; a third one sends good
/// messages of two packets, one each 10 ms.
#[test]
fn two_sources_that_trickle_do_not_keep_a_third_from_its_messages() {
    // Below the baseline unit nothing begins. Others have their buffer until they are late by 250 ms.
    for (unit, least) in [(5, 10_000), (59, 10_000), (60, 6_000), (64, 6_000)] {
        let (mut device, echo) = Device::echo();
        let good = REQUEST.from(0x30).packets(&echo_message(100), 64);
        let mut next = [0_usize; 2];
        let mut came = 0;
        for round in 0..10_000_u64 {
            if round % 24 == 0 {
                for (source, next) in [0x20, 0x21].into_iter().zip(&mut next) {
                    let wire = REQUEST.from(source);
                    let packets = wire.packets(&echo_message(unit * 400), unit);
                    let came = device.receive(&packets[*next]);
                    *next = match came {
                        Came::Stored => *next + 1,
                        _ => 0,
                    };
                }
            }
            device.receive(&good[0]);
            came += usize::from(device.receive(&good[1]) == Came::Accepted);
            device.take(echo);
            device.advance(10);
        }
        assert!(came >= least, "{came} of 10,000 beside units of {unit}");
    }
}

#[test]
fn a_start_packet_below_the_baseline_unit_begins_nothing_but_that_of_mctp_estack() {
    let (mut device, echo) = Device::echo();
    for unit in [5, 16, 59] {
        let came = begin(&mut device, 0x20, 0, unit);
        let reason = DropReason::UnsupportedTransmissionUnit;
        assert_eq!(came, Came::Dropped(reason), "unit {unit}");
    }
    for packet in REQUEST.packets(&echo_message(150), 60) {
        device.receive(&packet);
    }
    assert_eq!(device.take(echo), Some(echo_message(150)));
    let whole = REQUEST.packet(&echo_message(9));
    assert_eq!(device.receive(&whole), Came::Accepted);
}

#[test]
fn of_the_late_ones_the_source_that_holds_most_loses_first() {
    let mut device = Device::large();
    device.listen(ECHO).unwrap();
    // One source has three of the four buffers, another one the oldest.
    begin(&mut device, 0x21, 0, 64);
    device.advance(100);
    for tag in 0..3 {
        begin(&mut device, 0x20, tag, 64);
        device.advance(10);
    }
    device.advance(400);
    let late = |device: &mut Device, source, tag| {
        let middle = REQUEST.from(source).tag(tag).middle(1);
        device.receive(&middle.packet(&[0; 64])) == Came::Stored
    };
    assert_eq!(begin(&mut device, 0x22, 0, 64), Came::Stored);
    assert!(!late(&mut device, 0x20, 0), "the oldest of those of 20h");
    assert!(late(&mut device, 0x20, 1) && late(&mut device, 0x20, 2));
    assert!(late(&mut device, 0x21, 0));
}

/// 64 KiB over I2C at 100 kHz take about seven seconds.
#[test]
fn a_long_message_on_a_slow_bus_arrives_however_many_others_want_its_buffer() {
    let (mut device, echo) = Device::echo();
    let packets = REQUEST.from(0x20).packets(&echo_message(4220), 64);
    for (number, packet) in packets.iter().enumerate() {
        let came = device.receive(packet);
        assert_ne!(came, Came::Dropped(DropReason::MiddleWithoutStart));
        // A packet of 64 bytes takes 7 ms there; this neighbour takes ten times as long.
        device.advance(70);
        for tag in 0..2 {
            let other = REQUEST.from(0x30 + number as u8).tag(tag);
            device.receive(&other.packets(&echo_message(100), 64)[0]);
        }
    }
    assert_eq!(device.take(echo), Some(echo_message(4220)));
    assert!(device.millis() > 4_000);
}
