//! The scenarios with the async router, [`Router`](mctp_router::Router), in a virtual world: tasks
//! are polled only when they were woken, so a missing wake fails a scenario.

mod scenarios;
mod support;

/// What the scenarios drive here.
type Device = support::async_router::AsyncRouter<false>;
