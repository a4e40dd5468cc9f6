//! The RAM budget of a device with 2 ports, 2 controllers and 4 namespaces, and its endpoint.

use core::mem::size_of;

use nvme_mi_responder::{ManagementEndpoint, MessageBuffer, Subsystem};

#[test]
fn a_device_and_its_endpoint_with_a_buffer_take_at_most_8000_bytes() {
    let subsystem = size_of::<Subsystem<'static, 2, 2, 4>>();
    let endpoint = size_of::<ManagementEndpoint<'static>>();
    let buffer = size_of::<MessageBuffer>();
    let all = subsystem + endpoint + buffer;
    println!("subsystem {subsystem}, endpoint {endpoint}, buffer {buffer}: {all}");
    assert!(all <= 8000, "{all} bytes");
}
