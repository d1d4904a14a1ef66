//! Labelled sets of messages: a generator that knows of each message which kind it is. The shares are very unequal, and IDs,
//! times and names are everywhere, as they are in real queues.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redrive_protocol::message::{Attribute, AttributeValue, Attributes, Message, MessageId, SystemAttributes};
use serde_json::{Value, json};

/// Steele, Lea and Flood's generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[usize::try_from(self.below(texts.len() as u64)).expect("small")]
    }

    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            a & 0xffff,
            (a >> 16) & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }

    pub(crate) fn hex(&mut self) -> String {
        format!("{:016x}", self.next())
    }

    pub(crate) fn time(&mut self) -> String {
        let second = self.below(86_400);
        format!(
            "2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            18 + self.below(3),
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.below(1000)
        )
    }

    pub(crate) fn name(&mut self) -> &'static str {
        self.one_of(&[
            "Anna",
            "Bob Miller",
            "Carla",
            "Dilek",
            "Eve",
            "Farid",
            "Grace Hopper",
            "Hugo",
            "Ines",
            "Jean-Luc Picard",
            "Kwame",
            "Lena",
            "Mehmet",
            "Nora",
            "Olga",
            "Pedro",
            "Quynh",
            "Rosa",
            "Søren",
            "Tomás",
            "Uma",
            "Vera",
            "Wei",
            "Xenia",
        ])
    }

    pub(crate) fn words(&mut self, count: u64) -> String {
        let mut text = String::new();
        for _ in 0..count {
            for _ in 0..2 + self.below(7) {
                text.push(char::from(b'a' + u8::try_from(self.below(26)).expect("a letter")));
            }
            text.push(' ');
        }
        text.trim_end().to_owned()
    }
}

/// A message before it has an ID.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
}

impl Draft {
    #[expect(clippy::needless_pass_by_value, reason = "it is made in place")]
    pub(crate) fn json(body: Value) -> Self {
        Self::text(body.to_string())
    }

    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self { body: body.into(), attributes: Attributes::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), Attribute::string(value));
        self
    }
}

