//! The journal on a `PostgreSQL` server: any machine goes on with a run, one process at a time works on a source, and whatever
//! happens to the server or to the connection, nothing is lost and nothing is sent twice.

use std::time::Duration;

use redrive_store_tests::server::Server;
use rustix::process::Signal;
use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::{JOB, assert_adds_up, message};
use crate::stops::{signal, until_held};
use crate::support::stage::{Ran, Stage, each};
use crate::two::everywhere;

const TOTAL: usize = 120;
const APPLY: [&str; 5] = ["apply", "plan.json", "--allow-drift", "--format", "json"];

/// A stage with a plan, and its journal in an empty database.
async fn planned(server: &Server, limits: &str) -> Stage {
    let mut stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.journal = Some(server.database());
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", &format!("{JOB}\n{limits}\n"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage
}

const SLOWLY: &str = "[limits]\nrate = \"20/s\"";

/// Nothing is lost, and not more is anywhere twice than is listed as in doubt.
fn assert_listed(stage: &Stage, ran: &Ran) {
    let bodies = everywhere(stage);
    assert_eq!(bodies.len(), TOTAL, "nothing is lost: {}", ran.stdout);
    let twice = bodies.values().filter(|number| **number > 1).count() as u64;
    let doubts = ran.summary()["in_doubt"].as_u64().expect("a number");
    assert!(twice <= doubts, "{twice} are there twice, and {doubts} are listed as in doubt: {}", ran.stdout);
}

/// Applies with nothing but the plan and the journal's URL, as a machine does that knows nothing else.
async fn elsewhere(stage: &Stage, name: &str) -> Ran {
    apply_there(stage, "plan.json", name).await
}

async fn apply_there(stage: &Stage, plan: &str, name: &str) -> Ran {
    let home = stage.path(name);
    std::fs::create_dir_all(&home).expect("a directory");
    std::fs::copy(stage.path(plan), home.join("plan.json")).expect("a copy");
    let mut command = stage.command(&APPLY);
    Ran::of(command.current_dir(&home).env("HOME", &home).output().await.expect("runs"))
}

/// Applies elsewhere until the run is finished.
async fn finished(stage: &Stage) -> Ran {
    finished_by(stage, "plan.json").await
}

