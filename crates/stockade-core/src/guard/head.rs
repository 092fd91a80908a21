//! The head of a request, as guards see it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::OnceLock,
};

use http::request::Parts;

use crate::{client::ClientIp, context::RequestContext};

/// The head of a request, and the [context](RequestContext) that it shares with all other
/// layers and the handler.
///
/// ```
/// use http::Request;
/// use stockade_core::{
///     guard::{Check, Guard, Head, guard_fn},
///     refusal::{Refusal, RefusalKind},
/// };
///
/// let wants_tenant = guard_fn("tenant", |head| match head.headers.get("x-tenant") {
///     Some(_) => Ok(()),
///     None => Err(Refusal::new(RefusalKind::Invalid, "the header x-tenant is missing")),
/// });
///
/// // Tests of a guard need no server.
/// let head = |request: Request<()>| Head::new(request.into_parts().0);
/// let with = head(Request::builder().header("x-tenant", "a").body(()).unwrap());
/// assert!(matches!(wants_tenant.check(&with), Check::Pass(())));
/// let without = head(Request::new(()));
/// assert!(matches!(wants_tenant.check(&without), Check::Refuse(_)));
/// ```
pub struct Head {
    parts: Parts,
    context: OnceLock<Context>,
    probe: bool,
}

/// A request's context, and whether an outer layer has put it among the extensions.
struct Context {
    context: RequestContext,
    inherited: bool,
}

impl Head {
    /// The head with these parts.
    #[inline]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            context: OnceLock::new(),
            probe: false,
        }
    }

    /// Its parts, with the context among the extensions.
    #[inline]
    pub fn into_parts(self) -> Parts {
        let mut parts = self.parts;
        if let Some(Context {
            context,
            inherited: false,
        }) = self.context.into_inner()
        {
            parts.extensions.insert(context);
        }
        parts
    }

    /// The request's context: that of an outer layer, or a new one.
    ///
    /// A new one knows the peer, if the server has put a [`PeerAddr`](crate::client::PeerAddr)
    /// among the extensions. Inner layers and the handler find it among the extensions.
    #[inline]
    pub fn context(&self) -> &RequestContext {
        let extensions = &self.parts.extensions;
        let find = || match RequestContext::of(extensions) {
            Some(context) => Context::inherited(context),
            None => Context::new(RequestContext::from_peer(extensions.get().copied())),
        };
        &self.context.get_or_init(find).context
    }

    /// The context, with this client unless it has one already.
    pub(crate) fn context_of_client(&self, client: ClientIp) -> &RequestContext {
        let find = || match RequestContext::of(&self.parts.extensions) {
            Some(context) => Context::inherited(context),
            None => Context::new(RequestContext::from_client(client)),
        };
        let context = &self.context.get_or_init(find).context;
        context.set_client(client);
        context
    }

    /// The context, if a guard has asked for it. For uses that do not justify one: a context
    /// that no guard has asked for has no reader.
    pub fn existing_context(&self) -> Option<&RequestContext> {
        match self.context.get() {
            Some(context) => Some(&context.context),
            None => RequestContext::of(&self.parts.extensions),
        }
    }

    /// A context that is made later is of a request that arrives then.
    pub(crate) fn set_waited(&self) {
        if let Some(context) = self.existing_context() {
            context.set_waited();
        }
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
}

impl Context {
    fn new(context: RequestContext) -> Self {
        Self {
            context,
            inherited: false,
        }
    }

    fn inherited(context: &RequestContext) -> Self {
        Self {
            context: context.clone(),
            inherited: true,
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

/// For headers, and for extensions of other kinds.
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
    use crate::{client::PeerAddr, identity::Principal};

    fn head() -> Head {
        Head::new(Request::new(()).into_parts().0)
    }

    #[test]
    fn makes_one_context_and_hands_it_on() {
        let mut head = head();
        head.extensions.insert(PeerAddr::UnixSocket);
        assert!(head.existing_context().is_none());
        let id = head.context().id();
        assert_eq!(head.context().client(), Some(ClientIp::UnixSocket));
        head.context().authenticate(Principal::builder("a").build());

        // A layer further in, and then the handler.
        let head = Head::new(head.into_parts());
        assert_eq!(head.existing_context().map(RequestContext::id), Some(id));
        let parts = Head::new(head.into_parts()).into_parts();
        let context = RequestContext::of(&parts.extensions).unwrap();
        assert_eq!(context.id(), id);
        assert_eq!(context.principal().map(Principal::id), Some("a"));
    }

    #[test]
    fn makes_no_context_that_no_guard_asks_for() {
        let parts = head().into_parts();
        assert!(RequestContext::of(&parts.extensions).is_none());
    }

    #[test]
    fn the_first_client_stays() {
        let head = head();
        let client = ClientIp::Ip([192, 0, 2, 1].into());
        head.context_of_client(client);
        let head = Head::new(head.into_parts());
        head.context_of_client(ClientIp::UnixSocket);
        assert_eq!(head.context().client(), Some(client));
    }

    #[test]
    fn a_resolved_client_takes_the_place_of_the_peer() {
        let mut head = head();
        head.extensions.insert(PeerAddr::UnixSocket);
        assert_eq!(head.context().client(), Some(ClientIp::UnixSocket));
        let client = ClientIp::Ip([192, 0, 2, 1].into());
        let head = Head::new(head.into_parts());
        head.context_of_client(client);
        assert_eq!(head.context().client(), Some(client));
    }
}
