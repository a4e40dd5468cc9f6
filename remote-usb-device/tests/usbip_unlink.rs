//! Taking requests back over USB/IP, at every point of a transfer: a request that was taken back has
//! no answer, and one that has an answer was not. The host of these tests fails where Linux would
//! drop the device.

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared with the other tests"
)]
mod support;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex};
use embassy_sync::signal::Signal;
use embassy_usb::driver::{
    Bus, ControlPipe, Driver, Endpoint, EndpointError, EndpointIn, EndpointOut, Event,
};
use remote_usb_device::usbip::wire::{Submit, ZERO_PACKET};
use remote_usb_device::{Buffers, Config, State};
use support::*;

const OUT: u8 = BULK_OUT;
const IN: u8 = BULK_IN & 0x0F;

fn usbip(rig: &Rig) -> UsbipHost {
    rig.host::<UsbipHost>()()
}

/// Until the device has come to rest.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// The host takes an IN transfer of four packets back when `packets` of them were written; with
/// `settled` only after the device has come to rest.
fn unlink_after(packets: usize, settled: bool) {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().bulk_in;
    let mut host = usbip(&rig);
    rig.play(async move {
        host.enumerate().await;
        host.submit_in(1, IN, 2048).await;
        host.submit_in(2, IN, 2048).await;
        if settled {
            host.expect_nothing_but_status().await;
        } else {
            input.wait_enabled().await;
        }
        for _ in 0..packets {
            input.write(&[1; 512]).await.unwrap();
        }
        if settled && packets == 4 {
            host.expect(1, 0, 2048, &[1; 2048]).await;
        }
        host.unlink(9, 1).await;
        if packets == 4 {
            if !settled {
                host.expect(1, 0, 2048, &[1; 2048]).await;
            }
            host.expect_unlink(9, 0).await;
        } else {
            host.expect_unlink(9, -104).await;
        }
        host.expect_nothing_but_status().await;
        input.write(&[2; 10]).await.unwrap();
        host.expect(2, 0, 10, &[2; 10]).await;
        assert!(host.is_idle());
    });
}

#[test]
fn an_in_transfer_can_be_taken_back_at_every_point() {
    for packets in 0..=4 {
        unlink_after(packets, false);
        unlink_after(packets, true);
    }
}

/// The host takes an OUT transfer of two packets and an empty one back when `packets` of them were
/// read; with `settled` only after the device has come to rest.
fn unlink_out_after(packets: usize, settled: bool) {
    let mut rig = Rig::on(Wire::Usbip);
    let mut output = rig.endpoints().bulk_out;
    let mut host = usbip(&rig);
    rig.play(async move {
        host.enumerate().await;
        host.submit_out(1, OUT, &[1; 1024], ZERO_PACKET).await;
        host.submit_out(2, OUT, &[2; 7], 0).await;
        let mut packet = [0; MAX_PACKET];
        for _ in 0..packets {
            output.read(&mut packet).await.unwrap();
        }
        if settled {
            settle().await;
        }
        host.unlink(9, 1).await;
        if packets == 3 {
            host.expect(1, 0, 1024, &[]).await;
            host.expect_unlink(9, 0).await;
        } else {
            host.expect_unlink(9, -104).await;
        }
        assert_eq!(output.read(&mut packet).await, Ok(7));
        assert_eq!(packet[..7], [2; 7]);
        host.expect(2, 0, 7, &[]).await;
    });
}

#[test]
fn an_out_transfer_can_be_taken_back_at_every_point() {
    for packets in 0..=3 {
        unlink_out_after(packets, false);
        unlink_out_after(packets, true);
    }
}

/// Of a transfer that is longer than the queue, the device has read so much that the rest is in the
/// queue, or some of it.
#[test]
fn an_out_transfer_that_was_partly_accepted_can_be_taken_back() {
    const PACKETS: usize = 5 * OUT_BUFFER / MAX_PACKET;
    for read in PACKETS - OUT_BUFFER / MAX_PACKET..=PACKETS {
        let mut rig = Rig::on(Wire::Usbip);
        let mut output = rig.endpoints().bulk_out;
        let mut host = usbip(&rig);
        rig.play(async move {
            host.enumerate().await;
            host.submit_out(1, OUT, &[1; PACKETS * MAX_PACKET], 0).await;
            let mut packet = [0; MAX_PACKET];
            for _ in 0..read {
                assert_eq!(output.read(&mut packet).await, Ok(MAX_PACKET));
            }
            host.unlink(9, 1).await;
            if read == PACKETS {
                host.expect(1, 0, (PACKETS * MAX_PACKET) as u32, &[]).await;
                host.expect_unlink(9, 0).await;
            } else {
                host.expect_unlink(9, -104).await;
            }
            host.submit_out(2, OUT, &[2; 7], 0).await;
            assert_eq!(output.read(&mut packet).await, Ok(7));
            assert_eq!(packet[..7], [2; 7]);
            host.expect(2, 0, 7, &[]).await;
        });
    }
}

