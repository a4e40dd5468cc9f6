//! The reference device as a PC process, and a host in the same process to try it with.
//!
//! - [`cli`]: the command line, checked.
//! - [`settings`]: what device there is to be.
//! - [`device`]: the reference device, assembled for a PC.
//! - [`model_file`]: what the device manages, from a file.
//! - [`host`]: what is at the other end of the cable: USB host, MCTP bus owner, requester.
//! - [`demo`]: both, joined by a bus in memory.
//! - [`connection`]: the byte streams on which a QEMU guest's USB bus, or a serial port, can be
//!   reached.
//! - [`identity`]: what tells devices from each other.
//! - [`logger`]: the program's log, which is the device's.
//! - [`usbredir`], [`serial`], [`i2c`]: the device on such a stream, until
//!   [interrupted](interrupt).
//! - [`usbip`]: the device for a Linux that attaches it by USB/IP.
//! - [`wire`], [`records`]: a stream that comes and goes, and the writes of an I2C bus on it.
//! - [`slow_firmware`]: firmware slots that take their time.
//! - [`waker`]: what runs the device as one task of tokio.
//! - [`observer`]: what of the device's doings is logged and captured.
//! - [`pcap`]: what crosses the wire, as a file for Wireshark.
//! - [`background_writer`]: files that the device must not wait for.

pub mod background_writer;
pub mod cli;
pub mod clock;
pub mod connection;
pub mod demo;
pub mod device;
pub mod host;
pub mod i2c;
pub mod identity;
pub mod interrupt;
pub mod logger;
pub mod model_file;
pub mod observer;
pub mod pcap;
pub mod records;
pub mod serial;
pub mod settings;
pub mod slow_firmware;
mod stream_filter;
pub mod usbip;
pub mod usbredir;
pub mod waker;
pub mod wire;
