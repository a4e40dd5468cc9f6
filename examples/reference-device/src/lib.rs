#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "bench")]
mod bench;
mod device;
#[cfg(feature = "log")]
mod event_log;
mod frequency;
mod identity;
mod link;
#[cfg(feature = "firmware-log")]
mod logged_firmware;
mod management;
mod observer;
#[cfg(feature = "serial-log")]
mod serial_log;
mod services;
mod telemetry;

#[cfg(feature = "bench")]
pub use bench::{BENCH_CHANNELS, Benchmark};
pub use device::{Assembly, NETWORK, Options, PORT, assemble, router};
#[cfg(feature = "log")]
pub use event_log::{EventLog, Hex};
pub use frequency::{FollowingStatus, LinkFrequency};
pub use identity::{Identity, SerialNumber, uuid_from_unique_id};
pub use link::{Link, LinkMemory, MCTP_DESCRIPTORS};
#[cfg(feature = "firmware-log")]
pub use logged_firmware::LoggedFirmware;
pub use management::{
    DefaultSubsystem, DefaultWorld, LinkWatch, MANAGEMENT_PORT, ManagementLink, TWO_WIRE_PORT,
    TwoNetworkSubsystem, default_firmware, default_fru, default_subsystem, default_vpd,
    default_world, two_network_subsystem,
};
#[cfg(feature = "bench")]
pub use mctp_bench::{Sent, Statistics};
pub use mctp_router::{Clock, Event, Instant, LINUX_TAG_LIFETIME, Router, RouterStorage, storage};
pub use mctp_transport::DropCounters;
pub use mctp_usb::Version;
pub use observer::{Direction, Observed, Observer};
#[cfg(feature = "serial-log")]
pub use serial_log::{SERIAL_DESCRIPTORS, SerialMemory, SerialPort};
pub use services::{ECHO_CHANNELS, MANAGE_CHANNELS, echo, manage, report_events};
pub use telemetry::TextTelemetry;
