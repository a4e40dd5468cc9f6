//! Tables of a Markdown document, each between two comments that name it.

use std::fmt;

use anyhow::{Context, Result};

/// A Markdown table.
pub(super) struct Table(String);

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        let rule = "|-".repeat(head.len());
        Self(format!("{}{rule}|\n", line(head)))
    }

    pub(super) fn row(&mut self, cells: impl AsRef<[String]>) {
        self.0 += &line(cells.as_ref());
    }
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells = cells.iter().map(|cell| match cell.as_ref() {
        "" => "| ".to_owned(),
        cell => format!("| {cell} "),
    });
    format!("{}|\n", cells.collect::<String>())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number of instructions, with a comma behind the thousands.
pub(super) fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How many times as much.
pub(super) fn ratio(number: f64) -> String {
    format!("{number:.2}")
}

/// How many times as much mctp-estack takes; bold where it is ahead.
pub(super) fn advantage(number: f64) -> String {
    bold_if(number < 1.0, ratio(number))
}

/// How it is shown that mctp-estack is ahead.
pub(super) fn bold_if(is_ahead: bool, figure: String) -> String {
    if is_ahead {
        format!("**{figure}**")
    } else {
        figure
    }
}

/// The document with `content` between the comments that name it.
pub(super) fn replace(document: &str, name: &str, content: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let parts = document.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("no place for the table `{name}`"))?;
    Ok(format!("{before}{begin}{content}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_head_a_rule_and_rows() {
        let mut table = Table::new(&["", "core"]);
        table.row(["echo".to_owned(), count(1234.4)]);
        assert_eq!(table.to_string(), "| | core |\n|-|-|\n| echo | 1,234 |\n");
    }

    #[test]
    fn thousands_are_told_apart() {
        let counts = [0.0, 999.5, 12_345.0, 1_234_567.0].map(count);
        assert_eq!(counts, ["0", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn what_was_between_the_comments_is_replaced() {
        let document = "a\n<!-- begin t -->\nold\n<!-- end t -->\nb\n";
        let replaced = replace(document, "t", "new\n").unwrap();
        assert_eq!(replaced, "a\n<!-- begin t -->\nnew\n<!-- end t -->\nb\n");
        assert_eq!(replace(&replaced, "t", "new\n").unwrap(), replaced);
    }

    #[test]
    fn a_table_without_a_place_is_an_error() {
        assert!(replace("<!-- begin t -->\n", "t", "").is_err());
    }
}
