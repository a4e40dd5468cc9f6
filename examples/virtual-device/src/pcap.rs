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
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use anyhow::Context;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, TsResolution};

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

/// A capture file. Each packet is in the file, whole, when [`packet`](Self::packet) returns:
/// killing the process cannot spoil it.
pub struct Capture {
    writer: PcapWriter<Record>,
    record: Record,
    file: File,
}

impl Capture {
    /// Starts a capture in the file at `path`; what was in it is lost.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let header = PcapHeader {
            datalink: DataLink::LINUX_SLL,
            endianness: Endianness::Little,
            ts_resolution: TsResolution::MicroSecond,
            ..PcapHeader::default()
        };
        let describe = || format!("cannot write the capture to {}", path.display());
        let file = File::create(path).with_context(describe)?;
        let record = Record::default();
        let writer = PcapWriter::with_header(record.clone(), header).with_context(describe)?;
        let mut capture = Self {
            writer,
            record,
            file,
        };
        capture.write_record().with_context(describe)?;
        Ok(capture)
    }

    /// Adds an MCTP packet, packet header first.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn packet(&mut self, direction: Direction, mctp_packet: &[u8]) -> anyhow::Result<()> {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut data = cooked_header(direction).to_vec();
        data.extend_from_slice(mctp_packet);
        let length = data.len().try_into()?;
        self.writer
            .write_packet(&PcapPacket::new(time, length, &data))?;
        Ok(self.write_record()?)
    }

    /// One system call for each record, so that there is none of which only a part is in the file.
    fn write_record(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut *self.record.0.borrow_mut());
        self.file.write_all(&bytes)
    }
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

    const PACKET: [u8; 7] = [0x01, 0x09, 0x08, 0xC8, 0x00, 0x80, 0x02];

    #[test]
    fn a_capture_reads_back_while_it_is_still_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pcap");
        let mut capture = Capture::create(&path).unwrap();
        capture.packet(Direction::Received, &PACKET).unwrap();
        capture.packet(Direction::Sent, &[7; 8187]).unwrap();

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
        let error = Capture::create(Path::new("no/such/folder/x.pcap"))
            .err()
            .unwrap();
        assert!(error.to_string().contains("no/such/folder/x.pcap"));
    }
}
