//! HTTP with the journal: the sidecar is the broker itself, which accepts with 202 once an event is on disk.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::BoxFuture;
use outrigger_testkit::{
    Mode, Outgoing, Producer, free_port,
    suite::{Adapter, Capabilities, Declared, Sidecar, Source, Way, outrigger::metric},
};

outrigger_testkit::suite!(Http, crate::shipped());

pub(crate) struct Http {
    listen: SocketAddr,
    producer: Producer,
}

impl Adapter for Http {
    const CAPABILITIES: Capabilities = Capabilities {
        source: "http",
        // `journal.commit_every`
        settles_within: Duration::from_millis(100),
        ahead: 0,
        order: Declared::Has(()),
        duplicates: Declared::Has(()),
        lease: Declared::Lacks("the journal lends nothing, so nothing runs out"),
        reconnect: Declared::Lacks("the journal is a file, and who posts makes his own connections"),
    };

    async fn place(_: &str, _: Way) -> Option<Self> {
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Some(Self { listen, producer: Producer::new(&format!("http://{listen}/")) })
    }
}

impl Source for Http {
    fn settings(&self) -> Vec<(String, String)> {
        vec![("ingress.http.listen".to_owned(), self.listen.to_string())]
    }

    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            for event in events {
                let answer = self.producer.send(event, Mode::Binary).await?;
                if answer.status() != 202 {
                    return Err(format!("{}: {:?}", answer.status(), answer.body()));
                }
            }
            Ok(())
        })
    }

    /// What waits in the journal, settlements on disk included.
    fn unsettled<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(metric(sidecar, "outrigger_journal_pending_events"))
    }
}
