use futures_util::FutureExt;
use stockade_testkit::poll::until_async;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits(running: usize, queued: usize) -> QueueLimits {
    QueueLimits {
        running,
        queued,
        wait: 60 * SECOND,
        cost: None,
        client_cost: None,
        stuck_after: 60 * SECOND,
    }
}

fn admission(limits: QueueLimits) -> Arc<Admission> {
    Arc::new(Admission::new(limits, EngineMetrics::new("test")))
}

/// A request of a client for a number of slots, of this many seconds.
fn demand(client: u64, slots: usize, seconds: u64) -> Demand {
    Demand {
        share: Share::new(client),
        slots,
        estimate: Estimate {
            reading: Duration::ZERO,
            writing: Duration::from_secs(seconds),
        },
    }
}

fn load(admission: &Arc<Admission>) -> (usize, usize) {
    let load = admission.load();
    (load.running, load.waiting)
}

/// The `Retry-After` of a request that is refused at once.
fn retry_after(admission: &Arc<Admission>, demand: Demand) -> u64 {
    let refused = admission.enter(demand).now_or_never();
    match refused.expect("the queue is full").unwrap_err() {
        BackendError::QueueFull { retry_after } => retry_after.as_secs(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refuses_immediately_when_slots_and_queue_are_full() {
    let admission = admission(limits(1, 0));
    let slot = admission.enter(demand(1, 1, 0)).await.unwrap();
    assert_eq!(retry_after(&admission, demand(1, 1, 0)), 1);
    drop(slot);
    assert!(
        admission
            .enter(demand(1, 1, 0))
            .now_or_never()
            .unwrap()
            .is_ok()
    );
}

// FC09
#[tokio::test(start_paused = true)]
async fn estimates_the_wait() {
    let admission = admission(limits(2, 1));
    let _alone = admission.enter(demand(1, 2, 6)).await.unwrap();
    let mut waiting = Box::pin(admission.enter(demand(1, 1, 8)));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(load(&admission), (1, 1));
    // 6 s for the running one, and 8 s on one of two slots.
    assert_eq!(retry_after(&admission, demand(1, 1, 1)), 10);
    tokio::time::advance(4 * SECOND).await;
    assert_eq!(retry_after(&admission, demand(1, 1, 1)), 6);
    // It takes longer than estimated: as long again is expected.
    tokio::time::advance(6 * SECOND).await;
    assert_eq!(retry_after(&admission, demand(1, 1, 1)), 14);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_maximum_wait() {
    let admission = admission(limits(1, 1));
    let _slot = admission.enter(demand(1, 1, 200)).await.unwrap();
    let refused = admission.enter(demand(1, 1, 1)).await.unwrap_err();
    let retry_after = 140 * SECOND;
    assert_eq!(refused, BackendError::QueueTimeout { retry_after });
    assert_eq!(load(&admission), (1, 0));
}

#[tokio::test]
async fn leaving_the_queue_frees_its_position() {
    let admission = admission(limits(1, 1));
    let _slot = admission.enter(demand(1, 1, 1)).await.unwrap();
    for _ in 0..3 {
        let mut waiting = Box::pin(admission.enter(demand(1, 1, 1)));
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    assert_eq!(load(&admission), (1, 0));
}

#[tokio::test]
async fn a_request_for_all_slots_runs_alone() {
    let admission = admission(limits(3, 2));
    let one = admission.enter(demand(1, 1, 1)).await.unwrap();
    let mut alone = Box::pin(admission.enter(demand(1, 3, 1)));
    assert!(alone.as_mut().now_or_never().is_none());
    let mut behind = Box::pin(admission.enter(demand(1, 1, 1)));
    assert!(behind.as_mut().now_or_never().is_none(), "overtook");
    drop(one);
    let alone = alone.now_or_never().unwrap().unwrap();
    assert!(behind.as_mut().now_or_never().is_none());
    drop(alone);
    assert!(behind.now_or_never().unwrap().is_ok());
    assert_eq!(load(&admission), (0, 0));
}

#[tokio::test]
async fn others_enter_when_a_request_for_all_slots_leaves_the_queue() {
    let admission = admission(limits(2, 2));
    let _one = admission.enter(demand(1, 1, 1)).await.unwrap();
    let mut alone = Box::pin(admission.enter(demand(1, 2, 1)));
    assert!(alone.as_mut().now_or_never().is_none());
    let mut behind = Box::pin(admission.enter(demand(1, 1, 1)));
    assert!(behind.as_mut().now_or_never().is_none());
    drop(alone);
    assert!(behind.now_or_never().unwrap().is_ok());
}

// FC07
#[tokio::test(start_paused = true)]
async fn a_short_chat_waits_only_for_the_running_one_of_a_busy_client() {
    let admission = admission(limits(1, 100));
    let running = admission.enter(demand(1, 1, 6)).await.unwrap();
    let mut busy: Vec<_> = (0..60)
        .map(|_| Box::pin(admission.enter(demand(1, 1, 6))))
        .collect();
    for waiting in &mut busy {
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    let mut short = Box::pin(admission.enter(demand(2, 1, 1)));
    assert!(short.as_mut().now_or_never().is_none());
    tokio::time::advance(6 * SECOND).await;
    drop(running);
    assert!(short.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn clients_share_the_time_by_their_weights_and_what_they_really_take() {
    let admission = admission(limits(1, 100));
    let mut tasks = Vec::new();
    // All estimates are the same, but the chats of the third client take three times as long.
    for (client, weight, takes) in [(0, 1_u32, 1_u32), (1, 2, 1), (2, 1, 3)] {
        for _ in 0..30 {
            let admission = admission.clone();
            let mut demand = demand(client, 1, 1);
            demand.share.weight = weight.try_into().unwrap();
            tasks.push(tokio::spawn(async move {
                let _slot = admission.enter(demand).await?;
                // Sleeps: the engine's time; the clock is paused.
                tokio::time::sleep(takes * SECOND).await;
                Ok::<_, BackendError>((client, takes))
            }));
        }
    }
    let mut time = BTreeMap::<u64, u32>::new();
    for task in tasks {
        // Those that are still in the queue after a minute have been refused.
        if let Ok((client, takes)) = task.await.unwrap() {
            *time.entry(client).or_default() += takes;
        }
    }
    assert!(time[&1].abs_diff(2 * time[&0]) <= 2, "{time:?}");
    assert!(time[&2].abs_diff(time[&0]) <= 4, "{time:?}");
}

// FA18
#[tokio::test]
async fn refuses_a_request_that_costs_too_much() {
    let mut limits = limits(1, 1);
    limits.cost = Some(10 * SECOND);
    let admission = admission(limits);
    let refused = admission.enter(demand(1, 1, 11)).await.unwrap_err();
    let (estimate, limit) = (11 * SECOND, 10 * SECOND);
    assert_eq!(refused, BackendError::TooCostly { estimate, limit });
    assert!(admission.enter(demand(1, 1, 10)).await.is_ok());
}

// FA18
#[tokio::test(start_paused = true)]
async fn bounds_the_requests_of_a_client_together() {
    let mut limits = limits(1, 9);
    limits.client_cost = Some(10 * SECOND);
    let admission = admission(limits);
    let first = admission.enter(demand(1, 1, 7)).await.unwrap();
    let mut second = Box::pin(admission.enter(demand(1, 1, 3)));
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(retry_after(&admission, demand(1, 1, 1)), 10);
    let mut other = Box::pin(admission.enter(demand(2, 1, 11)));
    assert!(
        other.as_mut().now_or_never().is_none(),
        "a single request may"
    );
    drop(first);
    assert!(second.now_or_never().is_some());
    assert!(other.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn reports_requests_that_drain_or_are_stuck() {
    let admission = admission(limits(2, 0));
    let slot = admission.enter(demand(1, 1, 1)).await.unwrap();
    let _other = admission.enter(demand(2, 1, 1)).await.unwrap();
    assert_eq!(admission.load().draining, None);
    slot.drain();
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(admission.load().draining, Some(60 * SECOND));
    assert_eq!(admission.stuck_for(), None);
    tokio::time::advance(SECOND).await;
    assert_eq!(admission.stuck_for(), Some(61 * SECOND));
    _other.progressed();
    drop(slot);
    assert_eq!(
        (admission.stuck_for(), admission.load().draining),
        (None, None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loses_no_slot_when_requests_leave_at_any_time() {
    let admission = admission(limits(3, 20));
    let mut tasks = Vec::new();
    for i in 0..2_000_u64 {
        let entered = admission.clone();
        let slots = usize::try_from(1 + i % 3).unwrap();
        tasks.push(tokio::spawn(async move {
            if let Ok(slot) = entered.enter(demand(i % 5, slots, 1)).await {
                tokio::task::yield_now().await;
                drop(slot);
            }
        }));
        if i % 3 == 0 {
            let leaving = usize::try_from(i * 7).unwrap() % tasks.len();
            tasks.swap_remove(leaving).abort();
            tokio::task::yield_now().await;
        }
        assert!(admission.load().waiting <= 20);
    }
    for task in tasks {
        task.await.unwrap();
    }
    // The tasks that were aborted may still be dropped.
    until_async("all slots", async || admission.free() == 3).await;
    assert_eq!(load(&admission), (0, 0));
}
