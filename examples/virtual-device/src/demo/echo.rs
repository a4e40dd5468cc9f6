//! The echo service of the Linux MCTP tools: message type 7Eh, PCI vendor CCDEh, subtype F0h.

use super::control::{DEVICE, milliseconds};
use super::exchange::Exchanger;
use super::screen::Screen;
use crate::settings::DeviceSettings;

/// Message type, vendor ID and subtype.
const PREFIX: [u8; 4] = [0x7E, 0xCC, 0xDE, 0xF0];

pub(super) async fn show(
    exchanger: &Exchanger<'_, '_, '_>,
    settings: &DeviceSettings,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    screen.heading(&format!(
        "Echo, in packets of at most {} bytes with their header (--mtu); messages to {} (--max-message)",
        settings.mtu, settings.max_message
    ))?;
    for length in lengths(settings) {
        let label = if length == 1 {
            "1 byte".into()
        } else {
            format!("{length} bytes")
        };
        screen.check(&label, echo(exchanger, length).await)?;
    }
    Ok(())
}

/// One byte, as much as one packet holds, one byte more, several packets, 4 KiB, and as much as the
/// device takes.
fn lengths(settings: &DeviceSettings) -> Vec<usize> {
    let one_packet = settings.unit() - PREFIX.len();
    let longest = settings.max_message - PREFIX.len();
    let mut lengths = vec![
        1,
        one_packet,
        one_packet + 1,
        4 * settings.unit(),
        4096,
        longest,
    ];
    lengths.retain(|length| *length <= longest);
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

async fn echo(exchanger: &Exchanger<'_, '_, '_>, length: usize) -> Result<String, String> {
    // The pattern of mctp-req.
    let payload = (0..length).map(|index| index as u8);
    let request: Vec<u8> = PREFIX.into_iter().chain(payload).collect();
    let exchange = exchanger.ask(DEVICE, &request).await?;
    if exchange.response != request {
        let at = exchange
            .response
            .iter()
            .zip(&request)
            .position(|(a, b)| a != b);
        return Err(match at {
            Some(at) => format!("the echo differs at byte {at}"),
            None => format!("the echo has {} bytes", exchange.response.len()),
        });
    }
    let (there, back) = (
        exchange.request_packets.len(),
        exchange.response_packets.len(),
    );
    let time = milliseconds(&exchange);
    Ok(format!(
        "identical; {there} packet{} there, {back} back, {time}",
        if there == 1 { "" } else { "s" }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_fit_the_device_and_fill_it() {
        let settings = DeviceSettings::default();
        assert_eq!(lengths(&settings), [1, 60, 61, 256, 4096, 4220]);
        let small = DeviceSettings {
            max_message: 64,
            ..settings.clone()
        };
        assert_eq!(lengths(&small), [1, 60]);
        let large = DeviceSettings {
            max_message: 65_536,
            mtu: 251,
            ..settings
        };
        assert_eq!(lengths(&large), [1, 243, 244, 988, 4096, 65_532]);
    }
}
