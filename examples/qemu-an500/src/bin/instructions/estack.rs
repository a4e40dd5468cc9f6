//! The same round trips through mctp-estack 0.1, in the parts that its documentation names: its
//! router, its listeners, its control messages.

use core::convert::Infallible;
use core::pin::pin;

use mctp::{AsyncListener, AsyncRespChannel, MsgType};
use mctp_estack::control::{MctpControlMsg, respond_get_eid};
use mctp_estack::router::{PortBottom, PortBuilder, PortId, PortLookup, PortStorage};
use mctp_estack::{Router, Stack};
use mctp_transport::{Eid, HEADER_LEN, TransportRx};

use crate::round_trip::{Case, Link, MESSAGE, Receiver, control, echo, run};
use crate::{DEVICE, PORT, Task, now, wait_until};

/// Packets that wait to be sent: as many as a transfer of 512 bytes has at the longest.
const QUEUE: usize = 2;

struct OnlyPort;

impl PortLookup for OnlyPort {
    fn by_eid(&mut self, _: Eid, _: Option<PortId>) -> Option<PortId> {
        Some(PortId(PORT.0))
    }
}

/// Measures all kinds that it has a service for.
pub fn measure_all() {
    for case in [
        control(),
        echo("echo-63/64", 63, 64),
        echo("echo-64/64", 64, 64),
        echo("echo-4096/64", 4096, 64),
        echo("echo-4096/247", 4096, 247),
    ] {
        measure(&case);
    }
}

fn measure(case: &Case) {
    let link = Link::new(case);
    let mtu = case.unit + HEADER_LEN;
    let mut storage = PortStorage::<QUEUE>::new();
    let mut builder = PortBuilder::new(&mut storage);
    let (top, bottom) = builder.build(mtu).expect("a valid unit");
    let (tops, mut lookup) = ([top], OnlyPort);
    let router = Router::new(Stack::new(DEVICE, mtu, 0), &tops, &mut lookup);
    let mut buffers = ([0; 64], [0; MESSAGE]);
    let mut receiver = Receiver::new(&link);
    let mut tasks: [Task<'_>; 5] = [
        pin!(receive(&router, &mut receiver)),
        pin!(answer(&router, &mut buffers.0)),
        pin!(echo_service(&router, &mut buffers.1)),
        pin!(send(bottom, &link)),
        pin!(keep_time(&router)),
    ];
    run(case, &link, &mut tasks);
}

async fn receive(router: &Router<'_>, receiver: &mut Receiver<'_>) -> Infallible {
    loop {
        if let mctp_transport::Received::Packet { bytes, .. } = receiver.receive().await {
            router.inbound(bytes, PortId(PORT.0)).await;
        }
    }
}

async fn send(mut bottom: PortBottom<'_>, link: &Link) -> Infallible {
    loop {
        let (packet, _) = bottom.outbound().await;
        link.send(packet);
        bottom.outbound_done();
    }
}

/// Get Endpoint ID alone.
async fn answer<'r>(router: &'r Router<'r>, buffer: &mut [u8]) -> Infallible {
    let listener = router.listener(mctp::MCTP_TYPE_CONTROL);
    let mut listener = listener.expect("a free listener");
    loop {
        let request = listener.recv(buffer).await;
        let (_, check, body, mut channel) = request.expect("a request");
        let (mut space, endpoint_id) = ([0; 20], router.get_eid().await);
        let response = MctpControlMsg::from_buf(body)
            .and_then(|request| respond_get_eid(&request, endpoint_id, 0, &mut space));
        if let Ok(response) = response {
            let sent = channel.send_vectored(check, &response.slices()).await;
            sent.expect("the link is up");
        }
    }
}

async fn echo_service<'r>(router: &'r Router<'r>, buffer: &mut [u8]) -> Infallible {
    let listener = router.listener(MsgType(0x7E));
    let mut listener = listener.expect("a free listener");
    loop {
        let request = listener.recv(buffer).await;
        let (_, check, body, mut channel) = request.expect("a request");
        let sent = channel.send_vectored(check, &[body]).await;
        sent.expect("the link is up");
    }
}

async fn keep_time(router: &Router<'_>) -> Infallible {
    loop {
        let next = router.update_time(now()).await.unwrap_or(100);
        wait_until(now().saturating_add(next)).await;
    }
}
