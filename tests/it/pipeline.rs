//! The GitHub Action and the GitLab template: the steps of `action.yml` are run as a runner runs them, with its variables and
//! files, against a stand-in for the forge's API and the sandbox.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::stage::{Ran, Stage, failed};

const JOB: &str = r#"
version = 1
name = "orders-dlq"
[source]
queue = "orders-dlq"
[destination.orders]
sqs = { queue = "orders" }
[[rule]]
name = "all"
when = [{ message = "size", gt = 0 }]
to = "orders"
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A forge on loopback.
struct Forge {
    url: String,
    _process: Child,
}

impl Forge {
    async fn start() -> Self {
        let mut process = Command::new("python3")
            .arg(root().join("tests/pipeline/forge.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3, which ./test needs as well");
        let stdout = process.stdout.take().expect("piped");
        let port = BufReader::new(stdout).lines().next_line().await.expect("readable").expect("a port");
        Self { url: format!("http://127.0.0.1:{port}"), _process: process }
    }

    /// What it holds, read by the client that the script uses.
    async fn state(&self) -> Value {
        let read = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
        let output = Command::new("python3").args(["-c", read, &format!("{}/state", self.url)]).output();
        serde_json::from_slice(&output.await.expect("it runs").stdout).expect("JSON")
    }
}

/// What a step of the action needs to be run: its variables, and its command for a shell.
struct Step {
    environment: BTreeMap<String, String>,
    script: String,
}

/// Reads a step of `action.yml` with these inputs, as the runner does: `${{ inputs.x }}` is what was given, or the default.
fn step(name: &str, given: &[(&str, &str)]) -> Step {
    let text = std::fs::read_to_string(root().join("action.yml")).expect("the action");
    let mut inputs = BTreeMap::new();
    let (declared, rest) = text.split_once("\noutputs:").expect("outputs");
    let mut input = "";
    for line in declared.split_once("\ninputs:").expect("inputs").1.lines() {
        if let Some(name) = line.strip_prefix("  ").filter(|name| !name.starts_with(' ')) {
            input = name.trim_end_matches(':');
        }
        if let Some(default) = line.trim().strip_prefix("default: ") {
            inputs.insert(input, default.trim_matches('"'));
        }
    }
    for (name, value) in given {
        assert!(inputs.insert(name, value).is_some(), "the action has no input {name}");
    }
    let step = rest.split("    - name: ").find(|step| step.starts_with(name)).expect("the step");
    let (head, script) = step.split_once("      run: |\n").expect("a script");
    let environment = head.split_once("      env:\n").expect("variables").1;
    let environment = environment.lines().filter_map(|line| line.trim().split_once(": ")).map(|(key, value)| {
        let input = value.trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        (key.to_owned(), inputs.get(input).unwrap_or_else(|| panic!("{value}")).to_string())
    });
    let script = script.lines().map_while(|line| line.strip_prefix("        ")).collect::<Vec<_>>().join("\n");
    Step { environment: environment.collect(), script }
}

/// A pull request whose branch has two jobs that it changes, one of them broken, and one that it does not change.
async fn pull_request() -> Stage {
    let stage = Stage::with_queues().await;
    std::fs::create_dir(stage.path("jobs")).expect("a directory");
    stage.file("jobs/orders.toml", JOB);
    stage.file("jobs/broken.toml", "version = 1\nname = \"x\"\nsurprise = 1\n");
    stage.file("jobs/another.toml", JOB);
    stage.file("event.json", r#"{"pull_request": {"number": 7}}"#);
    for number in 0..12 {
        let body = format!("{{\"order\": {number}, \"note\": \"``` <!-- $(touch pwned) -->\"}}");
        stage.sandbox.seed("orders-dlq", [failed(body)]).expect("a message");
    }
    stage
}

/// Runs a script as a runner does: in the checkout, with nothing but its own variables.
async fn run(stage: &Stage, forge: &Forge, script: &str, environment: &BTreeMap<String, String>) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_redrive")).parent().expect("a directory");
    let path = std::env::var("PATH").expect("a path");
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .current_dir(stage.directory.path())
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", stage.directory.path())
        .envs(stage.sandbox.environment())
        .env("GITHUB_API_URL", &forge.url)
        .env("CI_API_V4_URL", &forge.url)
        .envs(environment)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    Ran::of(output)
}

async fn on_github(stage: &Stage, forge: &Forge, inputs: &[(&str, &str)]) -> Ran {
    let step = step("Run redrive", inputs);
    for file in ["output", "summary"] {
        stage.file(file, "");
    }
    let mut environment = step.environment;
    for (key, value) in [
        ("GITHUB_REPOSITORY", "o/r".to_owned()),
        ("GITHUB_ACTION_PATH", root().display().to_string()),
        ("GITHUB_EVENT_PATH", stage.path("event.json").display().to_string()),
        ("GITHUB_OUTPUT", stage.path("output").display().to_string()),
        ("GITHUB_STEP_SUMMARY", stage.path("summary").display().to_string()),
    ] {
        environment.insert(key.to_owned(), value);
    }
    run(stage, forge, &step.script, &environment).await
}

fn read(stage: &Stage, name: &str) -> String {
    std::fs::read_to_string(stage.path(name)).expect("a file")
}

#[tokio::test]
async fn a_pull_request_is_planned_and_one_comment_a_job_is_kept_up_to_date() {
    let (stage, forge) = (pull_request().await, Forge::start().await);
    let inputs = [("token", "t0ken"), ("command", "plan")];

    // The broken job fails the step, with redrive's own code, and its errors are in its comment.
    on_github(&stage, &forge, &inputs).await.expect(2);
    let held = forge.state().await;
    let bodies: Vec<&str> =
        held["comments"].as_array().expect("comments").iter().filter_map(|c| c["body"].as_str()).collect();
    assert_eq!(bodies.len(), 2, "one a job that the pull request changes: {bodies:?}");
    assert!(bodies[0].starts_with("<!-- redrive plan of jobs/broken.toml -->\n"), "{}", bodies[0]);
    assert!(bodies[0].contains("surprise"), "{}", bodies[0]);
    assert!(bodies[1].starts_with("<!-- redrive plan of jobs/orders.toml -->\n## Plan `"), "{}", bodies[1]);

    // A second push writes the same comments anew.
    stage.file("jobs/broken.toml", JOB);
    on_github(&stage, &forge, &inputs).await.expect(0);
    let held = forge.state().await;
    assert_eq!(held["writes"], serde_json::json!(["POST 131", "POST 132", "PATCH 131", "PATCH 132"]));
    let output = read(&stage, "output");
    assert!(output.contains("would-move=true\n") && output.contains("exit-code=0\n"), "{output}");
    assert!(read(&stage, "summary").contains("## Plan `"));
    assert!(stage.path("redrive-plans/jobs-orders.plan.json").exists());
    assert!(!stage.path("pwned").exists());
    // The whole queue is as it was.
    assert_eq!(stage.counts("orders-dlq"), (12, 12));
}

#[tokio::test]
async fn a_comment_that_cannot_be_written_does_not_fail_the_plan() {
    let (stage, forge) = (pull_request().await, Forge::start().await);
    let inputs = [("token", "wrong"), ("changed", "false"), ("jobs", "jobs/orders.toml")];
    let ran = on_github(&stage, &forge, &inputs).await.expect(0);
    assert!(ran.stderr.contains("could not be written: HTTP Error 401"), "{}", ran.stderr);
    assert!(read(&stage, "summary").contains("## Plan `"));
}

#[tokio::test]
async fn an_approved_plan_is_applied_and_its_report_is_the_summary() {
    let (stage, forge) = (pull_request().await, Forge::start().await);
    let plan = [("token", "t0ken"), ("jobs", "jobs/orders.toml")];
    on_github(&stage, &forge, &plan).await.expect(0);

    let refused =
        [("command", "apply"), ("plan", "redrive-plans/jobs-orders.plan.json"), ("options", "--require-approvals 1")];
    on_github(&stage, &forge, &refused).await.expect(4);
    assert!(read(&stage, "output").contains("exit-code=4\n"));

    stage.redrive(&["approve", "redrive-plans/jobs-orders.plan.json", "--by", "alice"]).await.expect(0);
    on_github(&stage, &forge, &refused).await.expect(0);
    let (output, summary) = (read(&stage, "output"), read(&stage, "summary"));
    let run = output.lines().find_map(|line| line.strip_prefix("run=")).expect("the run").to_owned();
    assert!(summary.contains(&format!("## Run `{run}`")), "{summary}");
    assert_eq!(stage.counts("orders"), (12, 12));

    // Without a plan, nothing is guessed.
    on_github(&stage, &forge, &[("command", "apply")]).await.expect(2);
}

#[tokio::test]
async fn a_merge_request_is_planned_and_commented_on_gitlab() {
    let (stage, forge) = (pull_request().await, Forge::start().await);
    let template = std::fs::read_to_string(root().join("pipeline/gitlab.yml")).expect("the template");
    let script = template.lines().find_map(|line| line.trim().strip_prefix("- python3 /tmp/redrive_pipeline.py plan"));
    assert_eq!(script, Some(""), "the template plans");
    let script = format!("python3 {} plan", root().join("pipeline/redrive_pipeline.py").display());
    let environment = [("CI_PROJECT_ID", "g/r"), ("CI_MERGE_REQUEST_IID", "7"), ("REDRIVE_TOKEN", "t0ken")];
    let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
    for _ in 0..2 {
        run(&stage, &forge, &script, &environment).await.expect(2);
    }
    let held = forge.state().await;
    assert_eq!(held["writes"], serde_json::json!(["POST 131", "POST 132", "PUT 131", "PUT 132"]));
}
