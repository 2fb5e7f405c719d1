//! All attributes of an event in two pieces of memory: one text and a list of spans in it.
//!
//! `specversion` is not among them: there is only "1.0", and the codecs check and write it. Neither is the data.

pub(super) mod names;
pub(super) mod postmark;

use smallvec::SmallVec;

use self::names::{DATACONTENTTYPE, DATASCHEMA, DEFINED, KNOWN, kind_of, known};
use super::{
    check,
    invalid::Invalid,
    media, uri,
    value::{Kind, Value},
};

/// `id`, `source` and `type` are there in every event and always first, at their place in [`KNOWN`] less one.
pub(super) const REQUIRED: usize = 3;
/// More attributes than any transport carries; what lies beyond is refused, which bounds the search for doubles.
pub(super) const COUNT_MAX: usize = 256;
/// The specification recommends at most 20 characters and forbids no length; this one fits a byte.
const NAME_BYTES_MAX: usize = u8::MAX as usize;

/// One attribute: its name (unless known) and right after it its value, at `start` in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    start: u32,
    value_len: u32,
    name_len: u8,
    /// The place in [`KNOWN`], or 0 when the name is spelled out.
    known: u8,
    /// `None`: not there (yet), such as a `null` in JSON.
    kind: Option<Kind>,
}

/// A name that stands in the text and waits for its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    start: u32,
    known: u8,
    /// Where the entry is, when its name is one of the required.
    at: usize,
}

/// The attributes of an event, or of one in the making until [`Attributes::finished`].
#[derive(Debug, Clone)]
pub(super) struct Attributes {
    text: String,
    entries: SmallVec<[Entry; 8]>,
}

impl Attributes {
    /// Without attributes, but with room for `bytes` of names and values.
    pub(super) fn with_capacity(bytes: usize) -> Attributes {
        let absent = |known| Entry { start: 0, value_len: 0, name_len: 0, known, kind: None };
        let entries = SmallVec::from_slice(&[absent(1), absent(2), absent(3)]);
        Attributes { text: String::with_capacity(bytes), entries }
    }

