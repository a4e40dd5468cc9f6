//! Endpoint 0: one control transfer at a time, from the guest or from ourselves.
//!
//! Three kinds of work end up as SETUP packets for embassy-usb: control_packet messages; the
//! messages of their own that usbredir has for configurations and alternate settings; and a few
//! requests that this driver makes itself, to learn the descriptors and because SET_ADDRESS never
//! leaves the guest's host controller.

use core::task::Poll;

use embassy_sync::waitqueue::WakerRegistration;
use embassy_usb_driver::EndpointError;

use super::{Engine, Outgoing, ROOM_FOR_STEP};
use crate::copy::copy;
use crate::wire::{ControlHeader, Status};

/// A request that the driver makes itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// SET_ADDRESS, before the descriptors: an unaddressed embassy-usb device answers with one
    /// packet only.
    Address,
    DeviceDescriptor,
    ConfigurationDescriptor,
    /// SET_ADDRESS after a bus reset.
    ResetAddress,
}

impl Step {
    fn setup(self) -> [u8; 8] {
        match self {
            Self::Address | Self::ResetAddress => [0x00, 0x05, 1, 0, 0, 0, 0, 0],
            Self::DeviceDescriptor => [0x80, 0x06, 0, 1, 0, 0, 18, 0],
            Self::ConfigurationDescriptor => [0x80, 0x06, 0, 2, 0, 0, 0xFF, 0xFF],
        }
    }
}

/// Who waits for the outcome.
#[derive(Clone, Copy)]
pub(super) enum Job {
    Internal(Step),
    Packet {
        id: u64,
        header: ControlHeader,
    },
    SetConfiguration {
        id: u64,
        configuration: u8,
    },
    GetConfiguration {
        id: u64,
    },
    SetAltSetting {
        id: u64,
        interface: u8,
        alt_setting: u8,
    },
    GetAltSetting {
        id: u64,
        interface: u8,
    },
}

impl Job {
    pub(super) fn setup(&self) -> [u8; 8] {
        match *self {
            Self::Internal(step) => step.setup(),
            Self::Packet { header, .. } => {
                let [v0, v1] = header.value.to_le_bytes();
                let [i0, i1] = header.index.to_le_bytes();
                let [l0, l1] = header.length.to_le_bytes();
                [header.request_type, header.request, v0, v1, i0, i1, l0, l1]
            }
            Self::SetConfiguration { configuration, .. } => {
                [0x00, 0x09, configuration, 0, 0, 0, 0, 0]
            }
            Self::GetConfiguration { .. } => [0x80, 0x08, 0, 0, 0, 0, 1, 0],
            Self::SetAltSetting {
                interface,
                alt_setting,
                ..
            } => [0x01, 0x0B, alt_setting, 0, interface, 0, 0, 0],
            Self::GetAltSetting { interface, .. } => [0x81, 0x0A, 0, 0, interface, 0, 1, 0],
        }
    }

    fn id(&self) -> Option<u64> {
        match *self {
            Self::Internal(_) => None,
            Self::Packet { id, .. }
            | Self::SetConfiguration { id, .. }
            | Self::GetConfiguration { id }
            | Self::SetAltSetting { id, .. }
            | Self::GetAltSetting { id, .. } => Some(id),
        }
    }

    fn is_in(&self) -> bool {
        let [request_type, ..] = self.setup();
        request_type & 0x80 != 0
    }

    fn length(&self) -> usize {
        let [.., low, high] = self.setup();
        u16::from_le_bytes([low, high]).into()
    }
}

/// Endpoint 0. The control buffer holds the OUT data of `next` or `active`, or the IN data of
/// `active` or of a reply.
pub(super) struct Control {
    /// What embassy-usb works on. `None` too when the guest took it back meanwhile.
    active: Option<Job>,
    /// Bytes of the data stage done so far.
    position: usize,
    internal: Option<Step>,
    next: Option<Job>,
    /// The control buffer holds a reply that is not sent yet.
    reply_busy: bool,
    pub(super) waker: WakerRegistration,
}

