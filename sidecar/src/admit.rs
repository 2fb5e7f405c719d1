//! The first step inside: what every delivery passes before its lane.

use crate::dispatch::{Target, now};
use outrigger_core::{Admit, Annotate, Delivery, Event, Key, Timeline};
use std::sync::Arc;

/// Lets plugins see each event, then puts it into its target's lane.
pub struct Admission {
    /// Plugins that add attributes.
    pub annotators: Vec<Arc<dyn Annotate>>,
    /// The one target: routes come later.
    pub target: Arc<Target>,
}

impl Admit for Admission {
    fn admit(&self, mut delivery: Delivery) {
        if let Ok(event) = &mut delivery.item {
            for annotator in &self.annotators {
                annotator.annotate(event);
            }
        }
        if self.target.is_observed() {
            delivery.timeline = Timeline::start(now());
        }
        self.target.push(delivery);
    }
}

/// The attributes that may be an event's ordering key; the first that it has, is.
#[derive(Debug, Clone)]
pub struct Keys(pub Vec<String>);

impl Keys {
    /// The key of `event` as `source` sent it; `None` leaves it unordered.
    #[must_use]
    pub fn of(&self, source: &str, event: &Event) -> Option<Key> {
        let key = self.0.iter().find_map(|name| event.text(name))?;
        Some(Key::new(source, key.as_bytes()))
    }
}
