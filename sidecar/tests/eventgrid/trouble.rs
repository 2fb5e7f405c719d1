//! Row 9, and the start: what is not there, what is wrong, and what readiness and `check` say of it, each in one line.

use crate::common::Site;
use crate::rig::{Rig, SUBSCRIPTION, TOPIC, events, site};
use outrigger_eventgrid_fake::{Fault, Op, config::TEST_KEY, queue::QueueSettings};
use outrigger_function::{Action, Function, Match, Program, Rule};
use outrigger_testkit::{Mode, Outgoing, free_port};

/// The line of `/readyz` about Event Grid once it holds `part`.
async fn line(site: &Site, part: &str) -> String {
    let (status, text) = site.until_readyz(part).await;
    let line = text.lines().find(|line| line.contains("] eventgrid: "));
    let line = line.unwrap_or_else(|| panic!("no Event Grid in {text}"));
    assert!(status == 503 && line.starts_with("[-] ") && line.contains(part), "{status} {text}");
    line.to_owned()
}

#[tokio::test]
async fn a_wrong_key_is_said_stops_nothing_else_and_a_right_one_needs_no_restart() {
    let rig = Rig::new();
    std::fs::write(rig.site.path("key"), "d3Jvbmc=").unwrap();
    let mut process = rig.site.launch().start().unwrap();
    let said = line(&rig.site, "who we say we are is refused").await;
    assert!(said.contains("check the key, signature or entra of eventgrid"), "{said}");
    // What comes by HTTP is not held up.
    let answer = rig.site.producer().send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
    assert_eq!(answer.status(), 202);
    rig.function.wait_for(|stats| stats.ended == 1).await;
    rig.function.clear();
    std::fs::write(rig.site.path("key"), TEST_KEY).unwrap();
    process.ready(rig.site.admin).await;
    rig.publish(&events("e", 10));
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_subscription_or_a_namespace_that_is_not_there_is_said_and_read_once_it_is_made() {
    let rig = Rig::new().set("ingress.eventgrid.subscription", "late");
    let mut process = rig.site.launch().start().unwrap();
    let said = line(&rig.site, "it is not there; create it").await;
    assert!(said.contains("topic orders, subscription late"), "{said}");
    rig.fake.put_queue(TOPIC, "late", QueueSettings::default());
    process.ready(rig.site.admin).await;
    assert!(process.stop().await.success());

    let rig = rig.set("eventgrid.endpoint", &format!("http://127.0.0.1:{}", free_port()));
    let mut process = rig.site.launch().start().unwrap();
    let said = line(&rig.site, "no connection to 127.0.0.1:").await;
    assert!(said.contains("check eventgrid and the network"), "{said}");
    assert!(process.stop().await.success(), "the drain does not wait for it");
}

#[tokio::test]
async fn a_right_that_is_revoked_is_said_and_over_when_it_is_granted_again() {
    let rig = Rig::new();
    let _process = rig.start().await;
    rig.publish(&events("a", 10));
    rig.until_paid().await;
    rig.fake.plant(Fault { op: Some(Op::Receive), status: Some(403), times: 1_000_000, ..Fault::default() });
    rig.publish(&events("b", 10));
    let said = line(&rig.site, "it is forbidden").await;
    assert!(said.contains("grant the role EventGrid Data Receiver"), "{said}");
    rig.fake.grid().note(|state| state.faults.clear());
    rig.all_is_well(0).await;
    rig.site.until_readyz("[+] eventgrid").await;
}

#[tokio::test]
async fn row_9_after_an_outage_a_short_poll_makes_it_ready_although_nothing_comes() {
    let rig = Rig::new();
    let _process = rig.start().await;
    rig.fake.plant(Fault { op: Some(Op::Receive), status: Some(503), times: 1_000_000, ..Fault::default() });
    rig.publish(&events("a", 1)); // ends the poll that is out
    line(&rig.site, "the service cannot take it now").await;
    rig.fake.grid().note(|state| state.faults.clear());
    rig.site.until_readyz("[+] eventgrid").await;
    let last = rig.asked(":receive").into_iter().rev().find(|path| path.contains("maxWaitTime=10&"));
    assert!(last.is_some(), "two minutes are not waited: {:?}", rig.asked(":receive"));
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_9_errors_and_cut_connections_of_every_request_lose_nothing() {
    let rig = Rig::new();
    rig.function
        .set_program(Program::default().rule(Rule::new(Match::id("slow-000000"), Action::hold("gate"))));
    for op in [Op::Receive, Op::Acknowledge, Op::RenewLock] {
        for fault in [
            Fault { status: Some(500), ..Fault::default() },
            Fault { status: Some(429), retry_after: Some("0".to_owned()), ..Fault::default() },
            Fault { drop: true, ..Fault::default() },
        ] {
            rig.fake.plant(Fault { op: Some(op), ..fault });
        }
    }
    let _process = rig.site.launch().start().unwrap();
    rig.publish(&events("slow", 1));
    rig.function.wait_for(|stats| stats.held == 1).await;
    for round in 0..5 {
        rig.publish(&events(&format!("r{round}"), 100));
    }
    rig.until(|counts| counts.acknowledged == 500 && counts.renewed >= 2).await;
    rig.function.open("gate");
    let judgement = rig.all_is_well(0).await;
    assert_eq!(judgement.delivered, 502);
    assert_eq!((rig.number("failed_requests_total").await, rig.number("lost_total").await), (9, 0));
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_files_and_what_it_all_comes_to() {
    let rig = Rig::new();
    let _ = rig.site.launch(); // writes the configuration
    let said = rig.site.verb(&["check"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = format!(
        "events come in from the subscription {SUBSCRIPTION} of the topic {TOPIC} of Event Grid at 127.0.0.1"
    );
    assert!(said.stdout.contains(&expected), "{}", said.stdout);
    std::fs::remove_file(rig.site.path("key")).unwrap();
    let said = rig.site.verb(&["check"]).await;
    let has_its_line = |said: &str| {
        let (place, what) = said.split_once(": ").unwrap();
        let line = place.rsplit(':').nth(1).is_some_and(|line| line.parse::<u32>().is_ok());
        line && what.starts_with("eventgrid.key_file: ") && what.contains("key: No such file")
    };
    assert!(has_its_line(said.one_line(2)), "{said:?}");
    let refused = rig.site.refused().await;
    let line = refused.one_line(2);
    assert!(has_its_line(line.strip_prefix("outrigger: ").unwrap_or(line)), "{refused:?}");
}

#[tokio::test]
async fn what_is_configured_for_kafka_s_verbs_is_not_asked_of_event_grid() {
    let function = Function::start(Program::default());
    let rig = Rig::new();
    let site = site(Site::of(&function), &rig.fake);
    let _process = site.start().await;
    let said = site.verb(&["kafka", "status"]).await;
    assert!(said.one_line(1).contains("there is no Kafka source"), "{said:?}");
}
