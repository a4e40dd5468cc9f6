//! The simulator is real enough that a device of embassy-usb enumerates and moves data.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::{
    ADDRESS, BULK_IN, BULK_OUT, CONFIGURATION_DESCRIPTOR, DEVICE_DESCRIPTOR,
    GET_CONFIGURATION_DESCRIPTOR, GET_DEVICE_DESCRIPTOR, LOAD, MAX_PACKET_SIZE, Memory,
    OUT_BUFFER_LEN, store, with_configured_device, with_device,
};
use otg_simulator::Toggle::{self, Data0, Data1};
use otg_simulator::{Acknowledge, Handshake, Host, InResponse, Simulator, Speed, TransferError};

/// The number of the bulk pair, in both directions.
const BULK: u8 = BULK_OUT;

fn packet(toggle: Toggle, bytes: &[u8]) -> InResponse {
    InResponse::Data {
        toggle,
        bytes: bytes.to_vec(),
    }
}

#[test]
fn connects_when_it_is_started() {
    let mut memory = Memory::new();
    let mut out_buffer = [0; OUT_BUFFER_LEN];
    let simulator = Simulator::new(Speed::High);
    assert!(!simulator.is_connected());
    let mut host = Host::new(&simulator);
    host.spawn(common::run(simulator.driver(&mut out_buffer), &mut memory));
    assert!(simulator.is_connected());
}

#[test]
fn enumerates_at_both_speeds() {
    for speed in [Speed::High, Speed::Full] {
        with_device(speed, |_, host| {
            assert_eq!(
                host.control_in(GET_DEVICE_DESCRIPTOR).unwrap(),
                DEVICE_DESCRIPTOR
            );
            host.set_address(ADDRESS).unwrap();
            assert_eq!(
                host.control_in(GET_DEVICE_DESCRIPTOR).unwrap(),
                DEVICE_DESCRIPTOR
            );
            assert_eq!(
                host.control_in(GET_CONFIGURATION_DESCRIPTOR).unwrap(),
                CONFIGURATION_DESCRIPTOR
            );
            host.set_configuration(1).unwrap();
            assert_eq!(
                host.control_in([0x80, 0x08, 0, 0, 0, 0, 1, 0]).unwrap(),
                [1]
            );
        });
    }
}

#[test]
fn moves_control_data_of_several_packets() {
    with_configured_device(|_, host| {
        for len in [1, 63, 64, 65, 128, 200] {
            let data: Vec<u8> = (0..len).collect();
            host.control_out(store(len), &data).unwrap();
            assert_eq!(host.control_in(LOAD).unwrap(), data);
        }
    });
}

#[test]
fn refuses_an_unknown_request_until_the_next_one() {
    with_configured_device(|_, host| {
        let unknown = [0x80, 0x06, 0x00, 0x42, 0x00, 0x00, 18, 0];
        assert_eq!(host.control_in(unknown), Err(TransferError::Stall));
        assert_eq!(host.control_in(unknown), Err(TransferError::Stall));
        assert_eq!(
            host.control_in(GET_DEVICE_DESCRIPTOR).unwrap(),
            DEVICE_DESCRIPTOR
        );
    });
}

#[test]
fn sends_back_packets_of_all_lengths() {
    with_configured_device(|_, host| {
        for len in 0..=usize::from(MAX_PACKET_SIZE) {
            let bytes: Vec<u8> = (0..len)
                .map(|position| (position * 7 + len) as u8)
                .collect();
            host.bulk_out(BULK, &bytes).unwrap();
            assert_eq!(host.bulk_in(BULK).unwrap(), bytes);
        }
    });
}

#[test]
fn toggles_alternate() {
    with_configured_device(|simulator, host| {
        for toggle in [Data0, Data1, Data0, Data1] {
            assert_eq!(simulator.out(ADDRESS, BULK, toggle, &[1]), Handshake::Ack);
            host.poll();
            let response = simulator.in_token(ADDRESS, BULK, Acknowledge::Ack);
            assert_eq!(response, packet(toggle, &[1]));
            host.poll();
        }
    });
}

