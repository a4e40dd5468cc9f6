//! Commands of the NVMe Management Interface to the reference device with its default model.

/// Opcode, NMD0 and NMD1 of NVMe-MI commands, and what the reference device has to answer.
pub(super) const COMMANDS: &[&str] = &[
    // Subsystem information: two ports.
    "00 00000000 --expect 00 --expect-data 01",
    // Ports 0, PCIe, and 1, two-wire with units up to 250; there is no port 2.
    "00 01000000 --expect 00 --expect-data 01",
    "00 01010000 --expect 00 --expect-data 0203fa00",
    "00 01020000 --expect 04 --expect-value 000a00",
    // Controllers 0 and 1, and what 1 is; there is no controller 2.
    "00 02000000 --expect 00 --expect-data 020000000100",
    "00 03000001 --expect 00 --expect-data 00000000000101",
    "00 03000002 --expect 04 --expect-value 000800",
    // Optional commands of controller 0; a structure that there is not.
    "00 04000000 --expect 00",
    "00 06000000 --expect 04 --expect-value 000b00",
    // Health of the subsystem, 30 degrees and 3 % used, and of both controllers, 303 K.
    "01 00000000 80000000 --expect 00 --expect-data 38ff1e03",
    "02 81ff0000 --expect 04",
    "02 81010000 --expect 00 --expect-value 020000 --expect-data 000001002f01036400",
    // SMBus frequency 100 kHz, then 1 MHz; not on the PCIe port, and there is no fourth one.
    "04 01000001 --expect 00 --expect-value 000001",
    "03 01000301 --expect 00",
    "04 01000001 --expect 00 --expect-value 000003",
    "03 00000101 --expect 04 --expect-value 000b00",
    "03 01000401 --expect 04 --expect-value 000900",
    // Transmission units: 64 at first, and none above 250.
    "04 01000003 --expect 00 --expect-value 000040",
    "03 01000003 3f --expect 04 --expect-value 000c00",
    "03 01000003 fb --expect 04 --expect-value 000c00",
    // VPD: common header, `Example` in the product info area, the end of the port's record, nothing
    // behind it; and bytes beyond the end.
    "05 00000000 15 --expect 00 --expect-data 01000000010f00ef010e19c84578616d706c6500d8",
    "05 000000b8 18 --expect 00 --expect-data 0c820b",
    "05 000000f8 8 --expect 00 --expect-data ffffffffffffffff",
    "05 000000f8 10 --expect 04",
    // Commands that a storage device does not have.
    "08 00000000 --expect 03",
    "0d 00000000 --expect 03",
    "ff 00000000 --expect 03",
];
