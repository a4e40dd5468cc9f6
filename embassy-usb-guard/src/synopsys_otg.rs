//! What `embassy-usb-synopsys-otg` 0.3 and 0.4 leave undone.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_usb_driver::{
    Bus, ControlPipe, Direction, Driver, EndpointAddress, EndpointAllocError, EndpointError,
    EndpointType, Event, Unsupported,
};
use embassy_usb_synopsys_otg::otg_v1::Otg;

/// The longest packet of a control endpoint (USB 2.0, section 5.5.3).
const MAX_PACKET: usize = 64;
/// How often a register is read until the core has done what it was told: many times what it takes.
const PATIENCE: usize = 1000;

/// The driver of the Synopsys OTG core, with what it leaves undone. Put it between driver and
/// [`Guard`](crate::Guard).
///
/// | done here | upstream |
/// |-|-|
/// | The data toggle of an endpoint is reset when its halt is cleared and when it is enabled (USB 2.0, sections 9.1.1.5 and 9.4.5). | embassy pull request 6687, merged in August 2026; in no release yet |
/// | A halt ends with Set Configuration and Set Interface (9.4.5). | not reported |
/// | An IN endpoint whose packet nobody collected works again after a bus reset, Set Configuration and Set Interface. | as above |
/// | A control request that the host abandons ends, be it by another SETUP packet or by a bus reset. Otherwise the driver waits for ever. | the contract is in the documentation of `ControlPipe`; not reported |
/// | Packets that belong to no request, such as a second status packet, do not become the data of the next one. | not reported |
/// | A suspend from before a bus reset is forgotten. | embassy pull request 6684 |
/// | OUT data that is longer than the request said is refused, and does not stay in the control endpoint for ever. | not reported |
pub struct SynopsysOtg<D> {
    driver: D,
    registers: Otg,
}

impl<D> SynopsysOtg<D> {
    /// For a driver that works with these registers.
    pub const fn new(driver: D, registers: Otg) -> Self {
        Self { driver, registers }
    }
}

impl<'d, D: Driver<'d>> Driver<'d> for SynopsysOtg<D> {
    type EndpointOut = D::EndpointOut;
    type EndpointIn = D::EndpointIn;
    type ControlPipe = SynopsysControlPipe<D::ControlPipe>;
    type Bus = SynopsysBus<D::Bus>;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        ep_addr: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Self::EndpointOut, EndpointAllocError> {
        self.driver
            .alloc_endpoint_out(ep_type, ep_addr, max_packet_size, interval_ms)
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        ep_addr: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Self::EndpointIn, EndpointAllocError> {
        self.driver
            .alloc_endpoint_in(ep_type, ep_addr, max_packet_size, interval_ms)
    }

    fn start(self, control_max_packet_size: u16) -> (Self::Bus, Self::ControlPipe) {
        let Self { driver, registers } = self;
        let (bus, pipe) = driver.start(control_max_packet_size);
        (
            SynopsysBus { bus, registers },
            SynopsysControlPipe {
                pipe,
                registers,
                setup_packets: 0,
            },
        )
    }
}

/// The bus of [`SynopsysOtg`].
pub struct SynopsysBus<B> {
    bus: B,
    registers: Otg,
}

impl<B> SynopsysBus<B> {
    fn reset_data_toggle(&self, endpoint: EndpointAddress) {
        let index = endpoint.index();
        // The driver's endpoints change these registers too, perhaps in another executor.
        critical_section::with(|_| match endpoint.direction() {
            Direction::Out => {
                let control = self.registers.doepctl(index);
                control.modify(|w| w.set_sd0pid_sevnfrm(true));
            }
            Direction::In => {
                let control = self.registers.diepctl(index);
                control.modify(|w| w.set_sd0pid_sevnfrm(true));
            }
        });
    }
}

impl<B: Bus> Bus for SynopsysBus<B> {
    fn enable(&mut self) -> impl Future<Output = ()> {
        self.bus.enable()
    }

    fn disable(&mut self) -> impl Future<Output = ()> {
        self.bus.disable()
    }

    async fn poll(&mut self) -> Event {
        loop {
            let event = self.bus.poll().await;
            // One from before a reset is told after it, when the bus is at work again.
            if event != Event::Suspend || self.registers.dsts().read().suspsts() {
                return event;
            }
        }
    }

    /// An IN endpoint begins anew, whatever it was sending in the configuration before or before a
    /// bus reset.
    fn endpoint_set_enabled(&mut self, endpoint: EndpointAddress, enabled: bool) {
        self.bus.endpoint_set_stalled(endpoint, false);
        if endpoint.is_in() {
            self.bus.endpoint_set_enabled(endpoint, false);
        }
        self.bus.endpoint_set_enabled(endpoint, enabled);
        self.reset_data_toggle(endpoint);
    }

    fn endpoint_set_stalled(&mut self, endpoint: EndpointAddress, stalled: bool) {
        self.bus.endpoint_set_stalled(endpoint, stalled);
        self.reset_data_toggle(endpoint);
    }

    fn endpoint_is_stalled(&mut self, endpoint: EndpointAddress) -> bool {
        self.bus.endpoint_is_stalled(endpoint)
    }

