//! Two devices of one bus owner: both are attached by USB/IP, and answer at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::control::{ControlClient, Uuid};
use linux_requester::echo;
use linux_requester::interface::Interface;
use linux_requester::socket::MctpSocket;

use crate::requester;
use crate::usbip_device::{Program, TIME, wait_until_gone};

/// The bus owner's own endpoint ID, which `linux-requester setup` gives to both interfaces.
const LOCAL: &str = "8";
const WAIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
/// Of the echoes that each device is sent at the same time as the other.
const SIZES: std::ops::RangeInclusive<usize> = 0..=600;
/// What the device that stays is sent while the other goes.
const SIZE: usize = 700;

#[derive(Args)]
pub(crate) struct TwoDevicesArguments {
    /// Bytes of the largest packet, with the 4-byte MCTP header
    #[arg(long)]
    mtu: u32,
    program: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// One of the two, and what it is told apart by.
struct Device {
    interface: &'static str,
    endpoint_id: u8,
    uuid: &'static str,
}

const DEVICES: [Device; 2] = [
    Device {
        interface: "mctpusb0",
        endpoint_id: 9,
        uuid: "11111111-2222-4333-8444-555555555555",
    },
    Device {
        interface: "mctpusb1",
        endpoint_id: 10,
        uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    },
];

pub(crate) fn run(arguments: &TwoDevicesArguments) -> Result<()> {
    let [first, second] = &DEVICES;
    let first_program = first.start(arguments)?;
    let second_program = second.start(arguments)?;
    first.set_up(arguments)?;
    second.set_up(arguments)?;
    both_at_once(first, second)?;
    println!("both devices answered everything at the same time");

    let is_over = AtomicBool::new(false);
    let (echoes, second_program) = thread::scope(|scope| {
        let goes_on = scope.spawn(|| first.echo_until(&is_over));
        let come_back = || {
            second_program.end()?;
            second.wait_until_gone()?;
            let program = second.start(arguments)?;
            second.set_up(arguments)?;
            second.echo(*SIZES.end())?;
            anyhow::Ok(program)
        };
        let came_back = come_back();
        is_over.store(true, Ordering::Relaxed);
        let echoes = goes_on
            .join()
            .map_err(|_| anyhow!("the echoes panicked"))??;
        anyhow::Ok((echoes, came_back?))
    })?;
    println!("{echoes} echoes of the first device while the second one went and came back");
    both_at_once(first, second)?;

    first_program.end()?;
    first.wait_until_gone()?;
    second.renew_local_address()?;
    second.check_alive()?;
    second_program.end()?;
    second.wait_until_gone()
}

/// Both have to answer, each at its own endpoint ID.
fn both_at_once(first: &Device, second: &Device) -> Result<()> {
    thread::scope(|scope| {
        [first, second]
            .map(|device| {
                scope.spawn(|| {
                    device.check_alive()?;
                    SIZES.into_iter().try_for_each(|size| device.echo(size))?;
                    device.check_alive()
                })
            })
            .into_iter()
            .try_for_each(|device| device.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

impl Device {
    /// Attaches it, which gives it its interface if the other one is there already.
    fn start(&self, arguments: &TwoDevicesArguments) -> Result<Program> {
        let own = ["--uuid", self.uuid].map(str::to_owned);
        let all = [&arguments.arguments[..], &own].concat();
        let program = Program::start(&arguments.program, &all)?;
        let deadline = Instant::now() + TIME;
        while let Err(error) = Interface::named(self.interface) {
            ensure!(Instant::now() < deadline, "{error:#}");
            thread::sleep(PAUSE);
        }
        let interface = Interface::named(self.interface)?;
        println!("{}", interface.description()?);
        Ok(program)
    }

    fn set_up(&self, arguments: &TwoDevicesArguments) -> Result<()> {
        let Self {
            interface,
            endpoint_id,
            ..
        } = self;
        let mtu = arguments.mtu;
        let words =
            format!("setup {interface} --eid {endpoint_id} --mtu {mtu} --tries 1 --wait 3000");
        requester::run(words.split_whitespace())
    }

    /// Linux has one route to an endpoint ID of its own, by the interface that it was given to first,
    /// and that route goes with that interface. Giving it to this one again makes it anew.
    fn renew_local_address(&self) -> Result<()> {
        for change in ["del", "add"] {
            requester::run(["addr", change, LOCAL, "dev", self.interface])?;
        }
        Ok(())
    }

    /// It is the device that it has to be.
    fn check_alive(&self) -> Result<()> {
        let mut socket = MctpSocket::open()?;
        let mut client = ControlClient::new(&mut socket);
        client.wait = WAIT;
        client.tries = 1;
        let Uuid(uuid) = client.uuid(self.destination())?;
        let found = Uuid(uuid).to_string();
        ensure!(
            found == self.uuid,
            "EID {} is the device {found} instead of {}",
            self.endpoint_id,
            self.uuid
        );
        Ok(())
    }

    fn echo(&self, size: usize) -> Result<()> {
        let mut socket = MctpSocket::open()?;
        // So that an answer of the other one is none.
        let start = self.endpoint_id;
        echo::echo(&mut socket, self.destination(), size, start, WAIT)
            .with_context(|| format!("EID {}", self.endpoint_id))
    }

    fn echo_until(&self, is_over: &AtomicBool) -> Result<u32> {
        let mut count = 0;
        while !is_over.load(Ordering::Relaxed) {
            self.echo(SIZE)?;
            count += 1;
        }
        Ok(count)
    }

    fn destination(&self) -> Destination {
        Destination::EndpointId(self.endpoint_id)
    }

    fn wait_until_gone(&self) -> Result<()> {
        wait_until_gone(|| Ok(Interface::named(self.interface).is_err()))
    }
}
