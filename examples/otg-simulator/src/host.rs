//! A host controller: whole transfers, with toggles of its own.

use crate::task::Task;
use crate::{Acknowledge, Handshake, InResponse, Simulator, Toggle};

/// The packet size of endpoint 0 of the device.
const CONTROL_PACKET_LEN: usize = 64;
/// Tries of a transaction that gets no response (USB 2.0, 8.6.4 leaves the number to the host;
/// three are usual).
const MAX_TRIES: usize = 3;
/// Times that the device's tasks may wake each other before the next transaction.
const MAX_POLLS: usize = 1000;
/// The direction bit of an endpoint address, and of bmRequestType.
const IN: u8 = 0x80;

/// Why a transfer ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The device answered STALL.
    #[error("STALL")]
    Stall,
    /// The device answered NAK more often than the host waits.
    #[error("NAK without end")]
    NakLimit,
    /// The device did not answer.
    #[error("no response")]
    NoResponse,
    /// The device sent more than the host asked for.
    #[error("more data than asked for")]
    Babble,
}

/// A host controller with one device, whose tasks it polls between transactions.
pub struct Host<'s> {
    simulator: &'s Simulator,
    tasks: Vec<Task<'s>>,
    address: u8,
    /// The toggle that the next packet to endpoint n has.
    out_toggles: [Toggle; 16],
    /// The toggle that the next packet from endpoint n should have.
    in_toggles: [Toggle; 16],
    nak_limit: usize,
}

impl<'s> Host<'s> {
    /// A host whose device has no tasks yet.
    pub fn new(simulator: &'s Simulator) -> Self {
        Self {
            simulator,
            tasks: Vec::new(),
            address: 0,
            out_toggles: [Toggle::Data0; 16],
            in_toggles: [Toggle::Data0; 16],
            nak_limit: 10,
        }
    }

