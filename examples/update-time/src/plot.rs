//! The plot of `docs/update-time.md`: a bar for each row of the table, from the time on the bus to
//! that with the longest turnaround.

use std::fmt::Display;

use plotters::prelude::*;

use crate::Row;
use crate::table::{TURNAROUNDS, rate};

const SIZE: (u32, u32) = (900, 460);
const TITLE_SIZE: i32 = 18;
const TEXT_SIZE: i32 = 13;
/// Pixels between neighbouring bars.
const GAP: u32 = 14;
/// The time on the bus, and what the turnarounds add to it.
const COLOURS: [RGBColor; 3] = [
    RGBColor(8, 81, 156),
    RGBColor(107, 174, 214),
    RGBColor(253, 174, 107),
];

/// The plot as SVG, on a white ground so that it can be read on a dark page, too. The same rows give
/// the same bytes.
///
/// # Errors
///
/// When the plot cannot be drawn.
pub fn plot(rows: &[Row]) -> Result<String, String> {
    let mut svg = String::new();
    draw(rows, &mut svg)?;
    Ok(svg)
}

fn draw(rows: &[Row], svg: &mut String) -> Result<(), String> {
    // Side by side are the units at the same clock rate.
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.bits_per_second, row.transmission_unit));
    let last = rows.len().saturating_sub(1);
    let longest = rows.iter().map(|row| ends(row)[2]).fold(0.0, f64::max);

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("A firmware update of 3 MiB", ("sans-serif", TITLE_SIZE))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(60)
        .build_cartesian_2d((0..last).into_segmented(), 0.0..longest * 1.1)
        .map_err(failed)?;
    let name = |segment: &SegmentValue<usize>| match segment {
        SegmentValue::CenterOf(index) => rows.get(*index).map_or_else(String::new, |row| {
            format!("{}, {}", row.transmission_unit, rate(row.bits_per_second))
        }),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("transmission unit in bytes, clock rate")
        .y_desc("seconds")
        .x_labels(rows.len())
        .x_label_formatter(&name)
        .y_label_formatter(&|seconds| format!("{seconds:.0}"))
        .label_style(("sans-serif", TEXT_SIZE))
        .draw()
        .map_err(failed)?;
    for (part, colour) in COLOURS.iter().enumerate() {
        let bars = rows.iter().enumerate().map(|(index, row)| {
            let ends = ends(row);
            let start = part.checked_sub(1).map_or(0.0, |before| ends[before]);
            let corners = [
                (SegmentValue::Exact(index), start),
                (SegmentValue::Exact(index + 1), ends[part]),
            ];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(0, 0, GAP, GAP);
            bar
        });
        chart
            .draw_series(bars)
            .map_err(failed)?
            .label(label(part))
            .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", TEXT_SIZE))
        .draw()
        .map_err(failed)?;
    root.present().map_err(failed)
}

/// Where the parts of a bar end, in seconds.
fn ends(row: &Row) -> [f64; 3] {
    let [short, long] = row.delayed.map(|update| update.elapsed);
    [row.immediate.bus_time, short, long].map(|time| time.as_secs_f64())
}

fn label(part: usize) -> String {
    match part.checked_sub(1).and_then(|index| TURNAROUNDS.get(index)) {
        None => "on the bus".to_owned(),
        Some(turnaround) => format!("with {} ms of turnaround", turnaround.as_millis()),
    }
}

/// What goes wrong with a backend borrows it.
fn failed(error: impl Display) -> String {
    format!("cannot draw the plot: {error}")
}
