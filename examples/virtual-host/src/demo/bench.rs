//! The benchmark service of the Linux MCTP tools: streams from the device, and control requests
//! meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mctp_bench::{Request, Statistics};
use mctp_transport::Packet;
use tokio::sync::Notify;

use super::control::{DEVICE, Step, milliseconds};
use super::exchange::Exchanger;
use super::screen::Screen;
use crate::requester::Throughput;
use crate::transport::Direction;

/// Less than a packet of 251 bytes, almost four of them, sixteen of them, and almost the longest
/// there is.
const LENGTHS: [u16; 4] = [100, 987, 3951, 65_000];

/// How many times the device is asked for its endpoint ID in a stream.
const QUESTIONS: u64 = 16;

pub(super) async fn show(
    exchanger: &Exchanger<'_, '_, '_>,
    stream_length: usize,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    screen.heading("Benchmark: the device sends as fast as it can, and answers meanwhile")?;
    for (length, instance_id) in LENGTHS.into_iter().zip(1..) {
        let count = stream_length.div_ceil(length.into());
        let label = format!("{count} messages of {length} bytes");
        let request = Request {
            instance_id,
            length,
            count: count as u64,
        };
        let result = stream(exchanger, &request, &label, screen).await;
        let is_shortest_or_longest = [LENGTHS[0], LENGTHS[3]].contains(&length);
        screen.check_or_highlight(is_shortest_or_longest, &label, result)?;
    }
    screen.check("messages of 8 bytes", refused(exchanger).await)?;
    Ok(())
}

async fn stream(
    exchanger: &Exchanger<'_, '_, '_>,
    request: &Request,
    label: &str,
    screen: &mut Screen<'_>,
) -> Result<String, String> {
    exchanger.log.take();
    let all = request.count as usize;
    let next_question = Notify::new();
    let progress = |so_far: &Statistics| {
        if so_far
            .messages
            .is_multiple_of(request.count.div_ceil(QUESTIONS))
        {
            next_question.notify_one();
        }
        let pace = Throughput(so_far);
        // A screen that cannot be written is found out by the check that follows.
        let _ = screen.progress_at(label, so_far.messages as usize, all, pace);
    };
    let over = Cell::new(false);
    let received = async {
        let received = exchanger.requester.stream(DEVICE, request, progress).await;
        over.set(true);
        next_question.notify_one();
        received
    };
    let answers = ask_until(&over, &next_question, exchanger);
    let (received, answers) = tokio::join!(received, answers);
    let (received, answers) = (received?, answers?);
    if (received.dropped, received.invalid) != (0, 0) {
        return Err(format!(
            "{} lost, {} damaged",
            received.dropped, received.invalid
        ));
    }
    check_tags(exchanger)?;
    Ok(format!(
        "{}; {} answers within {}",
        Throughput(&received),
        answers.count,
        milliseconds(answers.slowest)
    ))
}

/// What became of the control requests.
#[derive(Default)]
struct Answers {
    count: u32,
    slowest: Duration,
}

/// Asks for the endpoint ID again and again, at least once.
async fn ask_until(
    over: &Cell<bool>,
    next_question: &Notify,
    exchanger: &Exchanger<'_, '_, '_>,
) -> Result<Answers, String> {
    let mut answers = Answers::default();
    let (request, expected) = Step::endpoint_id("", DEVICE, "").messages(0);
    loop {
        let start = Instant::now();
        let answer = exchanger.requester.request(DEVICE, &request).await;
        match answer {
            Ok(answer) if answer == expected.as_bytes() => {}
            Ok(_) => return Err("another endpoint ID meanwhile".into()),
            Err(error) => return Err(format!("no endpoint ID meanwhile: {error}")),
        }
        answers.count += 1;
        answers.slowest = answers.slowest.max(start.elapsed());
        if over.get() {
            return Ok(answers);
        }
        next_question.notified().await;
    }
}

/// Neighbouring messages must have different tags: then a lost packet costs Linux one of them, not
/// two.
fn check_tags(exchanger: &Exchanger<'_, '_, '_>) -> Result<(), String> {
    let mut last = None;
    for (direction, bytes) in exchanger.log.take() {
        let packet = Packet::parse(&bytes).map_err(|error| error.to_string())?;
        let header = packet.header;
        if direction == Direction::FromDevice && header.start && header.tag_owner {
            if last == Some(header.tag) {
                return Err("two messages in a row have the same tag".into());
            }
            last = Some(header.tag);
        }
    }
    Ok(())
}

async fn refused(exchanger: &Exchanger<'_, '_, '_>) -> Result<String, String> {
    let request = Request {
        instance_id: 0,
        length: 8,
        count: 1,
    };
    match exchanger.requester.stream(DEVICE, &request, |_| {}).await {
        Err(error) if error.ends_with("status 03h") => {
            Ok("refused: shorter than their head".into())
        }
        Err(error) => Err(error),
        Ok(_) => Err("sent, but they cannot be".into()),
    }
}
