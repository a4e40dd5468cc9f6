//! `cargo xtask size`: what firmware takes of a microcontroller's memories, crate by crate and for
//! each set of features that matters.
//!
//! What is built is in the `Cargo.toml` of each firmware ([`firmware`]), what it took is committed
//! in `docs/size.md` ([`table`]). The check fails when firmware exceeds its limits, and when it
//! grew without the committed table being updated.
//!
//! The program in `xtask/size` is the NVMe-MI responder with the default model and nothing else. It
//! has the panic handler of `xtask/panic-free`, so that it links only if no panic is left, at its
//! optimisation level too. Those in `xtask/ram` are routers with the same ports, messages and
//! service, ours and mctp-estack's.

mod attribution;
mod firmware;
pub(crate) mod names;
mod table;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::image::{Program, Symbol};
use crate::install;
use crate::process::output;
use crate::project::{Project, metadata};
use crate::shipped::TARGET;
use attribution::{Bytes, Sizes};
pub(crate) use firmware::Firmware;
use table::{Row, Table, grouped};

const DOCUMENT: &str = "docs/size.md";

/// Arguments of `cargo xtask size`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write what is measured to the committed table
    #[arg(long, conflicts_with = "firmware")]
    update: bool,
    /// Print so many of the largest functions and variables as well
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    symbols: usize,
    /// Firmware to measure, all when none is named
    firmware: Vec<String>,
}

/// Measures and prints, beside what is committed; or commits it to the table.
pub(crate) fn run(args: &Args) -> Result<()> {
    let project = Project::open()?;
    let firmware = selected(Firmware::all(&project)?, &args.firmware)?;
    let document = read(&project)?;
    let committed = Table::read(&document).unwrap_or_default();
    let measured = measure(&project, &firmware, |row, program| {
        println!(
            "{}",
            report(row, committed.row(&row.firmware, &row.features))?
        );
        print!("{}", largest(program, args.symbols)?);
        Ok(())
    })?;
    if args.update {
        std::fs::write(path(&project), measured.write_into(&document)?)?;
        println!("{DOCUMENT} is updated");
    }
    within_limits(&measured)
}

/// Measures and compares, as a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    let committed =
        Table::read(&read(project)?).with_context(|| how_to_update("cannot be read"))?;
    let measured = measure(project, &Firmware::all(project)?, |_, _| Ok(()))?;
    within_limits(&measured)
        .with_context(|| reports_on(&measured.over_limits(), &measured, &committed))?;
    let outdated = measured.outdated(&committed);
    if !outdated.is_empty() {
        bail!(
            "{}{}\n{}",
            reports_on(&outdated, &measured, &committed),
            outdated.join("\n"),
            how_to_update("is out of date")
        );
    }
    Ok(format!(
        "{} builds within their limits and the committed table",
        measured.rows.len()
    ))
}

/// The reports of what there are `complaints` about.
fn reports_on(complaints: &[String], measured: &Table, committed: &Table) -> String {
    let complained = |row: &&Row| complaints.iter().any(|text| text.starts_with(&row.title()));
    let report = |row: &Row| report(row, committed.row(&row.firmware, &row.features));
    measured
        .rows
        .iter()
        .filter(complained)
        .map(|row| report(row).unwrap_or_default() + "\n")
        .collect()
}

fn path(project: &Project) -> PathBuf {
    project.root.join(DOCUMENT)
}

fn read(project: &Project) -> Result<String> {
    std::fs::read_to_string(path(project)).with_context(|| format!("cannot read {DOCUMENT}"))
}

fn how_to_update(what: &str) -> String {
    format!(
        "{DOCUMENT} {what}: run `cargo xtask size --update`, and commit it with the reason for what grew"
    )
}

fn within_limits(measured: &Table) -> Result<()> {
    let over = measured.over_limits();
    if !over.is_empty() {
        bail!(
            "{}\nMake it smaller, or raise the limit in [[package.metadata.size]] of its Cargo.toml and say why",
            over.join("\n")
        );
    }
    Ok(())
}

