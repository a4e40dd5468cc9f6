//! The NVM subsystem that the device manages over NVMe-MI.

use core::cell::Cell;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use mctp_i2c::BusFrequency;
use mctp_router::{Event, NetworkId};
use mctp_transport::{DropCounters, DropReason};
use nvme_mi_responder::wire::NvmeMultiRecord;
use nvme_mi_responder::world::{
    Effects, FirmwareStore, Fru, FruError, Health, HealthReport, Media, MemoryFirmware,
    MemoryMedia, MemoryPcie, MemoryReset, MemoryVpd, PcieAccess, ResetHook, SecurityInformation,
    SecurityProtocols, Telemetry, VpdStore, World,
};
use nvme_mi_responder::{
    ControllerConfig, Crc32c, Identity, LinkWidth, ModelError, NamespaceId, PciAddress, PciePort,
    PortConfig, PortId, PortKind, SmbusFrequency, SoftwareCrc32c, Subsystem, TransportError,
    TransportErrors, TwoWirePort, Vendor, vendor_from_build,
};

use crate::device::{NETWORK, PORT};
use crate::frequency::LinkFrequency;
use crate::observer::{Direction, Observer};
use crate::telemetry::TextTelemetry;

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
/// VPD of a memory that was never written.
const BLANK_VPD: [u8; 256] = [0xFF; 256];
const PCIE_PORT: PortId = PortId(0);
/// The namespace of the default model that is attached to both controllers.
const SHARED_NAMESPACE: NamespaceId = NamespaceId(1);

/// The two-wire port of the default model, where the management endpoint is.
pub const MANAGEMENT_PORT: PortId = PortId(1);

/// Two ports, two controllers, four namespaces.
pub type DefaultSubsystem<'i> = Subsystem<'i, 2, 2, 4>;

/// The port with the second management endpoint of a [`two_network_subsystem`].
pub const TWO_WIRE_PORT: PortId = PortId(2);

/// Three ports, two controllers, four namespaces.
pub type TwoNetworkSubsystem<'i> = Subsystem<'i, 3, 2, 4>;

/// What is around a [`default_subsystem`]: firmware in a store `F`, integrity checks by `C`, the PCI
/// functions of so many controllers, Vital Product Data in `V`, and so many links beside the first.
#[derive(Debug)]
pub struct DefaultWorld<
    'w,
    F,
    C = SoftwareCrc32c,
    const CONTROLLERS: usize = 2,
    V = MemoryVpd<256>,
    const FURTHER_LINKS: usize = 0,
> {
    /// Of all controllers.
    pub health: HealthReport,
    /// Firmware slots, if there are any.
    pub firmware: Option<F>,
    /// Vital Product Data.
    pub vpd: V,
    /// What resets there were.
    pub reset: MemoryReset,
    /// What changes of the management port's settings are told to.
    pub link: &'w ManagementLink,
    /// The same for the ports of further management endpoints. Each link follows its own port.
    pub further_links: [&'w ManagementLink; FURTHER_LINKS],
    /// The security protocol that says which others there are: none.
    pub security: SecurityInformation,
    /// Format, sanitize and self-test of media that are not there.
    pub media: MemoryMedia,
    /// PCI configuration spaces.
    pub pcie: MemoryPcie<CONTROLLERS>,
    /// Text in place of telemetry.
    pub telemetry: TextTelemetry,
    /// Computes integrity checks, as a CRC unit does.
    pub crc: C,
}

impl<F: FirmwareStore, C: Crc32c, const CONTROLLERS: usize, V: VpdStore, const FURTHER_LINKS: usize>
    World for DefaultWorld<'_, F, C, CONTROLLERS, V, FURTHER_LINKS>
{
    fn health(&mut self) -> &mut dyn Health {
        &mut self.health
    }
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        self.crc.crc32c(parts)
    }
    fn firmware(&mut self) -> Option<&mut dyn FirmwareStore> {
        self.firmware.as_mut().map(|store| store as _)
    }
    fn vpd(&mut self) -> Option<&mut dyn VpdStore> {
        Some(&mut self.vpd)
    }
    fn reset(&mut self) -> Option<&mut dyn ResetHook> {
        Some(&mut self.reset)
    }
    fn effects(&mut self) -> Option<&mut dyn Effects> {
        Some(self)
    }
    fn security(&mut self) -> Option<&mut dyn SecurityProtocols> {
        Some(&mut self.security)
    }
    fn media(&mut self) -> Option<&mut dyn Media> {
        Some(&mut self.media)
    }
    fn pcie(&mut self) -> Option<&mut dyn PcieAccess> {
        Some(&mut self.pcie)
    }
    fn telemetry(&mut self) -> Option<&mut dyn Telemetry> {
        Some(&mut self.telemetry)
    }
}

