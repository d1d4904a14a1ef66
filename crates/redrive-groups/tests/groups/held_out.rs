//! A second labelled set, of kinds that the method was not made with: error formats of other frameworks, as their documentation
//! shows them. It says how well grouping does where nobody had the messages in mind.

use serde_json::{Value, json};

use super::sets::{Draft, Kind, Random, order};

fn trace(random: &mut Random, function: &str) -> String {
    let mut trace = String::new();
    for at in 0..3 + random.below(5) {
        let name = if at == 0 { function } else { "Framework.Pipeline.Invoke" };
        trace.push_str(&format!("   at {name}(Context context) in /_/src/File.cs:line {}\n", random.below(400)));
    }
    trace
}

pub(crate) const HELD_OUT: &[Kind] = &[
    ("logfmt", 160, |random| {
        Draft::text(format!(
            "level=error ts={} caller=main.go:{} msg=\"dial tcp 10.{}.{}.7:5432: connect: connection refused\" attempt={}",
            random.time(),
            random.below(300),
            random.below(255),
            random.below(255),
            random.below(9)
        ))
    }),
    ("problem details", 120, |random| {
        Draft::json(
            json!({"request": order(random), "response": {"type": "https://example.com/probs/out-of-credit", "title": "You do not have enough credit.",
            "detail": format!("Your current balance is {}, but that costs {}.", random.below(90), random.below(900)), "status": 403, "instance": format!("/account/{}/msgs/{}", random.below(9999), random.uuid())}}),
        )
    }),
    ("spring boot", 110, |random| {
        Draft::json(
            json!({"payload": order(random), "failure": {"timestamp": random.time(), "status": 500, "error": "Internal Server Error",
            "message": format!("could not execute statement; SQL [n/a]; constraint [uk_{}]", random.hex()), "path": format!("/orders/{}", random.below(9999))}}),
        )
    }),
    ("graphql", 90, |random| {
        Draft::json(
            json!({"query": "mutation", "variables": {"id": random.hex()}, "errors": [{"message": format!("Variable \"$id\" got invalid value \"{}\"; Expected type ID", random.words(1)),
            "locations": [{"line": random.below(30), "column": random.below(40)}], "extensions": {"code": "BAD_USER_INPUT"}}]}),
        )
    }),
    ("nservicebus", 80, |random| {
        let message = format!("Saga for order {} was completed already", random.below(99_999));
        let stack = trace(random, "Sales.ShipOrderPolicy.Handle");
        Draft::json(order(random))
            .with("NServiceBus.ExceptionInfo.ExceptionType", "System.InvalidOperationException")
            .with("NServiceBus.ExceptionInfo.Message", &message)
            .with("NServiceBus.ExceptionInfo.StackTrace", &stack)
    }),
    ("celery", 70, |random| {
        let detail = format!(
            "duplicate key value violates unique constraint \"orders_pkey\"\nDETAIL: Key (id)=({}) already exists.",
            random.below(99_999)
        );
        Draft::json(
            json!({"task": "billing.charge", "id": random.uuid(), "args": [random.below(99)], "result": {"exc_type": "IntegrityError", "exc_module": "psycopg2.errors", "exc_message": [detail]}}),
        )
    }),
    ("sidekiq", 60, |random| {
        Draft::json(
            json!({"class": "ChargeJob", "args": [random.below(9999)], "jid": random.hex(), "error_class": "Net::ReadTimeout",
            "error_message": "Net::ReadTimeout with #<TCPSocket:(closed)>", "failed_at": random.below(99_999_999), "retry_count": random.below(9)}),
        )
    }),
    ("grpc", 60, |random| {
        Draft::json(
            json!({"order": order(random), "lastError": format!("rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing {}\"", random.words(1))}),
        )
    }),
    ("soap", 50, |random| {
        Draft::text(format!(
            "<soap:Envelope><soap:Body><soap:Fault><faultcode>soap:Server</faultcode><faultstring>Konto {} ist gesperrt</faultstring></soap:Fault></soap:Body></soap:Envelope>",
            random.below(99_999)
        ))
    }),
    ("csv", 40, |random| {
        Draft::text(format!("{};{};{};{}", random.below(99_999), random.time(), random.name(), random.below(999)))
    }),
    ("eventbridge rule", 40, |random| {
        Draft::json(order(random))
            .with("ERROR_CODE", "NO_PERMISSIONS")
            .with("ERROR_MESSAGE", "User is not authorized to perform: sqs:sendmessage")
            .with("RULE_ARN", "arn:aws:events:eu-west-1:123456789012:rule/orders")
            .with("TARGET_ARN", "arn:aws:sqs:eu-west-1:123456789012:q")
    }),
    ("tenant suspended", 30, |random| {
        let tenant = random.one_of(&["acme", "globex", "initech", "umbrella", "stark", "wayne"]);
        Draft::json(
            json!({"order": order(random), "error": {"name": "TenantError", "message": format!("tenant {tenant} is suspended")}}),
        )
    }),
    ("tenant quota", 25, |random| {
        let tenant = random.one_of(&["acme", "globex", "initech", "umbrella", "stark", "wayne"]);
        Draft::json(
            json!({"order": order(random), "error": {"name": "TenantError", "message": format!("tenant {tenant} exceeded its quota of {} orders", random.below(900))}}),
        )
    }),
    ("sync", 25, |random| {
        Draft::json(json!({"v": 2, "op": "sync", "keys": [random.hex(), random.hex()], "at": random.below(99_999_999)}))
    }),
    ("purge", 20, |random| {
        Draft::json(json!({"v": 2, "op": "purge", "keys": [random.hex()], "at": random.below(99_999_999)}))
    }),
    ("kafka connect", 20, |random| {
        let topic = random.one_of(&["orders", "bills"]);
        Draft::json(json!({"before": Value::Null, "after": {"id": random.below(9999)}}))
            .with("__connect.errors.topic", topic)
            .with("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.DataException")
            .with(
                "__connect.errors.exception.message",
                &format!("Failed to deserialize data for topic {topic} to Avro: id {}", random.below(999)),
            )
    }),
];
