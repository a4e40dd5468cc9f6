//! What a scenario is put together from: kernel, USB host controller, device.

/// A kernel version that the scenarios are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linux {
    /// MCTP over USB 1.0, one packet in each OUT transfer.
    V7_2,
    /// MCTP over USB 1.0 and 1.1, OUT transfers packed.
    V7_3,
}

impl Linux {
    /// As in the names of kernel images and of Debian's source packages.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::V7_2 => "7.2",
            Self::V7_3 => "7.3",
        }
    }
}

/// The emulated USB host controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Ehci,
    Xhci,
}

impl Controller {
    /// QEMU's name.
    pub(super) fn device(self) -> &'static str {
        match self {
            Self::Ehci => "usb-ehci",
            Self::Xhci => "qemu-xhci",
        }
    }
}

/// What joins the device to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// The USB host controller, by usbredir.
    Usb(Controller),
    /// The guest's own virtual USB host controller, by USB/IP: the device is a program in the
    /// guest.
    Usbip,
    /// The second serial port, with Linux's line discipline.
    Serial,
    /// The second serial port, which carries what is written on an I2C bus of the guest's kernel:
    /// that of the test driver `i2c-vlink`, which only the kernel images in the shared folder have.
    I2c,
}

impl Wire {
    /// QEMU's name.
    pub(super) fn device(self) -> &'static str {
        match self {
            Self::Usb(controller) => controller.device(),
            Self::Usbip => "vhci-hcd",
            Self::Serial => "16550A",
            Self::I2c => "i2c-vlink",
        }
    }
}

/// What the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Board {
    /// `virtual-device`.
    Pc,
    /// `qemu-an500`, whose UART takes some 15,000 bytes a second.
    An500,
}

impl Board {
    /// The example that it is.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Pc => "virtual-device",
            Self::An500 => "qemu-an500",
        }
    }
}

/// Who waits for the other on the usbredir socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    Qemu,
    Device,
}

/// How a device can end that is asked to: `settings.rs` of the emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Panic,
    StackOverflow,
}

impl End {
    /// As the board's settings have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::StackOverflow => "stack-overflow",
        }
    }

    /// The status with which QEMU has to end, and what has to be in the log.
    pub(super) fn signs(self) -> (i32, &'static str) {
        match self {
            Self::Panic => (101, "panicked at src/fault.rs:"),
            Self::StackOverflow => (102, "stack overflow: the stack pointer is "),
        }
    }
}
