//! Where the firmware of the boards can panic: each call of a function of `core` that panics, by
//! the function that the call was written in.
//!
//! The cores are proved to have none by linking. Firmware cannot be linked so, as its dependencies
//! keep some. So its image is searched for calls of what panics, and the debug information tells
//! the function, also where that is inlined. There may be none in this repository; those in
//! dependencies are listed in [`DOCUMENT`].

mod thumb;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::image::{Frame, Program, Symbol};
use crate::project::Project;
use crate::size::names::{crate_of, is_standard, readable};
use crate::size::{Firmware, our_crates};
use thumb::{Branch, branches};

const DOCUMENT: &str = "docs/panics.md";
/// Everything behind it is generated.
const MARK: &str = "<!-- Everything below is written by `cargo xtask panics --update`. -->\n";
/// Instructions that the compiler found in several functions, and made a function of.
const OUTLINED: &str = "OUTLINED_FUNCTION";

/// What the compiler writes into every future, for an executor that polls it after its end. None
/// here does.
const RESUMED: &str = "core::panicking::panic_const::panic_const_async_";

/// What of this repository may panic, and why. The beginning of a function's name.
const REMAINING: &[(&str, &str)] = &[
    (
        "mctp_router::shell::Router<M,C>::look",
        "only if a waker of the executor calls the router instead of scheduling its task",
    ),
    (
        "remote_usb_device::state::State<M>::with",
        "only if a waker of the executor calls the driver instead of scheduling its task",
    ),
    // It awaits a future of `core`, whose code looks into the router.
    ("mctp_router::shell::Router<M,C>::run_receive", WHY_BORROWED),
    // It awaits both halves of the link, which look into the router and the peripheral.
    ("nucleo_h7s3::__run_two_wire_task", WHY_BORROWED),
    (
        "stm32_two_wire::two_wire::TwoWire<M,R>::look",
        "only if a waker of the executor calls the peripheral instead of scheduling its task",
    ),
    ("qemu_an500::fault::__end_when_asked_task", WHY_ASKED),
    ("qemu_an500_serial::fault::__end_when_asked_task", WHY_ASKED),
];

/// Functions in which several of the same calls stand, and why none is reached. The compiler makes one
/// call of what these have in common, which then belongs to the function and to no line of it. The
/// beginning of a function's name.
const MERGED: &[(&str, &str)] = &[
    ("qemu_an500::__cortex_m_rt_start", WHY_STATICS),
    ("qemu_an500::management::start", WHY_STATICS),
    ("qemu_an500_serial::management::start", WHY_STATICS),
    ("nucleo_h7s3::__run_device_task", WHY_STATICS),
    ("nucleo_h7s3::management::start", WHY_STATICS),
    ("reference_device::serial_log::send", WHY_BORROWED),
    (
        "embassy_usb_guard::control::GuardedControlPipe<P>::end",
        WHY_BORROWED,
    ),
    (
        "embassy_usb_guard::synopsys_otg::SynopsysBus<B>::reset_data_toggle",
        "only for an endpoint that no descriptor names",
    ),
    ("qemu_an500::__usb_link_task", WHY_BORROWED),
    ("remote_usb_device::runner::", WHY_BORROWED),
];
const WHY_ASKED: &str = "on purpose, when a test asks for it";
/// static_cell panics when one is taken twice.
const WHY_STATICS: &str = "only if a static were taken twice";
const WHY_BORROWED: &str =
    "only if a waker of the executor calls router or driver instead of scheduling its task";

/// Arguments of `cargo xtask panics`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write what is found to the committed list
    #[arg(long)]
    update: bool,
}

/// A function that a panic was written in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    in_crate: String,
    function: String,
    /// File and line. Not in the document: the line changes with every other change of the file.
    source: String,
}

/// Prints the list, or commits it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let project = Project::open()?;
    let list = list(&project)?;
    if !args.update {
        print!("{list}");
        return Ok(());
    }
    let document = read(&project)?;
    let (introduction, _) = split(&document)?;
    std::fs::write(path(&project), format!("{introduction}{MARK}{list}"))?;
    println!("{DOCUMENT} is updated");
    Ok(())
}

/// Compares it with what is committed, as part of a step of `cargo xtask ci`.
pub(crate) fn check(project: &Project) -> Result<()> {
    let document = read(project)?;
    let (_, committed) = split(&document)?;
    let list = list(project)?;
    if let Some(line) = first_difference(committed, &list) {
        bail!(
            "{DOCUMENT} is out of date, first at `{line}`: run `cargo xtask panics --update`, and commit it with the reason"
        );
    }
    Ok(())
}

