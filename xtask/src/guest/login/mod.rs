//! `cargo xtask login`: a Linux guest in QEMU with the virtual device behind its USB host
//! controller, and a shell in it.
//!
//! The guest is a PC or a board with an AST2600. Its file system has BusyBox, `linux-requester` and
//! nvme-cli, and that of the PC Debian's `usbip` and the virtual device too. The device is MCTP
//! endpoint 9 before the first prompt. What is piped into the program, or given with `--run`, is run
//! in place of the shell, and its output is all that is on standard output.

mod files;
mod machine;

use std::io::{IsTerminal, Read, stdin};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::computer::Computer;
use super::kernel::{self, Kernel};
use super::scenario::Linux;
use super::{build_device, build_for_guest, initramfs, install};
use crate::project::Project;
use machine::Machine;

/// The kernel that a guest has if none is given.
const LINUX: Linux = Linux::V7_3;

/// What building the programs costs, as measured for x86 in a clean system.
const PROGRAMS_TAKE: &str = "about 4 minutes of one processor and 1 GB of disk";

/// What `cargo xtask login` can be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A board with an AST2600, the SoC of many BMCs (QEMU's ast2600-evb), in place of a PC
    #[arg(long)]
    bmc: bool,
    /// A kernel image, in place of the one built from Debian's source
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
    /// The device tree of the kernel image for an AST2600
    #[arg(long, value_name = "PATH", requires = "kernel", requires = "bmc")]
    device_tree: Option<PathBuf>,
    /// Shell commands to run in place of a shell; so is what is piped in. They may print nothing for
    /// five minutes at most
    #[arg(long, value_name = "COMMANDS")]
    run: Option<String>,
    /// More options of `virtual-device usbredir`
    #[arg(last = true)]
    device: Vec<String>,
}

impl Args {
    fn computer(&self) -> Computer {
        if self.bmc {
            Computer::Ast2600
        } else {
            Computer::X86
        }
    }

    /// The commands to run, none for a person at the terminal.
    fn commands(&self) -> Result<Option<String>> {
        if let Some(commands) = &self.run {
            return Ok(Some(commands.clone()));
        }
        if stdin().is_terminal() {
            return Ok(None);
        }
        let mut commands = String::new();
        stdin()
            .read_to_string(&mut commands)
            .context("cannot read the commands")?;
        Ok(Some(commands))
    }

    fn kernel(&self, project: &Project) -> Result<Kernel> {
        match &self.kernel {
            Some(image) => Kernel::given(image, self.device_tree.as_deref()),
            None => kernel::find(project, self.computer(), LINUX, true),
        }
    }
}

/// Boots the guest; returns when it is switched off.
pub(crate) fn run(args: &Args) -> Result<()> {
    let computer = args.computer();
    let commands = args.commands()?;
    let project = Project::open()?;
    crate::install::debian(computer.compiler())?;
    install::qemu(computer.qemu())?;
    let kernel = args.kernel(&project)?;
    let folder = project.target_dir.join("login").join(computer.name());
    std::fs::create_dir_all(&folder)?;
    if !project.target_dir.join("release/virtual-device").exists() {
        eprintln!("building the device and the guest's programs, once: {PROGRAMS_TAKE}");
    }
    let device = build_device(&project)?;
    let requester = build_for_guest(&project, "linux-requester", computer)?;
    let device_in_guest = match computer {
        Computer::X86 => Some(build_for_guest(&project, "virtual-device", computer)?),
        Computer::Ast2600 => None,
    };
    let tools = project.target_dir.join("guest-tools");
    let content = files::Content {
        computer,
        requester: &requester,
        device: device_in_guest.as_deref(),
        terminal: commands.is_none().then(machine::terminal),
        commands: commands.as_deref().unwrap_or_default(),
    };
    // That with a shell stays for the QEMU lines in the README of the virtual device.
    let image = folder.join(match commands {
        None => "initramfs",
        Some(_) => "initramfs-commands",
    });
    let files = content.files(&tools)?;
    let archive = initramfs::image(content.init().as_bytes(), content.commands, &files);
    std::fs::write(&image, archive)?;
    let machine = Machine {
        computer,
        kernel: &kernel,
        initramfs: &image,
        device: &device,
        device_options: &args.device,
        folder: &folder,
    };
    match commands {
        None => machine.shell(),
        Some(_) => machine.script(),
    }
}
