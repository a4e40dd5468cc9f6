//! A linked program for a microcontroller: its sections, its symbols, and which function an
//! instruction was written in.

use std::path::Path;

use addr2line::Context as DebugInfo;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian};
use anyhow::{Context, Result, bail};
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};

type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// The linker's output as it was read.
pub(crate) struct Image(Vec<u8>);

/// The same, parsed.
pub(crate) struct Program<'d> {
    pub(crate) sections: Vec<Section>,
    /// Functions, variables and named constants, by address.
    pub(crate) symbols: Vec<Symbol>,
    /// What is in the sections of code, by address.
    code: Vec<(u64, &'d [u8])>,
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

/// A function that an instruction belongs to.
pub(crate) struct Frame {
    /// As the compiler wrote it.
    pub(crate) function: String,
    /// Empty and 0 if it is not known.
    pub(crate) file: String,
    pub(crate) line: u32,
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
            code: code(&file)?,
            debug_info: DebugInfo::from_dwarf(Dwarf::load(load)?)?,
        })
    }
}

impl<'d> Program<'d> {
    /// Names of the functions that the instruction at `address` belongs to: the one it was written
    /// in, the one this is inlined in, and so on. Empty without debug information.
    pub(crate) fn functions_at(&self, address: u64) -> Result<Vec<String>> {
        let frames = self.frames_at(address)?;
        Ok(frames.into_iter().map(|frame| frame.function).collect())
    }

    /// The same with the line of the source in each.
    pub(crate) fn frames_at(&self, address: u64) -> Result<Vec<Frame>> {
        let mut found = self.debug_info.find_frames(address).skip_all_loads()?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next()? {
            if let Some(function) = frame.function {
                let location = frame.location.as_ref();
                let file = location.and_then(|location| location.file);
                let line = location.and_then(|location| location.line);
                frames.push(Frame {
                    function: function.raw_name()?.into_owned(),
                    file: file.unwrap_or_default().to_owned(),
                    line: line.unwrap_or_default(),
                });
            }
        }
        Ok(frames)
    }

    /// The bytes of a function; none if it is not within a section of code.
    pub(crate) fn code(&self, address: u64, bytes: u64) -> &[u8] {
        let within = |(start, code): &(u64, &'d [u8])| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            let len = usize::try_from(bytes).ok()?;
            code.get(from..from.checked_add(len)?)
        };
        self.code.iter().find_map(within).unwrap_or_default()
    }
}

fn code<'d>(file: &File<'d>) -> Result<Vec<(u64, &'d [u8])>> {
    let is_code = |section: &object::Section<'d, '_>| section.kind() == SectionKind::Text;
    let sections = file.sections().filter(is_code);
    let code = sections.map(|section| Ok((section.address(), section.data()?)));
    code.collect()
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
