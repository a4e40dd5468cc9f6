//! `linux-requester`: bring up an MCTP interface, be its bus owner, send control requests and
//! echoes.
//!
//! Each command prints one line a step and ends with exit code 0 only if every answer was as it has
//! to be.

#[cfg(target_os = "linux")]
mod benchmark;
#[cfg(target_os = "linux")]
mod commands;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser;

    match commands::run(&commands::Arguments::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // Words that make no command, though each of them is one.
            if let Some(usage) = error.downcast_ref::<clap::Error>() {
                usage.exit();
            }
            eprintln!("linux-requester: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("linux-requester: MCTP sockets exist only on Linux");
    std::process::ExitCode::FAILURE
}
