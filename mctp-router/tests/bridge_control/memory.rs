//! What a bridge keeps over a restart.

use std::sync::{Arc, Mutex};

use mctp_router::{
    BridgeConfig, BridgeMemory, BridgeMemoryInRam, BusOwner, SavedAssignment, SavedNeighbour,
};
use mctp_transport::Eid;

use crate::device::{BRIDGE, Device, FIRST, I2C, PORTS, SERIAL, UPSTREAM, eid};
use crate::neighbour::Neighbour;
use crate::support::{HOST, NETWORK, POINT_TO_POINT};

/// A memory that outlives the bridge, and counts what is saved.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<(BridgeMemoryInRam<8>, usize)>>);

impl Memory {
    fn saves(&self) -> usize {
        self.0.lock().unwrap().1
    }

    /// A bridge that uses this memory.
    fn start(&self, config: &BridgeConfig<'static>) -> Device {
        let mut device = Device::new(config);
        let memory = Box::leak(Box::new(self.clone()));
        assert!(device.core.set_bridge_memory(memory));
        device
    }
}

impl BridgeMemory for Memory {
    fn assignment(&mut self) -> Option<SavedAssignment> {
        self.0.lock().unwrap().0.assignment()
    }

    fn save_assignment(&mut self, assignment: &SavedAssignment) {
        let mut memory = self.0.lock().unwrap();
        memory.0.save_assignment(assignment);
        memory.1 += 1;
    }

    fn neighbour(&mut self, place: usize) -> Option<SavedNeighbour> {
        self.0.lock().unwrap().0.neighbour(place)
    }

    fn save_neighbour(&mut self, place: usize, neighbour: Option<&SavedNeighbour>) {
        let mut memory = self.0.lock().unwrap();
        memory.0.save_neighbour(place, neighbour);
        memory.1 += 1;
    }
}

#[test]
fn a_restarted_bridge_has_its_endpoint_id_pool_and_bus_owner() {
    let memory = Memory::default();
    let mut device = memory.start(&BRIDGE);
    assert_eq!(device.ask(&[1, 0, 9]), [0, 1, 9, 4]);
    assert_eq!(device.ask(&[8, 0, 3, 10]), [0, 0, 3, 10]);
    let mut restarted = memory.start(&BRIDGE);
    assert_eq!(restarted.ask(&[2]), [0, 9, 0x10, 0]);
    assert_eq!(restarted.ask(&[8, 2, 0, 0]), [0, 0, 3, 10]);
    assert_eq!(restarted.way_to(HOST), Some((UPSTREAM, POINT_TO_POINT)));
    let bus_owner = BusOwner {
        endpoint_id: Eid(HOST),
        port: UPSTREAM,
        address: POINT_TO_POINT,
    };
    assert_eq!(restarted.core.bus_owner(NETWORK), Some(bus_owner));
    assert_eq!(restarted.ask(&[1, 0, 9]), [0, 2, 9, 4]);
}

#[test]
fn the_bus_that_forced_its_way_is_obeyed_after_a_restart_too() {
    let memory = Memory::default();
    let mut device = memory.start(&BRIDGE);
    let below = (I2C, FIRST);
    assert_eq!(device.ask_from(below, 0x30, &[1, 1, 40]), [0, 1, 40, 4]);
    let mut restarted = memory.start(&BRIDGE);
    assert_eq!(restarted.ask(&[1, 0, 9]), [0, 0x11, 40, 4]);
    assert_eq!(restarted.ask_from(below, 0x30, &[1, 0, 41]), [0, 1, 41, 4]);
}

#[test]
fn only_what_changed_is_saved() {
    let memory = Memory::default();
    let mut device = memory.start(&BRIDGE);
    device.ask(&[1, 0, 9]);
    device.ask(&[8, 0, 3, 10]);
    let saves = memory.saves();
    for request in [&[1, 0, 9][..], &[8, 0, 3, 10], &[2], &[0x0A, 0]] {
        device.ask(request);
    }
    assert_eq!(memory.saves(), saves);
    device.ask(&[8, 0, 2, 10]);
    assert_eq!(memory.saves(), saves + 1);
}

#[test]
fn the_neighbours_of_a_restarted_bridge_keep_their_endpoint_ids() {
    let memory = Memory::default();
    let mut device = memory.start(&BRIDGE);
    device.ask(&[1, 0, 9]);
    device.ask(&[8, 0, 4, 10]);
    assert!(device.core.expect_endpoint(I2C, FIRST));
    let mut neighbours = [
        Neighbour::new(SERIAL, POINT_TO_POINT, 0xB1).bridge(2),
        Neighbour::new(I2C, FIRST, 0xA1),
    ];
    device.run(10_000, &mut neighbours);
    let before = neighbours.clone().map(|one| (one.endpoint_id, one.pool));
    assert!(before.iter().all(|(endpoint_id, _)| *endpoint_id != 0));
    let saves = memory.saves();
    device.run(10_000, &mut neighbours);
    assert_eq!(memory.saves(), saves, "nothing changed");
    // The neighbours were reset as well, and come back in another order.
    let mut restarted = memory.start(&BRIDGE);
    assert!(restarted.core.expect_endpoint(I2C, FIRST));
    for one in &mut neighbours {
        (one.endpoint_id, one.pool) = (0, (0, 0));
    }
    neighbours[1].is_present = false;
    restarted.run(10_000, &mut neighbours);
    neighbours[1].is_present = true;
    restarted.run(10_000, &mut neighbours);
    let after = neighbours.clone().map(|one| (one.endpoint_id, one.pool));
    assert_eq!(after, before);
    let way = restarted.way_to(before[1].0);
    assert_eq!(way, Some((I2C, FIRST)));
    // Without the memory, the one that was first would have been given the other endpoint ID.
    assert!(before[1].0 < before[0].0);
}

#[test]
fn what_does_not_fit_the_settings_is_not_restored() {
    let memory = Memory::default();
    let mut device = memory.start(&BRIDGE);
    device.ask(&[1, 0, 9]);
    device.ask(&[8, 0, 4, 10]);
    let mut smaller = memory.start(&BridgeConfig::bridge(UPSTREAM, 3, &PORTS));
    assert_eq!(smaller.ask(&[8, 2, 0, 0]), [0, 0, 0, 0]);
    assert_eq!(smaller.ask(&[2]), [0, 9, 0x10, 0]);
    let mut topmost = memory.start(&BridgeConfig::bus_owner(eid(20), eid(29), &PORTS));
    assert_eq!(topmost.own(), 0);
    assert_eq!(
        topmost.ask_from((UPSTREAM, POINT_TO_POINT), 0x30, &[2]),
        [0, 0, 0x10, 0]
    );
}

#[test]
fn a_device_that_is_no_bridge_has_no_such_memory() {
    let memory = Box::leak(Box::new(Memory::default()));
    assert!(!Device::simple().core.set_bridge_memory(memory));
}
