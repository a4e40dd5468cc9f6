#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_debug_implementations)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod bus_owner;
mod clock;
mod config;
mod control;
pub mod requester;
mod router_core;
mod service;
mod shell;
pub mod storage;
mod wakers;
pub mod wire;

pub use crate::router_core::{
    AddPortError, ChannelId, ForwardError, ForwardedPacket, ForwardingFilter, LentMessage,
    ListenError, OpenError, Origin, Outbound, Outgoing, Progress, Receipt, RouterCore,
    SHORT_MESSAGE_LEN, SendFailure, Target, Wakes,
};
pub use config::{
    BusOwner, Config, Event, LINUX_TAG_LIFETIME, NetworkId, PortConfig, PortId, Route, RouteOrigin,
};
pub use control::{
    AddBridgeError, BridgeConfig, BridgeMemory, BridgeMemoryInRam, BridgePort, BridgeStorage,
    SavedAssignment, SavedNeighbour, TransportCommands, TransportRequest,
};
pub use mctp_time::{Clock, Instant};
pub use service::Service;
pub use shell::{Listener, Message, Receive, RequestChannel, Responder, Router};
pub use storage::RouterStorage;
pub use wire::Vendor;
