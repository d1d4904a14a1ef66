//! Bad surroundings: queues and buckets that are not there, permissions that are missing, servers that do not answer, files
//! that are no jobs. Each is said in words, and nothing is touched.

use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqs_sandbox::{Fault, Rule};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, message};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage};

const TOTAL: usize = 24;

/// Does many things at once, since most of their time is waiting; answers in the order of the cases.
pub(crate) async fn gather<C, T, F>(cases: impl IntoIterator<Item = C>, test: impl Fn(C) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let hands = Arc::new(Semaphore::new(8));
    let mut tests = JoinSet::new();
    for (position, case) in cases.into_iter().enumerate() {
        let (hand, test) = (Arc::clone(&hands), test(case));
        tests.spawn(async move {
            let _hand = hand.acquire_owned().await;
            (position, test.await)
        });
    }
    let mut answers = Vec::new();
    while let Some(ended) = tests.join_next().await {
        answers.push(ended.expect("the case holds"));
    }
    answers.sort_by_key(|(position, _)| *position);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Compares what was said with the snapshot of this name, without what differs from run to run.
pub(crate) fn assert_said(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]");
    settings.add_filter(r"\b(plan|run) [0-9a-f]{12}\b", "$1 [id]");
    settings.add_filter(r"expected one of (`\w+`, )+`\w+` at", "expected one of [fields] at");
    settings.add_filter(r"line \d+ column \d+", "line [n] column [n]");
    settings.add_filter(r"\(process \d+\)", "(process [pid])");
    settings.bind(|| insta::assert_snapshot!(name, said));
}

/// How a case reads in a snapshot.
pub(crate) fn told(case: &str, ran: &Ran) -> String {
    let mut text = format!("## {case}: exit {}\n", ran.code.expect("an exit code"));
    for line in ran.stdout.lines() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "stdout: {line}");
    }
    text + &ran.stderr + "\n"
}

async fn ready() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

/// Nothing was sent, archived or deleted, and nothing is left invisible.
#[track_caller]
pub(crate) fn assert_untouched(stage: &Stage, total: usize, case: &str) {
    assert_eq!(stage.counts("orders-dlq"), (total, total), "{case}: all visible");
    for queue in stage.sandbox.state().iter().filter(|queue| queue.name != "orders-dlq") {
        assert_eq!(queue.messages.len(), 0, "{case}: {}", queue.name);
    }
    assert_eq!(stage.envelopes("archive").len(), 0, "{case}");
}

/// What is wrong around the program.
#[derive(Clone, Copy)]
enum Wrong {
    /// Words of the job, and what stands there instead.
    Job(&'static str, &'static str),
    /// The environment.
    Environment(&'static [(&'static str, &'static str)]),
    /// An endpoint at which nothing listens.
    DeadEndpoint,
    /// A fault from the first call of this action on.
    Fault(&'static str, &'static str),
}

fn fault(name: &str) -> Fault {
    match name {
        "denied" => Fault::AccessDenied,
        "expired" => Fault::ExpiredToken,
        other => unreachable!("{other}"),
    }
}

/// A port at which nothing listens.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// What is wrong before anything is received, for a plan and for an apply.
const WRONG: &[(&str, Wrong)] = &[
    ("missing source queue", Wrong::Job("queue = \"orders-dlq\"", "queue = \"orders-dql\"")),
    ("missing destination queue", Wrong::Job("queue = \"audit\"", "queue = \"audti\"")),
    ("missing bucket", Wrong::Job("bucket = \"archive\"", "bucket = \"archvie\"")),
    (
        "source of another region by ARN",
        Wrong::Job("queue = \"orders-dlq\"", "queue = \"arn:aws:sqs:us-west-2:000000000000:orders-dlq\""),
    ),
    (
        "destination of another region by ARN",
        Wrong::Job("queue = \"audit\"", "queue = \"arn:aws:sqs:us-west-2:000000000000:audit\""),
    ),
    (
        "destination of another account by ARN",
        Wrong::Job("queue = \"audit\"", "queue = \"arn:aws:sqs:eu-west-1:123456789012:audit\""),
    ),
    (
        "no region at all",
        Wrong::Environment(&[("AWS_REGION", "-"), ("AWS_DEFAULT_REGION", "-"), ("AWS_ENDPOINT_URL", "-")]),
    ),
    (
        "an empty region",
        Wrong::Environment(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "-"), ("AWS_ENDPOINT_URL", "-")]),
    ),
    ("a region with a blank", Wrong::Environment(&[("AWS_REGION", "eu west 1")])),
    (
        "no credentials",
        Wrong::Environment(&[
            ("AWS_ACCESS_KEY_ID", "-"),
            ("AWS_SECRET_ACCESS_KEY", "-"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]),
    ),
    ("endpoint without scheme", Wrong::Environment(&[("AWS_ENDPOINT_URL", "localhost:4566")])),
    ("dead endpoint", Wrong::DeadEndpoint),
    ("expired token", Wrong::Fault("GetQueueUrl", "expired")),
    ("GetQueueUrl denied", Wrong::Fault("GetQueueUrl", "denied")),
    ("GetQueueAttributes denied", Wrong::Fault("GetQueueAttributes", "denied")),
    ("HeadBucket denied", Wrong::Fault("HeadBucket", "denied")),
];

