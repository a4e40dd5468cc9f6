//! What only the core shows: what came of each packet, messages that its user sends part by part,
//! transfers and layouts in the hands of a transport, ports that do not exist.

mod support;

use mctp_router::{PortId, Receipt};
use mctp_transport::DropReason;
use support::{Device, POINT_TO_POINT, REQUEST, echo_message};

#[test]
fn packets_by_a_port_that_does_not_exist_are_dropped() {
    let (mut device, _) = Device::echo();
    let set_endpoint_id = [0, 0x80, 1, 0, 9];
    for payload in [&echo_message(9)[..], &set_endpoint_id] {
        let packet = REQUEST.to(0).packet(payload);
        let receipt = device.receive_at(PortId(9), POINT_TO_POINT, &packet);
        assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
    }
}
