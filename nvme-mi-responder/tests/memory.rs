//! The RAM budget: all of a responder with 2 ports, 2 controllers and 4 namespaces, both message
//! buffers among it, in 12 KiB.

use core::mem::size_of;

use nvme_mi_responder::world::{HealthReport, MemoryEffects, MemoryReset, NotSupported, Parts};
use nvme_mi_responder::{MessageBuffers, Responder, Subsystem};

type World = Parts<HealthReport, NotSupported, NotSupported, MemoryReset, MemoryEffects>;

#[test]
fn a_responder_takes_at_most_12_kib() {
    let subsystem = size_of::<Subsystem<'static, 2, 2, 4>>();
    let responder = size_of::<Responder<'static, World>>();
    let buffers = size_of::<MessageBuffers>();
    let all = subsystem + responder + buffers;
    println!("subsystem {subsystem}, responder {responder}, buffers {buffers}: {all}");
    assert!(all <= 12 * 1024, "{all} bytes");
}
