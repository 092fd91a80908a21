//! `[abuse]`: bans of abusive clients.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

use serde::Deserialize;
use stockade_abuse::{AbusePolicy, BanResponse, Signal};
use stockade_core::client::IpPrefix;

use super::{
    ClientIpConfig, ConfigError,
    value::{self, nonzero},
};

/// `[abuse]`: bans clients that offend repeatedly.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AbuseConfig {
    /// Whether clients are banned.
    pub enabled: bool,
    /// The number of points within the window that leads to a ban.
    pub threshold: NonZeroU32,
    /// The length of the window, in seconds.
    pub window_secs: NonZeroU32,
    /// The length of the first ban, in seconds; each further ban is twice as long. 0 bans
    /// permanently.
    pub ban_secs: u32,
    /// The longest ban, in seconds.
    pub longest_ban_secs: u32,
    /// The file that bans are written to and read from. The file is watched.
    pub deny_list: Option<PathBuf>,
    /// `forbidden` (403) or `too_many_requests` (429). Both send `Retry-After` if the ban
    /// ends.
    pub answer: AnswerConfig,
    /// Networks that are never banned, in addition to loopback and trusted proxies.
    #[serde(deserialize_with = "value::list")]
    pub allow: Vec<IpPrefix>,
    /// Keys that are never banned.
    #[serde(deserialize_with = "value::list")]
    pub allow_keys: Vec<String>,
    /// Whether clients on the same machine can be banned.
    pub ban_loopback: bool,
    /// Whether requests with valid keys are also refused if their address is banned.
    pub ban_valid_keys: bool,
    /// Whether keys and tokens are banned for their own offences. If `false`, requests with a
    /// valid credential never lead to a ban.
    pub ban_principals: bool,
    /// Counts invalid images of callers without a valid credential, as
    /// `weights.invalid_image = 1` does. `ABUSE_THRESHOLD_ERRORS` sets it, because servers
    /// with that variable count them.
    pub count_invalid_images: bool,
    /// Only reports clients that would be banned.
    pub report_only: bool,
    /// Points per signal, which replace the defaults: `not_found = 1`.
    pub weights: BTreeMap<String, u32>,
}

/// The response to banned clients.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerConfig {
    /// 403.
    #[default]
    Forbidden,
    /// 429.
    TooManyRequests,
}

impl Default for AbuseConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: nonzero!(5),
            window_secs: nonzero!(30),
            ban_secs: 600,
            longest_ban_secs: 86_400,
            deny_list: None,
            answer: AnswerConfig::default(),
            allow: Vec::new(),
            allow_keys: Vec::new(),
            ban_loopback: false,
            ban_valid_keys: false,
            ban_principals: false,
            count_invalid_images: false,
            report_only: false,
            weights: BTreeMap::new(),
        }
    }
}

impl AbuseConfig {
    /// The ban policy; trusted proxies are never banned.
    ///
    /// # Errors
    /// When the threshold is too high or a weight names an unknown signal.
    pub fn policy(&self, client_ip: &ClientIpConfig) -> Result<AbusePolicy, ConfigError> {
        if self.threshold.get() > AbusePolicy::MAX_THRESHOLD {
            let text = format!("must be at most {}", AbusePolicy::MAX_THRESHOLD);
            return Err(
                ConfigError::setting("abuse.threshold", text).help("lower abuse.weights instead")
            );
        }
        let secs = |secs: u32| Duration::from_secs(secs.into());
        let policy = AbusePolicy::new()
            .threshold(self.threshold.get(), secs(self.window_secs.get()))
            .v6_length(client_ip.ipv6_prefix()?)
            .exempt(self.allow.iter().chain(&client_ip.trusted_proxies).copied())
            .exempt_keys(self.allow_keys.iter().map(String::as_str))
            .loopback_exempt(!self.ban_loopback)
            .report_only(self.report_only)
            .ban_principals(self.ban_principals)
            .response(match self.answer {
                AnswerConfig::Forbidden => BanResponse::Forbidden,
                AnswerConfig::TooManyRequests => BanResponse::TooManyRequests,
            });
        let policy = match self.ban_secs {
            0 => policy.permanent_bans(),
            first => policy.ban(secs(first), secs(self.longest_ban_secs)),
        };
        let policy = match self.count_invalid_images {
            true => policy.weight(Signal::InvalidImage, 1),
            false => policy,
        };
        self.weights
            .iter()
            .try_fold(policy, |policy, (name, points)| {
                let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name);
                let signal = signal.ok_or_else(|| {
                    let names = Signal::ALL.map(Signal::name).join(", ");
                    ConfigError::setting(
                        format!("abuse.weights.{name}"),
                        format!("unknown signal; the signals are {names}"),
                    )
                })?;
                Ok(policy.weight(signal, *points))
            })
    }
}
