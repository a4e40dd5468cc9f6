//! `cargo xtask seal`, and the loader on the emulated board: it boots the firmware of the emulated
//! board, and refuses it in every damaged form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use elf_loader::mutilations::MUTILATIONS;
use elf_loader::{Program, Refusal};
use tempfile::TempDir;

use crate::emulate;
use crate::guest::install;
use crate::process::output;
use crate::project::Project;
use crate::shipped::{self, TARGET};
use memory::{IMAGE_ADDRESS, IMAGE_LEN, MEMORY, REFUSED};

#[path = "../../examples/qemu-an500-boot/src/memory.rs"]
mod memory;

const LOADER: &str = "qemu-an500-boot";

/// The Nucleo's firmware, and the folder of its loader, which cannot run here.
const NUCLEO_FIRMWARE: &str = "nucleo-h7s3";
const NUCLEO_LOADER: &str = "examples/nucleo-h7s3-boot";

/// What the firmware says first on its second UART.
const SIGN_OF_LIFE: &str = "UUID";
/// Far more than a loader needs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Random inputs for each property test of the checks.
const CASES: u32 = 4096;
/// Single bits of the image that are changed, evenly distributed, beside the mutilations with a
/// name.
const BITS: usize = 16;

/// Arguments of `cargo xtask seal`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The firmware as the linker made it, an ELF file
    file: PathBuf,
    /// Where the image goes; FILE with `.image` behind its name if not given
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Makes an image for the loader's flash.
pub(crate) fn seal(args: &Args) -> Result<()> {
    let image = sealed(&args.file)?;
    let target = args.output.clone().unwrap_or_else(|| {
        let mut name = args.file.clone().into_os_string();
        name.push(".image");
        name.into()
    });
    fs::write(&target, &image).with_context(|| format!("cannot write {}", target.display()))?;
    println!(
        "{}: {} bytes, for the start of the loader's flash",
        target.display(),
        image.len()
    );
    Ok(())
}

fn sealed(file: &Path) -> Result<Vec<u8>> {
    let mut image = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let len = elf_loader::seal(&mut image)
        .with_context(|| format!("{} cannot be sealed", file.display()))?;
    image.truncate(len);
    Ok(image)
}

/// The step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<String> {
    install::qemu(&install::ARM)?;
    let mut tests = project.cargo(".");
    tests.args(["test", "--locked", "--package", "elf-loader"]);
    output(tests.env("PROPTEST_CASES", CASES.to_string()))?;

    // This installs the target too.
    let firmware = emulate::build(project, emulate::FIRMWARE, &["loaded"])?;
    let loader = build(project, LOADER)?;
    let image = sealed(&firmware)?;
    let board = Board::new(&loader)?;

    let start = Instant::now();
    board.boots(&image)?;
    let seconds = start.elapsed().as_secs_f32();
    board.refuses(&fs::read(&firmware)?, "not sealed", |refusal| {
        *refusal == Refusal::NotSealed
    })?;
    board.refuses_mutilated(&image)?;
    check_for_nucleo(project)?;
    Ok(format!(
        "{} bytes booted in {seconds:.1} s, {} mutilated images refused; the Nucleo's firmware is right for its loader",
        image.len(),
        1 + MUTILATIONS.len() + BITS
    ))
}

/// That the firmware of the Nucleo passes the checks of its loader: the build script of the loader
/// has them made.
fn check_for_nucleo(project: &Project) -> Result<()> {
    let firmware = build(project, NUCLEO_FIRMWARE)?;
    let mut cargo = shipped::build(project, NUCLEO_LOADER);
    output(cargo.env("FIRMWARE", firmware)).map(drop)
}

/// The program in `examples/NAME`.
fn build(project: &Project, name: &str) -> Result<PathBuf> {
    output(&mut shipped::build(project, &format!("examples/{name}")))?;
    Ok(project.target_dir.join(TARGET).join("release").join(name))
}

/// The emulated board with the loader, and the files that QEMU reads and writes.
struct Board<'l> {
    loader: &'l Path,
    files: TempDir,
}