/// The stream takes `capacity` bytes of the answers, and then the host takes the requests back: one
/// of which the answer is written in part, and one whose answer waits behind it.
fn unlink_half_written(capacity: usize) {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().bulk_in;
    let mut host = rig.host_that_reads_late::<UsbipHost>(capacity);
    rig.play(async move {
        host.enumerate().await;
        for number in 1..=3 {
            host.submit_in(number, IN, 512).await;
        }
        input.wait_enabled().await;
        input.write(&[1; 512]).await.unwrap();
        input.write(&[2; 512]).await.unwrap();
        settle().await;
        host.unlink(9, 1).await;
        host.unlink(10, 2).await;
        settle().await;
        host.expect(1, 0, 512, &[1; 512]).await;
        host.expect(2, 0, 512, &[2; 512]).await;
        host.expect_unlink(9, 0).await;
        host.expect_unlink(10, 0).await;
        input.write(&[3; 10]).await.unwrap();
        host.expect(3, 0, 10, &[3; 10]).await;
        assert!(host.is_idle());
    });
}

#[test]
fn an_answer_that_is_half_written_is_written_whole_before_the_unlink_that_is_too_late() {
    for capacity in [1, 16, 47, 48, 49, 300, 559, 560, 561, 607, 608, 1000] {
        unlink_half_written(capacity);
    }
}

#[test]
fn a_control_answer_that_is_half_written_is_written_whole_as_well() {
    for capacity in [1, 47, 48, 49, 65, 66, 67] {
        let mut rig = Rig::echo_on(Wire::Usbip);
        let mut host = rig.host_that_reads_late::<UsbipHost>(capacity);
        rig.play(async move {
            host.enumerate().await;
            let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
            let header = Submit {
                setup,
                ..submit(1, true, 0, 18)
            };
            host.submit(header, &[]).await;
            settle().await;
            host.unlink(9, 1).await;
            settle().await;
            let answer = host.receive().await;
            assert!(matches!(
                answer,
                Answer::Submit {
                    number: 1,
                    status: 0,
                    length: 18,
                    ..
                }
            ));
            host.expect_unlink(9, 0).await;
            Host::expect_echo(&mut host).await;
        });
    }
}

/// As at `ip link set down` and `up`, with a device that goes on sending: nothing is torn, repeated
/// or lost, as each transfer has one packet.
#[test]
fn requests_that_are_taken_back_and_made_again_lose_no_packet_of_a_stream() {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().bulk_in;
    rig.spawn(async move {
        input.wait_enabled().await;
        for number in 0u32.. {
            let packet = [number; 25].map(u32::to_be_bytes).concat();
            if input.write(&packet).await.is_err() {
                return;
            }
        }
    });
    let mut host = usbip(&rig);
    rig.play(async move {
        host.enumerate().await;
        let (mut expected, mut next) = (0u32, 1);
        for round in 0..300 {
            let requests = next..next + 1 + round % 5;
            next = requests.end;
            for number in requests.clone() {
                host.submit_in(number, IN, 512).await;
            }
            for _ in 0..round % 4 {
                yield_now().await;
            }
            for number in requests {
                host.unlink(1_000_000 + number, number).await;
            }
            while !host.is_idle() {
                if let Answer::Submit { status, data, .. } = host.receive().await {
                    assert_eq!(
                        (status, data),
                        (0, [expected; 25].map(u32::to_be_bytes).concat())
                    );
                    expected += 1;
                }
            }
        }
        assert!(expected > 100, "{expected} packets came");
    });
}

