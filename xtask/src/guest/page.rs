//! The commands of `docs/two-wire.md`, run in a guest's shell as they are printed. What they print
//! is compared with the page.
//!
//! In a block of the kind `console`, a line that begins with `# ` is a command for the guest, and
//! what follows is all that it prints. A line that begins with `$ ` is a command for the computer
//! on which the guest runs. Only milliseconds may differ.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::apt::{self, Apt};
use super::initramfs::File;
use super::nvme_cli::Release;

/// The page, from the root of the repository.
const PAGE: &str = "docs/two-wire.md";
/// The last line of a plan that runs the page's commands.
pub(super) const RUN: &str = "shell /page";
/// The same for a person.
pub(super) const SHELL: &str = "shell";
/// A line of the guest that says which command is next, or how many there were.
const MARK: &str = "@page ";
const END: &str = "@page end";

/// What the page has for the guest.
pub(super) struct Page(Vec<Command>);

#[derive(Debug, PartialEq)]
struct Command {
    text: String,
    /// All that it prints, as on the page.
    output: Vec<String>,
}

impl Page {
    /// Reads the page in the repository at `root`.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(PAGE));
        Self::parse(&text.with_context(|| format!("cannot read {PAGE}"))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut commands: Vec<Command> = Vec::new();
        // Whether output is that of a command for the guest; nothing outside of the blocks.
        let mut block: Option<bool> = None;
        for line in text.lines() {
            block = match (block, line) {
                (None, "```console") => Some(false),
                (None, _) | (Some(_), "```") => None,
                (Some(of_guest), _) => {
                    if let Some(command) = line.strip_prefix("# ") {
                        commands.push(Command {
                            text: command.to_owned(),
                            output: Vec::new(),
                        });
                        Some(true)
                    } else if line.starts_with("$ ") {
                        Some(false)
                    } else {
                        let last = commands.last_mut().filter(|_| of_guest);
                        if let Some(command) = last {
                            command.output.push(line.to_owned());
                        }
                        Some(of_guest)
                    }
                }
            };
        }
        ensure!(!commands.is_empty(), "{PAGE} has no command for a guest");
        Ok(Self(commands))
    }

    /// What the guest needs beyond its two programs: a shell, nvme-cli under its name, and the
    /// script. `mctp` is `linux-requester`, which takes the same words.
    pub(super) fn files(&self, release: Release, tools: &Path) -> Result<Vec<File>> {
        let folder = release.folder();
        let nvme = format!("/{folder}/loader --library-path /{folder} /{folder}/nvme");
        Ok(vec![
            File {
                name: "bin/busybox".to_owned(),
                content: busybox(release, tools)?,
            },
            wrapper("nvme", &nvme),
            wrapper("mctp", "/bin/linux-requester"),
            wrapper("guest-tests", "/init"),
            File {
                name: "page".to_owned(),
                content: self.script().into_bytes(),
            },
        ])
    }

    /// Runs command after command, and ends at the first that fails.
    fn script(&self) -> String {
        let commands = (1..).zip(&self.0).map(|(number, command)| {
            let Command { text, .. } = command;
            format!("echo '{MARK}{number}'\n{text}\n[ $? = 0 ] || exit 1\n")
        });
        format!("{}echo '{END}'\n", commands.collect::<String>())
    }

    /// Checks that the guest printed what the page shows; how many commands there are.
    pub(super) fn check(&self, log: &str) -> Result<usize> {
        let mut printed: Vec<Vec<&str>> = Vec::new();
        for line in log.lines() {
            if line.starts_with(MARK) {
                printed.push(Vec::new());
            } else if let Some(lines) = printed.last_mut() {
                lines.push(line);
            }
        }
        // The last mark is that of the end.
        ensure!(
            printed.len() == self.0.len() + 1,
            "the guest came to command {} of {} in {PAGE}",
            printed.len(),
            self.0.len()
        );
        for (command, printed) in self.0.iter().zip(printed) {
            compare(command, &printed)?;
        }
        Ok(self.0.len())
    }
}

