//! `docs/howto/rehearse.md` followed as it is written, with the AWS CLI that operators have.

use std::path::Path;
use std::process::Stdio;

use sqs_sandbox::{MessageAttribute, Options, Seed};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::judges::{installed, not_installed};
use crate::support::stage::{Ran, Stage, failed};

/// So many messages wait in production.
const MESSAGES: u32 = 12;

/// The `sh` blocks of the page, in their order.
fn blocks() -> Vec<String> {
    let page = include_str!("../../docs/howto/rehearse.md");
    let parts = page.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    parts.map(|(block, _)| block.to_owned()).collect()
}

/// A terminal in the stage's directory: `aws` and `redrive` are found there, and what is set stays set.
struct Shell<'s> {
    stage: &'s Stage,
    path: String,
    exports: String,
}

impl Shell<'_> {
    fn command(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell
            .args(["-ec", &format!("{}\n{script}", self.exports)])
            .current_dir(self.stage.directory.path())
            .env_clear()
            .env("HOME", self.stage.directory.path())
            .env("PATH", &self.path)
            // Whatever a client makes of the rest: nothing leaves this machine.
            .envs([
                ("HTTPS_PROXY", "http://127.0.0.1:9"),
                ("HTTP_PROXY", "http://127.0.0.1:9"),
                ("NO_PROXY", "127.0.0.1"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        shell
    }

    async fn run(&self, script: &str) -> Ran {
        Ran::of(self.command(script).output().await.expect("sh runs"))
    }

    /// Starts the block's sandbox on a free port, and takes over what it says to export.
    async fn serve(&mut self, block: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut sandbox = self.command(&format!("exec {block} --port 0")).spawn().expect("sh starts");
        let mut lines = BufReader::new(sandbox.stdout.take().expect("piped")).lines();
        self.exports.clear();
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.starts_with("export ") {
                self.exports.extend([line.as_str(), "\n"]);
            } else if let Some(count) = line.strip_prefix("queue orders-dlq: ") {
                let count = count.strip_suffix(" messages from copies.json").and_then(|count| count.parse().ok());
                // All of them, and some twice if the loop took longer than they were away.
                assert!(count.is_some_and(|count: u32| (MESSAGES..=30).contains(&count)), "{line}");
                return (sandbox, lines);
            }
        }
        panic!("the sandbox ended: {:?}", sandbox.wait_with_output().await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_rehearsals_is_followed_with_the_aws_cli() {
    let Some(judges) = installed() else { return };
    let cli = judges.join("awscli/bin");
    assert!(cli.join("aws").exists(), "{}", not_installed("the AWS CLI", &cli));
    let production = Stage::with_options(Options { account: "123456789012".to_owned(), ..Options::default() }).await;
    production.sandbox.create_queue("orders-dlq", &[], None).expect("a queue");
    let body = r#"{"error":{"type":"Timeout"},"order":{"total":1}}"#;
    let origin = Some("arn:aws:sqs:eu-west-1:123456789012:orders".to_owned());
    let tenant = || MessageAttribute::string("eu-1");
    let seeds =
        (0..MESSAGES).map(|_| Seed { source_arn: origin.clone(), ..failed(body) }.attribute("tenant", tenant()));
    production.sandbox.seed("orders-dlq", seeds).expect("seeded");
    let job = include_str!("../../jobs/orders-dlq.toml");
    production.file("orders-dlq.toml", job);
    let program = Path::new(env!("CARGO_BIN_EXE_redrive")).parent().expect("a directory");
    let path = format!("{}:{}:{}", cli.display(), program.display(), std::env::var("PATH").expect("a path"));
    let exports = production.sandbox.environment();
    let exports = exports.iter().flat_map(|(name, value)| ["export ", name, "=", value, "\n"]).collect();
    let mut shell = Shell { stage: &production, path, exports };
    let [copy, serve, prepare, rehearse, misbehave, again] = &blocks()[..] else { panic!("{:?}", blocks()) };

    // What is production to the page is a sandbox here, of which version 1 of the AWS CLI has to be told.
    let production_cli = "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }\n";
    // Five hundred messages take minutes; the loop is the same with fewer rounds.
    shell.run(&(production_cli.to_owned() + &copy.replace("seq 50", "seq 3"))).await.expect(0);
    let (first, _lines) = shell.serve(serve).await;
    shell.run(prepare).await.expect(0);
    let report = shell.run(rehearse).await.expect(0).stdout;
    assert!(report.contains("went to origin orders"), "{report}");
    drop(first);

    let (_second, _lines) = shell.serve(misbehave).await;
    let applied = shell.run(again).await.expect(0).stdout;
    assert!(applied.contains("went to origin orders"), "{applied}");
    assert_eq!(production.counts("orders-dlq").0, 12, "production keeps its messages");
}
