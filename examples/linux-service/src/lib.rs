#![doc = include_str!("../README.md")]

#[cfg(target_os = "linux")]
mod adapter;

#[cfg(target_os = "linux")]
pub use adapter::{LinuxListener, LinuxRequest, LinuxResponse};
