//! What Linux's sockets can do beside requests and their answers.

/// Many requests with one tag. The device takes each for a new one, and answers no older one any
/// more: hence one after the other.
pub(super) const ONE_TAG: &[&str] = &[
    "linux-requester echo 9 --sizes 0-1100 --one-tag",
    "linux-requester echo 9 --size 3000 --count 20 --one-tag",
    "linux-requester echo 9 --size 65000 --one-tag",
];

/// A request that comes from the device: an Asynchronous Event Message of NVMe-MI, to whoever
/// enabled events.
pub(super) const EVENT: &[&str] = &[
    "start /bin/linux-requester listen 04 --peer 9",
    // Configuration Set of Asynchronous Events: event 2, the shutdown status, of all functions, a
    // message after 1 s and again after 1 s.
    "linux-requester mi 9 03 07010a04 --data 0100080005030280 --expect 00",
    // Shutdown.
    "linux-requester mi 9 0c --expect 00",
    "expect-line request of type 84h from EID 9",
    // The message again.
    "expect-line request of type 84h from EID 9",
    // It is acknowledged by the same command without events.
    "linux-requester mi 9 03 00000004 --data 0000050005 --expect 00",
    "stop",
];

/// `linux-service` in the guest, asked over the loopback interface. The ends of packets mean nothing
/// there: Linux sends each message in one packet of up to 65,536 bytes.
pub(super) const SERVICE: &[&str] = &[
    "linux-requester link set lo up",
    "linux-requester addr add 20 dev lo",
    "start /bin/linux-service echo nvme-mi",
    "linux-requester echo 20 --sizes 0-1100",
    "linux-requester echo 20 --sizes 4095-4097",
    "linux-requester echo 20 --size 65000",
    "linux-requester echo 20 --size 3000 --at-once 8 --count 20",
    "linux-requester echo 20 --size 65000 --at-once 8 --count 5",
    // Answers to requests with one tag before the first of them is read.
    "linux-requester echo 20 --size 3000 --at-once 16 --count 20 --one-tag",
    // The health of the drive.
    "linux-requester mi 20 01 --expect 00",
    // Who listens to another peer takes nothing from the service.
    "start /bin/linux-requester listen 7e --peer 21 --answer 00",
    "linux-requester echo 20 --sizes 0-10",
    // Who listens to this one does.
    "start /bin/linux-requester listen 7e --peer 20 --echo",
    "linux-requester echo 20 --sizes 0-10",
    "expect-line request of type 7eh from EID 20",
    "stop",
];
