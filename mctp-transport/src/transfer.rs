//! Outgoing transfers: the buffers in which a stack hands whole packets to a transport.

use crate::{HEADER_LEN, PhysicalAddress, RawHeader};

/// How a transport wants packets laid out in a transfer buffer.
///
/// A transfer is one or more frames end to end, and a frame is `headroom`, the MCTP packet,
/// `tailroom`:
///
/// ```text
/// | headroom | MCTP packet | tailroom | headroom | MCTP packet | tailroom | ...
/// ```
///
/// The stack writes the packet; the transport writes its own header and trailer into the room
/// around it, in place.
///
/// A transport says its header, packets and transfers with [`new`](Self::new), and changes the
/// defaults of the rest with the `with_…` methods. MCTP over USB 1.0 has a header of 4 bytes,
/// packets of up to 251 bytes, and as many of them in a transfer of up to 512 bytes as fit:
///
/// ```
/// use mctp_transport::TransferLayout;
///
/// const USB: TransferLayout = TransferLayout::new(4, 251, 512).with_packs(true);
/// assert_eq!((USB.headroom, USB.max_packet, USB.max_transfer), (4, 251, 512));
/// assert_eq!((USB.tailroom, USB.transfers_at_once), (0, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct TransferLayout {
    /// Bytes before each packet for the transport's header; at least
    /// [`MIN_HEADROOM`](Self::MIN_HEADROOM). A stack may have little room around its shortest
    /// packets: 12 bytes before and behind together are what `mctp-router` has around control
    /// responses.
    pub headroom: u8,
    /// Bytes after each packet for the transport's trailer. 0 unless set.
    pub tailroom: u8,
    /// The longest MCTP packet the transport carries, in bytes, packet header included.
    pub max_packet: u16,
    /// The longest transfer on the transport's bus, in bytes, all frames with their room included.
    pub max_transfer: u16,
    /// How many full ones the transport takes at once, at least 1, end to end in one [`Transfer`];
    /// more where each has room left that no packet fits in. 1 unless set.
    pub transfers_at_once: u8,
    /// Whether a transfer may hold more than one packet. If it may, all of them go to the same
    /// physical address. `false` unless set.
    pub packs: bool,
}

impl TransferLayout {
    /// Every frame has at least this much headroom: until the transport overwrites it, it holds the
    /// packet's length.
    pub const MIN_HEADROOM: u8 = 2;

    /// The layout of a transport without a trailer that sends each packet in a transfer of its own,
    /// one at a time. The arguments are the fields of the same names.
    pub const fn new(headroom: u8, max_packet: u16, max_transfer: u16) -> Self {
        Self {
            headroom,
            tailroom: 0,
            max_packet,
            max_transfer,
            transfers_at_once: 1,
            packs: false,
        }
    }

    /// Sets [`tailroom`](Self::tailroom).
    #[must_use]
    pub const fn with_tailroom(mut self, tailroom: u8) -> Self {
        self.tailroom = tailroom;
        self
    }

    /// Sets [`transfers_at_once`](Self::transfers_at_once).
    #[must_use]
    pub const fn with_transfers_at_once(mut self, transfers_at_once: u8) -> Self {
        self.transfers_at_once = transfers_at_once;
        self
    }

    /// Sets [`packs`](Self::packs).
    #[must_use]
    pub const fn with_packs(mut self, packs: bool) -> Self {
        self.packs = packs;
        self
    }

    /// Bytes that a frame takes around its packet.
    #[inline]
    pub const fn overhead(&self) -> usize {
        (self.headroom as usize).saturating_add(self.tailroom as usize)
    }

    /// The largest packet payload, in bytes, that fits both a packet and a transfer of `buffer_len`
    /// bytes.
    pub const fn max_transmission_unit(&self, buffer_len: usize) -> usize {
        let transfer = if buffer_len < self.max_transfer as usize {
            buffer_len
        } else {
            self.max_transfer as usize
        };
        let in_transfer = transfer.saturating_sub(self.overhead());
        let packet = if in_transfer < self.max_packet as usize {
            in_transfer
        } else {
            self.max_packet as usize
        };
        packet.saturating_sub(HEADER_LEN)
    }
}

