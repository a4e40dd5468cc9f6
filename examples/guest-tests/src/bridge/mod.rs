//! Scenarios between the bus owner and a bridge: the sequence of mctpd with its exact bytes, and
//! what the bus owner does when a bridge answers otherwise.
//!
//! Each takes the interface and the bridge into service, and undoes both in the end, so that the
//! next one finds the kernel as it was; the bridge keeps what it was given. The answers that a good
//! bridge does not give are made of its good ones. There must be no gateway route to the pool
//! before, such as that of `linux-requester setup`.

mod scenario;
#[cfg(test)]
mod tests;
mod wire;

use anyhow::Result;
use clap::Args;
use linux_requester::bus_owner::Plan;
use linux_requester::interface::Neighbour;
use linux_requester::link::LinkPlan;
use linux_requester::netlink::Rtnetlink;
use linux_requester::pool;
use linux_requester::socket::MctpSocket;

pub(crate) use scenario::Scenario;
use scenario::{Place, play};

#[derive(Args)]
pub(crate) struct BridgeArguments {
    scenario: Scenario,
    /// On I2C with the address of the bridge: `mctpi2c0/1d`
    interface: String,
    /// This computer's endpoint ID
    #[arg(long, default_value_t = 8)]
    local: u8,
    /// The endpoint ID of the bridge
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u8).range(8..=253))]
    eid: u8,
    /// An endpoint behind the bridge, which has to answer; the others of the pool have to be silent
    #[arg(long, value_name = "N")]
    present: Vec<u8>,
}

pub(crate) fn run(arguments: &BridgeArguments) -> Result<()> {
    let Neighbour {
        interface,
        hardware_address,
    } = Neighbour::named(&arguments.interface)?;
    let place = Place {
        link: LinkPlan {
            interface_index: interface.index,
            before: interface.settings()?,
            mtu: None,
            local_endpoint_id: arguments.local,
        },
        plan: Plan {
            interface_index: interface.index,
            hardware_address,
            local_endpoint_id: arguments.local,
            endpoint_id: Some(arguments.eid),
            largest_pool: pool::DEFAULT_LARGEST,
        },
        interface: interface.name,
        bridge: arguments.eid,
        present: arguments.present.clone(),
    };
    let mut netlink = Rtnetlink::open()?;
    let mut socket = MctpSocket::open()?;
    let said = play(arguments.scenario, &place, &mut netlink, &mut socket)?;
    println!("{said}");
    Ok(())
}
