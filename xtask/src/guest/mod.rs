//! `cargo xtask guest`: the reference device behind a real Linux kernel in QEMU.
//!
//! Each scenario boots a kernel that has MCTP over USB built in, that of a PC or that of a board with
//! an AST2600, the SoC of many BMCs. Process 1 is `guest-tests`, which runs a plan: its own commands
//! and those of `linux-requester`, the only other program. The guest's USB host controller is joined to the device by usbredir: to `virtual-device`, or to
//! UART0 of the emulated board, which runs in a QEMU of its own. Some scenarios join a serial port of
//! the guest to the device instead, for MCTP over serial, or to `virtual-device` for what is written
//! on an I2C bus in software. The scenario passes when every step of the plan did and tshark finds
//! no malformed packet in what the virtual device captured, but for those that a scenario injects.
//! The emulated board captures nothing: QEMU's own USB captures have only the first 256 bytes of a
//! transfer. They are for how full the transfers of a benchmark's stream are.
//! Where the guest sends requests at once, the device may lose those alone for which the capture
//! shows that it had no buffer.
//! In others the device is a program in the guest, which attaches itself to the kernel's own virtual
//! USB host controller by USB/IP, or is attached by Debian's `usbip`. Nothing is captured there; the
//! kernel's log and the device's are looked through in the end.
//! Some have `linux-service` in the guest, which answers over the guest's own sockets.
//! Some scenarios have Debian's nvme-cli in the guest, of an old and of a current release, whose
//! every output is checked. What its commands do is compared with `docs/nvme-cli.md`. One of them
//! runs the commands of `docs/two-wire.md`.

mod apt;
mod capture;
mod computer;
mod debian;
mod device;
mod fullness;
mod initramfs;
pub(crate) mod install;
mod kernel;
mod kernel_build;
pub(crate) mod login;
mod management;
mod nvme_cli;
mod nvme_table;
mod page;
mod parts;
mod plans;
mod scenario;
mod scenarios;
mod sockets;
mod unfinished;
mod units;
mod usbip;
mod vm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::emulate;
use crate::process::output;
use crate::project::Project;
use capture::Judged;
use computer::Computer;
use device::Devices;
use kernel::Kernel;
use nvme_table::Table;
use page::Page;
use scenario::{Scenario, Wire};

/// Where this program is in a guest.
const LINUX_REQUESTER: &str = "bin/linux-requester";

/// What `cargo xtask guest` can be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One short scenario instead of all
    #[arg(long)]
    smoke: bool,
    /// Only the scenario of this name, or if there is none, those whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// How often to run them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    times: u16,
    /// Name the scenarios and their steps, and run none
    #[arg(long)]
    list: bool,
    /// A kernel image for all scenarios on x86, instead of one for each Linux version
    #[arg(long)]
    kernel: Option<PathBuf>,
    /// Build missing kernels from Debian's sources (about 7 minutes of one processor each)
    #[arg(long)]
    build_kernel: bool,
    /// A virtual device that is already built
    #[arg(long)]
    device: Option<PathBuf>,
    /// Print what the guests print, also when they succeed
    #[arg(long)]
    verbose: bool,
    /// Write docs/nvme-cli.md from what the guests print, instead of comparing it; for that there
    /// has to be a scenario with each nvme-cli, as with --only usbip-nvme-cli
    #[arg(long)]
    write_table: bool,
    /// A shell in the guest of the scenario that runs the commands of docs/two-wire.md, in place of
    /// these commands
    #[arg(long)]
    shell: bool,
}

/// The programs that every scenario uses.
struct Programs {
    devices: Devices,
    in_guests: Vec<(Computer, GuestPrograms)>,
    tshark: Option<install::Tshark>,
    /// The folder of what is downloaded.
    tools: PathBuf,
    page: Page,
}

