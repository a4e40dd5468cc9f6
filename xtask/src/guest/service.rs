//! `linux-service` in the guest, asked over the loopback interface.

/// Sizes around the ends of packets mean nothing there: Linux sends a message in one packet of up to
/// 65,536 bytes.
pub(super) const COMMANDS: [&str; 9] = [
    "link set lo up",
    "addr add 20 dev lo",
    "start /service/linux-service echo nvme-mi",
    "echo 20 --sizes 0-1100",
    "echo 20 --sizes 4095-4097",
    "echo 20 --size 65000",
    "echo 20 --size 3000 --at-once 8 --count 20",
    // Of a healthy drive.
    "mi 20 01 --expect 00",
    "stop",
];
