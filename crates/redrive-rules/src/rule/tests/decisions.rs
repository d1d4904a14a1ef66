//! From a rule to a decision: scope, origin, cap, checks before sending, archive.

use super::*;

const ALL_TO_ORDERS: &str = "[unmatched]\nto = \"orders\"\n";

fn decide(lines: &str, message: Message) -> String {
    words(&rules(lines).judge(message, &setting()))
}

/// Everything goes to a destination, by no rule.
fn to(destination: &str) -> String {
    format!("[unmatched]\nto = \"{destination}\"\n")
}

#[test]
fn bounds_on_the_time_of_the_send() {
    let rules = rules(ALL_TO_ORDERS);
    let mut setting = setting();
    setting.sent_after = Some(at(NOW - 1_000));
    for (sent, expected) in [
        (Some(NOW), "keep: sent_too_late"),
        (Some(NOW + 5), "keep: sent_too_late"),
        (Some(NOW - 1), "send to 4"),
        (Some(NOW - 999), "send to 4"),
        (Some(NOW - 1_000), "keep: sent_too_early"),
        (Some(0), "keep: sent_too_early"),
        (None, "send to 4"),
    ] {
        let mut message = message("x");
        message.system.0.remove("SentTimestamp");
        if let Some(sent) = sent {
            message = with_system(message, "SentTimestamp", &sent.to_string());
        }
        let verdict = rules.judge(message, &setting);
        assert_eq!(words(&verdict), expected, "{sent:?}");
        assert_eq!(verdict.rule == RuleId::OUT_OF_SCOPE, expected.starts_with("keep"));
    }
}

#[test]
fn every_kind_of_destination() {
    for (destination, expected) in [
        ("orders", "send to 4"),
        ("keep", "keep: unmatched"),
        ("drop", "drop by 7"),
        ("evidence", "archive in 1 as \"\""),
        (
            "archive",
            "archive in 0 as \"dead/2027-01-15/unmatched/1799992800000_5fea7756-0ea4-451a-a703-a558b933e274.json\"",
        ),
    ] {
        assert_eq!(decide(&to(destination), message("x")), expected, "{destination}");
    }
}

#[test]
fn the_origin_is_where_sqs_says_it_came_from() {
    let origin = to("origin");
    let from = |name: &str| with_system(message("x"), "DeadLetterQueueSourceArn", &arn(name));
    assert_eq!(decide(&origin, from("payments")), "send to 5");
    assert_eq!(decide(&origin, with_system(from("refunds.fifo"), "MessageGroupId", "g")), "send to 6");
    assert_eq!(decide(&origin, from("refunds.fifo")), "block: group_missing (refunds.fifo)");
    assert_eq!(decide(&origin, from("gone")), format!("block: origin_not_in_plan ({})", arn("gone")));
    // A queue of the job that is not an origin is none, though it has the ARN.
    assert_eq!(decide(&origin, from("orders")), format!("block: origin_not_in_plan ({})", arn("orders")));
    assert_eq!(decide(&origin, message("x")), "block: origin_missing ()");
    for (fallback, expected) in [
        ("orders", "send to 4"),
        ("evidence", "archive in 1 as \"\""),
        ("keep", "keep: unmatched"),
        ("origin", "block: origin_missing ()"),
    ] {
        let lines = format!("{origin}[origin]\nfallback = \"{fallback}\"\n");
        assert_eq!(decide(&lines, message("x")), expected, "{fallback}");
        assert_eq!(decide(&lines, from("payments")), "send to 5");
    }
}

#[test]
fn a_plan_without_the_target_keeps_the_message() {
    let mut setting = setting();
    setting.targets.clear();
    for destination in ["orders", "archive", "evidence", "drop", "fifo"] {
        let verdict = rules(&to(destination)).judge(message("x"), &setting);
        assert!(words(&verdict).starts_with("block: "), "{destination}: {}", words(&verdict));
    }
}

fn capped(to: &str, exhausted: &str) -> String {
    format!(
        r#"
[retry]
attribute = "retryCount"
max = 3
exhausted = "{exhausted}"
[[rule]]
name = "all"
when = [{{ message = "size", gte = 0 }}]
transform = [{{ set = "$.n", value = 1 }}, {{ set_attribute = "retryCount", value = 0 }}]
to = "{to}"
"#
    )
}

