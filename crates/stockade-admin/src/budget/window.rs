//! The windows of budgets, by the calendar in UTC.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::Offset,
};

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BudgetPeriod {
    /// From midnight.
    Day,
    /// From Monday (ISO 8601).
    Week,
    /// From the first day of the month.
    Month,
}

/// The window that contains a time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: i64,
    /// The start of the next window.
    pub(super) end: i64,
}

impl BudgetPeriod {
    pub(crate) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.name() == name)
    }

    /// The window that contains this time.
    pub(super) fn window(self, now: i64) -> Window {
        self.checked(now).unwrap_or(Window {
            start: 0,
            end: i64::MAX,
        })
    }

    /// `None` for times that the calendar does not have, thousands of years from now.
    fn checked(self, now: i64) -> Option<Window> {
        let now = Timestamp::from_millisecond(now).ok()?;
        let today = Offset::UTC.to_datetime(now).date();
        let (first, length) = match self {
            Self::Day => (today, 1.day()),
            Self::Week => {
                let since_monday = i64::from(today.weekday().since(Weekday::Monday));
                (today.checked_sub(since_monday.days()).ok()?, 1.week())
            }
            Self::Month => (today.first_of_month(), 1.month()),
        };
        Some(Window {
            start: midnight(first)?,
            end: midnight(first.checked_add(length).ok()?)?,
        })
    }
}

fn midnight(date: Date) -> Option<i64> {
    let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    Some(midnight.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{parse, rfc3339};

    fn window(period: BudgetPeriod, now: &str) -> [String; 2] {
        let window = period.window(parse(now).unwrap());
        [window.start, window.end].map(rfc3339)
    }

    #[test]
    fn follows_the_calendar() {
        use BudgetPeriod::{Day, Month, Week};

        for (period, now, start, end) in [
            (Day, "2026-11-29T23:59:59.999Z", "2026-11-29", "2026-11-30"),
            (Day, "2026-11-30T00:00:00Z", "2026-11-30", "2026-12-01"),
            // A Sunday and a Monday.
            (Week, "2026-11-29T12:00:00Z", "2026-11-23", "2026-11-30"),
            (Week, "2026-11-30T00:00:00Z", "2026-11-30", "2026-12-07"),
            (Month, "2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01"),
            (Month, "2026-12-31T23:00:00Z", "2026-12-01", "2027-01-01"),
        ] {
            let expected = [start, end].map(|day| format!("{day}T00:00:00Z"));
            assert_eq!(window(period, now), expected, "{period:?} {now}");
        }
    }
}
