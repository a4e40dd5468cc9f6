//! `docs/size.md`: the committed sizes, written and read back, and what may differ from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::attribution::{Bytes, Sizes};
use super::firmware::Comparable;

/// What is between these two is generated.
const MARK: &str = "<!-- What follows is written by `cargo xtask size --update`. -->";
const END: &str = "<!-- End of what is written by `cargo xtask size --update`. -->";
const COMPILER: &str = "Measured with ";
const FIRMWARE: &str = "## ";
const TOTAL: &str = "**total**";
/// What a figure may grow by, in hundredths of the total.
const ALLOWED_PERCENT: u64 = 2;

/// The sizes of all firmware.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// As it calls itself.
    pub(super) compiler: String,
    pub(super) rows: Vec<Row>,
}

/// The sizes of one firmware, built with one set of features.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) firmware: String,
    pub(super) features: String,
    pub(super) sizes: Sizes,
    /// What it may take. These and what is beside it are not read back: they are the
    /// `Cargo.toml`'s.
    pub(super) flash_limit: Option<u64>,
    pub(super) ram_limit: Option<u64>,
    /// The set of features of the same firmware that has to take more than twice its RAM.
    pub(super) ram_below_half_of: Option<String>,
    /// The set of features of the same firmware to stand beside it.
    pub(super) peer: Option<String>,
    pub(super) beside: Vec<Comparable>,
}

impl Row {
    pub(super) fn title(&self) -> String {
        format!("{}, {}", self.firmware, self.features)
    }

    /// A sentence for each limit that is exceeded.
    fn over_limits(&self) -> Vec<String> {
        let Bytes { flash, ram } = self.sizes.total;
        [
            ("flash", flash, self.flash_limit),
            ("ram", ram, self.ram_limit),
        ]
        .into_iter()
        .filter_map(|(what, bytes, limit)| {
            let limit = limit.filter(|limit| bytes > *limit)?;
            Some(format!(
                "{}: {} bytes of {what}, {} more than its limit of {}",
                self.title(),
                grouped(bytes),
                grouped(bytes - limit),
                grouped(limit)
            ))
        })
        .collect()
    }

    /// A sentence for each figure that grew by more than is allowed since `committed`.
    fn growth_since(&self, committed: &Self, with_lines: bool) -> Vec<String> {
        let (now, before) = (&self.sizes, &committed.sizes);
        let title = self.title();
        let mut complaints = growth(&title, before.total, now.total, before.total);
        if with_lines {
            for (name, bytes) in &now.lines {
                let then = before.lines.get(name).copied().unwrap_or_default();
                complaints.extend(growth(
                    &format!("{title}: {name}"),
                    then,
                    *bytes,
                    before.total,
                ));
            }
        }
        for (name, bytes) in &now.regions {
            let then = before.regions.get(name).copied().unwrap_or_default();
            complaints.extend(growth_of(&format!("{title}: {name}"), then, *bytes, then));
        }
        complaints
    }
}

fn growth(what: &str, before: Bytes, now: Bytes, total: Bytes) -> Vec<String> {
    let flash = growth_of(
        &format!("{what}: flash"),
        before.flash,
        now.flash,
        total.flash,
    );
    let ram = growth_of(&format!("{what}: RAM"), before.ram, now.ram, total.ram);
    flash.into_iter().chain(ram).collect()
}

fn growth_of(what: &str, before: u64, now: u64, total: u64) -> Option<String> {
    let grown = now.saturating_sub(before);
    (grown * 100 > total * ALLOWED_PERCENT).then(|| {
        format!(
            "{what} grew by {} bytes, from {} to {}",
            grouped(grown),
            grouped(before),
            grouped(now)
        )
    })
}