impl<'w, F, C, const CONTROLLERS: usize, V> DefaultWorld<'w, F, C, CONTROLLERS, V> {
    /// The same with links of further management endpoints.
    pub fn with_further_links<const FURTHER_LINKS: usize>(
        self,
        further_links: [&'w ManagementLink; FURTHER_LINKS],
    ) -> DefaultWorld<'w, F, C, CONTROLLERS, V, FURTHER_LINKS> {
        DefaultWorld {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset: self.reset,
            link: self.link,
            further_links,
            security: self.security,
            media: self.media,
            pcie: self.pcie,
            telemetry: self.telemetry,
            crc: self.crc,
        }
    }
}

impl<F, C, const CONTROLLERS: usize, V, const FURTHER_LINKS: usize> Effects
    for DefaultWorld<'_, F, C, CONTROLLERS, V, FURTHER_LINKS>
{
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        for mut link in core::iter::once(self.link).chain(self.further_links) {
            link.transmission_unit_changed(port, unit);
        }
    }

    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        for mut link in core::iter::once(self.link).chain(self.further_links) {
            link.smbus_frequency_changed(port, frequency);
        }
    }
}

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
    subsystem(serial_number, None)
}

/// The default model with one more port: port 2, two wires at 100 kHz with a management endpoint at
/// `address`, 7 bits. Port 1 is then what the USB link is managed as, for which NVMe-MI has no kind
/// of port.
///
/// # Errors
///
/// As of [`default_subsystem`]; when `address` has more than 7 bits.
pub fn two_network_subsystem(
    serial_number: &str,
    address: u8,
) -> Result<TwoNetworkSubsystem<'_>, ModelError> {
    let port = PortConfig {
        kind: PortKind::TwoWire(TwoWirePort {
            vpd_address: 0,
            vpd_frequency: None,
            endpoint_address: address,
            frequency: SmbusFrequency::Khz100,
            basic_management: false,
        }),
        max_transmission_unit: 250,
    };
    subsystem(serial_number, Some(port))
}

/// The default model, with so many ports.
fn subsystem<const PORT_COUNT: usize>(
    serial_number: &str,
    further_port: Option<PortConfig>,
) -> Result<Subsystem<'_, PORT_COUNT, 2, 4>, ModelError> {
    let mut subsystem = Subsystem::new(default_identity(serial_number))?;
    let mut model = subsystem.model();
    for port in PORTS.iter().chain(&further_port) {
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

fn default_identity(serial_number: &str) -> Identity<'_> {
    Identity {
        serial_number,
        model_number: "Reference NVM subsystem",
        firmware_revision: "REF00001",
        qualified_name: "nqn.2014-08.com.example:reference-device",
        capacity: 4 << 30,
        vendor: VENDOR,
    }
}

/// What the Vital Product Data of the default model say beside the model. How much power it takes is
/// not known.
pub fn default_fru() -> Fru<'static> {
    Fru {
        manufacturer: "Example",
        product: "Reference device",
        version: "1",
        power: NvmeMultiRecord::default(),
    }
}

/// The Vital Product Data of a [`default_subsystem`] with that serial number, in the form of NVMe-MI
/// 1.2, section 8.2. What is behind them is FFh, as in a memory that was erased.
///
/// # Errors
///
/// When `serial_number` has more than 20 characters, or others than printable ASCII.
pub fn default_vpd(serial_number: &str) -> Result<MemoryVpd<256>, FruError> {
    let mut content = BLANK_VPD;
    default_fru().write(&default_identity(serial_number), &PORTS, &mut content)?;
    Ok(MemoryVpd::new(content))
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

/// Firmware in `store`, everything else in memory: healthy at 303 K, blank VPD in place of
/// [`default_vpd`], resets, format, sanitize and self-test of media that are not there, the security
/// protocol that says which others there are (none), and PCI configuration spaces. Integrity checks
/// are computed by `crc`, such as a CRC unit.
pub fn default_world<F: FirmwareStore, C: Crc32c>(
    store: F,
    link: &ManagementLink,
    crc: C,
) -> DefaultWorld<'_, F, C> {
    DefaultWorld {
        health: HealthReport::healthy(),
        firmware: Some(store),
        vpd: MemoryVpd::new(BLANK_VPD),
        reset: MemoryReset::default(),
        link,
        further_links: [],
        security: SecurityInformation,
        media: MemoryMedia::new(),
        pcie: MemoryPcie::new(&VENDOR),
        telemetry: TextTelemetry,
        crc,
    }
}

