//! A bridge for tests, with endpoints behind it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::address::Destination;
use crate::exchange::{Exchange, Request};

pub(crate) const UUID: [u8; 16] = [0x11; 16];

#[derive(Clone, Debug)]
pub(crate) struct FakeBridge {
    pub(crate) endpoint_id: u8,
    /// Its answer to Get Endpoint ID.
    pub(crate) endpoint_type: u8,
    /// Status and pool size of its answer to Set Endpoint ID.
    pub(crate) assignment: [u8; 2],
    /// It answers Set Endpoint ID with its own endpoint ID.
    pub(crate) insists: bool,
    /// Its answer to Allocate Endpoint IDs from the completion code on, if it is not the pool that
    /// it was given; nothing is no answer.
    pub(crate) allocation: Option<Vec<u8>>,
    /// The endpoint IDs behind it, and which the endpoints say that they have.
    pub(crate) behind: BTreeMap<u8, u8>,
    /// An answer without message types comes from this endpoint.
    pub(crate) without_types: Option<u8>,
    /// The number of the first request that is not answered.
    pub(crate) silent_from: Option<usize>,
    /// To whom each request was, and what it was.
    pub(crate) requests: Vec<(Destination, Vec<u8>)>,
}

/// Has no endpoint ID, needs a pool of four, and has endpoints 10 and 12 behind it.
impl Default for FakeBridge {
    fn default() -> Self {
        Self {
            endpoint_id: 0,
            endpoint_type: 0x10,
            assignment: [0x01, 4],
            insists: false,
            allocation: None,
            behind: BTreeMap::from([(10, 10), (12, 12)]),
            without_types: None,
            silent_from: None,
            requests: Vec::new(),
        }
    }
}

impl FakeBridge {
    /// Command codes, in order.
    pub(crate) fn commands(&self) -> Vec<u8> {
        self.requests.iter().map(|(_, body)| body[1]).collect()
    }

    /// The data of each Allocate Endpoint IDs.
    pub(crate) fn allocations(&self) -> Vec<&[u8]> {
        let bodies = self.requests.iter().map(|(_, body)| body);
        bodies
            .filter(|body| body[1] == 8)
            .map(|body| &body[2..])
            .collect()
    }

    /// From the completion code on.
    fn answer(&mut self, destination: Destination, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        if let Destination::EndpointId(id) = destination
            && id != self.endpoint_id
        {
            let says = *self.behind.get(&id)?;
            return Some(match command {
                2 => vec![0, says, 0, 0],
                5 if self.without_types == Some(id) => vec![5],
                5 => vec![0, 1, 0x00],
                3 => [&[0][..], &[id; 16]].concat(),
                _ => vec![5],
            });
        }
        Some(match command {
            1 => {
                let [status, size] = self.assignment;
                if !self.insists {
                    self.endpoint_id = data[1];
                }
                vec![0, status, self.endpoint_id, size]
            }
            2 => vec![0, self.endpoint_id, self.endpoint_type, 0],
            3 => [&[0][..], &UUID].concat(),
            4 => vec![0, 1, 0xf1, 0xf3, 0xf3, 0],
            5 => vec![0, 2, 0x00, 0x7e],
            6 => vec![0, 0xff, 0, 0xcc, 0xde, 0, 0xf0],
            8 => match &self.allocation {
                None => vec![0, 0, data[1], data[2]],
                Some(answer) if answer.is_empty() => return None,
                Some(answer) => answer.clone(),
            },
            _ => vec![5],
        })
    }
}

impl Exchange for FakeBridge {
    fn exchange(
        &mut self,
        request: Request<'_>,
        _wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let [header, command, data @ ..] = request.body else {
            panic!("short request")
        };
        let entry = (request.destination, request.body.to_vec());
        self.requests.push(entry);
        if self
            .silent_from
            .is_some_and(|first| self.requests.len() >= first)
        {
            return Ok(None);
        }
        let Some(answer) = self.answer(request.destination, *command, data) else {
            return Ok(None);
        };
        let body = [&[header & 0x1f, *command], &answer[..]].concat();
        Ok(accept(&body).then_some(body))
    }
}