fn compare(command: &Command, printed: &[&str]) -> Result<()> {
    let shown = command.output.iter().map(|line| timeless(line));
    if !shown.eq(printed.iter().map(|line| timeless(line))) {
        bail!(
            "`{}` in {PAGE} prints\n{}\ninstead of\n{}",
            command.text,
            printed.join("\n"),
            command.output.join("\n")
        );
    }
    Ok(())
}

/// A line without the number before ` ms`.
fn timeless(line: &str) -> String {
    match line.split_once(" ms") {
        Some((before, behind)) => {
            let before = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}? ms{behind}")
        }
        None => line.to_owned(),
    }
}

/// A program of the guest that is another one.
fn wrapper(name: &str, program: &str) -> File {
    File {
        name: format!("bin/{name}"),
        content: format!("#!/bin/sh\nexec {program} \"$@\"\n").into_bytes(),
    }
}

/// Debian's static BusyBox, downloaded to `tools` if it is not there.
fn busybox(release: Release, tools: &Path) -> Result<Vec<u8>> {
    let program = tools.join("busybox");
    if !program.exists() {
        println!("downloading busybox-static of Debian {}", release.name());
        let download = program.with_extension("download");
        // What an earlier try left.
        if download.exists() {
            fs::remove_dir_all(&download)?;
        }
        fs::create_dir_all(&download)?;
        let package = Apt::of_suites(release.name(), &download)?.download("busybox-static")?;
        let unpacked = download.join("root");
        apt::unpack(&package, &unpacked)?;
        let places = ["usr/bin/busybox", "bin/busybox"].map(|place| unpacked.join(place));
        let place = places.iter().find(|place| place.exists());
        let place = place.context("Debian's busybox-static has another layout than expected")?;
        // The name it is looked for under only when it is complete.
        fs::rename(place, &program)?;
        fs::remove_dir_all(download)?;
    }
    fs::read(&program).with_context(|| format!("cannot read {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A heading

```console
$ qemu
a guest
# mctp one
# mctp two
2 after 7 ms
two more
```

# Another
not output

```sh
# not for the guest
```
";

    fn command(text: &str, output: &[&str]) -> Command {
        Command {
            text: text.to_owned(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn commands_for_the_guest_are_those_with_its_prompt_in_console_blocks() {
        let page = Page::parse(TEXT).unwrap();
        let expected = [
            command("mctp one", &[]),
            command("mctp two", &["2 after 7 ms", "two more"]),
        ];
        assert_eq!(page.0, expected);
        assert!(Page::parse("# A heading\n").is_err());
    }

    #[test]
    fn every_command_is_run_as_it_is_printed() {
        let script = Page::parse(TEXT).unwrap().script();
        assert_eq!(
            script,
            "echo '@page 1'\nmctp one\n[ $? = 0 ] || exit 1\n\
             echo '@page 2'\nmctp two\n[ $? = 0 ] || exit 1\necho '@page end'\n"
        );
    }

    #[test]
    fn all_that_a_command_prints_is_on_the_page_but_for_milliseconds() {
        let page = Page::parse(TEXT).unwrap();
        let log = |one: &str, two: &str| format!("x\n@page 1\n{one}@page 2\n{two}@page end\ny\n");
        let two = "2 after 12 ms\ntwo more\n";
        assert_eq!(page.check(&log("", two)).unwrap(), 2);
        assert!(page.check(&log("more\n", two)).is_err());
        assert!(page.check(&log("", "2 after 12 ms\n")).is_err());
        assert!(page.check(&log("", "3 after 12 ms\ntwo more\n")).is_err());
        assert!(page.check("@page 1\n@page end\n").is_err());
    }

    #[test]
    fn the_computers_own_commands_on_the_page_are_good_ones() {
        use clap::Parser;

        #[derive(Parser)]
        struct Guest {
            #[command(flatten)]
            args: super::super::Args,
        }

        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = fs::read_to_string(root.join(PAGE)).unwrap();
        let commands = text.lines().filter_map(|line| line.strip_prefix("$ "));
        let mut count = 0;
        for command in commands {
            let words = command.strip_prefix("cargo xtask ").unwrap();
            let Guest { args } = Guest::try_parse_from(words.split_whitespace()).unwrap();
            assert_eq!(super::super::chosen(&args).unwrap().len(), 1, "{command}");
            count += 1;
        }
        assert!(count > 0);
    }
}
