//! The control protocol (DSP0236 1.3.3, section 12), as a bus owner speaks it.

use std::time::Duration;

use mctp::Eid;
use mctp_router::wire::{
    Command, CompletionCode, EndpointIdType, EndpointType, GetEndpointIdRequest,
    GetEndpointIdResponse, GetEndpointUuidRequest, GetEndpointUuidResponse,
    GetMessageTypeSupportRequest, GetMessageTypeSupportResponse, GetVendorSupportRequest,
    GetVersionSupportRequest, GetVersionSupportResponse, Header, MESSAGE_TYPE, Message, Operation,
    Request, Response, SetEndpointIdRequest, SetEndpointIdResponse, SetEndpointIdStatus, Vendor,
    VendorSupport, Version,
};
use zerocopy::IntoBytes;

use super::exchange::{Exchange, Exchanger};
use super::expectations::Expectations;
use super::screen::{Hex, Screen};
use crate::guest::Guest;
use crate::transport::Pipes;

/// The endpoint ID that the device gets.
pub(super) const DEVICE: Eid = Eid(9);

/// Whoever is at the other end of the cable; and no endpoint ID.
const PHYSICAL: Eid = Eid(0);

/// 1.0, 1.1, 1.2 and 1.3.3.
const VERSIONS: [Version; 4] = [
    Version::from_bytes([0xF1, 0xF0, 0xFF, 0x00]),
    Version::from_bytes([0xF1, 0xF1, 0xFF, 0x00]),
    Version::from_bytes([0xF1, 0xF2, 0xFF, 0x00]),
    Version::from_bytes([0xF1, 0xF3, 0xF3, 0x00]),
];

/// 1.0.1 of the binding, DSP0235.
const NVME_MI_VERSIONS: [Version; 1] = [Version::from_bytes([0xF1, 0xF0, 0xF1, 0x00])];

/// A request and the only right answer to it.
pub(super) struct Step<'a> {
    label: &'a str,
    destination: Eid,
    command: Command,
    data: Vec<u8>,
    /// Makes the answer of what is a success without data so far.
    answer: Box<dyn Fn(&mut Response) + 'a>,
    /// The answer in words.
    means: &'a str,
    /// Whether the short screen shows it.
    is_highlight: bool,
}

impl<'a> Step<'a> {
    /// A request to the device's endpoint ID.
    fn new<R: Request>(
        label: &'a str,
        request: &R,
        answer: impl Fn(&mut Response) + 'a,
        means: &'a str,
    ) -> Self {
        Self {
            label,
            destination: DEVICE,
            command: R::COMMAND,
            data: request.as_bytes().to_vec(),
            answer: Box::new(answer),
            means,
            is_highlight: false,
        }
    }

    /// Get Endpoint ID, and that the device is a simple endpoint with this one.
    pub(super) fn endpoint_id(label: &'a str, endpoint_id: Eid, means: &'a str) -> Self {
        let response = GetEndpointIdResponse {
            endpoint_id: endpoint_id.0,
            endpoint_type: EndpointType::simple(EndpointIdType::Dynamic),
            medium_specific: 0,
        };
        let answer = move |answer: &mut Response| answer.put(response.as_bytes());
        Self::new(label, &GetEndpointIdRequest, answer, means)
    }

    /// To whoever is at the other end of the cable.
    fn by_cable(self) -> Self {
        let destination = PHYSICAL;
        Self {
            destination,
            ..self
        }
    }

    fn highlighted(self) -> Self {
        Self {
            is_highlight: true,
            ..self
        }
    }

    /// The request with this instance ID, and the answer to it.
    pub(super) fn messages(&self, instance_id: u8) -> (Vec<u8>, Response) {
        let header = Header::request(instance_id, self.command);
        let mut answer = Response::to(&header);
        (self.answer)(&mut answer);
        let request = [Message::new(header).as_bytes(), &self.data].concat();
        (request, answer)
    }

