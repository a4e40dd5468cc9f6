//! A core in a test's own hands: packets, transfers and time come and go only as the test says.

use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{
    ChannelId, Instant, Outgoing, PortConfig, PortId, Progress, Receipt, RouterCore, RouterStorage,
    SendFailure,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use super::{
    DEVICE, ECHO, I2C, I2C_LAYOUT, NETWORK, POINT_TO_POINT, REQUEST, SentTransfer, USB, USB_LAYOUT,
    assemble, config, echo_message,
};

/// A core with a USB-like port 0 and an I2C-like port 1, both up, and a virtual clock.
///
/// Two short and two long message buffers, long ones of 4,224 bytes; ten channels; four routes.
pub(crate) struct BareCore {
    pub(crate) core: RouterCore<'static>,
    now: u64,
}

impl BareCore {
    /// With endpoint ID [`DEVICE`] and an echo service; the channel is the service's.
    pub(crate) fn echo() -> (Self, ChannelId) {
        let storage = Box::new(RouterStorage::<
            Ports<2>,
            Networks<1>,
            ShortMessages<2>,
            LongMessages<2, 4224>,
            Channels<10>,
            Routes<4>,
        >::new());
        let mut core = RouterCore::new(Box::leak(storage), &config());
        for (port, layout) in [(USB, USB_LAYOUT), (I2C, I2C_LAYOUT)] {
            let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
            assert_eq!(core.add_port(NETWORK, buffers), Ok(port));
            core.set_layout(port, layout);
        }
        core.link_up(USB);
        core.link_up(I2C);
        assert!(core.set_endpoint_id(NETWORK, Eid(DEVICE)));
        let echo = core.open_listener(ECHO).unwrap();
        (Self { core, now: 0 }, echo)
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Lets time pass; deadlines in between are met on time.
    pub(crate) fn advance(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.core.next_deadline().as_millis() <= end {
            self.now = self.core.next_deadline().as_millis().max(self.now);
            self.core.expire(self.now());
        }
        self.now = end;
    }

    /// Lets time pass without anybody looking at the deadlines.
    pub(crate) fn oversleep(&mut self, milliseconds: u64) {
        self.now += milliseconds;
    }

    /// A packet comes by USB.
    pub(crate) fn receive(&mut self, packet: &[u8]) -> Receipt {
        self.receive_at(USB, POINT_TO_POINT, packet)
    }

    pub(crate) fn receive_at(
        &mut self,
        port: PortId,
        from: PhysicalAddress,
        packet: &[u8],
    ) -> Receipt {
        self.core.receive(self.now(), port, from, packet)
    }

    /// What `action` made the counters count.
    pub(crate) fn drops_of<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> T,
    ) -> Vec<(DropReason, u32)> {
        let before = self.core.drop_counters().clone();
        action(self);
        let grown = self.core.drop_counters().nonzero();
        let grown = grown.map(|(reason, count)| (reason, count - before.of(reason)));
        grown.filter(|(_, count)| *count > 0).collect()
    }

    /// The packet is dropped, for this reason and no other.
    #[track_caller]
    pub(crate) fn assert_drops(&mut self, packet: &[u8], reason: DropReason) {
        let accepted = self.core.messages_accepted();
        let drops = self.drops_of(|device| {
            assert_eq!(device.receive(packet), Receipt::Dropped(reason));
        });
        assert_eq!(drops, [(reason, 1)]);
        assert_eq!(self.core.messages_accepted(), accepted);
        assert_eq!(self.sent(), [[0u8; 0]; 0], "discards are silent");
    }

    /// Takes the oldest message of a channel: type, then the rest.
    pub(crate) fn take(&mut self, channel: ChannelId) -> Option<Vec<u8>> {
        let lent = self.core.take_message(channel)?;
        let message = [&[lent.origin().message_type().0], lent.bytes()].concat();
        self.core.give_back(lent);
        Some(message)
    }

    /// The next good message is served.
    #[track_caller]
    pub(crate) fn assert_serves(&mut self, echo: ChannelId) {
        let message = echo_message(130);
        let drops = self.drops_of(|device| {
            for packet in REQUEST.tag(7).from(0x55).packets(&message, 64) {
                device.receive(&packet);
            }
            let lent = device.core.take_message(echo).expect("a message");
            let mut response = lent.origin().response(lent.origin().integrity_check());
            let sent = device.send(&mut response, &[lent.bytes()]);
            assert_eq!(sent, Ok(Progress::Done));
            device.core.give_back(lent);
            assert_eq!(assemble(&device.sent())[0].message, message);
        });
        assert_eq!(drops, []);
    }

    /// Sends a message as far as it goes while the neighbour takes every transfer; returns the
    /// transfers.
    pub(crate) fn send_all(
        &mut self,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Vec<SentTransfer> {
        let port = outgoing.port();
        let mut transfers = Vec::new();
        loop {
            let progress = self.core.send(self.now(), outgoing, message);
            transfers.extend(self.transfers(port));
            match progress {
                Ok(Progress::Done) => return transfers,
                Ok(Progress::Partial) => {}
                Err(failure) => panic!("{failure:?}"),
            }
        }
    }

    pub(crate) fn send(
        &mut self,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Result<Progress, SendFailure> {
        self.core.send(self.now(), outgoing, message)
    }

    /// The neighbour takes the next transfer.
    pub(crate) fn transfer(&mut self, port: PortId) -> Option<SentTransfer> {
        let outbound = self.core.poll_transmit(port)?;
        let transfer = &outbound.transfer;
        let longest = transfer.layout().max_transfer;
        assert!(
            transfer.as_bytes().len() <= longest.into(),
            "no longer than the transport says"
        );
        let sent = (
            transfer.destination(),
            transfer.packets().map(<[u8]>::to_vec).collect(),
        );
        self.core.transmit_done(self.now(), port, outbound, Ok(()));
        Some(sent)
    }

    /// The neighbour takes all transfers that wait.
    pub(crate) fn transfers(&mut self, port: PortId) -> Vec<SentTransfer> {
        std::iter::from_fn(|| self.transfer(port)).collect()
    }

    /// All packets that wait at the USB port.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        self.transfers(USB)
            .into_iter()
            .flat_map(|(_, packets)| packets)
            .collect()
    }

    /// Sets the unit of a port, on both directions.
    pub(crate) fn set_unit(&mut self, port: PortId, unit: usize) {
        self.core.configure_port(port, PortConfig::new(unit));
    }
}
