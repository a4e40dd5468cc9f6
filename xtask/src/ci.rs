//! `cargo xtask ci`: the list of checks, and the loop that runs them.

mod build;
mod device;
mod layers;
mod nvme_mi;
mod once;
mod panic_free;
mod tidy;
mod usb_walk;
mod wire;

use std::io::Write;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::project::Project;
use crate::{boot, instructions, instructions_m7, size};

/// Arguments of `cargo xtask ci`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the steps and what each checks, run nothing
    #[arg(long)]
    list: bool,
    /// Steps to run, all when none is named
    steps: Vec<String>,
}

/// One check: its result is one line, or an error that holds the output of what failed.
struct Step {
    name: &'static str,
    checks: &'static str,
    run: fn(&Project) -> Result<String>,
}

/// Cheap steps first, so that a small mistake is told early.
const STEPS: &[Step] = &[
    Step {
        name: "tidy",
        checks: "files every crate must have, nothing that must not be committed, one definition of the shipped build, the control protocol's bytes in one module",
        run: tidy::check,
    },
    Step {
        name: "format",
        checks: "cargo fmt in every workspace",
        run: build::format,
    },
    Step {
        name: "clippy",
        checks: "clippy without warnings, all targets of every workspace",
        run: build::clippy,
    },
    Step {
        name: "features",
        checks: "published crates: clippy with no, each and all features",
        run: build::features,
    },
    Step {
        name: "no-std",
        checks: "published crates, and the library of own-service, build for microcontrollers without std",
        run: build::no_std,
    },
    Step {
        name: "docs",
        checks: "documentation without warnings",
        run: build::docs,
    },
    Step {
        name: "msrv",
        checks: "the workspace and its tests compile with the oldest promised Rust",
        run: build::msrv,
    },
    Step {
        name: "size",
        checks: "firmware builds with each set of features, within its limits of flash and RAM and docs/size.md",
        run: size::check,
    },
    Step {
        name: "panic-free",
        checks: "no panic is reachable from the sans-IO cores; in the images that docs/panics.md names, no direct branch in the boards' own code leads to one, and those in dependencies are the ones listed there",
        run: panic_free::check,
    },
    Step {
        name: "properties",
        checks: "published crates: property tests with sixteen times as many random inputs",
        run: build::properties,
    },
    Step {
        name: "any-input",
        checks: "the NVMe-MI responder survives any message, all values and lengths",
        run: build::any_input,
    },
    Step {
        name: "boot",
        checks: "the loader boots the emulated firmware, and refuses it in every mutilated form",
        run: boot::check,
    },
    Step {
        name: "demo",
        checks: "the virtual device with the host of virtual-host in its process: every answer is right",
        run: device::demo,
    },
    Step {
        name: "usb-walk",
        checks: "every standard USB request, and random ones, to the virtual device and the one on the emulated Cortex-M7",
        run: usb_walk::check,
    },
    Step {
        name: "demos",
        checks: "64 of them at once and at low priority, beside eight busy processes: none gives up on itself",
        run: device::demos,
    },
    Step {
        name: "guest",
        checks: "Linux kernels in QEMU enumerate the virtual device, and the one on the emulated Cortex-M7, and talk MCTP to it",
        run: device::guest,
    },
    Step {
        name: "login",
        checks: "the guests of cargo xtask login, a PC and a BMC, run what is piped in: nvme-cli and echoes are answered, a second device attaches by USB/IP",
        run: device::login,
    },
    Step {
        name: "instructions",
        checks: "echo round trips and NVMe-MI commands stay within budgets of instructions, the router within its bounds beside mctp-estack and under load, and the USB receiver beside mctp-usb-embassy",
        run: instructions::check,
    },
    Step {
        name: "instructions-m7",
        checks: "on the emulated Cortex-M7, round trips and packets stay within their budget of instructions, streams are faster than USB, and the memory functions of the Nucleo are right",
        run: instructions_m7::check,
    },
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let steps = selected(&args.steps)?;
    if args.list {
        for step in steps {
            println!("{:<16}{}", step.name, step.checks);
        }
        return Ok(());
    }
    let project = Project::open()?;
    let start = Instant::now();
    for step in &steps {
        run_step(step, &project)?;
    }
    println!(
        "all {} checks passed in {:.0} s",
        steps.len(),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn selected(names: &[String]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    names.iter().map(|name| step(name)).collect()
}

fn step(name: &str) -> Result<&'static Step> {
    let Some(step) = STEPS.iter().find(|step| step.name == name) else {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!(
            "there is no step `{name}`; the steps are {}",
            known.join(", ")
        );
    };
    Ok(step)
}

fn run_step(step: &Step, project: &Project) -> Result<()> {
    print!("{:<16}", step.name);
    std::io::stdout().flush()?;
    let start = Instant::now();
    let result = (step.run)(project);
    let seconds = start.elapsed().as_secs_f32();
    match result {
        Ok(line) => println!("ok     {seconds:>6.1} s  {line}"),
        Err(error) => {
            println!("FAILED {seconds:>6.1} s");
            return Err(error.context(format!(
                "step {} failed; repeat it with `cargo xtask ci {0}`",
                step.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_refused_with_the_names_of_the_known_ones() {
        let Err(error) = selected(&["nonsense".to_owned()]) else {
            panic!("accepted an unknown step")
        };
        assert!(
            error.to_string().contains("tidy, format, clippy"),
            "{error}"
        );
    }

    #[test]
    fn step_names_are_unique() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
