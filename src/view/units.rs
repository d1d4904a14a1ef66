//! Numbers, times and durations as people read them. Pure; what it makes is [`Plain`], which no renderer needs to escape.

use jiff::Timestamp;

use crate::words;

/// Text made here from numbers alone, so that it holds nothing from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain(String);

impl Plain {
    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A count with its thousands apart.
pub(super) fn grouped(number: u64) -> Plain {
    Plain(words::thousands(number))
}

/// A count and what it counts, in the singular or the plural.
pub(super) fn counted(number: u64, one: &'static str, many: &'static str) -> Plain {
    Plain(format!("{} {}", grouped(number).0, if number == 1 { one } else { many }))
}

/// A count of messages.
pub(super) fn messages(number: u64) -> Plain {
    counted(number, "message", "messages")
}

/// A moment, to the second.
pub(super) fn time(at: Timestamp) -> Plain {
    Plain(words::moment(at))
}

/// How long something took, in its two largest units.
pub(super) fn duration(millis: u64) -> Plain {
    let seconds = millis / 1000;
    Plain(match seconds {
        0..10 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    })
}

/// So many of something for each of something else, to two places; `None` where there is nothing to divide by.
pub(super) fn ratio(number: u64, by: u64) -> Option<Plain> {
    let hundredths = u128::from(number) * 100;
    let by = u128::from(by);
    let rounded = (hundredths + by / 2).checked_div(by)?;
    Some(Plain(format!("{}.{:02}", rounded / 100, rounded % 100)))
}

/// How many a second; `None` where no time went by.
pub(super) fn per_second(number: u64, millis: u64) -> Option<Plain> {
    let tenths = (u128::from(number) * 10_000).checked_div(u128::from(millis))?;
    let whole = u64::try_from(tenths / 10).unwrap_or(u64::MAX);
    // Below ten a second the tenths matter; above they are noise.
    Some(if whole < 10 { Plain(format!("{whole}.{}", tenths % 10)) } else { grouped(whole) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_singular_or_plural() {
        assert_eq!(messages(1).as_str(), "1 message");
        assert_eq!(messages(0).as_str(), "0 messages");
    }

    #[test]
    fn durations_read_in_two_units() {
        for (millis, text) in [
            (0, "0.0 s"),
            (950, "0.9 s"),
            (59_999, "59 s"),
            (60_000, "1 min 0 s"),
            (3_599_999, "59 min 59 s"),
            (3_660_000, "1 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(millis).as_str(), text);
        }
        assert!(duration(u64::MAX).as_str().ends_with('h'));
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(ratio(1, 0), None);
        assert_eq!(per_second(1, 0), None);
        assert_eq!(ratio(1, 3).expect("a ratio").as_str(), "0.33");
        assert_eq!(ratio(u64::MAX, 1).expect("a ratio").as_str(), "18446744073709551615.00");
        assert_eq!(per_second(5, 2000).expect("a rate").as_str(), "2.5");
        assert_eq!(per_second(10_000, 1000).expect("a rate").as_str(), "10,000");
        assert!(per_second(u64::MAX, 1).is_some());
    }

    #[test]
    fn moments_are_utc_to_the_second() {
        let at: Timestamp = "2026-11-20T10:00:00.999+01:00".parse().expect("a time");
        assert_eq!(time(at).as_str(), "2026-11-20 09:00:00 UTC");
    }
}
