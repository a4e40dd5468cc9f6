//! `linux-service`: services of this repository on a Linux machine.

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod drive;
#[cfg(target_os = "linux")]
mod services;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser;

    let Err(error) = services::run(&services::Arguments::parse());
    eprintln!("linux-service: {error:#}");
    std::process::ExitCode::FAILURE
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("linux-service: MCTP sockets exist only on Linux");
    std::process::ExitCode::FAILURE
}
