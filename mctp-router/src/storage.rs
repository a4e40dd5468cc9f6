//! The memory of a router, in parts that its caller owns.

use crate::config::{Config, NetworkId, Route};
use crate::control::Endpoint;
use crate::router_core::{
    Buckets, Channel, ChannelBuckets, ChannelId, ChannelTable, Inbox, Kind, List, NO_CHANNELS,
    NO_REQUESTS, Newest, Parts, Port, RouteIndex, RouterCore, RoutingTable, SHORT_MESSAGE_LEN,
    SendQueue, Sender, Slot, Slots, empty_buckets, free_slots,
};
use crate::wakers::{ChannelWakers, PortWakers};

pub(crate) use self::sealed::AllParts;
use self::sealed::{ChannelPieces, Part};

pub use crate::router_core::{ForwardingBuffer, PortBuffers};

/// What a router keeps of each of `COUNT` ports beside its [buffers](PortBuffers).
#[derive(Debug)]
pub struct Ports<'b, const COUNT: usize> {
    ports: [Port<'b>; COUNT],
    wakers: [PortWakers; COUNT],
}

/// The networks that the ports are in: in each the device has an endpoint ID, a bus owner and
/// [routes](Routes) of its own.
#[derive(Debug)]
pub struct Networks<const COUNT: usize> {
    endpoints: [Endpoint; COUNT],
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
}

/// Listeners and open requests: each takes one of `COUNT` channels.
#[derive(Debug)]
pub struct Channels<'b, const COUNT: usize> {
    all: [Channel; COUNT],
    next: [ChannelId; COUNT],
    buckets: ChannelBuckets,
    inboxes: [Inbox<'b>; COUNT],
    unfinished: Buckets<'b>,
    send_queue: [Sender; COUNT],
    wakers: [ChannelWakers; COUNT],
}

/// Room for `COUNT` routes, of the first `NETWORKS` networks together. A network of one port to a
/// single neighbour needs none, and a device of such networks alone has `Routes<0, 0>`.
#[derive(Debug)]
pub struct Routes<const COUNT: usize, const NETWORKS: usize = 1> {
    places: [Option<(NetworkId, Route)>; COUNT],
    indexes: [RouteIndex; NETWORKS],
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
/// | [`Ports`] | 0 | 96 | 1 to 255 |
/// | [`Networks`] | 256 | 24 | 1 to 255 |
/// | [`ShortMessages`] | 0 | 256 + 56 | 0 to 127 |
/// | [`LongMessages`] | 0 | `LEN` + 56 | 1 to 127, of 256 or more bytes |
/// | [`Channels`] | 160 | 67 | 1 to 255 |
/// | [`Routes`] | 256 for each network | 16 | 0 to 255 |
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

impl<'b, P, N, S, L, C, R> RouterStorage<P, N, S, L, C, R>
where
    Self: Storage<'b>,
{
    /// Empty storage.
    pub const fn new() -> Self {
        Self::EMPTY
    }
}

impl<'b, P, N, S, L, C, R> Default for RouterStorage<P, N, S, L, C, R>
where
    Self: Storage<'b>,
{
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A [`RouterStorage`] of whatever capacities.
pub trait Storage<'b>: Sized {
    /// As it begins.
    const EMPTY: Self;

    /// No message longer than `max_message_len` will be taken.
    #[doc(hidden)]
    fn parts(&'b mut self, max_message_len: usize) -> AllParts<'b>;
}

mod sealed {
    use crate::router_core::{Buckets, ChannelTable, Inbox, Parts, SendQueue};
    use crate::wakers::{ChannelWakers, PortWakers};

    /// A part of a storage.
    pub trait Part<'b> {
        /// As it begins. A number outside of its range does not compile.
        const EMPTY: Self;
        /// What it has.
        type Pieces;
        /// No message longer than `max_message_len` will be taken.
        fn pieces(&'b mut self, max_message_len: usize) -> Self::Pieces;
    }

    /// The parts of a storage for the core, and the wakers of channels and ports for the shell.
    #[derive(Debug)]
    pub struct AllParts<'b> {
        pub(crate) core: Parts<'b>,
        pub(crate) channel_wakers: &'b mut [ChannelWakers],
        pub(crate) port_wakers: &'b mut [PortWakers],
    }

    /// What channels have.
    #[derive(Debug)]
    pub struct ChannelPieces<'b> {
        pub(crate) table: ChannelTable<'b>,
        pub(crate) inboxes: &'b mut [Inbox<'b>],
        pub(crate) unfinished: &'b mut Buckets<'b>,
        pub(crate) send_queue: SendQueue<'b>,
        pub(crate) wakers: &'b mut [ChannelWakers],
    }
}