impl Programs {
    /// Those in a guest on this computer.
    fn in_guest(&self, computer: Computer) -> Result<&GuestPrograms> {
        let mut all = self.in_guests.iter();
        let found = all.find(|(of, _)| *of == computer);
        let (_, programs) = found.context("nothing was built for this computer")?;
        Ok(programs)
    }
}

/// The programs that every guest has.
struct GuestPrograms {
    /// Process 1.
    guest_tests: PathBuf,
    linux_requester: PathBuf,
    /// Built only if a scenario needs it.
    linux_service: Option<PathBuf>,
}

impl GuestPrograms {
    fn build(project: &Project, computer: Computer, has_service: bool) -> Result<Self> {
        let build = |package| build_for_guest(project, package, computer);
        Ok(Self {
            guest_tests: build("guest-tests")?,
            linux_requester: build("linux-requester")?,
            linux_service: match has_service {
                true => Some(build("linux-service")?),
                false => None,
            },
        })
    }
}

/// Runs the scenarios asked for; the first failure ends the run.
pub(crate) fn run(args: &Args) -> Result<()> {
    let scenarios = chosen(args)?;
    if args.list {
        scenarios.iter().for_each(|scenario| println!("{scenario}"));
        return Ok(());
    }
    let start = Instant::now();
    let project = Project::open()?;
    let programs = programs(&project, args, &scenarios)?;
    let folder = project.target_dir.join("guest");
    let mut table = Table::new(&project.root, args.write_table);
    let runs = (0..args.times).flat_map(|_| &scenarios);
    for scenario in runs {
        let kernel = match (scenario.computer, &args.kernel) {
            (Computer::X86, Some(image)) => Kernel::given(image, None)?,
            (computer, _) => kernel::find(&project, computer, scenario.linux, args.build_kernel)?,
        };
        let took = run_one(scenario, &kernel, &programs, &folder, args, &mut table)
            .with_context(|| format!("guest scenario {} failed", scenario.name))?;
        println!("guest: {}: ok, {} s", scenario.name, took.as_secs());
    }
    table.finish()?;
    println!(
        "guest: {} scenarios in {} s",
        scenarios.len() * usize::from(args.times),
        start.elapsed().as_secs()
    );
    Ok(())
}

fn chosen(args: &Args) -> Result<Vec<Scenario>> {
    let mut scenarios = if args.smoke {
        scenarios::smoke()
    } else {
        scenarios::all()
    };
    if let Some(part) = &args.only {
        scenarios.extend(scenarios::on_request());
        let is_a_name = scenarios.iter().any(|scenario| scenario.name == part);
        scenarios.retain(|scenario| match is_a_name {
            true => scenario.name == part,
            false => scenario.name.contains(part),
        });
    }
    ensure!(!scenarios.is_empty(), "no guest scenario has such a name");
    ensure!(
        !args.shell || matches!(&scenarios[..], [one] if one.runs_page()),
        "a shell is only in one scenario that runs the commands of a page: --only 7.3-two-wire-page"
    );
    Ok(scenarios)
}

