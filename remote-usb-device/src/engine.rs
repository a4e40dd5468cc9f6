//! The whole device side without waiting: what the byte stream, the bus and the endpoints do to
//! each other.
//!
//! Everything here returns at once. The async shells (`runner`, `bus`, `control`, `endpoint`) poll
//! it and register a waker.

mod answer;
mod control;
mod receive;
mod transmit;

use core::task::{Context, Poll};

use embassy_sync::waitqueue::WakerRegistration;
use embassy_usb_driver::{EndpointAddress, EndpointInfo as PortInfo, EndpointType, Event, Speed};
use heapless::Deque;

use crate::descriptors::Descriptors;
use crate::queue::{InQueue, OutQueue};
pub(crate) use answer::{Answer, ControlRequest, Form, Outcome};
use control::{Control, Step};
pub(crate) use receive::{Act, Blocked, Output, Received, Sink};
use transmit::Sending;

/// Answers that wait to be sent, besides those to transfers, which wait in their endpoint's queue.
const OUTBOX: usize = 16;
/// The most answers that one step of the device adds: that the endpoints changed, and one more.
const ROOM_FOR_STEP: usize = 2;
/// The most that one message of the host adds: its own answer, and those to two control requests
/// it replaces.
const ROOM_FOR_MESSAGE: usize = 3;

/// How often something did not go its normal way, since the state was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Connections that began: the guest said hello.
    pub connections: u32,
    /// Messages that were skipped, because their type is unknown or unused, or no device was
    /// connected.
    pub skipped_messages: u32,
    /// Transfers refused at once: no such endpoint, halted, or too many outstanding.
    pub refused_transfers: u32,
    /// OUT transfers that failed because the device did not read its endpoint.
    pub unread_transfers: u32,
    /// Connections that ended because what came was not this protocol.
    pub protocol_errors: u32,
}

/// The connection to the host.
struct Link {
    /// A stream is being served.
    up: bool,
    /// There is a host at its other end.
    connected: bool,
    /// The device has power without a host, for its descriptors to be read.
    learning: bool,
    /// A host was promised the device, and its requests follow on the same stream.
    imported: bool,
    /// The user wants the device to be plugged in.
    attached: bool,
    /// Counts power cycles, so that the bus sees each of them even if it looks late.
    power_cycle: u32,
    /// The descriptors are known, and requests of the host are taken.
    announced: bool,
    sending: Option<Sending>,
    outbox: Deque<Answer, OUTBOX>,
    reader: WakerRegistration,
    writer: WakerRegistration,
}

/// The bus as embassy-usb sees it.
struct BusState {
    /// The power cycle for which it is enabled.
    enabled_for: Option<u32>,
    reset_pending: bool,
    waker: WakerRegistration,
}

/// All state; the storage belongs to [`Buffers`](crate::Buffers).
pub(crate) struct Engine<'d> {
    speed: Speed,
    control_size: u16,
    descriptors: Descriptors,
    /// They were read once. They stay the same as long as the device.
    descriptors_known: bool,
    /// Waits for them.
    export_waker: WakerRegistration,
    configuration: u8,
    link: Link,
    bus: BusState,
    control: Control,
    control_bytes: &'d mut [u8],
    ins: &'d mut [InQueue],
    in_bytes: &'d mut [u8],
    in_size: usize,
    outs: &'d mut [OutQueue],
    out_bytes: &'d mut [u8],
    out_size: usize,
    /// Endpoint whose answer is sent next, so that none waits for ever.
    turn: usize,
    pub(crate) counters: Counters,
}

/// The storage that a [`Engine`] works on.
pub(crate) struct Storage<'d> {
    pub(crate) control_bytes: &'d mut [u8],
    pub(crate) ins: &'d mut [InQueue],
    pub(crate) in_bytes: &'d mut [u8],
    pub(crate) in_size: usize,
    pub(crate) outs: &'d mut [OutQueue],
    pub(crate) out_bytes: &'d mut [u8],
    pub(crate) out_size: usize,
}