fn path(project: &Project) -> PathBuf {
    project.root.join(DOCUMENT)
}

fn read(project: &Project) -> Result<String> {
    std::fs::read_to_string(path(project)).with_context(|| format!("cannot read {DOCUMENT}"))
}

fn split(document: &str) -> Result<(&str, &str)> {
    let parts = document.split_once(MARK);
    parts.with_context(|| format!("{DOCUMENT} lacks the line `{}`", MARK.trim_end()))
}

fn first_difference<'l>(committed: &'l str, list: &'l str) -> Option<&'l str> {
    let (mut committed, mut list) = (committed.lines(), list.lines());
    loop {
        match (committed.next(), list.next()) {
            (None, None) => return None,
            (one, other) if one != other => return other.or(one),
            _ => {}
        }
    }
}

/// The list of all firmware, or an error that names what of this repository can panic.
fn list(project: &Project) -> Result<String> {
    let mut list = String::new();
    let mut complaints = Vec::new();
    for firmware in Firmware::all(project)? {
        let ours = our_crates(project, &firmware)?;
        for (title, image) in firmware.images_to_search(project)? {
            let places = search(&image.parse()?, &ours)?;
            let (of_ours, of_others): (Vec<_>, Vec<_>) = places
                .into_iter()
                .partition(|place| ours.contains(&place.in_crate));
            let unknown = of_ours
                .iter()
                .filter(|place| why_it_remains(place).is_none());
            complaints.extend(unknown.map(
                |Place {
                     function, source, ..
                 }| { format!("{title}: {function}, {source}") },
            ));
            list += &section(&title, &of_ours, &of_others);
        }
    }
    if !complaints.is_empty() {
        bail!("these can panic:\n{}", complaints.join("\n"));
    }
    Ok(list)
}

fn why_it_remains(place: &Place) -> Option<&'static str> {
    let merged = MERGED.iter().filter(|_| place.source.ends_with(":0"));
    let remaining = REMAINING.iter().chain(merged);
    let mut remaining = remaining.filter(|(name, _)| place.function.starts_with(name));
    remaining.next().map(|(_, why)| *why)
}

fn section(title: &str, of_ours: &[Place], of_others: &[Place]) -> String {
    let mut functions = BTreeSet::new();
    for place in of_ours.iter().chain(of_others) {
        let why = why_it_remains(place).unwrap_or_default();
        functions.insert((why.is_empty(), &place.in_crate, &place.function, why));
    }
    let mut text = format!("\n## {title}\n\n| crate | function | |\n|-|-|-|\n");
    for (_, name, function, why) in functions {
        text += &format!("| {name} | `{function}` | {why} |\n");
    }
    text
}

/// Every call of what panics in a program. `ours` are the crates of this repository.
fn search(program: &Program<'_>, ours: &[String]) -> Result<BTreeSet<Place>> {
    let functions: Vec<_> = program.symbols.iter().filter(|s| s.is_function).collect();
    let calls = calls(program, &functions);
    let panicking = panicking(&functions, &calls);
    let resumed: HashSet<_> = functions
        .iter()
        .filter(|function| readable(&function.name).starts_with(RESUMED))
        .map(|function| function.address)
        .collect();
    let mut places = BTreeSet::new();
    for (caller, branch) in calls {
        let panics = panicking.contains(&branch.to) && !resumed.contains(&branch.to);
        if panics && !panicking.contains(&caller.address) {
            let mut written_in = program.frames_at(branch.from)?;
            written_in.push(Frame {
                function: caller.name.clone(),
                file: String::new(),
                line: 0,
            });
            places.extend(place(&written_in, ours));
        }
    }
    Ok(places)
}

/// All branches to the beginning of a function, with the function that they are in.
fn calls<'s>(program: &Program<'_>, functions: &[&'s Symbol]) -> Vec<(&'s Symbol, Branch)> {
    let beginnings: HashSet<_> = functions.iter().map(|function| function.address).collect();
    let mut calls = Vec::new();
    for function in functions {
        let code = program.code(function.address, function.bytes);
        let branches = branches(code, function.address).into_iter();
        let to_beginning = branches.filter(|branch| beginnings.contains(&branch.to));
        calls.extend(to_beginning.map(|branch| (*function, branch)));
    }
    calls
}

