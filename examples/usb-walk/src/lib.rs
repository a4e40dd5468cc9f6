#![doc = include_str!("../README.md")]

pub mod answer;
pub mod descriptors;
pub mod host;
pub mod mctp;
pub mod random;
pub mod usbip;
pub mod usbredir;
pub mod walk;
