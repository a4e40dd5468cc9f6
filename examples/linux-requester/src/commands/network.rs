//! The kernel's MCTP configuration, in the words of the Linux MCTP tools: `mctp link`, `mctp addr`,
//! `mctp route` and `mctp neigh` take the same ones, and print nothing either.

use anyhow::{Context, Result};
use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Subcommand};
use linux_requester::interface::{self, Interface};
use linux_requester::link;
use linux_requester::netlink::{Change, Rtnetlink};
use linux_requester::transaction::Transaction;

use super::Arguments;

#[derive(Subcommand)]
pub(crate) enum LinkCommand {
    /// Set an interface up or down, and the largest packet that it sends, in bytes
    Set {
        interface: String,
        #[arg(required = true, num_args = 1..=3, value_name = "up|down|mtu BYTES")]
        settings: Vec<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum AddressCommand {
    /// Give this computer an endpoint ID
    Add(OnInterface),
    /// Take it away
    Del(OnInterface),
}

#[derive(Subcommand)]
pub(crate) enum RouteCommand {
    /// Send what is for an endpoint ID through an interface
    Add {
        #[command(flatten)]
        route: ViaInterface,
        /// The longest packet for that endpoint, in bytes with the 4-byte header
        #[arg(num_args = 0..=2, value_name = "mtu BYTES")]
        mtu: Vec<String>,
    },
    /// Do so no more
    Del(ViaInterface),
}

#[derive(Subcommand)]
pub(crate) enum NeighbourCommand {
    /// Say at which hardware address of a bus an endpoint ID is
    Add {
        #[command(flatten)]
        neighbour: OnInterface,
        #[arg(value_parser = ["lladdr"])]
        lladdr: String,
        /// On I2C the 7-bit address, hexadecimal
        #[arg(value_parser = hardware_address)]
        address: u8,
    },
    /// Say so no more
    Del(OnInterface),
}

#[derive(Args)]
pub(crate) struct OnInterface {
    #[arg(value_parser = endpoint_id())]
    endpoint_id: u8,
    #[arg(value_parser = ["dev"])]
    dev: String,
    interface: String,
}

#[derive(Args)]
pub(crate) struct ViaInterface {
    #[arg(value_parser = endpoint_id())]
    endpoint_id: u8,
    #[arg(value_parser = ["via"])]
    via: String,
    interface: String,
}

/// Those that can be given to an endpoint.
fn endpoint_id() -> RangedU64ValueParser<u8> {
    RangedU64ValueParser::new().range(8..=254)
}

fn hardware_address(text: &str) -> Result<u8, String> {
    interface::hardware_address(text).map_err(|error| error.to_string())
}

pub(super) fn link(command: &LinkCommand) -> Result<()> {
    let LinkCommand::Set {
        interface,
        settings,
    } = command;
    let settings = parse_settings(&as_words(settings)).map_err(usage_error)?;
    let interface = Interface::named(interface)?;
    let before = interface.settings()?;
    let mut netlink = Rtnetlink::open()?;
    let mut report = |line: &str| eprintln!("{line}");
    let mut transaction = Transaction::begin(&mut netlink, &interface.name, &mut report);
    let index = interface.index;
    for setting in settings {
        match setting {
            Setting::State { up } => link::set_state(&mut transaction, index, before, up)?,
            Setting::Mtu(mtu) => link::set_mtu(&mut transaction, index, before, mtu)?,
        }
    }
    transaction.keep();
    Ok(())
}

fn as_words(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn usage_error(reason: String) -> clap::Error {
    Arguments::command().error(ErrorKind::ValueValidation, reason)
}

/// Of an interface.
#[derive(Debug, PartialEq)]
enum Setting {
    State { up: bool },
    Mtu(u32),
}

fn parse_settings(words: &[&str]) -> Result<Vec<Setting>, String> {
    let mut settings = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        settings.push(match *word {
            "up" => Setting::State { up: true },
            "down" => Setting::State { up: false },
            "mtu" => Setting::Mtu(parse_bytes(words.next().copied())?),
            other => {
                return Err(format!(
                    "an interface is set up, down or mtu BYTES, not `{other}`"
                ));
            }
        });
    }
    Ok(settings)
}

/// What may follow a route: `mtu BYTES`.
fn parse_route_mtu(words: &[&str]) -> Result<Option<u32>, String> {
    match words {
        [] => Ok(None),
        ["mtu", rest @ ..] => parse_bytes(rest.first().copied()).map(Some),
        [other, ..] => Err(format!("a route may have mtu BYTES, not `{other}`")),
    }
}

fn parse_bytes(word: Option<&str>) -> Result<u32, String> {
    let bytes = word.ok_or("mtu is followed by a number of bytes")?;
    let number = bytes.parse();
    number.map_err(|_| format!("`{bytes}` is no number of bytes"))
}

pub(super) fn address(command: &AddressCommand) -> Result<()> {
    let (AddressCommand::Add(on) | AddressCommand::Del(on)) = command;
    let interface = Interface::named(&on.interface)?;
    let (interface_index, endpoint_id) = (interface.index, on.endpoint_id);
    let change = match command {
        AddressCommand::Add(_) => Change::AddAddress {
            interface_index,
            endpoint_id,
        },
        AddressCommand::Del(_) => Change::RemoveAddress {
            interface_index,
            endpoint_id,
        },
    };
    apply(&interface, change)
}

pub(super) fn route(command: &RouteCommand) -> Result<()> {
    let (RouteCommand::Add { route, .. } | RouteCommand::Del(route)) = command;
    let mtu = match command {
        RouteCommand::Add { mtu, .. } => parse_route_mtu(&as_words(mtu)).map_err(usage_error)?,
        RouteCommand::Del(_) => None,
    };
    let interface = Interface::named(&route.interface)?;
    let (interface_index, endpoint_id) = (interface.index, route.endpoint_id);
    let change = match command {
        RouteCommand::Add { .. } => Change::AddRoute {
            interface_index,
            endpoint_id,
            mtu,
        },
        RouteCommand::Del(_) => Change::RemoveRoute {
            interface_index,
            endpoint_id,
        },
    };
    apply(&interface, change)
}

pub(super) fn neighbour(command: &NeighbourCommand) -> Result<()> {
    let (NeighbourCommand::Add { neighbour, .. } | NeighbourCommand::Del(neighbour)) = command;
    let interface = Interface::named(&neighbour.interface)?;
    let (interface_index, endpoint_id) = (interface.index, neighbour.endpoint_id);
    let change = match command {
        NeighbourCommand::Add { address, .. } => Change::AddNeighbour {
            interface_index,
            endpoint_id,
            hardware_address: *address,
        },
        NeighbourCommand::Del(_) => Change::RemoveNeighbour {
            interface_index,
            endpoint_id,
        },
    };
    apply(&interface, change)
}

fn apply(interface: &Interface, change: Change) -> Result<()> {
    Rtnetlink::open()?
        .apply(change)
        .with_context(|| format!("cannot {}", change.describe(&interface.name)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn exit_code(words: &str) -> i32 {
        let words = std::iter::once("linux-requester").chain(words.split_whitespace());
        match Arguments::try_parse_from(words) {
            Ok(_) => 0,
            Err(error) => error.exit_code(),
        }
    }

    #[test]
    fn the_words_are_those_of_the_mctp_tools() {
        for words in [
            "link set mctpi2c0 up",
            "link set mctpi2c0 up mtu 68",
            "addr add 8 dev mctpi2c0",
            "address del 8 dev mctpi2c0",
            "route add 9 via mctpi2c0",
            "route add 9 via mctpi2c0 mtu 68",
            "route del 9 via mctpi2c0",
            "neigh add 9 dev mctpi2c0 lladdr 0x1d",
            "neighbour del 9 dev mctpi2c0",
        ] {
            assert_eq!(exit_code(words), 0, "{words}");
        }
    }

    #[test]
    fn other_words_end_with_exit_code_2() {
        for words in [
            "link set mctpi2c0",
            "addr add 7 dev mctpi2c0",
            "addr add 255 dev mctpi2c0",
            "addr add 8 via mctpi2c0",
            "route add 9 dev mctpi2c0",
            "route add 9 via mctpi2c0 mtu 68 69",
            "route del 9 via mctpi2c0 mtu 68",
            "neigh add 9 dev mctpi2c0",
            "neigh add 9 dev mctpi2c0 lladdr 0x80",
            "neigh add 9 dev mctpi2c0 address 0x1d",
        ] {
            assert_eq!(exit_code(words), 2, "{words}");
        }
    }

    #[test]
    fn settings_are_a_state_and_an_mtu_in_any_order() {
        let up = Setting::State { up: true };
        assert_eq!(
            parse_settings(&["mtu", "68", "up"]),
            Ok(vec![Setting::Mtu(68), up])
        );
        assert_eq!(
            parse_settings(&["down"]),
            Ok(vec![Setting::State { up: false }])
        );
        for wrong in [&["mtu"][..], &["mtu", "x"], &["over"], &["68"]] {
            assert!(parse_settings(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_route_may_have_an_mtu() {
        assert_eq!(parse_route_mtu(&[]), Ok(None));
        assert_eq!(parse_route_mtu(&["mtu", "68"]), Ok(Some(68)));
        for wrong in [&["mtu"][..], &["mtu", "x"], &["mtu", "-1"], &["68"]] {
            assert!(parse_route_mtu(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_setting_that_there_is_not_is_a_usage_error() {
        let command = LinkCommand::Set {
            interface: "lo".into(),
            settings: vec!["sideways".into()],
        };
        let error = link(&command).unwrap_err();
        let usage = error.downcast_ref::<clap::Error>().unwrap();
        assert_eq!(usage.exit_code(), 2);
        assert!(usage.to_string().contains("not `sideways`"));
    }
}
