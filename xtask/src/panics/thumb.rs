//! Branches in Thumb code (Armv7-M Architecture Reference Manual, A7.7.12 and A7.7.18).

/// A branch or call: where it stands, and where it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The branches in `code`, which begins at `address` with an instruction. Constants between
/// instructions are read as if they were some, so that there may be branches among these that go
/// anywhere.
pub(super) fn branches(code: &[u8], address: u64) -> Vec<Branch> {
    let (halfwords, _) = code.as_chunks();
    let mut halfwords = (address..)
        .step_by(2)
        .zip(halfwords.iter().map(|bytes| u16::from_le_bytes(*bytes)));
    let mut branches = Vec::new();
    while let Some((from, first)) = halfwords.next() {
        let offset = if is_long(first) {
            let second = halfwords.next().map(|(_, second)| second);
            second.and_then(|second| long_offset(first.into(), second.into()))
        } else {
            short_offset(first)
        };
        // The program counter is two halfwords ahead.
        branches.extend(offset.map(|offset| Branch {
            from,
            to: from.wrapping_add(4).wrapping_add_signed(offset),
        }));
    }
    branches
}

/// Whether an instruction has a second halfword.
fn is_long(first: u16) -> bool {
    first >> 11 > 0b11100
}

/// Of `b`, encoding T2.
fn short_offset(instruction: u16) -> Option<i64> {
    (instruction >> 11 == 0b11100).then(|| sign_extended((instruction & 0x7FF).into(), 11) * 2)
}

/// Of `bl` and of `b` in the encodings T3, with a condition, and T4.
fn long_offset(first: u64, second: u64) -> Option<i64> {
    if first >> 11 != 0b11110 || second >> 15 != 1 {
        return None;
    }
    let sign = first >> 10 & 1;
    let (j1, j2) = (second >> 13 & 1, second >> 11 & 1);
    let low = second & 0x7FF;
    let is_call = second >> 14 & 1 == 1;
    if second >> 12 & 1 == 1 {
        let (i1, i2) = (1 ^ j1 ^ sign, 1 ^ j2 ^ sign);
        let offset = sign << 23 | i1 << 22 | i2 << 21 | (first & 0x3FF) << 11 | low;
        return Some(sign_extended(offset, 24) * 2);
    }
    // Two of the conditions stand for other instructions.
    if is_call || first >> 7 & 0b111 == 0b111 {
        return None;
    }
    let offset = sign << 19 | j2 << 18 | j1 << 17 | (first & 0x3F) << 11 | low;
    Some(sign_extended(offset, 20) * 2)
}

fn sign_extended(number: u64, bits: u32) -> i64 {
    let unused = i64::BITS - bits;
    (number << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a disassembler shows them.
    #[track_caller]
    fn assert_goes_to(from: u64, halfwords: &[u16], to: u64) {
        let code: Vec<_> = halfwords.iter().flat_map(|h| h.to_le_bytes()).collect();
        assert_eq!(branches(&code, from), [Branch { from, to }]);
    }

    #[test]
    fn calls_go_forward_and_back() {
        assert_goes_to(0x22912, &[0xF001, 0xFCF3], 0x242FC);
        assert_goes_to(0x2425C, &[0xF7FE, 0xFB5B], 0x22916);
        assert_goes_to(0x27252, &[0xF7FF, 0xFF0B], 0x2706C);
    }

    #[test]
    fn jumps_with_and_without_a_condition_are_branches() {
        assert_goes_to(0x100, &[0xE7FE], 0x100);
        assert_goes_to(0x100, &[0xF000, 0xB800], 0x104);
        assert_goes_to(0x100, &[0xF000, 0x8001], 0x106);
    }

    #[test]
    fn the_second_half_of_another_instruction_is_none() {
        // movw r0, #2023: its second half alone would be one, as would `b`'s.
        let code = [0xF240, 0x70E7_u16, 0xF8DF, 0xE7FE];
        let code: Vec<_> = code.iter().flat_map(|h| h.to_le_bytes()).collect();
        assert_eq!(branches(&code, 0), []);
    }
}
