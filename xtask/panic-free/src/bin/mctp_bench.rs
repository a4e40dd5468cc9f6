//! `mctp-bench`: reading messages, making a stream's messages, counting what comes.
#![no_std]
#![no_main]

use core::hint::black_box;

use mctp_bench::{Instant, Message, Receiver, Request, Response, Status, Stream};
use panic_free::{any_bytes, any_number, any_state};

panic_free::entry!(run);

fn run() {
    let mut receiver = Receiver::new();
    let receiver = any_state(&mut receiver);
    match Message::parse(any_bytes()) {
        Some(Message::Data(data)) => {
            receiver.receive(Instant::from_millis(any_number() as u64), &data)
        }
        Some(other) => {
            black_box(other);
        }
        None => receiver.count_invalid(),
    }
    black_box(receiver.statistics().bytes_per_second());
    send();
}

fn send() {
    let request = black_box(Request {
        instance_id: 0,
        length: 0,
        count: 0,
    });
    black_box(request.encode());
    let mut stream = Stream::new(&request);
    if let Some(message) = any_state(&mut stream).next() {
        black_box(&message.slices()[..]);
    }
    let response = black_box(Response {
        instance_id: 0,
        status: Status(0),
    });
    black_box(response.encode());
}