    fn force_reset(&mut self) -> Result<(), Unsupported> {
        self.bus.force_reset()
    }

    fn remote_wakeup(&mut self) -> impl Future<Output = Result<(), Unsupported>> {
        self.bus.remote_wakeup()
    }
}

/// The control pipe of [`SynopsysOtg`].
///
/// It relies on what the driver's own does: each future can be dropped while it is pending,
/// `data_in` that is not the last one returns when the packet is in the FIFO, and `data_out` also
/// gets the packet of the status stage.
pub struct SynopsysControlPipe<P> {
    pipe: P,
    registers: Otg,
    /// STUPCNT after the driver had taken the SETUP packet. The core counts down from it with each
    /// one that follows. It is read rather than known: a core that does not count only waits.
    setup_packets: u8,
}

impl<P: ControlPipe> SynopsysControlPipe<P> {
    fn setup_packets(&self) -> u8 {
        self.registers.doeptsiz(0).read().rxdpid_stupcnt()
    }

    /// Whether the host has sent another SETUP packet, or the bus has something to tell first.
    fn is_abandoned(&self) -> bool {
        let bus = self.registers.gintsts().read();
        self.setup_packets() != self.setup_packets
            || bus.usbrst()
            || bus.enumdne()
            || bus.usbsusp()
            || bus.wkupint()
    }

    /// Takes back what the host did not collect.
    fn take_back(&self) {
        let control = self.registers.diepctl(0);
        if !control.read().epena() {
            return;
        }
        control.modify(|w| {
            w.set_snak(true);
            w.set_epdis(true);
        });
        until(|| !control.read().epena());
        let reset = self.registers.grstctl();
        reset.write(|w| {
            w.set_txfflsh(true);
            w.set_txfnum(0);
        });
        until(|| !reset.read().txfflsh());
    }

    /// The empty packet of the status stage is handed over, or the host has abandoned the request.
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_abandoned() {
            return Poll::Ready(());
        }
        pin!(self.pipe.accept()).poll(context)
    }

    /// A packet from the host, of the data stage or of the status stage.
    fn poll_packet(
        &mut self,
        packet: &mut [u8; MAX_PACKET],
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, EndpointError>> {
        let received = pin!(self.pipe.data_out(packet, false, false)).poll(context);
        if received.is_pending() && self.is_abandoned() {
            return Poll::Ready(Err(EndpointError::Disabled));
        }
        received
    }

    /// The packet is handed over; or the host goes on to the status stage without it.
    fn poll_send(
        &mut self,
        data: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<(), EndpointError>> {
        if self.is_abandoned() {
            return Poll::Ready(Err(EndpointError::Disabled));
        }
        let sent = pin!(self.pipe.data_in(data, false, false)).poll(context);
        if sent.is_ready() {
            return sent;
        }
        self.poll_packet(&mut [0; MAX_PACKET], context)
            .map(|_| Err(EndpointError::Disabled))
    }
}

impl<P: ControlPipe> ControlPipe for SynopsysControlPipe<P> {
    fn max_packet_size(&self) -> usize {
        self.pipe.max_packet_size()
    }

    async fn setup(&mut self) -> [u8; 8] {
        let setup = poll_fn(|context| {
            // The interrupt handler stores no packet meanwhile, and the core takes none from the
            // SETUP packet until the driver has it. So what is there belongs to no request.
            critical_section::with(|_| {
                let setup = pin!(self.pipe.setup()).poll(context);
                if setup.is_ready() {
                    let mut packet = [0; MAX_PACKET];
                    let _ = pin!(self.pipe.data_out(&mut packet, false, false)).poll(context);
                }
                setup
            })
        })
        .await;
        self.setup_packets = self.setup_packets();
        self.take_back();
        setup
    }

    async fn data_out(
        &mut self,
        buffer: &mut [u8],
        _first: bool,
        _last: bool,
    ) -> Result<usize, EndpointError> {
        let mut packet = [0; MAX_PACKET];
        let length = poll_fn(|context| self.poll_packet(&mut packet, context)).await?;
        if length > buffer.len() {
            self.pipe.reject().await;
            return Err(EndpointError::BufferOverflow);
        }
        for (to, from) in buffer.iter_mut().zip(packet).take(length) {
            *to = from;
        }
        Ok(length)
    }

    async fn data_in(
        &mut self,
        data: &[u8],
        _first: bool,
        last: bool,
    ) -> Result<(), EndpointError> {
        poll_fn(|context| self.poll_send(data, context)).await?;
        if last {
            poll_fn(|context| self.poll_packet(&mut [0; MAX_PACKET], context)).await?;
        }
        Ok(())
    }

    async fn accept(&mut self) {
        poll_fn(|context| self.poll_accept(context)).await;
    }

    async fn reject(&mut self) {
        if !self.is_abandoned() {
            self.pipe.reject().await;
        }
    }

    async fn accept_set_address(&mut self, address: u8) {
        if !self.is_abandoned() {
            self.pipe.accept_set_address(address).await;
        }
    }
}

/// Waits for the core, but not for ever.
fn until(is_done: impl Fn() -> bool) {
    for _ in 0..PATIENCE {
        if is_done() {
            return;
        }
    }
}
