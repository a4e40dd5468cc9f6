//! The shipped build: how firmware is built for a board, and so whatever is measured or proved of
//! it.
//!
//! How it is compiled and linked is in [`CONFIG`], which Cargo reads by itself in the folders of
//! the boards. Its features are those of our crates that the Nucleo's `Cargo.toml` asks for, and
//! none of the default ones. Other firmware asks for the same ([`differences`] finds what does not)
//! and may have more: the emulated board, and so the programs that count instructions on it, has
//! version 1.1 of MCTP over USB.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{Dependency, Package};

use crate::project::{NESTED_WORKSPACES, Project, metadata};

/// The Cortex-M7 of all boards.
pub(crate) const TARGET: &str = "thumbv7em-none-eabihf";
/// Profile, compiler flags and linker flags.
const CONFIG: &str = "examples/.cargo/config.toml";
/// The firmware whose features are those of the shipped build.
const BOARD: &str = "examples/nucleo-h7s3";
/// Programs for a host.
const FOR_A_HOST: &str = "bench";
/// Built with the features of the shipped build and without them, on the command line.
const WITH_AND_WITHOUT: &str = "xtask/panic-free";

/// The profile of the shipped build.
pub(crate) const PROFILE: &str = "release";

/// `cargo build` of the nested workspace in `folder`, as it is shipped.
pub(crate) fn build(project: &Project, folder: &str) -> Command {
    build_with(project, folder, PROFILE)
}

/// The same with another profile of [`CONFIG`].
pub(crate) fn build_with(project: &Project, folder: &str, profile: &str) -> Command {
    let mut cargo = project.cargo(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(overrides_config) {
            cargo.env_remove(name);
        }
    }
    let config = project.root.join(CONFIG);
    if !finds_config(project, folder) {
        cargo.arg("--config").arg(config);
    }
    cargo.args([
        "build",
        "--locked",
        "--profile",
        profile,
        "--target",
        TARGET,
    ]);
    cargo
}

/// Whether an environment variable takes the place of something in the file.
fn overrides_config(name: &str) -> bool {
    let flags = [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_THUMBV7EM_NONE_EABIHF_RUSTFLAGS",
    ];
    flags.contains(&name) || name.starts_with("CARGO_PROFILE_")
}

/// Whether Cargo reads the file without being told. Read twice, flags would be given twice.
fn finds_config(project: &Project, folder: &str) -> bool {
    let examples = Path::new(CONFIG).ancestors().nth(2);
    examples.is_some_and(|examples| {
        let folder = project.root.join(folder);
        folder.starts_with(project.root.join(examples))
    })
}

/// The features of our published crates, as `crate/feature`.
fn features(project: &Project) -> Result<Vec<String>> {
    let board = package_in(project, BOARD)?;
    let features = board.dependencies.iter().filter(|dependency| {
        let mut published = project.published.iter();
        published.any(|package| package.name == dependency.name)
    });
    Ok(features
        .flat_map(|Dependency { name, features, .. }| {
            let feature = move |feature: &String| format!("{name}/{feature}");
            features.iter().map(feature).collect::<Vec<_>>()
        })
        .collect())
}

/// Those of the crates that the package in `folder` depends on.
pub(crate) fn features_for(project: &Project, folder: &str) -> Result<Vec<String>> {
    let dependencies = package_in(project, folder)?.dependencies;
    let mut features = features(project)?;
    features.retain(|feature| {
        let name = feature.split('/').next();
        dependencies
            .iter()
            .any(|dependency| Some(&*dependency.name) == name)
    });
    Ok(features)
}

/// A sentence for everything by which a firmware in this repository would be built in another way.
pub(crate) fn differences(project: &Project) -> Result<Vec<String>> {
    let features = features(project)?;
    let mut complaints = Vec::new();
    for folder in NESTED_WORKSPACES {
        if *folder == FOR_A_HOST {
            continue;
        }
        let read = |file: &str| std::fs::read_to_string(project.root.join(folder).join(file));
        let manifest = read("Cargo.toml").context("a workspace has a Cargo.toml")?;
        // Not every folder needs one.
        let config = read(".cargo/config.toml").unwrap_or_default();
        complaints.extend(own_flags(folder, &manifest, &config));
        if *folder != WITH_AND_WITHOUT {
            let dependencies = package_in(project, folder)?.dependencies;
            complaints.extend(missing_features(folder, &dependencies, &features));
        }
    }
    Ok(complaints)
}

fn package_in(project: &Project, folder: &str) -> Result<Package> {
    let metadata = metadata(&project.root.join(folder))?;
    let package = metadata.workspace_packages().first().copied().cloned();
    package.with_context(|| format!("there is no package in {folder}"))
}

fn own_flags(folder: &str, manifest: &str, config: &str) -> Vec<String> {
    let has = |text: &str, start: &str| text.lines().any(|line| line.trim().starts_with(start));
    let mut complaints = Vec::new();
    if has(manifest, "[profile.release") || has(config, "[profile.release") {
        complaints.push(format!(
            "{folder}: a release profile of its own; that of firmware is in {CONFIG}"
        ));
    }
    if has(config, "rustflags") {
        complaints.push(format!(
            "{folder}: compiler flags of its own; those of firmware are in {CONFIG}"
        ));
    }
    complaints
}

fn missing_features(folder: &str, dependencies: &[Dependency], features: &[String]) -> Vec<String> {
    let missing = features.iter().filter(|feature| {
        let Some((name, feature)) = feature.split_once('/') else {
            return false;
        };
        let mut lacking = dependencies
            .iter()
            .filter(|dependency| dependency.name == name);
        lacking.any(|dependency| !dependency.features.iter().any(|other| other == feature))
    });
    missing
        .map(|feature| format!("{folder}: lacks the feature {feature} of {BOARD}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_or_flags_of_its_own_are_found() {
        let profile = "[profile.release.package]\nmctp-usb = { opt-level = 3 }\n";
        let flags = "[target.thumbv7em-none-eabihf]\nrustflags = []\n";
        assert_eq!(
            own_flags("x", "[package]\n[profile.dev]\n", "[build]\n").len(),
            0
        );
        assert_eq!(own_flags("x", profile, "").len(), 1);
        assert_eq!(own_flags("x", "", profile).len(), 1);
        assert_eq!(own_flags("x", "", flags).len(), 1);
    }

    #[test]
    fn variables_that_change_the_build_are_found() {
        let target = TARGET.to_uppercase().replace('-', "_");
        assert!(overrides_config(&format!(
            "CARGO_TARGET_{target}_RUSTFLAGS"
        )));
        assert!(overrides_config("CARGO_PROFILE_RELEASE_OPT_LEVEL"));
        assert!(!overrides_config("CARGO_HOME"));
    }

    #[test]
    fn features_that_firmware_lacks_are_found() {
        let mut router: Dependency = serde_json::from_value(serde_json::json!({
            "name": "mctp-router", "req": "*", "kind": null, "optional": false,
            "uses_default_features": true, "features": ["defmt"], "target": null,
            "rename": null, "registry": null, "path": null, "source": null,
        }))
        .unwrap();
        let shipped = ["mctp-router/small".to_owned(), "mctp-usb/small".to_owned()];
        let complaints = |router: &Dependency| {
            missing_features("x", std::slice::from_ref(router), &shipped).len()
        };
        assert_eq!(complaints(&router), 1);
        router.features.push("small".to_owned());
        assert_eq!(complaints(&router), 0);
    }
}
