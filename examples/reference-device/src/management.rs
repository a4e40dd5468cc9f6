//! The NVM subsystem that the device manages over NVMe-MI.

use core::cell::{Cell, RefCell};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use mctp_transport::{DropCounters, DropReason};
use nvme_mi_responder::world::{
    Effects, FirmwareStore, HealthReport, MemoryFirmware, MemoryMedia, MemoryPcie, MemoryReset,
    MemoryVpd, Parts, SecurityInformation,
};
use nvme_mi_responder::{
    ControllerConfig, Crc32c, Identity, LinkWidth, ModelError, NamespaceId, PciAddress, PciePort,
    PortConfig, PortId, PortKind, Responder, SmbusFrequency, SoftwareCrc32c, Subsystem,
    TransportError, TransportErrors, TwoWirePort, Vendor, vendor_from_build,
};

/// Who made the device, from the build environment; see [`vendor_from_build!`].
const VENDOR: Vendor = vendor_from_build!();

/// The ports of the default model.
const PORTS: [PortConfig; 2] = [
    PortConfig {
        kind: PortKind::Pcie(PciePort {
            generation: 4,
            width: LinkWidth::X4,
            link: Some(4),
            payload_exponent: 1,
            number: 0,
        }),
        max_transmission_unit: 64,
    },
    PortConfig {
        kind: PortKind::TwoWire(TwoWirePort {
            vpd_address: 0x53,
            vpd_frequency: Some(SmbusFrequency::Khz400),
            endpoint_address: 0x1D,
            frequency: SmbusFrequency::Mhz1,
            basic_management: false,
        }),
        max_transmission_unit: 250,
    },
];
const PCIE_PORT: PortId = PortId(0);
/// The namespace of the default model that is attached to both controllers.
const SHARED_NAMESPACE: NamespaceId = NamespaceId(1);

/// The two-wire port of the default model, where the management endpoint is.
pub const MANAGEMENT_PORT: PortId = PortId(1);

/// Bytes of the longest NVMe-MI message, message type not counted.
pub const MANAGEMENT_BUFFER: usize = nvme_mi_responder::MAX_MESSAGE_LENGTH - 1;

/// What [`manage`](crate::manage) serves as NVMe-MI.
pub struct Management<'d, W> {
    /// Answers for the subsystem, such as for a [`default_subsystem`] in a [`default_world`].
    pub responder: Responder<'d, W>,
    /// The port of the subsystem whose transmission unit is that of the USB link.
    pub port: PortId,
    /// Where changes of it come from: the one that the responder's world has.
    pub unit_changes: &'d UnitChanges,
    /// Takes the request that is to be answered next.
    pub buffer: &'d mut [u8; MANAGEMENT_BUFFER],
}

/// Two ports, two controllers, four namespaces.
pub type DefaultSubsystem<'i> = Subsystem<'i, 2, 2, 4>;

/// What is around a [`default_subsystem`] with firmware store `F`, and what computes its integrity
/// checks.
pub type DefaultWorld<'w, F, C = SoftwareCrc32c> = Parts<
    HealthReport,
    F,
    MemoryVpd<256>,
    MemoryReset,
    &'w UnitChanges,
    SecurityInformation,
    MemoryMedia,
    MemoryPcie<2>,
    C,
>;

