//! Prometheus' text format, version 0.0.4, as the textfile collector of its node exporter reads it. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::families::{FAMILIES, Kind, Snapshot};

/// The first line of each file, by which it is known to be redrive's. A comment to whoever reads metrics.
pub(super) const HEAD: &str = "# redrive metrics\n";

/// For everybody to read: the collector is another user, and there is nothing of a message in it.
pub(super) const MODE: u32 = 0o644;

/// What each counter has shown: it must not fall, though a message that is delivered again may be on its way once more.
#[derive(Debug, Default)]
pub(super) struct Counted(HashMap<String, f64>);

/// The whole file.
pub(super) fn text(snapshot: &Snapshot<'_>, counted: &mut Counted) -> String {
    let mut text = HEAD.to_owned();
    for family in &FAMILIES {
        let (name, kind) = (family.name, family.kind);
        // Writing to a string cannot fail.
        let _ = write!(text, "# HELP {name} {}\n# TYPE {name} {}\n", family.help, kind.word());
        for (values, value) in (family.series)(snapshot) {
            let figures = snapshot.figures;
            let of_run = [("run", figures.run.as_str()), ("job", figures.job.as_str())];
            let own = family.labels.iter().copied().zip(values.iter().map(String::as_str));
            let labels: Vec<String> =
                of_run.into_iter().chain(own).map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let series = format!("{name}{{{}}}", labels.join(","));
            let value = if kind == Kind::Counter { counted.at_least(&series, value) } else { value };
            let _ = writeln!(text, "{series} {value}");
        }
    }
    text
}

impl Counted {
    fn at_least(&mut self, series: &str, value: f64) -> f64 {
        let most = self.0.entry(series.to_owned()).or_insert(value);
        *most = most.max(value);
        *most
    }
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_hold_anything() {
        assert_eq!(escaped("a\"b\\c\nd é"), "a\\\"b\\\\c\\nd é");
    }

    #[test]
    fn a_counter_never_falls() {
        let mut counted = Counted::default();
        let values =
            [("a", 3.0), ("a", 2.0), ("a", 4.0), ("b", 1.0)].map(|(name, value)| counted.at_least(name, value));
        assert_eq!(values.map(|value| value.to_string()), ["3", "3", "4", "1"]);
    }
}
