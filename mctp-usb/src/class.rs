//! The USB class on the `embassy-usb` builder: one interface, one alternate setting, bulk OUT and
//! bulk IN.

use core::fmt;

use embassy_usb::types::{InterfaceNumber, StringIndex};
use embassy_usb::{Builder, Handler};
use embassy_usb_driver::Driver;

use crate::{BufferTooSmall, BusEvents, Receiver, SendLimits, Sender, Version};

/// The class code of MCTP over USB; as `device_class` of a device that is nothing else, use 0.
pub const USB_CLASS_MCTP: u8 = 0x14;

/// The protocol code of the interface: MCTP 1.x.
pub const PROTOCOL_1_X: u8 = 0x01;

/// How the function is set up.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Config<'d> {
    /// The version of the binding, told to the host by the subclass code.
    pub version: Version,
    /// `wMaxPacketSize` of both endpoints: 512 at high speed (the default), 64 at full speed.
    pub max_packet_size: u16,
    /// What is sent.
    pub send: SendLimits,
    /// The name of the interface, as a string descriptor. It needs twice its UTF-16 length and two
    /// bytes in the builder's control buffer.
    pub interface_name: Option<&'d str>,
}

impl Config<'_> {
    /// High speed, the longest packets of the version, no interface name.
    pub const fn new(version: Version) -> Self {
        Self {
            version,
            max_packet_size: 512,
            send: SendLimits::new(version),
            interface_name: None,
        }
    }
}

/// What the class keeps for as long as the USB device exists.
#[derive(Default)]
pub struct State<'d> {
    control: Option<Control<'d>>,
    events: BusEvents,
}

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl State<'_> {
    /// A state for one [`MctpUsbClass`].
    pub const fn new() -> Self {
        Self {
            control: None,
            events: BusEvents::new(),
        }
    }
}

/// MCTP over USB as a function of an `embassy-usb` device.
///
/// - Each call of [`new`](Self::new) adds a function with one interface (class 14h), one handler,
///   and, if named, one string.
/// - [`split`](Self::split) it into its halves, and give them to a stack.
pub struct MctpUsbClass<'d, D: Driver<'d>> {
    endpoint_out: D::EndpointOut,
    endpoint_in: D::EndpointIn,
    config: Config<'d>,
    events: &'d BusEvents,
}

impl<'d, D: Driver<'d>> fmt::Debug for MctpUsbClass<'d, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MctpUsbClass")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<'d, D: Driver<'d>> MctpUsbClass<'d, D> {
    /// Adds the function to `builder`.
    ///
    /// # Panics
    ///
    /// The builder does, when it has no room for another interface or handler, or the driver none
    /// for another endpoint: settings of the firmware, the same at each start.
    pub fn new(builder: &mut Builder<'d, D>, state: &'d mut State<'d>, config: Config<'d>) -> Self {
        let State { control, events } = state;
        let events = &*events;
        let name = config.interface_name.map(|name| (builder.string(), name));

        let subclass = config.version.subclass();
        let mut function = builder.function(USB_CLASS_MCTP, subclass, PROTOCOL_1_X);
        let mut interface = function.interface();
        let interface_number = interface.interface_number();
        let string_index = name.map(|(index, _)| index);
        let mut alternate =
            interface.alt_setting(USB_CLASS_MCTP, subclass, PROTOCOL_1_X, string_index);
        let endpoint_out = alternate.endpoint_bulk_out(None, config.max_packet_size);
        let endpoint_in = alternate.endpoint_bulk_in(None, config.max_packet_size);
        drop(function);

        builder.handler(control.insert(Control {
            interface_number,
            name,
            events,
        }));
        Self {
            endpoint_out,
            endpoint_in,
            config,
            events,
        }
    }

    /// The two halves. Packets are received in `buffer`:
    /// [`RECEIVE_BUFFER_LEN_1_0`](crate::RECEIVE_BUFFER_LEN_1_0) or
    /// [`RECEIVE_BUFFER_LEN_1_1`](crate::RECEIVE_BUFFER_LEN_1_1) bytes.
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`Version::min_receive_buffer_len`].
    #[allow(clippy::type_complexity)]
    pub fn split(
        self,
        buffer: &'d mut [u8],
    ) -> Result<(Receiver<'d, D::EndpointOut>, Sender<'d, D::EndpointIn>), BufferTooSmall> {
        let Config { version, send, .. } = self.config;
        let receiver = Receiver::new(self.endpoint_out, version, self.events, buffer)?;
        let sender = Sender::new(self.endpoint_in, version, self.events, send);
        Ok((receiver, sender))
    }
}

/// Passes on what `embassy-usb` says about the bus.
struct Control<'d> {
    interface_number: InterfaceNumber,
    name: Option<(StringIndex, &'d str)>,
    events: &'d BusEvents,
}

impl Handler for Control<'_> {
    fn enabled(&mut self, _enabled: bool) {
        self.events.restarted();
    }

    fn reset(&mut self) {
        self.events.restarted();
    }

    fn configured(&mut self, _configured: bool) {
        self.events.restarted();
    }

    fn suspended(&mut self, suspended: bool) {
        if suspended {
            self.events.paused();
        }
    }

    fn set_alternate_setting(&mut self, interface: InterfaceNumber, _alternate_setting: u8) {
        if interface == self.interface_number {
            self.events.paused();
        }
    }

    fn get_string(&mut self, index: StringIndex, _language: u16) -> Option<&str> {
        self.name
            .filter(|(own, _)| *own == index)
            .map(|(_, name)| name)
    }
}
