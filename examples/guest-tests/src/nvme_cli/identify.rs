//! Identify, in the forms that nvme-cli asks for.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::program::NvmeCli;
use super::{array, expect, expect_numbers, number, text};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
/// NVMe-MI Invalid Parameter.
const INVALID_PARAMETER: u16 = 0x04;

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    controllers(nvme)?;
    namespaces(nvme)?;
    lists(nvme)?;
    descriptors(nvme)?;
    capabilities(nvme)
}

fn controllers(nvme: &NvmeCli) -> Result<()> {
    for controller in 0..2 {
        let found = nvme.of_controller(controller).json("id-ctrl")?;
        expect_numbers(
            &found,
            &[
                ("vid", 0xFFFF),
                ("ssvid", 0xFFFF),
                ("ieee", 0xACDE48),
                ("cmic", 0b011),
                ("mdts", 0),
                ("cntlid", controller.into()),
                ("ver", 0x0002_0000),
                ("cntrltype", 1),
                ("nvmsr", 1),
                ("mec", 0b01),
                // Security, format, firmware, namespace management, self-test.
                ("oacs", 0b1_1111),
                // Three slots of which the first is read-only, and activation without reset.
                ("frmw", 0b1_0111),
                // Effects, partial reads, telemetry, supported logs.
                ("lpa", 0b10_1110),
                ("elpe", 15),
                ("npss", 0),
                ("wctemp", 343),
                ("cctemp", 353),
                ("tnvmcap", 4 << 30),
                ("unvmcap", 2_684_354_560),
                ("fwug", 1),
                ("sqes", 0x66),
                ("cqes", 0x44),
                ("nn", 4),
                ("mnan", 4),
                ("oncs", 0x50),
                // Cryptographic erase.
                ("fna", 0b100),
            ],
        )?;
        // Crypto erase, block erase and overwrite.
        expect("sanicap", number(&found, "sanicap")? & 0b111, 0b111)?;
        expect("sn", text(&found, "sn")?.len(), 12)?;
        expect("mn", text(&found, "mn")?, "Reference NVM subsystem")?;
        expect("fr", text(&found, "fr")?, "REF00001")?;
        let name = "nqn.2014-08.com.example:reference-device";
        expect("subnqn", text(&found, "subnqn")?, name)?;
    }
    nvme.of_controller(2)
        .refused_by_endpoint("id-ctrl", INVALID_PARAMETER)
}

fn namespaces(nvme: &NvmeCli) -> Result<()> {
    let first = nvme.json("id-ns -n 1")?;
    expect_numbers(
        &first,
        &[
            ("nsze", 2_097_152),
            ("ncap", 2_097_152),
            ("nuse", 2_097_152),
            ("nvmcap", 1 << 30),
            ("nlbaf", 1),
            ("flbas", 0),
            ("nmic", 1),
        ],
    )?;
    let formats = array(&first, "lbafs")?;
    let [small, large] = formats.as_slice() else {
        bail!("there are {} LBA formats", formats.len());
    };
    expect_numbers(small, &[("ms", 0), ("ds", 9)])?;
    expect_numbers(large, &[("ms", 0), ("ds", 12)])?;

    // Allocated, but not attached to controller 0: zeros, and the truth only for who asks for
    // allocated namespaces.
    expect_numbers(&nvme.json("id-ns -n 2")?, &[("nsze", 0), ("nvmcap", 0)])?;
    expect_numbers(
        &nvme.json("id-ns -n 2 --force")?,
        &[("nsze", 1_048_576), ("nvmcap", 1 << 29), ("flbas", 0)],
    )?;
    nvme.refused("id-ns -n 5", INVALID_NAMESPACE)
}

fn lists(nvme: &NvmeCli) -> Result<()> {
    expect_namespaces(nvme, "", &[1])?;
    expect_namespaces(nvme, "-a", &[1, 2])?;
    expect_namespaces(nvme, "-n 2", &[])?;
    expect_namespaces(nvme, "-a -n 2", &[2])?;
    expect_controllers(nvme, "", &[0, 1])?;
    expect_controllers(nvme, "-c 1", &[1])?;
    expect_controllers(nvme, "-c 2", &[])?;
    expect_controllers(nvme, "-n 1", &[0, 1])?;
    expect_controllers(nvme, "-n 2", &[])?;
    nvme.refused("list-ctrl -n 5", INVALID_NAMESPACE)
}

/// Checks what `list-ns` prints.
pub(super) fn expect_namespaces(nvme: &NvmeCli, options: &str, expected: &[u64]) -> Result<()> {
    let list = nvme.json(&format!("list-ns {options}"))?;
    let found = ids(array(&list, "nsid_list")?, "nsid")?;
    expect(&format!("namespaces ({options})"), &*found, expected)
}

/// Checks what `list-ctrl` prints.
pub(super) fn expect_controllers(nvme: &NvmeCli, options: &str, expected: &[u64]) -> Result<()> {
    let list = nvme.json(&format!("list-ctrl {options}"))?;
    let found = ids(array(&list, "ctrl_list")?, "ctrl_id")?;
    expect(&format!("controllers ({options})"), &*found, expected)?;
    expect_numbers(&list, &[("num_ctrl", expected.len() as u64)])
}

fn ids(list: &[Value], name: &str) -> Result<Vec<u64>> {
    list.iter().map(|entry| number(entry, name)).collect()
}

/// The identification descriptors of namespace 1 say what its Identify structure says.
fn descriptors(nvme: &NvmeCli) -> Result<()> {
    let namespace = nvme.json("id-ns -n 1")?;
    let list = nvme.json("ns-descs -n 1")?;
    let list = array(&list, "ns-descs")?;
    expect("descriptors", list.len(), 4)?;
    for name in ["eui64", "nguid"] {
        let described = descriptor(list, name)?;
        expect(name, described, text(&namespace, name)?)?;
        ensure!(
            described.bytes().any(|digit| digit != b'0'),
            "{name} is zero"
        );
    }
    ensure!(
        descriptor(list, "uuid")?.bytes().any(|digit| digit != b'0'),
        "the UUID is zero"
    );
    expect("csi", descriptor(list, "csi")?, "0")?;
    nvme.refused("ns-descs -n 5", INVALID_NAMESPACE)?;
    nvme.refused("ns-descs -n 2", INVALID_FIELD)
}

fn descriptor<'a>(list: &'a [Value], name: &str) -> Result<&'a str> {
    let found = list.iter().find(|entry| entry.get(name).is_some());
    text(found.unwrap_or(&Value::Null), name)
}

fn capabilities(nvme: &NvmeCli) -> Result<()> {
    for controller in 0..2 {
        let found = nvme.of_controller(controller).json("primary-ctrl-caps")?;
        let expected = [("cntlid", controller.into()), ("portid", 0), ("crt", 0)];
        expect_numbers(&found, &expected)?;
    }
    let secondary = nvme.json("list-secondary")?;
    let list = secondary.get("secondary-controllers").unwrap_or(&secondary);
    let count = list.as_array().map_or(0, Vec::len);
    expect("secondary controllers", count, 0)
}
