//! What the fuzz targets do with their bytes. The tests replay the corpus with the same functions.

use std::sync::OnceLock;

use redrive_protocol::message::{Attribute, AttributeValue, Attributes, Body, Message, MessageId, SystemAttributes};
use redrive_protocol::queue::{Counts, QueueAttributes};
use redrive_protocol::target::{Target, TargetKind};
use redrive_rules::job;
use redrive_rules::rule::{Decision, Rules, Setting};

/// Reads the bytes as a job file: it is loaded and compiled, or refused with words that can be shown.
pub(crate) fn job_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match job::load("fuzz.toml", text) {
        Ok(loaded) => {
            if let Err(problems) = Rules::compile(&loaded.job) {
                assert!(loaded.diagnostics(problems).render(false).contains("fuzz.toml"));
            }
        }
        Err(errors) => assert!(errors.render(false).contains("fuzz.toml")),
    }
}

/// One rule of each kind of condition and transform; a message says in its system attributes which it is for.
const RULES: &[(&str, &str)] = &[
    ("{ body = '$.a.b', lt = 10 }", "{ set = '$.a.b', value = 11 }"),
    ("{ body = '$..price', gte = 1.10, lt = 1e400 }", "{ remove = '$.a' }, { rename = '$.b', to = '$.c.d' }"),
    ("{ body = '$.items[?@.n > 1 && search(@.s, \"x+\")]', exists = true }", "{ unwrap = '$.items' }"),
    ("{ body = '$[0:9:2]', any_of = [1, 'x', true] }", "{ rename = '$[0].a', to = '$[0].b' }"),
    ("{ message = 'text', regex = '(a|b)*c' }", "{ set = '$.x', value = { y = [1] } }, { remove = '$.x.y[0]' }"),
    ("{ message = 'is_json', equals = true }", "{ unwrap = 'sns' }"),
    ("{ message = 'is_json', equals = true }", "{ unwrap = 'lambda-destination' }"),
    ("{ message = 'is_json', equals = true }", "{ unwrap = 'eventbridge' }"),
    ("{ message = 'size', gt = 3 }", "{ unwrap = '$' }, { set = '$.a', value = 1 }"),
    ("{ attribute = 'n', lte = 5 }", "{ set_attribute = 't', value = '{date}/{message_id}' }"),
    ("{ not = { attribute = 's', anything_but = ['x'] } }", "{ remove_attribute = 's' }"),
    ("{ system = 'SentTimestamp', older_than = '1h' }", "{ set = '$[-1]', value = 0 }"),
    (
        "{ jq = '[.. | numbers] | length < 9' }",
        "{ jq = '.. |= (. as $x | try (tonumber | if . > 9 then . + 1 else $x end) catch $x)' }",
    ),
];

struct Stand {
    rules: Rules,
    setting: Setting,
}

fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let mut text =
            "version = 1\nname = 'fuzz'\nsource = { queue = 'in' }\n[destination.out]\nsqs = { queue = 'out' }\n\
                        [retry]\nattribute = 'count'\nmax = 3\nexhausted = 'keep'\n[report]\nredact = ['$..b']\n"
                .to_owned();
        text.extend(RULES.iter().enumerate().map(|(number, (when, transform))| {
            format!(
                "[[rule]]\nname = 'r{number}'\nwhen = [{{ system = 'SenderId', equals = 'r{number}' }}, {when}]\n\
                 transform = [{transform}]\nto = 'out'\n"
            )
        }));
        let job = job::load("fuzz.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
        let rules = Rules::compile(&job.job).unwrap_or_else(|problems| panic!("{problems:?}"));
        let now = "2026-11-22T00:00:00Z".parse().expect("a time");
        let queue = QueueAttributes {
            arn: "arn:aws:sqs:eu-west-1:000000000000:out".to_owned(),
            url: String::new(),
            fifo: false,
            created: None,
            redrive_policy: None,
            redrive_allow_policy: None,
            maximum_message_size: 262_144,
            message_retention_seconds: 345_600,
            visibility_timeout_seconds: 30,
            kms_key: None,
            content_based_deduplication: false,
            counts: Counts::default(),
        };
        let target =
            Target { destination: "out".to_owned(), kind: TargetKind::Sqs, queue: Some(queue), location: None };
        let setting = Setting {
            now,
            sent_before: now,
            sent_after: None,
            run: "0123456789ab".to_owned(),
            source_arn: "arn:aws:sqs:eu-west-1:000000000000:in".to_owned(),
            targets: vec![target],
        };
        Stand { rules, setting }
    })
}

/// Takes the bytes as a message: one that says which rule is to look at it, then attributes `n`, `s` and `count` up to a line
/// end each, then the body. Whatever is in it, it is judged; what is sent is what it says it is.
pub(crate) fn message(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(4, |byte| *byte == b'\n').map(String::from_utf8_lossy);
    let mut attributes = Attributes::new();
    for (name, data_type) in [("n", "Number"), ("s", "String.x"), ("count", "Number")] {
        if let Some(text) = parts.next().filter(|text| !text.is_empty()) {
            let value = AttributeValue::Text(text.into_owned());
            attributes.insert(name.to_owned(), Attribute { data_type: data_type.to_owned(), value });
        }
    }
    let body = parts.next().unwrap_or_default().into_owned();
    let Stand { rules, setting } = stand();
    let system =
        [("SenderId", format!("r{}", usize::from(which) % RULES.len())), ("SentTimestamp", "1790000000000".to_owned())];
    let message = Message {
        id: MessageId::new("5fea7756-0ea4-451a-a703-a558b933e274"),
        body: body.clone(),
        attributes,
        system: SystemAttributes(system.map(|(name, value)| (name.to_owned(), value)).into()),
        payload: None,
    };
    let _ = rules.veil([(body.as_str(), &message.attributes)]).body(&body);
    if let Decision::Send { outgoing, .. } = rules.judge(message, setting).decision {
        match &outgoing.body {
            Body::Untouched(text) => assert_eq!(*text, body),
            Body::Changed(text) => assert_ne!(*text, body),
        }
        assert!(outgoing.size() <= 262_144 && outgoing.attributes.len() <= 10);
    }
}
