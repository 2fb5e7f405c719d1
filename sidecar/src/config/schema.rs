//! The table of settings as a JSON Schema, with which an editor completes, explains and checks a configuration.

use serde_json::{Map, Value as Json, json};

use super::{
    raw,
    settings::{SECTIONS, SETTINGS, Section, Setting},
};

/// Every setting with its unit, default and bounds, as JSON Schema (draft 2020-12). What two settings may not say
/// together is not in it: `outrigger check` tells that too.
#[must_use]
pub fn schema() -> String {
    format!("{:#}\n", json())
}

fn json() -> Json {
    let mut root = object("");
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Outrigger's configuration");
    root
}

/// The map of what stands directly under a section, or nothing: all lines below a key may be commented out.
fn object(path: &str) -> Json {
    if let Some(section) = SECTIONS.iter().find(|section| section.is_of_each(path)) {
        return json!({
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^([a-z0-9_-]{1,63}|NAME)$"},
            "additionalProperties": of_section(section),
            "maxProperties": section.named_max,
        });
    }
    let sections = SECTIONS.iter().filter(|section| parent(section.path) == path);
    let settings = SETTINGS.iter().filter(|setting| parent(setting.path) == path);
    let sections = sections.map(|section| (last(section.path), of_section(section)));
    let settings = settings.map(|setting| (last(setting.path), of_setting(setting)));
    let properties: Map<_, _> = sections.chain(settings).map(|(name, of)| (name.to_owned(), of)).collect();
    json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
}

fn of_section(section: &Section) -> Json {
    let map = object(section.path);
    let several = (section.several_max > 0).then(|| {
        let entry = json!({"type": "object", "properties": map["properties"], "additionalProperties": false});
        json!({"type": "array", "items": entry, "minItems": 1, "maxItems": section.several_max})
    });
    let word = section.word.map(|word| json!({"const": word}));
    let others: Vec<_> = word.into_iter().chain(several).collect();
    let mut of = if others.is_empty() {
        map
    } else {
        json!({"anyOf": others.into_iter().chain([map]).collect::<Vec<_>>()})
    };
    of["description"] = json!(section.doc);
    of
}

fn of_setting(setting: &Setting) -> Json {
    let mut of = setting.kind.schema();
    let (doc, expected, default) = (setting.told(), setting.kind.expected(), setting.default);
    of["description"] = json!(format!("{doc} May be: {expected}. Default: {default}."));
    if let Ok(default) = raw::parse(default) {
        of["default"] = default.json();
    }
    of
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
