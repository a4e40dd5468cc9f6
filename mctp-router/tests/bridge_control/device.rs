//! A bridge in a test's own hands: port 0 like USB leads to the bus owner, port 1 like I2C and
//! port 2 like serial to the endpoints behind the bridge.

use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::wire::{BindingId, MediumId};
use mctp_router::{
    AddBridgeError, BridgeConfig, BridgePort, BridgeStorage, Instant, NetworkId, PortId, Receipt,
    RouterCore, RouterStorage, Service,
};
use mctp_transport::{Eid, PhysicalAddress, TransferLayout};

use crate::support::{
    ECHO, HOST, I2C_LAYOUT, NETWORK, POINT_TO_POINT, REQUEST, USB_LAYOUT, Wire, config,
};

pub(crate) const UPSTREAM: PortId = PortId(0);
pub(crate) const I2C: PortId = PortId(1);
pub(crate) const SERIAL: PortId = PortId(2);

/// The address of the bridge on the I2C bus, and those of two endpoints there.
pub(crate) const OWN_ADDRESS: PhysicalAddress = PhysicalAddress::from_byte(0x10);
pub(crate) const FIRST: PhysicalAddress = PhysicalAddress::from_byte(0x1D);
pub(crate) const SECOND: PhysicalAddress = PhysicalAddress::from_byte(0x1E);

/// What [`PORTS`] says of the port upstream is replaced where a test needs discovery.
pub(crate) const PORTS: [BridgePort; 3] = [
    BridgePort::new(UPSTREAM, BindingId::USB, MediumId::USB_2_0),
    BridgePort::new(I2C, BindingId::SMBUS, MediumId::I2C_100_KHZ).with_address(OWN_ADDRESS),
    BridgePort::new(SERIAL, BindingId::SERIAL, MediumId::SERIAL),
];
/// The same with endpoint discovery on both buses of single neighbours.
pub(crate) const DISCOVERY_PORTS: [BridgePort; 3] = [
    BridgePort::new(UPSTREAM, BindingId::PCIE_VDM, MediumId::USB_2_0),
    BridgePort::new(I2C, BindingId::SMBUS, MediumId::I2C_100_KHZ).with_address(OWN_ADDRESS),
    BridgePort::new(SERIAL, BindingId::PCIE_VDM, MediumId::SERIAL),
];

const SERIAL_LAYOUT: TransferLayout = TransferLayout::new(3, 255, 260);

/// A bridge that asks for four endpoint IDs.
pub(crate) const BRIDGE: BridgeConfig<'static> = BridgeConfig::bridge(UPSTREAM, 4, &PORTS);

/// A packet that was sent: by which port and to which address, and its bytes.
pub(crate) type Sent = (PortId, PhysicalAddress, Vec<u8>);

pub(crate) struct Device {
    pub(crate) core: RouterCore<'static>,
    pub(crate) now: u64,
}

impl Device {
    /// The device without a bridge, its links up.
    pub(crate) fn simple() -> Self {
        let storage = Box::new(RouterStorage::<
            Ports<3>,
            Networks<2>,
            ShortMessages<2>,
            LongMessages<2, 4224>,
            Channels<6>,
            Routes<24>,
        >::new());
        let mut core = RouterCore::new(Box::leak(storage), &config());
        for (port, layout) in [
            (UPSTREAM, USB_LAYOUT),
            (I2C, I2C_LAYOUT),
            (SERIAL, SERIAL_LAYOUT),
        ] {
            let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
            assert_eq!(core.add_port(NETWORK, buffers), Ok(port));
            core.set_layout(port, layout);
            core.link_up(port);
        }
        while core.poll_event().is_some() {}
        let mut device = Self { core, now: 1_000 };
        device.serve(ECHO);
        device
    }

    /// A bridge or bus owner of these settings.
    pub(crate) fn new(config: &BridgeConfig<'static>) -> Self {
        let mut device = Self::simple();
        device.add_bridge(NETWORK, config).unwrap();
        device
    }

    /// The bridge of the exchange with mctpd: [`BRIDGE`].
    pub(crate) fn bridge() -> Self {
        Self::new(&BRIDGE)
    }

