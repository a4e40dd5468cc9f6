//! What is done to the device: unplugging, resets, malformed transfers.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use linux_requester::address::Destination;
use linux_requester::control::{ControlClient, InWords};
use linux_requester::interface::{self, Interface, Neighbour};
use linux_requester::netlink::{Applied, Change, Rtnetlink};
use linux_requester::socket::MctpSocket;
use linux_requester::transaction::{ChangeError, Kernel, Transaction};
use linux_requester::{echo, line_discipline};

use crate::{guest_init, inject, requester, usb, usbip_device};

/// How long the host may take to end a device.
const REPLACEMENT_TIME: Duration = Duration::from_secs(30);

pub(super) fn announce(interface: &Interface) -> Result<()> {
    println!("{}", interface.description()?);
    Ok(())
}

/// Sets an interface down and up. If it cannot be set up, that is tried once more.
fn set_down_and_up(kernel: &mut impl Kernel, interface: &Interface) -> Result<(), ChangeError> {
    let Interface { name, index } = interface;
    let mut report = |line: &str| println!("{line}");
    let mut transaction = Transaction::begin(kernel, name, &mut report);
    let state = |up| Change::LinkState {
        interface_index: *index,
        up,
    };
    transaction.apply(state(false), state(true))?;
    transaction.report(&format!("{name} is down"));
    transaction.apply(state(true), state(true))?;
    transaction.report(&format!("{name} is up"));
    transaction.keep();
    Ok(())
}

/// A client whose first try has to be answered.
pub(super) fn one_try(socket: &mut MctpSocket) -> ControlClient<'_, MctpSocket> {
    let mut client = ControlClient::new(socket);
    client.wait = Duration::from_secs(3);
    client.tries = 1;
    client
}

/// A client that waits as long as a device may take to come back.
fn patient(socket: &mut MctpSocket) -> ControlClient<'_, MctpSocket> {
    let mut client = ControlClient::new(socket);
    client.wait = Duration::from_millis(500);
    client.tries = 60;
    client
}

pub(super) fn cycle_link(name: &str, endpoint_id: u8, count: u32) -> Result<()> {
    let interface = Neighbour::named(name)?.interface;
    let mut netlink = Rtnetlink::open()?;
    for round in 1..=count {
        set_down_and_up(&mut netlink, &interface)?;
        check_alive(endpoint_id).with_context(|| format!("after {round} times down and up"))?;
    }
    println!("control and echo worked after each of {count} times down and up");
    Ok(())
}

/// Detaches a device that attaches itself, and attaches it again.
pub(super) fn cycle_usbip(
    endpoint_id: u8,
    mtu: u32,
    count: u32,
    program: &str,
    arguments: &[String],
) -> Result<()> {
    let setup = format!("setup usb --eid {endpoint_id} --mtu {mtu} --tries 1 --wait 3000");
    for round in 1..=count {
        let cycle = || {
            usbip_device::detach()?;
            announce(&usbip_device::attach(program, arguments)?)?;
            requester::run(setup.split_whitespace())?;
            check_alive(endpoint_id)
        };
        cycle().with_context(|| format!("after {round} times detached and attached"))?;
    }
    println!("control and echo worked after each of {count} times detached and attached");
    Ok(())
}

pub(super) fn check_alive(endpoint_id: u8) -> Result<()> {
    let destination = Destination::EndpointId(endpoint_id);
    let mut socket = MctpSocket::open()?;
    let answer = one_try(&mut socket).endpoint_id(destination)?;
    ensure!(
        answer.endpoint_id == endpoint_id,
        "EID {endpoint_id} answers with {}",
        InWords(&answer)
    );
    echo::echo(
        &mut socket,
        destination,
        200,
        endpoint_id,
        Duration::from_secs(2),
    )?;
    Ok(())
}

pub(super) fn reset_usb(name: &str) -> Result<()> {
    let before = Interface::named(name)?;
    usb::reset(&before)?;
    println!("USB reset done");
    announce(&interface::wait_for_another(
        Some(before.index),
        Duration::from_secs(20),
    )?)
}

pub(super) fn inject_transfers(name: &str, seed: u64, count: usize) -> Result<()> {
    let before = Interface::named(name)?;
    for kind in inject::KINDS {
        let of_kind = inject::transfers(seed, count)
            .filter(|(found, _)| *found == kind)
            .count();
        println!("{of_kind} transfers: {kind:?}");
    }
    let transfers = inject::transfers(seed, count).map(|(_, transfer)| transfer);
    let sent = usb::send_raw(&before, transfers)?;
    println!(
        "the device took all {sent} malformed transfers and answered the good request behind them"
    );
    announce(&interface::wait_for_another(
        Some(before.index),
        Duration::from_secs(20),
    )?)
}

