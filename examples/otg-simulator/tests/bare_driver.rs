//! What a host can do to `embassy-usb-synopsys-otg` 0.3.3 and embassy-usb 0.6 without a guard
//! between them.
//!
//! Each test documents a defect. A test that fails here after an update of the driver tells that
//! the defect is cured.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::{
    ADDRESS, BULK_IN, BULK_OUT, GET_CONFIGURATION_DESCRIPTOR, GET_DEVICE_DESCRIPTOR, LOAD, store,
    with_configured_device,
};
use otg_simulator::Toggle::{Data0, Data1};
use otg_simulator::{Acknowledge, Handshake, Host, InResponse, Simulator, TransferError};

/// The number of the bulk pair, in both directions.
const BULK: u8 = BULK_OUT;
const SET_CONFIGURATION_1: [u8; 8] = [0x00, 0x09, 1, 0, 0, 0, 0, 0];

mod endpoints_that_do_not_exist {
    use super::*;

    #[test]
    #[should_panic(expected = "endpoint_set_stalled index 15 out of range")]
    fn clear_feature_panics() {
        with_configured_device(|_, host| {
            _ = host.control_out([0x02, 0x01, 0, 0, 0x0F, 0, 0, 0], &[]);
        });
    }

    #[test]
    #[should_panic(expected = "endpoint_set_stalled index 9 out of range")]
    fn set_feature_panics() {
        with_configured_device(|_, host| {
            _ = host.control_out([0x02, 0x03, 0, 0, 0x89, 0, 0, 0], &[]);
        });
    }

    #[test]
    #[should_panic(expected = "endpoint_is_stalled index 9 out of range")]
    fn get_status_panics() {
        with_configured_device(|_, host| {
            _ = host.control_in([0x82, 0, 0, 0, 0x89, 0, 2, 0]);
        });
    }

    /// Right would be STALL.
    #[test]
    fn an_endpoint_that_the_core_has_and_the_device_has_not_succeeds() {
        with_configured_device(|_, host| {
            assert_eq!(
                host.control_in([0x82, 0, 0, 0, 0x87, 0, 2, 0]).unwrap(),
                [0, 0]
            );
            assert_eq!(host.set_halt(0x07), Ok(()));
        });
    }
}

/// The toggle of the core is set when the driver configures the endpoints after a bus reset, and
/// never again.
mod toggles {
    use super::*;

    /// Moves `packets` packets both ways, does `reset_toggles`, which sets the host's toggles to
    /// DATA0, and returns what becomes of the next four packets.
    fn packets_after(packets: usize, reset_toggles: impl FnOnce(&mut Host)) -> [Option<u8>; 4] {
        let mut received = [None; 4];
        with_configured_device(|_, host| {
            for _ in 0..packets {
                host.bulk_out(BULK, &[0]).unwrap();
                assert_eq!(host.bulk_in(BULK).unwrap(), [0]);
            }
            reset_toggles(host);
            received = [0, 1, 2, 3].map(|byte| {
                // The core acknowledges what it discards.
                host.bulk_out(BULK, &[byte]).unwrap();
                host.bulk_in(BULK).ok().map(|packet| packet[0])
            });
        });
        received
    }

    /// After an odd number of packets the core discards the first packet of the host, and the host
    /// the first of the device.
    const TWO_LOST: [Option<u8>; 4] = [None, None, Some(2), Some(3)];
    const NONE_LOST: [Option<u8>; 4] = [Some(0), Some(1), Some(2), Some(3)];

    #[test]
    fn clear_halt_loses_a_packet_in_each_direction() {
        let clear_halt = |host: &mut Host| {
            host.clear_halt(BULK_OUT).unwrap();
            host.clear_halt(BULK_IN).unwrap();
        };
        assert_eq!(packets_after(1, clear_halt), TWO_LOST);
        assert_eq!(packets_after(2, clear_halt), NONE_LOST);
    }

    #[test]
    fn set_configuration_loses_a_packet_in_each_direction() {
        let again = |host: &mut Host| host.set_configuration(1).unwrap();
        assert_eq!(packets_after(1, again), TWO_LOST);
        let anew = |host: &mut Host| {
            host.set_configuration(0).unwrap();
            host.set_configuration(1).unwrap();
        };
        assert_eq!(packets_after(1, anew), TWO_LOST);
    }

