//! The transmission unit of a device, as a capture has it: configured by a Configuration Set of
//! NVMe-MI, and then to be seen in the length of the device's packets.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

use super::capture::COOKED_HEADER;

/// In a cooked capture: sent by the device.
const SENT: u8 = 4;
const PACKET_HEADER: usize = 4;
/// The bits of a packet header's last byte that say to which request a response belongs.
const TAG: u8 = 0x07;
/// How a command of the Management Interface begins: NVMe-MI with integrity check, and its kind.
const COMMAND: [u8; 2] = [0x84, 0x08];
const RESPONSE: [u8; 2] = [0x84, 0x88];
/// Bytes of a Configuration Set (NVMe-MI 1.2, section 5.4): the opcode, what is set, and its value.
const OPCODE: usize = 4;
const CONFIGURATION_SET: u8 = 0x03;
const IDENTIFIER: usize = 8;
const TRANSMISSION_UNIT: u8 = 0x03;
const VALUE: usize = 12;
/// The byte of a response that says whether it is a success, 0.
const STATUS: usize = 4;

/// Time in which the device had one transmission unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) unit: u16,
    /// Bytes behind the header of the longest packet that the device sent.
    pub(super) longest: usize,
}

/// The periods in a capture of a device that begins with this unit: each has a packet of exactly the
/// unit's length, and none longer.
pub(super) fn check(capture: &Path, unit: u16) -> Result<Vec<Period>> {
    let file = File::open(capture).with_context(|| format!("there is no {}", capture.display()))?;
    let periods = follow(file, unit);
    let periods = periods.with_context(|| format!("cannot read {}", capture.display()))?;
    for Period { unit, longest } in &periods {
        ensure!(
            usize::from(*unit) == *longest,
            "with a transmission unit of {unit} the longest packet of the device carries {longest} bytes: {periods:?}"
        );
    }
    Ok(periods)
}

fn follow(capture: impl Read, unit: u16) -> Result<Vec<Period>> {
    let mut reader = PcapReader::new(capture)?;
    ensure!(
        reader.header().datalink == DataLink::LINUX_SLL,
        "this is no capture of MCTP packets"
    );
    let mut periods = Vec::new();
    let mut present = Period { unit, longest: 0 };
    // What was asked for and has no response yet: tag and unit.
    let mut asked = None;
    while let Some(record) = reader.next_packet() {
        let record = record?;
        let (cooked, packet) = record
            .data
            .split_at_checked(COOKED_HEADER as usize)
            .context("a record without a header")?;
        let Some((&[.., flags], payload)) = packet.split_first_chunk::<PACKET_HEADER>() else {
            bail!("a packet without a header");
        };
        let tag = flags & TAG;
        if cooked[1] != SENT {
            asked = unit_asked_for(payload).map(|unit| (tag, unit)).or(asked);
            continue;
        }
        present.longest = present.longest.max(payload.len());
        let Some((_, unit)) = asked.take_if(|(of, _)| *of == tag && payload.starts_with(&RESPONSE))
        else {
            continue;
        };
        if payload.get(STATUS) == Some(&0) {
            let before = std::mem::replace(&mut present, Period { unit, longest: 0 });
            periods.push(before);
        }
    }
    periods.push(present);
    Ok(periods)
}

/// The unit that a packet asks for, if it is such a request.
fn unit_asked_for(payload: &[u8]) -> Option<u16> {
    let is_set = payload.starts_with(&COMMAND)
        && payload.get(OPCODE) == Some(&CONFIGURATION_SET)
        && payload.get(IDENTIFIER) == Some(&TRANSMISSION_UNIT);
    let unit = payload.get(VALUE..)?.first_chunk()?;
    is_set.then(|| u16::from_le_bytes(*unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: u8 = 0;

    /// A capture of packets: sent or received, and what is behind the header.
    fn capture(packets: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut capture = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 113u32] {
            capture.extend(word.to_le_bytes());
        }
        for (direction, payload) in packets {
            let mut record = vec![0, *direction];
            record.resize(COOKED_HEADER as usize, 0);
            record.extend([1, 9, 8, 0xc8]);
            record.extend(payload);
            for word in [0, 0, record.len() as u32, record.len() as u32] {
                capture.extend(word.to_le_bytes());
            }
            capture.extend(record);
        }
        capture
    }

    fn set(unit: u8) -> (u8, Vec<u8>) {
        let mut command = [
            0x84, 0x08, 0, 0, 0x03, 0, 0, 0, 0x03, 0, 0, 1, unit, 0, 0, 0,
        ]
        .to_vec();
        command.extend([0x55; 4]);
        (RECEIVED, command)
    }

    fn response(status: u8) -> (u8, Vec<u8>) {
        (SENT, vec![0x84, 0x88, 0, 0, status, 0, 0, 0, 1, 2, 3, 4])
    }

    fn packet(direction: u8, length: usize) -> (u8, Vec<u8>) {
        (direction, vec![0x7e; length])
    }

    fn periods(packets: &[(u8, Vec<u8>)]) -> Vec<(u16, usize)> {
        let periods = follow(&capture(packets)[..], 64).unwrap();
        let pairs = periods.iter().map(|period| (period.unit, period.longest));
        pairs.collect()
    }

    #[test]
    fn a_period_begins_with_the_response_to_a_configuration_set() {
        let packets = [
            packet(SENT, 64),
            set(250),
            packet(SENT, 60),
            response(0),
            packet(RECEIVED, 250),
            packet(SENT, 250),
            packet(SENT, 3),
            set(64),
            response(0),
            packet(SENT, 64),
        ];
        assert_eq!(periods(&packets), [(64, 64), (250, 250), (64, 64)]);
    }

    #[test]
    fn a_refused_configuration_set_and_other_commands_change_nothing() {
        let other = (
            RECEIVED,
            [&set(80).1[..8], &[0x01], &set(80).1[9..]].concat(),
        );
        let get = (
            RECEIVED,
            [&set(80).1[..4], &[0x04], &set(80).1[5..]].concat(),
        );
        for asked in [set(80), other, get] {
            let status = u8::from(asked == set(80)) * 4;
            let packets = [asked, response(status), packet(SENT, 64)];
            assert_eq!(periods(&packets), [(64, 64)]);
        }
    }

    #[test]
    fn a_packet_that_is_too_long_or_none_that_is_long_enough_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture");
        for (length, is_right) in [(63, false), (64, true), (65, false)] {
            let packets = [
                packet(SENT, 250),
                set(64),
                response(0),
                packet(SENT, length),
            ];
            std::fs::write(&path, capture(&packets)).unwrap();
            assert_eq!(check(&path, 250).is_ok(), is_right, "{length}");
        }
    }
}
