//! What happens in a guest, step by step.

/// Part of a plan.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The kernel's driver binds.
    Bind,
    /// The bus owner's sequence, then an unknown command and a repetition of Set Endpoint ID.
    Control,
    /// A few sizes around the packet boundaries.
    ShortEcho,
    /// Every size from 1 to 1100, sizes around 4096, and 65,000.
    AllEchoes,
    /// A few sizes, among them those around the longest packets of an I2C bus.
    BusEchoes,
    /// The device's transmission unit is that of this MTU, as it says itself.
    SetUnit(u32),
    /// The device is killed and started again while the interface stays.
    ReplaceDevice,
    /// The guest's end of an I2C bus is closed, the device killed and started again, and the end
    /// opened.
    ReopenBus,
    /// The guest's end of an I2C bus is closed in the middle of what Linux sends.
    TearBus,
    /// A packet in the middle of a message to the device has a wrong packet error code. The device
    /// has to drop it by that name, the message is lost, and the next one is answered.
    BadPacketErrorCode,
    /// A firmware image of 128 KiB, of which the device has to have every byte.
    Firmware,
    /// Sizes up to some packets, and around 4096: the longest messages of the emulated board have
    /// 4224 bytes.
    SlowEchoes,
    /// Twelve echoes of 3,000 bytes at once, twenty times, with this MTU. The device has to answer
    /// those that Linux has a tag for, as far as it has a buffer for them when they begin.
    EchoesAtOnce(u32),
    /// The serial port becomes an interface, or the end of a bus with one.
    Attach,
    /// The device is killed and started again while the interface stays. Before that, Linux
    /// receives what makes it lose track of frames for good: the fault of this number.
    Garble(u8),
    /// The device logs what it has dropped.
    LogDrops,
    /// A set-up that fails, and leaves nothing behind.
    FailedSetup,
    /// Ten times down and up.
    CycleLink,
    Reset,
    /// The device is killed and started again.
    RestartDevice,
    /// The device is detached and attached again so many times, and works each time.
    Reattach(u8),
    /// The interface goes down and up so many times in the middle of echoes, and in the middle of a
    /// stream.
    CycleLinkUnderLoad(u8),
    /// Two devices are attached. One bus owner takes both into service and has both answer at
    /// the same time; one of them goes and comes back while the other goes on.
    TwoDevices,
    /// The device ends by itself, says why, and is started again.
    End,
    /// Malformed transfers in place of the kernel's driver.
    Inject,
    /// Commands of the NVMe Management Interface.
    Management,
    /// nvme-cli's commands, each output checked.
    NvmeCli,
    /// nvme-cli's firmware update of a device that takes 45 s for the commit, and serves others
    /// meanwhile. One response of the download is lost.
    SlowFirmware,
    /// A host sets up the management endpoint, and its USB link is lost.
    LeaveBehind,
    /// The next host finds the endpoint as it was in the beginning.
    FindDefaults,
    /// The first computer does the one, the second the other.
    Replug,
    /// Streams of messages of these lengths and counts from the device, with control requests
    /// meanwhile.
    Bench(&'static [(u16, u32)]),
    /// The guest is stopped in the middle of streams of messages of these lengths, for so many
    /// milliseconds each.
    BenchStopped(&'static [(u16, u32)]),
    /// The serial port becomes the end of a bus, without an interface.
    Join,
    /// The commands of `docs/two-wire.md`.
    Page,
    /// Many echoes with one tag.
    OneTag,
    /// The device sends a request of its own.
    Event,
    /// The guest has an endpoint ID on its loopback interface, and `linux-service` answers there.
    Service,
    /// The device's log on its serial port: first lines, a slow reader, one who does not read.
    SerialLog,
}

pub(super) const ROBUST: &[Step] = &[
    Step::Bind,
    Step::FailedSetup,
    Step::Control,
    Step::AllEchoes,
    Step::CycleLink,
    Step::Reset,
    Step::Control,
    Step::ShortEcho,
    Step::RestartDevice,
    Step::Control,
    Step::ShortEcho,
];
/// The same, and then the device comes and goes.
pub(super) const USBIP: &[Step] = &[
    Step::Bind,
    Step::FailedSetup,
    Step::Control,
    Step::AllEchoes,
    Step::CycleLink,
    Step::Reset,
    Step::Control,
    Step::ShortEcho,
    Step::RestartDevice,
    Step::Control,
    Step::Management,
    Step::Reattach(100),
    Step::Control,
    Step::ShortEcho,
];
/// The same where Debian's `usbip` attaches it.
pub(super) const USBIP_TOOL: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::ShortEcho,
    Step::CycleLink,
    Step::Reset,
    Step::Control,
    Step::RestartDevice,
    Step::Control,
    Step::Reattach(100),
    Step::Control,
    Step::ShortEcho,
];
/// Everything at once, and what no host should send.
pub(super) const USBIP_LOAD: &[Step] = &[
    Step::Bind,
    Step::Control,
    SHORT_STREAMS,
    Step::CycleLinkUnderLoad(30),
    Step::Control,
    Step::EchoesAtOnce(68),
    Step::LogDrops,
    Step::Inject,
    Step::Control,
    Step::ShortEcho,
];
pub(super) const TWO_DEVICES: &[Step] = &[Step::TwoDevices];
pub(super) const SHORT: &[Step] = &[Step::Bind, Step::Control, Step::ShortEcho];
pub(super) const AT_ONCE: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::EchoesAtOnce(68),
    Step::EchoesAtOnce(251),
    Step::LogDrops,
    Step::Control,
];
pub(super) const ECHOES: &[Step] = &[Step::Bind, Step::Control, Step::AllEchoes];
pub(super) const GARBAGE: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::Inject,
    Step::Control,
    Step::ShortEcho,
];
pub(super) const BOARD: &[Step] = &[
    Step::Bind,
    Step::FailedSetup,
    Step::Control,
    Step::SlowEchoes,
    Step::CycleLink,
    Step::Reset,
    Step::Control,
    Step::Management,
    Step::RestartDevice,
    Step::Control,
    Step::ShortEcho,
];
/// nvme-cli's commands, then what a host leaves behind at a reset.
pub(super) const USBIP_NVME_CLI: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::Management,
    Step::NvmeCli,
    Step::RestartDevice,
    Step::Control,
    Step::LeaveBehind,
    Step::Reset,
    Step::Control,
    Step::FindDefaults,
];
/// All of it in one boot.
pub(super) const MANAGED: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::AllEchoes,
    Step::CycleLink,
    Step::Reset,
    Step::Control,
    Step::ShortEcho,
    Step::Management,
    Step::RestartDevice,
    Step::Control,
    Step::ShortEcho,
];
pub(super) const ENDS: &[Step] = &[Step::Bind, Step::Control, Step::End, Step::Control];
const SHORT_STREAMS: Step = Step::Bench(&[(100, 2000), (987, 1000), (3951, 250), (65_000, 10)]);
pub(super) const SHORT_BENCH: &[Step] = &[Step::Bind, Step::Control, SHORT_STREAMS];
/// Linux forgets the beginning of a message after 6 s: where a stop comes near that, messages have
/// one packet.
pub(super) const STOPPED_BENCH: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::BenchStopped(&[(987, 1500), (987, 3000), (200, 5000), (200, 8000)]),
    Step::Control,
];
/// Behind its USB driver the guest has no flow control, and these streams have no end until it goes
/// on. In packets as long as these, even a slow guest takes as many as come.
pub(super) const STOPPED_SPANNING_BENCH: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::BenchStopped(&[(7000, 1500), (7000, 3000), (7000, 5000), (7000, 8000)]),
    Step::Control,
];
pub(super) const LONG_BENCH: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::Bench(&[(100, 50_000), (987, 50_000), (3951, 10_000), (65_000, 300)]),
];
/// For the emulated board.
pub(super) const SLOW_BENCH: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::Bench(&[(100, 200), (987, 100), (3951, 25)]),
];
pub(super) const SLOW_FIRMWARE: &[Step] = &[Step::Bind, Step::Control, Step::SlowFirmware];
pub(super) const LINK_LOSS: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::LeaveBehind,
    Step::Reset,
    Step::Control,
    Step::FindDefaults,
];
pub(super) const REPLUG: &[Step] = &[Step::Bind, Step::Control, Step::Replug];
pub(super) const NVME_CLI: &[Step] = &[Step::Bind, Step::Control, Step::Management, Step::NvmeCli];