#[test]
fn the_cap_counts_what_goes_to_a_queue_and_nothing_else() {
    let counted = |count: &str| with_attribute(message("{}"), "retryCount", "Number", count);
    let archived =
        "exhausted, archive in 0 as \"dead/2027-01-15/all/1799992800000_5fea7756-0ea4-451a-a703-a558b933e274.json\"";
    for (destination, count, expected) in [
        ("orders", "2", "send to 4"),
        ("orders", "3", archived),
        ("orders", "7", archived),
        ("orders", "many", "block: counter_unreadable (attribute retryCount)"),
        ("origin", "3", archived),
        ("origin", "2", "block: origin_missing ()"),
        ("evidence", "3", "archive in 1 as \"\""),
        ("evidence", "many", "archive in 1 as \"\""),
        ("keep", "3", "keep: rule_keeps"),
        ("drop", "3", "drop by 7"),
    ] {
        assert_eq!(decide(&capped(destination, "archive"), counted(count)), expected, "{destination} {count}");
    }
    assert_eq!(decide(&capped("orders", "keep"), counted("3")), "exhausted, keep: exhausted_kept");
    assert_eq!(decide(&capped("orders", "drop"), counted("3")), "exhausted, drop by 7");

    let unmatched =
        "[retry]\nattribute = \"retryCount\"\nmax = 3\nexhausted = \"evidence\"\n[unmatched]\nto = \"orders\"\n";
    assert_eq!(decide(unmatched, counted("3")), "exhausted, archive in 1 as \"\"");
    let fallback = |name: &str| format!("{}[origin]\nfallback = \"{name}\"\n", capped("origin", "archive"));
    assert_eq!(decide(&fallback("evidence"), counted("3")), "archive in 1 as \"\"");
    assert_eq!(decide(&fallback("orders"), counted("3")), archived);
    assert_eq!(decide(&fallback("origin"), counted("3")), archived);
}

#[test]
fn the_counter_is_raised_whatever_a_transform_does_to_it() {
    let rules = rules(&capped("orders", "archive"));
    let next = |message: Message| sent(rules.judge(message, &setting())).attributes["retryCount"].clone();
    assert_eq!(next(message("{}")), Attribute::number(1));
    let labelled = next(with_attribute(message("{}"), "retryCount", "Number.int", "2"));
    assert_eq!((labelled.data_type.as_str(), labelled.text()), ("Number.int", Some("3")));
}

#[test]
fn an_exhausted_message_goes_as_it_came() {
    let rules = rules(&capped("orders", "fifo"));
    let message = with_attribute(with_system(message("{ }"), "MessageGroupId", "g"), "retryCount", "Number", "3");
    let attributes = message.attributes.clone();
    let outgoing = sent(rules.judge(message, &setting()));
    assert_eq!(outgoing.body, redrive_protocol::message::Body::Untouched("{ }".to_owned()));
    assert_eq!(outgoing.attributes, attributes);
    // Not even a body that the rule's transforms cannot read stops it.
    let broken = with_attribute(super::message("no JSON"), "retryCount", "Number", "3");
    assert_eq!(decide(&capped("orders", "evidence"), broken), "exhausted, archive in 1 as \"\"");
}

