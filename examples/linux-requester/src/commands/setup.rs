//! Taking an interface and the endpoint behind it into service.

use std::io;

use anyhow::{Context, Result};
use clap::Args;
use linux_requester::bus_owner::{self, Plan, Routes};
use linux_requester::interface::{Interface, Neighbour};
use linux_requester::netlink::{Change, Rtnetlink};
use linux_requester::socket::MctpSocket;

use super::messages::Retries;

/// More than the packets of a 64 KiB message at the smallest transmission unit (1024), so that none
/// is dropped.
const QUEUE_LENGTH: u32 = 4096;

#[derive(Args)]
pub(super) struct SetupArguments {
    /// On I2C with the address of the endpoint: `mctpi2c0/1d`
    interface: String,
    /// This computer's endpoint ID
    #[arg(long, default_value_t = 8)]
    local: u8,
    /// The endpoint ID to assign; without it the endpoint keeps the one it has, or gets the lowest
    /// free one
    #[arg(long)]
    pub(super) eid: Option<u8>,
    /// The largest packet in bytes, with the 4-byte MCTP header: 68 to 251, to 8187 with MCTP over
    /// USB 1.1, to 254 over I2C
    #[arg(long)]
    mtu: Option<u32>,
    #[command(flatten)]
    retries: Retries,
}

pub(super) fn set_link(netlink: &mut Rtnetlink, interface: &Interface, up: bool) -> Result<()> {
    let word = if up { "up" } else { "down" };
    netlink
        .apply(Change::LinkState {
            interface_index: interface.index,
            up,
        })
        .with_context(|| format!("cannot set {} {word}", interface.name))?;
    println!("{} is {word}", interface.name);
    Ok(())
}

pub(super) fn set_up(arguments: &SetupArguments) -> Result<()> {
    let neighbour = Neighbour::named(&arguments.interface)?;
    let mut netlink = Rtnetlink::open()?;
    configure(&mut netlink, &neighbour.interface, arguments)?;

    let mut socket = MctpSocket::open()?;
    let mut client = arguments.retries.client(&mut socket);
    let plan = Plan {
        physical: neighbour.destination(),
        local_endpoint_id: arguments.local,
        endpoint_id: arguments.eid,
    };
    let mut routes = NeighbourRoutes { netlink, neighbour };
    let endpoint = bus_owner::set_up(&mut client, &mut routes, plan, &mut |line| {
        println!("{line}")
    })?;
    println!(
        "endpoint {} on {} is in service",
        endpoint.endpoint_id, routes.neighbour.interface.name
    );
    Ok(())
}

pub(super) fn configure(
    netlink: &mut Rtnetlink,
    interface: &Interface,
    arguments: &SetupArguments,
) -> Result<()> {
    let Interface {
        name,
        index: interface_index,
    } = interface;
    let interface_index = *interface_index;
    netlink
        .apply(Change::LinkQueueLength {
            interface_index,
            packets: QUEUE_LENGTH,
        })
        .with_context(|| format!("cannot set the queue length of {name}"))?;
    if let Some(mtu) = arguments.mtu {
        netlink
            .apply(Change::LinkMtu {
                interface_index,
                mtu,
            })
            .with_context(|| format!("cannot set the MTU of {name} to {mtu}"))?;
        println!("{name} has MTU {mtu}");
    }
    set_link(netlink, interface, true)?;
    let endpoint_id = arguments.local;
    netlink
        .apply(Change::AddAddress {
            interface_index,
            endpoint_id,
        })
        .with_context(|| format!("cannot give {name} the local EID {endpoint_id}"))?;
    println!("{name} has local EID {endpoint_id}");
    Ok(())
}

/// Routes to a neighbour; on a bus the kernel is also told where it is.
pub(super) struct NeighbourRoutes {
    netlink: Rtnetlink,
    neighbour: Neighbour,
}

impl Routes for NeighbourRoutes {
    fn add(&mut self, endpoint_id: u8) -> io::Result<()> {
        let interface_index = self.neighbour.interface.index;
        if let Some(hardware_address) = self.neighbour.hardware_address {
            self.netlink.apply(Change::AddNeighbour {
                interface_index,
                endpoint_id,
                hardware_address,
            })?;
        }
        self.netlink.apply(Change::AddRoute {
            interface_index,
            endpoint_id,
        })
    }

    fn remove(&mut self, endpoint_id: u8) -> io::Result<()> {
        let interface_index = self.neighbour.interface.index;
        self.netlink.apply(Change::RemoveRoute {
            interface_index,
            endpoint_id,
        })?;
        if self.neighbour.hardware_address.is_some() {
            self.netlink.apply(Change::RemoveNeighbour {
                interface_index,
                endpoint_id,
            })?;
        }
        Ok(())
    }
}
