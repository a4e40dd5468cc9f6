//! A host that does what Linux's `vhci-hcd` does, and fails where that would drop the connection or
//! give a driver wrong data.

use std::collections::HashMap;

use embedded_io_async::{Read, Write};
use remote_usb_device::usbip::DEVICE_ID;
use remote_usb_device::usbip::wire::{Command, HEADER_LENGTH, Reply, Submit, Unlink};

use super::{PipeReader, PipeWriter};

/// What the device says, with its data.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Submit {
        number: u32,
        status: i32,
        length: u32,
        data: Vec<u8>,
    },
    Unlink {
        number: u32,
        status: i32,
    },
}

pub struct UsbipHost {
    read: PipeReader,
    write: PipeWriter,
    /// Of each request that has no answer: what was asked for, if it is IN.
    outstanding: HashMap<u32, Option<u32>>,
    /// The target of each unlink that has no answer.
    unlinks: HashMap<u32, u32>,
}

pub fn submit(number: u32, is_in: bool, endpoint: u8, length: u32) -> Submit {
    Submit {
        number,
        device_id: DEVICE_ID,
        is_in,
        endpoint,
        flags: if is_in { 0x200 } else { 0 },
        length,
        start_frame: 0,
        packets: 0,
        interval: 0,
        setup: [0; 8],
    }
}

impl UsbipHost {
    pub fn new(read: PipeReader, write: PipeWriter) -> Self {
        Self {
            read,
            write,
            outstanding: HashMap::new(),
            unlinks: HashMap::new(),
        }
    }

    pub async fn send_bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.write.write(bytes).await.unwrap() {
                0 => return,
                count => bytes = &bytes[count..],
            }
        }
    }

    pub async fn submit(&mut self, submit: Submit, data: &[u8]) {
        let asked = submit.is_in.then_some(submit.length);
        self.outstanding.insert(submit.number, asked);
        let header = Command::Submit(submit).emit();
        self.send_bytes(&[&header, data].concat()).await;
    }

    pub async fn submit_in(&mut self, number: u32, endpoint: u8, length: u32) {
        self.submit(submit(number, true, endpoint, length), &[])
            .await;
    }

    pub async fn submit_out(&mut self, number: u32, endpoint: u8, data: &[u8], flags: u32) {
        let submit = Submit {
            flags,
            ..submit(number, false, endpoint, data.len() as u32)
        };
        self.submit(submit, data).await;
    }

    pub async fn unlink(&mut self, number: u32, target: u32) {
        self.unlinks.insert(number, target);
        let unlink = Command::Unlink(Unlink {
            number,
            device_id: DEVICE_ID,
            target,
        });
        self.send_bytes(&unlink.emit()).await;
    }

    pub async fn receive_exact(&mut self, bytes: &mut [u8]) -> bool {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read.read(&mut bytes[filled..]).await.unwrap() {
                0 => return false,
                count => filled += count,
            }
        }
        true
    }

    /// The next answer; `None` when the device closed the stream.
    pub async fn try_receive(&mut self) -> Option<Answer> {
        let mut header = [0; HEADER_LENGTH];
        if !self.receive_exact(&mut header).await {
            return None;
        }
        match Reply::parse(&header).expect("a reply") {
            Reply::Submit {
                number,
                status,
                length,
            } => {
                let asked = self.outstanding.remove(&number);
                let asked = asked.expect("an answer to a request that is outstanding");
                let mut data = Vec::new();
                if let Some(asked) = asked {
                    assert!(
                        length <= asked,
                        "{length} bytes where {asked} were asked for"
                    );
                    data.resize(length as usize, 0);
                    assert!(self.receive_exact(&mut data).await);
                }
                Some(Answer::Submit {
                    number,
                    status,
                    length,
                    data,
                })
            }
            Reply::Unlink { number, status } => {
                let target = self.unlinks.remove(&number).expect("an unlink");
                let is_outstanding = self.outstanding.remove(&target).is_some();
                assert_eq!(
                    is_outstanding,
                    status == -104,
                    "status {status} for an unlink of {target}"
                );
                Some(Answer::Unlink { number, status })
            }
        }
    }

    /// Everything has its answer.
    pub fn is_idle(&self) -> bool {
        self.waits_for() == 0
    }

    /// How many requests and unlinks have no answer.
    pub fn waits_for(&self) -> usize {
        self.outstanding.len() + self.unlinks.len()
    }

    /// Expects the answer to an IN request, or without data that to an OUT request.
    pub async fn expect(&mut self, number: u32, status: i32, length: u32, data: &[u8]) {
        let expected = Answer::Submit {
            number,
            status,
            length,
            data: data.to_vec(),
        };
        assert_eq!(self.receive().await, expected);
    }

    pub async fn expect_unlink(&mut self, number: u32, status: i32) {
        assert_eq!(self.receive().await, Answer::Unlink { number, status });
    }

    /// Fails if the device has said anything that was not read.
    pub async fn expect_nothing_but_status(&mut self) {
        let (status, data) = self
            .control(0x7FFF_FFFF, [0x80, 0, 0, 0, 0, 0, 2, 0], &[])
            .await;
        assert_eq!((status, data.len()), (0, 2));
    }

    pub async fn receive(&mut self) -> Answer {
        self.try_receive().await.expect("the stream is open")
    }

    pub async fn control(&mut self, number: u32, setup: [u8; 8], data: &[u8]) -> (i32, Vec<u8>) {
        let [request_type, .., low, high] = setup;
        let length = u16::from_le_bytes([low, high]).into();
        let is_in = request_type & 0x80 != 0;
        let submit = Submit {
            setup,
            ..submit(number, is_in, 0, length)
        };
        self.submit(submit, data).await;
        match self.receive().await {
            Answer::Submit {
                number: answered,
                status,
                data,
                ..
            } if answered == number => (status, data),
            other => panic!("{other:?} instead of the answer to {number}"),
        }
    }

    /// The status of a control request without data from the device.
    pub async fn try_control(&mut self, number: u32, setup: [u8; 8]) -> i32 {
        let (status, data) = self.control(number, setup, &[]).await;
        assert!(data.is_empty() || status == 0);
        status
    }

    /// What Linux 7.2 asks at high speed.
    pub async fn enumerate(&mut self) {
        for (number, setup) in [
            (0x8000_0001, [0x80, 6, 0, 1, 0, 0, 64, 0]),
            (0x8000_0002, [0x80, 6, 0, 1, 0, 0, 18, 0]),
            (0x8000_0003, [0x80, 6, 0, 2, 0, 0, 9, 0]),
            (0x8000_0004, [0x80, 6, 0, 2, 0, 0, 255, 0]),
            (0x8000_0005, [0x00, 9, 1, 0, 0, 0, 0, 0]),
        ] {
            let (status, data) = self.control(number, setup, &[]).await;
            assert_eq!(status, 0);
            match setup {
                [0x80, 6, 0, 1, ..] => assert_eq!((data.len(), &data[..2]), (18, &[18, 1][..])),
                [0x80, 6, 0, 2, 0, 0, 9, 0] => assert_eq!(data.len(), 9),
                _ => {}
            }
        }
    }
}
