//! Commands through the sans-IO NVMe-MI responder with the default model, or with one of more
//! controllers: the message in, the response out, the Message Integrity Check of both included.

use std::hint::black_box;
use std::process::ExitCode;

use bench::meter::{counted, start};
use mctp::Eid;
use nvme_mi_responder::{
    ControllerConfig, Crc32c, Device, Identity, Instant, LinkWidth, ManagementEndpoint,
    MessageBuffer, Model, ModelError, PciePort, PortConfig, PortKind, Requester, SmbusFrequency,
    SoftwareCrc32c, Subsystem, TableCrc32c, TwoWirePort, Vendor,
};
use reference_device::{
    MANAGEMENT_PORT, ManagementLink, default_firmware, default_subsystem, default_world,
};

const REQUESTER: Requester = Requester {
    endpoint_id: Eid(8),
    exchange: 0,
};
/// Message type NVMe-MI with the integrity check bit.
const MESSAGE_TYPE: u8 = 0x84;
/// Data of the largest commands.
const PAGE: u32 = 4096;

/// Bytes of the SMART / Health Information log.
const SMART_LOG: u32 = 512;
/// The most controllers that a model has room for.
const MAX_CONTROLLERS: usize = 32;
const USAGE: &str = "usage: health-poll|subsystem-information|smart-log|identify|firmware-download \
                     software|table|engine ROUNDS [CONTROLLERS]";

/// Two requests, which are sent alternately, and what must come of each.
struct Command {
    /// From the message type byte to the end, without Message Integrity Check.
    requests: [Vec<u8>; 2],
    /// Bytes of the response, with it.
    response: usize,
}

impl Command {
    fn by_name(name: &str) -> Option<Self> {
        match name {
            "health-poll" => Some(health_poll()),
            "subsystem-information" => Some(subsystem_information()),
            "smart-log" => Some(smart_log()),
            "identify" => Some(identify()),
            "firmware-download" => Some(firmware_download()),
            _ => None,
        }
    }
}

/// NVM Subsystem Health Status Poll that clears the status.
fn health_poll() -> Command {
    let mut request = vec![MESSAGE_TYPE, 0x08, 0, 0, 0x01];
    request.resize(15, 0);
    request.push(0x80);
    Command {
        requests: [request.clone(), request],
        response: 8 + 8 + 4,
    }
}

/// Read NVMe-MI Data Structure: NVM Subsystem Information.
fn subsystem_information() -> Command {
    let mut request = vec![MESSAGE_TYPE, 0x08];
    request.resize(16, 0);
    Command {
        requests: [request.clone(), request],
        response: 8 + 32 + 4,
    }
}

/// All of the SMART / Health Information log of the controller.
fn smart_log() -> Command {
    let dwords = SMART_LOG / 4 - 1;
    let mut request = admin(0x02, SMART_LOG, [dwords << 16 | 0x02, 0]);
    request[8..12].fill(0xFF);
    Command {
        requests: [request.clone(), request],
        response: 20 + SMART_LOG as usize + 4,
    }
}

/// All of Identify Controller.
fn identify() -> Command {
    Command {
        requests: [0; 2].map(|_| admin(0x06, PAGE, [1, 0])),
        response: 20 + PAGE as usize + 4,
    }
}

/// Two pieces of a firmware image, of 4096 bytes each. With the first, the download starts over; one
/// alone would be a repetition, which is not written.
fn firmware_download() -> Command {
    let piece = |index: u32| {
        let mut request = admin(0x11, PAGE, [PAGE / 4 - 1, index * PAGE / 4]);
        request.extend((0..=u8::MAX).cycle().take(PAGE as usize));
        request
    };
    Command {
        requests: [piece(0), piece(1)],
        response: 20 + 4,
    }
}

/// An Admin command with `length` bytes of data, and dwords 10 and 11.
fn admin(opcode: u8, length: u32, dwords: [u32; 2]) -> Vec<u8> {
    let mut request = vec![MESSAGE_TYPE, 0x10, 0, 0, opcode, 1];
    request.resize(32, 0);
    request.extend(length.to_le_bytes());
    request.resize(44, 0);
    request.extend(dwords.into_iter().flat_map(u32::to_le_bytes));
    request.resize(68, 0);
    request
}

