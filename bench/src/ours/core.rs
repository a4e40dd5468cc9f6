//! The sans-IO core by hand: what the router costs without tasks, wakers and lock.

use mctp::{Eid, MsgIC};
use mctp_router::storage::ForwardingBuffer;
use mctp_router::{ChannelId, Outgoing, PortId, Progress, Receipt, Route, RouterCore, Target};
use mctp_transport::{PhysicalAddress, Transfer};

use super::{
    Buffers, NETWORK, NOW, TRANSFER_1_0, add_ports, config, echo, in_storage, layout, others,
    port_config, ports, routes,
};
use crate::case::Case;
use crate::executor::measure_rounds;
use crate::leak;
use crate::link::{DEVICE, Link, peer};
use crate::meter::counted;

/// The endpoint ID of the router that forwards.
const BRIDGE: Eid = Eid(0xFD);
/// The flag of the last packet of a message.
const END: u8 = 0x40;

#[inline]
fn core(case: &Case) -> (RouterCore<'static>, ChannelId) {
    let mut core = in_storage!(case, RouterCore::new, &config());
    assert!(core.set_endpoint_id(NETWORK, DEVICE));
    add_ports!(core, case);
    for port in ports(case) {
        core.set_layout(port, layout(case));
        core.configure_port(port, port_config(case));
        core.link_up(port);
    }
    assert!(routes(case).all(|route| core.add_route(route)));
    let echo = core.open_listener(echo(case)).expect("a free channel");
    for other in others(case) {
        core.open_listener(other).expect("a free channel");
    }
    (core, echo)
}

/// Takes all packets of the group. Calls `serve` for each complete message.
#[inline(always)]
fn receive<'b>(core: &mut RouterCore<'b>, link: &Link, serve: impl Fn(&mut RouterCore<'b>)) {
    while let Some((port, packet)) = link.next_packet() {
        let port = PortId(port as u8);
        let receipt = core.receive(NOW, port, PhysicalAddress::POINT_TO_POINT, packet);
        if let Receipt::Delivered(_) = receipt {
            serve(core);
        }
    }
}

/// Sends all of a message. Calls `transport` for each transfer.
#[inline(always)]
fn send(
    core: &mut RouterCore<'_>,
    outgoing: &mut Outgoing,
    message: &[u8],
    transport: impl Fn(PortId, &mut Transfer<'_>),
) {
    let port = outgoing.port();
    loop {
        let progress = core.send(NOW, outgoing, &[message]);
        while let Some(outbound) = core.poll_transmit(port) {
            transport(port, outbound.transfer);
            core.transmit_done(NOW, port, outbound, Ok(()));
        }
        if progress.expect("the link is up") == Progress::Done {
            break;
        }
    }
}

/// The echo service.
#[inline]
pub fn echo_in_place(case: &Case) {
    let link = Link::of_echo(case);
    let (mut core, echo) = core(case);
    let mut serve = || {
        receive(&mut core, link, |core| {
            let message = core.take_message(echo).expect("it was delivered");
            let mut response = message
                .origin()
                .response(message.origin().integrity_check());
            send(core, &mut response, message.bytes(), |port, transfer| {
                link.send(port.0.into(), transfer.packets());
            });
            core.give_back(message);
        });
    };
    measure_rounds(case, link, || {
        link.begin();
        counted(&mut serve);
    });
    assert_eq!(core.drop_counters().total(), 0);
}

/// Only takes messages.
#[inline]
pub fn assemble(case: &Case) {
    let link = Link::of_echo(case);
    let (mut core, echo) = core(case);
    let mut serve = || {
        receive(&mut core, link, |core| {
            let message = core.take_message(echo).expect("it was delivered");
            core.give_back(message);
            link.end_message();
        });
    };
    measure_rounds(case, link, || {
        link.begin();
        counted(&mut serve);
    });
    assert_eq!(core.drop_counters().total(), 0);
}

/// Only sends responses, again and again to the same message.
#[inline]
pub fn packetise(case: &Case) {
    let link = Link::of_echo(case);
    let (mut core, echo) = core(case);
    link.begin();
    receive(&mut core, link, |_| {});
    let message = core.take_message(echo).expect("it was delivered");
    let mut respond = || {
        let mut response = message
            .origin()
            .response(message.origin().integrity_check());
        send(&mut core, &mut response, message.bytes(), |_, transfer| {
            link.sent(transfer.as_bytes().len());
        });
    };
    measure_rounds(case, link, || counted(&mut respond));
    core.give_back(message);
}

/// Takes all transfers of a port.
#[inline(always)]
fn transmit(core: &mut RouterCore<'_>, link: &Link, port: PortId) {
    while let Some(outbound) = core.poll_transmit(port) {
        link.sent(outbound.transfer.as_bytes().len());
        core.transmit_done(NOW, port, outbound, Ok(()));
    }
}

/// Only forwards: all messages are for an endpoint behind one more port, which sends when both of
/// its transfers are full.
#[inline]
pub fn forward(case: &Case) {
    let link = Link::of_echo(case);
    let (mut core, _) = core(case);
    assert!(core.set_endpoint_id(NETWORK, BRIDGE));
    let out = PortId(case.ports as u8);
    assert_eq!(core.add_port(NETWORK, leak(Buffers::new())), Ok(out));
    core.set_layout(out, layout(case));
    core.link_up(out);
    for port in ports(case).chain([out]) {
        core.set_can_wait(port, true);
        let forwards = core.forward_by(port, leak(ForwardingBuffer::<TRANSFER_1_0>::new()));
        forwards.expect("a free channel");
    }
    let to = PhysicalAddress::POINT_TO_POINT;
    assert!(core.add_route(Route::new(DEVICE, DEVICE, out, to)));
    let mut serve = || {
        while let Some((port, packet)) = link.next_packet() {
            let port = PortId(port as u8);
            let receive = |core: &mut RouterCore<'_>| {
                core.receive(NOW, port, PhysicalAddress::POINT_TO_POINT, packet)
            };
            let mut receipt = receive(&mut core);
            if receipt == Receipt::HeldBack {
                transmit(&mut core, link, out);
                receipt = receive(&mut core);
            }
            assert_eq!(receipt, Receipt::Forwarded(out));
            if packet[3] & END != 0 {
                link.end_message();
            }
        }
        transmit(&mut core, link, out);
    };
    measure_rounds(case, link, || {
        link.begin();
        counted(&mut serve);
    });
    assert_eq!(core.drop_counters().total(), 0);
    assert!(ports(case).any(|port| core.packets_forwarded(port) > 0));
}

/// Only sends requests, to the peers in turn, each over before the next.
#[inline]
pub fn request(case: &Case) {
    let link = Link::of_echo(case);
    let (mut core, _) = core(case);
    let message = case.body();
    let mut peers = (0..case.peers).cycle();
    let mut ask = |endpoint_id| {
        let target = Target::Endpoint(NETWORK, endpoint_id);
        let opened = core.open_request(&target, case.message_type(), MsgIC(false));
        let (channel, mut request) = opened.expect("a free channel");
        send(&mut core, &mut request, &message, |_, transfer| {
            link.sent(transfer.as_bytes().len());
        });
        core.close(channel);
    };
    measure_rounds(case, link, || {
        let endpoint_id = peer(peers.next().expect("there are peers"));
        counted(|| ask(endpoint_id));
    });
}
