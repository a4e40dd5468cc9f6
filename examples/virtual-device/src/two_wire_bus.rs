//! A two-wire bus in this process, with the devices of a topology on it.
//!
//! The bus is the simulated one of `mctp-i2c` in real time: a transaction takes as long as on wires
//! (to a millisecond or so, as tokio's timer has it), and controllers that wait for the end of the
//! same one arbitrate. Everybody on it is in one task or in tasks of one thread.
//!
//! ```
//! use virtual_device::topology::Topology;
//! use virtual_device::two_wire_bus::Devices;
//! use virtual_device::settings::DEFAULT_UUID;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let text = r#"
//!     bridge = { upstream = "usb", pool_size = 1 }
//!     bus = { address = 0x10, frequency = "400 kHz" }
//!     device = [{ name = "slot0", address = 0x20 }]
//! "#;
//! let topology = Topology::parse(text, std::path::Path::new("")).expect("the topology is legal");
//! let devices = Devices::new(&topology, DEFAULT_UUID);
//! let bridge = devices.bus().controller(|| mctp_i2c::BusFrequency::Khz400);
//! tokio::select! {
//!     never = devices.run(&()) => match never {},
//!     () = async {
//!         // Here the controller writes to the devices, which come and go.
//!         let _ = bridge;
//!         assert!(devices.unplug("slot0"));
//!         assert!(devices.plug_in("slot0"));
//!     } => {}
//! }
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use embassy_futures::yield_now;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{ErrorType, I2c, Operation, SevenBitAddress};
use mctp::Eid;
use mctp_i2c::simulated_bus::{
    BusError, SimulatedBus, SimulatedController, SimulatedTarget, Usage,
};
use mctp_i2c::{
    BusFrequency, BusStatus, Config, RECEIVE_BUFFER_LEN, Receiver, Sender, TargetAddress, Timing,
};
use reference_device::{ManagementLink, NETWORK, Observed, Observer, PORT};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;
use virtual_host::waker::with_one_waker;

use crate::device::{self, DeviceRouter};
use crate::settings::DeviceSettings;
use crate::topology::{DownstreamDevice, MOST_DEVICES, Topology};

/// What tokio's timer can tell. The bus is not waited for when it is less ahead of time than this.
const TICK: Duration = Duration::from_millis(1);

/// Transactions that wait in a target: one is taken while the next one comes.
const ROOM: usize = 2;

/// How often a sender on this bus tries again (PN1 of DSP0237, section 6.18, where 8 is the least).
///
/// The lowest address wins arbitration, so that a sender may lose against each of the
/// [`MOST_DEVICES`], and more than once: fair devices look only at the end of their idle window
/// whether the bus is free (section 6.13.4). Of eight devices that answer at once, 16 retries of
/// each lose packets.
pub const RETRIES: u8 = 2 * MOST_DEVICES as u8;

/// The bus. A clone is the same bus.
///
/// Its own clock is that of the transactions on it: it is ahead of real time by what is left of the
/// last one, and is set to real time when the next one begins later.
#[derive(Clone, Debug)]
pub struct TwoWireBus {
    bus: SimulatedBus,
    start: Instant,
    fastest: BusFrequency,
}

impl TwoWireBus {
    /// A bus with nobody on it, which may be driven so fast.
    pub fn new(fastest: BusFrequency) -> Self {
        Self {
            bus: SimulatedBus::new(fastest.hertz()),
            start: Instant::now(),
            fastest,
        }
    }

    /// A controller, which asks before each transaction how fast it may drive the bus. It is never
    /// faster than the bus.
    pub fn controller<F: Fn() -> BusFrequency>(&self, frequency: F) -> BusController<F> {
        BusController {
            bus: self.clone(),
            controller: self.bus.controller(),
            frequency,
        }
    }

    /// Delays for a sender on this bus.
    pub fn delay(&self) -> BusDelay {
        BusDelay(self.clone())
    }

    /// The target at this address, until it is dropped.
    pub fn target(&self, address: TargetAddress) -> SimulatedTarget {
        self.bus.target(address, ROOM)
    }

    /// The status of the bus, for a sender that may drive it as fast as anybody.
    pub fn status(&self) -> TwoWireStatus {
        TwoWireStatus(self.clone())
    }

