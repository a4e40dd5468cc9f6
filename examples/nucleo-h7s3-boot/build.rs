//! Linker arguments: sections as cortex-m-rt lays them out, memories as in `memory/loader` or
//! `memory/writer`. And the firmware for the writer, checked and sealed.

#[path = "src/memory.rs"]
mod memory;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use elf_loader::Program;

fn main() -> Result<(), Box<dyn Error>> {
    for (program, memory) in [("nucleo-h7s3-boot", "loader"), ("write-flash", "writer")] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("memory")
            .join(memory);
        println!("cargo:rerun-if-changed={}", folder.display());
        println!("cargo:rustc-link-arg-bin={program}=-L{}", folder.display());
    }
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");

    let image = PathBuf::from(env::var("OUT_DIR")?).join("image");
    fs::write(&image, sealed_firmware()?)?;
    println!("cargo:rustc-env=IMAGE={}", image.display());
    Ok(())
}

/// `FIRMWARE` of the environment, an ELF file, or nothing if it is not given.
fn sealed_firmware() -> Result<Vec<u8>, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=FIRMWARE");
    let Some(file) = env::var_os("FIRMWARE").map(PathBuf::from) else {
        return Ok(Vec::new());
    };
    println!("cargo:rerun-if-changed={}", file.display());
    let complaint = |error: &dyn Error| format!("FIRMWARE={}: {error}", file.display());
    let mut image = fs::read(&file).map_err(|error| complaint(&error))?;
    let len = elf_loader::seal(&mut image).map_err(|error| complaint(&error))?;
    image.truncate(len);
    Program::check(&image, &memory::MEMORY).map_err(|error| complaint(&error))?;
    Ok(image)
}