/// The default model.
///
/// | part | is |
/// |-|-|
/// | port 0 | PCIe Gen4 x4, link up |
/// | port 1 | two-wire, address 1Dh, transmission unit up to 250, up to 1 MHz; the management endpoint |
/// | controllers 0 and 1 | functions of one PCI device on port 0 |
/// | namespace 1 | 2,097,152 blocks of 512 bytes, attached to both |
/// | namespace 2 | 1,048,576 blocks of 512 bytes, attached to none |
/// | namespaces 3 and 4 | may be created |
/// | capacity | 4 GiB |
///
/// # Errors
///
/// When `serial_number` has more than 20 characters, or others than printable ASCII.
pub fn default_subsystem(serial_number: &str) -> Result<DefaultSubsystem<'_>, ModelError> {
    let mut subsystem = Subsystem::new(Identity {
        serial_number,
        model_number: "Reference NVM subsystem",
        firmware_revision: "REF00001",
        qualified_name: "nqn.2014-08.com.example:reference-device",
        capacity: 4 << 30,
        vendor: VENDOR,
    })?;
    let mut model = subsystem.model();
    for port in &PORTS {
        model.add_port(*port)?;
    }
    for blocks in [2_097_152, 1_048_576] {
        model.add_namespace(blocks)?;
    }
    for function in 0..2 {
        let address = Some(PciAddress {
            bus: 1,
            device: 0,
            function,
        });
        let controller = model.add_controller(
            PCIE_PORT,
            ControllerConfig {
                address,
                ..ControllerConfig::default()
            },
        )?;
        model.attach_namespace(SHARED_NAMESPACE, controller)?;
    }
    model.allow_namespace_management();
    Ok(subsystem)
}

/// Three firmware slots in `memory`, which is parted in four: one area for each slot and one for
/// what is downloaded. Slot 1 is read-only and active with revision `REF00001`, slot 2 has
/// `REF00002`, slot 3 is empty; images can be activated without a reset.
///
/// Without memory there are no downloads.
pub fn default_firmware(memory: &mut [u8]) -> MemoryFirmware<'_, 3> {
    MemoryFirmware::new(memory, [Some(*b"REF00001"), Some(*b"REF00002"), None])
        .with_read_only_first_slot()
        .with_immediate_activation()
}

/// Firmware in `store`, everything else in memory: healthy at 303 K, blank VPD, resets, format,
/// sanitize and self-test of media that are not there, the security protocol that says which others
/// there are (none), and PCI configuration spaces.
pub fn default_world<F: FirmwareStore>(
    store: F,
    unit_changes: &UnitChanges,
) -> DefaultWorld<'_, F> {
    default_world_with_crc(store, unit_changes, SoftwareCrc32c)
}

/// A [`default_world`] whose integrity checks are computed by `crc`, such as a CRC unit.
pub fn default_world_with_crc<F: FirmwareStore, C: Crc32c>(
    store: F,
    unit_changes: &UnitChanges,
    crc: C,
) -> DefaultWorld<'_, F, C> {
    Parts::new(HealthReport::healthy())
        .with_firmware(store)
        .with_vpd(MemoryVpd::new([0xFF; 256]))
        .with_reset(MemoryReset::default())
        .with_effects(unit_changes)
        .with_security(SecurityInformation)
        .with_media(MemoryMedia::new())
        .with_pcie(MemoryPcie::new(&VENDOR))
        .with_crc(crc)
}

/// Passes a new transmission unit from the subsystem on to the USB link, and what goes wrong there
/// on to the subsystem.
#[derive(Default)]
pub struct UnitChanges {
    unit: Signal<NoopRawMutex, u16>,
    /// The port whose unit is that of the link.
    port: Cell<Option<PortId>>,
    /// Not asked for yet.
    errors: Cell<TransportErrors>,
    /// The drops that are in the errors, or were.
    drops: RefCell<DropCounters>,
}

impl UnitChanges {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            unit: Signal::new(),
            port: Cell::new(None),
            errors: Cell::new(TransportErrors::NONE),
            drops: RefCell::new(DropCounters::new()),
        }
    }

    /// From now on, the changes are those of `port`.
    pub(crate) fn follow(&self, port: PortId) {
        self.port.set(Some(port));
    }

    /// The next change of the transmission unit, in bytes.
    pub(crate) fn next(&self) -> impl Future<Output = u16> {
        self.unit.wait()
    }

    /// Takes note of what was dropped since the last time.
    pub(crate) fn note_drops(&self, drops: DropCounters) {
        // Nobody else has it: it is borrowed here alone.
        let Ok(mut before) = self.drops.try_borrow_mut() else {
            return;
        };
        for (reason, error) in &ERRORS {
            if drops.of(*reason) != before.of(*reason) {
                self.errors.set(self.errors.get().with(*error));
            }
        }
        *before = drops;
    }
}

