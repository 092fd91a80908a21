//! An engine that makes no progress.

use super::*;

// FA18, H05
#[tokio::test]
async fn a_stuck_engine_is_replaced() {
    let dir = vision_model();
    let mut config = config(dir.path());
    config.stuck_after = Duration::from_secs(1);
    let backend = ready(config).await;
    let stuck = backend.engine().unwrap();
    let _release = stuck.block().await;
    let refused = ask(&backend, chat("Hello", &[], 4)).await;
    assert_eq!(refused.unwrap_err(), BackendError::Stuck);
    assert!(matches!(backend.status().phase, Phase::Loading(_)));
    assert_eq!(with_timeout(backend.settled()).await, Phase::Ready);
    assert!(!Arc::ptr_eq(&stuck, &backend.engine().unwrap()));
    ask(&backend, chat("Hello", &[], 4)).await.unwrap();
    assert_eq!(backend.admission.free(), backend.admission.capacity());
}

// FA18
#[tokio::test]
async fn a_slot_whose_client_has_left_drains() {
    let dir = vision_model();
    let backend = ready(config(dir.path())).await;
    let mut chat = backend.chat(chat("Hello", &[], 4000), UsageMeter::default());
    let mut chat = with_timeout(chat.as_mut()).await.unwrap();
    with_timeout(chat.next()).await.unwrap().unwrap();
    assert_eq!(backend.load().unwrap().draining, None);
    let release = backend.engine().unwrap().block().await;
    drop(chat);
    with_timeout(async {
        while backend.load().unwrap().draining.is_none() {
            tokio::task::yield_now().await;
        }
        drop(release);
        while backend.load().unwrap().running > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(backend.load().unwrap().draining, None);
}
