//! The frequency of a two-wire bus, as a management controller configures it over NVMe-MI
//! (Configuration Set, SMBus/I2C Frequency: NVMe-MI 1.2, section 5.2.1).

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_i2c::{BusFrequency, BusStatus, SharedBusFrequency};
use mctp_router::{Clock, PortId, Router};

/// How fast the device may drive the bus of one link: 100 kHz until a management controller sets
/// another frequency, and after a reset of the management endpoint.
///
/// The response to the command that sets it goes at the frequency that there was. So what is set
/// holds from the first transaction on before which the response was out, which a
/// [`FollowingStatus`] finds.
#[derive(Debug)]
pub struct LinkFrequency {
    now: SharedBusFrequency,
    next: SharedBusFrequency,
}

impl LinkFrequency {
    pub(crate) const fn new() -> Self {
        Self {
            now: SharedBusFrequency::new(BusFrequency::Khz100),
            next: SharedBusFrequency::new(BusFrequency::Khz100),
        }
    }

    /// That of the transaction that is about to begin, for the controller.
    pub const fn now(&self) -> &SharedBusFrequency {
        &self.now
    }

    /// The status of a bus at `port` of the router, for the sender. It says what `status` says, and
    /// this frequency.
    pub const fn status<'l, 'b, M: RawMutex, C: Clock, S>(
        &'l self,
        router: &'l Router<'b, M, C>,
        port: PortId,
        status: S,
    ) -> FollowingStatus<'l, 'b, M, C, S> {
        FollowingStatus {
            frequency: self,
            router,
            port,
            status,
        }
    }

    /// A new frequency, which holds when all is out that waits at `port` of the router.
    pub(crate) fn change<M: RawMutex, C: Clock>(
        &self,
        router: &Router<'_, M, C>,
        port: PortId,
        frequency: BusFrequency,
    ) {
        // In this order: the sender may ask in between.
        router.watch_sent(port);
        self.next.set(frequency);
    }
}

/// The status of [`LinkFrequency::status`].
pub struct FollowingStatus<'l, 'b, M: RawMutex, C: Clock, S> {
    frequency: &'l LinkFrequency,
    router: &'l Router<'b, M, C>,
    port: PortId,
    status: S,
}

impl<M: RawMutex, C: Clock, S: BusStatus> BusStatus for FollowingStatus<'_, '_, M, C, S> {
    fn is_connected(&mut self) -> bool {
        self.status.is_connected()
    }

    fn is_busy(&mut self) -> bool {
        self.status.is_busy()
    }

    fn bus_frequency(&mut self) -> BusFrequency {
        let frequency = self.frequency;
        if self.router.is_sent(self.port) {
            frequency.now.set(frequency.next.get());
        }
        frequency.now.get()
    }

    fn clear_stuck_bus(&mut self) -> impl Future<Output = ()> {
        self.status.clear_stuck_bus()
    }
}