impl<'d> Engine<'d> {
    pub(crate) fn new(storage: Storage<'d>) -> Self {
        Self {
            speed: Speed::High,
            control_size: 64,
            descriptors: Descriptors::new(),
            descriptors_known: false,
            export_waker: WakerRegistration::new(),
            configuration: 0,
            link: Link {
                up: false,
                connected: false,
                learning: false,
                imported: false,
                attached: true,
                power_cycle: 0,
                announced: false,
                sending: None,
                outbox: Deque::new(),
                reader: WakerRegistration::new(),
                writer: WakerRegistration::new(),
            },
            bus: BusState {
                enabled_for: None,
                reset_pending: false,
                waker: WakerRegistration::new(),
            },
            control: Control::new(),
            control_bytes: storage.control_bytes,
            ins: storage.ins,
            in_bytes: storage.in_bytes,
            in_size: storage.in_size,
            outs: storage.outs,
            out_bytes: storage.out_bytes,
            out_size: storage.out_size,
            turn: 0,
            counters: Counters::default(),
        }
    }

    pub(crate) fn set_speed(&mut self, speed: Speed) {
        self.speed = speed;
    }

    pub(crate) fn set_control_size(&mut self, size: u16) {
        self.control_size = size;
    }

    // Endpoints.

    /// The endpoint of each IN place, if it is allocated.
    pub(crate) fn in_infos(&self) -> impl Iterator<Item = Option<PortInfo>> {
        self.ins.iter().map(|queue| queue.port.info)
    }

    /// The endpoint of each OUT place, if it is allocated.
    pub(crate) fn out_infos(&self) -> impl Iterator<Item = Option<PortInfo>> {
        self.outs.iter().map(|queue| queue.port.info)
    }

    pub(crate) fn in_capacity(&self) -> usize {
        self.in_size
    }

    pub(crate) fn out_capacity(&self) -> usize {
        self.out_size
    }

    pub(crate) fn input(&mut self, index: usize) -> Option<(&mut InQueue, &mut [u8])> {
        let storage = self.in_bytes.chunks_mut(self.in_size.max(1)).nth(index)?;
        Some((self.ins.get_mut(index)?, storage))
    }

    pub(crate) fn output(&mut self, index: usize) -> Option<(&mut OutQueue, &mut [u8])> {
        let storage = self.out_bytes.chunks_mut(self.out_size.max(1)).nth(index)?;
        Some((self.outs.get_mut(index)?, storage))
    }

    fn input_index(&self, address: u8) -> Option<usize> {
        self.ins.iter().position(|queue| {
            queue
                .port
                .info
                .is_some_and(|info| u8::from(info.addr) == address)
        })
    }

    fn output_index(&self, address: u8) -> Option<usize> {
        self.outs.iter().position(|queue| {
            queue
                .port
                .info
                .is_some_and(|info| u8::from(info.addr) == address)
        })
    }

    /// The device moved data or room: both directions of the stream may have work.
    pub(crate) fn wake_stream(&mut self) {
        self.link.reader.wake();
        self.link.writer.wake();
    }

    pub(crate) fn reader_waker(&mut self) -> &mut WakerRegistration {
        &mut self.link.reader
    }

    pub(crate) fn writer_waker(&mut self) -> &mut WakerRegistration {
        &mut self.link.writer
    }

    pub(crate) fn bus_waker(&mut self) -> &mut WakerRegistration {
        &mut self.bus.waker
    }

    // Link.

    /// A stream was opened.
    pub(crate) fn link_up(&mut self) {
        self.link_down();
        self.link.up = true;
    }

    /// A host is at the other end of the stream: the device gets power.
    pub(crate) fn connect(&mut self) {
        self.counters.connections = self.counters.connections.wrapping_add(1);
        self.link.connected = true;
        self.bus.waker.wake();
    }

