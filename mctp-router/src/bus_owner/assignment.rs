//! Who has which endpoint ID.

use mctp::Eid;
use mctp_time::Instant;

use super::neighbour::Step;
use super::{BusOwner, Range};

/// How long an endpoint has to be absent before its endpoint ID is given to another, in
/// milliseconds: at least 5 s (DSP0237, TRECLAIM). We know of no values of USB and serial.
const RECLAIM: u32 = 5_000;

impl BusOwner<'_> {
    /// Notes since when who is absent is so.
    pub(super) fn note_absence(&mut self, now: Instant) {
        for neighbour in self.neighbours.iter_mut().flatten() {
            match neighbour.is_present {
                true => neighbour.reclaim = None,
                false => {
                    neighbour.reclaim.get_or_insert(now.after(RECLAIM));
                }
            }
        }
    }

    /// Whether another place than this one has an endpoint ID, or the bus owner itself.
    pub(super) fn is_taken(&self, endpoint_id: Eid, index: usize) -> bool {
        let mut others = self.neighbours.iter().enumerate();
        endpoint_id == self.own
            || others.any(|(other, neighbour)| {
                let neighbour = neighbour.as_ref().filter(|_| other != index);
                neighbour.is_some_and(|neighbour| neighbour.has(endpoint_id))
            })
    }

    /// The endpoint ID of the pool that a place is given.
    pub(super) fn endpoint_id_for(&self, now: Instant, index: usize) -> Option<Eid> {
        let pool = self.pool?;
        let neighbour = self.neighbours.get(index)?.as_ref()?;
        let own = neighbour.endpoint_id;
        if pool.contains(own) && !self.is_taken(own, index) {
            return Some(own);
        }
        let is_free =
            |endpoint_id: &Eid| !self.is_taken(*endpoint_id, index) && !neighbour.has(*endpoint_id);
        pool.iter().find(is_free).or_else(|| {
            let others = self.neighbours.iter().flatten();
            // Who is being assigned one may have taken it already.
            let mut absent = others.filter(|other| {
                !other.is_present
                    && other.reclaim.is_some_and(|reclaim| reclaim <= now)
                    && other.step == Step::Probe
                    && other.place() != neighbour.place()
            });
            let of_pool = absent.find(|other| pool.contains(other.endpoint_id));
            of_pool.map(|other| other.endpoint_id)
        })
    }

    /// Has an absent neighbour give up its endpoint ID for another place.
    pub(super) fn take_away(&mut self, endpoint_id: Eid, index: usize) {
        for (other, neighbour) in self.neighbours.iter_mut().enumerate() {
            if let Some(neighbour) = neighbour
                && other != index
                && neighbour.endpoint_id == endpoint_id
            {
                let due = neighbour.due;
                neighbour.forget();
                neighbour.due = due;
            }
        }
    }

    /// A range of the pool for the endpoints behind a bridge: the one that it had, if it still has
    /// the right size; else behind its endpoint ID; else where most are free.
    pub(super) fn range_for(&self, index: usize) -> Option<Range> {
        let pool = self.pool?;
        let neighbour = self.neighbours.get(index)?.as_ref()?;
        let is_free = |endpoint_id: Eid| {
            endpoint_id != neighbour.endpoint_id && !self.is_taken(endpoint_id, index)
        };
        let others = self.neighbours.iter().flatten();
        let without = others
            .filter(|other| other.endpoint_id().is_none() && other.place() != neighbour.place());
        let free = pool
            .iter()
            .filter(|endpoint_id| is_free(*endpoint_id))
            .count();
        let left = free
            .saturating_sub(without.count())
            .min(neighbour.wants.into());
        let wanted = u8::try_from(left).ok().filter(|wanted| *wanted > 0)?;
        let run_from = |first: Eid| {
            let run = pool.iter().skip_while(move |id| *id != first);
            let run = run.take(wanted.into()).take_while(|id| is_free(*id));
            Range::of_size(first, u8::try_from(run.count()).ok()?)
        };
        let had = neighbour.range.filter(|range| range.size() == wanted);
        let behind = Eid(neighbour.endpoint_id.0.wrapping_add(1));
        let preferred = [had.map(Range::first), Some(behind)].into_iter().flatten();
        let mut preferred = preferred.filter_map(run_from);
        let whole = preferred.find(|range| range.size() == wanted);
        whole.or_else(|| {
            let runs = pool.iter().filter_map(run_from);
            // Of those as long, the first.
            runs.reduce(|best, run| if run.size() > best.size() { run } else { best })
        })
    }
}
