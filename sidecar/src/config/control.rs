//! Which sources may control this process by events.

use super::{build::Values, origins::Origin};

/// Those that stand once, by the names that they have as receivers.
const SOURCES: [&str; 6] = ["http", "kafka", "pubsub", "eventgrid", "pubsub_push", "eventgrid_webhook"];

impl Values {
    /// The names of the sources that are marked `control: true`.
    pub(super) fn control(&self, origins: &[Origin]) -> Vec<String> {
        let is_marked = |name: &&str| self.word(&format!("ingress.{name}.control")) == "true";
        let once = SOURCES.iter().copied().filter(is_marked).map(str::to_owned);
        once.chain(origins.iter().filter(|origin| origin.control).map(Origin::name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Purpose, env::Nothing, reading};

    #[test]
    fn nobody_controls_who_is_not_marked() {
        let control = |text: &str| {
            let text = format!("function: {{url: http://127.0.0.1:1}}\n{text}");
            reading(&Nothing, "f.yaml", &text, &[], Purpose::Look).unwrap().config.control
        };
        assert!(control("").is_empty());
        assert_eq!(control("ingress: {http: {control: true}, kafka: {control: false}}"), ["http"]);
        let origins = "ingress: {origins: [{path: /a, auth: none, control: true}, {path: /b, auth: none}]}";
        assert_eq!(control(origins).len(), 1);
    }
}
