//! The rest of the command line: jobs applied without a plan file, the journal's lists and reports, and what is generated.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, Rule, When};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, message};
use crate::support::stage::{Ran, Stage};
use crate::trouble::{assert_said, assert_untouched, told};

const TOTAL: usize = 24;

async fn ready() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

/// What a command with `--format json` printed.
pub(crate) fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_not_applied_where_nobody_can_be_asked() {
    let stage = ready().await;
    for format in ["text", "json"] {
        let ran = stage.redrive(&["apply", "job.toml", "--format", format]).await.expect(2);
        assert_eq!(ran.stdout, "");
        assert!(
            ran.stderr.contains("no terminal to ask for approval") && ran.stderr.contains("--auto-approve"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(stage.sandbox.log().len(), 0, "no request was made");
    assert_untouched(&stage, TOTAL, "not asked");
    assert!(!stage.path(".redrive").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_planned_and_applied_when_told_to_and_planned_anew_the_next_time() {
    let stage = ready().await;
    let apply = ["apply", "job.toml", "--auto-approve", "--format", "json"];
    let first = stage.redrive(&apply).await.expect(0);
    for line in lines(&first) {
        assert!(line["type"].is_string() && line["version"] == 1, "{line}");
    }
    let first = first.summary();
    assert_adds_up(&first);
    assert_eq!(first["received"], TOTAL);
    assert_all_in_place(&stage, TOTAL);

    // What the first run left is met again by a run of its own; what is new is moved by it.
    stage.sandbox.seed("orders-dlq", [message(6)]).expect("seeded");
    let second = stage.redrive(&apply).await.expect(0).summary();
    assert_ne!(second["run"], first["run"]);
    assert_eq!((&second["moved"], &second["kept"]), (&Value::from(1), &first["kept"]), "{second}");
    let runs = stage.redrive(&["runs", "--format", "json"]).await.expect(0);
    let runs: Vec<_> = lines(&runs).into_iter().map(|run| run["run"].clone()).collect();
    assert_eq!(runs, [second["run"].clone(), first["run"].clone()], "the newest first");

    let shown = stage.redrive(&["apply", "job.toml", "--auto-approve"]).await.expect(0);
    assert!(shown.stdout.starts_with("Plan ") && shown.stdout.contains("\n  received 8 = "), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_run_of_a_job_is_finished_by_the_same_command() {
    let stage = ready().await;
    let apply = ["apply", "job.toml", "--auto-approve", "--format", "json"];
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("PutObject"));
    let stopped = stage.redrive(&apply).await.expect(3).summary();
    stage.sandbox.faults().clear();
    // Going on is what was approved before: there is nothing to ask.
    let resumed = stage.redrive(&["apply", "job.toml", "--format", "json"]).await.expect(0);
    assert!(resumed.stderr.contains("of this job is unfinished and is continued"), "{}", resumed.stderr);
    let summary = resumed.summary();
    assert_eq!(summary["run"], stopped["run"]);
    assert_eq!(summary["received"], TOTAL);
    assert_all_in_place(&stage, TOTAL);
    // The job with one more blank is another job, and there is nothing unfinished of that.
    stage.file("job.toml", &format!("{JOB}\n"));
    stage.redrive(&["apply", "job.toml"]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_apply_on_one_journal_says_who_holds_it() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let slow = Fault::Latency { ms: 3_000, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("ReceiveMessage").times(1));
    let first = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    let holder = first.id().expect("running");
    let begun = async {
        while stage.requests("ReceiveMessage") == 0 && !stage.path(".redrive/journal.db-lock").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while std::fs::read_to_string(stage.path(".redrive/journal.db-lock")).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begun).await.expect("it takes the lock");
    let second = stage.redrive(&["apply", "plan.json"]).await.expect(1);
    assert!(second.stderr.contains(&format!("(process {holder})")), "{}", second.stderr);
    assert_said("commands-locked", &told("the second", &second));
    // Those that only read are not held off.
    assert_eq!(lines(&stage.redrive(&["runs", "--format", "json"]).await.expect(0)).len(), 1);
    stage.redrive(&["status"]).await.expect(0);
    let output = tokio::time::timeout(Duration::from_mins(1), first.wait_with_output()).await;
    Ran::of(output.expect("it ends").expect("output")).expect(0);
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_there_is_nothing_to_report_and_none_is_made() {
    let stage = Stage::new().await;
    let mut said = String::new();
    for command in [&["runs"][..], &["status"], &["report"], &["status", "abc"], &["report", "abc"]] {
        let ran = stage.redrive(command).await;
        said += &told(&command.join(" "), &ran);
    }
    assert!(!stage.path(".redrive").exists());
    stage.file("journal.db", "this is no database, but it is long enough to be taken for one at first sight");
    std::fs::create_dir(stage.path("directory")).expect("a directory");
    for journal in ["journal.db", "directory"] {
        for command in ["runs", "report"] {
            let ran = stage.redrive(&[command, "--journal", journal]).await.expect(1);
            said += &told(&format!("{command} --journal {journal}"), &ran);
        }
    }
    assert_said("commands-no-journal", &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_written_stops_an_apply_before_it_begins() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    stage.file("file", "no directory");
    stage.file("foreign.db", "this is no database, but it is long enough to be taken for one at first sight");
    std::fs::create_dir(stage.path("directory")).expect("a directory");
    let mut said = String::new();
    for journal in ["file/journal.db", "foreign.db", "directory", "/dev/null/journal.db", ""] {
        let ran = stage.redrive(&["apply", "plan.json", "--journal", journal]).await;
        assert!(matches!(ran.code, Some(1 | 2)), "{journal}: {ran:?}");
        said += &told(&format!("--journal {journal:?}"), &ran);
    }
    assert_eq!(stage.requests("ReceiveMessage"), 0);
    assert_untouched(&stage, TOTAL, "no journal");
    assert_said("commands-bad-journal", &said);
    assert!(std::fs::read_to_string(stage.path("foreign.db")).expect("a file").starts_with("this is no database"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_where_the_option_or_the_variable_says() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let variable = [("REDRIVE_JOURNAL", "by/variable.db")];
    stage.redrive_with(&["apply", "plan.json"], &variable).await.expect(0);
    assert!(!stage.path(".redrive").exists());
    assert_eq!(lines(&stage.redrive_with(&["runs", "--format", "json"], &variable).await.expect(0)).len(), 1);
    let option = ["--journal", "by/variable.db", "runs", "--format", "json"];
    assert_eq!(lines(&stage.redrive(&option).await.expect(0)).len(), 1);
    // The option wins.
    let both =
        stage.redrive_with(&["runs", "--journal", "by/option.db", "--format", "json"], &variable).await.expect(0);
    assert_eq!(both.stdout, "");
    // Private, as is what lies beside it.
    for entry in std::fs::read_dir(stage.path("by")).expect("the directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    let mode = std::fs::metadata(stage.path("by")).expect("its mode").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_come_in_every_format_and_by_the_beginning_of_an_identity() {
    let stage = ready().await;
    for _ in 0..2 {
        stage.redrive(&["apply", "job.toml", "--auto-approve"]).await.expect(0);
    }
    let runs = lines(&stage.redrive(&["runs", "--format", "json"]).await.expect(0));
    let [newest, oldest] = [0, 1].map(|position| runs[position]["run"].as_str().expect("a name").to_owned());
    for command in ["report", "status"] {
        let of = async |arguments: &[&str]| {
            let ran = stage.redrive(&[&[command, "--format", "json"], arguments].concat()).await.expect(0);
            let object: Value = serde_json::from_str(&ran.stdout).expect("one object");
            assert_eq!((&object["type"], &object["version"]), (&Value::from(command), &Value::from(1)));
            assert_adds_up(&object);
            object["run"].as_str().expect("a name").to_owned()
        };
        assert_eq!(of(&[]).await, newest);
        assert_eq!(of(&[&oldest]).await, oldest);
        assert_eq!(of(&[&oldest[..8]]).await, oldest);
        // Every identity begins so; and none so.
        let many = stage.redrive(&[command, ""]).await.expect(2);
        assert!(many.stderr.contains("several runs begin with"), "{}", many.stderr);
        let none = stage.redrive(&[command, "no-such-run"]).await.expect(2);
        assert!(none.stderr.contains("begins with \"no-such-run\""), "{}", none.stderr);
        // Nothing of it is read as a pattern.
        stage.redrive(&[command, "%"]).await.expect(2);
    }
    for format in ["text", "markdown", "html"] {
        let report = stage.redrive(&["report", &oldest, "--format", format]).await.expect(0).stdout;
        for words in [oldest.as_str(), "orders-dlq", "timeouts", "archive"] {
            assert!(report.contains(words), "{words} in {format}: {report}");
        }
        assert!(!report.contains('\u{1b}'), "{format}");
    }
    let html = stage.redrive(&["report", "--format", "html"]).await.expect(0).stdout;
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{html}");
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!html.contains(outside), "a page by itself: {outside}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_nobody_reads_to_its_end_is_no_trouble() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let commands = [
        &["schema"][..],
        &["man"],
        &["completions", "bash"],
        &["show", "plan.json"],
        &["--help"],
        &["apply", "plan.json", "--format", "json"],
        &["report", "--format", "html"],
    ];
    for arguments in commands {
        let mut command = stage.command(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        // Closed before anything is written, or after the first line.
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        if arguments[0] != "apply" {
            stdout.read_line(&mut line).await.expect("a line");
        }
        drop(stdout);
        let ran = Ran::of(child.wait_with_output().await.expect("it ends")).expect(0);
        assert!(!ran.stderr.contains("panicked"), "{arguments:?}: {}", ran.stderr);
    }
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_generated_is_what_the_docs_hold() {
    let stage = Stage::new().await;
    let schema = stage.redrive(&["schema"]).await.expect(0);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/job.schema.json");
    assert_eq!(schema.stdout.trim_end(), std::fs::read_to_string(kept).expect("the schema").trim_end());
    serde_json::from_str::<Value>(&schema.stdout).expect("JSON");

    for (shell, words) in
        [("bash", "complete -F _redrive"), ("zsh", "#compdef redrive"), ("fish", "complete -c redrive")]
    {
        let script = stage.redrive(&["completions", shell]).await.expect(0).stdout;
        assert!(script.contains(words), "{shell}");
        for command in ["check", "plan", "apply", "report", "sandbox"] {
            assert!(script.contains(command), "{command} for {shell}");
        }
    }
    stage.redrive(&["completions", "tcsh"]).await.expect(2);
    stage.redrive(&["completions"]).await.expect(2);
    let page = stage.redrive(&["man"]).await.expect(0).stdout;
    assert!(page.contains(".TH redrive") && page.contains("Exit codes"), "{page}");
    let version = stage.redrive(&["--version"]).await.expect(0);
    assert_eq!(version.stdout, concat!("redrive ", env!("CARGO_PKG_VERSION"), "\n"));
    for words in [["--version", "--verbose"], ["--verbose", "-V"]] {
        let verbose = stage.redrive(&words).await.expect(0).stdout;
        assert!(verbose.starts_with(&version.stdout) && verbose.contains("\nfeatures: sandbox\n"), "{verbose}");
    }
    stage.redrive(&["--verbose", "runs"]).await.expect(2);
    // Nothing said is no success: a script that lost its arguments must notice.
    let nothing = stage.redrive(&[]).await.expect(2);
    assert!(nothing.stderr.contains("Usage: redrive") && nothing.stdout.is_empty(), "{}", nothing.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_manual_page_and_none_names_a_page_that_is_not_there() {
    let stage = Stage::new().await;
    stage.redrive(&["man", "--out", "man1"]).await.expect(0);
    let pages: BTreeMap<String, String> = std::fs::read_dir(stage.path("man1"))
        .expect("pages")
        .map(|entry| entry.expect("a page").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a page").replace('\\', ""))
        })
        .collect();
    for command in ["redrive", "redrive-plan", "redrive-apply", "redrive-runs-prune", "redrive-sandbox"] {
        assert!(pages.contains_key(command), "{command}");
    }
    let reference = regex::Regex::new(r"[a-z-]+\(1\)").expect("a pattern");
    for (page, text) in &pages {
        for name in reference.find_iter(text).map(|found| found.as_str().trim_end_matches("(1)")) {
            assert!(pages.contains_key(name), "{page} names {name}(1)");
        }
    }
    let ran = stage.redrive(&["man", "--out", "man1/redrive.1"]).await.expect(1);
    assert!(ran.stderr.contains("the manual pages cannot be written to man1/redrive.1"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_plans_and_queues_are_completed() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "a plan.json"]).await.expect(0);
    stage.redrive(&["apply", "a plan.json"]).await.expect(0);
    stage.file("other.json", "{}");
    let values = async |of: &str| stage.redrive(&["completions", "--values", of]).await.expect(0).stdout;
    let run = stage.redrive(&["apply", "a plan.json", "--format", "json"]).await.expect(0).summary();
    let run = run["run"].as_str().expect("a run").to_owned();
    assert_eq!(values("runs").await, format!("{run}\n"));
    assert_eq!(values("plans").await, "a plan.json\n");
    let queues = values("queues").await;
    assert!(queues.lines().any(|queue| queue == "orders-dlq"), "{queues}");

    // As bash asks: the words of the line, and which of them it is.
    let script = stage.redrive(&["completions", "bash"]).await.expect(0).stdout;
    stage.file("redrive.bash", &script);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_redrive")).parent().expect("a directory");
    let completed = async |words: &[&str]| {
        let ask = "source redrive.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                   _redrive_or_value redrive \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; \
                   printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut command = tokio::process::Command::new("bash");
        command.args(["-c", ask, "bash"]).args(words).current_dir(stage.directory.path());
        let path = format!("{}:/usr/bin:/bin", program.display());
        command.env_clear().env("PATH", path).env("HOME", stage.directory.path()).envs(stage.sandbox.environment());
        Ran::of(command.output().await.expect("bash")).expect(0).stdout
    };
    assert_eq!(completed(&["redrive", "report", &run[..3]]).await, format!("{run}\n"));
    assert_eq!(completed(&["redrive", "show", ""]).await, "a plan.json\n");
    assert_eq!(completed(&["redrive", "inspect", "orders-d"]).await, "orders-dlq\n");
    assert_eq!(completed(&["redrive", "repo"]).await, "report\n");
    assert!(completed(&["redrive", "report", "--form"]).await.contains("--format"));
    assert_eq!(completed(&["redrive", "report", "--format", "ht"]).await, "html\n");
    let zsh = stage.redrive(&["completions", "zsh"]).await.expect(0).stdout;
    for function in [":_redrive_runs'", ":_redrive_plans'", ":_redrive_queues'"] {
        assert!(zsh.contains(function), "{function}");
    }
    assert!(stage.redrive(&["completions", "fish"]).await.expect(0).stdout.contains("--values runs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_shows_no_progress_and_still_the_summary_and_errors() {
    for (options, shows) in [(&["apply", "plan.json"][..], true), (&["apply", "plan.json", "--quiet"], false)] {
        let stage = ready().await;
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        let ran = stage.redrive(options).await.expect(0);
        assert_eq!(ran.stderr.contains("have left the source"), shows, "{}", ran.stderr);
        assert!(ran.stdout.contains("What happened"), "{}", ran.stdout);
        let wrong = stage.redrive(&["show", "missing.json", "-q"]).await.expect(2);
        assert!(wrong.stderr.contains("error:"), "{}", wrong.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_come_where_they_are_insisted_on_and_never_where_they_are_refused() {
    let stage = ready().await;
    let coloured = async |environment: &[(&str, &str)]| {
        let ran = stage.redrive_with(&["plan", "job.toml"], environment).await.expect(0);
        let wrong = stage.redrive_with(&["show", "missing.json"], environment).await.expect(2);
        (ran.stdout.contains("\u{1b}["), wrong.stderr.contains("\u{1b}["))
    };
    assert_eq!(coloured(&[("CLICOLOR_FORCE", "1")]).await, (true, true));
    assert_eq!(coloured(&[("CLICOLOR_FORCE", "0")]).await, (false, false));
    assert_eq!(coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).await, (false, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_a_usage_error_with_nothing_done() {
    let stage = ready().await;
    let wrong = [
        &["aply", "job.toml"][..],
        &["plan"],
        &["plan", "job.toml", "--sample", "0"],
        &["plan", "job.toml", "--sample", "-1"],
        &["plan", "job.toml", "--sample", "120001"],
        &["plan", "job.toml", "--format", "pdf"],
        &["plan", "job.toml", "job.toml"],
        &["apply", "job.toml", "--yes"],
        &["apply", "job.toml", "--format", "markdown"],
        &["report", "--format", "pdf"],
        &["sandbox", "--port", "99999"],
        &["sandbox", "--scenario", "no-such"],
        &["check"],
    ];
    for arguments in wrong {
        let ran = stage.redrive(arguments).await.expect(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(stage.sandbox.log().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_coloured_where_nobody_looks() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let commands = [
        &["plan", "job.toml"][..],
        &["show", "plan.json"],
        &["show", "missing.json"],
        &["check", "job.toml", "/dev/null"],
        &["apply", "plan.json"],
        &["status"],
        &["--help"],
        &["nonsense"],
    ];
    for environment in [&[("NO_COLOR", "1")][..], &[("TERM", "xterm-256color")]] {
        for arguments in commands {
            let ran = stage.redrive_with(arguments, environment).await;
            assert!(!(ran.stdout + &ran.stderr).contains('\u{1b}'), "{arguments:?} {environment:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_sandbox_needs_no_account_and_leaves_the_world_alone() {
    let stage = Stage::new().await;
    stage.file(
        "job.toml",
        &std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/orders-dlq.toml")).expect("a job"),
    );
    let environment =
        [("AWS_ACCESS_KEY_ID", ""), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_PROFILE", "nobody")];
    let planned = stage.redrive_with(&["plan", "job.toml", "--sandbox", "--detailed-exitcode"], &environment).await;
    planned.expect(7);
    let apply = ["apply", "job.toml", "--sandbox", "--auto-approve", "--format", "json"];
    let summary = stage.redrive_with(&apply, &environment).await;
    assert!(matches!(summary.code, Some(0 | 6)), "{}", summary.stderr);
    let summary = summary.summary();
    assert_adds_up(&summary);
    assert!(summary["moved"].as_u64().expect("moved") > 0 && summary["in_doubt"] == 0, "{summary}");
}