pub(super) fn attach_serial(port: &Path) -> Result<()> {
    let attached = line_discipline::attach(port)?;
    let Interface { name, index } = &attached.interface;
    println!("interface {name} (index {index}): {}", port.display());
    // Until the machine ends.
    std::mem::forget(attached);
    Ok(())
}

pub(super) fn disturb(name: &str, endpoint_id: u8, request: &str) -> Result<()> {
    let destination = Neighbour::named(name)?.destination();
    guest_init::tell_host(request);
    await_device(destination, endpoint_id)
}

/// The device answers physical addressing whatever its endpoint ID, which it is then given anew.
pub(super) fn await_device(destination: Destination, endpoint_id: u8) -> Result<()> {
    let mut socket = MctpSocket::open()?;
    let mut client = patient(&mut socket);
    let answer = answer_of_new_device(&mut client, destination)?;
    println!("the device answers again: {}", InWords(&answer));
    client.set_endpoint_id(destination, endpoint_id)?;
    check_alive(endpoint_id)
}

/// Until the host has ended the device from before, that one answers, and has its endpoint ID
/// still.
fn answer_of_new_device(
    client: &mut ControlClient<'_, MctpSocket>,
    destination: Destination,
) -> Result<mctp_router::wire::GetEndpointIdResponse> {
    let start = Instant::now();
    loop {
        let answer = client.endpoint_id(destination)?;
        if answer.endpoint_id == 0 {
            return Ok(answer);
        }
        ensure!(
            start.elapsed() < REPLACEMENT_TIME,
            "{} s later the device is the one from before: {}",
            REPLACEMENT_TIME.as_secs(),
            InWords(&answer)
        );
        thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn ask_host(request: &str) -> Result<()> {
    let before = interface::first()?.map(|interface| interface.index);
    guest_init::tell_host(request);
    announce(&interface::wait_for_another(
        before,
        Duration::from_secs(40),
    )?)
}

/// Has `linux-requester` set an interface up with an endpoint that does not answer in time. All
/// has to be as before then.
pub(super) fn failed_setup(name: &str) -> Result<()> {
    const UNUSED: u8 = 77;
    let interface = Neighbour::named(name)?.interface;
    let before = interface.settings()?;
    let setup = format!("setup {name} --local {UNUSED} --mtu 100 --tries 1 --wait 0");
    match requester::run(setup.split_whitespace()) {
        Err(error) => println!("it failed, as it should: {error:#}"),
        Ok(()) => bail!("an endpoint answered in no time"),
    }
    let after = interface.settings()?;
    ensure!(
        after == before,
        "{after:?} was left behind, instead of {before:?}"
    );
    let (interface_index, endpoint_id) = (interface.index, UNUSED);
    let mut netlink = Rtnetlink::open()?;
    let address = Change::AddAddress {
        interface_index,
        endpoint_id,
    };
    ensure!(
        netlink.apply(address)? == Applied::Changed,
        "the local EID {UNUSED} was left behind"
    );
    netlink.apply(Change::RemoveAddress {
        interface_index,
        endpoint_id,
    })?;
    println!("nothing was left behind: {before:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;

    use linux_requester::netlink::Route;

    use super::*;

    /// Whether the interface is up, and the number of the change that fails.
    struct FakeKernel(bool, u32);

    impl Kernel for FakeKernel {
        fn apply(&mut self, change: Change) -> io::Result<Applied> {
            self.1 = self.1.wrapping_sub(1);
            if self.1 == 0 {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            let Change::LinkState { up, .. } = change else {
                panic!("{change:?}")
            };
            self.0 = up;
            Ok(Applied::Changed)
        }

        fn routes(&mut self) -> io::Result<Vec<Route>> {
            panic!("a link has no routes")
        }
    }

    #[test]
    fn an_interface_is_up_whichever_change_fails() {
        let interface = Interface {
            name: "mctpusb0".to_owned(),
            index: 3,
        };
        for (number, fails) in [(1, true), (2, true), (3, false)] {
            let mut kernel = FakeKernel(true, number);
            let result = set_down_and_up(&mut kernel, &interface);
            assert_eq!((result.is_err(), kernel.0), (fails, true), "{number}");
        }
    }
}