impl Table {
    pub(super) fn row(&self, firmware: &str, features: &str) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.firmware == firmware && row.features == features)
    }

    /// A sentence for each limit that is exceeded.
    pub(super) fn over_limits(&self) -> Vec<String> {
        let over_half = self.rows.iter().filter_map(|row| self.over_half(row));
        let over_limits = self.rows.iter().flat_map(Row::over_limits);
        over_limits.chain(over_half).collect()
    }

    fn over_half(&self, row: &Row) -> Option<String> {
        let other = self.row(&row.firmware, row.ram_below_half_of.as_ref()?)?;
        let (ram, twice) = (row.sizes.total.ram, other.sizes.total.ram);
        let text = format!(
            "{}: {} bytes of RAM, not less than half of the {} of {}",
            row.title(),
            grouped(ram),
            grouped(twice),
            other.features
        );
        (ram * 2 >= twice).then_some(text)
    }

    /// A sentence for each difference to `committed` that has to be committed. Another compiler
    /// moves code from crate to crate, so only totals are compared then.
    pub(super) fn outdated(&self, committed: &Self) -> Vec<String> {
        let with_lines = self.compiler == committed.compiler;
        let mut complaints = Vec::new();
        for row in &self.rows {
            match committed.row(&row.firmware, &row.features) {
                Some(then) => complaints.extend(row.growth_since(then, with_lines)),
                None => complaints.push(format!("{} is not in the table", row.title())),
            }
        }
        let gone = committed
            .rows
            .iter()
            .filter(|row| self.row(&row.firmware, &row.features).is_none());
        complaints.extend(gone.map(|row| format!("{} is no longer built", row.title())));
        complaints
    }

    /// `document` with these sizes behind its introduction.
    pub(super) fn write_into(&self, document: &str) -> Result<String> {
        let (introduction, _, rest) = split(document)?;
        let mut text = format!("{introduction}{MARK}\n\n{COMPILER}{}.\n\n", self.compiler);
        self.overview(&mut text)?;
        self.comparison(&mut text)?;
        for (firmware, rows) in self.by_firmware() {
            by_crate(&mut text, firmware, &rows)?;
        }
        text += &format!("\n{END}\n\n{rest}");
        Ok(text)
    }

    fn overview(&self, text: &mut String) -> Result<()> {
        *text += "| firmware | features | flash | limit | RAM | limit | apart from it |\n|-|-|-:|-:|-:|-:|-|\n";
        let limit = |limit: Option<u64>| limit.map(grouped).unwrap_or_default();
        for row in &self.rows {
            let regions = row.sizes.regions.iter();
            let regions: Vec<_> = regions
                .map(|(name, bytes)| format!("`{name}` {}", grouped(*bytes)))
                .collect();
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.firmware,
                row.features,
                grouped(row.sizes.total.flash),
                limit(row.flash_limit),
                grouped(row.sizes.total.ram),
                limit(row.ram_limit),
                regions.join(", ")
            )?;
        }
        Ok(())
    }

    fn comparison(&self, text: &mut String) -> Result<()> {
        let figures = self.rows.iter().flat_map(|row| {
            let measured = row
                .peer
                .iter()
                .filter_map(|peer| self.row(&row.firmware, peer));
            let measured = measured.map(move |peer| (row, peer.features.clone(), peer.sizes.total));
            let told = row.beside.iter().map(move |other| {
                let Comparable { what, flash, ram } = other.clone();
                (row, what, Bytes { flash, ram })
            });
            measured.chain(told)
        });
        let figures: Vec<_> = figures.collect();
        if figures.is_empty() {
            return Ok(());
        }
        *text += "\nBeside others, in bold where these are ahead:\n\n| this | flash | RAM | other | flash | RAM |\n|-|-:|-:|-|-:|-:|\n";
        for (row, what, other) in figures {
            let ours = row.sizes.total;
            writeln!(
                text,
                "| {} | {} | {} | {what} | {} | {} |",
                row.title(),
                grouped(ours.flash),
                grouped(ours.ram),
                bold_if_less(other.flash, ours.flash),
                bold_if_less(other.ram, ours.ram)
            )?;
        }
        Ok(())
    }

    /// In the order of the rows.
    fn by_firmware(&self) -> Vec<(&str, Vec<&Row>)> {
        let mut groups: Vec<(&str, Vec<&Row>)> = Vec::new();
        for row in &self.rows {
            match groups.iter_mut().find(|(name, _)| *name == row.firmware) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((&row.firmware, vec![row])),
            }
        }
        groups
    }

    /// Reads what [`Self::write_into`] wrote.
    pub(super) fn read(document: &str) -> Result<Self> {
        let (_, generated, _) = split(document)?;
        let mut table = Self::default();
        let mut firmware = None;
        // Where the rows of the present firmware begin.
        let mut columns = None;
        for line in generated.lines() {
            if let Some(compiler) = line.strip_prefix(COMPILER) {
                table.compiler = compiler.trim_end_matches('.').to_owned();
            } else if let Some(name) = line.strip_prefix(FIRMWARE) {
                (firmware, columns) = (Some(name), None);
            } else if let (Some(firmware), Some(cells)) = (firmware, cells(line)) {
                match columns {
                    None => columns = Some(table.add_columns(firmware, &cells)),
                    Some(first) => {
                        read_line(&mut table.rows[first..], &cells)
                            .with_context(|| format!("cannot read `{line}`"))?;
                    }
                }
            }
        }
        Ok(table)
    }

    /// A row for each column but the first, which has the names; the place of the first of them.
    fn add_columns(&mut self, firmware: &str, cells: &[&str]) -> usize {
        let first = self.rows.len();
        self.rows.extend(cells.iter().skip(1).map(|features| Row {
            firmware: firmware.to_owned(),
            features: (*features).to_owned(),
            ..Row::default()
        }));
        first
    }
}

