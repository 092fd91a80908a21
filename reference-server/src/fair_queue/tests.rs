use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn weighted(key: char, weight: u32) -> Share<char> {
    let weight = NonZeroU32::new(weight).unwrap();
    Share { key, weight }
}

fn push<T>(queue: &mut FairQueue<char, T>, key: char, item: T) -> Place<char>
where
    T: std::fmt::Debug,
{
    queue.push(Share::new(key), SECOND, item).unwrap().0
}

/// Serves all items.
fn served<T>(queue: &mut FairQueue<char, T>) -> Vec<T> {
    std::iter::from_fn(|| queue.pop()).collect()
}

// FC07
#[test]
fn an_item_waits_for_at_most_one_of_a_busy_key() {
    let mut queue = FairQueue::new(100);
    for item in 0..60 {
        push(&mut queue, 'a', ('a', item));
    }
    assert_eq!(queue.pop(), Some(('a', 0)));
    push(&mut queue, 'b', ('b', 0));
    assert_eq!(queue.peek(), Some(&('b', 0)));
    assert_eq!(queue.pop(), Some(('b', 0)));
    assert_eq!(queue.pop(), Some(('a', 1)));
}

#[test]
fn serves_keys_in_turns_and_their_items_in_order() {
    let mut queue = FairQueue::new(9);
    for (key, item) in [('a', 1), ('a', 2), ('a', 3), ('b', 1), ('c', 1), ('c', 2)] {
        push(&mut queue, key, (key, item));
    }
    let expected = [('a', 1), ('b', 1), ('c', 1), ('a', 2), ('c', 2), ('a', 3)];
    assert_eq!(served(&mut queue), expected);
}

#[test]
fn serves_more_items_of_a_key_with_cheap_ones() {
    let mut queue = FairQueue::new(20);
    for _ in 0..2 {
        queue.push(Share::new('a'), 3 * SECOND, 'a').unwrap();
    }
    for _ in 0..6 {
        push(&mut queue, 'b', 'b');
    }
    assert_eq!(String::from_iter(served(&mut queue)), "abbbabbb");
}

#[test]
fn serves_keys_in_proportion_to_their_weights() {
    let mut queue = FairQueue::new(100);
    for _ in 0..30 {
        queue.push(weighted('a', 1), SECOND, 'a').unwrap();
        queue.push(weighted('b', 3), SECOND, 'b').unwrap();
    }
    let first: String = (0..24).filter_map(|_| queue.pop()).collect();
    assert_eq!(first.matches('a').count(), 6, "{first}");
}

#[test]
fn work_that_did_not_wait_counts() {
    let mut queue = FairQueue::new(9);
    queue.charge(Share::new('a'), 10 * SECOND);
    push(&mut queue, 'a', 'a');
    push(&mut queue, 'b', 'b');
    assert_eq!(queue.pop(), Some('b'));
}

#[test]
fn corrects_a_wrong_estimate() {
    let mut queue = FairQueue::new(9);
    for key in ['a', 'a', 'b', 'b'] {
        push(&mut queue, key, key);
    }
    assert_eq!((queue.pop(), queue.pop()), (Some('a'), Some('b')));
    // It took longer than estimated.
    queue.correct(Share::new('a'), SECOND, 9 * SECOND);
    assert_eq!((queue.pop(), queue.pop()), (Some('b'), Some('a')));
    // The work of both is in the past.
    queue.correct(Share::new('b'), SECOND, 20 * SECOND);
    push(&mut queue, 'b', 'b');
    push(&mut queue, 'a', 'a');
    assert_eq!(queue.pop(), Some('a'));
    // It took less.
    queue.correct(Share::new('b'), 20 * SECOND, Duration::ZERO);
    push(&mut queue, 'a', 'a');
    assert_eq!(queue.pop(), Some('b'));
}

#[test]
fn an_idle_key_saves_no_time_up() {
    let mut queue = FairQueue::new(90);
    push(&mut queue, 'b', 'b');
    queue.pop();
    for _ in 0..20 {
        push(&mut queue, 'a', 'a');
    }
    let before: String = (0..10).filter_map(|_| queue.pop()).collect();
    assert_eq!(before, "aaaaaaaaaa");
    for _ in 0..3 {
        push(&mut queue, 'b', 'b');
    }
    // In turns: not three of `b` for the ten that it has missed.
    let next: String = (0..5).filter_map(|_| queue.pop()).collect();
    assert!(["babab", "ababa"].contains(&next.as_str()), "{next}");
}

#[test]
fn forgets_work_when_the_server_is_idle() {
    let mut queue = FairQueue::new(9);
    queue.charge(Share::new('a'), 10 * SECOND);
    queue.forget_work();
    push(&mut queue, 'a', 'a');
    push(&mut queue, 'b', 'b');
    queue.forget_work();
    assert_eq!(queue.pop(), Some('a'));
}

