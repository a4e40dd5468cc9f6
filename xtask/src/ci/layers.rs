//! The layers of a crate: its README names its modules, lowest first, and none imports from a higher
//! one.

use std::collections::BTreeMap;

/// What the README says before the names.
const BEGINNING: &str = "Layers, lowest first:";

/// What is wrong with the layers of a crate. `files` are those of its `src`, by name below it.
pub(super) fn complaints(readme: &str, files: &BTreeMap<String, String>) -> Vec<String> {
    let Some(layers) = layers(readme) else {
        return vec![format!("README.md does not say \"{BEGINNING}\"")];
    };
    let root = files.get("lib.rs").map(String::as_str).unwrap_or_default();
    let exports = exports(root);
    let mut complaints = Vec::new();
    for (name, text) in files {
        let module = name.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" || is_for_tests(root, module) {
            continue;
        }
        let Some(own) = layers.iter().position(|layer| layer == module) else {
            complaints.push(format!("README.md does not say which layer `{module}` is"));
            continue;
        };
        for imported in imports(text) {
            let imported = exports.get(&imported).unwrap_or(&imported);
            let other = layers.iter().position(|layer| layer == imported);
            if other.is_some_and(|other| other > own) {
                complaints.push(format!("{name} imports from the higher layer `{imported}`"));
            }
        }
    }
    complaints
}

/// The names between backticks in the paragraph that begins with [`BEGINNING`].
fn layers(readme: &str) -> Option<Vec<String>> {
    let (_, behind) = readme.split_once(BEGINNING)?;
    let paragraph = behind.split("\n\n").next()?;
    let names = paragraph.split('`').skip(1).step_by(2);
    Some(names.map(str::to_owned).collect())
}

/// Modules that are compiled for tests only.
fn is_for_tests(root: &str, module: &str) -> bool {
    root.contains(&format!("#[cfg(test)]\nmod {module};"))
}

/// Which module each name of the crate's root comes from.
fn exports(root: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for statement in code(root).split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else {
            continue;
        };
        let path = path.trim().trim_start_matches("crate::");
        if let Some((module, names)) = path.split_once("::") {
            for name in words(names) {
                exports.insert(name, module.trim().to_owned());
            }
        }
    }
    exports
}

/// The first names behind each `crate::`, tests not counted.
fn imports(text: &str) -> Vec<String> {
    let text = code(text);
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut imports = Vec::new();
    for behind in text.split("crate::").skip(1) {
        match behind.strip_prefix('{') {
            Some(group) => imports.extend(words(group.split('}').next().unwrap_or_default())),
            None => imports.extend(words(behind).into_iter().take(1)),
        }
    }
    imports
}

/// The text without its comments.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '_');
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str =
        "# A crate\n\nLayers, lowest first: `wire`,\n`core`, `shell`.\n\nOther `text`.";
    const ROOT: &str = "mod wire;\nmod core;\nmod shell;\n#[cfg(test)]\nmod mock;\npub use shell::{Router, Message};\n";

    fn complaints_of(files: &[(&str, &str)]) -> Vec<String> {
        let root = [("lib.rs", ROOT)];
        let files = root.iter().chain(files);
        let files = files.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        complaints(README, &files.collect())
    }

    #[test]
    fn imports_of_lower_layers_are_fine() {
        let files = [
            ("shell/mod.rs", "use crate::core::Core;\nuse crate::wire;"),
            (
                "core/list.rs",
                "use crate::wire::Header;\n/// See [`crate::Router`].",
            ),
            ("mock.rs", "use crate::Router;"),
        ];
        assert_eq!(complaints_of(&files), [""; 0]);
    }

    #[test]
    fn imports_of_higher_layers_are_found_however_they_are_written() {
        for import in [
            "use crate::shell::Waker;",
            "use crate::{Router, wire};",
            "fn f(_: crate::Message) {}",
        ] {
            let complaints = complaints_of(&[("core/mod.rs", import)]);
            assert_eq!(
                complaints,
                ["core/mod.rs imports from the higher layer `shell`"],
                "{import}"
            );
        }
        let in_tests = "#[cfg(test)]\nmod tests { use crate::shell::Waker; }";
        assert_eq!(complaints_of(&[("core/mod.rs", in_tests)]), [""; 0]);
    }

    #[test]
    fn a_module_without_a_layer_and_a_readme_without_layers_are_found() {
        assert_eq!(complaints_of(&[("other.rs", "")]).len(), 1);
        assert_eq!(complaints("# A crate", &BTreeMap::new()).len(), 1);
    }
}
