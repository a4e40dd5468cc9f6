//! Linker arguments: sections as cortex-m-rt and defmt lay them out, memories as `link/sram.x`
//! describes them.

use std::path::Path;
use std::{env, fs};

fn main() {
    let layout = Path::new(env!("CARGO_MANIFEST_DIR")).join("link/sram.x");
    let out = env::var_os("OUT_DIR").expect("cargo names a folder for what is built");
    let memory = Path::new(&out).join("memory.x");
    fs::copy(&layout, memory).expect("the linker script can be copied");

    println!("cargo:rerun-if-changed=link");
    println!("cargo:rustc-link-search={}", Path::new(&out).display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
}
