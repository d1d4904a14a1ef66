//! Who a call is made as: a profile that the job names is it, whatever the environment says; and errors say who it was.

use sqs_sandbox::{Fault, Rule, When};

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
async fn a_queue_is_inspected_by_name_url_or_arn_as_whoever_is_named() {
    let stage = ready().await;
    let url = format!("{}/000000000000/orders-dlq", stage.sandbox.endpoint_url());
    let role = "arn:aws:iam::000000000000:role/looker";
    for queue in ["orders-dlq", &url, "arn:aws:sqs:eu-west-1:000000000000:orders-dlq"] {
        for (whose, key) in [(&[][..], "ENVKEY"), (&["--profile", "ops"], "OPSKEY"), (&["--role-arn", role], "ASIA")] {
            stage.sandbox.clear_log();
            let shown = redrive(&stage, &[&["inspect", queue, "--format", "json"], whose].concat()).await.expect(0);
            assert!(shown.stdout.contains("\"groups\""), "{queue} {whose:?}: {}", shown.stdout);
            let calls = stage.sandbox.log().into_iter().filter(|call| call.resource == "orders-dlq");
            let callers: Vec<String> = calls.filter_map(|call| call.access_key).collect();
            assert!(!callers.is_empty(), "{queue} {whose:?}");
            assert!(callers.iter().all(|caller| caller.starts_with(key)), "{queue} {whose:?}: {callers:?}");
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_where_and_as_whom_each_place_is_called() {
    let stage = ready().await;
    // The question has a time limit, and this machine may be slow.
    let mut shown = String::new();
    for _ in 0..20 {
        if shown.matches("user/sandbox").count() >= 3 {
            break;
        }
        stage.sandbox.clear_log();
        shown = redrive(&stage, &["plan", "job.toml", "--out", "plan.json"]).await.expect(0).stdout;
    }
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let endpoint = stage.sandbox.endpoint_url();
    let endpoint = endpoint.trim_end_matches('/');
    let who = "account 000000000000, arn:aws:iam::000000000000:user/sandbox";
    for (places, credentials) in [("source", "profile ops"), ("audit", "profile dev")] {
        let said = format!("{places} eu-west-1, at {endpoint}, {who}, with {credentials}");
        assert!(shown.contains(&said), "{said}: {shown}");
    }
    let asked: Vec<_> = stage.sandbox.log().into_iter().filter(|call| call.action == "GetCallerIdentity").collect();
    let keys: Vec<_> = asked.iter().filter_map(|call| call.access_key.as_deref()).collect();
    assert_eq!(keys, ["OPSKEY", "DEVKEY", "ENVKEY"]);
    for format in ["markdown", "html"] {
        let page = redrive(&stage, &["show", "plan.json", "--format", format]).await.expect(0).stdout;
        assert!(page.contains("user/sandbox") && page.contains("Called as"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_made_although_nobody_says_who_is_asking() {
    for fault in [Fault::AccessDenied, Fault::Silence { when: When::Before }] {
        let stage = ready().await;
        stage.sandbox.faults().add(Rule::new(fault).action("GetCallerIdentity"));
        redrive(&stage, &["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        let plan: serde_json::Value =
            serde_json::from_slice(&std::fs::read(stage.path("plan.json")).expect("there")).expect("JSON");
        let caller = &plan["callers"][0];
        assert_eq!((caller["credentials"].as_str(), caller["identity"].is_null()), (Some("profile ops"), true));
    }
}
