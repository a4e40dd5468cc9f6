//! The USB link: the device stack, its functions and the router's work at its port.

use core::convert::Infallible;

use embassy_futures::select::{Either4, select4};
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb::driver::Driver;
use embassy_usb::{Builder, UsbDevice};
use embassy_usb_guard::{Guard, State};
use mctp_router::{Clock, Router};
use mctp_transport::HEADER_LEN;
use mctp_usb::{BufferTooSmall, MctpUsbClass, Receiver, SendLimits, Sender};

use crate::device::{Options, PORT};
use crate::identity::{Identity, SerialNumber};
use crate::observer::{Observed, Observer};

/// The longest packet after a Configuration Set: that of a two-wire port with a transmission unit
/// of 250.
const LARGEST_CONFIGURED_PACKET: u16 = 250 + HEADER_LEN as u16;

/// Bytes of the configuration descriptor with the MCTP function, also where there are other
/// functions beside it.
pub const MCTP_DESCRIPTORS: usize = 40;

/// What the USB link keeps: `RECEIVE + CONFIGURATION` bytes and less than 200 more.
///
/// | parameter | meaning |
/// |-|-|
/// | `RECEIVE` | bytes of the receive buffer: [`mctp_usb::RECEIVE_BUFFER_LEN_1_0`] or [`mctp_usb::RECEIVE_BUFFER_LEN_1_1`] |
/// | `CONFIGURATION` | bytes of the configuration descriptor: [`MCTP_DESCRIPTORS`] and those of further functions |
pub struct LinkMemory<'d, const RECEIVE: usize, const CONFIGURATION: usize = MCTP_DESCRIPTORS> {
    stack: StackMemory<'d>,
    receive: [u8; RECEIVE],
    config_descriptor: [u8; CONFIGURATION],
}

/// What of it is alike on all boards.
struct StackMemory<'d> {
    bos_descriptor: [u8; 16],
    control: [u8; 128],
    serial_number: SerialNumber,
    guard: State,
    class: mctp_usb::State<'d>,
}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<StackMemory<'_>>() < 200);

impl<const RECEIVE: usize, const CONFIGURATION: usize> LinkMemory<'_, RECEIVE, CONFIGURATION> {
    /// Memory for one link.
    pub const fn new() -> Self {
        Self {
            stack: StackMemory {
                bos_descriptor: [0; 16],
                control: [0; 128],
                serial_number: SerialNumber::new(),
                guard: State::new(),
                class: mctp_usb::State::new(),
            },
            receive: [0; RECEIVE],
            config_descriptor: [0; CONFIGURATION],
        }
    }
}

impl<const RECEIVE: usize, const CONFIGURATION: usize> Default
    for LinkMemory<'_, RECEIVE, CONFIGURATION>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The USB link of an [`assemble`](crate::assemble)d device.
///
/// The USB device stack is built where the link runs: unlike its parts, it must stay with one
/// executor.
pub struct Link<'d, D> {
    driver: D,
    identity: Identity<'d>,
    options: Options,
    /// The longest transfer that the router fills.
    max_transfer: u16,
    memory: &'d mut StackMemory<'d>,
    receive: &'d mut [u8],
    config_descriptor: &'d mut [u8],
}

impl<'d, D: Driver<'d>> Link<'d, D> {
    /// The USB link of a device with this identity, whose router fills transfers of up to
    /// `max_transfer` bytes.
    pub fn new<const RECEIVE: usize, const CONFIGURATION: usize>(
        driver: D,
        identity: &Identity<'d>,
        options: &Options,
        max_transfer: usize,
        memory: &'d mut LinkMemory<'d, RECEIVE, CONFIGURATION>,
    ) -> Self {
        Self {
            driver,
            identity: *identity,
            options: *options,
            max_transfer: max_transfer.try_into().unwrap_or(u16::MAX),
            memory: &mut memory.stack,
            receive: &mut memory.receive,
            config_descriptor: &mut memory.config_descriptor,
        }
    }

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

    /// The same with further USB functions, which `add` adds and returns: run them beside the link.
    ///
    /// MCTP's interface stays the first one. The device says that it is composite, so each function
    /// begins with [`Builder::function`], which makes its association descriptor.
    ///
    /// ```
    /// # use core::convert::Infallible;
    /// # use embassy_futures::join::join;
    /// # use embassy_sync::blocking_mutex::raw::RawMutex;
    /// # use embassy_usb::driver::{Driver, Endpoint, EndpointIn};
    /// # use mctp_router::{Clock, Router};
    /// # use reference_device::{Link, Observer};
    /// # async fn run<'d, D: Driver<'d>, M: RawMutex, C: Clock>(
    /// #     link: Link<'d, D>, router: &Router<'_, M, C>, observer: &impl Observer,
    /// # ) -> Result<Infallible, mctp_usb::BufferTooSmall> {
    /// let (link, mut endpoint) = link.run_with(router, observer, |builder| {
    ///     let mut function = builder.function(0xFF, 0, 0);
    ///     let mut interface = function.interface();
    ///     interface.alt_setting(0xFF, 0, 0, None).endpoint_bulk_in(None, 512)
    /// })?;
    /// let greet = async {
    ///     endpoint.wait_enabled().await;
    ///     while endpoint.write(b"hello").await.is_ok() {}
    /// };
    /// # Ok(
    /// join(link, greet).await.0
    /// # )
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Only at the start: when the memory's receive buffer is too short for the USB version.
    ///
    /// # Panics
    ///
    /// Only at the start, in `embassy-usb`: when the functions have more descriptors than the
    /// memory has room for, more endpoints than the driver has, or more interfaces than
    /// `embassy-usb` is built for (four).
    pub fn run_with<M: RawMutex, C: Clock, F>(
        self,
        router: &Router<'_, M, C>,
        observer: &impl Observer,
        add: impl FnOnce(&mut Builder<'d, Guard<'d, D>>) -> F,
    ) -> Result<(impl Future<Output = Infallible>, F), BufferTooSmall> {
        let (mut stack, functions) = self.build(true, observer, add)?;
        Ok((async move { stack.run(router).await }, functions))
    }

    /// Builds the USB device stack, with the MCTP function first, then what `add` adds: is it
    /// `composite`?
    ///
    /// Not within the future, which would then have the stack and also what it was built of.
    fn build<'o, O: Observer, S>(
        self,
        composite: bool,
        observer: &'o O,
        add: impl FnOnce(&mut Builder<'d, Guard<'d, D>>) -> S,
    ) -> Result<(Stack<'d, 'o, Guard<'d, D>, O>, S), BufferTooSmall> {
        let StackMemory {
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
            self.config_descriptor,
            bos_descriptor,
            &mut [],
            control,
        );
        let class = MctpUsbClass::new(&mut builder, class, class_config);
        let added = add(&mut builder);
        let (receiver, sender) = class.split(self.receive)?;
        let stack = Stack {
            usb: builder.build(),
            receiver: Observed::new(receiver, observer),
            sender: Observed::new(sender, observer),
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
        // The timers first: after a pause of the device, no packet is looked at before the router
        // knows of the pause.
        let ended = select4(
            router.run_timers(),
            self.usb.run(),
            router.run_receive(PORT, &mut self.receiver),
            router.run_send(PORT, &mut self.sender),
        )
        .await;
        match ended {
            Either4::First(never) | Either4::Third(never) | Either4::Fourth(never) => never,
            Either4::Second(never) => never,
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
