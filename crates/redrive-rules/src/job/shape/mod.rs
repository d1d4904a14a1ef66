//! The walk along the JSON Schema: every key and value of the wrong shape at once, which serde alone would give one by one.
//!
//! It makes a whole JSON value of the job whatever was wrong, with stand-ins where nothing usable was written, so that
//! validation can look at the rest; and it remembers where the stand-ins are, so that nobody hears of them. The rules come
//! from the schema and so from the types; this file knows no key of the job.

mod leaf;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::leaf::kind;
use super::diagnostics::{KeyPath, key_path};
use super::finding::{Finding, Place, one_of};
use super::nearest::nearest;
use super::syntax::Syntax;
use super::values::{Age, Bound, Percent, Rate, Wait};

/// Deeper than any job needs, and shallow enough for every recursion over it.
const MAX_DEPTH: usize = 40;

type Node<'t> = Spanned<DeValue<'t>>;

/// The walk, and what it found.
pub(super) struct Shape<'t> {
    text: &'t str,
    schema: &'t Value,
    syntax: &'t Syntax,
    /// What is wrong.
    pub(super) findings: Vec<Finding>,
    /// Places whose value is a stand-in.
    pub(super) damaged: Vec<KeyPath>,
    /// Places where a key was not understood: what is missing there may be that.
    pub(super) incomplete: Vec<KeyPath>,
    /// Misspelt keys, read as what they were meant for.
    pub(super) aliases: Vec<(KeyPath, String)>,
}

impl<'t> Shape<'t> {
    /// Walks over a file's tree. The value has the shape that the schema asks for.
    pub(super) fn read(text: &'t str, schema: &'t Value, syntax: &'t Syntax, root: &DeTable<'_>) -> (Self, Value) {
        let mut shape = Self {
            text,
            schema,
            syntax,
            findings: Vec::new(),
            damaged: Vec::new(),
            incomplete: Vec::new(),
            aliases: Vec::new(),
        };
        let value = shape.table(schema, root, &Place::root());
        (shape, value)
    }

    fn definition(&self, schema: &'t Value) -> (Option<&'t str>, &'t Value) {
        let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"))
        else {
            return (None, schema);
        };
        (Some(name), &self.schema["$defs"][name])
    }

