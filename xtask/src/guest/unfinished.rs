//! What a device made of requests that came at once: its own counters and the requester's, beside
//! what the capture says had to become of them.
//!
//! A request is unfinished from its first packet to its last. A device has to discard the first
//! packet of one that begins while as many are unfinished as it takes at once, then finds no
//! beginning for the others, and may discard nothing else. Where the machine is slow one of those
//! unfinished is late and makes room: that one is lost, and the newer one is not.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

use super::capture::COOKED_HEADER;

/// Bits of the last byte of a packet header; the others are the tag's.
const START: u8 = 0x80;
const END: u8 = 0x40;
const TAG_OWNER: u8 = 0x08;
const TAG: u8 = 0x0f;

/// As the device logs its counters; the last one of a reason counts.
const COUNTED: &str = "dropped so far: ";
const NO_BUFFER: &str = "no message buffer free";
const NO_START: &str = "middle or end packet without a start";
const EVICTED: &str = "stalled unfinished message evicted";

/// As the requester says what became of its requests.
const ASKED: &str = "at once: ";

/// What the capture says of the requests of several packets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    /// How many messages the device takes at once.
    limit: usize,
    begun: usize,
    /// At once.
    most_unfinished: usize,
    /// Those that began while the device had that many, and how many packets they had behind the
    /// first one.
    in_excess: usize,
    packets_in_excess: usize,
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, at most {} unfinished at once; lost are the {} that began while the device had {}",
            self.begun, self.most_unfinished, self.in_excess, self.limit
        )
    }
}

/// Checks that a device that takes `limit` messages at once has lost those that were more, and no
/// others. `log` is the guest's and the device's.
pub(super) fn check(capture: &Path, log: &str, limit: usize) -> Result<Requests> {
    let file = File::open(capture);
    let requests = file
        .map_err(anyhow::Error::from)
        .and_then(|file| follow(file, limit));
    let requests = requests.with_context(|| format!("cannot read {}", capture.display()))?;
    judge(&requests, log)?;
    Ok(requests)
}

/// The lines with the requester's own counts.
pub(super) fn reports(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter_map(|line| line.strip_prefix(ASKED))
}

/// Follows the requests of several packets that the device received.
fn follow(capture: impl Read, limit: usize) -> Result<Requests> {
    let mut reader = PcapReader::new(capture)?;
    ensure!(
        reader.header().datalink == DataLink::LINUX_SLL,
        "this is no capture of MCTP packets"
    );
    let mut requests = Requests {
        limit,
        ..Requests::default()
    };
    // By source and tag, whether the device has it.
    let mut unfinished = BTreeMap::new();
    while let Some(record) = reader.next_packet() {
        let record = record?;
        let (cooked, packet) = record
            .data
            .split_at_checked(COOKED_HEADER as usize)
            .context("a record without a header")?;
        let &[_, _, source, flags, ..] = packet else {
            bail!("a packet without a header");
        };
        // Sent by the device, not a request, or a request of one packet.
        if cooked[1] != 0 || flags & TAG_OWNER == 0 || flags & (START | END) == START | END {
            continue;
        }
        let key = (source, flags & TAG);
        if flags & START != 0 {
            let taken = unfinished.values().filter(|is_taken| **is_taken).count();
            let is_taken = taken < limit;
            let before = unfinished.insert(key, is_taken);
            ensure!(before.is_none(), "a request began within another one");
            requests.begun += 1;
            requests.in_excess += usize::from(!is_taken);
            requests.most_unfinished = requests.most_unfinished.max(unfinished.len());
            continue;
        }
        let is_taken = unfinished.get(&key).context("a request has no beginning")?;
        requests.packets_in_excess += usize::from(!is_taken);
        if flags & END != 0 {
            unfinished.remove(&key);
        }
    }
    ensure!(unfinished.is_empty(), "a request has no end");
    Ok(requests)
}

fn judge(requests: &Requests, log: &str) -> Result<()> {
    let (mut sent, mut unanswered) = (0, 0);
    for report in reports(log) {
        sent += count_of(report, "sent")?;
        unanswered += count_of(report, "unanswered")?;
    }
    let mut counted = counters(log)?;
    let evicted = counted.remove(EVICTED).unwrap_or(0);
    if evicted > 0 {
        // Which others come in time then is not followed.
        let no_buffer = counted.remove(NO_BUFFER).unwrap_or(0);
        counted.remove(NO_START);
        ensure!(
            sent == requests.begun
                && unanswered == no_buffer + evicted
                && unanswered <= requests.in_excess
                && counted.is_empty(),
            "{unanswered} of {sent} requests were not answered; the device has counted {no_buffer} without a buffer and {evicted} that were late, and {counted:?}; in the capture are {requests:?}"
        );
        return Ok(());
    }
    ensure!(
        (sent, unanswered) == (requests.begun, requests.in_excess),
        "{unanswered} of {sent} requests were not answered; in the capture are {requests:?}"
    );
    let due = [
        (NO_BUFFER, requests.in_excess),
        (NO_START, requests.packets_in_excess),
    ];
    let due: BTreeMap<_, _> = due.into_iter().filter(|(_, count)| *count > 0).collect();
    ensure!(
        counted == due,
        "the device has counted as dropped {counted:?} instead of {due:?}"
    );
    Ok(())
}