impl<'b, P, N, S, L, C, R> Storage<'b> for RouterStorage<P, N, S, L, C, R>
where
    P: Part<'b, Pieces = (&'b mut [Port<'b>], &'b mut [PortWakers])>,
    N: Part<'b, Pieces = (&'b mut [Endpoint], &'b mut Newest)>,
    S: Part<'b, Pieces = List<'b>>,
    L: Part<'b, Pieces = (List<'b>, usize)>,
    C: Part<'b, Pieces = ChannelPieces<'b>>,
    R: Part<'b, Pieces = (&'b mut [Option<(NetworkId, Route)>], &'b mut [RouteIndex])>,
{
    const EMPTY: Self = Self {
        ports: P::EMPTY,
        networks: N::EMPTY,
        short_messages: S::EMPTY,
        long_messages: L::EMPTY,
        channels: C::EMPTY,
        routes: R::EMPTY,
    };

    fn parts(&'b mut self, max_message_len: usize) -> AllParts<'b> {
        let (ports, port_wakers) = self.ports.pieces(max_message_len);
        let (endpoints, newest) = self.networks.pieces(max_message_len);
        let short = self.short_messages.pieces(max_message_len);
        let (long, longest) = self.long_messages.pieces(max_message_len);
        let channels = self.channels.pieces(max_message_len);
        let (routes, indexes) = self.routes.pieces(max_message_len);
        AllParts {
            core: Parts {
                ports,
                endpoints,
                slots: Slots::new(channels.inboxes, channels.unfinished, short, long, longest),
                channels: channels.table,
                send_queue: channels.send_queue,
                newest,
                routes: RoutingTable::new(routes, indexes),
            },
            channel_wakers: channels.wakers,
            port_wakers,
        }
    }
}

impl<'b, const COUNT: usize> Part<'b> for Ports<'b, COUNT> {
    const EMPTY: Self = {
        assert!(COUNT >= 1 && COUNT <= 255, "a router has 1 to 255 ports");
        Self {
            ports: [const { Port::EMPTY }; COUNT],
            wakers: [const { PortWakers::NONE }; COUNT],
        }
    };
    type Pieces = (&'b mut [Port<'b>], &'b mut [PortWakers]);

    fn pieces(&'b mut self, _: usize) -> Self::Pieces {
        (&mut self.ports, &mut self.wakers)
    }
}

impl<'b, const COUNT: usize> Part<'b> for Networks<COUNT> {
    const EMPTY: Self = {
        assert!(COUNT >= 1 && COUNT <= 255, "a router has 1 to 255 networks");
        Self {
            endpoints: [const { Endpoint::NEW }; COUNT],
            newest: NO_REQUESTS,
        }
    };
    type Pieces = (&'b mut [Endpoint], &'b mut Newest);

    fn pieces(&'b mut self, _: usize) -> Self::Pieces {
        (&mut self.endpoints, &mut self.newest)
    }
}

