//! Linker arguments: sections as cortex-m-rt and defmt lay them out, memories as embassy-stm32 describes the chip.

fn main() {
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
}
