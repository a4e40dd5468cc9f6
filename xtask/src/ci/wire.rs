//! The bytes of the control protocol are in one module: nobody else writes a command code, a
//! completion code, a flag or a request as a number (DSP0236 1.3.3, sections 11 and 12).
//!
//! What finds them is a search for text, which knows what such code looks like and no more.

/// Where the numbers are.
const HOME: &str = "mctp-router/src/wire/";

/// Code that has byte vectors of its own, so that a wrong number in the module is seen: tests, and
/// measurements.
const WITH_VECTORS: &[&str] = &[
    "tests/",
    "tests.rs",
    "bench/",
    "/bin/instructions/",
    "xtask/",
];

/// Beginnings of the names of commands and completion codes, as constants have them.
const NAMES: &[&str] = &[
    "SET_ENDPOINT_ID",
    "GET_ENDPOINT_ID",
    "GET_ENDPOINT_UUID",
    "GET_UUID",
    "GET_VERSION_SUPPORT",
    "GET_MCTP_VERSION",
    "GET_MESSAGE_TYPE",
    "GET_VENDOR",
    "RESOLVE_ENDPOINT",
    "ALLOCATE_ENDPOINT",
    "ROUTING_INFORMATION",
    "GET_ROUTING_TABLE",
    "ENDPOINT_DISCOVERY",
    "DISCOVERY_NOTIFY",
    "ERROR_INVALID",
    "ERROR_NOT_READY",
    "ERROR_UNSUPPORTED",
];

/// Rq, D and instance ID, as masks are written.
const MASKS: &[&str] = &["0x80", "0x40", "0x1f", "0b1_1111", "0b11111"];

/// What is wrong with a source file: the lines that have bytes of the control protocol.
pub(super) fn complaints(name: &str, text: &str) -> Vec<String> {
    if !name.ends_with(".rs") || name.starts_with(HOME) {
        return Vec::new();
    }
    if WITH_VECTORS.iter().any(|part| name.contains(part)) {
        return Vec::new();
    }
    let code: Vec<_> = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    // A constant may have its value on the next lines.
    let statements = statements(&code);
    let found = statements.into_iter().filter_map(|(line, statement)| {
        let what = what_is_wrong(&statement)?;
        Some(format!(
            "{name}:{line}: {what} of the control protocol, which belongs to {HOME}"
        ))
    });
    found.collect()
}

/// The code cut at its braces, and at its semicolons outside of brackets, each part with the number
/// of its first line.
fn statements(code: &[&str]) -> Vec<(usize, String)> {
    let mut statements = vec![(1, String::new())];
    let mut brackets = 0_usize;
    for (line, number) in code.iter().zip(1..) {
        for character in line.chars().chain([' ']) {
            let Some((first, statement)) = statements.last_mut() else {
                continue;
            };
            if statement.trim().is_empty() {
                *first = number;
            }
            statement.push(character);
            match character {
                '[' => brackets += 1,
                ']' => brackets = brackets.saturating_sub(1),
                '{' | '}' => {
                    brackets = 0;
                    statements.push((number, String::new()));
                }
                ';' if brackets == 0 => statements.push((number, String::new())),
                _ => {}
            }
        }
    }
    statements
}

fn what_is_wrong(statement: &str) -> Option<&'static str> {
    let words = words(statement);
    if words.windows(3).any(is_request) {
        return Some("a request in bytes");
    }
    if is_named_number(&words) {
        return Some("a number");
    }
    let wraps = |word: &&str| matches!(*word, "Command" | "CompletionCode" | "Flags");
    let is_wrapped = |pair: &[&str]| wraps(&pair[0]) && number(pair[1]).is_some();
    if words.windows(2).any(is_wrapped) {
        return Some("a number");
    }
    let of_instance = |word: &&str| word.to_ascii_lowercase().contains("instance");
    let masks = |word: &&str| MASKS.contains(&word.to_ascii_lowercase().as_str());
    let combines = statement.contains(['&', '|']);
    (combines && words.iter().any(of_instance) && words.iter().any(masks)).then_some("a mask")
}

