//! `stockade keys verify`.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;
use http::{HeaderName, Request};
use serde::Serialize;
use stockade_core::{
    client::ClientIp,
    clock::Timestamp,
    guard::{Check, Guard, Head},
    refusal::Refusal,
};
use stockade_key_auth::{CredentialSource, KeyAuth, KeyHash, KeyRecord, Pepper};

use super::{
    key_view::KeyView,
    location::{IfMissing, Store, StoreLocation},
    now,
};
use crate::{
    CliError, Outcome,
    output::{self, ERROR, SUCCESS, plural},
    secret,
    time::Rfc3339,
};

/// The context in which the key is used.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The key is read from a prompt without echo, or from standard input; it is never an argument.
The check is the one that servers run. Exit codes: 0 valid, 1 invalid, 2 usage error.

Examples:
  stockade keys verify
  stockade keys verify --from 10.1.2.3 < key.txt")]
pub(crate) struct VerifyArgs {
    /// The client address, for keys that are bound to networks
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The pepper, for keys that are hashed with one
    #[arg(long, value_name = "FILE")]
    pepper_file: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// The header that carries the key to the guard; any name works.
const HEADER: HeaderName = HeaderName::from_static("x-api-key");

impl VerifyArgs {
    pub(crate) async fn run(self, location: &StoreLocation) -> Result<Outcome, CliError> {
        let pepper = self
            .pepper_file
            .as_deref()
            .map(secret::read_pepper)
            .transpose()?;
        let store = location.open(IfMissing::Fail).await?;
        let key = secret::prompt_or_stdin("Key")?;
        let refusal = self.run_guard(&store, &key, pepper.as_ref()).await?;
        let records = store.list().await?;
        let matched = match refusal.as_ref().map(Refusal::internal_reason) {
            // No record matches, and slow hashes need not be computed again.
            Some("unknown" | "checksum" | "malformed" | "token") => None,
            _ => records
                .iter()
                .find_map(|record| find_match(record, &key, pepper.as_ref())),
        };
        let now = now();
        let reason =
            refusal.map(|refusal| reason(&refusal, matched.as_ref(), &records, &pepper, now));
        self.report(
            matched.map(|matched| matched.record),
            reason.as_deref(),
            now,
        )?;
        Ok(match reason {
            None => Outcome::Success,
            Some(_) => Outcome::Negative,
        })
    }

    /// Runs the guard on a request with the key, so that the result equals that of a server.
    async fn run_guard(
        &self,
        store: &Store,
        key: &str,
        pepper: Option<&Pepper>,
    ) -> Result<Option<Refusal>, CliError> {
        let mut guard = KeyAuth::new(store.keys()).sources([CredentialSource::Header(HEADER)]);
        if let Some(pepper) = pepper {
            guard = guard.pepper(pepper.clone());
        }
        Ok(match guard.check(&self.head(key)?) {
            Check::Pass(_) | Check::Answer(_) => None,
            Check::Refuse(refusal) => Some(refusal),
            Check::Wait(wait) => wait.await.err(),
        })
    }

    fn head(&self, key: &str) -> Result<Head, CliError> {
        let request = Request::builder().header(HEADER, key).body(());
        let request = request.map_err(|_| {
            CliError::usage("the key contains characters that are not allowed in a header")
        })?;
        let head = Head::new(request.into_parts().0);
        if let Some(address) = self.from {
            let client = ClientIp::Ip(address.to_canonical());
            head.context().set_client(client);
        }
        Ok(head)
    }

    fn report(
        &self,
        record: Option<&KeyRecord>,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), CliError> {
        if self.json {
            return Ok(output::print_json(&Json {
                valid: reason.is_none(),
                reason,
                record: record.map(|record| KeyView::new(record, now)),
            })?);
        }
        let id = match record {
            Some(record) => format!("key {}", record.id),
            None => "unknown key".to_owned(),
        };
        match reason {
            None => output::print(format_args!("{SUCCESS}valid{SUCCESS:#}: {id}"))?,
            Some(reason) => output::print(format_args!("{ERROR}invalid{ERROR:#}: {id}: {reason}"))?,
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Json<'a> {
    valid: bool,
    reason: Option<&'a str>,
    record: Option<KeyView<'a>>,
}

/// The record that matches a key.
struct Match<'r> {
    record: &'r KeyRecord,
    /// The end of the grace period, if the secret was replaced by a rotation.
    replaced: Option<Timestamp>,
}

fn find_match<'r>(record: &'r KeyRecord, key: &str, pepper: Option<&Pepper>) -> Option<Match<'r>> {
    let key = key.as_bytes();
    let peppered = pepper.map(|pepper| KeyHash::peppered(pepper.digest(key)));
    let is = |hash: &KeyHash| hash.verify(key).unwrap_or(Some(hash) == peppered.as_ref());
    let replaced = match &record.previous {
        _ if is(&record.hash) => None,
        Some(previous) if is(&previous.hash) => Some(previous.until),
        _ => return None,
    };
    Some(Match { record, replaced })
}

/// Why the guard refused the key, and what to do about it.
fn reason(
    refusal: &Refusal,
    matched: Option<&Match<'_>>,
    records: &[KeyRecord],
    pepper: &Option<Pepper>,
    now: Timestamp,
) -> String {
    let peppered = |record: &&KeyRecord| record.hash.algorithm() == "hmac-sha256";
    match (refusal.internal_reason(), matched) {
        ("revoked", Some(Match { record, .. })) => match record.revoked {
            Some(at) => format!("revoked at {}", Rfc3339(at)),
            None => "revoked".to_owned(),
        },
        ("expired", Some(matched)) => match (matched.record.expires, matched.replaced) {
            (Some(at), _) if at <= now => format!("expired at {}", Rfc3339(at)),
            (_, Some(at)) => format!(
                "rotated; the grace period of this secret ended at {}",
                Rfc3339(at)
            ),
            _ => "expired".to_owned(),
        },
        ("network", _) => "not allowed from this address".to_owned(),
        (cause, Some(_)) if cause.starts_with("no request context") => {
            "bound to networks; give the client address with --from".to_owned()
        }
        ("checksum", _) => "its checksum is wrong: it was mistyped or truncated".to_owned(),
        ("malformed", _) => "a key consists of visible ASCII without commas".to_owned(),
        ("token", _) => "this is a token; use `stockade token inspect`".to_owned(),
        ("unknown", _) => match records.iter().filter(peppered).count() {
            count if count > 0 && pepper.is_none() => format!(
                "not in the store, or one of {} with a pepper; name the pepper with \
                 --pepper-file",
                plural(count as u64, "key")
            ),
            _ => "not in the store".to_owned(),
        },
        _ => refusal.message().to_owned(),
    }
}
