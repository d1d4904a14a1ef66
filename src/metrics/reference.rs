//! The reference page of the metrics, from the lists that write them.

use std::fmt::Write as _;

use super::emf::{METRICS, Metric};
use super::families::{FAMILIES, Family, OUTCOMES};

const HEAD: &str = "# Metrics

<!-- Generated from the lists in `src/metrics`; edit those. -->

`redrive apply --metrics` writes the figures of a run for a monitoring system, while the run goes on and at its end.
[Be told](../howto/be-told.md) shows how to use them. They hold names and figures, nothing of a message. What cannot be written is
said on stderr, and the run goes on.

## `--metrics FILE`: Prometheus

Prometheus' text format, for the textfile collector of its node exporter, which reads files named `*.prom`. The file is replaced as a
whole, about every five seconds and at the end of the run, and stays afterwards. A file that redrive did not write is not replaced,
nor is a link. A run that was killed leaves the file as it was: `node_textfile_mtime_seconds` tells its age.

";

const LINES: &str = "
## `--metrics emf`: CloudWatch

Lines in CloudWatch's embedded metric format on stderr, one a minute and one at the end, for where stderr goes to CloudWatch Logs.
Other lines may stand between them. The namespace is `redrive`, the one dimension is `Job`; `Run`, `Source` and `Outcome` are fields
of the line, to search for. (For a file of that name, write `--metrics ./emf`.)

| Metric | Value | Meaning |
|---|---|---|
";

/// The page, as Markdown.
pub fn reference_markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    // Writing to a string cannot fail.
    for Family { name, kind, labels, help, .. } in &FAMILIES {
        let labels: Vec<String> = ["run", "job"].iter().chain(*labels).map(|label| format!("`{label}`")).collect();
        let _ = writeln!(page, "| `{name}` | {} | {} | {help} |", kind.word(), labels.join(", "));
    }
    let outcomes = OUTCOMES.map(|code| format!("`{code}`")).join(", ");
    let _ = writeln!(page, "\nOutcomes of a run: {outcomes}.");
    page.push_str(LINES);
    for Metric { name, is_sum, help, .. } in &METRICS {
        let value = if *is_sum { "since the line before" } else { "now" };
        let _ = writeln!(page, "| `{name}` | {value} | {help} |");
    }
    page
}
