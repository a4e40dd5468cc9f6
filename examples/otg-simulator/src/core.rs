//! The model of the core in device mode: here its registers, as the driver sees them.
//!
//! Plain data, no lock, no allocation: the registers are read and written inside a signal handler.

mod endpoint;
mod usb;

use embassy_usb_synopsys_otg::otg_v1::regs;
use embassy_usb_synopsys_otg::otg_v1::vals::{Dspd, Pktstsd};

use endpoint::{InEndpoint, OutEndpoint};
pub(crate) use usb::InAnswer;

use crate::fifo::Fifo;
use crate::simulator::ENDPOINT_COUNT;
use crate::{Speed, Toggle};

/// Offsets of the registers that mean something to the model.
mod offset {
    pub(super) const GOTGCTL: usize = 0x000;
    pub(super) const GOTGINT: usize = 0x004;
    pub(super) const GAHBCFG: usize = 0x008;
    pub(super) const GUSBCFG: usize = 0x00C;
    pub(super) const GRSTCTL: usize = 0x010;
    pub(super) const GINTSTS: usize = 0x014;
    pub(super) const GINTMSK: usize = 0x018;
    pub(super) const GRXSTSP: usize = 0x020;
    pub(super) const GRXFSIZ: usize = 0x024;
    pub(super) const DIEPTXF0: usize = 0x028;
    pub(super) const GCCFG: usize = 0x038;
    pub(super) const CID: usize = 0x03C;
    pub(super) const GHWCFG4: usize = 0x050;
    pub(super) const DIEPTXF1: usize = 0x104;
    pub(super) const DIEPTXF7: usize = 0x11C;
    pub(super) const DCFG: usize = 0x800;
    pub(super) const DCTL: usize = 0x804;
    pub(super) const DSTS: usize = 0x808;
    pub(super) const DIEPMSK: usize = 0x810;
    pub(super) const DOEPMSK: usize = 0x814;
    pub(super) const DAINT: usize = 0x818;
    pub(super) const DAINTMSK: usize = 0x81C;
    pub(super) const DIEPEMPMSK: usize = 0x834;
    pub(super) const IN_ENDPOINTS: usize = 0x900;
    pub(super) const OUT_ENDPOINTS: usize = 0xB00;
    pub(super) const PCGCCTL: usize = 0xE00;
    pub(super) const FIFOS: usize = 0x1000;

    /// From one endpoint to the next one of the same direction.
    pub(super) const ENDPOINT_STRIDE: usize = 0x20;
    /// From one endpoint's FIFO to the next.
    pub(super) const FIFO_STRIDE: usize = 0x1000;

    // Registers of an endpoint.
    pub(super) const CONTROL: usize = 0x00;
    pub(super) const INTERRUPT: usize = 0x08;
    pub(super) const TRANSFER_SIZE: usize = 0x10;
    pub(super) const TX_FIFO_STATUS: usize = 0x18;
}

/// The core.
pub(crate) struct Core {
    speed: Speed,
    /// The registers that only hold what was written to them, by offset / 4.
    stored: [u32; 0x1000 / 4],
    /// The bits of GINTSTS that an event sets and software clears.
    events: regs::Gintsts,
    is_suspended: bool,
    /// The address that the core listens to. A new one in DCFG counts after the status stage of
    /// Set Address.
    address: u8,
    /// Whether the host has driven reset since the device connected, and ended it.
    is_enumerated: bool,
    /// A SETUP packet came, and no token of the data or status stage yet.
    in_setup_stage: bool,
    rx: Fifo,
    /// Words at the front of `rx` that belong to the packet whose status was popped.
    rx_payload_words: usize,
    tx: [Fifo; ENDPOINT_COUNT],
    in_endpoints: [InEndpoint; ENDPOINT_COUNT],
    out_endpoints: [OutEndpoint; ENDPOINT_COUNT],
    misuse: Option<&'static str>,
}

