#![no_std]
#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod engine;
mod error;
mod inbox;
pub mod registers;
mod timing;
mod two_wire;

pub use error::WriteError;
pub use registers::Registers;
pub use timing::BusTiming;
pub use two_wire::{ControllerHalf, Halves, PeripheralStatus, TargetHalf, TwoWire};
