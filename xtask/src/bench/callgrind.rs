//! What callgrind wrote: instructions by function.

use anyhow::{Context, Result};

/// Instructions that were counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    /// Those of them inside of `memcpy`.
    pub(crate) copying: f64,
}

impl Cost {
    /// Without those inside of `memcpy`.
    pub(crate) fn without_copying(self) -> f64 {
        self.instructions - self.copying
    }

    pub(crate) fn divided_by(self, count: f64) -> Self {
        Self {
            instructions: self.instructions / count,
            copying: self.copying / count,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            instructions: self.instructions - other.instructions,
            copying: self.copying - other.copying,
        }
    }
}

/// Reads callgrind's profile, written with `--compress-strings=no --compress-pos=no`.
pub(crate) fn parse(profile: &str) -> Result<Cost> {
    let mut cost = Cost {
        instructions: 0.0,
        copying: 0.0,
    };
    let mut copies = false;
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            copies = ["memcpy", "memmove"]
                .iter()
                .any(|name| function.contains(name));
        } else if line.starts_with("calls=") {
            // What the call cost in all: counted in the function that was called.
            lines.next();
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let (_, count) = line.split_once(' ').context("a source line has a cost")?;
            let count: f64 = count
                .parse()
                .with_context(|| format!("callgrind: {line}"))?;
            cost.instructions += count;
            cost.copying += if copies { count } else { 0.0 };
        }
    }
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
version: 1
creator: callgrind-3.22.0
positions: line
events: Ir
summary: 25

fl=(1) shell.rs
fn=bench::receive
10 5
cfn=__memcpy_avx_unaligned_erms
calls=2 0
11 12
12 1

fn=__memcpy_avx_unaligned_erms
0 12
fn=bench::send
3 7
totals: 25
";

    #[test]
    fn self_costs_are_summed_and_those_of_memcpy_told_apart() {
        let expected = Cost {
            instructions: 25.0,
            copying: 12.0,
        };
        assert_eq!(parse(PROFILE).unwrap(), expected);
        assert_eq!(expected.without_copying(), 13.0);
    }

    #[test]
    fn a_cost_that_is_no_number_is_an_error() {
        assert!(parse("fn=f\n10 many\n").is_err());
    }
}