    /// Makes room for `bytes` more of names and values.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.text.reserve_exact(bytes);
    }

    /// Adds an attribute that is not there yet.
    pub(super) fn push(&mut self, name: &str, kind: Kind, text: &str) -> Result<(), Invalid> {
        let named = self.begin(name)?;
        self.end(named, kind, text)
    }

    /// Starts an attribute that is not there yet; [`Attributes::end`] or [`Attributes::skip`] must follow at once.
    pub(super) fn begin(&mut self, name: &str) -> Result<Named, Invalid> {
        let start = self.text_len()?;
        let known = known(name);
        let at = usize::from(known).wrapping_sub(1);
        if at < REQUIRED {
            return if self.entries[at].kind.is_some() || self.entries[at].start == NULL {
                Err(twice(name))
            } else {
                Ok(Named { start, known, at })
            };
        }
        if known == 0 {
            new_name(name)?;
        }
        if self.position(name, known).is_some() {
            return Err(twice(name));
        }
        self.begin_new(name, known, start)
    }

    /// The same for one that was looked for, and whose name is good.
    fn begin_new(&mut self, name: &str, known: u8, start: u32) -> Result<Named, Invalid> {
        if self.entries.len() >= COUNT_MAX {
            return Err(Invalid::says(name, "is one attribute too many; an event has at most 256"));
        }
        if known == 0 {
            self.text.push_str(name);
        }
        Ok(Named { start, known, at: self.entries.len() })
    }

    /// The name of the attribute that was just begun.
    pub(super) fn begun(&self, named: Named) -> &str {
        match named.known {
            0 => &self.text[named.start as usize..],
            known => KNOWN[usize::from(known)],
        }
    }

    /// Gives the attribute that was just begun its value. On an error it is as if it had not been begun.
    pub(super) fn end(&mut self, named: Named, kind: Kind, text: &str) -> Result<(), Invalid> {
        let known = named.known;
        match self.fitting(named, kind, text) {
            Ok((kind, value_len)) => {
                let name_len = self.name_len(named);
                self.text.push_str(text);
                self.put(
                    named.at,
                    Entry { start: named.start, value_len, name_len, known, kind: Some(kind) },
                );
                Ok(())
            }
            Err(invalid) => {
                self.text.truncate(named.start as usize);
                Err(invalid)
            }
        }
    }

    /// Notes that the attribute that was just begun is not there, so that a second one of its name is found.
    pub(super) fn skip(&mut self, named: Named) {
        let start = if named.at < REQUIRED { NULL } else { named.start };
        let name_len = self.name_len(named);
        self.put(named.at, Entry { start, value_len: 0, name_len, known: named.known, kind: None });
    }

    /// Adds an attribute from a stored record, of which only that it can be shown is checked: what a former
    /// version accepted stays readable when the rules for new events change.
    pub(super) fn restore(&mut self, known: u8, name: &str, kind: Kind, text: &str) -> Result<(), Invalid> {
        let name = if known == 0 { name } else { KNOWN.get(usize::from(known)).copied().unwrap_or_default() };
        let named = self.begin(name)?;
        let required_but_empty = named.at < REQUIRED && text.is_empty();
        // What is known today may have been spelled out when it was written.
        let is_other = if known == 0 { (1..=DEFINED).contains(&named.known) } else { named.known != known };
        if is_other || required_but_empty || !kind.is_readable(text) {
            return Err(Invalid::new(name, text, "what a stored attribute can be"));
        }
        let name_len = self.name_len(named);
        let value_len = self.room_for(text)?;
        self.text.push_str(text);
        let known = named.known;
        self.put(named.at, Entry { start: named.start, value_len, name_len, known, kind: Some(kind) });
        Ok(())
    }

    /// The whole, once nothing is missing.
    pub(super) fn finished(mut self) -> Result<Attributes, Invalid> {
        if let Some(missing) = self.entries.iter().take(REQUIRED).find(|e| e.kind.is_none()) {
            return Err(Invalid::missing(KNOWN[usize::from(missing.known)]));
        }
        if self.entries.iter().any(|entry| entry.kind.is_none()) {
            self.entries.retain(|entry| entry.kind.is_some());
        }
        Ok(self)
    }

    /// Sets an attribute, which keeps its place when it is there already. On an error nothing has changed.
    pub(super) fn set(&mut self, name: &str, kind: Kind, text: &str) -> Result<(), Invalid> {
        let known = known(name);
        let Some(at) = self.position(name, known) else {
            if known == 0 {
                new_name(name)?;
            }
            let start = self.text_len()?;
            let named = self.begin_new(name, known, start)?;
            return self.end(named, kind, text);
        };
        let kind = fitting_kind(self.entries[at].known, name, kind, text)?;
        let value_len = self.room_for(text)?;
        let range = self.entries[at].value_range();
        let (from, old_len) = (self.entries[at].start, self.entries[at].value_len);
        self.text.replace_range(range, text);
        for later in self.entries.iter_mut().filter(|e| e.start > from) {
            later.start = later.start - old_len + value_len;
        }
        self.entries[at].value_len = value_len;
        self.entries[at].kind = Some(kind);
        Ok(())
    }

    /// Takes an attribute away; false when it is not there or is one that every event has.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.position(name, known(name)).filter(|at| *at >= REQUIRED) else { return false };
        let entry = self.entries.remove(at);
        self.text.replace_range(entry.start as usize..entry.value_range().end, "");
        let gone = u32::from(entry.name_len) + entry.value_len;
        for later in self.entries.iter_mut().filter(|e| e.start > entry.start) {
            later.start -= gone;
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'_>> {
        let entry = &self.entries[self.position(name, known(name))?];
        Some(entry.kind?.value(self.value(entry)))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.position(name, known(name)).map(|at| self.value(&self.entries[at]))
    }

    /// The text of the required attribute at this place: 0 `id`, 1 `source`, 2 `type`.
    pub(super) fn required(&self, at: usize) -> &str {
        self.value(&self.entries[at])
    }

    /// `id`, `source`, `type`, then the others in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.entries.iter().filter_map(|entry| {
            let kind = entry.kind?;
            Some(Attribute { known: entry.known, name: self.name(entry), kind, text: self.value(entry) })
        })
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        let spilled = if self.entries.spilled() { self.entries.capacity() * size_of::<Entry>() } else { 0 };
        self.text.capacity() + spilled
    }

    fn put(&mut self, at: usize, entry: Entry) {
        match self.entries.get_mut(at) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
    }

    fn position(&self, name: &str, known: u8) -> Option<usize> {
        match usize::from(known) {
            0 => self.entries.iter().position(|e| e.known == 0 && self.name(e) == name),
            place @ 1..=REQUIRED => Some(place - 1),
            _ => self.entries.iter().position(|e| e.known == known),
        }
    }

    fn name(&self, entry: &Entry) -> &str {
        match entry.known {
            0 => &self.text[entry.start as usize..][..usize::from(entry.name_len)],
            known => KNOWN[usize::from(known)],
        }
    }

    fn value(&self, entry: &Entry) -> &str {
        &self.text[entry.value_range()]
    }

    fn name_len(&self, named: Named) -> u8 {
        // It was checked to fit when the name was begun.
        u8::try_from(self.text.len() - named.start as usize).unwrap_or(u8::MAX)
    }

    fn fitting(&self, named: Named, kind: Kind, text: &str) -> Result<(Kind, u32), Invalid> {
        Ok((fitting_kind(named.known, self.begun(named), kind, text)?, self.room_for(text)?))
    }

    fn text_len(&self) -> Result<u32, Invalid> {
        u32::try_from(self.text.len()).map_err(|_| too_long())
    }

    /// The length of `text`, when a name and it still fit.
    fn room_for(&self, text: &str) -> Result<u32, Invalid> {
        match u32::try_from(self.text.len() + NAME_BYTES_MAX + text.len()) {
            Ok(_) => u32::try_from(text.len()).map_err(|_| too_long()),
            Err(_) => Err(too_long()),
        }
    }
}

