//! The buffers that a port fills for its transport.

use mctp_transport::Transfer;

/// Control responses that may wait at a port for the neighbour to read them.
pub(crate) const RESPONSES: usize = 4;

/// A control response of one packet with the room that a transport may ask for around it.
pub(crate) const RESPONSE_LEN: usize = 80;

/// The transfer buffers of one port: two of `TRANSFER_LEN` bytes for messages, and four for control
/// responses. On a 32-bit target they take 2 × `TRANSFER_LEN` + 488 bytes.
///
/// `TRANSFER_LEN` is what the transport takes at once: 512 for one transfer of USB 1.0 (4,096, for
/// eight, is faster), 8,191 for USB 1.1, the longest packet with its frame for I2C. Less than 80 does
/// not compile.
///
/// A transport may ask for up to 12 bytes of header and trailer around a control response.
#[derive(Debug)]
pub struct PortBuffers<'b, const TRANSFER_LEN: usize> {
    transfers: [Option<Transfer<'b>>; 2],
    transfer_buffers: [[u8; TRANSFER_LEN]; 2],
    responses: [Option<Transfer<'b>>; RESPONSES],
    response_buffers: [[u8; RESPONSE_LEN]; RESPONSES],
}

impl<'b, const TRANSFER_LEN: usize> PortBuffers<'b, TRANSFER_LEN> {
    /// Empty buffers: all zeros.
    pub const fn new() -> Self {
        const {
            assert!(
                TRANSFER_LEN >= RESPONSE_LEN,
                "a transfer buffer has at least 80 bytes"
            );
        }
        Self {
            transfers: [const { None }; 2],
            transfer_buffers: [[0; TRANSFER_LEN]; 2],
            responses: [const { None }; RESPONSES],
            response_buffers: [[0; RESPONSE_LEN]; RESPONSES],
        }
    }

    pub(crate) fn parts(&'b mut self) -> PortParts<'b> {
        let [buffer, spare_buffer] = &mut self.transfer_buffers;
        let [transfer, spare] = &mut self.transfers;
        PortParts {
            transfers: [(transfer, buffer), (spare, spare_buffer)],
            responses: (&mut self.responses, &mut self.response_buffers),
        }
    }
}

impl<const TRANSFER_LEN: usize> Default for PortBuffers<'_, TRANSFER_LEN> {
    fn default() -> Self {
        Self::new()
    }
}

/// The buffers of a port.
#[derive(Debug)]
pub(crate) struct PortParts<'b> {
    pub(crate) transfers: [(&'b mut Option<Transfer<'b>>, &'b mut [u8]); 2],
    pub(crate) responses: (
        &'b mut [Option<Transfer<'b>>; RESPONSES],
        &'b mut [[u8; RESPONSE_LEN]; RESPONSES],
    ),
}