    #[test]
    fn set_interface_loses_a_packet_in_each_direction() {
        let again = |host: &mut Host| host.set_interface(0, 0, &[BULK_OUT, BULK_IN]).unwrap();
        assert_eq!(packets_after(1, again), TWO_LOST);
        let there_and_back = |host: &mut Host| {
            host.set_interface(0, 1, &[]).unwrap();
            host.set_interface(0, 0, &[BULK_OUT, BULK_IN]).unwrap();
        };
        assert_eq!(packets_after(1, there_and_back), TWO_LOST);
    }

    /// No call of the driver's traits does this.
    #[test]
    fn writing_the_register_of_the_endpoint_loses_none() {
        with_configured_device(|simulator, host| {
            host.bulk_out(BULK, &[0]).unwrap();
            assert_eq!(host.bulk_in(BULK).unwrap(), [0]);
            let registers = simulator.instance().regs;
            for endpoint in [BULK_OUT, BULK_IN] {
                host.clear_halt(endpoint).unwrap();
            }
            let index = usize::from(BULK);
            registers
                .diepctl(index)
                .modify(|w| w.set_sd0pid_sevnfrm(true));
            registers
                .doepctl(index)
                .modify(|w| w.set_sd0pid_sevnfrm(true));
            host.bulk_out(BULK, &[1]).unwrap();
            assert_eq!(host.bulk_in(BULK).unwrap(), [1]);
        });
    }

    #[test]
    fn a_bus_reset_loses_none() {
        let enumerate = |host: &mut Host| {
            host.reset();
            host.set_configuration(1).unwrap();
        };
        assert_eq!(packets_after(1, enumerate), NONE_LOST);
    }
}

mod requests_without_data {
    use super::*;

    /// embassy-usb neither sends data nor accepts the request: USB 2.0, 8.5.3 asks for a status
    /// stage.
    #[test]
    fn an_in_request_of_length_0_never_ends() {
        with_configured_device(|_, host| {
            let request = [0x80, 0x06, 0x00, 0x01, 0, 0, 0, 0];
            assert_eq!(host.control_in(request), Err(TransferError::NakLimit));
            host.control_in(GET_DEVICE_DESCRIPTOR).unwrap();
        });
    }

    /// Windows ends such a request with a status stage towards the device, which is left in the
    /// driver's buffer, and read as the data of the next request.
    #[test]
    fn a_status_packet_of_windows_becomes_data() {
        with_configured_device(|_, host| {
            host.setup([0x80, 0x06, 0x00, 0x01, 0, 0, 0, 0]).unwrap();
            host.status_out().unwrap();
            assert_eq!(host.control_out(store(4), &[1, 2, 3, 4]), Ok(()));
            assert_eq!(host.control_in(LOAD).unwrap(), []);
        });
    }
}

/// A host may end a control transfer by the next SETUP (USB 2.0, 8.5.3.2), or by a bus reset. The
/// traits of embassy-usb-driver say that the driver has to return, then. This one waits on, and
/// embassy-usb with it.
mod abandoned_control_transfers {
    use super::*;

    /// The device never answers again: not after another SETUP, and not after a bus reset, which
    /// nobody looks at.
    fn hangs_after(abandon: impl FnOnce(&Simulator, &mut Host)) {
        with_configured_device(|simulator, host| {
            abandon(simulator, host);
            let request = GET_DEVICE_DESCRIPTOR;
            assert_eq!(host.control_in(request), Err(TransferError::NakLimit));
            assert_eq!(host.control_in(request), Err(TransferError::NakLimit));
            host.reset();
            assert_eq!(host.control_in(request), Err(TransferError::NoResponse));
        });
    }

    /// The first token of the data or status stage, which hands the SETUP packet to the driver.
    fn first_token(simulator: &Simulator, host: &mut Host) {
        let response = simulator.in_token(ADDRESS, 0, Acknowledge::Ack);
        assert_eq!(response, InResponse::Nak);
        host.poll();
    }

    #[test]
    fn before_the_data_of_the_device() {
        hangs_after(|simulator, host| {
            host.setup(GET_DEVICE_DESCRIPTOR).unwrap();
            first_token(simulator, host);
        });
    }

    #[test]
    fn between_two_packets_of_the_device() {
        hangs_after(|_, host| {
            host.control_out(store(100), &[0; 100]).unwrap();
            host.setup(LOAD).unwrap();
            host.data_in(64).unwrap();
        });
    }

