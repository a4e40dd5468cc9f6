//! Hello, announcement, configuration, control transfers, connection and disconnection.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use embassy_usb::driver::Speed as BusSpeed;
use remote_usb_device::usbredir::wire::{
    Capabilities, EndpointKind, Message, Speed, Status, endpoint_slot,
};
use remote_usb_device::{Config, Error};
use support::*;

#[test]
fn announces_endpoint_zero_then_interfaces_then_the_device() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    let _guest = rig.play(async move {
        guest.hello(QEMU).await;
        let Message::EndpointInfo(endpoints) = guest.receive().await.message else {
            panic!("ep_info first")
        };
        for (slot, kind) in endpoints.kind.iter().enumerate() {
            let expected = if slot % 16 == 0 {
                EndpointKind::CONTROL
            } else {
                EndpointKind::ABSENT
            };
            assert_eq!(*kind, expected);
        }
        assert_eq!(endpoints.max_packet_size[0], 64);
        let Message::InterfaceInfo(interfaces) = guest.receive().await.message else {
            panic!("interface_info second")
        };
        assert_eq!(interfaces.count, 2);
        assert_eq!(interfaces.number[..2], [0, 1]);
        assert_eq!(interfaces.class[..2], [0xFF, 0xFE]);
        assert_eq!(interfaces.subclass[..2], [0x10, 0x11]);
        assert_eq!(interfaces.protocol[..2], [0x20, 0x21]);
        let Message::DeviceConnect(connect) = guest.receive().await.message else {
            panic!("device_connect third")
        };
        assert_eq!(connect.speed, Speed::HIGH);
        assert_eq!(
            (connect.class, connect.subclass, connect.protocol),
            (0xEF, 2, 1)
        );
        assert_eq!(
            (connect.vendor_id, connect.product_id, connect.version),
            (0x1209, 0x0001, 0x0123)
        );
        guest
    });
    assert_eq!(rig.events.borrow().log, ["enabled true", "addressed 1"]);
}

#[test]
fn says_full_speed_when_configured_so() {
    let mut config = Config::default();
    config.speed = BusSpeed::Full;
    let mut rig = Rig::with_config(config);
    let mut guest = rig.connect();
    rig.play(async move {
        guest.hello(QEMU).await;
        guest.receive().await;
        guest.receive().await;
        let Message::DeviceConnect(connect) = guest.receive().await.message else {
            panic!("device_connect third")
        };
        assert_eq!(connect.speed, Speed::FULL);
    });
}

#[test]
fn says_nothing_but_hello_before_the_guest_does() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    rig.play(async move {
        assert!(matches!(guest.receive().await.message, Message::Hello(_)));
    });
    assert!(rig.events.borrow().log.is_empty());
}

#[test]
fn works_with_a_guest_that_has_no_capability() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.hello(Capabilities::NONE).await;
        assert_eq!(guest.caps, Capabilities::NONE);
        guest.expect_announcement().await;
        guest.configure().await;
        guest.expect_echo().await;
    });
}

#[test]
fn works_with_a_hello_without_capability_words() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        let mut hello = vec![0; 12 + 64];
        hello[4] = 64;
        guest.send_bytes(&hello).await;
        guest.receive().await;
        guest.expect_announcement().await;
        guest.configure().await;
        guest.expect_echo().await;
    });
}

