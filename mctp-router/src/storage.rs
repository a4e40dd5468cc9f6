//! The memory of a router, in parts that its caller owns.

use crate::config::{Config, NetworkId, Route};
use crate::control::Endpoint;
use crate::router_core::{
    Buckets, Channel, ChannelBuckets, ChannelId, ChannelTable, Inbox, Kind, NO_CHANNELS,
    NO_REQUESTS, Newest, Parts, Port, RouteIndex, RouterCore, RoutingTable, SHORT_MESSAGE_LEN,
    Slot, Slots, empty_buckets,
};
use crate::wakers::{ChannelWakers, PortWakers};

pub use crate::router_core::PortBuffers;

/// What a router keeps of each of `COUNT` ports beside its [buffers](PortBuffers).
#[derive(Debug)]
pub struct Ports<'b, const COUNT: usize> {
    ports: [Port<'b>; COUNT],
    wakers: [PortWakers; COUNT],
}

/// The networks that the ports are in: in each the device has an endpoint ID, a bus owner and
/// routes of its own.
#[derive(Debug)]
pub struct Networks<const COUNT: usize> {
    endpoints: [Endpoint; COUNT],
    routes: [RouteIndex; COUNT],
    newest: Newest,
}

/// Buffers for received messages of one packet, of up to 256 bytes each. May be none: such messages
/// use the long ones as well.
#[derive(Debug)]
pub struct ShortMessages<'b, const COUNT: usize> {
    slots: [Option<Slot<'b>>; COUNT],
    buffers: [[u8; SHORT_MESSAGE_LEN]; COUNT],
}

/// `COUNT` buffers for received messages of any number of packets, of up to `LEN` bytes each, the
/// message type byte not counted.
#[derive(Debug)]
pub struct LongMessages<'b, const COUNT: usize, const LEN: usize> {
    slots: [Option<Slot<'b>>; COUNT],
    buffers: [[u8; LEN]; COUNT],
    unfinished: Buckets<'b>,
}

/// Listeners and open requests: each takes one of `COUNT` channels.
#[derive(Debug)]
pub struct Channels<'b, const COUNT: usize> {
    all: [Channel; COUNT],
    next: [ChannelId; COUNT],
    buckets: ChannelBuckets,
    inboxes: [Inbox<'b>; COUNT],
    wakers: [ChannelWakers; COUNT],
}

/// Room for `COUNT` routes, of all networks together.
#[derive(Debug)]
pub struct Routes<const COUNT: usize> {
    places: [Option<(NetworkId, Route)>; COUNT],
}

/// Everything that a router keeps, but for the buffers of its ports: see [`PortBuffers`].
///
/// A device that only responds, with two services on one port, is served well by this:
///
/// ```
/// use mctp_router::storage::{Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages};
/// use mctp_router::RouterStorage;
///
/// type Storage = RouterStorage<
///     Ports<'static, 1>,
///     Networks<1>,
///     ShortMessages<'static, 4>,
///     LongMessages<'static, 2, 4224>,
///     Channels<'static, 4>,
///     Routes<2>,
/// >;
/// const STORAGE: Storage = RouterStorage::new();
/// const USB: PortBuffers<'static, 512> = PortBuffers::new();
/// ```
///
/// What the parts take of the RAM of a 32-bit target, in bytes:
///
/// | part | in all | and for each | how many |
/// |-|-|-|-|
/// | [`Ports`] | 0 | 100 | 1 to 255 |
/// | [`Networks`] | 256 | 280 | 1 to 255 |
/// | [`ShortMessages`] | 0 | 256 + 60 | 0 to 127 |
/// | [`LongMessages`] | 128 | `LEN` + 60 | 1 to 127, of 256 or more bytes |
/// | [`Channels`] | 32 | 69 | 1 to 255 |
/// | [`Routes`] | 0 | 20 | 0 to 255 |
///
/// A number outside of its range does not compile, and so no two of them can be swapped:
///
/// ```compile_fail,E0080
/// # use mctp_router::storage::{Channels, LongMessages, Networks, Ports, Routes, ShortMessages};
/// # use mctp_router::RouterStorage;
/// # type Storage = RouterStorage<
/// #     Ports<'static, 1>,
/// #     Networks<1>,
/// #     ShortMessages<'static, 4>,
///     LongMessages<'static, 4224, 2>,
/// #     Channels<'static, 4>,
/// #     Routes<2>,
/// # >;
/// # const STORAGE: Storage = RouterStorage::new();
/// # let _ = STORAGE;
/// ```
///
/// The router borrows its storage for good: put it in a `static` cell, or on the stack of a function
/// that does not return while the router runs. It begins as all zeros, so that a static variable of
/// it takes neither flash nor code.
#[derive(Debug)]
pub struct RouterStorage<P, N, S, L, C, R> {
    ports: P,
    networks: N,
    short_messages: S,
    long_messages: L,
    channels: C,
    routes: R,
}

impl<
    'b,
    const PORTS: usize,
    const NETWORKS: usize,
    const SHORT: usize,
    const LONG: usize,
    const LONG_LEN: usize,
    const CHANNELS: usize,
    const ROUTES: usize,
