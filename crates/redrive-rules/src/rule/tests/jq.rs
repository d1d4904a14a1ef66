//! jq in conditions and transforms: what it yields, what keeps its value, what is out of its reach, and that nothing a program
//! or a message does ends the process.

use redrive_protocol::message::Body;

use super::super::jq::{Bound, Program, Trouble};
use super::*;

fn run(code: &str, body: &str) -> Result<String, Trouble> {
    let program = Program::parse(code).unwrap_or_else(|errors| panic!("{code}: {errors:?}"));
    let (attributes, system) = (Attributes::new(), SystemAttributes::default());
    let bound = Bound { attributes: &attributes, system: &system, message_id: "id", queue: "orders-dlq" };
    program.run(&json::parse(body).expect("is JSON"), body.len(), bound)
}

fn rule(when: &str, transform: &str) -> Rules {
    rules(&format!("[[rule]]\nname = \"r\"\nwhen = [{when}]\ntransform = [{transform}]\nto = \"orders\"\n"))
}

const ANY: &str = "{ message = \"id\", exists = true }";

#[test]
fn what_it_yields() {
    for (code, body, expected) in [
        (".a", r#"{"a":{"b":[1,"x",null,true]}}"#, r#"{"b":[1,"x",null,true]}"#),
        // Numbers keep their digits as long as nobody calculates with them.
        (
            ".",
            "[12345678901234567890123, 1.10, 1e400, -0, 1E5, -0.0]",
            "[12345678901234567890123,1.10,1e400,-0,1E5,-0.0]",
        ),
        (".a + 1", r#"{"a":12345678901234567890123}"#, "12345678901234567890124"),
        ("[.[] + 0]", "[1.10, 1e2, 7]", "[1.1,100.0,7]"),
        // Keys keep their order, also where one goes.
        ("del(.b)", r#"{"a":1,"b":2,"c":3,"d":4}"#, r#"{"a":1,"c":3,"d":4}"#),
        (
            "del(.x.b, .l[0,2])",
            r#"{"x":{"a":1,"b":2,"c":3,"d":4},"l":[1,2,3]}"#,
            r#"{"x":{"a":1,"c":3,"d":4},"l":[2]}"#,
        ),
        ("del(.none.deep)", r#"{"a":1}"#, r#"{"a":1}"#),
        ("delpaths([[\"b\"],[\"a\",\"x\"]])", r#"{"a":{"x":1,"y":2},"b":1,"c":0}"#, r#"{"a":{"y":2},"c":0}"#),
        (".new = 1 | .a |= . + 1", r#"{"z":0,"a":1}"#, r#"{"z":0,"a":2,"new":1}"#),
        ("[range(3)], [range(5; 0; -2)] | add", "null", "several"),
        ("[range(0; 10; 4)]", "null", "[0,4,8]"),
        ("\"\\u0007é\\\"\"", "null", "\"\\u0007é\\\"\""),
        (".a | fromjson | .b", r#"{"a":"{\"b\": 1.10}"}"#, "1.10"),
        ("$message_id + \" \" + $queue", "{}", "\"id orders-dlq\""),
        ("empty", "{}", "nothing"),
        (".[]", "[1,2]", "several"),
        ("error(\"secret\")", "{}", "failed: an error that the program raised"),
        (".a.b", r#"{"a":"secret"}"#, "failed: a value cannot be indexed like that"),
        (".a | keys", r#"{"a":"secret"}"#, "failed: a value is not iterable (array or object)"),
        (".a * {}", r#"{"a":[1]}"#, "failed: values of these types cannot be calculated with"),
        (".a | fromjson", r#"{"a":"{secret"}"#, "failed: a text cannot be read"),
        ("nan", "{}", "failed: its value holds nan or infinite"),
        ("[infinite]", "{}", "failed: its value holds nan or infinite"),
        ("@base64d", "\"/w==\"", "failed: its value holds a text that is not UTF-8"),
        ("{(.a): 1}", r#"{"a":1}"#, "failed: its value has a key that is not text"),
        ("tobytes", "\"a\"", "failed: its value holds bytes"),
        ("reduce range(200) as $i (0; [.])", "{}", "failed: its value is nested deeper than a body can be"),
    ] {
        let found = match run(code, body) {
            Ok(value) => value,
            Err(Trouble::Nothing) => "nothing".to_owned(),
            Err(Trouble::Several) => "several".to_owned(),
            Err(Trouble::Failed(what)) => format!("failed: {what}"),
            Err(Trouble::GaveUp) => "gave up".to_owned(),
        };
        assert_eq!(found, expected, "{code}");
    }
}

#[test]
fn no_program_and_no_message_ends_the_process_or_hangs() {
    let deep = format!("{{\"a\":\"{}{}\"}}", "[".repeat(10_000), "]".repeat(10_000));
    let path = format!("[{}0]", "0,".repeat(100_000));
    for (code, body, expected) in [
        ("def f: f; f", "{}", Err(Trouble::GaveUp)),
        ("def f: 1 + f; f", "{}", Err(Trouble::GaveUp)),
        ("[range(infinite)]", "{}", Err(Trouble::GaveUp)),
        ("[repeat(1)]", "{}", Err(Trouble::GaveUp)),
        ("last(recurse(. + 1))", "1", Err(Trouble::GaveUp)),
        ("def f: try f catch f; f", "{}", Err(Trouble::GaveUp)),
        ("reduce range(20000) as $i (0; [.]) | 1", "{}", Ok("1".to_owned())),
        (".a | fromjson", deep.as_str(), Err(Trouble::Failed("a text cannot be read".to_owned()))),
        (". as $path | null | setpath($path; 1) | 1", path.as_str(), Err(Trouble::Failed(String::new()))),
        ("test(\"(a+)+$\")", &format!("\"{}b\"", "a".repeat(5000)), Ok("false".to_owned())),
        (".x as [$a, {b: $c}] | 1", "{}", Ok("1".to_owned())),
    ] {
        let found = run(code, body);
        match expected {
            Err(Trouble::Failed(what)) if what.is_empty() => drop(found),
            expected => assert_eq!(found, expected, "{code}"),
        }
    }
}

#[test]
fn errors_point_at_what_they_are_about() {
    for (code, within, part) in [
        (".a | nosuch", Some("nosuch"), "no filter `nosuch` with 0 arguments"),
        ("now > 1", Some("now"), "left out"),
        ("env.HOME", Some("env"), "left out"),
        ("$ENV.HOME", Some("$ENV"), "left out"),
        ("[inputs]", Some("inputs"), "left out"),
        ("debug", Some("debug"), "left out"),
        ("halt", Some("halt"), "left out"),
        ("localtime", Some("localtime"), "left out"),
        ("$attribute.x", Some("$attribute"), "redrive gives $attributes"),
        ("import \"x\" as x; .", Some("x"), "imports nothing"),
        (".a ==", Some("="), "the program ends here"),
        (".a | | .b", Some("|"), "expected term"),
        ("(.a", Some("a"), "closing parenthesis"),
        ("\"é\\q\"", Some("q\""), "escape"),
        ("break $x", Some("$x"), "label"),
    ] {
        let errors = Program::parse(code).err().unwrap_or_else(|| panic!("{code} is one"));
        let found = errors[0].within.clone().map(|within| &code[within]);
        assert_eq!((errors.len(), found), (1, within), "{code}: {errors:?}");
        assert!(errors[0].message.contains(part), "{code}: {errors:?}");
    }
    for open in ["(", "[", "{a:", "try ", "-", "if ", "def f: ", "\"\\(", ".a as [", "reduce ", "..|", ".["] {
        let _ = Program::parse(&open.repeat(8 * 1024 / open.len()));
    }
    assert!(Program::parse(&".".repeat(20_000)).is_err_and(|errors| errors[0].message.contains("at most 8192 bytes")));
}

#[test]
fn a_condition_holds_for_true_and_nothing_else() {
    let binary = Attribute { data_type: "Binary".to_owned(), value: AttributeValue::Binary(vec![0xff]) };
    let mut message = with_attribute(message(r#"{"a":1,"items":[{"sku":"x"}]}"#), "tenant", "String", "eu-1");
    message = with_attribute(message, "retries", "Number.int", "2");
    message = with_system(message, "MessageGroupId", "g");
    message.attributes.insert("blob".to_owned(), binary);
    for (code, holds) in [
        (".a == 1", true),
        (".a", false),
        (".a == 1, true", false),
        ("empty", false),
        ("true, empty", true),
        ("error(1)", false),
        (".b.c == null", true),
        (".a.c", false),
        ("\"true\"", false),
        ("any(.items[]; .sku == \"x\")", true),
        ("$attributes.tenant == \"eu-1\" and $attributes.retries + 1 == 3", true),
        ("$attributes | has(\"blob\") and .blob == null", true),
        ("$attributes.none == null", true),
        ("$system.ApproximateReceiveCount == 4 and $system.MessageGroupId == \"g\"", true),
        ("$system.SentTimestamp / 1000 | todate == \"2027-01-15T06:00:00Z\"", true),
        ("$message_id == \"5fea7756-0ea4-451a-a703-a558b933e274\" and $queue == \"orders-dlq\"", true),
    ] {
        let rules = rule(&format!("{{ jq = '{code}' }}"), "");
        let expected = if holds { "send to 4" } else { "keep: unmatched" };
        assert_eq!(words(&rules.judge(message.clone(), &setting())), expected, "{code}");
    }
    let not_json = super::message("plain");
    assert_eq!(words(&rule("{ jq = 'true' }", "").judge(not_json.clone(), &setting())), "keep: unmatched");
    assert_eq!(words(&rule("{ not = { jq = 'true' } }", "").judge(not_json, &setting())), "send to 4");
}

#[test]
fn a_condition_without_an_end_blocks_the_message_whatever_stands_around_it() {
    for when in [
        "{ jq = 'def f: f; f' }",
        "{ not = { jq = 'def f: f; f' } }",
        "{ any = [{ jq = 'def f: f; f' }, { message = \"id\", exists = true }] }",
    ] {
        let verdict = rule(when, "").judge(message("{}"), &setting());
        assert_eq!(
            (verdict.rule, words(&verdict).as_str()),
            (RuleId(0), "block: jq_gave_up (a jq condition)"),
            "{when}"
        );
    }
}

#[test]
fn a_transform_makes_the_body_its_one_value_or_blocks() {
    for (code, body, expected) in [
        (".a", r#"{ "a": { "n": 1.10 } }"#, r#"changed {"n":1.10}"#),
        (".", r#"{ "a" : 1 }"#, r#"untouched { "a" : 1 }"#),
        (".a = 1", r#"{ "a" : 1 }"#, r#"untouched { "a" : 1 }"#),
        ("{b, a}", r#"{"a":1,"b":2}"#, r#"changed {"b":2,"a":1}"#),
        (".a", r#"{"a":"text"}"#, "changed \"text\""),
        ("empty", "{}", "block: no_value (jq)"),
        (".[]", "[1,2]", "block: several_values (jq)"),
        (".a", "[\"secret\"]", "block: transform_failed (jq: a value cannot be indexed like that)"),
        (".", "plain", "block: not_json (jq)"),
        ("def f: f; f", "{}", "block: jq_gave_up (a jq transform)"),
        (".", r#"{"a":{"b":1,"b":2}}"#, "block: duplicate_keys (jq writes the whole body anew)"),
        ("\"\\u0001\"", "{}", "changed \"\\u0001\""),
    ] {
        let transform = format!("{{ jq = '{code}' }}");
        let verdict = rule(ANY, &transform).judge(message(body), &setting());
        let found = match &verdict.decision {
            Decision::Send { outgoing: Outgoing { body: Body::Changed(text), .. }, .. } => format!("changed {text}"),
            Decision::Send { outgoing: Outgoing { body: Body::Untouched(text), .. }, .. } => {
                format!("untouched {text}")
            }
            _ => words(&verdict),
        };
        assert_eq!(found, expected, "{code}");
    }
    let chain =
        r#"{ set_attribute = "n", value = 7 }, { unwrap = "$.m" }, { jq = '.n = $attributes.n' }, { remove = "$.x" }"#;
    let outgoing = sent(rule(ANY, chain).judge(message(r#"{"m":"{\"x\":1,\"y\":2}"}"#), &setting()));
    assert_eq!(outgoing.body.as_str(), r#"{"y":2,"n":7}"#);
}

#[test]
fn two_keys_of_one_name_are_written_anew_only_where_the_job_allows_it() {
    let mut job =
        job(&format!("[[rule]]\nname = \"r\"\nwhen = [{ANY}]\ntransform = [{{ jq = '.c = 1' }}]\nto = \"orders\"\n"));
    job.allow_duplicate_keys = true;
    let rules = Rules::compile(&job).expect("compiles");
    let outgoing = sent(rules.judge(message(r#"{"a":1,"b":0,"a":2}"#), &setting()));
    assert_eq!(outgoing.body.as_str(), r#"{"a":2,"b":0,"c":1}"#);
}