    async fn run(
        &self,
        exchanger: &Exchanger<'_, '_, '_>,
        instance_id: u8,
    ) -> Result<Exchange, String> {
        let (request, expected) = self.messages(instance_id);
        let exchange = exchanger.ask(self.destination, &request).await?;
        if exchange.response != expected.as_bytes() {
            return Err(format!(
                "{}, should be {}",
                Hex(&exchange.response),
                Hex(expected.as_bytes())
            ));
        }
        Ok(exchange)
    }
}

pub(super) async fn show(
    exchanger: &Exchanger<'_, '_, '_>,
    expectations: &Expectations,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    screen.heading("MCTP control protocol: the host, endpoint 8, makes the device endpoint 9")?;
    let uuid = expectations.uuid.to_string();
    let mut steps = identity(expectations, &uuid);
    steps.extend(support());
    for (step, instance) in steps.iter().zip(0..) {
        let result = step.run(exchanger, instance).await;
        let packets = result.as_ref().ok().map(|exchange| {
            (
                exchange.request_packets.concat(),
                exchange.response_packets.concat(),
            )
        });
        let result = result.map(|_| step.means.to_owned());
        screen.check_or_highlight(step.is_highlight, step.label, result)?;
        if let Some((request, response)) =
            packets.filter(|_| step.command == Command::SET_ENDPOINT_ID)
        {
            screen.detail(&format!(
                "host:   {}   (4 bytes packet header, then the message)",
                Hex(&request)
            ))?;
            screen.detail(&format!("device: {}", Hex(&response)))?;
        }
    }
    Ok(())
}

/// Who the device is.
fn identity<'a>(expectations: &Expectations, uuid: &'a str) -> Vec<Step<'a>> {
    let set = SetEndpointIdRequest {
        operation: Operation::SET,
        endpoint_id: DEVICE.0,
    };
    let was_set = SetEndpointIdResponse {
        status: SetEndpointIdStatus::ACCEPTED,
        endpoint_id: DEVICE.0,
        pool_size: 0,
    };
    let uuid_bytes = expectations.uuid.into_bytes();
    let uuid_bytes = GetEndpointUuidResponse { uuid: uuid_bytes };
    vec![
        Step::endpoint_id("Get Endpoint ID, by cable", PHYSICAL, "none yet").by_cable(),
        Step::new(
            "Set Endpoint ID, by cable",
            &set,
            move |answer| answer.put(was_set.as_bytes()),
            "accepted: 9; no pool, so not a bridge",
        )
        .by_cable()
        .highlighted(),
        Step::endpoint_id("Get Endpoint ID", DEVICE, "9, simple endpoint, dynamic"),
        Step::new(
            "Get Endpoint UUID",
            &GetEndpointUuidRequest,
            move |answer| answer.put(uuid_bytes.as_bytes()),
            uuid,
        )
        .highlighted(),
    ]
}

