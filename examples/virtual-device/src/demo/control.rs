//! The control protocol (DSP0236 1.3.3, section 12), as a bus owner speaks it.

use mctp::Eid;
use mctp_usb::Version;
use reference_device::Hex;

use super::exchange::{Exchange, Exchanger};
use super::screen::Screen;
use crate::cli::DeviceSettings;
use crate::host::guest::Guest;
use crate::host::transport::Pipes;

/// The endpoint ID that the device gets.
pub(super) const DEVICE: Eid = Eid(9);

/// Whoever is at the other end of the cable.
const PHYSICAL: Eid = Eid(0);

/// Rq bit and instance ID of the first request.
const FIRST_INSTANCE: u8 = 0x80;

/// 1.0, 1.1, 1.2 and 1.3.3 in the encoding of section 12.7.2.
const VERSIONS: [u8; 17] = [
    4, 0xF1, 0xF0, 0xFF, 0x00, 0xF1, 0xF1, 0xFF, 0x00, 0xF1, 0xF2, 0xFF, 0x00, 0xF1, 0xF3, 0xF3,
    0x00,
];

/// 1.0.1 of the binding, DSP0235.
const NVME_MI_VERSIONS: [u8; 5] = [1, 0xF1, 0xF0, 0xF1, 0x00];

/// A request and the only right answer to it.
struct Step<'a> {
    label: &'a str,
    destination: Eid,
    command: u8,
    data: &'a [u8],
    completion_code: u8,
    answer: &'a [u8],
    /// The answer in words.
    means: &'a str,
}

impl Step<'_> {
    async fn run(
        &self,
        exchanger: &Exchanger<'_, '_, '_>,
        instance: u8,
    ) -> Result<Exchange, String> {
        let instance = instance & 0x1F;
        let head = [0x00, FIRST_INSTANCE | instance, self.command];
        let request = [&head, self.data].concat();
        let expected = [
            &[0x00, instance, self.command, self.completion_code],
            self.answer,
        ]
        .concat();
        let exchange = exchanger.ask(self.destination, &request).await?;
        if exchange.response != expected {
            return Err(format!(
                "{}, should be {}",
                Hex(&exchange.response),
                Hex(&expected)
            ));
        }
        Ok(exchange)
    }
}

pub(super) async fn show(
    exchanger: &Exchanger<'_, '_, '_>,
    settings: &DeviceSettings,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    screen.heading("MCTP control protocol: the host, endpoint 8, makes the device endpoint 9")?;
    let uuid = settings.uuid.into_bytes();
    let uuid_text = settings.uuid.to_string();
    for (step, instance) in steps(&uuid, &uuid_text).iter().zip(0..) {
        let result = step.run(exchanger, instance).await;
        let packets = result.as_ref().ok().map(|exchange| {
            (
                exchange.request_packets.concat(),
                exchange.response_packets.concat(),
            )
        });
        screen.check(step.label, result.map(|_| step.means.to_owned()))?;
        if let Some((request, response)) = packets.filter(|_| step.command == 0x01) {
            screen.note(&format!(
                "host:   {}   (4 bytes packet header, then the message)",
                Hex(&request)
            ))?;
            screen.note(&format!("device: {}", Hex(&response)))?;
        }
    }
    Ok(())
}

fn steps<'a>(uuid: &'a [u8], uuid_text: &'a str) -> [Step<'a>; 12] {
    let ask = |label, command, data, answer, means| Step {
        label,
        destination: DEVICE,
        command,
        data,
        completion_code: 0x00,
        answer,
        means,
    };
    let refuse = |label, command, data, completion_code, means| Step {
        completion_code,
        ..ask(label, command, data, &[], means)
    };
    [
        Step {
            destination: PHYSICAL,
            ..ask(
                "Get Endpoint ID, by cable",
                0x02,
                &[],
                &[0, 0x00, 0],
                "none yet",
            )
        },
        Step {
            destination: PHYSICAL,
            ..ask(
                "Set Endpoint ID 9, by cable",
                0x01,
                &[0, 9],
                &[0x00, 9, 0],
                "accepted: 9; no pool, so not a bridge",
            )
        },
        ask(
            "Get Endpoint ID",
            0x02,
            &[],
            &[9, 0x00, 0],
            "9, simple endpoint, dynamic",
        ),
        ask("Get Endpoint UUID", 0x03, &[], uuid, uuid_text),
        ask(
            "Get MCTP Version Support, base",
            0x04,
            &[0xFF],
            &VERSIONS,
            "1.0, 1.1, 1.2, 1.3.3",
        ),
        ask(
            "Get MCTP Version Support, control",
            0x04,
            &[0x00],
            &VERSIONS,
            "1.0, 1.1, 1.2, 1.3.3",
        ),
        ask(
            "Get MCTP Version Support, NVMe-MI",
            0x04,
            &[0x04],
            &NVME_MI_VERSIONS,
            "1.0.1",
        ),
        refuse(
            "Get MCTP Version Support, PLDM",
            0x04,
            &[0x01],
            0x80,
            "message type not supported",
        ),
        ask(
            "Get Message Type Support",
            0x05,
            &[],
            &[3, 0x00, 0x04, 0x7E],
            "00h control, 04h NVMe-MI, 7Eh vendor defined (PCI)",
        ),
        ask(
            "Get Vendor Defined Message Support 0",
            0x06,
            &[0],
            &[0xFF, 0x00, 0xCC, 0xDE, 0x00, 0x00],
            "PCI vendor CCDEh, command set 0; no more",
        ),
        refuse(
            "Get Vendor Defined Message Support 1",
            0x06,
            &[1],
            0x02,
            "invalid data: there is no such selector",
        ),
        refuse(
            "Resolve Endpoint ID",
            0x07,
            &[9],
            0x05,
            "unsupported: for bridges only",
        ),
    ]
}

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
    for ((label, transfer), instance) in transfers.into_iter().zip(20..) {
        guest.bulk_out(pipes.output.address, transfer).await?;
        if pipes.version == Version::V1_1 && transfer == CUT_OFF {
            // There the packet goes on in the next transfer: its rest.
            let rest = [0; CUT_OFF[3] as usize - CUT_OFF.len()];
            guest.bulk_out(pipes.output.address, &rest).await?;
        }
        let step = Step {
            label,
            destination: DEVICE,
            command: 0x02,
            data: &[],
            completion_code: 0x00,
            answer: &[9, 0x00, 0],
            means: "9",
        };
        let result = step.run(exchanger, instance).await;
        screen.check(
            label,
            result.map(|exchange| format!("9, in {}", milliseconds(&exchange))),
        )?;
    }
    Ok(())
}

/// 11 bytes of a packet that should have 72, with its DSP0283 header. It is for endpoint 42, which
/// is not here.
const CUT_OFF: [u8; 11] = [0x1A, 0xB4, 0x00, 72, 0x01, 42, 8, 0xC8, 0x00, 0x80, 0x02];

/// A start packet of an echo request that never goes on, with its DSP0283 header.
fn unfinished_message() -> [u8; 72] {
    let mut transfer = [0; 72];
    transfer[..12].copy_from_slice(&[
        0x1A, 0xB4, 0x00, 72, 0x01, 9, 8, 0x8F, 0x7E, 0xCC, 0xDE, 0xF0,
    ]);
    transfer
}

/// How long an exchange took.
pub(super) fn milliseconds(exchange: &Exchange) -> String {
    format!("{:.2} ms", exchange.time.as_secs_f64() * 1000.0)
}
