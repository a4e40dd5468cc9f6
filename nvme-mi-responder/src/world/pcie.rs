//! PCI configuration space, memory and I/O space.

use core::task::Poll;

use crate::bytes;
use crate::model::{ControllerId, Vendor};

/// Which bytes of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PcieRange {
    /// Whose function.
    pub controller: ControllerId,
    /// In which space.
    pub space: PcieSpace,
    /// The first byte. In configuration space, the range is inside of its 4096 bytes.
    pub offset: u64,
    /// How many bytes.
    pub length: u16,
}

/// A space of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PcieSpace {
    /// Configuration space.
    Configuration,
    /// Memory behind this Base Address Register, 0 to 5.
    Memory(u8),
    /// I/O behind this Base Address Register, 0 to 5.
    Io(u8),
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PcieDirection {
    /// It is read.
    Read,
    /// It is written.
    Write,
}

/// Why a PCI function cannot be accessed. Each has a response status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PcieError {
    /// The function has no such space: Invalid Parameter at the Base Address Register.
    NoSuchSpace,
    /// The range is not inside of the space: Invalid Parameter at the offset.
    OutOfRange,
    /// The device does not allow it: Access Denied. Reading Base Address Registers, bytes 10h to
    /// 27h of configuration space, cannot be denied: a read of nothing else is done all the
    /// same.
    Denied,
    /// The link is down, or the function is in a state in which it does not answer: PCIe
    /// Inaccessible.
    Inaccessible,
}

/// The PCI functions behind the controllers.
pub trait PcieAccess {
    /// Whether memory can be read and written, too. Configuration space always can.
    fn supports_memory(&self) -> bool {
        false
    }

    /// Whether I/O space can be read and written, too.
    fn supports_io(&self) -> bool {
        false
    }

    /// Says whether `range` can be accessed, and does what takes time. `Pending`: called again,
    /// until it is ready. A ready `Ok` is followed at once by [`read`](Self::read) or
    /// [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// Why it cannot be accessed.
    fn prepare(
        &mut self,
        range: PcieRange,
        direction: PcieDirection,
    ) -> Poll<Result<(), PcieError>> {
        let _ = (range, direction);
        Poll::Ready(Err(PcieError::Inaccessible))
    }

    /// The longest that [`prepare`](Self::prepare) takes from its first call until it is ready, in
    /// milliseconds: what the requester is told to wait.
    fn longest_access(&self) -> u32 {
        super::TEN_MINUTES
    }

    /// Reads `range`. `data` has its length, and is zero.
    fn read(&mut self, range: PcieRange, data: &mut [u8]) {
        let _ = (range, data);
    }

    /// Writes `range`. `data` has its length.
    fn write(&mut self, range: PcieRange, data: &[u8]) {
        let _ = (range, data);
    }
}

/// Bytes of a configuration header.
const HEADER: usize = 64;

/// Configuration headers (type 0) of `CONTROLLERS` NVMe controllers, controllers 0 and up, kept in
/// memory: 64 bytes each. All other configuration space is zero and stays so. There is no memory
/// and no I/O.
///
/// Written are kept: command (04h), cache line size (0Ch), Base Address Registers (10h to 27h) and
/// interrupt line (3Ch).
#[derive(Clone, Copy, Debug)]
pub struct MemoryPcie<const CONTROLLERS: usize>([[u8; HEADER]; CONTROLLERS]);

impl<const CONTROLLERS: usize> MemoryPcie<CONTROLLERS> {
    /// Headers as after a reset, of functions with these IDs.
    pub fn new(vendor: &Vendor) -> Self {
        let mut header = [0; HEADER];
        bytes::put(&mut header, 0x00, &vendor.pci_vendor.to_le_bytes());
        bytes::put(&mut header, 0x02, &vendor.pci_device.to_le_bytes());
        // Mass storage, non-volatile memory, NVM Express.
        bytes::put(&mut header, 0x09, &[0x02, 0x08, 0x01]);
        // 64-bit memory.
        bytes::put(&mut header, 0x10, &[0x04]);
        bytes::put(
            &mut header,
            0x2C,
            &vendor.pci_subsystem_vendor.to_le_bytes(),
        );
        bytes::put(&mut header, 0x2E, &vendor.pci_subsystem.to_le_bytes());
        Self([header; CONTROLLERS])
    }

    fn header(&mut self, controller: ControllerId) -> Option<&mut [u8; HEADER]> {
        self.0.get_mut(usize::from(controller.0))
    }
}

impl<const CONTROLLERS: usize> PcieAccess for MemoryPcie<CONTROLLERS> {
    fn prepare(&mut self, range: PcieRange, _: PcieDirection) -> Poll<Result<(), PcieError>> {
        Poll::Ready(match range.space {
            PcieSpace::Configuration if self.header(range.controller).is_some() => Ok(()),
            PcieSpace::Configuration => Err(PcieError::Inaccessible),
            PcieSpace::Memory(_) | PcieSpace::Io(_) => Err(PcieError::NoSuchSpace),
        })
    }

    fn read(&mut self, range: PcieRange, data: &mut [u8]) {
        let Some(header) = self.header(range.controller) else {
            return;
        };
        let from = usize::try_from(range.offset).unwrap_or(usize::MAX);
        for (to, value) in data.iter_mut().zip(header.iter().skip(from)) {
            *to = *value;
        }
    }

    fn write(&mut self, range: PcieRange, data: &[u8]) {
        let Some(header) = self.header(range.controller) else {
            return;
        };
        let from = usize::try_from(range.offset).unwrap_or(usize::MAX);
        let places = header.iter_mut().enumerate().skip(from);
        for ((offset, place), value) in places.zip(data) {
            *place = match offset {
                0x04 | 0x05 | 0x0C | 0x14..=0x27 | 0x3C => *value,
                // What kind of memory it is stays.
                0x10 => *value & 0xF0 | *place & 0x0F,
                0x11..=0x13 => *value,
                _ => *place,
            };
        }
    }
}