/// Linux's line discipline, which the device brings back from four of its faults by the preamble
/// that it sends at its start.
pub(super) const SERIAL: &[Step] = &[
    Step::Attach,
    Step::FailedSetup,
    Step::Control,
    Step::SlowEchoes,
    Step::CycleLink,
    Step::Control,
    Step::Management,
    Step::Garble(0),
    Step::Control,
    Step::ShortEcho,
    Step::Garble(1),
    Step::Garble(2),
    Step::Garble(3),
    Step::Garble(4),
    Step::Control,
    Step::ShortEcho,
];
/// The same in less time: an emulated ARM takes some 0.1 s for an echo, most of which is its UART's.
pub(super) const BMC_SERIAL: &[Step] = &[
    Step::Attach,
    Step::Control,
    Step::BusEchoes,
    Step::CycleLink,
    Step::Control,
    Step::Management,
    Step::BusEchoes,
    Step::Garble(0),
    Step::Control,
    Step::BusEchoes,
    Step::Garble(1),
    Step::Garble(2),
    Step::Garble(3),
    Step::Garble(4),
    Step::Control,
    Step::BusEchoes,
];
/// Without resets, after which a host has to set the endpoint up again.
pub(super) const ATTACHED_NVME_CLI: &[Step] =
    &[Step::Attach, Step::Control, Step::Management, Step::NvmeCli];

