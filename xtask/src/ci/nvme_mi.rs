//! The bytes of NVMe-MI messages and structures are in one module: nobody else writes the number of
//! a byte (NVMe-MI 1.2; NVM Express Base 2.0).
//!
//! What finds them is a search for text, which knows what such code looks like and no more.

/// Where the numbers are.
const HOME: &str = "nvme-mi-responder/src/wire/";

const RESPONDER: &str = "nvme-mi-responder/src/";

/// So many are in the responder outside of [`HOME`], and there may not be more of them.
const MOST_IN_RESPONDER: usize = 10;

/// The hosts, which have none.
const HOSTS: &[&str] = &[
    "examples/guest-tests/src/nvme_cli/",
    "examples/linux-requester/src/nvme_mi.rs",
    "examples/virtual-device/src/demo/expected.rs",
    "examples/virtual-device/src/demo/firmware_update.rs",
    "examples/virtual-device/src/demo/management.rs",
    "examples/virtual-device/src/demo/namespace_life.rs",
    "examples/virtual-device/src/demo/nvme_mi.rs",
];

/// What takes an offset, and as which of its arguments.
const TAKERS: &[(&str, Argument)] = &[
    ("u8_at", Argument::Last),
    ("u16_at", Argument::Last),
    ("u32_at", Argument::Last),
    ("u64_at", Argument::Last),
    ("put", Argument::First),
    ("put_u8", Argument::First),
    ("put_u16", Argument::First),
    ("put_u32", Argument::First),
    ("put_u64", Argument::First),
    ("put_u128", Argument::First),
    ("parameter", Argument::First),
];

/// The same in the hosts, whose messages are vectors.
const VECTOR_TAKERS: &[(&str, Argument)] = &[
    ("get", Argument::First),
    ("get_mut", Argument::First),
    ("resize", Argument::First),
    ("split_at", Argument::First),
    ("split_off", Argument::First),
];

#[derive(Clone, Copy)]
enum Argument {
    First,
    Last,
}

