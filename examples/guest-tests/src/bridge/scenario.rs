//! The scenarios, over any socket and kernel.

use std::io;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use linux_requester::address::Destination;
use linux_requester::bus_owner::{self, Endpoint, Plan};
use linux_requester::control::{ControlClient, ControlError};
use linux_requester::exchange::Exchange;
use linux_requester::link::{self, LinkPlan};
use linux_requester::poll::{self, Polled};
use linux_requester::pool::Pool;
use linux_requester::transaction::{Kernel, Transaction};
use mctp_router::wire::Command;

use super::wire::{Alteration, Exchanged, Wire};
use crate::undo;

const SET_ENDPOINT_ID: u8 = Command::SET_ENDPOINT_ID.0;
const GET_ENDPOINT_ID: u8 = Command::GET_ENDPOINT_ID.0;
const GET_VERSION_SUPPORT: u8 = Command::GET_VERSION_SUPPORT.0;
const GET_MESSAGE_TYPE_SUPPORT: u8 = Command::GET_MESSAGE_TYPE_SUPPORT.0;
const ALLOCATE: u8 = Command::ALLOCATE_ENDPOINT_IDS.0;
/// What a bridge with too many buses says that it needs, and what mctpd gives at most.
const TOO_MANY: u8 = 20;
const MOST: u8 = 15;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// The requests of mctpd with their bytes and instance IDs, and who is behind the bridge
    Sequence,
    /// The bridge gets one endpoint ID, fewer than it has asked for, and accepts that
    Fewer,
    /// It asks for 20: Allocate Endpoint IDs is for 15
    Larger,
    /// It asks for no pool: none is given
    NoPool,
    /// It says that it has a pool already: it is given that again
    HasPool,
    /// It rejects the pool
    Rejected,
    /// It answers Allocate Endpoint IDs with an error
    Refused,
    /// It says that its pool has another size
    OtherSize,
    /// It says that its pool begins elsewhere
    OtherFirst,
    /// It does not answer Allocate Endpoint IDs
    Unanswered,
    /// An endpoint behind it does not answer a poll, and answers the next one
    PollSilent,
    /// An endpoint behind it answers a poll with another endpoint ID
    PollOther,
    /// An endpoint behind it answers a poll but not the request after it, and the next poll
    PollFailed,
    /// It is taken into service twice, with the same endpoint IDs
    Repeated,
    /// It has lost its endpoint ID, and gets all of its endpoint IDs again
    StateLoss,
}

/// Where the bridge is, and what is behind it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) interface: String,
    pub(super) link: LinkPlan,
    pub(super) plan: Plan,
    pub(super) bridge: u8,
    pub(super) present: Vec<u8>,
}

/// Plays one scenario, and says what was checked.
pub(super) fn play<K: Kernel>(
    scenario: Scenario,
    place: &Place,
    kernel: &mut K,
    socket: &mut impl Exchange,
) -> Result<String> {
    let mut undone = Vec::new();
    let mut report = |line: &str| undone.push(line.to_owned());
    let mut transaction = Transaction::begin(kernel, &place.interface, &mut report);
    link::configure(&mut transaction, &place.link)?;
    let mut stage = Stage {
        place,
        transaction: &mut transaction,
        socket,
    };
    let said = stage.act(scenario);
    let said = undo::then(said, transaction.undo_since(0).map_err(Into::into))?;
    let name = scenario.to_possible_value();
    let name = name.as_ref().map_or("", |name| name.get_name());
    Ok(format!("{name}: {said}"))
}

struct Stage<'s, 'k, K: Kernel, E> {
    place: &'s Place,
    transaction: &'s mut Transaction<'k, K>,
    socket: &'s mut E,
}

/// What came of one setup and one poll.
struct Played {
    endpoint: Endpoint,
    polled: Vec<(u8, Polled)>,
    exchanged: Vec<Exchanged>,
}

