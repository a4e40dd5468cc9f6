//! `cargo xtask emulate`: the reference device on QEMU's `mps2-an500`, an emulated Cortex-M7.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::guest::install;
use crate::process::output;
use crate::project::Project;
use crate::shipped::{self, TARGET};

pub(crate) const FOLDER: &str = "examples/qemu-an500";
/// The firmware.
pub(crate) const FIRMWARE: &str = "qemu-an500";
/// The firmware with MCTP over serial in place of USB.
pub(crate) const SERIAL_FIRMWARE: &str = "qemu-an500-serial";
/// The features of the firmware for guests: all services that the reference device has.
pub(crate) const FEATURES: &[&str] = &["bench"];
/// A socket's path ends with a zero byte, and has to fit in so many bytes (`unix(7)`).
const LONGEST_SOCKET_PATH: usize = 107;

/// What `cargo xtask emulate` can be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MCTP over serial, in place of USB
    #[arg(long)]
    serial: bool,
    /// Where to listen for the guest's QEMU [default: emulate.sock in the build folder]
    #[arg(long)]
    socket: Option<PathBuf>,
    /// 24 hexadecimal digits, of which the UUID and the USB serial number are made
    #[arg(long, value_parser = unique_id)]
    unique_id: Option<String>,
    /// The longest packet sent, in bytes, with the 4-byte MCTP header
    #[arg(long, value_parser = clap::value_parser!(u16).range(68..=251))]
    mtu: Option<u16>,
}

/// Which end of the socket the board is that stands for its cable: USB or serial.
pub(crate) enum Cable<'p> {
    /// Waits for the guest's QEMU before it starts.
    Listen(&'p Path),
    /// The guest's QEMU listens already.
    Connect(&'p Path),
}

/// Where the board's log goes.
pub(crate) enum Log<'p> {
    /// Among what its QEMU prints.
    Stdout,
    /// To a new file.
    File(&'p Path),
}

/// Builds the firmware, and runs it until it is interrupted.
pub(crate) fn run(args: &Args) -> Result<()> {
    let project = Project::open()?;
    install::qemu(&install::ARM)?;
    let program = if args.serial {
        SERIAL_FIRMWARE
    } else {
        FIRMWARE
    };
    let firmware = build(&project, program, FEATURES)?;
    let socket = match &args.socket {
        Some(socket) => std::path::absolute(socket)?,
        None => project.target_dir.join("emulate.sock"),
    };
    check_socket(&socket)?;
    println!("{}", how_to_attach(&socket, args.serial));
    let mut board = board(
        &firmware,
        &Cable::Listen(&socket),
        &Log::Stdout,
        &settings(args),
    );
    let status = board
        .stdin(Stdio::null())
        .status()
        .context("cannot start qemu-system-arm")?;
    if !status.success() {
        bail!("the emulation ended with {status}; the reason is in the log above");
    }
    Ok(())
}

fn unique_id(text: &str) -> Result<String, &'static str> {
    if text.len() != 24 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("a unique ID has 24 hexadecimal digits");
    }
    Ok(text.to_owned())
}

fn check_socket(socket: &Path) -> Result<()> {
    let length = socket.as_os_str().len();
    if length > LONGEST_SOCKET_PATH {
        bail!(
            "the path of the socket has {length} bytes, and may have {LONGEST_SOCKET_PATH}: choose one with --socket"
        );
    }
    if !socket.parent().is_some_and(Path::is_dir) {
        bail!("there is no folder for the socket {}", socket.display());
    }
    Ok(())
}

fn how_to_attach(socket: &Path, serial: bool) -> String {
    let socket = escaped(socket);
    let (options, then) = if serial {
        (
            "-serial stdio -chardev socket,id=mctp,path={socket} -serial chardev:mctp",
            "\nand in it: mctp link serial /dev/ttyS1\n",
        )
    } else {
        (
            "-device usb-ehci,id=usb -chardev socket,id=mctp,path={socket} -device usb-redir,chardev=mctp,bus=usb.0",
            "",
        )
    };
    let options = options.replace("{socket}", &socket);
    format!(
        "The board starts when a Linux guest attaches:\n\n  qemu-system-x86_64 ... {options}\n{then}"
    )
}