/// What is wrong with these files, of which each has its name and its text.
pub(super) fn complaints(files: &[(String, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut in_responder = Vec::new();
    for (name, text) in files {
        if !name.ends_with(".rs") || name.starts_with(HOME) || name.ends_with("tests.rs") {
            continue;
        }
        let places = |lines: Vec<usize>| {
            let place = |line| format!("{name}:{line}");
            lines.into_iter().map(place).collect::<Vec<_>>()
        };
        let code = code_of(text);
        if name.starts_with(RESPONDER) {
            in_responder.extend(places(calls(&code, TAKERS)));
        } else if HOSTS.iter().any(|host| name.starts_with(host)) {
            let mut lines = calls(&code, TAKERS);
            lines.extend(calls(&code, VECTOR_TAKERS));
            lines.extend(indices(&code));
            let sentence = "the number of a byte of NVMe-MI, which belongs to";
            let complaint = |place| format!("{place}: {sentence} {HOME}");
            complaints.extend(places(lines).into_iter().map(complaint));
        }
    }
    if in_responder.len() > MOST_IN_RESPONDER {
        complaints.push(format!(
            "{RESPONDER} has {} numbers of bytes outside of {HOME}, at most {MOST_IN_RESPONDER}: {}",
            in_responder.len(),
            in_responder.join(", ")
        ));
    }
    complaints
}

/// What comes before the tests, without comments.
fn code_of(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"));
    let code = lines.map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// The lines of calls in which the argument that is an offset has a number.
fn calls(code: &str, takers: &[(&str, Argument)]) -> Vec<usize> {
    let mut lines = Vec::new();
    for (open, _) in code.match_indices('(') {
        let before = &code[..open];
        let name = before.rsplit(|character| !is_of_word(character)).next();
        let taker = takers.iter().find(|(taker, _)| Some(*taker) == name);
        let Some((name, which)) = taker else { continue };
        let is_definition = before.trim_end_matches(name).ends_with("fn ");
        let arguments = arguments(&code[open + 1..]);
        let offset = match which {
            Argument::First => arguments.first(),
            Argument::Last => arguments.last(),
        };
        if !is_definition && offset.is_some_and(|offset| has_number(offset)) {
            lines.push(line_of(code, open));
        }
    }
    lines
}

/// The lines in which something is indexed by a number other than 0 alone.
fn indices(code: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (open, _) in code.match_indices('[') {
        let is_index = code[..open].ends_with(|last| is_of_word(last) || matches!(last, ')' | ']'));
        let index = arguments(&code[open + 1..]);
        // `[0; 4]` is a value, and so is `[1, 2]`.
        let is_one = matches!(&index[..], [index] if !index.contains(';'));
        if is_index && is_one && index.iter().any(|index| has_number(index)) {
            lines.push(line_of(code, open));
        }
    }
    lines
}

/// What is between here and the bracket that ends it, cut at commas.
fn arguments(code: &str) -> Vec<&str> {
    let (mut arguments, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, character) in code.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => {
                arguments.push(&code[start..at]);
                break;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(&code[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    arguments.retain(|argument| !argument.trim().is_empty());
    arguments
}

/// Whether a place is said with a number: alone, or as an end of a range. A multiple of something is
/// none.
fn has_number(place: &str) -> bool {
    let ends = place
        .split("..")
        .map(|end| end.trim_matches(['=', ' ', '\n']));
    let is_number =
        |end: &str| end.starts_with(|first: char| first.is_ascii_digit()) && !end.contains('*');
    ends.into_iter().any(is_number)
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(name: &str, code: &str) -> Vec<String> {
        complaints(&[(name.into(), code.into())])
    }

    #[test]
    fn numbers_in_the_hosts_are_found() {
        for code in [
            "let status = message[4];",
            "if message[..4] != header {",
            "data[8..16].copy_from_slice(&capacity);",
            "let data = data_of(&message[8..], length)?;",
            "message.resize(32, 0);",
            "let field = log.get(176..)?;",
            "page.put_u16(\n    12,\n    unit,\n);",
            "let (head, rest) = answer.split_at(7);",
        ] {
            let found = complaints_about("examples/linux-requester/src/nvme_mi.rs", code);
            assert_eq!(found.len(), 1, "{code}: {found:?}");
        }
    }

    #[test]
    fn a_complaint_names_file_and_line() {
        let name = "examples/virtual-device/src/demo/nvme_mi.rs";
        assert_eq!(
            complaints_about(name, "// [4]\n\nlet status = message[4];"),
            [format!(
                "{name}:3: the number of a byte of NVMe-MI, which belongs to {HOME}"
            )]
        );
    }

    #[test]
    fn numbers_in_the_responder_are_counted() {
        for code in [
            "let opcode = u8_at(exchange.request(), 3);",
            "page.put_u8(0, u8::from(count));",
            "page.put(73, &[third, second, first]);",
            "return Err(Failure::parameter(8, 0));",
        ] {
            let code = format!("{code}\n").repeat(MOST_IN_RESPONDER + 1);
            let found = complaints_about("nvme-mi-responder/src/mi/health.rs", &code);
            assert_eq!(found.len(), 1, "{code}");
            let most: Vec<_> = code.lines().take(MOST_IN_RESPONDER).collect();
            let found = complaints_about("nvme-mi-responder/src/mi/health.rs", &most.join("\n"));
            assert_eq!(found, [""; 0], "{code}");
        }
    }

    #[test]
    fn names_values_tests_and_other_files_are_left_alone() {
        for code in [
            "let status = response.status;",
            "let command = [1, 2, 3];",
            "let page = [0; 4096];",
            "fn log(list: &[u16; 8]) {}",
            "take(&[8], vec![9]);",
            "let slot = slots[index];",
            "image[3 * PAGE] ^= 1;",
            "pub(crate) fn put_u32(bytes: &mut [u8], offset: usize) {}",
            "// let status = message[4];",
            "#[cfg(test)]\nmod tests { fn check() { message[4] } }",
        ] {
            let found = complaints_about("examples/linux-requester/src/nvme_mi.rs", code);
            assert_eq!(found, [""; 0], "{code}");
        }
        let code = "let status = message[4];\npage.put_u8(0, 1);\n".repeat(500);
        for name in [
            "nvme-mi-responder/src/wire/admin.rs",
            "nvme-mi-responder/src/wire/tests.rs",
            "examples/linux-requester/src/netlink.rs",
        ] {
            assert_eq!(complaints_about(name, &code), [""; 0], "{name}");
        }
    }
}
