//! Taking an interface and the endpoint behind it into service.

use anyhow::Result;
use clap::Args;
use linux_requester::bus_owner::{self, Plan};
use linux_requester::interface::Neighbour;
use linux_requester::link::{self, LinkPlan};
use linux_requester::netlink::Rtnetlink;
use linux_requester::pool;
use linux_requester::socket::MctpSocket;
use linux_requester::transaction::Transaction;

use super::messages::Retries;

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
    eid: Option<u8>,
    /// The largest packet in bytes, with the 4-byte MCTP header: 68 to 251, to 8187 with MCTP over
    /// USB 1.1, to 254 over I2C
    #[arg(long)]
    mtu: Option<u32>,
    /// How many endpoint IDs a bridge gets at most for what is behind it
    #[arg(long, value_name = "N", default_value_t = pool::DEFAULT_LARGEST)]
    max_pool: u8,
    #[command(flatten)]
    retries: Retries,
}

pub(super) fn set_up(arguments: &SetupArguments) -> Result<()> {
    let Neighbour {
        interface,
        hardware_address,
    } = Neighbour::named(&arguments.interface)?;
    let before = interface.settings()?;
    // What can fail without a trace is before the first change.
    let mut netlink = Rtnetlink::open()?;
    let mut socket = MctpSocket::open()?;
    let mut client = arguments.retries.client(&mut socket);

    let mut report = |line: &str| println!("{line}");
    let mut transaction = Transaction::begin(&mut netlink, &interface.name, &mut report);
    let link = LinkPlan {
        interface_index: interface.index,
        before,
        mtu: arguments.mtu,
        local_endpoint_id: arguments.local,
    };
    link::configure(&mut transaction, &link)?;
    let plan = Plan {
        interface_index: interface.index,
        hardware_address,
        local_endpoint_id: arguments.local,
        endpoint_id: arguments.eid,
        largest_pool: arguments.max_pool,
    };
    let endpoint = bus_owner::set_up(&mut client, &mut transaction, plan)?;
    transaction.keep();
    let pool = endpoint
        .pool
        .map(|pool| format!(", with EIDs {pool} behind it"));
    println!(
        "endpoint {} on {} is in service{}",
        endpoint.endpoint_id,
        interface.name,
        pool.unwrap_or_default()
    );
    Ok(())
}