/// What is before the generated part, that part, and what is behind it.
fn split(document: &str) -> Result<(&str, &str, &str)> {
    let (introduction, generated) = document
        .split_once(MARK)
        .with_context(|| format!("it lacks the line `{MARK}`"))?;
    let (generated, rest) = generated.split_once(END).unwrap_or((generated, ""));
    Ok((introduction, generated, rest.trim_start_matches('\n')))
}

fn by_crate(text: &mut String, firmware: &str, rows: &[&Row]) -> Result<()> {
    let features: Vec<_> = rows.iter().map(|row| row.features.as_str()).collect();
    let (head, rule) = (features.join(" | "), "-:|".repeat(rows.len()));
    writeln!(
        text,
        "\n{FIRMWARE}{firmware}\n\n| flash / RAM | {head} |\n|-|{rule}"
    )?;
    let mut line = |name: &str, figure: &dyn Fn(&Sizes) -> Bytes| {
        let cells: Vec<_> = rows.iter().map(|row| cell(figure(&row.sizes))).collect();
        writeln!(text, "| {name} | {} |", cells.join(" | "))
    };
    line(TOTAL, &|sizes| sizes.total)?;
    for name in line_names(rows) {
        line(name, &|sizes| {
            sizes.lines.get(name).copied().unwrap_or_default()
        })?;
    }
    let regions: BTreeSet<_> = rows
        .iter()
        .flat_map(|row| row.sizes.regions.keys())
        .collect();
    for name in regions {
        line(&format!("`{name}`, not in the total"), &|sizes| Bytes {
            flash: 0,
            ram: sizes.regions.get(name).copied().unwrap_or_default(),
        })?;
    }
    Ok(())
}

fn bold_if_less(figure: u64, than: u64) -> String {
    if figure < than {
        format!("**{}**", grouped(figure))
    } else {
        grouped(figure)
    }
}

/// Those that take the most first.
fn line_names<'r>(rows: &[&'r Row]) -> Vec<&'r str> {
    let mut largest = BTreeMap::<&str, u64>::new();
    for (name, bytes) in rows.iter().flat_map(|row| &row.sizes.lines) {
        let so_far = largest.entry(name).or_default();
        *so_far = (*so_far).max(bytes.flash + bytes.ram);
    }
    let mut names: Vec<_> = largest.into_iter().collect();
    names.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    names.into_iter().map(|(name, _)| name).collect()
}

fn cell(Bytes { flash, ram }: Bytes) -> String {
    match (flash, ram) {
        (0, 0) => String::new(),
        (flash, 0) => grouped(flash),
        (flash, ram) => format!("{} / {}", grouped(flash), grouped(ram)),
    }
}

/// The cells of a line of a table; not those of the rule below its head.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn read_line(rows: &mut [Row], cells: &[&str]) -> Result<()> {
    let Some((name, figures)) = cells.split_first() else {
        bail!("it is empty");
    };
    if figures.len() != rows.len() {
        bail!("it has not the columns of its head");
    }
    for (row, figure) in rows.iter_mut().zip(figures) {
        let bytes = read_cell(figure)?;
        if *name == TOTAL {
            row.sizes.total = bytes;
        } else if let Some(region) = name.strip_prefix('`') {
            let region = region.split('`').next().unwrap_or_default();
            if bytes.ram > 0 {
                row.sizes.regions.insert(region.to_owned(), bytes.ram);
            }
        } else if bytes != Bytes::default() {
            row.sizes.lines.insert((*name).to_owned(), bytes);
        }
    }
    Ok(())
}