/// Addresses of the panic handler, of the functions of `core` that call it, and of instructions
/// shared by calls of these.
fn panicking(functions: &[&Symbol], calls: &[(&Symbol, Branch)]) -> HashSet<u64> {
    let names: HashMap<_, _> = functions
        .iter()
        .map(|function| (function.address, readable(&function.name)))
        .collect();
    let is_handler = |name: &String| name.contains("rust_begin_unwind");
    let mut panicking: HashSet<_> = functions
        .iter()
        .filter(|function| is_handler(&readable(&function.name)))
        .map(|function| function.address)
        .collect();
    loop {
        let before = panicking.len();
        for (caller, branch) in calls {
            if panicking.contains(&branch.to) && is_for_callers(&names[&caller.address]) {
                panicking.insert(caller.address);
            }
        }
        if panicking.len() == before {
            return panicking;
        }
    }
}

/// Whether it is for the caller of a function to see to it that this does not panic: functions such
/// as `unwrap` and `borrow_mut`. Formatting is not for its callers, of which there are many, and is
/// listed itself.
fn is_for_callers(name: &str) -> bool {
    let of_core = crate_of(name, &[]).is_some_and(|name| is_standard(&name));
    let formats = ["core::fmt::", "core::num::", "core::str::"];
    name.starts_with(OUTLINED) || of_core && !formats.iter().any(|part| name.contains(part))
}

/// The function that an instruction was written in, which is the first of `frames`: the others it
/// is inlined in. What is in the standard library belongs to the function that it is inlined in.
fn place(frames: &[Frame], ours: &[String]) -> Option<Place> {
    let places = frames.iter().map(|frame| {
        // The instructions of a macro have the file that the macro is in, and the name of the
        // function that it is used in.
        let in_crate = crate_of_file(&frame.file).or_else(|| crate_of(&frame.function, ours));
        Place {
            in_crate: in_crate.unwrap_or_default(),
            function: readable(&frame.function),
            source: format!("{}:{}", frame.file, frame.line),
        }
    });
    let places: Vec<_> = places.collect();
    let is_named = |place: &Place| !place.in_crate.is_empty() && !is_standard(&place.in_crate);
    let named = places.iter().position(is_named).unwrap_or_default();
    places.into_iter().nth(named)
}

/// The crate that a source file of a dependency is in, which Cargo keeps in
/// `registry/src/REGISTRY/PACKAGE-VERSION`.
fn crate_of_file(file: &str) -> Option<String> {
    let (_, path) = file.split_once("/registry/src/")?;
    let (package, _) = path.split('/').nth(1)?.rsplit_once('-')?;
    Some(package.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_panic_for_their_callers_are_not_listed() {
        for name in [
            "core::panicking::panic_fmt",
            "core::cell::RefCell<T>::borrow_mut",
            "core::slice::copy_from_slice_impl::len_mismatch_fail",
            "OUTLINED_FUNCTION_3",
        ] {
            assert!(is_for_callers(name), "{name}");
        }
        for name in ["core::fmt::Formatter::pad", "driver::fail"] {
            assert!(!is_for_callers(name), "{name}");
        }
    }

    fn frame(function: &str, file: &str) -> Frame {
        Frame {
            function: function.to_owned(),
            file: file.to_owned(),
            line: 7,
        }
    }

    #[test]
    fn a_panic_belongs_to_who_wrote_the_call() {
        let frames = [
            frame("core::option::Option<T>::unwrap", "/rustc/x/option.rs"),
            frame("driver::read", "/registry/src/x/driver-0.1.0/src/lib.rs"),
            frame("ours::run", "/ours/src/lib.rs"),
        ];
        let place = place(&frames, &["ours".to_owned()]).unwrap();
        assert_eq!(
            (&*place.in_crate, &*place.function),
            ("driver", "driver::read")
        );
        assert_eq!(place.source, "/registry/src/x/driver-0.1.0/src/lib.rs:7");
    }

    #[test]
    fn a_macro_belongs_to_the_crate_that_it_is_written_in() {
        let frames = [frame(
            "ours::run",
            "/registry/src/x/some-driver-0.1.0/src/lib.rs",
        )];
        let place = place(&frames, &["ours".to_owned()]).unwrap();
        assert_eq!(
            (&*place.in_crate, &*place.function),
            ("some_driver", "ours::run")
        );
    }

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some("c"));
        assert_eq!(first_difference("a\nb\n", "a\n"), Some("b"));
    }
}