#[test]
fn gives_a_place_to_a_key_with_few_items_when_full() {
    let mut queue = FairQueue::new(4);
    for item in 0..4 {
        assert!(!queue.is_full_for('a'));
        push(&mut queue, 'a', ('a', item));
    }
    assert!(queue.is_full_for('a'));
    let refused = queue.push(Share::new('a'), SECOND, ('a', 4));
    assert_eq!(refused.unwrap_err(), ('a', 4));
    assert!(!queue.is_full_for('b'));
    let (_, displaced) = queue.push(Share::new('b'), SECOND, ('b', 0)).unwrap();
    assert_eq!(displaced, Some(('a', 3)), "the newest of the longest");
    let (_, displaced) = queue.push(Share::new('b'), SECOND, ('b', 1)).unwrap();
    assert_eq!(displaced, Some(('a', 2)));
    let refused = queue.push(Share::new('b'), SECOND, ('b', 2));
    assert!(refused.is_err(), "both have the same number");
    assert_eq!(queue.len(), 4);
}

#[test]
fn frees_the_place_of_a_removed_item() {
    let mut queue = FairQueue::new(2);
    let first = push(&mut queue, 'a', 1);
    push(&mut queue, 'a', 2);
    assert_eq!(queue.remove(&first), Some(1));
    assert_eq!(queue.remove(&first), None);
    push(&mut queue, 'a', 3);
    assert_eq!(served(&mut queue), [2, 3]);
    assert_eq!(queue.remove(&first), None);
}

#[test]
fn holds_nothing_without_capacity() {
    let mut queue = FairQueue::new(0);
    assert!(queue.push(Share::new('a'), SECOND, 1).is_err());
}

#[test]
fn remembers_a_bounded_number_of_keys() {
    let mut queue = FairQueue::<usize, ()>::new(1);
    for key in 0..5_000 {
        queue.correct(Share::new(key), Duration::ZERO, SECOND);
    }
    assert_eq!(queue.flows.len(), MAX_IDLE_KEYS);
}

proptest! {
    #[test]
    fn stays_bounded_and_loses_no_item(
        events in prop::collection::vec((0u8..6, 0u8..4, 1u32..4, 0u64..9), 0..300),
        capacity in 0usize..12,
    ) {
        let mut queue = FairQueue::new(capacity);
        let (mut places, mut added, mut gone) = (Vec::new(), 0, 0);
        for (event, key, weight, seconds) in events {
            let share = Share { key, weight: NonZeroU32::new(weight).unwrap() };
            let cost = Duration::from_secs(seconds);
            match event {
                0 | 1 => {
                    let full = queue.is_full_for(key);
                    let pushed = queue.push(share, cost, added);
                    prop_assert_eq!(pushed.is_err(), full);
                    if let Ok((place, displaced)) = pushed {
                        added += 1;
                        gone += usize::from(displaced.is_some());
                        places.push(place);
                    }
                }
                2 => {
                    let next = queue.peek().copied();
                    let popped = queue.pop();
                    prop_assert_eq!(popped, next);
                    gone += usize::from(popped.is_some());
                }
                3 => queue.correct(share, SECOND, cost),
                4 => queue.charge(share, cost),
                _ => if let Some(place) = places.pop() {
                    gone += usize::from(queue.remove(&place).is_some());
                },
            }
            prop_assert!(queue.len() <= capacity);
            prop_assert_eq!(queue.len(), added - gone);
            prop_assert_eq!(queue.iter().count(), queue.len());
            prop_assert_eq!(queue.turns.len() + queue.idle.len(), queue.flows.len());
        }
        let left = queue.len();
        prop_assert_eq!(queue.drain().count(), left);
        prop_assert_eq!(queue.len(), 0);
        prop_assert!(queue.pop().is_none());
    }

    #[test]
    fn serves_each_key_within_one_round(lengths in prop::collection::vec(1usize..20, 1..8)) {
        let mut queue = FairQueue::new(200);
        for (key, length) in lengths.iter().enumerate() {
            for _ in 0..*length {
                queue.push(Share::new(key), SECOND, key).unwrap();
            }
        }
        let mut first_round: Vec<_> = (0..lengths.len()).filter_map(|_| queue.pop()).collect();
        first_round.sort_unstable();
        prop_assert_eq!(first_round, (0..lengths.len()).collect::<Vec<_>>());
    }

    /// While two keys always have items, their work differs by at most one item of each.
    #[test]
    fn backlogged_keys_get_equal_work(costs in prop::collection::vec((1u64..9, 1u64..9), 50)) {
        let mut queue = FairQueue::new(100);
        for (a, b) in costs {
            queue.push(Share::new('a'), Duration::from_secs(a), ('a', a)).unwrap();
            queue.push(Share::new('b'), Duration::from_secs(b), ('b', b)).unwrap();
        }
        let mut work = HashMap::from([('a', 0), ('b', 0)]);
        for _ in 0..50 {
            let (key, cost) = queue.pop().unwrap();
            *work.get_mut(&key).unwrap() += cost;
            prop_assert!(work[&'a'].abs_diff(work[&'b']) <= 16);
        }
    }
}
