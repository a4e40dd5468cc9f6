//! Which crate each byte of a program belongs to.
//!
//! With fat LTO most functions are inlined, in firmware into the few tasks that an executor polls:
//! by symbols alone nearly all would be the executor's. So each instruction belongs to the crate of
//! the function that it was written in, which the debug information tells. What is written in
//! the standard library and inlined elsewhere, such as a loop over an iterator, belongs to the
//! function that it is inlined in. Variables and constants belong to the crate in the name of their
//! symbol. What no crate can be told of is a line of its own, so that the lines sum up to the
//! total.

use std::collections::{BTreeMap, HashMap};
use std::ops::{AddAssign, Range};

use anyhow::Result;

use super::names::{crate_of, is_standard};
use crate::image::{Kind, Program, Section, Symbol};

const VECTORS: &str = "(vector table)";
const CONSTANTS: &str = "(constants without a name)";
const PADDING: &str = "(padding)";
const OUTLINED: &str = "(instructions that functions share)";
const NAMELESS: &str = "(symbols without a crate)";

/// Thumb instructions have two or four bytes.
const INSTRUCTION: u64 = 2;

/// Bytes of each kind of memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes {
    /// What stands in the image: code, constants, the initial values of variables.
    pub(super) flash: u64,
    /// What is laid out at link time, without the stack and without the regions.
    pub(super) ram: u64,
}

/// What a program takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) total: Bytes,
    /// By crate; names in parentheses are no crates.
    pub(super) lines: BTreeMap<String, Bytes>,
    /// Memory apart, by the name of its linker section.
    pub(super) regions: BTreeMap<String, u64>,
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.flash += other.flash;
        self.ram += other.ram;
    }
}

impl Bytes {
    fn of(kind: Kind, bytes: u64) -> Self {
        match kind {
            Kind::Code | Kind::Vectors | Kind::Constants => Self {
                flash: bytes,
                ram: 0,
            },
            Kind::Initialised => Self {
                flash: bytes,
                ram: bytes,
            },
            Kind::Variables => Self {
                flash: 0,
                ram: bytes,
            },
            Kind::Region => Self::default(),
        }
    }
}

impl Sizes {
    /// Measures a program; `ours` are the crates of this repository.
    pub(super) fn of(program: &Program<'_>, ours: &[String]) -> Result<Self> {
        let mut attribution = Attribution {
            symbols: &program.symbols,
            functions_at: |address| program.functions_at(address),
            ours,
            known: HashMap::new(),
            sizes: Self::default(),
        };
        for section in &program.sections {
            attribution.add(section)?;
        }
        Ok(attribution.sizes)
    }
}

/// Goes through a program; `functions_at` is [`Program::functions_at`].
struct Attribution<'p, F> {
    symbols: &'p [Symbol],
    functions_at: F,
    ours: &'p [String],
    /// Crates of names that were met before.
    known: HashMap<String, Option<String>>,
    sizes: Sizes,
}

