//! Wrong topology files, and the sentence for each.

use super::*;

/// Files, each behind a line with `>>> ` and what is said of it.
const FILES: [&str; 3] = [
    include_str!("wrong_files/bridge.txt"),
    include_str!("wrong_files/bus.txt"),
    include_str!("wrong_files/device.txt"),
];

#[test]
fn each_wrong_file_gets_its_sentence() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for files in FILES {
        for file in files.split(">>> ").skip(1) {
            let (sentence, text) = file.split_once('\n').unwrap();
            let bad = Topology::parse(text, folder).expect_err(text);
            let said = bad.to_string();
            let said = said.replace(env!("CARGO_MANIFEST_DIR"), "FOLDER");
            assert_eq!(said, sentence, "{text}");
            count += 1;
        }
    }
    assert_eq!(count, 77);
}
