//! The hardware of QEMU's `mps2-an500`, as far as the programs of this folder use it: an emulated
//! Cortex-M7 with 32 interrupts and ARM's Cortex-M System Design Kit (CMSDK) peripherals, at 25
//! MHz.
//!
//! | module | has |
//! |-|-|
//! | [`registers`] | the registers, and all `unsafe` that it takes to have them |
//! | [`interrupts`] | the vector table and priorities |
//! | [`uart`] | UARTs as asynchronous byte streams |
//! | [`stack`] | what catches a stack overflow |
//! | [`time`] | embassy's clock |

//!
//! It has the memory functions of [`nucleo-h7s3`](../nucleo-h7s3) as well.

#![no_std]

#[path = "../../nucleo-h7s3/src/memory_functions.rs"]
mod memory_functions;

pub mod interrupts;
pub mod registers;
pub mod stack;
pub mod time;
pub mod uart;
