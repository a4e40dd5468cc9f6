//! Malformed USB transfers for an MCTP interface: what a device has to survive.
//!
//! A good OUT transfer holds packets of `1A B4`, a reserved byte, the length including these four
//! bytes, then an MCTP packet (DSP0283 1.0). Each kind below breaks that in another way, or fills
//! it with packets that are good for USB only. The same seed gives the same transfers.

/// How a transfer is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Random bytes of one given length.
    RandomBytes,
    /// A good header that announces more bytes than follow.
    Truncated,
    /// Packets whose first two bytes are not the MCTP identifier.
    BadIdentifier,
    /// Headers whose length is less than a header, or leaves no room for an MCTP packet.
    BadLength,
    /// A header of MCTP over USB 1.1 that announces up to 8191 bytes, of which at most 508 follow.
    LongLength,
    /// A good USB header before a random MCTP packet.
    RandomPacket,
    /// As many small packets as fit, each with a good USB header and random content.
    ManyPackets,
    /// The start of a message that never ends, each with another tag.
    UnfinishedMessage,
}

/// All kinds, in the order in which they are sent. What comes last leaves a 1.1 device in the
/// middle of a long packet.
pub(crate) const KINDS: [Kind; 8] = [
    Kind::RandomBytes,
    Kind::Truncated,
    Kind::BadIdentifier,
    Kind::BadLength,
    Kind::RandomPacket,
    Kind::ManyPackets,
    Kind::UnfinishedMessage,
    Kind::LongLength,
];

/// The longest transfer of MCTP over USB 1.0.
pub(crate) const LONGEST: usize = 512;

const HEADER_LENGTH: usize = 4;
const LARGEST_PACKET: usize = 251;

/// The transfers of one run: `RandomBytes` once for every length up to [`LONGEST`], the others
/// `each` times.
pub(crate) fn transfers(seed: u64, each: usize) -> impl Iterator<Item = (Kind, Vec<u8>)> {
    let mut random = Random(seed.max(1));
    KINDS
        .into_iter()
        .flat_map(move |kind| {
            let count = if kind == Kind::RandomBytes {
                LONGEST + 1
            } else {
                each
            };
            (0..count).map(move |number| (kind, number))
        })
        .map(move |(kind, number)| (kind, transfer(kind, number, &mut random)))
}

fn transfer(kind: Kind, number: usize, random: &mut Random) -> Vec<u8> {
    match kind {
        Kind::RandomBytes => random.bytes(number),
        Kind::Truncated => {
            let announced = random.between(5, 255);
            let mut transfer = header(announced);
            let sent = random.between(0, announced - HEADER_LENGTH - 1);
            transfer.extend(random.bytes(sent));
            transfer
        }
        Kind::BadIdentifier => {
            let mut transfer = good_transfer(random.between(1, 3), random);
            transfer[number % 2] ^= random.between(1, 255) as u8;
            transfer
        }
        Kind::BadLength => {
            let mut transfer = header(number % (HEADER_LENGTH + 4));
            transfer.extend(random.bytes(LONGEST / 2));
            transfer
        }
        Kind::LongLength => {
            let mut transfer = vec![0x1a, 0xb4];
            transfer.extend((random.between(513, 8191) as u16).to_be_bytes());
            let sent = random.between(0, LONGEST - HEADER_LENGTH);
            transfer.extend(random.bytes(sent));
            transfer
        }
        Kind::RandomPacket => good_transfer(1, random),
        Kind::ManyPackets => many_packets(random),
        Kind::UnfinishedMessage => unfinished_message(number, random),
    }
}

fn header(length: usize) -> Vec<u8> {
    vec![0x1a, 0xb4, 0x00, length as u8]
}

/// Good for USB; each packet has MCTP header version 1, so that it gets past the first check of the
/// next layer.
fn good_transfer(packets: usize, random: &mut Random) -> Vec<u8> {
    let largest = (LONGEST / packets - HEADER_LENGTH).min(LARGEST_PACKET);
    let mut transfer = Vec::new();
    for _ in 0..packets {
        let length = random.between(4, largest);
        transfer.extend(packet(length, random));
    }
    transfer
}