    fn value(&mut self, schema: &'t Value, node: &Node<'_>, place: &Place) -> Value {
        let (name, schema) = self.definition(schema);
        if self.syntax.spoils(&node.span()) {
            return self.stand_in(schema, place);
        }
        if place.0.len() > MAX_DEPTH {
            self.findings.push(Finding::new(place, "nested too deep"));
            return self.stand_in(schema, place);
        }
        if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
            return match constants(variants) {
                Some(names) => self.choice(schema, &names, node, place),
                None => self.tagged(schema, variants, node, place),
            };
        }
        match (schema.get("type"), node.get_ref()) {
            (Some(Value::String(kind)), DeValue::String(text)) if kind == "string" => match parse(name, text) {
                Ok(()) => Value::from(text.as_ref()),
                Err(message) => self.wrong(schema, Finding::new(place, message), place),
            },
            (Some(Value::String(kind)), DeValue::Boolean(value)) if kind == "boolean" => Value::from(*value),
            (Some(Value::String(kind)), DeValue::Integer(_)) if kind == "integer" => self.integer(schema, node, place),
            (Some(Value::String(kind)), DeValue::Array(elements)) if kind == "array" => {
                let items = &schema["items"];
                let elements = elements.iter().enumerate();
                elements.map(|(index, element)| self.value(items, element, &place.index(index))).collect()
            }
            (Some(Value::String(kind)), DeValue::Table(table)) if kind == "object" => self.table(schema, table, place),
            (Some(Value::String(kind)), DeValue::Integer(_) | DeValue::Float(_)) if kind == "number" => {
                self.literal(schema, node, place)
            }
            (Some(Value::Array(_)), DeValue::Array(_) | DeValue::Table(_) | DeValue::Datetime(_)) => {
                self.mismatch(schema, node, place)
            }
            (Some(Value::Array(_)) | None, _) => self.literal(schema, node, place),
            _ => self.mismatch(schema, node, place),
        }
    }

    fn table(&mut self, schema: &'t Value, table: &DeTable<'_>, place: &Place) -> Value {
        let mut object = Map::new();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            let element = &schema["additionalProperties"];
            for (key, node) in table {
                let value = self.value(element, node, &place.key(key.get_ref()));
                object.insert(key.get_ref().to_string(), value);
            }
            return Value::Object(object);
        };
        for (key, node) in table {
            let written = key.get_ref().as_ref();
            let known = match properties.get_key_value(written) {
                Some((known, _)) => Some(known),
                None => self.unknown_key(schema, table, written, &object, place),
            };
            if let Some(known) = known {
                let value = self.value(&properties[known], node, &place.key(known));
                object.insert(known.clone(), value);
            }
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if object.contains_key(required) {
                continue;
            }
            let wanted = &properties[required];
            if !self.syntax.is_broken() {
                let meaning = wanted.get("description").and_then(Value::as_str).unwrap_or_default();
                let path = key_path(&place.0);
                let place_name = if path.is_empty() { "the job".to_owned() } else { format!("`{path}`") };
                let finding = Finding::new(place, format!("{place_name} has no `{required}`"));
                self.findings.push(finding.help(format!("`{required}`: {meaning}")));
            }
            let value = self.stand_in(wanted, &place.key(required));
            object.insert(required.to_owned(), value);
        }
        Value::Object(object)
    }

    /// Reports a key that is not in the schema. Gives the one it is read as, where one is near and free.
    fn unknown_key(
        &mut self,
        schema: &'t Value,
        table: &DeTable<'_>,
        written: &str,
        object: &Map<String, Value>,
        place: &Place,
    ) -> Option<&'t String> {
        let properties = schema.get("properties")?.as_object()?;
        let finding = Finding::new(&place.key(written), format!("unknown key `{written}`")).on_key();
        let near = nearest(written, properties.keys().map(String::as_str));
        let free = |name: &&str| !object.contains_key(*name) && !table.keys().any(|key| key.get_ref() == *name);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => match self.home_of(written) {
                Some(home) => format!("`{written}` belongs in {home}"),
                None => format!("expected one of {}", one_of(properties.keys().map(String::as_str))),
            },
        };
        self.findings.push(finding.help(help));
        let Some(near) = near.filter(free) else {
            self.incomplete.push(place.0.clone());
            return None;
        };
        self.aliases.push((place.key(near).0, written.to_owned()));
        properties.get_key_value(near).map(|(known, _)| known)
    }

    /// The top-level table that has this key, as it is written.
    fn home_of(&self, key: &str) -> Option<String> {
        let tables = self.schema.get("properties")?.as_object()?;
        if tables.contains_key(key) {
            return Some("the top of the file, before the first `[table]`".to_owned());
        }
        let has =
            |schema: &'t Value| self.definition(schema).1.get("properties").is_some_and(|keys| keys.get(key).is_some());
        tables.iter().find_map(|(name, schema)| match schema.get("items") {
            Some(items) if has(items) => Some(format!("`[[{name}]]`")),
            None if has(schema) => Some(format!("`[{name}]`")),
            _ => None,
        })
    }

    fn choice(&mut self, schema: &'t Value, names: &[&'t str], node: &Node<'_>, place: &Place) -> Value {
        let expected = one_of(names.iter().copied());
        match node.get_ref() {
            DeValue::String(text) if names.contains(&text.as_ref()) => Value::from(text.as_ref()),
            DeValue::String(text) => {
                let finding = Finding::new(place, format!("expected {expected}; found {text:?}"));
                let Some(near) = nearest(text, names.iter().copied()) else {
                    return self.wrong(schema, finding, place);
                };
                self.findings.push(finding.help(format!("did you mean `{near}`?")));
                Value::from(near)
            }
            other => {
                let finding = Finding::new(place, format!("expected {expected} in quotes; found {}", kind(other)));
                self.wrong(schema, finding, place)
            }
        }
    }

    /// A table with exactly one key, which says what it is.
    fn tagged(&mut self, schema: &'t Value, variants: &'t [Value], node: &Node<'_>, place: &Place) -> Value {
        let tags: Vec<(&'t str, &'t Value)> = variants
            .iter()
            .filter_map(|variant| variant.get("properties")?.as_object()?.iter().next())
            .map(|(tag, schema)| (tag.as_str(), schema))
            .collect();
        let names = || tags.iter().map(|(tag, _)| *tag);
        let expected = format!("expected a table with one key, {}", one_of(names()));
        let DeValue::Table(table) = node.get_ref() else {
            let finding = Finding::new(place, format!("{expected}; found {}", kind(node.get_ref())));
            return self.wrong(schema, finding, place);
        };
        let mut taken: Option<(&'t str, Value)> = None;
        for (key, node) in table {
            let written = key.get_ref().as_ref();
            let at = place.key(written);
            let exact = tags.iter().find(|(tag, _)| *tag == written);
            let near = || nearest(written, names()).and_then(|near| tags.iter().find(|(tag, _)| *tag == near));
            let Some((tag, variant)) = exact.or_else(near) else {
                let inside = |(_, variant): &&(&str, &'t Value)| {
                    self.definition(variant).1.get("properties").is_some_and(|keys| keys.get(written).is_some())
                };
                let help = match tags.iter().find(inside) {
                    Some((tag, _)) => format!("`{written}` belongs inside: {tag} = {{ {written} = … }}"),
                    None => expected.clone(),
                };
                self.findings.push(Finding::new(&at, format!("unknown key `{written}`")).on_key().help(help));
                self.damaged.push(place.0.clone());
                continue;
            };
            if exact.is_none() {
                let finding = Finding::new(&at, format!("unknown key `{written}`")).on_key();
                self.findings.push(finding.help(format!("did you mean `{tag}`?")));
                self.aliases.push((place.key(tag).0, written.to_owned()));
            }
            if let Some((first, _)) = &taken {
                let message = format!("only one of {} can stand here, and `{first}` does already", one_of(names()));
                self.findings.push(Finding::new(&at, message).on_key());
                continue;
            }
            let value = self.value(variant, node, &place.key(tag));
            taken = Some((tag, value));
        }
        if let Some((tag, value)) = taken {
            return Value::Object(Map::from_iter([(tag.to_owned(), value)]));
        }
        if table.is_empty() && !self.syntax.is_broken() {
            self.findings.push(Finding::new(place, expected));
        }
        self.stand_in(schema, place)
    }

    fn wrong(&mut self, schema: &'t Value, finding: Finding, place: &Place) -> Value {
        self.findings.push(finding);
        self.stand_in(schema, place)
    }

    /// A value of the right shape for a place that has none.
    fn stand_in(&mut self, schema: &'t Value, place: &Place) -> Value {
        self.damaged.push(place.0.clone());
        self.blank(schema)
    }

    fn blank(&self, schema: &'t Value) -> Value {
        let (_, schema) = self.definition(schema);
        if let Some(first) = schema.get("oneOf").and_then(|variants| variants.get(0)) {
            return first.get("const").cloned().unwrap_or_else(|| self.blank(first));
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(0)),
            Some("boolean") => Value::from(false),
            Some("array") => Value::Array(Vec::new()),
            Some("object") => {
                let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
                let required = required.filter_map(Value::as_str);
                required.map(|key| (key.to_owned(), self.blank(&schema["properties"][key]))).collect()
            }
            _ => schema.pointer("/examples/0").cloned().unwrap_or_else(|| Value::from("")),
        }
    }
}

/// The names, where every variant is one.
fn constants(variants: &[Value]) -> Option<Vec<&str>> {
    variants.iter().map(|variant| variant.get("const").and_then(Value::as_str)).collect()
}

/// Values that are written as text; what they must look like is for their own parsers to say.
fn parse(name: Option<&str>, text: &str) -> Result<(), String> {
    match name {
        Some("Age") => text.parse::<Age>().map(drop),
        Some("Bound") => text.parse::<Bound>().map(drop),
        Some("Rate") => text.parse::<Rate>().map(drop),
        Some("Percent") => text.parse::<Percent>().map(drop),
        Some("Wait") => text.parse::<Wait>().map(drop),
        _ => Ok(()),
    }
}
