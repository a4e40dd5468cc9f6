//! Steps that are one or more runs of Cargo.

use anyhow::{Context, Result, ensure};

use crate::install;
use crate::process::output;
use crate::project::{Project, PublishedCrate};
use crate::shipped::TARGET;
use crate::size::Firmware;

/// A Cortex-M0, which has no atomic swap; a Cortex-M4/M7; and a RISC-V core.
const MICROCONTROLLERS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

pub(super) fn format(project: &Project) -> Result<String> {
    install::components(&["rustfmt"])?;
    for workspace in project.workspaces() {
        output(project.cargo(workspace).args(["fmt", "--all", "--check"]))?;
    }
    Ok(format!("{} workspaces", project.workspaces().count()))
}

pub(super) fn clippy(project: &Project) -> Result<String> {
    install::components(&["clippy"])?;
    install::targets(MICROCONTROLLERS)?;
    output(project.cargo(".").args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // Firmware has no test harness, so `--all-targets` cannot be asked of the nested workspaces.
    for workspace in project.workspaces().skip(1) {
        output(
            project
                .cargo(workspace)
                .args(["clippy", "--locked", "--", "-D", "warnings"]),
        )?;
    }
    Ok(format!("{} workspaces", project.workspaces().count()))
}

/// On a target without std, since a dependency that pulls std in would go unseen on a PC.
pub(super) fn features(project: &Project) -> Result<String> {
    install::components(&["clippy"])?;
    install::targets(MICROCONTROLLERS)?;
    let mut combinations = 0;
    for package in &project.published {
        for features in feature_sets(package) {
            let mut cargo = project.cargo(".");
            cargo.args([
                "clippy",
                "--locked",
                "--package",
                &package.name,
                "--target",
                "thumbv7em-none-eabihf",
            ]);
            output(cargo.args(features).args(["--", "-D", "warnings"]))?;
            combinations += 1;
        }
    }
    Ok(format!(
        "{combinations} combinations of {} crates",
        project.published.len()
    ))
}

fn feature_sets(package: &PublishedCrate) -> Vec<Vec<String>> {
    let none = vec!["--no-default-features".to_owned()];
    let each = package.features.iter().map(|feature| {
        vec![
            "--no-default-features".to_owned(),
            "--features".to_owned(),
            feature.clone(),
        ]
    });
    let all = vec!["--all-features".to_owned()];
    let mut sets = vec![none];
    sets.extend(each);
    if package.features.len() > 1 {
        sets.push(all);
    }
    sets
}

/// Random inputs for each property test; `cargo test` takes 256.
const CASES: u32 = 4096;

pub(super) fn properties(project: &Project) -> Result<String> {
    let names = project.published.iter().map(|package| &*package.name);
    let packages: Vec<_> = names.flat_map(|name| ["--package", name]).collect();
    // As on the Nucleo.
    let without_1_1 = ["--package", "mctp-usb", "--no-default-features"];
    for tested in [&packages[..], &without_1_1] {
        let mut cargo = project.cargo(".");
        cargo.env("PROPTEST_CASES", CASES.to_string());
        cargo.args(["test", "--locked", "--lib", "--tests"]);
        output(cargo.args(tested))?;
    }
    Ok(format!("up to {CASES} random inputs each"))
}

/// Unoptimized, these tests take a sample.
pub(super) fn any_input(project: &Project) -> Result<String> {
    let mut cargo = project.cargo(".");
    cargo.args(["test", "--locked", "--release"]);
    cargo.args(["--package", "nvme-mi-responder", "--test", "any_input"]);
    output(&mut cargo)?;
    Ok("a million random messages, every change of a byte".to_owned())
}

pub(super) fn no_std(project: &Project) -> Result<String> {
    install::targets(MICROCONTROLLERS)?;
    for target in MICROCONTROLLERS {
        for features in ["--no-default-features", "--all-features"] {
            let mut cargo = project.cargo(".");
            cargo.args(["build", "--locked", "--target", target, features]);
            for package in &project.published {
                cargo.args(["--package", &package.name]);
            }
            output(&mut cargo)?;
        }
    }
    let example = ["build", "--locked", "--package", "own-service", "--lib"];
    output(project.cargo(".").args(example).args(["--target", TARGET]))?;
    outsiders(project)?;
    Ok(format!(
        "{} crates for {}",
        project.published.len(),
        MICROCONTROLLERS.join(", ")
    ))
}

/// Crates as others would write them: one uses a transport, one is one, one is a stack, one is the
/// firmware of an endpoint on a UART, and on a two-wire bus.
const OUTSIDERS: &[&str] = &[
    "packet-counter",
    "line-transport",
    "tiny-endpoint",
    "two-wire-endpoint",
    "serial-endpoint",
];

/// They build for the smallest target, and none needs a USB device stack.
fn outsiders(project: &Project) -> Result<()> {
    let target = MICROCONTROLLERS.first().context("there is a smallest")?;
    for package in OUTSIDERS {
        let of_package = ["--locked", "--package", package, "--target", target];
        output(project.cargo(".").arg("build").args(of_package))?;
        let mut tree = project.cargo(".");
        tree.arg("tree").args(of_package);
        tree.args(["--edges", "normal", "--prefix", "none"]);
        let tree = output(&mut tree)?;
        ensure!(
            !tree.lines().any(|line| line.starts_with("embassy-usb ")),
            "{package} needs embassy-usb"
        );
    }
    Ok(())
}

pub(super) fn docs(project: &Project) -> Result<String> {
    // The `mctp` crate does not compile with both `defmt`, which is one of all features, and `std`,
    // which `mctp-linux` turns on.
    let alone = "linux-service";
    let others = ["--workspace", "--exclude", alone, "--all-features"];
    for packages in [&others[..], &["--package", alone]] {
        let mut cargo = project.cargo(".");
        cargo.env("RUSTDOCFLAGS", "-D warnings");
        cargo.args(["doc", "--locked", "--no-deps"]).args(packages);
        output(&mut cargo)?;
    }
    Ok("no warnings".to_owned())
}

pub(super) fn msrv(project: &Project) -> Result<String> {
    install::toolchain(&project.msrv, &[TARGET])?;
    let check = ["check", "--locked", "--workspace", "--all-targets"];
    output(project.cargo_of(&project.msrv, ".").args(check))?;
    for firmware in Firmware::all(project)? {
        output(
            project
                .cargo_of(&project.msrv, firmware.folder)
                .args(["check", "--locked"]),
        )?;
    }
    Ok(format!("Rust {}", project.msrv))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(features: &[&str]) -> PublishedCrate {
        PublishedCrate {
            name: "example".to_owned(),
            folder: "example".into(),
            features: features.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_crate_without_features_is_checked_once() {
        assert_eq!(feature_sets(&package(&[])), [["--no-default-features"]]);
    }

    #[test]
    fn each_feature_is_checked_alone_and_then_all_together() {
        let sets = feature_sets(&package(&["defmt", "log"]));
        let lines: Vec<_> = sets.iter().map(|set| set.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "--no-default-features",
                "--no-default-features --features defmt",
                "--no-default-features --features log",
                "--all-features"
            ]
        );
    }
}