/// An answer that waits behind others of its endpoint goes out before the unlink's.
#[test]
fn an_answer_that_waits_goes_before_the_unlink_that_is_too_late() {
    let mut rig = Rig::on(Wire::Usbip);
    let mut input = rig.endpoints().bulk_in;
    let mut host = usbip(&rig);
    rig.play(async move {
        host.enumerate().await;
        for number in 1..=8 {
            host.submit_in(number, IN, 512).await;
        }
        input.wait_enabled().await;
        for number in 1..=6 {
            input.write(&[number; 512]).await.unwrap();
        }
        host.unlink(20, 5).await;
        host.unlink(21, 8).await;
        for number in 1..=5 {
            host.expect(number, 0, 512, &[number as u8; 512]).await;
        }
        let mut rest = [
            host.receive().await,
            host.receive().await,
            host.receive().await,
        ];
        rest.sort_by_key(|answer| match answer {
            Answer::Submit { number, .. } | Answer::Unlink { number, .. } => *number,
        });
        assert!(matches!(rest[0], Answer::Submit { number: 6, .. }));
        assert!(matches!(
            rest[1],
            Answer::Unlink {
                number: 20,
                status: 0
            }
        ));
        assert!(matches!(
            rest[2],
            Answer::Unlink {
                number: 21,
                status: -104
            }
        ));
    });
}

#[test]
fn unlinks_of_nothing_are_answered_with_success() {
    let mut rig = Rig::echo_on(Wire::Usbip);
    let mut host = usbip(&rig);
    rig.play(async move {
        host.enumerate().await;
        host.submit_in(5, IN, 512).await;
        for (number, target, status) in [(10, 99, 0), (11, 5, -104), (12, 5, 0), (13, 13, 0)] {
            host.unlink(number, target).await;
            host.expect_unlink(number, status).await;
        }
        let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
        let submit = Submit {
            setup,
            ..submit(20, true, 0, 18)
        };
        host.submit(submit, &[]).await;
        host.unlink(21, 20).await;
        // Both orders of the race are good; the host checks that they fit together.
        while !host.is_idle() {
            host.receive().await;
        }
        Host::expect_echo(&mut host).await;
    });
}

/// On a driver without embassy-usb: a device that works on vendor requests until it is told to go on.
#[test]
fn a_control_request_that_never_ends_fails_the_next_one_and_can_be_taken_back() {
    static GO_ON: Signal<CriticalSectionRawMutex, ()> = Signal::new();
    let mut rig = Rig::new();
    let (host_read, device_write) = pipe();
    let (device_read, host_write) = pipe();
    let mut host = UsbipHost::new(host_read, host_write);
    rig.spawn(async move {
        let mut buffers = Buffers::<1, 512, 512, 256>::new();
        let state = State::<NoopRawMutex>::new(&mut buffers);
        let (driver, mut runner, _) = remote_usb_device::new(&state, Config::default());
        let (mut bus, mut pipe) = driver.start(64);
        let device = async {
            loop {
                match bus.poll().await {
                    Event::PowerDetected => bus.enable().await,
                    Event::PowerRemoved => bus.disable().await,
                    _ => {}
                }
            }
        };
        let control = async {
            loop {
                match pipe.setup().await {
                    [0xC0, ..] => GO_ON.wait().await,
                    [0x80, 0, ..] => drop(pipe.data_in(&[0, 0], true, true).await),
                    [request_type, ..] if request_type & 0x80 != 0 => pipe.reject().await,
                    _ => pipe.accept().await,
                }
            }
        };
        let serve = runner.run_usbip(device_read, device_write);
        let _ = select(join(device, control), serve).await;
    });
    rig.play(async move {
        host.expect_nothing_but_status().await;
        let setup = [0xC0, 1, 0, 0, 0, 0, 2, 0];
        let stuck = Submit {
            setup,
            ..submit(1, true, 0, 2)
        };
        host.submit(stuck, &[]).await;
        let setup = [0x80, 0, 0, 0, 0, 0, 2, 0];
        for number in [2, 3] {
            assert_eq!(host.try_control(number, setup).await, -71);
        }
        host.unlink(4, 1).await;
        host.expect_unlink(4, -104).await;
        GO_ON.signal(());
        host.expect_nothing_but_status().await;
    });
}

/// Lets a device go on step by step.
#[derive(Default)]
struct Gate {
    is_open: Cell<bool>,
    permits: Cell<usize>,
    waker: Cell<Option<Waker>>,
}

impl Gate {
    fn permit(&self, steps: usize) {
        self.permits.set(steps);
        self.wake();
    }

    fn open(&self) {
        self.is_open.set(true);
        self.wake();
    }

