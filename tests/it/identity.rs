//! Who a call is made as: a profile that the job names is it, whatever the environment says; and errors say who it was.

use sqs_sandbox::{Fault, Rule};

use crate::support::stage::{Ran, Stage, failed};

const JOB: &str = r#"
version = 1
name = "identity"

[source]
queue = "orders-dlq"
profile = "ops"

[destination.audit]
sqs = { queue = "audit", profile = "dev" }

[destination.other]
sqs = { queue = "orders" }

[[rule]]
name = "all"
when = [{ message = "size", gte = 0 }]
to = "audit"
"#;

const CONFIG: &str = "[profile ops]\naws_access_key_id = OPSKEY\naws_secret_access_key = x\n\
                      [profile dev]\naws_access_key_id = DEVKEY\naws_secret_access_key = x\n";

async fn ready() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", [failed("{}")]).expect("seeded");
    stage.file("job.toml", JOB);
    stage.file("config", CONFIG);
    stage
}

async fn redrive(stage: &Stage, arguments: &[&str]) -> Ran {
    let config = stage.path("config").display().to_string();
    let keys = [("AWS_ACCESS_KEY_ID", "ENVKEY"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_CONFIG_FILE", config.as_str())];
    stage.redrive_with(arguments, &keys).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_place_is_called_as_the_profile_that_the_job_names_for_it() {
    let stage = ready().await;
    redrive(&stage, &["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    redrive(&stage, &["apply", "plan.json"]).await.expect(0);
    for (queue, key) in [("orders-dlq", "OPSKEY"), ("audit", "DEVKEY"), ("orders", "ENVKEY")] {
        let log = stage.sandbox.log();
        let callers: Vec<_> = log.iter().filter(|call| call.resource == queue).map(|call| &call.access_key).collect();
        assert!(
            !callers.is_empty() && callers.iter().all(|caller| caller.as_deref() == Some(key)),
            "{queue}: {callers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_where_and_as_whom_it_was_asked() {
    for (queue, whose) in
        [("orders-dlq", "profile ops"), ("audit", "profile dev"), ("orders", "the credentials in the environment")]
    {
        let stage = ready().await;
        stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("GetQueueUrl").resource(queue));
        let said = redrive(&stage, &["plan", "job.toml"]).await.expect(1).stderr;
        let at = format!("(at {}, with {whose})", stage.sandbox.endpoint_url().trim_end_matches('/'));
        assert!(said.contains(&at), "{at} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_queue_is_told_the_name_that_is_most_like_it() {
    let stage = ready().await;
    stage.file("job.toml", &JOB.replace("\"orders-dlq\"", "\"order-dlq\""));
    let said = redrive(&stage, &["plan", "job.toml"]).await.expect(1).stderr;
    assert!(said.contains("did you mean \"orders-dlq\"?"), "{said}");
    // Without the permission to list it is no error of its own.
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("ListQueues"));
    let said = redrive(&stage, &["plan", "job.toml"]).await.expect(1).stderr;
    assert!(said.contains("NonExistentQueue") && !said.contains("did you mean"), "{said}");
    stage.file("job.toml", &JOB.replace("\"orders-dlq\"", "\"nothing-like-it\""));
    stage.sandbox.faults().clear();
    let said = redrive(&stage, &["plan", "job.toml"]).await.expect(1).stderr;
    assert!(!said.contains("did you mean"), "{said}");
}
