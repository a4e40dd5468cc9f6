//! The kernel's MCTP configuration, in the words of the Linux MCTP tools: `mctp link`, `mctp addr`,
//! `mctp route` and `mctp neigh` take the same ones, and print nothing either.

use anyhow::{Context, Result};
use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Subcommand};
use linux_requester::interface::{self, Interface};
use linux_requester::netlink::{Change, Rtnetlink};

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
    Add(ViaInterface),
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
    let words: Vec<_> = settings.iter().map(String::as_str).collect();
    let settings = parse_settings(&words)
        .map_err(|reason| Arguments::command().error(ErrorKind::ValueValidation, reason))?;
    let Interface { name, index } = Interface::named(interface)?;
    for setting in settings {
        let (change, failure) = match setting {
            Setting::State { up } => (
                Change::LinkState {
                    interface_index: index,
                    up,
                },
                format!("cannot set {name} {}", if up { "up" } else { "down" }),
            ),
            Setting::Mtu(mtu) => (
                Change::LinkMtu {
                    interface_index: index,
                    mtu,
                },
                format!("cannot set the MTU of {name} to {mtu}"),
            ),
        };
        Rtnetlink::open()?.apply(change).context(failure)?;
    }
    Ok(())
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
            "mtu" => {
                let bytes = words.next().ok_or("mtu is followed by a number of bytes")?;
                let mtu = bytes.parse();
                Setting::Mtu(mtu.map_err(|_| format!("`{bytes}` is no number of bytes"))?)
            }
            other => {
                return Err(format!(
                    "an interface is set up, down or mtu BYTES, not `{other}`"
                ));
            }
        });
    }
    Ok(settings)
}

pub(super) fn address(command: &AddressCommand) -> Result<()> {
    let (on, verb) = match command {
        AddressCommand::Add(on) => (on, "give"),
        AddressCommand::Del(on) => (on, "take"),
    };
    let Interface { name, index } = Interface::named(&on.interface)?;
    let (interface_index, endpoint_id) = (index, on.endpoint_id);
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
    apply(change, || {
        format!("cannot {verb} {name} the local EID {endpoint_id}")
    })
}

pub(super) fn route(command: &RouteCommand) -> Result<()> {
    let (via, verb) = match command {
        RouteCommand::Add(via) => (via, "make"),
        RouteCommand::Del(via) => (via, "remove"),
    };
    let Interface { name, index } = Interface::named(&via.interface)?;
    let (interface_index, endpoint_id) = (index, via.endpoint_id);
    let change = match command {
        RouteCommand::Add(_) => Change::AddRoute {
            interface_index,
            endpoint_id,
        },
        RouteCommand::Del(_) => Change::RemoveRoute {
            interface_index,
            endpoint_id,
        },
    };
    apply(change, || {
        format!("cannot {verb} the route to EID {endpoint_id} through {name}")
    })
}

pub(super) fn neighbour(command: &NeighbourCommand) -> Result<()> {
    let (on, verb) = match command {
        NeighbourCommand::Add { neighbour, .. } => (neighbour, "make"),
        NeighbourCommand::Del(neighbour) => (neighbour, "remove"),
    };
    let Interface { name, index } = Interface::named(&on.interface)?;
    let (interface_index, endpoint_id) = (index, on.endpoint_id);
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
    apply(change, || {
        format!("cannot {verb} the neighbour EID {endpoint_id} on {name}")
    })
}

fn apply(change: Change, failure: impl Fn() -> String) -> Result<()> {
    Rtnetlink::open()?.apply(change).with_context(failure)
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