fn packet(length: usize, random: &mut Random) -> Vec<u8> {
    let mut packet = header(HEADER_LENGTH + length);
    packet.extend(random.bytes(length));
    packet[HEADER_LENGTH] = 0x01;
    packet
}

fn many_packets(random: &mut Random) -> Vec<u8> {
    let mut transfer = Vec::new();
    loop {
        let length = random.between(4, 12);
        if transfer.len() + HEADER_LENGTH + length > LONGEST {
            return transfer;
        }
        transfer.extend(packet(length, random));
    }
}

/// To the null endpoint ID, which every endpoint accepts, from a source and with a tag that change.
fn unfinished_message(number: usize, random: &mut Random) -> Vec<u8> {
    const START_OF_MESSAGE_TAG_OWNER: u8 = 0x88;
    let mut packet = packet(68, random);
    let source = 8 + (number / 8 % 247) as u8;
    let tag = (number % 8) as u8;
    packet[5..9].copy_from_slice(&[0, source, START_OF_MESSAGE_TAG_OWNER | tag, 0x7e]);
    packet
}

/// Marsaglia's xorshift: good enough to vary test data, and repeatable.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + (self.next() % (most - least + 1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind) -> Vec<Vec<u8>> {
        let of_kind = transfers(1, 300).filter(|(found, _)| *found == kind);
        of_kind.map(|(_, transfer)| transfer).collect()
    }

    #[test]
    fn random_bytes_have_every_length_from_0_to_512() {
        let lengths: Vec<_> = of(Kind::RandomBytes).iter().map(Vec::len).collect();
        assert_eq!(lengths, (0..=512).collect::<Vec<_>>());
    }

    #[test]
    fn no_transfer_is_longer_than_512_bytes() {
        assert!(transfers(7, 500).all(|(_, transfer)| transfer.len() <= LONGEST));
    }

    #[test]
    fn truncated_transfers_are_shorter_than_they_say() {
        assert!(
            of(Kind::Truncated)
                .iter()
                .all(|bytes| bytes.len() < usize::from(bytes[3]))
        );
    }

    #[test]
    fn bad_identifiers_are_bad() {
        assert!(
            of(Kind::BadIdentifier)
                .iter()
                .all(|bytes| bytes[..2] != [0x1a, 0xb4])
        );
    }

    #[test]
    fn long_lengths_do_not_fit_into_the_transfer() {
        for transfer in of(Kind::LongLength) {
            let announced = u16::from_be_bytes([transfer[2], transfer[3]]);
            assert!((513..=8191).contains(&announced), "{announced}");
        }
    }

    #[test]
    fn random_packets_are_good_for_usb() {
        for transfer in of(Kind::RandomPacket) {
            assert_eq!(transfer[..3], [0x1a, 0xb4, 0]);
            assert_eq!(usize::from(transfer[3]), transfer.len());
        }
    }

    #[test]
    fn many_packets_fill_the_transfer() {
        for transfer in of(Kind::ManyPackets) {
            let mut rest = &transfer[..];
            let mut packets = 0;
            while let [0x1a, 0xb4, 0, length, ..] = *rest {
                rest = &rest[usize::from(length)..];
                packets += 1;
            }
            assert!(rest.is_empty() && packets >= 30, "{packets} packets");
        }
    }

    #[test]
    fn unfinished_messages_have_a_start_and_no_end() {
        for transfer in of(Kind::UnfinishedMessage) {
            assert_eq!(transfer.len(), 72);
            assert_eq!(transfer[7] & 0xc8, 0x88);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_transfers() {
        assert!(transfers(5, 20).eq(transfers(5, 20)));
        assert!(!transfers(5, 20).eq(transfers(9, 20)));
    }
}
