//! Figures in sentences: digits in groups of three, singular and plural. For plan and view alike, so that a hazard and a table
//! say the same number in the same way. Pure.

use jiff::Timestamp;

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number that a server may not have said.
pub(crate) fn number_or_unknown(number: Option<u64>) -> String {
    number.map_or_else(|| "an unknown number".to_owned(), thousands)
}

/// `1 message`, `2,000 messages`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A length of time in its two largest units: `2d 4h`, `3m 20s`, `0s`.
pub(crate) fn duration(seconds: u64) -> String {
    let parts = [(seconds / 86_400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let first = parts.iter().position(|(amount, _)| *amount > 0).unwrap_or(parts.len() - 1);
    let shown: Vec<String> = parts[first..]
        .iter()
        .take(2)
        .enumerate()
        .filter(|(position, (amount, _))| *position == 0 || *amount > 0)
        .map(|(_, (amount, unit))| format!("{amount}{unit}"))
        .collect();
    shown.join(" ")
}

/// A moment, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `512 B`, `1.2 kB`, `64.0 MB`: decimal units, as AWS bills transfer.
pub(crate) fn bytes(number: u64) -> String {
    let (mut unit, mut tenths) = ("B", u128::from(number) * 10);
    for larger in ["kB", "MB", "GB", "TB"] {
        if tenths < 10_000 {
            break;
        }
        (unit, tenths) = (larger, tenths / 1000);
    }
    if unit == "B" { format!("{number} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// Millionths of a US dollar: `$12.34`, and with more places below a dollar, `$0.0141`.
pub(crate) fn dollars(micro: u64) -> String {
    match micro {
        0 => "$0".to_owned(),
        1..100 => "less than $0.0001".to_owned(),
        100..1_000_000 => format!("$0.{:04}", micro / 100),
        _ => format!("${}.{:02}", thousands(micro / 1_000_000), micro % 1_000_000 / 10_000),
    }
}

/// A file name as a shell takes it, whatever is in it: the command is there to be copied.
pub(crate) fn quoted(file: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,=@%".contains(character);
    if !file.is_empty() && !file.starts_with('-') && file.chars().all(plain) {
        file.to_owned()
    } else if file.starts_with('-') {
        format!("'./{}'", file.replace('\'', r"'\''"))
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_can_be_copied_into_a_shell() {
        assert_eq!(quoted("jobs/orders-dlq.toml"), "jobs/orders-dlq.toml");
        assert_eq!(quoted("a b; rm -rf ~"), "'a b; rm -rf ~'");
        assert_eq!(quoted("a b's.json"), r"'a b'\''s.json'");
        assert_eq!(quoted("-x"), "'./-x'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn bytes_and_dollars_read_well() {
        let shown: Vec<String> = [0, 999, 1000, 1_234_567, 64_000_000, u64::MAX].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "1.2 MB", "64.0 MB", "18446744.0 TB"]);
        let shown: Vec<String> = [0, 99, 14_065, 999_999, 1_000_000, 12_345_678_901].into_iter().map(dollars).collect();
        assert_eq!(shown, ["$0", "less than $0.0001", "$0.0140", "$0.9999", "$1.00", "$12,345.67"]);
    }

    #[test]
    fn numbers_read_well() {
        let shown: Vec<String> = [0, 999, 1000, 1_234_567, u64::MAX].into_iter().map(thousands).collect();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567", "18,446,744,073,709,551,615"]);
        assert_eq!(count(1, "message"), "1 message");
        assert_eq!(count(1200, "message"), "1,200 messages");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown: Vec<String> = [0, 59, 60, 200, 7200, 90_061, 1_209_600].into_iter().map(duration).collect();
        assert_eq!(shown, ["0s", "59s", "1m", "3m 20s", "2h", "1d 1h", "14d"]);
    }
}