impl<F: Fn(u64) -> Result<Vec<String>>> Attribution<'_, F> {
    fn add(&mut self, section: &Section) -> Result<()> {
        let Section {
            name,
            address,
            bytes,
            kind,
        } = section;
        self.sizes.total += Bytes::of(*kind, *bytes);
        match kind {
            Kind::Region => *self.sizes.regions.entry(name.clone()).or_default() += bytes,
            Kind::Vectors => self.count(VECTORS, *kind, *bytes),
            _ => {
                for (piece, symbol) in pieces(*address..address + bytes, self.symbols) {
                    self.add_piece(*kind, piece, symbol)?;
                }
            }
        }
        Ok(())
    }

    fn add_piece(&mut self, kind: Kind, piece: Range<u64>, symbol: Option<&Symbol>) -> Result<()> {
        let bytes = piece.end - piece.start;
        match symbol {
            Some(symbol) if symbol.is_function => {
                for address in piece.clone().step_by(INSTRUCTION as usize) {
                    let owner = self.owner_of_instruction(address, symbol)?;
                    self.count(&owner, kind, INSTRUCTION.min(piece.end - address));
                }
            }
            Some(symbol) => {
                let owner = self.crate_named(&symbol.name);
                let nameless = if symbol.name.contains("anon.") {
                    CONSTANTS
                } else {
                    NAMELESS
                };
                self.count(owner.as_deref().unwrap_or(nameless), kind, bytes);
            }
            // The linker keeps no names of most constants.
            None if kind == Kind::Constants => self.count(CONSTANTS, kind, bytes),
            None => self.count(PADDING, kind, bytes),
        }
        Ok(())
    }

    fn owner_of_instruction(&mut self, address: u64, symbol: &Symbol) -> Result<String> {
        if symbol.name.starts_with("OUTLINED_FUNCTION") {
            return Ok(OUTLINED.to_owned());
        }
        let mut functions = (self.functions_at)(address)?;
        functions.push(symbol.name.clone());
        let crates: Vec<_> = functions
            .iter()
            .filter_map(|name| self.crate_named(name))
            .collect();
        let owner = crates.iter().find(|name| !is_standard(name));
        Ok(owner
            .or(crates.first())
            .map_or(NAMELESS, String::as_str)
            .to_owned())
    }

    fn crate_named(&mut self, symbol: &str) -> Option<String> {
        if !self.known.contains_key(symbol) {
            let name = crate_of(symbol, self.ours);
            self.known.insert(symbol.to_owned(), name);
        }
        self.known[symbol].clone()
    }

    fn count(&mut self, line: &str, kind: Kind, bytes: u64) {
        let line = self.sizes.lines.entry(line.to_owned()).or_default();
        *line += Bytes::of(kind, bytes);
    }
}

