//! A linked program for a microcontroller: its sections, its symbols, and which function an instruction was written in.

use std::path::Path;

use addr2line::Context as DebugInfo;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian};
use anyhow::{Context, Result, bail};
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind};

type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// The linker's output as it was read.
pub(crate) struct Image(Vec<u8>);

/// The same, parsed.
pub(crate) struct Program<'d> {
    pub(crate) sections: Vec<Section>,
    /// Functions, variables and named constants, by address.
    pub(crate) symbols: Vec<Symbol>,
    debug_info: DebugInfo<Slice<'d>>,
}

/// A part of the image that takes memory of the microcontroller.
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) bytes: u64,
    pub(crate) kind: Kind,
}

/// What a section takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Flash: instructions, with the constants that stand between them.
    Code,
    /// Flash: the addresses of the interrupt handlers.
    Vectors,
    /// Flash: constants.
    Constants,
    /// Flash and RAM: variables, and the initial values that are copied to them at start.
    Initialised,
    /// RAM: variables that are zero at start, or that are left alone.
    Variables,
    /// Another memory that nothing is loaded to, such as the images of the NVM subsystem.
    Region,
}

/// A function, variable or constant.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    pub(crate) address: u64,
    pub(crate) bytes: u64,
    /// As the compiler wrote it.
    pub(crate) name: String,
    pub(crate) is_function: bool,
}

impl Image {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self(bytes))
    }

    pub(crate) fn parse(&self) -> Result<Program<'_>> {
        let file = File::parse(&*self.0)?;
        let load = |id: addr2line::gimli::SectionId| {
            let section = file.section_by_name(id.name());
            let data = section.map_or(Ok(&[][..]), |section| section.data())?;
            Ok::<_, object::Error>(EndianSlice::new(data, LittleEndian))
        };
        Ok(Program {
            sections: sections(&file)?,
            symbols: symbols(&file),
            debug_info: DebugInfo::from_dwarf(Dwarf::load(load)?)?,
        })
    }
}

impl Program<'_> {
    /// Names of the functions that the instruction at `address` belongs to: the one it was written in, the one this is inlined in, and so on.
    /// Empty without debug information.
    pub(crate) fn functions_at(&self, address: u64) -> Result<Vec<String>> {
        let mut frames = self.debug_info.find_frames(address).skip_all_loads()?;
        let mut names = Vec::new();
        while let Some(frame) = frames.next()? {
            if let Some(function) = frame.function {
                names.push(function.raw_name()?.into_owned());
            }
        }
        Ok(names)
    }
}

fn sections(file: &File<'_>) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else {
            bail!("not an ELF file");
        };
        // The rest, such as debug information and the texts of log lines, stays on the PC.
        if !sh_flags.contains(SHF_ALLOC) || section.size() == 0 {
            continue;
        }
        let name = section.name()?;
        let writable = sh_flags.contains(SHF_WRITE);
        let loaded = sh_type != SHT_NOBITS;
        let kind = match name {
            ".vector_table" => Kind::Vectors,
            _ if sh_flags.contains(SHF_EXECINSTR) => Kind::Code,
            _ if writable && loaded => Kind::Initialised,
            _ if loaded => Kind::Constants,
            ".bss" | ".uninit" => Kind::Variables,
            _ => Kind::Region,
        };
        sections.push(Section {
            name: name.to_owned(),
            address: section.address(),
            bytes: section.size(),
            kind,
        });
    }
    Ok(sections)
}

fn symbols(file: &File<'_>) -> Vec<Symbol> {
    let named = |kind| matches!(kind, SymbolKind::Text | SymbolKind::Data);
    let symbols = file.symbols().filter(|symbol| named(symbol.kind()));
    let mut symbols: Vec<_> = symbols.map(|symbol| symbol_of(&symbol)).collect();
    // Of several at one address the longest, which the others are a part or another name of.
    symbols.sort_by(|one, other| {
        let key = |symbol: &Symbol| (symbol.address, u64::MAX - symbol.bytes);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    symbols
}

fn symbol_of<'d>(symbol: &impl ObjectSymbol<'d>) -> Symbol {
    let is_function = symbol.kind() == SymbolKind::Text;
    // The lowest bit of a function's address says that it is Thumb code.
    let thumb = u64::from(is_function);
    Symbol {
        address: symbol.address() & !thumb,
        bytes: symbol.size(),
        name: symbol.name().unwrap_or_default().to_owned(),
        is_function,
    }
}
