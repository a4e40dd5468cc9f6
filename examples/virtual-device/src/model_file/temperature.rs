//! Temperatures in a model file.

use std::fmt::{self, Formatter};
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A temperature as NVMe has it: in kelvins, and 0 when it is not known.
#[derive(Clone, Copy)]
pub(super) struct Temperature(u16);

/// 0 degrees Celsius, in the whole kelvins that NVMe hosts count with.
const ICE_POINT: i64 = 273;

/// What the field of the SMART log can have, in kelvins.
const KELVINS: RangeInclusive<i64> = 1..=65_535;

/// What a drive may have, in kelvins, from -73 to 127 degrees Celsius: such a number needs no unit.
/// Nobody who thinks in Celsius or Fahrenheit writes one of them for a drive that is not on fire.
const PLAUSIBLE: RangeInclusive<i64> = 200..=400;

impl Temperature {
    pub(super) fn kelvins(self) -> u16 {
        self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text == "unknown" {
            return Ok(Self(0));
        }
        let split = text.find(|character: char| !matches!(character, '-' | '0'..='9'));
        let (number, unit) = text.split_at(split.unwrap_or(text.len()));
        let zero = match unit.trim() {
            "K" => Some(0),
            "C" | "\u{B0}C" => Some(ICE_POINT),
            _ => None,
        };
        let number: Option<i64> = number.parse().ok();
        let (Some(number), Some(zero)) = (number, zero) else {
            return Err(format!(
                "a temperature is a whole number with its unit, as \"30 C\" or \"303 K\", or \"unknown\", not {text:?}"
            ));
        };
        let kelvins = number
            .checked_add(zero)
            .filter(|kelvins| KELVINS.contains(kelvins));
        let kelvins = kelvins.and_then(|kelvins| kelvins.try_into().ok());
        kelvins.map(Self).ok_or_else(|| {
            let (least, most) = (KELVINS.start() - zero, KELVINS.end() - zero);
            let unit = unit.trim();
            format!("a temperature is {least} {unit} to {most} {unit}, not {text:?}")
        })
    }

    fn without_unit(number: i64) -> Result<Self, String> {
        let kelvins = u16::try_from(number)
            .ok()
            .filter(|_| PLAUSIBLE.contains(&number));
        kelvins.map(Self).ok_or_else(|| {
            format!(
                "a temperature has a unit, as \"30 C\" or \"303 K\": {number} alone would be kelvins, which is no temperature of a drive"
            )
        })
    }
}

impl<'de> Deserialize<'de> for Temperature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Temperature;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a temperature with its unit, as \"30 C\" or \"303 K\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Temperature, E> {
                Temperature::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Temperature, E> {
                Temperature::without_unit(number).map_err(E::custom)
            }

            // What is not an `i64` is beyond it.
            fn visit_u64<E: Error>(self, _: u64) -> Result<Temperature, E> {
                self.visit_i64(i64::MAX)
            }

            fn visit_i128<E: Error>(self, _: i128) -> Result<Temperature, E> {
                self.visit_i64(i64::MAX)
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_has_a_unit() {
        for (text, kelvins) in [
            ("30 C", 303),
            ("303 K", 303),
            ("78C", 351),
            ("85 \u{B0}C", 358),
            ("-40 C", 233),
            ("-272 C", 1),
            ("65535 K", 65_535),
            ("unknown", 0),
        ] {
            let temperature = Temperature::parse(text).unwrap();
            assert_eq!(temperature.kelvins(), kelvins, "{text}");
        }
        for bad in ["", "30", "C", "30 F", "30.5 C", "--3 C", "3-0 C", "30 K C"] {
            let sentence = Temperature::parse(bad).err().unwrap();
            assert!(sentence.ends_with(&format!("not {bad:?}")), "{sentence}");
        }
        let outside = |text| Temperature::parse(text).err().unwrap();
        let sentence = "a temperature is -272 C to 65262 C, not \"-273 C\"";
        assert_eq!(outside("-273 C"), sentence);
        let sentence = "a temperature is 1 K to 65535 K, not \"0 K\"";
        assert_eq!(outside("0 K"), sentence);
        assert!(Temperature::parse("9223372036854775807 C").is_err());
    }

    #[test]
    fn a_number_without_a_unit_is_kelvins_that_a_drive_can_have() {
        for kelvins in [200, 303, 400] {
            let temperature = Temperature::without_unit(kelvins).unwrap();
            assert_eq!(i64::from(temperature.kelvins()), kelvins);
        }
        for number in [-1, 0, 30, 85, 199, 401, i64::MAX] {
            let sentence = Temperature::without_unit(number).err().unwrap();
            assert!(sentence.contains("has a unit"), "{sentence}");
        }
    }
}
