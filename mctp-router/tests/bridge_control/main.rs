//! The control plane of a bridge and of a bus owner (DSP0236 1.3.3, sections 9 and 12), byte for
//! byte.

#[path = "../support/mod.rs"]
mod support;

mod allocation;
mod assignment;
mod commands;
mod device;
mod discovery;
mod downstream;
mod lookup;
mod memory;
mod neighbour;
mod routing;
