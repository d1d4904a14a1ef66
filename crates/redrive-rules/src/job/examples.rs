//! An example for each condition and transform, for the reference page. All are about one message, and a test of `rule` runs
//! every one of them.

/// The message's body. It has a message attribute `tenant`, the String `eu-1`, was received four times, and was sent two hours
/// before the plan.
pub(crate) const BODY: &str = r#"{"id":"A-17","total":99.5,"error":{"type":"Timeout"}}"#;

/// Key, a condition that holds for the message, and one that does not.
pub(crate) const CONDITIONS: &[(&str, &str, &str)] = &[
    ("body", r#"{ body = "$.total", lt = 100 }"#, r#"{ body = "$.sum", lt = 100 }"#),
    ("attribute", r#"{ attribute = "tenant", equals = "eu-1" }"#, r#"{ attribute = "none", equals = "eu-1" }"#),
    ("system", r#"{ system = "ApproximateReceiveCount", gt = 3 }"#, r#"{ system = "SenderId", exists = true }"#),
    ("message", r#"{ message = "size", lt = 65536 }"#, r#"{ message = "is_json", equals = false }"#),
    ("jq", r#"{ jq = ".total > 50" }"#, r#"{ jq = ".total" }"#),
    (
        "any",
        r#"{ any = [{ body = "$.id", prefix = "A" }, { body = "$.id", prefix = "B" }] }"#,
        r#"{ any = [{ body = "$.id", prefix = "B" }] }"#,
    ),
    (
        "all",
        r#"{ all = [{ body = "$.id", prefix = "A" }, { body = "$.id", suffix = "7" }] }"#,
        r#"{ all = [{ body = "$.id", prefix = "A" }, { body = "$.id", suffix = "8" }] }"#,
    ),
    ("not", r#"{ not = { body = "$.id", prefix = "B" } }"#, r#"{ not = { body = "$.id", prefix = "A" } }"#),
    ("exists", r#"{ body = "$.debug", exists = false }"#, r#"{ body = "$.debug", exists = true }"#),
    ("equals", r#"{ body = "$.total", equals = 99.50 }"#, r#"{ body = "$.total", equals = "99.5" }"#),
    (
        "any_of",
        r#"{ body = "$.error.type", any_of = ["Timeout", "Reset"] }"#,
        r#"{ body = "$.id", any_of = ["A", 17] }"#,
    ),
    ("anything_but", r#"{ body = "$.id", anything_but = ["A-1"] }"#, r#"{ body = "$.none", anything_but = ["A-1"] }"#),
    ("prefix", r#"{ attribute = "tenant", prefix = "eu-" }"#, r#"{ body = "$.total", prefix = "9" }"#),
    ("suffix", r#"{ body = "$.id", suffix = "-17" }"#, r#"{ body = "$.id", suffix = "a-17" }"#),
    ("contains", r#"{ message = "text", contains = "Timeout" }"#, r#"{ message = "text", contains = "timeout" }"#),
    ("regex", r#"{ body = "$.id", regex = "^[A-Z]-[0-9]+$" }"#, r#"{ body = "$.id", regex = "^[0-9]+$" }"#),
    ("lt", r#"{ body = "$.total", lt = 100 }"#, r#"{ body = "$.total", lt = 99.5 }"#),
    ("lte", r#"{ body = "$.total", lte = 99.5 }"#, r#"{ body = "$.total", lte = 99 }"#),
    ("gt", r#"{ body = "$.total", gt = 99, lt = 100 }"#, r#"{ body = "$.total", gt = 99.5 }"#),
    ("gte", r#"{ body = "$.total", gte = 99.5 }"#, r#"{ body = "$.id", gte = 0 }"#),
    (
        "older_than",
        r#"{ system = "SentTimestamp", older_than = "1h" }"#,
        r#"{ system = "SentTimestamp", older_than = "3h" }"#,
    ),
    ("newer_than", r#"{ system = "SentTimestamp", newer_than = "3h" }"#, r#"{ body = "$.id", newer_than = "3h" }"#),
];

/// Key, a transform, and the body or message attribute that it makes of the message.
pub(crate) const TRANSFORMS: &[(&str, &str, &str)] = &[
    ("set", r#"{ set = "$.total", value = 100 }"#, r#"{"id":"A-17","total":100,"error":{"type":"Timeout"}}"#),
    ("remove", r#"{ remove = "$.error" }"#, r#"{"id":"A-17","total":99.5}"#),
    (
        "rename",
        r#"{ rename = "$.id", to = "$.order_id" }"#,
        r#"{"order_id":"A-17","total":99.5,"error":{"type":"Timeout"}}"#,
    ),
    ("unwrap", r#"{ unwrap = "$.error" }"#, r#"{"type":"Timeout"}"#),
    ("jq", r#"{ jq = "{id, kind: .error.type}" }"#, r#"{"id":"A-17","kind":"Timeout"}"#),
    ("set_attribute", r#"{ set_attribute = "from", value = "{source_queue}" }"#, "from (String) = orders-dlq"),
    ("remove_attribute", r#"{ remove_attribute = "tenant" }"#, "no attribute tenant"),
    ("remove_trace_header", "{ remove_trace_header = true }", "no AWSTraceHeader"),
];
