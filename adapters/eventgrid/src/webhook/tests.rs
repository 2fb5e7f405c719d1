use super::*;
use http::Request;
use outrigger_core::{Code, Event, Malformed, Reason};

const NOTIFICATION: (&str, &str) = ("aeg-event-type", "Notification");
const CLOUDEVENTS: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const EVENTGRID: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn webhook(validation: Validation) -> Webhook {
    Webhook { batch_events_max: 3, validation }
}

fn decode_by(webhook: &Webhook, headers: &[(&str, &str)], body: &str) -> Result<Inbox> {
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    webhook.decode(&parts, Bytes::copy_from_slice(body.as_bytes()))
}

fn items(headers: &[(&str, &str)], body: &str) -> Vec<Result<Event, Malformed>> {
    match decode_by(&webhook(Validation::Answer), headers, body) {
        Ok(Inbox::Events { items, batch: true, .. }) => items,
        other => panic!("{other:?}"),
    }
}

fn grid(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","topic":"/t","subject":"s","eventType":"e","eventTime":"2024-05-01T00:00:00Z","data":{{ "a" : 1 }},"dataVersion":"1"}}"#
    )
}

fn cloud(id: &str) -> String {
    format!(
        r##"{{"specversion":"1.0","id":"{id}","source":"/t","type":"e","dataschema":"#1","data":{{ "a" : 1 }}}}"##
    )
}

