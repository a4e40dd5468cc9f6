//! `nvme-mi-responder`: the model and the responder, with every piece of the world that can be in
//! memory, in every state that their private fields can have.
#![no_std]
#![no_main]

use core::hint::black_box;

use nvme_mi_responder::world::{
    Effects, FirmwareStore, Health, HealthReport, Media, MemoryEffects, MemoryFirmware,
    MemoryMedia, MemoryPcie, MemoryReset, MemoryTelemetry, MemoryVpd, PcieAccess, ResetHook,
    SecurityInformation, SecurityProtocols, StreamedFirmware, Telemetry, VpdStore, World,
    firmware_image_header,
};
use nvme_mi_responder::{
    ControllerConfig, ControllerId, Crc32c, Device, DropReason, Identity, Instant, LinkWidth,
    ManagementEndpoint, MessageBuffer, Model, NamespaceId, PciAddress, PciePort, PortConfig,
    PortId, PortKind, Requester, SmbusFrequency, SoftwareCrc32c, Subsystem, TableCrc32c,
    TransportError, TransportErrors, TwoWirePort, Vendor,
};
use panic_free::{any_bytes, any_number, any_state};

panic_free::entry!(run);

fn run() {
    checks(&mut SoftwareCrc32c);
    checks(&mut TableCrc32c);
    black_box(firmware_image_header([0; 8], any_bytes()));
    if let Ok(mut subsystem) = Subsystem::<2, 2, 4>::new(black_box(identity())) {
        build(&mut any_state(&mut subsystem).model());
        let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
        let (mut images, mut endpoint_buffer) = ([0; 64], [0; 64]);
        let slots = black_box([Some(*b"REF00001"), None, None]);
        let in_memory = MemoryFirmware::new(any_state(&mut images[..]), slots);
        let buffer = any_state(&mut endpoint_buffer[..]);
        serve(&mut subsystem, &mut buffers, in_memory, buffer);
        let streamed = StreamedFirmware::new(slots)
            .with_read_only_first_slot()
            .with_immediate_activation();
        serve(&mut subsystem, &mut buffers, streamed, buffer);
    }
}

fn checks(crc: &mut impl Crc32c) {
    black_box(crc.crc32c(black_box(&[any_bytes(), any_bytes()][..])));
}

fn any_text() -> &'static str {
    str::from_utf8(any_bytes()).unwrap_or_default()
}

fn any_port() -> PortId {
    PortId(any_number() as u8)
}

fn any_controller() -> ControllerId {
    ControllerId(any_number() as u16)
}

fn any_namespace() -> NamespaceId {
    black_box(NamespaceId(any_number() as u32))
}

fn any_time() -> Instant {
    Instant::from_millis(any_number() as u64)
}

fn identity() -> Identity<'static> {
    Identity {
        serial_number: any_text(),
        model_number: any_text(),
        firmware_revision: any_text(),
        qualified_name: any_text(),
        capacity: any_number() as u64,
        vendor: Vendor::NOT_FOR_DISTRIBUTION,
    }
}

/// Everything that a responder does with firmware images in one kind of store.
fn serve(
    subsystem: &mut Subsystem<'_, 2, 2, 4>,
    buffers: &mut [MessageBuffer; 2],
    firmware: impl FirmwareStore,
    endpoint_buffer: &mut [u8],
) {
    let (model, buffers) = (any_state(subsystem).model(), any_state(buffers));
    let mut device = Device::new(model, world(firmware));
    let device = any_state(&mut device);
    let endpoint = ManagementEndpoint::new(device, any_port(), buffers.each_mut());
    if let Ok(endpoint) = endpoint {
        let mut endpoint = endpoint.with_endpoint_buffer(device, endpoint_buffer);
        exchange(device, &mut endpoint);
    }
}

/// Every piece of the world, in memory.
struct Everything<F> {
    health: HealthReport,
    firmware: F,
    vpd: MemoryVpd<256>,
    reset: MemoryReset,
    effects: MemoryEffects,
    security: SecurityInformation,
    media: MemoryMedia,
    pcie: MemoryPcie<2>,
    telemetry: MemoryTelemetry<512>,
}

