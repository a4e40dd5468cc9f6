//! The buffers that a port fills for its transport.

use mctp_transport::Transfer;

use super::Port;
use super::forward::PortForwarding;

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

/// What a port that [forwards](crate::RouterCore::forward_by) has beside its [`PortBuffers`]: one more
/// transfer buffer of `TRANSFER_LEN` bytes, for packets of neighbours that cannot wait. On a 32-bit
/// target it takes `TRANSFER_LEN` + 56 bytes.
#[derive(Debug)]
pub struct ForwardingBuffer<'b, const TRANSFER_LEN: usize> {
    state: Option<PortForwarding<'b>>,
    transfer: Option<Transfer<'b>>,
    buffer: [u8; TRANSFER_LEN],
}

impl<'b, const TRANSFER_LEN: usize> ForwardingBuffer<'b, TRANSFER_LEN> {
    /// An empty buffer: all zeros.
    pub const fn new() -> Self {
        Self {
            state: None,
            transfer: None,
            buffer: [0; TRANSFER_LEN],
        }
    }

    /// The place of the port's state, and the transfer.
    pub(super) fn parts(
        &'b mut self,
    ) -> (&'b mut Option<PortForwarding<'b>>, &'b mut Transfer<'b>) {
        let transfer = Transfer::new(&mut self.buffer, Port::UNKNOWN_LAYOUT);
        (&mut self.state, self.transfer.insert(transfer))
    }
}

impl<const TRANSFER_LEN: usize> Default for ForwardingBuffer<'_, TRANSFER_LEN> {
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
