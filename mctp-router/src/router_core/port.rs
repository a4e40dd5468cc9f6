//! What waits to be sent at a port: transfers being filled, and control responses that overtake
//! them.

use mctp_time::Instant;
use mctp_transport::{
    BASELINE_TRANSMISSION_UNIT, PhysicalAddress, RawHeader, SendError, Transfer, TransferLayout,
};

use super::forward::PortForwarding;
use super::port_buffers::{PortParts, RESPONSE_LEN, RESPONSES};
use crate::clock::Since;
use crate::config::{NetworkId, PortConfig};

/// How many control responses go before a transfer of other messages that waits as well.
const RESPONSES_IN_A_ROW: u8 = 8;

/// Transfers of a port for other messages than control responses, its reserve not counted.
const TRANSFERS: usize = 2;

/// A transfer on its way to the transport. Give it back to
/// [`RouterCore::transmit_done`](crate::RouterCore::transmit_done).
#[derive(Debug)]
#[must_use = "the transfer must be sent and given back"]
pub struct Outbound<'b> {
    /// What to send.
    pub transfer: &'b mut Transfer<'b>,
    pub(crate) is_response: bool,
}

/// Whether a port's link takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// There is no port: none was added here.
    Absent,
    Down,
    Up,
    /// It is up, but the neighbour took nothing for the send time limit. Nothing is queued until it
    /// takes something.
    Stalled,
}

/// One port.
#[derive(Debug)]
pub struct Port<'b> {
    pub(crate) network: NetworkId,
    pub(crate) link: Link,
    /// Counts how often what waited was given up: a message begun before does not go on. With 32
    /// bits it does not come back to an old value.
    session: u32,
    /// The session in which the link came up or went down last. A request from before is not
    /// answered any more.
    link_session: u32,
    /// As configured, and what of it the transport carries.
    wanted_unit: u16,
    unit: u16,
    max_receive_unit: u16,
    pub(super) layout: TransferLayout,
    /// It changed while the transport had transfers, which may still have the old one.
    layout_changed: bool,
    /// The payload of the longest packet that the layout leaves room for.
    max_unit: u16,
    /// Bytes of each of the two transfers.
    pub(super) transfer_len: u16,
    /// Full, and next to be sent.
    full: Option<&'b mut Transfer<'b>>,
    /// Being filled. `None` while the transport has it and the spare is not back yet.
    current: Option<&'b mut Transfer<'b>>,
    spare: Option<&'b mut Transfer<'b>>,
    /// Of control responses: those that wait to be sent, the oldest first, then empty ones, then
    /// `None` for each that the transport has.
    responses: [Option<&'b mut Transfer<'b>>; RESPONSES],
    /// How many of them wait to be sent.
    queued_responses: u8,
    /// How many were sent since the last transfer of other messages.
    responses_in_a_row: u8,
    /// How many transfers of other messages have to come back until all are gone that
    /// [`watch_sent`](Self::watch_sent) found.
    unsent: u8,
    /// The last byte of the answer to Get Endpoint ID.
    pub(crate) medium_specific: u8,
    /// Something waits that the neighbour has not taken. Not known while the link is down.
    is_waiting: bool,
    /// Since when. Beside the flag, not in an `Option`, it takes 4 bytes less of each port.
    waiting_since: Since,
    /// The transport can leave a packet with the neighbour.
    pub(super) can_wait: bool,
    /// It has one that was held back, and neither a buffer nor room came free since.
    pub(super) holds_back: bool,
    /// If it forwards.
    pub(super) forwarding: Option<&'b mut PortForwarding<'b>>,
}

impl<'b> Port<'b> {
    /// The layout of a port whose transport has not been seen: all zeros, as [`EMPTY`](Self::EMPTY).
    pub(crate) const UNKNOWN_LAYOUT: TransferLayout =
        TransferLayout::new(0, 0, 0).with_transfers_at_once(0);

    /// The layout of a control response that waits for that of the transport.
    const RESPONSE_LAYOUT: TransferLayout = TransferLayout::new(
        TransferLayout::MIN_HEADROOM,
        RESPONSE_LEN as u16,
        RESPONSE_LEN as u16,
    );

