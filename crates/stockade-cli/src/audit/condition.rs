//! One thing that is asked of a record.

use std::{net::IpAddr, str::FromStr};

use stockade_audit::LogLine;
use stockade_core::IpPrefix;

/// A field, and what its value should be: `status=4xx`.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) field: Field,
    pub(super) value: Wanted,
}

/// The fields that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Status,
    Text(&'static str),
    Ip,
}

/// What a value should be.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Numbers from one to another.
    Between(u16, u16),
    Network(IpPrefix),
    Text(String),
    /// What begins so.
    Prefix(String),
}

/// Fields that are texts, by their names in a record.
const TEXTS: &[&str] = &[
    "level",
    "message",
    "event",
    "request_id",
    "method",
    "path",
    "route",
    "user",
    "outcome",
    "guard",
    "code",
    "reason",
    "model",
    "subject",
];

impl Condition {
    /// A condition on a field of this name.
    pub(super) fn new(field: &str, value: &str) -> Result<Self, String> {
        let field = match field {
            "status" => Field::Status,
            "ip" => Field::Ip,
            name => match TEXTS.iter().find(|text| **text == name) {
                Some(name) => Field::Text(name),
                None => {
                    let known = TEXTS.join(", ");
                    return Err(format!(
                        "there is no field `{name}`; there are status, ip, {known}"
                    ));
                }
            },
        };
        let value = match field {
            Field::Status => statuses(value)
                .ok_or_else(|| "a status is written like `404`, `4xx` or `500-504`".to_owned())?,
            Field::Ip => match value.parse() {
                Ok(network) => Wanted::Network(network),
                // A socket has no address.
                Err(_) if value == "unix" => Wanted::Text(value.to_owned()),
                Err(error) => return Err(error.to_string()),
            },
            Field::Text(_) => match value.strip_suffix('*') {
                Some(prefix) => Wanted::Prefix(prefix.to_owned()),
                None => Wanted::Text(value.to_owned()),
            },
        };
        Ok(Self { field, value })
    }

    pub(super) fn is_met_by(&self, record: &LogLine) -> bool {
        let text = match self.field {
            Field::Status => None,
            Field::Ip => record.ip.as_deref(),
            Field::Text(name) => text(record, name),
        };
        match &self.value {
            Wanted::Between(from, to) => record
                .status
                .is_some_and(|status| (*from..=*to).contains(&status)),
            Wanted::Network(network) => text
                .and_then(address)
                .is_some_and(|ip| network.contains(ip)),
            Wanted::Text(wanted) => text == Some(wanted),
            Wanted::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
        }
    }
}

/// `404`, `4xx`, `500-504`.
fn statuses(text: &str) -> Option<Wanted> {
    let status = |text: &str| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (100..1_000).contains(number));
        number.filter(|_| text.len() == 3)
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        return Some(Wanted::Between(class * 100, class * 100 + 99));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Some(Wanted::Between(status(from)?, status(to)?))
}

/// The address of a client, or of the network that stands for many.
fn address(text: &str) -> Option<IpAddr> {
    let network: IpPrefix = text.parse().ok()?;
    Some(network.address())
}

fn text<'r>(record: &'r LogLine, name: &str) -> Option<&'r str> {
    let field = match name {
        "level" => return Some(&record.level),
        "message" => return Some(&record.message),
        "event" => &record.event,
        "request_id" => &record.request_id,
        "method" => &record.method,
        "path" => &record.path,
        "route" => &record.route,
        "user" => &record.user,
        "outcome" => &record.outcome,
        "guard" => &record.guard,
        "code" => &record.code,
        "reason" => &record.reason,
        "model" => &record.model,
        "subject" => &record.subject,
        _ => return None,
    };
    field.as_deref()
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (field, value) = text
            .split_once('=')
            .ok_or("it is no filter; write it like `status=4xx` or `guard=rate_limit`")?;
        Self::new(field, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LogLine {
        r#"{"timestamp":"2026-01-31T12:00:00.000000Z","level":"warn","message":"request refused",
            "seq":7,"status":404,"ip":"203.0.113.7","user":"team-core","route":"/v1/models/{id}"}"#
            .parse()
            .unwrap()
    }

    #[test]
    fn asks_as_people_write() {
        for (filter, met) in [
            ("status=404", true),
            ("status=4xx", true),
            ("status=400-499", true),
            ("status=5xx", false),
            ("ip=203.0.113.7", true),
            ("ip=203.0.113.0/24", true),
            ("ip=::ffff:203.0.113.7", true),
            ("ip=203.0.114.0/24", false),
            ("user=team-core", true),
            ("user=team", false),
            ("user=team*", true),
            ("route=/v1/models/{id}", true),
            ("level=warn", true),
            ("guard=scope", false),
        ] {
            let condition: Condition = filter.parse().unwrap();
            assert_eq!(condition.is_met_by(&record()), met, "{filter}");
        }
    }

    #[test]
    fn names_every_field_that_it_knows() {
        for name in TEXTS {
            let line =
                format!(r#"{{"timestamp":"t","level":"l","message":"m","seq":1,"{name}":"x"}}"#);
            let line = line
                .replace(
                    r#""level":"l","#,
                    if *name == "level" {
                        ""
                    } else {
                        r#""level":"l","#
                    },
                )
                .replace(
                    r#""message":"m","#,
                    if *name == "message" {
                        ""
                    } else {
                        r#""message":"m","#
                    },
                );
            let condition = Condition::new(name, "x").unwrap();
            assert!(condition.is_met_by(&line.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for filter in [
            "status",
            "status=",
            "status=44",
            "status=4x",
            "status=xx",
            "status=+44",
            "ip=here",
            "stauts=404",
            "=",
        ] {
            assert!(filter.parse::<Condition>().is_err(), "{filter}");
        }
    }
}