impl Core {
    pub(crate) fn new(speed: Speed) -> Self {
        let mut core = Self {
            speed,
            stored: [0; 0x1000 / 4],
            events: regs::Gintsts(0),
            is_suspended: false,
            address: 0,
            is_enumerated: false,
            in_setup_stage: false,
            rx: Fifo::new(),
            rx_payload_words: 0,
            tx: [const { Fifo::new() }; ENDPOINT_COUNT],
            in_endpoints: [InEndpoint::NEW; ENDPOINT_COUNT],
            out_endpoints: [OutEndpoint::NEW; ENDPOINT_COUNT],
            misuse: None,
        };
        // Endpoint 0 is always active.
        core.in_endpoints[0].control.set_usbaep(true);
        core.out_endpoints[0].control.set_usbaep(true);
        // The device is not on the bus until software says so.
        let mut dctl = regs::Dctl(0);
        dctl.set_sdis(true);
        core.stored[offset::DCTL / 4] = dctl.0;
        core.stored[offset::CID / 4] = 0x5000;
        core
    }

    /// What the driver did that the core does not define, or the model does not know.
    pub(crate) fn misuse(&self) -> Option<&'static str> {
        self.misuse
    }

    /// The level of the interrupt line.
    pub(crate) fn interrupt(&self) -> bool {
        let enabled = regs::Gahbcfg(self.stored(offset::GAHBCFG)).gint();
        enabled && self.gintsts().0 & self.stored(offset::GINTMSK) != 0
    }

    pub(crate) fn read(&mut self, offset: usize) -> u32 {
        if offset >= offset::FIFOS {
            return self.read_rx_fifo();
        }
        if let Some((index, register)) = endpoint_register(offset, offset::IN_ENDPOINTS) {
            return self.read_in(index, register);
        }
        if let Some((index, register)) = endpoint_register(offset, offset::OUT_ENDPOINTS) {
            return self.read_out(index, register);
        }
        match offset {
            offset::GRSTCTL => {
                let mut grstctl = regs::Grstctl(0);
                grstctl.set_ahbidl(true);
                grstctl.0
            }
            offset::GINTSTS => self.gintsts().0,
            offset::GRXSTSP => self.pop_rx_status(),
            offset::DSTS => self.dsts().0,
            offset::DAINT => self.daint().0,
            // The PHY is 8 bits wide.
            offset::GHWCFG4 => 0,
            // Nothing happens on the OTG side.
            offset::GOTGINT => 0,
            _ if is_stored(offset) => self.stored(offset),
            _ => self.report("a register was read that is not modelled"),
        }
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        if offset >= offset::FIFOS {
            return self.write_tx_fifo((offset - offset::FIFOS) / offset::FIFO_STRIDE, value);
        }
        if let Some((index, register)) = endpoint_register(offset, offset::IN_ENDPOINTS) {
            return self.write_in(index, register, value);
        }
        if let Some((index, register)) = endpoint_register(offset, offset::OUT_ENDPOINTS) {
            return self.write_out(index, register, value);
        }
        match offset {
            offset::GRSTCTL => self.write_grstctl(regs::Grstctl(value)),
            offset::GINTSTS => self.events.0 &= !value,
            offset::GOTGINT => {}
            offset::DCFG => {
                self.stored[offset / 4] = value;
                // Otherwise with the end of the status stage.
                if self.events.usbrst() {
                    self.address = regs::Dcfg(value).dad();
                }
            }
            _ if is_stored(offset) => self.stored[offset / 4] = value,
            _ => {
                self.report("a register was written that is not modelled");
            }
        }
    }

    fn stored(&self, offset: usize) -> u32 {
        self.stored[offset / 4]
    }

    fn report(&mut self, misuse: &'static str) -> u32 {
        self.misuse.get_or_insert(misuse);
        0
    }

    fn gintsts(&self) -> regs::Gintsts {
        let mut gintsts = self.events;
        let pending = regs::Daint(self.daint().0 & self.stored(offset::DAINTMSK));
        gintsts.set_rxflvl(self.rx.len() > self.rx_payload_words);
        gintsts.set_iepint(pending.iepint() != 0);
        gintsts.set_oepint(pending.oepint() != 0);
        gintsts
    }

    fn daint(&self) -> regs::Daint {
        let (mut in_bits, mut out_bits) = (0, 0);
        for index in 0..ENDPOINT_COUNT {
            let fifo_empty =
                regs::Diepempmsk(self.stored(offset::DIEPEMPMSK)).ineptxfem() >> index & 1 != 0
                    && self.diepint(index).txfe();
            if fifo_empty
                || self.in_endpoints[index].interrupt.0 & self.stored(offset::DIEPMSK) != 0
            {
                in_bits |= 1 << index;
            }
            if self.out_endpoints[index].interrupt.0 & self.stored(offset::DOEPMSK) != 0 {
                out_bits |= 1 << index;
            }
        }
        let mut daint = regs::Daint(0);
        daint.set_iepint(in_bits);
        daint.set_oepint(out_bits);
        daint
    }

    fn dsts(&self) -> regs::Dsts {
        let mut dsts = regs::Dsts(0);
        dsts.set_suspsts(self.is_suspended);
        dsts.set_enumspd(match self.speed {
            Speed::High => Dspd::HIGH_SPEED,
            Speed::Full => Dspd::FULL_SPEED_EXTERNAL,
        });
        dsts
    }

    fn write_grstctl(&mut self, grstctl: regs::Grstctl) {
        /// All transmit FIFOs.
        const ALL: u8 = 0x10;
        if grstctl.csrst() {
            *self = Self::new(self.speed);
            return;
        }
        if grstctl.rxfflsh() {
            self.rx.clear();
            self.rx_payload_words = 0;
        }
        if grstctl.txfflsh() {
            for number in 0..ENDPOINT_COUNT {
                if grstctl.txfnum() == ALL || usize::from(grstctl.txfnum()) == number {
                    self.flush_tx(number);
                }
            }
        }
    }

    fn flush_tx(&mut self, number: usize) {
        self.tx[number].clear();
        for endpoint in &mut self.in_endpoints {
            if endpoint.tx_fifo() == number {
                endpoint.zero_length = false;
            }
        }
    }

    fn pop_rx_status(&mut self) -> u32 {
        if self.rx_payload_words != 0 {
            return self.report("GRXSTSP was read before the payload of the packet before");
        }
        let Some(status) = self.rx.pop() else {
            return self.report("GRXSTSP was read while the receive FIFO was empty");
        };
        let packet = regs::Grxsts(status);
        self.rx_payload_words = usize::from(packet.bcnt()).div_ceil(4);
        let endpoint = &mut self.out_endpoints[usize::from(packet.epnum())];
        match packet.pktstsd() {
            Pktstsd::SETUP_DATA_DONE => {
                endpoint.interrupt.set_stup(true);
                endpoint.control.set_epena(false);
            }
            Pktstsd::OUT_DATA_DONE => {
                endpoint.interrupt.set_xfrc(true);
                endpoint.control.set_epena(false);
            }
            Pktstsd::OUT_DATA_RX => {
                let left = endpoint.size.xfrsiz().saturating_sub(packet.bcnt().into());
                endpoint.size.set_xfrsiz(left);
            }
            _ => {}
        }
        status
    }

    fn read_rx_fifo(&mut self) -> u32 {
        if self.rx_payload_words == 0 {
            return self.report("the receive FIFO was read beyond the packet");
        }
        self.rx_payload_words -= 1;
        self.rx.pop().unwrap_or_default()
    }

    fn write_tx_fifo(&mut self, index: usize, value: u32) {
        let Some(&InEndpoint { control, .. }) = self.in_endpoints.get(index) else {
            self.report("a transmit FIFO was written that does not exist");
            return;
        };
        let number = usize::from(control.txfnum());
        if self.tx_space(number) == 0 || !self.tx[number].push(value) {
            self.report("a transmit FIFO was written while it was full");
            return;
        }
        let size = &mut self.in_endpoints[index].size;
        size.set_xfrsiz(size.xfrsiz().saturating_sub(4));
    }

    /// The size of a transmit FIFO, in words.
    fn tx_depth(&self, number: usize) -> usize {
        let register = match number {
            0 => offset::DIEPTXF0,
            _ => offset::DIEPTXF1 + (number - 1) * 4,
        };
        regs::Fsiz(self.stored(register)).fd().into()
    }

    fn tx_space(&self, number: usize) -> usize {
        self.tx_depth(number).saturating_sub(self.tx[number].len())
    }

    /// DIEPINT, with the bit that tells the fill level.
    fn diepint(&self, index: usize) -> regs::Diepint {
        let endpoint = &self.in_endpoints[index];
        let number = endpoint.tx_fifo();
        let mut interrupt = endpoint.interrupt;
        // GAHBCFG.TXFELVL = 0, the only setting of the driver: half empty.
        interrupt.set_txfe(self.tx[number].len() <= self.tx_depth(number) / 2);
        interrupt
    }

    fn read_in(&mut self, index: usize, register: usize) -> u32 {
        let endpoint = &self.in_endpoints[index];
        match register {
            offset::CONTROL => {
                let mut control = endpoint.control;
                control.set_eonum_dpid(endpoint.toggle == Toggle::Data1);
                control.0
            }
            offset::INTERRUPT => self.diepint(index).0,
            offset::TRANSFER_SIZE => endpoint.size.0,
            offset::TX_FIFO_STATUS => {
                let mut status = regs::Dtxfsts(0);
                status.set_ineptfsav(self.tx_space(endpoint.tx_fifo()) as u16);
                status.0
            }
            _ => self.report("a register of an IN endpoint was read that is not modelled"),
        }
    }

    fn write_in(&mut self, index: usize, register: usize, value: u32) {
        let endpoint = &mut self.in_endpoints[index];
        match register {
            offset::CONTROL => endpoint.write_control(index, regs::Diepctl(value)),
            offset::INTERRUPT => endpoint.interrupt.0 &= !value,
            offset::TRANSFER_SIZE => endpoint.size.0 = value,
            _ => {
                self.report("a register of an IN endpoint was written that is not modelled");
            }
        }
    }

    fn read_out(&mut self, index: usize, register: usize) -> u32 {
        let endpoint = &self.out_endpoints[index];
        match register {
            offset::CONTROL => {
                let mut control = endpoint.control;
                control.set_eonum_dpid(endpoint.toggle == Toggle::Data1);
                control.0
            }
            offset::INTERRUPT => endpoint.interrupt.0,
            offset::TRANSFER_SIZE => endpoint.size.0,
            _ => self.report("a register of an OUT endpoint was read that is not modelled"),
        }
    }

    fn write_out(&mut self, index: usize, register: usize, value: u32) {
        let endpoint = &mut self.out_endpoints[index];
        match register {
            offset::CONTROL => endpoint.write_control(index, regs::Doepctl(value)),
            offset::INTERRUPT => endpoint.interrupt.0 &= !value,
            offset::TRANSFER_SIZE => endpoint.size.0 = value,
            _ => {
                self.report("a register of an OUT endpoint was written that is not modelled");
            }
        }
    }
}

/// The endpoint and its register at an offset.
fn endpoint_register(offset: usize, first: usize) -> Option<(usize, usize)> {
    let distance = offset.checked_sub(first)?;
    let index = distance / offset::ENDPOINT_STRIDE;
    (index < ENDPOINT_COUNT).then_some((index, distance % offset::ENDPOINT_STRIDE))
}

/// Registers that only hold what was written to them, as far as the driver can see.
fn is_stored(offset: usize) -> bool {
    matches!(
        offset,
        offset::GOTGCTL
            | offset::GAHBCFG
            | offset::GUSBCFG
            | offset::GINTMSK
            | offset::GRXFSIZ
            | offset::DIEPTXF0
            | offset::GCCFG
            | offset::CID
            | offset::DIEPTXF1
            ..=offset::DIEPTXF7
                | offset::DCFG
                | offset::DCTL
                | offset::DIEPMSK
                | offset::DOEPMSK
                | offset::DAINTMSK
                | offset::DIEPEMPMSK
                | offset::PCGCCTL
    )
}
