//! Frames to send, and when the recovery preamble comes before them.

use core::slice::Iter;

use super::{
    ESCAPE, ESCAPED_BIT, FCS_OF_NOTHING, FLAG, FrameCheckSequence, FrameEnd, PREAMBLE, REVISION,
    add_to_fcs, frame_end, is_special,
};

/// The recovery preamble and what each frame begins with.
const OPENING: [u8; PREAMBLE.len() + 2] = {
    let mut opening = [0; PREAMBLE.len() + 2];
    let (preamble, frame) = opening.split_at_mut(PREAMBLE.len());
    preamble.copy_from_slice(&PREAMBLE);
    frame.copy_from_slice(&[FLAG, REVISION]);
    opening
};

/// The bytes of a [`frame`], one by one.
#[derive(Clone, Debug)]
pub struct Frame<'p> {
    /// What is not escaped.
    opening: Iter<'static, u8>,
    /// What is.
    count: Option<u8>,
    packet: Iter<'p, u8>,
    /// The escape before this byte was returned.
    escaped: Option<u8>,
    end: FrameEnd,
}

impl Iterator for Frame<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(byte) = self.escaped.take().or_else(|| self.opening.next().copied()) {
            return Some(byte);
        }
        let next = self.count.take().or_else(|| self.packet.next().copied());
        let Some(byte) = next else {
            return self.end.next();
        };
        if !is_special(byte) {
            return Some(byte);
        }
        self.escaped = Some(byte ^ ESCAPED_BIT);
        Some(ESCAPE)
    }
}

/// The bytes of a frame that has this MCTP packet in it; `None` when there is no frame for it: it
/// is shorter than a packet header, or longer than 255 bytes.
///
/// ```
/// use mctp_serial::FrameCheckSequence;
/// use mctp_serial::framing::frame;
///
/// // Get Endpoint ID, from endpoint 9 to endpoint 8.
/// let packet = [0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02];
/// let bytes: Vec<u8> = frame(&packet, FrameCheckSequence::Raw).unwrap().collect();
/// assert_eq!(bytes[..3], [0x7E, 0x01, 0x07]);
/// assert_eq!(bytes[3..10], packet);
/// assert_eq!(bytes[10..], [0x01, 0xDD, 0x7E]);
/// ```
pub fn frame(packet: &[u8], form: FrameCheckSequence) -> Option<Frame<'_>> {
    let count = u8::try_from(packet.len()).ok()?;
    if packet.len() < mctp_transport::HEADER_LEN {
        return None;
    }
    let before_packet = [REVISION, count];
    let covered = before_packet.iter().chain(packet);
    let fcs = covered.fold(FCS_OF_NOTHING, |fcs, byte| add_to_fcs(fcs, *byte));
    let (_, opening) = OPENING.split_at(PREAMBLE.len());
    Some(Frame {
        opening: opening.iter(),
        count: Some(count),
        packet: packet.iter(),
        escaped: None,
        end: frame_end(fcs, form),
    })
}

/// The send side of a link: the frames, and the recovery preamble where it belongs.
///
/// - Input: the packet, to [`begin`](Self::begin).
/// - Output: the bytes to send, from the same call.
/// - Commands: [`finish`](Self::finish) when all of them were sent;
///   [`resynchronise`](Self::resynchronise) to have the preamble before the next frame.
///
/// The preamble comes before the first frame, before the next one after `resynchronise`, and before
/// the next one after a frame that was begun and not finished: that one was cut off, if it was sent
/// at all.
///
/// ```
/// use mctp_serial::FrameCheckSequence;
/// use mctp_serial::framing::{Encoder, PREAMBLE};
///
/// let mut encoder = Encoder::new(FrameCheckSequence::Raw);
/// let packet = [0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02];
/// let first: Vec<u8> = encoder.begin(&packet).unwrap().collect();
/// encoder.finish();
/// let second: Vec<u8> = encoder.begin(&packet).unwrap().collect();
/// encoder.finish();
/// assert_eq!(first, [&PREAMBLE[..], &second].concat());
/// ```
#[derive(Debug)]
pub struct Encoder {
    form: FrameCheckSequence,
    needs_preamble: bool,
}

impl Encoder {
    /// The send side of a link that has just come up.
    pub const fn new(form: FrameCheckSequence) -> Self {
        Self {
            form,
            needs_preamble: true,
        }
    }