fn programs(project: &Project, args: &Args, scenarios: &[Scenario]) -> Result<Programs> {
    // Only the whole run is worth the download of a newer tshark.
    let tshark = match install::installed_tshark(&project.target_dir) {
        None if !args.smoke && !args.shell => Some(install::tshark(&project.target_dir)?),
        found => found,
    };
    if tshark.is_none() && !args.shell {
        println!("guest: no tshark 4.2 or later: the captures of this smoke run are not checked");
    }
    let virtual_device = match &args.device {
        Some(device) => device
            .canonicalize()
            .context("there is no such virtual device")?,
        None => build_device(project)?,
    };
    let mut an500 = BTreeMap::new();
    for firmware in scenarios.iter().filter_map(Scenario::firmware) {
        if !an500.contains_key(firmware) {
            install::qemu(&install::ARM)?;
            let built = emulate::build(project, firmware, emulate::FEATURES)?;
            an500.insert(firmware, built);
        }
    }
    let in_the_guest = match scenarios.iter().find(|one| one.wire == Wire::Usbip) {
        Some(one) => Some(build_for_guest(project, "virtual-device", one.computer)?),
        None => None,
    };
    let mut in_guests = Vec::new();
    for scenario in scenarios {
        let computer = scenario.computer;
        if in_guests.iter().all(|(of, _)| *of != computer) {
            install::qemu(computer.qemu())?;
            let mut on_it = scenarios.iter().filter(|one| one.computer == computer);
            let has_service = on_it.any(Scenario::has_service);
            let programs = GuestPrograms::build(project, computer, has_service)?;
            in_guests.push((computer, programs));
        }
    }
    Ok(Programs {
        devices: Devices {
            virtual_device,
            in_the_guest,
            models: project.root.join("examples/virtual-device/models"),
            an500,
        },
        in_guests,
        tshark,
        tools: project.target_dir.join("guest-tools"),
        page: Page::read(&project.root)?,
    })
}

fn build_device(project: &Project) -> Result<PathBuf> {
    output(&mut release_build(project, "virtual-device"))?;
    Ok(project.target_dir.join("release/virtual-device"))
}

/// A static program, as there is no library in the guest.
fn build_for_guest(project: &Project, package: &str, computer: Computer) -> Result<PathBuf> {
    let target = computer.target();
    crate::install::targets(&[target])?;
    let mut cargo = release_build(project, package);
    // The initramfs is copied in the emulated machine: a tenth of the size starts faster.
    cargo
        .args(["--target", target])
        .env("CARGO_PROFILE_RELEASE_STRIP", "true");
    crate::install::debian(computer.compiler())?;
    if let Some(linker) = computer.linker() {
        // The processor has half of the floating-point registers that the compiler takes.
        let flags = format!("-Clinker={linker} -Ctarget-feature=+crt-static,-d32");
        cargo.env("RUSTFLAGS", flags);
    }
    output(&mut cargo)?;
    Ok(project
        .target_dir
        .join(target)
        .join("release")
        .join(package))
}

fn release_build(project: &Project, package: &str) -> Command {
    let mut cargo = project.cargo(".");
    cargo.args(["build", "--release", "--quiet", "--package", package]);
    cargo
}

