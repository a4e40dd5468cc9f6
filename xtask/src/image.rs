//! What a microcontroller's program takes of its memories.
//!
//! Flash is what stands in the image: code, read-only data and the initial values of variables. RAM is what is laid
//! out at link time: variables with and without initial values; the stack takes what is left.

use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind};

use crate::process::output;
use crate::project::{Project, metadata};

/// A linked program.
pub(crate) struct Image(Vec<u8>);

impl Image {
    /// Builds the workspace in `folder` (relative to the root), which is one package with one program, for `target`.
    pub(crate) fn build(project: &Project, folder: &str, target: &str) -> Result<(Self, Package)> {
        output(
            project
                .cargo(folder)
                .args(["build", "--locked", "--release", "--target", target]),
        )?;
        let metadata = metadata(&project.root.join(folder))?;
        let package = metadata
            .workspace_packages()
            .first()
            .copied()
            .with_context(|| format!("there is no package in {folder}"))?
            .clone();
        let release = project.target_dir.join(target).join("release");
        let image = Self::open(&release.join(package.name.as_str()))?;
        Ok((image, package))
    }

    fn open(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self(bytes))
    }

    /// What it takes of each memory.
    pub(crate) fn size(&self) -> Result<Size> {
        let mut size = Size::default();
        for section in File::parse(&*self.0)?.sections() {
            let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else {
                bail!("not an ELF file");
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

    /// Its functions with what is inlined in them, the largest first.
    pub(crate) fn functions(&self) -> Result<Vec<Symbol>> {
        self.symbols(SymbolKind::Text)
    }

    /// Its variables and constants, the largest first.
    pub(crate) fn variables(&self) -> Result<Vec<Symbol>> {
        self.symbols(SymbolKind::Data)
    }

    fn symbols(&self, kind: SymbolKind) -> Result<Vec<Symbol>> {
        let file = File::parse(&*self.0)?;
        let symbols = file.symbols().filter(|symbol| symbol.kind() == kind);
        let mut symbols: Vec<_> = symbols
            .map(|symbol| Symbol {
                bytes: symbol.size(),
                name: readable(symbol.name().unwrap_or_default()),
            })
            .collect();
        symbols.sort_by(|one, other| (other.bytes, &one.name).cmp(&(one.bytes, &other.name)));
        Ok(symbols)
    }
}

/// The name as it stands in the source.
fn readable(symbol: &str) -> String {
    // Without the hash at the end.
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// A function or variable.
pub(crate) struct Symbol {
    pub(crate) bytes: u64,
    pub(crate) name: String,
}

/// Bytes of each kind of memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) flash: u64,
    pub(crate) ram: u64,
}

impl Size {
    /// What `package` may take: `[package.metadata.budget]` of its `Cargo.toml`.
    pub(crate) fn budget(package: &Package) -> Result<Self> {
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

    /// One line with both; an error if it is more than the budget of `package`.
    pub(crate) fn within_budget_of(&self, package: &Package) -> Result<String> {
        let budget = Self::budget(package)?;
        let line = format!(
            "{}: {} of {} bytes of flash, {} of {} bytes of RAM",
            package.name, self.flash, budget.flash, self.ram, budget.ram
        );
        if self.flash > budget.flash || self.ram > budget.ram {
            bail!(
                "{line}\nMake it smaller, or raise [package.metadata.budget] in {} and say why",
                package.manifest_path
            );
        }
        Ok(line)
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

    #[test]
    fn names_are_those_of_the_source() {
        assert_eq!(
            readable("_ZN17nvme_mi_responder7message4seal17hca908606a220f6b1E"),
            "nvme_mi_responder::message::seal"
        );
        assert_eq!(readable("memcpy"), "memcpy");
    }
}
