//! `guest-tests`: process 1 of a test guest, and what it does to an MCTP device that only tests do.

#[cfg(target_os = "linux")]
mod background;
#[cfg(target_os = "linux")]
mod bench_stopped;
#[cfg(target_os = "linux")]
mod bridge;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod guest_init;
#[cfg(target_os = "linux")]
mod i2c_link;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod inject;
#[cfg(target_os = "linux")]
mod link_under_load;
#[cfg(target_os = "linux")]
mod nvme_cli;
#[cfg(target_os = "linux")]
mod requester;
#[cfg(target_os = "linux")]
mod serial_log;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(target_os = "linux")]
mod two_devices;
#[cfg(target_os = "linux")]
mod undo;
#[cfg(target_os = "linux")]
mod usb;
#[cfg(target_os = "linux")]
mod usbip_device;
#[cfg(target_os = "linux")]
mod usbip_tool;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser;

    let arguments = commands::Arguments::parse();
    match commands::run(&arguments) {
        Ok(()) if arguments.attaches() => loop {
            // What was attached goes when this program is ended.
            std::thread::park();
        },
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-tests: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("guest-tests: the guests are Linux");
    std::process::ExitCode::FAILURE
}
