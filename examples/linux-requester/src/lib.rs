//! The host side of MCTP on Linux, written to be read by whoever develops a management controller.
//!
//! Linux gives programs an `AF_MCTP` datagram socket for messages and rtnetlink for the set-up;
//! nothing else is needed. What follows is in the order to read it in: each module needs only those
//! above it. First, how bytes get to Linux and to a device:
//!
//! | module | what it holds |
//! |---|---|
//! | [`address`] | `struct sockaddr_mctp` and its extended form as bytes |
//! | [`exchange`] | a request and its answer, as the protocols below need them; tests put a device in the place of the socket |
//! | [`tag`] | tags that the kernel keeps for a program |
//! | `socket` | the `AF_MCTP` socket; unsafe code is here and in `line_discipline` alone |
//! | `one_tag` | requests that all have the same tag |
//! | `listener` | the requests of others, of all or of one peer, and answers to them |
//!
//! Then the set-up of an interface, and of the endpoint behind it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`netlink`] | rtnetlink requests: link state and MTU, local endpoint ID, routes, neighbours |
//! | [`transaction`] | such changes, which are undone when a later step fails |
//! | [`link`] | an interface made ready: MTU, up, local endpoint ID |
//! | `interface` | network interfaces found through sysfs |
//! | `line_discipline` | an interface made of a serial port |
//! | [`control`] | the control protocol: requests with retries, decoded answers |
//! | [`pool`] | endpoint IDs for what is behind a bridge |
//! | [`bus_owner`] | how a bus owner takes a new endpoint or bridge into service |
//! | [`poll`] | who is behind a bridge |
//!
//! And what an endpoint in service can be asked:
//!
//! | module | what it holds |
//! |---|---|
//! | [`echo`] | the echo service of the Linux MCTP tools, checked byte by byte |
//! | [`mod@bench`] | the benchmark service of the Linux MCTP tools, each message checked |
//! | [`nvme_mi`] | NVMe-MI commands, with their integrity check |
//! | [`admin`] | NVM Express Admin commands over NVMe-MI |
//! | [`firmware`] | a firmware update by such commands |
//!
//! Modules without a link need Linux; the others compile and are tested anywhere. The program's
//! `commands` show each of them in use, and its README says what a failed command undoes.
//!
//! A request to an endpoint in service:
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! use linux_requester::address::Destination;
//! use linux_requester::control::ControlClient;
//! use linux_requester::socket::MctpSocket;
//!
//! let mut socket = MctpSocket::open()?;
//! let mut client = ControlClient::new(&mut socket);
//! let types = client.message_types(Destination::EndpointId(9))?;
//! println!("message types: {types:02x?}");
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod admin;
pub mod bench;
pub mod bus_owner;
pub mod control;
pub mod echo;
pub mod exchange;
#[cfg(test)]
mod fake_bridge;
pub mod firmware;
pub mod link;
pub mod netlink;
pub mod nvme_mi;
pub mod poll;
pub mod pool;
pub mod tag;
pub mod transaction;

#[cfg(target_os = "linux")]
pub mod interface;
#[cfg(target_os = "linux")]
pub mod line_discipline;
#[cfg(target_os = "linux")]
pub mod listener;
#[cfg(target_os = "linux")]
pub mod one_tag;
#[cfg(target_os = "linux")]
pub mod socket;