impl<K: Kernel, E: Exchange> Stage<'_, '_, K, E> {
    fn act(&mut self, scenario: Scenario) -> Result<String> {
        match scenario {
            Scenario::Sequence => self.sequence(),
            Scenario::Fewer => self.fewer(),
            Scenario::Larger => self.larger(),
            Scenario::NoPool => self.no_pool(),
            Scenario::HasPool => self.has_pool(),
            Scenario::Rejected => self.without_pool(|mut answer| {
                *answer.get_mut(3)? = 1;
                Some(answer)
            }),
            Scenario::Refused => self.without_pool(|mut answer| {
                answer.truncate(2);
                answer.push(2);
                Some(answer)
            }),
            Scenario::OtherSize => self.without_pool(|mut answer| {
                *answer.get_mut(4)? ^= 1;
                Some(answer)
            }),
            Scenario::OtherFirst => self.without_pool(|mut answer| {
                *answer.get_mut(5)? ^= 1;
                Some(answer)
            }),
            Scenario::Unanswered => self.without_pool(|_| None),
            Scenario::PollSilent => self.poll_silent(),
            Scenario::PollOther => self.poll_other(),
            Scenario::PollFailed => self.poll_failed(),
            Scenario::Repeated => self.repeated(),
            Scenario::StateLoss => self.state_loss(),
        }
    }

    /// Takes the bridge into service, and polls its pool if it has one.
    fn run(&mut self, alteration: Option<Alteration>, largest_pool: u8) -> Result<Played> {
        let plan = Plan {
            largest_pool,
            ..self.place.plan
        };
        let mut wire = Wire::new(self.socket, alteration);
        let mut client = ControlClient::new(&mut wire);
        let endpoint = bus_owner::set_up(&mut client, self.transaction, plan)?;
        let polled = match endpoint.pool {
            None => Vec::new(),
            Some(pool) => poll::poll(&mut client, pool, &mut |_| {})?,
        };
        ensure!(
            endpoint.endpoint_id == self.place.bridge,
            "the bridge has EID {} instead of {}",
            endpoint.endpoint_id,
            self.place.bridge
        );
        Ok(Played {
            endpoint,
            polled,
            exchanged: wire.exchanged,
        })
    }

    /// The same, with what is behind the bridge checked.
    fn run_well(&mut self, alteration: Option<Alteration>) -> Result<(Played, Pool)> {
        let played = self.run(alteration, MOST)?;
        let pool = played.endpoint.pool.context("the bridge has no pool")?;
        self.check_present(&played.polled)?;
        Ok((played, pool))
    }

    fn check_present(&self, polled: &[(u8, Polled)]) -> Result<()> {
        for (id, polled) in polled {
            match (polled, self.place.present.contains(id)) {
                (Polled::Present(_), true) | (Polled::Silent, false) => {}
                (other, _) => bail!("EID {id} behind the bridge: {other:?}"),
            }
        }
        let is_polled = |id: &&u8| polled.iter().all(|(polled, _)| polled != *id);
        match self.place.present.iter().find(is_polled) {
            None => Ok(()),
            Some(id) => bail!("EID {id} is not of the bridge's pool"),
        }
    }

    fn behind(&self, pool: Pool) -> String {
        let bridge = self.place.bridge;
        let present = &self.place.present;
        format!("EID {bridge} has {pool} behind it, of which {present:?} are present")
    }

    fn sequence(&mut self) -> Result<String> {
        let (played, pool) = self.run_well(None)?;
        let sent = requests(&played.exchanged);
        let expected = self.expected(&played, pool);
        ensure!(
            sent == expected,
            "sent {sent:02x?} instead of {expected:02x?}"
        );
        Ok(format!("{} requests, {}", sent.len(), self.behind(pool)))
    }

    /// The requests of mctpd, and the two after the allocation that it does not send.
    fn expected(&self, played: &Played, pool: Pool) -> Vec<(Destination, Vec<u8>)> {
        let bridge = Destination::EndpointId(self.place.bridge);
        let physical = Destination::Physical {
            interface_index: self.place.plan.interface_index,
            hardware_address: self.place.plan.hardware_address,
        };
        let properties = |vendor_messages: usize| {
            let selectors = (0..vendor_messages).map(|selector| vec![6, selector as u8]);
            let mut all = vec![vec![GET_MESSAGE_TYPE_SUPPORT]];
            all.extend(selectors);
            all.push(vec![3]);
            all
        };
        let mut expected = vec![
            (physical, vec![GET_ENDPOINT_ID]),
            (physical, vec![SET_ENDPOINT_ID, 0, self.place.bridge]),
        ];
        let messages = played.endpoint.properties.vendor_messages.len();
        expected.extend(properties(messages).into_iter().map(|body| (bridge, body)));
        expected.push((bridge, vec![ALLOCATE, 0, pool.size(), pool.first]));
        expected.push((bridge, vec![GET_VERSION_SUPPORT, 0xff]));
        expected.push((bridge, vec![GET_ENDPOINT_ID]));
        for (id, polled) in &played.polled {
            let endpoint = Destination::EndpointId(*id);
            expected.push((endpoint, vec![GET_ENDPOINT_ID]));
            if let Polled::Present(found) = polled {
                let bodies = properties(found.vendor_messages.len());
                expected.extend(bodies.into_iter().map(|body| (endpoint, body)));
            }
        }
        let with_header = |(number, (to, body)): (usize, (Destination, Vec<u8>))| {
            let header = 0x80 | (number % 32) as u8;
            (to, [vec![header], body].concat())
        };
        expected.into_iter().enumerate().map(with_header).collect()
    }

