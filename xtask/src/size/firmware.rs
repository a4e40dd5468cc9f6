//! Which firmware there is and how it is built: `[[package.metadata.size]]` in the `Cargo.toml` of
//! each nested workspace that is firmware.
//!
//! ```toml
//! [[package.metadata.size]]
//! name = "defmt"                      # of the row in docs/size.md
//! default-features = false            # true if not given
//! features = ["defmt"]                # none if not given
//! all-features = false                # false if not given
//! program = "nucleo-h7s3"             # the package's name if not given
//! profile = "smallest"                # of examples/.cargo/config.toml; that of the shipped build if not given
//! environment = { DEFMT_LOG = "off" } # for the compiler; none if not given
//! search-for-panics = true            # in docs/panics.md; false if not given
//! flash = 65536                       # bytes it may take at most; no limit if not given
//! ram = 40000
//! ram-below-half-of = "…"             # another set of this firmware; none if not given
//! peer = "…"                          # another set, to stand beside this one; none if not given
//! beside = [{ what = "…", flash = 98304, ram = 49152 }] # figures of other firmware to stand beside its own
//! ```

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use serde::Deserialize;

use crate::image::Image;
use crate::process::output;
use crate::project::{NESTED_WORKSPACES, Project, metadata};
use crate::shipped::{self, TARGET};

/// A nested workspace of one package that is built for a microcontroller.
pub(crate) struct Firmware {
    /// Relative to the root.
    pub(crate) folder: &'static str,
    pub(super) name: String,
    pub(super) feature_sets: Vec<FeatureSet>,
}

/// One way to build it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FeatureSet {
    pub(super) name: String,
    #[serde(default = "yes")]
    default_features: bool,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    all_features: bool,
    pub(super) program: Option<String>,
    #[serde(default = "shipped")]
    profile: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    search_for_panics: bool,
    pub(super) flash: Option<u64>,
    pub(super) ram: Option<u64>,
    pub(super) ram_below_half_of: Option<String>,
    pub(super) peer: Option<String>,
    #[serde(default)]
    pub(super) beside: Vec<Comparable>,
}

/// What somebody else's firmware takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comparable {
    pub(super) what: String,
    pub(super) flash: u64,
    pub(super) ram: u64,
}

fn yes() -> bool {
    true
}

fn shipped() -> String {
    shipped::PROFILE.to_owned()
}

impl Firmware {
    /// All firmware of this repository.
    pub(crate) fn all(project: &Project) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for folder in NESTED_WORKSPACES {
            let metadata = metadata(&project.root.join(folder))?;
            let packages = metadata.workspace_packages();
            if let Some(package) = packages.first() {
                all.extend(Self::of(folder, package)?);
            }
        }
        if all.is_empty() {
            bail!("no nested workspace has [[package.metadata.size]]");
        }
        Ok(all)
    }

    fn of(folder: &'static str, package: &Package) -> Result<Option<Self>> {
        let entries = &package.metadata["size"];
        if entries.is_null() {
            return Ok(None);
        }
        Ok(Some(Self {
            folder,
            name: package.name.to_string(),
            feature_sets: feature_sets(entries).with_context(|| {
                format!("[[package.metadata.size]] in {}", package.manifest_path)
            })?,
        }))
    }

    pub(super) fn build(&self, project: &Project, set: &FeatureSet) -> Result<Image> {
        output(
            shipped::build_with(project, self.folder, &set.profile)
                .args(set.arguments())
                .envs(&set.environment),
        )?;
        let built = project.target_dir.join(TARGET).join(&set.profile);
        Image::open(&built.join(set.program.as_ref().unwrap_or(&self.name)))
    }
}

impl Firmware {
    /// The images that `docs/panics.md` is about, with their titles.
    pub(crate) fn images_to_search(&self, project: &Project) -> Result<Vec<(String, Image)>> {
        let sets = self.feature_sets.iter().filter(|set| set.search_for_panics);
        let image = |set: &FeatureSet| {
            let title = format!("{}, {}", self.name, set.name);
            Ok((title, self.build(project, set)?))
        };
        sets.map(image).collect()
    }
}

impl FeatureSet {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if !self.default_features {
            arguments.push("--no-default-features".to_owned());
        }
        if self.all_features {
            arguments.push("--all-features".to_owned());
        }
        if !self.features.is_empty() {
            arguments.extend(["--features".to_owned(), self.features.join(",")]);
        }
        if let Some(program) = &self.program {
            arguments.extend(["--bin".to_owned(), program.clone()]);
        }
        arguments
    }
}

fn feature_sets(entries: &serde_json::Value) -> Result<Vec<FeatureSet>> {
    let sets = Vec::<FeatureSet>::deserialize(entries)?;
    for (position, set) in sets.iter().enumerate() {
        // It becomes the head of a column.
        if set.name.is_empty() || set.name.contains(['|', '\n', '*']) {
            bail!("`{}` cannot be a name", set.name);
        }
        if sets[..position].iter().any(|other| other.name == set.name) {
            bail!("there are two named `{}`", set.name);
        }
        let compared = set.ram_below_half_of.iter().chain(&set.peer);
        for other in compared {
            if !sets.iter().any(|set| set.name == *other) {
                bail!(
                    "`{}` is compared with `{other}`, which there is not",
                    set.name
                );
            }
        }
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(set: serde_json::Value) -> String {
        let sets = feature_sets(&json!([set])).unwrap();
        sets[0].arguments().join(" ")
    }

    fn refusal(sets: serde_json::Value) -> String {
        feature_sets(&sets).unwrap_err().to_string()
    }

    #[test]
    fn a_name_alone_is_the_default_build() {
        assert_eq!(arguments(json!({ "name": "default" })), "");
    }

    #[test]
    fn features_and_programs_are_those_of_the_entry() {
        assert_eq!(
            arguments(
                json!({ "name": "x", "default-features": false, "features": ["a", "b"], "program": "p" })
            ),
            "--no-default-features --features a,b --bin p"
        );
        assert_eq!(
            arguments(json!({ "name": "all", "all-features": true })),
            "--all-features"
        );
    }

    #[test]
    fn misspelt_and_doubled_entries_are_refused() {
        let misspelt = refusal(json!([{ "name": "x", "feature": ["a"] }]));
        assert!(misspelt.contains("unknown field `feature`"), "{misspelt}");
        assert_eq!(
            refusal(json!([{ "name": "x" }, { "name": "x" }])),
            "there are two named `x`"
        );
        assert_eq!(
            refusal(json!([{ "name": "x", "ram-below-half-of": "y" }])),
            "`x` is compared with `y`, which there is not"
        );
        assert_eq!(
            refusal(json!([{ "name": "a|b" }])),
            "`a|b` cannot be a name"
        );
    }
}
