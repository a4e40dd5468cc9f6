//! What holds for the core and for the async router alike: each scenario is compiled, and run, with
//! the one as `crate::Device` and with the other.

mod control;
mod discards;
mod holding_back;
mod networks;
mod random_packets;
mod requests;
mod sending;
mod serving;
mod sessions;
mod sharing;
mod slow_senders;
mod superseded;
