//! The line of channels that wait to send at a port: first come, first served.

use super::Shared;
use crate::config::PortId;
use crate::router_core::ChannelId;

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

impl Shared<'_> {
    #[inline]
    pub(super) fn first_in_line(&mut self, port: PortId) -> Option<ChannelId> {
        self.core.port_wakers(port)?.line.first
    }

    #[inline]
    pub(super) fn last_in_line(&mut self, port: PortId) -> Option<ChannelId> {
        self.core.port_wakers(port)?.line.last
    }

    /// Gives a channel a place, unless it has one.
    #[inline(never)]
    pub(super) fn join_line(&mut self, channel: ChannelId, port: PortId) {
        let waits = self
            .channels
            .get(channel.index())
            .is_some_and(|channel| channel.place.port.is_some());
        if !waits {
            self.go_to_end_of_line(channel, port);
        }
    }

    /// Gives a channel the last place, and takes its old one away.
    #[inline(never)]
    pub(super) fn go_to_end_of_line(&mut self, channel: ChannelId, port: PortId) {
        self.leave_line(channel);
        let Some(line) = self.core.port_wakers(port).map(|wakers| &mut wakers.line) else {
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
    }

    /// Takes a channel's place away. Returns where it waited.
    pub(super) fn leave_line(&mut self, channel: ChannelId) -> Option<PortId> {
        let place = core::mem::replace(self.place(channel)?, Place::NONE);
        let port = place.port?;
        let line = &mut self.core.port_wakers(port)?.line;
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
            self.core.port_wakers(port)?.line.last = Some(current);
        }
        Some(port)
    }

    fn place(&mut self, channel: ChannelId) -> Option<&mut Place> {
        self.channels
            .get_mut(channel.index())
            .map(|channel| &mut channel.place)
    }
}
