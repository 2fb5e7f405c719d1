//! Bodies that are packed: what is unpacked, within which limit, and what is refused.

use super::{Door, common::gzip};
use flate2::{
    Compression,
    write::{DeflateEncoder, ZlibEncoder},
};
use outrigger_testkit::{Oracle, Outgoing};
use std::io::Write as _;

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(data.len()));
    zstd_safe::compress(&mut packed, data, 3).unwrap();
    packed
}

#[tokio::test]
async fn gzip_bodies_are_unpacked_and_broken_ones_refused() {
    let mut door = Door::open(|site| site).await;
    let (producer, oracle) = (door.site.producer(), Oracle::default());
    let event = Outgoing::new("zipped", Some("k")).with_data("text/plain", "a".repeat(100_000));
    oracle.sending(&event);
    let mut sent = event.headers();
    sent.insert("content-encoding", "gzip".parse().unwrap());
    let packed = gzip(&event.data);
    let answer = producer.post(sent.clone(), packed.clone()).await.unwrap();
    assert_eq!(answer.status(), 202);
    oracle.acknowledged("zipped");
    door.function.wait_for(|stats| stats.ended == 1).await;
    oracle.judge_at(&door.function).assert_clean(0);
    assert!(door.function.log()[0].headers.iter().all(|(name, _)| name != "content-encoding"));

    for broken in
        [packed[..packed.len() - 1].to_vec(), b"not gzip".to_vec(), [packed, b"more".to_vec()].concat()]
    {
        assert_eq!(producer.post(sent.clone(), broken).await.unwrap().status(), 400);
    }
    door.function.clear();
    door.fresh_event_alone_is_delivered().await;
}

#[tokio::test]
async fn deflate_and_zstd_bodies_are_unpacked_within_the_limit_and_broken_ones_refused() {
    let mut door = Door::open(|site| site).await;
    let producer = door.site.producer();
    let large = 5 << 20; // the limit is 4 MiB
    for (coding, pack) in
        [("deflate", zlib as fn(&[u8]) -> Vec<u8>), ("deflate", deflate), ("zstd", zstd), ("ZSTD", zstd)]
    {
        let event = Outgoing::new("packed", None).with_data("text/plain", "a".repeat(100_000));
        let packed = pack(&event.data);
        let mut sent = event.headers();
        sent.insert("content-encoding", coding.parse().unwrap());
        let oracle = Oracle::default();
        oracle.sending(&event);
        assert_eq!(producer.post(sent.clone(), packed.clone()).await.unwrap().status(), 202, "{coding}");
        oracle.acknowledged("packed");
        door.function.wait_for(|stats| stats.ended == 1).await;
        oracle.judge_at(&door.function).assert_clean(0);
        door.function.clear();

        let bomb = producer.post(sent.clone(), pack(&vec![0; large])).await.unwrap();
        assert_eq!(bomb.status(), 413, "{coding}: {:?}", bomb.body());
        let cut = packed[..packed.len() - 1].to_vec();
        for broken in [cut, b"neither of them".to_vec(), [packed, b"more".to_vec()].concat()] {
            let answer = producer.post(sent.clone(), broken).await.unwrap();
            assert_eq!(answer.status(), 400, "{coding}");
            let reason = String::from_utf8_lossy(answer.body()).into_owned();
            assert!(reason.contains(&coding.to_lowercase()), "{reason}");
        }
    }
    door.fresh_event_alone_is_delivered().await;
}
