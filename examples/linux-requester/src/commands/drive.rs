//! Managing a drive over NVMe-MI, where nvme-cli has no command for it.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::firmware::Firmware;
use linux_requester::nvme_mi::{Command, ManagementError, Response};
use linux_requester::socket::MctpSocket;
use nvme_mi_responder::wire::{
    ConfigurationGet, ConfigurationIdentifier, DataStructureType, ManagementCommand,
    PortInformation, PortType, ReadDataStructure, Reset, ResponseStatus, SetTransmissionUnitSize,
    TwoWireFrequency, TwoWirePort,
};
use zerocopy::FromBytes;

const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long it is made sure that there is no answer.
const SILENCE: Duration = Duration::from_millis(200);

/// Sends a command to endpoint `endpoint_id`, and returns its response if that is a success.
fn succeed(endpoint_id: u8, command: impl ManagementCommand, what: &str) -> Result<Response> {
    let destination = Destination::EndpointId(endpoint_id);
    let command = Command::new(0, command);
    let response = command.send(&mut MctpSocket::open()?, destination, ANSWER_TIME)?;
    let status = response.status;
    if status != ResponseStatus::SUCCESS {
        let name = status.name().unwrap_or("a status without a name");
        bail!(
            "EID {endpoint_id} refused {what}: {name} ({:02x}h)",
            status.0
        );
    }
    Ok(response)
}

/// Prints the Port Information of a port (NVMe-MI 1.2, section 5.7).
pub(super) fn port_information(endpoint_id: u8, port_id: u8) -> Result<()> {
    let mut read = ReadDataStructure::default();
    read.data_structure_type = DataStructureType::PORT_INFORMATION;
    read.port_id = port_id;
    let what = format!("the information of port {port_id}");
    let response = succeed(endpoint_id, read, &what)?;
    let (port, _) = PortInformation::read_from_prefix(&response.data)
        .map_err(|_| anyhow!("{what} has only {} bytes", response.data.len()))?;
    println!("port {port_id}: {}", InWords(&port));
    Ok(())
}

/// Sets the MCTP transmission unit of a port, if one is given, and prints the one that it has.
pub(super) fn transmission_unit(endpoint_id: u8, port_id: u8, unit: Option<u16>) -> Result<()> {
    let identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
    if let Some(unit) = unit {
        let mut set = SetTransmissionUnitSize::default();
        set.identifier = identifier;
        set.port_id = port_id;
        set.size.set(unit);
        let what = format!("a transmission unit of {unit} bytes on port {port_id}");
        succeed(endpoint_id, set, &what)?;
    }
    let mut get = ConfigurationGet::default();
    get.identifier = identifier;
    get.port_id = port_id;
    let what = format!("to tell the transmission unit of port {port_id}");
    // Bytes 6 and 5; byte 7 is reserved.
    let found = succeed(endpoint_id, get, &what)?.management_response as u16;
    println!("port {port_id}: transmission unit {found} bytes");
    ensure!(
        unit.is_none_or(|unit| unit == found),
        "EID {endpoint_id} took another transmission unit on port {port_id}, and kept {found} bytes"
    );
    Ok(())
}

/// An NVM Subsystem Reset (NVMe-MI 1.2, section 5.8), which is not answered.
pub(super) fn reset(endpoint_id: u8) -> Result<()> {
    let command = Command::new(0, Reset::default());
    let destination = Destination::EndpointId(endpoint_id);
    match command.send(&mut MctpSocket::open()?, destination, SILENCE) {
        Err(ManagementError::NoAnswer { .. }) => {
            println!("sent an NVM Subsystem Reset to EID {endpoint_id}");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(response) => bail!(
            "EID {endpoint_id} refused the NVM Subsystem Reset: status {:02x}h",
            response.status.0
        ),
    }
}

#[derive(Args)]
pub(super) struct UpdateArguments {
    endpoint_id: u8,
    /// The file with the image, as the vendor of the drive has it
    image: PathBuf,
    /// The firmware slot that the image goes to
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=7))]
    slot: u8,
    /// Milliseconds to wait for each answer; Linux forgets a request after 6000
    #[arg(long, default_value_t = 6000)]
    wait: u64,
}