/// What the managed subsystem and a link by which requesters reach it tell each other: a new
/// transmission unit, a new frequency of a two-wire bus, and that the link was lost.
pub struct ManagementLink {
    /// The network of the router that the requesters are in.
    network: NetworkId,
    /// Its port.
    router_port: mctp_router::PortId,
    /// The port whose unit is that of the link.
    port: Cell<Option<PortId>>,
    /// What changed since somebody looked.
    unit: Cell<Option<u16>>,
    new_frequency: Cell<Option<BusFrequency>>,
    frequency: LinkFrequency,
    lost: Cell<bool>,
    changed: Signal<NoopRawMutex, ()>,
}

impl Default for ManagementLink {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for ManagementLink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ManagementLink").finish_non_exhaustive()
    }
}

impl ManagementLink {
    /// The USB link. Nothing has changed yet.
    pub const fn new() -> Self {
        Self::at(NETWORK, PORT)
    }

    /// The link at a port of the router that has a network of its own, as for a second management
    /// endpoint of the same device.
    pub const fn at(network: NetworkId, router_port: mctp_router::PortId) -> Self {
        Self {
            network,
            router_port,
            port: Cell::new(None),
            unit: Cell::new(None),
            new_frequency: Cell::new(None),
            frequency: LinkFrequency::new(),
            lost: Cell::new(false),
            changed: Signal::new(),
        }
    }

    /// The network that the requesters are in.
    pub(crate) fn network(&self) -> NetworkId {
        self.network
    }

    /// The port of the router.
    pub(crate) fn router_port(&self) -> mctp_router::PortId {
        self.router_port
    }

    /// From now on, the changes are those of `port`.
    pub(crate) fn follow(&self, port: PortId) {
        self.port.set(Some(port));
    }

    /// How fast the device may drive the bus of a two-wire link.
    pub const fn frequency(&self) -> &LinkFrequency {
        &self.frequency
    }

    /// Waits for a new transmission unit or frequency, and for a loss of the link.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.changed.wait()
    }

    /// The new transmission unit in bytes, if there is one.
    pub(crate) fn take_unit(&self) -> Option<u16> {
        self.unit.take()
    }

    /// The new frequency, if there is one. It holds when all that waits to be sent is out.
    pub(crate) fn take_frequency(&self) -> Option<BusFrequency> {
        self.new_frequency.take()
    }

    /// Whether the link was lost.
    pub(crate) fn take_loss(&self) -> bool {
        self.lost.take()
    }

    /// An observer for [`report_events`](crate::report_events) by which the managed subsystem gets
    /// to know that the link was lost. What happens is passed on to `observer`.
    pub const fn watched_by<'l, O: Observer>(&'l self, observer: &'l O) -> LinkWatch<'l, O> {
        LinkWatch {
            link: self,
            observer,
        }
    }
}

/// The observer of [`ManagementLink::watched_by`].
pub struct LinkWatch<'l, O> {
    link: &'l ManagementLink,
    observer: &'l O,
}

impl<O: Observer> Observer for LinkWatch<'_, O> {
    const LOOKS_AT_PACKETS: bool = O::LOOKS_AT_PACKETS;

    fn packet(&self, direction: Direction, bytes: &[u8]) {
        self.observer.packet(direction, bytes);
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        if event == Event::LinkDown(self.link.router_port) {
            self.link.lost.set(true);
            self.link.changed.signal(());
        }
        self.observer.event(event, drops);
    }

    #[cfg(feature = "bench")]
    fn stream_sent(&self, sent: &mctp_bench::Sent) {
        self.observer.stream_sent(sent);
    }

    #[cfg(feature = "bench")]
    fn stream_received(&self, statistics: &mctp_bench::Statistics) {
        self.observer.stream_received(statistics);
    }
}

