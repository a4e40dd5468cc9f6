//! Routes, found by endpoint ID without a search.

use mctp::Eid;

use crate::config::Route;

/// For each endpoint ID the place of its route, counted from 1; 0 where it has none.
pub(crate) type RouteTable = [u8; 256];

/// All routes, in the order in which they were added. None is ever removed.
pub(crate) struct Routes<'b> {
    places: &'b mut [Option<Route>],
    table: &'b mut RouteTable,
}

impl<'b> Routes<'b> {
    /// No routes yet.
    pub(crate) fn new(places: &'b mut [Option<Route>], table: &'b mut RouteTable) -> Self {
        Self { places, table }
    }

    /// The route to an endpoint. Where several cover it, the one that was added first.
    #[inline]
    pub(crate) fn to(&self, endpoint_id: Eid) -> Option<&Route> {
        let number = *self.table.get(usize::from(endpoint_id.0))?;
        let index = usize::from(number).checked_sub(1)?;
        self.places.get(index)?.as_ref()
    }

    /// Adds a route, or replaces the one of the same range. `false` when there is no room for it.
    pub(crate) fn add(&mut self, route: Route) -> bool {
        let same = |place: &Option<Route>| {
            place.is_none_or(|old| (old.first, old.last) == (route.first, route.last))
        };
        // Behind those that are used all are free.
        for (place, number) in self.places.iter_mut().zip(1..=u8::MAX) {
            if same(place) {
                *place = Some(route);
                let range = usize::from(route.first.0)..=usize::from(route.last.0);
                let uncovered = self.table.get_mut(range).into_iter().flatten();
                uncovered
                    .filter(|other| **other == 0)
                    .for_each(|place| *place = number);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortId;
    use mctp_transport::PhysicalAddress;

    fn route(first: u8, last: u8, port: u8) -> Route {
        Route {
            first: Eid(first),
            last: Eid(last),
            port: PortId(port),
            address: PhysicalAddress::POINT_TO_POINT,
            unit: 64,
        }
    }

    /// What a search through the routes finds.
    fn searched(routes: &Routes<'_>, endpoint_id: u8) -> Option<Route> {
        let covers = |route: &Route| (route.first.0..=route.last.0).contains(&endpoint_id);
        routes.places.iter().flatten().copied().find(covers)
    }

    #[test]
    fn the_table_says_what_a_search_through_all_routes_would() {
        let (mut places, mut table) = ([None; 255], [0; 256]);
        let mut routes = Routes::new(&mut places, &mut table);
        let mut number = 1_u32;
        for port in 0..=255 {
            // Ranges that overlap in every way, some of them twice, some of them empty.
            number = number.wrapping_mul(0x9E37_79B1).wrapping_add(12345);
            let [first, width, kind, _] = number.to_le_bytes();
            let last = match kind {
                0..200 => first.saturating_add(width % 16),
                200..230 => width,
                _ => first,
            };
            routes.add(route(first, last, port));
            for endpoint_id in 0..=255 {
                let found = routes.to(Eid(endpoint_id)).copied();
                assert_eq!(found, searched(&routes, endpoint_id));
            }
        }
    }

    #[test]
    fn on_overlap_the_route_that_was_added_first_holds() {
        let (mut places, mut table) = ([None; 3], [0; 256]);
        let mut routes = Routes::new(&mut places, &mut table);
        assert!(routes.add(route(20, 29, 1)) && routes.add(route(10, 25, 2)));
        let port = |routes: &Routes<'_>, id| routes.to(Eid(id)).map(|route| route.port.0);
        assert_eq!(
            [19, 20, 29].map(|id| port(&routes, id)),
            [Some(2), Some(1), Some(1)]
        );
        assert_eq!([9, 30].map(|id| port(&routes, id)), [None, None]);
        assert!(routes.add(route(20, 29, 3)), "replaced in its place");
        assert_eq!(
            [19, 20, 29].map(|id| port(&routes, id)),
            [Some(2), Some(3), Some(3)]
        );
    }

    #[test]
    fn endpoints_0_and_255_can_have_routes_and_an_empty_range_covers_nothing() {
        let (mut places, mut table) = ([None; 3], [0; 256]);
        let mut routes = Routes::new(&mut places, &mut table);
        assert!(routes.add(route(9, 7, 1)) && routes.add(route(0, 255, 2)));
        assert!((0..=255).all(|id| routes.to(Eid(id)).is_some_and(|route| route.port.0 == 2)));
        assert!(routes.add(route(255, 0, 1)) && !routes.add(route(1, 1, 1)));
    }
}
