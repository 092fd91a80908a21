use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn parses_quotas() {
    let minute = Quota::per_minute(60);
    for (text, quota) in [
        ("60/minute", minute),
        ("60/min", minute),
        ("60/m", minute),
        ("60 / minute", minute),
        (" 60 per minute ", minute),
        ("60/1m", minute),
        ("60/60s", minute),
        ("60/60000ms", minute),
        ("60/minute burst 10", minute.burst(10)),
        ("1000/h", Quota::per_hour(1_000)),
        ("100 per hour", Quota::per_hour(100)),
        ("7/second", Quota::per_second(7)),
        ("5/30s", Quota::new(5, 30_000 * MS).unwrap()),
        ("5 per 30 seconds", Quota::new(5, 30_000 * MS).unwrap()),
        ("10000/day", Quota::per_day(10_000)),
        ("1/7d", Quota::new(1, 7 * 86_400_000 * MS).unwrap()),
        ("100 in any 60s", Quota::sliding(100, 60_000 * MS).unwrap()),
        (
            "100 in any minute",
            Quota::sliding(100, 60_000 * MS).unwrap(),
        ),
    ] {
        assert_eq!(text.parse(), Ok(quota), "{text}");
    }
}

#[test]
fn displays_quotas() {
    for text in [
        "60/minute",
        "60/minute burst 10",
        "5/30s",
        "7/second",
        "1/90m",
        "3/36h",
        "1/2d",
        "9/1500ms",
        "100 in any 45s",
        "100 in any day",
    ] {
        assert_eq!(text.parse::<Quota>().unwrap().to_string(), text);
    }
}

// R08
#[test]
fn rejects_invalid_quotas() {
    use QuotaErrorKind as Kind;
    for (text, kind) in [
        ("", Kind::Text),
        ("60", Kind::Text),
        ("60/", Kind::Text),
        ("60/fortnight", Kind::Text),
        ("-1/minute", Kind::Text),
        ("1e-9/s", Kind::Text),
        ("0.5/s", Kind::Text),
        ("+5/s", Kind::Text),
        ("60/minute burst", Kind::Text),
        ("60/minute burst x", Kind::Text),
        ("60/minute bursts 5", Kind::Text),
        ("18446744073709551615/s", Kind::Rate),
        ("1/18446744073709551615s", Kind::LongPeriod),
        ("60/minute burst 18446744073709551615", Kind::Fill),
        ("18446744073709551616/s", Kind::Text),
        ("0/minute", Kind::NoCount),
        ("60/minute burst 0", Kind::NoBurst),
        ("60/0s", Kind::ShortPeriod),
        // Once in thirty-one years.
        ("1/1000000000s", Kind::LongPeriod),
        ("1/4294967295d", Kind::LongPeriod),
        ("4294967295/s", Kind::Rate),
        ("100000001/s", Kind::Rate),
        ("1/day burst 367", Kind::Fill),
        ("1/day burst 4294967295", Kind::Fill),
        ("1048576 in any day", Kind::SlidingCount),
        ("0 in any day", Kind::NoCount),
    ] {
        let error = text.parse::<Quota>().unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error}");
    }
    let sliding = Quota::sliding(5, 1_000 * MS).unwrap();
    assert_eq!(sliding.try_burst(2).unwrap_err().kind(), Kind::SlidingBurst);
    let odd = Quota::new(1, Duration::from_micros(1_500)).unwrap_err();
    assert_eq!(odd.kind(), Kind::ShortPeriod);
}

#[test]
fn accepts_the_extreme_quotas() {
    for quota in [
        Quota::per_second(Quota::MAX_PER_SECOND),
        Quota::per_minute(u32::MAX),
        Quota::per_day(u32::MAX),
        Quota::per_day(1).burst(366),
        Quota::new(1, Quota::MAX_PERIOD).unwrap(),
        Quota::new(1, MS).unwrap(),
    ] {
        assert_eq!(quota.to_string().parse(), Ok(quota));
    }
}

#[test]
#[should_panic(expected = "the count of a quota must be at least 1")]
fn a_constant_with_count_zero_panics() {
    let _ = Quota::per_minute(0);
}

#[test]
fn an_overridden_count_caps_the_burst() {
    let own = |text: &str, count| {
        let quota: Quota = text.parse().unwrap();
        quota
            .with_count(NonZeroU32::new(count).unwrap())
            .to_string()
    };
    assert_eq!(own("60/minute", 600), "600/minute");
    assert_eq!(own("60/minute burst 10", 600), "600/minute burst 10");
    assert_eq!(own("60/minute burst 10", 5), "5/minute");
    assert_eq!(own("60/minute burst 100", 5), "5/minute");
    assert_eq!(own("60 in any minute", 600), "600 in any minute");
    assert_eq!(own("60/minute", u32::MAX), "4294967295/minute");
    assert_eq!(own("60 in any day", u32::MAX), "1048575 in any day");
}

fn quotas() -> impl Strategy<Value = Quota> {
    let period = prop_oneof![1..100_000u64, Just(86_400_000), 1..=31_622_400_000u64];
    (1..=u32::MAX, period, 1..=u32::MAX, any::<bool>()).prop_filter_map(
        "not all are quotas",
        |(count, millis, burst, sliding)| {
            let period = Duration::from_millis(millis);
            if sliding {
                Quota::sliding(count % Quota::MAX_SLIDING, period).ok()
            } else {
                let quota = Quota::new(count, period).ok()?;
                Some(quota.try_burst(burst).unwrap_or(quota))
            }
        },
    )
}

proptest! {
    #[test]
    fn a_displayed_quota_parses_to_itself(quota in quotas()) {
        prop_assert_eq!(quota.to_string().parse(), Ok(quota));
    }

    #[test]
    fn parsing_does_not_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<Quota>();
    }

    #[test]
    fn a_share_of_a_quota_is_a_quota_and_not_larger(
        quota in quotas(),
        fraction in 1e-9..=1.0f64,
    ) {
        let part = quota.scaled(fraction);
        prop_assert!(part.count() <= quota.count() && part.max_burst() <= quota.max_burst());
        prop_assert!(part.count() >= 1 && part.max_burst() >= 1);
    }
}