fn settings(args: &Args) -> Vec<String> {
    let unique_id = args.unique_id.iter().map(|id| format!("unique-id={id}"));
    let mtu = args.mtu.iter().map(|mtu| format!("mtu={mtu}"));
    unique_id.chain(mtu).collect()
}

/// Builds one of the board's programs with some features.
pub(crate) fn build(project: &Project, program: &str, features: &[&str]) -> Result<PathBuf> {
    crate::install::targets(&[TARGET])?;
    let mut cargo = shipped::build(project, FOLDER);
    cargo.args(["--quiet", "--bin", program]);
    cargo.args(["--features", &features.join(",")]);
    output(&mut cargo)?;
    Ok(project
        .target_dir
        .join(TARGET)
        .join("release")
        .join(program))
}

/// The board with `firmware`. Its `settings` are those of the firmware's `settings.rs`.
pub(crate) fn board(
    firmware: &Path,
    cable: &Cable<'_>,
    log: &Log<'_>,
    settings: &[String],
) -> Command {
    let cable = match cable {
        Cable::Listen(socket) => format!("{},server=on,wait=on", escaped(socket)),
        Cable::Connect(socket) => escaped(socket),
    };
    let log = match log {
        Log::Stdout => "stdio,id=log,signal=off".to_owned(),
        Log::File(path) => format!("file,id=log,path={}", escaped(path)),
    };
    let arguments: String = std::iter::once(FIRMWARE)
        .chain(settings.iter().map(String::as_str))
        .map(|argument| format!(",arg={}", argument.replace(',', ",,")))
        .collect();
    let mut command = qemu(firmware);
    command
        .args(["-chardev", &format!("socket,id=link,path={cable}")])
        .args(["-serial", "chardev:link"])
        .args(["-chardev", &log])
        .args(["-serial", "chardev:log"])
        .args([
            "-semihosting-config",
            &format!("enable=on,target=native{arguments}"),
        ]);
    command
}

/// The board with a program that measures: its clock counts instructions, it prints on standard
/// output, and ends by itself.
pub(crate) fn counting(program: &Path) -> Command {
    let mut command = qemu(program);
    command
        .args(["-icount", "shift=0"])
        .args(["-semihosting-config", "enable=on,target=native"]);
    command
}

/// The board, with nothing connected.
pub(crate) fn qemu(program: &Path) -> Command {
    let mut command = install::ARM.command();
    command
        .args(["-machine", "mps2-an500", "-nodefaults"])
        .args(["-display", "none", "-monitor", "none"])
        .arg("-kernel")
        .arg(program);
    command
}

/// A path in a list of options.
pub(crate) fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_end_no_option() {
        let command = board(
            Path::new("firmware"),
            &Cable::Connect(Path::new("a,b")),
            &Log::File(Path::new("c,d")),
            &[],
        );
        let arguments: Vec<_> = command.get_args().collect();
        assert!(arguments.contains(&"socket,id=link,path=a,,b".as_ref()));
        assert!(arguments.contains(&"file,id=log,path=c,,d".as_ref()));
    }

    #[test]
    fn a_guest_is_told_the_port_that_the_board_has() {
        let told = |serial| how_to_attach(Path::new("a,b"), serial);
        assert!(told(false).contains("path=a,,b -device usb-redir,"));
        assert!(told(true).contains("path=a,,b -serial chardev:mctp\n"));
        assert!(told(true).contains("mctp link serial /dev/ttyS1\n"));
    }

    #[test]
    fn unique_ids_have_24_hexadecimal_digits() {
        assert!(unique_id("0001020304050607080a0b0c").is_ok());
        for wrong in [
            "",
            "00010203",
            "0001020304050607080a0b0g",
            "0001020304050607080a0bé",
        ] {
            assert!(unique_id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_socket_that_cannot_be_is_refused_with_the_reason() {
        let long = Path::new("/").join("x".repeat(120));
        let error = check_socket(&long).unwrap_err().to_string();
        assert!(error.contains("has 121 bytes"), "{error}");
        let error = check_socket(Path::new("/no such folder/socket")).unwrap_err();
        assert!(error.to_string().contains("no folder"), "{error}");
    }
}
