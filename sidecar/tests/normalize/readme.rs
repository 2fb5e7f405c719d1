//! The README shows what comes in and what it becomes, side by side, as the command prints it.

use std::{fmt::Write as _, fs, path::Path};

use crate::{is_current, normalize};

const BEGIN: &str = "<!-- normalize: ";
const END: &str = "<!-- /normalize -->";

/// A call, and what it reads.
struct Example {
    args: &'static [&'static str],
    input: &'static str,
}

const fn example(args: &'static [&'static str], input: &'static str) -> Example {
    Example { args, input }
}

/// One for each origin, as its vendor documents it, with what nothing is made of left out.
const ORIGINS: &[Example] = &[
    example(
        &["--from", "kafka", "--topic", "orders"],
        r#"{"partition":3,"offset":42,"timestamp":1769860800000,"key":"k7","value":{"n": 1},"headers":{"content-type":"application/json"}}"#,
    ),
    example(
        &["--from", "pubsub", "--topic", "projects/p/topics/t"],
        r#"{"message":{"data":"aGk=","messageId":"7","publishTime":"2026-01-31T12:00:00Z","orderingKey":"k7"},"subscription":"projects/p/subscriptions/s"}"#,
    ),
    example(
        &["--from", "pubsub-push", "--topic", "projects/p/topics/t"],
        r#"{"message":{"attributes":{"ce-specversion":"1.0","ce-id":"9","ce-source":"/shop","ce-type":"order"},"data":"e30=","messageId":"7"},"subscription":"projects/p/subscriptions/s"}"#,
    ),
    example(
        &["--from", "eventgrid"],
        r#"[{"id":"1","topic":"/subscriptions/s/topics/t","subject":"orders/7","eventType":"Order.Placed","eventTime":"2026-01-31T12:00:00Z","dataVersion":"2","data":{"n": 1}}]"#,
    ),
    example(
        &["--from", "eventbridge"],
        r#"{"version":"0","id":"7bf73129","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"123456789012","time":"2026-01-31T12:00:00Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"detail":{"state": "pending"}}"#,
    ),
    example(
        &["--from", "s3"],
        r#"{"Records":[{"eventSource":"aws:s3","awsRegion":"us-west-2","eventTime":"2026-01-31T12:00:00.000Z","eventName":"ObjectCreated:Put","responseElements":{"x-amz-request-id":"C3D1","x-amz-id-2":"FMyU"},"s3":{"bucket":{"name":"photos"},"object":{"key":"Happy+Face.jpg","size":1024}}}]}"#,
    ),
    example(
        &["--from", "sns"],
        r#"{"headers":{"x-amz-sns-subscription-arn":"arn:aws:sns:us-west-2:123456789012:t:c913"},"body":{"Type":"Notification","MessageId":"22b8","TopicArn":"arn:aws:sns:us-west-2:123456789012:t","Subject":"Hi","Message":"Hello world!","Timestamp":"2026-01-31T12:00:00.655Z"}}"#,
    ),
    example(
        &["--from", "sqs"],
        r#"{"messageId":"059f","body":"Hello","attributes":{"SentTimestamp":"1769860800000","MessageGroupId":"k7"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:q"}"#,
    ),
    example(
        &["--from", "github"],
        r#"{"headers":{"X-GitHub-Event":"issues","X-GitHub-Delivery":"72d3162e"},"body":{"action":"opened","issue":{"number":7,"updated_at":"2026-01-31T12:00:00Z"},"repository":{"url":"https://api.github.com/repos/o/r"}}}"#,
    ),
    example(
        &["--from", "http", "--type", "order", "--source", "/shop", "--id-header", "Idempotency-Key"],
        r#"{"headers":{"content-type":"text/csv","idempotency-key":"5"},"body":"a,b"}"#,
    ),
];

const EVENT: &str = r#"{"specversion":"1.0","id":"5","source":"/shop","type":"order","time":"2026-01-31T12:00:00Z","partitionkey":"k7","data":{"n": 1}}"#;

/// The other direction, and what is none.
const OTHERS: &[Example] = &[
    example(&["--from", "http", "--to", "http-binary"], EVENT),
    example(&["--from", "http", "--to", "structured"], EVENT),
    example(&["--from", "http", "--to", "kafka"], EVENT),
    example(&["--from", "http", "--to", "pubsub"], EVENT),
    example(&["--from", "http", "--to", "eventgrid"], EVENT),
    example(
        &["--from", "http"],
        r#"{"specversion":"1.0","id":"5","source":"/shop","type":"order","time":"noon"}"#,
    ),
];

fn row(out: &mut String, Example { args, input }: &Example) {
    let lines = normalize(args, input);
    assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
    let cell = |text: &str| format!("`{}`", text.replace('|', "\\|"));
    writeln!(out, "| {} | {} | {} |", cell(&args.join(" ")), cell(input), cell(&lines[0])).unwrap();
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let mut table = String::from("\n| `outrigger normalize` | reads | prints |\n|---|---|---|\n");
    for example in ORIGINS.iter().chain(OTHERS) {
        row(&mut table, example);
    }
    table.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let begin = readme.find(BEGIN).unwrap();
    let begin = begin + readme[begin..].find('\n').unwrap() + 1;
    let end = begin + readme[begin..].find(END).unwrap();
    is_current(&path, &[&readme[..begin], &table, &readme[end..]].concat());
}
