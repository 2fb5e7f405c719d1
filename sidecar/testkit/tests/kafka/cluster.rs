//! Three nodes are one Kafka, also while one of them is dead.

use outrigger_testkit::{
    kafka::{self, Client, Record, Settings, Stored},
    process::WAIT_MAX,
};
use tokio::time::{Duration, Instant, sleep};

/// Waits until another node than `dead` leads the partition. Kafka tells nobody, so this asks.
async fn another_leader(client: &Client, topic: &str, dead: i32) -> i32 {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let leader = client.leader(topic, 0).await;
        if let Ok(leader) = leader
            && leader != dead
        {
            return leader;
        }
        assert!(Instant::now() < deadline, "{topic} is still led by {leader:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_cluster_outlives_the_leader_of_a_partition() {
    let Some(cluster) = kafka::cluster("a_cluster_outlives_the_leader_of_a_partition", 3).await else {
        return;
    };
    let client = cluster.client();
    client.create_topic("kept", 1, &[]).await.unwrap();
    client.produce((0..100).map(|n| Record::new("kept", n.to_string()))).await.unwrap();
    let first = client.leader("kept", 0).await.unwrap();
    cluster.node(first).kill().await;
    let second = another_leader(&client, "kept", first).await;
    client.produce((100..200).map(|n| Record::new("kept", n.to_string()))).await.unwrap();
    cluster.node(first).start_again().await;
    cluster.node(second).stop().await;
    another_leader(&client, "kept", second).await;
    client.produce((200..300).map(|n| Record::new("kept", n.to_string()))).await.unwrap();
    let found: Vec<String> = client.read("kept").await.unwrap().iter().map(Stored::text).collect();
    assert_eq!(found, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_node_has_its_proxy() {
    let settings = Settings::default().proxied();
    let Some(cluster) = kafka::cluster_with("each_node_has_its_proxy", 2, settings).await else { return };
    let client = Client::new(&cluster.proxied());
    client.create_topic("all", 2, &[]).await.unwrap();
    client.produce((0..2).map(|n| Record::new("all", "x").partition(n))).await.unwrap();
    assert!(cluster.nodes().iter().all(|node| node.proxy().connections() > 0));
}