    fn fewer(&mut self) -> Result<String> {
        let played = self.run(None, 1)?;
        let asked = answer_to(&played.exchanged, SET_ENDPOINT_ID, 5)?;
        ensure!(asked > 1, "the bridge asks for {asked} endpoint IDs");
        let pool = played.endpoint.pool.context("the bridge has no pool")?;
        ensure!(pool.size() == 1, "the bridge has EIDs {pool}");
        Ok(format!(
            "the bridge asks for {asked} endpoint IDs and takes 1"
        ))
    }

    fn larger(&mut self) -> Result<String> {
        let asks_for_too_many = set_endpoint_id(|mut answer| {
            *answer.get_mut(5)? = TOO_MANY;
            Some(answer)
        });
        let played = self.run(Some(asks_for_too_many), MOST)?;
        let expected = [0, MOST, self.place.bridge + 1];
        let allocations = allocations(&played.exchanged);
        ensure!(
            allocations.first().is_some_and(|data| *data == expected),
            "Allocate Endpoint IDs was {allocations:?}"
        );
        Ok(format!("{TOO_MANY} endpoint IDs asked for, {MOST} given"))
    }

    fn no_pool(&mut self) -> Result<String> {
        let asks_for_none = set_endpoint_id(|mut answer| {
            *answer.get_mut(3)? &= !0x03;
            Some(answer)
        });
        let played = self.run(Some(asks_for_none), MOST)?;
        let allocations = allocations(&played.exchanged);
        ensure!(allocations.is_empty(), "a pool was given: {allocations:?}");
        Ok("no pool asked for, and none given".to_owned())
    }

    fn has_pool(&mut self) -> Result<String> {
        let has_one = set_endpoint_id(|mut answer| {
            let status = answer.get_mut(3)?;
            *status = *status & !0x03 | 0x02;
            Some(answer)
        });
        let (_, pool) = self.run_well(Some(has_one))?;
        Ok(format!("given again; {}", self.behind(pool)))
    }

    /// Whatever the bridge answers to Allocate Endpoint IDs instead, it is in service, and its pool
    /// has no route.
    fn without_pool(&mut self, alter: fn(Vec<u8>) -> Option<Vec<u8>>) -> Result<String> {
        let alteration = Alteration {
            command: ALLOCATE,
            endpoint_id: None,
            alter,
        };
        let played = self.run(Some(alteration), MOST)?;
        let sent = allocations(&played.exchanged).len();
        ensure!(sent > 0, "no pool was given");
        ensure!(played.endpoint.pool.is_none(), "the bridge has its pool");
        let bridge = self.place.bridge;
        let first = bridge + 1;
        let mut client = ControlClient::new(self.socket);
        match client.endpoint_id(Destination::EndpointId(first)) {
            Err(ControlError::Socket { source, .. })
                if source.kind() == io::ErrorKind::HostUnreachable => {}
            Err(error) => return Err(error).context("there is a route to the pool"),
            Ok(_) => bail!("EID {first} answers though it has no route"),
        }
        Ok(format!(
            "given {sent} times, then EID {bridge} is in service without a pool and \
            EID {first} has no route"
        ))
    }

    fn first_present(&self) -> Result<u8> {
        let first = self.place.present.first();
        first
            .copied()
            .context("no endpoint was named with --present")
    }

    /// One poll with altered answers of an endpoint, whose result is returned with the commands
    /// that it was sent; the poll after it has to find everybody.
    fn disturbed_poll(
        &mut self,
        id: u8,
        command: u8,
        alter: fn(Vec<u8>) -> Option<Vec<u8>>,
    ) -> Result<(Polled, Vec<u8>)> {
        let alteration = Alteration {
            command,
            endpoint_id: Some(id),
            alter,
        };
        let played = self.run(Some(alteration), MOST)?;
        let pool = played.endpoint.pool.context("the bridge has no pool")?;
        let mut polled = played.polled.into_iter();
        let found = polled.find(|(polled, _)| *polled == id);
        let (_, found) = found.context("the endpoint is not of the pool")?;
        let to = |exchanged: &&Exchanged| exchanged.destination == Destination::EndpointId(id);
        let commands = played.exchanged.iter().filter(to);
        let commands = commands.filter_map(|exchanged| exchanged.request.get(1).copied());
        let commands = commands.collect();

        let mut client = ControlClient::new(self.socket);
        let next = poll::poll(&mut client, pool, &mut |_| {})?;
        self.check_present(&next)?;
        Ok((found, commands))
    }

