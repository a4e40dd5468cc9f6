//! The echo service of the Linux MCTP tools: message type 7Eh, PCI vendor CCDEh, subtype F0h.

use super::control::{DEVICE, milliseconds};
use super::exchange::Exchanger;
use super::expectations::Expectations;
use super::screen::Screen;

/// Message type, vendor ID and subtype.
const PREFIX: [u8; 4] = [0x7E, 0xCC, 0xDE, 0xF0];

pub(super) async fn show(
    exchanger: &Exchanger<'_, '_, '_>,
    expectations: &Expectations,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let (mtu, max_message) = (expectations.mtu, expectations.max_message);
    screen.heading(&format!(
        "Echo: packets of up to {mtu} bytes with their header, messages of up to {max_message}"
    ))?;
    let lengths = lengths(expectations.unit(), max_message);
    for (index, length) in lengths.iter().copied().enumerate() {
        let label = if length == 1 {
            "1 byte".into()
        } else {
            format!("{length} bytes")
        };
        let result = echo(exchanger, length).await;
        let is_shortest_or_longest = index == 0 || index + 1 == lengths.len();
        screen.check_or_highlight(is_shortest_or_longest, &label, result)?;
    }
    Ok(())
}

/// One byte, as much as one packet holds, one byte more, several packets, 4 KiB, and as much as the
/// device takes.
fn lengths(unit: usize, max_message: usize) -> Vec<usize> {
    let one_packet = unit - PREFIX.len();
    let longest = max_message - PREFIX.len();
    let mut lengths = vec![1, one_packet, one_packet + 1, 4 * unit, 4096, longest];
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
    let time = milliseconds(exchange.time);
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
        assert_eq!(lengths(64, 4224), [1, 60, 61, 256, 4096, 4220]);
        assert_eq!(lengths(64, 64), [1, 60]);
        assert_eq!(lengths(247, 65_536), [1, 243, 244, 988, 4096, 65_532]);
    }
}
