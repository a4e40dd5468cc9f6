//! The table of readings in `nvme-mi-responder/README.md`: what the specification leaves open, and
//! what the crate does. Each stands in the documentation of the place that decides it, as a line
//!
//! ```text
//! **Reading.** A reserved message kind: dropped, and counted.
//! ```
//!
//! that may go on up to the next empty line. `cargo xtask readings` makes the table of these.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

use crate::project::Project;

const CRATE: &str = "nvme-mi-responder";
const BEGIN: &str = "<!-- begin readings: written by `cargo xtask readings` -->\n";
const END: &str = "<!-- end readings -->";
const MARK: &str = "**Reading.** ";

/// A reading, and the public item whose documentation has it.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    question: String,
    answer: String,
    place: String,
}

/// Writes the table.
pub(crate) fn run() -> Result<()> {
    let project = Project::open()?;
    let path = project.root.join(CRATE).join("README.md");
    let readme = std::fs::read_to_string(&path)?;
    let sources = sources(&project)?;
    std::fs::write(&path, with_table(&readme, &sources)?)?;
    Ok(())
}

/// What is wrong with the table.
pub(crate) fn complaints(project: &Project) -> Result<Vec<String>> {
    let readme = std::fs::read_to_string(project.root.join(CRATE).join("README.md"))?;
    let expected = with_table(&readme, &sources(project)?)?;
    let is_right = readme == expected;
    let complaint = format!(
        "{CRATE}/README.md: the table of readings is not that of the sources: cargo xtask readings"
    );
    Ok((!is_right).then_some(complaint).into_iter().collect())
}

/// Name below `src` and text of each source file, in order.
fn sources(project: &Project) -> Result<Vec<(String, String)>> {
    let folder = project.root.join(CRATE).join("src");
    let mut found = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&folder)?.display().to_string();
                found.push((name, std::fs::read_to_string(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn with_table(readme: &str, sources: &[(String, String)]) -> Result<String> {
    let (before, rest) = readme
        .split_once(BEGIN)
        .context("the README has no place for the table of readings")?;
    let (_, after) = rest
        .split_once(END)
        .context("the table of readings in the README has no end")?;
    let mut table = String::from("| question | answer | place |\n|-|-|-|\n");
    for (name, text) in sources {
        for reading in readings(name, text)? {
            let Reading {
                question,
                answer,
                place,
            } = reading;
            writeln!(table, "| {question} | {answer} | [`{place}`] |")?;
        }
    }
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn readings(name: &str, text: &str) -> Result<Vec<Reading>> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(first) = doc(line).and_then(|text| text.strip_prefix(MARK)) else {
            continue;
        };
        let rest = lines[index + 1..].iter().map_while(|line| doc(line));
        let rest = rest.take_while(|text| !text.is_empty());
        let sentence = [first]
            .into_iter()
            .chain(rest)
            .collect::<Vec<_>>()
            .join(" ");
        let Some((question, answer)) = sentence.trim_end_matches('.').split_once(": ") else {
            bail!("src/{name}: a reading is a question, a colon, and an answer: {sentence}");
        };
        let place = if line.trim_start().starts_with("//!") {
            module(name)
        } else {
            item(&lines, index).with_context(|| format!("src/{name}: of which item is {line}"))?
        };
        found.push(Reading {
            question: question.to_owned(),
            answer: answer.to_owned(),
            place,
        });
    }
    Ok(found)
}

/// The text of a line of documentation.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line
        .strip_prefix("//!")
        .or_else(|| line.strip_prefix("///"))?;
    Some(text.trim())
}

/// The path of a module, by the name of its file.
fn module(name: &str) -> String {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// The item whose documentation has that line: a name of the crate's root, or a variant, field or
/// method of one.
fn item(lines: &[&str], index: usize) -> Option<String> {
    let own = lines[index..].iter().position(|line| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with("#[") && !line.is_empty()
    })?;
    let own = lines[index + own];
    let name = defined(own)?;
    if !own.starts_with(' ') {
        return Some(name);
    }
    let outer = lines[..index]
        .iter()
        .rev()
        .find(|line| !line.starts_with([' ', '}', '/', '#', ')']) && line.ends_with('{'))?;
    Some(format!("{}::{name}", defined(outer)?))
}

/// The name that a line defines.
fn defined(line: &str) -> Option<String> {
    let line = line.trim_start();
    let line = match line.strip_prefix("impl") {
        Some(rest) => rest.trim_start_matches(|c: char| c != ' '),
        None => line,
    };
    let words = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    let is_name = |word: &&str| {
        ![
            "pub", "crate", "const", "unsafe", "fn", "struct", "enum", "trait", "async",
        ]
        .contains(word)
    };
    words.into_iter().find(is_name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(question: &str, answer: &str, place: &str) -> Reading {
        Reading {
            question: question.into(),
            answer: answer.into(),
            place: place.into(),
        }
    }

    #[test]
    fn a_reading_of_a_module_is_its_own() {
        let text = "//! A page.\n//!\n//! **Reading.** NUMD that is not what DLEN says: Invalid\n//! Parameter at DLEN.\n//!\n//! More.\n";
        let expected = reading(
            "NUMD that is not what DLEN says",
            "Invalid Parameter at DLEN",
            "admin::firmware",
        );
        assert_eq!(readings("admin/firmware.rs", text).unwrap(), [expected]);
        let expected = readings("mi/mod.rs", "//! **Reading.** One: two.").unwrap();
        assert_eq!(expected, [reading("One", "two", "mi")]);
    }

    #[test]
    fn a_reading_of_an_item_or_of_a_part_of_one_names_it() {
        let text = "/// **Reading.** What a lost link is: a reset.\n#[derive(Debug)]\npub struct Endpoint<'e> {\n}\n\nimpl<'e> Endpoint<'e> {\n    /// **Reading.** A: b.\n    pub fn reset(&mut self) {}\n}\n\npub enum DropReason {\n    /// **Reading.** C: d.\n    Unknown,\n}\n";
        let found = readings("endpoint.rs", text).unwrap();
        let places: Vec<_> = found.iter().map(|found| &*found.place).collect();
        assert_eq!(
            places,
            ["Endpoint", "Endpoint::reset", "DropReason::Unknown"]
        );
    }

    #[test]
    fn a_reading_without_an_answer_is_refused() {
        assert!(readings("a.rs", "//! **Reading.** What is it?").is_err());
    }

    #[test]
    fn the_table_takes_the_place_of_the_old_one() {
        let readme = format!("before\n{BEGIN}old\n{END}\nafter");
        let sources = [(
            "mi/mod.rs".to_owned(),
            "//! **Reading.** One: two.".to_owned(),
        )];
        let table = "| question | answer | place |\n|-|-|-|\n| One | two | [`mi`] |\n";
        let expected = format!("before\n{BEGIN}{table}{END}\nafter");
        assert_eq!(with_table(&readme, &sources).unwrap(), expected);
        assert!(with_table("nothing", &sources).is_err());
    }
}
