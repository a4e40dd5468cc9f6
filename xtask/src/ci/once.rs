//! What is decided in one place, and must not come back in another.

/// Crates whose code handles packets.
const PACKET_CRATES: &[&str] = &[
    "mctp-i2c/src/",
    "mctp-router/src/",
    "mctp-serial/src/",
    "mctp-transport/src/",
    "mctp-usb/src/",
];

/// The one place where bits of the packet header are decided.
const HEADER: &str = "mctp-transport/src/header.rs";

/// The one crate that says what time is.
const TIME: &str = "mctp-time/";

/// Crates whose lines fit the width of a review.
const NARROW_CRATES: &[&str] = &[
    "firmware-store/",
    "mctp-crc32c/",
    "mctp-i2c/",
    "mctp-router/",
    "mctp-serial/",
    "mctp-time/",
    "mctp-transport/",
    "mctp-usb/",
];
const WIDTH: usize = 120;

/// What is wrong with a file of this name.
pub(super) fn complaints(name: &str, text: &str) -> Vec<String> {
    if !name.ends_with(".rs") || name.ends_with("ci/once.rs") {
        return Vec::new();
    }
    let lines = text.lines().zip(1_usize..);
    let complaints = lines.filter_map(|(line, number)| {
        let complaint = complaint(name, line)?;
        Some(format!("{name}:{number}: {complaint}"))
    });
    complaints.collect()
}

fn complaint(name: &str, line: &str) -> Option<&'static str> {
    let is_in = |folders: &[&str]| folders.iter().any(|folder| name.starts_with(folder));
    if is_in(PACKET_CRATES) && name != HEADER && masks_header_bits(line) {
        return Some(
            "masks or shifts bits of a packet header, which is for mctp-transport's header",
        );
    }
    if has_positional_storage(line) {
        return Some("a number in a RouterStorage says nothing: name the part that it counts");
    }
    if !name.starts_with(TIME) && defines_time(line) {
        return Some("a second Clock or Instant: mctp-time has those of the whole suite");
    }
    if is_in(NARROW_CRATES) && line.chars().count() > WIDTH {
        return Some("longer than 120 columns");
    }
    None
}

/// Whether code in the line takes bits out of a header, or puts them in.
fn masks_header_bits(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let Some((_, behind)) = code.split_once("header") else {
        return false;
    };
    let behind: String = behind.split_whitespace().collect();
    let operators = ["&0x", "&0b", "|0x", "|0b", "^0x", "<<", ">>"];
    operators.iter().any(|operator| {
        let operand = behind.split(operator).nth(1);
        // `Option<Option<Header>>` is not a shift.
        operand.is_some_and(|operand| operand.starts_with(|first: char| first.is_ascii_hexdigit()))
    })
}

/// Whether the type or value has a number, or a constant, where a part belongs.
fn has_positional_storage(line: &str) -> bool {
    let behind = line.split_once("RouterStorage").map(|(_, behind)| behind);
    let Some(arguments) =
        behind.and_then(|behind| behind.trim_start_matches("::").strip_prefix('<'))
    else {
        return false;
    };
    let first = arguments.split(',').map(str::trim);
    let first = first
        .into_iter()
        .find(|argument| !argument.starts_with('\''));
    first.is_some_and(|first| {
        first.starts_with(|first: char| first.is_ascii_digit() || first == '{')
    })
}

/// Whether the line defines a clock as a trait, or a point in time as a type. A `struct Clock` is a
/// device's own.
fn defines_time(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let words: Vec<_> = code
        .split(|character| !is_name(character))
        .filter(|word| !word.is_empty())
        .collect();
    words.windows(2).any(|pair| {
        matches!(
            pair,
            ["trait", "Clock"] | ["struct" | "enum" | "type", "Instant"]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_bits_of_a_header_outside_of_its_file() {
        let mask = "    let key = header.bits() & 0x0F00_0000;";
        let shift = "    let tag = (header >> 24) as u8;";
        for line in [mask, shift] {
            assert_eq!(
                complaints("mctp-router/src/key.rs", line).len(),
                1,
                "{line}"
            );
            assert!(complaints(HEADER, line).is_empty());
            assert!(complaints("remote-usb-device/src/lib.rs", line).is_empty());
        }
        let fine = "    let header = first.get::<Option<RawHeader>>(); // header & 0x0F";
        assert!(complaints("mctp-router/src/key.rs", fine).is_empty());
    }

    #[test]
    fn finds_storage_whose_numbers_have_no_names() {
        let numbers = [
            "type Storage = RouterStorage<'static, 1, 512, 4, 2, 4224, 4, 2>;",
            "let storage = RouterStorage::<1, 512>::new();",
            "let storage = RouterStorage::<{ PORTS as usize }, 512>::new();",
        ];
        for line in numbers {
            assert_eq!(complaints("bench/src/lib.rs", line).len(), 1, "{line}");
        }
        let parts = "type Storage = RouterStorage<Ports<'static, 1>, Networks<1>>;";
        assert!(complaints("bench/src/lib.rs", parts).is_empty());
    }

    #[test]
    fn finds_a_second_clock_and_a_second_instant() {
        let second = [
            "pub trait Clock {",
            "trait Clock: Sized {",
            "pub(crate) struct Instant(u64);",
            "pub struct Instant<const HERTZ: u32> {",
            "type Instant = u64;",
        ];
        for line in second {
            assert_eq!(
                complaints("mctp-bench/src/clock.rs", line).len(),
                1,
                "{line}"
            );
            assert!(complaints("mctp-time/src/lib.rs", line).is_empty());
        }
        let fine = [
            "impl Clock for SystemClock {",
            "struct Clock {",
            "pub trait ClockSource {",
            "struct Instants(Vec<Instant>);",
            "use std::time::Instant; // no struct Instant of ours",
        ];
        for line in fine {
            assert!(
                complaints("examples/board/src/time.rs", line).is_empty(),
                "{line}"
            );
        }
    }

    #[test]
    fn finds_lines_that_are_too_long() {
        let (fits, long) = ("/".repeat(120), "/".repeat(121));
        assert!(complaints("mctp-usb/src/lib.rs", &fits).is_empty());
        assert_eq!(complaints("mctp-usb/tests/long.rs", &long).len(), 1);
        assert!(complaints("mctp-echo/src/lib.rs", &long).is_empty());
    }
}
