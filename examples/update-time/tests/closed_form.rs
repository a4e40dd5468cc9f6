//! The simulated updates beside the closed form, and beside table and plot in the docs.

use std::sync::LazyLock;
use std::time::Duration;

use update_time::{Row, Update, plot, rows, table};

const PAGE: &str = include_str!("../../../docs/update-time.md");
const PLOT: &str = include_str!("../../../docs/update-time.svg");
const PERFORMANCE: &str = include_str!("../../../docs/performance.md");
const README: &str = include_str!("../../../mctp-i2c/README.md");
const BEGIN: &str = "<!-- begin update-time: printed by `cargo run --release -p update-time` -->\n";
const END: &str = "<!-- end update-time -->\n";

/// 3 MiB in pieces of 4 KiB.
const DOWNLOADS: u64 = 768;

/// Message type, Admin request (NVMe-MI 1.2, Figure 115), data, integrity check.
const DOWNLOAD_REQUEST: u64 = 1 + 67 + 4096 + 4;
const COMMIT_REQUEST: u64 = 1 + 67 + 4;
/// Message type, Admin response (Figure 117), integrity check.
const RESPONSE: u64 = 1 + 19 + 4;

/// Bytes of a transaction that are not payload: destination, command code, byte count, source, four
/// of packet header, packet error code.
const OVERHEAD: u64 = 9;

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| rows().expect("every update succeeds"));

/// What the update takes, by arithmetic alone.
fn closed_form(row: &Row, turnaround: Duration) -> Update {
    let unit = u64::from(row.transmission_unit);
    let messages = [
        (DOWNLOADS, DOWNLOAD_REQUEST),
        (1, COMMIT_REQUEST),
        (DOWNLOADS + 1, RESPONSE),
    ];
    let packets = messages
        .iter()
        .map(|(count, len)| count * len.div_ceil(unit));
    let packets: u64 = packets.sum();
    let payload: u64 = messages.iter().map(|(count, len)| count * len).sum();
    let bytes = payload + OVERHEAD * packets;
    // The period of the clock, and the shortest bus-free time between STOP and START.
    let (period, bus_free) = match row.bits_per_second {
        100_000 => (10_000, 4_700),
        400_000 => (2_500, 1_300),
        1_000_000 => (1_000, 500),
        other => panic!("{other} bits per second is no rate of the bus"),
    };
    // Eight bits and an acknowledge bit for each byte, START and STOP for each packet.
    let clocks = 9 * bytes + 2 * packets;
    let bus_time = Duration::from_nanos(clocks * period + packets * bus_free);
    let commands = DOWNLOADS + 1;
    Update {
        commands,
        packets,
        bytes,
        bus_time,
        elapsed: bus_time + turnaround * commands as u32,
    }
}

#[test]
fn bytes_and_time_of_every_update_are_exactly_those_of_the_closed_form() {
    let mut settings = Vec::new();
    for row in ROWS.iter() {
        settings.push((row.transmission_unit, row.bits_per_second));
        let [short, long] = row.delayed;
        for (update, milliseconds) in [(row.immediate, 0), (short, 20), (long, 100)] {
            let turnaround = Duration::from_millis(milliseconds);
            assert_eq!(update, closed_form(row, turnaround));
        }
    }
    let rates = [100_000, 400_000, 1_000_000];
    let expected = [64, 250].map(|unit| rates.map(|rate| (unit, rate)));
    assert_eq!(settings, expected.concat());
}

#[test]
fn the_committed_table_is_the_printed_one() {
    let (_, behind) = PAGE
        .split_once(BEGIN)
        .expect("the page has the first marker");
    let (committed, _) = behind
        .split_once(END)
        .expect("the page has the last marker");
    assert_eq!(committed, table(&ROWS));
}

#[test]
fn the_committed_plot_is_the_drawn_one() {
    let drawn = plot(&ROWS).expect("the plot can be drawn");
    assert!(
        PLOT == drawn,
        "write it by `cargo run --release -p update-time -- --plot docs/update-time.svg`"
    );
}

#[test]
fn the_turnaround_of_our_responder_is_that_of_the_instructions_measured() {
    let figure = |name| {
        let row = PERFORMANCE.split_once(&format!("| {name} | "));
        let (_, row) = row.expect("the page has the row");
        let (figure, _) = row.split_once(" |").expect("it has a figure");
        let digits: String = figure.split(',').collect();
        (figure, digits.parse::<u32>().expect("it is a number"))
    };
    let (responder_text, responder) = figure("firmware piece body table");
    let (router_text, router) = figure("echo 4096/64");
    // At 600 MHz.
    let milliseconds = f64::from(responder + router) / 600e3;
    let seconds = milliseconds * (DOWNLOADS + 1) as f64 / 1e3;
    let words: Vec<_> = PAGE.split_whitespace().collect();
    let words = words.join(" ");
    for figures in [
        format!("{responder_text} instructions"),
        format!("{router_text} instructions"),
        format!("{milliseconds:.3} ms a command, and {seconds:.2} s for all 769"),
    ] {
        assert!(words.contains(&figures), "{figures}");
    }
}

#[test]
fn the_readme_of_mctp_i2c_has_the_seconds_of_the_table() {
    let seconds = |unit, rate| {
        let row = ROWS
            .iter()
            .find(|row| (row.transmission_unit, row.bits_per_second) == (unit, rate));
        let bus_time = row.expect("the table has the row").immediate.bus_time;
        format!("{:.0} s", bus_time.as_secs_f64())
    };
    let [short_slow, long_slow] = [64, 250].map(|unit| seconds(unit, 100_000));
    let [short_fast, long_fast] = [64, 250].map(|unit| seconds(unit, 400_000));
    let sentence = format!(
        "for {short_slow} with a transmission unit of 64 and {long_slow} with 250 at 100 kHz, \
         and for {short_fast} and {long_fast} at 400 kHz"
    );
    let words: Vec<_> = README.split_whitespace().collect();
    assert!(words.join(" ").contains(&sentence), "{sentence}");
}
