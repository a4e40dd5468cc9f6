//! The wakers of all who wait for the core.

use core::task::{Context, Waker};

use crate::config::PortId;
use crate::router_core::{ChannelId, Wakes};

/// Somebody who waits, or nobody.
#[derive(Debug)]
pub(crate) struct Waiting(Option<Waker>);

impl Waiting {
    pub(crate) const NOBODY: Self = Self(None);

    /// Replaces a waker only by a different one.
    pub(crate) fn register(&mut self, context: &Context<'_>) {
        match &self.0 {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => self.0 = Some(context.waker().clone()),
        }
    }

    #[inline(never)]
    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// Who waits for a channel.
#[derive(Debug)]
pub(crate) struct ChannelWakers {
    pub(crate) receive: Waiting,
    pub(crate) send: Waiting,
}

impl ChannelWakers {
    pub(crate) const NONE: Self = Self {
        receive: Waiting::NOBODY,
        send: Waiting::NOBODY,
    };
}

/// Who waits for a port: both halves of its transport.
#[derive(Debug)]
pub struct PortWakers {
    pub(crate) receive: Waiting,
    pub(crate) transmit: Waiting,
    /// The future that keeps time beside them.
    pub(crate) timer: Waiting,
}

impl PortWakers {
    pub(crate) const NONE: Self = Self {
        receive: Waiting::NOBODY,
        transmit: Waiting::NOBODY,
        timer: Waiting::NOBODY,
    };
}

/// All who wait.
pub(crate) struct Wakers<'b> {
    pub(crate) channels: &'b mut [ChannelWakers],
    pub(crate) ports: &'b mut [PortWakers],
    pub(crate) timer: Waiting,
    pub(crate) event: Waiting,
}

impl Wakers<'_> {
    pub(crate) fn channel(&mut self, channel: ChannelId) -> Option<&mut ChannelWakers> {
        self.channels.get_mut(channel.index())
    }

    /// The waker of the future that keeps time beside a port, or for all.
    pub(crate) fn timer(&mut self, beside: Option<PortId>) -> &mut Waiting {
        match beside.and_then(|port| self.ports.get_mut(usize::from(port.0))) {
            Some(port) => &mut port.timer,
            None => &mut self.timer,
        }
    }

    pub(crate) fn port(&mut self, port: PortId) -> Option<&mut PortWakers> {
        self.ports.get_mut(usize::from(port.0))
    }

    /// Wakes those whom it concerns.
    pub(crate) fn wake(&mut self, wakes: Wakes) {
        match wakes {
            Wakes::Nobody => {}
            Wakes::Sender(channel) => {
                if let Some(channel) = self.channel(channel) {
                    channel.send.wake();
                }
            }
            Wakes::Timer => self.wake_timers(),
            Wakes::HeldBack => {
                let ports = self.ports.iter_mut();
                ports.for_each(|port| port.receive.wake());
            }
            Wakes::Everybody => self.wake_everybody(),
        }
    }

    fn wake_timers(&mut self) {
        self.timer.wake();
        let ports = self.ports.iter_mut();
        ports.for_each(|port| port.timer.wake());
    }

    fn wake_everybody(&mut self) {
        self.wake_timers();
        self.event.wake();
        for port in self.ports.iter_mut() {
            port.receive.wake();
            port.transmit.wake();
        }
        for channel in self.channels.iter_mut() {
            channel.receive.wake();
            channel.send.wake();
        }
    }

    /// There is a message for a channel.
    #[inline]
    pub(crate) fn wake_receiver(&mut self, channel: ChannelId) {
        if let Some(channel) = self.channel(channel) {
            channel.receive.wake();
        }
    }

    /// There is a transfer for the transport of a port.
    #[inline]
    pub(crate) fn wake_transport(&mut self, port: PortId) {
        if let Some(port) = self.port(port) {
            port.transmit.wake();
        }
    }
}