/// `range` cut at its symbols, which are in the order of their addresses.
fn pieces(range: Range<u64>, symbols: &[Symbol]) -> Vec<(Range<u64>, Option<&Symbol>)> {
    let mut pieces = Vec::new();
    let mut done = range.start;
    let first = symbols.partition_point(|symbol| symbol.address < range.start);
    let within = symbols[first..]
        .iter()
        .take_while(|symbol| symbol.address < range.end);
    for symbol in within {
        let end = (symbol.address + symbol.bytes).min(range.end);
        // Part or another name of the one before.
        if end <= done {
            continue;
        }
        if symbol.address > done {
            pieces.push((done..symbol.address, None));
        }
        pieces.push((symbol.address.max(done)..end, Some(symbol)));
        done = end;
    }
    if done < range.end {
        pieces.push((done..range.end, None));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(address: u64, bytes: u64, name: &str) -> Symbol {
        Symbol {
            address,
            bytes,
            name: name.to_owned(),
            is_function: false,
        }
    }

    fn function(address: u64, bytes: u64, name: &str) -> Symbol {
        Symbol {
            is_function: true,
            ..symbol(address, bytes, name)
        }
    }

    fn section(name: &str, address: u64, bytes: u64, kind: Kind) -> Section {
        Section {
            name: name.to_owned(),
            address,
            bytes,
            kind,
        }
    }

    /// Sizes of sections in which `inlined` are the functions at an address.
    fn measure(sections: &[Section], symbols: &[Symbol], inlined: &[(u64, &[&str])]) -> Sizes {
        let functions_at = |address| {
            let found = inlined.iter().find(|(at, _)| *at == address);
            let names = found.map_or(&[][..], |(_, names)| names);
            Ok(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let mut attribution = Attribution {
            symbols,
            functions_at,
            ours: &["ours".to_owned()],
            known: HashMap::new(),
            sizes: Sizes::default(),
        };
        for section in sections {
            attribution.add(section).unwrap();
        }
        assert_sums_up(&attribution.sizes);
        attribution.sizes
    }

    fn assert_sums_up(sizes: &Sizes) {
        let mut sum = Bytes::default();
        for line in sizes.lines.values() {
            sum += *line;
        }
        assert_eq!(sum, sizes.total);
    }

    fn lines(sizes: &Sizes) -> Vec<(&str, u64, u64)> {
        let lines = sizes.lines.iter();
        lines
            .map(|(name, bytes)| (name.as_str(), bytes.flash, bytes.ram))
            .collect()
    }

    #[test]
    fn initial_values_take_flash_and_ram() {
        let sections = [
            section(".vector_table", 0, 64, Kind::Vectors),
            section(".text", 64, 1000, Kind::Code),
            section(".rodata", 1064, 200, Kind::Constants),
            section(".data", 4096, 30, Kind::Initialised),
            section(".bss", 4128, 4, Kind::Variables),
        ];
        let total = measure(&sections, &[], &[]).total;
        assert_eq!(
            total,
            Bytes {
                flash: 1294,
                ram: 34
            }
        );
    }

    #[test]
    fn regions_are_apart_from_ram() {
        let images = section(".firmware_images", 0, 131_072, Kind::Region);
        let sizes = measure(&[images], &[symbol(0, 131_072, "ours::IMAGES")], &[]);
        assert_eq!(sizes.total, Bytes::default());
        assert_eq!(sizes.regions[".firmware_images"], 131_072);
        assert!(sizes.lines.is_empty());
    }

    #[test]
    fn what_is_inlined_belongs_to_the_crate_it_is_written_in() {
        let poll = "executor::Task<F>::poll";
        let sizes = measure(
            &[section(".text", 0, 8, Kind::Code)],
            &[function(0, 8, poll)],
            &[
                (0, &["driver::read", "ours::run", poll]),
                (2, &["ours::run", poll]),
                (4, &["core::ptr::read", "ours::run", poll]),
                (6, &[poll]),
            ],
        );
        assert_eq!(
            lines(&sizes),
            [("driver", 2, 0), ("executor", 2, 0), ("ours", 4, 0)]
        );
    }

    #[test]
    fn the_standard_library_keeps_what_is_not_inlined() {
        let sizes = measure(
            &[section(".text", 0, 4, Kind::Code)],
            &[function(0, 4, "core::fmt::write")],
            &[(0, &["core::ptr::read", "core::fmt::write"])],
        );
        assert_eq!(lines(&sizes), [("core", 4, 0)]);
    }

    #[test]
    fn functions_without_debug_information_belong_to_their_name() {
        let symbols = [
            function(0, 4, "driver::read"),
            function(4, 6, "memcpy"),
            function(10, 3, "OUTLINED_FUNCTION_0"),
        ];
        let sizes = measure(&[section(".text", 0, 16, Kind::Code)], &symbols, &[]);
        assert_eq!(
            lines(&sizes),
            [
                (OUTLINED, 3, 0),
                (PADDING, 3, 0),
                (NAMELESS, 6, 0),
                ("driver", 4, 0)
            ]
        );
    }

    #[test]
    fn variables_belong_to_their_name_and_gaps_are_padding() {
        let symbols = [
            symbol(100, 8, "ours::BUFFER"),
            symbol(112, 4, "_SEGGER_RTT"),
        ];
        let sizes = measure(&[section(".bss", 100, 20, Kind::Variables)], &symbols, &[]);
        assert_eq!(
            lines(&sizes),
            [(PADDING, 0, 8), (NAMELESS, 0, 4), ("ours", 0, 8)]
        );
    }

    #[test]
    fn constants_without_a_name_are_one_line() {
        let symbols = [symbol(4, 2, "ours::TABLE"), symbol(6, 2, ".Lanon.8c.3")];
        let sizes = measure(&[section(".rodata", 0, 12, Kind::Constants)], &symbols, &[]);
        assert_eq!(lines(&sizes), [(CONSTANTS, 10, 0), ("ours", 2, 0)]);
    }

    #[test]
    fn symbols_at_the_same_place_are_counted_once() {
        let symbols = [
            symbol(0, 8, "ours::A"),
            symbol(0, 8, "ours::B"),
            symbol(4, 2, "driver::PART"),
            symbol(6, 6, "driver::OVERLAP"),
        ];
        let sizes = measure(&[section(".data", 0, 12, Kind::Initialised)], &symbols, &[]);
        assert_eq!(lines(&sizes), [("driver", 4, 4), ("ours", 8, 8)]);
    }

    #[test]
    fn pieces_stay_within_their_section() {
        let symbols = [symbol(0, 4, "before"), symbol(8, 100, "too_long")];
        let pieces = pieces(4..12, &symbols);
        let ranges: Vec<_> = pieces.into_iter().map(|(range, _)| range).collect();
        assert_eq!(ranges, [4..8, 8..12]);
    }
}