impl<F: FirmwareStore> World for Everything<F> {
    fn health(&mut self) -> &mut dyn Health {
        &mut self.health
    }
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        SoftwareCrc32c.crc32c(parts)
    }
    fn firmware(&mut self) -> Option<&mut dyn FirmwareStore> {
        Some(&mut self.firmware)
    }
    fn vpd(&mut self) -> Option<&mut dyn VpdStore> {
        Some(&mut self.vpd)
    }
    fn reset(&mut self) -> Option<&mut dyn ResetHook> {
        Some(&mut self.reset)
    }
    fn effects(&mut self) -> Option<&mut dyn Effects> {
        Some(&mut self.effects)
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

fn world(firmware: impl FirmwareStore) -> impl World {
    Everything {
        health: HealthReport::healthy(),
        firmware,
        vpd: MemoryVpd::new([0; 256]),
        reset: MemoryReset::default(),
        effects: MemoryEffects::default(),
        security: SecurityInformation,
        media: MemoryMedia::new(),
        pcie: MemoryPcie::new(&Vendor::NOT_FOR_DISTRIBUTION),
        telemetry: MemoryTelemetry::new([0; 512]),
    }
}

fn build(model: &mut Model<'_>) {
    let pcie = PortKind::Pcie(PciePort {
        generation: any_number() as u8,
        width: LinkWidth::X4,
        link: Some(any_number() as u8),
        payload_exponent: any_number() as u8,
        number: any_number() as u8,
    });
    let two_wire = PortKind::TwoWire(TwoWirePort {
        vpd_address: any_number() as u8,
        vpd_frequency: Some(SmbusFrequency::Khz400),
        endpoint_address: any_number() as u8,
        frequency: SmbusFrequency::Mhz1,
        basic_management: false,
    });
    let _ = black_box(model.add_port(PortConfig {
        kind: black_box([pcie, two_wire])[any_number() & 1],
        max_transmission_unit: any_number() as u16,
    }));
    let config = black_box(ControllerConfig {
        address: Some(PciAddress::default()),
        ..ControllerConfig::default()
    });
    let _ = black_box(any_state(model).add_controller(any_port(), config));
    let _ = black_box(any_state(model).add_namespace(any_number() as u64));
    let _ = black_box(any_state(model).attach_namespace(any_namespace(), any_controller()));
    change(any_state(model));
}

fn change(model: &mut Model<'_>) {
    model.allow_namespace_management();
    let _ = black_box(model.set_link(any_port(), black_box(Some(4))));
    let controller = any_controller();
    let _ = black_box(any_state(model).set_enabled(controller, black_box(true)));
    let _ = black_box(any_state(model).set_ready(controller, black_box(true)));
    let _ = black_box(any_state(model).set_fatal(controller, black_box(true)));
    let _ = black_box(any_state(model).set_shutdown_status(controller, any_number() as u8));
    let _ = black_box(any_state(model).telemetry_captured(controller));
    let _ = black_box(any_state(model).detach_namespace(any_namespace(), controller));
    let _ = black_box(any_state(model).delete_namespace(any_namespace()));
    black_box(any_state(model).unallocated());
}

fn exchange<W: World>(device: &mut Device<'_, W>, endpoint: &mut ManagementEndpoint<'_>) {
    let requester = Requester {
        endpoint_id: mctp::Eid(any_number() as u8),
        exchange: any_number() as u16,
    };
    let integrity_check = black_box(true);
    let _ = black_box(any_state(endpoint).receive(
        any_state(device),
        any_time(),
        requester,
        integrity_check,
        any_bytes(),
    ));
    any_state(endpoint).advance(any_state(device), any_time());
    let errors = TransportErrors::NONE.with(black_box(TransportError::Timeout));
    any_state(endpoint).note(errors.and(black_box(TransportErrors::NONE)));
    let number = any_number() as u16;
    black_box(any_state(endpoint).transmission_for(number));
    if let Some(transmission) = any_state(endpoint).transmission() {
        black_box(transmission.body);
        let source = black_box(transmission.source);
        any_state(endpoint).sent(any_state(device), source);
    }
    black_box(any_state(endpoint).event_message());
    any_state(endpoint).event_sent(any_time());
    black_box((endpoint.next_deadline(), endpoint.serves(number)));
    let drops = endpoint.drops();
    black_box((drops.total(), drops.count(black_box(DropReason::TooShort))));
    change(any_state(device).model());
    let _ = black_box(any_state(device).reset_controller(any_controller()));
    any_state(device).reset_subsystem();
    any_state(endpoint).reset(any_state(device));
}
