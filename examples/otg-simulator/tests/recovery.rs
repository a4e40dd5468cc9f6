//! Which calls of the driver's traits free endpoint 0 after a control transfer that did not end
//! well.
//!
//! The device is a script over the bus and the control pipe of the driver, without embassy-usb.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use embassy_usb_driver::{
    Bus, ControlPipe, Direction, Driver, EndpointAddress, EndpointError, Event,
};
use embassy_usb_synopsys_otg as otg;
use otg_simulator::{Acknowledge, Host, InResponse, Simulator, Speed, TransferError};

const ADDRESS: u8 = 0;
const GET_DESCRIPTOR: [u8; 8] = [0x80, 0x06, 0x00, 0x01, 0, 0, 4, 0];
const SET_DATA: [u8; 8] = [0x40, 0, 0, 0, 0, 0, 4, 0];
const SET_ADDRESS: [u8; 8] = [0x00, 0x05, 5, 0, 0, 0, 0, 0];
const NO_DATA: [u8; 8] = [0x40, 0, 0, 0, 0, 0, 0, 0];
const ANSWER: [u8; 4] = [1, 2, 3, 4];

type OtgBus<'d> = otg::Bus<'d, { otg_simulator::ENDPOINT_COUNT }>;

/// Runs a device whose bus has been reset, and a host.
fn with_device(
    device: impl AsyncFnOnce(&mut OtgBus, &mut otg::ControlPipe),
    test: impl FnOnce(&Simulator, &mut Host),
) {
    let mut out_buffer = [0; 64];
    let has_ended = Cell::new(false);
    let simulator = Simulator::new(Speed::High);
    let mut host = Host::new(&simulator);
    let driver = simulator.driver(&mut out_buffer);
    host.spawn(async {
        let (mut bus, mut pipe) = driver.start(64);
        while bus.poll().await != Event::Reset {}
        device(&mut bus, &mut pipe).await;
        has_ended.set(true);
    });
    host.reset();
    test(&simulator, &mut host);
    assert!(has_ended.get(), "the device waits for something");
}

fn disable_endpoint_0_in(bus: &mut OtgBus) {
    bus.endpoint_set_enabled(EndpointAddress::from_parts(0, Direction::In), false);
}

/// Polls a future once.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// The first token after SETUP, which hands the SETUP packet to the driver.
fn first_token(simulator: &Simulator, host: &mut Host) {
    let response = simulator.in_token(ADDRESS, 0, Acknowledge::Ack);
    assert_eq!(response, InResponse::Nak);
    host.poll();
}

#[test]
fn a_packet_that_the_host_did_not_take_is_disposed_of_by_disabling_endpoint_0_in() {
    with_device(
        async |bus, pipe| {
            assert_eq!(pipe.setup().await, NO_DATA);
            pipe.accept().await;
            assert_eq!(pipe.setup().await, GET_DESCRIPTOR);
            // Without this call, `data_in` waits for the host to take the packet of `accept`.
            assert_eq!(once(pipe.data_in(&ANSWER, true, false)).await, None);
            disable_endpoint_0_in(bus);
            pipe.data_in(&ANSWER, true, true).await.unwrap();
        },
        |simulator, host| {
            host.setup(NO_DATA).unwrap();
            first_token(simulator, host);
            assert_eq!(host.control_in(GET_DESCRIPTOR).unwrap(), ANSWER);
        },
    );
}

/// Waits for the status packet of the host, or for the next SETUP packet.
async fn status_or_setup(pipe: &mut otg::ControlPipe<'_>) -> Result<(), [u8; 8]> {
    poll_fn(|cx| {
        if let Poll::Ready(result) = pin!(pipe.data_out(&mut [], true, true)).poll(cx) {
            assert_eq!(result, Ok(0));
            return Poll::Ready(Ok(()));
        }
        pin!(pipe.setup()).poll(cx).map(Err)
    })
    .await
}

/// `data_in` with `last` would not return, and block the pipe.
#[test]
fn the_status_stage_is_an_empty_data_out_which_can_be_given_up() {
    with_device(
        async |bus, pipe| {
            assert_eq!(pipe.setup().await, GET_DESCRIPTOR);
            pipe.data_in(&ANSWER, true, false).await.unwrap();
            assert_eq!(status_or_setup(pipe).await, Err(GET_DESCRIPTOR));
            disable_endpoint_0_in(bus);
            pipe.data_in(&ANSWER, true, false).await.unwrap();
            assert_eq!(status_or_setup(pipe).await, Ok(()));
        },
        |_, host| {
            host.setup(GET_DESCRIPTOR).unwrap();
            assert_eq!(host.data_in(4).unwrap(), ANSWER);
            assert_eq!(host.control_in(GET_DESCRIPTOR).unwrap(), ANSWER);
        },
    );
}

#[test]
fn waiting_for_data_can_be_given_up_for_the_next_setup() {
    with_device(
        async |bus, pipe| {
            assert_eq!(pipe.setup().await, SET_DATA);
            assert_eq!(once(pipe.data_out(&mut [0; 4], true, true)).await, None);
            assert_eq!(pipe.setup().await, GET_DESCRIPTOR);
            disable_endpoint_0_in(bus);
            pipe.data_in(&ANSWER, true, true).await.unwrap();
        },
        |simulator, host| {
            host.setup(SET_DATA).unwrap();
            first_token(simulator, host);
            assert_eq!(host.control_in(GET_DESCRIPTOR).unwrap(), ANSWER);
        },
    );
}

#[test]
fn excess_data_is_refused_and_then_read() {
    with_device(
        async |_, pipe| {
            assert_eq!(pipe.setup().await, SET_DATA);
            for _ in 0..2 {
                let result = pipe.data_out(&mut [0; 4], true, true).await;
                assert_eq!(result, Err(EndpointError::BufferOverflow));
            }
            // First the refusal: reading makes the core ready for the next packet.
            pipe.reject().await;
            let mut rest = [0; 64];
            let result = once(pipe.data_out(&mut rest, true, true)).await;
            assert_eq!(result, Some(Ok(64)));

            assert_eq!(pipe.setup().await, SET_DATA);
            let mut data = [0; 4];
            assert_eq!(pipe.data_out(&mut data, true, true).await, Ok(4));
            assert_eq!(data, [2; 4]);
            pipe.accept().await;
        },
        |_, host| {
            let result = host.control_out(SET_DATA, &[1; 128]);
            assert_eq!(result, Err(TransferError::Stall));
            assert_eq!(host.control_out(SET_DATA, &[2; 4]), Ok(()));
        },
    );
}

/// The driver resets the address while it is polled for the event, and not before.
#[test]
fn a_bus_reset_during_a_transfer_needs_the_bus_to_be_polled() {
    with_device(
        async |bus, pipe| {
            assert_eq!(pipe.setup().await, SET_ADDRESS);
            pipe.accept_set_address(5).await;
            assert_eq!(pipe.setup().await, SET_DATA);
            assert_eq!(once(pipe.data_out(&mut [0; 4], true, true)).await, None);
            assert_eq!(bus.poll().await, Event::Reset);
            assert_eq!(pipe.setup().await, GET_DESCRIPTOR);
            disable_endpoint_0_in(bus);
            pipe.data_in(&ANSWER, true, true).await.unwrap();
        },
        |simulator, host| {
            host.set_address(5).unwrap();
            host.setup(SET_DATA).unwrap();
            assert_eq!(simulator.in_token(5, 0, Acknowledge::Ack), InResponse::Nak);
            host.poll();
            host.reset();
            assert_eq!(host.control_in(GET_DESCRIPTOR).unwrap(), ANSWER);
        },
    );
}