    /// That bridge with endpoint ID 9 and the pool from 10 to 13.
    pub(crate) fn assigned() -> Self {
        let mut device = Self::bridge();
        assert_eq!(device.ask(&[0x01, 0, 9]), [0, 1, 9, 4]);
        assert_eq!(device.ask(&[0x08, 0, 4, 10]), [0, 0, 4, 10]);
        device.events();
        device
    }

    pub(crate) fn add_bridge(
        &mut self,
        network: NetworkId,
        config: &BridgeConfig<'static>,
    ) -> Result<(), AddBridgeError> {
        let storage = Box::leak(Box::new(BridgeStorage::<8>::new()));
        self.core.add_bridge(network, storage, config)
    }

    fn serve(&mut self, service: Service) {
        self.core.open_listener(service).unwrap();
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    pub(crate) fn own(&self) -> u8 {
        self.core.endpoint_id(NETWORK).0
    }

    pub(crate) fn events(&mut self) -> Vec<mctp_router::Event> {
        std::iter::from_fn(|| self.core.poll_event()).collect()
    }

    /// A packet comes.
    pub(crate) fn receive(
        &mut self,
        (port, address): (PortId, PhysicalAddress),
        packet: &[u8],
    ) -> Receipt {
        self.core.receive(self.now(), port, address, packet)
    }

    /// The packets that wait at the ports; their neighbours take them.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for port in [UPSTREAM, I2C, SERIAL] {
            while let Some(outbound) = self.core.poll_transmit(port) {
                let address = outbound.transfer.destination();
                let packets = outbound.transfer.packets();
                sent.extend(packets.map(|packet| (port, address, packet.to_vec())));
                self.core.transmit_done(self.now(), port, outbound, Ok(()));
            }
        }
        sent
    }

    /// What the bus owner upstream gets for a packet: the packet that goes back.
    #[track_caller]
    pub(crate) fn exchange(&mut self, packet: &[u8]) -> Vec<u8> {
        let from = (UPSTREAM, POINT_TO_POINT);
        assert_eq!(self.receive(from, packet), Receipt::Control);
        let mut responses = self.sent();
        responses.retain(|(port, _, packet)| *port == UPSTREAM && packet[3] & 8 == 0);
        let [(_, _, response)] = &responses[..] else {
            panic!("one response, not {responses:02x?}");
        };
        response.clone()
    }

    /// What the bus owner upstream is answered: completion code and data. `request` is the command
    /// and its data.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.ask_from((UPSTREAM, POINT_TO_POINT), HOST, request)
    }

    /// What a neighbour is answered.
    #[track_caller]
    pub(crate) fn ask_from(
        &mut self,
        from: (PortId, PhysicalAddress),
        source: u8,
        request: &[u8],
    ) -> Vec<u8> {
        let own = self.own();
        let answer = self.try_ask(from, REQUEST.to(own).from(source), request);
        answer.expect("a response")
    }

    /// The same with this header; `None` when there is no response.
    #[track_caller]
    pub(crate) fn try_ask(
        &mut self,
        from: (PortId, PhysicalAddress),
        header: Wire,
        request: &[u8],
    ) -> Option<Vec<u8>> {
        let packet = header.packet(&[&[0, 0x95], request].concat());
        assert_eq!(self.receive(from, &packet), Receipt::Control);
        let mut responses = self.sent();
        responses.retain(|(_, _, packet)| packet[3] & 8 == 0);
        let (port, address, response) = responses.pop()?;
        assert!(responses.is_empty(), "{responses:02x?}");
        assert_eq!((port, address), from);
        let (_, message) = Wire::parse(&response);
        assert_eq!(message[..3], [0, 0x15, request[0]]);
        assert!(message.len() <= 64);
        Some(message[3..].to_vec())
    }

    /// The route to an endpoint: port and address.
    pub(crate) fn way_to(&self, endpoint_id: u8) -> Option<(PortId, PhysicalAddress)> {
        let routes = self.core.routes(NETWORK);
        let mut covering: Vec<_> = routes
            .filter(|route| (route.first.0..=route.last.0).contains(&endpoint_id))
            .collect();
        covering.sort_by_key(|route| route.last.0 - route.first.0);
        covering.first().map(|route| (route.port, route.address))
    }
}

pub(crate) fn eid(endpoint_id: u8) -> Eid {
    Eid(endpoint_id)
}
