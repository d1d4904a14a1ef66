//! What others wrap around a body, through the whole program: Lambda's two ways into a queue, with the job of `jobs/`.

use std::collections::BTreeMap;

use redrive::sandbox::{MessageAttribute, Seed};

use crate::support::stage::{Stage, content, count};

fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// As Lambda's own dead-letter queue has it.
fn from_lambda(body: &str, code: u32, message: &str) -> Seed {
    Seed::new(body)
        .attribute("RequestID", MessageAttribute::string("e4b46cbf-b738-4880-8880-a18cdf61200e"))
        .attribute("ErrorCode", MessageAttribute::number(&code.to_string()))
        .attribute("ErrorMessage", MessageAttribute::string(message))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lambda_gave_up_goes_back_as_the_event_it_was() {
    let stage = Stage::new().await;
    stage.queue("invoices-failed", &[]);
    stage.queue("invoices-retry", &[]);
    stage.sandbox.create_bucket("redrive-archive").expect("a bucket");
    let record = r#"{"version":"1.0","requestContext":{"condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"invoice": 4.10},"responseContext":{"statusCode":200,"functionError":"Unhandled"},"responsePayload":{}}"#;
    let seeds = [
        from_lambda("{\"invoice\": 1.10}", 200, "2026-11-20T10:00:00.000Z e4b46cbf Task timed out after 3.00 seconds"),
        from_lambda("{\"invoice\": 2}", 429, "Rate Exceeded."),
        from_lambda("{\"invoice\": 3}", 200, "division by zero"),
        Seed::new(record),
        Seed::new("{\"requestContext\":{\"condition\":\"RetriesExhausted\"}}"),
        Seed::new("sent by hand"),
    ];
    stage.sandbox.seed("invoices-failed", seeds).expect("seeded");
    let job = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/lambda-dlq.toml")).expect("the job");
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    let figures = ["moved", "archived", "kept", "blocked"].map(|name| summary[name].as_u64().expect(name));
    assert_eq!(figures, [3, 1, 1, 1], "{summary}");
    let counted = text(&[("retryCount", "Number:1")]);
    let expected = ["{\"invoice\": 1.10}", "{\"invoice\": 2}", "{\"invoice\": 4.10}"]
        .map(|body| (body.to_owned(), counted.clone()));
    assert_eq!(stage.inventory("invoices-retry"), count(expected));
    let archived: Vec<_> = stage.envelopes("redrive-archive").iter().map(content).collect();
    assert_eq!(archived.len(), 1);
    assert_eq!(archived[0].1["ErrorMessage"], "String:division by zero");
}
