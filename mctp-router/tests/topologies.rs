//! Random trees of bridges with random traffic, loss, and restarts, in virtual time: what holds in
//! each of them, whatever happens, and what they come back to.

mod support;

use support::bridges::{Bridges, message_to};

/// A tree of up to five bridges, each with an endpoint on its bus.
fn tree(seed: u64) -> Bridges {
    let mut world = Bridges::new(seed);
    let mut buses = vec![world.bus()];
    world.add(40, &[0, buses[0]]);
    for depth in 0..world.numbers.below(5) as u8 {
        let upstream = buses[world.numbers.below(buses.len())];
        let downstream = world.bus();
        world.add(8 - depth, &[upstream, downstream]);
        buses.push(downstream);
    }
    for bus in buses {
        world.add(0, &[bus]);
    }
    world
}

#[test]
fn random_trees_deliver_what_was_sent_and_recover_from_loss_and_restarts() {
    let mut answered = 0;
    for seed in 1..=6 {
        let mut world = tree(seed);
        world.set_up_as_mctpd(0, 9);
        world.run(60_000);
        world.loss = 50;
        for number in 0..100 {
            let from = world.numbers.below(world.nodes.len());
            let to = world.numbers.below(world.nodes.len());
            let id = world.endpoint_id(to);
            if from != to && id != 0 {
                let len = 8 + world.numbers.below(600);
                world.request(from, id, &message_to(id, number, len));
            }
            if number % 40 == 39 && world.nodes.len() > 2 {
                let restarted = 1 + world.numbers.below(world.nodes.len() - 1);
                world.restart(restarted, true);
            }
            world.run(50);
        }
        answered += world.answered;
        world.loss = 0;
        world.run(60_000);
        for node in 0..world.nodes.len() {
            let id = world.endpoint_id(node);
            assert!((9..=49).contains(&id), "seed {seed}, node {node}: {id}");
            assert!(
                world.echoes(id, &message_to(id, node, 200)),
                "seed {seed}, node {node}"
            );
        }
    }
    assert!(answered > 50, "{answered}");
}
