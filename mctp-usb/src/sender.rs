//! The send half: a bulk IN endpoint.

use embassy_usb_driver::{EndpointError, EndpointIn};
use mctp_transport::{SendError, Transfer, TransferLayout, TransportTx};

use crate::framing::{HEADER_LEN, MAX_TRANSFER_1_0};
use crate::{BusEvents, Version};

/// Zero bytes to complete a packet with.
const ZEROS: [u8; 64] = [0; 64];

/// The shortest limit there is for a packet: the baseline transmission unit and the MCTP packet header (DSP0236, 8.4).
const BASELINE_PACKET: u16 = 68;

/// How many full USB transfers of 1.0 a stack hands over at once, at most: more would keep control responses waiting, and a host that reads slowly from
/// being told from one that does not read.
const TRANSFERS_AT_ONCE: u8 = 8;

/// What a [`Sender`] may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendLimits {
    /// The longest MCTP packet, packet header included, in bytes; taken as 68 when less, and as [`Version::max_packet`] when more.
    pub max_packet: u16,
    /// The longest USB transfer, in bytes; taken as one packet when less, and in 1.0 as 512 when more.
    ///
    /// The default in 1.0 is 511, not 512: at high speed every transfer is then a short USB packet and ends by itself, for a host
    /// that reads 512 bytes at a time (Linux 7.2) as for one that reads more. It costs nothing for the longest packets, of which two are 510
    /// bytes.
    pub max_transfer: u16,
    /// 1.0 only: whether a zero-length packet follows a transfer of 512 bytes.
    ///
    /// Not needed by hosts that read 512 bytes at a time: they have the whole transfer already. Others wait for it. Without effect unless
    /// `max_transfer` allows 512 bytes.
    pub zlp_after_full_transfer: bool,
}

impl SendLimits {
    /// The longest packets of a version, in transfers of up to 511 bytes (1.0) or one such packet (1.1).
    pub const fn new(version: Version) -> Self {
        Self {
            max_packet: version.max_packet(),
            max_transfer: match version {
                Version::V1_0 => 511,
                Version::V1_1 => 8191,
            },
            zlp_after_full_transfer: false,
        }
    }
}

/// How far an unfinished transfer came on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Unfinished {
    /// Bytes missing of the packet it broke off in.
    missing: usize,
    /// A USB packet of full length was the last one: the host waits for more.
    open: bool,
}

/// Sends MCTP packets to a bulk IN endpoint.
///
/// In 1.1 a [`Transfer`] is one USB transfer. In 1.0, where USB transfers are short, it may have as many bytes as eight: it goes out as several of whole
/// packets, each as full as [`SendLimits::max_transfer`] allows. So a stack with a longer buffer is asked for more less often.
///
/// The host sees the end of a USB transfer by a short USB packet, or else a zero-length packet; in 1.0 there is none after
/// 512 bytes (which only a [`SendLimits::max_transfer`] of 512 allows) unless [`SendLimits::zlp_after_full_transfer`] asks for it.
///
/// # When a send is dropped half-way
///
/// The next [`send`](TransportTx::send) first ends what is on the wire, so that the host does not join the two:
///
/// - 1.0, high speed: nothing to end, a USB transfer is one USB packet and was sent or not.
/// - 1.0, full speed: a zero-length packet. The host drops the packet that broke off.
/// - 1.1: a packet may go on in the next transfer, so ending the transfer is not enough: the packet that broke off is completed with
///   zeros. The host takes it for a packet; the message it belongs to is damaged, which only a message integrity check shows. Don't
///   drop a 1.1 send while the link is up if you can wait.
///
/// Not after a bus reset: then the host has forgotten it as well.
#[derive(Debug)]
pub struct Sender<'d, E> {
    endpoint: E,
    events: &'d BusEvents,
    version: Version,
    layout: TransferLayout,
    zlp_after_full_transfer: bool,
    unfinished: Unfinished,
}

impl<'d, E: EndpointIn> Sender<'d, E> {
    /// Sends to `endpoint`.
    pub fn new(endpoint: E, version: Version, events: &'d BusEvents, limits: SendLimits) -> Self {
        Self {
            endpoint,
            events,
            version,
            layout: layout(version, limits),
            zlp_after_full_transfer: limits.zlp_after_full_transfer,
            unfinished: Unfinished::default(),
        }
    }

