//! Asynchronous events: their lists and their message (NVMe-MI 2.0, sections 4.4 and 5.2.4; not in
//! 1.2).
//!
//! The requester sends an AE Enable List in [Configuration Set](super::SetAsynchronousEvents), and
//! reads an AE Supported List from [Configuration Get](super::ConfigurationGet). The responder
//! sends an [`EventMessage`], which carries an occurrence list.
//!
//! ```
//! use nvme_mi_responder::wire::{EventEntry, EventId, EventListHeader, SetAsynchronousEvents};
//! use nvme_mi_responder::wire::{ConfigurationIdentifier, ManagementRequest};
//! use zerocopy::IntoBytes;
//!
//! // Enable event 06h: send a message again after 10 s, collect events for 1 s.
//! let mut command = SetAsynchronousEvents::default();
//! command.identifier = ConfigurationIdentifier::ASYNCHRONOUS_EVENT;
//! command.retry_delay = 100;
//! command.delay = 1;
//! let request = ManagementRequest::new(0, command);
//! let list = EventListHeader::new(1);
//! let entry = EventEntry::new(EventId::COMPOSITE_TEMPERATURE, true);
//! assert_eq!(request.as_bytes()[7..11], [0x04, 100, 1, 0]);
//! assert_eq!(list.as_bytes(), [1, 0, 8, 0, 5]);
//! assert_eq!(entry.as_bytes(), [3, 6, 0x80]);
//! ```

use zerocopy::little_endian::{U16, U32};

use super::RequestHeader;
use super::layout::{values, wire};

values! {
    /// An Asynchronous Event identifier (NVMe-MI 2.0, section 4.4). Values from C0h are the
    /// vendor's, others without a name are reserved.
    pub struct EventId(u8) {
        /// Controller ready.
        CONTROLLER_READY = 0x00,
        /// Controller fatal status.
        CONTROLLER_FATAL_STATUS = 0x01,
        /// Shutdown status. Information: bits 1:0 shutdown status, bit 2 shutdown type.
        SHUTDOWN_STATUS = 0x02,
        /// Controller enable.
        CONTROLLER_ENABLE = 0x03,
        /// Namespace attribute changed.
        NAMESPACE_ATTRIBUTE_CHANGED = 0x04,
        /// Firmware activated. Information: bits 2:0 the active slot, bits 6:4 the slot that is
        /// active after the next reset.
        FIRMWARE_ACTIVATED = 0x05,
        /// Composite temperature. Information: as CTEMP of
        /// [`SubsystemHealth`](super::SubsystemHealth).
        COMPOSITE_TEMPERATURE = 0x06,
        /// Percentage drive life used. Information: the largest of all controllers.
        PERCENTAGE_USED = 0x07,
        /// Available spare. Information: the smallest of all controllers in percent.
        AVAILABLE_SPARE = 0x08,
        /// SMART warnings. Information: as SW of [`SubsystemHealth`](super::SubsystemHealth).
        SMART_WARNINGS = 0x09,
        /// Telemetry controller-initiated data available.
        TELEMETRY_AVAILABLE = 0x0A,
        /// PCIe link active: a link came up or went down.
        PCIE_LINK_ACTIVE = 0x0B,
        /// Sanitize failure mode.
        SANITIZE_FAILURE = 0x0C,
        /// Sanitize failure mode of a namespace (2.1).
        NAMESPACE_SANITIZE_FAILURE = 0x0D,
        /// Power threshold (2.1).
        POWER_THRESHOLD = 0x0E,
    }

    /// AESS, whose event an occurrence is (NVMe-MI 2.0, section 4.4). Others are reserved.
    pub struct EventScope(u8) {
        /// A namespace; the scope identifier is its ID.
        NAMESPACE = 0x0,
        /// A controller; the scope identifier is its ID.
        CONTROLLER = 0x1,
        /// The NVM subsystem.
        SUBSYSTEM = 0x2,
        /// The Management Endpoint.
        ENDPOINT = 0x3,
        /// A port; the scope identifier is its ID.
        PORT = 0x4,
        /// An endurance group; the scope identifier is its ID.
        ENDURANCE_GROUP = 0x5,
    }
}

