//! Telemetry of the default model.

use nvme_mi_responder::ControllerId;
use nvme_mi_responder::world::{Initiator, Telemetry};

/// Bytes of a block.
const BLOCK: u16 = 512;
const BLOCKS: u16 = 2;
const LINE: usize = 32;

/// Two blocks of text that tell a log from another, and each of its parts from the others. The text
/// is computed when it is read: it takes no memory, and every capture by a host has the same. The
/// controllers capture nothing by themselves.
///
/// Each line has 32 bytes. Controller and line are digits from `0` to `V`:
///
/// ```text
/// telemetry of controller 0: 0...
/// telemetry of controller 0: 1...
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TextTelemetry;

impl Telemetry for TextTelemetry {
    fn capture(&mut self, _: ControllerId) {}

    fn blocks(&self, _: ControllerId, initiator: Initiator) -> u16 {
        match initiator {
            Initiator::Host => BLOCKS,
            Initiator::Controller => 0,
        }
    }

    fn read(
        &mut self,
        controller: ControllerId,
        initiator: Initiator,
        offset: u32,
        into: &mut [u8],
    ) {
        let end = u32::from(self.blocks(controller, initiator) * BLOCK);
        for (at, byte) in (offset..end).zip(into) {
            let at = at as usize;
            *byte = line(controller, at / LINE)[at % LINE];
        }
    }
}

fn line(controller: ControllerId, number: usize) -> [u8; LINE] {
    let mut line = *b"telemetry of controller _: _...\n";
    line[24] = digit(controller.0.into());
    line[27] = digit(number);
    line
}

fn digit(number: usize) -> u8 {
    b"0123456789ABCDEFGHIJKLMNOPQRSTUV"[number % 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_is_that_part_of_the_whole() {
        let mut whole = [0; 1100];
        TextTelemetry.read(ControllerId(1), Initiator::Host, 0, &mut whole);
        assert_eq!(&whole[..32], b"telemetry of controller 1: 0...\n");
        assert_eq!(&whole[992..1024], b"telemetry of controller 1: V...\n");
        assert!(
            whole[1024..].iter().all(|byte| *byte == 0),
            "behind the end"
        );
        for (offset, length) in [(0, 4), (31, 2), (508, 8), (1020, 80), (1024, 1), (5000, 9)] {
            let mut part = [0; 80];
            let part = &mut part[..length];
            TextTelemetry.read(ControllerId(1), Initiator::Host, offset, part);
            let rest = whole.get(offset as usize..).unwrap_or_default();
            assert!(
                part.iter().eq(rest.iter().chain(&[0; 80]).take(length)),
                "{offset}"
            );
        }
    }

    #[test]
    fn controllers_capture_nothing_by_themselves() {
        let (controller, mut text) = (ControllerId(0), [0; 32]);
        assert_eq!(TextTelemetry.blocks(controller, Initiator::Controller), 0);
        TextTelemetry.read(controller, Initiator::Controller, 0, &mut text);
        assert_eq!(text, [0; 32]);
    }
}
