//! Numbers as they are written: exact comparison of decimal texts of any length, without expanding them.
//!
//! A twenty-digit order number is not a float: two that differ in the last digit must not compare equal. Works on borrowed
//! text only; knows nothing of messages or JSON.

use std::cmp::Ordering;

/// A decimal number, as a view on its text: 0.DIGITS × 10^magnitude.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'a> {
    negative: bool,
    /// From the first digit that is not 0 to the last; a decimal point may stand among them. Empty: zero.
    digits: &'a [u8],
    magnitude: i64,
}

/// Exponents end here. Nothing anybody counts is near it, and sums with a text's length stay in range.
const MAX_EXPONENT: i64 = 1 << 60;

impl<'a> Decimal<'a> {
    /// Reads a JSON number or the text of a `Number` attribute (which may have a plus sign or leading zeros).
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = split_sign(text.as_bytes());
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let digits_only = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let (whole, fraction) = point.map_or((mantissa, &[][..]), |at| (&mantissa[..at], &mantissa[at + 1..]));
        if whole.len() + fraction.len() == 0 || !digits_only(whole) || !digits_only(fraction) {
            return None;
        }
        let significant = |byte: &u8| matches!(byte, b'1'..=b'9');
        let Some(first) = mantissa.iter().position(significant) else {
            return Some(Self { negative: false, digits: &[], magnitude: 0 });
        };
        let last = mantissa.iter().rposition(significant).unwrap_or(first);
        let place = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
        let magnitude = if first < whole.len() {
            place(whole.len() - first)
        } else {
            -place(first - whole.len()).saturating_sub(1)
        };
        Some(Self { negative, digits: &mantissa[first..=last], magnitude: magnitude.saturating_add(exponent) })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.digits.iter().copied().filter(|byte| *byte != b'.')
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// Compares by value: `1.10` is `1.1`, `-0` is `0`.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| {
            let by_size = self.magnitude.cmp(&other.magnitude).then_with(|| self.digits().cmp(other.digits()));
            if self.negative { by_size.reverse() } else { by_size }
        })
    }

    /// The value where it is a whole number, zero or above; what is too large becomes `u64::MAX`.
    pub(super) fn whole(&self) -> Option<u64> {
        match self.sign() {
            0 => return Some(0),
            1 => {}
            _ => return None,
        }
        let places = usize::try_from(self.magnitude).ok()?;
        if self.digits().count() > places {
            return None;
        }
        if places > 20 {
            return Some(u64::MAX);
        }
        let digits = self.digits().chain(std::iter::repeat(b'0')).take(places);
        Some(digits.fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
    }
}

/// Whether it is negative, and what follows the sign.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    }
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(MAX_EXPONENT));
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(a: &str, b: &str) -> Ordering {
        let read = |text| Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"));
        read(a).compare(&read(b))
    }

    #[test]
    fn compares_by_value_and_exactly() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, expected) in [
            ("1.10", "1.1", Equal),
            ("3", "3.0", Equal),
            ("-0", "0", Equal),
            ("0e9", "-0.000", Equal),
            ("100", "1e2", Equal),
            ("1E5", "1e+5", Equal),
            ("0.001", "1e-3", Equal),
            ("+7", "007", Equal),
            ("12345678901234567890", "12345678901234567891", Less),
            ("9007199254740993", "9007199254740992", Greater),
            ("1e400", "1e399", Greater),
            ("-1e400", "-1e399", Less),
            ("0.1", "0.01", Greater),
            ("-2", "1", Less),
            ("-2", "-1", Less),
            ("10", "9", Greater),
            ("1.05", "1.5", Less),
            ("1e-999999999", "0", Greater),
            ("1e999999999999999999999999", "1e999999999", Greater),
            ("1e-999999999999999999999999", "1e-999999999", Less),
            ("1.0000000000000000000000000000001", "1", Greater),
        ] {
            assert_eq!(compare(a, b), expected, "{a} and {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} and {a}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in
            ["", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1 ", " 1", "0x10", "NaN", "inf", "1e5.5", "--1", "é"]
        {
            assert!(Decimal::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("3e0", Some(3)),
            ("1.2e1", Some(12)),
            ("120", Some(120)),
            ("18446744073709551615", Some(u64::MAX)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("1e999999999", Some(u64::MAX)),
            ("3.5", None),
            ("0.3", None),
            ("-1", None),
            ("1e-1", None),
        ] {
            assert_eq!(Decimal::parse(text).and_then(|number| number.whole()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_integers(a in any::<i64>(), b in any::<i64>(), zeros in 0_usize..4) {
            let b_text = format!("{b}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(compare(&a.to_string(), &b_text), a.cmp(&b));
        }

        #[test]
        fn a_shifted_point_is_an_exponent(digits in "[1-9][0-9]{0,30}", shift in 0_usize..40) {
            let shifted = format!("{digits}e-{shift}");
            let padded = format!("{}{digits}", "0".repeat(shift));
            let (whole, fraction) = padded.split_at(padded.len() - shift);
            let written = format!("{whole}.{fraction}");
            prop_assert_eq!(compare(&shifted, &written), Ordering::Equal);
        }

        #[test]
        fn never_panics(text in "[-+.0-9eE]{0,40}") {
            if let Some(number) = Decimal::parse(&text) {
                prop_assert_eq!(number.compare(&number), Ordering::Equal);
                let _ = number.whole();
            }
        }
    }
}