    fn poll_silent(&mut self) -> Result<String> {
        let id = self.first_present()?;
        let (found, commands) = self.disturbed_poll(id, GET_ENDPOINT_ID, |_| None)?;
        ensure!(matches!(found, Polled::Silent), "EID {id}: {found:?}");
        ensure!(commands == [GET_ENDPOINT_ID], "sent {commands:02x?}");
        Ok(format!(
            "EID {id} is asked once, and found by the next poll"
        ))
    }

    fn poll_other(&mut self) -> Result<String> {
        let id = self.first_present()?;
        let (found, commands) = self.disturbed_poll(id, GET_ENDPOINT_ID, |mut answer| {
            *answer.get_mut(3)? ^= 1;
            Some(answer)
        })?;
        ensure!(
            matches!(found, Polled::Other(other) if other == id ^ 1),
            "EID {id}: {found:?}"
        );
        ensure!(commands == [GET_ENDPOINT_ID], "sent {commands:02x?}");
        Ok(format!(
            "EID {id} says that it is {}, and is asked no more",
            id ^ 1
        ))
    }

    fn poll_failed(&mut self) -> Result<String> {
        let id = self.first_present()?;
        let refuse = |mut answer: Vec<u8>| {
            answer.truncate(2);
            answer.push(1);
            Some(answer)
        };
        let (found, commands) = self.disturbed_poll(id, GET_MESSAGE_TYPE_SUPPORT, refuse)?;
        ensure!(matches!(found, Polled::Failed(_)), "EID {id}: {found:?}");
        let expected = [GET_ENDPOINT_ID, GET_MESSAGE_TYPE_SUPPORT];
        ensure!(commands == expected, "sent {commands:02x?}");
        Ok(format!(
            "EID {id} tells no message types, and is found by the next poll"
        ))
    }

    fn repeated(&mut self) -> Result<String> {
        let (first, pool) = self.run_well(None)?;
        let (second, again) = self.run_well(None)?;
        ensure!(
            pool == again,
            "EIDs {again} instead of {pool} the second time"
        );
        let [once, twice] = [&first, &second].map(|played| requests(&played.exchanged));
        ensure!(once == twice, "sent {twice:02x?} the second time");
        Ok(format!("twice the same; {}", self.behind(pool)))
    }

    fn state_loss(&mut self) -> Result<String> {
        let (played, pool) = self.run_well(None)?;
        let before = answer_to(&played.exchanged, GET_ENDPOINT_ID, 3)?;
        ensure!(before == 0, "the bridge had EID {before} still");
        Ok(format!("the bridge had no EID; {}", self.behind(pool)))
    }
}

fn set_endpoint_id(alter: fn(Vec<u8>) -> Option<Vec<u8>>) -> Alteration {
    Alteration {
        command: SET_ENDPOINT_ID,
        endpoint_id: None,
        alter,
    }
}

fn requests(exchanged: &[Exchanged]) -> Vec<(Destination, Vec<u8>)> {
    let request = |one: &Exchanged| (one.destination, one.request.clone());
    exchanged.iter().map(request).collect()
}

/// The data of each Allocate Endpoint IDs.
fn allocations(exchanged: &[Exchanged]) -> Vec<&[u8]> {
    let request = |one: &'_ Exchanged| one.request.get(1) == Some(&ALLOCATE);
    let sent = exchanged.iter().filter(|one| request(one));
    sent.filter_map(|one| one.request.get(2..)).collect()
}

/// A byte of the first answer to a command.
fn answer_to(exchanged: &[Exchanged], command: u8, offset: usize) -> Result<u8> {
    let mut found = exchanged.iter();
    let found = found.find(|one| one.request.get(1) == Some(&command) && one.answer.is_some());
    let answer = found.and_then(|one| one.answer.as_ref());
    let byte = answer.and_then(|answer| answer.get(offset));
    byte.copied().context("there was no such answer")
}
