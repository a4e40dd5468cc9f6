//! The reference device as a process on a PC, and in other people's tests.
//!
//! [`VirtualDevice`] is a device in a thread of its own, for a host in the same process. The other
//! modules are for programs that run on tokio already:
//!
//! - [`settings`]: what device there is to be.
//! - [`model_file`]: what the device manages, from a file.
//! - [`device`]: the reference device, assembled for a PC, with its cable in the caller's hand.
//! - [`connection`]: the byte streams on which a QEMU guest's USB bus, or a serial port, can be
//!   reached.
//! - [`identity`]: what tells devices from each other.
//! - [`usbredir`], [`serial`], [`i2c`]: the device on such a stream.
//! - [`topology`]: a bridge and the devices behind it, from a file.
//! - [`bridge`]: this bridge, assembled for a PC.
//! - [`two_wire_bus`]: a two-wire bus in this process, with these devices on it.
//! - [`usbip`]: the device for a Linux that attaches it by USB/IP.
//! - [`logger`]: the process's log, which is the device's.
//! - [`observer`]: what of the device's doings is logged and captured.
//! - [`pcap`]: what crosses the wire, as a file for Wireshark.

mod background_writer;
pub mod bridge;
pub mod connection;
pub mod device;
pub mod i2c;
pub mod identity;
mod in_process;
pub mod logger;
pub mod model_file;
pub mod observer;
pub mod pcap;
mod records;
pub mod serial;
pub mod settings;
mod slow_firmware;
mod stream_filter;
pub mod topology;
pub mod two_wire_bus;
pub mod usbip;
pub mod usbredir;
mod wire;

pub use in_process::{ByteStream, StartError, VirtualDevice, VirtualLineDevice};
pub use settings::{BufferCount, DeviceSettings};
pub use slow_firmware::FirmwareTimes;
