//! The guest's whole file system: a cpio archive in the "new ASCII" format (`cpio(5)`), which the
//! kernel unpacks.
//!
//! Each entry is the magic `070701`, thirteen numbers of eight hexadecimal digits, the name with a
//! zero byte, and the content; name and content are padded to four bytes.

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TEXT: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// The console is device 5:1; without it in the archive the first program has no standard output.
const CONSOLE: (u32, u32) = (5, 1);

/// Where the plan is in the guest.
pub(super) const PLAN: &str = "/plan";

/// A program or library for the guest.
pub(super) struct File {
    /// A folder at the root, and the name in it.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// An archive with `program` as the first process, `plan` beside it, and other files.
pub(super) fn image(program: &[u8], plan: &str, files: &[File]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut folders = vec!["dev", "proc", "sys", "tmp"];
    folders.extend(
        files
            .iter()
            .filter_map(|file| Some(file.name.split_once('/')?.0)),
    );
    folders.sort();
    folders.dedup();
    for folder in folders {
        entry(&mut archive, folder, DIRECTORY, (0, 0), &[]);
    }
    entry(&mut archive, "dev/console", CHARACTER_DEVICE, CONSOLE, &[]);
    entry(&mut archive, "init", PROGRAM, (0, 0), program);
    entry(
        &mut archive,
        PLAN.trim_start_matches('/'),
        TEXT,
        (0, 0),
        plan.as_bytes(),
    );
    for file in files {
        entry(&mut archive, &file.name, PROGRAM, (0, 0), &file.content);
    }
    entry(&mut archive, "TRAILER!!!", 0, (0, 0), &[]);
    archive
}

fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
    // Inode, mode, user, group, links, time, size, device, device of the node, name length,
    // checksum (unused).
    let numbers = [
        archive.len() as u32,
        mode,
        0,
        0,
        1,
        0,
        content.len() as u32,
        0,
        0,
        device.0,
        device.1,
        name.len() as u32 + 1,
        0,
    ];
    archive.extend(b"070701");
    for number in numbers {
        archive.extend(format!("{number:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    pad(archive);
    archive.extend(content);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_header_name_and_content_each_padded_to_four_bytes() {
        let mut archive = Vec::new();
        entry(&mut archive, "ab", TEXT, (0, 0), b"12345");
        assert_eq!(&archive[..6], b"070701");
        assert_eq!(&archive[6 + 8..6 + 16], b"000081a4");
        assert_eq!(&archive[6 + 48..6 + 56], b"00000005");
        assert_eq!(&archive[6 + 88..6 + 96], b"00000003");
        assert_eq!(archive[110..116], *b"ab\0\0\0\0");
        assert_eq!(archive[116..], *b"12345\0\0\0");
    }

    #[test]
    fn folder_of_files_is_made_once_and_before_them() {
        let file = |name: &str| File {
            name: name.into(),
            content: vec![1],
        };
        let archive = image(b"program", "plan", &[file("tool/a"), file("tool/b")]);
        let places = |name: &[u8]| -> Vec<_> {
            let windows = archive.windows(name.len()).enumerate();
            windows
                .filter_map(|(place, window)| (window == name).then_some(place))
                .collect()
        };
        assert_eq!(places(b"tool\0").len(), 1);
        assert!(places(b"tool\0")[0] < places(b"tool/a\0")[0]);
        assert!(places(b"tool/a\0")[0] < places(b"tool/b\0")[0]);
    }

    #[test]
    fn archive_ends_with_the_trailer() {
        let archive = image(b"program", "plan", &[]);
        assert!(archive.len().is_multiple_of(4));
        let trailer = b"TRAILER!!!";
        assert!(
            archive
                .windows(trailer.len())
                .any(|window| window == trailer)
        );
    }
}