    /// How the bus was used so far.
    pub fn usage(&self) -> Usage {
        self.bus.usage()
    }

    /// How far the bus is ahead of real time.
    fn ahead(&self) -> Duration {
        self.bus.elapsed().saturating_sub(self.start.elapsed())
    }

    /// Waits until real time is where the bus is.
    async fn real_time(&self) {
        while self.ahead() >= TICK {
            sleep_until(self.start + self.bus.elapsed()).await;
        }
    }

    /// Waits until the transaction on the bus, if any, has ended in real time as well.
    async fn free(&self) {
        self.real_time().await;
        let behind = self.start.elapsed().saturating_sub(self.bus.elapsed());
        if !behind.is_zero() {
            self.bus.pass(behind);
        }
    }

    fn slower(&self, frequency: BusFrequency) -> BusFrequency {
        frequency.min(self.fastest)
    }
}

/// A controller on the bus. It writes only.
pub struct BusController<F> {
    bus: TwoWireBus,
    controller: SimulatedController,
    frequency: F,
}

impl<F> ErrorType for BusController<F> {
    type Error = BusError;
}

impl<F: Fn() -> BusFrequency> I2c for BusController<F> {
    async fn transaction(
        &mut self,
        address: SevenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        self.bus.free().await;
        let frequency = self.bus.slower((self.frequency)());
        self.controller.set_rate(frequency.hertz());
        let result = self.controller.transaction(address, operations).await;
        self.bus.free().await;
        result
    }
}

/// Delays on a [`TwoWireBus`].
///
/// Those of fairness are shorter than what tokio's timer can tell. They pass on the clock of the
/// bus, by the transactions that others begin meanwhile, or else by themselves.
#[derive(Clone, Debug)]
pub struct BusDelay(TwoWireBus);

/// How often the others on the bus may run before a short delay ends: a controller that lost
/// arbitration begins again when it ran twice.
const RUNS: usize = 4;

impl DelayNs for BusDelay {
    async fn delay_ns(&mut self, ns: u32) {
        let Self(bus) = self;
        let end = bus.bus.elapsed() + Duration::from_nanos(ns.into());
        if Duration::from_nanos(ns.into()) < TICK {
            for _ in 0..RUNS {
                yield_now().await;
            }
            bus.bus.pass(end.saturating_sub(bus.bus.elapsed()));
            bus.real_time().await;
        } else {
            sleep_until(bus.start + end).await;
        }
    }
}

/// The status of a [`TwoWireBus`].
#[derive(Clone, Debug)]
pub struct TwoWireStatus(TwoWireBus);

impl BusStatus for TwoWireStatus {
    fn is_busy(&mut self) -> bool {
        self.0.ahead() >= TICK
    }

    fn bus_frequency(&mut self) -> BusFrequency {
        self.0.fastest
    }
}

/// The status of a device's link, on a bus that may be slower than the device is allowed to be.
struct Limited<S> {
    bus: TwoWireBus,
    status: S,
}

impl<S: BusStatus> BusStatus for Limited<S> {
    fn is_connected(&mut self) -> bool {
        self.status.is_connected()
    }

    fn is_busy(&mut self) -> bool {
        self.status.is_busy()
    }

    fn bus_frequency(&mut self) -> BusFrequency {
        self.bus.slower(self.status.bus_frequency())
    }

    fn clear_stuck_bus(&mut self) -> impl Future<Output = ()> {
        self.status.clear_stuck_bus()
    }
}

/// The devices of a topology, on their bus while [`Devices::run`] runs.
#[derive(Debug)]
pub struct Devices {
    topology: Topology,
    bus: TwoWireBus,
    sockets: Vec<Socket>,
}

/// Where a device is plugged in, or not.
#[derive(Debug)]
struct Socket {
    device: DownstreamDevice,
    settings: DeviceSettings,
    plug: watch::Sender<Plug>,
}

/// Whether a device is plugged in.
#[derive(Clone, Copy, Debug)]
struct Plug {
    is_in: bool,
    /// How often it was unplugged: a device that is plugged in again at once starts anew.
    unplugged: u64,
}