/// A kind: its name, its weight, and how one is made.
pub(crate) type Kind = (&'static str, u64, fn(&mut Random) -> Draft);

/// A message and its kind.
pub(crate) type Labelled = (Message, &'static str);

/// So many messages of these kinds.
pub(crate) fn generate(kinds: &[Kind], count: usize, seed: u64) -> Vec<Labelled> {
    let mut random = Random(seed);
    let all: u64 = kinds.iter().map(|(_, weight, _)| weight).sum();
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        let mut at = random.below(all);
        let mut kind = &kinds[0];
        for next in kinds {
            kind = next;
            if at < next.1 {
                break;
            }
            at -= next.1;
        }
        let draft = kind.2(&mut random);
        let sent = 1_795_000_000_000 + random.below(86_400_000);
        let queue = random.one_of(&["orders", "billing", "shipping"]);
        let system = BTreeMap::from([
            ("SentTimestamp".to_owned(), sent.to_string()),
            ("ApproximateReceiveCount".to_owned(), (1 + random.below(5)).to_string()),
            ("DeadLetterQueueSourceArn".to_owned(), format!("arn:aws:sqs:eu-west-1:123456789012:{queue}")),
        ]);
        let message = Message {
            id: MessageId::new(random.uuid()),
            body: draft.body,
            attributes: draft.attributes,
            system: SystemAttributes(system),
            payload: None,
        };
        made.push((message, kind.0));
    }
    made
}

pub(crate) fn order(random: &mut Random) -> Value {
    let mut order = json!({
        "id": random.uuid(), "total": random.below(100_000) as f64 / 100.0, "currency": random.one_of(&["EUR", "USD", "GBP"]),
        "customer": {"name": random.name(), "email": format!("{}@example.com", random.words(1)), "type": random.one_of(&["private", "business"])},
        "items": (0..=random.below(4)).map(|_| json!({"sku": random.hex(), "quantity": random.below(9)})).collect::<Vec<_>>(),
        "placedAt": random.time(),
    });
    if random.below(3) == 0 {
        order["coupon"] = json!(random.words(1));
    }
    order
}

fn java(random: &mut Random, class: &str, line: &str, frame: &str) -> String {
    let mut trace = format!(
        "{class}: {line}\n\tat com.example.{frame}({}.java:{})\n",
        frame.split('.').next().unwrap(),
        random.below(400)
    );
    for _ in 0..4 + random.below(20) {
        trace.push_str(&format!(
            "\tat org.framework.Dispatcher.call{}(Dispatcher.java:{})\n",
            random.below(9),
            random.below(900)
        ));
    }
    trace
}

fn python(random: &mut Random, function: &str, line: &str) -> String {
    let mut trace = "Traceback (most recent call last):\n".to_owned();
    for _ in 0..=random.below(6) {
        trace.push_str(&format!(
            "  File \"/var/task/lib{}.py\", line {}, in call\n    return call(event)\n",
            random.below(9),
            random.below(300)
        ));
    }
    trace
        + &format!(
            "  File \"/var/task/app.py\", line {}, in {function}\n    return rates[currency]\n{line}",
            random.below(300)
        )
}

/// The set that the method was made with.
pub(crate) const KINDS: &[Kind] = &[
    ("gateway timeout", 240, |random| {
        let gateway = format!("gateway gw-{} did not answer within {} ms", random.below(90), 1000 + random.below(9000));
        Draft::json(
            json!({"order": order(random), "error": {"type": "GatewayTimeout", "message": gateway, "at": random.time(),
            "cause": {"type": "SocketTimeout", "message": format!("Read timed out after {} ms", random.below(9999))}}}),
        )
    }),
    ("java price", 140, |random| {
        let line = format!("Order {} could not be priced for {}", random.below(99_999), random.name());
        let exception = java(random, "java.lang.IllegalStateException", &line, "Pricing.price");
        Draft::json(
            json!({"event": "order.placed", "data": order(random), "exception": exception, "traceId": random.hex()}),
        )
    }),
    ("java stock", 60, |random| {
        let line =
            format!("No stock for sku {} in warehouse {}", random.hex(), random.one_of(&["Lyon", "Leeds", "Łódź"]));
        let exception = java(random, "java.lang.IllegalStateException", &line, "Stock.reserve");
        Draft::json(
            json!({"event": "order.placed", "data": order(random), "exception": exception, "traceId": random.hex()}),
        )
    }),
    ("lambda destination, python", 100, |random| {
        let currency = random.one_of(&["CHF", "SEK", "NOK", "PLN"]);
        let mut trace: Vec<String> = (0..2 + random.below(3))
            .map(|_| format!("  File \"/var/task/lib.py\", line {}, in call\n    call()\n", random.below(99)))
            .collect();
        trace.push(format!(
            "  File \"/var/task/app.py\", line {}, in convert\n    return rates[currency]\n",
            random.below(99)
        ));
        Draft::json(json!({"version": "1.0", "timestamp": random.time(),
            "requestContext": {"requestId": random.uuid(), "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:convert:$LATEST",
                "condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": order(random),
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorMessage": format!("'{currency}'"), "errorType": "KeyError", "requestId": random.uuid(), "stackTrace": trace}}))
    }),
    ("lambda timeout", 90, |random| {
        let message = format!(
            "{} {} Task timed out after {}.{:02} seconds",
            random.time(),
            random.uuid(),
            random.below(30),
            random.below(100)
        );
        Draft::json(order(random))
            .with("RequestID", &random.uuid())
            .with("ErrorCode", "200")
            .with("ErrorMessage", &message)
    }),
    ("sns, validation", 80, |random| {
        let field = random.one_of(&["shipping.address", "billing.zip", "items", "customer.email"]);
        let message = json!({"order": order(random), "validation": {"errors": [{"code": "E1042", "message": format!("field '{field}' must not be empty")}]}});
        Draft::json(
            json!({"Type": "Notification", "MessageId": random.uuid(), "TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders",
            "Message": message.to_string(), "Timestamp": random.time(), "SignatureVersion": "1", "Signature": random.hex(),
            "UnsubscribeURL": format!("https://sns.eu-west-1.amazonaws.com/?SubscriptionArn={}", random.uuid())}),
        )
    }),
    ("step functions", 70, |random| {
        let cause = json!({"errorMessage": format!("card ending in {:04} was declined for {}", random.below(9999), random.name()), "errorType": "CardDeclined",
            "trace": ["CardDeclined: declined", format!("    at charge (/var/task/index.js:{}:9)", random.below(99))]});
        Draft::json(
            json!({"version": "0", "id": random.uuid(), "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
            "account": "123456789012", "time": random.time(), "region": "eu-west-1", "resources": [format!("arn:aws:states:eu-west-1:123456789012:execution:checkout:{}", random.uuid())],
            "detail": {"executionArn": random.uuid(), "status": "FAILED", "startDate": random.below(99_999_999), "input": order(random).to_string(),
                "error": "CardDeclined", "cause": cause.to_string()}}),
        )
    }),
    ("plain line", 60, |random| {
        Draft::text(format!(
            "{} ERROR [worker-{}] cannot parse order {}: unexpected token '{}' at column {}",
            random.time(),
            random.below(32),
            random.below(99_999),
            random.one_of(&["<", "}", "]"]),
            random.below(500)
        ))
    }),
    ("binary, base64", 50, |random| {
        let body = json!({"schema": "telemetry", "device": random.hex(), "status": "REJECTED", "reason": "clock skew too large", "skew": random.below(999)});
        let mut draft = Draft::text(BASE64_STANDARD.encode(body.to_string()));
        let bytes = random.next().to_be_bytes().to_vec();
        draft.attributes.insert(
            "thumbnail".to_owned(),
            Attribute { data_type: "Binary.png".to_owned(), value: AttributeValue::Binary(bytes) },
        );
        draft
    }),
    ("unicode", 40, |random| {
        Draft::json(json!({"bestellung": {"nummer": random.below(99_999), "käufer": random.name()},
            "fehler": {"error_code": "WÄHRUNG", "error_message": format!("Ungültige Währung für {} – 通貨が無効です（注文 {}）", random.name(), random.below(9999))}}))
    }),
    ("s3 event", 30, |random| {
        Draft::json(
            json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventTime": random.time(), "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "uploads"}, "object": {"key": format!("in/{}.csv", random.uuid()), "size": random.below(99_999), "eTag": random.hex()}}}]}),
        )
    }),
    ("customer updated", 30, |random| {
        Draft::json(
            json!({"type": "customer.updated", "id": random.uuid(), "at": random.time(), "customer": {"name": random.name(), "tier": random.one_of(&["gold", "silver"])}}),
        )
    }),
    ("customer deleted", 15, |random| {
        Draft::json(
            json!({"type": "customer.deleted", "id": random.uuid(), "at": random.time(), "customer": {"name": random.name(), "tier": random.one_of(&["gold", "silver"])}}),
        )
    }),
    (".NET text", 15, |random| {
        Draft::text(format!(
            "System.NullReferenceException: Object reference not set to an instance of an object.\n   at Example.Invoices.Render(Invoice invoice) in /src/Invoices.cs:line {}\n   at Example.Program.Main() in /src/Program.cs:line {}",
            random.below(300),
            random.below(90)
        ))
    }),
    ("python text", 15, |random| {
        let line = format!("ValueError: could not convert string to float: '{}'", random.words(1));
        Draft::text(python(random, "parse_amount", &line))
    }),
    ("json in a string", 14, |random| {
        let inner = json!({"errorType": "TypeError", "errorMessage": format!("Cannot read properties of undefined (reading '{}')", random.words(1)),
            "trace": [format!("TypeError: Cannot read properties of undefined (reading '{}')", random.words(1)), format!("    at render (/var/task/index.js:{}:{})", random.below(99), random.below(80))]});
        Draft::json(Value::String(inner.to_string()))
    }),
    ("200 KB", 12, |random| {
        let filler = random.hex().repeat(12_500);
        Draft::json(
            json!({"document": filler, "result": {"status": "failed", "error": {"code": "TOO_LARGE", "message": format!("document has {} pages, at most 500 are rendered", 500 + random.below(500))}}}),
        )
    }),
    ("rate exceeded", 25, |random| {
        Draft::json(order(random))
            .with("RequestID", &random.uuid())
            .with("ErrorCode", "429")
            .with("ErrorMessage", "Rate Exceeded.")
    }),
    ("noise", 15, |random| {
        let count = 3 + random.below(12);
        Draft::text(random.words(count))
    }),
    ("rare", 3, |random| {
        Draft::json(
            json!({"order": order(random), "error": {"type": "Deadlock", "message": format!("transaction {} was chosen as the victim", random.hex())}}),
        )
    }),
];