    /// The stream is gone, and with it all that was outstanding.
    pub(crate) fn link_down(&mut self) {
        self.link.up = false;
        self.link.connected = false;
        self.link.announced = false;
        self.link.sending = None;
        self.link.outbox.clear();
        self.control.forget_reply();
        self.clear_transfers();
        self.link.power_cycle = self.link.power_cycle.wrapping_add(1);
        self.bus.waker.wake();
        self.wake_stream();
    }

    /// Plugs the device in or out, as far as the host can tell.
    pub(crate) fn set_attached(&mut self, attached: bool) {
        if self.link.attached != attached {
            self.link.attached = attached;
            self.power_cycle();
            self.export_waker.wake();
            self.wake_stream();
        }
    }

    /// Plugs the device out and in again.
    pub(crate) fn power_cycle(&mut self) {
        self.link.power_cycle = self.link.power_cycle.wrapping_add(1);
        self.bus.waker.wake();
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.link.announced && self.configuration != 0
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.link.attached
    }

    // Export.

    /// Whether the device is plugged in. Reads its descriptors first if that was never done: for
    /// that, the device has power for a moment.
    pub(crate) fn poll_export(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if !self.link.attached {
            return Poll::Ready(false);
        }
        if self.descriptors_known {
            return Poll::Ready(true);
        }
        self.export_waker.register(cx.waker());
        self.link.learning = true;
        self.bus.waker.wake();
        Poll::Pending
    }

    fn end_learning(&mut self) {
        self.link.learning = false;
        self.bus.waker.wake();
    }

    /// Promises the device to a host. False when another one has it.
    pub(crate) fn import(&mut self) -> bool {
        let is_free = !self.link.up && !self.link.imported;
        self.link.imported |= is_free;
        is_free
    }

    /// The promise ends.
    pub(crate) fn release(&mut self) {
        self.link.imported = false;
    }

    /// Requests of the host are taken.
    pub(crate) fn is_announced(&self) -> bool {
        self.link.announced
    }

    pub(crate) fn configuration(&self) -> u8 {
        self.configuration
    }

    /// The type of the endpoint at this address, if it was allocated.
    pub(crate) fn endpoint_type(&self, address: u8) -> Option<EndpointType> {
        let mut infos = self.in_infos().chain(self.out_infos()).flatten();
        let info = infos.find(|info| u8::from(info.addr) == address)?;
        Some(info.ep_type)
    }

    pub(crate) fn speed(&self) -> Speed {
        self.speed
    }

    pub(crate) fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// The power cycle we are in, if there is power.
    fn power(&self) -> Option<u32> {
        ((self.link.connected || self.link.learning) && self.link.attached)
            .then_some(self.link.power_cycle)
    }

    /// Whether an answer to one more message of the host has room.
    pub(crate) fn has_room_for_message(&self) -> bool {
        self.has_room(ROOM_FOR_MESSAGE)
    }

    fn has_room(&self, count: usize) -> bool {
        !self.link.up || OUTBOX.saturating_sub(self.link.outbox.len()) >= count
    }

    pub(crate) fn push(&mut self, answer: Answer) {
        if self.link.up {
            // Callers made sure that there is room.
            let _ = self.link.outbox.push_back(answer);
            self.link.writer.wake();
        }
    }

    // Bus.

    pub(crate) fn poll_bus(&mut self) -> Option<Event> {
        match (self.bus.enabled_for, self.power()) {
            (Some(cycle), power) if power != Some(cycle) => Some(Event::PowerRemoved),
            (None, Some(_)) => Some(Event::PowerDetected),
            (Some(_), _) if self.bus.reset_pending => {
                self.bus.reset_pending = false;
                self.stop_transfers();
                self.control.run(Step::ResetAddress);
                Some(Event::Reset)
            }
            _ => None,
        }
    }