    /// Has the recovery preamble come before the next frame.
    pub const fn resynchronise(&mut self) {
        self.needs_preamble = true;
    }

    /// The bytes to send for this MCTP packet: its [`frame`], behind the preamble if that is due.
    /// `None` when there is no frame for it; then nothing was begun.
    pub fn begin<'p>(&mut self, packet: &'p [u8]) -> Option<Frame<'p>> {
        let mut frame = frame(packet, self.form)?;
        if self.needs_preamble {
            frame.opening = OPENING.iter();
        }
        self.needs_preamble = true;
        Some(frame)
    }

    /// All bytes of the frame that was begun last were sent.
    pub const fn finish(&mut self) {
        self.needs_preamble = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 7] = [0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02];
    const FRAME: [u8; 13] = [
        0x7E, 0x01, 0x07, 0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02, 0x01, 0xDD, 0x7E,
    ];

    fn bytes(packet: &[u8], form: FrameCheckSequence) -> Vec<u8> {
        frame(packet, form).unwrap().collect()
    }

    fn begun(encoder: &mut Encoder) -> Vec<u8> {
        encoder.begin(&PACKET).unwrap().collect()
    }

    fn with_preamble() -> Vec<u8> {
        [&PREAMBLE[..], &FRAME].concat()
    }

    #[test]
    fn a_frame_has_one_flag_on_each_side() {
        assert_eq!(bytes(&PACKET, FrameCheckSequence::Raw), FRAME);
        assert_eq!(bytes(&PACKET, FrameCheckSequence::Escaped), FRAME);
    }

    #[test]
    fn flags_and_escapes_of_the_packet_are_escaped_and_not_counted() {
        let packet = [0x01, 0x08, 0x00, 0xC0, 0x7E, 0x7D, 0x5E];
        let bytes = bytes(&packet, FrameCheckSequence::Raw);
        assert_eq!(
            bytes[..12],
            [
                0x7E, 0x01, 0x07, 0x01, 0x08, 0x00, 0xC0, 0x7D, 0x5E, 0x7D, 0x5D, 0x5E
            ]
        );
        assert_eq!(bytes.len(), 12 + 3);
    }

    #[test]
    fn there_is_no_frame_for_what_is_no_packet_or_too_long() {
        for len in [0, 3, 256, 1000] {
            assert!(frame(&vec![1; len], FrameCheckSequence::Raw).is_none());
            assert!(
                Encoder::new(FrameCheckSequence::Raw)
                    .begin(&vec![1; len])
                    .is_none()
            );
        }
        for len in [4, 255] {
            assert!(frame(&vec![1; len], FrameCheckSequence::Raw).is_some());
        }
    }

    #[test]
    fn a_byte_count_that_would_be_a_flag_is_escaped() {
        assert_eq!(
            bytes(&[1; 126], FrameCheckSequence::Raw)[..4],
            [0x7E, 0x01, 0x7D, 0x5E]
        );
        assert_eq!(
            bytes(&[1; 125], FrameCheckSequence::Raw)[..4],
            [0x7E, 0x01, 0x7D, 0x5D]
        );
    }

    #[test]
    fn the_preamble_comes_before_the_first_frame_and_when_it_is_asked_for() {
        let mut encoder = Encoder::new(FrameCheckSequence::Raw);
        assert_eq!(begun(&mut encoder), with_preamble());
        encoder.finish();
        assert_eq!(begun(&mut encoder), FRAME);
        encoder.finish();
        encoder.resynchronise();
        assert_eq!(begun(&mut encoder), with_preamble());
        encoder.finish();
        assert_eq!(begun(&mut encoder), FRAME);
    }

    #[test]
    fn the_preamble_comes_before_the_frame_behind_one_that_was_cut_off() {
        let mut encoder = Encoder::new(FrameCheckSequence::Raw);
        begun(&mut encoder);
        encoder.finish();
        assert_eq!(begun(&mut encoder), FRAME);
        assert_eq!(
            begun(&mut encoder),
            with_preamble(),
            "the one before was not finished"
        );
        assert!(encoder.begin(&[]).is_none());
        assert_eq!(begun(&mut encoder), with_preamble(), "nor was this one");
        encoder.finish();
        assert!(encoder.begin(&[]).is_none());
        assert_eq!(begun(&mut encoder), FRAME);
    }
}
