//! Routes, found by endpoint ID without a search.

use mctp::Eid;

use crate::config::{NetworkId, Route};

/// For each endpoint ID of a network the place of its route, counted from 1; 0 where it has none.
pub(crate) type RouteIndex = [u8; 256];

/// All routes, each with its network, and an index for each network. Where several cover an endpoint
/// ID, the one of the fewest endpoint IDs holds, and of those as wide the first.
#[derive(Debug)]
pub(crate) struct RoutingTable<'b> {
    places: &'b mut [Option<(NetworkId, Route)>],
    indexes: &'b mut [RouteIndex],
}

impl<'b> RoutingTable<'b> {
    /// No routes yet.
    pub(crate) fn new(
        places: &'b mut [Option<(NetworkId, Route)>],
        indexes: &'b mut [RouteIndex],
    ) -> Self {
        Self { places, indexes }
    }

    /// The route to an endpoint.
    #[inline]
    pub(crate) fn to(&self, network: NetworkId, endpoint_id: Eid) -> Option<&Route> {
        let index = self.indexes.get(usize::from(network.0))?;
        let number = *index.get(usize::from(endpoint_id.0))?;
        let place = usize::from(number).checked_sub(1)?;
        self.places.get(place)?.as_ref().map(|(_, route)| route)
    }

    /// Adds a route, or replaces the one of the same range. `false` when there is no room for it,
    /// or none for routes of this network.
    pub(crate) fn add(&mut self, network: NetworkId, route: Route) -> bool {
        if usize::from(network.0) >= self.indexes.len() {
            return false;
        }
        let index = self
            .place_of(network, route.first, route.last)
            .or_else(|| self.places.iter().position(Option::is_none));
        let Some(place) = index.and_then(|index| self.places.get_mut(index)) else {
            return false;
        };
        *place = Some((network, route));
        self.find_anew(network);
        true
    }

    /// Removes the route of this range. `false` when there is none.
    pub(crate) fn remove(&mut self, network: NetworkId, first: Eid, last: Eid) -> bool {
        let index = self.place_of(network, first, last);
        let Some(place) = index.and_then(|index| self.places.get_mut(index)) else {
            return false;
        };
        *place = None;
        self.find_anew(network);
        true
    }

    /// All routes of a network.
    pub(crate) fn of(&self, network: NetworkId) -> impl Iterator<Item = &Route> {
        let places = self.places.iter().flatten();
        places.filter_map(move |(of, route)| (*of == network).then_some(route))
    }

    fn place_of(&self, network: NetworkId, first: Eid, last: Eid) -> Option<usize> {
        self.places.iter().position(|place| {
            place.is_some_and(|(of, route)| (of, route.first, route.last) == (network, first, last))
        })
    }

