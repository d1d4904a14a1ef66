//! boto3, which none of us wrote, against the sandbox: AWS's own client for Python, which verifies MD5s and maps errors to
//! typed exceptions by rules of its own. A new one speaks the JSON protocol, an old one the Query protocol. Requests are signed
//! with a secret that the sandbox knows, and verified.

use std::process::Stdio;
use std::time::Duration;

use sqs_sandbox::{Credentials, Options, Sandbox};
use tokio::process::Command;

use crate::support::judges::{installed, not_installed};

/// The parts of the script. Each says `ok` when it holds.
const PARTS: [&str; 7] = ["round_trip", "batches", "fifo", "queues", "move_tasks", "typed_exceptions", "roles"];

#[tokio::test]
async fn boto3_works_with_the_sandbox() {
    works("boto3").await;
}

#[tokio::test]
async fn an_old_boto3_works_with_the_sandbox() {
    works("boto3-query").await;
}

async fn works(name: &str) {
    let Some(place) = installed() else { return };
    let python = place.join(name).join("bin/python");
    assert!(python.exists(), "{}", not_installed(name, &place));
    let known = Credentials { access_key: "AKIDBOTO3".to_owned(), secret_key: "s3cr/t+key".to_owned() };
    let options = Options { credentials: vec![known.clone()], in_flight_limit: 10, ..Options::default() };
    let sandbox = Sandbox::start(options).await.expect("a sandbox");
    let script = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/boto3_client.py"))
        .args([sandbox.endpoint_url(), known.access_key, known.secret_key, "10".to_owned()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(5), script).await.expect("it ends").expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let said: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
    assert_eq!(said, PARTS);
    let is_known = |key: &str| key == "AKIDBOTO3" || key.starts_with("ASIA");
    assert!(sandbox.log().iter().all(|entry| entry.access_key.as_deref().is_some_and(is_known)), "all were signed");
}