/// What the device supports, and what it refuses.
fn support() -> Vec<Step<'static>> {
    let versions = |label, message_type, versions: &'static [Version], means| {
        let emit = move |answer: &mut _| GetVersionSupportResponse::emit(versions, answer);
        Step::new(
            label,
            &GetVersionSupportRequest { message_type },
            emit,
            means,
        )
    };
    let refuse = |code| move |answer: &mut Response| answer.refuse(code);
    let base = GetVersionSupportRequest::BASE_SPECIFICATION;
    let vendor = VendorSupport {
        next_selector: VendorSupport::LAST,
        vendor: Vendor::Pci(mctp_bench::VENDOR_ID),
        command_set: 0,
    };
    vec![
        versions(
            "Get MCTP Version Support, base",
            base,
            &VERSIONS,
            "1.0, 1.1, 1.2, 1.3.3",
        ),
        versions(
            "Get MCTP Version Support, control",
            MESSAGE_TYPE,
            &VERSIONS,
            "1.0, 1.1, 1.2, 1.3.3",
        ),
        versions(
            "Get MCTP Version Support, NVMe-MI",
            mctp::MCTP_TYPE_NVME.0,
            &NVME_MI_VERSIONS,
            "1.0.1",
        ),
        Step::new(
            "Get MCTP Version Support, PLDM",
            &GetVersionSupportRequest {
                message_type: mctp::MCTP_TYPE_PLDM.0,
            },
            refuse(CompletionCode::MESSAGE_TYPE_NOT_SUPPORTED),
            "message type not supported",
        ),
        Step::new(
            "Get Message Type Support",
            &GetMessageTypeSupportRequest,
            |answer| GetMessageTypeSupportResponse::emit([0x04, 0x7E].into_iter(), answer),
            "00h control, 04h NVMe-MI, 7Eh vendor (PCI)",
        )
        .highlighted(),
        Step::new(
            "Get Vendor Defined Message Support 0",
            &GetVendorSupportRequest { selector: 0 },
            move |answer| vendor.emit(answer),
            "PCI vendor CCDEh, command set 0; no more",
        ),
        Step::new(
            "Get Vendor Defined Message Support 1",
            &GetVendorSupportRequest { selector: 1 },
            refuse(CompletionCode::INVALID_DATA),
            "invalid data: there is no such selector",
        ),
        Step {
            label: "Resolve Endpoint ID",
            destination: DEVICE,
            command: Command::RESOLVE_ENDPOINT_ID,
            data: vec![DEVICE.0],
            answer: Box::new(refuse(CompletionCode::UNSUPPORTED_COMMAND)),
            means: "unsupported: for bridges only",
            is_highlight: false,
        },
    ]
}

/// The instance ID of the request behind the first malformed transfer: another than those before.
const FIRST_INSTANCE: u8 = 20;

/// Malformed input costs itself only.
pub(super) async fn show_robustness(
    exchanger: &Exchanger<'_, '_, '_>,
    guest: &Guest,
    pipes: &Pipes,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    screen.heading("Malformed input costs itself only: Get Endpoint ID is answered after")?;
    let transfers: [(&str, &[u8]); 3] = [
        ("a transfer that is not MCTP", &[0xDE; 100]),
        ("a packet longer than its transfer", &CUT_OFF),
        ("the start of a message without end", &unfinished_message()),
    ];
    for ((label, transfer), instance) in transfers.into_iter().zip(FIRST_INSTANCE..) {
        guest.bulk_out(pipes.output.address, transfer).await?;
        if pipes.version == mctp_usb::Version::V1_1 && transfer == CUT_OFF {
            // There the packet goes on in the next transfer: its rest.
            let rest = [0; CUT_OFF[3] as usize - CUT_OFF.len()];
            guest.bulk_out(pipes.output.address, &rest).await?;
        }
        let step = Step::endpoint_id(label, DEVICE, "9");
        let result = step.run(exchanger, instance).await;
        let result = result.map(|exchange| format!("9, in {}", milliseconds(exchange.time)));
        screen.check_or_highlight(instance == FIRST_INSTANCE, label, result)?;
    }
    Ok(())
}

/// 11 bytes of a packet that should have 72, with its DSP0283 header. It is for endpoint 42, which
/// is not here.
const CUT_OFF: [u8; 11] = [0x1A, 0xB4, 0x00, 72, 0x01, 42, 8, 0xC8, 0x7E, 0xCC, 0xDE];

/// A start packet of an echo request that never goes on, with its DSP0283 header.
fn unfinished_message() -> [u8; 72] {
    let mut transfer = [0; 72];
    transfer[..12].copy_from_slice(&[
        0x1A, 0xB4, 0x00, 72, 0x01, 9, 8, 0x8F, 0x7E, 0xCC, 0xDE, 0xF0,
    ]);
    transfer
}

/// How long something took.
pub(super) fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        ..100.0 => format!("{milliseconds:.2} ms"),
        _ => format!("{milliseconds:.0} ms"),
    }
}
