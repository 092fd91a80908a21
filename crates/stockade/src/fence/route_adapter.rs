//! Reads the peer and the matched route that a server has set.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use http::Extensions;
use stockade_core::{
    client::PeerAddr,
    context::MatchedRoute,
    guard::{Check, Guard, Head, NoWait},
};

use super::probes::{ProbePaths, is_probing};

/// Functions that read the peer and the matched route from the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerAdapter {
    pub(crate) peer: fn(&Extensions) -> Option<PeerAddr>,
    pub(crate) route: fn(&Extensions) -> Option<&str>,
}

impl ServerAdapter {
    /// Reads [`PeerAddr`] and the extensions of axum.
    #[cfg(feature = "axum")]
    pub(crate) const DEFAULT: Self = Self {
        peer: crate::axum::peer,
        route: crate::axum::route,
    };

    /// Reads [`PeerAddr`].
    #[cfg(not(feature = "axum"))]
    pub(crate) const DEFAULT: Self = Self {
        peer: |extensions| extensions.get().copied(),
        route: |_| None,
    };
}

/// The maximum number of cached routes. The routes of a router are fixed, so more routes than
/// this do not come from one.
const ROUTES: usize = 4_096;

/// Sets the matched route in the request context, and recognises probes.
#[derive(Debug)]
pub(super) struct RouteAdapter {
    route: fn(&Extensions) -> Option<&str>,
    probes: ProbePaths,
    /// Caches each route, and whether it is the path of a probe.
    known: ArcSwap<HashMap<Box<str>, (MatchedRoute, bool), RandomState>>,
}

impl RouteAdapter {
    pub(super) fn new(adapter: ServerAdapter, probes: ProbePaths) -> Self {
        Self {
            route: adapter.route,
            probes,
            known: ArcSwap::default(),
        }
    }

    fn name(&self, route: &str) -> (MatchedRoute, bool) {
        if let Some(known) = self.known.load().get(route) {
            return known.clone();
        }
        let new = (MatchedRoute::new(route), self.probes.contain(route));
        if self.known.load().len() < ROUTES {
            self.known.rcu(|known| {
                let mut known = HashMap::clone(known);
                known.insert(route.into(), new.clone());
                Arc::new(known)
            });
        }
        new
    }
}

impl Guard for RouteAdapter {
    const NAME: &'static str = "route_adapter";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), Self::Wait> {
        Check::Pass(())
    }

    fn admit(&self, (): (), head: &mut Head) {
        let is_probe = match (self.route)(&head.extensions).map(|route| self.name(route)) {
            Some((route, is_probe)) => {
                head.context().set_route(route);
                is_probe
            }
            None => self.probes.contain(head.uri.path()),
        };
        if is_probe && is_probing(&head.method) {
            head.set_probe();
        }
    }
}
