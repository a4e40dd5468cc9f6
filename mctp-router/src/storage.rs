//! The memory of a router, owned by its caller.

use mctp_transport::Transfer;

use crate::config::{Config, NetworkId, PortConfig, Route};
use crate::router_core::{
    Buckets, Channel, ChannelBuckets, ChannelId, Channels, Inbox, Kind, NO_CHANNELS, NO_REQUESTS,
    Newest, Parts, Port, RESPONSE_LEN, RESPONSES, RouteTable, RouterCore, Routes,
    SHORT_MESSAGE_LEN, Slot, Slots, empty_buckets,
};
use crate::wakers::{ChannelWakers, PortWakers};

/// Everything a router keeps, with its capacities.
///
/// | parameter | counts | RAM on a 32-bit target, bytes each |
/// |-|-|-|
/// | `PORTS` | transports | 2 × `TRANSFER_LEN` + 912 |
/// | `TRANSFER_LEN` | bytes of a transfer buffer: what the transport takes at once (512 for one transfer of USB 1.0; 4,096 for eight is faster) | |
/// | `SHORT_MESSAGES` | buffers for received messages of one packet | 256 + 56 |
/// | `LONG_MESSAGES` | buffers for received messages of any length, at least 1 | `LONG_MESSAGE_LEN` + 56 |
/// | `LONG_MESSAGE_LEN` | the longest message received, message type byte not counted | |
/// | `CHANNELS` | listeners and open requests together | 68 |
/// | `ROUTES` | routes | 20 |
///
/// A device that sends responses only, with two services, serves well with `<1, 512, 4, 2, 4224, 4,
/// 2>`: 12,504 bytes in all.
///
/// A port has 912 bytes because each can have a network of its own: 256 of them are a table that
/// finds its routes, 32 the endpoint that the device is there.
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
    next_channels: [ChannelId; CHANNELS],
    newest: Newest,
    channel_buckets: ChannelBuckets,
    channel_wakers: [ChannelWakers; CHANNELS],
    port_wakers: [PortWakers; PORTS],
    routes: [Option<(NetworkId, Route)>; ROUTES],
    route_tables: [RouteTable; PORTS],
}

/// The core's part of the storage with its buffers handed out, and the wakers' of channels and
/// ports.
pub(crate) type AllParts<'b> = (Parts<'b>, &'b mut [ChannelWakers], &'b mut [PortWakers]);

impl<'b> RouterCore<'b> {
    /// A router in `storage`, with the link of every port down.
    pub fn new<
        const PORTS: usize,
        const TRANSFER_LEN: usize,
        const SHORT_MESSAGES: usize,
        const LONG_MESSAGES: usize,
        const LONG_MESSAGE_LEN: usize,
        const CHANNELS: usize,
        const ROUTES: usize,
    >(
        storage: &'b mut RouterStorage<
            'b,
            PORTS,
            TRANSFER_LEN,
            SHORT_MESSAGES,
            LONG_MESSAGES,
            LONG_MESSAGE_LEN,
            CHANNELS,
            ROUTES,
        >,
        config: &Config,
    ) -> Self {
        Self::from_parts(storage.parts(config.max_message_len).0, config)
    }
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
            channels: [const { Channel::Free }; CHANNELS],
            next_channels: [ChannelId(0); CHANNELS],
            newest: NO_REQUESTS,
            channel_buckets: NO_CHANNELS,
            channel_wakers: [const { ChannelWakers::NONE }; CHANNELS],
            port_wakers: [const { PortWakers::NONE }; PORTS],
            routes: [const { None }; ROUTES],
            route_tables: [[0; 256]; PORTS],
        }
    }

    /// Gives each port and slot its buffers. No message longer than `max_message_len` will be
    /// taken.
    pub(crate) fn parts(&'b mut self, max_message_len: usize) -> AllParts<'b> {
        let bulk = self.transfers.iter_mut().zip(&mut self.transfer_buffers);
        let responses = self.responses.iter_mut().zip(&mut self.response_buffers);
        let networks = (0..=u8::MAX).map(NetworkId);
        let ports = self.ports.iter_mut().zip(networks);
        for (((port, network), bulk), responses) in ports.zip(bulk).zip(responses) {
            port.network = network;
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
            channels: Channels::new(
                &mut self.channels,
                &mut self.next_channels,
                &mut self.channel_buckets,
            ),
            newest: &mut self.newest,
            routes: Routes::new(&mut self.routes, &mut self.route_tables),
        };
        (parts, &mut self.channel_wakers, &mut self.port_wakers)
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
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 2, 4224, 4, 2>>() == 12504);
    assert!(bytes::<RouterStorage<'static, 2, 512, 4, 2, 4224, 4, 2>>() == 12504 + 2 * 512 + 912);
    assert!(bytes::<RouterStorage<'static, 1, 512, 5, 2, 4224, 4, 2>>() == 12504 + 256 + 56);
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 3, 4224, 4, 2>>() == 12504 + 4224 + 56);
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 2, 4224, 8, 2>>() == 12504 + 4 * 68);
    assert!(bytes::<RouterStorage<'static, 1, 512, 4, 2, 4224, 4, 12>>() == 12504 + 10 * 20);
};
