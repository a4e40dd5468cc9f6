//! The memory of a router, owned by its caller.

use mctp_transport::Transfer;

use crate::config::{PortConfig, Route};
use crate::router_core::{
    Buckets, Channel, Channels, Inbox, Kind, NO_REQUESTS, Port, Requests, RouteTable, Routes, Slot,
    Slots, empty_buckets,
};
use crate::shell::ChannelWakers;

/// Bytes of a short message buffer: the longest message that fits one packet of MCTP over USB 1.0
/// (247) or SMBus (250), rounded up.
pub const SHORT_MESSAGE_LEN: usize = 256;

/// Control responses that may wait at a port for the neighbour to read them.
pub(crate) const RESPONSES: usize = 4;

/// A control response of one packet with the room that a transport may ask for around it.
pub(crate) const RESPONSE_LEN: usize = 84;

/// Everything a router keeps, with its capacities.
///
/// | parameter | counts | RAM on a 32-bit target, bytes each |
/// |-|-|-|
/// | `PORTS` | transports | 2 × `TRANSFER_LEN` + 608 |
/// | `TRANSFER_LEN` | bytes of a transfer buffer: what the transport takes at once (512 for one transfer of USB 1.0; 4,096 for eight is faster) | |
/// | `SHORT_MESSAGES` | buffers for received messages of one packet | 256 + 56 |
/// | `LONG_MESSAGES` | buffers for received messages of any length, at least 1 | `LONG_MESSAGE_LEN` + 56 |
/// | `LONG_MESSAGE_LEN` | the longest message received, message type byte not counted | |
/// | `CHANNELS` | listeners and open requests together | 72 |
/// | `ROUTES` | routes, beside 256 bytes for the table that finds them | 20 |
///
/// A device that sends responses only, with two services, serves well with `<1, 512, 4, 2, 4224, 4,
/// 2>`: 12,184 bytes in all.
///
/// Control responses wait in buffers of their own, for which a transport may ask for up to 16 bytes
/// of header and trailer.
///
/// The router borrows it for good: put it in a `static` cell, or on the stack of a function that
/// does not return while the router runs.
#[derive(Debug)]
pub struct RouterStorage<
    'b,
    const PORTS: usize,
    const TRANSFER_LEN: usize,
    const SHORT_MESSAGES: usize,
    const LONG_MESSAGES: usize,
    const LONG_MESSAGE_LEN: usize,
    const CHANNELS: usize,
    const ROUTES: usize,