#[test]
fn both_schemas_are_read_single_and_batched() {
    for (content_type, member) in [(EVENTGRID, grid as fn(&str) -> String), (CLOUDEVENTS, cloud)] {
        for body in [member("1"), format!(" [{}]", member("1"))] {
            let items = items(&[content_type, NOTIFICATION], &body);
            let [Ok(event)] = &items[..] else { panic!("{items:?}") };
            assert_eq!((event.id(), event.source(), event.dataschema()), ("1", "/t", Some("#1")));
            assert_eq!(event.data().unwrap(), r#"{ "a" : 1 }"#);
        }
        let several = items(&[content_type, NOTIFICATION], &format!("[{},{}]", member("1"), member("2")));
        assert!(several.len() == 2 && several.iter().all(Result::is_ok), "{several:?}");
    }
    let batch = ("content-type", "application/cloudevents-batch+json; charset=utf-8");
    assert_eq!(items(&[batch], &format!("[{}]", cloud("1"))).len(), 1);
    let binary =
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/t"), ("ce-type", "e"), EVENTGRID];
    assert_eq!(items(&binary, r#"{ "a" : 1 }"#)[0].as_ref().unwrap().data().unwrap(), r#"{ "a" : 1 }"#);
}

#[test]
fn a_malformed_member_comes_back_with_its_bytes_and_what_explains_it() {
    for (content_type, good) in [(EVENTGRID, grid("1")), (CLOUDEVENTS, cloud("1"))] {
        let headers =
            [content_type, NOTIFICATION, ("authorization", "Bearer s3cret"), ("aeg-delivery-count", "2")];
        let items = items(&headers, &format!("[{good},{{ \"id\": 2 }}]"));
        let [Ok(_), Err(malformed)] = &items[..] else { panic!("{items:?}") };
        assert_eq!(malformed.raw, "{ \"id\": 2 }");
        let names: Vec<_> = malformed.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "aeg-event-type", "aeg-delivery-count"]);
    }
    for body in ["", "{", "[", "hello", r#"{"id":"1"}"#, "[1]"] {
        for content_type in [EVENTGRID, CLOUDEVENTS] {
            let items = items(&[content_type], body);
            let [Err(malformed)] = &items[..] else { panic!("{body}: {items:?}") };
            assert!(malformed.raw == body || body == "[1]" && malformed.raw == "1", "{malformed:?}");
        }
    }
    assert!(items(&[EVENTGRID], "[]").is_empty());
}

#[test]
fn what_azure_tells_of_a_delivery_is_kept_and_an_events_own_attribute_is_not_changed() {
    let told = [
        CLOUDEVENTS,
        NOTIFICATION,
        ("aeg-subscription-name", "ORDERS"),
        ("aeg-delivery-count", "3"),
        ("aeg-data-version", "1"),
        ("aeg-metadata-version", "1"),
        ("aeg-sas-key", "s3cret"),
        ("x-own", "s3cret"),
    ];
    let body = cloud("1").replace(r#""type""#, r#""aegdataversion":"own","type""#);
    let items = items(&told, &body);
    let event = items[0].as_ref().unwrap();
    let text = |name| event.text(name).map(std::borrow::Cow::into_owned);
    assert_eq!(text("aegsubscriptionname").as_deref(), Some("ORDERS"));
    assert_eq!(text("aegdeliverycount").as_deref(), Some("3"));
    assert_eq!(text("aegmetadataversion").as_deref(), Some("1"));
    assert_eq!(text("aegdataversion").as_deref(), Some("own"));
    assert!(!format!("{event:?}").contains("s3cret"));
}

#[test]
fn a_batch_of_too_many_is_refused_whole_in_each_schema() {
    for (content_type, member) in [(EVENTGRID, grid as fn(&str) -> String), (CLOUDEVENTS, cloud)] {
        let of = |count: usize| format!("[{}]", vec![member("1"); count].join(","));
        assert_eq!(items(&[content_type], &of(3)).len(), 3);
        let error = decode_by(&webhook(Validation::Answer), &[content_type], &of(4)).unwrap_err();
        assert_eq!(error.http_status(), Some(413));
    }
}

fn validation(url: &str) -> String {
    format!(
        r#"[{{"id":"1","topic":"/t","subject":"","data":{{"validationCode":"c0de","validationUrl":"{url}"}},"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","eventTime":"2018-01-25T22:12:19.4556811Z","metadataVersion":"1","dataVersion":"1"}}]"#
    )
}

const AZURES_URL: &str = "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/s/validate?id=1";

#[test]
fn a_validation_is_answered_with_its_code_or_by_its_url_or_refused() {
    let headers = [EVENTGRID, ("aeg-event-type", "SubscriptionValidation")];
    let by = |by: Validation, url| decode_by(&webhook(by), &headers, &validation(url)).unwrap();
    match by(Validation::Answer, AZURES_URL) {
        Inbox::Answer(answer) => {
            assert_eq!(
                (answer.status().as_u16(), &answer.body()[..]),
                (200, &br#"{"validationResponse":"c0de"}"#[..])
            );
        }
        other => panic!("{other:?}"),
    }
    let follow = || Validation::Follow(vec!["eventgrid.azure.net".to_owned()]);
    match by(follow(), AZURES_URL) {
        Inbox::Confirm { answer, url } => {
            assert_eq!((answer.status().as_u16(), url.to_string()), (200, AZURES_URL.to_owned()));
        }
        other => panic!("{other:?}"),
    }
    for url in ["http://rp.eventgrid.azure.net/", "https://169.254.169.254/", "https://evil.example/"] {
        assert!(matches!(by(follow(), url), Inbox::Answer(answer) if answer.body().is_empty()), "{url}");
    }
    assert!(matches!(by(Validation::Refuse, AZURES_URL), Inbox::Answer(answer) if answer.status() == 403));
}

#[test]
fn an_event_that_says_it_is_one_is_delivered_whatever_its_type() {
    let body = validation(AZURES_URL);
    assert_eq!(items(&[EVENTGRID, NOTIFICATION], &body).len(), 1);
    assert!(matches!(decode_by(&webhook(Validation::Answer), &[EVENTGRID], &body), Ok(Inbox::Answer(_))));
    let two = format!("[{},{}]", &body[1..body.len() - 1], grid("2"));
    assert_eq!(items(&[EVENTGRID], &two).len(), 2, "no validation comes in a batch");
}

/// What Microsoft's clients write, Azure passes on.
#[test]
fn what_microsofts_clients_write_is_read() {
    let Some(folder) = outrigger_testkit::shared("eventgrid webhook: microsofts clients", "data/eventgrid")
    else {
        return;
    };
    let mut count = 0;
    for name in [
        "go-topic-cloudevent.http",
        "js-topic-cloudevent.http",
        "py-topic-key-cloudevent-list.http",
        "py-topic-key-cloudevent-one.http",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let request = text.split("--- response ---").next().unwrap();
        let content_type = request.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
        let body = request.lines().rev().find(|line| line.starts_with('[')).unwrap();
        let webhook = Webhook { batch_events_max: 5_000, validation: Validation::Answer };
        let Ok(Inbox::Events { items, .. }) = decode_by(&webhook, &[("content-type", content_type)], body)
        else {
            panic!("{name}")
        };
        count += items.len();
        assert!(items.iter().all(Result::is_ok), "{name}: {items:?}");
    }
    assert!(count >= 7, "{count} events");
}

#[test]
fn a_deletion_is_answered_and_is_no_event() {
    let body = validation(AZURES_URL).replace("SubscriptionValidationEvent", "SubscriptionDeletedEvent");
    let headers = [EVENTGRID, ("aeg-event-type", "SubscriptionDeletion")];
    let answer = decode_by(&webhook(Validation::Refuse), &headers, &body);
    assert!(matches!(answer, Ok(Inbox::Answer(answer)) if answer.status() == 200));
}

#[test]
fn nothing_but_too_large_is_answered_by_a_status_that_drops_the_event() {
    let webhook = webhook(Validation::Answer);
    let status = |outcome: &Outcome| webhook.answer(outcome).status().as_u16();
    for told in 400..600 {
        let answered = status(&Outcome::Unavailable(Error::status(told, None, "")));
        let drops = matches!(answered, 400 | 401 | 403 | 404);
        assert!(!drops && (answered == told || answered == 503), "{told} became {answered}");
    }
    for kind in [Kind::Invalid, Kind::Overloaded, Kind::Full, Kind::Storage, Kind::Closed, Kind::TimedOut] {
        assert!(matches!(status(&Outcome::Unavailable(Error::new(kind, ""))), 429 | 503), "{kind:?}");
    }
    let rejected =
        Settlement::Reject(Reason { code: Code::Exhausted, status: Some(400), detail: String::new() });
    for settlement in [rejected, Settlement::Release { after: None }] {
        let settlements = vec![Settlement::Ack(None), settlement];
        assert_eq!(status(&Outcome::Settled { settlements, dead: 0 }), 503);
    }
    assert_eq!(status(&Outcome::Settled { settlements: vec![Settlement::Ack(None); 2], dead: 1 }), 200);
    assert_eq!(status(&Outcome::Accepted { events: 1, dead: 1 }), 200);
}
