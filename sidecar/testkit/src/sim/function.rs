//! What the function answers: by the record's nature, and by the weather.

use fastrand::Rng;

/// What the function makes of a record, whenever it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It takes it.
    Good,
    /// It takes it sometimes.
    Flaky,
    /// It refuses it for good.
    Refused,
    /// It fails at it each time.
    Failing,
}

impl Nature {
    /// The one that a number below 100 stands for.
    #[must_use]
    pub fn of(drawn: u8) -> Self {
        match drawn {
            0..84 => Self::Good,
            84..92 => Self::Flaky,
            92..96 => Self::Refused,
            _ => Self::Failing,
        }
    }
}

/// What is the matter with the function as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fine,
    /// Nothing listens there.
    Refusing,
    /// It answers 503.
    Unavailable,
    /// It breaks connections.
    Resetting,
    /// It does not answer.
    Hanging,
}

/// What a call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An answer with this status.
    Answer(u16),
    /// The connection breaks after the request was sent.
    Reset,
    /// There was no connection.
    Refuse,
    /// No answer.
    Hang,
}

/// How long it takes, in milliseconds, and what it comes to.
#[must_use]
pub fn act(nature: Nature, weather: Weather, latency_ms_max: u64, rng: &mut Rng) -> (u64, Act) {
    let latency = rng.u64(0..=latency_ms_max);
    let act = match weather {
        Weather::Refusing => return (1, Act::Refuse),
        Weather::Unavailable => Act::Answer(503),
        Weather::Resetting => Act::Reset,
        Weather::Hanging => Act::Hang,
        Weather::Fine => match nature {
            Nature::Good => Act::Answer(if rng.bool() { 200 } else { 204 }),
            Nature::Refused => Act::Answer(400),
            Nature::Failing => Act::Answer(500),
            Nature::Flaky => match rng.u8(..100) {
                0..50 => Act::Answer(200),
                50..65 => Act::Answer(500),
                65..75 => Act::Answer(503),
                75..85 => Act::Reset,
                85..95 => Act::Refuse,
                _ => Act::Hang,
            },
        },
    };
    (latency, act)
}