> {
    transfer_buffers: [[[u8; TRANSFER_LEN]; 2]; PORTS],
    response_buffers: [[[u8; RESPONSE_LEN]; RESPONSES]; PORTS],
    transfers: [[Option<Transfer<'b>>; 2]; PORTS],
    responses: [[Option<Transfer<'b>>; RESPONSES]; PORTS],
    short_buffers: [[u8; SHORT_MESSAGE_LEN]; SHORT_MESSAGES],
    long_buffers: [[u8; LONG_MESSAGE_LEN]; LONG_MESSAGES],
    ports: [Port<'b>; PORTS],
    short_slots: [Option<Slot<'b>>; SHORT_MESSAGES],
    long_slots: [Option<Slot<'b>>; LONG_MESSAGES],
    unfinished: Buckets<'b>,
    inboxes: [Inbox<'b>; CHANNELS],
    channels: [Channel; CHANNELS],
    requests: Requests,
    channel_wakers: [ChannelWakers; CHANNELS],
    routes: [Option<Route>; ROUTES],
    route_table: RouteTable,
}

/// The core's part of the storage with its buffers handed out, its capacities forgotten.
pub(crate) struct Parts<'b> {
    pub(crate) ports: &'b mut [Port<'b>],
    pub(crate) slots: Slots<'b>,
    pub(crate) channels: Channels<'b>,
    pub(crate) routes: Routes<'b>,
}

impl<
    'b,
    const PORTS: usize,
    const TRANSFER_LEN: usize,
    const SHORT_MESSAGES: usize,
    const LONG_MESSAGES: usize,
    const LONG_MESSAGE_LEN: usize,
    const CHANNELS: usize,
    const ROUTES: usize,
>
    RouterStorage<
        'b,
        PORTS,
        TRANSFER_LEN,
        SHORT_MESSAGES,
        LONG_MESSAGES,
        LONG_MESSAGE_LEN,
        CHANNELS,
        ROUTES,
    >
{
    /// Empty storage: all zeros, so that a static variable of it needs neither flash nor code.
    ///
    /// Capacities that cannot work do not compile: fewer than one port, one long message buffer or
    /// one channel; more than 255 ports or channels, 255 routes, or 127 message buffers of a
    /// kind; transfer buffers too short for a packet of the baseline unit.
    pub const fn new() -> Self {
        const {
            assert!(PORTS >= 1 && PORTS <= 255, "a router has 1 to 255 ports");
            assert!(
                TRANSFER_LEN >= RESPONSE_LEN,
                "a transfer buffer holds at least one packet of the baseline unit"
            );
            assert!(
                LONG_MESSAGES >= 1 && LONG_MESSAGES <= 127,
                "a router has 1 to 127 long message buffers"
            );
            assert!(
                SHORT_MESSAGES <= 127,
                "a router has at most 127 short message buffers"
            );
            assert!(
                CHANNELS >= 1 && CHANNELS <= 255,
                "a router has 1 to 255 channels"
            );
            assert!(ROUTES <= 255, "a router has at most 255 routes");
        }
        Self {
            transfer_buffers: [[[0; TRANSFER_LEN]; 2]; PORTS],
            response_buffers: [[[0; RESPONSE_LEN]; RESPONSES]; PORTS],
            transfers: [const { [const { None }; 2] }; PORTS],
            responses: [const { [const { None }; RESPONSES] }; PORTS],
            short_buffers: [[0; SHORT_MESSAGE_LEN]; SHORT_MESSAGES],
            long_buffers: [[0; LONG_MESSAGE_LEN]; LONG_MESSAGES],
            ports: [const { Port::EMPTY }; PORTS],
            short_slots: [const { None }; SHORT_MESSAGES],
            long_slots: [const { None }; LONG_MESSAGES],
            unfinished: empty_buckets(),
            inboxes: [const { Inbox::EMPTY }; CHANNELS],
            channels: [const { Channel::UNUSED }; CHANNELS],
            requests: NO_REQUESTS,
            channel_wakers: [const { ChannelWakers::NONE }; CHANNELS],
            routes: [const { None }; ROUTES],
            route_table: [0; 256],
        }
    }

    /// Gives each port and slot its buffers. No message longer than `max_message_len` will be
    /// taken. Beside the core's parts: who waits for its channels.
    pub(crate) fn parts(
        &'b mut self,
        max_message_len: usize,
    ) -> (Parts<'b>, &'b mut [ChannelWakers]) {
        let bulk = self.transfers.iter_mut().zip(&mut self.transfer_buffers);
        let responses = self.responses.iter_mut().zip(&mut self.response_buffers);
        for ((port, bulk), responses) in self.ports.iter_mut().zip(bulk).zip(responses) {
            port.configure(PortConfig::default());
            let (transfers, buffers) = bulk;
            for (place, buffer) in transfers.iter_mut().zip(buffers) {
                port.add_transfer(place, buffer);
            }
            let (transfers, buffers) = responses;
            for (place, buffer) in transfers.iter_mut().zip(buffers) {
                port.add_response(place, buffer);
            }
        }
        let mut slots = Slots::new(
            &mut self.inboxes,
            &mut self.unfinished,
            max_message_len.min(LONG_MESSAGE_LEN),
        );
        for (place, buffer) in self.short_slots.iter_mut().zip(&mut self.short_buffers) {
            slots.add(place, buffer, Kind::Short);
        }
        for (place, buffer) in self.long_slots.iter_mut().zip(&mut self.long_buffers) {
            slots.add(place, buffer, Kind::Long);
        }
        let parts = Parts {
            ports: &mut self.ports,
            slots,
            channels: Channels::new(&mut self.channels, &mut self.requests),
            routes: Routes::new(&mut self.routes, &mut self.route_table),
        };
        (parts, &mut self.channel_wakers)
    }
}

impl<
    const PORTS: usize,
    const TRANSFER_LEN: usize,
    const SHORT_MESSAGES: usize,
    const LONG_MESSAGES: usize,
    const LONG_MESSAGE_LEN: usize,
    const CHANNELS: usize,
    const ROUTES: usize,
> Default
    for RouterStorage<
        '_,
        PORTS,
        TRANSFER_LEN,
        SHORT_MESSAGES,
        LONG_MESSAGES,
        LONG_MESSAGE_LEN,
        CHANNELS,
        ROUTES,
    >
{
    fn default() -> Self {
        Self::new()
    }
}

// What the table above says.
#[cfg(target_pointer_width = "32")]
const _: () = {
    const fn bytes<T>() -> usize {
        size_of::<T>()
    }
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 2, 4224, 4, 2>>() == 12184);
    assert!(bytes::<RouterStorage<'static, 2, 512, 4, 2, 4224, 4, 2>>() == 12184 + 2 * 512 + 608);
    assert!(bytes::<RouterStorage<'static, 1, 512, 5, 2, 4224, 4, 2>>() == 12184 + 256 + 56);
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 3, 4224, 4, 2>>() == 12184 + 4224 + 56);
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 2, 4224, 8, 2>>() == 12184 + 4 * 72);
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 2, 4224, 4, 12>>() == 12184 + 10 * 20);
};