    /// Makes the index of a network anew.
    fn find_anew(&mut self, network: NetworkId) {
        let Some(index) = self.indexes.get_mut(usize::from(network.0)) else {
            return;
        };
        for (place, endpoint_id) in index.iter_mut().zip(0..=u8::MAX) {
            let numbered = self.places.iter().zip(1..=u8::MAX);
            let best = numbered
                .filter_map(|(place, number)| Some((place.as_ref()?, number)))
                .filter(|((of, route), _)| *of == network && route.covers(Eid(endpoint_id)))
                .min_by_key(|((_, route), _)| route.last.0.wrapping_sub(route.first.0));
            *place = best.map_or(0, |(_, number)| number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortId;
    use mctp_transport::PhysicalAddress;

    const NETWORK: NetworkId = NetworkId(0);

    fn route(first: u8, last: u8, port: u8) -> Route {
        let address = PhysicalAddress::POINT_TO_POINT;
        Route::new(Eid(first), Eid(last), PortId(port), address)
    }

    fn port_to(routes: &RoutingTable<'_>, network: u8, endpoint_id: u8) -> Option<u8> {
        let route = routes.to(NetworkId(network), Eid(endpoint_id));
        route.map(|route| route.port.0)
    }

    #[test]
    fn the_most_specific_of_all_routes_holds_whatever_came_and_went_before() {
        let (mut places, mut indexes) = ([None; 255], [[0; 256]; 2]);
        let mut routes = RoutingTable::new(&mut places, &mut indexes);
        let mut model: Vec<(u8, Route)> = Vec::new();
        let mut number = 1_u32;
        for step in 0..400_u32 {
            number = number.wrapping_mul(0x9E37_79B1).wrapping_add(12345);
            let [first, width, kind, network] = number.to_le_bytes();
            let network = network & 1;
            if kind < 80 && !model.is_empty() {
                let (network, gone) = model.remove(step as usize % model.len());
                assert!(routes.remove(NetworkId(network), gone.first, gone.last));
            } else {
                // Ranges that overlap in every way, some of them empty.
                let last = if kind < 200 {
                    first.saturating_add(width % 16)
                } else {
                    width
                };
                let new = route(first, last, kind);
                model.retain(|(of, old)| {
                    (*of, old.first, old.last) != (network, new.first, new.last)
                });
                model.push((network, new));
                assert!(routes.add(NetworkId(network), new));
            }
            for endpoint_id in 0..=255 {
                for network in 0..2 {
                    let covering = model.iter().filter(|(of, route)| {
                        *of == network && (route.first.0..=route.last.0).contains(&endpoint_id)
                    });
                    let narrowest = covering
                        .map(|(_, route)| route.last.0 - route.first.0)
                        .min();
                    let found = routes.to(NetworkId(network), Eid(endpoint_id));
                    assert_eq!(found.map(|route| route.last.0 - route.first.0), narrowest);
                    assert!(found.is_none_or(|route| model.contains(&(network, *route))));
                }
            }
        }
    }

    #[test]
    fn a_network_without_a_table_takes_no_route() {
        let (mut places, mut indexes) = ([None; 2], [[0; 256]; 1]);
        let mut routes = RoutingTable::new(&mut places, &mut indexes);
        assert!(!routes.add(NetworkId(1), route(8, 8, 0)));
        assert_eq!(routes.of(NetworkId(1)).count(), 0);
        assert!(routes.add(NetworkId(0), route(8, 8, 0)));
        assert_eq!(port_to(&routes, 0, 8), Some(0));
    }

    #[test]
    fn a_range_is_replaced_in_its_place_and_others_show_again_when_it_is_removed() {
        let (mut places, mut indexes) = ([None; 3], [[0; 256]; 1]);
        let mut routes = RoutingTable::new(&mut places, &mut indexes);
        assert!(routes.add(NETWORK, route(10, 29, 1)) && routes.add(NETWORK, route(20, 22, 2)));
        assert_eq!(
            [9, 10, 20, 23, 30].map(|id| port_to(&routes, 0, id)),
            [None, Some(1), Some(2), Some(1), None]
        );
        assert!(routes.add(NETWORK, route(20, 22, 3)));
        assert_eq!(routes.of(NETWORK).count(), 2);
        assert_eq!(port_to(&routes, 0, 21), Some(3));
        assert!(
            routes.remove(NETWORK, Eid(20), Eid(22)) && !routes.remove(NETWORK, Eid(20), Eid(22))
        );
        assert_eq!(port_to(&routes, 0, 21), Some(1));
    }

    #[test]
    fn networks_have_the_same_endpoint_ids_in_different_places() {
        let (mut places, mut indexes) = ([None; 3], [[0; 256]; 2]);
        let mut routes = RoutingTable::new(&mut places, &mut indexes);
        assert!(
            routes.add(NetworkId(0), route(8, 8, 1)) && routes.add(NetworkId(1), route(8, 8, 2))
        );
        assert_eq!(
            [0, 1].map(|network| port_to(&routes, network, 8)),
            [Some(1), Some(2)]
        );
        assert!(routes.remove(NetworkId(0), Eid(8), Eid(8)));
        assert_eq!(
            [0, 1, 2].map(|network| port_to(&routes, network, 8)),
            [None, Some(2), None]
        );
    }

    #[test]
    fn endpoints_0_and_255_can_have_routes_and_an_empty_range_covers_nothing() {
        let (mut places, mut indexes) = ([None; 3], [[0; 256]; 1]);
        let mut routes = RoutingTable::new(&mut places, &mut indexes);
        assert!(routes.add(NETWORK, route(9, 7, 1)) && routes.add(NETWORK, route(0, 255, 2)));
        assert!((0..=255).all(|id| port_to(&routes, 0, id) == Some(2)));
        assert!(routes.add(NETWORK, route(255, 0, 1)) && !routes.add(NETWORK, route(1, 1, 1)));
    }
}
