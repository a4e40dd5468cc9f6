//! `cargo xtask size`: what the NVMe-MI responder with the default model takes of a microcontroller's memories.
//!
//! The program in `xtask/size` is that and nothing else. It has the panic handler of `xtask/panic-free`, so that it links only if no panic is
//! left, at this optimisation level too.

use std::fmt::Write;

use anyhow::{Context, Result};
use cargo_metadata::Package;

use crate::image::{Image, Symbol};
use crate::install;
use crate::project::Project;

const FOLDER: &str = "xtask/size";
const TARGET: &str = "thumbv7em-none-eabihf";
/// Functions that are named.
const FUNCTIONS: usize = 15;
/// Variables that are named have at least so many bytes.
const LARGE_VARIABLE: u64 = 64;

/// Measures, prints what takes the most, and fails when the budget is exceeded.
pub(crate) fn run() -> Result<()> {
    let project = Project::open()?;
    let (image, package) = build(&project)?;
    println!("{}", details(&image)?);
    println!("{}", image.size()?.within_budget_of(&package)?);
    Ok(())
}

/// The same as a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    let (image, package) = build(project)?;
    let size = image.size()?;
    size.within_budget_of(&package)
        .with_context(|| details(&image).unwrap_or_default())
}

fn build(project: &Project) -> Result<(Image, Package)> {
    install::targets(&[TARGET])?;
    Image::build(project, FOLDER, TARGET)
}

fn details(image: &Image) -> Result<String> {
    let (functions, variables) = (image.functions()?, image.variables()?);
    let large = |symbol: &&Symbol| symbol.bytes >= LARGE_VARIABLE;
    let mut text = format!("The largest functions ({TARGET}, opt-level s), with what is inlined\n");
    table(&mut text, functions.iter().take(FUNCTIONS))?;
    text += "Variables and constants\n";
    table(&mut text, variables.iter().take_while(large))?;
    Ok(text)
}

fn table<'s>(text: &mut String, symbols: impl Iterator<Item = &'s Symbol>) -> Result<()> {
    for Symbol { bytes, name } in symbols {
        writeln!(text, "{bytes:>8}  {name}")?;
    }
    Ok(())
}