fn with_environment(command: &mut Command, environment: &[(&str, &str)]) {
    for (name, value) in environment {
        match *value {
            "-" => command.env_remove(name),
            value => command.env(name, value),
        };
    }
}

async fn run(stage: &Stage, arguments: &[&str], wrong: Wrong) -> Ran {
    let mut command = stage.command(arguments);
    match wrong {
        Wrong::Job(..) => {}
        Wrong::Environment(environment) => with_environment(&mut command, environment),
        Wrong::DeadEndpoint => {
            command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", closed_port()));
        }
        Wrong::Fault(action, name) => drop(stage.sandbox.faults().add(Rule::new(fault(name)).action(action))),
    }
    Ran::of(command.output().await.expect("the program runs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_bad_surroundings_says_what_is_wrong_and_receives_nothing() {
    let said = gather(WRONG, |&(case, wrong)| async move {
        let stage = ready().await;
        if let Wrong::Job(right, wrong) = wrong {
            assert!(JOB.contains(right));
            stage.file("job.toml", &JOB.replace(right, wrong));
        }
        let ran = run(&stage, &["plan", "job.toml", "--out", "plan.json"], wrong).await;
        assert_eq!(stage.requests("ReceiveMessage"), 0, "{case}\n{}", ran.stderr);
        assert_untouched(&stage, TOTAL, case);
        assert!(!stage.path("plan.json").exists(), "{case}");
        told(case, &ran)
    })
    .await;
    assert_said("trouble-plan", &said.concat());
}

/// What cannot be known before the first message is received. Nothing is lost by it.
const FOUND_WHILE_SAMPLING: &[(&str, &str)] =
    &[("ReceiveMessage", "denied"), ("ReceiveMessage", "expired"), ("ListDeadLetterSourceQueues", "expired")];

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_may_not_receive_says_so_and_leaves_everything_visible() {
    let said = gather(FOUND_WHILE_SAMPLING, |&(action, name)| async move {
        let stage = ready().await;
        let ran = run(&stage, &["plan", "job.toml", "--out", "plan.json"], Wrong::Fault(action, name)).await;
        assert_untouched(&stage, TOTAL, action);
        assert!(!stage.path("plan.json").exists(), "{action}");
        told(&format!("{action} {name}"), &ran)
    })
    .await;
    assert_said("trouble-sample", &said.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_may_not_give_back_or_list_sources_is_made_and_says_so() {
    let (no_release, no_list) = tokio::join!(ready(), ready());
    let plan = ["plan", "job.toml", "--out", "plan.json"];
    let (unreleased, unlisted) = tokio::join!(
        run(&no_release, &plan, Wrong::Fault("ChangeMessageVisibilityBatch", "denied")),
        run(&no_list, &plan, Wrong::Fault("ListDeadLetterSourceQueues", "denied")),
    );
    let said = unreleased.expect(0).stdout;
    assert!(said.contains(&format!("{TOTAL} could not be given back")), "{said}");
    let said = unlisted.expect(0).stdout;
    assert!(said.contains("could not be listed") && said.contains("AccessDenied"), "{said}");
    assert_untouched(&no_list, TOTAL, "no list");
    // The origins that the sample shows are known nevertheless.
    no_list.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_all_in_place(&no_list, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_in_bad_surroundings_says_what_is_wrong_and_begins_nothing() {
    let wrong =
        WRONG.iter().filter(|(_, wrong)| !matches!(wrong, Wrong::Job(..))).map(|&(case, wrong)| (case, Some(wrong)));
    let gone = ["orders-dlq", "audit", "orders", "archive"].map(|gone| (gone, None));
    let said = gather(wrong.chain(gone), |(case, wrong)| async move {
        let stage = ready().await;
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        stage.sandbox.clear_log();
        let apply = ["apply", "plan.json"];
        let ran = match (case, wrong) {
            (_, Some(wrong)) => run(&stage, &apply, wrong).await,
            ("archive", None) => {
                let admin = Admin::at(&stage.sandbox.endpoint_url());
                admin.s3.delete_bucket().bucket("archive").send().await.expect("an empty bucket");
                stage.redrive(&apply).await
            }
            (queue, None) => {
                let admin = Admin::at(&stage.sandbox.endpoint_url());
                let url = admin.sqs.get_queue_url().queue_name(queue).send().await.expect("a URL").queue_url;
                admin.sqs.delete_queue().set_queue_url(url).send().await.expect("deleted");
                stage.redrive(&apply).await
            }
        };
        assert_eq!(stage.requests("ReceiveMessage"), 0, "{case}");
        if case != "orders-dlq" {
            assert_untouched(&stage, TOTAL, case);
        }
        // A run that is in the journal is one that may be gone on with: this one never began.
        let runs = stage.redrive(&["runs", "--format", "json"]).await.expect(0);
        assert_eq!(runs.stdout, "", "{case}");
        told(case, &ran)
    })
    .await;
    assert_said("trouble-apply", &said.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_shows_to_be_missing_in_mid_run_stops_it_resumably() {
    let actions = ["ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch", "PutObject"];
    let said = gather(actions, |action| async move {
        let stage = ready().await;
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        let ran = run(&stage, &["apply", "plan.json", "--format", "json"], Wrong::Fault(action, "denied")).await;
        let stopped = ran.expect(3).summary();
        assert_eq!(stopped["in_doubt"], 0, "{action}: a refusal is no doubt");
        let (all, visible) = stage.counts("orders-dlq");
        if action == "DeleteMessageBatch" {
            // What is at its destination stays invisible until it is deleted, lest somebody else take it.
            assert_eq!(all, TOTAL, "nothing could be deleted");
        } else {
            assert_eq!(all, visible, "{action}: everything is given back");
        }
        stage.sandbox.faults().clear();
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_adds_up(&summary);
        assert_eq!(summary["in_doubt"], 0, "{action}");
        assert_all_in_place(&stage, TOTAL);
        // Either queue may be the first that refuses.
        let error = stopped["error"].to_string().replace("audit", "orders");
        format!("{action}: {error}\n  {}\n", stopped["hint"])
    })
    .await;
    assert_said("trouble-in-mid-run", &said.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_for_the_region_that_the_job_names() {
    let stage = ready().await;
    let job = JOB.replace("queue = \"orders-dlq\"", "queue = \"orders-dlq\"\nregion = \"ap-southeast-2\"");
    let job = job.replace("queue = \"audit\"", "queue = \"audit\", region = \"us-west-2\"");
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    // Who calls is asked once for each place, of no queue.
    for entry in stage.sandbox.log().into_iter().filter(|entry| entry.action != "GetCallerIdentity") {
        let region = match entry.resource.as_str() {
            "audit" => "us-west-2",
            // Origins are named by ARNs, which say their region.
            "orders" => continue,
            // The archive has no region of its own: the environment's.
            "archive" => "eu-west-1",
            _ => "ap-southeast-2",
        };
        assert_eq!(entry.region.as_deref(), Some(region), "{} on {}", entry.action, entry.resource);
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn jobs_in(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(repository(directory)).expect("the directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut jobs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    jobs.sort();
    jobs.into_iter().map(|path| path.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_refuses_every_bad_job_and_no_command_does_more_with_one() {
    let jobs = jobs_in("tests/bad-jobs");
    assert!(jobs.len() >= 20);
    let stage = Stage::new().await;
    let stage = &stage;
    for job in &jobs {
        let checked = stage.redrive(&["check", job]).await.expect(2);
        assert_eq!(checked.stdout, "", "{job}");
        assert!(checked.stderr.contains("error: ") && !checked.stderr.contains("panicked"), "{}", checked.stderr);
        let planned = stage.redrive(&["plan", job]).await.expect(2);
        let applied = stage.redrive(&["apply", job, "--auto-approve"]).await.expect(2);
        assert_eq!(planned.stderr, applied.stderr, "{job}");
        assert!(planned.stderr.starts_with(checked.stderr.lines().next().expect("a line")), "{}", planned.stderr);
    }
    assert_eq!(stage.sandbox.log().len(), 0, "no request was made");

    let all: Vec<&str> = std::iter::once("check").chain(jobs.iter().map(String::as_str)).collect();
    let all = [&all[..], &["missing.toml"]].concat();
    let text = stage.redrive(&all).await.expect(2);
    assert!(text.stderr.ends_with("missing.toml cannot be read: No such file or directory (os error 2)\n"));
    let json = stage.redrive(&[&all[..], &["--format", "json"]].concat()).await.expect(2);
    assert_eq!(json.stdout.lines().count(), jobs.len() + 1, "a line each, though the first is wrong already");
    for line in json.stdout.lines() {
        let checked: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(checked["valid"] == false && !checked["problems"].as_array().expect("problems").is_empty(), "{line}");
    }
}

/// Those whose errors only compiling the rules can find; the others have their snapshots beside them.
#[tokio::test(flavor = "multi_thread")]
async fn check_shows_what_is_wrong_with_a_json_path_or_a_regular_expression() {
    let stage = Stage::new().await;
    for name in ["jsonpath", "regex"] {
        let text = std::fs::read_to_string(repository(&format!("tests/bad-jobs/{name}.toml"))).expect("UTF-8");
        stage.file(&format!("{name}.toml"), &text);
    }
    let ran = stage.redrive(&["check", "jsonpath.toml", "regex.toml"]).await.expect(2);
    assert_said("trouble-compile", &ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_takes_every_example() {
    let stage = Stage::new().await;
    let jobs = jobs_in("jobs");
    let arguments: Vec<&str> = std::iter::once("check").chain(jobs.iter().map(String::as_str)).collect();
    let ran = stage.redrive(&arguments).await.expect(0);
    assert_eq!(ran.stdout.lines().filter(|line| line.contains(": valid, ")).count(), jobs.len(), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_jobs_are_refused_in_words() {
    let stage = Stage::new().await;
    std::fs::create_dir(stage.path("directory")).expect("a directory");
    std::fs::write(stage.path("binary.toml"), b"version = 1\nname = \"\xff\xfe\"\n").expect("a file");
    stage.file("empty.toml", "");
    stage.file("secret.toml", "version = 1");
    stage.file("long.toml", &format!("# {}\n", "x".repeat(2 * 1024 * 1024)));
    stage.file("deep.toml", &format!("x = {}\n", "[".repeat(100_000)));
    stage.file("plan.toml", "{\"type\":\"redrive.plan\"}");
    let mut said = String::new();
    for file in ["missing.toml", "directory", "binary.toml", "empty.toml", "long.toml", "deep.toml", "plan.toml"] {
        let ran = stage.redrive(&["plan", file]).await.expect(2);
        assert!(ran.stderr.len() < 5_000, "{file}: {} bytes of errors", ran.stderr.len());
        said += &told(file, &ran);
        stage.redrive(&["check", file]).await.expect(2);
        // Apply takes plans, and says of this one what is wrong with it.
        let code = if file == "plan.toml" { 4 } else { 2 };
        let applied = stage.redrive(&["apply", "--auto-approve", file]).await.expect(code);
        assert!(code == 4 || applied.stderr == ran.stderr, "{file}: {}", applied.stderr);
    }
    assert_eq!(stage.sandbox.log().len(), 0, "no request was made");
    assert_said("trouble-files", &said);
}