fn selected(all: Vec<Firmware>, names: &[String]) -> Result<Vec<Firmware>> {
    let known: Vec<_> = all.iter().map(|firmware| firmware.name.clone()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no firmware `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    let wanted = |firmware: &Firmware| names.is_empty() || names.contains(&firmware.name);
    Ok(all.into_iter().filter(wanted).collect())
}

/// Builds and measures; `each` sees every row with its program.
fn measure(
    project: &Project,
    firmware: &[Firmware],
    mut each: impl FnMut(&Row, &Program<'_>) -> Result<()>,
) -> Result<Table> {
    install::targets(&[TARGET])?;
    let mut rows = Vec::new();
    // What cannot be linked, for example because its memory is too small, hides the rest from
    // nobody.
    let mut failures = Vec::new();
    for firmware in firmware {
        let ours = our_crates(project, firmware)?;
        for set in &firmware.feature_sets {
            let image = match firmware.build(project, set) {
                Ok(image) => image,
                Err(error) => {
                    failures.push(error);
                    continue;
                }
            };
            let program = image.parse()?;
            let row = Row {
                firmware: firmware.name.clone(),
                features: set.name.clone(),
                sizes: Sizes::of(&program, &ours)?,
                flash_limit: set.flash,
                ram_limit: set.ram,
                ram_below_half_of: set.ram_below_half_of.clone(),
                peer: set.peer.clone(),
                beside: set.beside.clone(),
            };
            each(&row, &program)?;
            rows.push(row);
        }
    }
    if let Some(error) = failures.into_iter().next() {
        return Err(error);
    }
    let compiler = output(Command::new("rustc").arg("--version"))?;
    Ok(Table {
        compiler: compiler.trim().to_owned(),
        rows,
    })
}

/// Names, as in code, of the crates in this repository, the programs of `firmware` among them.
pub(crate) fn our_crates(project: &Project, firmware: &Firmware) -> Result<Vec<String>> {
    let main = metadata(&project.root)?;
    let names = main
        .workspace_packages()
        .into_iter()
        .map(|p| p.name.to_string());
    let sets = firmware.feature_sets.iter();
    Ok(names
        .chain([firmware.name.clone()])
        .chain(sets.filter_map(|set| set.program.clone()))
        .map(|name| name.replace('-', "_"))
        .collect())
}

/// One firmware for people to read: the lines that take the most first, with the difference to what
/// is committed.
fn report(row: &Row, committed: Option<&Row>) -> Result<String> {
    let mut lines: Vec<_> = row.sizes.lines.iter().collect();
    lines.sort_by_key(|(_, bytes)| u64::MAX - bytes.flash - bytes.ram);
    let mut text = format!("{}\n", row.title());
    writeln!(text, "{:>9} {:>8} {:>9} {:>8}", "flash", "", "RAM", "")?;
    let before = committed.map(|row| row.sizes.total);
    report_line(&mut text, "total", row.sizes.total, before)?;
    for (name, bytes) in lines {
        let before = committed.map(|row| row.sizes.lines.get(name).copied().unwrap_or_default());
        report_line(&mut text, name, *bytes, before)?;
    }
    for (name, bytes) in &row.sizes.regions {
        writeln!(
            text,
            "{:>28} {:>8}  {name}, not in the total",
            grouped(*bytes),
            ""
        )?;
    }
    Ok(text)
}

fn report_line(text: &mut String, name: &str, now: Bytes, before: Option<Bytes>) -> Result<()> {
    let difference = |now: u64, before: Option<u64>| match before {
        Some(before) if before != now => format!("{:+}", now as i64 - before as i64),
        Some(_) => String::new(),
        None => "new".to_owned(),
    };
    writeln!(
        text,
        "{:>9} {:>8} {:>9} {:>8}  {name}",
        grouped(now.flash),
        difference(now.flash, before.map(|bytes| bytes.flash)),
        grouped(now.ram),
        difference(now.ram, before.map(|bytes| bytes.ram)),
    )?;
    Ok(())
}

/// Functions, with what is inlined in them, and variables and constants.
fn largest(program: &Program<'_>, count: usize) -> Result<String> {
    let mut text = String::new();
    for functions in [true, false] {
        let of_kind = |symbol: &&Symbol| symbol.is_function == functions;
        let mut symbols: Vec<_> = program.symbols.iter().filter(of_kind).collect();
        symbols.sort_by_key(|symbol| u64::MAX - symbol.bytes);
        for symbol in symbols.into_iter().take(count) {
            writeln!(
                text,
                "{:>9}  {}",
                grouped(symbol.bytes),
                names::readable(&symbol.name)
            )?;
        }
        if count > 0 {
            text.push('\n');
        }
    }
    Ok(text)
}
