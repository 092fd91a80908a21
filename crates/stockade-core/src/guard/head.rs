//! The head of a request, as guards see it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use http::request::Parts;

use crate::{
    client::ClientIp,
    context::{MatchedRoute, RequestContext},
    identity::Principal,
    llm::ModelRequest,
};

/// The head of a request, and what the guards before have found out of it.
///
/// It is the [`Parts`] of the request, and it remembers where the request's
/// [`RequestContext`] is, which guard after guard would look for among the extensions.
pub struct Head {
    parts: Parts,
    context: Option<RequestContext>,
    probe: bool,
}

impl Head {
    /// The head with these parts.
    #[inline]
    pub fn new(parts: Parts) -> Self {
        Self {
            context: RequestContext::of(&parts.extensions).cloned(),
            probe: false,
            parts,
        }
    }

    /// Its parts.
    #[inline]
    pub fn into_parts(self) -> Parts {
        self.parts
    }

    /// The request's context, where there is a [`ContextGuard`](crate::context::ContextGuard).
    #[inline]
    pub fn context(&self) -> Option<&RequestContext> {
        self.context.as_ref()
    }

    /// Gives the request this context, in place of any other.
    pub fn set_context(&mut self, context: RequestContext) {
        self.parts.extensions.insert(context.clone());
        self.context = Some(context);
    }

    /// Whether it is a probe: a health check that guards in
    /// [`GuardStack::except_probes`](crate::guard::GuardStack::except_probes) do not see.
    #[inline]
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Makes it a probe, for the guards of this layer.
    pub fn set_probe(&mut self) {
        self.probe = true;
    }

    /// Its client; see [`ClientIp::of`].
    #[inline]
    pub fn client(&self) -> Option<ClientIp> {
        match self.context() {
            Some(context) => Some(context.client()),
            None => ClientIp::of(&self.parts.extensions),
        }
    }

    /// Who it was authenticated as; see [`Principal::of`].
    #[inline]
    pub fn principal(&self) -> Option<&Principal> {
        match self.context() {
            Some(context) => context.principal(),
            None => self.parts.extensions.get(),
        }
    }

    /// Authenticates it; see [`Principal::authenticate`].
    pub fn authenticate(&mut self, principal: Principal) {
        match self.context() {
            Some(context) => {
                context.authenticate(principal);
            }
            // There is no context to look for.
            None => {
                self.parts.extensions.get_or_insert_with(|| principal);
            }
        }
    }

    /// The route that the router chose; see [`MatchedRoute::of`].
    #[inline]
    pub fn route(&self) -> Option<&MatchedRoute> {
        match self.context().and_then(RequestContext::route) {
            None => self.parts.extensions.get(),
            route => route,
        }
    }

    /// Says which route that is; see [`MatchedRoute::tell`].
    pub fn tell_route(&mut self, route: MatchedRoute) {
        match self.context() {
            Some(context) => {
                context.set_route(route);
            }
            None => route.tell(&mut self.parts.extensions),
        }
    }

    /// What it asks of a model; see [`ModelRequest::of`].
    #[inline]
    pub fn demand(&self) -> Option<&ModelRequest> {
        match self.context() {
            Some(context) => context.demand(),
            None => self.parts.extensions.get(),
        }
    }

    /// Says what that is; see [`ModelRequest::tell`].
    pub fn tell_demand(&mut self, demand: ModelRequest) {
        match self.context() {
            Some(context) => {
                context.set_demand(demand);
            }
            None => demand.tell(&mut self.parts.extensions),
        }
    }
}

impl From<Parts> for Head {
    fn from(parts: Parts) -> Self {
        Self::new(parts)
    }
}

impl Deref for Head {
    type Target = Parts;

    #[inline]
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// For headers and extensions of other kinds. A context that is put among the extensions by
/// hand goes unnoticed; [`Head::set_context`] does not.
impl DerefMut for Head {
    #[inline]
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::context::RequestId;

    fn head() -> Head {
        Head::new(Request::new(()).into_parts().0)
    }

    fn facts(head: &mut Head) {
        head.authenticate(Principal::builder("first").build());
        head.authenticate(Principal::builder("second").build());
        head.tell_route(MatchedRoute::new("/first"));
        head.tell_route(MatchedRoute::new("/second"));
        head.tell_demand(ModelRequest::new(None, 1, None));
        head.tell_demand(ModelRequest::new(None, 2, None));
        assert_eq!(head.principal().map(Principal::id), Some("first"));
        assert_eq!(head.route().map(MatchedRoute::as_str), Some("/first"));
        assert_eq!(head.demand().map(|demand| demand.prompt_tokens), Some(1));
    }

    #[test]
    fn facts_are_in_the_context_or_among_the_extensions() {
        let mut alone = head();
        facts(&mut alone);
        assert_eq!(alone.client(), None);
        assert!(Principal::of(&alone.extensions).is_some());

        let mut known = Request::new(());
        let context = RequestContext::new(RequestId::next(), ClientIp::UnixSocket);
        known.extensions_mut().insert(context.clone());
        let mut known = Head::new(known.into_parts().0);
        facts(&mut known);
        assert_eq!(known.client(), Some(ClientIp::UnixSocket));
        assert_eq!(context.principal().map(Principal::id), Some("first"));
        assert!(known.extensions.get::<Principal>().is_none());
    }

    #[test]
    fn another_context_takes_the_place_of_the_first() {
        let mut head = head();
        for _ in 0..2 {
            let context = RequestContext::new(RequestId::next(), ClientIp::UnixSocket);
            head.set_context(context.clone());
            assert_eq!(head.context().map(RequestContext::id), Some(context.id()));
            let found = RequestContext::of(&head.extensions).map(RequestContext::id);
            assert_eq!(found, Some(context.id()));
        }
    }
}
