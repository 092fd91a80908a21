//! Whose records are forgotten.

use std::net::IpAddr;

use clap::Args;
use stockade_audit::LogLine;

/// Principals and addresses.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct Subject {
    /// Forget the requests and actions of this principal, and events about it; repeat it for
    /// several
    #[arg(long = "user", value_name = "ID")]
    users: Vec<String>,
    /// Forget the requests from this address, and events about it; repeat it for several
    #[arg(long = "ip", value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
}

impl Subject {
    /// Whether a record names one of them.
    pub(super) fn matches(&self, line: &LogLine) -> bool {
        let is_address = |text: &Option<String>| {
            let address = text.as_deref().and_then(|text| text.parse().ok());
            address.is_some_and(|address| self.addresses.contains(&address))
        };
        self.users.iter().any(|user| line.names(user))
            || is_address(&line.ip)
            || is_address(&line.subject)
    }
}