/// Has a drive store a firmware image, which runs after the next reset.
pub(super) fn update_firmware(arguments: &UpdateArguments) -> Result<()> {
    let path = arguments.image.display();
    let image = fs::read(&arguments.image).with_context(|| format!("cannot read {path}"))?;
    ensure!(
        !image.is_empty() && image.len().is_multiple_of(4),
        "{path} has {} bytes; the length of a firmware image is a multiple of 4",
        image.len()
    );
    let mut firmware = Firmware {
        socket: &mut MctpSocket::open()?,
        destination: Destination::EndpointId(arguments.endpoint_id),
        wait: Duration::from_millis(arguments.wait),
    };
    let start = Instant::now();
    firmware.download(&image)?;
    let time = start.elapsed().as_millis();
    println!("{} bytes downloaded in {time} ms", image.len());
    let slot = arguments.slot;
    firmware.commit(slot)?;
    let slots = firmware.slots()?;
    println!(
        "slot {slot} has {}, which runs after the next reset",
        String::from_utf8_lossy(&slots.revisions[usize::from(slot) - 1]).trim_end()
    );
    Ok(())
}

struct InWords<'a>(&'a PortInformation);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(port) = self;
        let unit = port.maximum_transmission_unit;
        match port.port_type {
            PortType::TWO_WIRE => {
                let two_wire = TwoWirePort::from(port.specific);
                write!(
                    f,
                    "two-wire, endpoint at address {:02x}h, {}, transmission unit up to {unit} bytes",
                    two_wire.endpoint_address,
                    frequency(two_wire.endpoint_frequency),
                )
            }
            PortType::PCIE => write!(f, "PCIe, transmission unit up to {unit} bytes"),
            PortType::INACTIVE => write!(f, "inactive"),
            PortType(other) => write!(f, "of the reserved type {other:02x}h"),
        }
    }
}

fn frequency(frequency: TwoWireFrequency) -> &'static str {
    // In NVMe-MI 2.x bits 1:0 alone.
    match TwoWireFrequency(frequency.0 & 0x3) {
        TwoWireFrequency::KHZ_100 => "up to 100 kHz",
        TwoWireFrequency::KHZ_400 => "up to 400 kHz",
        TwoWireFrequency::MHZ_1 => "up to 1 MHz",
        _ => "not reachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_image_is_refused_before_anything_is_sent() {
        let mut arguments = UpdateArguments {
            endpoint_id: 9,
            image: PathBuf::from("/no/such/image"),
            slot: 2,
            wait: 0,
        };
        let error = update_firmware(&arguments).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /no/such/image"));
        arguments.image = PathBuf::from("/dev/null");
        assert_eq!(
            update_firmware(&arguments).unwrap_err().to_string(),
            "/dev/null has 0 bytes; the length of a firmware image is a multiple of 4"
        );
    }

    #[test]
    fn port_information_is_told_in_words() {
        let mut two_wire = TwoWirePort::default();
        two_wire.endpoint_address = 0x1D;
        // With the bit of I3C.
        two_wire.endpoint_frequency = TwoWireFrequency(0x82);
        let mut port = PortInformation {
            port_type: PortType::TWO_WIRE,
            maximum_transmission_unit: 250.into(),
            specific: two_wire.into(),
            ..PortInformation::default()
        };
        assert_eq!(
            InWords(&port).to_string(),
            "two-wire, endpoint at address 1dh, up to 400 kHz, transmission unit up to 250 bytes"
        );
        port.port_type = PortType(0x42);
        assert_eq!(InWords(&port).to_string(), "of the reserved type 42h");
    }
}
