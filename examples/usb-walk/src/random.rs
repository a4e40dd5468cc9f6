//! Requests that no host would make, in an order that none would choose.

use std::collections::VecDeque;

use anyhow::{Context, Result};

use crate::host::{Host, Until, setup};
use crate::walk::{Function, Walk};

/// Requests from one enumeration to the next.
const BATCH: u32 = 500;
/// How many requests before a failure are told.
const TOLD: usize = 10;

/// Makes `count` requests in batches. After each batch the device enumerates again, and its
/// function is tried out.
///
/// # Errors
///
/// When a request does not end, or the device does not work after a batch.
pub fn random<H: Host>(
    host: &mut H,
    seed: u64,
    count: u32,
    function: impl Function<H>,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut walk = Walk::begin(host, function)?;
    let mut made = 0;
    while made < count {
        let mut steps = VecDeque::new();
        let told = |steps: &VecDeque<Step>, made| {
            format!("seed {seed}, after {made} requests, the last of them {steps:02x?}")
        };
        for _ in 0..BATCH.min(count - made) {
            let step = step(&mut random);
            if steps.len() == TOLD {
                steps.pop_front();
            }
            steps.push_back(step);
            take(walk.host(), &mut random, step).with_context(|| told(&steps, made))?;
            made += 1;
        }
        walk.check_function().with_context(|| told(&steps, made))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Reset,
    Abandon([u8; 8], Until),
    Control([u8; 8]),
}

fn step(random: &mut fastrand::Rng) -> Step {
    match random.u8(..) {
        0 => Step::Reset,
        1..=40 => {
            let until = [Until::Setup, Until::FirstPacket, Until::Status];
            Step::Abandon(request(random), until[random.usize(..3)])
        }
        _ => Step::Control(request(random)),
    }
}

fn take<H: Host>(host: &mut H, random: &mut fastrand::Rng, step: Step) -> Result<()> {
    let mut data = |request: [u8; 8]| -> Vec<u8> {
        let length = u16::from_le_bytes([request[6], request[7]]);
        let promised = if request[0] & 0x80 == 0 { length } else { 0 };
        (0..promised).map(|_| random.u8(..)).collect()
    };
    match step {
        Step::Reset => host.reset(),
        Step::Abandon(request, until) => host.abandon(request, &data(request), until),
        Step::Control(request) => host.control(request, &data(request)).map(drop),
    }
}

fn request(random: &mut fastrand::Rng) -> [u8; 8] {
    if random.u8(..8) == 0 {
        let [request_type, .., low, high]: [u8; 8] = std::array::from_fn(|_| random.u8(..));
        let (value, index) = (random.u16(..), random.u16(..));
        let length = u16::from_le_bytes([low, high]);
        let length = bounded(request_type, length);
        return setup(request_type, random.u8(..), value, index, length);
    }
    let recipients = [0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x21, 0xA1, 0x40, 0xC0];
    let values = [
        0, 0, 0, 1, 1, 2, 3, 0x0100, 0x0200, 0x0300, 0x0301, 0x0302, 0x0303, 0x0600, 0x0700, 0x0F00,
    ];
    let indices = [
        0, 0, 0, 1, 2, 3, 0x0F, 0x80, 0x81, 0x82, 0x83, 0x8F, 0x0409, 0x0100,
    ];
    let lengths = [0, 0, 0, 1, 2, 8, 9, 18, 63, 64, 65, 128, 129, 255, 0xFFFF];
    let any = |random: &mut fastrand::Rng, usual: &[u16]| match random.u8(..16) {
        0 => random.u16(..),
        _ => usual[random.usize(..usual.len())],
    };
    let request_type = recipients[random.usize(..recipients.len())];
    let length = bounded(request_type, any(random, &lengths));
    setup(
        request_type,
        random.u8(..13),
        any(random, &values),
        any(random, &indices),
        length,
    )
}

/// More OUT data than a device has room for, and not more than it takes to see that: the longest
/// takes a slow link, such as a UART, seconds.
fn bounded(request_type: u8, length: u16) -> u16 {
    if request_type & 0x80 == 0 {
        length.min(300)
    } else {
        length
    }
}
