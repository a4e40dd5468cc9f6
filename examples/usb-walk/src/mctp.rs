//! Whether an MCTP endpoint answers (DSP0236 1.3.3, section 12.4; DSP0283 1.0, section 5).

use anyhow::{Context, Result, bail, ensure};

use crate::descriptors::Device;
use crate::host::{Host, Outcome};
use crate::walk::Function;

/// USB header with the length of the whole, packet header to endpoint ID 0 from 8, Get Endpoint ID.
const GET_ENDPOINT_ID: [u8; 11] = [
    0x1A, 0xB4, 0x00, 0x0B, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02,
];
/// Where the packet's payload begins.
const PAYLOAD: usize = 8;
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
            // Message type, no request, the same instance ID; the command; success.
            if transfer.get(PAYLOAD..PAYLOAD + 4) == Some(&[0x00, 0x00, 0x02, 0x00]) {
                return Ok(());
            }
        }
        bail!("no answer to Get Endpoint ID")
    }

    fn provoke(&self, host: &mut H, device: &Device) -> Result<()> {
        let output = device.bulk_endpoint(0).context("no bulk OUT endpoint")?;
        let sent = host.bulk_out(output, &GET_ENDPOINT_ID)?;
        ensure!(
            sent == Outcome::Done(Vec::new()),
            "the bulk OUT endpoint is halted"
        );
        Ok(())
    }
}
