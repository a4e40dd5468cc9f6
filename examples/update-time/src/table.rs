//! The table of `docs/update-time.md`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::{Setting, Update, simulate};

const UNITS: [u16; 2] = [64, 250];
const CLOCKS: [u32; 3] = [100_000, 400_000, 1_000_000];

/// Turnaround per command of the last two columns.
pub(crate) const TURNAROUNDS: [Duration; 2] =
    [Duration::from_millis(20), Duration::from_millis(100)];

/// One transmission unit at one clock rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Payload bytes of the longest packet.
    pub transmission_unit: u16,
    /// Clock rate of the bus.
    pub bits_per_second: u32,
    /// The update without turnaround.
    pub immediate: Update,
    /// The update with 20 ms and with 100 ms of turnaround per command.
    pub delayed: [Update; 2],
}

/// Runs all updates of the table.
///
/// # Errors
///
/// When an update fails.
pub fn rows() -> Result<Vec<Row>, String> {
    let settings = UNITS
        .iter()
        .flat_map(|unit| CLOCKS.iter().map(|clock| (*unit, *clock)));
    settings.map(|(unit, clock)| row(unit, clock)).collect()
}

fn row(transmission_unit: u16, bits_per_second: u32) -> Result<Row, String> {
    let run = |turnaround| {
        simulate(Setting {
            transmission_unit,
            bits_per_second,
            turnaround,
        })
    };
    let [short, long] = TURNAROUNDS;
    Ok(Row {
        transmission_unit,
        bits_per_second,
        immediate: run(Duration::ZERO)?,
        delayed: [run(short)?, run(long)?],
    })
}

/// The table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| transmission unit | clock | packets | bytes | on the bus | with 20 ms | with 100 ms |\n\
         |-|-|-|-|-|-|-|\n",
    );
    for row in rows {
        let Update { packets, bytes, .. } = row.immediate;
        let [short, long] = row.delayed.map(|update| seconds(update.elapsed));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {short} | {long} |",
            row.transmission_unit,
            rate(row.bits_per_second),
            grouped(packets),
            grouped(bytes),
            seconds(row.immediate.bus_time),
        );
    }
    text
}

pub(crate) fn rate(bits_per_second: u32) -> String {
    match bits_per_second {
        0..1_000_000 => format!("{} kHz", bits_per_second / 1_000),
        _ => format!("{} MHz", bits_per_second / 1_000_000),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// The digits in groups of three.
fn grouped(number: u64) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", grouped(number / 1000), number % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        let numbers = [0, 999, 1000, 1_002_003].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,002,003"]);
    }
}
