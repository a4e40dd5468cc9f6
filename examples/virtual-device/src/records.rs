//! The record stream of an I2C bus in software: every write on the bus is one record.
//!
//! | bytes | content |
//! |-|-|
//! | 0, 1 | how many bytes follow: 1 to 300, the low byte first |
//! | 2 | the target's address in bits 7:1; bit 0 is clear, as it is a write |
//! | 3.. | what is written |
//!
//! A record from the device is a write of the device; one to it is a write of somebody else. Nobody
//! can read on this bus, and nobody loses arbitration.

use std::io;

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{
    ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress,
};
use embedded_io_async::{Read, Write};
use mctp_i2c::{BusFrequency, BusStatus, SharedBusFrequency, Target, TargetAddress, TargetError};

use crate::wire::{ReceivingEnd, SendingEnd, Streams, Wire};

/// The longest record: a stream with a longer one carries something else. The longest packet of
/// MCTP takes 259 bytes.
pub(crate) const LONGEST_RECORD: usize = 300;

const LENGTH_BYTES: usize = 2;

/// A record stream has a record with no bytes, or with more than [`LONGEST_RECORD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a record has {0} bytes instead of 1 to {LONGEST_RECORD}: the stream carries no I2C records"
)]
pub(crate) struct BadRecord(pub(crate) usize);

/// A record that arrives bit by bit.
#[derive(Debug)]
struct Incoming {
    bytes: [u8; LENGTH_BYTES + LONGEST_RECORD],
    len: usize,
}

impl Incoming {
    const fn new() -> Self {
        Self {
            bytes: [0; LENGTH_BYTES + LONGEST_RECORD],
            len: 0,
        }
    }

    /// Where the next bytes go: no more than there are of this record. Empty when it is complete.
    fn missing(&mut self) -> Result<&mut [u8], BadRecord> {
        let whole = match self.len {
            0..LENGTH_BYTES => LENGTH_BYTES,
            _ => LENGTH_BYTES + self.length()?,
        };
        Ok(&mut self.bytes[self.len..whole])
    }

    fn length(&self) -> Result<usize, BadRecord> {
        let length = usize::from(u16::from_le_bytes([self.bytes[0], self.bytes[1]]));
        match length {
            1..=LONGEST_RECORD => Ok(length),
            _ => Err(BadRecord(length)),
        }
    }

    /// The complete record, without its length.
    fn record(&self) -> &[u8] {
        &self.bytes[LENGTH_BYTES..self.len]
    }
}

/// The receiving end as an I2C peripheral in target mode: it gets the records for its address.
pub(crate) struct RecordTarget<'w, S> {
    end: ReceivingEnd<'w, S>,
    address: TargetAddress,
    incoming: Incoming,
}

impl<'w, S: Streams> RecordTarget<'w, S> {
    /// The target at `address`.
    pub(crate) fn new(end: ReceivingEnd<'w, S>, address: TargetAddress) -> Self {
        Self {
            end,
            address,
            incoming: Incoming::new(),
        }
    }

    /// Reads on until `incoming` is complete. `false` when the stream has ended.
    async fn complete(&mut self) -> Result<bool, BadRecord> {
        loop {
            let missing = self.incoming.missing()?;
            if missing.is_empty() {
                return Ok(true);
            }
            // An error is an end, too.
            let len = self.end.read(missing).await.unwrap_or(0);
            if len == 0 {
                return Ok(false);
            }
            self.incoming.len += len;
        }
    }
}

impl<S: Streams> Target for RecordTarget<'_, S> {
    async fn wait_enabled(&mut self) {
        self.incoming = Incoming::new();
        self.end.connected().await;
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TargetError> {
        loop {
            match self.complete().await {
                Ok(true) => {}
                Ok(false) => return Err(TargetError::Disabled),
                Err(error) => {
                    log::warn!("{error}");
                    self.end.disconnect();
                    return Err(TargetError::Disabled);
                }
            }
            let own = self.address.destination_byte();
            let received = match self.incoming.record().split_first() {
                Some((&address, written)) if address == own => {
                    let len = written.len().min(buffer.len());
                    buffer[..len].copy_from_slice(&written[..len]);
                    Some(len)
                }
                // It is for another target on the bus.
                _ => None,
            };
            self.incoming.len = 0;
            if let Some(len) = received {
                return Ok(len);
            }
        }
    }
}

/// The sending end as an I2C controller.
///
/// A write that is dropped half-way is ended before the next one: the other end always gets whole
/// records. The stream has no clock: that the frequency changed is logged, no more.
pub(crate) struct RecordController<'w> {
    end: SendingEnd<'w>,
    allowed: &'w SharedBusFrequency,
    /// What a controller with a clock would run at.
    runs_at: BusFrequency,
    /// The record on its way, with its length before it.
    record: Vec<u8>,
    /// How many bytes of it the stream has.
    sent: usize,
    /// The connection that has them.
    connection: u64,
}

impl<'w> RecordController<'w> {
    /// The controller on this wire, on a bus that it may drive at this frequency.
    pub(crate) fn new(wire: &'w Wire, allowed: &'w SharedBusFrequency) -> Self {
        Self {
            end: SendingEnd(wire),
            allowed,
            runs_at: BusFrequency::Khz100,
            record: Vec::with_capacity(LENGTH_BYTES + LONGEST_RECORD),
            sent: 0,
            connection: 0,
        }
    }

