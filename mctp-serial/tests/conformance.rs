//! What every transport must do, by the checks of mctp-transport.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mctp_serial::framing::{Decoded, Decoder, frame};
use mctp_serial::{FrameCheckSequence, Line, Receiver, Resync, Sender};
use mctp_transport::conformance::{Act, Neighbour, Subject, check};

/// A pair of wires, and what is on them.
#[derive(Debug, Default)]
struct Wires {
    is_connected: bool,
    neighbour_reads: bool,
    to_device: VecDeque<u8>,
    from_device: Vec<u8>,
}

/// The device's end of one wire: at most so many bytes are read or written at once.
#[derive(Debug)]
struct End {
    wires: Rc<RefCell<Wires>>,
    at_once: usize,
}

impl ErrorType for End {
    type Error = ErrorKind;
}

impl Read for End {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            let mut wires = self.wires.borrow_mut();
            if !wires.is_connected {
                return Poll::Ready(Err(ErrorKind::NotConnected));
            }
            let len = wires.to_device.len().min(buffer.len()).min(self.at_once);
            for (place, byte) in buffer.iter_mut().zip(wires.to_device.drain(..len)) {
                *place = byte;
            }
            match len {
                0 => Poll::Pending,
                len => Poll::Ready(Ok(len)),
            }
        })
        .await
    }
}

impl Line for End {
    async fn wait_connected(&mut self) {
        poll_fn(|_| match self.wires.borrow().is_connected {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

impl Write for End {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            let mut wires = self.wires.borrow_mut();
            if !wires.is_connected {
                return Poll::Ready(Err(ErrorKind::NotConnected));
            }
            if !wires.neighbour_reads {
                return Poll::Pending;
            }
            let len = bytes.len().min(self.at_once);
            wires.from_device.extend_from_slice(&bytes[..len]);
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// The other end.
struct Host {
    wires: Rc<RefCell<Wires>>,
    form: FrameCheckSequence,
    /// Whether its frames share flags.
    shares_flags: bool,
    has_sent: bool,
}

impl Host {
    fn frame(&self, packet: &[u8]) -> Vec<u8> {
        frame(packet, self.form).expect("fits in a frame").collect()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.wires.borrow_mut().to_device.extend(bytes);
    }

    fn send_frame(&mut self, packet: &[u8]) {
        let frame = self.frame(packet);
        let first = usize::from(self.shares_flags && self.has_sent);
        self.send(&frame[first..]);
        self.has_sent = true;
    }
}

impl Neighbour for Host {
    fn act(&mut self, act: Act) {
        match act {
            Act::LinkUp => self.wires.borrow_mut().is_connected = true,
            Act::LinkDown => {
                let mut wires = self.wires.borrow_mut();
                wires.is_connected = false;
                wires.to_device.clear();
                self.has_sent = false;
            }
            Act::Send(packets) => {
                for packet in packets {
                    self.send_frame(&packet);
                }
            }
            Act::SendCut(packet) | Act::SendPart(packet) => {
                let frame = self.frame(&packet);
                self.send(&frame[..frame.len() / 2]);
                // The next frame has a flag of its own.
                self.has_sent = false;
            }
            Act::Read(reads) => self.wires.borrow_mut().neighbour_reads = reads,
            Act::RefuseNext => unreachable!("nothing is acknowledged on a serial line"),
        }
    }

    /// Looks at the flags, and leaves out what cannot be a packet: the preamble.
    fn taken(&mut self) -> Vec<Vec<u8>> {
        let bytes = std::mem::take(&mut self.wires.borrow_mut().from_device);
        let mut buffer = [0; 255];
        let mut decoder = Decoder::new(&mut buffer).expect("as long as can be");
        let (mut packets, mut rest) = (Vec::new(), &bytes[..]);
        while let Some(decoded) = decoder.decode(&mut rest) {
            if decoded == Decoded::Packet {
                packets.push(decoder.packet().to_vec());
            }
        }
        assert!(bytes.is_empty() || bytes.ends_with(&[0x7E]), "whole frames");
        packets
    }

    fn can_cut(&self) -> bool {
        true
    }

    fn can_refuse(&self) -> bool {
        false
    }
}

/// How the transport is set up, and what its neighbour is like.
#[derive(Clone, Copy)]
struct Case {
    at_once: usize,
    max_packet: u8,
    form: FrameCheckSequence,
    shares_flags: bool,
    has_flow_control: bool,
}

const LINUX: Case = Case {
    at_once: usize::MAX,
    max_packet: 68,
    form: FrameCheckSequence::Raw,
    shares_flags: false,
    has_flow_control: false,
};

fn check_case(case: Case) {
    check(|| {
        let wires = Rc::new(RefCell::new(Wires {
            neighbour_reads: true,
            ..Wires::default()
        }));
        let end = || End {
            wires: wires.clone(),
            at_once: case.at_once,
        };
        let resync: &Resync = Box::leak(Box::new(Resync::new()));
        let buffer = Vec::leak(vec![0; case.max_packet.into()]);
        let mut receiver = Receiver::on_line(end(), resync, buffer).expect("long enough");
        if case.has_flow_control {
            receiver = receiver.with_flow_control();
        }
        Subject {
            receiver,
            sender: Sender::new(end(), resync)
                .with_max_packet(case.max_packet)
                .with_frame_check_sequence(case.form),
            neighbour: Host {
                wires: wires.clone(),
                form: case.form,
                shares_flags: case.shares_flags,
                has_sent: false,
            },
        }
    });
}

#[test]
fn mctp_over_serial_is_a_transport_by_all_checks_with_reads_of_any_size() {
    for at_once in [1, 7, usize::MAX] {
        check_case(Case { at_once, ..LINUX });
    }
}

#[test]
fn mctp_over_serial_is_a_transport_by_all_checks_with_an_escaped_check() {
    check_case(Case {
        form: FrameCheckSequence::Escaped,
        ..LINUX
    });
}

#[test]
fn mctp_over_serial_is_a_transport_by_all_checks_with_shared_flags() {
    check_case(Case {
        shares_flags: true,
        ..LINUX
    });
}

#[test]
fn mctp_over_serial_is_a_transport_by_all_checks_with_flow_control() {
    check_case(Case {
        has_flow_control: true,
        ..LINUX
    });
}

#[test]
fn mctp_over_serial_is_a_transport_by_all_checks_with_the_longest_packets() {
    check_case(Case {
        max_packet: 255,
        ..LINUX
    });
}
