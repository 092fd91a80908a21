//! What the layers around one request tell each other.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use http::Extensions;

use crate::{
    ClientIp, Demand, MatchedRoute, Principal, Refusal, RefusalKind, RefusalReason, RequestId,
};

/// One shared handle a request, put in by [`ContextGuard`](crate::ContextGuard).
///
/// Inner layers and the handler write; outer layers keep a clone and read it after the
/// response has ended, or after it was dropped. Facts that decide something (client,
/// route, principal, verdict) are set once and never change.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: RequestId,
    client: ClientIp,
    route: OnceLock<MatchedRoute>,
    principal: OnceLock<Principal>,
    verdict: OnceLock<Verdict>,
    demand: OnceLock<Demand>,
    /// [`UNREPORTED`] until the handler has said how many there were.
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    bytes_read: AtomicU64,
}

const UNREPORTED: u64 = u64::MAX;

impl RequestContext {
    /// The context of a request that has just come in.
    pub fn new(id: RequestId, client: ClientIp) -> Self {
        Self(Arc::new(Inner {
            id,
            client,
            route: OnceLock::new(),
            principal: OnceLock::new(),
            verdict: OnceLock::new(),
            demand: OnceLock::new(),
            prompt_tokens: AtomicU64::new(UNREPORTED),
            completion_tokens: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
        }))
    }

    /// The context of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Who is at the other end.
    pub fn client(&self) -> ClientIp {
        self.0.client
    }

    /// The route that the router matched; `None` before, or without, whoever says it.
    pub fn route(&self) -> Option<&MatchedRoute> {
        self.0.route.get()
    }

    /// Says which route the router matched. The first word stays; `false` when there was one.
    pub fn set_route(&self, route: MatchedRoute) -> bool {
        self.0.route.set(route).is_ok()
    }

    /// Who the request was authenticated as; `None` before, or without, authentication.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// Authenticates the request. The first principal stays; `false` when there was one.
    pub fn authenticate(&self, principal: Principal) -> bool {
        self.0.principal.set(principal).is_ok()
    }

    /// The refusal that ended the request; `None` when no guard refused it.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.0.verdict.get()
    }

    /// What the request asks of a model; `None` before, or without, whoever reads the body.
    pub fn demand(&self) -> Option<&Demand> {
        self.0.demand.get()
    }

    /// Says what the request asks of a model. The first word stays; `false` when there was
    /// one.
    pub fn set_demand(&self, demand: Demand) -> bool {
        self.0.demand.set(demand).is_ok()
    }

    /// Tokens used so far; `None` while nobody has reported any.
    pub fn usage(&self) -> Option<Usage> {
        let prompt_tokens = self.0.prompt_tokens.load(Ordering::Acquire);
        (prompt_tokens != UNREPORTED).then(|| Usage {
            prompt_tokens,
            completion_tokens: self.0.completion_tokens.load(Ordering::Relaxed),
        })
    }

    /// Sets the tokens used so far; the handler calls it as often as it knows better.
    ///
    /// Limits and the audit log go by the last word before the response's end.
    pub fn set_usage(&self, usage: Usage) {
        let Usage {
            prompt_tokens,
            completion_tokens,
        } = usage;
        self.0
            .completion_tokens
            .store(completion_tokens, Ordering::Relaxed);
        self.0
            .prompt_tokens
            .store(prompt_tokens.min(UNREPORTED - 1), Ordering::Release);
    }

    /// How many bytes of the request's body have been read so far; 0 without whoever counts.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::Relaxed)
    }

    /// Says how many bytes of the request's body have been read so far. Of several who
    /// count them, whoever has seen most is believed.
    pub fn set_bytes_read(&self, bytes: u64) {
        self.0.bytes_read.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Notes a refusal; the driver does so for guards, a handler does so for its own, also
    /// where it breaks off a stream that has begun.
    pub fn refuse(&self, guard: &'static str, refusal: &Refusal) {
        // A request is refused once; what an outer guard says after that is not heard.
        let _ = self.0.verdict.set(Verdict {
            guard,
            kind: refusal.kind(),
            code: refusal.code(),
            cause: refusal.cause(),
            reason: refusal.reason(),
            evidence: refusal.evidence(),
        });
    }
}

/// Which guard refused a request, and why; for logs and metrics, not for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// [`Guard::NAME`](crate::Guard::NAME).
    pub guard: &'static str,
    /// [`Refusal::kind`].
    pub kind: RefusalKind,
    /// [`Refusal::code`].
    pub code: &'static str,
    /// [`Refusal::cause`]: more than the client was told.
    pub cause: &'static str,
    /// [`Refusal::reason`]: what it says about the client.
    pub reason: Option<RefusalReason>,
    /// [`Refusal::evidence`]: tells one offence repeated from many.
    pub evidence: Option<u64>,
}

/// Model tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens that went in, image tokens included.
    pub prompt_tokens: u64,
    /// Tokens that came out.
    pub completion_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_unknown_until_it_is_reported_and_then_the_last_word() {
        let context = RequestContext::new(RequestId::next(), ClientIp::UnixSocket);
        assert_eq!(context.usage(), None);
        for (prompt_tokens, completion_tokens) in [(0, 0), (7, 1), (7, 2)] {
            let usage = Usage {
                prompt_tokens,
                completion_tokens,
            };
            context.set_usage(usage);
            assert_eq!(context.usage(), Some(usage));
        }
    }
}