/// A transfer buffer, and the packets in it.
///
/// 1. The stack fills it: [`push`](Self::push) reserves the place of a packet and returns its
///    payload to write.
/// 2. The transport takes one bus transfer after the other with
///    [`next_bus_transfer`](Self::next_bus_transfer), which has it write the headers.
/// 3. The stack reuses it after [`clear`](Self::clear).
///
/// The buffer is borrowed, so that a transfer can be moved to the task that sends it while its bytes
/// stay where they are.
#[derive(Debug)]
pub struct Transfer<'b> {
    buffer: &'b mut [u8],
    used: u16,
    /// Where the bus transfer ends that the transport took last.
    taken: u16,
    /// Bytes left of the bus transfer that is being filled.
    left: u16,
    /// Where the room for packets ends.
    end: u16,
    /// The most payload bytes of a packet: the layout's `max_packet` without the header.
    max_payload: u16,
    /// As in the layout, as are those that follow, but no longer than the buffer.
    max_transfer: u16,
    transfers_at_once: u8,
    headroom: u8,
    tailroom: u8,
    packets: Packets,
    destination: PhysicalAddress,
}

/// How many packets a transfer holds. As no value is 0, `None` of a [`Transfer`] is all zeros,
/// which cost nothing in a static variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packets {
    One = 1,
    Many = 2,
}

impl<'b> Transfer<'b> {
    /// An empty transfer in `buffer`. Bytes beyond what the transport takes at once are not used.
    pub fn new(buffer: &'b mut [u8], layout: TransferLayout) -> Self {
        let mut transfer = Self {
            buffer,
            used: 0,
            taken: 0,
            left: 0,
            end: 0,
            max_transfer: 0,
            max_payload: 0,
            transfers_at_once: 0,
            headroom: 0,
            tailroom: 0,
            packets: Packets::One,
            destination: PhysicalAddress::POINT_TO_POINT,
        };
        transfer.reset(layout);
        transfer
    }

    /// Whether there is no packet in the transfer.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The neighbour that all packets of the transfer go to.
    pub const fn destination(&self) -> PhysicalAddress {
        self.destination
    }

    /// The layout in which the transfer is filled.
    pub const fn layout(&self) -> TransferLayout {
        TransferLayout {
            headroom: self.headroom,
            tailroom: self.tailroom,
            max_packet: self.max_payload.wrapping_add(HEADER_LEN as u16),
            max_transfer: self.max_transfer,
            transfers_at_once: self.transfers_at_once,
            packs: matches!(self.packets, Packets::Many),
        }
    }

    /// Empties the transfer, for the layout that it is to be filled in next.
    pub fn clear(&mut self) {
        self.used = 0;
        self.taken = 0;
        self.left = self.max_transfer;
    }

    /// Empties the transfer and gives it another layout.
    pub fn reset(&mut self, layout: TransferLayout) {
        self.headroom = layout.headroom.max(TransferLayout::MIN_HEADROOM);
        self.tailroom = layout.tailroom;
        self.max_payload = layout.max_packet.saturating_sub(HEADER_LEN as u16);
        let buffer_len = self.buffer.len().min(u16::MAX.into()) as u16;
        self.max_transfer = layout.max_transfer.min(buffer_len);
        self.transfers_at_once = layout.transfers_at_once;
        self.packets = if layout.packs {
            Packets::Many
        } else {
            Packets::One
        };
        let at_once = u16::from(layout.transfers_at_once).max(1);
        let len = layout.max_transfer.saturating_mul(at_once);
        self.end = len.min(buffer_len);
        self.clear();
    }

    /// Reserves the place of a packet, writes its header, and returns the `payload_len` bytes of
    /// its payload for the caller to fill.
    ///
    /// `None` when it does not fit, or goes elsewhere than the packets already in the transfer:
    /// that needs the next transfer.
    pub fn push(
        &mut self,
        destination: PhysicalAddress,
        header: impl Into<RawHeader>,
        payload_len: usize,
    ) -> Option<&mut [u8]> {
        self.room(destination)?.push(header, payload_len)
    }