    /// Where a port can be [added](Self::add): all zeros.
    pub(crate) const EMPTY: Self = Self {
        network: NetworkId(0),
        link: Link::Absent,
        session: 0,
        link_session: 0,
        wanted_unit: 0,
        unit: 0,
        max_receive_unit: 0,
        layout: Self::UNKNOWN_LAYOUT,
        layout_changed: false,
        max_unit: 0,
        transfer_len: 0,
        full: None,
        current: None,
        spare: None,
        responses: [const { None }; RESPONSES],
        queued_responses: 0,
        responses_in_a_row: 0,
        unsent: 0,
        medium_specific: 0,
        is_waiting: false,
        waiting_since: Since::START,
        can_wait: false,
        holds_back: false,
        forwarding: None,
    };

    /// The session of a message that comes, or is begun, now.
    #[inline]
    pub(crate) fn session(&self) -> u32 {
        self.session
    }

    /// Whether the link has been up since `session`.
    #[inline]
    pub(crate) fn is_linked_since(&self, session: u32) -> bool {
        session >= self.link_session
    }

    /// The link came up or went down. Gives up everything that waits; returns how many transfers
    /// that were.
    pub(crate) fn set_link(&mut self, link: Link) -> usize {
        self.link = link;
        let given_up = self.clear();
        self.link_session = self.session;
        given_up
    }

    /// Makes it a port of this network.
    pub(crate) fn add(&mut self, network: NetworkId, buffers: PortParts<'b>) {
        self.network = network;
        self.link = Link::Down;
        self.configure(PortConfig::default());
        for (place, buffer) in buffers.transfers {
            self.transfer_len = at_most_u16(buffer.len());
            self.spare = self.current.take();
            self.current = Some(place.insert(Transfer::new(buffer, Self::UNKNOWN_LAYOUT)));
        }
        let (places, response_buffers) = buffers.responses;
        for (place, buffer) in places.iter_mut().zip(response_buffers) {
            self.give_back_response(place.insert(Transfer::new(buffer, Self::UNKNOWN_LAYOUT)));
        }
    }

    /// Whether there is a port.
    #[inline]
    pub(crate) fn exists(&self) -> bool {
        self.link != Link::Absent
    }

    /// Sets how transfers are filled; returns how many that waited were given up for it. Control
    /// responses that waited for the first layout are kept.
    #[inline(never)]
    pub(crate) fn set_layout(&mut self, layout: TransferLayout) -> usize {
        let (kept, was_waiting) = match self.awaits_layout() {
            true => (self.queued_responses, self.is_waiting),
            false => (0, false),
        };
        self.queued_responses = self.queued_responses.saturating_sub(kept);
        self.layout = layout;
        let mut given_up = self.clear();
        self.layout_changed |= self.transport_has_one();
        self.max_unit = at_most_u16(layout.max_transmission_unit(self.transfer_len.into()));
        self.unit = at_most_u16(self.usable_unit(self.wanted_unit.into()));
        self.queued_responses = kept;
        for _ in 0..kept {
            given_up = given_up.saturating_add(usize::from(!self.lay_out_oldest_anew()));
        }
        self.is_waiting = was_waiting && self.queued_responses > 0;
        given_up
    }

    /// Whether no transport has said yet how it wants its transfers filled.
    pub(crate) fn awaits_layout(&self) -> bool {
        self.layout.max_transfer == 0
    }

    /// Puts the response that has waited longest behind the others, in the present layout. `false`,
    /// and the response is given up, when the layout has no room for it.
    fn lay_out_oldest_anew(&mut self) -> bool {
        let Some(transfer) = self.take_oldest() else {
            return false;
        };
        let address = transfer.destination();
        let mut copy = [0; RESPONSE_LEN];
        let packet = transfer.packets().next().unwrap_or_default();
        let packet_len = packet.len();
        for (to, from) in copy.iter_mut().zip(packet) {
            *to = *from;
        }
        self.give_back_response(transfer);
        let packet = copy.get(..packet_len).and_then(<[u8]>::split_first_chunk);
        packet.is_some_and(|(header, payload)| {
            let header = RawHeader::from_bytes(*header);
            self.queue_response(address, header, payload).is_ok()
        })
    }

