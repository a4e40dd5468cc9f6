//! Its sans-IO core by hand.

use mctp::Tag;
use mctp_estack::fragment::{Fragmenter, SendOutput};
use mctp_estack::{MctpMessage, ReceiveHandle, Stack};

use super::{check_room, mtu};
use crate::case::Case;
use crate::executor::measure_rounds;
use crate::leak;
use crate::link::{DEVICE, Link};
use crate::meter::counted;

#[inline]
fn stack(case: &Case) -> &'static mut Stack {
    check_room(case);
    leak(Stack::new(DEVICE, mtu(case), 0))
}

/// Takes all packets of the group. Calls `serve` for each complete message.
#[inline(always)]
fn receive(
    stack: &mut Stack,
    link: &Link,
    mut serve: impl FnMut(&mut Stack, usize, ReceiveHandle),
) {
    while let Some((port, packet)) = link.next_packet() {
        if let Ok(Some((_, handle))) = stack.receive(packet) {
            serve(stack, port, handle);
        }
    }
}

#[inline]
fn response_to(stack: &mut Stack, handle: &ReceiveHandle) -> Fragmenter {
    let MctpMessage {
        source,
        typ,
        ic,
        tag,
        ..
    } = stack.fetch_message(handle);
    let tag = Some(Tag::Unowned(tag.tag()));
    let sent = stack.start_send(source, typ, tag, true, ic, None, None);
    sent.expect("a response")
}

/// The echo service.
#[inline]
pub fn echo_in_place(case: &Case) {
    let link = Link::of_echo(case);
    let stack = stack(case);
    let mut buffer = vec![0; mtu(case)];
    let mut serve = || {
        receive(stack, link, |stack, port, handle| {
            let mut fragmenter = response_to(stack, &handle);
            let message = stack.fetch_message(&handle).payload;
            while let SendOutput::Packet(packet) = fragmenter.fragment(message, &mut buffer) {
                link.send(port, [&*packet]);
            }
            stack.finished_receive(handle);
        });
    };
    measure_rounds(case, link, || {
        link.begin();
        counted(&mut serve);
    });
}

/// Only takes messages.
#[inline]
pub fn assemble(case: &Case) {
    let link = Link::of_echo(case);
    let stack = stack(case);
    let mut serve = || {
        receive(stack, link, |stack, _, handle| {
            link.end_message();
            stack.finished_receive(handle);
        });
    };
    measure_rounds(case, link, || {
        link.begin();
        counted(&mut serve);
    });
}

/// Only sends responses, again and again to the same message.
#[inline]
pub fn packetise(case: &Case) {
    let link = Link::of_echo(case);
    let stack = stack(case);
    let mut buffer = vec![0; mtu(case)];
    let mut received = None;
    link.begin();
    receive(stack, link, |_, _, handle| received = Some(handle));
    let handle = received.expect("a message");
    let mut respond = || {
        let mut fragmenter = response_to(stack, &handle);
        let message = stack.fetch_message(&handle).payload;
        while let SendOutput::Packet(packet) = fragmenter.fragment(message, &mut buffer) {
            link.sent(packet.len());
        }
    };
    measure_rounds(case, link, || counted(&mut respond));
    stack.finished_receive(handle);
}