/// Message type, Rq with an instance ID, and a command: as nothing else begins.
fn is_request(bytes: &[&str]) -> bool {
    let [message_type, flags, command] = bytes else {
        return false;
    };
    let is_byte = |word: &str| word.len() == 4 && word.starts_with("0x");
    is_byte(message_type)
        && is_byte(flags)
        && number(message_type) == Some(0)
        && matches!(number(flags), Some(0x80..=0x9F | 0xC0..=0xDF))
        && matches!(number(command), Some(0x01..=0x14))
}

/// A constant that is named after a command or a completion code, and has a number for a value.
fn is_named_number(words: &[&str]) -> bool {
    let Some(at) = words.iter().position(|word| *word == "const") else {
        return false;
    };
    let mut behind = words[at..].iter().skip(1);
    let is_named = behind
        .next()
        .is_some_and(|name| NAMES.iter().any(|start| name.starts_with(start)));
    is_named && behind.any(|word| number(word).is_some())
}

fn words(text: &str) -> Vec<&str> {
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '_');
    words.filter(|word| !word.is_empty()).collect()
}

fn number(word: &str) -> Option<u32> {
    let word = ["u8", "_u8"]
        .iter()
        .find_map(|end| word.strip_suffix(end))
        .unwrap_or(word);
    match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        complaints("examples/host/src/control.rs", code)
    }

    #[test]
    fn numbers_outside_of_the_wire_module_are_found() {
        for code in [
            "/// Get Endpoint ID.\npub const GET_ENDPOINT_ID: u8 = 0x02;",
            "const SET_ENDPOINT_ID_COMMAND: u8 = 1;",
            "const ERROR_INVALID_DATA: u8 = 0x02;",
            "let answer = client.request(peer, Command(0x05), &[]);",
            "if response.completion_code == CompletionCode(0x80) {",
            "const GET_ENDPOINT_ID: [u8; 11] = [\n    0x1a, 0xb4, 0x00, 11, 0x01, 0x00, 0x08, 0xcd,\n    0x00, 0x9f, 0x02,\n];",
            "let request = message(&[0x00, 0x80, 0x02]);",
            "ask(&requester, 0, &[0x00, 0x80, 0x01, 0x00, DEVICE]).await?;",
            "let instance = instance & 0x1F;",
            "const FIRST_INSTANCE: u8 = 0x80;\nlet head = [0x00, 0x80 | instance, command];",
            "instance_id: flags & 0x1f,",
        ] {
            assert_eq!(found(code).len(), 1, "{code}");
        }
    }

    #[test]
    fn a_complaint_names_file_and_line() {
        let code =
            "use mctp::Eid;\n\nfn ask() {\n    send(&[\n        0x00, 0x81, 0x05,\n    ]);\n}\n";
        assert_eq!(
            found(code),
            [
                "examples/host/src/control.rs:4: a request in bytes of the control protocol, which belongs to mctp-router/src/wire/"
            ]
        );
    }

    #[test]
    fn the_module_itself_tests_and_comments_are_left_alone() {
        let code = "const GET_ENDPOINT_ID: u8 = 0x02;\nlet request = [0x00, 0x80, 0x02];";
        for name in [
            "mctp-router/src/wire/code.rs",
            "mctp-router/tests/scenarios/control.rs",
            "mctp-usb/src/framing/tests.rs",
            "README.md",
        ] {
            assert_eq!(complaints(name, code), [""; 0], "{name}");
        }
        assert_eq!(
            found("#[cfg(test)]\nmod tests { const GET_UUID: u8 = 3; }"),
            [""; 0]
        );
        assert_eq!(found("// const GET_ENDPOINT_ID: u8 = 0x02;"), [""; 0]);
    }

    #[test]
    fn users_of_the_module_and_other_protocols_are_left_alone() {
        for code in [
            "const REQUEST: Header = Header::request(0x1f, GetEndpointIdRequest::COMMAND);",
            "let header = Header::request(self.next_instance_id, command);",
            "const GET_TEMPERATURE: u8 = 0x01;",
            "let version = [0xF1, 0xF0, 0xFF, 0x00];",
            "let zeros = [0x00, 0x00, 0x02];",
            "let command = Command(arguments.command);",
            "client.set_endpoint_id(peer, 9)?;",
        ] {
            assert_eq!(found(code), [""; 0], "{code}");
        }
    }
}