/// How many packets had been dropped for each reason of [`ERRORS`] when Get State was last told.
#[derive(Default)]
pub(crate) struct ToldDrops([u32; ERRORS.len()]);

impl ToldDrops {
    /// What Get State is to be told by now, which with this it is.
    pub(crate) fn tell(&mut self, drops: &DropCounters) -> TransportErrors {
        let mut errors = TransportErrors::NONE;
        for (told, (reason, error)) in self.0.iter_mut().zip(&ERRORS) {
            let dropped = drops.of(*reason);
            if core::mem::replace(told, dropped) != dropped {
                errors = errors.with(*error);
            }
        }
        errors
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

impl Effects for &ManagementLink {
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        if self.port.get() == Some(port) {
            self.unit.set(Some(unit));
            self.changed.signal(());
        }
    }

    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        if self.port.get() == Some(port) {
            self.new_frequency.set(Some(match frequency {
                SmbusFrequency::Khz100 => BusFrequency::Khz100,
                SmbusFrequency::Khz400 => BusFrequency::Khz400,
                SmbusFrequency::Mhz1 => BusFrequency::Mhz1,
            }));
            self.changed.signal(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drop_is_told_to_get_state_as_what_it_is() {
        for (reason, error) in [
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
        ] {
            let mut drops = DropCounters::new();
            let mut told = ToldDrops::default();
            assert_eq!(told.tell(&drops), TransportErrors::NONE);
            drops.count(reason);
            let expected = TransportErrors::NONE.with(error);
            assert_eq!(told.tell(&drops), expected, "{reason:?}");
            assert_eq!(told.tell(&drops), TransportErrors::NONE);
        }
    }

    #[test]
    fn the_vital_product_data_are_those_of_the_default_model() {
        let vpd = default_vpd("0dc120b82b6f").unwrap();
        let (content, blank) = vpd.content().split_at(200);
        assert_eq!(content[..8], [1, 0, 0, 0, 1, 15, 0, 0xEF]);
        for text in [
            &b"Example\0"[..],
            b"Reference NVM subsystem\0",
            b"0dc120b82b6f\0",
        ] {
            assert!(content.windows(text.len()).any(|part| part == text));
        }
        // Port 0: four speeds, four lanes.
        assert_eq!(content[189..197], [0, 0, 0, 0x0F, 4, 0, 1, 0]);
        assert_eq!(blank, [0xFF; 56]);
        assert!(default_vpd("twenty-one characters").is_err());
    }

    #[test]
    fn what_is_dropped_for_want_of_memory_is_no_error_of_the_transport() {
        for reason in [DropReason::NoMessageBuffer, DropReason::SendTimeout] {
            let mut drops = DropCounters::new();
            drops.count(reason);
            let mut told = ToldDrops::default();
            assert_eq!(told.tell(&drops), TransportErrors::NONE);
        }
    }

    #[test]
    fn only_the_transmission_unit_of_the_followed_port_is_passed_on() {
        let link = ManagementLink::new();
        link.follow(PortId(1));
        let mut effects = &link;
        effects.transmission_unit_changed(PortId(1), 64);
        effects.transmission_unit_changed(PortId(2), 128);
        assert_eq!(link.take_unit(), Some(64));
        assert_eq!(link.changed.try_take(), Some(()));
    }

    #[test]
    fn only_the_frequency_of_the_followed_port_is_passed_on() {
        let link = ManagementLink::new();
        link.follow(PortId(1));
        let mut effects = &link;
        effects.smbus_frequency_changed(PortId(1), SmbusFrequency::Khz400);
        effects.smbus_frequency_changed(PortId(2), SmbusFrequency::Mhz1);
        assert_eq!(link.take_frequency(), Some(BusFrequency::Khz400));
        assert_eq!(link.changed.try_take(), Some(()));
    }

    #[test]
    fn only_the_loss_of_the_usb_link_is_passed_on() {
        let link = ManagementLink::new();
        let event = |event| link.watched_by(&()).event(event, &DropCounters::new());
        event(Event::LinkUp(PORT));
        event(Event::LinkDown(mctp_router::PortId(7)));
        assert_eq!(link.changed.try_take(), None);
        event(Event::LinkDown(PORT));
        assert_eq!(link.changed.try_take(), Some(()));
        assert!(link.take_loss() && !link.take_loss());
    }
}
