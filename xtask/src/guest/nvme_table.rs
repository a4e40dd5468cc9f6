//! `docs/nvme-cli.md`: which commands of nvme-cli work with the reference device, from what the
//! guests print that run them.
//!
//! `cargo xtask guest --only usbip-nvme-cli --write-table` writes the page. Every scenario that runs
//! these commands compares what it printed with its column of the page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::nvme_cli::Release;

/// The page, from the root of the repository.
const PAGE: &str = "docs/nvme-cli.md";
/// How a run of nvme-cli begins in what a guest prints.
const RUN: &str = "nvme ";

/// The columns of the table.
const COLUMNS: [(Release, &str); 2] = [(Release::Bookworm, "2.3"), (Release::Trixie, "2.13")];

/// What the commands are for, in the order of the table.
const COMMANDS: &[(&str, &str)] = &[
    ("id-ctrl", "Identify: a controller"),
    (
        "id-ns",
        "Identify: a namespace; with `--force` one that is not attached",
    ),
    ("ns-descs", "Identify: a namespace's identifiers"),
    (
        "list-ns",
        "Identify: the namespaces; with `-a` those that are not attached too",
    ),
    (
        "list-ctrl",
        "Identify: the controllers, or those that a namespace is attached to",
    ),
    (
        "primary-ctrl-caps",
        "Identify: the capabilities of a primary controller",
    ),
    (
        "list-secondary",
        "Identify: the secondary controllers, of which there are none",
    ),
    ("get-log", "any log page, by its identifier"),
    ("supported-log-pages", "which log pages there are"),
    ("smart-log", "health: temperature, spare, wear, counters"),
    ("error-log", "the commands that failed, newest first"),
    (
        "effects-log",
        "which commands there are, and what they affect",
    ),
    ("fw-log", "the firmware slots and the revision in each"),
    (
        "self-test-log",
        "the self-test under way, and the results of the last ones",
    ),
    ("sanitize-log", "how far a sanitize operation is"),
    ("changed-ns-list-log", "the namespaces that changed"),
    ("telemetry-log", "telemetry, captured by the host's request"),
    ("get-feature", "a feature: current, default or saved value"),
    (
        "set-feature",
        "sets a feature; by its opcode: `admin-passthru --opcode=0x09`",
    ),
    (
        "create-ns",
        "makes a namespace; by its opcode: `admin-passthru --opcode=0x0d`",
    ),
    ("attach-ns", "attaches a namespace to controllers"),
    ("detach-ns", "detaches one"),
    ("delete-ns", "deletes one"),
    (
        "device-self-test",
        "starts or aborts a self-test; by its opcode: `admin-passthru --opcode=0x14`",
    ),
    (
        "format",
        "formats a namespace: LBA format, cryptographic erase",
    ),
    (
        "sanitize",
        "sanitizes the whole NVM subsystem; it takes 5 s",
    ),
    (
        "fw-download",
        "downloads a firmware image, or a part of one",
    ),
    ("fw-commit", "stores and activates it"),
    (
        "security-recv",
        "which security protocols there are: only their list",
    ),
    (
        "security-send",
        "the device has no protocol that takes data",
    ),
    (
        "admin-passthru",
        "any Admin command that NVMe-MI allows, by its opcode",
    ),
    ("reset", "resets a controller through its registers"),
    (
        "subsystem-reset",
        "the same for the NVM subsystem; over NVMe-MI: `linux-requester reset-subsystem`",
    ),
    ("show-regs", "the registers of a controller"),
    ("virt-mgmt", "resources of secondary controllers"),
    ("read", "I/O, which NVMe-MI does not have"),
    ("flush", "the same"),
    ("io-passthru", "the same, by its opcode"),
];

/// How a command fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// nvme-cli does not send it over MCTP.
    NotOverMctp,
    /// The device refuses it.
    Refused,
    Works,
}

const FATES: [Fate; 3] = [Fate::NotOverMctp, Fate::Refused, Fate::Works];

