//! The journal in this process as the home of dead letters.

use outrigger_core::{BoxFuture, Result};
use outrigger_journal::{Journal, audit::Order, dead};

use super::{Changed, Dead, Filter, Letter, Listed, PAGE, Refused, Summary};

impl Dead for Journal {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        let (filter, page) = asked(filter);
        Box::pin(async move {
            let listed = Journal::list(self, filter, page).await?;
            Ok(Listed { letters: listed.letters.into_iter().map(summary).collect(), next: listed.next })
        })
    }

    fn get(&self, id: u64) -> BoxFuture<'_, Result<Option<Letter>>> {
        Box::pin(async move { Ok(Journal::get(self, id).await?.map(|letter| Letter::new(id, &letter))) })
    }

    fn replay<'a>(&'a self, filter: Filter, by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        let order = order(&filter, by);
        let (filter, page) = asked(filter);
        Box::pin(async move {
            let replayed = Journal::replay(self, filter, page, order).await?;
            Ok(Changed {
                done: replayed.replayed.into_iter().map(|(id, _)| id).collect(),
                refused: replayed.refused.into_iter().map(|(id, why)| Refused { id, why }).collect(),
                next: replayed.next,
            })
        })
    }

    fn drop<'a>(&'a self, filter: Filter, by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        let order = order(&filter, by);
        let (filter, page) = asked(filter);
        Box::pin(async move {
            let dropped = self.discard(filter, page, order).await?;
            Ok(Changed { done: dropped.ids, refused: Vec::new(), next: dropped.next })
        })
    }
}

fn order(filter: &Filter, by: &str) -> Order {
    Order { by: by.to_owned(), what: serde_json::json!(filter).to_string() }
}

fn asked(filter: Filter) -> (dead::Filter, dead::Page) {
    let page = dead::Page { after: filter.after.unwrap_or(0), limit: filter.limit.unwrap_or(PAGE) as usize };
    let filter = dead::Filter {
        ids: filter.ids,
        ty: filter.ty,
        source: filter.source,
        code: filter.reason,
        since_ms: filter.since_ms,
        until_ms: filter.until_ms,
        text: filter.text,
    };
    (filter, page)
}

fn summary(head: dead::Head) -> Summary {
    Summary {
        id: head.id,
        event_id: head.event_id,
        source: head.source,
        ty: head.ty,
        reason: head.code,
        status: head.status,
        detail: head.detail,
        attempts: head.attempts,
        first_ms: head.first_ms,
        last_ms: head.last_ms,
        malformed: head.malformed,
        origin: head.origin,
        position: head.position,
        key: head.key,
        target: head.target,
        bytes: head.bytes,
    }
}
