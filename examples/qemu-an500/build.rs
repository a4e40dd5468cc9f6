//! Linker arguments: sections as cortex-m-rt lays them out, memories as one of the files in
//! `memory` describes them.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let loaded = env::var_os("CARGO_FEATURE_LOADED").is_some();
    let layout = if loaded {
        "memory/loaded.x"
    } else {
        "memory/built-in.x"
    };
    println!("cargo:rerun-if-changed={layout}");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo says where output goes"));
    fs::copy(layout, folder.join("memory.x")).expect("the output folder can be written");
    // Names of interrupt handlers, of which there are none: the vector table is in
    // `src/interrupts.rs`.
    fs::write(folder.join("device.x"), "").expect("the output folder can be written");
    println!("cargo:rustc-link-search={}", folder.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}