#[test]
fn configuration_brings_endpoint_info_before_its_status() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    let _guest = rig.play(async move {
        guest.plug_in().await;
        guest.send(0, Message::Reset, &[]).await;
        guest
            .send(5, Message::SetConfiguration { configuration: 1 }, &[])
            .await;
        let Message::EndpointInfo(info) = guest.receive().await.message else {
            panic!("ep_info first")
        };
        let (bulk_in, interrupt) = (endpoint_slot(BULK_IN), endpoint_slot(INTERRUPT_IN));
        assert_eq!(info.kind[bulk_in], EndpointKind::BULK);
        assert_eq!(info.max_packet_size[bulk_in], 512);
        assert_eq!(info.kind[interrupt], EndpointKind::INTERRUPT);
        assert_eq!(info.interval[interrupt], 1, "QEMU refuses interval 0");
        assert_eq!(info.interval[endpoint_slot(INTERRUPT_OUT)], 4);
        assert_eq!(info.kind[endpoint_slot(ALT_IN)], EndpointKind::ABSENT);
        assert!(matches!(
            guest.receive().await.message,
            Message::InterfaceInfo(_)
        ));
        let status = guest.receive().await;
        assert_eq!(status.id, 5);
        assert_eq!(
            status.message,
            Message::ConfigurationStatus {
                status: Status::SUCCESS,
                configuration: 1
            }
        );
        guest.send(6, Message::GetConfiguration, &[]).await;
        let status = guest.receive().await;
        assert_eq!(status.id, 6);
        assert_eq!(
            status.message,
            Message::ConfigurationStatus {
                status: Status::SUCCESS,
                configuration: 1
            }
        );
        guest
    });
    assert_eq!(
        rig.events.borrow().log,
        [
            "enabled true",
            "addressed 1",
            "reset",
            "addressed 1",
            "configured true"
        ]
    );
    assert!(rig.handle.is_configured());
}

#[test]
fn refuses_a_configuration_that_does_not_exist() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest
            .send(5, Message::SetConfiguration { configuration: 9 }, &[])
            .await;
        let status = guest.receive().await.message;
        assert_eq!(
            status,
            Message::ConfigurationStatus {
                status: Status::STALL,
                configuration: 1
            }
        );
        guest.expect_echo().await;
    });
}

#[test]
fn alternate_setting_switches_endpoints_and_class() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, ALT_IN, 512).await;
        guest.expect_bulk(1, ALT_IN, Status::INVALID, 0, &[]).await;
        guest
            .send(
                2,
                Message::SetAltSetting {
                    interface: 1,
                    alt_setting: 1,
                },
                &[],
            )
            .await;
        let Message::EndpointInfo(info) = guest.receive().await.message else {
            panic!("ep_info first")
        };
        assert_eq!(info.kind[endpoint_slot(ALT_IN)], EndpointKind::BULK);
        assert_eq!(info.interface[endpoint_slot(ALT_IN)], 1);
        let Message::InterfaceInfo(info) = guest.receive().await.message else {
            panic!("interface_info second")
        };
        assert_eq!(info.class[..2], [0xFF, 0xFD]);
        let status = guest.receive().await.message;
        assert_eq!(
            status,
            Message::AltSettingStatus {
                status: Status::SUCCESS,
                interface: 1,
                alt_setting: 1
            }
        );
        guest
            .send(3, Message::GetAltSetting { interface: 1 }, &[])
            .await;
        let status = guest.receive().await.message;
        assert_eq!(
            status,
            Message::AltSettingStatus {
                status: Status::SUCCESS,
                interface: 1,
                alt_setting: 1
            }
        );
        guest.bulk_in(4, ALT_IN, 512).await;
        guest.bulk_out(5, ALT_OUT, b"alt").await;
        guest.receive().await;
        guest.receive().await;
        guest
            .send(
                6,
                Message::SetAltSetting {
                    interface: 1,
                    alt_setting: 7,
                },
                &[],
            )
            .await;
        let status = guest.receive().await.message;
        assert_eq!(
            status,
            Message::AltSettingStatus {
                status: Status::STALL,
                interface: 1,
                alt_setting: 7
            }
        );
    });
}

#[test]
fn control_in_is_collected_from_many_packets() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        let (header, data) = guest
            .control(9, [0x80, 6, 0, 2, 0, 0, 0xFF, 0x0F], &[])
            .await;
        let total = u16::from_le_bytes([data[2], data[3]]);
        assert!(total > 64, "takes more than one packet");
        assert_eq!(header.status, Status::SUCCESS);
        assert_eq!(
            (usize::from(header.length), usize::from(total)),
            (data.len(), data.len())
        );
        let (header, data) = guest.control(10, [0x80, 6, 0, 2, 0, 0, 9, 0], &[]).await;
        assert_eq!((header.length, data.len()), (9, 9));
    });
}

