//! What can be known beforehand is said before the first request: a file that belongs to another command, a place that cannot be
//! written, approvals that cannot be there.

use crate::end_to_end::{JOB, message};
use crate::support::stage::Stage;

async fn ready() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..12).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_kind_is_named_with_the_command_that_takes_it() {
    let stage = ready().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.redrive(&["approve", "plan.json", "--by", "ada"]).await.expect(0);
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
    stage.file("report.json", &report);
    stage.file("archive.jsonl", "{\"type\":\"redrive.message\",\"version\":1}\n");
    let plan = std::fs::read_to_string(stage.path("plan.json")).expect("a plan");
    stage.file("half.json", &plan[..plan.len() / 2]);
    stage.sandbox.clear_log();
    for (arguments, kind, command) in [
        (&["plan", "plan.json"][..], "plan.json is a plan, not a job file", "redrive apply plan.json"),
        (&["check", "half.json"], "half.json is a plan, not a job file", "redrive show half.json"),
        (&["explain", "plan.json", "--message", "job.toml"], "is a plan, not a job file", "redrive apply"),
        (&["show", "job.toml"], "job.toml is a job file, not a plan", "redrive plan job.toml --out"),
        (&["approve", "job.toml", "--by", "ada"], "job.toml is a job file, not a plan", "redrive plan job.toml"),
        (&["plan", "job.toml", "--diff", "job.toml"], "job.toml is a job file, not a plan", "redrive plan"),
        (&["show", "plan.json.ada.approval"], "is an approval of a plan, not a plan", "--require-approvals"),
        (&["apply", "report.json"], "report.json is what redrive printed about a run", "redrive report RUN"),
        (&["plan", "archive.jsonl"], "archive.jsonl is an archive of messages", "redrive explain JOB --message"),
        (&["show", ".redrive/journal.db"], "is a journal, not a plan", "redrive runs --journal"),
    ] {
        let ran = stage.redrive(arguments).await.expect(2);
        assert!(ran.stderr.contains(kind) && ran.stderr.contains(command), "{arguments:?}: {}", ran.stderr);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 2), "{arguments:?}: {}", ran.stderr);
    }
    // One that is of the right kind and damaged is said to be damaged.
    assert!(stage.redrive(&["show", "half.json"]).await.expect(4).stderr.contains("is truncated"));
    assert_eq!(stage.sandbox.log().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_or_approved_is_refused_before_the_first_request() {
    let stage = ready().await;
    std::fs::create_dir(stage.path("directory")).expect("a directory");
    stage.file("file", "");
    for (arguments, code, words) in [
        (&["plan", "job.toml", "--out", "no/such/plan.json"][..], 2, "cannot be written to no/such/plan.json"),
        (&["plan", "job.toml", "--out", "file/plan.json"], 2, "cannot be written to file/plan.json"),
        (&["plan", "job.toml", "--out", "directory"], 2, "directory is not a regular file"),
        (&["apply", "job.toml", "--auto-approve", "--require-approvals", "1"], 4, "has no approvals"),
        (&["apply", "job.toml", "--auto-approve", "--allowed-signers", "none"], 2, "none cannot be read"),
    ] {
        let ran = stage.redrive(arguments).await.expect(code);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert_eq!((ran.stdout.as_str(), stage.sandbox.log().len()), ("", 0), "{arguments:?}");
    }
    let left = std::fs::read_dir(stage.directory.path()).expect("there").count();
    assert_eq!(left, 3, "nothing is left behind");
}
