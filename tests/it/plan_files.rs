//! The plan as a file between two commands: what was approved is applied, or nothing is; and what planning leaves behind in
//! the queue, which is nothing.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use sqs_sandbox::{Fault, Rule, Whereabouts};

use crate::end_to_end::{JOB, assert_all_in_place, message};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, failed};
use crate::trouble::{assert_said, assert_untouched, gather, told};

const TOTAL: usize = 24;

/// A queue with messages, and a plan of all of them.
async fn planned(job: &str) -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "24"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

/// Applying the plan is refused, nothing was received, and no run has begun.
async fn refused(stage: &Stage, case: &str, code: i32) -> Ran {
    let ran = stage.redrive(&["apply", "plan.json"]).await.expect(code);
    assert_eq!(stage.requests("ReceiveMessage"), 0, "{case}");
    let runs = stage.redrive(&["runs", "--format", "json"]).await.expect(0);
    assert_eq!(runs.stdout, "", "{case}: no run has begun");
    ran
}

/// The text with `from` replaced once; it must be in there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is in the plan");
    text.replacen(from, to, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_whole_and_as_it_was_is_refused_before_any_request() {
    let stage = planned(JOB).await;
    let text = std::fs::read_to_string(stage.path("plan.json")).expect("the plan");
    let inside_a_character = text.find('\u{e9}').expect("an accent") + 1;
    let flipped = |at: usize| {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = 0xff;
        bytes
    };
    let bound = text.find("\"bound\": ").expect("a bound") + 9;
    let raised = format!("{}9{}", &text[..bound], &text[bound..]);
    let changed: Vec<(&str, Vec<u8>)> = vec![
        ("a bound raised", raised.into()),
        (
            "another destination in the job's text",
            replaced(&text, "queue = \\\"audit\\\"", "queue = \\\"orders\\\"").into(),
        ),
        ("another target", replaced(&text, "000000000000:audit", "000000000000:autid").into()),
        ("a later expiry", replaced(&text, "\"expires\": \"2", "\"expires\": \"3").into()),
        (
            "a refusal added",
            replaced(&text, "\"refusals\": []", "\"refusals\": [{\"code\":\"x\",\"text\":\"y\"}]").into(),
        ),
        ("a field added", replaced(&text, "\"cost\": {", "\"approved\": true,\n  \"cost\": {").into()),
        ("a field doubled", replaced(&text, "\"format\": 1,", "\"format\": 1,\n  \"format\": 1,").into()),
        ("a field gone", replaced(&text, "\"tool_version\"", "\"toolversion\"").into()),
        ("its digest emptied", replaced(&text, "\"digest\": \"sha256:", "\"digest\": \"").into()),
        ("empty", Vec::new()),
        ("only a brace", b"{".to_vec()),
        ("cut in the head", text.as_bytes()[..40].to_vec()),
        ("cut inside a character", text.as_bytes()[..inside_a_character].to_vec()),
        ("cut by its last line", text.as_bytes()[..text.trim_end().len() - 1].to_vec()),
        ("something behind it", format!("{text}x").into()),
        ("twice", text.repeat(2).into()),
        ("not UTF-8", flipped(inside_a_character)),
        ("with a byte order mark", format!("\u{feff}{text}").into()),
        ("a list", b"[]".to_vec()),
        ("another program's plan", replaced(&text, "\"redrive.plan\"", "\"terraform.plan\"").into()),
        ("another format", replaced(&text, "\"format\": 1", "\"format\": 99").into()),
        ("a format that is none", replaced(&text, "\"format\": 1", "\"format\": \"\u{1b}[2J\"").into()),
        ("very deep", "[".repeat(100_000).into()),
        ("very deep inside", replaced(&text, "\"format\": 1", &format!("\"format\": {}", "[".repeat(100_000))).into()),
    ];
    let mut said = String::new();
    for (case, bytes) in changed {
        assert_ne!(bytes, text.as_bytes(), "{case}");
        std::fs::write(stage.path("plan.json"), bytes).expect("written");
        let ran = refused(&stage, case, 4).await;
        let shown = stage.redrive(&["show", "plan.json"]).await.expect(4);
        assert_eq!((&shown.stderr, shown.stdout.as_str()), (&ran.stderr, ""), "{case}");
        assert!(!ran.stderr.contains('\u{1b}'), "{case}");
        said += &told(case, &ran);
    }
    assert_eq!(stage.sandbox.log().len(), 0, "no request was made");
    assert_untouched(&stage, TOTAL, "all of them");
    assert_said("plan-altered", &said);

    // Its layout is nobody's concern.
    let plan: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let squeezed: String = text.lines().map(str::trim_start).collect();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&squeezed).expect("JSON"), plan);
    stage.file("plan.json", &squeezed);
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_there_is_a_usage_error() {
    let stage = Stage::new().await;
    let (applied, shown) = (stage.redrive(&["apply", "no.json"]).await, stage.redrive(&["show", "no.json"]).await);
    assert_eq!(applied.expect(2).stderr, "error: no.json cannot be read: No such file or directory (os error 2)\n");
    assert_eq!(shown.expect(2).stderr, "error: no.json cannot be read: No such file or directory (os error 2)\n");
}

