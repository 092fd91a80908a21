//! The conditions that alerts report.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A condition that is reported. Where `deploy/prometheus/alerts.yml` has the same one, the names
/// are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AlertCondition {
    /// Refused credentials and failed logins.
    AuthFailures,
    /// Requests that exceed limits.
    RateLimitViolations,
    /// A client was banned.
    Bans,
    /// A key was created or restored.
    KeyCreated,
    /// A key was changed, rotated or revoked.
    KeyChanged,
    /// A user, role or token of the administration was changed.
    PermissionsChanged,
    /// A watched source cannot be read.
    SourceStale,
    /// Revoked tokens cannot be read.
    RevocationsFailing,
    /// Records are not written.
    AuditNotWriting,
    /// The shared store is not available.
    StoreDown,
    /// An upstream is not used.
    UpstreamDown,
    /// An engine was restarted, or works for a client that has left.
    EngineStuck,
    /// A model cannot be loaded.
    ModelFailed,
    /// The certificate expires.
    CertificateExpiring,
    /// A budget is used up, or nearly.
    BudgetsNearLimit,
    /// Budgets are not written.
    BudgetsFailing,
    /// A new configuration was rejected.
    ReloadRejected,
}

/// How urgent a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// Worth knowing.
    Info,
    /// Needs a look within a day.
    Warning,
    /// Needs a person now.
    Critical,
}

impl AlertCondition {
    /// All conditions.
    pub const ALL: [Self; 17] = [
        Self::AuthFailures,
        Self::RateLimitViolations,
        Self::Bans,
        Self::KeyCreated,
        Self::KeyChanged,
        Self::PermissionsChanged,
        Self::SourceStale,
        Self::RevocationsFailing,
        Self::AuditNotWriting,
        Self::StoreDown,
        Self::UpstreamDown,
        Self::EngineStuck,
        Self::ModelFailed,
        Self::CertificateExpiring,
        Self::BudgetsNearLimit,
        Self::BudgetsFailing,
        Self::ReloadRejected,
    ];

    /// The name, such as `StockadeStoreDown`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The severity; the same as in `deploy/prometheus/alerts.yml`.
    pub fn severity(self) -> AlertSeverity {
        self.row().1
    }

    /// The seconds for which a state must last before it is reported.
    pub fn hold_secs(self) -> u64 {
        self.row().2
    }

    /// What has happened, in one sentence.
    pub fn summary(self) -> &'static str {
        self.row().3
    }

    #[rustfmt::skip]
    fn row(self) -> (&'static str, AlertSeverity, u64, &'static str) {
        use AlertSeverity::{Critical, Info, Warning};

        match self {
            Self::AuthFailures => ("StockadeAuthFailures", Warning, 0, "Many credentials are refused"),
            Self::RateLimitViolations => ("StockadeRateLimitViolations", Info, 0, "Clients exceed their limits"),
            Self::Bans => ("StockadeBans", Info, 0, "A client was banned"),
            Self::KeyCreated => ("StockadeKeyCreated", Info, 0, "A key was created"),
            Self::KeyChanged => ("StockadeKeyChanged", Info, 0, "A key was changed"),
            Self::PermissionsChanged => ("StockadePermissionsChanged", Warning, 0, "Permissions in the administration were changed"),
            Self::SourceStale => ("StockadeSourceStale", Critical, 60, "A source cannot be read; its last valid content stays active"),
            Self::RevocationsFailing => ("StockadeRevocationsFailing", Critical, 60, "Revoked tokens of other processes cannot be read"),
            Self::AuditNotWriting => ("StockadeAuditNotWriting", Critical, 0, "Records are not written"),
            Self::StoreDown => ("StockadeStoreDown", Critical, 30, "The shared store is not available"),
            Self::UpstreamDown => ("StockadeUpstreamDown", Warning, 30, "An upstream is not used"),
            Self::EngineStuck => ("StockadeEngineStuck", Critical, 0, "The engine was restarted or is stuck"),
            Self::ModelFailed => ("StockadeModelFailed", Critical, 30, "A model is not available"),
            Self::CertificateExpiring => ("StockadeCertificateExpiring", Critical, 0, "The certificate of the server expires soon"),
            Self::BudgetsNearLimit => ("StockadeBudgetsNearLimit", Warning, 0, "A budget is nearly used up"),
            Self::BudgetsFailing => ("StockadeBudgetsFailing", Critical, 60, "Budgets are not written"),
            Self::ReloadRejected => ("StockadeReloadRejected", Warning, 0, "A new configuration was rejected; the previous one stays active"),
        }
    }
}

impl fmt::Display for AlertCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for AlertCondition {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for AlertCondition {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter();
        known
            .clone()
            .find(|condition| condition.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = known.map(Self::name).collect();
                let names = names.join(", ");
                D::Error::custom(format!("{name:?} is no condition: use some of {names}"))
            })
    }
}
