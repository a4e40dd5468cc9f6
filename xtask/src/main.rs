//! `cargo xtask`: one door to every check of this repository.
//!
//! `cargo xtask ci` runs all of them; `cargo xtask ci --list` says which there are.

mod bench;
mod boot;
mod ci;
mod emulate;
mod guest;
mod image;
mod install;
mod instructions;
mod instructions_m7;
mod panics;
mod performance;
mod process;
mod project;
mod readings;
mod shipped;
mod size;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Checks and measurements of this repository"
)]
struct Arguments {
    /// Install what is missing: Debian packages, as root or with sudo. Without it the system is left as
    /// it is
    #[arg(long, global = true)]
    install: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check, or the named ones, and stop at the first that fails
    Ci(ci::Args),
    /// Run the reference device on an emulated Cortex-M7, its USB or serial port on a socket for
    /// a guest of another QEMU
    Emulate(emulate::Args),
    /// Run the virtual device, and the one on the emulated board, against Linux kernels in QEMU
    Guest(guest::Args),
    /// Count the instructions of echo round trips, beside mctp-estack, and of NVMe-MI commands; and
    /// of round trips on the emulated Cortex-M7
    Instructions,
    /// A shell in a Linux guest in QEMU, which has the virtual device as MCTP endpoint 9
    Login(guest::login::Args),
    /// Where firmware can panic: the functions of dependencies, beside the committed list
    Panics(panics::Args),
    /// Measure what messages cost beside mctp-estack, by size, unit, peers, ports and routes, and
    /// write docs/performance.md and its plot
    Performance,
    /// Write the table of readings in nvme-mi-responder/README.md, of what its sources say
    Readings,
    /// Make an image for a loader's flash of firmware as it was linked: checksum in, debug
    /// information out
    Seal(boot::Args),
    /// Flash and RAM that each firmware takes, crate by crate, beside the committed table
    Size(size::Args),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.install {
        install::allow();
    }
    let result = match arguments.command {
        Command::Ci(args) => ci::run(&args),
        Command::Emulate(args) => emulate::run(&args),
        Command::Guest(args) => guest::run(&args),
        Command::Instructions => instructions::run().and_then(|()| instructions_m7::run()),
        Command::Login(args) => guest::login::run(&args),
        Command::Panics(args) => panics::run(&args),
        Command::Performance => performance::run(),
        Command::Readings => readings::run(),
        Command::Seal(args) => boot::seal(&args),
        Command::Size(args) => size::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// What failed, then why: the reader wants the failing program's words, not this program's stack.
fn report(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("{cause}");
    }
}
