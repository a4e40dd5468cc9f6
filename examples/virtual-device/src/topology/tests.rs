//! Topology files that are good, and files that are none.

use std::fs;

use super::*;

const EXAMPLE: &str = include_str!("../../topologies/eight-devices.toml");

fn example() -> Topology {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    Topology::parse(EXAMPLE, &folder).unwrap()
}

#[test]
fn the_example_is_a_bridge_with_eight_devices() {
    let topology = example();
    assert_eq!(
        topology.to_string(),
        "bridge: upstream usb, pool of 16\n\
         bus: 400 kHz, bridge at 0x10, devices: 8\n\
         slot0: address 0x20, model \"Reference NVM subsystem\"\n\
         slot1: address 0x21, static endpoint ID 30, model \"Reference NVM subsystem\"\n\
         slot2: address 0x22, model \"Reference NVM subsystem\"\n\
         slot3: address 0x23, model \"Hot and worn\"\n\
         slot4: address 0x24, model \"Hot and worn\"\n\
         slot5: address 0x25, model \"Reference NVM subsystem\", unplugged\n\
         slot6: address 0x26, model \"Small drive\"\n\
         slot7: address 0x27, model \"Reference NVM subsystem\""
    );
    let serial_numbers = topology
        .devices
        .iter()
        .map(|device| device.model.serial_number.as_deref());
    let expected = [
        None,
        None,
        None,
        Some("HOT-3"),
        Some("HOT-4"),
        None,
        None,
        None,
    ];
    assert!(serial_numbers.eq(expected));
}

#[test]
fn the_example_in_the_readme_is_a_topology_file() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## A bridge: topology files").unwrap();
    let (_, code) = section.split_once("```toml\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let topology = Topology::parse(code, &folder).unwrap();
    assert_eq!(topology.bridge.upstream, Upstream::Serial);
    assert_eq!(topology.bridge.endpoint_id, Some(20));
    let bridge = "0a6c1f52-3b8e-4d0f-8e57-6f1d2c3b4a59";
    assert_eq!(topology.bridge.uuid.unwrap().to_string(), bridge);
    assert_eq!(topology.devices.len(), 3);
}

#[test]
fn a_uuid_that_the_file_has_not_is_made_of_that_of_the_bridge_and_the_name() {
    let topology = example();
    let bridge = crate::settings::DEFAULT_UUID;
    let uuids: Vec<_> = topology
        .devices
        .iter()
        .map(|device| device.settings(bridge).uuid)
        .collect();
    // From Python's uuid.uuid5 with the UUID of the bridge as namespace and "slot0" as name.
    assert_eq!(uuids[0].to_string(), "110ad32f-8e85-5f49-bde5-aa3ae98ae630");
    assert_eq!(uuids[2].to_string(), "5b1d1f3c-7a39-4f0e-9a35-0d4c2b7f6e10");
    for (index, uuid) in uuids.iter().enumerate() {
        assert!(!uuids[..index].contains(uuid));
        assert_ne!(*uuid, bridge);
    }
    let other = topology.devices[0].settings(Uuid::from_u128(1)).uuid;
    assert_ne!(uuids[0], other);
}

#[test]
fn the_two_wire_port_of_a_device_has_its_address() {
    for device in example().devices {
        let model = device.settings(Uuid::from_u128(1)).model;
        match model.ports[usize::from(model.management_port.0)].kind {
            PortKind::TwoWire(port) => assert_eq!(port.endpoint_address, device.address.as_byte()),
            PortKind::Pcie(_) => assert_eq!(model, device.model),
        }
    }
}

#[test]
fn a_file_is_read_with_the_model_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = include_str!("../../models/hot-single-port.toml");
    fs::write(folder.path().join("hot.toml"), model).unwrap();
    let text = "[bridge]\nupstream = \"usb\"\npool_size = 1\n\
                [bus]\naddress = 0x10\nfrequency = \"1 MHz\"\n\
                [[device]]\nname = \"a\"\naddress = 0x20\nmodel = \"hot.toml\"\n";
    let path = folder.path().join("topology.toml");
    fs::write(&path, text).unwrap();
    let topology = Topology::read(&path).unwrap();
    assert_eq!(
        topology.devices[0].model,
        DeviceModel::parse(model).unwrap()
    );
    fs::write(&path, text.replace("0x20", "0x02")).unwrap();
    assert_eq!(
        Topology::read(&path).unwrap_err(),
        format!(
            "{}, line 9: device.address is 0x08 to 0x77, not 0x02: the other addresses of 7 bits are reserved",
            path.display()
        )
    );
}

#[test]
fn what_is_no_text_file_gets_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topology.toml");
    let said = |path: &Path| {
        let sentence = Topology::read(path).unwrap_err();
        let name = format!("{}: ", path.display());
        sentence.strip_prefix(&name).unwrap().to_owned()
    };
    assert_eq!(said(&path), "there is no such file");
    assert_eq!(
        said(folder.path()),
        "this is a folder, and a topology is a file"
    );
    fs::write(&path, b"\xFF").unwrap();
    assert_eq!(
        said(&path),
        "this is no text in UTF-8, as a topology file is"
    );
    fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(
        said(&path),
        "this is longer than 1 MiB, and a topology file has a few KiB"
    );
    if cfg!(unix) {
        let endless = Path::new("/dev/zero");
        assert_eq!(
            said(endless),
            "this is longer than 1 MiB, and a topology file has a few KiB"
        );
    }
}

#[test]
fn a_file_that_was_cut_or_lost_a_line_is_a_topology_or_has_one_sentence_said_of_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let check = |text: &str| match Topology::parse(text, &folder) {
        Ok(_) => true,
        Err(bad) => {
            let sentence = bad.to_string();
            assert!(!sentence.contains('\n'), "{sentence:?} of {text}");
            assert!(bad.line.is_some(), "{sentence:?} of {text}");
            assert!(bad.line <= Some(1 + text.lines().count()));
            false
        }
    };
    let good = (0..EXAMPLE.len()).filter(|len| check(&EXAMPLE[..*len]));
    let good = good.count();
    assert!((1..EXAMPLE.len()).contains(&good), "{good}");
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for left_out in 0..lines.len() {
        let (before, from) = lines.split_at(left_out);
        check(&[before, &from[1..]].concat().join("\n"));
    }
}
