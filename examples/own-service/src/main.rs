//! The device on a USB bus in memory, with a host at the other end that asks what there is, and how
//! warm it is.

use anyhow::{Context, anyhow};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_adapters::tokio_1::FromTokio;
use mctp::Eid;
use mctp_router::wire::{
    GetMessageTypeSupportRequest, Header, Message, Operation, Request, SetEndpointIdRequest,
};
use own_service::{Memory, device, thermometer};
use reference_device::Identity;
use remote_usb_device::{Buffers, State};
use tokio::io::DuplexStream;
use virtual_host::clock::TokioClock;
use virtual_host::enumeration::{InterfaceDescriptor, enumerate};
use virtual_host::guest::Guest;
use virtual_host::requester::{self, Requester};
use virtual_host::transport::{PacketLog, Pipes};
use virtual_host::waker::with_one_waker;
use zerocopy::IntoBytes;

/// Who the device is.
const UUID: [u8; 16] = *b"\x2c\x1f\x96\xd4\x5d\xac\x5b\x0a\x9d\x6e\x01\x02\x03\x04\x05\x06";
/// What the device measures: 21.5 degrees Celsius.
const TEMPERATURE: i16 = 215;
/// The endpoint ID that the host gives to the device.
const DEVICE: u8 = 9;
/// Payload bytes of a packet.
const UNIT: usize = 64;
/// Bytes that the bus holds in each direction.
const BUS: usize = 4096;

/// Two endpoints in each direction, beside endpoint 0: those of MCTP and of the loopback.
type UsbBuffers = Buffers<2, 4096, 4096, 512>;

fn main() -> anyhow::Result<()> {
    let answers = run()?;
    println!("interfaces, by class: {:02x?}", answers.interfaces);
    println!("loopback returned: {:02x?}", answers.loopback);
    println!("message types: {:02x?}", answers.message_types);
    println!("echo: {:02x?}", answers.echo);
    println!("temperature: {:02x?}", answers.temperature);
    println!("unknown command: {:02x?}", answers.unknown_command);
    Ok(())
}

/// What the host got: classes of interfaces, and messages from their message type on.
struct Answers {
    interfaces: Vec<[u8; 3]>,
    loopback: Vec<u8>,
    message_types: Vec<u8>,
    echo: Vec<u8>,
    temperature: Vec<u8>,
    unknown_command: Vec<u8>,
}

fn run() -> anyhow::Result<Answers> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, join())
}

/// Joins device and host by a bus, for as long as the host has questions.
async fn join() -> anyhow::Result<Answers> {
    let mut buffers = UsbBuffers::new();
    let state = State::<NoopRawMutex>::new(&mut buffers);
    let (usb, mut cable, _) = remote_usb_device::new(&state, remote_usb_device::Config::default());
    let mut memory = Box::new(Memory::new());
    let identity = Identity::for_development(UUID);
    let device = device(usb, TokioClock::start(), &identity, &mut memory, || {
        TEMPERATURE
    });

    let (device_end, host_end) = tokio::io::duplex(BUS);
    let (read, write) = tokio::io::split(device_end);
    let cable = cable.run_usbredir(FromTokio::new(read), FromTokio::new(write));
    with_one_waker(async {
        tokio::select! {
            never = device => match never {},
            ended = cable => anyhow::bail!("the bus ended: {ended:?}"),
            answers = host(host_end) => answers,
        }
    })
    .await
}

async fn host(bus: DuplexStream) -> anyhow::Result<Answers> {
    let guest = Guest::attach(bus).await?;
    let interfaces = enumerate(&guest).await?.configuration.interfaces;
    let [mctp, vendor] = &interfaces[..] else {
        anyhow::bail!("the device does not have two interfaces");
    };
    let pipes = Pipes::of(mctp).context("the first interface is not MCTP")?;
    let loopback = send_and_receive(&guest, vendor, b"there and back").await?;
    let log = PacketLog::default();
    requester::run(&guest, pipes, UNIT, &log, async |requester| {
        // The host is the bus owner: it gives the device its endpoint ID.
        let set = SetEndpointIdRequest {
            operation: Operation::SET,
            endpoint_id: DEVICE,
        };
        ask(&requester, 0, &control(&set)).await?;
        let ask = async |request: &[u8]| ask(&requester, DEVICE, request).await;
        let vendor = thermometer::ENTERPRISE.to_be_bytes();
        Ok(Answers {
            interfaces: interfaces.iter().map(|found| found.class).collect(),
            loopback,
            message_types: ask(&control(&GetMessageTypeSupportRequest)).await?,
            echo: ask(&[0x7E, 0xCC, 0xDE, 0xF0, 1, 2, 3]).await?,
            temperature: ask(&[&[0x7F], &vendor[..], &[thermometer::GET_TEMPERATURE]].concat())
                .await?,
            unknown_command: ask(&[&[0x7F], &vendor[..], &[0x55]].concat()).await?,
        })
    })
    .await
}

/// A control request as a message, its type first.
fn control<R: Request>(request: &R) -> Vec<u8> {
    let header = Message::new(Header::request(0, R::COMMAND));
    [header.as_bytes(), request.as_bytes()].concat()
}

async fn ask(
    requester: &Requester<'_, '_>,
    endpoint_id: u8,
    request: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let answer = requester.request(Eid(endpoint_id), request).await;
    answer.map_err(|error| anyhow!("no answer to {request:02x?}: {error}"))
}

async fn send_and_receive(
    guest: &Guest,
    interface: &InterfaceDescriptor,
    data: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let bulk = |input| {
        let mut endpoints = interface.endpoints.iter();
        endpoints.find(|endpoint| endpoint.is_bulk(input))
    };
    let output = bulk(false).context("no bulk OUT endpoint")?;
    let input = bulk(true).context("no bulk IN endpoint")?;
    let mut answer = guest.bulk_in(input.address, 512);
    guest.bulk_out(output.address, data).await?;
    Ok(answer.complete().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_its_own_answers_and_nvme_mi_is_not_there() {
        let answers = run().unwrap();
        // 32473 is 00 00 7E D9h, and 215 tenths of a degree are D7h.
        assert_eq!(
            answers.temperature,
            [0x7F, 0, 0, 0x7E, 0xD9, 0x00, 0x00, 0x00, 0xD7]
        );
        assert_eq!(
            answers.unknown_command,
            [0x7F, 0, 0, 0x7E, 0xD9, 0x55, 0x01]
        );
        assert_eq!(answers.echo, [0x7E, 0xCC, 0xDE, 0xF0, 1, 2, 3]);
        // Three message types: control, and the two vendor-defined ones; not NVMe-MI, 04h.
        assert_eq!(
            answers.message_types,
            [0x00, 0x00, 0x05, 0x00, 3, 0x00, 0x7E, 0x7F]
        );
    }

    #[test]
    fn a_usb_function_of_its_own_is_behind_that_of_mctp() {
        let answers = run().unwrap();
        assert_eq!(answers.interfaces, [[0x14, 0x00, 0x01], [0xFF, 0x00, 0x00]]);
        assert_eq!(answers.loopback, b"there and back");
    }
}
