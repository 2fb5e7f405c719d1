//! A producer that writes what no client library would: a request by hand, with a header whose name is not UTF-8.

use outrigger_testkit::kafka::Broker;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Writes one record to partition 0 of `topic`, with a header of this name.
///
/// # Panics
/// The broker does not take it.
pub(crate) async fn produce(broker: &Broker, topic: &str, value: &[u8], header: (&[u8], &[u8])) {
    let batch = batch(value, header);
    let mut request = Vec::new();
    // Produce in its version 3, and a correlation; no client's name, no transaction; acks=all, ten seconds.
    request.extend([0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
    request.extend(batch);

    let mut connection = TcpStream::connect(broker.bootstrap()).await.unwrap();
    connection.write_i32(i32::try_from(request.len()).unwrap()).await.unwrap();
    connection.write_all(&request).await.unwrap();
    let length = usize::try_from(connection.read_i32().await.unwrap()).unwrap();
    let mut answer = vec![0; length];
    connection.read_exact(&mut answer).await.unwrap();
    // After the correlation: one topic and its name, one partition and its number, then what came of it.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "the broker refused the record");
}

/// A batch of one record, in the format of Kafka's "message format v2".
fn batch(value: &[u8], (name, header): (&[u8], &[u8])) -> Vec<u8> {
    // Attributes, and the differences of time and offset; then a null key.
    let mut record = vec![0, 0, 0];
    varint(&mut record, -1);
    for bytes in [Some(value), None, Some(name), Some(header)] {
        match bytes {
            Some(bytes) => {
                varint(&mut record, i32::try_from(bytes.len()).unwrap());
                record.extend(bytes);
            }
            None => varint(&mut record, 1), // one header follows
        }
    }
    let now = crate::source::hour_ago_ms();
    let mut checked = Vec::new();
    checked.extend([0, 0, 0, 0, 0, 0]); // attributes, the last offset's difference
    checked.extend(now.to_be_bytes());
    checked.extend(now.to_be_bytes());
    checked.extend([0xff; 14]); // no producer's number, epoch or sequence
    checked.extend(1_i32.to_be_bytes());
    varint(&mut checked, i32::try_from(record.len()).unwrap());
    checked.extend(record);

    let mut batch = vec![0; 8];
    batch.extend(i32::try_from(4 + 1 + 4 + checked.len()).unwrap().to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn varint(out: &mut Vec<u8>, value: i32) {
    let mut zigzag = ((value << 1) ^ (value >> 31)).cast_unsigned();
    while zigzag >= 0x80 {
        out.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
        zigzag >>= 7;
    }
    out.push(u8::try_from(zigzag).unwrap());
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}
