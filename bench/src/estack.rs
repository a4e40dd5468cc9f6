//! The other stack: `mctp-estack`'s async router.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use mctp::{Eid, MsgType, Tag};
use mctp_estack::fragment::SendOutput;
use mctp_estack::router::{PortBottom, PortBuilder, PortId, PortLookup, PortStorage};
use mctp_estack::{Router, Stack};

use crate::link::{DEVICE, Link, MESSAGE_TYPE};
use crate::{Case, LONGEST_MESSAGE, run};

/// Its transmission unit counts the packet header.
const HEADER_LEN: usize = 4;

struct OnePort;

impl PortLookup for OnePort {
    fn by_eid(&mut self, _: Eid, _: Option<PortId>) -> Option<PortId> {
        Some(PortId(0))
    }
}

/// The echo service through the `mctp` traits, the only way there is.
pub fn echo(case: &Case) {
    let link = case.link();
    let mtu = case.unit + HEADER_LEN;
    let mut storage = PortStorage::<4>::new();
    let mut builder = PortBuilder::new(&mut storage);
    let (top, mut bottom) = builder.build(mtu).expect("a valid unit");
    let ports = [top];
    let mut lookup = OnePort;
    let router = Router::new(Stack::new(DEVICE, mtu, 0), &ports, &mut lookup);
    let mut listener = router
        .listener(MsgType(MESSAGE_TYPE))
        .expect("a free listener");
    let mut buffer = vec![0; LONGEST_MESSAGE];

    let receive = pin!(receive(&router, &link));
    let service = pin!(async { panic!("{}", mctp_echo::serve(&mut listener, &mut buffer).await) });
    let send = pin!(send(&mut bottom, &link));
    run(case, &link, &mut [receive, service, send]);
}

/// Its sans-IO core by hand, as `ours::echo_by_core` does it with ours.
pub fn echo_by_core(case: &Case) {
    let link = case.link();
    let mtu = case.unit + HEADER_LEN;
    let mut stack = Stack::new(DEVICE, mtu, 0);
    let mut buffer = vec![0; mtu];
    let service = pin!(async {
        loop {
            let packet = poll_fn(|_| link.next_packet().map_or(Poll::Pending, Poll::Ready)).await;
            let Ok(Some((message, handle))) = stack.receive(packet) else {
                continue;
            };
            let (peer, typ, ic) = (message.source, message.typ, message.ic);
            let tag = Some(Tag::Unowned(message.tag.tag()));
            let sent = stack.start_send(peer, typ, tag, true, ic, None, None);
            let mut fragmenter = sent.expect("a response");
            let message = stack.fetch_message(&handle);
            while let SendOutput::Packet(packet) = fragmenter.fragment(message.payload, &mut buffer)
            {
                link.send(packet);
            }
            stack.finished_receive(handle);
        }
    });
    run(case, &link, &mut [service]);
}

async fn receive(router: &Router<'_>, link: &Link) -> Infallible {
    loop {
        let packet = poll_fn(|_| match link.next_packet() {
            Some(packet) => Poll::Ready(packet),
            None => Poll::Pending,
        });
        router.inbound(packet.await, PortId(0)).await;
    }
}

async fn send(bottom: &mut PortBottom<'_>, link: &Link) -> Infallible {
    loop {
        let (packet, _) = bottom.outbound().await;
        link.send(packet);
        bottom.outbound_done();
    }
}