    /// The room for packets to `destination`; `None` when the packets already in the transfer go
    /// elsewhere, or it may hold no more of them.
    #[inline]
    pub fn room(&mut self, destination: PhysicalAddress) -> Option<Room<'_>> {
        if self.used == 0 {
            self.destination = destination;
        } else if self.packets == Packets::One || self.destination != destination {
            return None;
        }
        Some(Room {
            rest: self.buffer.get_mut(self.used.into()..self.end.into())?,
            used: &mut self.used,
            left: &mut self.left,
            max_transfer: self.max_transfer,
            before: u16::from(self.headroom).wrapping_add(HEADER_LEN as u16),
            behind: self.tailroom.into(),
            max_payload: self.max_payload,
            packets: self.packets,
        })
    }

    /// The next bus transfer: as many whole frames, in the order in which they were pushed, as the
    /// transport takes at once on its bus. `write` gets each of them first, for header and trailer.
    /// `None` when there are no more.
    #[inline]
    pub fn next_bus_transfer(&mut self, mut write: impl FnMut(Frame<'_>)) -> Option<&[u8]> {
        let overhead = self.layout().overhead();
        let begin = usize::from(self.taken);
        let mut unsent = self.buffer.get_mut(begin..self.used.into())?;
        let mut left = usize::from(self.max_transfer);
        while let Some(packet_len) = packet_len(unsent)
            && let frame_len = overhead.saturating_add(packet_len)
            && let Some(left_behind) = left.checked_sub(frame_len)
        {
            let (headroom, behind) = unsent.split_at_mut_checked(self.headroom.into())?;
            let (packet, behind) = behind.split_at_mut_checked(packet_len)?;
            let (tailroom, behind) = behind.split_at_mut_checked(self.tailroom.into())?;
            write(Frame {
                headroom,
                packet,
                tailroom,
            });
            unsent = behind;
            left = left_behind;
        }
        let end = usize::from(self.used).checked_sub(unsent.len())?;
        self.taken = end as u16;
        let bus_transfer = self.buffer.get(begin..end)?;
        (!bus_transfer.is_empty()).then_some(bus_transfer)
    }

    /// Where the bus transfer ends in [`as_bytes`](Self::as_bytes) that the transport took last.
    #[inline]
    pub const fn taken(&self) -> usize {
        self.taken as usize
    }

    /// The packets that the transport has not [taken](Self::next_bus_transfer), in the order in which
    /// they were pushed.
    #[inline]
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let unsent = usize::from(self.taken)..self.used.into();
        let mut rest = self.buffer.get(unsent).unwrap_or_default();
        core::iter::from_fn(move || {
            let behind_headroom = rest.get(self.headroom.into()..)?;
            let (packet, behind) = behind_headroom.split_at_checked(packet_len(rest)?)?;
            rest = behind.get(self.tailroom.into()..)?;
            Some(packet)
        })
    }

    /// The header of the first packet; `None` while the transfer is empty. A transport does not write
    /// over it, so that it can be read after the transfer was sent, too.
    pub fn first_header(&self) -> Option<RawHeader> {
        let packet = self.as_bytes().get(self.headroom.into()..)?;
        Some(RawHeader::from_bytes(*packet.first_chunk()?))
    }

    /// All frames of the transfer, end to end.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.used.into()).unwrap_or_default()
    }
}

/// The room of a transfer for packets to one neighbour. See [`Transfer::room`].
#[derive(Debug)]
pub struct Room<'t> {
    rest: &'t mut [u8],
    used: &'t mut u16,
    left: &'t mut u16,
    max_transfer: u16,
    /// Bytes of a frame before its payload, packet header included, and behind it.
    before: u16,
    behind: u16,
    max_payload: u16,
    packets: Packets,
}

impl<'t> Room<'t> {
    /// As [`Transfer::push`]. Packets pushed one after the other stand one behind the other.
    #[inline]
    pub fn push(
        &mut self,
        header: impl Into<RawHeader>,
        payload_len: usize,
    ) -> Option<&'t mut [u8]> {
        if payload_len > self.max_payload.into() {
            return None;
        }
        let frame_len = self.frame_len(payload_len);
        let left = self.left_for(frame_len, usize::from(*self.left), self.rest.len())?;
        let (frame, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(frame_len)?;
        if self.packets == Packets::Many {
            self.rest = rest;
        }
        *self.used = self.used.wrapping_add(frame_len as u16);
        *self.left = left as u16;
        let (before, payload) = frame.split_at_mut_checked(self.before.into())?;
        *before.last_chunk_mut()? = header.into().to_bytes();
        *before.first_chunk_mut()? = length_bytes(payload_len);
        payload.get_mut(..payload_len)
    }

