//! Namespace management and attachment: what is created here is gone at the end.

use anyhow::Result;
use nvme_mi_responder::wire::NamespaceManagementData;
use zerocopy::IntoBytes;

use super::identify::{expect_controllers, expect_namespaces};
use super::program::NvmeCli;
use super::{expect_numbers, number};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
const INVALID_FORMAT: u16 = 0x10A;
const INSUFFICIENT_CAPACITY: u16 = 0x115;
const IDENTIFIER_UNAVAILABLE: u16 = 0x116;
const ALREADY_ATTACHED: u16 = 0x118;
const IS_PRIVATE: u16 = 0x119;
const NOT_ATTACHED: u16 = 0x11A;
const THIN_PROVISIONING: u16 = 0x11B;
const INVALID_CONTROLLER_LIST: u16 = 0x11C;

/// Blocks of 512 bytes in a created namespace.
const BLOCKS: u64 = 4096;

/// The structure that Namespace Management takes, as a file.
const FILE: &str = "/tmp/namespace";

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    let creator = Creator::new(nvme)?;
    let free = number(&nvme.json("id-ctrl")?, "unvmcap")?;
    life_of_one(&creator, free)?;
    refusals(&creator)?;
    as_many_as_there_is_room_for(&creator)?;
    expect_numbers(&nvme.json("id-ctrl")?, &[("unvmcap", free)])?;
    expect_namespaces(nvme, "-a", &[1, 2])
}

/// Creates namespaces. Some versions of nvme-cli cannot do that by name over NVMe-MI, but all by
/// opcode.
struct Creator<'n> {
    nvme: &'n NvmeCli,
    by_name: bool,
}

#[derive(Clone, Copy)]
struct Wanted {
    blocks: u64,
    capacity: u64,
    format: u8,
    shared: bool,
}

/// A namespace that several controllers may have.
const SHARED: Wanted = Wanted {
    blocks: BLOCKS,
    capacity: BLOCKS,
    format: 0,
    shared: true,
};

impl<'n> Creator<'n> {
    fn new(nvme: &'n NvmeCli) -> Result<Self> {
        let by_name = nvme.is_for_mctp("create-ns --nsze=2 --ncap=1 --flbas=0")?;
        Ok(Self { nvme, by_name })
    }

    fn command(&self, wanted: Wanted) -> Result<String> {
        let Wanted {
            blocks,
            capacity,
            format,
            shared,
        } = wanted;
        if self.by_name {
            let shared = u8::from(shared);
            return Ok(format!(
                "create-ns --nsze={blocks} --ncap={capacity} --flbas={format} --nmic={shared}"
            ));
        }
        let mut data = NamespaceManagementData::default();
        data.size.set(blocks);
        data.capacity.set(capacity);
        data.formatted_size = format;
        data.sharing = shared.into();
        std::fs::write(FILE, data.as_bytes())?;
        Ok(format!(
            "admin-passthru --opcode=0x0d --write --data-len=4096 --input-file={FILE}"
        ))
    }

    fn create(&self, wanted: Wanted) -> Result<()> {
        self.nvme.raw(&self.command(wanted)?).map(drop)
    }

    fn refused(&self, wanted: Wanted, status: u16) -> Result<()> {
        self.nvme.refused(&self.command(wanted)?, status)
    }
}

fn life_of_one(creator: &Creator<'_>, free: u64) -> Result<()> {
    let nvme = creator.nvme;
    creator.create(SHARED)?;
    expect_namespaces(nvme, "-a", &[1, 2, 3])?;
    expect_namespaces(nvme, "", &[1])?;
    expect_numbers(
        &nvme.json("id-ns -n 3 --force")?,
        &[
            ("nsze", BLOCKS),
            ("ncap", BLOCKS),
            ("flbas", 0),
            ("nmic", 1),
        ],
    )?;
    let left = free - BLOCKS * 512;
    expect_numbers(&nvme.json("id-ctrl")?, &[("unvmcap", left)])?;

    nvme.raw("attach-ns -n 3 -c 0,1")?;
    expect_namespaces(nvme, "", &[1, 3])?;
    expect_namespaces(&nvme.of_controller(1), "", &[1, 3])?;
    expect_controllers(nvme, "-n 3", &[0, 1])?;
    nvme.refused("attach-ns -n 3 -c 0", ALREADY_ATTACHED)?;

    nvme.raw("detach-ns -n 3 -c 0")?;
    expect_namespaces(nvme, "", &[1])?;
    expect_controllers(nvme, "-n 3", &[1])?;
    nvme.refused("detach-ns -n 3 -c 0", NOT_ATTACHED)?;

    nvme.raw("delete-ns -n 3")?;
    expect_namespaces(nvme, "-a", &[1, 2])?;
    expect_namespaces(&nvme.of_controller(1), "", &[1])?;
    nvme.refused("delete-ns -n 3", INVALID_FIELD)
}

fn refusals(creator: &Creator<'_>) -> Result<()> {
    let nvme = creator.nvme;
    let half_full = Wanted {
        capacity: BLOCKS / 2,
        ..SHARED
    };
    creator.refused(half_full, THIN_PROVISIONING)?;
    let too_large = Wanted {
        blocks: 1 << 23,
        capacity: 1 << 23,
        ..SHARED
    };
    creator.refused(too_large, INSUFFICIENT_CAPACITY)?;
    let of_no_format = Wanted {
        format: 5,
        ..SHARED
    };
    creator.refused(of_no_format, INVALID_FORMAT)?;
    nvme.refused("attach-ns -n 4 -c 0", INVALID_FIELD)?;
    nvme.refused("attach-ns -n 2 -c 7", INVALID_CONTROLLER_LIST)?;
    nvme.refused("delete-ns -n 9", INVALID_NAMESPACE)?;

    // One of its own for a controller cannot be another's as well.
    creator.create(Wanted {
        shared: false,
        ..SHARED
    })?;
    nvme.raw("attach-ns -n 3 -c 1")?;
    nvme.refused("attach-ns -n 3 -c 0", IS_PRIVATE)?;
    nvme.raw("delete-ns -n 3")?;
    expect_namespaces(nvme, "-a", &[1, 2])
}

fn as_many_as_there_is_room_for(creator: &Creator<'_>) -> Result<()> {
    let nvme = creator.nvme;
    creator.create(SHARED)?;
    creator.create(SHARED)?;
    creator.refused(SHARED, IDENTIFIER_UNAVAILABLE)?;
    expect_namespaces(nvme, "-a", &[1, 2, 3, 4])?;
    nvme.raw("delete-ns -n 3")?;
    nvme.raw("delete-ns -n 4")?;
    Ok(())
}