/// The errors of Get State behind which are reasons of the router.
const ERRORS: [(DropReason, TransportError); 11] = [
    (DropReason::AssemblyTimeout, TransportError::Timeout),
    (
        DropReason::UnsupportedTransmissionUnit,
        TransportError::UnsupportedUnit,
    ),
    (
        DropReason::UnsupportedHeaderVersion,
        TransportError::HeaderVersion,
    ),
    (
        DropReason::NotOurDestination,
        TransportError::UnknownDestination,
    ),
    (
        DropReason::UnroutableDestination,
        TransportError::UnknownDestination,
    ),
    (
        DropReason::PacketSizeMismatch,
        TransportError::IncorrectUnit,
    ),
    (
        DropReason::MiddleWithoutStart,
        TransportError::UnexpectedMiddle,
    ),
    (DropReason::OutOfSequence, TransportError::OutOfSequence),
    (DropReason::UnexpectedResponse, TransportError::MessageTag),
    (DropReason::BadLinkIntegrity, TransportError::PhysicalLayer),
    (DropReason::Truncated, TransportError::PhysicalLayer),
];

impl Effects for &UnitChanges {
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        if self.port.get() == Some(port) {
            self.unit.signal(unit);
        }
    }

    fn take_errors(&mut self) -> TransportErrors {
        self.errors.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts `reason`, and returns what Get State is told.
    fn errors_after(changes: &UnitChanges, drops: &mut DropCounters, reason: DropReason) -> u16 {
        drops.count(reason);
        changes.note_drops(drops.clone());
        let mut world = changes;
        let errors = world.take_errors();
        assert_eq!(world.take_errors(), TransportErrors::NONE);
        let bits = ERRORS.map(|(_, error)| error).into_iter();
        let set = bits.filter(|error| errors.with(*error) == errors);
        set.fold(0, |bits, error| bits | 1 << error as u8)
    }

    #[test]
    fn each_drop_is_told_to_get_state_once_as_what_it_is() {
        let changes = UnitChanges::new();
        let mut drops = DropCounters::new();
        for (reason, bit) in [
            (DropReason::AssemblyTimeout, 5),
            (DropReason::UnsupportedTransmissionUnit, 6),
            (DropReason::UnsupportedHeaderVersion, 7),
            (DropReason::NotOurDestination, 8),
            (DropReason::UnroutableDestination, 8),
            (DropReason::PacketSizeMismatch, 9),
            (DropReason::MiddleWithoutStart, 10),
            (DropReason::OutOfSequence, 11),
            (DropReason::UnexpectedResponse, 12),
            (DropReason::BadLinkIntegrity, 13),
            (DropReason::Truncated, 13),
        ] {
            assert_eq!(
                errors_after(&changes, &mut drops, reason),
                1 << bit,
                "{reason:?}"
            );
        }
    }

    #[test]
    fn what_is_dropped_for_want_of_memory_is_no_error_of_the_transport() {
        let changes = UnitChanges::new();
        let mut drops = DropCounters::new();
        for reason in [DropReason::NoMessageBuffer, DropReason::SendTimeout] {
            assert_eq!(errors_after(&changes, &mut drops, reason), 0);
        }
    }

    #[test]
    fn only_the_transmission_unit_of_the_followed_port_is_passed_on() {
        let changes = UnitChanges::new();
        changes.follow(PortId(1));
        let mut world = &changes;
        world.transmission_unit_changed(PortId(1), 64);
        world.transmission_unit_changed(PortId(2), 128);
        assert_eq!(changes.unit.try_take(), Some(64));
    }
}
