//! What is in the guest: programs, the first process, the greeting.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::guest::computer::Computer;
use crate::guest::debian::{Architecture, Unpacked};
use crate::guest::initramfs::{File, PLAN};

/// The Debian release of the guest's programs.
const RELEASE: &str = "trixie";
/// The line behind the output of commands, with their exit code.
pub(super) const END: &str = "@login end ";
/// The line in place of this if the device could not be taken into service.
pub(super) const FAILED: &str = "@login failed";

/// The size and kind of the terminal on which the guest's console is.
pub(super) struct Terminal {
    pub(super) name: String,
    /// Rows and columns, if they are known.
    pub(super) size: Option<(u16, u16)>,
}

/// What the guest's file system is made of.
pub(super) struct Content<'a> {
    pub(super) computer: Computer,
    /// `linux-requester`.
    pub(super) requester: &'a Path,
    /// `virtual-device`, for a guest to which a second one can be attached.
    pub(super) device: Option<&'a Path>,
    /// That of the person; none if commands are run.
    pub(super) terminal: Option<Terminal>,
    pub(super) commands: &'a str,
}

impl Content<'_> {
    /// The programs, their libraries, and the greeting.
    pub(super) fn files(&self, tools: &Path) -> Result<Vec<File>> {
        let (architecture, packages, programs): (_, &[&str], &[_]) = match self.computer {
            Computer::X86 => (
                Architecture::Amd64,
                &["busybox-static", "nvme-cli", "usbip"],
                &[
                    ("usr/sbin/nvme", "bin/nvme"),
                    ("usr/sbin/usbip", "bin/usbip"),
                ],
            ),
            // Its kernel has no virtual USB host controller.
            Computer::Ast2600 => (
                Architecture::Armhf,
                &["busybox-static", "nvme-cli"],
                &[("usr/sbin/nvme", "bin/nvme")],
            ),
        };
        let root = tools.join(format!("login-{}-{RELEASE}", architecture.name()));
        let unpacked = Unpacked::fetch(&root, architecture, RELEASE, packages)?;
        let mut files = unpacked.programs(programs)?;
        files.push(file("bin/busybox", &unpacked.path("usr/bin/busybox"))?);
        files.push(file("bin/linux-requester", self.requester)?);
        if let Some(device) = self.device {
            files.push(file("bin/virtual-device", device)?);
        }
        files.push(text(
            "bin/mctp",
            "#!/bin/sh\nexec linux-requester \"$@\"\n".into(),
        ));
        files.push(text("etc/greeting", self.greeting()));
        Ok(files)
    }

    /// The script that is the first process. It takes the device into service. It says at the second
    /// serial port when the machine can be switched off; nobody may be listening.
    pub(super) fn init(&self) -> String {
        let port = self.computer.device_port();
        let size = self.terminal.as_ref().and_then(|terminal| terminal.size);
        let size = size.map_or_else(String::new, |(rows, columns)| {
            format!("stty rows {rows} cols {columns}\n")
        });
        let rest = match &self.terminal {
            Some(terminal) => format!(
                "{size}export TERM='{}'\n\
                 if take_into_service; then cat /etc/greeting; else cat /tmp/setup.log; fi\n\
                 setsid cttyhack sh\n\
                 echo off 2> /dev/null > {port}\n\
                 sleep 2\n\
                 reboot -f\n",
                terminal.name.replace('\'', "")
            ),
            None => format!(
                "if take_into_service; then\n\
                 sh {PLAN} < /dev/null\n\
                 echo \"{END}$?\"\n\
                 else cat /tmp/setup.log; echo '{FAILED}'; fi\n"
            ),
        };
        format!("{INIT}{rest}while :; do sleep 1000; done\n")
    }

    fn greeting(&self) -> String {
        let computer = match self.computer {
            Computer::X86 => "a PC",
            Computer::Ast2600 => "a board with an AST2600",
        };
        let second = match self.device {
            Some(_) => SECOND_DEVICE,
            None => "",
        };
        format!(
            "\nLinux on {computer}.\nThe virtual device is MCTP endpoint 9 on mctpusb0. Try\n\
             \n{EXAMPLES}{second}\n`exit` switches this machine off; so does Ctrl-A x.\n\n"
        )
    }
}

const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp PS1='# '
cd /tmp
hostname guest
# For usbip: what it attached, and the names of vendors, of which it needs none.
mkdir -p /var/run /usr/share/misc
: > /usr/share/misc/usb.ids
ip link set lo up
# Short messages at full speed fill what Linux keeps of packets before it looks at them.
echo 100000 > /proc/sys/net/core/netdev_max_backlog
take_into_service() {
    linux-requester wait-interface --timeout 60 > setup.log 2>&1 &&
        linux-requester setup usb --eid 9 --wait 3000 >> setup.log 2>&1
}
"#;

const EXAMPLES: &str = "  \
  linux-requester echo 9 --size 4096     an echo, each byte checked
  linux-requester control 9 05           which message types it has
  linux-requester bench 9                how fast it sends
  nvme id-ctrl mctp:1,9                  its NVMe controller, over NVMe-MI
  nvme smart-log mctp:1,9                its temperature and health
  mctp link set mctpusb0 mtu 251         the words of the MCTP tools
  linux-requester --help                 all of them
";

const SECOND_DEVICE: &str = "  \
  virtual-device usbip --log warn &      a second device, by USB/IP:
  usbip attach -r 127.0.0.1 -b 1-1
  linux-requester setup mctpusb1 --eid 10
";

fn file(name: &str, path: &Path) -> Result<File> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(File {
        name: name.to_owned(),
        content,
    })
}

fn text(name: &str, text: String) -> File {
    File {
        name: name.to_owned(),
        content: text.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(computer: Computer, terminal: Option<Terminal>) -> Content<'static> {
        Content {
            computer,
            requester: Path::new("requester"),
            device: (computer == Computer::X86).then_some(Path::new("device")),
            terminal,
            commands: "",
        }
    }

    fn terminal(name: &str, size: Option<(u16, u16)>) -> Option<Terminal> {
        Some(Terminal {
            name: name.to_owned(),
            size,
        })
    }

    #[test]
    fn a_shell_has_the_size_of_the_terminal_and_ends_at_the_second_serial_port() {
        let init = content(Computer::Ast2600, terminal("a'b", Some((40, 132)))).init();
        assert!(init.contains("\nstty rows 40 cols 132\n"), "{init}");
        assert!(init.contains("\nexport TERM='ab'\n"), "{init}");
        assert!(init.contains("\nsetsid cttyhack sh\necho off 2> /dev/null > /dev/ttyS0\n"));
        assert!(!init.contains(PLAN));
        assert!(
            !content(Computer::X86, terminal("x", None))
                .init()
                .contains("stty")
        );
    }

    #[test]
    fn commands_are_run_only_with_the_device_in_service_and_then_their_exit_code_is_said() {
        let init = content(Computer::X86, None).init();
        let run = format!("then\nsh {PLAN} < /dev/null\necho \"{END}$?\"\nelse ");
        assert!(init.contains(&run), "{init}");
        assert!(!init.contains("setsid"));
    }

    #[test]
    fn the_greeting_fits_a_terminal_and_names_only_what_is_there() {
        let of = |computer| content(computer, None).greeting();
        assert!(of(Computer::X86).contains("usbip attach"));
        assert!(!of(Computer::Ast2600).contains("usbip"));
        for greeting in [Computer::X86, Computer::Ast2600].map(of) {
            assert!(greeting.lines().count() <= 24);
            assert!(greeting.lines().all(|line| line.chars().count() <= 80));
        }
    }
}
