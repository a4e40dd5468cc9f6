//! A USB function of a vendor's own: the host gets back each USB packet that it sends.

use core::convert::Infallible;

use embassy_usb::Builder;
use embassy_usb::driver::{Driver, Endpoint, EndpointIn, EndpointOut};

/// Vendor-specific class (USB class codes, FFh).
const VENDOR_SPECIFIC: u8 = 0xFF;

/// Bytes in the configuration descriptor: interface association, interface and two endpoints.
pub const DESCRIPTORS: usize = 8 + 9 + 2 * 7;

/// The function's two bulk endpoints.
pub struct Loopback<'d, D: Driver<'d>> {
    output: D::EndpointOut,
    input: D::EndpointIn,
}

impl<'d, D: Driver<'d>> Loopback<'d, D> {
    /// Adds the function to a device.
    pub fn new(builder: &mut Builder<'d, D>, max_packet_size: u16) -> Self {
        let mut function = builder.function(VENDOR_SPECIFIC, 0, 0);
        let mut interface = function.interface();
        let mut setting = interface.alt_setting(VENDOR_SPECIFIC, 0, 0, None);
        Self {
            output: setting.endpoint_bulk_out(None, max_packet_size),
            input: setting.endpoint_bulk_in(None, max_packet_size),
        }
    }

    /// Runs for ever. `buffer` has room for a USB packet.
    pub async fn run(&mut self, buffer: &mut [u8]) -> Infallible {
        loop {
            self.output.wait_enabled().await;
            while let Ok(length) = self.output.read(buffer).await
                && let Some(packet) = buffer.get(..length)
                && self.input.write(packet).await.is_ok()
            {}
        }
    }
}