#[test]
fn acknowledges_and_discards_a_repeated_packet() {
    with_configured_device(|simulator, host| {
        assert_eq!(simulator.out(ADDRESS, BULK, Data0, &[1]), Handshake::Ack);
        host.poll();
        assert_eq!(simulator.out(ADDRESS, BULK, Data0, &[1]), Handshake::Ack);
        host.poll();
        assert_eq!(simulator.out(ADDRESS, BULK, Data1, &[2]), Handshake::Ack);
        host.poll();
        for (toggle, byte) in [(Data0, 1), (Data1, 2)] {
            let response = simulator.in_token(ADDRESS, BULK, Acknowledge::Ack);
            assert_eq!(response, packet(toggle, &[byte]));
            host.poll();
        }
        assert_eq!(
            simulator.in_token(ADDRESS, BULK, Acknowledge::Ack),
            InResponse::Nak
        );
    });
}

#[test]
fn repeats_a_packet_until_it_is_acknowledged() {
    with_configured_device(|simulator, host| {
        host.bulk_out(BULK, &[1, 2, 3]).unwrap();
        for acknowledge in [Acknowledge::Lost, Acknowledge::Lost, Acknowledge::Ack] {
            let response = simulator.in_token(ADDRESS, BULK, acknowledge);
            assert_eq!(response, packet(Data0, &[1, 2, 3]));
            host.poll();
        }
        assert_eq!(
            simulator.in_token(ADDRESS, BULK, Acknowledge::Ack),
            InResponse::Nak
        );
    });
}

#[test]
fn takes_no_packet_before_the_last_one_is_read() {
    with_configured_device(|simulator, host| {
        assert_eq!(simulator.out(ADDRESS, BULK, Data0, &[1]), Handshake::Ack);
        assert_eq!(simulator.out(ADDRESS, BULK, Data1, &[2]), Handshake::Nak);
        host.poll();
        assert_eq!(simulator.out(ADDRESS, BULK, Data1, &[2]), Handshake::Ack);
    });
}

#[test]
fn a_halted_endpoint_stalls() {
    with_configured_device(|_, host| {
        for endpoint in [BULK_OUT, BULK_IN] {
            host.set_halt(endpoint).unwrap();
            let status = [0x82, 0, 0, 0, endpoint, 0, 2, 0];
            assert_eq!(host.control_in(status).unwrap(), [1, 0]);
        }
        assert_eq!(host.bulk_out(BULK, &[1]), Err(TransferError::Stall));
        assert_eq!(host.bulk_in(BULK), Err(TransferError::Stall));
        for endpoint in [BULK_OUT, BULK_IN] {
            host.clear_halt(endpoint).unwrap();
        }
        host.bulk_out(BULK, &[1]).unwrap();
        assert_eq!(host.bulk_in(BULK).unwrap(), [1]);
    });
}

#[test]
fn answers_on_its_address_and_active_endpoints_only() {
    with_device(Speed::High, |simulator, host| {
        let device_descriptor = |address| simulator.setup(address, GET_DEVICE_DESCRIPTOR);
        assert_eq!(device_descriptor(ADDRESS), Handshake::NoResponse);
        host.set_address(ADDRESS).unwrap();
        assert_eq!(device_descriptor(0), Handshake::NoResponse);
        assert_eq!(host.bulk_out(BULK, &[1]), Err(TransferError::NoResponse));
        host.set_configuration(1).unwrap();
        host.bulk_out(BULK, &[1]).unwrap();
        host.set_interface(0, 1, &[BULK_OUT, BULK_IN]).unwrap();
        assert_eq!(host.bulk_in(BULK), Err(TransferError::NoResponse));
        host.reset();
        assert_eq!(
            host.control_in(GET_DEVICE_DESCRIPTOR).unwrap(),
            DEVICE_DESCRIPTOR
        );
    });
}

#[test]
fn is_silent_while_suspended() {
    with_configured_device(|_, host| {
        host.suspend();
        assert_eq!(host.bulk_out(BULK, &[1]), Err(TransferError::NoResponse));
        host.resume();
        host.bulk_out(BULK, &[1]).unwrap();
        assert_eq!(host.bulk_in(BULK).unwrap(), [1]);
        host.suspend();
        host.reset();
        assert_eq!(
            host.control_in(GET_DEVICE_DESCRIPTOR).unwrap(),
            DEVICE_DESCRIPTOR
        );
    });
}
