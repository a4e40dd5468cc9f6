//! The driver over a model of the CRC unit.

use mctp_crc32c::{Crc32c, SoftwareCrc32c};
use stm32_crc::{CrcUnit, Registers};

/// The CRC unit as RM0477 describes it, with a polynomial of 32 bits.
struct Model {
    data: u32,
    control: u32,
    initial_value: u32,
    polynomial: u32,
}

/// After a reset of the chip.
const RESET: Model = Model {
    data: u32::MAX,
    control: 0,
    initial_value: u32::MAX,
    polynomial: 0x04C1_1DB7,
};

/// As another user may have left it.
const USED: Model = Model {
    data: 0x1234_5678,
    control: 0x40,
    initial_value: 0x9ABC_DEF0,
    polynomial: 0x0000_8005,
};

impl Model {
    /// What `REV_IN` makes of `width` bits of input, which are the low ones: it reverses the bits
    /// of each byte, half-word or word.
    fn reversed_in(&self, input: u32, width: u32) -> u32 {
        let unit = match self.control >> 5 & 3 {
            0 => return input,
            1 => 8,
            2 => 16,
            _ => 32,
        };
        assert!(
            unit <= width,
            "RM0477 does not say what a short access does"
        );
        (0..width).fold(0, |output, bit| {
            let within_unit = bit % unit;
            let to = bit - within_unit + (unit - 1 - within_unit);
            output | (input >> bit & 1) << to
        })
    }

    fn add(&mut self, input: u32, width: u32) {
        assert_eq!(self.control >> 3 & 3, 0, "the polynomial has 32 bits");
        self.data ^= self.reversed_in(input, width) << (32 - width);
        for _ in 0..width {
            let is_divided = self.data >> 31 == 1;
            self.data <<= 1;
            if is_divided {
                self.data ^= self.polynomial;
            }
        }
    }
}

impl Registers for Model {
    fn write_data_word(&mut self, word: u32) {
        self.add(word, 32);
    }

    fn write_data_byte(&mut self, byte: u8) {
        self.add(byte.into(), 8);
    }

    fn data(&mut self) -> u32 {
        let reverses = self.control >> 7 & 1 == 1;
        if reverses {
            self.data.reverse_bits()
        } else {
            self.data
        }
    }

    fn write_control(&mut self, value: u32) {
        // The hardware clears RESET at once.
        self.control = value & !1;
        if value & 1 == 1 {
            self.data = self.initial_value;
        }
    }

    fn write_initial_value(&mut self, value: u32) {
        self.initial_value = value;
    }

    fn write_polynomial(&mut self, value: u32) {
        self.polynomial = value;
    }
}

#[test]
fn the_model_is_crc_32_of_mpeg_2_after_a_reset() {
    let mut model = RESET;
    for byte in *b"123456789" {
        model.write_data_byte(byte);
    }
    assert_eq!(model.data(), 0x0376_E6E7);
    let mut words = RESET;
    words.write_data_word(0x3132_3334);
    words.write_data_word(0x3536_3738);
    words.write_data_byte(0x39);
    assert_eq!(words.data(), 0x0376_E6E7);
}

/// RFC 3720, appendix B.4, whose bytes are those of the CRC with the lowest first.
#[test]
fn gives_the_crc_of_the_examples_of_iscsi() {
    let ascending: [u8; 32] = std::array::from_fn(|index| index as u8);
    let mut descending = ascending;
    descending.reverse();
    #[rustfmt::skip]
    let read_command = [
        0x01, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
        0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ];
    for model in [RESET, USED] {
        let mut unit = CrcUnit::new(model);
        assert_eq!(unit.crc32c(&[b"123456789"]), 0xE306_9283);
        assert_eq!(unit.crc32c(&[&[0; 32]]), 0x8A91_36AA);
        assert_eq!(unit.crc32c(&[&[0xFF; 32]]), 0x62A8_AB43);
        assert_eq!(unit.crc32c(&[&ascending]), 0x46DD_794E);
        assert_eq!(unit.crc32c(&[&descending]), 0x113F_DB5C);
        assert_eq!(unit.crc32c(&[&read_command]), 0xD996_3A56);
        assert_eq!(unit.crc32c(&[]), 0);
    }
}

#[test]
fn gives_the_same_as_the_software_for_every_length_and_split() {
    let bytes: Vec<u8> = (0..40)
        .map(|index: u8| index.wrapping_mul(37) ^ 0x5A)
        .collect();
    let mut unit = CrcUnit::new(RESET);
    for length in 0..=bytes.len() {
        for end in 0..=length {
            for start in 0..=end {
                let parts = [&bytes[..start], &bytes[start..end], &bytes[end..length]];
                let expected = SoftwareCrc32c.crc32c(&[&bytes[..length]]);
                assert_eq!(unit.crc32c(&parts), expected, "{start}, {end} of {length}");
                let first = unit.crc32c(&parts[..1]);
                // Others may use the unit in between.
                unit.crc32c(&[b"123456789"]);
                assert_eq!(
                    unit.continue_crc32c(first, &parts[1..]),
                    expected,
                    "{start} of {length}"
                );
            }
        }
    }
}

#[test]
fn gives_the_same_as_the_software_for_the_longest_message() {
    let bytes: Vec<u8> = (0..4223_u32)
        .map(|index| ((index * index) >> 3) as u8)
        .collect();
    let mut unit = CrcUnit::new(RESET);
    assert_eq!(
        unit.crc32c(&[&[0x84], &bytes]),
        SoftwareCrc32c.crc32c(&[&[0x84], &bytes])
    );
}