    /// embassy-usb is ready for requests: learn its descriptors, then announce it.
    pub(crate) fn enable(&mut self) {
        self.bus.enabled_for = Some(self.link.power_cycle);
        self.bus.reset_pending = false;
        self.descriptors.reset();
        self.control.run(Step::Address);
    }

    /// The device leaves. False when there is no room yet to tell the host.
    pub(crate) fn disable(&mut self) -> bool {
        if self.link.announced {
            if !self.has_room(1) {
                return false;
            }
            self.push(Answer::Detached);
            self.link.announced = false;
        }
        self.clear_transfers();
        self.bus.enabled_for = None;
        self.bus.reset_pending = false;
        true
    }

    pub(crate) fn set_enabled(&mut self, address: EndpointAddress, enabled: bool) {
        let address = address.into();
        if let Some((queue, _)) = self
            .input_index(address)
            .and_then(|index| self.input(index))
        {
            queue.stop();
            queue.port.enabled = enabled;
        }
        if let Some((queue, _)) = self
            .output_index(address)
            .and_then(|index| self.output(index))
        {
            queue.stop();
            queue.port.enabled = enabled;
        }
        self.wake_stream();
    }

    pub(crate) fn set_stalled(&mut self, address: EndpointAddress, stalled: bool) {
        let address = address.into();
        let mut interrupt_halted = false;
        if let Some((queue, _)) = self
            .input_index(address)
            .and_then(|index| self.input(index))
        {
            queue.port.stalled = stalled;
            if stalled {
                queue.flush(Outcome::Stall);
                interrupt_halted = queue.receiving;
                queue.receiving = false;
            }
            queue.port.waker.wake();
        }
        if let Some((queue, _)) = self
            .output_index(address)
            .and_then(|index| self.output(index))
        {
            queue.port.stalled = stalled;
            if stalled {
                queue.flush(Outcome::Stall);
            }
            queue.port.waker.wake();
        }
        if interrupt_halted && self.has_room(ROOM_FOR_STEP) {
            self.push(Answer::Receiving {
                id: 0,
                endpoint: address,
                outcome: Outcome::Stall,
            });
        }
        self.wake_stream();
    }

    pub(crate) fn is_stalled(&self, address: EndpointAddress) -> bool {
        let address = address.into();
        let input = self
            .input_index(address)
            .and_then(|index| self.ins.get(index))
            .map(|queue| &queue.port);
        let output = self
            .output_index(address)
            .and_then(|index| self.outs.get(index))
            .map(|queue| &queue.port);
        input.or(output).is_some_and(|port| port.stalled)
    }

    /// Bus reset from the host: back to unconfigured at once; embassy-usb hears of it when it
    /// polls the bus.
    pub(crate) fn reset(&mut self) {
        self.cancel_control();
        self.stop_transfers();
        self.bus.reset_pending = true;
        self.bus.waker.wake();
        self.control.waker.wake();
    }

    fn stop_transfers(&mut self) {
        self.configuration = 0;
        self.descriptors.reset();
        self.ins.iter_mut().for_each(InQueue::stop);
        self.outs.iter_mut().for_each(OutQueue::stop);
        self.wake_stream();
    }

    fn clear_transfers(&mut self) {
        self.configuration = 0;
        self.descriptors.reset();
        self.ins.iter_mut().for_each(InQueue::clear);
        self.outs.iter_mut().for_each(OutQueue::clear);
        self.forget_endpoint_data();
        self.control.forget();
        self.wake_stream();
    }

    pub(crate) fn control_size(&self) -> u16 {
        self.control_size
    }

    /// The endpoints that are on.
    pub(crate) fn enabled_endpoints(&self) -> impl Iterator<Item = PortInfo> {
        let ports = self
            .ins
            .iter()
            .map(|queue| &queue.port)
            .chain(self.outs.iter().map(|queue| &queue.port));
        ports
            .filter(|port| port.enabled)
            .filter_map(|port| port.info)
    }
}