impl Fate {
    fn cell(self) -> &'static str {
        match self {
            Self::NotOverMctp => "not over MCTP",
            Self::Refused => "refused",
            Self::Works => "yes",
        }
    }
}

/// The fate of each command, by its name.
type Column = BTreeMap<String, Fate>;

/// The page, and what guests printed.
pub(super) struct Table {
    path: PathBuf,
    /// To be written; else what is printed has to be what the page has.
    columns: Option<BTreeMap<Release, Column>>,
}

impl Table {
    /// The page in the repository at `root`, which is written at the end if `write` says so.
    pub(super) fn new(root: &Path, write: bool) -> Self {
        Self {
            path: root.join(PAGE),
            columns: write.then(BTreeMap::new),
        }
    }

    /// Takes what a guest printed with this nvme-cli, or compares it with the page. How many commands
    /// that are; `None` for a release that is not on the page.
    pub(super) fn take(&mut self, release: Release, log: &str) -> Result<Option<usize>> {
        let column = COLUMNS.iter().find(|(of, _)| *of == release);
        let Some((_, version)) = column else {
            return Ok(None);
        };
        let found = column_of(log)?;
        let count = found.len();
        match &mut self.columns {
            Some(columns) => drop(columns.insert(release, found)),
            None => {
                let page = fs::read_to_string(&self.path);
                let page = page.with_context(|| format!("cannot read {PAGE}"))?;
                let mut listed = columns_on(&page)?;
                compare(
                    &listed.remove(&release).unwrap_or_default(),
                    version,
                    &found,
                )?;
            }
        }
        Ok(Some(count))
    }

    /// Writes the page, if that is asked for.
    pub(super) fn finish(&self) -> Result<()> {
        let Some(columns) = &self.columns else {
            return Ok(());
        };
        fs::write(&self.path, page(columns)?).with_context(|| format!("cannot write {PAGE}"))?;
        println!("guest: {PAGE} is written");
        Ok(())
    }
}

/// What became of each command in a guest's log.
fn column_of(log: &str) -> Result<Column> {
    let mut column = Column::new();
    for line in log.lines() {
        let Some((command, said)) = line.strip_prefix(RUN).and_then(|run| run.split_once(": "))
        else {
            continue;
        };
        let name = command.split(' ').next().unwrap_or_default();
        let Some(fate) = fate(said) else {
            continue;
        };
        ensure!(
            COMMANDS.iter().any(|(known, _)| *known == name),
            "the table of {PAGE} has no words for `nvme {name}`"
        );
        let best = column.entry(name.to_owned()).or_insert(fate);
        *best = fate.max(*best);
    }
    ensure!(!column.is_empty(), "the guest ran no command of nvme-cli");
    Ok(column)
}

/// How a command fared of which the guest says this; `None` if it says nothing of that.
fn fate(said: &str) -> Option<Fate> {
    if said == "not over MCTP" {
        return Some(Fate::NotOverMctp);
    }
    if said.starts_with("NVMe status:") || said.starts_with("NVMe-MI status:") {
        return Some(Fate::Refused);
    }
    let works = said.ends_with(" bytes") || said.starts_with("exit status: 0,");
    works.then_some(Fate::Works)
}

