//! How full the transfers of the benchmark's streams are, as QEMU's own capture of its USB device
//! has them.
//!
//! The capture is in the format of Linux's usbmon. It has the true length of each transfer, but
//! only its first 256 bytes. That is enough: a transfer is as full as whole packets in their order
//! allow if the first packet of the stream's next transfer would not have fitted, and that one's
//! length is at the beginning. That no transfer is overlooked shows in their sum.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

/// What stands before the data of a transfer (Linux's `Documentation/usb/usbmon.rst`).
const USBMON_HEADER: usize = 64;
/// At 8: a callback, at the end of a transfer; at 9: bulk.
const COMPLETED: u8 = b'C';
const BULK: u8 = 3;
/// Of the endpoint's number, at 10.
const IN: u8 = 0x80;

/// Before each packet in a transfer.
const FRAME_HEADER: usize = 4;
const PACKET_HEADER: usize = 4;
/// Bits of the last byte of a packet header.
const START: u8 = 0x80;
const TAG_OWNER: u8 = 0x08;
/// The first message of a stream: its type, the prefix of the benchmark's data messages, and the
/// first number.
const FIRST_MESSAGE: [u8; 10] = [0x7e, 0xcc, 0xde, 0xf1, 0xca, 0xbe, 0xfa, 0xff, 0xff, 0xff];

/// Messages that the device sends one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    /// Of each message, its type not counted.
    pub(super) length: u16,
    pub(super) count: u32,
}

impl Stream {
    /// Bytes of all its packets, in units of `unit`, with all headers.
    fn bytes(&self, unit: usize) -> usize {
        let message = usize::from(self.length) + 1;
        let headers = message.div_ceil(unit) * (FRAME_HEADER + PACKET_HEADER);
        self.count as usize * (message + headers)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of {} bytes", self.count, self.length)
    }
}

/// A transfer from the device to the host.
#[derive(Debug)]
struct Transfer {
    length: usize,
    /// Its beginning.
    captured: Vec<u8>,
}

/// A packet, and the header before it, as far as they were captured.
struct Frame<'a> {
    length: usize,
    start: bool,
    /// The device itself began the message.
    tag_owner: bool,
    body: &'a [u8],
}

impl Transfer {
    /// The frames whose headers were captured.
    fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut rest = self.captured.as_slice();
        std::iter::from_fn(move || {
            let (header, behind) = rest.split_at_checked(FRAME_HEADER + PACKET_HEADER)?;
            // In 1.0 the upper byte is reserved and 0.
            let length = usize::from(u16::from_be_bytes([header[2] & 0x1f, header[3]]));
            let flags = header[FRAME_HEADER + PACKET_HEADER - 1];
            rest = rest.get(length..).unwrap_or_default();
            Some(Frame {
                length,
                start: flags & START != 0,
                tag_owner: flags & TAG_OWNER != 0,
                body: behind,
            })
        })
    }

    /// The first frame of a stream, if there is one.
    fn first_of_stream(&self) -> Option<Frame<'_>> {
        self.frames().find(|frame| frame.tag_owner)
    }

    fn begins_stream(&self) -> bool {
        let mut frames = self.frames();
        frames.any(|frame| frame.start && frame.tag_owner && frame.body.starts_with(&FIRST_MESSAGE))
    }

    /// Bytes of it that belong to no stream.
    fn other_bytes(&self) -> usize {
        let others = self.frames().filter(|frame| !frame.tag_owner);
        others.map(|frame| frame.length).sum()
    }
}

/// How full the transfers of a stream were.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fullness {
    stream: Stream,
    transfers: usize,
    /// How many of them have an answer before what they have of the stream.
    shared: usize,
    /// The least and greatest length of the others, but for the last one's.
    least: usize,
    greatest: usize,
    last: usize,
    bytes: usize,
    /// Transfers between them that have none of the stream: control responses.
    others: usize,
}

impl fmt::Display for Fullness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {} IN transfers, all full: {} to {} bytes, {} on average; {} shared with an answer, the last one of {} bytes, {} of others between them",
            self.stream,
            self.transfers,
            self.least,
            self.greatest,
            self.bytes / self.transfers,
            self.shared,
            self.last,
            self.others
        )
    }
}

/// Checks that the transfers of all `streams` are as full as whole packets allow, in packets of
/// `unit` and transfers of `limit` bytes.
pub(super) fn check(
    capture: &Path,
    streams: &[Stream],
    unit: usize,
    limit: usize,
) -> Result<Vec<Fullness>> {
    let file = File::open(capture);
    let transfers = file.map_err(anyhow::Error::from).and_then(read);
    let transfers = transfers.with_context(|| format!("cannot read {}", capture.display()))?;
    let found = split(&transfers);
    ensure!(
        found.len() == streams.len(),
        "the capture has {} streams instead of {}",
        found.len(),
        streams.len()
    );
    let pairs = streams.iter().zip(found);
    pairs
        .map(|(stream, transfers)| judge(*stream, transfers, unit, limit))
        .collect()
}

