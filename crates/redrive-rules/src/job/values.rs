//! Values of the job file that are written as text (ages, time bounds, rates), and the literals of conditions.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time: a whole number and `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a whole number and a unit s, m, h or d, such as \"90s\", \"6h\" or \"2d\"; found {text:?}"
            )
        };
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            _ => return Err(expected()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(expected());
        }
        // A hundred years keep every later sum of time and age in range.
        let too_long = || format!("{text:?} is longer than 36500d");
        let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(too_long)?;
        if seconds > 36_500 * 24 * 60 * 60 {
            return Err(too_long());
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, name) in [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')] {
            if seconds > 0 && seconds.is_multiple_of(unit) {
                return write!(f, "{}{name}", seconds / unit);
            }
        }
        write!(f, "{seconds}s")
    }
}

/// A bound in time: an instant, or an age at the time of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// RFC 3339.
    At(Timestamp),
    /// This long before the plan.
    Ago(Age),
}

impl Bound {
    /// The instant, for a plan made at `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(age) => now.checked_sub(age.0).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(age) = text.parse() {
            return Ok(Self::Ago(age));
        }
        text.parse().map(Self::At).map_err(|_| {
            format!(
                "expected an RFC 3339 time such as \"2026-11-20T00:00:00Z\" or an age such as \"6h\"; found {text:?}"
            )
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Ago(age) => age.fmt(f),
        }
    }
}

/// The part of the rate that a ramp begins with.
pub const RAMP_FROM: f64 = 0.1;

/// Messages a second: `"200/s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u32);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix("/s").and_then(|number| number.parse().ok()) {
            Some(number) if number > 0 => Ok(Self(number)),
            _ => Err(format!("expected messages a second, 1 or more, such as \"200/s\"; found {text:?}")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// A share: `"2%"`, `"0.5%"`. In hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u32);

impl Percent {
    /// Whether this many of so many are more than this share.
    pub fn is_passed_by(self, part: u64, of: u64) -> bool {
        u128::from(part) * 10_000 > u128::from(of) * u128::from(self.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (whole, part) = text.strip_suffix('%').map(|number| number.split_once('.').unwrap_or((number, "0")))?;
            let digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(whole) || !digits(part) || part.len() > 2 {
                return None;
            }
            let hundredths = whole.parse::<u32>().ok()?.checked_mul(100)?;
            Some(hundredths + part.parse::<u32>().ok()? * if part.len() == 1 { 10 } else { 1 })
        };
        match parse() {
            Some(share) if (1..=10_000).contains(&share) => Ok(Self(share)),
            _ => Err(format!("expected a share from \"0.01%\" to \"100%\", such as \"2%\"; found {text:?}")),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part.is_multiple_of(10) => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

/// How long to wait: as long as the queues' attributes say (`"auto"`), or a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// As the queues' attributes say.
    #[default]
    Auto,
    /// So long.
    For(Age),
}

impl FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let expected = |_| format!("expected \"auto\" or a time such as \"90s\" or \"5m\"; found {text:?}");
        text.parse().map(Self::For).map_err(expected)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::For(age) => age.fmt(f),
        }
    }
}

/// Stands in the schema for a literal in a condition: text, a number, or true or false.
pub(super) struct Scalar;

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

macro_rules! as_text {
    ($($type:ident, $pattern:literal, $example:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    )*};
}

as_text! {
    Age, r"^[0-9]+[smhd]$", "6h";
    Bound, r"^([0-9]+[smhd]|[0-9]{4}-.*)$", "2026-11-20T00:00:00Z";
    Rate, r"^[1-9][0-9]*/s$", "200/s";
    Percent, r"^[0-9]+(\.[0-9]{1,2})?%$", "2%";
    Wait, r"^(auto|[0-9]+[smhd])$", "auto";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_and_show() {
        for text in ["90s", "6h", "2d", "0s", "5m"] {
            assert_eq!(text.parse::<Age>().map(|age| age.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("120m".parse::<Age>().map(|age| age.to_string()), Ok("2h".to_owned()));
        for text in ["", "h", "6", "-6h", "6 h", "1.5h", "6w", "99999999999999999999d", "40000d", "é"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_read_and_show_and_are_held_to_the_message() {
        for text in ["2%", "0.5%", "0.05%", "100%", "12.25%"] {
            assert_eq!(text.parse::<Percent>().map(|share| share.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "2", "%", "0%", "101%", "-1%", "1.234%", "1.%", ".5%", "1e1%", "4294967296%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        assert!(Percent(200).is_passed_by(21, 1000) && !Percent(200).is_passed_by(20, 1000));
        assert_eq!(
            ["auto", "90s"].map(|text| text.parse::<Wait>().map(|wait| wait.to_string())),
            [Ok("auto".to_owned()), Ok("90s".to_owned())]
        );
        assert!("soon".parse::<Wait>().is_err());
    }

    #[test]
    fn rates_are_at_least_one() {
        assert_eq!("200/s".parse(), Ok(Rate(200)));
        for text in ["0/s", "200", "200/m", "-1/s", "/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