wire! {
    /// The header of an AE Supported List, which Configuration Get returns (NVMe-MI 2.0, Figure
    /// 82), and of an AE Enable List, which Configuration Set takes (NVMe-MI 2.0, Figure 92).
    ///
    /// An [`EventEntry`] for each event follows from byte 5.
    pub struct EventListHeader: 5 {
        /// NUMAES or NUMAEE, number of entries.
        0 pub count: u8,
        /// AESLVER or AEELVER, version of the list: 0.
        1 pub version: u8,
        /// AEST or AEETL, total length of the list in bytes, with this header.
        3:2 pub total_length: U16,
        /// AESLHL or AEELHL, length of this header in bytes: 5.
        4 pub header_length: u8,
    }

    /// An entry of these lists (NVMe-MI 2.0, Figures 83 and 93).
    pub struct EventEntry: 3 {
        /// AESL or AEEL, length of the entry in bytes: 3.
        0 pub length: u8,
        /// AESI or AEEI: bits 7:0 the [event](EventId), bits 14:8 reserved, bit 15 the event is
        /// enabled, or is to be enabled.
        2:1 pub event: U16,
    }

    /// The beginning of an Asynchronous Event Message: its header (NVMe-MI 2.0, section 4.1.3).
    ///
    /// NMIMT is [ASYNCHRONOUS_EVENT](super::MessageKind::ASYNCHRONOUS_EVENT), ROR and CSI are 0.
    /// The rest of the message is an occurrence list, which counts its bytes from its own first
    /// one.
    pub struct EventMessage: 10 from 1 {
        /// The message header: 28h, 00h, 00h.
        3:1 pub header: RequestHeader,
        /// The header of the occurrence list.
        10:4 pub list: OccurrenceListHeader,
    }

    /// The header of an occurrence list, in an Asynchronous Event Message and in the response to
    /// Configuration Set (NVMe-MI 2.0, section 4.4).
    ///
    /// An [`Occurrence`] for each event follows from byte 7.
    pub struct OccurrenceListHeader: 7 {
        /// NUMAEO, number of occurrences.
        0 pub count: u8,
        /// AELVER, version of the list: 0.
        1 pub version: u8,
        /// AEOLLI, list length information: bits 22:0 AEOLTL, total length of the list in bytes,
        /// with this header; bit 23 overflow, there were more occurrences than have room.
        4:2 pub length_information: [u8; 3],
        /// AEOLHL, length of this header in bytes: 7.
        5 pub header_length: u8,
        /// AEMTI, transmission information: bits 2:0 retry count, how often the message was sent
        /// before; bits 7:3 AEMGN, generation number of the message.
        6 pub transmission_information: u8,
    }

    /// An occurrence of an event (NVMe-MI 2.0, section 4.4).
    ///
    /// Its information follows from byte 9, then the vendor's.
    pub struct Occurrence: 9 {
        /// AELHLEN, bytes before the information: 9.
        0 pub header_length: u8,
        /// AEOSIL, bytes of information.
        1 pub information_length: u8,
        /// AEOVSIL, bytes of the vendor's information.
        2 pub vendor_information_length: u8,
        /// AEOI, the event.
        3 pub event: EventId,
        /// AEOCIDI, scope identifier: which one it is of those in the scope.
        7:4 pub scope_id: U32,
        /// AESSI: bits 3:0 AESS, the [scope](EventScope); bits 7:4 reserved.
        8 pub scope: u8,
    }
}

impl EventListHeader {
    /// The header of a list of `count` entries.
    pub const fn new(count: u8) -> Self {
        let entries = (count as u16).wrapping_mul(size_of::<EventEntry>() as u16);
        Self {
            count,
            version: 0,
            total_length: U16::new(entries.wrapping_add(size_of::<Self>() as u16)),
            header_length: size_of::<Self>() as u8,
        }
    }
}

impl EventEntry {
    /// In `event`: the event is enabled, or is to be enabled.
    pub const ENABLED: u16 = 1 << 15;

    /// The entry of `event`.
    pub const fn new(event: EventId, enabled: bool) -> Self {
        Self {
            length: size_of::<Self>() as u8,
            event: U16::new(event.0 as u16 | (enabled as u16) << 15),
        }
    }

    /// The event that the entry is about.
    pub const fn id(self) -> EventId {
        EventId(self.event.get() as u8)
    }

    /// Whether it is enabled, or is to be enabled.
    pub const fn is_enabled(self) -> bool {
        self.event.get() & Self::ENABLED != 0
    }
}

impl OccurrenceListHeader {
    /// The header of a list of `count` occurrences that has `total_length` bytes, this header
    /// included.
    pub const fn new(count: u8, total_length: u16, overflow: bool) -> Self {
        let [low, high] = total_length.to_le_bytes();
        Self {
            count,
            version: 0,
            length_information: [low, high, (overflow as u8) << 7],
            header_length: size_of::<Self>() as u8,
            transmission_information: 0,
        }
    }

    /// AEOLTL, total length of the list in bytes.
    pub const fn total_length(self) -> u32 {
        let [low, middle, high] = self.length_information;
        u32::from_le_bytes([low, middle, high & 0x7F, 0])
    }

    /// Whether there were more occurrences than have room.
    pub const fn has_overflowed(self) -> bool {
        self.length_information[2] & 0x80 != 0
    }

    /// The retry count: how often the message was sent before.
    pub const fn retry_count(self) -> u8 {
        self.transmission_information & 7
    }

    /// AEMGN, the generation number of the message: 0 to 31.
    pub const fn generation(self) -> u8 {
        self.transmission_information >> 3
    }
}