    fn max_packet_size(&self) -> usize {
        usize::from(self.endpoint.info().max_packet_size).max(1)
    }

    /// The next USB packet: of what an earlier `send` left on the wire, then of `unsent`. `None` when there is no more.
    fn next_usb_packet<'t>(&mut self, unsent: &mut Unsent<'t>) -> Option<&'t [u8]> {
        let full = self.max_packet_size();
        if unsent.current.is_empty() {
            if self.unfinished.missing > 0 {
                return ZEROS.get(..self.unfinished.missing.min(ZEROS.len()).min(full));
            }
            if self.unfinished.open && self.host_waits_after(unsent.current_len) {
                return Some(&[]);
            }
            self.unfinished = Unfinished::default();
            unsent.current_len = self.next_len(unsent.later);
            (unsent.current, unsent.later) = unsent.later.split_at_checked(unsent.current_len)?;
        }
        let packet = unsent.current.get(..full).unwrap_or(unsent.current);
        (!packet.is_empty()).then_some(packet)
    }

    /// The host has the next USB packet.
    fn sent(&mut self, packet: &[u8], unsent: &mut Unsent<'_>) -> Result<(), EndpointError> {
        let begins = match unsent.current {
            [] => packet,
            current => current,
        };
        let missing = match self.version {
            Version::V1_0 => 0,
            Version::V1_1 => missing_after(begins, self.unfinished.missing, packet.len()),
        };
        unsent.current = unsent.current.get(packet.len()..).unwrap_or_default();
        self.unfinished = Unfinished {
            missing,
            open: packet.len() == self.max_packet_size(),
        };
        let more = !unsent.current.is_empty() || !unsent.later.is_empty();
        if self.events.take_sender_restarted() && more {
            return Err(EndpointError::Disabled);
        }
        Ok(())
    }

    /// The length of the next USB transfer: as many whole packets as it takes.
    fn next_len(&self, packets: &[u8]) -> usize {
        let max_transfer = usize::from(self.layout.max_transfer);
        if packets.len() <= max_transfer {
            return packets.len();
        }
        let mut len: usize = 0;
        while let Some(header) = packets.get(len..).and_then(<[u8]>::first_chunk)
            && let Some(packet) = self.version.decode(*header)
            && let with_it = len.saturating_add(packet)
            && with_it <= max_transfer
        {
            len = with_it;
        }
        len
    }

    /// Whether the host waits for a zero-length packet behind a transfer of whole USB packets.
    fn host_waits_after(&self, transfer_len: usize) -> bool {
        self.version == Version::V1_1
            || transfer_len < MAX_TRANSFER_1_0
            || self.zlp_after_full_transfer
    }

    /// Writes the header of each packet; `false` when the transfer was not laid out for this sender.
    fn write_headers(&self, transfer: &mut Transfer<'_>) -> bool {
        let at_once = usize::from(self.layout.transfers_at_once);
        let longest = usize::from(self.layout.max_transfer).saturating_mul(at_once);
        if transfer.as_bytes().len() > longest {
            return false;
        }
        transfer.frames().all(|frame| {
            let room = <&mut [u8; HEADER_LEN]>::try_from(frame.headroom);
            let is_short_enough = frame.packet.len() <= self.layout.max_packet.into();
            let header = self.version.encode(frame.packet.len());
            let header = header.filter(|_| is_short_enough);
            let (Ok(room), Some(header), []) = (room, header, frame.tailroom) else {
                return false;
            };
            *room = header;
            true
        })
    }
}

