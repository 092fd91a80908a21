//! One line of a deny-list.
//!
//! ```text
//! 192.168.1.100  # Blocked: 5 errors in 30s at 2025-11-03 10:30:00
//! key:team-core  # Blocked: by hand at 2025-11-03 10:30:00; until 2025-11-03T10:40:00Z
//! ```
//! Other programs treat the end of the ban as a part of the comment.

use std::{fmt::Write, net::IpAddr, sync::Arc};

use jiff::{civil::DateTime, tz::TimeZone};
use stockade_core::clock::Timestamp;

use crate::{Ban, LineProblem, Offender, OffenderError};

/// The maximum length of a line, in bytes.
const MAX_LINE: usize = 4_096;
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A parsed line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Ban(Ban),
    /// A comment or an empty line.
    Blank,
    Invalid(LineProblem),
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else {
            return Self::Invalid(LineProblem::NotUtf8);
        };
        let (subject, comment) = line.split_once('#').unwrap_or((line, ""));
        let subject = subject.trim();
        if line.len() > MAX_LINE {
            return Self::Invalid(LineProblem::TooLong);
        }
        if subject.is_empty() {
            return Self::Blank;
        }
        let offender = match subject.parse() {
            Ok(offender) => offender,
            Err(error) => return Self::Invalid(problem(subject, error)),
        };
        let (comment, until) = match comment.rsplit_once("; until ") {
            Some((comment, until)) => (comment, parse_timestamp(until.trim())),
            None => (comment, None),
        };
        let comment = comment.trim();
        let comment = comment.strip_prefix("Blocked:").unwrap_or(comment).trim();
        let (reason, since) = match comment.rsplit_once(" at ") {
            Some((reason, since)) if parse_time(since).is_some() => (reason, parse_time(since)),
            _ => (comment, None),
        };
        Self::Ban(Ban {
            offender,
            since: since.unwrap_or_default(),
            until,
            reason: readable(reason),
        })
    }
}

/// Returns the most helpful problem for an invalid client.
fn problem(subject: &str, error: OffenderError) -> LineProblem {
    let is_address = |text: &str| text.trim().parse::<IpAddr>().is_ok();
    if let Some((first, last)) = subject.split_once('-')
        && is_address(first)
        && is_address(last)
    {
        return LineProblem::Range;
    }
    if let Some((first, _)) = subject.split_once(char::is_whitespace)
        && first.parse::<Offender>().is_ok()
    {
        return LineProblem::Uncommented;
    }
    if let Some((address, length)) = subject.split_once('/')
        && let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.parse::<u32>())
        && length > if address.is_ipv4() { 32 } else { 128 }
    {
        return LineProblem::Prefix;
    }
    LineProblem::Offender(error)
}

/// Formats a ban as a line with its line end.
pub(super) fn write(ban: &Ban) -> String {
    let since = jiff(ban.since).strftime(TIME_FORMAT);
    let reason = readable(&ban.reason);
    let mut line = format!("{}  # Blocked: {reason} at {since}", ban.offender);
    if let Some(until) = ban.until {
        write!(line, "; until {}", jiff(until)).expect("writing to a string succeeds");
    }
    line.push('\n');
    line
}

/// Replaces line breaks and control characters in a reason, and limits its length.
fn readable(reason: &str) -> Arc<str> {
    let clean = reason.chars().map(|c| {
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            ' '
        } else {
            c
        }
    });
    clean.take(200).collect::<String>().trim().into()
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime(TIME_FORMAT, text.trim()).ok()?;
    timestamp(TimeZone::UTC.to_timestamp(civil).ok()?)
}

fn parse_timestamp(text: &str) -> Option<Timestamp> {
    timestamp(text.parse().ok()?)
}

fn timestamp(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_nanosecond())
        .ok()
        .map(Timestamp::from_nanos)
}

fn jiff(at: Timestamp) -> jiff::Timestamp {
    // The range of jiff is larger than that of `Timestamp`. Seconds are sufficient here.
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_lines_of_existing_files() {
        let Line::Ban(ban) =
            Line::parse(b"192.168.1.100  # Blocked: 5 errors in 30s at 2025-11-03 10:30:00")
        else {
            panic!("it is a ban");
        };
        assert_eq!(ban.offender.to_string(), "192.168.1.100");
        assert_eq!(&*ban.reason, "5 errors in 30s");
        assert_eq!(ban.since, Timestamp::from_secs(1_762_165_800));
        assert_eq!(ban.until, None);

        let Line::Ban(ban) =
            Line::parse("key:suspicious-client  # Blocked: invalid_image at \u{2026}".as_bytes())
        else {
            panic!("it is a ban");
        };
        assert_eq!(ban.offender.to_string(), "key:suspicious-client");
        for bare in ["10.0.0.0/8", "  2001:db8::/64  ", "::1#x", "1.2.3.4\r"] {
            assert!(
                matches!(Line::parse(bare.as_bytes()), Line::Ban(_)),
                "{bare}"
            );
        }
    }

    #[test]
    fn round_trips_bans() {
        for until in [None, Some(Timestamp::from_secs(1_762_166_400))] {
            let ban = Ban {
                offender: "2001:db8::/64".parse().unwrap(),
                since: Timestamp::from_secs(1_762_165_800),
                until,
                reason: "5 errors at once at 12".into(),
            };
            let line = write(&ban);
            assert_eq!(Line::parse(line.trim_end().as_bytes()), Line::Ban(ban));
        }
    }

    // D07, L01
    #[test]
    fn reason_stays_within_its_line() {
        let ban = Ban {
            offender: "192.0.2.1".parse().unwrap(),
            since: Timestamp::default(),
            until: None,
            reason: "a\n10.0.0.1 # b\r\u{1b}[31m".into(),
        };
        let line = write(&ban);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
    }

    // D07
    #[test]
    fn skips_blank_and_invalid_lines() {
        for line in ["", "  ", "# all", "\t# 10.0.0.1"] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Blank, "{line}");
        }
        let long = format!("192.0.2.1 # {}", "x".repeat(MAX_LINE));
        for line in [
            "0.0.0.0/0",
            "::/0",
            "1.2.3.4-1.2.3.1",
            "all",
            "1.2.3.4 5.6.7.8",
            &long,
        ] {
            assert!(
                matches!(Line::parse(line.as_bytes()), Line::Invalid(_)),
                "{line}"
            );
        }
    }

    // FS01
    #[test]
    fn reports_the_problem_of_an_invalid_line() {
        use LineProblem as P;
        let long = format!("192.0.2.1 # {}", "x".repeat(MAX_LINE));
        for (line, expected) in [
            (&b"203.0.113.10-203.0.113.20"[..], P::Range),
            (b"2001:db8::1 - 2001:db8::9", P::Range),
            (b"203.0.113.0/33", P::Prefix),
            (b"2001:db8::/129 # x", P::Prefix),
            (b"198.51.100.7   Blocked", P::Uncommented),
            (b"key:team by hand", P::Uncommented),
            (b"\xff\xfe1\0.\0", P::NotUtf8),
            (long.as_bytes(), P::TooLong),
        ] {
            assert_eq!(Line::parse(line), Line::Invalid(expected), "{expected}");
        }
        for line in [
            "10.0.0.300 # typo",
            "key bad",
            "nonsense",
            "0.0.0.0/0",
            "key:",
        ] {
            let Line::Invalid(P::Offender(_)) = Line::parse(line.as_bytes()) else {
                panic!("{line}");
            };
        }
    }
}
