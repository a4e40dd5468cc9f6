//! Who is behind a bridge: what mctpd asks each endpoint ID of a pool.
//!
//! Get Endpoint ID, once, to each: whoever answers with this endpoint ID is asked for its message
//! types, vendor defined messages and UUID. No answer is no failure: an endpoint may be absent. An
//! answer with another endpoint ID is one of the bridge or of the endpoint; mctpd then asks that
//! endpoint ID no more.

use std::time::Duration;

use mctp_router::wire::GetEndpointIdResponse;

use crate::address::Destination;
use crate::bus_owner::{self, BusOwnerError, Properties};
use crate::control::{ControlClient, ControlError, InWords};
use crate::exchange::Exchange;
use crate::pool::Pool;

/// How long an answer to a poll is waited for.
pub const WAIT: Duration = Duration::from_millis(250);

/// What came of one endpoint ID.
#[derive(Debug)]
pub enum Polled {
    /// The endpoint is there.
    Present(Properties),
    /// Nobody answered.
    Silent,
    /// Who answered says that it has this endpoint ID instead.
    Other(u8),
    /// The answer was none of Get Endpoint ID, or the requests after it failed: mctpd polls again.
    Failed(BusOwnerError),
}

/// Asks each endpoint ID of `pool` in order; `report` gets one line for each answer or silence.
///
/// The error is that of a kernel that could not send to the pool, such as for want of a route.
pub fn poll(
    client: &mut ControlClient<'_, impl Exchange>,
    pool: Pool,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<(u8, Polled)>, BusOwnerError> {
    pool.ids()
        .map(|endpoint_id| Ok((endpoint_id, poll_one(client, endpoint_id, report)?)))
        .collect()
}

fn poll_one(
    client: &mut ControlClient<'_, impl Exchange>,
    endpoint_id: u8,
    report: &mut dyn FnMut(&str),
) -> Result<Polled, BusOwnerError> {
    let mut say = |text: &str| report(&format!("EID {endpoint_id}: {text}"));
    let answer = match once(client, endpoint_id) {
        Ok(answer) => answer,
        Err(error @ ControlError::Socket { .. }) => return Err(error.into()),
        Err(ControlError::NoAnswer { .. }) => {
            say("silent");
            return Ok(Polled::Silent);
        }
        Err(error) => {
            say(&error.to_string());
            return Ok(Polled::Failed(error.into()));
        }
    };
    if answer.endpoint_id != endpoint_id {
        say(&format!("says that it is {}", answer.endpoint_id));
        return Ok(Polled::Other(answer.endpoint_id));
    }
    say(&format!("Get Endpoint ID: {}", InWords(&answer)));
    match bus_owner::properties(client, endpoint_id, &mut say) {
        Ok(properties) => Ok(Polled::Present(properties)),
        Err(error) => {
            say(&error.to_string());
            Ok(Polled::Failed(error))
        }
    }
}

/// Get Endpoint ID in one try; the requests after it have the retries of the client.
fn once<E: Exchange>(
    client: &mut ControlClient<'_, E>,
    endpoint_id: u8,
) -> Result<GetEndpointIdResponse, ControlError> {
    let (wait, tries) = (client.wait, client.tries);
    (client.wait, client.tries) = (WAIT, 1);
    let answer = client.endpoint_id(Destination::EndpointId(endpoint_id));
    (client.wait, client.tries) = (wait, tries);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_bridge::FakeBridge;

    const POOL: Pool = Pool {
        first: 10,
        last: 13,
    };

    fn assigned() -> FakeBridge {
        FakeBridge {
            endpoint_id: 9,
            ..FakeBridge::default()
        }
    }

    fn run(bridge: &mut FakeBridge) -> (Vec<(u8, Polled)>, Vec<String>) {
        let mut lines = Vec::new();
        let mut client = ControlClient::new(bridge);
        let polled = poll(&mut client, POOL, &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((client.wait, client.tries), (WAIT, 4));
        (polled, lines)
    }

    #[test]
    fn who_answers_is_asked_more_and_who_is_silent_is_asked_once() {
        let mut bridge = assigned();
        let (polled, lines) = run(&mut bridge);
        let present = |(id, polled): &(u8, Polled)| match polled {
            Polled::Present(properties) => Some((*id, properties.uuid.0)),
            _ => None,
        };
        let present: Vec<_> = polled.iter().filter_map(present).collect();
        assert_eq!(present, [(10, [10; 16]), (12, [12; 16])]);
        let to = |id: u8, body: &[u8]| (Destination::EndpointId(id), body.to_vec());
        assert_eq!(
            bridge.requests,
            [
                to(10, &[0x80, 2]),
                to(10, &[0x81, 5]),
                to(10, &[0x82, 3]),
                to(11, &[0x83, 2]),
                to(12, &[0x84, 2]),
                to(12, &[0x85, 5]),
                to(12, &[0x86, 3]),
                to(13, &[0x87, 2]),
            ]
        );
        assert_eq!(
            lines,
            [
                "EID 10: Get Endpoint ID: EID 10, simple endpoint, dynamic EID",
                "EID 10: Get Message Type Support: 00h",
                "EID 10: Get Endpoint UUID: 0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a",
                "EID 11: silent",
                "EID 12: Get Endpoint ID: EID 12, simple endpoint, dynamic EID",
                "EID 12: Get Message Type Support: 00h",
                "EID 12: Get Endpoint UUID: 0c0c0c0c-0c0c-0c0c-0c0c-0c0c0c0c0c0c",
                "EID 13: silent"
            ]
        );
    }

    #[test]
    fn answer_with_another_endpoint_id_is_told_and_ends_the_questions() {
        let mut bridge = assigned();
        bridge.behind.insert(11, 9);
        let (polled, lines) = run(&mut bridge);
        assert!(matches!(polled[1], (11, Polled::Other(9))));
        assert_eq!(lines[3], "EID 11: says that it is 9");
        assert_eq!(bridge.commands(), [2, 5, 3, 2, 2, 5, 3, 2]);
    }

    #[test]
    fn endpoint_that_tells_no_message_types_does_not_end_the_poll_of_the_others() {
        let mut bridge = assigned();
        bridge.without_types = Some(10);
        let (polled, lines) = run(&mut bridge);
        assert!(matches!(polled[0], (10, Polled::Failed(_))));
        assert!(matches!(polled[2], (12, Polled::Present(_))));
        let refused = "EID 10: Get Message Type Support (05h) was refused: \
            ERROR_UNSUPPORTED_CMD (05h)";
        assert_eq!(lines[1], refused);
    }
}