/// The number before a word of a report.
fn count_of(report: &str, word: &str) -> Result<usize> {
    let mut parts = report.split(", ");
    let number = parts.find_map(|part| {
        let (number, words) = part.split_once(' ')?;
        (words == word).then(|| number.parse())
    });
    Ok(number.with_context(|| format!("`{report}` does not say how many were {word}"))??)
}

/// What the device has dropped, by reason.
fn counters(log: &str) -> Result<BTreeMap<&str, usize>> {
    let mut counters = BTreeMap::new();
    for line in log.lines() {
        if let Some((_, counter)) = line.split_once(COUNTED) {
            let (count, reason) = counter.split_once(" for ").context("no reason")?;
            counters.insert(reason, count.parse()?);
        }
    }
    Ok(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture of packets from the host with these last header bytes.
    fn capture(flags: &[u8]) -> Vec<u8> {
        let packets = flags.iter().map(|flags| (0, *flags));
        capture_of(&packets.collect::<Vec<_>>())
    }

    /// The same of cooked packet types and last header bytes.
    fn capture_of(packets: &[(u8, u8)]) -> Vec<u8> {
        let mut capture = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 113u32] {
            capture.extend(word.to_le_bytes());
        }
        for (direction, flags) in packets {
            let mut record = vec![0, *direction];
            record.resize(COOKED_HEADER as usize, 0);
            record.extend([1, 9, 8, *flags, 0x7e]);
            for word in [0, 0, record.len() as u32, record.len() as u32] {
                capture.extend(word.to_le_bytes());
            }
            capture.extend(record);
        }
        capture
    }

    fn followed(flags: &[u8], limit: usize) -> Requests {
        follow(&capture(flags)[..], limit).unwrap()
    }

    #[test]
    fn requests_one_after_the_other_are_never_too_many() {
        let one_by_one = [0x88, 0x18, 0x68, 0x89, 0x59, 0x88, 0x58];
        let requests = Requests {
            limit: 1,
            begun: 3,
            most_unfinished: 1,
            ..Requests::default()
        };
        assert_eq!(followed(&one_by_one, 1), requests);
    }

    #[test]
    fn those_that_begin_while_there_are_enough_are_in_excess_with_all_their_packets() {
        // The third of tags 0 to 2 is too many, and still on its way when a fourth begins.
        let interleaved = [0x88, 0x89, 0x8a, 0x1a, 0x58, 0x8b, 0x6a, 0x59, 0x5b];
        let requests = Requests {
            limit: 2,
            begun: 4,
            most_unfinished: 3,
            in_excess: 1,
            packets_in_excess: 2,
        };
        assert_eq!(followed(&interleaved, 2), requests);
        assert_eq!(followed(&interleaved, 3).in_excess, 0);
    }

    #[test]
    fn answers_and_requests_of_one_packet_are_not_followed() {
        let packets = [(0, 0xc8), (4, 0x80), (4, 0x50), (0, 0x80), (4, 0x88)];
        let requests = follow(&capture_of(&packets)[..], 1).unwrap();
        assert_eq!(requests.begun, 0);
    }

    #[test]
    fn a_request_without_its_beginning_or_end_is_an_error() {
        for wrong in [&[0x18][..], &[0x88], &[0x88, 0x88, 0x58]] {
            assert!(follow(&capture(wrong)[..], 2).is_err(), "{wrong:x?}");
        }
    }

    const LOG: &str = "\
at once: 100 sent, 20 refused with EBUSY, 99 answered, 1 unanswered, in 5 ms
at once: 90 sent, 30 refused with EBUSY, 88 answered, 2 unanswered, in 5 ms
    1.000 DEBUG dropped so far: 1 for no message buffer free
    2.000 DEBUG dropped so far: 3 for no message buffer free
    2.000 DEBUG dropped so far: 7 for middle or end packet without a start
";

    fn requests(begun: usize, in_excess: usize, packets_in_excess: usize) -> Requests {
        Requests {
            limit: 2,
            begun,
            most_unfinished: 3,
            in_excess,
            packets_in_excess,
        }
    }

    #[test]
    fn requester_capture_and_device_have_to_agree() {
        judge(&requests(190, 3, 7), LOG).unwrap();
        for wrong in [
            requests(189, 3, 7),
            requests(190, 2, 7),
            requests(190, 3, 6),
        ] {
            assert!(judge(&wrong, LOG).is_err(), "{wrong:?}");
        }
        let more = format!("{LOG}dropped so far: 1 for packet out of sequence\n");
        assert!(judge(&requests(190, 3, 7), &more).is_err());
    }

    #[test]
    fn a_late_request_is_lost_in_the_place_of_one_in_excess() {
        let late = LOG.replace("3 for no message", "2 for no message")
            + "dropped so far: 1 for stalled unfinished message evicted\n";
        judge(&requests(190, 3, 7), &late).unwrap();
        judge(&requests(190, 4, 9), &late).unwrap();
        assert!(judge(&requests(190, 2, 7), &late).is_err());
        assert!(
            judge(
                &requests(190, 3, 7),
                &(late + "dropped so far: 1 for link down\n")
            )
            .is_err()
        );
    }
}
