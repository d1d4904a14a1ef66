//! A webhook is told when a run begins and ends; whatever it does, the run is as it would be without it, and says what could not be
//! told. Of its URL only the host is ever shown.

use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, Signal, When};

use crate::end_to_end::{assert_all_in_place, message};
use crate::stops::signal;
use crate::support::stage::{Ran, Stage, each};
use crate::support::webhook::{Answer, Webhook};

const TOTAL: usize = 36;

fn job(notify: &str) -> String {
    format!("{}\n[notify]\nwebhook = \"env:HOOK\"\n{notify}\n", crate::end_to_end::JOB)
}

async fn ready(notify: &str) -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", &job(notify));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage
}

async fn apply(stage: &Stage, webhook: &Webhook) -> Ran {
    let ran = stage.redrive_with(&["apply", "plan.json", "--format", "json"], &[("HOOK", &webhook.url())]).await;
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("SECRET"), "{ran:?}");
    ran
}

/// What the report says about notifications, as JSON and as text.
async fn report(stage: &Stage) -> (Value, String) {
    let json = stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
    assert!(!json.contains("SECRET"), "{json}");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    (json["not_notified"].clone(), stage.redrive(&["report"]).await.expect(0).stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_when_a_run_starts_and_finishes() {
    let stage = ready("").await;
    let webhook = Webhook::start(&[]).await;
    let ran = apply(&stage, &webhook).await.expect(0);
    let summary = ran.summary();
    assert_all_in_place(&stage, TOTAL);
    assert_eq!(webhook.field("event"), ["started", "finished"]);
    let posts = webhook.posts();
    assert_eq!(posts[0].path, "/services/SECRET?sig=SECRET");
    assert!(posts[0].head.starts_with("POST ") && posts[0].head.contains("content-type: application/json"));
    let end = &posts[1].body;
    for (name, expected) in [("type", "notification"), ("outcome", "finished"), ("source", "orders-dlq")] {
        assert_eq!(end[name], expected, "{end}");
    }
    assert_eq!((&end["version"], &end["run"], &end["job"]), (&1.into(), &summary["run"], &summary["job"]));
    for figure in ["received", "moved", "archived", "kept", "blocked", "held", "failed", "in_doubt"] {
        assert_eq!(end["figures"][figure], summary[figure], "{figure}");
    }
    assert_eq!(report(&stage).await.0, Value::Null);
    assert!(ran.stderr.contains(&format!("notifying 127.0.0.1:{} (HOOK)", webhook.port)), "{}", ran.stderr);

    apply(&stage, &webhook).await.expect(0);
    assert_eq!(webhook.posts().len(), 2, "of a run that is finished already nobody is told again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_message_is_told_in_any_form() {
    for form in ["slack", "teams", "json"] {
        let stage = ready(&format!("format = \"{form}\"")).await;
        let webhook = Webhook::start(&[]).await;
        apply(&stage, &webhook).await.expect(0);
        let posts = webhook.posts();
        assert_eq!(posts.len(), 2, "{form}");
        for message in stage.inventory("orders").into_keys() {
            let (body, _) = message;
            assert!(
                posts.iter().all(|post| !post.body.to_string().contains(body.trim_matches(['{', '}']))),
                "{form}: {body}"
            );
        }
        let last = &posts[1].body;
        let shaped = match form {
            "slack" => last["blocks"][0]["type"] == "header",
            "teams" => last["attachments"][0]["content"]["type"] == "AdaptiveCard",
            _ => last["event"] == "finished",
        };
        assert!(shaped, "{form}: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_job_asks_for_is_told() {
    let stage = ready("on = [\"halted\"]").await;
    let webhook = Webhook::start(&[]).await;
    apply(&stage, &webhook).await.expect(0);
    assert!(webhook.posts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_a_webhook_stops_a_run_or_changes_how_it_ends() {
    use Answer::{Close, Never, Status};
    let cases = [
        // Tried again, and well in the end.
        (vec![Status(200), Status(500), Close, Status(200)], 4, None),
        // Refused for good: tried once.
        (vec![Status(200), Status(404)], 2, Some("HTTP 404")),
        (vec![Status(200), Status(302)], 2, Some("a redirect, and these are not followed")),
        // Never answered: given up in time.
        (vec![Never; 30], 0, Some("no answer came")),
        (vec![Status(503); 30], 0, Some("HTTP 503")),
    ];
    each(cases.to_vec(), |(answers, posts, untold)| async move {
        let stage = ready("").await;
        let webhook = Webhook::start(&answers).await;
        let ran = apply(&stage, &webhook).await.expect(0);
        assert_eq!(ran.summary()["outcome"], "finished");
        assert_all_in_place(&stage, TOTAL);
        if posts > 0 {
            assert_eq!(webhook.posts().len(), posts, "{answers:?}");
        }
        let (json, text) = report(&stage).await;
        match untold {
            None => assert_eq!(json, Value::Null, "{answers:?}"),
            Some(words) => {
                let finished = format!("could not notify 127.0.0.1:{} that the run finished", webhook.port);
                for said in [json.as_str().expect("words"), &text.replace("\n  ", " ").replace('\n', " "), &ran.stderr]
                {
                    assert!(said.contains(words) && said.contains(&finished), "{answers:?}: {said}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_and_the_run_finishes() {
    let stage = ready("on = [\"finished\"]").await;
    let webhook = Webhook::new(1, &[]);
    let ran = apply(&stage, &webhook).await.expect(0);
    assert!(ran.stderr.contains("could not notify 127.0.0.1:1 that the run finished"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_or_killed_and_goes_on_is_told_as_that() {
    let stage = ready("").await;
    let webhook = Webhook::start(&[]).await;
    for (sent, at, events) in [
        (Signal::Int, "ReceiveMessage", vec!["started", "stopped"]),
        // Before anything was sent, so that nothing can have arrived twice.
        (Signal::Kill, "ReceiveMessage", vec!["started"]),
    ] {
        let seen = webhook.posts().len();
        let child = stage.command(&["apply", "plan.json"]).env("HOOK", webhook.url()).spawn().expect("it starts");
        let pid = child.id().expect("running");
        let rule = Rule::new(Fault::Kill { pid, signal: sent, when: When::Before }).action(at).times(1);
        let rule = stage.sandbox.faults().add(rule);
        // Beside the work: only what was posted before a kill is sure to have come.
        child.wait_with_output().await.expect("ended");
        stage.sandbox.faults().remove(rule);
        let told = &webhook.field("event")[seen..];
        assert!(events.starts_with(told.iter().map(String::as_str).collect::<Vec<_>>().as_slice()), "{told:?}");
        assert!(sent == Signal::Kill || told.len() == 2, "{told:?}");
    }
    apply(&stage, &webhook).await.expect(0);
    let last = webhook.posts().split_off(webhook.posts().len() - 2);
    assert_eq!((&last[0].body["event"], &last[0].body["resumed"]), (&"started".into(), &true.into()));
    assert_eq!(last[1].body["event"], "finished");
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_as_a_halt_with_its_words() {
    let stage = ready("").await;
    let webhook = Webhook::start(&[]).await;
    let denied = stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("ReceiveMessage"));
    apply(&stage, &webhook).await.expect(3);
    stage.sandbox.faults().remove(denied);
    let end = &webhook.posts()[1].body;
    assert_eq!((&end["event"], &end["outcome"]), (&"halted".into(), &"failed".into()), "{end}");
    assert!(end["error"].as_str().is_some_and(|words| words.contains("ReceiveMessage")), "{end}");
    assert!(end["hint"].as_str().is_some_and(|words| words.contains("the same command continues")), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_wait_for_a_webhook_and_nothing_of_the_run_is_lost() {
    let stage = ready("on = [\"finished\"]").await;
    let webhook = Webhook::start(&[Answer::Never; 9]).await;
    let child = stage.command(&["apply", "plan.json"]).env("HOOK", webhook.url()).spawn().expect("it starts");
    webhook.until_posted(1).await;
    signal(child.id().expect("running"), rustix::process::Signal::INT);
    let ran = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await.expect("in time");
    let ran = Ran::of(ran.expect("ended")).expect(0);
    assert!(ran.stderr.contains("that the run finished: it was interrupted"), "{}", ran.stderr);
    assert!(webhook.posts().len() == 1 && report(&stage).await.0.is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_environment_is_needed_for_a_new_run_and_never_shown() {
    let stage = ready("").await;
    for (url, words) in [
        (None, "HOOK is not set in the environment"),
        (Some(""), "HOOK is not set in the environment"),
        (Some("SECRET"), "HOOK holds no http or https URL"),
        (Some("https://user:SECRET@host/"), "HOOK holds no http or https URL"),
    ] {
        let environment: Vec<_> = url.map(|url| ("HOOK", url)).into_iter().collect();
        for command in [vec!["apply", "plan.json"], vec!["apply", "job.toml", "--auto-approve"]] {
            stage.sandbox.clear_log();
            let refused = stage.redrive_with(&command, &environment).await.expect(2).stderr;
            assert!(refused.contains(words) && refused.contains("set HOOK to the webhook's URL"), "{refused}");
            assert!(!refused.contains("SECRET"), "{refused}");
            assert_eq!(stage.requests("ReceiveMessage"), 0, "{refused}");
        }
    }
    // A run that was begun with it goes on without.
    let webhook = Webhook::start(&[]).await;
    let denied = stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("ReceiveMessage"));
    apply(&stage, &webhook).await.expect(3);
    stage.sandbox.faults().remove(denied);
    let ran = stage.redrive(&["apply", "plan.json"]).await.expect(0);
    assert!(ran.stderr.contains("HOOK is not set in the environment; the run goes on all the same"), "{}", ran.stderr);
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_names_the_host_and_keeps_the_secret() {
    let stage = ready("on = [\"started\", \"halted\"]").await;
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let unset = one_line(&stage.redrive(&["show", "plan.json", "--full"]).await.expect(0).stdout);
    assert!(unset.contains("was not set where this plan was made"), "{unset}");
    let url = "https://hooks.slack.com/services/SECRET";
    let planned = stage.redrive_with(&["plan", "job.toml", "--out", "plan2.json"], &[("HOOK", url)]).await.expect(0);
    let shown = stage.redrive(&["show", "plan2.json", "--full"]).await.expect(0).stdout;
    let words = one_line(&shown);
    assert!(words.contains("notified that the run started and halted: hooks.slack.com, by HOOK"), "{words}");
    let saved = std::fs::read_to_string(stage.path("plan2.json")).expect("a plan");
    assert!(!format!("{}{}{shown}{saved}", planned.stdout, planned.stderr).contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_in_the_job_is_refused() {
    let stage = Stage::with_queues().await;
    stage.file("job.toml", &job("").replace("env:HOOK", "https://hooks.slack.com/services/T0/B0/x"));
    let refused = stage.redrive(&["check", "job.toml"]).await.expect(2).stderr;
    assert!(refused.contains("it must not stand in a job file") && refused.contains("env:SLACK_WEBHOOK"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_a_run_on_the_embedded_sandbox() {
    let stage = Stage::new().await;
    let job = "version = 1\nname = \"tour\"\n[source]\nqueue = \"orders-dlq\"\n[unmatched]\nto = \"origin\"\n";
    stage.file("job.toml", &format!("{job}[notify]\nwebhook = \"env:HOOK\"\n"));
    let webhook = Webhook::start(&[]).await;
    let arguments = ["apply", "job.toml", "--sandbox", "--auto-approve"];
    let ran = stage.redrive_with(&arguments, &[("HOOK", &webhook.url())]).await;
    assert!(matches!(ran.code, Some(0 | 6)) && webhook.posts().is_empty(), "{ran:?}");
}