impl<E: EndpointIn> TransportTx for Sender<'_, E> {
    fn layout(&self) -> TransferLayout {
        self.layout
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        if !self.write_headers(transfer) {
            return Err(SendError::NotAccepted);
        }
        if self.events.take_sender_restarted() {
            self.unfinished = Unfinished::default();
        }
        let mut unsent = Unsent {
            current: &[],
            current_len: 0,
            later: transfer.as_bytes(),
        };
        while let Some(packet) = self.next_usb_packet(&mut unsent) {
            let mut sent = self.endpoint.write(packet).await;
            if sent.is_ok() {
                sent = self.sent(packet, &mut unsent);
            }
            match sent {
                Ok(()) => {}
                Err(EndpointError::Disabled) => {
                    self.unfinished = Unfinished::default();
                    return Err(SendError::LinkDown);
                }
                Err(EndpointError::BufferOverflow) => return Err(SendError::NotAccepted),
            }
        }
        Ok(())
    }
}

/// What of a [`Transfer`] the host does not have yet.
struct Unsent<'t> {
    /// Of the USB transfer under way, and how long that is in all; 0 while it is one that an earlier `send` left.
    current: &'t [u8],
    current_len: usize,
    /// The USB transfers after it.
    later: &'t [u8],
}

/// How many bytes of the 1.1 packet under way are missing behind the first `sent` of `bytes`, before which `missing` were.
fn missing_after(bytes: &[u8], missing: usize, sent: usize) -> usize {
    let mut end = missing;
    while end < sent
        && let Some(header) = bytes.get(end..).and_then(<[u8]>::first_chunk)
        && let Some(length) = Version::V1_1.decode(*header)
    {
        end = end.saturating_add(length);
    }
    end.saturating_sub(sent)
}

/// What the stack is asked for.
const fn layout(version: Version, limits: SendLimits) -> TransferLayout {
    let max_packet = if limits.max_packet < BASELINE_PACKET {
        BASELINE_PACKET
    } else if limits.max_packet > version.max_packet() {
        version.max_packet()
    } else {
        limits.max_packet
    };
    let one_packet = max_packet.saturating_add(HEADER_LEN as u16);
    let max_transfer = match version {
        _ if limits.max_transfer < one_packet => one_packet,
        Version::V1_0 if limits.max_transfer > MAX_TRANSFER_1_0 as u16 => MAX_TRANSFER_1_0 as u16,
        _ => limits.max_transfer,
    };
    TransferLayout {
        headroom: HEADER_LEN as u8,
        tailroom: 0,
        max_packet,
        max_transfer,
        transfers_at_once: match version {
            Version::V1_0 => TRANSFERS_AT_ONCE,
            Version::V1_1 => 1,
        },
        packs: true,
    }
}

#[cfg(test)]
mod tests {
    use mctp_transport::{Eid, MessageTag, PacketHeader, PhysicalAddress, SequenceNumber};

    use super::*;
    use crate::RECEIVE_BUFFER_LEN_1_1;
    use crate::framing::Reassembler;
    use crate::mock::{MockIn, block_on, poll_times};

    const HEADER: PacketHeader = PacketHeader {
        destination: Eid(8),
        source: Eid(9),
        start: true,
        end: true,
        sequence: SequenceNumber::from_low_bits(0),
        tag_owner: false,
        tag: MessageTag::from_low_bits(1),
    };
    static EVENTS: BusEvents = BusEvents::new();

    fn sender(version: Version, max_packet_size: u16) -> Sender<'static, MockIn<'static>> {
        let limits = SendLimits::new(version);
        Sender::new(MockIn::new(max_packet_size), version, &EVENTS, limits)
    }