fn page(columns: &BTreeMap<Release, Column>) -> Result<String> {
    let mut text = String::from(
        "# nvme-cli and the reference device\n\n\
         What the commands of nvme-cli 2.3 (Debian 12) and 2.13 (Debian 13) do over MCTP, as in\n\
         `nvme id-ctrl mctp:1,9`, with the device that `virtual-device` is by default.\n\n\
         - `yes`: it works. What it printed was checked field by field.\n\
         - `refused`: the device answers with an error, as it has to.\n\
         - `not over MCTP`: this nvme-cli sends it only to drives with a device file.\n\n\
         `cargo xtask guest --only usbip-nvme-cli --write-table` wrote this page from what nvme-cli\n\
         printed in a guest. Every guest that runs nvme-cli compares it.\n\n",
    );
    let versions = COLUMNS.map(|(_, version)| version).join(" | ");
    writeln!(text, "| command | what it is for | {versions} |")?;
    writeln!(text, "|-|-|{}", "-|".repeat(COLUMNS.len()))?;
    for (name, purpose) in COMMANDS {
        write!(text, "| `{name}` | {purpose} |")?;
        for (release, version) in COLUMNS {
            let column = columns.get(&release);
            let column = column.with_context(|| format!("no guest had nvme-cli {version}"))?;
            let Some(fate) = column.get(*name) else {
                bail!("no guest ran `nvme {name}` of nvme-cli {version}");
            };
            write!(text, " {} |", fate.cell())?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// The columns of the page.
fn columns_on(page: &str) -> Result<BTreeMap<Release, Column>> {
    let mut columns = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, fates @ ..] = &cells[..] else {
            bail!("{PAGE} has a row without a column: {row}");
        };
        for ((release, _), cell) in COLUMNS.into_iter().zip(fates) {
            let fate = FATES.into_iter().find(|fate| fate.cell() == *cell);
            let fate = fate.with_context(|| format!("{PAGE} says `{cell}` of {name}"))?;
            let column: &mut Column = columns.entry(release).or_default();
            column.insert(name.trim_matches('`').to_owned(), fate);
        }
    }
    Ok(columns)
}

/// Whether this is what the page has of a version.
fn compare(listed: &Column, version: &str, printed: &Column) -> Result<()> {
    for name in listed.keys().chain(printed.keys()) {
        let (listed, printed) = (listed.get(name), printed.get(name));
        let cell = |fate: Option<&Fate>| fate.map_or("nothing", |fate| fate.cell());
        ensure!(
            listed == printed,
            "{PAGE} says of `nvme {name}` of version {version}: {}, and the guest: {}; \
             `cargo xtask guest --only usbip-nvme-cli --write-table` writes the page anew",
            cell(listed),
            cell(printed)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
--- step 1 of 2: linux-requester nvme-check
nvme id-ctrl -o json: 5000 bytes
nvme id-ctrl -o json: NVMe-MI status: Invalid Parameter(0x4)
nvme set-feature -f 4: not over MCTP
nvme fw-download --fw=/tmp/image --offset=0: exit status: 0, Firmware download success
nvme security-send --secp=0: NVMe status: Invalid Field(0x4002)
nvme id-ns: killed on its way: true
";

    fn found() -> Column {
        column_of(LOG).unwrap()
    }

    #[test]
    fn a_command_is_judged_by_the_best_that_came_of_it() {
        let fates: Vec<_> = found().into_iter().collect();
        let expected = [
            ("fw-download", Fate::Works),
            ("id-ctrl", Fate::Works),
            ("security-send", Fate::Refused),
            ("set-feature", Fate::NotOverMctp),
        ];
        assert_eq!(fates, expected.map(|(name, fate)| (name.to_owned(), fate)));
    }

    #[test]
    fn a_command_without_words_is_an_error() {
        assert!(column_of("nvme dance: 3 bytes\n").is_err());
        assert!(column_of("nothing\n").is_err());
    }

    #[test]
    fn a_change_of_a_column_is_found() {
        let found = found();
        compare(&found, "2.3", &found).unwrap();
        for change in [
            |column: &mut Column| column.insert("id-ctrl".into(), Fate::Refused),
            |column: &mut Column| column.remove("id-ctrl"),
            |column: &mut Column| column.insert("id-ns".into(), Fate::Works),
        ] {
            let mut other = found.clone();
            change(&mut other);
            assert!(compare(&found, "2.3", &other).is_err());
        }
    }

    /// Its columns are compared by the guests, and the rest of it here.
    #[test]
    fn the_page_in_the_repository_is_as_it_is_written() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = fs::read_to_string(root.join(PAGE)).unwrap();
        assert_eq!(page(&columns_on(&text).unwrap()).unwrap(), text);
    }

    #[test]
    fn a_page_is_not_written_without_a_version_or_a_command() {
        let columns = BTreeMap::from([(Release::Bookworm, found())]);
        assert!(page(&columns).is_err());
    }
}