/// The IN transfers of a capture that brought something.
fn read(capture: impl Read) -> Result<Vec<Transfer>> {
    let mut reader = PcapReader::new(capture)?;
    ensure!(
        reader.header().datalink == DataLink::USB_LINUX_MMAPPED,
        "this is no capture of USB transfers"
    );
    let mut transfers = Vec::new();
    // Raw, because a transfer may be longer than what the capture says it has of one at most.
    while let Some(record) = reader.next_raw_packet() {
        transfers.extend(transfer(&record?.data));
    }
    Ok(transfers)
}

/// What a record says of an IN transfer that brought something.
fn transfer(record: &[u8]) -> Option<Transfer> {
    let (header, captured) = record.split_at_checked(USBMON_HEADER)?;
    let number = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let (status, length) = (number(28)?, number(32)? as usize);
    let is_end = header[8] == COMPLETED && header[9] == BULK && header[10] & IN != 0;
    (is_end && status == 0 && length > 0).then(|| Transfer {
        length,
        captured: captured.to_vec(),
    })
}

/// The transfers of each stream, with those between them.
fn split(transfers: &[Transfer]) -> Vec<&[Transfer]> {
    let starts: Vec<_> = (0..transfers.len())
        .filter(|place| transfers[*place].begins_stream())
        .collect();
    let ends = starts.iter().skip(1).copied().chain([transfers.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &transfers[*start..end])
        .collect()
}

fn judge(stream: Stream, transfers: &[Transfer], unit: usize, limit: usize) -> Result<Fullness> {
    let firsts: Vec<_> = transfers
        .iter()
        .filter_map(|transfer| Some((transfer, transfer.first_of_stream()?.length)))
        .collect();
    let bytes: usize = firsts.iter().map(|(transfer, _)| transfer.length).sum();
    let others: usize = firsts
        .iter()
        .map(|(transfer, _)| transfer.other_bytes())
        .sum();
    ensure!(
        bytes - others == stream.bytes(unit),
        "the captured transfers of {stream} have {} bytes of them instead of {}",
        bytes - others,
        stream.bytes(unit)
    );
    let not_full: Vec<_> = firsts
        .windows(2)
        .filter(|pair| pair[0].0.length + pair[1].1 <= limit)
        .collect();
    if let Some(first) = not_full.first() {
        bail!(
            "{} of the {} transfers of {stream} are not full, such as one of {} bytes before a packet that takes {}",
            not_full.len(),
            firsts.len(),
            first[0].0.length,
            first[1].1
        );
    }
    let (last, all_but_last) = firsts.split_last().context("a stream without transfers")?;
    let is_shared = |transfer: &Transfer| transfer.other_bytes() > 0;
    let of_stream = || {
        let transfers = all_but_last.iter().map(|(transfer, _)| transfer);
        transfers.filter(|transfer| !is_shared(transfer))
    };
    let lengths = || of_stream().map(|transfer| transfer.length);
    Ok(Fullness {
        stream,
        transfers: firsts.len(),
        shared: all_but_last.len() - of_stream().count(),
        least: lengths().min().unwrap_or_default(),
        greatest: lengths().max().unwrap_or_default(),
        last: last.0.length,
        bytes,
        others: transfers.len() - firsts.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Stream = Stream {
        length: 987,
        count: 3,
    };
    const CONTROL_RESPONSE: [u8; 8] = [0x1a, 0xb4, 0, 15, 1, 8, 9, 0xc0];

    /// A frame of a stream: the first, a middle or a last one of a message.
    fn frame(length: usize, flags: u8, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x1a, 0xb4, 0, length as u8, 1, 8, 9, flags | TAG_OWNER];
        frame.extend(body);
        frame.resize(length, 0xaa);
        frame
    }

    fn transfer_of(frames: &[Vec<u8>]) -> Transfer {
        let mut captured = frames.concat();
        let length = captured.len();
        captured.truncate(256);
        Transfer { length, captured }
    }

    fn first_frame(length: usize) -> Vec<u8> {
        frame(length, START, &FIRST_MESSAGE)
    }

    /// Three messages of four packets, in transfers of so many packets each.
    fn stream(packets: &[usize]) -> Vec<Transfer> {
        let mut frames = vec![frame(255, 0, &[]); 11];
        frames.insert(0, first_frame(255));
        packets
            .iter()
            .map(|count| transfer_of(&frames.drain(..*count).collect::<Vec<_>>()))
            .collect()
    }

    fn judged(transfers: &[Transfer]) -> Result<Fullness> {
        judge(STREAM, transfers, 247, 512)
    }

    #[test]
    fn transfers_are_full_when_the_next_packet_would_not_have_fitted() {
        let fullness = judged(&stream(&[2; 6])).unwrap();
        assert_eq!(
            (fullness.least, fullness.greatest, fullness.transfers),
            (510, 510, 6)
        );
        let error = judged(&stream(&[2, 2, 2, 2, 2, 1, 1])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "1 of the 7 transfers of 3 messages of 987 bytes are not full, such as one of 255 bytes before a packet that takes 255"
        );
        let short = Stream {
            length: 100,
            count: 9,
        };
        let mut frames = vec![frame(109, START, &[]); 9];
        frames[0] = first_frame(109);
        let transfers: Vec<_> = frames.chunks(4).map(transfer_of).collect();
        let fullness = judge(short, &transfers, 247, 512).unwrap();
        assert_eq!((fullness.least, fullness.last), (436, 109));
        let transfers: Vec<_> = frames.chunks(3).map(transfer_of).collect();
        assert!(judge(short, &transfers, 247, 512).is_err());
    }

    #[test]
    fn one_packet_in_each_transfer_is_not_full() {
        let error = judged(&stream(&[1; 12])).unwrap_err().to_string();
        assert!(error.starts_with("11 of the 12 transfers"), "{error}");
    }

    #[test]
    fn transfers_of_others_are_counted_and_not_judged() {
        let mut transfers = stream(&[2; 6]);
        let response = transfer_of(&[CONTROL_RESPONSE.to_vec(), vec![0; 7]]);
        transfers.insert(3, response);
        assert_eq!(judged(&transfers).unwrap().others, 1);
    }

    #[test]
    fn the_answer_to_the_request_may_share_the_first_transfer() {
        let mut transfers = stream(&[1, 2, 2, 2, 2, 2, 1]);
        transfers[0] = transfer_of(&[CONTROL_RESPONSE.to_vec(), vec![0; 7], first_frame(255)]);
        let fullness = judged(&transfers).unwrap();
        assert_eq!((fullness.shared, fullness.least), (1, 510));
    }

    #[test]
    fn a_transfer_that_is_overlooked_shows_in_the_sum() {
        let mut transfers = stream(&[2; 6]);
        let _ = transfers.remove(2);
        let error = judged(&transfers).unwrap_err().to_string();
        assert!(
            error.contains("have 2550 bytes of them instead of 3060"),
            "{error}"
        );
    }

    #[test]
    fn each_stream_begins_with_its_first_message() {
        let mut transfers = vec![transfer_of(&[CONTROL_RESPONSE.to_vec()])];
        transfers.extend(stream(&[2; 6]));
        transfers.extend(stream(&[2; 6]));
        let streams = split(&transfers);
        assert_eq!(
            streams.iter().map(|one| one.len()).collect::<Vec<_>>(),
            [6, 6]
        );
    }

    #[test]
    fn a_capture_may_have_transfers_longer_than_it_keeps() {
        let mut capture = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 4160, 220u32] {
            capture.extend(word.to_le_bytes());
        }
        let record = record_of(b'C', BULK, 0x81, 0, 8191);
        for word in [0, 0, record.len() as u32, 8191 + 64] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(record);
        let transfers = read(&capture[..]).unwrap();
        assert_eq!((transfers.len(), transfers[0].length), (1, 8191));
        capture[20] = 189;
        assert!(read(&capture[..]).is_err());
    }

    fn record_of(kind: u8, transfer_type: u8, endpoint: u8, status: i32, length: u32) -> Vec<u8> {
        let mut record = vec![0; USBMON_HEADER];
        record[8..11].copy_from_slice(&[kind, transfer_type, endpoint]);
        record[28..32].copy_from_slice(&status.to_le_bytes());
        record[32..36].copy_from_slice(&length.to_le_bytes());
        record.extend([1, 2, 3]);
        record
    }

    #[test]
    fn records_are_those_of_in_transfers_that_brought_something() {
        let record = |kind: u8, transfer_type: u8, endpoint: u8, status: i32, length: u32| {
            let record = record_of(kind, transfer_type, endpoint, status, length);
            transfer(&record).map(|transfer| (transfer.length, transfer.captured))
        };
        assert_eq!(record(b'C', BULK, 0x81, 0, 510), Some((510, vec![1, 2, 3])));
        assert_eq!(record(b'S', BULK, 0x81, 0, 510), None);
        assert_eq!(record(b'C', 1, 0x81, 0, 510), None);
        assert_eq!(record(b'C', BULK, 0x01, 0, 510), None);
        assert_eq!(record(b'C', BULK, 0x81, -121, 510), None);
        assert_eq!(record(b'C', BULK, 0x81, 0, 0), None);
        assert!(transfer(&[0; USBMON_HEADER - 1]).is_none());
    }
}
