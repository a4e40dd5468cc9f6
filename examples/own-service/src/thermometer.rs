//! A service of a vendor's own: the temperature, over vendor-defined messages of an IANA enterprise
//! (DSP0236 1.3.3, section 12.9).
//!
//! | byte | request | response |
//! |-|-|-|
//! | 0 | message type, 7Fh | the same |
//! | 1 to 4 | enterprise number, most significant byte first | the same |
//! | 5 | command: 00h Get Temperature | the same |
//! | 6 | | completion code: 00h success, 01h unknown command |
//! | 7, 8 | | on success: tenths of a degree Celsius, signed, most significant byte first |
//!
//! The router finds the service by bytes 0 to 4, and hands out what is behind byte 0.

use core::convert::Infallible;

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_router::Service;
use reference_device::{Clock, Router};

/// The router's channels that the service takes: its listener.
pub const CHANNELS: usize = 1;

/// The enterprise number for examples (RFC 5612). Yours is the one that IANA gave to your company.
pub const ENTERPRISE: u32 = 32473;

/// The command that there is.
pub const GET_TEMPERATURE: u8 = 0x00;

/// The completion codes.
pub const SUCCESS: u8 = 0x00;
/// Of any other command.
pub const UNKNOWN_COMMAND: u8 = 0x01;

/// Serves for ever.
///
/// # Errors
///
/// Only at the start: when the router's storage has no channel left, or somebody else serves this
/// enterprise.
pub fn serve<M: RawMutex, C: Clock>(
    router: &Router<'_, M, C>,
    measure: impl Fn() -> i16,
) -> mctp::Result<impl Future<Output = Infallible>> {
    let listener = router.listener(Service::vendor_iana(ENTERPRISE, &[]))?;
    Ok(async move {
        loop {
            let request = listener.receive().await;
            // Without a command it is no request, so there is nothing to answer.
            if let Some((opening, [command, ..])) = request.bytes().split_at_checked(4) {
                let temperature = measure().to_be_bytes();
                let (code, data) = match *command {
                    GET_TEMPERATURE => (SUCCESS, &temperature[..]),
                    _ => (UNKNOWN_COMMAND, &[][..]),
                };
                // A host that does not read is counted by the router; it asks again if it wants to.
                let _ = request
                    .respond(
                        request.origin().integrity_check(),
                        &[opening, &[*command, code], data],
                    )
                    .await;
            }
        }
    })
}