    /// The transfer being filled.
    #[inline]
    pub(crate) fn current(&mut self) -> Option<&mut Transfer<'b>> {
        self.current.as_deref_mut()
    }

    /// Goes on to an empty transfer, now that the current one is full. `false` when there is none.
    #[inline]
    pub(crate) fn advance(&mut self) -> bool {
        let has_next = self.current_has_packets() && self.full.is_none() && self.spare.is_some();
        if has_next {
            self.full = self.current.take();
            self.current = self.spare.take();
        }
        has_next
    }

    /// Whether an empty transfer of a known layout waits to be filled: what was to be put into it
    /// does not fit.
    pub(crate) fn takes_nothing(&self) -> bool {
        let is_empty = |current: &&mut Transfer<'b>| current.is_empty();
        self.has_layout() && self.current.as_ref().is_some_and(is_empty)
    }

    /// Whether a transport has said how it wants its transfers filled.
    pub(crate) fn has_layout(&self) -> bool {
        self.max_unit > 0
    }

    /// Sets the units.
    pub(crate) fn configure(&mut self, config: PortConfig) {
        self.wanted_unit = at_most_u16(config.transmission_unit);
        self.unit = at_most_u16(self.usable_unit(config.transmission_unit));
        let max_receive_unit = config.max_receive_transmission_unit;
        self.max_receive_unit = at_most_u16(max_receive_unit.max(BASELINE_TRANSMISSION_UNIT));
    }

    /// The payload of the packets sent where no route says otherwise.
    #[inline]
    pub(crate) fn unit(&self) -> usize {
        self.unit.into()
    }

    /// What of `unit` the transport carries; never less than every endpoint takes.
    #[inline]
    pub(crate) fn usable_unit(&self, unit: usize) -> usize {
        unit.min(self.max_unit.into())
            .max(BASELINE_TRANSMISSION_UNIT)
    }

    /// The payload of the longest packet that the transport carries.
    #[inline]
    pub(super) fn max_unit(&self) -> usize {
        self.max_unit.into()
    }

    /// The largest packet payload accepted.
    #[inline]
    pub(crate) fn max_receive_unit(&self) -> usize {
        self.max_receive_unit.into()
    }

    /// Notes that something waits to be taken; returns whether nothing did before.
    #[inline]
    pub(crate) fn note_waiting(&mut self, now: Instant) -> bool {
        let first = !self.is_waiting;
        if first {
            self.is_waiting = true;
            self.waiting_since = Since::now(now);
        }
        first
    }

    /// Gives the neighbour up if it took nothing for `timeout`. The `lost` milliseconds before
    /// `now` do not count. Returns whether something waits for it.
    pub(crate) fn expire(&mut self, now: Instant, lost: u32, timeout: u32) -> bool {
        if !self.is_waiting || self.link != Link::Up {
            return false;
        }
        self.waiting_since.credit(lost, now);
        if self.waiting_since.is_over(timeout, now) {
            self.link = Link::Stalled;
        }
        true
    }

    /// Queues a control response. `true` when one that waited had to be given up for it.
    pub(crate) fn queue_response(
        &mut self,
        address: PhysicalAddress,
        header: RawHeader,
        payload: &[u8],
    ) -> Result<bool, ()> {
        let layout = match self.awaits_layout() {
            true => Self::RESPONSE_LAYOUT,
            false => self.layout,
        };
        if payload.len() > layout.max_transmission_unit(RESPONSE_LEN) {
            // None that waits is to be given up for it.
            return Err(());
        }
        let replaces = self.response_place().is_none_or(|place| place.is_none());
        if replaces {
            let oldest = self.take_oldest();
            *self.response_place().ok_or(())? = oldest;
        }
        let transfer = self.response_place().and_then(Option::as_mut).ok_or(())?;
        transfer.reset(layout);
        transfer
            .push(address, header, payload.len())
            // It has that length already; the compiler, which does not see into `push`, needs to be
            // shown.
            .and_then(|place| place.get_mut(..payload.len()))
            .ok_or(())?
            .copy_from_slice(payload);
        self.queued_responses = self.queued_responses.saturating_add(1);
        Ok(replaces)
    }

    /// Whether a control message can be queued without another one being given up for it.
    pub(crate) fn has_response_place(&mut self) -> bool {
        self.link == Link::Up
            && self.has_layout()
            && self.response_place().is_some_and(|place| place.is_some())
    }

    /// The next transfer to send: control responses overtake everything else, but a neighbour that
    /// asks without end does not stop the rest.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Outbound<'b>> {
        if self.queued_responses > 0 && !self.awaits_layout() {
            let others_wait =
                self.full.is_some() || self.current_has_packets() || self.reserve_has_packets();
            if !others_wait || self.responses_in_a_row < RESPONSES_IN_A_ROW {
                self.responses_in_a_row = self.responses_in_a_row.saturating_add(1);
                return self.take_response();
            }
        }
        self.responses_in_a_row = 0;
        let transfer = match self.full.take() {
            Some(full) => full,
            None => match self.current.take_if(|current| !current.is_empty()) {
                Some(current) => {
                    self.current = self.take_reserve().or_else(|| self.spare.take());
                    current
                }
                None => self.take_reserve()?,
            },
        };
        Some(Outbound {
            transfer,
            is_response: false,
        })
    }

    /// Behind the responses that wait.
    fn response_place(&mut self) -> Option<&mut Option<&'b mut Transfer<'b>>> {
        self.responses.get_mut(usize::from(self.queued_responses))
    }

    fn take_response(&mut self) -> Option<Outbound<'b>> {
        Some(Outbound {
            transfer: self.take_oldest()?,
            is_response: true,
        })
    }

    /// Takes the response that has waited longest; those behind it move up.
    fn take_oldest(&mut self) -> Option<&'b mut Transfer<'b>> {
        self.queued_responses = self.queued_responses.saturating_sub(1);
        let mut behind = None;
        for place in self.responses.iter_mut().rev() {
            core::mem::swap(place, &mut behind);
        }
        behind
    }

    /// Takes a transfer back. [`wait_anew`](Self::wait_anew) is next.
    #[inline]
    pub(crate) fn give_back(&mut self, outbound: Outbound<'b>, result: Result<(), SendError>) {
        if self.layout_changed {
            outbound.transfer.reset(self.layout);
        } else {
            outbound.transfer.clear();
        }
        if outbound.is_response {
            self.give_back_response(outbound.transfer);
        } else {
            if self.current.is_none() {
                self.current = Some(outbound.transfer);
            } else if let Some(transfer) = self.fill_reserve(outbound.transfer) {
                self.spare = Some(transfer);
            }
            self.unsent = self.unsent.saturating_sub(1);
        }
        self.note_taken();
        // The neighbour is there, and did not let it wait.
        if self.link == Link::Stalled && result != Err(SendError::LinkDown) {
            self.link = Link::Up;
        }
    }

    /// Counts the transfers of other messages than control responses that wait to be sent, or that
    /// the transport has, until they come back.
    pub(crate) fn watch_sent(&mut self) {
        let reserve = self.reserve();
        let transfers = TRANSFERS.saturating_add(reserve.is_some().into());
        let here = [Some(&self.current), Some(&self.spare), reserve];
        let here = here.into_iter().flatten().flatten();
        let idle = here.filter(|transfer| transfer.is_empty()).count();
        self.unsent = transfers.saturating_sub(idle) as u8;
    }

    /// Whether all of them came back, or were given up.
    pub(crate) fn is_sent(&self) -> bool {
        self.unsent == 0
    }

    fn give_back_response(&mut self, transfer: &'b mut Transfer<'b>) {
        if let Some(place) = self.responses.iter_mut().find(|place| place.is_none()) {
            *place = Some(transfer);
        }
    }

    /// The neighbour took something: if something `waits` for it, it does so since now.
    #[inline]
    pub(crate) fn wait_anew(&mut self, now: Instant, waits: bool) {
        self.is_waiting = waits;
        if waits {
            self.waiting_since = Since::now(now);
        }
    }

    /// Whether the transport has a transfer, when nothing waits.
    fn transport_has_one(&self) -> bool {
        self.current.is_none()
            || self.spare.is_none()
            || self.responses.iter().any(Option::is_none)
            || self.reserve().is_some_and(Option::is_none)
    }

    #[inline]
    fn current_has_packets(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| !current.is_empty())
    }

    #[inline]
    pub(crate) fn has_waiting(&self) -> bool {
        self.queued_responses > 0
            || self.full.is_some()
            || self.current_has_packets()
            || self.reserve_has_packets()
    }

    /// Gives up everything that waits; returns how many transfers that were.
    fn clear(&mut self) -> usize {
        let mut given_up = usize::from(self.queued_responses);
        if let Some(full) = self.full.take() {
            // The one after it is the current one, so the spare's place is free.
            self.spare = Some(full);
        }
        let layout = self.layout;
        let mut reset = |transfer: &mut Transfer<'_>| {
            given_up = given_up.saturating_add(usize::from(!transfer.is_empty()));
            transfer.reset(layout);
        };
        for transfer in [&mut self.current, &mut self.spare].into_iter().flatten() {
            reset(transfer);
        }
        if let Some(reserve) = self.reserve_mut() {
            reset(reserve);
        }
        self.queued_responses = 0;
        self.unsent = 0;
        self.session = self.session.wrapping_add(1);
        self.is_waiting = false;
        if self.link == Link::Stalled {
            self.link = Link::Up;
        }
        given_up
    }
}

/// No transport has longer packets.
fn at_most_u16(unit: usize) -> u16 {
    unit.min(u16::MAX.into()) as u16
}
