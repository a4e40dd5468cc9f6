//! What the device answers for, besides the control protocol, which its router does.

use core::convert::Infallible;
use core::future::pending;

#[cfg(feature = "bench")]
use embassy_futures::join::join;
use embassy_futures::select::{Either4, select4};
use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{AsyncListener, MsgIC, MsgType};
use mctp_router::{Clock, Event, PortConfig, Router, Service};
use nvme_mi_responder::Responder;
use nvme_mi_responder::world::World;

#[cfg(feature = "bench")]
use crate::bench::Benchmark;
use crate::device::USB;
use crate::management::{Management, UnitChanges};
use crate::observer::Observer;

/// Of NVMe-MI over MCTP: DSP0235 1.0.1, encoded as in DSP0236 section 12.7.2. For a message type the version is that of its binding.
const NVME_MI_VERSIONS: &[[u8; 4]] = &[[0xF1, 0xF0, 0xF1, 0x00]];
/// One for each command slot, one for control primitives.
const NVME_MI_LISTENERS: usize = 3;

/// Serves for ever what [`assemble`](crate::assemble)d devices serve: echo, NVMe-MI and, with the feature `bench`, streams of messages. Lets the link follow the transmission unit that is
/// configured over NVMe-MI, and tells `observer` what happens.
///
/// `clock` is the time that the subsystem lives by, as a rule the router's; `buffer` is the assembly's.
pub async fn serve<M: RawMutex, C: Clock, W: World>(
    router: &Router<'_, M, C>,
    management: &mut Management<'_, W>,
    clock: impl Clock,
    buffer: &mut [u8],
    observer: &impl Observer,
) -> Infallible {
    management.unit_changes.follow(management.port);
    #[cfg(feature = "bench")]
    let bench = Benchmark::new(router.endpoint_id());
    let on_event = |event: Event| {
        #[cfg(feature = "bench")]
        bench.note(&event);
        observer.event(event, &router.drop_counters());
    };
    let services = select4(
        echo(router),
        manage(
            router,
            &mut management.responder,
            &clock,
            buffer,
            management.unit_changes,
        ),
        follow_unit(router, management.unit_changes),
        report_events(router, on_event),
    );
    #[cfg(feature = "bench")]
    let services = async { join(services, bench.run(router, &clock, observer)).await.0 };
    match services.await {
        Either4::First(never) | Either4::Second(never) => never,
        Either4::Third(never) | Either4::Fourth(never) => never,
    }
}

/// Serves echo in place: the response is sent from where the request was received.
async fn echo<M: RawMutex, C: Clock>(router: &Router<'_, M, C>) -> Infallible {
    let service = const { Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE]) };
    // Without a channel for it there is no such service, and the others go on.
    let Ok(mut listener) = router.listener(service) else {
        return pending().await;
    };
    loop {
        let message = listener.receive().await;
        if mctp_echo::is_request(message.bytes()) {
            // A host that does not read is counted by the router; it asks again if it wants to.
            let _ = message
                .respond(message.integrity_check(), &[message.bytes()])
                .await;
        }
    }
}

/// Serves NVMe-MI: both command slots and control primitives at once.
async fn manage<M: RawMutex, C: Clock, W: World>(
    router: &Router<'_, M, C>,
    responder: &mut Responder<'_, W>,
    clock: impl Clock,
    buffer: &mut [u8],
    changes: &UnitChanges,
) -> Infallible {
    let service =
        const { Service::message_type(mctp::MCTP_TYPE_NVME).with_versions(NVME_MI_VERSIONS) };
    // As with echo.
    let Ok(listener) = router.listener(service) else {
        return pending().await;
    };
    // A Get State says what was dropped before it came.
    let listeners = [(); NVME_MI_LISTENERS].map(|()| Watched {
        listener: &listener,
        received: || changes.note_drops(router.drop_counters()),
    });
    let event_channel = |endpoint_id| router.request_channel(endpoint_id);
    // It ends only if the listener does, which this one does not.
    nvme_mi_responder::serve(
        responder,
        listeners,
        event_channel,
        &ManagementClock(clock),
        buffer,
    )
    .await;
    pending().await
}

/// A listener that says when it has received something.
struct Watched<L, F> {
    listener: L,
    received: F,
}

impl<L: AsyncListener, F: Fn()> AsyncListener for Watched<L, F> {
    type RespChannel<'a>
        = L::RespChannel<'a>
    where
        Self: 'a;

    async fn recv<'f>(
        &mut self,
        buffer: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8], Self::RespChannel<'_>)> {
        let message = self.listener.recv(buffer).await;
        (self.received)();
        message
    }
}

/// The router's clock, for the responder.
struct ManagementClock<C>(C);

impl<C: Clock> nvme_mi_responder::Clock for ManagementClock<C> {
    fn now(&self) -> nvme_mi_responder::Instant {
        nvme_mi_responder::Instant::from_millis(self.0.now().as_millis())
    }

    fn wait_until(&self, deadline: nvme_mi_responder::Instant) -> impl Future<Output = ()> {
        let deadline = mctp_router::Instant::from_millis(deadline.as_millis());
        self.0.wait_until(deadline)
    }
}

/// Lets the link follow the transmission unit of the subsystem's port.
async fn follow_unit<M: RawMutex, C: Clock>(
    router: &Router<'_, M, C>,
    changes: &UnitChanges,
) -> Infallible {
    loop {
        let unit = changes.next().await.into();
        router.configure_port(
            USB,
            PortConfig {
                unit,
                ..PortConfig::default()
            },
        );
    }
}

async fn report_events<M: RawMutex, C: Clock>(
    router: &Router<'_, M, C>,
    on_event: impl Fn(Event),
) -> Infallible {
    loop {
        on_event(router.next_event().await);
    }
}