    #[test]
    fn before_the_status_packet_of_the_host() {
        hangs_after(|_, host| {
            host.setup(GET_DEVICE_DESCRIPTOR).unwrap();
            host.data_in(18).unwrap();
        });
    }

    #[test]
    fn by_an_early_status_packet_of_the_host() {
        hangs_after(|_, host| {
            host.setup(GET_CONFIGURATION_DESCRIPTOR).unwrap();
            host.status_out().unwrap();
        });
    }

    #[test]
    fn before_the_data_of_the_host() {
        hangs_after(|simulator, host| {
            host.setup(store(8)).unwrap();
            first_token(simulator, host);
        });
    }

    #[test]
    fn between_two_packets_of_the_host() {
        hangs_after(|_, host| {
            host.setup(store(100)).unwrap();
            host.data_out(&[0; 64]).unwrap();
        });
    }

    #[test]
    fn before_the_status_packet_of_the_device() {
        hangs_after(|_, host| {
            host.setup(store(8)).unwrap();
            host.data_out(&[0; 8]).unwrap();
        });
        hangs_after(|simulator, host| {
            host.setup(SET_CONFIGURATION_1).unwrap();
            first_token(simulator, host);
        });
    }

    #[test]
    fn because_the_last_handshake_was_lost() {
        hangs_after(|simulator, host| {
            host.setup(SET_CONFIGURATION_1).unwrap();
            first_token(simulator, host);
            let response = simulator.in_token(ADDRESS, 0, Acknowledge::Lost);
            assert!(matches!(response, InResponse::Data { .. }));
        });
    }

    #[test]
    fn by_a_bus_reset() {
        with_configured_device(|simulator, host| {
            host.setup(GET_DEVICE_DESCRIPTOR).unwrap();
            first_token(simulator, host);
            host.reset();
            let descriptor = host.control_in(GET_DEVICE_DESCRIPTOR);
            assert_eq!(descriptor, Err(TransferError::NoResponse));
        });
    }

    /// Set Feature (endpoint halt) of endpoint 0 IN stalls its own status stage, with the packet in
    /// the FIFO.
    #[test]
    fn by_a_halt_of_endpoint_0() {
        hangs_after(|_, host| assert_eq!(host.set_halt(0x80), Err(TransferError::Stall)));
    }

    /// Without a token in between, the core passes on the last packet. The driver sees no transfer
    /// that was abandoned.
    #[test]
    fn by_setup_packets_in_a_row_is_the_one_case_that_works() {
        with_configured_device(|simulator, host| {
            for _ in 0..5 {
                let handshake = simulator.setup(ADDRESS, GET_CONFIGURATION_DESCRIPTOR);
                assert_eq!(handshake, Handshake::Ack);
            }
            assert_eq!(host.control_in(GET_DEVICE_DESCRIPTOR).unwrap().len(), 18);
            assert_eq!(host.control_in(GET_DEVICE_DESCRIPTOR).unwrap().len(), 18);
        });
    }

    /// The second SETUP packet overwrites the first one, which the device has been told of but has
    /// not taken: the device takes the second one twice.
    #[test]
    fn before_the_device_has_run() {
        hangs_after(|simulator, host| {
            simulator.setup(ADDRESS, GET_CONFIGURATION_DESCRIPTOR);
            simulator.in_token(ADDRESS, 0, Acknowledge::Ack);
            host.setup(GET_DEVICE_DESCRIPTOR).unwrap();
            host.data_in(18).unwrap();
            host.status_out().unwrap();
        });
    }
}

/// More data than wLength: the packet does not fit, and stays in the driver's buffer.
mod excess_control_data {
    use super::*;

    #[test]
    fn becomes_the_data_of_the_next_request() {
        with_configured_device(|_, host| {
            let too_long = host.control_out(store(8), &[1; 64]);
            assert_eq!(too_long, Err(TransferError::NakLimit));
            host.control_in(GET_DEVICE_DESCRIPTOR).unwrap();
            assert_eq!(host.control_out(store(64), &[2; 64]), Ok(()));
            assert_eq!(host.control_in(LOAD).unwrap(), [1; 64]);
        });
    }