    /// Adds a task of the device, which runs at once.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 's) {
        self.tasks.push(Task::new(task));
        self.poll();
    }

    /// The address that this host uses for the device.
    pub fn address(&self) -> u8 {
        self.address
    }

    /// Lets the device run until it waits for the host.
    ///
    /// # Panics
    ///
    /// If it never does, or if the driver panics.
    pub fn poll(&mut self) {
        for _ in 0..MAX_POLLS {
            self.simulator.run_interrupts();
            let ran = self
                .tasks
                .iter_mut()
                .fold(false, |ran, task| task.poll() | ran);
            if !ran {
                return;
            }
        }
        panic!("the device does not wait for the host");
    }

    /// A bus reset, from beginning to end.
    pub fn reset(&mut self) {
        self.simulator.begin_reset();
        self.poll();
        self.simulator.end_reset();
        self.poll();
        self.address = 0;
        self.forget_toggles();
    }

    /// The bus becomes idle.
    pub fn suspend(&mut self) {
        self.simulator.suspend();
        self.poll();
    }

    /// The host resumes the bus.
    pub fn resume(&mut self) {
        self.simulator.resume();
        self.poll();
    }

    /// A control transfer with data from the device. Without data its status stage goes the other
    /// way (USB 2.0, 8.5.3).
    pub fn control_in(&mut self, setup: [u8; 8]) -> Result<Vec<u8>, TransferError> {
        self.setup(setup)?;
        if length(setup) == 0 {
            return self.status_in().map(|()| Vec::new());
        }
        let data = self.data_in(length(setup))?;
        self.status_out()?;
        Ok(data)
    }

    /// A control transfer with data to the device, or without data.
    pub fn control_out(&mut self, setup: [u8; 8], data: &[u8]) -> Result<(), TransferError> {
        self.setup(setup)?;
        self.data_out(data)?;
        self.status_in()
    }

    /// The setup stage. What follows it may be left out: the transfer is abandoned, then.
    pub fn setup(&mut self, setup: [u8; 8]) -> Result<(), TransferError> {
        for _ in 0..MAX_TRIES {
            let handshake = self.simulator.setup(self.address, setup);
            self.poll();
            if handshake == Handshake::Ack {
                self.in_toggles[0] = Toggle::Data1;
                self.out_toggles[0] = Toggle::Data1;
                return Ok(());
            }
        }
        Err(TransferError::NoResponse)
    }

    /// The data stage of a transfer from the device, up to a short packet or `len` bytes.
    pub fn data_in(&mut self, len: usize) -> Result<Vec<u8>, TransferError> {
        let mut data = Vec::new();
        while data.len() < len {
            let packet = self.bulk_in(0)?;
            let is_short = packet.len() < CONTROL_PACKET_LEN;
            data.extend(packet);
            if is_short {
                break;
            }
        }
        if data.len() > len {
            Err(TransferError::Babble)
        } else {
            Ok(data)
        }
    }

    /// The data stage of a transfer to the device.
    pub fn data_out(&mut self, data: &[u8]) -> Result<(), TransferError> {
        data.chunks(CONTROL_PACKET_LEN)
            .try_for_each(|packet| self.bulk_out(0, packet))
    }

    /// The status stage of a transfer to the device.
    pub fn status_in(&mut self) -> Result<(), TransferError> {
        self.in_toggles[0] = Toggle::Data1;
        let status = self.bulk_in(0)?;
        if status.is_empty() {
            Ok(())
        } else {
            Err(TransferError::Babble)
        }
    }

    /// The status stage of a transfer from the device.
    pub fn status_out(&mut self) -> Result<(), TransferError> {
        self.out_toggles[0] = Toggle::Data1;
        self.bulk_out(0, &[])
    }

    /// Sends one packet.
    pub fn bulk_out(&mut self, endpoint: u8, packet: &[u8]) -> Result<(), TransferError> {
        let toggle = self.out_toggles[usize::from(endpoint)];
        let (mut naks, mut silent) = (0, 0);
        loop {
            let handshake = self.simulator.out(self.address, endpoint, toggle, packet);
            self.poll();
            match handshake {
                Handshake::Ack => {
                    self.out_toggles[usize::from(endpoint)] = toggle.next();
                    return Ok(());
                }
                Handshake::Nak => naks += 1,
                Handshake::NoResponse => silent += 1,
                Handshake::Stall => return Err(TransferError::Stall),
            }
            self.check_tries(naks, silent)?;
        }
    }

    /// Receives one packet. A repeated one is acknowledged and discarded (USB 2.0, 8.6.4).
    pub fn bulk_in(&mut self, endpoint: u8) -> Result<Vec<u8>, TransferError> {
        let (mut naks, mut silent) = (0, 0);
        loop {
            let response = self
                .simulator
                .in_token(self.address, endpoint, Acknowledge::Ack);
            self.poll();
            match response {
                InResponse::Data { toggle, bytes } => {
                    let expected = &mut self.in_toggles[usize::from(endpoint)];
                    if toggle == *expected {
                        *expected = toggle.next();
                        return Ok(bytes);
                    }
                }
                InResponse::Nak => naks += 1,
                InResponse::NoResponse => silent += 1,
                InResponse::Stall => return Err(TransferError::Stall),
            }
            self.check_tries(naks, silent)?;
        }
    }

    fn check_tries(&self, naks: usize, silent: usize) -> Result<(), TransferError> {
        if silent >= MAX_TRIES {
            Err(TransferError::NoResponse)
        } else if naks >= self.nak_limit {
            Err(TransferError::NakLimit)
        } else {
            Ok(())
        }
    }

    /// Set Address (USB 2.0, 9.4.6). The host uses the address from the next transaction on.
    pub fn set_address(&mut self, address: u8) -> Result<(), TransferError> {
        self.control_out([0x00, 0x05, address, 0, 0, 0, 0, 0], &[])?;
        self.address = address;
        Ok(())
    }

    /// Set Configuration (USB 2.0, 9.4.7), which sets all toggles to DATA0.
    pub fn set_configuration(&mut self, configuration: u8) -> Result<(), TransferError> {
        self.control_out([0x00, 0x09, configuration, 0, 0, 0, 0, 0], &[])?;
        self.forget_toggles();
        Ok(())
    }

    /// Set Interface (USB 2.0, 9.4.10), which sets the toggles of the interface's `endpoints` to
    /// DATA0.
    pub fn set_interface(
        &mut self,
        interface: u8,
        setting: u8,
        endpoints: &[u8],
    ) -> Result<(), TransferError> {
        self.control_out([0x01, 0x0B, setting, 0, interface, 0, 0, 0], &[])?;
        endpoints
            .iter()
            .for_each(|&endpoint| self.forget_toggle(endpoint));
        Ok(())
    }

    /// Set Feature, endpoint halt (USB 2.0, 9.4.9).
    pub fn set_halt(&mut self, endpoint: u8) -> Result<(), TransferError> {
        self.control_out([0x02, 0x03, 0, 0, endpoint, 0, 0, 0], &[])
    }

    /// Clear Feature, endpoint halt (USB 2.0, 9.4.1 and 9.4.5), which sets the endpoint's toggle to
    /// DATA0.
    pub fn clear_halt(&mut self, endpoint: u8) -> Result<(), TransferError> {
        self.control_out([0x02, 0x01, 0, 0, endpoint, 0, 0, 0], &[])?;
        self.forget_toggle(endpoint);
        Ok(())
    }

    /// The host uses this address from the next transaction on.
    pub fn assume_address(&mut self, address: u8) {
        self.address = address;
    }

    /// The next packet to or from an endpoint has DATA0, as after Clear Feature (USB 2.0, 9.4.5).
    pub fn forget_toggle(&mut self, endpoint: u8) {
        let index = usize::from(endpoint & 0x0F);
        if endpoint & IN != 0 {
            self.in_toggles[index] = Toggle::Data0;
        } else {
            self.out_toggles[index] = Toggle::Data0;
        }
    }

    /// The next packet to or from each endpoint has DATA0, as after Set Configuration (USB 2.0,
    /// 9.1.1.5).
    pub fn forget_toggles(&mut self) {
        self.out_toggles = [Toggle::Data0; 16];
        self.in_toggles = [Toggle::Data0; 16];
    }
}

/// wLength of a request.
fn length(setup: [u8; 8]) -> usize {
    usize::from(u16::from_le_bytes([setup[6], setup[7]]))
}
