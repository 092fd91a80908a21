//! Two ways to authenticate, in one layer, with one result.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    context::RequestContext,
    guard::{Check, Guard, Head, TakeReady, Wait},
    refusal::{Refusal, RefusalKind, RefusalReason},
};

/// A guard that authenticates requests.
///
/// It holds nothing, and leaves a [`Principal`](crate::identity::Principal) in the request.
pub trait Authenticator: Guard<Hook = ()> {
    /// Whether the request carries a credential of this authenticator's kind, valid or not.
    fn presents(&self, head: &Head) -> bool;

    /// Checks the credential of an authenticated request again, while its response is on its way.
    /// Returns the refusal that a new request with this credential would get; `None` while it is
    /// accepted, and for [credentials](crate::identity::Credential) of other authenticators.
    ///
    /// Must not block. An authenticator that cannot check a credential again returns `None`.
    fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        let _ = context;
        None
    }

    /// Also takes credentials of another kind, such as tokens in addition to keys.
    ///
    /// A request with a credential of one kind is checked by that kind alone. One with
    /// credentials of both kinds is a 400, and one with none is checked by `self`.
    fn or<B>(self, other: B) -> EitherAuth<Self, B>
    where
        Self: Sized,
        B: Authenticator,
    {
        self.or_maybe(Some(other))
    }

    /// The same where a configuration may leave the other kind out: what is then sent of it
    /// is checked by `self`.
    fn or_maybe<B>(self, other: Option<B>) -> EitherAuth<Self, B>
    where
        Self: Sized,
        B: Authenticator,
    {
        EitherAuth {
            first: self,
            second: other,
        }
    }
}

/// Whether a credential is shaped like a token, so that a guard for tokens checks it and one
/// for keys does not: `eyJ` (the start of a JSON object in base64url), and two dots (a signed
/// token, RFC 7515) or four (an encrypted one, RFC 7516).
///
/// The length does not matter: a token that is too long is still a token.
///
/// ```
/// use stockade_core::identity::is_token_shaped;
///
/// assert!(is_token_shaped(b"eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"));
/// assert!(!is_token_shaped(b"sk_team-core_4QmVZ"));
/// ```
pub fn is_token_shaped(credential: &[u8]) -> bool {
    let dots = || {
        let dots = credential.iter().filter(|byte| **byte == b'.');
        dots.take(5).count()
    };
    credential.starts_with(b"eyJ") && matches!(dots(), 2 | 4)
}

impl<A> Authenticator for Arc<A>
where
    A: Authenticator,
{
    fn presents(&self, head: &Head) -> bool {
        (**self).presents(head)
    }

    fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        (**self).recheck(context)
    }
}

/// Takes credentials of two kinds; made by [`Authenticator::or`].
#[derive(Clone, Debug)]
pub struct EitherAuth<A, B> {
    first: A,
    second: Option<B>,
}

impl<A, B> Guard for EitherAuth<A, B>
where
    A: Authenticator,
    B: Authenticator,
{
    const NAME: &'static str = "auth";
    type Pass = EitherPass<A::Pass, B::Pass>;
    type Hook = ();
    type Wait = EitherWait<A::Wait, B::Wait>;

    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait> {
        let second = self.second.as_ref();
        let Some(second) = second.filter(|second| second.presents(head)) else {
            return match self.first.check(head) {
                Check::Pass(pass) => Check::Pass(EitherPass::First(pass)),
                Check::Refuse(refusal) => Check::Refuse(refusal),
                Check::Answer(response) => Check::Answer(response),
                Check::Wait(wait) => Check::Wait(EitherWait::first(wait)),
            };
        };
        if self.first.presents(head) {
            return Check::Refuse(
                Refusal::new(
                    RefusalKind::Invalid,
                    "the request has two different credentials; send one",
                )
                .with_code("CONFLICTING_CREDENTIALS")
                .with_reason(RefusalReason::MalformedCredential)
                // Neither was verified, so none was guessed: all of them are one offence.
                .with_fingerprint(0),
            );
        }
        match second.check(head) {
            Check::Pass(pass) => Check::Pass(EitherPass::Second(pass)),
            Check::Refuse(refusal) => Check::Refuse(refusal),
            Check::Answer(response) => Check::Answer(response),
            Check::Wait(wait) => Check::Wait(EitherWait::second(wait)),
        }
    }

    fn admit(&self, pass: Self::Pass, head: &mut Head) {
        match pass {
            EitherPass::First(pass) => self.first.admit(pass, head),
            EitherPass::Second(pass) => {
                let second = self.second.as_ref();
                second.expect("it has let the request in").admit(pass, head);
            }
        }
    }
}

impl<A, B> Authenticator for EitherAuth<A, B>
where
    A: Authenticator,
    B: Authenticator,
{
    fn presents(&self, head: &Head) -> bool {
        let second = self.second.as_ref();
        self.first.presents(head) || second.is_some_and(|second| second.presents(head))
    }

    fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        let second = || self.second.as_ref()?.recheck(context);
        self.first.recheck(context).or_else(second)
    }
}

/// The result of the authenticator that checked the request.
#[derive(Debug)]
pub enum EitherPass<A, B> {
    /// Found out by the first one.
    First(A),
    /// Found out by the second one.
    Second(B),
}

pin_project! {
    /// The wait of the authenticator that checks the request.
    pub struct EitherWait<A, B> {
        #[pin]
        pending: Pending<A, B>,
    }
}

pin_project! {
    #[project = PendingProj]
    enum Pending<A, B> {
        First { #[pin] wait: A },
        Second { #[pin] wait: B },
    }
}

impl<A, B> EitherWait<A, B> {
    fn first(wait: A) -> Self {
        Self {
            pending: Pending::First { wait },
        }
    }

    fn second(wait: B) -> Self {
        Self {
            pending: Pending::Second { wait },
        }
    }
}

impl<A, B, P, Q> Wait<EitherPass<P, Q>> for EitherWait<A, B>
where
    A: Wait<P>,
    B: Wait<Q>,
{
    fn poll_wait(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<EitherPass<P, Q>, Refusal>> {
        match self.project().pending.project() {
            PendingProj::First { wait } => wait.poll_wait(cx).map_ok(EitherPass::First),
            PendingProj::Second { wait } => wait.poll_wait(cx).map_ok(EitherPass::Second),
        }
    }
}

impl<A, B, S> TakeReady<S> for EitherWait<A, B>
where
    A: TakeReady<S>,
    B: TakeReady<S>,
{
    fn take_ready(&self, inner: &mut S) -> S {
        match &self.pending {
            Pending::First { wait } => wait.take_ready(inner),
            Pending::Second { wait } => wait.take_ready(inner),
        }
    }
}

impl<A, B> fmt::Debug for EitherWait<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EitherWait")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FA02
    #[test]
    fn tells_tokens_from_keys() {
        let long = format!("eyJ{}.e30.x", "h".repeat(100_000));
        for (text, shaped) in [
            ("eyJhbGciOiJIUzI1NiJ9.e30.x", true),
            (&*long, true),
            ("eyJ..", true),
            // An encrypted token, as an identity provider issues it by mistake.
            ("eyJhbGciOiJkaXIifQ..iv.text.tag", true),
            ("eyJ.", false),
            ("eyJ...", false),
            ("eyJ.....", false),
            ("eyJhbGciOiJIUzI1NiJ9", false),
            ("sk_team-core_abc", false),
            ("sk.a.b", false),
            ("", false),
        ] {
            assert_eq!(is_token_shaped(text.as_bytes()), shaped, "{text:.40}");
        }
    }
}
