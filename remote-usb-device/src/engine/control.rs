//! Endpoint 0: one control transfer at a time, from the host or from ourselves.
//!
//! Two kinds of work end up as SETUP packets for embassy-usb: the requests of the host, in whatever
//! form the wire carried them; and a few requests that this driver makes itself, to learn the
//! descriptors and because SET_ADDRESS never leaves the host controller.

use core::task::Poll;

use embassy_sync::waitqueue::WakerRegistration;
use embassy_usb_driver::EndpointError;

use super::{Answer, ControlRequest, Engine, Outcome, ROOM_FOR_STEP};
use crate::copy::copy;

/// bmRequestType and bRequest of the standard requests that change endpoints (USB 2.0, section 9.4).
const SET_CONFIGURATION: [u8; 2] = [0x00, 9];
const SET_INTERFACE: [u8; 2] = [0x01, 11];

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
enum Job {
    Internal(Step),
    Request(ControlRequest),
}

impl Job {
    fn setup(&self) -> [u8; 8] {
        match self {
            Self::Internal(step) => step.setup(),
            Self::Request(request) => request.setup,
        }
    }

    fn length(&self) -> usize {
        let [.., low, high] = self.setup();
        u16::from_le_bytes([low, high]).into()
    }

    fn request(self) -> Option<ControlRequest> {
        match self {
            Self::Internal(_) => None,
            Self::Request(request) => Some(request),
        }
    }
}

/// Endpoint 0. The control buffer holds the OUT data of `next` or `active`, or the IN data of
/// `active` or of a reply.
pub(super) struct Control {
    /// What embassy-usb works on. `None` too when the host took it back meanwhile.
    active: Option<Job>,
    /// Bytes of the data stage done so far.
    position: usize,
    internal: Option<Step>,
    next: Option<ControlRequest>,
    /// The control buffer holds a reply that is not sent yet.
    reply_busy: bool,
    /// The runner gave up waiting for the request that the device works on: do not wait again.
    given_up: bool,
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
            given_up: false,
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
        self.given_up = false;
        self.waker.wake();
    }

    /// The reply in the control buffer is sent, or never will be.
    pub(super) fn forget_reply(&mut self) {
        self.reply_busy = false;
        self.waker.wake();
    }
}

impl Engine<'_> {
    pub(crate) fn control_waker(&mut self) -> &mut WakerRegistration {
        &mut self.control.waker
    }

    // From the stream.

    /// A request of the host, whose data are in the control buffer; whatever is unfinished is
    /// abandoned, as by a new SETUP on a bus.
    pub(crate) fn submit(&mut self, request: ControlRequest) {
        self.cancel_control();
        self.control.next = Some(request);
        self.control.waker.wake();
    }

    /// Puts arriving OUT data into the control buffer.
    pub(super) fn store_control_data(&mut self, offset: usize, data: &[u8]) {
        let end = offset.saturating_add(data.len());
        if let Some(space) = self.control_bytes.get_mut(offset..end) {
            copy(data, space);
        }
    }

    pub(crate) fn control_capacity(&self) -> usize {
        self.control_bytes.len()
    }

    /// The control buffer holds an answer that is not sent yet.
    pub(crate) fn control_reply_waits(&self) -> bool {
        self.control.reply_busy
    }

    /// Answers the host's outstanding requests as cancelled.
    pub(crate) fn cancel_control(&mut self) {
        while let Some(request) = self.take_control(|_| true) {
            self.answer(request, Outcome::Cancelled);
        }
        self.control.waker.wake();
    }

    /// The host takes the request with this id back. False when there is none.
    pub(super) fn cancel_control_id(&mut self, id: u64) -> bool {
        let Some(request) = self.take_control(|request| request.id == id) else {
            return false;
        };
        self.answer(request, Outcome::Cancelled);
        self.control.waker.wake();
        true
    }

    /// The host takes the request with this id back, which gets no answer. False when there is
    /// none.
    pub(super) fn withdraw_control(&mut self, id: u64) -> bool {
        let found = self.take_control(|request| request.id == id).is_some();
        self.control.waker.wake();
        found
    }

    /// A request of the host is not finished.
    pub(crate) fn control_is_busy(&self) -> bool {
        let active = self.control.active.and_then(Job::request);
        self.control.next.is_some() || active.is_some()
    }

    pub(super) fn give_up_control(&mut self) {
        self.control.given_up = self.control_is_busy();
    }

    pub(super) fn has_given_up_control(&self) -> bool {
        self.control.given_up
    }

    /// Removes a request of the host that is not finished, the one that did not begin first.
    fn take_control(&mut self, which: impl Fn(&ControlRequest) -> bool) -> Option<ControlRequest> {
        let request = match self.control.next.take_if(|request| which(request)) {
            Some(request) => request,
            None => {
                let request = self.control.active?.request().filter(which)?;
                self.control.active = None;
                request
            }
        };
        self.control.given_up = false;
        Some(request)
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
            self.finish(job, Outcome::Stall);
        }
        let internal = self.control.internal.take().map(Job::Internal);
        let job = internal.or_else(|| self.control.next.take().map(Job::Request))?;
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
            self.finish(job, Outcome::Stall);
            return Poll::Ready(Err(EndpointError::BufferOverflow));
        };
        copy(packet, space);
        self.control.position = end;
        if last {
            self.control.active = None;
            self.finish(job, Outcome::Done);
        }
        Poll::Ready(Ok(()))
    }

    /// The status stage.
    pub(crate) fn poll_status(&mut self, outcome: Outcome) -> Poll<()> {
        let Some(job) = self.control.active else {
            return Poll::Ready(());
        };
        if !self.has_room(ROOM_FOR_STEP) {
            return Poll::Pending;
        }
        self.control.active = None;
        self.finish(job, outcome);
        Poll::Ready(())
    }

    fn finish(&mut self, job: Job, outcome: Outcome) {
        self.control.given_up = false;
        let request = match job {
            Job::Internal(step) => return self.finish_step(step),
            Job::Request(request) => request,
        };
        if outcome == Outcome::Done {
            let [request_type, number, value, _, index, ..] = request.setup;
            match [request_type, number] {
                SET_CONFIGURATION => self.configuration = value,
                SET_INTERFACE => self.descriptors.choose(index, value),
                _ => return self.answer(request, outcome),
            }
            self.push(Answer::EndpointsChanged);
        }
        self.answer(request, outcome);
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
                self.descriptors_known = true;
                self.export_waker.wake();
                if self.link.connected {
                    self.push(Answer::Attached);
                    self.link.announced = true;
                    self.link.reader.wake();
                }
                self.end_learning();
            }
            Step::ResetAddress => {}
        }
    }

    fn answer(&mut self, request: ControlRequest, outcome: Outcome) {
        let done = outcome == Outcome::Done;
        let length = match (done, request.is_in()) {
            (true, true) => self.control.position.try_into().unwrap_or(u16::MAX),
            (true, false) => request.length(),
            (false, _) => 0,
        };
        let value = if done && request.is_in() && length > 0 {
            self.control_bytes.first().copied().unwrap_or(0)
        } else {
            self.configuration
        };
        self.control.reply_busy |= done && length > 0 && request.has_data();
        self.push(Answer::Control {
            request,
            outcome,
            length,
            value,
        });
    }
}