impl Devices {
    /// The devices behind the bridge with this UUID, and a bus with nobody else on it.
    pub fn new(topology: &Topology, bridge: Uuid) -> Self {
        let sockets = topology.devices.iter().map(|device| Socket {
            settings: device.settings(bridge),
            device: device.clone(),
            plug: watch::Sender::new(Plug {
                is_in: device.plugged_in,
                unplugged: 0,
            }),
        });
        Self {
            topology: topology.clone(),
            bus: TwoWireBus::new(topology.bus.frequency),
            sockets: sockets.collect(),
        }
    }

    /// What they are, and the bridge in front of them.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Their bus.
    pub fn bus(&self) -> &TwoWireBus {
        &self.bus
    }

    /// Plugs the device with this name in: it starts as after power-on. `false` when there is none,
    /// or it is plugged in already.
    pub fn plug_in(&self, name: &str) -> bool {
        self.socket(name).is_some_and(|socket| {
            socket.plug.send_if_modified(|plug| {
                let changes = !plug.is_in;
                plug.is_in = true;
                changes
            })
        })
    }

    /// Unplugs the device with this name: from now on its address is not acknowledged, and it
    /// forgets everything. `false` when there is none, or it is unplugged already.
    pub fn unplug(&self, name: &str) -> bool {
        self.socket(name).is_some_and(|socket| {
            let changes = socket.plug.send_if_modified(|plug| {
                let changes = plug.is_in;
                plug.unplugged += u64::from(changes);
                plug.is_in = false;
                changes
            });
            // The device ends when its task runs. Nobody reaches it meanwhile.
            self.bus.bus.set_present(socket.device.address, false);
            changes
        })
    }

    fn socket(&self, name: &str) -> Option<&Socket> {
        let mut sockets = self.sockets.iter();
        sockets.find(|socket| socket.device.name == name)
    }

    /// Runs all devices, for ever. One that is unplugged ends.
    pub async fn run(&self, observer: &impl Observer) -> Infallible {
        let sockets = self.sockets.iter();
        let mut devices: Vec<Pin<Box<dyn Future<Output = Infallible> + '_>>> = sockets
            .map(|socket| Box::pin(socket.run(&self.bus, observer)) as _)
            .collect();
        with_one_waker(poll_fn(|context| {
            for device in &mut devices {
                if let Poll::Ready(never) = device.as_mut().poll(context) {
                    match never {}
                }
            }
            Poll::Pending
        }))
        .await
    }
}

impl Socket {
    async fn run(&self, bus: &TwoWireBus, observer: &impl Observer) -> Infallible {
        let mut plug = self.plug.subscribe();
        loop {
            let plugged_in = plug.wait_for(|plug| plug.is_in).await;
            let Ok(unplugged) = plugged_in.map(|plug| plug.unplugged) else {
                // Not so: the sender lives as long as the socket.
                return pending().await;
            };
            log::info!("{} is plugged in", self.device.name);
            tokio::select! {
                never = self.device(bus, observer) => match never {},
                _ = plug.wait_for(|plug| plug.unplugged != unplugged) => {}
            }
            log::info!("{} is unplugged", self.device.name);
        }
    }

    /// The device from its power-on.
    async fn device(&self, bus: &TwoWireBus, observer: &impl Observer) -> Infallible {
        let address = self.device.address;
        let link = async |router: &DeviceRouter<'_>, management_link: &ManagementLink| {
            if let Some(endpoint_id) = self.device.endpoint_id {
                router.set_static_endpoint_id(NETWORK, Eid(endpoint_id));
            }
            let mut buffer = [0; RECEIVE_BUFFER_LEN];
            let receiver = Receiver::new(bus.target(address), address, &mut buffer);
            let receiver = receiver.expect("the receive buffer is long enough for every packet");
            let frequency = management_link.frequency();
            let controller = bus.controller(|| frequency.now().get());
            let status = Limited {
                bus: bus.clone(),
                status: frequency.status(router, PORT, bus.status()),
            };
            let timing = Timing::new().with_retries(RETRIES);
            let config = Config::new(address).with_timing(timing);
            let sender = Sender::with_status(controller, bus.delay(), status, config);
            let mut receiver = Observed::new(receiver, observer);
            let mut sender = Observed::new(sender, observer);
            router.run(PORT, &mut receiver, &mut sender).await
        };
        device::run_nvme_device(&self.settings, observer, link).await
    }
}