/// What happens to the queues between plan and apply.
#[derive(Clone, Copy)]
enum Change {
    Recreated(&'static str),
    RedrivePolicy(&'static str, &'static str),
    RedriveAllowPolicy(&'static str),
    Key(&'static str),
}

async fn change(stage: &Stage, change: Change) {
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = async |queue: &str| admin.sqs.get_queue_url().queue_name(queue).send().await.expect("a URL").queue_url;
    let set = async |queue: &str, name: QueueAttributeName, value: &str| {
        let call = admin.sqs.set_queue_attributes().set_queue_url(url(queue).await);
        call.attributes(name, value).send().await.expect("set");
    };
    match change {
        Change::Recreated(queue) => {
            admin.sqs.delete_queue().set_queue_url(url(queue).await).send().await.expect("deleted");
            let created = jiff::Timestamp::now().as_millisecond() + 61_000;
            stage.sandbox.create_queue(queue, &[], u64::try_from(created).ok()).expect("created");
        }
        Change::RedrivePolicy(queue, policy) => set(queue, QueueAttributeName::RedrivePolicy, policy).await,
        Change::RedriveAllowPolicy(queue) => {
            set(queue, QueueAttributeName::RedriveAllowPolicy, "{\"redrivePermission\":\"denyAll\"}").await;
        }
        Change::Key(queue) => set(queue, QueueAttributeName::KmsMasterKeyId, "alias/orders").await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_queues_that_changed_is_refused() {
    const FIVE: &str =
        "{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:orders-dlq\",\"maxReceiveCount\":5}";
    const OWN: &str = "{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:audit\",\"maxReceiveCount\":5}";
    let changes = [
        ("source recreated", Change::Recreated("orders-dlq")),
        ("destination recreated", Change::Recreated("audit")),
        ("origin recreated", Change::Recreated("orders")),
        ("source has a redrive policy", Change::RedrivePolicy("orders-dlq", OWN)),
        ("destination has a redrive policy", Change::RedrivePolicy("audit", FIVE)),
        ("origin has another redrive policy", Change::RedrivePolicy("orders", FIVE)),
        ("origin has lost its redrive policy", Change::RedrivePolicy("orders", "")),
        ("source has a redrive allow policy", Change::RedriveAllowPolicy("orders-dlq")),
        ("destination is encrypted", Change::Key("audit")),
    ];
    let said = gather(changes, |(case, what)| async move {
        let stage = planned(JOB).await;
        change(&stage, what).await;
        let ran = refused(&stage, case, 4).await;
        if case != "source recreated" {
            assert_untouched(&stage, TOTAL, case);
        }
        told(case, &ran)
    })
    .await;
    assert_said("plan-stale", &said.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_plan_is_refused_by_the_servers_clock_and_a_run_begun_in_time_is_finished() {
    let job = format!("{JOB}\n[plan]\nexpires_after = \"1h\"\n");
    let (late, begun) = tokio::join!(planned(&job), planned(&job));
    late.sandbox.advance(Duration::from_secs(3700));
    assert_said("plan-expired", &told("expired", &refused(&late, "expired", 4).await));
    assert_untouched(&late, TOTAL, "expired");

    begun.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("SendMessageBatch"));
    begun.redrive(&["apply", "plan.json"]).await.expect(3);
    begun.sandbox.faults().clear();
    begun.sandbox.advance(Duration::from_secs(3700));
    begun.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_all_in_place(&begun, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_the_source_by_another_name_is_refused() {
    let names = [
        ("by ARN", "arn:aws:sqs:eu-west-1:000000000000:orders-dlq"),
        ("by URL", "http://127.0.0.1:[port]/000000000000/orders-dlq"),
        ("by URL with another host", "http://localhost:[port]/000000000000/orders-dlq"),
    ];
    gather(names, |(case, name)| async move {
        let stage = Stage::with_queues().await;
        stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
        let endpoint = stage.sandbox.endpoint_url();
        let name = name.replace("[port]", endpoint.rsplit(':').next().expect("a port"));
        stage.file("job.toml", &replaced(JOB, "queue = \"audit\"", &format!("queue = \"{name}\"")));
        let plan = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        assert!(plan.stdout.contains("The source queue orders-dlq is also the destination audit"), "{case}");
        stage.sandbox.clear_log();
        let ran = refused(&stage, case, 4).await;
        assert!(ran.stderr.contains("is also the destination audit"), "{case}: {}", ran.stderr);
        assert_untouched(&stage, TOTAL, case);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_is_the_job_inside_the_plan() {
    let stage = planned(JOB).await;
    stage.file("job.toml", "this is no job any more");
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_may_come_through_a_pipe_and_under_any_name() {
    let stage = planned(JOB).await;
    std::fs::rename(stage.path("plan.json"), stage.path("approved")).expect("renamed");
    let mut command = stage.command(&["apply", "/dev/stdin"]);
    command.stdin(std::fs::File::open(stage.path("approved")).expect("the plan"));
    Ran::of(command.output().await.expect("the program runs")).expect(0);
    assert_all_in_place(&stage, TOTAL);
    // The same run by another name.
    let again = stage.redrive(&["apply", "approved"]).await.expect(0);
    assert!(again.stderr.contains("is finished already: nothing was done"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_file_is_private_whole_and_shown_as_it_was_printed() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    std::fs::write(stage.path("plan.json"), "{\"type\": \"redrive.plan\"}").expect("written");
    std::fs::set_permissions(stage.path("plan.json"), PermissionsExt::from_mode(0o644)).expect("set");
    let planned = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let mode = std::fs::metadata(stage.path("plan.json")).expect("the plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = stage.redrive(&["show", "plan.json"]).await.expect(0);
    assert_eq!(shown.stdout, planned.stdout);
    let json = stage.redrive(&["show", "plan.json", "--format", "json"]).await.expect(0);
    assert_eq!(json.stdout, std::fs::read_to_string(stage.path("plan.json")).expect("the plan"));
    assert!(stage.redrive(&["show", "plan.json", "--format", "markdown"]).await.expect(0).stdout.starts_with("## "));

    let nowhere = stage.redrive(&["plan", "job.toml", "--out", "no/such/plan.json"]).await.expect(2);
    assert!(nowhere.stderr.contains("cannot be written to no/such/plan.json"), "{}", nowhere.stderr);
    assert_untouched(&stage, TOTAL, "nowhere to write");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detailed_exit_code_says_whether_something_would_move() {
    let (empty, full, kept) = tokio::join!(Stage::with_queues(), Stage::with_queues(), Stage::with_queues());
    full.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    // Of these no rule takes any.
    kept.sandbox.seed("orders-dlq", (0..TOTAL).filter(|number| number % 3 == 2).map(message)).expect("seeded");
    gather([(empty, 0), (full, 7), (kept, 0)], |(stage, code)| async move {
        stage.file("job.toml", JOB);
        stage.redrive(&["plan", "job.toml", "--detailed-exitcode"]).await.expect(code);
        stage.redrive(&["plan", "job.toml"]).await.expect(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_a_redrive_policy_is_sampled_only_when_told_to() {
    let stage = Stage::with_queues().await;
    // `orders` redrives to `orders-dlq` after three receives.
    stage.sandbox.seed("orders", (0..TOTAL).map(|number| sqs_sandbox::Seed::new(number.to_string()))).expect("seeded");
    stage.file(
        "job.toml",
        "version = 1\nname = \"drain\"\n[source]\nqueue = \"orders\"\n[destination.audit]\nsqs = { queue = \"audit\" }\n\
         [unmatched]\nto = \"audit\"\n",
    );
    let ran = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(4);
    assert_said("plan-source-redrives", &told("a source with a redrive policy", &ran));
    assert_eq!(stage.requests("ReceiveMessage"), 0);
    assert!(!stage.path("plan.json").exists());

    let told_to = ["plan", "job.toml", "--out", "plan.json", "--sample-despite-redrive-policy"];
    let ran = stage.redrive(&told_to).await.expect(0);
    assert!(ran.stdout.contains("orders has a redrive policy"), "{}", ran.stdout);
    assert_eq!(stage.counts("orders"), (TOTAL, TOTAL));
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_eq!((stage.counts("orders").0, stage.counts("audit").0), (0, TOTAL));
}

/// Waits until something of the queue is in flight.
async fn in_flight(stage: &Stage, queue: &str) {
    let waiting = async {
        loop {
            let messages = stage.sandbox.queue(queue).expect("the queue").messages;
            if messages.iter().any(|message| message.state == Whereabouts::InFlight) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the plan receives something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_interrupted_gives_back_what_it_has() {
    gather(["INT", "TERM"], |signal| async move {
        let stage = Stage::with_queues().await;
        stage.sandbox.seed("orders-dlq", (0..2_000).map(|number| failed(number.to_string()))).expect("seeded");
        stage.file("job.toml", JOB);
        stage.sandbox.faults().add(
            Rule::new(Fault::Latency { ms: 50, jitter_ms: 0, when: sqs_sandbox::When::After }).action("ReceiveMessage"),
        );
        let child = stage.spawn(&["plan", "job.toml", "--out", "plan.json", "--sample", "2000"]);
        in_flight(&stage, "orders-dlq").await;
        let pid = child.id().expect("running").to_string();
        assert!(std::process::Command::new("kill").args([format!("-{signal}"), pid]).status().expect("kill").success());
        let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await;
        let ran = Ran::of(output.expect("it ends soon").expect("output")).expect(3);
        assert!(ran.stderr.contains("planning was interrupted; no plan was written"), "{}", ran.stderr);
        assert_untouched(&stage, 2_000, signal);
        assert!(!stage.path("plan.json").exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_fails_in_the_midst_gives_back_what_it_has() {
    let faults = [Fault::AccessDenied, Fault::ExpiredToken, Fault::NotFound];
    let said = gather(faults, |fault| async move {
        let stage = Stage::with_queues().await;
        stage.sandbox.seed("orders-dlq", (0..200).map(|number| failed(number.to_string()))).expect("seeded");
        stage.file("job.toml", JOB);
        stage.sandbox.faults().add(Rule::new(fault.clone()).action("ReceiveMessage").nth(7));
        let ran = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await;
        assert_untouched(&stage, 200, "in the midst");
        assert!(!stage.path("plan.json").exists());
        told(&format!("{fault:?}"), &ran)
    })
    .await;
    let said = said.concat();
    // Polls go in parallel, so how many brought something before the fault is no fixed number.
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"all \d+ messages", "all [some] messages");
    settings.bind(|| assert_said("plan-in-the-midst", &said));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_survives_what_passes() {
    let faults = [
        Fault::Throttle,
        Fault::Status { code: 500, when: sqs_sandbox::When::Before },
        Fault::Cut { when: sqs_sandbox::When::Before },
    ];
    let cases = faults
        .iter()
        .flat_map(|fault| ["ReceiveMessage", "ChangeMessageVisibilityBatch"].map(|action| (fault.clone(), action)));
    gather(cases, |(fault, action)| async move {
        let stage = Stage::with_queues().await;
        stage.sandbox.seed("orders-dlq", (0..200).map(|number| failed(number.to_string()))).expect("seeded");
        stage.file("job.toml", JOB);
        for nth in [1, 2, 5] {
            stage.sandbox.faults().add(Rule::new(fault.clone()).action(action).nth(nth));
        }
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        assert_untouched(&stage, 200, action);
    })
    .await;
}
