//! Asking who is behind a bridge.

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use linux_requester::control::ControlClient;
use linux_requester::poll::{self, Polled};
use linux_requester::pool::Pool;
use linux_requester::socket::MctpSocket;

#[derive(Args)]
pub(super) struct PollArguments {
    /// The endpoint IDs, such as 10-13
    #[arg(value_parser = parse_pool)]
    pool: Pool,
    /// An endpoint that has to answer
    #[arg(long, value_name = "N")]
    present: Vec<u8>,
}

fn parse_pool(text: &str) -> Result<Pool> {
    let (first, last) = text.split_once('-').context("a pool is written A-B")?;
    let (first, last) = (first.parse()?, last.parse()?);
    ensure!(
        8 <= first && first <= last && last <= 254,
        "a pool has endpoint IDs from 8 to 254, the smallest first"
    );
    Ok(Pool { first, last })
}

pub(super) fn poll(arguments: &PollArguments) -> Result<()> {
    let mut socket = MctpSocket::open()?;
    let mut client = ControlClient::new(&mut socket);
    let polled = poll::poll(&mut client, arguments.pool, &mut |line| println!("{line}"))?;
    judge(&polled, &arguments.present)
}

/// Silence is no failure, unless it is that of an endpoint that has to answer.
fn judge(polled: &[(u8, Polled)], required: &[u8]) -> Result<()> {
    for (endpoint_id, polled) in polled {
        match polled {
            Polled::Present(_) | Polled::Silent => {}
            Polled::Other(other) => bail!("EID {endpoint_id} says that it is {other}"),
            Polled::Failed(error) => bail!("EID {endpoint_id}: {error:#}"),
        }
    }
    let is_present = |wanted: u8| {
        let mut found = polled.iter();
        found.any(|(id, polled)| *id == wanted && matches!(polled, Polled::Present(_)))
    };
    let missing = required.iter().find(|id| !is_present(**id));
    match missing {
        None => Ok(()),
        Some(missing) => bail!("EID {missing} did not answer"),
    }
}

#[cfg(test)]
mod tests {
    use linux_requester::bus_owner::{BusOwnerError, Properties};
    use linux_requester::control::Uuid;

    use super::*;

    fn present() -> Polled {
        Polled::Present(Properties {
            message_types: vec![0],
            vendor_messages: Vec::new(),
            uuid: Uuid([1; 16]),
        })
    }

    #[test]
    fn pool_is_a_range_of_endpoint_ids_that_can_be_given() {
        let pool = Pool {
            first: 10,
            last: 13,
        };
        assert_eq!(parse_pool("10-13").unwrap(), pool);
        assert_eq!(parse_pool("10-10").unwrap().size(), 1);
        for wrong in ["10", "13-10", "7-9", "200-255", "a-b", ""] {
            assert!(parse_pool(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn silence_is_a_failure_only_of_who_has_to_answer() {
        let polled = [(10, present()), (11, Polled::Silent)];
        assert!(judge(&polled, &[]).is_ok());
        assert!(judge(&polled, &[10]).is_ok());
        for missing in [11, 12] {
            let error = judge(&polled, &[10, missing]).unwrap_err();
            assert_eq!(error.to_string(), format!("EID {missing} did not answer"));
        }
    }

    #[test]
    fn wrong_answer_is_a_failure() {
        let failed = Polled::Failed(BusOwnerError::Protocol("a reason".to_owned()));
        let text = |polled| judge(&[(10, polled)], &[]).unwrap_err().to_string();
        assert_eq!(text(Polled::Other(9)), "EID 10 says that it is 9");
        assert_eq!(text(failed), "EID 10: a reason");
    }
}
