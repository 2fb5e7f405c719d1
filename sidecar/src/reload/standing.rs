//! How the configuration's file stands to what holds, as metrics and `outrigger status` tell it.

/// What is known of the file since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When what holds was read, in Unix seconds.
    pub read_s: u64,
    /// The mistakes of a newer file, a line each; while they are there, what was read before holds.
    pub refused: Option<String>,
    /// Whether there is no file any more.
    pub gone: bool,
    /// The settings that count after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Standing {
    /// What was read at the start.
    #[must_use]
    pub fn new(read_s: u64) -> Self {
        Self { read_s, ..Self::default() }
    }

    /// Whether what holds is what the file says, but for what waits for a restart.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.refused.is_none() && !self.gone
    }

    /// What waits for a restart, in a phrase.
    #[must_use]
    pub fn restart(&self) -> Option<String> {
        (!self.needs_restart.is_empty())
            .then(|| format!("restart to apply {}", self.needs_restart.join(", ")))
    }

    /// What somebody should know of it, in one line.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let gone = self.gone.then(|| "its file is gone, and what was read from it holds".to_owned());
        let refused = || {
            let mut mistakes = self.refused.as_deref()?.lines();
            let first = mistakes.next().unwrap_or_default();
            let further = match mistakes.count() {
                0 => String::new(),
                count => format!(" (and {count} more, in the log)"),
            };
            Some(format!("its file is refused, and what was read before holds: {first}{further}"))
        };
        let parts: Vec<_> = gone.or_else(refused).into_iter().chain(self.restart()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_tells_all_that_somebody_should_know() {
        let good = Standing::new(7);
        assert_eq!((good.told(), good.is_current()), (None, true));
        let waits = Standing { needs_restart: vec!["a.b", "c"], ..good.clone() };
        assert_eq!((waits.told().as_deref(), waits.is_current()), (Some("restart to apply a.b, c"), true));
        let refused = Standing { refused: Some("f:1: x\nf:2: y\nf:3: z".to_owned()), ..waits };
        let told = "its file is refused, and what was read before holds: f:1: x (and 2 more, in the log); \
                    restart to apply a.b, c";
        assert_eq!((refused.told().as_deref(), refused.is_current()), (Some(told), false));
        let gone = Standing { gone: true, ..good };
        let told = "its file is gone, and what was read from it holds";
        assert_eq!((gone.told().as_deref(), gone.is_current()), (Some(told), false));
    }
}