fn read_cell(cell: &str) -> Result<Bytes> {
    let number = |text: &str| match text.trim() {
        "" => Ok(0),
        digits => digits
            .replace(',', "")
            .parse::<u64>()
            .with_context(|| format!("`{digits}` is no number")),
    };
    let (flash, ram) = cell.split_once('/').unwrap_or((cell, ""));
    Ok(Bytes {
        flash: number(flash)?,
        ram: number(ram)?,
    })
}

/// With a comma before each three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(flash: u64, ram: u64) -> Bytes {
        Bytes { flash, ram }
    }

    fn row(features: &str, lines: &[(&str, Bytes)]) -> Row {
        let mut sizes = Sizes::default();
        for (name, bytes) in lines {
            sizes.total += *bytes;
            sizes.lines.insert((*name).to_owned(), *bytes);
        }
        Row {
            firmware: "board".to_owned(),
            features: features.to_owned(),
            sizes,
            ..Row::default()
        }
    }

    fn table(rows: Vec<Row>) -> Table {
        Table {
            compiler: "rustc 1.95.0".to_owned(),
            rows,
        }
    }

    /// One firmware with one crate that takes so much.
    fn of(flash: u64, ram: u64) -> Table {
        table(vec![row("all", &[("ours", bytes(flash, ram))])])
    }

    fn example() -> Table {
        let mut text = row(
            "text log",
            &[
                ("ours", bytes(60_000, 30_000)),
                ("(padding)", bytes(12, 0)),
                ("driver", bytes(0, 5)),
            ],
        );
        text.sizes.regions.insert(".images".to_owned(), 131_072);
        text.flash_limit = Some(65_536);
        text.beside = vec![Comparable {
            what: "theirs".to_owned(),
            flash: 165_508,
            ram: 64_096,
        }];
        let mut other = row("all", &[("other", bytes(1_234_567, 8))]);
        other.firmware = "another".to_owned();
        table(vec![
            text,
            row("defmt", &[("ours", bytes(50_000, 2))]),
            other,
        ])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = example();
        let document = written
            .write_into(&format!("# Sizes\n\nHello.\n\n{MARK}\noutdated\n"))
            .unwrap();
        assert!(
            document.starts_with("# Sizes\n\nHello.\n\n<!--"),
            "{document}"
        );
        assert!(!document.contains("outdated"), "{document}");
        let read = Table::read(&document).unwrap();
        assert_eq!(read.compiler, written.compiler);
        assert_eq!(read.rows.len(), 3);
        for (read, written) in read.rows.iter().zip(&written.rows) {
            assert_eq!(read.title(), written.title());
            assert_eq!(read.sizes, written.sizes);
        }
    }

    #[test]
    fn writing_again_changes_nothing() {
        let once = example().write_into(MARK).unwrap();
        assert_eq!(example().write_into(&once).unwrap(), once);
    }

    #[test]
    fn limits_regions_and_the_figures_of_others_are_shown() {
        let text = example().write_into(MARK).unwrap();
        for line in [
            "| board | text log | 60,012 | 65,536 | 30,005 |  | `.images` 131,072 |",
            "| board, text log | 60,012 | 30,005 | theirs | 165,508 | 64,096 |",
            "| **total** | 60,012 / 30,005 | 50,000 / 2 |",
            "| (padding) | 12 |  |",
            "| driver | 0 / 5 |  |",
            "| `.images`, not in the total | 0 / 131,072 |  |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_is_behind_the_generated_part_stays() {
        let document = format!("{MARK}\nold\n{END}\n\n## How\n");
        let text = example().write_into(&document).unwrap();
        assert!(text.ends_with(&format!("\n{END}\n\n## How\n")), "{text}");
        assert_eq!(example().write_into(&text).unwrap(), text);
    }

    #[test]
    fn a_peer_that_is_ahead_is_bold() {
        let mut rows = example().rows;
        rows[0].peer = Some("defmt".to_owned());
        let text = table(rows).write_into(MARK).unwrap();
        let line = "| board, text log | 60,012 | 30,005 | defmt | **50,000** | **2** |";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn crates_that_take_the_most_come_first() {
        let first = row("first", &[("small", bytes(1, 0)), ("large", bytes(1, 7))]);
        let second = row("second", &[("larger", bytes(9, 0)), ("also", bytes(1, 0))]);
        assert_eq!(
            line_names(&[&first, &second]),
            ["larger", "large", "also", "small"]
        );
    }

    #[test]
    fn two_percent_are_allowed_and_no_more() {
        assert!(
            of(102_000, 10_200)
                .outdated(&of(100_000, 10_000))
                .is_empty()
        );
        let complaints = of(102_001, 10_200).outdated(&of(100_000, 10_000));
        assert_eq!(
            complaints[0],
            "board, all: flash grew by 2,001 bytes, from 100,000 to 102,001"
        );
        let complaints = of(100_000, 10_201).outdated(&of(100_000, 10_000));
        assert_eq!(
            complaints[0],
            "board, all: RAM grew by 201 bytes, from 10,000 to 10,201"
        );
    }

    #[test]
    fn shrinking_is_allowed() {
        assert!(of(1, 0).outdated(&of(100_000, 10_000)).is_empty());
    }

    #[test]
    fn growth_of_a_crate_is_not_hidden_by_another_that_shrinks() {
        let two = |one, other| {
            table(vec![row(
                "all",
                &[("one", bytes(one, 0)), ("other", bytes(other, 0))],
            )])
        };
        assert_eq!(
            two(53_000, 47_000).outdated(&two(50_000, 50_000)),
            ["board, all: one: flash grew by 3,000 bytes, from 50,000 to 53,000"]
        );
        // Few bytes of a small crate are noise.
        assert!(two(90, 99_920).outdated(&two(10, 99_990)).is_empty());
    }

    #[test]
    fn with_another_compiler_only_totals_count() {
        let two = |one, other| {
            table(vec![row(
                "all",
                &[("one", bytes(one, 0)), ("other", bytes(other, 0))],
            )])
        };
        let mut committed = two(50_000, 50_000);
        committed.compiler = "rustc 1.94.0".to_owned();
        assert!(two(60_000, 40_000).outdated(&committed).is_empty());
        assert_eq!(two(60_000, 50_000).outdated(&committed).len(), 1);
    }

    #[test]
    fn regions_may_not_grow_either() {
        let with_region = |bytes| {
            let mut table = of(1000, 1000);
            table.rows[0]
                .sizes
                .regions
                .insert(".images".to_owned(), bytes);
            table
        };
        assert!(with_region(1020).outdated(&with_region(1000)).is_empty());
        assert_eq!(with_region(1021).outdated(&with_region(1000)).len(), 1);
        assert_eq!(with_region(1).outdated(&of(1000, 1000)).len(), 1);
    }

    #[test]
    fn rows_that_come_or_go_have_to_be_committed() {
        let (few, many) = (table(vec![row("all", &[])]), {
            table(vec![row("all", &[]), row("defmt", &[])])
        });
        assert_eq!(many.outdated(&few), ["board, defmt is not in the table"]);
        assert_eq!(few.outdated(&many), ["board, defmt is no longer built"]);
    }

    #[test]
    fn a_limit_may_be_reached_and_not_exceeded() {
        let mut table = of(65_536, 100);
        (table.rows[0].flash_limit, table.rows[0].ram_limit) = (Some(65_536), Some(100));
        assert!(table.over_limits().is_empty());
        table.rows[0].flash_limit = Some(64_000);
        assert_eq!(
            table.over_limits(),
            ["board, all: 65,536 bytes of flash, 1,536 more than its limit of 64,000"]
        );
        table.rows[0].ram_limit = Some(99);
        assert_eq!(table.over_limits().len(), 2);
    }

    #[test]
    fn half_of_another_build_has_to_be_undercut() {
        let build = |features, ram| row(features, &[("ours", bytes(0, ram))]);
        let mut table = table(vec![build("ours", 49), build("theirs", 100)]);
        table.rows[0].ram_below_half_of = Some("theirs".to_owned());
        assert!(table.over_limits().is_empty());
        table.rows[1].sizes.total.ram = 98;
        let told = "board, ours: 49 bytes of RAM, not less than half of the 98 of theirs";
        assert_eq!(table.over_limits(), [told]);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        assert!(Table::read("# Sizes").is_err());
        let document = example().write_into(MARK).unwrap();
        for damaged in [
            document.replace("60,012 /", "x /"),
            document.replace(" / 2 |", " |  |"),
        ] {
            assert_ne!(damaged, document);
            assert!(Table::read(&damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn numbers_have_a_comma_before_three_digits() {
        assert_eq!(
            [0, 999, 1000, 65_536, 1_000_000].map(grouped),
            ["0", "999", "1,000", "65,536", "1,000,000"]
        );
    }
}