    #[test]
    fn blocks_all_shorter_requests() {
        with_configured_device(|_, host| {
            for _ in 0..3 {
                let result = host.control_out(store(8), &[1; 64]);
                assert_eq!(result, Err(TransferError::NakLimit));
            }
            for _ in 0..3 {
                let result = host.control_out(store(8), &[2; 8]);
                assert_eq!(result, Err(TransferError::NakLimit));
            }
            host.reset();
            let result = host.control_out(store(8), &[2; 8]);
            assert_eq!(result, Err(TransferError::NakLimit));
        });
    }

    #[test]
    fn of_a_request_without_data_becomes_the_data_of_the_next_request() {
        with_configured_device(|_, host| {
            assert_eq!(host.control_out(SET_CONFIGURATION_1, &[1; 64]), Ok(()));
            assert_eq!(host.control_out(store(64), &[2; 64]), Ok(()));
            assert_eq!(host.control_in(LOAD).unwrap(), [1; 64]);
        });
    }
}

/// The core latches both events if the driver is late, and the driver tells of the suspend after
/// the reset. The next reset does not help: the request that was not answered before it is answered
/// after it, and abandoned so.
#[test]
fn a_suspend_that_is_seen_with_the_reset_after_it_makes_the_device_deaf() {
    with_configured_device(|simulator, host| {
        simulator.suspend();
        simulator.begin_reset();
        simulator.end_reset();
        host.poll();
        let setup = simulator.setup(0, GET_DEVICE_DESCRIPTOR);
        assert_eq!(setup, Handshake::Ack);
        host.poll();
        for _ in 0..10 {
            let response = simulator.in_token(0, 0, Acknowledge::Ack);
            assert_eq!(response, InResponse::Nak);
            host.poll();
        }
        host.reset();
        let descriptor = host.control_in(GET_DEVICE_DESCRIPTOR);
        assert_eq!(descriptor, Err(TransferError::NakLimit));
    });
}

/// Neither a bus reset nor enabling an endpoint ends what the endpoint was doing.
mod bulk_transfers_in_flight {
    use super::*;

    /// The packet is flushed, and the driver waits for it to be sent before it takes the next one.
    fn in_endpoint_hangs_after(end: impl FnOnce(&mut Host)) {
        with_configured_device(|_, host| {
            host.bulk_out(BULK, &[1]).unwrap();
            end(host);
            assert_eq!(host.bulk_in(BULK), Err(TransferError::NakLimit));
            host.bulk_out(BULK, &[2]).unwrap();
            assert_eq!(host.bulk_in(BULK), Err(TransferError::NakLimit));
        });
    }

    #[test]
    fn a_bus_reset_blocks_an_in_endpoint() {
        in_endpoint_hangs_after(|host| {
            host.reset();
            host.set_configuration(1).unwrap();
        });
    }

    #[test]
    fn set_configuration_blocks_an_in_endpoint() {
        in_endpoint_hangs_after(|host| host.set_configuration(1).unwrap());
    }

    #[test]
    fn set_interface_blocks_an_in_endpoint() {
        in_endpoint_hangs_after(|host| host.set_interface(0, 0, &[BULK_OUT, BULK_IN]).unwrap());
    }

    /// The core is told to receive a packet for which the driver has no room.
    #[test]
    fn set_configuration_loses_the_next_packet_to_an_out_endpoint() {
        with_configured_device(|simulator, host| {
            // The host takes none of the answers, so that packet 3 waits in the driver's buffer.
            for byte in [1, 2, 3] {
                host.bulk_out(BULK, &[byte]).unwrap();
            }
            assert_eq!(host.bulk_out(BULK, &[4]), Err(TransferError::NakLimit));
            host.set_configuration(1).unwrap();
            // With the toggles of the core, which have not changed.
            assert_eq!(simulator.out(ADDRESS, BULK, Data1, &[5]), Handshake::Ack);
            // This unblocks the IN endpoint. Answer 1 and packet 2 are lost with it, which is
            // right.
            host.set_interface(0, 1, &[]).unwrap();
            host.set_interface(0, 0, &[]).unwrap();
            assert_eq!(host.bulk_in(BULK).unwrap(), [3]);
            assert_eq!(simulator.out(ADDRESS, BULK, Data0, &[6]), Handshake::Ack);
            host.poll();
            assert_eq!(host.bulk_in(BULK).unwrap(), [6]);
        });
    }
}
