//! A part of what was sent, as it stands there, and what single members of it say.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use outrigger_core::{
    Event, Invalid, Value,
    event::{json, reference},
};
use serde::{
    Deserializer as _,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};
use time::{OffsetDateTime, UtcDateTime};

use super::MEMBERS_MAX;

/// A value of JSON, as the slice of what was sent that it is.
#[derive(Debug, Clone)]
pub(super) struct Part(Bytes);

impl Part {
    /// What was sent. It is passed over once, without recursion.
    ///
    /// # Errors
    /// When it is no JSON in UTF-8.
    pub(super) fn whole(body: &Bytes) -> Result<Self, Invalid> {
        let text = str::from_utf8(body).map_err(|_| Invalid::says("json", "is not UTF-8"))?;
        let good = serde_json::from_str::<IgnoredAny>(text);
        good.map_err(|error| Invalid::says("json", &format!("is malformed: {error}")))?;
        Ok(Self(body.slice_ref(body.trim_ascii())))
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub(super) fn is_list(&self) -> bool {
        self.0.starts_with(b"[")
    }

    pub(super) fn is_object(&self) -> bool {
        self.0.starts_with(b"{")
    }

    fn json(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // it was looked at, and so was all around it
    }

    /// The member at this path; `null` is none.
    pub(super) fn part(&self, path: &[&str]) -> Option<Self> {
        json::member(self.json(), path).map(|raw| Self(self.0.slice_ref(raw.as_bytes())))
    }

    pub(super) fn has(&self, path: &[&str]) -> bool {
        json::member(self.json(), path).is_some()
    }

    /// What a member says that is a text, a number or a boolean, unless it says nothing.
    pub(super) fn text(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        json::text(json::member(self.json(), path)?).filter(|text| !text.is_empty())
    }

    /// The same where there must be one.
    ///
    /// # Errors
    /// When there is none; `who` names what has it.
    pub(super) fn needed(&self, path: &[&str], who: &str) -> Result<Cow<'_, str>, Invalid> {
        let missing =
            || Invalid::says(path.last().copied().unwrap_or_default(), &format!("is missing; {who} has it"));
        self.text(path).ok_or_else(missing)
    }

    /// The members of a list.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn list(&self) -> Result<Vec<Self>, Invalid> {
        struct List<'l, 'a>(&'l mut Vec<&'a RawValue>);
        impl<'a> Visitor<'a> for List<'_, 'a> {
            type Value = ();

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
                while self.0.len() <= MEMBERS_MAX {
                    let Some(member) = list.next_element()? else { break };
                    self.0.push(member);
                }
                Ok(())
            }
        }
        let mut members = Vec::new();
        // It ends in an error where there are more.
        let _ = Deserializer::from_str(self.json()).deserialize_seq(List(&mut members));
        if members.len() > MEMBERS_MAX {
            return Err(Invalid::says("list", "has more than 65536 members"));
        }
        Ok(members.into_iter().map(|raw| Self(self.0.slice_ref(raw.get().as_bytes()))).collect())
    }

    /// The members of an object, to be asked for several of them.
    pub(super) fn members(&self) -> Members<'_> {
        Members(serde_json::from_str(self.json()).unwrap_or_default())
    }

    /// The members of an object that maps names to lists, all in a row.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn lists_within(&self) -> Result<Vec<Self>, Invalid> {
        let lists = self.members().0.into_values().map(|raw| Self(self.0.slice_ref(raw.get().as_bytes())));
        let mut all = Vec::new();
        for list in lists.filter(Part::is_list) {
            all.extend(list.list()?);
        }
        Ok(all)
    }

    /// An event with this part as its data, which is JSON.
    ///
    /// # Errors
    /// When an attribute breaks a rule of the specification.
    pub(super) fn event(&self, id: &str, source: &str, ty: &str) -> Result<Event, Invalid> {
        Event::new(id, &reference(source), ty)?.with_data("application/json", self.0.clone())
    }
}

/// The members of an object, by name.
pub(super) struct Members<'p>(BTreeMap<Cow<'p, str>, &'p RawValue>);

impl Members<'_> {
    /// Whether there is one at this path; `null` is none.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        self.0.get(*first).is_some_and(|raw| match rest {
            [] => raw.get() != "null",
            rest => json::member(raw.get(), rest).is_some(),
        })
    }
}

/// Sets an attribute that may not be there.
///
/// # Errors
/// When it breaks a rule of the specification.
pub(super) fn set(event: &mut Event, name: &str, text: Option<impl AsRef<str>>) -> Result<(), Invalid> {
    match text {
        Some(text) => event.set(name, Value::String(text.as_ref())),
        None => Ok(()),
    }
}

/// A time as RFC 3339 writes it: AWS leaves the colon out of offsets (`+0000`) in places.
pub(super) fn timestamp(text: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some((rest, [b'+' | b'-', h1, h2, m1, m2])) = bytes.split_last_chunk::<5>() else {
        return text;
    };
    if !rest.contains(&b'T') || ![h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) {
        return text;
    }
    let (before, minutes) = text.split_at(text.len() - 2);
    Cow::Owned(format!("{before}:{minutes}"))
}

/// A time that is a count of seconds, or of milliseconds, since 1970.
///
/// # Errors
/// When it is no number, or lies beyond the year 9999.
pub(super) fn since_1970(text: &str, per_second: u32) -> Result<String, Invalid> {
    let wrong = || Invalid::new("time", text, "a number of seconds since 1970, before the year 10000");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    let ms = number * 1000.0 / f64::from(per_second);
    if !(0.0..253_402_300_800_000.0).contains(&ms) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the years 1970 to 9999")]
    let ms = ms.round() as i128;
    let at = OffsetDateTime::from_unix_timestamp_nanos(ms * 1_000_000).map_err(|_| wrong())?;
    let at = UtcDateTime::from(at);
    let (date, (h, m, s, milli)) = (at.date(), at.time().as_hms_milli());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    Ok(format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}{fraction}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_gets_its_colon_and_everything_else_stays() {
        for (text, read) in [
            ("2018-01-26T15:58:33.475+0000", "2018-01-26T15:58:33.475+00:00"),
            ("2018-01-26T15:58:33-0130", "2018-01-26T15:58:33-01:30"),
            ("2018-01-26T15:58:33Z", "2018-01-26T15:58:33Z"),
            ("2018-01-26T15:58:33+00:00", "2018-01-26T15:58:33+00:00"),
            ("2018-01-2600", "2018-01-2600"),
            ("é+0000", "é+0000"),
        ] {
            assert_eq!(timestamp(text.into()), read);
        }
    }

    #[test]
    fn a_count_since_1970_is_a_time() {
        assert_eq!(since_1970("1480641523.477", 1).unwrap(), "2016-12-02T01:18:43.477Z");
        assert_eq!(since_1970("1480642020", 1).unwrap(), "2016-12-02T01:27:00Z");
        assert_eq!(since_1970("1520621625029", 1000).unwrap(), "2018-03-09T18:53:45.029Z");
        for bad in ["x", "-1", "NaN", "inf", "1e300", "253402300800"] {
            since_1970(bad, 1).unwrap_err();
        }
    }
}