impl<'l> Board<'l> {
    fn new(loader: &'l Path) -> Result<Self> {
        let files = tempfile::tempdir()?;
        Ok(Self { loader, files })
    }

    /// That the program in `image` is started, and lives.
    fn boots(&self, image: &[u8]) -> Result<()> {
        let flash = with_erased_flash(image);
        let program = Program::check(&flash, &MEMORY)?;
        let mut qemu = Running(self.power_on(&flash)?);
        let (deadline, log) = (Instant::now() + PATIENCE, self.files.path().join("log"));
        let mut text = String::new();
        while !text.contains(SIGN_OF_LIFE) {
            if Instant::now() > deadline || qemu.0.try_wait()?.is_some() {
                bail!(
                    "the firmware did not start; its log: {text:?}; {}",
                    self.said()?
                );
            }
            sleep(Duration::from_millis(20));
            text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        }
        let entry = program.start().entry & !1;
        let said = self.said()?;
        if said != format!("starting the program at {entry:08X}h\n") {
            bail!("the loader said {said:?}");
        }
        Ok(())
    }

    /// That the loader refuses `image` with each mutilation, and with a bit changed anywhere.
    fn refuses_mutilated(&self, image: &[u8]) -> Result<()> {
        for mutilation in MUTILATIONS {
            self.refuses(&mutilation.of(image), mutilation.name, |refusal| {
                mutilation.explains(refusal)
            })?;
        }
        for n in 0..BITS {
            let mut changed = image.to_vec();
            let bit = image.len() * 8 / BITS * n + n % 8;
            changed[bit / 8] ^= 1 << (bit % 8);
            self.refuses(&changed, &format!("bit {bit} changed"), |_| true)?;
        }
        Ok(())
    }

    /// That the loader refuses `image` as the library does here, and nothing else happens.
    fn refuses(&self, image: &[u8], name: &str, right: impl Fn(&Refusal) -> bool) -> Result<()> {
        let flash = with_erased_flash(image);
        let refusal = match Program::check(&flash, &MEMORY) {
            Err(refusal) if right(&refusal) => refusal,
            other => bail!(
                "image `{name}`: here {:?}",
                other.map(|program| program.start())
            ),
        };
        let mut qemu = Running(self.power_on(&flash)?);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = qemu.0.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("image `{name}`: the loader does not end; {}", self.said()?);
            }
            sleep(Duration::from_millis(2));
        };
        let said = self.said()?;
        if status.code() != Some(REFUSED) || said != format!("nothing is started: {refusal}\n") {
            bail!(
                "image `{name}`: QEMU ended with {status}, not {REFUSED} and {refusal:?}; {said}"
            );
        }
        Ok(())
    }

    /// QEMU with `flash` in memory, its UARTs and the words of the loader in files.
    fn power_on(&self, flash: &[u8]) -> Result<Child> {
        let [image, log, said] = ["image", "log", "said"].map(|name| self.files.path().join(name));
        fs::write(&image, flash)?;
        let said = fs::File::create(said)?;
        let mut qemu = emulate::qemu(self.loader);
        // With a network, QEMU has nothing to warn about among the words of the loader.
        qemu.args(["-nic", "user"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .args(["-serial", "null", "-serial"])
            .arg(format!("file:{}", log.display()))
            .arg("-device")
            .arg(format!(
                "loader,file={},addr={IMAGE_ADDRESS:#x},force-raw=on",
                image.display()
            ))
            .stdin(Stdio::null())
            .stderr(said.try_clone()?)
            .stdout(said);
        qemu.spawn().context("cannot start qemu-system-arm")
    }

    /// What the loader said.
    fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(self.files.path().join("said"))?)
    }
}

/// QEMU, which ends at the latest when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The flash with `image` at its start.
fn with_erased_flash(image: &[u8]) -> Vec<u8> {
    let mut flash = image.to_vec();
    flash.resize(IMAGE_LEN, 0xFF);
    flash
}
