//! The USB link: the device stack, its functions and the router's work at its port.

use core::convert::Infallible;

#[cfg(feature = "serial-log")]
use embassy_futures::join::join;
use embassy_futures::select::{Either4, select4};
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb::driver::Driver;
use embassy_usb::{Builder, UsbDevice};
use embassy_usb_guard::Guard;
use mctp_router::{Clock, Router};
use mctp_transport::HEADER_LEN;
use mctp_usb::{BufferTooSmall, MctpUsbClass, Receiver, SendLimits, Sender};

use crate::device::{Options, USB};
use crate::identity::{Identity, SerialNumber};
use crate::observer::{Observed, Observer};
#[cfg(feature = "serial-log")]
use crate::serial_log::{SerialMemory, SerialPort};

/// 32 bytes with the MCTP function alone; 101 with its association descriptor and the serial port.
const CONFIG_DESCRIPTOR: usize = if cfg!(feature = "serial-log") {
    112
} else {
    64
};

/// The longest packet after a Configuration Set: that of a two-wire port with a transmission unit of 250.
const LARGEST_CONFIGURED_PACKET: u16 = 250 + HEADER_LEN as u16;

/// What the USB device stack keeps.
pub(crate) struct LinkMemory<'d> {
    config_descriptor: [u8; CONFIG_DESCRIPTOR],
    bos_descriptor: [u8; 16],
    control: [u8; 128],
    serial_number: SerialNumber,
    guard: embassy_usb_guard::State,
    class: mctp_usb::State<'d>,
}

impl LinkMemory<'_> {
    pub(crate) const fn new() -> Self {
        Self {
            config_descriptor: [0; CONFIG_DESCRIPTOR],
            bos_descriptor: [0; 16],
            control: [0; 128],
            serial_number: SerialNumber::new(),
            guard: embassy_usb_guard::State::new(),
            class: mctp_usb::State::new(),
        }
    }
}

/// The USB link of an [`assemble`](crate::assemble)d device.
///
/// The USB device stack is built where the link runs: unlike its parts, it must stay with one executor.
pub struct Link<'d, D> {
    pub(crate) driver: D,
    pub(crate) identity: Identity<'d>,
    pub(crate) options: Options,
    /// The longest transfer that the router fills.
    pub(crate) max_transfer: u16,
    pub(crate) receive: &'d mut [u8],
    pub(crate) memory: &'d mut LinkMemory<'d>,
}

impl<'d, D: Driver<'d>> Link<'d, D> {
    /// Runs the link for ever: USB, both directions of MCTP, and the router's timers.
    ///
    /// # Errors
    ///
    /// Only at the start: when the memory's receive buffer is too short for the USB version.
    pub fn run<M: RawMutex, C: Clock>(
        self,
        router: &Router<'_, M, C>,
        observer: &impl Observer,
    ) -> Result<impl Future<Output = Infallible>, BufferTooSmall> {
        let (mut stack, ()) = self.build(false, observer, |_| ())?;
        Ok(async move { stack.run(router).await })
    }

    /// Runs the link for ever, with a serial port (CDC-ACM) beside MCTP: the device's log, for whoever opens it.
    ///
    /// - Each time it is opened (DTR), the log begins with the first lines. While it is closed, nothing is sent. What the driver had taken, and the one
    ///   before did not read, comes before that: at most 128 bytes.
    /// - What the host writes is read and forgotten; most do, as a terminal's echo.
    /// - MCTP's interface stays the first one. The interfaces are grouped, and the device says that it is composite.
    ///
    /// # Errors
    ///
    /// Only at the start: when the memory's receive buffer is too short for the USB version.
    #[cfg(feature = "serial-log")]
    pub fn run_with_log<M: RawMutex, C: Clock, const EARLY: usize, const RECENT: usize>(
        self,
        router: &Router<'_, M, C>,
        observer: &impl Observer,
        memory: &'d mut SerialMemory<'d>,
        log: device_log::Reader<'_, EARLY, RECENT>,
    ) -> Result<impl Future<Output = Infallible>, BufferTooSmall> {
        let max_packet_size = self.options.usb_max_packet_size;
        let (mut stack, mut port) = self.build(true, observer, |builder| {
            SerialPort::new(builder, memory, max_packet_size)
        })?;
        Ok(async move { join(stack.run(router), port.show(log)).await.0 })
    }

    /// Builds the USB device stack, with the MCTP function first, then what `add` adds: is it `composite`?
    ///
    /// Not within the future, which would then have the stack and also what it was built of.
    fn build<'o, O: Observer, S>(
        self,
        composite: bool,
        observer: &'o O,
        add: impl FnOnce(&mut Builder<'d, Guard<'d, D>>) -> S,
    ) -> Result<(Stack<'d, 'o, Guard<'d, D>, O>, S), BufferTooSmall> {
        let LinkMemory {
            config_descriptor,
            bos_descriptor,
            control,
            serial_number,
            guard,
            class,
        } = self.memory;
        // Here, and not before: the compiler knows most of it.
        let class_config = class_config(&self.options, self.max_transfer);
        let usb_config = self.identity.usb_config(serial_number, composite);
        let mut builder = Builder::new(
            Guard::new(self.driver, guard),
            usb_config,
            config_descriptor,
            bos_descriptor,
            &mut [],
            control,
        );
        let class = MctpUsbClass::new(&mut builder, class, class_config);
        let added = add(&mut builder);
        let (receiver, sender) = class.split(self.receive)?;
        let stack = Stack {
            usb: builder.build(),
            receiver: Observed {
                transport: receiver,
                observer,
            },
            sender: Observed {
                transport: sender,
                observer,
            },
        };
        Ok((stack, added))
    }
}

/// The USB device stack, and the two halves of its MCTP function, looked at.
struct Stack<'d, 'o, D: Driver<'d>, O> {
    usb: UsbDevice<'d, D>,
    receiver: Observed<'o, Receiver<'d, D::EndpointOut>, O>,
    sender: Observed<'o, Sender<'d, D::EndpointIn>, O>,
}

impl<'d, D: Driver<'d>, O: Observer> Stack<'d, '_, D, O> {
    async fn run<M: RawMutex, C: Clock>(&mut self, router: &Router<'_, M, C>) -> Infallible {
        let running = select4(
            self.usb.run(),
            router.run_receive(USB, &mut self.receiver),
            router.run_send(USB, &mut self.sender),
            router.run_timers(),
        );
        match running.await {
            Either4::First(never) => never,
            Either4::Second(never) | Either4::Third(never) | Either4::Fourth(never) => never,
        }
    }
}

fn class_config(options: &Options, max_transfer: u16) -> mctp_usb::Config<'static> {
    let mut config = mctp_usb::Config::new(options.usb_version);
    config.max_packet_size = options.usb_max_packet_size;
    config.interface_name = Some("MCTP");
    config.send = SendLimits {
        // What a Configuration Set may ask for later; the router keeps to the unit that is set.
        max_packet: options.mtu.max(LARGEST_CONFIGURED_PACKET),
        ..SendLimits::new(options.usb_version)
    };
    config.send.max_transfer = config.send.max_transfer.min(max_transfer);
    config
}
