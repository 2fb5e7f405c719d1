//! Brokers that are stopped, killed, frozen, cut off and left alone.

use std::time::Duration;

use outrigger_testkit::{
    Trouble,
    kafka::{self, Client, Record, Settings, Stored},
};

fn texts(records: &[Stored]) -> Vec<String> {
    records.iter().map(Stored::text).collect()
}

async fn write(client: &Client, value: &str) {
    client.produce([Record::new("kept", value)]).await.unwrap();
}

#[tokio::test]
async fn what_was_written_outlasts_a_stop_and_a_kill() {
    let Some(kafka) = kafka::broker("what_was_written_outlasts_a_stop_and_a_kill").await else { return };
    let client = kafka.client();
    client.create_topic("kept", 1, &[]).await.unwrap();
    write(&client, "before").await;
    let first = kafka.pid();
    kafka.stop().await;
    assert_eq!(kafka.pid(), None);
    assert!(client.is_let_in(Duration::from_millis(300)).await.is_err(), "nobody is there");
    kafka.start_again().await;
    assert_ne!(kafka.pid(), first);
    write(&client, "between").await;
    kafka.kill().await;
    kafka.start_again().await;
    write(&client, "after").await;
    assert_eq!(texts(&client.read("kept").await.unwrap()), ["before", "between", "after"]);
    assert_eq!(kafka.log().matches("Kafka Server started").count(), 3);
}

#[tokio::test]
async fn a_frozen_broker_answers_nobody_and_then_goes_on() {
    let Some(kafka) = kafka::broker("a_frozen_broker_answers_nobody_and_then_goes_on").await else { return };
    let client = kafka.client();
    client.create_topic("kept", 1, &[]).await.unwrap();
    kafka.pause();
    assert!(client.is_let_in(Duration::from_millis(300)).await.is_err());
    kafka.resume();
    write(&client, "after").await;
    assert_eq!(texts(&client.read("kept").await.unwrap()), ["after"]);
}

#[tokio::test]
async fn trouble_reaches_those_who_come_by_the_proxy_and_no_others() {
    let test = "trouble_reaches_those_who_come_by_the_proxy_and_no_others";
    let Some(kafka) = kafka::broker_with(test, Settings::default().proxied()).await else { return };
    let (direct, proxied) = (kafka.client(), Client::new(&kafka.proxied()));
    direct.create_topic("kept", 1, &[]).await.unwrap();
    write(&proxied, "by the proxy").await;
    assert!(kafka.proxy().connections() >= 2, "the one that Kafka told it of goes through the proxy, too");
    kafka.proxy().set(Trouble::Reset);
    assert!(proxied.is_let_in(Duration::from_millis(300)).await.is_err());
    write(&direct, "direct").await;
    kafka.proxy().set(Trouble::None);
    write(&proxied, "again").await;
    assert_eq!(texts(&direct.read("kept").await.unwrap()), ["by the proxy", "direct", "again"]);
}

#[tokio::test]
async fn a_setting_reaches_the_broker() {
    let settings = Settings::default().property("auto.create.topics.enable", "true");
    let Some(kafka) = kafka::broker_with("a_setting_reaches_the_broker", settings).await else { return };
    write(&kafka.client(), "made by writing").await;
    assert_eq!(kafka.client().read("kept").await.unwrap().len(), 1);
}
