//! Whether an MCTP endpoint answers (DSP0236 1.3.3, section 12.5; DSP0283 1.0, section 5).

use anyhow::{Context, Result, bail, ensure};
use mctp_router::wire::{
    GetEndpointIdRequest, Header, MESSAGE_TYPE, Message, Request, ResponseHeader,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::descriptors::Device;
use crate::host::{Host, Outcome};
use crate::walk::Function;

const REQUEST: Header = Header::request(0, GetEndpointIdRequest::COMMAND);
/// USB header with the length of the whole, packet header to endpoint ID 0 from 8.
const HEADERS: [u8; 8] = [0x1A, 0xB4, 0x00, 0x0B, 0x01, 0x00, 0x08, 0xC8];
/// How many other packets may come before the answer.
const PATIENCE: usize = 8;

/// An MCTP endpoint.
pub struct Endpoint;

impl<H: Host> Function<H> for Endpoint {
    /// Asks for the endpoint ID, and waits for the answer.
    fn try_out(&self, host: &mut H, device: &Device) -> Result<()> {
        self.provoke(host, device)?;
        let input = device.bulk_endpoint(0x80).context("no bulk IN endpoint")?;
        for _ in 0..PATIENCE {
            let Outcome::Done(transfer) = host.bulk_in(input, 512)? else {
                bail!("the bulk IN endpoint is halted");
            };
            if is_answer(&transfer) {
                return Ok(());
            }
        }
        bail!("no answer to Get Endpoint ID")
    }

    fn provoke(&self, host: &mut H, device: &Device) -> Result<()> {
        let output = device.bulk_endpoint(0).context("no bulk OUT endpoint")?;
        let sent = host.bulk_out(output, &get_endpoint_id())?;
        ensure!(
            sent == Outcome::Done(Vec::new()),
            "the bulk OUT endpoint is halted"
        );
        Ok(())
    }
}

fn get_endpoint_id() -> Vec<u8> {
    [&HEADERS, Message::new(REQUEST).as_bytes()].concat()
}

/// Whether a transfer begins with a packet that answers [`REQUEST`] with success.
fn is_answer(transfer: &[u8]) -> bool {
    let message = transfer
        .get(HEADERS.len()..)
        .map(Message::<ResponseHeader>::ref_from_prefix);
    let Some(Ok((message, _))) = message else {
        return false;
    };
    message.type_ic == MESSAGE_TYPE
        && message.body.answers(&REQUEST)
        && message.body.completion_code.is_success()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DSP0283 1.0, section 5; DSP0236 1.3.3, sections 8.2, 11.4 and 12.5.
    #[test]
    fn get_endpoint_id_is_as_long_as_its_usb_header_says() {
        let bytes = [
            0x1A, 0xB4, 0x00, 0x0B, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02,
        ];
        assert_eq!(get_endpoint_id(), bytes);
    }

    #[test]
    fn a_success_of_the_same_command_and_instance_id_is_the_answer() {
        let answer = [
            0x1A, 0xB4, 0x00, 0x0F, 0x01, 0x08, 0x09, 0xC0, 0x00, 0x00, 0x02, 0x00, 9, 0, 0,
        ];
        assert!(is_answer(&answer) && !is_answer(&answer[..11]) && !is_answer(&[]));
        for at in 8..12 {
            let mut other = answer;
            other[at] ^= 1;
            assert!(!is_answer(&other), "byte {at}");
        }
    }
}