#[test]
fn what_sqs_would_refuse_is_blocked() {
    let many = |count: usize| {
        (0..count).fold(message("{}"), |message, index| with_attribute(message, &format!("a{index}"), "String", "x"))
    };
    assert_eq!(decide(ALL_TO_ORDERS, many(10)), "send to 4");
    assert_eq!(decide(&capped("orders", "archive"), many(9)), "send to 4");
    assert_eq!(decide(&capped("orders", "archive"), many(10)), "block: too_many_attributes (11 message attributes)");
    assert_eq!(decide(ALL_TO_ORDERS, message("")), "block: empty_body ()");
    assert_eq!(decide(ALL_TO_ORDERS, message("a\u{0}")), "block: forbidden_characters (U+0000 in the body)");
    assert_eq!(
        decide(ALL_TO_ORDERS, with_attribute(message("x"), "a", "String", "\u{1b}[2J")),
        "block: forbidden_characters (U+001B in attribute a)"
    );
    assert_eq!(
        decide(ALL_TO_ORDERS, with_attribute(message("x"), "a", "String", "")),
        "block: empty_attribute (attribute a)"
    );
    assert_eq!(decide(ALL_TO_ORDERS, message(&"x".repeat(262_144))), "send to 4");
    assert_eq!(
        decide(ALL_TO_ORDERS, message(&"x".repeat(262_145))),
        "block: too_large (262145 bytes, orders takes 262144)"
    );
    // What a queue says of itself does not lift SQS's own limit.
    let mut setting = setting();
    setting.targets[4].queue.as_mut().expect("a queue").maximum_message_size = 1 << 30;
    let verdict = rules(ALL_TO_ORDERS).judge(message(&"x".repeat(1_048_577)), &setting);
    assert_eq!(words(&verdict), "block: too_large (1048577 bytes, orders takes 1048576)");
    // An archive takes what no queue does.
    assert_eq!(decide(&to("evidence"), message(&"\u{0}".repeat(2 << 20))), "archive in 1 as \"\"");
}

#[test]
fn groups_and_deduplication() {
    let send = |destination: &str, message: Message| sent(rules(&to(destination)).judge(message, &setting()));
    let own = with_system(with_system(message("x"), "MessageGroupId", "g1"), "MessageDeduplicationId", "original");
    let fifo = send("fifo", own.clone());
    assert_eq!(fifo.message_group_id.as_deref(), Some("g1"));
    assert_eq!(fifo.message_deduplication_id.as_deref(), Some("5fea7756-0ea4-451a-a703-a558b933e274"));
    let standard = send("orders", with_system(own.clone(), "AWSTraceHeader", "Root=1-5759e988"));
    assert_eq!(standard.message_group_id.as_deref(), Some("g1"));
    assert_eq!(standard.message_deduplication_id, None);
    assert_eq!(standard.trace_header.as_deref(), Some("Root=1-5759e988"));
    assert_eq!(send("orders", message("x")).message_group_id, None);
    let grouped = send("grouped", own);
    assert_eq!(grouped.message_group_id.as_deref(), Some("orders-dlq"));
    assert_eq!(grouped.message_deduplication_id.as_deref(), Some("0123456789ab.unmatched"));
    assert_eq!(decide(&to("fifo"), message("x")), "block: group_missing (orders.fifo)");

    let named = "[[rule]]\nname = \"a name\"\nwhen = [{ message = \"id\", exists = true }]\nto = \"grouped\"\n";
    assert!(
        decide(named, message("x"))
            .starts_with("block: id_refused (the deduplication ID would be \"0123456789ab.a name\"")
    );
}

#[test]
fn the_envelope_is_whole_and_the_same_at_every_receive() {
    let rules = rules(&capped("evidence", "archive"));
    let mut first = with_attribute(message("{\"n\":0, \"é\":\"\\u0041\"}"), "a", "Number.int", "1.10");
    let binary = Attribute { data_type: "Binary.png".to_owned(), value: AttributeValue::Binary(vec![0, 255, 10]) };
    first.attributes.insert("b".to_owned(), binary);
    let mut again = with_system(first.clone(), "ApproximateReceiveCount", "9");
    again = with_system(again, "ApproximateFirstReceiveTimestamp", "1799999999999");
    let envelope = |message: Message| match rules.judge(message, &setting()).decision {
        Decision::Archive { envelope, .. } => envelope,
        other => panic!("{other:?}"),
    };
    let line = envelope(first);
    assert_eq!(line, envelope(again));
    assert_eq!(
        line,
        r#"{"type":"redrive.message","version":1,"message_id":"5fea7756-0ea4-451a-a703-a558b933e274","source":"arn:aws:sqs:eu-west-1:123456789012:orders-dlq","run":"0123456789ab","job":"orders-dlq","rule":"all","exhausted":false,"sent_timestamp":"2027-01-15T06:00:00Z","body":"{\"n\":1, \"é\":\"\\u0041\"}","attributes":{"a":{"type":"Number.int","value":"1.10"},"b":{"type":"Binary.png","binary":"AP8K"},"retryCount":{"type":"Number","value":"0"}},"system_attributes":{"SentTimestamp":"1799992800000"}}"#
    );
}

