use super::*;

/// A backend with one slot and a queue of this length.
async fn single_slot(max_queued: usize) -> (TempDir, MistralRs) {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.max_running = 1;
    config.max_queued = max_queued;
    let backend = ready(config).await;
    (dir, backend)
}

#[tokio::test]
async fn disconnecting_stops_the_model_and_frees_the_slot() {
    let (_dir, backend) = single_slot(1).await;
    let mut long = with_timeout(backend.chat(chat("Hello", &[], 4000), UsageMeter::default()))
        .await
        .unwrap();
    with_timeout(long.next()).await.unwrap().unwrap();
    assert_eq!(backend.admission.free(), 0);
    drop(long);
    let next = with_timeout(backend.chat(chat("Hello", &[], 4), UsageMeter::default())).await;
    assert_eq!(
        collect(next.unwrap())
            .await
            .unwrap()
            .usage
            .completion_tokens,
        4
    );
    assert_eq!(backend.admission.free(), 1);
}

#[tokio::test]
async fn disconnecting_before_the_start_frees_the_slot() {
    let (_dir, backend) = single_slot(4).await;
    for _ in 0..5 {
        let mut waiting = backend.chat(chat("Hello", &[], 4000), UsageMeter::default());
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    ask(&backend, chat("Hello", &[], 4)).await.unwrap();
}

#[tokio::test]
async fn refuses_when_the_queue_is_full() {
    let (_dir, backend) = single_slot(0).await;
    let running = with_timeout(backend.chat(chat("Hello", &[], 4000), UsageMeter::default()))
        .await
        .unwrap();
    let refused = ask(&backend, chat("Hello", &[], 4)).await.unwrap_err();
    let BackendError::QueueFull { retry_after } = refused else {
        panic!("{refused:?}");
    };
    assert!(retry_after >= Duration::from_secs(1));
    drop(running);
}

#[tokio::test]
async fn the_slot_is_free_once_done_is_received() {
    let (_dir, backend) = single_slot(0).await;
    for _ in 0..5 {
        ask(&backend, chat("Hello", &[], 2)).await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_reader_does_not_stall_others() {
    let backend = shared().await;
    let slow = with_timeout(backend.chat(chat("Hello", &[], 100), UsageMeter::default()))
        .await
        .unwrap();
    ask(&backend, chat("Goodbye", &[], 120)).await.unwrap();
    let slow = with_timeout(collect(slow)).await.unwrap();
    assert_eq!(slow.usage.completion_tokens, 100);
}

#[tokio::test]
async fn end_stops_the_engine_at_the_next_token() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    let _alone = acquire_all(&backend).await;
    let prompt = prompt(user("Hello", &[]), vec![]);
    let processor = Arc::new(processor(&engine, 0.0, 3000));
    let replies = engine.start(&prompt, None, processor.clone(), 3000).await;
    let mut replies = replies.unwrap();
    with_timeout(replies.recv()).await.unwrap();
    processor.end();
    let made = processor.progress().generated;
    while with_timeout(replies.recv()).await.is_some() {}
    assert!(
        processor.progress().generated <= made + 1,
        "the engine continued"
    );
}

#[tokio::test]
async fn cancelled_chats_do_not_affect_others() {
    let backend = shared().await;
    let engine = backend.engine().unwrap();
    let expected = ask(&backend, chat("Hello", &[], 20)).await.unwrap();
    let chats = (0..24).map(|i| {
        let backend = backend.clone();
        async move {
            let images = vec![picture(56, 56, 1); usize::from(i % 4 == 0)];
            let mut running = backend.chat(chat("Hello", &images, 20), UsageMeter::default());
            if i % 5 == 0 {
                // Disconnects at the first await.
                assert!(futures_util::poll!(running.as_mut()).is_pending());
                return;
            }
            let mut running = with_timeout(running).await.unwrap();
            if i % 3 == 0 {
                with_timeout(running.next()).await.unwrap().unwrap();
            } else {
                let answer = with_timeout(collect(running)).await.unwrap();
                assert!(i % 4 == 0 || answer.text.len() == 20);
            }
        }
    });
    futures_util::future::join_all(chats).await;
    assert_eq!(
        ask(&backend, chat("Hello", &[], 20)).await.unwrap(),
        expected
    );
    assert!(Arc::ptr_eq(&engine, &backend.engine().unwrap()));
}

#[tokio::test]
async fn dropping_the_backend_stops_the_engine() {
    let (_dir, backend) = single_slot(0).await;
    let engine = Arc::downgrade(&backend.engine().unwrap());
    drop(backend);
    with_timeout(async {
        while engine.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