/// Linux's `mctp-i2c`, which sends the longest packets from the beginning. The device's own are as
/// long as is configured over NVMe-MI, of which there are some after each change.
pub(super) const I2C: &[Step] = &[
    Step::Attach,
    Step::Control,
    Step::BusEchoes,
    Step::Management,
    Step::BusEchoes,
    Step::SlowEchoes,
    Step::Firmware,
    Step::SetUnit(68),
    Step::BusEchoes,
    Step::CycleLink,
    Step::BadPacketErrorCode,
    Step::ReplaceDevice,
    Step::Control,
    Step::BusEchoes,
    Step::SetUnit(254),
    Step::BusEchoes,
    Step::ReopenBus,
    Step::Control,
    Step::BusEchoes,
    Step::SetUnit(254),
    Step::BusEchoes,
];
/// The same in less time: an emulated ARM takes some 0.1 s for an echo, most of which is its UART's.
pub(super) const BMC_I2C: &[Step] = &[
    Step::Attach,
    Step::FailedSetup,
    Step::Control,
    Step::BusEchoes,
    Step::Management,
    Step::BusEchoes,
    Step::Firmware,
    Step::SetUnit(68),
    Step::BusEchoes,
    Step::CycleLink,
    Step::BadPacketErrorCode,
    Step::ReopenBus,
    Step::Control,
    Step::BusEchoes,
    Step::SetUnit(254),
    Step::BusEchoes,
];
/// The next computer finds the device as the first one did.
pub(super) const I2C_REPLUG: &[Step] =
    &[Step::Attach, Step::Control, Step::BusEchoes, Step::TearBus];

/// From nothing to a firmware update, as a person would do it.
pub(super) const TWO_WIRE_PAGE: &[Step] = &[Step::Join, Step::Page];

pub(super) const SERIAL_LOG: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::SerialLog,
    Step::Control,
    Step::ShortEcho,
];

/// What Linux's sockets can do beside requests and their answers.
pub(super) const SOCKETS: &[Step] = &[
    Step::Bind,
    Step::Control,
    Step::OneTag,
    Step::Service,
    Step::Event,
];
