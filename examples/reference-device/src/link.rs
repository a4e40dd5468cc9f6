//! The USB link: the device stack, the MCTP function and the router's work at its port.

use core::convert::Infallible;

use embassy_futures::join::join4;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb::Builder;
use embassy_usb::driver::Driver;
use mctp_router::{Clock, Router};
use mctp_usb::{BufferTooSmall, MctpUsbClass};

use crate::device::USB;
use crate::observer::{Observed, Observer};

/// What the USB device stack keeps.
pub(crate) struct LinkMemory<'d> {
    config_descriptor: [u8; 64],
    bos_descriptor: [u8; 16],
    control: [u8; 128],
    class: mctp_usb::State<'d>,
}

impl LinkMemory<'_> {
    pub(crate) const fn new() -> Self {
        Self {
            config_descriptor: [0; 64],
            bos_descriptor: [0; 16],
            control: [0; 128],
            class: mctp_usb::State::new(),
        }
    }
}

/// The USB link of an [`assemble`](crate::assemble)d device.
///
/// The USB device stack is built where the link runs: unlike its parts, it must stay with one executor.
pub struct Link<'d, D> {
    pub(crate) driver: D,
    pub(crate) usb_config: embassy_usb::Config<'d>,
    pub(crate) class_config: mctp_usb::Config<'static>,
    pub(crate) receive: &'d mut [u8],
    pub(crate) memory: &'d mut LinkMemory<'d>,
}

impl<'d, D: Driver<'d>> Link<'d, D> {
    /// Runs the link for ever: USB, both directions of MCTP, and the router's timers.
    ///
    /// # Errors
    ///
    /// Only at the start: when the memory's receive buffer is too short for the USB version.
    // The stack is built before the future, which then has it once, and not also what it was built of.
    pub fn run<M: RawMutex, C: Clock>(
        self,
        router: &Router<'_, M, C>,
        observer: &impl Observer,
    ) -> impl Future<Output = Result<Infallible, BufferTooSmall>> {
        let LinkMemory {
            config_descriptor,
            bos_descriptor,
            control,
            class,
        } = self.memory;
        let mut builder = Builder::new(
            self.driver,
            self.usb_config,
            config_descriptor,
            bos_descriptor,
            &mut [],
            control,
        );
        let class = MctpUsbClass::new(&mut builder, class, self.class_config);
        let mut usb = builder.build();
        let mut halves = class.split(self.receive).map(|(receiver, sender)| {
            let receiver = Observed {
                transport: receiver,
                observer,
            };
            let sender = Observed {
                transport: sender,
                observer,
            };
            (receiver, sender)
        });
        async move {
            let (receiver, sender) = halves.as_mut().map_err(|error| *error)?;
            join4(
                usb.run(),
                router.run_receive(USB, receiver),
                router.run_send(USB, sender),
                router.run_timers(),
            )
            .await
            .0
        }
    }
}
