//! Boards build for their microcontroller, and take no more memory than their `Cargo.toml` allows.
//!
//! Flash is what stands in the image: code, read-only data and the initial values of variables. RAM is what is laid
//! out at link time: variables with and without initial values; the stack takes what is left.

use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{Object, ObjectSection, SectionFlags};

use crate::install;
use crate::process::output;
use crate::project::{Project, metadata};

/// Folders of the workspaces that hold one board each.
pub(super) const BOARDS: &[&str] = &["examples/nucleo-h7s3"];
/// The boards' Cortex-M7.
pub(super) const TARGET: &str = "thumbv7em-none-eabihf";

pub(crate) fn check(project: &Project) -> Result<String> {
    install::targets(&[TARGET])?;
    let mut lines = Vec::new();
    for folder in BOARDS {
        lines.push(check_board(project, folder)?);
    }
    Ok(lines.join("; "))
}

fn check_board(project: &Project, folder: &str) -> Result<String> {
    output(
        project
            .cargo(folder)
            .args(["build", "--locked", "--release"]),
    )?;
    let metadata = metadata(&project.root.join(folder))?;
    let package = metadata
        .workspace_packages()
        .first()
        .copied()
        .context("a board is one package")?
        .clone();
    let image = project
        .target_dir
        .join(TARGET)
        .join("release")
        .join(package.name.as_str());
    let size = Size::of(&image)?;
    let budget = Size::budget(&package)?;
    let line = format!(
        "{}: {} of {} bytes of flash, {} of {} bytes of RAM",
        package.name, size.flash, budget.flash, size.ram, budget.ram
    );
    if size.flash > budget.flash || size.ram > budget.ram {
        bail!(
            "{line}\nMake it smaller, or raise [package.metadata.budget] in {folder}/Cargo.toml and say why"
        );
    }
    Ok(line)
}

/// Bytes of each kind of memory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Size {
    flash: u64,
    ram: u64,
}

impl Size {
    fn budget(package: &Package) -> Result<Self> {
        let budget = &package.metadata["budget"];
        let number = |name: &str| {
            budget[name].as_u64().with_context(|| {
                format!("{} has no [package.metadata.budget] {name}", package.name)
            })
        };
        Ok(Self {
            flash: number("flash")?,
            ram: number("ram")?,
        })
    }

    fn of(image: &Path) -> Result<Self> {
        let data =
            std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
        let file = object::File::parse(&*data)?;
        let mut size = Self::default();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else {
                bail!("{} is not an ELF file", image.display());
            };
            // The rest, such as debug information and the texts of log lines, stays on the PC.
            if sh_flags.contains(SHF_ALLOC) {
                size.add(
                    sh_flags.contains(SHF_WRITE),
                    sh_type != SHT_NOBITS,
                    section.size(),
                );
            }
        }
        Ok(size)
    }

    fn add(&mut self, writable: bool, in_image: bool, bytes: u64) {
        if writable {
            self.ram += bytes;
        }
        // Also the initial values of variables, which are copied to RAM at start.
        if in_image {
            self.flash += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_take_flash_and_ram() {
        let mut size = Size::default();
        size.add(false, true, 1000);
        size.add(false, true, 200);
        size.add(true, true, 30);
        size.add(true, false, 4);
        assert_eq!(
            size,
            Size {
                flash: 1230,
                ram: 34
            }
        );
    }
}
