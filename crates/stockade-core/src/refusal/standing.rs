//! A refusal that a valid credential averts.

use crate::{
    context::RequestContext,
    refusal::{Refusal, RefusalReason},
};

/// A refusal that holds unless the request authenticates.
///
/// A guard that stands before the authenticator sets it in the request's context
/// ([`RequestContext::set_standing_refusal`]) instead of refusing, where the client may still prove who it is: at a banned address, for
/// example. The request then passes the limits in front of the authenticator, and its
/// credential is verified once. Where the credential is refused, the client gets this
/// refusal in place of that one. A guard behind the authenticator refuses with it what was
/// not authenticated.
#[derive(Clone, Debug)]
pub struct StandingRefusal {
    guard: &'static str,
    refusal: Refusal,
}

impl StandingRefusal {
    /// The refusal of this [guard](crate::guard::Guard::NAME).
    pub fn new(guard: &'static str, refusal: Refusal) -> Self {
        Self { guard, refusal }
    }

    /// The refusal.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The guard and the refusal that take the place of this one.
    pub(crate) fn in_place_of<'a>(
        refusal: &Refusal,
        context: Option<&'a RequestContext>,
    ) -> Option<(&'static str, &'a Refusal)> {
        use RefusalReason as R;
        match refusal.reason()? {
            R::MissingCredential | R::InvalidCredential | R::MalformedCredential => {
                let standing = context?.standing_refusal()?;
                Some((standing.guard, &standing.refusal))
            }
            _ => None,
        }
    }
}
