//! librdkafka's errors in one line each: what happened, and what to do about it.

use crate::{
    client::{Trouble, TroubleKind},
    login::Login,
};
use outrigger_core::{Error, Kind};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode as Code},
    types::RDKafkaErrorCode,
};

/// The failure as the source shows it; `None` for what is none, or passes unnoticed.
pub(crate) fn trouble(error: &KafkaError, detail: &str) -> Option<Trouble> {
    let code = error.rdkafka_error_code()?;
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    let kind = match code {
        Code::FencedInstanceId => TroubleKind::Fenced,
        _ if is_damage(error) => TroubleKind::Corrupt(None),
        Code::Fatal => TroubleKind::Fatal,
        _ if fatal => TroubleKind::Fatal,
        // One connection among several: the others serve, or all are down and that is said by itself.
        Code::BrokerTransportFailure | Code::PartitionEOF | Code::PollExceeded => return None,
        Code::AllBrokersDown
        | Code::Resolve
        | Code::SSL
        | Code::Authentication
        | Code::SaslAuthenticationFailed => TroubleKind::Outage,
        _ => TroubleKind::Refused,
    };
    Some(Trouble { message: line(code, detail), kind })
}

/// Whether a batch of records could not be read. librdkafka goes on behind it as if nothing had been there.
pub(crate) fn is_damage(error: &KafkaError) -> bool {
    let codes = [Code::BadMessage, Code::InvalidMessage, Code::BadCompression, Code::NotImplemented];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

/// The failure as a client is told of it, which remembers why it is not let in: whatever comes of that is told as that.
pub(crate) fn told(failed: &KafkaError, detail: &str, login: &Login) -> Option<Trouble> {
    let trouble = trouble(failed, detail)?;
    match failed.rdkafka_error_code() {
        Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL) => {
            login.refuse(&trouble.message);
        }
        Some(Code::AllBrokersDown | Code::Resolve) => {
            let message = login.refusal().unwrap_or(trouble.message);
            return Some(Trouble { message, ..trouble });
        }
        _ => {}
    }
    Some(trouble)
}

/// The failure of a question or a write.
pub(crate) fn error(error: &KafkaError, doing: &str) -> Error {
    let Some(code) = error.rdkafka_error_code() else {
        return Error::new(Kind::Invalid, format!("kafka: {doing}: {error}"));
    };
    Error::new(kind(code), line(code, doing))
}

/// Whether trying again may help.
pub(crate) fn kind(code: RDKafkaErrorCode) -> Kind {
    match code {
        Code::MessageSizeTooLarge
        | Code::InvalidRecord
        | Code::InvalidMessage
        | Code::MessageBatchTooLarge => Kind::Invalid,
        Code::QueueFull => Kind::Overloaded,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::Authentication
        | Code::SaslAuthenticationFailed => Kind::Storage,
        Code::OperationTimedOut | Code::MessageTimedOut | Code::RequestTimedOut => Kind::TimedOut,
        _ => Kind::Unreachable,
    }
}

fn line(code: Code, detail: &str) -> String {
    let what = match code {
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve => {
            "no broker can be reached; check kafka.brokers and the network; it is tried again"
        }
        Code::Authentication if detail.contains("OAUTHBEARER token") => {
            "there is no token to enter with; check kafka.sasl and its endpoint; it is tried again"
        }
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "the broker refused who we say we are; check kafka.sasl and its files; it is tried again"
        }
        Code::SSL => "the encrypted connection failed; check kafka.tls and the broker's certificate",
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "there is no such topic (or we may not see it); create it, or mend its name; it is tried again"
        }
        Code::TopicAuthorizationFailed => {
            "the broker forbids the topic; grant Read and Describe (Write for a sink); it is tried again"
        }
        Code::GroupAuthorizationFailed => {
            "the broker forbids the group; grant Read on ingress.kafka.group; it is tried again"
        }
        Code::ClusterAuthorizationFailed => {
            "the broker forbids it; grant IdempotentWrite on the cluster, or what it names; it is tried again"
        }
        Code::FencedInstanceId => {
            "another member has our ingress.kafka.instance and took our place; give each its own"
        }
        Code::UnsupportedFeature | Code::UnsupportedVersion => {
            "the broker does not know ingress.kafka.rebalance: consumer; use cooperative"
        }
        Code::BadMessage | Code::InvalidMessage | Code::BadCompression | Code::NotImplemented => {
            "a batch of records is damaged (its checksum does not hold, or it cannot be decompressed)"
        }
        Code::MessageSizeTooLarge => "the record is larger than the topic or the producer takes",
        _ => "",
    };
    if what.is_empty() { format!("kafka: {detail} ({code})") } else { format!("kafka: {what} ({detail})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_no_broker_can_be_reached_does_not_hide_why_we_are_not_let_in() {
        let login = Login::default();
        let told = |code, detail: &str| told(&KafkaError::Global(code), detail, &login).unwrap().message;
        let down =
            "kafka: no broker can be reached; check kafka.brokers and the network; it is tried again (1/1)";
        assert_eq!(told(Code::AllBrokersDown, "1/1"), down);
        let refused = told(Code::Authentication, "wrong password");
        assert!(refused.starts_with("kafka: the broker refused who we say we are"), "{refused}");
        assert_eq!(told(Code::AllBrokersDown, "1/1"), refused);
        let tls = told(Code::SSL, "unknown authority");
        assert_eq!(told(Code::AllBrokersDown, "1/1"), tls);
        login.let_in();
        assert_eq!(told(Code::AllBrokersDown, "1/1"), down);
    }

    #[test]
    fn a_token_that_could_not_be_had_is_not_laid_to_the_broker() {
        let failed = KafkaError::Global(Code::Authentication);
        let told = trouble(&failed, "Failed to acquire SASL OAUTHBEARER token: it refuses").unwrap();
        assert!(told.message.starts_with("kafka: there is no token to enter with"), "{}", told.message);
    }
}