>
    RouterStorage<
        Ports<'b, PORTS>,
        Networks<NETWORKS>,
        ShortMessages<'b, SHORT>,
        LongMessages<'b, LONG, LONG_LEN>,
        Channels<'b, CHANNELS>,
        Routes<ROUTES>,
    >
{
    /// Empty storage.
    pub const fn new() -> Self {
        const {
            assert!(PORTS >= 1 && PORTS <= 255, "a router has 1 to 255 ports");
            assert!(
                NETWORKS >= 1 && NETWORKS <= 255,
                "a router has 1 to 255 networks"
            );
            assert!(
                SHORT <= 127,
                "a router has at most 127 short message buffers"
            );
            assert!(
                LONG >= 1 && LONG <= 127,
                "a router has 1 to 127 long message buffers"
            );
            assert!(
                LONG_LEN >= SHORT_MESSAGE_LEN,
                "a long message buffer has at least 256 bytes"
            );
            assert!(
                CHANNELS >= 1 && CHANNELS <= 255,
                "a router has 1 to 255 channels"
            );
            assert!(ROUTES <= 255, "a router has at most 255 routes");
        }
        Self {
            ports: Ports {
                ports: [const { Port::EMPTY }; PORTS],
                wakers: [const { PortWakers::NONE }; PORTS],
            },
            networks: Networks {
                endpoints: [const { Endpoint::NEW }; NETWORKS],
                routes: [[0; 256]; NETWORKS],
                newest: NO_REQUESTS,
            },
            short_messages: ShortMessages {
                slots: [const { None }; SHORT],
                buffers: [[0; SHORT_MESSAGE_LEN]; SHORT],
            },
            long_messages: LongMessages {
                slots: [const { None }; LONG],
                buffers: [[0; LONG_LEN]; LONG],
                unfinished: empty_buckets(),
            },
            channels: Channels {
                all: [const { Channel::Free }; CHANNELS],
                next: [ChannelId(0); CHANNELS],
                buckets: NO_CHANNELS,
                inboxes: [const { Inbox::EMPTY }; CHANNELS],
                wakers: [const { ChannelWakers::NONE }; CHANNELS],
            },
            routes: Routes {
                places: [const { None }; ROUTES],
            },
        }
    }
}

impl<
    'b,
    const PORTS: usize,
    const NETWORKS: usize,
    const SHORT: usize,
    const LONG: usize,
    const LONG_LEN: usize,
    const CHANNELS: usize,
    const ROUTES: usize,
> Default
    for RouterStorage<
        Ports<'b, PORTS>,
        Networks<NETWORKS>,
        ShortMessages<'b, SHORT>,
        LongMessages<'b, LONG, LONG_LEN>,
        Channels<'b, CHANNELS>,
        Routes<ROUTES>,
    >
{
    fn default() -> Self {
        Self::new()
    }
}

/// A [`RouterStorage`] of whatever capacities.
pub trait Storage<'b>: sealed::Storage<'b> {}

impl<'b, S: sealed::Storage<'b>> Storage<'b> for S {}

mod sealed {
    /// Hands out what the storage has.
    pub trait Storage<'b> {
        /// No message longer than `max_message_len` will be taken.
        fn parts(&'b mut self, max_message_len: usize) -> super::AllParts<'b>;
    }
}

/// The parts of a storage for the core, and the wakers of channels and ports for the shell.
#[derive(Debug)]
pub struct AllParts<'b> {
    pub(crate) core: Parts<'b>,
    pub(crate) channel_wakers: &'b mut [ChannelWakers],
    pub(crate) port_wakers: &'b mut [PortWakers],
}

impl<
    'b,
    const PORTS: usize,
    const NETWORKS: usize,
    const SHORT: usize,
    const LONG: usize,
    const LONG_LEN: usize,
    const CHANNELS: usize,
    const ROUTES: usize,
> sealed::Storage<'b>
    for RouterStorage<
        Ports<'b, PORTS>,
        Networks<NETWORKS>,
        ShortMessages<'b, SHORT>,
        LongMessages<'b, LONG, LONG_LEN>,
        Channels<'b, CHANNELS>,
        Routes<ROUTES>,
    >
{
    fn parts(&'b mut self, max_message_len: usize) -> AllParts<'b> {
        let Self {
            ports,
            networks,
            short_messages: short,
            long_messages: long,
            channels,
            routes,
        } = self;
        let mut slots = Slots::new(
            &mut channels.inboxes,
            &mut long.unfinished,
            max_message_len.min(LONG_LEN),
        );
        for (place, buffer) in short.slots.iter_mut().zip(&mut short.buffers) {
            slots.add(place, buffer, Kind::Short);
        }
        for (place, buffer) in long.slots.iter_mut().zip(&mut long.buffers) {
            slots.add(place, buffer, Kind::Long);
        }
        AllParts {
            core: Parts {
                ports: &mut ports.ports,
                endpoints: &mut networks.endpoints,
                slots,
                channels: ChannelTable::new(
                    &mut channels.all,
                    &mut channels.next,
                    &mut channels.buckets,
                ),
                newest: &mut networks.newest,
                routes: RoutingTable::new(&mut routes.places, &mut networks.routes),
            },
            channel_wakers: &mut channels.wakers,
            port_wakers: &mut ports.wakers,
        }
    }
}

impl<'b> RouterCore<'b> {
    /// A router in `storage`, without ports so far.
    pub fn new(storage: &'b mut impl Storage<'b>, config: &Config) -> Self {
        Self::from_parts(storage.parts(config.max_message_len).core, config)
    }
}

// What the documentation above says.
#[cfg(target_pointer_width = "32")]
const _: () = {
    const fn bytes<T>() -> usize {
        size_of::<T>()
    }
    assert!(bytes::<Ports<'static, 3>>() == 3 * 100);
    assert!(bytes::<Networks<3>>() == 256 + 3 * 280);
    assert!(bytes::<ShortMessages<'static, 3>>() == 3 * (256 + 60));
    assert!(bytes::<LongMessages<'static, 3, 4224>>() == 128 + 3 * (4224 + 60));
    assert!(bytes::<Channels<'static, 4>>() == 32 + 4 * 69);
    assert!(bytes::<Routes<3>>() == 3 * 20);
    assert!(bytes::<PortBuffers<'static, 512>>() == 2 * 512 + 528);
};
