//! Who may have events delivered here after asking: the handshake of "Web Hooks for Event Delivery".

use super::build::Values;

/// Which senders are granted leave to send, and how fast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Their origins, or `*` for all; none grants it to nobody.
    pub origins: Option<Vec<String>>,
    /// Requests per minute; none is without limit.
    pub rate: Option<u64>,
}

/// An origin as the table reads it.
pub(super) const AN_ORIGIN: &str = "a DNS name such as eventgrid.azure.net, or \"*\"";

impl Values {
    /// The settings `origins` and `rate` of a section.
    pub(super) fn webhook(&self, section: &str) -> Webhook {
        Webhook {
            origins: self.list(&format!("{section}.origins")),
            rate: self.some_count(&format!("{section}.rate")),
        }
    }
}

/// A host as the table reads it.
pub(super) const A_HOST: &str = "the DNS name of a host such as eventgrid.azure.net";

/// Whether it names a host: an asterisk or an address could lead to what only we can reach.
pub(super) fn is_host(text: &str) -> bool {
    text != "*" && text.parse::<std::net::IpAddr>().is_err() && is_origin(text)
}

/// Whether it is a name of labels with letters, digits, hyphens and underscores, or the asterisk.
pub(super) fn is_origin(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text == "*" || (text.len() <= 253 && text.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_dns_name_or_the_asterisk() {
        for good in
            ["*", "eventgrid.azure.net", "localhost", "a-b.example", "_x.example", "xn--bcher-kva.example"]
        {
            assert!(is_origin(good), "{good}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in
            ["", ".", "a..b", "*.example", "https://a.example", "a.example:443", "-a.example", "a b", &long]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn a_host_is_neither_the_asterisk_nor_an_address() {
        assert!(is_host("eventgrid.azure.net"));
        for bad in ["*", "169.254.169.254", "::1", "a b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
