//! The line of channels that wait to send at a port: first come, first served.

use super::{ChannelId, RouterCore};
use crate::config::PortId;

/// Both ends of a port's line.
#[derive(Debug)]
pub(crate) struct Line {
    first: Option<ChannelId>,
    last: Option<ChannelId>,
}

impl Line {
    pub(crate) const EMPTY: Self = Self {
        first: None,
        last: None,
    };

    #[inline]
    pub(super) fn first(&self) -> Option<ChannelId> {
        self.first
    }

    #[inline]
    pub(super) fn last(&self) -> Option<ChannelId> {
        self.last
    }
}

/// A channel's place in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The port it waits at.
    port: Option<PortId>,
    /// The channel behind it.
    next: Option<ChannelId>,
}

impl Place {
    pub(crate) const NONE: Self = Self {
        port: None,
        next: None,
    };
}

impl RouterCore<'_> {
    /// Gives a channel the last place, unless it has one.
    pub(super) fn join_line(&mut self, channel: ChannelId, port: PortId) {
        if self
            .place(channel)
            .is_some_and(|place| place.port.is_some())
        {
            return;
        }
        let Some(line) = self.port(port).map(|port| &mut port.line) else {
            return;
        };
        let before = line.last.replace(channel);
        if before.is_none() {
            line.first = Some(channel);
        }
        if let Some(before) = before.and_then(|before| self.place(before)) {
            before.next = Some(channel);
        }
        if let Some(place) = self.place(channel) {
            place.port = Some(port);
        }
        // There are no more channels than it counts to.
        self.in_line = self.in_line.wrapping_add(1);
    }

    /// Takes a channel's place away. Returns where it waited.
    pub(super) fn leave_line(&mut self, channel: ChannelId) -> Option<PortId> {
        let place = core::mem::replace(self.place(channel)?, Place::NONE);
        let port = place.port?;
        self.in_line = self.in_line.wrapping_sub(1);
        let line = &mut self.port(port)?.line;
        // Mostly it has had its turn, and is the first.
        if line.first == Some(channel) {
            line.first = place.next;
            if place.next.is_none() {
                line.last = None;
            }
            return Some(port);
        }
        let (mut current, is_last) = (line.first?, line.last == Some(channel));
        let before = loop {
            let other = self.place(current)?;
            match other.next? {
                next if next == channel => break other,
                next => current = next,
            }
        };
        before.next = place.next;
        if is_last {
            self.port(port)?.line.last = Some(current);
        }
        Some(port)
    }

    /// A message of a channel needs no place any more: what it leaves of the transfer is for whoever
    /// is first then.
    pub(super) fn end_turn(&mut self, channel: ChannelId) {
        if self.in_line > 0
            && let Some(port) = self.leave_line(channel)
        {
            // It may have been the place of another of its messages, which has to join anew.
            self.wakes.note_sender(channel);
            self.note_next_sender(port);
        }
    }

    /// It is the turn of whoever is first in a port's line.
    pub(super) fn note_next_sender(&mut self, port: PortId) {
        if self.in_line > 0
            && let Some(port) = self.ports.get(usize::from(port.0))
            && let Some(first) = port.line.first
        {
            self.wakes.note_sender(first);
        }
    }

    fn place(&mut self, channel: ChannelId) -> Option<&mut Place> {
        self.slots.place_in_line(channel)
    }
}