fn run_one(
    scenario: &Scenario,
    kernel: &Kernel,
    programs: &Programs,
    folder: &Path,
    args: &Args,
    table: &mut Table,
) -> Result<Duration> {
    let start = Instant::now();
    let folder = folder.join(scenario.name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let initramfs = folder.join("initramfs");
    let in_guest = programs.in_guest(scenario.computer)?;
    let mut files = vec![initramfs::File {
        name: LINUX_REQUESTER.into(),
        content: std::fs::read(&in_guest.linux_requester)?,
    }];
    let mut plan = scenario.plan();
    if let Some(release) = scenario.nvme_cli {
        files.extend(release.files(&programs.tools)?);
        if scenario.runs_page() {
            files.extend(programs.page.files(release, &programs.tools)?);
        }
    }
    if let Some(release) = scenario.usbip_tool {
        files.extend(usbip::files(release, &programs.tools)?);
    }
    if let (Wire::Usbip, Some(program)) = (scenario.wire, &programs.devices.in_the_guest) {
        files.push(initramfs::File {
            name: scenario::DEVICE.into(),
            content: std::fs::read(program)?,
        });
    }
    if let (true, Some(program)) = (scenario.has_service(), &in_guest.linux_service) {
        files.push(initramfs::File {
            name: scenario::SERVICE.into(),
            content: std::fs::read(program)?,
        });
    }
    if args.shell {
        plan = plan.replace(page::RUN, page::SHELL);
    }
    std::fs::write(
        &initramfs,
        initramfs::image(&std::fs::read(&in_guest.guest_tests)?, &plan, &files),
    )?;
    let streams = scenario.full_streams();
    let usb_capture = (!streams.is_empty()).then(|| folder.join("usb.pcap"));
    let outcome = vm::run(&vm::Setup {
        scenario,
        kernel,
        initramfs: &initramfs,
        devices: &programs.devices,
        folder: &folder,
        usb_capture: usb_capture.as_deref(),
        interactive: args.shell,
    })?;
    if args.shell {
        return outcome.result.map(|()| start.elapsed());
    }
    if args.verbose || outcome.result.is_err() {
        println!("{}", outcome.log);
    }
    outcome.result?;
    if let Some(capture) = &usb_capture {
        let unit = scenario.mtu as usize - 4;
        for fullness in fullness::check(capture, &streams, unit, scenario.max_transfer())? {
            println!("guest: {}: {fullness}", scenario.name);
        }
    }
    if scenario.runs_page() {
        let checked = programs.page.check(&outcome.log);
        let commands = checked.inspect_err(|_| println!("{}", outcome.log))?;
        println!("guest: {}: {commands} commands as printed", scenario.name);
    }
    if let (Some(release), true) = (scenario.nvme_cli, scenario.runs_nvme_cli()) {
        let taken = table.take(release, &outcome.log);
        if let Some(commands) = taken.inspect_err(|_| println!("{}", outcome.log))? {
            println!("guest: {}: {commands} commands of nvme-cli", scenario.name);
        }
    }
    if scenario.asks_at_once() {
        check_requests(scenario, &outcome.log, &outcome.captures)
            .inspect_err(|_| println!("{}", outcome.log))?;
    }
    if scenario.has_units() {
        check_units(scenario, &outcome.captures)?;
    }
    if let Some(tshark) = &programs.tshark {
        let (judged, whose) = if scenario.well_formed {
            (Judged::All, "packets")
        } else {
            (Judged::Sent, "packets of the device")
        };
        for capture in &outcome.captures {
            let packets = capture::check(tshark, capture, judged)?;
            if scenario.nvme_cli.is_some() {
                let longest = capture::longest_sent(tshark, capture)?;
                ensure!(
                    longest == scenario.mtu,
                    "the longest packet of the device has {longest} bytes instead of {}",
                    scenario.mtu
                );
            }
            println!("guest: {}: tshark decoded {packets} {whose}", scenario.name);
        }
    }
    Ok(start.elapsed())
}

/// Says what became of requests at once, and checks that the device lost none without need.
fn check_requests(scenario: &Scenario, log: &str, captures: &[PathBuf]) -> Result<()> {
    let name = scenario.name;
    for report in unfinished::reports(log) {
        println!("guest: {name}: at once: {report}");
    }
    for capture in captures {
        let limit = scenario.messages_at_once();
        let requests = unfinished::check(capture, log, limit)?;
        println!("guest: {name}: {requests}");
    }
    Ok(())
}

/// Checks that the device's packets had the length of each transmission unit that the plan set.
fn check_units(scenario: &Scenario, captures: &[PathBuf]) -> Result<()> {
    let mut set = Vec::new();
    for capture in captures {
        let periods = units::check(capture, scenario.device_unit())?;
        set.extend(periods.iter().skip(1).map(|period| period.unit));
    }
    ensure!(
        set == scenario.units(),
        "transmission units were set to {set:?} instead of {:?}",
        scenario.units()
    );
    println!(
        "guest: {}: the device's longest packets had the transmission unit of {}, and of {set:?} when set",
        scenario.name,
        scenario.device_unit()
    );
    Ok(())
}

/// The output of a command of which only the first line matters.
fn first_line(command: &mut Command) -> Option<String> {
    Some(output(command).ok()?.lines().next()?.to_owned())
}

/// A folder that has to exist, or a clear sentence.
fn required(path: PathBuf, what: &str) -> Result<PathBuf> {
    if !path.exists() {
        bail!("{what} is missing: {}", path.display());
    }
    Ok(path)
}