#[test]
fn names_of_rules_and_jobs_cannot_leave_their_place_in_a_key() {
    let named = "[[rule]]\nname = \"../../x y\"\nwhen = [{ message = \"id\", exists = true }]\nto = \"archive\"\n";
    let decision = decide(named, message("x"));
    assert!(decision.contains("/2027-01-15/.._.._x_y/"), "{decision}");
    let mut timeless = message("x");
    timeless.system.0.clear();
    timeless.id = MessageId::new("../..");
    assert_eq!(decide(&to("archive"), timeless), "archive in 0 as \"dead/unknown/unmatched/unknown_.._...json\"");
}

#[test]
fn what_is_blocked_is_written_about_without_its_secrets() {
    let named = "[[rule]]\nname = \"a name\"\nwhen = [{ message = \"id\", exists = true }]\nto = \"grouped\"\n";
    let redacted = format!("{named}[report]\nredact = [\"$.secret\"]\n");
    let decision = decide(&redacted, message("{\"secret\":\"a name\"}"));
    assert!(decision.contains("\"0123456789ab.[redacted]\""), "{decision}");
}

#[test]
fn what_identifies_a_message_is_shown_without_what_is_redacted() {
    let identify = |report: &str, message: &Message| rules(&format!("[report]\n{report}\n")).identify(message);
    let order = r#"{"order":{"id":"A-17","lines":[1,2,3,4,5,6]},"card":"4111-1111","copy":"4111-1111"}"#;
    let order = with_attribute(message(order), "tenant", "String", "eu-1");
    let named =
        "identify = [\"$.order.id\", \"attribute:tenant\", \"$.order.lines[*]\", \"$.none\", \"attribute:none\"]";
    assert_eq!(
        identify(named, &order).as_deref(),
        Some("$.order.id = A-17, attribute:tenant = eu-1, $.order.lines[*] = 1 2 3 4 5")
    );
    let secret = "identify = [\"$.card\", \"$.copy\", \"attribute:tenant\"]\nredact = [\"$.card\"]\nredact_attributes = [\"tenant\"]";
    assert_eq!(
        identify(secret, &order).as_deref(),
        Some("$.card = [redacted], $.copy = [redacted], attribute:tenant = [redacted]")
    );
    assert_eq!(identify("", &order), None);
    assert_eq!(identify(named, &message("no JSON")), None);
    let long = message(&format!("{{\"order\":{{\"id\":\"{}\"}}}}", "é".repeat(1000)));
    assert_eq!(identify(named, &long).map(|text| text.chars().count()), Some("$.order.id = ".len() + 101));
}

#[test]
fn what_a_job_can_reach() {
    let used =
        |lines: &str| rules(lines).destinations_used().into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(used(""), "");
    assert_eq!(used(&capped("orders", "archive")), "archive orders");
    assert_eq!(used(&format!("{}[origin]\nfallback = \"fifo\"\n", to("origin"))), "fifo origin");
    assert_eq!(used("[origin]\nfallback = \"fifo\"\n"), "");
    assert!(rules(&to("origin")).uses_origin() && !rules(&to("orders")).uses_origin());
    let rules = rules("");
    assert_eq!(rules.file_path("evidence", &setting().run).as_deref(), Some("evidence/0123456789ab-orders-dlq.jsonl"));
    assert_eq!(rules.file_path("archive", &setting().run), None);
    assert_eq!(rules.file_path("none", &setting().run), None);
}

#[test]
fn no_body_is_in_a_debug_text() {
    let secret = "s3cr3t";
    for lines in [to("orders"), to("evidence")] {
        let message = with_attribute(message(secret), "a", "String", secret);
        let verdict = rules(&lines).judge(message, &setting());
        assert!(!format!("{verdict:?}").contains(secret), "{verdict:?}");
    }
}
