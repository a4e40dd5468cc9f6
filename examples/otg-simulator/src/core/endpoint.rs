//! The endpoints of the core: their registers, and what writing the control register does.

use embassy_usb_synopsys_otg::otg_v1::regs;

use crate::Toggle;

/// An IN endpoint.
#[derive(Clone, Copy)]
pub(super) struct InEndpoint {
    pub(super) control: regs::Diepctl,
    pub(super) interrupt: regs::Diepint,
    pub(super) size: regs::Dieptsiz,
    pub(super) toggle: Toggle,
    /// Bytes of the transfer that the host has not acknowledged.
    pub(super) unsent: u32,
    /// The transfer is a packet of length zero, which is in no FIFO.
    pub(super) zero_length: bool,
}

/// An OUT endpoint.
#[derive(Clone, Copy)]
pub(super) struct OutEndpoint {
    pub(super) control: regs::Doepctl,
    pub(super) interrupt: regs::Doepint,
    pub(super) size: regs::Doeptsiz,
    pub(super) toggle: Toggle,
}

impl InEndpoint {
    pub(super) const NEW: Self = Self {
        control: regs::Diepctl(0),
        interrupt: regs::Diepint(0),
        size: regs::Dieptsiz(0),
        toggle: Toggle::Data0,
        unsent: 0,
        zero_length: false,
    };

    pub(super) fn tx_fifo(&self) -> usize {
        usize::from(self.control.txfnum())
    }

    pub(super) fn write_control(&mut self, index: usize, written: regs::Diepctl) {
        let control = &mut self.control;
        control.set_mpsiz(written.mpsiz());
        control.set_txfnum(written.txfnum());
        if index == 0 {
            // Software sets STALL of a control endpoint, and the core clears it.
            control.set_stall(control.stall() || written.stall());
        } else {
            control.set_eptyp(written.eptyp());
            control.set_usbaep(written.usbaep());
            control.set_stall(written.stall());
            if written.sd0pid_sevnfrm() {
                self.toggle = Toggle::Data0;
            } else if written.soddfrm_sd1pid() {
                self.toggle = Toggle::Data1;
            }
        }
        if written.snak() {
            control.set_naksts(true);
            self.interrupt.set_inepne(true);
        } else if written.cnak() {
            control.set_naksts(false);
            self.interrupt.set_inepne(false);
        }
        if written.epdis() {
            if control.epena() {
                control.set_epena(false);
                self.interrupt.set_epdisd(true);
            }
        } else if written.epena() && !control.epena() {
            control.set_epena(true);
            self.unsent = self.size.xfrsiz();
            self.zero_length = self.unsent == 0 && self.size.pktcnt() != 0;
        }
    }

    /// The host has acknowledged a packet of `len` bytes.
    pub(super) fn acknowledged(&mut self, len: usize) {
        self.toggle = self.toggle.next();
        self.unsent -= len as u32;
        self.zero_length = false;
        self.size.set_pktcnt(self.size.pktcnt().saturating_sub(1));
        if self.size.pktcnt() == 0 && self.unsent == 0 {
            self.control.set_epena(false);
            self.interrupt.set_xfrc(true);
        }
    }
}

impl OutEndpoint {
    pub(super) const NEW: Self = Self {
        control: regs::Doepctl(0),
        interrupt: regs::Doepint(0),
        size: regs::Doeptsiz(0),
        toggle: Toggle::Data0,
    };

    pub(super) fn write_control(&mut self, index: usize, written: regs::Doepctl) {
        let control = &mut self.control;
        if index == 0 {
            control.set_stall(control.stall() || written.stall());
        } else {
            control.set_eptyp(written.eptyp());
            control.set_usbaep(written.usbaep());
            control.set_stall(written.stall());
            if written.sd0pid_sevnfrm() {
                self.toggle = Toggle::Data0;
            } else if written.soddfrm() {
                self.toggle = Toggle::Data1;
            }
        }
        control.set_mpsiz(written.mpsiz());
        if written.snak() {
            control.set_naksts(true);
        } else if written.cnak() {
            control.set_naksts(false);
        }
        if written.epdis() {
            if control.epena() && index != 0 {
                control.set_epena(false);
                self.interrupt.set_epdisd(true);
            }
        } else if written.epena() {
            control.set_epena(true);
        }
    }
}

/// MPSIZ in bytes. Endpoint 0 has a code of two bits.
pub(super) fn max_packet_size(index: usize, mpsiz: u16) -> usize {
    match index {
        0 => 64 >> (mpsiz & 3),
        _ => mpsiz.into(),
    }
}
