//! When the source brings more: while the lanes have little that may run, and not to fill the window for its own sake.

/// Whether records are fetched although enough is ready to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Appetite {
    /// Not while enough is.
    #[default]
    Asks,
    /// Enough is, and it waits until that is over.
    Waits,
    /// It has waited since before the last tick.
    Tires,
    /// It waited for long: whatever is slow must hold up nobody else, nor the client, until the window is full.
    Insists,
}

impl Appetite {
    /// Whether to fetch now; `is_sated` says whether enough is ready.
    pub(crate) fn wants(&mut self, is_sated: impl FnOnce() -> bool) -> bool {
        if *self == Self::Asks && is_sated() {
            *self = Self::Waits;
        }
        matches!(self, Self::Asks | Self::Insists)
    }

    /// Whether it is to be told when that is over.
    pub(crate) fn was_sated(self) -> bool {
        self != Self::Asks
    }

    /// Every [`Config::commit_every`](crate::Config::commit_every): it waits for one of them whole, and no second.
    pub(crate) fn tick(&mut self) {
        *self = match self {
            Self::Waits => Self::Tires,
            Self::Tires => Self::Insists,
            Self::Asks | Self::Insists => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_while_enough_is_ready_but_not_for_long() {
        let mut appetite = Appetite::default();
        assert!(appetite.wants(|| false) && !appetite.was_sated());
        assert!(!appetite.wants(|| true) && appetite.was_sated());
        appetite.tick();
        assert!(!appetite.wants(|| unreachable!("asked once")));
        appetite.tick();
        assert!(appetite.wants(|| unreachable!("asked once")), "whatever is slow holds up nobody else");
        assert!(appetite.was_sated(), "it still hears when that is over");
        appetite.tick();
        assert!(appetite.wants(|| true));
    }
}
