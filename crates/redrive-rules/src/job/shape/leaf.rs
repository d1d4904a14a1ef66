//! Values without keys: numbers digit by digit, literals of any type, and what to say where another type stands.

use serde_json::{Number, Value};
use toml::de::DeValue;

use super::{MAX_DEPTH, Node, Shape};
use crate::job::finding::{Finding, Place};

impl<'t> Shape<'t> {
    pub(super) fn integer(&mut self, schema: &'t Value, node: &Node<'_>, place: &Place) -> Value {
        let bound = |name: &str, default: i128| schema.get(name).and_then(Value::as_i64).map_or(default, i128::from);
        let most = match schema.get("format").and_then(Value::as_str) {
            Some("uint16") => u16::MAX.into(),
            Some("uint32") => u32::MAX.into(),
            _ => u64::MAX.into(),
        };
        let (low, high) = (bound("minimum", 0), bound("maximum", most));
        let number = node.get_ref().as_integer().and_then(|integer| {
            // `from_str_radix` takes the digits as the parser leaves them, without underscores.
            i128::from_str_radix(integer.as_str(), integer.radix()).ok()
        });
        match number {
            Some(number) if (low..=high).contains(&number) => u64::try_from(number).map_or(Value::Null, Value::from),
            _ => {
                let range = match (low, high) {
                    _ if low == high => format!("expected {low}"),
                    _ if high >= u16::MAX.into() => format!("expected a whole number, {low} or more"),
                    _ => format!("expected a whole number from {low} to {high}"),
                };
                let written = self.text.get(node.span()).unwrap_or_default();
                let finding = Finding::new(place, format!("{range}; found {written}"));
                let finding = match schema.get("description").and_then(Value::as_str) {
                    Some(meaning) if low == high => finding.help(meaning),
                    _ => finding,
                };
                self.wrong(schema, finding, place)
            }
        }
    }

    /// A value of any type, with numbers digit by digit as they stand there.
    pub(super) fn literal(&mut self, schema: &'t Value, node: &Node<'_>, place: &Place) -> Value {
        if place.0.len() > MAX_DEPTH {
            self.findings.push(Finding::new(place, "nested too deep"));
            return self.stand_in(schema, place);
        }
        match node.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(value) => Value::from(*value),
            DeValue::Integer(integer) => {
                let digits = match integer.radix() {
                    10 => Some(integer.as_str().to_owned()),
                    radix => i128::from_str_radix(integer.as_str(), radix).ok().map(|number| number.to_string()),
                };
                let number = digits.and_then(|digits| digits.trim_start_matches('+').parse::<Number>().ok());
                match number {
                    Some(number) => Value::Number(number),
                    None => self.wrong(schema, Finding::new(place, "this number is too long"), place),
                }
            }
            DeValue::Float(float) => {
                if let Ok(number) = float.as_str().trim_start_matches('+').parse::<Number>() {
                    return Value::Number(number);
                }
                let message = format!("JSON has no {}: expected a number", float.as_str());
                self.wrong(schema, Finding::new(place, message), place)
            }
            DeValue::Datetime(_) => self.mismatch(schema, node, place),
            DeValue::Array(elements) => {
                let elements = elements.iter().enumerate();
                elements.map(|(index, element)| self.literal(schema, element, &place.index(index))).collect()
            }
            DeValue::Table(table) => {
                let members = table.iter().map(|(key, node)| {
                    let key = key.get_ref();
                    (key.to_string(), self.literal(schema, node, &place.key(key)))
                });
                Value::Object(members.collect())
            }
        }
    }

    pub(super) fn mismatch(&mut self, schema: &'t Value, node: &Node<'_>, place: &Place) -> Value {
        let value = node.get_ref();
        let written = self.text.get(node.span()).unwrap_or_default();
        let example = schema.pointer("/examples/0");
        let expected = match schema.get("type") {
            Some(Value::String(kind)) => match kind.as_str() {
                "string" if example.is_some() => "text in quotes,",
                "string" => "text in quotes",
                "boolean" => "true or false, without quotes",
                "integer" => "a whole number",
                "number" => "a number",
                "array" => "an array",
                _ => "a table",
            },
            Some(_) => "text, a number, or true or false",
            None => "a value that JSON has",
        };
        let such_as = example.map(|example| format!(" such as {example}")).unwrap_or_default();
        let finding = Finding::new(place, format!("expected {expected}{such_as}; found {}", kind(value)));
        let help = match value {
            DeValue::Datetime(_) => Some(format!("put it in quotes: \"{written}\"")),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)
                if expected.starts_with("text") && example.is_none() =>
            {
                Some(format!("put it in quotes: \"{written}\""))
            }
            DeValue::String(text)
                if matches!(expected, "a whole number" | "a number") && text.parse::<f64>().is_ok() =>
            {
                Some(format!("leave out the quotes: {text}"))
            }
            DeValue::Table(_) if expected == "an array" && written.starts_with('[') => {
                Some(format!("write [{written}], with two brackets; each one begins another element"))
            }
            _ if expected == "an array" && !written.contains('\n') => Some(format!("put it in brackets: [{written}]")),
            _ => None,
        };
        let finding = match help {
            Some(help) => finding.help(help),
            None => finding,
        };
        self.wrong(schema, finding, place)
    }
}

/// A value's type in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a decimal point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a TOML date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
