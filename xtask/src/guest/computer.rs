//! The guest's computer, as QEMU emulates it.

use std::path::Path;
use std::process::Command;

use super::initramfs::PLAN;
use super::install::{self, Qemu};
use super::kernel::Kernel;
use super::scenario::{Controller, Listener, Scenario, Wire};
use crate::emulate;
use crate::install::Needed;

const ARM_LINKER: &str = "arm-linux-gnueabihf-gcc";
/// Rust links with it.
const COMPILER_OF_X86: &[Needed] = &[Needed::program("cc", "gcc")];
const COMPILER_OF_ARM: &[Needed] = &[
    Needed::program(ARM_LINKER, "gcc-arm-linux-gnueabihf"),
    Needed::library("libc.a", ARM_LINKER, "libc6-dev-armhf-cross"),
];

/// A computer that QEMU emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Computer {
    /// A PC.
    X86,
    /// `ast2600-evb`: a board with the SoC of today's BMCs, which has two cores, an EHCI and I2C
    /// controllers of its own.
    Ast2600,
}

impl Computer {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::Ast2600 => "AST2600",
        }
    }

    pub(super) fn qemu(self) -> &'static Qemu {
        match self {
            Self::X86 => &install::X86,
            Self::Ast2600 => &install::ARM,
        }
    }

    /// What a program for the guest is compiled for.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-musl",
            Self::Ast2600 => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// The linker for that, if Rust has none of its own.
    pub(super) fn linker(self) -> Option<&'static str> {
        match self {
            Self::X86 => None,
            Self::Ast2600 => Some(ARM_LINKER),
        }
    }

    /// What compiling for it takes.
    pub(super) fn compiler(self) -> &'static [Needed] {
        match self {
            Self::X86 => COMPILER_OF_X86,
            Self::Ast2600 => COMPILER_OF_ARM,
        }
    }

    /// Where a device can be on a serial line; the guest's console is on another one.
    pub(super) fn device_port(self) -> &'static str {
        match self {
            Self::X86 => "/dev/ttyS1",
            Self::Ast2600 => "/dev/ttyS0",
        }
    }

    /// The interface of the I2C bus in software, whose number is that behind the computer's own
    /// buses.
    pub(super) fn i2c_interface(self) -> &'static str {
        match self {
            Self::X86 => "mctpi2c0",
            Self::Ast2600 => "mctpi2c16",
        }
    }

    /// The options of the kernel.
    pub(super) fn kernel_options(self) -> &'static str {
        match self {
            // On a busy host the emulated timer is too late for the check that it works.
            Self::X86 => "console=ttyS0 no_timer_check",
            Self::Ast2600 => "console=ttyS4,115200n8 clk_ignore_unused",
        }
    }

    /// The options of QEMU that have nothing to do with the device.
    pub(super) fn options(self, processors: u8) -> Vec<String> {
        let options = match self {
            Self::X86 => format!("-m 512 -smp {processors}"),
            // The board is as it is.
            Self::Ast2600 => "-M ast2600-evb".into(),
        };
        options.split(' ').map(str::to_owned).collect()
    }

    /// The options of QEMU for a USB device, `options` among them.
    pub(super) fn usb_device(self, controller: Controller, options: &str) -> Vec<String> {
        let device = |text: String| ["-device".to_owned(), text];
        match self {
            Self::X86 => [
                device(format!("{},id=controller", controller.device())),
                device(format!("{options},bus=controller.0")),
            ]
            .concat(),
            // The first of the two that the board has.
            Self::Ast2600 => device(format!("{options},bus=usb-bus.0")).into(),
        }
    }
}

/// A guest with the console at its standard input and output, and the device at a socket.
pub(super) fn command(
    scenario: &Scenario,
    kernel: &Kernel,
    initramfs: &Path,
    socket: &Path,
    usb_capture: Option<&Path>,
    interactive: bool,
) -> Command {
    let computer = scenario.computer;
    let socket = socket.display();
    let chardev = match scenario.listener {
        Listener::Qemu => format!("socket,id=link,path={socket},server=on,wait=off"),
        Listener::Device => format!("socket,id=link,path={socket},reconnect-ms=200"),
    };
    let usb_capture = usb_capture.map_or_else(String::new, |path| {
        format!(",pcap={}", emulate::escaped(path))
    });
    // A kernel that panics must not get a second chance: it ends QEMU, or hangs where reboots are
    // part of the plan.
    let (panic, no_reboot) = match scenario.computers_and_boots_of_each() {
        (_, 1) => ("-1", Some("-no-reboot")),
        _ => ("0", None),
    };
    // `--` ends the kernel's own options; what follows are the arguments of its first process. Only
    // emergencies on the console, so that no kernel message lands inside a line meant for us.
    let append = format!(
        "{} loglevel=2 panic={panic} -- guest-init {PLAN}",
        computer.kernel_options()
    );
    // With the monitor, QEMU gives the guest all keys, that for an interrupt too.
    let console = if interactive { "mon:stdio" } else { "stdio" };
    let mut command = computer.qemu().command();
    command
        .args(["-accel", "tcg", "-nodefaults", "-display", "none"])
        .args(computer.options(scenario.processors))
        .args(no_reboot)
        .args(["-serial", console, "-append", &append, "-kernel"])
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(match scenario.wire {
            Wire::Usbip => Vec::new(),
            _ => vec!["-chardev", &chardev],
        })
        .args(match scenario.wire {
            Wire::Usb(controller) => {
                let options = format!("usb-redir,chardev=link{usb_capture}");
                computer.usb_device(controller, &options)
            }
            Wire::Usbip => Vec::new(),
            Wire::Serial | Wire::I2c => vec!["-serial".to_owned(), "chardev:link".to_owned()],
        });
    if let Some(device_tree) = &kernel.device_tree {
        command.arg("-dtb").arg(device_tree);
    }
    command
}