impl Control {
    pub(super) const fn new() -> Self {
        let waker = WakerRegistration::new();
        Self {
            active: None,
            position: 0,
            internal: None,
            next: None,
            reply_busy: false,
            waker,
        }
    }

    pub(super) fn run(&mut self, step: Step) {
        self.internal = Some(step);
        self.waker.wake();
    }

    /// Drops all requests without an answer.
    pub(super) fn forget(&mut self) {
        (self.active, self.internal, self.next) = (None, None, None);
        self.waker.wake();
    }

    /// The reply in the control buffer is sent, or never will be.
    pub(super) fn forget_reply(&mut self) {
        self.reply_busy = false;
        self.waker.wake();
    }

    pub(super) fn reply_busy(&self) -> bool {
        self.reply_busy
    }
}

impl Engine<'_> {
    pub(crate) fn control_waker(&mut self) -> &mut WakerRegistration {
        &mut self.control.waker
    }

    pub(crate) fn control_size(&self) -> u16 {
        self.control_size
    }

    // From the stream.

    /// A request of the guest; whatever is unfinished is abandoned, as a new SETUP does on a bus.
    pub(super) fn submit(&mut self, job: Job) {
        self.cancel_control();
        self.control.next = Some(job);
        self.control.waker.wake();
    }

    /// Puts arriving OUT data into the control buffer.
    pub(super) fn store_control_data(&mut self, offset: usize, data: &[u8]) {
        let end = offset.saturating_add(data.len());
        if let Some(space) = self.control_bytes.get_mut(offset..end) {
            copy(data, space);
        }
    }

    pub(super) fn control_capacity(&self) -> usize {
        self.control_bytes.len()
    }

    /// Answers the guest's outstanding requests as cancelled.
    pub(super) fn cancel_control(&mut self) {
        if let Some(job) = self.control.next.take() {
            self.answer(job, Status::CANCELLED);
        }
        if let Some(job) = self.control.active.take_if(|job| job.id().is_some()) {
            self.answer(job, Status::CANCELLED);
        }
        self.control.waker.wake();
    }

    /// The guest takes the request with this id back. False when there is none.
    pub(super) fn cancel_control_id(&mut self, id: u64) -> bool {
        let with_id = |job: &mut Job| job.id() == Some(id);
        let next = self.control.next.take_if(with_id);
        let Some(job) = next.or_else(|| self.control.active.take_if(with_id)) else {
            return false;
        };
        self.answer(job, Status::CANCELLED);
        self.control.waker.wake();
        true
    }

    // From embassy-usb.

    pub(crate) fn poll_setup(&mut self) -> Option<[u8; 8]> {
        if self.bus.reset_pending
            || self.bus.enabled_for.is_none()
            || self.bus.enabled_for != self.power()
        {
            return None;
        }
        if !self.has_room(ROOM_FOR_STEP) {
            return None;
        }
        if let Some(job) = self.control.active.take() {
            // embassy-usb gave it up without a word.
            self.finish(job, Status::STALL);
        }
        let internal = self.control.internal.take().map(Job::Internal);
        let job = internal.or_else(|| self.control.next.take())?;
        self.control.active = Some(job);
        self.control.position = 0;
        Some(job.setup())
    }

    /// One packet of the OUT data stage; all data came with the request.
    pub(crate) fn data_out(&mut self, packet: &mut [u8]) -> Result<usize, EndpointError> {
        let job = self.control.active.ok_or(EndpointError::Disabled)?;
        let rest = job.length().saturating_sub(self.control.position);
        let length = rest.min(self.control_size.into());
        let end = self.control.position.saturating_add(length);
        let packet = packet
            .get_mut(..length)
            .ok_or(EndpointError::BufferOverflow)?;
        let data = self
            .control_bytes
            .get(self.control.position..end)
            .ok_or(EndpointError::BufferOverflow)?;
        copy(data, packet);
        self.control.position = end;
        Ok(length)
    }

    /// One packet of the IN data stage.
    pub(crate) fn poll_data_in(
        &mut self,
        packet: &[u8],
        last: bool,
    ) -> Poll<Result<(), EndpointError>> {
        let Some(job) = self.control.active else {
            return Poll::Ready(Err(EndpointError::Disabled));
        };
        if self.control.reply_busy || !self.has_room(ROOM_FOR_STEP) {
            return Poll::Pending;
        }
        let rest = job.length().saturating_sub(self.control.position);
        let packet = packet.get(..rest.min(packet.len())).unwrap_or_default();
        let end = self.control.position.saturating_add(packet.len());
        let Some(space) = self.control_bytes.get_mut(self.control.position..end) else {
            self.control.active = None;
            self.finish(job, Status::STALL);
            return Poll::Ready(Err(EndpointError::BufferOverflow));
        };
        copy(packet, space);
        self.control.position = end;
        if last {
            self.control.active = None;
            self.finish(job, Status::SUCCESS);
        }
        Poll::Ready(Ok(()))
    }

    /// The status stage.
    pub(crate) fn poll_status(&mut self, status: Status) -> Poll<()> {
        let Some(job) = self.control.active else {
            return Poll::Ready(());
        };
        if !self.has_room(ROOM_FOR_STEP) {
            return Poll::Pending;
        }
        self.control.active = None;
        self.finish(job, status);
        Poll::Ready(())
    }

    fn finish(&mut self, job: Job, status: Status) {
        if let Job::Internal(step) = job {
            return self.finish_step(step);
        }
        if status == Status::SUCCESS {
            match job {
                Job::SetConfiguration { configuration, .. } => self.configuration = configuration,
                Job::SetAltSetting {
                    interface,
                    alt_setting,
                    ..
                } => self.descriptors.choose(interface, alt_setting),
                _ => {}
            }
            if matches!(
                job,
                Job::SetConfiguration { .. } | Job::SetAltSetting { .. }
            ) {
                self.push(Outgoing::EndpointInfo);
                self.push(Outgoing::InterfaceInfo);
            }
        }
        self.answer(job, status);
    }

    fn finish_step(&mut self, step: Step) {
        let data = self
            .control_bytes
            .get(..self.control.position)
            .unwrap_or_default();
        match step {
            Step::Address => self.control.run(Step::DeviceDescriptor),
            Step::DeviceDescriptor => {
                self.descriptors.learn_device(data);
                self.control.run(Step::ConfigurationDescriptor);
            }
            Step::ConfigurationDescriptor => {
                // One that does not fit the buffer is learnt as far as it does.
                self.descriptors.learn_configuration(data);
                self.push(Outgoing::EndpointInfo);
                self.push(Outgoing::InterfaceInfo);
                self.push(Outgoing::DeviceConnect);
                self.link.announced = true;
            }
            Step::ResetAddress => {}
        }
    }

    fn answer(&mut self, job: Job, status: Status) {
        let success = status == Status::SUCCESS;
        let first_byte = self.control_bytes.first().copied().unwrap_or(0);
        match job {
            Job::Internal(_) => {}
            Job::Packet { id, mut header } => {
                header.status = status;
                header.length = match (success, job.is_in()) {
                    (true, true) => self.control.position.try_into().unwrap_or(u16::MAX),
                    (true, false) => header.length,
                    (false, _) => 0,
                };
                let data = success && job.is_in() && header.length > 0;
                self.control.reply_busy |= data;
                self.push(Outgoing::Control { id, header, data });
            }
            Job::SetConfiguration { id, .. } => {
                self.push(Outgoing::ConfigurationStatus {
                    id,
                    status,
                    configuration: self.configuration,
                });
            }
            Job::GetConfiguration { id } => {
                let configuration = if success {
                    first_byte
                } else {
                    self.configuration
                };
                self.push(Outgoing::ConfigurationStatus {
                    id,
                    status,
                    configuration,
                });
            }
            Job::SetAltSetting {
                id,
                interface,
                alt_setting,
            } => {
                self.push(Outgoing::AltSettingStatus {
                    id,
                    status,
                    interface,
                    alt_setting,
                });
            }
            Job::GetAltSetting { id, interface } => {
                let alt_setting = if success { first_byte } else { 0 };
                self.push(Outgoing::AltSettingStatus {
                    id,
                    status,
                    interface,
                    alt_setting,
                });
            }
        }
    }
}