    /// Pushes packets of exactly `unit` bytes of payload each, taken from the front of `payload`,
    /// as many as fit and leave `keep` bytes of it. The first has `header`, the others what
    /// follows on it. Returns what follows on the last. Does nothing in a transfer that is for one
    /// packet only: use [`push`](Self::push) there.
    #[inline]
    pub fn push_run(
        &mut self,
        mut header: RawHeader,
        unit: usize,
        payload: &mut &[u8],
        keep: usize,
    ) -> RawHeader {
        if self.packets == Packets::One || unit == 0 || unit > self.max_payload.into() {
            return header;
        }
        let frame_len = self.frame_len(unit);
        let least = unit.saturating_add(keep);
        let mut room = core::mem::take(&mut self.rest);
        let room_before = room.len();
        let mut unsent = *payload;
        let mut left = usize::from(*self.left);
        while unsent.len() >= least
            && let Some((piece, later)) = unsent.split_at_checked(unit)
            && let Some(left_then) = self.left_for(frame_len, left, room.len())
            && frame_len <= room.len()
        {
            left = left_then;
            let (frame, rest) = room.split_at_mut(frame_len);
            let (before, payload) = frame.split_at_mut(self.before.into());
            if let Some(place) = before.last_chunk_mut() {
                *place = header.to_bytes();
            }
            if let Some(place) = before.first_chunk_mut() {
                *place = length_bytes(unit);
            }
            if let Some(place) = payload.get_mut(..piece.len()) {
                place.copy_from_slice(piece);
            }
            header = header.next();
            unsent = later;
            room = rest;
        }
        // What the frames took of the room, which is in the buffer.
        let pushed = room_before.wrapping_sub(room.len());
        *self.used = self.used.wrapping_add(pushed as u16);
        *self.left = left as u16;
        self.rest = room;
        *payload = unsent;
        header
    }

    /// What is left of the bus's transfer behind a frame: of the one being filled, of which `left`
    /// is left, if the frame fits in, or of the next one, if there is room for a whole one. So
    /// each is as full as whole packets allow.
    #[inline]
    fn left_for(&self, frame_len: usize, left: usize, room: usize) -> Option<usize> {
        left.checked_sub(frame_len).or_else(|| {
            let max_transfer = usize::from(self.max_transfer);
            let has_room = room >= max_transfer;
            has_room.then(|| max_transfer.checked_sub(frame_len))?
        })
    }

    /// Bytes of the frame of a packet whose payload is not too long. Does not wrap: all are 16-bit
    /// values.
    #[inline]
    fn frame_len(&self, payload_len: usize) -> usize {
        usize::from(self.before)
            .wrapping_add(payload_len)
            .wrapping_add(self.behind.into())
    }
}

/// What stands in the headroom until the transport puts its header there.
#[inline]
fn length_bytes(payload_len: usize) -> [u8; 2] {
    (payload_len.wrapping_add(HEADER_LEN) as u16).to_le_bytes()
}

/// What stands there, of the first of these frames.
#[inline]
fn packet_len(frames: &[u8]) -> Option<usize> {
    let length = frames.first_chunk()?;
    Some(u16::from_le_bytes(*length).into())
}

