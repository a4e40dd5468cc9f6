//! The plot: an echo's instructions against message size, and a packet's against what there may be
//! much of.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::document::count;
use crate::bench::Stack;

const SIZE: (u32, u32) = (1200, 560);

/// A line of the plot.
pub(super) struct Line {
    stack: Stack,
    name: String,
    points: Vec<(f64, f64)>,
}

impl Line {
    pub(super) fn new(stack: Stack, name: String) -> Self {
        Self {
            stack,
            name,
            points: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, x: u64, y: f64) {
        self.points.push((x as f64, y));
    }

    fn label(&self) -> String {
        match self.stack {
            Stack::Ours => self.name.clone(),
            Stack::Estack => format!("{}, mctp-estack", self.name),
        }
    }

    /// Blue for ours and orange for the other, the lighter the further down in the legend.
    fn colour(&self, index: usize, count: usize) -> RGBColor {
        let (dark, light): ([u8; 3], [u8; 3]) = match self.stack {
            Stack::Ours => ([8, 48, 107], [107, 174, 214]),
            Stack::Estack => ([127, 39, 4], [253, 141, 60]),
        };
        let share = index as f64 / count.saturating_sub(1).max(1) as f64;
        let mix = |channel: usize| {
            let [from, to] = [dark, light].map(|colour| f64::from(colour[channel]));
            (from + (to - from) * share) as u8
        };
        RGBColor(mix(0), mix(1), mix(2))
    }
}

/// The SVG. The same lines give the same bytes.
pub(super) fn draw(by_size: &[Line], by_load: &[Line]) -> Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let sizes = Panel {
        caption: "Echo: instructions of a round trip",
        x_label: "bytes of the message",
        x: 1.0..65_536.0,
        y: 500.0..2_000_000.0,
        legend: SeriesLabelPosition::UpperLeft,
    };
    sizes.draw(&left, by_size)?;
    let growth = Panel {
        caption: "Echo: instructions of a packet",
        x_label: "how many of what the line is named after",
        x: 1.0..200.0,
        y: 50.0..10_000.0,
        legend: SeriesLabelPosition::LowerRight,
    };
    growth.draw(&right, by_load)?;
    root.present().map_err(failed)?;
    drop((left, right, root));
    Ok(svg)
}

/// One of the plots side by side, both axes logarithmic.
struct Panel {
    caption: &'static str,
    x_label: &'static str,
    x: Range<f64>,
    y: Range<f64>,
    legend: SeriesLabelPosition,
}

impl Panel {
    fn draw(self, area: &DrawingArea<SVGBackend<'_>, Shift>, lines: &[Line]) -> Result<()> {
        let mut chart = ChartBuilder::on(area)
            .caption(self.caption, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(self.x.log_scale(), self.y.log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.x_label)
            .x_label_formatter(&|value| count(*value))
            .y_label_formatter(&|value| count(*value))
            .label_style(("sans-serif", 13))
            .draw()
            .map_err(failed)?;
        for stack in [Stack::Ours, Stack::Estack] {
            let lines = lines
                .iter()
                .filter(|line| line.stack == stack && line.points.len() > 1);
            let lines: Vec<_> = lines.collect();
            for (index, line) in lines.iter().enumerate() {
                let colour = line.colour(index, lines.len());
                let points = line.points.iter().copied();
                chart
                    .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
                    .map_err(failed)?
                    .label(line.label())
                    .legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2))
                    });
                let dots = points.map(|point| Circle::new(point, 3, colour.filled()));
                chart.draw_series(dots).map_err(failed)?;
            }
        }
        chart
            .configure_series_labels()
            .position(self.legend)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13))
            .draw()
            .map_err(failed)
    }
}

/// What goes wrong with a backend borrows it.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let mut line = Line::new(Stack::Estack, "unit 64".to_owned());
        line.push(1, 1000.0);
        line.push(64, 2000.0);
        vec![line]
    }

    #[test]
    fn the_plot_is_the_same_every_time_and_names_its_lines() {
        let svg = draw(&lines(), &lines()).unwrap();
        assert!(svg.contains("unit 64, mctp-estack"));
        assert_eq!(svg, draw(&lines(), &lines()).unwrap());
    }
}
