//! Conditions by name: each subject, each test, groups.

use super::*;

const BODY: &str = r#"{"error":{"type":"Timeout"},"total":999.5,"id":12345678901234567890,"price":1.10,"big":1e400,
"items":[{"sku":"a","n":1},{"sku":"b","n":5}],"none":null,"ok":true,"text":"12","at":"2027-01-15T06:00:00Z","ms":1799992800000}"#;

fn holds(condition: &str, message: &Message) -> bool {
    let rules = rules(&format!("[[rule]]\nname = \"r\"\nto = \"orders\"\nwhen = [{condition}]"));
    let verdict = rules.judge(message.clone(), &setting());
    verdict.rule == RuleId(0)
}

fn check(message: &Message, table: &[(&str, bool)]) {
    for (condition, expected) in table {
        assert_eq!(holds(condition, message), *expected, "{condition}");
    }
}

#[test]
fn in_the_body() {
    check(
        &message(BODY),
        &[
            (r#"{ body = "$.error.type", equals = "Timeout" }"#, true),
            (r#"{ body = "$.error.type", equals = "timeout" }"#, false),
            (r#"{ body = "$.error.type", any_of = ["X", "Timeout"] }"#, true),
            (r#"{ body = "$.error.type", any_of = ["X"] }"#, false),
            (r#"{ body = "$.error.type", anything_but = ["X"] }"#, true),
            (r#"{ body = "$.error.type", anything_but = ["X", "Timeout"] }"#, false),
            (r#"{ body = "$.missing", anything_but = ["X"] }"#, false),
            (r#"{ body = "$.error.type", prefix = "Time" }"#, true),
            (r#"{ body = "$.error.type", prefix = "out" }"#, false),
            (r#"{ body = "$.error.type", suffix = "out" }"#, true),
            (r#"{ body = "$.error.type", suffix = "Time" }"#, false),
            (r#"{ body = "$.error.type", contains = "meo" }"#, true),
            (r#"{ body = "$.error.type", contains = "oem" }"#, false),
            (r#"{ body = "$.error.type", regex = "^T.*t$" }"#, true),
            (r#"{ body = "$.error.type", regex = "^t" }"#, false),
            (r#"{ body = "$.error", exists = true }"#, true),
            (r#"{ body = "$.error", exists = false }"#, false),
            (r#"{ body = "$.missing", exists = true }"#, false),
            (r#"{ body = "$.missing", exists = false }"#, true),
            (r#"{ body = "$.none", exists = true }"#, true),
            (r#"{ body = "$.ok", equals = true }"#, true),
            (r#"{ body = "$.ok", equals = "true" }"#, false),
            (r#"{ body = "$.items[0]", equals = { n = 1.0, sku = "a" } }"#, true),
            (r#"{ body = "$.items[*].sku", equals = ["a", "b"] }"#, false),
        ],
    );
}

#[test]
fn of_numbers() {
    check(
        &message(BODY),
        &[
            (r#"{ body = "$.total", lt = 1000 }"#, true),
            (r#"{ body = "$.total", lt = 999.5 }"#, false),
            (r#"{ body = "$.total", lte = 999.5 }"#, true),
            (r#"{ body = "$.total", gt = 999.5 }"#, false),
            (r#"{ body = "$.total", gte = 999.50 }"#, true),
            (r#"{ body = "$.total", gt = 0, lt = 1000 }"#, true),
            (r#"{ body = "$.total", gte = 1000, lte = 2000 }"#, false),
            (r#"{ body = "$.price", equals = 1.1 }"#, true),
            (r#"{ body = "$.id", gt = 9223372036854775807 }"#, true),
            (r#"{ body = "$.big", gt = 1.7976931348623157e308 }"#, true),
            (r#"{ body = "$.text", lt = 1000 }"#, false),
            (r#"{ body = "$.text", equals = 12 }"#, false),
            (r#"{ body = "$.total", prefix = "9" }"#, false),
            (r#"{ body = "$.none", lt = 1 }"#, false),
            (r#"{ body = "$.missing", lt = 1 }"#, false),
        ],
    );
    let ids = message(r#"{"id":9007199254740993}"#);
    check(
        &ids,
        &[
            (r#"{ body = "$.id", equals = 9007199254740993 }"#, true),
            (r#"{ body = "$.id", equals = 9007199254740992 }"#, false),
        ],
    );
}

#[test]
fn of_several_nodes_one_is_enough_and_a_range_is_about_one_of_them() {
    check(
        &message(BODY),
        &[
            (r#"{ body = "$.items[*].sku", equals = "b" }"#, true),
            (r#"{ body = "$.items[*].sku", anything_but = ["b"] }"#, true),
            (r#"{ body = "$.items[*].sku", anything_but = ["a", "b"] }"#, false),
            (r#"{ body = "$.items[*].n", gt = 1, lt = 5 }"#, false),
            (r#"{ body = "$.items[*].n", gte = 5, lt = 6 }"#, true),
            (r#"{ body = "$.items[?@.n > 1].sku", equals = "a" }"#, false),
        ],
    );
}

#[test]
fn of_a_body_that_is_not_json() {
    for body in ["plain text", "", "{\"a\":", "\u{0}", &"[".repeat(1000)] {
        check(
            &message(body),
            &[
                (r#"{ body = "$.a", exists = true }"#, false),
                (r#"{ body = "$.a", exists = false }"#, false),
                (r#"{ body = "$.a", anything_but = ["x"] }"#, false),
                (r#"{ not = { body = "$.a", exists = true } }"#, true),
                (r#"{ message = "is_json", equals = false }"#, true),
                (r#"{ message = "is_json", equals = true }"#, false),
            ],
        );
    }
}

#[test]
fn of_message_attributes() {
    let mut message = with_attribute(message("x"), "tenant", "String", "eu-1");
    message = with_attribute(message, "count", "Number.int", "3.0");
    message = with_attribute(message, "label", "String.custom", "3");
    message = with_attribute(message, "when", "String", "2027-01-15T06:00:00+00:00");
    message.attributes.insert(
        "blob".to_owned(),
        Attribute { data_type: "Binary".to_owned(), value: AttributeValue::Binary(b"eu".to_vec()) },
    );
    check(
        &message,
        &[
            (r#"{ attribute = "tenant", prefix = "eu-" }"#, true),
            (r#"{ attribute = "tenant", prefix = "us-" }"#, false),
            (r#"{ attribute = "Tenant", exists = true }"#, false),
            (r#"{ attribute = "other", exists = false }"#, true),
            (r#"{ attribute = "other", anything_but = ["x"] }"#, false),
            (r#"{ attribute = "count", equals = 3 }"#, true),
            (r#"{ attribute = "count", equals = "3" }"#, false),
            (r#"{ attribute = "count", equals = "3.0" }"#, true),
            (r#"{ attribute = "count", gte = 3, lt = 4 }"#, true),
            (r#"{ attribute = "label", equals = 3 }"#, false),
            (r#"{ attribute = "label", lt = 4 }"#, false),
            (r#"{ attribute = "label", equals = "3" }"#, true),
            (r#"{ attribute = "blob", exists = true }"#, true),
            (r#"{ attribute = "blob", equals = "eu" }"#, false),
            (r#"{ attribute = "blob", anything_but = ["x"] }"#, false),
            (r#"{ attribute = "blob", prefix = "" }"#, false),
            (r#"{ attribute = "when", older_than = "1h" }"#, true),
            (r#"{ attribute = "tenant", older_than = "0s" }"#, false),
        ],
    );
}

#[test]
fn of_system_attributes_and_ages() {
    // The plan is of 2027-01-15T08:00:00Z.
    let message = with_system(message(BODY), "DeadLetterQueueSourceArn", &arn("orders"));
    check(
        &message,
        &[
            (r#"{ system = "ApproximateReceiveCount", gte = 4 }"#, true),
            (r#"{ system = "ApproximateReceiveCount", equals = "4" }"#, true),
            (r#"{ system = "ApproximateReceiveCount", gt = 4 }"#, false),
            (r#"{ system = "DeadLetterQueueSourceArn", suffix = ":orders" }"#, true),
            (r#"{ system = "MessageGroupId", exists = false }"#, true),
            (r#"{ system = "SentTimestamp", older_than = "1h" }"#, true),
            (r#"{ system = "SentTimestamp", older_than = "2h" }"#, false),
            (r#"{ system = "SentTimestamp", newer_than = "2h" }"#, false),
            (r#"{ system = "SentTimestamp", newer_than = "121m" }"#, true),
            (r#"{ system = "SentTimestamp", older_than = "1h", newer_than = "3h" }"#, true),
            (r#"{ system = "SentTimestamp", older_than = "36500d" }"#, false),
            (r#"{ body = "$.at", older_than = "119m" }"#, true),
            (r#"{ body = "$.at", newer_than = "119m" }"#, false),
            (r#"{ body = "$.ms", older_than = "119m" }"#, true),
            (r#"{ body = "$.total", older_than = "0s" }"#, false),
            (r#"{ body = "$.big", older_than = "0s" }"#, false),
            (r#"{ body = "$.text", older_than = "0s" }"#, false),
        ],
    );
}

#[test]
fn of_facts() {
    check(
        &with_attribute(message("{\"é\":1}"), "ab", "String", "cd"),
        &[
            (r#"{ message = "id", prefix = "5fea7756-" }"#, true),
            (r#"{ message = "id", equals = "x" }"#, false),
            (r#"{ message = "text", contains = "\"é\"" }"#, true),
            (r#"{ message = "text", regex = "^\\{.*\\}$" }"#, true),
            (r#"{ message = "size", equals = 18 }"#, true),
            (r#"{ message = "size", gt = 18 }"#, false),
            (r#"{ message = "size", prefix = "1" }"#, false),
            (r#"{ message = "is_json", equals = true }"#, true),
            (r#"{ message = "is_json", any_of = [false] }"#, false),
            (r#"{ message = "id", exists = true }"#, true),
        ],
    );
}

#[test]
fn in_groups() {
    let yes = r#"{ body = "$.a", equals = 1 }"#;
    let no = r#"{ body = "$.a", equals = 2 }"#;
    check(
        &message(r#"{"a":1}"#),
        &[
            (&format!("{yes}, {no}"), false),
            (&format!("{yes}, {yes}"), true),
            (&format!("{{ any = [{no}, {yes}] }}"), true),
            (&format!("{{ any = [{no}] }}"), false),
            (&format!("{{ all = [{yes}, {yes}] }}"), true),
            (&format!("{{ all = [{yes}, {no}] }}"), false),
            (&format!("{{ not = {no} }}"), true),
            (&format!("{{ not = {{ not = {no} }} }}"), false),
            (&format!("{{ not = {{ any = [{no}, {{ all = [{yes}, {no}] }}] }} }}"), true),
        ],
    );
}

#[test]
fn the_first_rule_that_matches_takes_the_message() {
    let rules = rules(
        r#"
[[rule]]
name = "a"
when = [{ message = "text", prefix = "a" }]
to = "keep"
[[rule]]
name = "ab"
when = [{ message = "text", prefix = "ab" }]
to = "orders"
[[rule]]
name = "b"
when = [{ message = "text", prefix = "b" }]
to = "orders"
"#,
    );
    for (body, rule, expected) in [
        ("ab", RuleId(0), "keep: rule_keeps"),
        ("b", RuleId(2), "send to 4"),
        ("c", RuleId::UNMATCHED, "keep: unmatched"),
    ] {
        let verdict = rules.judge(message(body), &setting());
        assert_eq!((verdict.rule, words(&verdict).as_str()), (rule, expected), "{body}");
    }
    assert_eq!(rules.rule_name(RuleId(1)), "ab");
    assert_eq!(rules.rule_name(RuleId::UNMATCHED), "unmatched");
    assert_eq!(rules.rule_name(RuleId::OUT_OF_SCOPE), "out of scope");
    assert_eq!(rules.rule_name(RuleId(9)), "unknown");
}
