//! The format of a ban in Redis: `SINCE UNTIL REASON`, in nanoseconds since 1970.

use stockade_abuse::{Ban, BanChange, Offender};
use stockade_core::clock::Timestamp;

/// A permanent ban.
const NEVER: &str = "-";

pub(super) fn write(ban: &Ban) -> String {
    let until = match ban.until {
        Some(until) => until.as_nanos().to_string(),
        None => NEVER.to_owned(),
    };
    format!("{} {until} {}", ban.since.as_nanos(), ban.reason)
}

pub(super) fn read(who: &str, ban: &str) -> Option<Ban> {
    let (since, rest) = ban.split_once(' ')?;
    let (until, reason) = rest.split_once(' ')?;
    Some(Ban {
        offender: who.parse().ok()?,
        since: Timestamp::from_nanos(since.parse().ok()?),
        until: match until {
            NEVER => None,
            until => Some(Timestamp::from_nanos(until.parse().ok()?)),
        },
        reason: reason.into(),
    })
}

/// An entry of the log; without a ban, it lifts one.
pub(super) fn read_change(who: &str, ban: &str) -> Option<BanChange> {
    match ban {
        "" => who.parse().ok().map(BanChange::Unbanned),
        ban => read(who, ban).map(BanChange::Banned),
    }
}

pub(super) fn offender(change: &BanChange) -> &Offender {
    match change {
        BanChange::Banned(ban) => &ban.offender,
        BanChange::Unbanned(offender) => offender,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_its_own_format() {
        let at = Timestamp::from_secs;
        for until in [None, Some(at(2_000_000_000))] {
            let ban = Ban {
                offender: "2001:db8::/64".parse().unwrap(),
                since: at(1_900_000_000),
                until,
                reason: "5 errors in 30s".into(),
            };
            assert_eq!(read("2001:db8::/64", &write(&ban)), Some(ban));
        }
        for text in ["", "1", "1 2", "x 2 reason", "1 x reason", "-1 2 reason"] {
            assert_eq!(read("192.0.2.1", text), None, "{text:?}");
        }
        assert_eq!(read("0.0.0.0/0", "1 2 everybody"), None);
    }
}
