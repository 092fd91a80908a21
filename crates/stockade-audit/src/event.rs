//! What happens to a server besides requests.

use std::borrow::Cow;

use stockade_core::{client::ClientIp, clock::Timestamp, context::RequestId};

use crate::line::{Level, Line, field};

/// The longest text of an event, in bytes, before it is escaped.
const TEXT: usize = 256;

/// Something that an auditor asks for: who changed what, and when.
///
/// ```
/// use stockade_audit::{EventKind, SecurityEvent};
///
/// let event = SecurityEvent::new(EventKind::KeyRevoked)
///     .user("admin")
///     .subject("team-core")
///     .detail("found in a public repository");
/// # let _ = event;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    kind: EventKind,
    user: Option<Cow<'static, str>>,
    subject: Option<Cow<'static, str>>,
    detail: Option<Cow<'static, str>>,
    client: Option<ClientIp>,
    request: Option<RequestId>,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A key was made.
    KeyCreated,
    /// A key got a new text.
    KeyRotated,
    /// A key was revoked.
    KeyRevoked,
    /// A client was banned.
    Banned,
    /// A ban was lifted.
    Unbanned,
    /// A line of a deny-list was skipped, or the list is missing.
    DenyListIncomplete,
    /// A client would have been banned, but bans are only reported.
    WouldBan,
    /// A request would have been refused because of a ban, but bans are only reported.
    WouldRefuse,
    /// Somebody logged in to the administration.
    Login,
    /// Somebody tried to.
    LoginFailed,
    /// A new configuration is in force.
    ConfigReloaded,
    /// A new configuration was not taken; the old one stays in force.
    ConfigRejected,
    /// A store does not answer.
    StoreLost,
    /// A store answers again.
    StoreRecovered,
    /// The server began to serve.
    Started,
    /// The server stopped serving.
    Stopped,
}

impl EventKind {
    /// Its name in the field `event`.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, Level, &'static str) {
        match self {
            Self::KeyCreated => ("key_created", Level::Info, "key created"),
            Self::KeyRotated => ("key_rotated", Level::Info, "key rotated"),
            Self::KeyRevoked => ("key_revoked", Level::Warn, "key revoked"),
            Self::Banned => ("banned", Level::Warn, "client banned"),
            Self::Unbanned => ("unbanned", Level::Info, "ban lifted"),
            Self::DenyListIncomplete => {
                ("deny_list_incomplete", Level::Warn, "deny-list incomplete")
            }
            Self::WouldBan => ("would_ban", Level::Warn, "client would be banned"),
            Self::WouldRefuse => ("would_refuse", Level::Warn, "request would be refused"),
            Self::Login => ("login", Level::Info, "logged in"),
            Self::LoginFailed => ("login_failed", Level::Warn, "login failed"),
            Self::ConfigReloaded => ("config_reloaded", Level::Info, "configuration reloaded"),
            Self::ConfigRejected => ("config_rejected", Level::Error, "configuration rejected"),
            Self::StoreLost => ("store_lost", Level::Error, "store lost"),
            Self::StoreRecovered => ("store_back", Level::Info, "store back"),
            Self::Started => ("started", Level::Info, "server started"),
            Self::Stopped => ("stopped", Level::Info, "server stopped"),
        }
    }
}

impl SecurityEvent {
    /// An event of this kind, now.
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            user: None,
            subject: None,
            detail: None,
            client: None,
            request: None,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// Who did it: the id of a principal, recorded as it is. What someone typed whose
    /// [login failed](EventKind::LoginFailed) is redacted.
    pub fn user(mut self, id: impl Into<Cow<'static, str>>) -> Self {
        self.user = Some(id.into());
        self
    }

    /// To what it was done: the id of a key, a banned network, a store's name. Recorded as it
    /// is, so it must not be a secret.
    pub fn subject(mut self, subject: impl Into<Cow<'static, str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Why, or what else there is to say. What looks like a secret is redacted.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// From where it was done.
    pub fn client(mut self, client: ClientIp) -> Self {
        self.client = Some(client);
        self
    }

    /// The request that did it.
    pub fn request(mut self, id: RequestId) -> Self {
        self.request = Some(id);
        self
    }

    pub(crate) fn line(&self, now: Timestamp) -> Line {
        let (name, level, message) = self.kind.row();
        let mut line = Line::new(now, level, message);
        line.literal(field!("event"), name);
        if let Some(id) = self.request {
            line.request_id(id);
        }
        if self.client.is_some() {
            line.client(field!("ip"), self.client);
        }
        match (&self.user, self.kind) {
            (None, _) => {}
            // Typed by someone who is not known, and sometimes a password.
            (Some(user), EventKind::LoginFailed) => line.text(field!("user"), user, TEXT),
            (Some(user), _) => line.identifier(field!("user"), user, TEXT),
        }
        if let Some(subject) = &self.subject {
            line.identifier(field!("subject"), subject, TEXT);
        }
        if let Some(detail) = &self.detail {
            line.text(field!("detail"), detail, TEXT);
        }
        line
    }
}
