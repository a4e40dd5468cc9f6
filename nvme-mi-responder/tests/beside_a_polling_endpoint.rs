//! All tests of the commands again, with a device that has a second management endpoint, of which somebody polls and
//! clears the health before every message: the first still reports all that changed.
#![allow(
    clippy::duplicate_mod,
    reason = "the same tests beside another endpoint"
)]

#[path = "admin.rs"]
mod admin;
#[path = "any_input.rs"]
mod any_input;
#[path = "any_order.rs"]
mod any_order;
#[path = "configuration.rs"]
mod configuration;
#[path = "control.rs"]
mod control;
#[path = "controller_reset.rs"]
mod controller_reset;
#[path = "data_structures.rs"]
mod data_structures;
#[path = "events.rs"]
mod events;
#[path = "features.rs"]
mod features;
#[path = "firmware.rs"]
mod firmware;
#[path = "framing.rs"]
mod framing;
#[path = "golden.rs"]
mod golden;
#[path = "health.rs"]
mod health;
#[path = "identify.rs"]
mod identify;
#[path = "known_mistakes.rs"]
mod known_mistakes;
#[path = "log_pages.rs"]
mod log_pages;
#[path = "media.rs"]
mod media;
#[path = "namespaces.rs"]
mod namespaces;
#[path = "openbmc.rs"]
mod openbmc;
#[path = "pcie.rs"]
mod pcie;
#[path = "security.rs"]
mod security;
#[path = "wire.rs"]
mod wire;