async fn finished_by(stage: &Stage, plan: &str) -> Ran {
    let mut last = String::new();
    for tries in 0..8 {
        let ran = apply_there(stage, plan, &format!("machine-{tries}")).await;
        if ran.code == Some(0) {
            assert_adds_up(&ran.summary());
            return ran;
        }
        assert_eq!(ran.code, Some(3), "{}\n{}", ran.stdout, ran.stderr);
        last = ran.stderr;
    }
    panic!("not finished after eight applies: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_goes_on_on_a_machine_that_has_only_the_plan_and_the_url() {
    let stage = planned(Server::shared(), "").await;
    let killed = stage.killed_at(When::Before, |rule: Rule| rule.action("DeleteMessageBatch").nth(2)).await;
    assert!(killed, "it was killed");
    assert!(!stage.path(".redrive").exists(), "nothing is kept on this machine");
    // Sent, and still in the source: nobody sends it again.
    assert!(everywhere(&stage).into_values().any(|number| number == 2));
    let ran = finished(&stage).await;
    assert_listed(&stage, &ran);
    assert_eq!(ran.summary()["received"], TOTAL, "{}", ran.stdout);
    for command in [&["runs"][..], &["status"], &["report"], &["report", "--format", "json"]] {
        let told = stage.redrive(command).await.expect(0).stdout;
        assert!(told.contains("finished"), "{command:?}: {told}");
    }
    let again = elsewhere(&stage, "again").await.expect(0);
    assert!(again.stderr.contains("finished already"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_with_nothing_but_the_url() {
    let server = Server::shared();
    let stage = planned(server, "").await;
    let killed = stage.killed_at(When::Before, |rule: Rule| rule.action("DeleteMessageBatch").nth(2)).await;
    assert!(killed, "it was killed");
    let run = run_of(&stage, server);
    std::fs::remove_file(stage.path("plan.json")).expect("there");
    let unknown = stage.redrive(&["apply", "--run", "nothing"]).await.expect(2);
    assert!(unknown.stderr.contains("\"nothing\""), "{}", unknown.stderr);
    let both = stage.redrive(&["apply", "plan.json", "--run", &run]).await.expect(2);
    assert!(both.stderr.contains("--run"), "{}", both.stderr);
    let ran = stage.redrive(&["apply", "--run", &run[..5], "--allow-drift", "--format", "json"]).await.expect(0);
    assert_adds_up(&ran.summary());
    assert_eq!(ran.summary()["received"], TOTAL, "{}", ran.stdout);
    assert_listed(&stage, &ran);
    let status: serde_json::Value = stage.redrive(&["status", "--format", "json"]).await.expect(0).json();
    let command: Vec<_> = status["command"].as_array().expect("words").iter().take(4).collect();
    assert_eq!(command, ["redrive", "apply", "--run", &*run], "{status}");
    let again = stage.redrive(&["apply", "--run", &run]).await.expect(0);
    assert!(again.stderr.contains("finished already"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_do_nothing_else_works_with_a_journal_that_was_made_for_it() {
    let server = Server::shared();
    let mut stage = planned(server, "").await;
    let url = stage.journal.clone().expect("a server");
    let role = format!("runner_{}", url.rsplit('/').next().expect("a name"));
    server.execute(&url, &format!("CREATE ROLE {role} LOGIN")).expect("made");
    let check = stage.redrive(&["journal", "check"]).await.expect(0).stdout;
    assert!(check.contains("PostgreSQL") && check.contains("redrive journal init"), "{check}");
    assert!(check.contains("fsync"), "the tests' server has it off: {check}");
    stage.journal = Some(format!("{url}?schema=team"));
    let none = stage.redrive(&["journal", "check"]).await.expect(1);
    assert!(none.stderr.contains("there is no schema team"), "{}", none.stderr);
    let grants = stage.redrive(&["journal", "init", "--role", &role]).await.expect(0).stdout;
    stage.journal = Some(format!("{}?schema=team", url.replace("redrive@", &format!("{role}@"))));
    let refused = stage.redrive(&["journal", "check"]).await.expect(1);
    assert!(refused.stderr.contains("this role may not use it"), "{}", refused.stderr);
    server.execute(&url, &grants).expect("granted");
    let may = format!(
        "SELECT has_schema_privilege('{role}', 'team', 'CREATE'), has_table_privilege('{role}', 'team.journal', 'INSERT')"
    );
    assert_eq!(server.rows(&url, &may), [["f", "f"]]);
    let run = finished(&stage).await.summary()["run"].as_str().expect("a name").to_owned();
    let check = stage.redrive(&["journal", "check", "--format", "json"]).await.expect(0).json();
    assert_eq!((&check["usable"], &check["durable"]), (&true.into(), &false.into()), "{check}");
    assert_eq!(check["content"], serde_json::json!({ "runs": 1, "unfinished": 0, "at_work": 0, "in_doubt": 0 }));
    stage.redrive(&["runs", "prune", "--run", &run]).await.expect(0);
    server.execute(&url, &format!("ALTER ROLE {role} SET default_transaction_read_only = on")).expect("set");
    let check = stage.redrive(&["journal", "check"]).await.expect(1).stdout;
    assert!(check.contains("nothing can be written"), "{check}");
}

/// The only run of a journal.
fn run_of(stage: &Stage, server: &Server) -> String {
    server.rows(stage.journal.as_ref().expect("a server"), "SELECT run FROM runs").concat().concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_word_reaches_a_run_through_its_journal_and_a_status_says_where_it_is() {
    let server = Server::shared();
    let stage = planned(server, SLOWLY).await;
    let child = stage.spawn(&APPLY);
    let pid = child.id().expect("running");
    stage.until_requested("SendMessageBatch").await;
    let run = run_of(&stage, server);
    let status: serde_json::Value = stage.redrive(&["status", "--format", "json"]).await.expect(0).json();
    let process = &status["process"];
    assert_eq!(process["pid"], pid, "{status}");
    assert!(process["host"].as_str().is_some_and(|host| !host.is_empty()) && process["heard"].is_string(), "{status}");
    let told = stage.redrive(&["control", &run, "pause", "--reason", "INC-4711"]).await.expect(0);
    assert!(told.stdout.contains("paused: INC-4711"), "{}", told.stdout);
    let refused = stage.redrive(&["control", &run, "rate", "21/s"]).await.expect(1);
    assert!(refused.stderr.contains("20 messages a second were approved"), "{}", refused.stderr);
    stage.redrive(&["control", &run, "rate", "10/s"]).await.expect(0);
    stage.redrive(&["control", &run, "stop"]).await.expect(0);
    let ran = Ran::of(child.wait_with_output().await.expect("ended"));
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.stdout, ran.stderr);
    let nobody = stage.redrive(&["control", &run, "resume"]).await.expect(1);
    assert!(nobody.stderr.contains("no process is at work on run"), "{}", nobody.stderr);
    let report = stage.redrive(&["report"]).await.expect(0).stdout;
    assert!(report.contains("paused: INC-4711") && report.contains("at most 10 messages a second"), "{report}");
    let ran = finished(&stage).await;
    assert_listed(&stage, &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_heard_is_not_done_later() {
    let server = Server::shared();
    let stage = planned(server, SLOWLY).await;
    let mut child = stage.spawn(&APPLY);
    let pid = child.id().expect("running");
    stage.until_requested("SendMessageBatch").await;
    signal(pid, Signal::STOP);
    until_held(pid).await;
    let run = run_of(&stage, server);
    let unheard = stage.redrive(&["control", &run, "stop"]).await.expect(1);
    assert!(unheard.stderr.contains("nothing was changed"), "{}", unheard.stderr);
    let url = stage.journal.as_ref().expect("a server");
    assert_eq!(server.rows(url, "SELECT count(*) FROM control"), [["0"]], "the process finds nothing when it goes on");
    child.kill().await.expect("killed");
    // Nor does the next process, if whoever asked died before it could take it back.
    let asked = serde_json::json!({ "run": run, "order": "stop", "who": "somebody", "reason": null });
    server.execute(url, &format!("INSERT INTO control SELECT id, 1, 0, '{asked}' FROM run")).expect("left");
    let ran = elsewhere(&stage, "second").await.expect(0);
    assert_listed(&stage, &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_say_in_words_what_a_report_says() {
    let server = Server::shared();
    let stage = planned(server, "").await;
    let killed = stage.killed_at(When::After, |rule: Rule| rule.action("SendMessageBatch").nth(2)).await;
    assert!(killed, "it was killed");
    let url = stage.journal.as_ref().expect("a server");
    let rows = |sql: &str| server.rows(url, sql);
    assert_eq!(rows("SELECT at_work, ended IS NULL FROM runs"), [["t", "t"]]);
    assert_ne!(rows("SELECT count(*) FROM doubts WHERE state = 'sending'"), [["0"]]);
    let summary = finished(&stage).await.summary();
    assert_eq!(rows("SELECT at_work, outcome FROM runs"), [["f", "finished"]]);
    let kept = rows("SELECT count(*) FROM messages WHERE state = 'kept' AND reason = 'unmatched'");
    assert_eq!(kept, [[summary["kept"].to_string()]]);
    assert_eq!(rows("SELECT count(DISTINCT id) FROM messages"), [[TOTAL.to_string()]]);
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0).json();
    let troubles = report["troubles"].as_array().expect("messages");
    let ids: Vec<_> = rows("SELECT id FROM doubts ORDER BY id").concat();
    let mut listed: Vec<_> = troubles
        .iter()
        .filter(|one| one["doubts"] != 0)
        .map(|one| one["message_id"].as_str().expect("an ID"))
        .collect();
    listed.sort_unstable();
    assert_eq!(ids, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_on_disk_although_the_server_does_not_wait_for_that() {
    let server = Server::shared();
    let stage = planned(server, "").await;
    let url = stage.journal.as_ref().expect("a server");
    let name = url.rsplit('/').next().expect("a name");
    server.execute(url, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).expect("off");
    let killed = stage.killed_at(When::Before, |rule: Rule| rule.action("SendMessageBatch")).await;
    assert!(killed, "it was killed");
    let watched = "CREATE TABLE seen (setting TEXT);
        CREATE FUNCTION see() RETURNS trigger AS $$ BEGIN
            INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$ LANGUAGE plpgsql;
        CREATE TRIGGER see AFTER INSERT ON message FOR EACH STATEMENT EXECUTE FUNCTION see()";
    server.execute(url, watched).expect("watched");
    finished(&stage).await;
    assert_eq!(server.rows(url, "SHOW synchronous_commit"), [["off"]]);
    assert_eq!(server.rows(url, "SELECT DISTINCT setting FROM seen"), [["on"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_as_long_as_the_first_is_heard_of() {
    let stage = planned(Server::shared(), SLOWLY).await;
    let mut first = stage.spawn(&APPLY);
    stage.until_requested("SendMessageBatch").await;
    let second = elsewhere(&stage, "second").await;
    let holder = format!("process {}", first.id().expect("running"));
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(&holder) && second.stderr.contains("nothing was touched"), "{}", second.stderr);
    stage.redrive(&["status"]).await.expect(0);
    first.kill().await.expect("killed");
    // Its machine says that it is gone; nobody has to wait until it is given up.
    let ran = finished(&stage).await;
    assert_listed(&stage, &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_given_up_commits_nothing_and_so_deletes_nothing() {
    // By a process that goes on with its run, and by one that has another plan over the same source.
    each(vec!["plan.json", "other.json"], given_up).await;
}

async fn given_up(by: &str) {
    let server = Server::shared();
    let stage = planned(server, SLOWLY).await;
    // Another run does not write over an object of the first, and keeps such a message: it has keys of its own.
    let other = JOB.replacen("name = \"", "name = \"other-", 1).replace("key = \"", "key = \"other/");
    stage.file("other.toml", &other);
    stage.redrive(&["plan", "other.toml", "--out", "other.json"]).await.expect(0);
    let child = stage.spawn(&APPLY);
    let pid = child.id().expect("running");
    let stop = Fault::Kill { pid, signal: sqs_sandbox::Signal::Stop, when: When::After };
    let stop = stage.sandbox.faults().add(Rule::new(stop).action("DeleteMessageBatch"));
    until_held(pid).await;
    stage.sandbox.faults().remove(stop);
    // As if it were on another machine, and had not been heard of for an hour; what it had sent to the server has arrived by then.
    let url = stage.journal.as_ref().expect("a server");
    let is_heard_of = || server.rows(url, "SELECT count(*) FROM run WHERE beat > 1000") != [["0"]];
    while is_heard_of() {
        server.execute(url, "UPDATE run SET host = 'elsewhere', beat = 0").expect("changed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let takes_over = async {
        while !is_heard_of() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        signal(pid, Signal::CONT);
        Ran::of(child.wait_with_output().await.expect("ended"))
    };
    let (ran, given_up) = tokio::join!(finished_by(&stage, by), takes_over);
    assert_eq!(given_up.code, Some(3), "{}\n{}", given_up.stdout, given_up.stderr);
    // Or the server had closed its connection, since it was in the midst of a transaction.
    let says = ["another process has taken over", "the journal's server"];
    assert!(says.iter().any(|words| given_up.stdout.contains(words)), "{}", given_up.stdout);
    assert_listed(&stage, &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_stops_the_run_and_its_commits_are_there_when_it_is_back() {
    let server = Server::new();
    let stage = planned(&server, SLOWLY).await;
    for round in 0..3 {
        let child = stage.spawn(&APPLY);
        let before = stage.requests("DeleteMessageBatch");
        let deletes = async {
            while stage.requests("DeleteMessageBatch") == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), deletes).await.expect("it deletes");
        server.kill();
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        assert_eq!(ran.code, Some(3), "round {round}: {}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("the journal's server"), "{}", ran.stdout);
        server.start();
    }
    let ran = finished(&stage).await;
    assert_listed(&stage, &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_stop_the_run_and_it_goes_on() {
    let server = Server::shared();
    let stage = planned(server, SLOWLY).await;
    let url = stage.journal.clone().expect("a server");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..4 {
        let child = stage.spawn(&APPLY);
        stage.until_requested("SendMessageBatch").await;
        server.execute(&url, cut).expect("cut");
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        // One whose connection was cut before it knew of the run has touched nothing.
        let is_untouched = ran.code == Some(1) && ran.stdout.is_empty();
        assert!(is_untouched || matches!(ran.code, Some(0 | 3)), "{:?} {}\n{}", ran.code, ran.stdout, ran.stderr);
    }
    let ran = finished(&stage).await;
    assert_listed(&stage, &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_not_ours_is_refused_before_anything_is_touched() {
    let server = Server::shared();
    let mut stage = planned(server, "").await;
    stage.sandbox.clear_log();
    let other = server.database();
    server.execute(&other, "CREATE TABLE message (theirs INT)").expect("made");
    for (url, says) in [
        ("postgres://redrive@%2Fnowhere/db".to_owned(), "the journal postgres://redrive@%2Fnowhere/db"),
        ("postgres://redrive:secret@127.0.0.1:1/db".to_owned(), "postgres://redrive@127.0.0.1:1/db"),
        ("postgres://redrive@host.example/db?sslmode=prefer".to_owned(), "sslmode"),
        ("postgres://?".to_owned(), "the journal"),
        (other, "not a journal"),
    ] {
        stage.journal = Some(url);
        let refused = stage.redrive(&APPLY).await;
        assert!(matches!(refused.code, Some(1 | 2)), "{:?}: {}", refused.code, refused.stderr);
        assert!(refused.stderr.contains(says) && !refused.stderr.contains("secret"), "{says}: {}", refused.stderr);
        assert_eq!(stage.requests("ReceiveMessage"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_doubt_is_resolved_and_a_finished_run_is_forgotten_on_a_server_too() {
    let server = Server::shared();
    let stage = planned(server, "").await;
    let job = JOB.replace("exhausted = \"archive\"", "exhausted = \"archive\"\nin_doubt = \"hold\"");
    assert!(job.contains("hold"));
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let killed = stage.killed_at(When::After, |rule: Rule| rule.action("SendMessageBatch").nth(2)).await;
    assert!(killed, "it was killed");
    let ran = elsewhere(&stage, "second").await;
    assert_eq!(ran.code, Some(6), "{}\n{}", ran.stdout, ran.stderr);
    let run = ran.summary()["run"].as_str().expect("a name").to_owned();
    let held = ran.summary()["held"].as_u64().expect("a number");
    assert!(held > 0, "{}", ran.stdout);
    let told = stage.redrive(&["resolve", &run, "--all", "--resend"]).await.expect(0);
    assert!(told.stdout.contains(&held.to_string()), "{}", told.stdout);
    let ran = elsewhere(&stage, "third").await.expect(0);
    assert_eq!(ran.summary()["held"], 0, "{}", ran.stdout);
    assert_listed(&stage, &ran);
    stage.redrive(&["runs", "prune", "--run", &run, "--force"]).await.expect(0);
    assert_eq!(server.rows(stage.journal.as_ref().expect("a URL"), "SELECT count(*) FROM message"), [["0"]]);
}
