//! Our stack: `mctp-router`, with transports shaped like MCTP over USB.

pub mod core;
pub mod shell;
pub mod usb;

use mctp::MsgType;
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Config, Instant, NetworkId, PortConfig, PortId, Route, RouterStorage, Service};
use mctp_transport::{PhysicalAddress, TransferLayout};

use crate::case::{Case, LONG_MESSAGE, USUAL_MESSAGE};
use crate::link::peer;

/// All ports are in one network.
const NETWORK: NetworkId = NetworkId(0);

/// USB transfers of 1.0 in a transfer.
const AT_ONCE: u8 = if cfg!(feature = "board") { 1 } else { 8 };
/// Bytes of a transfer.
const TRANSFER_1_0: usize = 512 * AT_ONCE as usize;
/// Or one of 1.1.
const TRANSFER_1_1: usize = 8191;
/// The longest packets of either.
const PACKET_1_0: u16 = 251;
const PACKET_1_1: u16 = 8187;

// One port and one route more than a case has, for those that forward.
type Usual = RouterStorage<
    Ports<'static, 2>,
    Networks<1>,
    ShortMessages<'static, 4>,
    LongMessages<'static, 2, USUAL_MESSAGE>,
    Channels<'static, 4>,
    Routes<2>,
>;
type Long = RouterStorage<
    Ports<'static, 2>,
    Networks<1>,
    ShortMessages<'static, 4>,
    LongMessages<'static, 2, LONG_MESSAGE>,
    Channels<'static, 4>,
    Routes<2>,
>;
type Many = RouterStorage<
    Ports<'static, 9>,
    Networks<1>,
    ShortMessages<'static, 64>,
    LongMessages<'static, 64, USUAL_MESSAGE>,
    Channels<'static, 32>,
    Routes<201>,
>;

type Buffers = PortBuffers<'static, TRANSFER_1_0>;
type LongBuffers = PortBuffers<'static, TRANSFER_1_1>;

/// Calls `$new(storage, ...)` with storage of the type that the case asks for. A router forgets its
/// capacities; its storage does not.
macro_rules! in_storage {
    ($case:expr, $new:path $(, $argument:expr)*) => {{
        use $crate::{case::Room, leak, ours};
        match $case.room {
            Room::Usual => $new(leak(ours::Usual::new()) $(, $argument)*),
            Room::Long => $new(leak(ours::Long::new()) $(, $argument)*),
            Room::Many => $new(leak(ours::Many::new()) $(, $argument)*),
        }
    }};
}
use in_storage;

/// Adds the ports of a case, with buffers for its packets.
macro_rules! add_ports {
    ($router:expr, $case:expr) => {{
        use $crate::{leak, ours};
        for port in ours::ports($case) {
            let added = match ours::has_long_packets($case) {
                false => $router.add_port(NETWORK, leak(ours::Buffers::new())),
                true => $router.add_port(NETWORK, leak(ours::LongBuffers::new())),
            };
            assert_eq!(added, Ok(port));
        }
    }};
}
use add_ports;

fn config() -> Config {
    Config::new([1; 16])
}

fn has_long_packets(case: &Case) -> bool {
    case.unit > usize::from(PACKET_1_0) - mctp_transport::HEADER_LEN
}

/// As `mctp-usb` has it.
fn layout(case: &Case) -> TransferLayout {
    let (max_packet, max_transfer, transfers_at_once) = match has_long_packets(case) {
        false => (PACKET_1_0, 511, AT_ONCE),
        true => (PACKET_1_1, TRANSFER_1_1 as u16, 1),
    };
    TransferLayout::new(4, max_packet, max_transfer)
        .with_transfers_at_once(transfers_at_once)
        .with_packs(true)
}

fn ports(case: &Case) -> impl Iterator<Item = PortId> + use<> {
    (0..case.ports).map(|port| PortId(port as u8))
}

fn port_config(case: &Case) -> PortConfig {
    PortConfig::new(case.unit)
}

/// The ways to the first peers, each to the port that its requests come from: that to the first one
/// is found last.
fn routes(case: &Case) -> impl Iterator<Item = Route> {
    (0..case.routes).rev().map(|index| {
        let port = PortId((index % case.ports) as u8);
        Route::new(
            peer(index),
            peer(index),
            port,
            PhysicalAddress::POINT_TO_POINT,
        )
        .with_transmission_unit(case.unit)
    })
}

/// The echo service.
fn echo(case: &Case) -> Service {
    match case.message_type() {
        mctp::MCTP_TYPE_VENDOR_PCIE => {
            Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE])
        }
        other => Service::message_type(other),
    }
}

/// Services of other message types than echo has.
fn others(case: &Case) -> impl Iterator<Item = Service> + use<> {
    let types = (0x20..).take(case.listeners.saturating_sub(1));
    types.map(|message_type| Service::message_type(MsgType(message_type)))
}

/// Where the clock stands still.
const NOW: Instant = Instant::from_millis(1);
