//! `mctp-router`: every public function of the core, in every state that its private fields can
//! have, and what parses and emits the control protocol.
#![no_std]
#![no_main]

use core::hint::black_box;

use mctp::{Eid, MsgIC, MsgType};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::wire::{
    self, Command, GetEndpointIdRequest, GetEndpointUuidRequest, GetMessageTypeSupportRequest,
    GetMessageTypeSupportResponse, GetVendorSupportRequest, GetVersionSupportRequest,
    GetVersionSupportResponse, Header, SetEndpointIdRequest, Vendor, VendorSupport, Version,
};
use mctp_router::{
    ChannelId, Config, Instant, NetworkId, Outgoing, PortConfig, PortId, Route, RouteOrigin,
    RouterCore, RouterStorage, Service, Target,
};
use mctp_transport::{DropReason, PhysicalAddress, Received, TransferLayout};
use panic_free::{any_bytes, any_number, any_state};

panic_free::entry!(run);

fn run() {
    type Storage<'b> = RouterStorage<
        Ports<'b, 2>,
        Networks<2>,
        ShortMessages<'b, 4>,
        LongMessages<'b, 2, 4224>,
        Channels<'b, 4>,
        Routes<2, 2>,
    >;
    let mut storage = Storage::new();
    let (mut first, mut second) = (PortBuffers::<512>::new(), PortBuffers::<512>::new());
    let mut router = RouterCore::new(any_state(&mut storage), &Config::new([0; 16]));
    let _ = any_state(&mut router).add_port(any_network(), any_state(&mut first));
    let _ = any_state(&mut router).add_port(any_network(), any_state(&mut second));
    set_up(&mut router);
    let channel = any_state(&mut router).open_listener(Service::vendor_pci(0, &[]));
    if let Ok(channel) = channel {
        receive(&mut router);
        respond(&mut router, channel);
        request(&mut router, channel);
        transmit(&mut router);
        observe(&mut router, channel);
        any_state(&mut router).close(black_box(channel));
    }
    parse_control();
    emit_control();
}

fn any_port() -> PortId {
    PortId(any_number() as u8)
}

fn any_address() -> PhysicalAddress {
    black_box(PhysicalAddress::POINT_TO_POINT)
}

fn any_network() -> NetworkId {
    NetworkId(any_number() as u8)
}

fn any_endpoint_id() -> Eid {
    Eid(any_number() as u8)
}

fn any_time() -> Instant {
    Instant::from_millis(any_number() as u64)
}

fn set_up(router: &mut RouterCore<'_>) {
    let config = PortConfig::new(any_number()).with_max_receive_transmission_unit(any_number());
    any_state(router).configure_port(any_port(), config);
    let [max_packet, max_transfer] = [(); 2].map(|()| any_number() as u16);
    let layout = TransferLayout::new(any_number() as u8, max_packet, max_transfer)
        .with_tailroom(any_number() as u8)
        .with_transfers_at_once(any_number() as u8)
        .with_packs(true);
    any_state(router).set_layout(any_port(), black_box(layout));
    let (first, last) = (any_endpoint_id(), any_endpoint_id());
    let route = Route::new(first, last, any_port(), any_address())
        .with_transmission_unit(any_number())
        .with_origin(black_box(RouteOrigin::Dynamic));
    any_state(router).add_route(route);
    let (first, last) = (any_endpoint_id(), any_endpoint_id());
    any_state(router).remove_route(any_network(), first, last);
    any_state(router).set_can_wait(any_port(), black_box(true));
    any_state(router).set_endpoint_id(any_network(), any_endpoint_id());
    any_state(router).set_static_endpoint_id(any_network(), any_endpoint_id());
    any_state(router).link_up(any_port());
    any_state(router).link_down(any_port());
}

fn receive(router: &mut RouterCore<'_>) {
    let (port, address) = (any_port(), any_address());
    black_box(any_state(router).receive(any_time(), port, address, any_bytes()));
    let received = black_box(Received::Packet {
        source: any_address(),
        bytes: any_bytes(),
    });
    black_box(any_state(router).received(any_time(), port, received));
    any_state(router).expire(any_time());
}

fn respond(router: &mut RouterCore<'_>, channel: ChannelId) {
    let Some(mut message) = any_state(router).take_message(black_box(channel)) else {
        return;
    };
    let message = any_state(&mut message);
    black_box((
        message.origin().message_type(),
        message.origin().source(),
        message.origin().neighbour(),
    ));
    let mut response = message
        .origin()
        .response(message.origin().integrity_check());
    send(router, &mut response, message.bytes());
}

fn request(router: &mut RouterCore<'_>, channel: ChannelId) {
    let target = black_box(Target::Endpoint(any_network(), any_endpoint_id()));
    let message_type = MsgType(any_number() as u8);
    let opened = any_state(router).open_request(&target, message_type, MsgIC(false));
    if let Ok((_, mut request)) = opened {
        send(router, &mut request, any_bytes());
    }
    any_state(router).await_response(any_time(), black_box(channel), any_number() as u32);
    black_box(any_state(router).has_expired(black_box(channel)));
}

fn send(router: &mut RouterCore<'_>, outgoing: &mut Outgoing, body: &[u8]) {
    let slices = [any_bytes(), body];
    let slices = black_box(&slices[..]);
    for _ in 0..2 {
        let _ = black_box(any_state(router).send(any_time(), any_state(outgoing), slices));
    }
    any_state(router).abandon(outgoing);
}

fn transmit(router: &mut RouterCore<'_>) {
    let port = any_port();
    if let Some(outbound) = any_state(router).poll_transmit(port) {
        any_state(router).transmit_done(any_time(), any_port(), black_box(outbound), Ok(()));
    }
}

fn observe(router: &mut RouterCore<'_>, channel: ChannelId) {
    any_state(router).count_drop(black_box(DropReason::Truncated));
    black_box(any_state(router).poll_event());
    let router = any_state(router);
    black_box((
        router.take_wakes(),
        router.is_held_back(any_port()),
        router.next_deadline(),
        router.bus_owner(any_network()),
    ));
    black_box((
        router.endpoint_id(any_network()),
        router.messages_accepted(),
    ));
    black_box((router.drop_counters().total(), router.has_message(channel)));
}

fn parse_control() {
    parse::<SetEndpointIdRequest>();
    parse::<GetEndpointIdRequest>();
    parse::<GetEndpointUuidRequest>();
    parse::<GetVersionSupportRequest>();
    parse::<GetMessageTypeSupportRequest>();
    parse::<GetVendorSupportRequest>();
}

fn parse<R: wire::Request>() {
    let _ = black_box(R::parse(any_bytes()).is_ok());
    let _ = black_box(R::parse_response(any_bytes()).is_ok());
}

fn emit_control() {
    let request = Header::request(any_number() as u8, Command(any_number() as u8));
    let mut response = wire::Response::to(&request);
    let response = any_state(&mut response);
    response.put(any_bytes());
    let types = any_bytes().iter().copied();
    GetMessageTypeSupportResponse::emit(types, response);
    let versions = [Version::from_bytes([0; 4]); 14];
    GetVersionSupportResponse::emit(black_box(&versions[..]), response);
    let vendor = VendorSupport {
        next_selector: any_number() as u8,
        vendor: black_box(Vendor::Iana(0)),
        command_set: any_number() as u16,
    };
    vendor.emit(response);
    black_box(response.as_bytes());
}
