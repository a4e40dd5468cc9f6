//! A bridge behind a bridge, below a bus owner that does what mctpd does (DSP0236 1.3.3, sections
//! 8.18 and 9.1): the bus owner, bridge A on a link like USB, bridge B on A's bus like I2C, and
//! endpoints behind both.

mod support;

use support::bridges::{Bridges, message_to};

const LONG: u64 = 30_000;
const A: usize = 0;
const B: usize = 1;
const BEHIND_A: usize = 2;
const BEHIND_B: [usize; 2] = [3, 4];

fn series() -> Bridges {
    let mut world = Bridges::new(1);
    let (first, second) = (world.bus(), world.bus());
    assert_eq!(world.add(8, &[0, first]), A);
    assert_eq!(world.add(3, &[first, second]), B);
    assert_eq!(world.add(0, &[first]), BEHIND_A);
    for number in BEHIND_B {
        assert_eq!(world.add(0, &[second]), number);
    }
    world
}

fn assigned() -> Bridges {
    let mut world = series();
    assert_eq!(world.set_up_as_mctpd(0, 9), (9, Some((10, 8))));
    world.run(LONG);
    world
}

#[track_caller]
fn assert_reachable(world: &mut Bridges, pool: std::ops::RangeInclusive<u8>) {
    let mut ids: Vec<u8> = (1..world.nodes.len())
        .map(|node| world.endpoint_id(node))
        .collect();
    assert!(
        ids.iter().all(|id| pool.contains(id)),
        "{ids:?} of {pool:?}"
    );
    for (number, id) in ids.iter().enumerate() {
        assert!(
            world.echoes(*id, &message_to(*id, number, 300)),
            "endpoint {id}"
        );
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() + 1, world.nodes.len(), "no two have one");
}

#[test]
fn ranges_cascade_and_everybody_answers_the_top() {
    let mut world = assigned();
    assert_reachable(&mut world, 10..=17);
}

#[test]
fn another_pool_and_the_same_by_force_rebuild_everything() {
    let mut world = assigned();
    world.set_up_as_mctpd(0, 40);
    world.run(LONG);
    assert_reachable(&mut world, 41..=48);
    world.set_up_as_mctpd(1, 40);
    world.run(LONG);
    assert_reachable(&mut world, 41..=48);
}

#[test]
fn a_bridge_that_was_restarted_in_the_middle_is_reached_through_again() {
    for remembers in [true, false] {
        let mut world = assigned();
        world.restart(B, remembers);
        world.run(LONG);
        assert_reachable(&mut world, 10..=17);
        world.restart(A, false);
        world.run(1_000);
        world.set_up_as_mctpd(0, 9);
        world.run(LONG);
        assert_reachable(&mut world, 10..=17);
    }
}