/// One packet of a transfer with the room around it.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Room for the transport's header. Its content is unspecified.
    pub headroom: &'a mut [u8],
    /// The MCTP packet, header included.
    pub packet: &'a mut [u8],
    /// Room for the transport's trailer. Its content is unspecified.
    pub tailroom: &'a mut [u8],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Eid, MessageTag, PacketHeader, SequenceNumber};

    const LAYOUT: TransferLayout = TransferLayout::new(4, 251, 512)
        .with_tailroom(1)
        .with_packs(true);
    const HEADER: PacketHeader = PacketHeader {
        destination: Eid(9),
        source: Eid(8),
        start: true,
        end: true,
        sequence: SequenceNumber::from_low_bits(0),
        tag_owner: true,
        tag: MessageTag::from_low_bits(0),
    };
    const HERE: PhysicalAddress = PhysicalAddress::POINT_TO_POINT;

    fn fill(transfer: &mut Transfer<'_>, payload: &[u8]) -> bool {
        match transfer.push(HERE, HEADER, payload.len()) {
            Some(place) => {
                place.copy_from_slice(payload);
                true
            }
            None => false,
        }
    }

    #[test]
    fn frames_come_back_as_they_were_pushed() {
        let mut buffer = [0xEE; 600];
        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
        assert!(fill(&mut transfer, b"one"));
        assert!(fill(&mut transfer, b"second"));
        let looked_at: Vec<Vec<u8>> = transfer.packets().map(<[u8]>::to_vec).collect();
        let mut packets = Vec::new();
        let bus_transfer = transfer.next_bus_transfer(|frame| {
            assert_eq!((frame.headroom.len(), frame.tailroom.len()), (4, 1));
            packets.push(frame.packet.to_vec());
        });
        assert_eq!(bus_transfer.map(<[u8]>::len), Some(5 + 4 + 3 + 5 + 4 + 6));
        assert_eq!(
            packets,
            [
                [&HEADER.to_bytes()[..], b"one"].concat(),
                [&HEADER.to_bytes()[..], b"second"].concat()
            ]
        );
        assert_eq!(looked_at, packets);
        assert_eq!(transfer.packets().count(), 0, "the transport has them");
        assert_eq!(transfer.next_bus_transfer(|_| panic!("a third")), None);
    }

    #[test]
    fn each_bus_transfer_has_as_many_whole_frames_as_it_takes_and_what_is_left_can_be_walked() {
        let layout = TransferLayout {
            transfers_at_once: 4,
            ..LAYOUT
        };
        let mut buffer = [0; 2048];
        let mut transfer = Transfer::new(&mut buffer, layout);
        // With nine bytes of room each, two fill 512 bytes or less, and no third fits behind them.
        let lens: [usize; 8] = [247, 235, 247, 238, 2, 247, 247, 247];
        for len in lens {
            assert!(fill(&mut transfer, &vec![len as u8; len]));
        }
        let mut sent = Vec::new();
        for expected in [&[247, 235][..], &[247, 238], &[2, 247], &[247, 247]] {
            let unsent: Vec<usize> = transfer.packets().map(|packet| packet.len() - 4).collect();
            assert_eq!(unsent, lens[sent.len()..]);
            let mut frames = Vec::new();
            let bus_transfer = transfer.next_bus_transfer(|frame| {
                frame.headroom.fill(0xFF);
                frame.tailroom.fill(0xFF);
                frames.push(frame.packet.len() - 4);
            });
            let len = bus_transfer.map_or(0, <[u8]>::len);
            assert_eq!(len, expected.iter().map(|len| len + 9).sum::<usize>());
            assert_eq!(frames, expected);
            sent.extend(frames);
            assert_eq!(
                transfer.taken(),
                sent.iter().map(|len| len + 9).sum::<usize>()
            );
        }
        assert_eq!(transfer.next_bus_transfer(|_| {}), None);
        transfer.clear();
        assert_eq!(transfer.next_bus_transfer(|_| {}), None);
        assert!(fill(&mut transfer, b"anew"));
        assert_eq!(transfer.packets().count(), 1);
    }

    #[test]
    fn takes_no_more_than_the_longest_transfer_and_packet() {
        let mut buffer = [0; 600];
        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
        assert!(!fill(&mut transfer, &[0; 248]));
        assert!(fill(&mut transfer, &[0; 247]));
        assert!(fill(&mut transfer, &[0; 247]));
        assert_eq!(transfer.as_bytes().len(), 512);
        assert!(!fill(&mut transfer, &[]));
        transfer.clear();
        assert!(transfer.is_empty() && fill(&mut transfer, &[]));
    }

    #[test]
    fn takes_no_more_than_its_buffer() {
        let mut buffer = [0; 40];
        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
        assert_eq!(LAYOUT.max_transmission_unit(40), 31);
        assert!(!fill(&mut transfer, &[0; 32]));
        assert!(fill(&mut transfer, &[0; 31]));
    }

    #[test]
    fn several_transfers_at_once_are_each_as_full_as_whole_frames_allow() {
        let layout = TransferLayout {
            transfers_at_once: 4,
            ..LAYOUT
        };
        let of_same_length = |payload: usize, buffer: usize| {
            let mut buffer = vec![0; buffer];
            let mut transfer = Transfer::new(&mut buffer, layout);
            let mut counts = Vec::new();
            // The same again after `clear`.
            for _ in 0..2 {
                transfer.clear();
                let mut count = 0;
                while fill(&mut transfer, &vec![0; payload]) {
                    count += 1;
                }
                counts.push(count);
            }
            assert_eq!(counts[0], counts[1]);
            counts[0]
        };
        for payload in [0, 60, 92, 118, 119, 163, 246, 247] {
            let in_each = 512 / (payload + 9);
            // For as long as there is room for a whole one: more than four, where each has room
            // left.
            let mut room: usize = 4 * 512;
            let mut expected = 0;
            while room >= 512 {
                room -= in_each * (payload + 9);
                expected += in_each;
            }
            assert_eq!(of_same_length(payload, 4096), expected, "{payload}");
            assert_eq!(of_same_length(payload, 600), in_each, "{payload}");
            assert_eq!(of_same_length(payload, 300), 300 / (payload + 9));
        }
    }

    #[test]
    fn a_run_is_what_single_packets_would_be() {
        let of_four = TransferLayout {
            max_transfer: 60,
            transfers_at_once: 4,
            ..LAYOUT
        };
        for layout in [LAYOUT, of_four] {
            let (mut one, mut other) = ([0; 240], [0; 240]);
            let mut run = Transfer::new(&mut one, layout);
            let mut single = Transfer::new(&mut other, layout);
            for unit in [0, 1, 7, 20, 33, 50, 64, 100, 101, 248] {
                for keep in [0, 1, 60, 70, 90, usize::MAX] {
                    run.clear();
                    single.clear();
                    push_both(&mut run, &mut single, unit, keep);
                }
            }
        }
    }

    /// Pushes a packet, then a run, then packets for as long as there is room.
    fn push_both(run: &mut Transfer<'_>, single: &mut Transfer<'_>, unit: usize, keep: usize) {
        let payload: Vec<u8> = (0..100).collect();
        assert!(fill(run, b"first") && fill(single, b"first"));
        let first = RawHeader::from(HEADER).next();
        let (mut header, mut unsent) = (first, &payload[..]);
        while unit > 0
            && unsent.len() >= unit
            && unsent.len() - unit >= keep
            && let Some(place) = single.push(HERE, header, unit)
        {
            place.copy_from_slice(&unsent[..unit]);
            unsent = &unsent[unit..];
            header = header.next();
        }
        let mut rest = &payload[..];
        let mut room = run.room(HERE).unwrap();
        assert_eq!(room.push_run(first, unit, &mut rest, keep), header);
        assert_eq!(rest, unsent, "unit {unit}, {keep} kept");
        while fill(single, b"one more") {
            assert!(fill(run, b"one more"));
        }
        assert!(!fill(run, b"one more"));
        assert_eq!(run.as_bytes(), single.as_bytes());
    }

    #[test]
    fn a_transfer_for_one_packet_takes_no_run_and_one_push() {
        let layout = TransferLayout {
            packs: false,
            ..LAYOUT
        };
        let mut buffer = [0; 240];
        let mut transfer = Transfer::new(&mut buffer, layout);
        let mut room = transfer.room(HERE).unwrap();
        let mut payload = &[1, 2, 3, 4][..];
        assert_eq!(
            room.push_run(HEADER.into(), 2, &mut payload, 0),
            HEADER.into()
        );
        assert_eq!(payload.len(), 4);
        assert!(room.push(HEADER, 2).is_some());
        assert!(room.push(HEADER, 2).is_none());
        assert!(transfer.room(HERE).is_none());
        assert_eq!(transfer.packets().count(), 1);
    }

    #[test]
    fn the_first_header_is_there_before_and_after_a_transport_wrote_its_own() {
        let mut buffer = [0; 600];
        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
        assert_eq!(transfer.first_header(), None);
        assert!(fill(&mut transfer, b"one"));
        assert_eq!(transfer.first_header(), Some(HEADER.into()));
        let sent = transfer.next_bus_transfer(|frame| {
            frame.headroom.fill(0xFF);
            frame.tailroom.fill(0xFF);
        });
        assert!(sent.is_some());
        assert_eq!(transfer.first_header(), Some(HEADER.into()));
    }

    #[test]
    fn holds_packets_for_one_neighbour_only() {
        let mut buffer = [0; 600];
        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
        assert!(
            transfer
                .push(PhysicalAddress::from_byte(1), HEADER, 1)
                .is_some()
        );
        assert!(
            transfer
                .push(PhysicalAddress::from_byte(2), HEADER, 1)
                .is_none()
        );
        assert_eq!(transfer.destination(), PhysicalAddress::from_byte(1));
    }

    #[test]
    fn holds_one_packet_where_the_transport_does_not_pack() {
        let mut buffer = [0; 600];
        let mut transfer = Transfer::new(
            &mut buffer,
            TransferLayout {
                packs: false,
                ..LAYOUT
            },
        );
        assert!(fill(&mut transfer, b"one"));
        assert!(!fill(&mut transfer, b"two"));
    }

    #[test]
    fn a_transport_that_asks_for_less_headroom_gets_the_minimum() {
        let mut buffer = [0; 600];
        let mut transfer = Transfer::new(
            &mut buffer,
            TransferLayout {
                headroom: 0,
                ..LAYOUT
            },
        );
        assert!(fill(&mut transfer, b"one"));
        let mut headroom = 0;
        transfer.next_bus_transfer(|frame| headroom = frame.headroom.len());
        assert_eq!(headroom, 2);
    }
}
