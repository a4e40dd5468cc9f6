//! The scenarios with the core alone, [`RouterCore`](mctp_router::RouterCore), in a loop.

mod scenarios;
mod support;

/// What the scenarios drive here.
type Device = support::sans_io::SansIo;
