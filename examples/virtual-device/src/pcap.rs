//! What crosses the wire, as a pcap file of Linux cooked capture (link type 113), as Linux itself
//! captures an MCTP interface.
//!
//! Each record is a cooked header of 16 bytes, all numbers big-endian, and an MCTP packet from its
//! packet header on:
//!
//! | offset | size | field |
//! |-|-|-|
//! | 0 | 2 | packet type: 0 received by the device, 4 sent by it |
//! | 2 | 2 | ARP hardware type: 290, MCTP |
//! | 4 | 2 | length of the link-layer address: 0, USB is point to point |
//! | 6 | 8 | link-layer address: none, zeros |
//! | 14 | 2 | protocol: 00FAh, MCTP |
//!
//! Wireshark and tshark 4.2 or later decode it as MCTP and what is inside. The transport's own
//! headers are not in it.

use std::cell::RefCell;
use std::fmt::{self, Display, Formatter};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, TsResolution};

use crate::background_writer::{BackgroundWriter, Handed};

/// Length of the cooked header, in bytes.
pub const COOKED_HEADER_LEN: usize = 16;

/// ARPHRD_MCTP.
const HARDWARE_TYPE_MCTP: u16 = 290;

/// ETH_P_MCTP.
const PROTOCOL_MCTP: u16 = 0x00FA;

/// Which way a packet goes, seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the device.
    Received,
    /// From the device.
    Sent,
}

impl Direction {
    const fn packet_type(self) -> u16 {
        match self {
            Self::Received => 0,
            Self::Sent => 4,
        }
    }
}

/// How many packets wait for a file that is slower than they come: 64 MiB of the longest.
const ROOM: usize = 8192;

/// Where a capture goes: what `--pcap` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output: `-`.
    StandardOutput,
    /// A file, which may be a FIFO.
    File(PathBuf),
}

impl Display for Destination {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandardOutput => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A capture file, written by a thread of its own: a FIFO that nobody reads does not stop the
/// device. Only whole packets are in the file, so that killing the process cannot spoil it.
pub struct Capture {
    writer: PcapWriter<Record>,
    record: Record,
    file: BackgroundWriter,
    patience: Duration,
    destination: Destination,
    is_incomplete: bool,
}

impl Capture {
    /// Starts a capture; what was in the file is lost. [`packet`](Self::packet) may wait for as
    /// long as `patience` while the file takes nothing.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn create(destination: &Destination, patience: Duration) -> anyhow::Result<Self> {
        let header = PcapHeader {
            datalink: DataLink::LINUX_SLL,
            endianness: Endianness::Little,
            ts_resolution: TsResolution::MicroSecond,
            ..PcapHeader::default()
        };
        let describe = || format!("cannot write the capture to {destination}");
        let file = open(destination).with_context(describe)?;
        let record = Record::default();
        let writer = PcapWriter::with_header(record.clone(), header).with_context(describe)?;
        let mut capture = Self {
            writer,
            record,
            file,
            patience,
            destination: destination.clone(),
            is_incomplete: false,
        };
        capture.hand_record_over();
        Ok(capture)
    }

    /// Adds an MCTP packet, packet header first. `false` when the file takes no more packets.
    ///
    /// # Errors
    ///
    /// When the packet is not one that a capture can hold.
    pub fn packet(&mut self, direction: Direction, mctp_packet: &[u8]) -> anyhow::Result<bool> {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut data = cooked_header(direction).to_vec();
        data.extend_from_slice(mctp_packet);
        let length = data.len().try_into()?;
        self.writer
            .write_packet(&PcapPacket::new(time, length, &data))?;
        Ok(self.hand_record_over())
    }

    fn hand_record_over(&mut self) -> bool {
        let record = std::mem::take(&mut *self.record.0.borrow_mut());
        let handed = self.file.hand_over(record, self.patience);
        if handed == Handed::LeftOut && !std::mem::replace(&mut self.is_incomplete, true) {
            log::warn!(
                "{} takes packets more slowly than they come: the capture lacks some from here on",
                self.destination
            );
        }
        handed != Handed::Ended
    }

    /// Why the file takes no more packets.
    pub fn into_error(self) -> io::Error {
        self.file.into_error()
    }

    /// Waits until the packets are in the file, but no longer than `limit`, and no longer than
    /// `patience` while the file takes nothing. What it lacks then shows in the log.
    pub fn finish(&self, patience: Duration, limit: Duration) {
        let missing = self.file.finish(patience, limit);
        // The first record is the file's header.
        let is_header_missing = !self.file.has_written();
        match missing.saturating_sub(is_header_missing.into()) {
            0 => {}
            missing => log::warn!(
                "the capture lacks {missing} packets, because {} took them too slowly",
                self.destination
            ),
        }
    }
}

/// A file is opened at once, so that its error is known at the start. A FIFO is opened when somebody
/// reads it.
fn open(destination: &Destination) -> io::Result<BackgroundWriter> {
    match destination {
        Destination::StandardOutput => {
            let output = standard_output()?;
            BackgroundWriter::start(ROOM, || Ok(output))
        }
        Destination::File(path) if is_fifo(path) => {
            log::info!("the capture begins when {} is read", path.display());
            let path = path.clone();
            BackgroundWriter::start(ROOM, || OpenOptions::new().write(true).open(path))
        }
        Destination::File(path) => {
            let file = File::create(path)?;
            BackgroundWriter::start(ROOM, || Ok(file))
        }
    }
}

/// Without a buffer, which would divide packets.
#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
fn standard_output() -> io::Result<io::Stdout> {
    Ok(io::stdout())
}

#[cfg(unix)]
fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_fifo(_: &Path) -> bool {
    false
}

fn cooked_header(direction: Direction) -> [u8; COOKED_HEADER_LEN] {
    let mut header = [0; COOKED_HEADER_LEN];
    header[0..2].copy_from_slice(&direction.packet_type().to_be_bytes());
    header[2..4].copy_from_slice(&HARDWARE_TYPE_MCTP.to_be_bytes());
    header[14..16].copy_from_slice(&PROTOCOL_MCTP.to_be_bytes());
    header
}

/// Collects what the pcap writer writes until it is a whole record.
#[derive(Clone, Default)]
struct Record(Rc<RefCell<Vec<u8>>>);

impl Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::pcap::PcapReader;

    const LONG: Duration = Duration::from_secs(60);
    const PACKET: [u8; 7] = [0x01, 0x09, 0x08, 0xC8, 0x00, 0x80, 0x02];

    #[test]
    fn a_capture_reads_back_while_it_is_still_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pcap");
        let mut capture = Capture::create(&Destination::File(path.clone()), LONG).unwrap();
        assert!(capture.packet(Direction::Received, &PACKET).unwrap());
        assert!(capture.packet(Direction::Sent, &[7; 8187]).unwrap());
        capture.finish(LONG, LONG);

        let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.header().datalink, DataLink::LINUX_SLL);
        let received = reader.next_packet().unwrap().unwrap().into_owned();
        assert_eq!(
            received.data[..16],
            [0, 0, 1, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFA]
        );
        assert_eq!(received.data[16..], PACKET);
        let sent = reader.next_packet().unwrap().unwrap().into_owned();
        assert_eq!(sent.data[..2], [0, 4]);
        assert_eq!(sent.data[16..], [7; 8187]);
        assert!(reader.next_packet().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let destination = Destination::File("no/such/folder/x.pcap".into());
        let error = Capture::create(&destination, LONG).err().unwrap();
        assert!(error.to_string().contains("no/such/folder/x.pcap"));
    }
}
