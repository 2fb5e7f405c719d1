//! Who a certificate says that the other side is. It was verified before it comes here.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
    x509::{AttributeTypeAndValue, X509Name},
};

/// The longest SPIFFE id (its specification, section 2.4), in bytes.
const SPIFFE_ID_BYTES_MAX: usize = 2048;

/// The other side of a connection, by the certificate with which it proved itself.
///
/// A request that came over such a connection carries it as `Arc<Peer>` among its extensions. One without it came
/// from a client that showed no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// The subject as RFC 4514 writes it, such as `CN=billing,O=Example`: what
    /// `openssl x509 -noout -subject -nameopt RFC2253` prints. Empty where the certificate has none.
    pub subject: String,
    /// The SPIFFE id, where the certificate is an X.509-SVID: it has exactly one URI, and that is a valid id.
    pub spiffe_id: Option<String>,
    /// DNS names, in lower case, in the certificate's order.
    pub dns: Vec<String>,
    /// URIs, in the certificate's order.
    pub uris: Vec<String>,
    /// Email addresses, in the certificate's order.
    pub emails: Vec<String>,
    /// IP addresses, in the certificate's order.
    pub addresses: Vec<IpAddr>,
    /// The serial number, in hexadecimal: with it the authority finds its certificate.
    pub serial: String,
}

impl Peer {
    /// Reads the certificate `der`, and verifies nothing.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn of(der: &[u8]) -> Result<Peer, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let mut peer = Peer {
            subject: subject_text(certificate.subject()),
            serial: certificate.raw_serial_as_string().replace(':', ""),
            ..Peer::default()
        };
        let names = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => peer.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => peer.uris.push((*uri).to_owned()),
                GeneralName::RFC822Name(address) => peer.emails.push((*address).to_owned()),
                GeneralName::IPAddress(bytes) => peer.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        if let [uri] = peer.uris.as_slice()
            && is_spiffe_id(uri)
        {
            peer.spiffe_id = Some(uri.clone());
        }
        Ok(peer)
    }
}

impl std::fmt::Display for Peer {
    /// Its SPIFFE id, else its subject, else its first name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subject = Some(&self.subject).filter(|subject| !subject.is_empty());
        let name = self.spiffe_id.as_ref().or(subject).or(self.dns.first()).or(self.uris.first());
        f.write_str(name.map_or("a certificate without a name", String::as_str))
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

/// Whether it is one by the rules of the SPIFFE-ID specification, sections 2.1 to 2.4.
pub(crate) fn is_spiffe_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://").filter(|_| text.len() <= SPIFFE_ID_BYTES_MAX) else {
        return false;
    };
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let in_path = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(in_path);
    !domain.is_empty()
        && domain.bytes().all(in_domain)
        && path.is_none_or(|path| path.split('/').all(segment))
}

/// The name as RFC 4514 writes it: the last part first, and nothing in a value that could be taken for another part.
pub(crate) fn subject_text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute_text).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

/// The short names of RFC 4514, section 3, and the address that older authorities write. Others by their number.
const SHORT: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "street"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == number).map(|(_, short)| *short);
    match (short, attribute.as_str()) {
        (Some(short), Ok(value)) => format!("{short}={}", escaped(value)),
        (short, _) => {
            let mut text = format!("{}=#", short.unwrap_or(&number));
            for byte in attribute.as_slice() {
                let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
            }
            text
        }
    }
}

/// A value by RFC 4514, section 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        let edge = (index == 0 && matches!(c, ' ' | '#')) || (index == last && c == ' ');
        if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "\\{byte:02X}");
            }
            continue;
        }
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests;