/// In place of an engine that costs nothing: what is left is the responder itself.
struct FreeEngine;

impl Crc32c for FreeEngine {
    fn continue_crc32c(&mut self, _: u32, _: &[&[u8]]) -> u32 {
        0
    }
}

/// A model with so many controllers and as many ports and namespaces as the default one has.
fn subsystem_of(
    controllers: usize,
) -> Result<Subsystem<'static, 2, MAX_CONTROLLERS, 4>, ModelError> {
    let mut subsystem = Subsystem::new(Identity {
        serial_number: "0123456789ab",
        model_number: "Reference NVM subsystem",
        firmware_revision: "REF00001",
        qualified_name: "nqn.2014-08.com.example:reference-device",
        capacity: 4 << 30,
        vendor: Vendor::NOT_FOR_DISTRIBUTION,
    })?;
    let pcie = subsystem.add_port(PortConfig {
        kind: PortKind::Pcie(PciePort {
            generation: 4,
            width: LinkWidth::X4,
            link: Some(4),
            payload_exponent: 1,
            number: 0,
        }),
        max_transmission_unit: 64,
    })?;
    subsystem.add_port(PortConfig {
        kind: PortKind::TwoWire(TwoWirePort {
            vpd_address: 0,
            vpd_frequency: None,
            endpoint_address: 0x1D,
            frequency: SmbusFrequency::Mhz1,
            basic_management: false,
        }),
        max_transmission_unit: 250,
    })?;
    let shared = subsystem.add_namespace(2_097_152)?;
    subsystem.add_namespace(1_048_576)?;
    for _ in 0..controllers {
        let controller = subsystem.add_controller(pcie, ControllerConfig::default())?;
        subsystem.attach_namespace(shared, controller)?;
    }
    subsystem.model().allow_namespace_management();
    Ok(subsystem)
}

/// Runs `COMMAND CHECK ROUNDS [CONTROLLERS]`.
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if measure(&arguments).is_none() {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(arguments: &[String]) -> Option<()> {
    let [command, check, rounds, controllers @ ..] = arguments else {
        return None;
    };
    let command = Command::by_name(command)?;
    let rounds = rounds.parse().ok()?;
    match controllers {
        [] => {
            let mut subsystem = default_subsystem("0123456789ab").expect("a good serial number");
            run_with(subsystem.model(), check, &command, rounds)?;
        }
        [count] => {
            let mut subsystem = subsystem_of(count.parse().ok()?).ok()?;
            run_with(subsystem.model(), check, &command, rounds)?;
        }
        _ => return None,
    }
    Some(())
}

fn run_with(model: Model<'_>, check: &str, command: &Command, rounds: usize) -> Option<()> {
    match check {
        "software" => run(model, command, rounds, SoftwareCrc32c),
        "table" => run(model, command, rounds, TableCrc32c),
        "engine" => run(model, command, rounds, FreeEngine),
        _ => return None,
    }
    Some(())
}

fn run(model: Model<'_>, command: &Command, rounds: usize, mut crc: impl Crc32c) {
    let mut requests = command.requests.clone();
    for request in &mut requests {
        let check = crc.crc32c(&[request.as_slice()]);
        request.extend(check.to_le_bytes());
    }
    let [mut body, mut next] = requests.each_ref().map(|request| &request[1..]);

    let link = ManagementLink::new();
    let mut images = vec![0; 4 * 2 * PAGE as usize];
    let world = default_world(default_firmware(&mut images), &link, crc);
    let mut device = Device::new(model, world);
    let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
    let endpoint = ManagementEndpoint::new(&mut device, MANAGEMENT_PORT, buffers.each_mut());
    let mut endpoint = endpoint.expect("the default model has the port");

    let mut round = || {
        let taken = endpoint.receive(
            &mut device,
            Instant::START,
            REQUESTER,
            true,
            black_box(body),
        );
        taken.expect("a good request");
        let transmission = endpoint.transmission().expect("a response");
        let sent = black_box(transmission.body);
        assert_eq!(sent.len() + 1, command.response);
        assert_eq!(sent[3], 0, "status");
        let source = transmission.source;
        endpoint.sent(&mut device, source);
        std::mem::swap(&mut body, &mut next);
    };
    round();
    start();
    counted(|| (0..rounds).for_each(|_| round()));
    println!("{} messages", rounds);
}
