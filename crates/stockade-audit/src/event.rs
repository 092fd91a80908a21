//! Security events: changes and failures that are not requests.

use std::borrow::Cow;

use stockade_core::{client::ClientIp, clock::Timestamp, context::RequestId};

use crate::line::{Level, Line, text_field};

/// The maximum length of a text, in bytes, before escaping.
pub(crate) const TEXT: usize = 256;

/// A security-relevant change: who changed what, and when.
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

/// The kinds of [`SecurityEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A key was created.
    KeyCreated,
    /// A key was replaced by a new one with the same id.
    KeyRotated,
    /// A key was revoked.
    KeyRevoked,
    /// A user of the administration created, changed, rotated or revoked a key.
    KeyChanged,
    /// A client was banned.
    Banned,
    /// A ban was lifted.
    Unbanned,
    /// A user of the administration banned a client or lifted a ban.
    BanChanged,
    /// A line of a deny-list was skipped, or the file is missing.
    DenyListIncomplete,
    /// A client would have been banned (report-only mode).
    WouldBan,
    /// A request would have been refused because of a ban (report-only mode).
    WouldRefuse,
    /// A user logged in to the administration.
    Login,
    /// A login to the administration failed.
    LoginFailed,
    /// A user logged out of the administration, or a session was ended.
    Logout,
    /// A user of the administration was created.
    UserCreated,
    /// The role, the password or another field of a user was changed.
    UserChanged,
    /// A user of the administration was deleted.
    UserDeleted,
    /// A role was created, changed or deleted.
    RoleChanged,
    /// A budget was created, changed, topped up or deleted.
    BudgetChanged,
    /// A token for automation was created.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// A model was loaded.
    ModelLoaded,
    /// A model was unloaded.
    ModelUnloaded,
    /// Records or settings were exported.
    Exported,
    /// Settings were imported.
    Imported,
    /// A user of the administration requested a reload of the configuration.
    ReloadRequested,
    /// A new configuration is active.
    ConfigReloaded,
    /// A new configuration was rejected; the previous one stays active.
    ConfigRejected,
    /// A store stopped responding.
    StoreLost,
    /// A store responds again.
    StoreRecovered,
    /// The server started.
    Started,
    /// The server stopped.
    Stopped,
}

impl EventKind {
    /// Returns the value of the field `event`.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, Level, &'static str) {
        match self {
            Self::KeyCreated => ("key_created", Level::Info, "key created"),
            Self::KeyRotated => ("key_rotated", Level::Info, "key rotated"),
            Self::KeyRevoked => ("key_revoked", Level::Warn, "key revoked"),
            Self::KeyChanged => ("key_changed", Level::Info, "key changed"),
            Self::Banned => ("banned", Level::Warn, "client banned"),
            Self::Unbanned => ("unbanned", Level::Info, "ban lifted"),
            Self::BanChanged => ("ban_changed", Level::Info, "ban changed"),
            Self::DenyListIncomplete => {
                ("deny_list_incomplete", Level::Warn, "deny-list incomplete")
            }
            Self::WouldBan => ("would_ban", Level::Warn, "client would be banned"),
            Self::WouldRefuse => ("would_refuse", Level::Warn, "request would be refused"),
            Self::Login => ("login", Level::Info, "logged in"),
            Self::LoginFailed => ("login_failed", Level::Warn, "login failed"),
            Self::Logout => ("logout", Level::Info, "logged out"),
            Self::UserCreated => ("user_created", Level::Info, "user created"),
            Self::UserChanged => ("user_changed", Level::Info, "user changed"),
            Self::UserDeleted => ("user_deleted", Level::Warn, "user deleted"),
            Self::RoleChanged => ("role_changed", Level::Warn, "role changed"),
            Self::BudgetChanged => ("budget_changed", Level::Info, "budget changed"),
            Self::TokenCreated => ("token_created", Level::Info, "token created"),
            Self::TokenRevoked => ("token_revoked", Level::Info, "token revoked"),
            Self::ModelLoaded => ("model_loaded", Level::Info, "model loaded"),
            Self::ModelUnloaded => ("model_unloaded", Level::Info, "model unloaded"),
            Self::Exported => ("exported", Level::Info, "exported"),
            Self::Imported => ("imported", Level::Info, "imported"),
            Self::ReloadRequested => ("reload_requested", Level::Info, "reload requested"),
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
    /// Creates an event that is recorded with the time at which it is written.
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

    /// Returns the kind of the event.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// Sets the acting user: the id of a principal, recorded verbatim. For a
    /// [failed login](EventKind::LoginFailed), whose user name may be a password, it is
    /// redacted.
    pub fn user(mut self, id: impl Into<Cow<'static, str>>) -> Self {
        self.user = Some(id.into());
        self
    }

    /// Sets the object of the change: the id of a key, a banned network, the name of a store.
    /// It is recorded verbatim, so it must not be a secret.
    pub fn subject(mut self, subject: impl Into<Cow<'static, str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets the reason or other details. Secrets are redacted.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the client that made the change.
    pub fn client(mut self, client: ClientIp) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the request that made the change.
    pub fn request(mut self, id: RequestId) -> Self {
        self.request = Some(id);
        self
    }

    pub(crate) fn line(&self, now: Timestamp) -> Line {
        let (name, level, message) = self.kind.row();
        let mut line = Line::new(now, level, message);
        line.literal(text_field!("event"), name);
        if let Some(id) = self.request {
            line.request_id(id);
        }
        if self.client.is_some() {
            line.client(self.client);
        }
        match (&self.user, self.kind) {
            (None, _) => {}
            // Entered by an unauthenticated user, who may have typed a password.
            (Some(user), EventKind::LoginFailed) => line.text(text_field!("user"), user, TEXT),
            (Some(user), _) => line.identifier(text_field!("user"), user, TEXT),
        }
        if let Some(subject) = &self.subject {
            line.identifier(text_field!("subject"), subject, TEXT);
        }
        if let Some(detail) = &self.detail {
            line.text(text_field!("detail"), detail, TEXT);
        }
        line
    }
}
