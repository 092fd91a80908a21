//! The choice of an upstream: a pure policy.
//!
//! tower's `balance::p2c` chooses among services that are ready, without weights, priorities or
//! "another one than before", and its readiness has no room for a queue that is fair between
//! keys; this policy needs all of them.

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) priority: u8,
    pub(super) weight: u32,
    /// Requests in progress and waiting.
    pub(super) load: usize,
    pub(super) room: Room,
    /// Whether this request has been there before.
    pub(super) tried: bool,
}

/// Whether an upstream could take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// At once.
    Free,
    /// After a wait.
    Queue,
    /// After a short pause that it has asked for.
    Paused,
    /// Its queue is full.
    Full,
    /// Unhealthy, paused for longer, or its breaker is open.
    Unavailable,
}

/// Chooses an upstream, or `None` if none is available. `random` returns a number below its
/// argument.
///
/// An upstream that was not tried is preferred to one that was, then one of a lower priority
/// number, then one with a free slot. Among equals, two are drawn by weight, and the one with the
/// lower load for its weight is chosen. Upstreams that are paused or have a full queue are chosen
/// last, so that a fallback takes what does not fit.
pub(super) fn pick(candidates: &[Candidate], mut random: impl FnMut(u64) -> u64) -> Option<usize> {
    let rank = |candidate: &Candidate| {
        let last = candidate.room.max(Room::Queue);
        (last, candidate.tried, candidate.priority, candidate.room)
    };
    let available = |candidate: &&Candidate| candidate.room != Room::Unavailable;
    let best = candidates.iter().filter(available).map(rank).min()?;
    let equal = |index: &usize| {
        let candidate = &candidates[*index];
        candidate.room != Room::Unavailable && rank(candidate) == best
    };
    let mut draw = |except: Option<usize>| {
        let equals = || {
            let all = (0..candidates.len()).filter(equal);
            all.filter(|index| Some(*index) != except)
        };
        let total: u64 = equals()
            .map(|index| u64::from(candidates[index].weight))
            .sum();
        if total == 0 {
            return None;
        }
        let mut point = random(total);
        equals().find(|index| {
            let weight = u64::from(candidates[*index].weight);
            let found = point < weight;
            point = point.saturating_sub(weight);
            found
        })
    };
    let first = draw(None)?;
    let Some(second) = draw(Some(first)) else {
        return Some(first);
    };
    let (one, two) = (&candidates[first], &candidates[second]);
    // Compares load / weight without a division.
    let busier =
        one.load as u128 * u128::from(two.weight) > two.load as u128 * u128::from(one.weight);
    Some(if busier { second } else { first })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const IDLE: Candidate = Candidate {
        priority: 0,
        weight: 1,
        load: 0,
        room: Room::Free,
        tried: false,
    };

    fn share_of_first(candidates: &[Candidate]) -> f64 {
        let mut random = StdRng::seed_from_u64(1);
        let picks = 10_000;
        let first = (0..picks)
            .filter(|_| pick(candidates, |limit| random.random_range(0..limit)) == Some(0))
            .count();
        first as f64 / f64::from(picks)
    }

    #[test]
    fn shares_idle_upstreams_by_weight() {
        let share = share_of_first(&[Candidate { weight: 3, ..IDLE }, IDLE]);
        assert!((share - 0.75).abs() < 0.02, "{share}");
    }

    #[test]
    fn prefers_the_lower_load_for_the_weight() {
        let heavy = Candidate {
            weight: 3,
            load: 4,
            ..IDLE
        };
        assert_eq!(share_of_first(&[heavy, Candidate { load: 2, ..IDLE }]), 1.0);
        assert_eq!(share_of_first(&[heavy, Candidate { load: 1, ..IDLE }]), 0.0);
    }

    #[test]
    fn follows_the_order_of_preference() {
        let random = |_| 0;
        let fallback = Candidate {
            priority: 1,
            ..IDLE
        };
        let with = |room| Candidate { room, ..IDLE };
        for (first, second, expected, why) in [
            (fallback, IDLE, 1, "the first priority"),
            (
                fallback,
                with(Room::Queue),
                1,
                "a queue is no reason for a fallback",
            ),
            (with(Room::Full), fallback, 1, "a full queue is"),
            (with(Room::Paused), fallback, 1, "a pause is"),
            (
                with(Room::Full),
                with(Room::Paused),
                1,
                "a pause rather than a refusal",
            ),
            (with(Room::Unavailable), fallback, 1, "an open breaker is"),
            (
                Candidate {
                    tried: true,
                    ..IDLE
                },
                fallback,
                1,
                "another one for a retry",
            ),
            (
                with(Room::Queue),
                Candidate { load: 9, ..IDLE },
                1,
                "a free slot",
            ),
            (
                with(Room::Full),
                with(Room::Unavailable),
                0,
                "a full queue if there is no other",
            ),
        ] {
            assert_eq!(pick(&[first, second], random), Some(expected), "{why}");
        }
        assert_eq!(pick(&[with(Room::Unavailable)], random), None);
        assert_eq!(pick(&[], random), None);
    }

    fn candidate() -> impl Strategy<Value = Candidate> {
        let rooms = prop_oneof![
            Just(Room::Free),
            Just(Room::Queue),
            Just(Room::Paused),
            Just(Room::Full),
            Just(Room::Unavailable)
        ];
        (0u8..3, 1u32..10, 0usize..20, rooms, any::<bool>()).prop_map(
            |(priority, weight, load, room, tried)| Candidate {
                priority,
                weight,
                load,
                room,
                tried,
            },
        )
    }

    proptest! {
        #[test]
        fn picks_an_available_upstream_if_there_is_one(
            candidates in prop::collection::vec(candidate(), 0..8),
            seed in any::<u64>(),
        ) {
            let mut random = StdRng::seed_from_u64(seed);
            let picked = pick(&candidates, |limit| random.random_range(0..limit));
            let available = candidates.iter().any(|one| one.room != Room::Unavailable);
            prop_assert_eq!(picked.is_some(), available);
            if let Some(picked) = picked {
                prop_assert_ne!(candidates[picked].room, Room::Unavailable);
            }
        }
    }
}