#[test]
fn control_out_data_reach_the_device_and_come_back() {
    let mut rig = Rig::new();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for length in [0usize, 1, 63, 64, 65, 128, 1000, CONTROL_BUFFER] {
            let data: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
            let [low, high] = (length as u16).to_le_bytes();
            let (header, _) = guest
                .control(1, [0x40, 1, 0, 0, 0, 0, low, high], &data)
                .await;
            assert_eq!(
                (header.status, usize::from(header.length)),
                (Status::SUCCESS, length)
            );
            let (header, back) = guest.control(2, [0xC0, 2, 0, 0, 0, 0, 0, 0x04], &[]).await;
            assert_eq!(header.status, Status::SUCCESS);
            assert_eq!(back, data);
        }
    });
}

#[test]
fn refused_control_requests_are_stalled() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        let (header, data) = guest.control(1, [0xC0, 99, 0, 0, 0, 0, 8, 0], &[]).await;
        assert_eq!(
            (header.status, header.length, data.len()),
            (Status::STALL, 0, 0)
        );
        let (header, _) = guest.control(2, [0x40, 99, 0, 0, 0, 0, 0, 0], &[]).await;
        assert_eq!(header.status, Status::STALL);
        let long = vec![0; CONTROL_BUFFER + 1];
        let (header, _) = guest
            .control(3, [0x40, 1, 0, 0, 0, 0, 0x01, 0x04], &long)
            .await;
        assert_eq!(
            header.status,
            Status::STALL,
            "longer than the control buffer"
        );
        guest.expect_echo().await;
    });
}

#[test]
fn a_new_request_abandons_the_unfinished_one() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for id in 1..=5 {
            guest
                .send(id, control([0x80, 6, 0, 1, 0, 0, 18, 0]), &[])
                .await;
        }
        let mut answered = Vec::new();
        while answered.len() < 5 {
            let answer = guest.receive().await;
            let Message::Control(header) = answer.message else {
                panic!("not a control answer")
            };
            let expected = if header.status == Status::SUCCESS {
                18
            } else {
                0
            };
            assert!([Status::SUCCESS, Status::CANCELLED].contains(&header.status));
            assert_eq!(answer.data.len(), expected);
            answered.push(answer.id);
            if answer.id == 5 {
                assert_eq!(header.status, Status::SUCCESS);
            }
        }
        answered.sort();
        assert_eq!(answered, [1, 2, 3, 4, 5], "each exactly once");
        guest.expect_echo().await;
    });
}

#[test]
fn cancelling_a_control_request_answers_it_once() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest
            .send(1, control([0x80, 6, 0, 1, 0, 0, 18, 0]), &[])
            .await;
        guest.send(1, Message::CancelDataPacket, &[]).await;
        assert_eq!(guest.receive().await.id, 1);
        guest.send(2, Message::CancelDataPacket, &[]).await;
        guest.expect_echo().await;
    });
}

#[test]
fn reset_returns_to_unconfigured() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.expect_echo().await;
        guest.send(0, Message::Reset, &[]).await;
        guest.bulk_in(1, BULK_IN, 512).await;
        guest.expect_bulk(1, BULK_IN, Status::INVALID, 0, &[]).await;
        guest.configure().await;
        guest.expect_echo().await;
    });
}

#[test]
fn reset_answers_what_was_outstanding_once() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        for id in 1..=16 {
            guest.bulk_in(id, BULK_IN, 1024).await;
        }
        guest.send(0, Message::Reset, &[]).await;
        for id in 1..=16 {
            guest
                .expect_bulk(id, BULK_IN, Status::CANCELLED, 0, &[])
                .await;
        }
        guest.configure().await;
        guest.expect_echo().await;
    });
}