    fn follow_frequency(&mut self) {
        let allowed = self.allowed.get();
        if self.runs_at != allowed {
            log::info!("the bus runs at {allowed}");
            self.runs_at = allowed;
        }
    }

    /// Sends the rest of a record that has begun.
    async fn end_record(&mut self) -> io::Result<()> {
        let connection = self.end.0.connections();
        if self.sent == 0 || self.connection != connection {
            // Nobody there has seen anything of it.
            self.record.clear();
            self.sent = 0;
        }
        self.connection = connection;
        self.send_rest().await
    }

    async fn send_rest(&mut self) -> io::Result<()> {
        while self.sent < self.record.len() {
            match self.end.write(&self.record[self.sent..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                len => self.sent += len,
            }
        }
        self.record.clear();
        self.sent = 0;
        self.end.flush().await
    }
}

/// The other end is not there, or nobody can be read.
const NOBODY: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

impl ErrorType for RecordController<'_> {
    type Error = ErrorKind;
}

impl I2c for RecordController<'_> {
    async fn transaction(
        &mut self,
        address: SevenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let mut bytes = vec![address << 1];
        for operation in operations {
            match operation {
                Operation::Write(written) => bytes.extend_from_slice(written),
                Operation::Read(_) => return Err(NOBODY),
            }
        }
        if bytes.len() > LONGEST_RECORD {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data));
        }
        self.follow_frequency();
        self.end_record().await.map_err(|_| NOBODY)?;
        // No longer than the longest record.
        self.record.extend((bytes.len() as u16).to_le_bytes());
        self.record.extend(bytes);
        self.send_rest().await.map_err(|_| NOBODY)
    }
}

/// Whether the bus is there.
pub(crate) struct WireStatus<'w>(pub(crate) &'w Wire);

impl BusStatus for WireStatus<'_> {
    fn is_connected(&mut self) -> bool {
        self.0.is_connected()
    }
}

/// Time, as tokio has it.
pub(crate) struct TokioDelay;

impl DelayNs for TokioDelay {
    async fn delay_ns(&mut self, ns: u32) {
        tokio::time::sleep(std::time::Duration::from_nanos(ns.into())).await;
    }

    async fn delay_us(&mut self, us: u32) {
        tokio::time::sleep(std::time::Duration::from_micros(us.into())).await;
    }

    async fn delay_ms(&mut self, ms: u32) {
        tokio::time::sleep(std::time::Duration::from_millis(ms.into())).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;

    static FREQUENCY: SharedBusFrequency = SharedBusFrequency::new(BusFrequency::Khz100);

    /// A stream that has room for so many bytes, and its other end.
    fn connect(wire: &Wire, room: usize) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(room);
        wire.connect(Box::new(ours));
        theirs
    }

    async fn gives_up(controller: &mut RecordController<'_>, bytes: &[u8]) {
        let write = controller.write(0x10, bytes);
        let written = tokio::time::timeout(Duration::from_secs(1), write).await;
        assert!(written.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_was_dropped_half_way_is_ended_before_the_next() {
        let wire = Wire::default();
        let mut controller = RecordController::new(&wire, &FREQUENCY);
        let mut other = connect(&wire, 5);
        gives_up(&mut controller, &[1, 2, 3, 4, 5]).await;
        // Of this one nothing goes out: there is no room at all.
        gives_up(&mut controller, &[6, 7]).await;
        let mut read = [0; 14];
        let (written, done) = tokio::join!(
            controller.write(0x11, &[8, 9, 10]),
            other.read_exact(&mut read)
        );
        assert_eq!(written, Ok(()));
        assert_eq!(done.unwrap(), 14);
        assert_eq!(read, [6, 0, 0x20, 1, 2, 3, 4, 5, 4, 0, 0x22, 8, 9, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_connection_begins_with_a_whole_record() {
        let wire = Wire::default();
        let mut controller = RecordController::new(&wire, &FREQUENCY);
        let first = connect(&wire, 5);
        gives_up(&mut controller, &[1, 2, 3, 4, 5]).await;
        drop(first);
        let mut other = connect(&wire, 100);
        assert_eq!(controller.write(0x10, &[6]).await, Ok(()));
        let mut read = [0; 4];
        other.read_exact(&mut read).await.unwrap();
        assert_eq!(read, [2, 0, 0x20, 6]);
    }

    #[tokio::test]
    async fn nobody_is_there_without_a_stream_and_nobody_is_ever_read() {
        let wire = Wire::default();
        let mut controller = RecordController::new(&wire, &FREQUENCY);
        assert_eq!(controller.write(0x10, &[1]).await, Err(NOBODY));
        let _other = connect(&wire, 1000);
        assert_eq!(controller.read(0x10, &mut [0]).await, Err(NOBODY));
        assert_eq!(controller.write(0x10, &[1; 299]).await, Ok(()));
        let too_long = controller.write(0x10, &[1; 300]).await;
        assert_eq!(
            too_long,
            Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data))
        );
    }

    #[test]
    fn the_length_of_a_record_is_known_before_its_bytes() {
        for (length, is_good) in [(0, false), (1, true), (300, true), (301, false)] {
            let mut incoming = Incoming::new();
            assert_eq!(incoming.missing().unwrap().len(), 2);
            let bytes = (length as u16).to_le_bytes();
            incoming.missing().unwrap().copy_from_slice(&bytes);
            incoming.len = 2;
            let expected = is_good.then_some(length).ok_or(BadRecord(length));
            assert_eq!(incoming.missing().map(|missing| missing.len()), expected);
        }
    }
}
