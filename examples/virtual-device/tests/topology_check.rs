//! `virtual-device topology --check FILE`.

use std::fs;
use std::process::{Command, Output};

fn topology(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtual-device"));
    command.arg("topology").args(arguments).output().unwrap()
}

#[test]
fn a_good_file_is_described_in_a_few_lines() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/eight-devices.toml");
    let output = topology(&["--check", file]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[0], "bridge: upstream usb, pool of 16");
    assert_eq!(lines[1], "bus: 400 kHz, bridge at 0x10, devices: 8");
    let slot5 = "slot5: address 0x25, model \"Reference NVM subsystem\", unplugged";
    assert_eq!(lines[7], slot5);
}

#[test]
fn a_wrong_file_gets_one_sentence_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge.toml");
    fs::write(&path, "[bridge]\nupstream = \"usb\"\npool_size = 0\n").unwrap();
    let path = path.to_str().unwrap();
    let output = topology(&["--check", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    let sentence =
        format!("virtual-device: --check {path}, line 3: bridge.pool_size is 1 to 245, not 0");
    assert_eq!(said.lines().next(), Some(&*sentence));
}

#[test]
fn options_of_a_device_are_refused() {
    let output = topology(&["--check", "bridge.toml", "--pcap", "capture.pcap"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let sentence =
        "virtual-device: --pcap is without effect: topology checks a file, without a device";
    assert_eq!(said.lines().next(), Some(sentence));
}
