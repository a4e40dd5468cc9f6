//! The wire as the engine and the runner see it.

use crate::engine::{Answer, Engine, Received};

/// What came is not this protocol.
#[derive(Debug)]
pub(crate) struct ProtocolError;

/// One connection's state of a protocol that carries USB requests over a byte stream.
///
/// It reads requests from the stream and hands them to the engine, and writes the answers that the
/// engine hands to it. It decides nothing about endpoints, and keeps no data.
pub(crate) trait Protocol {
    /// The longest that [`emit`](Self::emit) and [`emit_pending`](Self::emit_pending) write.
    const LONGEST_MESSAGE: usize;

    /// The stream was opened; [`Engine::link_up`] was called.
    fn open(&mut self, engine: &mut Engine<'_>);

    /// Takes bytes of the stream; call it again with what it did not use.
    fn receive(&mut self, engine: &mut Engine<'_>, input: &[u8])
    -> Result<Received, ProtocolError>;

    /// Writes a message that is no answer, if one waits, and returns its length.
    fn emit_pending(&mut self, _engine: &Engine<'_>, _out: &mut [u8]) -> usize {
        0
    }

    /// Our side of the connection has ended: the device was unplugged, and there is no message for
    /// that.
    fn has_ended(&self) -> bool {
        false
    }

    /// Writes the message for an answer that `data_length` bytes will follow, and returns its
    /// length; 0 when the protocol has no such message.
    fn emit(
        &mut self,
        engine: &Engine<'_>,
        answer: &Answer,
        data_length: usize,
        out: &mut [u8],
    ) -> usize;
}
