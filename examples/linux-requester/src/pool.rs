//! Pools of endpoint IDs for bridges: how many a bridge gets, and Allocate Endpoint IDs (DSP0236
//! 1.3.3, section 12.11).
//!
//! A bridge says how many endpoint IDs it needs in its answer to Set Endpoint ID. The bus owner
//! gives it those right after its own, as mctpd does: as many as are free, and no more than the bus
//! owner's limit. The answer to Allocate Endpoint IDs has to name exactly the pool of the request;
//! otherwise the bridge is without a pool.

use std::fmt;
use std::ops::RangeInclusive;

use mctp_router::wire::{
    AllocateEndpointIdsRequest, AllocateEndpointIdsResponse, AllocationOperation, AllocationStatus,
    CompletionCode, PoolStatus, Request, SetEndpointIdResponse,
};
use zerocopy::IntoBytes;

use crate::address::Destination;
use crate::control::{ControlClient, ControlError, InvalidAnswer};
use crate::exchange::Exchange;

/// The most endpoint IDs that mctpd gives a bridge, unless it is configured otherwise.
pub const DEFAULT_LARGEST: u8 = 15;
/// The largest endpoint ID that can be given to an endpoint.
const LAST_ASSIGNABLE: u8 = 254;

/// Consecutive endpoint IDs, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The first endpoint ID.
    pub first: u8,
    /// The last one.
    pub last: u8,
}

impl Pool {
    /// How many there are.
    pub fn size(&self) -> u8 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// All of them in order.
    pub fn ids(&self) -> RangeInclusive<u8> {
        self.first..=self.last
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

/// How many endpoint IDs an endpoint asks for in its answer to Set Endpoint ID: 0 if it needs no
/// pool. A bridge that has a pool already is asked again, as mctpd does.
pub fn asked_for(answer: &SetEndpointIdResponse) -> u8 {
    match answer.status.pool() {
        PoolStatus::NeedsPool | PoolStatus::HasPool => answer.pool_size,
        PoolStatus::NoPool | PoolStatus::Reserved => 0,
    }
}

/// The pool of a bridge that asks for `asked` endpoint IDs: those after its own, at most `largest`,
/// up to the next one for which `is_taken` holds. `None` if that is not even one.
pub fn reserve(bridge: u8, asked: u8, largest: u8, is_taken: impl Fn(u8) -> bool) -> Option<Pool> {
    let first = bridge.checked_add(1)?;
    let wanted = usize::from(asked.min(largest));
    let last = (first..=LAST_ASSIGNABLE)
        .take(wanted)
        .take_while(|id| !is_taken(*id))
        .last()?;
    Some(Pool { first, last })
}

/// Why a bridge has not the pool that it was to get.
#[derive(Debug, thiserror::Error)]
pub enum PoolRefusal {
    /// The bridge refused or did not answer.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The bridge keeps a pool that another bus owner has given it.
    #[error("Allocate Endpoint IDs {asked} was rejected: the bridge keeps {size} from {first}")]
    Rejected {
        /// What was to be given.
        asked: Pool,
        /// How many the bridge has.
        size: u8,
        /// The first one.
        first: u8,
    },
    /// The answer is about other endpoint IDs than the request.
    #[error("Allocate Endpoint IDs {asked} was answered with {size} from {first}")]
    Other {
        /// What was to be given.
        asked: Pool,
        /// How many the bridge says that it has.
        size: u8,
        /// The first one.
        first: u8,
    },
}

/// Allocate Endpoint IDs, operation "allocate", for the whole `pool`.
pub fn allocate(
    client: &mut ControlClient<'_, impl Exchange>,
    bridge: u8,
    pool: Pool,
) -> Result<(), PoolRefusal> {
    let request = AllocateEndpointIdsRequest {
        operation: AllocationOperation::ALLOCATE,
        count: pool.size(),
        first: pool.first,
    };
    let answer = ask(client, Destination::EndpointId(bridge), request)?;
    let AllocateEndpointIdsResponse {
        status,
        pool_size: size,
        first,
    } = answer;
    if status.without_reserved() != AllocationStatus::ACCEPTED {
        return Err(PoolRefusal::Rejected {
            asked: pool,
            size,
            first,
        });
    }
    if (size, first) != (request.count, request.first) {
        return Err(PoolRefusal::Other {
            asked: pool,
            size,
            first,
        });
    }
    Ok(())
}

fn ask(
    client: &mut ControlClient<'_, impl Exchange>,
    bridge: Destination,
    request: AllocateEndpointIdsRequest,
) -> Result<AllocateEndpointIdsResponse, ControlError> {
    let command = AllocateEndpointIdsRequest::COMMAND;
    let response = client.request(bridge, command, request.as_bytes())?;
    match response.completion_code {
        CompletionCode::SUCCESS => AllocateEndpointIdsRequest::parse_response(&response.data)
            .copied()
            .map_err(|reason| ControlError::BadAnswer {
                command,
                reason: InvalidAnswer::Data(reason),
            }),
        code => Err(ControlError::Refused { command, code }),
    }
}

#[cfg(test)]
mod tests {
    use mctp_router::wire::SetEndpointIdStatus;

    use super::*;

    fn asking(pool: PoolStatus) -> u8 {
        asked_for(&SetEndpointIdResponse {
            status: SetEndpointIdStatus::accepted(pool),
            endpoint_id: 9,
            pool_size: 4,
        })
    }

    #[test]
    fn a_bridge_asks_for_a_pool_if_it_needs_one_or_has_one() {
        assert_eq!(asking(PoolStatus::NeedsPool), 4);
        assert_eq!(asking(PoolStatus::HasPool), 4);
    }

    #[test]
    fn pool_size_without_a_pool_status_is_ignored() {
        assert_eq!(asking(PoolStatus::NoPool), 0);
        assert_eq!(asking(PoolStatus::Reserved), 0);
    }

    fn reserved(bridge: u8, asked: u8, taken: u8) -> Option<Pool> {
        reserve(bridge, asked, DEFAULT_LARGEST, |id| id == taken)
    }

    #[test]
    fn pool_begins_after_the_bridge_and_has_at_most_what_is_given() {
        let pool = |first, last| Some(Pool { first, last });
        assert_eq!(reserved(9, 4, 8), pool(10, 13));
        assert_eq!(reserved(9, 1, 8), pool(10, 10));
        assert_eq!(reserved(9, 20, 8), pool(10, 24));
        assert_eq!(reserved(9, 0, 8), None);
        assert_eq!(reserve(9, 4, 0, |_| false), None);
    }

    #[test]
    fn pool_ends_before_what_is_taken_and_before_the_broadcast_endpoint_id() {
        let pool = |first, last| Some(Pool { first, last });
        assert_eq!(reserved(9, 4, 12), pool(10, 11));
        assert_eq!(reserved(9, 4, 10), None);
        assert_eq!(reserved(252, 4, 8), pool(253, 254));
        assert_eq!(reserved(254, 4, 8), None);
        assert_eq!(reserved(255, 4, 8), None);
    }

    #[test]
    fn size_counts_both_ends() {
        let pool = Pool {
            first: 10,
            last: 13,
        };
        assert_eq!((pool.size(), pool.ids().count()), (4, 4));
        assert_eq!(pool.to_string(), "10 to 13");
    }
}
