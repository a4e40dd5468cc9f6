//! Rules about the files themselves, which no compiler checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{layers, nvme_mi, once, wire};
use crate::process::output;
use crate::project::{Project, PublishedCrate};
use crate::{readings, shipped};

/// Lines of code a reader finds their way in; tests, at the end of a file or in one of their own,
/// do not count.
const LONGEST_FILE: usize = 700;

/// Lines that every published crate has in its `lib.rs`.
const CRATE_PROMISES: &[&str] = &[
    "#![forbid(unsafe_code)]",
    "#![doc = include_str!(\"../README.md\")]",
    "no_std",
];

/// Crates whose layers are checked.
const LAYERED: &[&str] = &[
    "mctp-transport",
    "mctp-usb",
    "mctp-i2c",
    "mctp-serial",
    "mctp-router",
    "nvme-mi-responder",
];

pub(super) fn check(project: &Project) -> Result<String> {
    let files = text_files(project)?;
    let mut complaints = Vec::new();
    for (name, text) in &files {
        complaints.extend(complaints_about(project, name, text));
        complaints.extend(once::complaints(name, text));
    }
    complaints.extend(nvme_mi::complaints(&files));
    for package in &project.published {
        complaints.extend(missing_from(package));
    }
    for name in LAYERED {
        complaints.extend(wrong_layers(project, name, &files));
    }
    complaints.extend(shipped::differences(project)?);
    complaints.extend(readings::complaints(project)?);
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(format!("{} files", files.len()))
}

/// Name and content of everything that is committed or could be.
fn text_files(project: &Project) -> Result<Vec<(String, String)>> {
    let mut git = Command::new("git");
    git.current_dir(&project.root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let names = output(&mut git).context("the files are listed by git")?;
    let text = |name: &str| std::fs::read_to_string(project.root.join(name)).ok();
    Ok(names
        .lines()
        .filter_map(|name| Some((name.to_owned(), text(name)?)))
        .collect())
}

fn complaints_about(project: &Project, name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if name.ends_with("Cargo.toml") && text.lines().any(is_git_dependency) {
        complaints.push(format!("{name}: a dependency from a git address"));
    }
    if let Some(path) = paths_of_this_machine(project)
        .into_iter()
        .find(|path| text.contains(path.as_str()))
    {
        complaints.push(format!("{name}: names {path}, a path of this machine"));
    }
    if is_code(name) && lines_before_tests(text) > LONGEST_FILE {
        complaints.push(format!(
            "{name}: {} lines before its tests, at most {LONGEST_FILE}",
            lines_before_tests(text)
        ));
    }
    if name.ends_with(".rs") && text.lines().any(is_unfinished) {
        complaints.push(format!("{name}: says that something is left to do"));
    }
    complaints.extend(wire::complaints(name, text));
    complaints
}

fn is_git_dependency(line: &str) -> bool {
    let line: String = line.split_whitespace().collect();
    !line.starts_with('#')
        && (line.starts_with("git=\"") || line.contains("{git=\"") || line.contains(",git=\""))
}

/// The checkout, the folder shared with it and the home folder: right here, wrong everywhere else.
fn paths_of_this_machine(project: &Project) -> Vec<String> {
    let shared = project
        .root
        .parent()
        .filter(|parent| *parent != Path::new("/"))
        .map(|parent| parent.join("shared"));
    let home = std::env::home_dir()
        .filter(|home| home.components().count() > 1)
        .map(|home| home.join(""));
    let paths = [Some(project.root.clone()), shared, home];
    paths
        .into_iter()
        .flatten()
        .map(|path| path.display().to_string())
        .collect()
}

fn is_code(name: &str) -> bool {
    name.ends_with(".rs") && name.contains("src/") && !name.ends_with("tests.rs")
}

fn lines_before_tests(text: &str) -> usize {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .count()
}

fn is_unfinished(line: &str) -> bool {
    // Put together here so that this file does not complain about itself.
    ["TO DO", "FIX ME", "X X X", "to do!(", "un implemented!("]
        .iter()
        .any(|word| line.contains(&word.replace(' ', "")))
}

fn wrong_layers(project: &Project, package: &str, files: &[(String, String)]) -> Vec<String> {
    let readme = std::fs::read_to_string(project.root.join(package).join("README.md"));
    let source = format!("{package}/src/");
    let of_package = files.iter().filter_map(|(name, text)| {
        let name = name.strip_prefix(&source)?;
        Some((name.to_owned(), text.clone()))
    });
    let complaints = layers::complaints(&readme.unwrap_or_default(), &of_package.collect());
    let complaints = complaints.into_iter();
    complaints
        .map(|complaint| format!("{package}: {complaint}"))
        .collect()
}

fn missing_from(package: &PublishedCrate) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in ["README.md", "CHANGELOG.md"] {
        if !package.folder.join(file).is_file() {
            complaints.push(format!("{}: has no {file}", package.name));
        }
    }
    let library = std::fs::read_to_string(package.folder.join("src/lib.rs")).unwrap_or_default();
    for promise in CRATE_PROMISES
        .iter()
        .filter(|promise| !library.contains(**promise))
    {
        complaints.push(format!("{}: src/lib.rs lacks {promise}", package.name));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_dependencies_are_found_however_they_are_spaced() {
        assert!(is_git_dependency("a = { git = \"https://example.org/a\" }"));
        assert!(is_git_dependency(
            "a = { version = \"1\",git=\"https://example.org/a\" }"
        ));
        assert!(is_git_dependency("git = \"https://example.org/a\""));
        assert!(!is_git_dependency(
            "repository = \"https://example.org/a.git\""
        ));
        assert!(!is_git_dependency(
            "# a = { git = \"https://example.org/a\" }"
        ));
    }

    #[test]
    fn files_of_tests_are_not_code() {
        assert!(is_code("mctp-usb/src/framing.rs"));
        assert!(!is_code("mctp-usb/src/framing/tests.rs"));
        assert!(!is_code("mctp-usb/tests/class.rs"));
    }

    #[test]
    fn tests_at_the_end_of_a_file_are_not_counted() {
        assert_eq!(
            lines_before_tests("one\ntwo\n#[cfg(test)]\nmod tests {}\n"),
            2
        );
    }

    #[test]
    fn notes_left_open_are_found() {
        assert!(is_unfinished(&format!(
            "// {}: later",
            ["TO", "DO"].concat()
        )));
        assert!(!is_unfinished("// done"));
    }
}
