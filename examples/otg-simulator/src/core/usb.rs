//! The USB side of the core: what it does when the host sends a packet or changes the state of the
//! bus.

use embassy_usb_synopsys_otg::otg_v1::regs;
use embassy_usb_synopsys_otg::otg_v1::vals::{Dpid, Pktstsd};

use super::endpoint::max_packet_size;
use super::{Core, offset};
use crate::{Acknowledge, Handshake, Toggle};

/// Words of the receive FIFO that only SETUP packets may use.
const SETUP_RESERVE_WORDS: usize = 10;

/// What the core does on an IN token.
pub(crate) enum InAnswer {
    /// The packet is in the buffer.
    Packet {
        toggle: Toggle,
        len: usize,
    },
    NoPacket(Handshake),
}

impl Core {
    /// Whether the device is connected to the bus, by a pull-up or a chirp.
    pub(crate) fn is_connected(&self) -> bool {
        !regs::Dctl(self.stored(offset::DCTL)).sdis()
    }

    pub(crate) fn begin_reset(&mut self) {
        if !self.is_connected() {
            return;
        }
        self.is_suspended = false;
        self.is_enumerated = false;
        self.in_setup_stage = false;
        // All but endpoint 0 become inactive. Transfers that are enabled stay so.
        for endpoint in &mut self.in_endpoints[1..] {
            endpoint.control.set_usbaep(false);
        }
        for endpoint in &mut self.out_endpoints[1..] {
            endpoint.control.set_usbaep(false);
        }
        self.events.set_usbrst(true);
    }

    pub(crate) fn end_reset(&mut self) {
        if self.is_connected() {
            self.is_enumerated = true;
            self.events.set_enumdne(true);
        }
    }

    pub(crate) fn suspend(&mut self) {
        if self.is_connected() {
            self.is_suspended = true;
            self.events.set_usbsusp(true);
        }
    }

    pub(crate) fn resume(&mut self) {
        if self.is_suspended {
            self.is_suspended = false;
            self.events.set_wkupint(true);
        }
    }

    pub(crate) fn setup(&mut self, address: u8, packet: [u8; 8]) -> Handshake {
        if !self.listens(address) {
            return Handshake::NoResponse;
        }
        let input = &mut self.in_endpoints[0];
        input.control.set_stall(false);
        input.control.set_naksts(true);
        input.toggle = Toggle::Data1;

        let output = &mut self.out_endpoints[0];
        output.control.set_stall(false);
        output.control.set_naksts(true);
        output.toggle = Toggle::Data1;
        match output.size.rxdpid_stupcnt() {
            0 => output.interrupt.set_b2bstup(true),
            count => output.size.set_rxdpid_stupcnt(count - 1),
        }

        self.in_setup_stage = true;
        self.push_rx(0, Pktstsd::SETUP_DATA_RX, Toggle::Data0, &packet);
        Handshake::Ack
    }

    pub(crate) fn out(
        &mut self,
        address: u8,
        index: usize,
        toggle: Toggle,
        payload: &[u8],
    ) -> Handshake {
        if !self.listens(address) {
            return Handshake::NoResponse;
        }
        self.end_setup_stage(index);
        let free = self
            .rx_depth()
            .saturating_sub(self.rx.len() + SETUP_RESERVE_WORDS);
        let Some(endpoint) = self
            .out_endpoints
            .get_mut(index)
            .filter(|e| e.control.usbaep())
        else {
            return Handshake::NoResponse;
        };
        let max_packet_size = max_packet_size(index, endpoint.control.mpsiz());
        // Status, payload, and the status of the end of the transfer.
        let needed = 1 + payload.len().div_ceil(4) + 1;
        if endpoint.control.stall() {
            return Handshake::Stall;
        }
        if payload.len() > max_packet_size {
            return Handshake::NoResponse;
        }
        if endpoint.control.naksts() || needed > free {
            return Handshake::Nak;
        }
        if toggle != endpoint.toggle {
            // A repetition: the host did not see the handshake.
            return Handshake::Ack;
        }
        endpoint.toggle = toggle.next();
        let left = endpoint.size.pktcnt().saturating_sub(1);
        endpoint.size.set_pktcnt(left);
        let is_last = left == 0 || payload.len() < max_packet_size;
        if is_last {
            endpoint.control.set_naksts(true);
        }
        self.push_rx(index, Pktstsd::OUT_DATA_RX, toggle, payload);
        if is_last {
            self.push_rx(index, Pktstsd::OUT_DATA_DONE, Toggle::Data0, &[]);
        }
        Handshake::Ack
    }

    /// The packet that answers an IN token goes to `buffer`.
    pub(crate) fn in_token(
        &mut self,
        address: u8,
        index: usize,
        acknowledge: Acknowledge,
        buffer: &mut [u8],
    ) -> InAnswer {
        if !self.listens(address) {
            return InAnswer::NoPacket(Handshake::NoResponse);
        }
        self.end_setup_stage(index);
        let Some(endpoint) = self
            .in_endpoints
            .get_mut(index)
            .filter(|e| e.control.usbaep())
        else {
            return InAnswer::NoPacket(Handshake::NoResponse);
        };
        if endpoint.control.stall() {
            return InAnswer::NoPacket(Handshake::Stall);
        }
        let fifo = &mut self.tx[endpoint.tx_fifo()];
        let len = max_packet_size(index, endpoint.control.mpsiz()).min(endpoint.unsent as usize);
        let is_loaded = match len {
            0 => endpoint.zero_length,
            _ => fifo.len() >= len.div_ceil(4),
        };
        if endpoint.control.naksts() || !endpoint.control.epena() || !is_loaded {
            return InAnswer::NoPacket(Handshake::Nak);
        }
        for (position, chunk) in buffer[..len].chunks_mut(4).enumerate() {
            let word = fifo.get(position).unwrap_or_default().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        let toggle = endpoint.toggle;
        if acknowledge == Acknowledge::Ack {
            (0..len.div_ceil(4)).for_each(|_| _ = fifo.pop());
            endpoint.acknowledged(len);
            if index == 0 {
                self.address = regs::Dcfg(self.stored(offset::DCFG)).dad();
            }
        }
        InAnswer::Packet { toggle, len }
    }

    fn listens(&self, address: u8) -> bool {
        self.is_connected() && self.is_enumerated && !self.is_suspended && self.address == address
    }

    /// The first token after SETUP tells the core that the setup stage is over.
    fn end_setup_stage(&mut self, index: usize) {
        if index == 0 && self.in_setup_stage {
            self.in_setup_stage = false;
            self.push_rx(0, Pktstsd::SETUP_DATA_DONE, Toggle::Data0, &[]);
        }
    }

    fn rx_depth(&self) -> usize {
        regs::Grxfsiz(self.stored(offset::GRXFSIZ)).rxfd().into()
    }

    fn push_rx(&mut self, index: usize, kind: Pktstsd, toggle: Toggle, payload: &[u8]) {
        let mut status = regs::Grxsts(0);
        status.set_epnum(index as u8);
        status.set_bcnt(payload.len() as u16);
        status.set_dpid(match toggle {
            Toggle::Data0 => Dpid::DATA0,
            Toggle::Data1 => Dpid::DATA1,
        });
        status.set_pktstsd(kind);
        let mut fits = self.rx.push(status.0);
        for chunk in payload.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            fits &= self.rx.push(u32::from_le_bytes(word));
        }
        if !fits || self.rx.len() > self.rx_depth() {
            self.report("the receive FIFO is smaller than what must fit in it");
        }
    }
}
