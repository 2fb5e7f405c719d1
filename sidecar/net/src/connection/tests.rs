use super::*;

const LIMITS: Limits = Limits {
    connections_max: 1,
    headers_max: 1,
    header_bytes_max: 8192,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_mins(1),
    http2_streams_max: 1,
    http2_connect: false,
};

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

fn came(phase: &Phase) {
    phase.read(b"G", &mut HeadScan::default());
}

fn alive(phase: &Phase) -> bool {
    phase.look_again_at(&LIMITS).is_some()
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_has_the_header_timeout_and_bytes_do_not_prolong_it() {
    let phase = Phase::new();
    pass(9).await;
    came(&phase);
    assert!(alive(&phase));
    pass(1).await;
    assert!(!alive(&phase));
}

#[tokio::test(start_paused = true)]
async fn a_handled_request_has_no_deadline_here() {
    let phase = Phase::new();
    let _busy = phase.busy(false);
    pass(3600).await;
    came(&phase);
    assert!(alive(&phase));
}

#[tokio::test(start_paused = true)]
async fn between_requests_the_idle_timeout_holds_until_a_byte_comes() {
    let phase = Phase::new();
    pass(5).await;
    drop(phase.busy(false));
    pass(59).await;
    assert!(alive(&phase));
    came(&phase);
    pass(9).await;
    assert!(alive(&phase));
    pass(1).await;
    assert!(!alive(&phase), "the header timeout counts from the first byte");

    drop(phase.busy(false));
    pass(60).await;
    assert!(!alive(&phase));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_has_the_idle_timeout() {
    let phase = Phase::new();
    let _busy = phase.busy(false);
    let _ = phase.wrote(Poll::<()>::Pending);
    pass(59).await;
    let _ = phase.wrote(Poll::<()>::Pending);
    assert!(alive(&phase));
    pass(1).await;
    assert!(!alive(&phase), "it counts from when the first byte had to wait");
    let _ = phase.wrote(Poll::Ready(()));
    assert!(alive(&phase));
}

#[tokio::test(start_paused = true)]
async fn http2_is_idle_after_its_last_request_whatever_frames_come() {
    let phase = Phase::new();
    let (first, second) = (phase.busy(true), phase.busy(true));
    drop(first);
    pass(3600).await;
    assert!(alive(&phase));
    drop(second);
    came(&phase);
    pass(59).await;
    assert!(alive(&phase));
    pass(1).await;
    assert!(!alive(&phase));
}

#[tokio::test(start_paused = true)]
async fn it_is_looked_at_often_enough_to_keep_the_sooner_deadline() {
    let soon = Duration::from_secs(3);
    for limits in [Limits { idle_timeout: soon, ..LIMITS }, Limits { header_timeout: soon, ..LIMITS }] {
        let phase = Phase::new();
        assert_eq!(phase.look_again_at(&limits), Some(Instant::now() + soon));
        let busy = phase.busy(false);
        assert_eq!(phase.look_again_at(&limits), Some(Instant::now() + soon));
        drop(busy);
        assert_eq!(phase.look_again_at(&limits), Some(Instant::now() + soon));
    }
}

#[tokio::test]
async fn requests_that_are_taken_back_are_a_flood_only_when_they_outnumber_the_others() {
    let phase = Phase::new();
    let flooded = || futures_util::FutureExt::now_or_never(phase.cut_short()).is_some();
    for _ in 0..1000 {
        drop(phase.busy(true));
        drop(phase.busy(true).answered());
    }
    assert!(!flooded());
    for _ in 0..TAKEN_BACK_MAX {
        drop(phase.busy(true));
    }
    assert!(!flooded());
    drop(phase.busy(true));
    assert!(flooded());
}