#[test]
fn end_of_stream_removes_power_and_a_new_stream_brings_it_back() {
    let mut rig = Rig::echo();
    let connect = rig.connector();
    rig.play(async move {
        for _ in 0..3 {
            let mut guest = connect();
            guest.enumerate().await;
            guest.expect_echo().await;
            guest.bulk_in(55, BULK_IN, 512).await;
        }
    });
    let log = rig.events.borrow().log.clone();
    assert_eq!(
        log.iter().filter(|event| *event == "enabled true").count(),
        3
    );
    assert_eq!(log.last().unwrap(), "enabled false");
    assert_eq!(*rig.ends.borrow(), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(rig.handle.counters().connections, 3);
    assert!(!rig.handle.is_configured());
}

#[test]
fn nothing_of_one_connection_is_answered_in_the_next() {
    let mut rig = Rig::echo();
    let connect = rig.connector();
    rig.play(async move {
        let mut guest = connect();
        guest.enumerate().await;
        for id in 1..=16 {
            guest.bulk_in(id, BULK_IN, 512).await;
        }
        guest.bulk_out(20, BULK_OUT, &[1; 512]).await;
        drop(guest);
        let mut guest = connect();
        guest.enumerate().await;
        guest.expect_echo().await;
    });
}

#[test]
fn a_second_hello_is_a_new_guest_on_the_same_line() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    rig.play(async move {
        guest.enumerate().await;
        guest.caps = Capabilities::NONE;
        guest.enumerate().await;
        guest.expect_echo().await;
    });
    assert_eq!(rig.handle.counters().connections, 2);
}

#[test]
fn detaching_disconnects_and_attaching_connects_again() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    let handle = rig.handle;
    rig.play(async move {
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 512).await;
        handle.set_attached(false);
        assert_eq!(guest.receive().await.message, Message::DeviceDisconnect);
        guest.bulk_in(2, BULK_IN, 512).await;
        guest
            .send(3, Message::SetConfiguration { configuration: 1 }, &[])
            .await;
        handle.set_attached(true);
        guest.expect_announcement().await;
        guest.configure().await;
        guest.expect_echo().await;
    });
}

#[test]
fn detaching_and_attaching_at_once_is_still_a_disconnect() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    let handle = rig.handle;
    rig.play(async move {
        guest.enumerate().await;
        handle.set_attached(false);
        handle.set_attached(true);
        assert_eq!(guest.receive().await.message, Message::DeviceDisconnect);
        guest.expect_announcement().await;
        guest.configure().await;
        guest.expect_echo().await;
    });
}

#[test]
fn a_detached_device_is_not_announced() {
    let mut rig = Rig::echo();
    let mut guest = rig.connect();
    let handle = rig.handle;
    handle.set_attached(false);
    rig.play(async move {
        guest.hello(QEMU).await;
        handle.set_attached(true);
        guest.expect_announcement().await;
    });
}

#[test]
fn a_stream_that_does_not_start_with_hello_is_refused() {
    let mut rig = Rig::echo();
    let connect = rig.connector();
    rig.play(async move {
        let mut guest = connect();
        guest.send(0, Message::Reset, &[]).await;
        while guest.try_receive().await.is_some() {}
        let mut guest = connect();
        guest.enumerate().await;
        guest.expect_echo().await;
    });
    assert_eq!(rig.ends.borrow()[0], Err(Error::Protocol));
    assert_eq!(rig.handle.counters().protocol_errors, 1);
}

#[test]
fn dropping_the_future_of_a_connection_ends_it() {
    let mut rig = Rig::echo();
    let connect = rig.connector();
    let drop_connection = rig.drop_connection;
    let guest = rig.play(async move {
        let mut guest = connect();
        guest.enumerate().await;
        guest.bulk_in(1, BULK_IN, 512).await;
        drop_connection.signal(());
        assert!(guest.try_receive().await.is_none());
        let mut guest = connect();
        guest.enumerate().await;
        guest.expect_echo().await;
        guest
    });
    let log = rig.events.borrow().log.clone();
    assert_eq!(
        log.iter().filter(|event| *event == "enabled false").count(),
        1
    );
    drop(guest);
}