    fn wake(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            let permits = self.permits.get();
            if self.is_open.get() {
                return Poll::Ready(());
            }
            if permits > 0 {
                self.permits.set(permits - 1);
                return Poll::Ready(());
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// The data stage of a vendor request: 160 bytes in three packets.
const STAGE: usize = 160;
const STAGE_PACKETS: [usize; 3] = [64, 64, 32];

/// Sends or receives the data stage, each byte of which is wValue, and ends the request.
async fn vendor_request(
    pipe: &mut impl ControlPipe,
    [request_type, _, value, ..]: [u8; 8],
    gate: &Gate,
) -> Result<(), EndpointError> {
    for (index, length) in STAGE_PACKETS.into_iter().enumerate() {
        let (first, last) = (index == 0, index == 2);
        gate.pass().await;
        if request_type & 0x80 != 0 {
            pipe.data_in(&[value; 64][..length], first, last).await?;
        } else {
            let mut packet = [0; 64];
            let read = pipe.data_out(&mut packet, first, last).await?;
            assert_eq!(packet[..read], [value; 64][..length]);
        }
    }
    if request_type & 0x80 == 0 {
        gate.pass().await;
        pipe.accept().await;
    }
    Ok(())
}

/// The host takes a control transfer back after `steps` of the device: packets of the data stage, and
/// the status stage of an OUT transfer. With `settled` only after the device has come to rest.
fn unlink_control_after(is_in: bool, steps: usize, settled: bool) {
    let gate = Rc::new(Gate::default());
    let mut rig = Rig::new();
    let (host_read, device_write) = pipe();
    let (device_read, host_write) = pipe();
    let mut host = UsbipHost::new(host_read, host_write);
    let device_gate = gate.clone();
    rig.spawn(async move {
        let mut buffers = Buffers::<1, 512, 512, 256>::new();
        let state = State::<NoopRawMutex>::new(&mut buffers);
        let (driver, mut runner, _) = remote_usb_device::new(&state, Config::default());
        let (mut bus, mut pipe) = driver.start(64);
        let device = async {
            loop {
                match bus.poll().await {
                    Event::PowerDetected => bus.enable().await,
                    Event::PowerRemoved => bus.disable().await,
                    _ => {}
                }
            }
        };
        let control = async {
            loop {
                match pipe.setup().await {
                    // Whether the host has taken it back, it sees by what comes next.
                    setup @ [0xC0 | 0x40, ..] => {
                        let _ = vendor_request(&mut pipe, setup, &device_gate).await;
                    }
                    [0x80, 0, ..] => drop(pipe.data_in(&[0, 0], true, true).await),
                    [request_type, ..] if request_type & 0x80 != 0 => pipe.reject().await,
                    _ => pipe.accept().await,
                }
            }
        };
        let serve = runner.run_usbip(device_read, device_write);
        let _ = select(join(device, control), serve).await;
    });
    rig.play(async move {
        host.expect_nothing_but_status().await;
        let request_type = if is_in { 0xC0 } else { 0x40 };
        let request = |number, value| Submit {
            setup: [request_type, 1, value, 0, 0, 0, STAGE as u8, 0],
            ..submit(number, is_in, 0, STAGE as u32)
        };
        let data = |value| vec![value; if is_in { 0 } else { STAGE }];
        gate.permit(steps);
        host.submit(request(1, 0x11), &data(0x11)).await;
        if settled {
            settle().await;
        }
        host.unlink(9, 1).await;
        let all = STAGE_PACKETS.len() + usize::from(!is_in);
        let received: &[u8] = if is_in { &[0x11; STAGE] } else { &[] };
        if settled && steps == all {
            host.expect(1, 0, STAGE as u32, received).await;
            host.expect_unlink(9, 0).await;
        } else if settled {
            host.expect_unlink(9, -104).await;
        }
        // Both orders of the race are good; the host checks that they fit together.
        while !host.is_idle() {
            host.receive().await;
        }
        gate.open();
        host.expect_nothing_but_status().await;
        host.submit(request(2, 0x22), &data(0x22)).await;
        let received: &[u8] = if is_in { &[0x22; STAGE] } else { &[] };
        host.expect(2, 0, STAGE as u32, received).await;
    });
}

#[test]
fn a_control_transfer_can_be_taken_back_at_every_point_of_its_stages() {
    for settled in [false, true] {
        for steps in 0..=STAGE_PACKETS.len() {
            unlink_control_after(true, steps, settled);
        }
        for steps in 0..=STAGE_PACKETS.len() + 1 {
            unlink_control_after(false, steps, settled);
        }
    }
}