impl PartialEq for Attributes {
    /// The same names with the same canonical texts, in any order: what remains the same on every wire.
    fn eq(&self, other: &Attributes) -> bool {
        self.count() == other.count() && self.iter().all(|a| other.text(a.name) == Some(a.text))
    }
}

/// One attribute as it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    /// The place in the list of known names, or 0.
    pub(super) known: u8,
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

impl Entry {
    fn value_range(&self) -> std::ops::Range<usize> {
        let start = self.start as usize + usize::from(self.name_len);
        start..start + self.value_len as usize
    }
}

/// The start of a required attribute that was `null`.
const NULL: u32 = u32::MAX;

fn fitting_kind(known: u8, name: &str, kind: Kind, text: &str) -> Result<Kind, Invalid> {
    let kind = match kind_of(known) {
        Some(defined) if kind == defined || kind == Kind::String => defined,
        Some(_) => return Err(Invalid::new(name, text, "of the type that the specification gives it")),
        None => kind,
    };
    if (1..=DEFINED).contains(&known) && text.is_empty() {
        return Err(Invalid::says(name, "is empty; leave it out or give it a value"));
    }
    if known == DATACONTENTTYPE {
        if media::is_plain(text) {
            return Ok(kind); // its characters are text
        }
        if !media::is_media_type(text) {
            return Err(Invalid::new(name, text, "a media type such as application/json (RFC 2046)"));
        }
    }
    if known == DATASCHEMA && (uri::is_fragment(text) || uri::is_type_url(text)) {
        return Ok(kind); // no URIs; but Azure Event Grid names its versions so, and Protobuf its types
    }
    match kind.refusal(text) {
        Some(expected) => Err(Invalid::new(name, text, expected)),
        None => Ok(kind),
    }
}

fn new_name(name: &str) -> Result<(), Invalid> {
    if !check::is_name(name) {
        return Err(Invalid::new("attribute", name, "a name of lower-case letters a-z and digits"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Invalid::new("attribute", name, "a name of at most 255 characters"));
    }
    if matches!(name, "data" | "specversion") {
        return Err(Invalid::says(name, "is no attribute that can be added"));
    }
    Ok(())
}

fn twice(name: &str) -> Invalid {
    Invalid::says(name, "is there twice")
}

fn too_long() -> Invalid {
    Invalid::says("attributes", "are longer than 4 GiB together")
}