    /// A transfer of packets with these lengths, filled with AAh.
    fn transfer<'b>(
        buffer: &'b mut [u8],
        layout: TransferLayout,
        packet_lens: &[usize],
    ) -> Transfer<'b> {
        let mut transfer = Transfer::new(buffer, layout);
        for packet_len in packet_lens {
            assert!(push(&mut transfer, *packet_len));
        }
        transfer
    }

    fn push(transfer: &mut Transfer<'_>, packet_len: usize) -> bool {
        let place = transfer.push(PhysicalAddress::POINT_TO_POINT, HEADER, packet_len - 4);
        place.map(|place| place.fill(0xAA)).is_some()
    }

    fn send(sender: &mut Sender<'_, MockIn<'_>>, packet_lens: &[usize]) -> Result<(), SendError> {
        let mut buffer = [0; 9000];
        let mut transfer = transfer(&mut buffer, sender.layout(), packet_lens);
        block_on(sender.send(&mut transfer))
    }

    /// Lets so many USB packets through, then drops the send.
    fn send_cut_off(
        sender: &mut Sender<'_, MockIn<'_>>,
        packet_lens: &[usize],
        usb_packets: usize,
    ) {
        sender.endpoint.accepts = usb_packets;
        let mut buffer = [0; 9000];
        let mut transfer = transfer(&mut buffer, sender.layout(), packet_lens);
        assert!(poll_times(10, sender.send(&mut transfer)).is_none());
        sender.endpoint.accepts = usize::MAX;
    }

    fn written_lens(sender: &Sender<'_, MockIn<'_>>) -> Vec<usize> {
        sender.endpoint.written.iter().map(Vec::len).collect()
    }

    #[test]
    fn writes_a_header_before_each_packet() {
        let mut sender = sender(Version::V1_0, 512);
        send(&mut sender, &[7, 5]).unwrap();
        assert_eq!(
            sender.endpoint.written,
            [[
                0x1A, 0xB4, 0x00, 11, 0x01, 8, 9, 0xC1, 0xAA, 0xAA, 0xAA, // seven bytes
                0x1A, 0xB4, 0x00, 9, 0x01, 8, 9, 0xC1, 0xAA, // five bytes
            ]]
        );
    }

    #[test]
    fn a_1_0_transfer_takes_two_packets_of_251_bytes_and_ends_by_itself() {
        let mut sender = sender(Version::V1_0, 512);
        let layout = sender.layout();
        assert_eq!((layout.max_packet, layout.max_transfer), (251, 511));
        assert_eq!(layout.transfers_at_once, TRANSFERS_AT_ONCE);
        send(&mut sender, &[251, 251]).unwrap();
        assert_eq!(written_lens(&sender), [510]);
        assert_eq!((layout.headroom, layout.tailroom), (4, 0));
        assert!(layout.packs);
    }

    #[test]
    fn more_than_a_1_0_transfer_takes_goes_out_in_several_of_whole_packets() {
        let mut high_speed = sender(Version::V1_0, 512);
        send(&mut high_speed, &[251; 5]).unwrap();
        send(&mut high_speed, &[200, 200, 200, 60, 4, 4]).unwrap();
        // Eight times four of 109 bytes.
        send(&mut high_speed, &[105; 32]).unwrap();
        let expected = [&[510, 510, 255, 408, 284][..], &[436; 8]].concat();
        assert_eq!(written_lens(&high_speed), expected);
        let mut full_speed = sender(Version::V1_0, 64);
        send(&mut full_speed, &[200, 200, 200]).unwrap();
        let two = [&[64; 6][..], &[24]].concat();
        let one = [64, 64, 64, 12];
        assert_eq!(written_lens(&full_speed), [&two[..], &one].concat());
    }

    #[test]
    fn a_host_that_starts_anew_between_two_transfers_gets_nothing_of_the_rest() {
        let events = BusEvents::new();
        let limits = SendLimits::new(Version::V1_0);
        let mut sender = Sender::new(MockIn::new(512), Version::V1_0, &events, limits);
        for (written, expected) in [(1, Err(SendError::LinkDown)), (4, Ok(()))] {
            sender.endpoint.written.clear();
            sender.endpoint.reset_at = Some((written, &events));
            assert_eq!(send(&mut sender, &[251; 8]), expected);
            assert_eq!(written_lens(&sender), vec![510; written]);
        }
    }

    #[test]
    fn limits_out_of_range_are_taken_as_the_nearest() {
        let limits = |max_packet, max_transfer| SendLimits {
            max_packet,
            max_transfer,
            zlp_after_full_transfer: false,
        };
        let of = |version, limits| {
            let layout = layout(version, limits);
            (layout.max_packet, layout.max_transfer)
        };
        assert_eq!(of(Version::V1_0, limits(0, 0)), (68, 72));
        assert_eq!(of(Version::V1_0, limits(9000, 9000)), (251, 512));
        assert_eq!(of(Version::V1_1, limits(0, 0)), (68, 72));
        assert_eq!(of(Version::V1_1, limits(9000, 0)), (8187, 8191));
        assert_eq!(of(Version::V1_1, limits(1000, 16000)), (1000, 16000));
    }

    #[test]
    fn a_transfer_that_is_too_long_or_laid_out_for_others_is_not_sent() {
        let mut sender = sender(Version::V1_0, 512);
        let mut buffer = [0; 9000];
        let good = sender.layout();
        for (layout, packet_lens) in [
            (
                TransferLayout {
                    max_transfer: 3000,
                    ..good
                },
                &[251; 17][..],
            ),
            (
                TransferLayout {
                    max_packet: 252,
                    ..good
                },
                &[252],
            ),
            (
                TransferLayout {
                    headroom: 5,
                    ..good
                },
                &[68],
            ),
            (
                TransferLayout {
                    tailroom: 1,
                    ..good
                },
                &[68],
            ),
        ] {
            let mut transfer = transfer(&mut buffer, layout, packet_lens);
            assert_eq!(
                block_on(sender.send(&mut transfer)),
                Err(SendError::NotAccepted)
            );
        }
        assert_eq!(written_lens(&sender), []);
    }

    #[test]
    fn a_full_1_0_transfer_has_no_zero_length_packet_unless_asked_for() {
        for (speed, asked, expected) in [
            (512, false, vec![512]),
            (512, true, vec![512, 0]),
            (64, false, vec![64; 8]),
            (64, true, [vec![64; 8], vec![0]].concat()),
        ] {
            let limits = SendLimits {
                max_transfer: 512,
                zlp_after_full_transfer: asked,
                ..SendLimits::new(Version::V1_0)
            };
            let mut sender = Sender::new(MockIn::new(speed), Version::V1_0, &EVENTS, limits);
            send(&mut sender, &[251, 240, 9]).unwrap();
            assert_eq!(written_lens(&sender), expected);
        }
    }

    #[test]
    fn other_transfers_of_whole_usb_packets_end_with_a_zero_length_packet() {
        let mut full_speed = sender(Version::V1_0, 64);
        send(&mut full_speed, &[60]).unwrap();
        send(&mut full_speed, &[124]).unwrap();
        assert_eq!(written_lens(&full_speed), [64, 0, 64, 64, 0]);
        let mut spanning = sender(Version::V1_1, 512);
        send(&mut spanning, &[508]).unwrap();
        send(&mut spanning, &[1020]).unwrap();
        send(&mut spanning, &[1021]).unwrap();
        assert_eq!(written_lens(&spanning), [512, 0, 512, 512, 0, 512, 512, 1]);
    }

    #[test]
    fn an_empty_transfer_sends_nothing() {
        let mut sender = sender(Version::V1_1, 512);
        send(&mut sender, &[]).unwrap();
        assert_eq!(written_lens(&sender), []);
    }

    #[test]
    fn what_is_sent_is_what_a_receiver_finds() {
        for (version, max_packet) in [(Version::V1_0, 251), (Version::V1_1, 8187)] {
            for speed in [64, 512] {
                let mut sender = sender(version, speed);
                let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
                let mut host = Reassembler::new(version, speed, &mut buffer).unwrap();
                for packet_len in (4..=max_packet).step_by(13).chain([max_packet]) {
                    send(&mut sender, &[packet_len]).unwrap();
                    assert_eq!(found(&mut host, &mut sender), [Ok(packet_len)]);
                }
            }
        }
    }

    #[test]
    fn a_disabled_endpoint_is_a_link_that_is_down() {
        let mut sender = sender(Version::V1_1, 64);
        sender.endpoint.then = Some(EndpointError::Disabled);
        sender.endpoint.accepts = 1;
        assert_eq!(send(&mut sender, &[300]), Err(SendError::LinkDown));
        sender.endpoint.accepts = usize::MAX;
        sender.endpoint.written.clear();
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [9]);
    }

    #[test]
    fn a_1_0_transfer_cut_off_at_full_speed_is_ended_first() {
        let mut sender = sender(Version::V1_0, 64);
        send_cut_off(&mut sender, &[200], 0);
        send_cut_off(&mut sender, &[200], 2);
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [64, 64, 0, 9]);
    }

    #[test]
    fn a_zero_length_packet_that_was_cut_off_is_sent_first() {
        let mut sender = sender(Version::V1_0, 64);
        send_cut_off(&mut sender, &[60], 1);
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [64, 0, 9]);
    }

    #[test]
    fn a_full_1_0_transfer_behind_which_the_next_was_cut_off_has_ended() {
        let limits = SendLimits {
            max_transfer: 512,
            ..SendLimits::new(Version::V1_0)
        };
        let mut sender = Sender::new(MockIn::new(512), Version::V1_0, &EVENTS, limits);
        send_cut_off(&mut sender, &[251, 240, 9, 251, 240, 9], 1);
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [512, 9]);
    }

    #[test]
    fn a_1_1_transfer_cut_off_anywhere_costs_at_most_one_packet_at_the_host() {
        for speed in [64, 512] {
            for usb_packets in 0..=2000 / usize::from(speed) {
                let mut sender = sender(Version::V1_1, speed);
                let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
                let mut host = Reassembler::new(Version::V1_1, speed, &mut buffer).unwrap();
                send_cut_off(&mut sender, &[300, 1000, 688], usb_packets);
                // Cut off again, while it ends the first.
                send_cut_off(&mut sender, &[100], 0);
                send(&mut sender, &[77]).unwrap();
                let sent = usb_packets * usize::from(speed);
                let begun = [0, 304, 304 + 1004]
                    .iter()
                    .filter(|start| sent > **start)
                    .count();
                let mut expected = [Ok(300), Ok(1000), Ok(688)][..begun].to_vec();
                expected.push(Ok(77));
                assert_eq!(found(&mut host, &mut sender), expected, "{usb_packets}");
            }
        }
    }

    #[test]
    fn a_1_1_packet_cut_off_is_completed_with_its_own_length_and_no_more() {
        for (speed, packet_len, usb_packets, expected) in [
            (64, 300, 2, vec![64, 64, /* zeros */ 64, 64, 48, 9]),
            (64, 252, 2, vec![64, 64, /* zeros */ 64, 64, 0, 9]),
            (512, 600, 1, vec![512, /* zeros */ 64, 28, 9]),
            (512, 572, 1, vec![512, /* zeros */ 64, 9]),
        ] {
            let mut sender = sender(Version::V1_1, speed);
            send_cut_off(&mut sender, &[packet_len], usb_packets);
            send(&mut sender, &[5]).unwrap();
            assert_eq!(written_lens(&sender), expected);
            let zeros = &sender.endpoint.written[usb_packets..expected.len() - 1];
            assert!(zeros.concat().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_1_1_transfer_cut_off_between_packets_is_only_ended() {
        let mut sender = sender(Version::V1_1, 64);
        send_cut_off(&mut sender, &[60, 252], 1);
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [64, 0, 9]);
    }

    #[test]
    fn nothing_of_before_a_reset_is_ended_after_it() {
        let events = BusEvents::new();
        let limits = SendLimits::new(Version::V1_1);
        let mut sender = Sender::new(MockIn::new(64), Version::V1_1, &events, limits);
        send_cut_off(&mut sender, &[300], 2);
        events.restarted();
        sender.endpoint.written.clear();
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [9]);
    }

    #[test]
    fn a_reset_that_the_driver_hides_ends_the_send() {
        let events = BusEvents::new();
        let limits = SendLimits::new(Version::V1_1);
        let mut sender = Sender::new(MockIn::new(64), Version::V1_1, &events, limits);
        sender.endpoint.reset_at = Some((2, &events));
        assert_eq!(send(&mut sender, &[300]), Err(SendError::LinkDown));
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [64, 64, 9]);
    }

    /// The packets that a host finds in what was written.
    fn found(
        host: &mut Reassembler<'_>,
        sender: &mut Sender<'_, MockIn<'_>>,
    ) -> Vec<Result<usize, mctp_transport::DropReason>> {
        let mut found = Vec::new();
        for bytes in sender.endpoint.written.drain(..) {
            host.buffer()[..bytes.len()].copy_from_slice(&bytes);
            host.received(bytes.len());
            while let Some(packet) = host.next_packet() {
                found.push(packet.map(<[u8]>::len));
            }
        }
        found
    }
}
