//! `linux-service` in the guest, asked over the loopback interface.

/// Sizes around the ends of packets mean nothing there: Linux sends a message in one packet of up to
/// 65,536 bytes.
pub(super) const COMMANDS: [&str; 9] = [
    "linux-requester link set lo up",
    "linux-requester addr add 20 dev lo",
    "start /bin/linux-service echo nvme-mi",
    "linux-requester echo 20 --sizes 0-1100",
    "linux-requester echo 20 --sizes 4095-4097",
    "linux-requester echo 20 --size 65000",
    "linux-requester echo 20 --size 3000 --at-once 8 --count 20",
    // Of a healthy drive.
    "linux-requester mi 20 01 --expect 00",
    "stop",
];
