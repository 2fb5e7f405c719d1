//! Why a handshake failed: in words for the operator, in a few names for metrics.

use std::{error::Error as StdError, fmt, io, sync::Arc};

use rustls::{AlertDescription, CertificateError, Error, OtherError};

use super::Peer;

/// Why a client did not get in, as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It spoke something else, mostly plain HTTP.
    NotTls,
    /// It speaks no version (of TLS, or by ALPN of HTTP), cipher or curve that we speak.
    Version,
    /// It showed no certificate where one is required.
    NoCertificate,
    /// Its certificate is not from our authorities, has expired or is otherwise wrong.
    Certificate,
    /// Its authority has taken its certificate back, or it is not known whether it has.
    Revoked,
    /// Its certificate is right, and no rule names it.
    NotAllowed,
    /// It refused us: our certificate is not what it expects.
    Rejected,
    /// It took longer than the header timeout.
    Late,
    /// It broke the protocol.
    Broken,
    /// It went away, as those do who only ask whether the port is open.
    Gone,
}

impl Refusal {
    /// All of them, in the order of [`Refusal::index`].
    pub const ALL: [Refusal; 10] = [
        Refusal::NotTls,
        Refusal::Version,
        Refusal::NoCertificate,
        Refusal::Certificate,
        Refusal::Revoked,
        Refusal::NotAllowed,
        Refusal::Rejected,
        Refusal::Late,
        Refusal::Broken,
        Refusal::Gone,
    ];

    /// Its place in [`Refusal::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::NotTls => "not_tls",
            Refusal::Version => "version",
            Refusal::NoCertificate => "no_certificate",
            Refusal::Certificate => "certificate",
            Refusal::Revoked => "revoked",
            Refusal::NotAllowed => "not_allowed",
            Refusal::Rejected => "rejected",
            Refusal::Late => "late",
            Refusal::Broken => "broken",
            Refusal::Gone => "gone",
        }
    }

    /// What a failed handshake of a listener of ours was, and the words for its operator.
    #[must_use]
    pub fn of(error: &io::Error) -> (Refusal, String) {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return (Refusal::Gone, format!("the client went away during the handshake: {error}"));
        };
        match tls {
            Error::InvalidMessage(_) => {
                (Refusal::NotTls, "the client does not speak TLS; give it an https:// URL".to_owned())
            }
            Error::PeerIncompatible(why) => (
                Refusal::Version,
                format!("the client speaks no TLS version, cipher or curve that is spoken here ({why:?})"),
            ),
            Error::NoApplicationProtocol => (
                Refusal::Version,
                "the client speaks no version of HTTP that is spoken here (ALPN)".to_owned(),
            ),
            Error::NoCertificatesPresented => (
                Refusal::NoCertificate,
                "the client showed no certificate, and one is required here".to_owned(),
            ),
            Error::InvalidCertificate(CertificateError::Other(OtherError(other)))
                if other.is::<NotAllowed>() =>
            {
                (Refusal::NotAllowed, other.to_string())
            }
            Error::InvalidCertificate(
                wrong @ (CertificateError::Revoked | CertificateError::UnknownRevocationStatus),
            ) => (Refusal::Revoked, format!("the client's certificate {}", certificate(wrong))),
            Error::InvalidCertificate(wrong) => {
                (Refusal::Certificate, format!("the client's certificate {}", certificate(wrong)))
            }
            Error::AlertReceived(alert) => (Refusal::Rejected, rejected(*alert)),
            other => (Refusal::Broken, format!("the handshake failed: {other}")),
        }
    }
}

fn rejected(alert: AlertDescription) -> String {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA};
    let advice = match alert {
        UnknownCA => "; it does not trust the authority of our certificate",
        CertificateExpired => "; our certificate has expired by its clock",
        BadCertificate | CertificateUnknown => "; our certificate is not what it expects",
        _ => "",
    };
    format!("the client refused the connection with the alert {alert:?}{advice}")
}

/// What is wrong with a server's certificate, or with ours in its eyes, and what to do; `None` where it is not about TLS.
pub(crate) fn of_server(error: &(dyn StdError + 'static)) -> Option<String> {
    use AlertDescription::{
        BadCertificate, CertificateExpired, CertificateRequired, CertificateUnknown, UnknownCA,
    };
    let error = error.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(wrong) => format!("its certificate {}", certificate(wrong)),
        Error::InvalidMessage(_) => {
            format!("TLS: it does not speak TLS; use its http:// URL or another port ({error})")
        }
        Error::AlertReceived(CertificateRequired) => {
            "it wants a certificate of ours; name the files of one and its key".to_owned()
        }
        Error::AlertReceived(
            alert @ (BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA),
        ) => {
            format!("it refused our certificate ({alert:?}); show it one that it takes")
        }
        _ => format!("TLS: {error}"),
    })
}

/// What is wrong with the certificate of the other side, as the rest of a sentence.
fn certificate(wrong: &CertificateError) -> String {
    let what = match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; renew it there, or set the clock here"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; set the clocks"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name; use the name that it is for"
        }
        CertificateError::UnknownIssuer => {
            "is from an authority that is not trusted here; name the authority's file"
        }
        CertificateError::BadSignature => {
            "is signed by another key than that of the authority of this name that is trusted here; was the authority \
             made anew? name its new file"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is for another use (extendedKeyUsage); take one that is for this side"
        }
        CertificateError::Revoked => "was taken back by its authority",
        CertificateError::UnknownRevocationStatus => {
            "is of an authority without a revocation list here; add its list to client_crl_file"
        }
        _ => "is wrong",
    };
    format!("{what} ({wrong})")
}

/// A certificate that no rule names.
#[derive(Debug)]
struct NotAllowed(String);

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no rule allows the client {}; name it in client_subjects or client_spiffe_ids", self.0)
    }
}

impl StdError for NotAllowed {}

pub(crate) fn not_allowed(peer: &Peer) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotAllowed(peer.to_string())))))
}