impl<'b, const COUNT: usize> Part<'b> for ShortMessages<'b, COUNT> {
    const EMPTY: Self = {
        assert!(
            COUNT <= 127,
            "a router has at most 127 short message buffers"
        );
        Self {
            slots: [const { None }; COUNT],
            buffers: [[0; SHORT_MESSAGE_LEN]; COUNT],
        }
    };
    type Pieces = List<'b>;

    fn pieces(&'b mut self, max_message_len: usize) -> Self::Pieces {
        free_slots(
            &mut self.slots,
            &mut self.buffers,
            Kind::Short,
            max_message_len,
        )
    }
}

impl<'b, const COUNT: usize, const LEN: usize> Part<'b> for LongMessages<'b, COUNT, LEN> {
    const EMPTY: Self = {
        assert!(
            COUNT >= 1 && COUNT <= 127,
            "a router has 1 to 127 long message buffers"
        );
        assert!(
            LEN >= SHORT_MESSAGE_LEN,
            "a long message buffer has at least 256 bytes"
        );
        Self {
            slots: [const { None }; COUNT],
            buffers: [[0; LEN]; COUNT],
        }
    };
    /// With the length of the longest message that there is a buffer for.
    type Pieces = (List<'b>, usize);

    fn pieces(&'b mut self, max_message_len: usize) -> Self::Pieces {
        let free = free_slots(
            &mut self.slots,
            &mut self.buffers,
            Kind::Long,
            max_message_len,
        );
        (free, max_message_len.min(LEN))
    }
}

impl<'b, const COUNT: usize> Part<'b> for Channels<'b, COUNT> {
    const EMPTY: Self = {
        assert!(COUNT >= 1 && COUNT <= 255, "a router has 1 to 255 channels");
        Self {
            all: [const { Channel::Free }; COUNT],
            next: [ChannelId(0); COUNT],
            buckets: NO_CHANNELS,
            inboxes: [const { Inbox::EMPTY }; COUNT],
            unfinished: empty_buckets(),
            send_queue: [Sender::UNUSED; COUNT],
            wakers: [const { ChannelWakers::NONE }; COUNT],
        }
    };
    type Pieces = ChannelPieces<'b>;

    fn pieces(&'b mut self, _: usize) -> Self::Pieces {
        ChannelPieces {
            table: ChannelTable::new(&mut self.all, &mut self.next, &mut self.buckets),
            inboxes: &mut self.inboxes,
            unfinished: &mut self.unfinished,
            send_queue: SendQueue::new(&mut self.send_queue),
            wakers: &mut self.wakers,
        }
    }
}

impl<'b, const COUNT: usize, const NETWORKS: usize> Part<'b> for Routes<COUNT, NETWORKS> {
    const EMPTY: Self = {
        assert!(COUNT <= 255, "a router has at most 255 routes");
        assert!(NETWORKS <= 255, "a router has at most 255 networks");
        Self {
            places: [const { None }; COUNT],
            indexes: [[0; 256]; NETWORKS],
        }
    };
    type Pieces = (&'b mut [Option<(NetworkId, Route)>], &'b mut [RouteIndex]);

    fn pieces(&'b mut self, _: usize) -> Self::Pieces {
        (&mut self.places, &mut self.indexes)
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
    assert!(bytes::<Ports<'static, 3>>() == 3 * 96);
    assert!(bytes::<Networks<3>>() == 256 + 3 * 24);
    assert!(bytes::<ShortMessages<'static, 3>>() == 3 * (256 + 56));
    assert!(bytes::<LongMessages<'static, 3, 4224>>() == 3 * (4224 + 56));
    assert!(bytes::<Channels<'static, 4>>() == 160 + 4 * 67);
    assert!(bytes::<Routes<3, 2>>() == 2 * 256 + 3 * 16);
    assert!(bytes::<PortBuffers<'static, 512>>() == 2 * 512 + 488);
    // A two-wire port of the baseline transmission unit, in a network of its own with routes.
    assert!(bytes::<PortBuffers<'static, 80>>() + 96 + 24 + 256 <= 1024);
};
