//! Requests that come to this computer.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use clap::Args;
use linux_requester::address::Source;
use linux_requester::listener::Listener;

use super::values::{HexBytes, hex, hex_byte, hex_bytes};

/// Between two looks whether there is a request: as long as the kernel takes it.
const WAIT: Duration = Duration::from_secs(3600);
/// Bytes of a request that are printed at most.
const SHOWN: usize = 32;

#[derive(Args)]
pub(super) struct ListenArguments {
    /// Hexadecimal, such as 01 for PLDM
    #[arg(value_parser = hex_byte)]
    message_type: u8,
    /// Only the requests of this endpoint; those of others are for other programs
    #[arg(long)]
    peer: Option<u8>,
    /// Answer each request with what it is
    #[arg(long)]
    echo: bool,
    /// Answer each request with these bytes, hexadecimal
    #[arg(long, value_parser = hex_bytes, conflicts_with = "echo")]
    answer: Option<HexBytes>,
    /// End after so many requests; without it never
    #[arg(long)]
    count: Option<u64>,
}

pub(super) fn listen(arguments: &ListenArguments) -> Result<()> {
    let ListenArguments {
        message_type, peer, ..
    } = *arguments;
    let from = peer.map_or("everybody".to_owned(), |peer| format!("EID {peer}"));
    let listener = match peer {
        None => Listener::bind(message_type),
        Some(peer) => Listener::bind_to_peer(peer, message_type),
    };
    let mut listener = listener
        .map_err(said)
        .with_context(|| format!("cannot listen to requests of type {message_type:02x}h"))?;
    println!("listening to requests of type {message_type:02x}h from {from}");
    let mut received = 0;
    while arguments.count.is_none_or(|count| received < count) {
        let Some((source, body)) = listener.receive(Instant::now() + WAIT)? else {
            continue;
        };
        received += 1;
        println!("{}", description(&source, body));
        let answer = match &arguments.answer {
            Some(answer) => Some(answer.0.clone()),
            None => arguments.echo.then(|| body.to_vec()),
        };
        if let Some(answer) = answer
            && let Err(error) = listener.answer(&source, &answer)
        {
            // The next one may be answered.
            println!("cannot answer: {error}");
        }
    }
    Ok(())
}

/// What an error of the kernel means here.
fn said(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::msg("another program takes them"),
        _ => error.into(),
    }
}

fn description(source: &Source, body: &[u8]) -> String {
    let (shown, more) = match body.get(..SHOWN) {
        Some(start) if body.len() > SHOWN => (start, "..."),
        _ => (body, ""),
    };
    format!(
        "request of type {:02x}h from EID {}, tag {}: {} bytes [{}{more}]",
        source.message_type,
        source.endpoint_id,
        source.tag & 7,
        body.len(),
        hex(shown)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_request_is_described_by_its_length_and_its_beginning() {
        let source = Source {
            endpoint_id: 9,
            message_type: 0x84,
            network: 1,
            tag: 0x0b,
        };
        assert_eq!(
            description(&source, &[0x28, 0]),
            "request of type 84h from EID 9, tag 3: 2 bytes [28 00]"
        );
        assert_eq!(description(&source, &[0; 32]).matches("...").count(), 0);
        let long = description(&source, &[0; 33]);
        assert!(
            long.contains("33 bytes [00 00") && long.ends_with(" 00...]"),
            "{long}"
        );
    }
}
