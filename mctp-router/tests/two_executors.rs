//! The scenarios with the async router, [`Router`](mctp_router::Router), whose services and requests
//! are in an executor of lower priority than its links.

mod scenarios;
mod support;

/// What the scenarios drive here.
type Device = support::async_router::AsyncRouter<true>;
