//! Why an image was not stored or does not run.

/// Why an image was not stored, or does not run.
///
/// A responder has a status of its protocol for each: an NVMe-MI responder answers
/// [`InvalidImage`](Self::InvalidImage) with Invalid Firmware Image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FirmwareError {
    /// The image is none of this device, or is damaged.
    InvalidImage,
    /// The store failed. The same call may succeed later.
    Failed,
    /// Done, but the image runs only after a conventional reset, as that of a PCIe device is called:
    /// power is switched off and on, or the bus is reset.
    NeedsConventionalReset,
    /// Done, but the image runs only after the whole device was reset.
    NeedsSubsystemReset,
    /// Done, but the image runs only after the controller that serves the host was reset.
    NeedsControllerReset,
    /// Not activated: that would take longer than the device promises.
    MaximumTimeViolation,
    /// Not activated: the image must not run, as when it is older than the oldest that the device
    /// accepts.
    ActivationProhibited,
}
