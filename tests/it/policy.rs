//! `redrive policy` prints what a job needs and nothing more: each job of `jobs/` is planned, applied and resumed in a sandbox that
//! enforces the printed policy, and each statement is taken away once.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use redrive::policy::{CALLS, Phase, Purpose, action_of};
use serde_json::{Value, json};
use sqs_sandbox::{Fault, MessageAttribute, Options, Policy, Rule, Sandbox, Seed, When};

use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, each_of};

/// A job of `jobs/`, what there is for it, and who it works as.
struct Case {
    job: &'static str,
    /// The job, if it is none of `jobs/`.
    text: Option<&'static str>,
    source: &'static str,
    destinations: &'static [&'static str],
    identities: &'static [&'static str],
    seeds: fn() -> Vec<Seed>,
}

const ALONE: &[&str] = &["default"];

const PARKS: &str = r#"
version = 1
name = "parks"
[source]
queue = "orders-dlq"
visibility_timeout = "10s"
[destination.orders]
sqs = { queue = "orders" }
[[rule]]
name = "timeouts"
when = [{ body = "$.error", equals = "Timeout" }]
to = "orders"
[unmatched]
park = { queue = "orders-parking" }
"#;

const FOLLOWS_POINTERS: &str = r#"
version = 1
name = "follows-pointers"
[source]
queue = "orders-dlq"
extended_client = true
extended_client_buckets = ["bodies"]
[destination.orders]
sqs = { queue = "orders" }
[[rule]]
name = "timeouts"
when = [{ body = "$.error", equals = "Timeout" }]
transform = [{ set = "$.again", value = true }]
to = "orders"
"#;

const CASES: [Case; 11] = [
    Case {
        job: "parks",
        text: Some(PARKS),
        source: "orders-dlq",
        destinations: &["orders", "orders-parking"],
        identities: ALONE,
        seeds: || {
            let of = |id: &str, error: &str| with_id(id, json!({"error": error}));
            vec![of("m-1", "Timeout"), of("m-2", "Other"), of("m-3", "Other")]
        },
    },
    Case {
        job: "follows-pointers",
        text: Some(FOLLOWS_POINTERS),
        source: "orders-dlq",
        destinations: &["orders"],
        identities: ALONE,
        seeds: || {
            let pointer = |id: &str| {
                let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
                let body = json!([class, {"s3BucketName": "bodies", "s3Key": id}]);
                seed(id, &body).attribute("ExtendedPayloadSize", MessageAttribute::number("30"))
            };
            // The last one's body is missing, which S3 tells only those who may list the bucket.
            vec![pointer("m-1"), pointer("m-2"), pointer("m-3")]
        },
    },
    Case {
        job: "lambda-dlq",
        text: None,
        source: "invoices-failed",
        destinations: &["invoices-retry"],
        identities: ALONE,
        seeds: || {
            let asked = |id: &str, code: &str, message: &str| {
                let seed = seed(id, &json!({"id": id}));
                let seed = seed.attribute("RequestID", MessageAttribute::string("r"));
                let seed = seed.attribute("ErrorCode", MessageAttribute::number(code));
                seed.attribute("ErrorMessage", MessageAttribute::string(message))
            };
            let envelope =
                json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"id": "m-3"}});
            vec![asked("m-1", "429", "Rate exceeded"), asked("m-2", "200", "No such order"), seed("m-3", &envelope)]
        },
    },
    Case {
        job: "orders-dlq",
        text: None,
        source: "orders-dlq",
        destinations: &["orders"],
        identities: ALONE,
        seeds: || {
            let order = || json!({"error": {"type": "Timeout"}, "order": {"total": 10}});
            let of = |id| with_id(id, order()).attribute("tenant", MessageAttribute::string("eu-1"));
            vec![of("m-1"), of("m-2").attribute("retryCount", MessageAttribute::number("3")), with_id("m-3", json!({}))]
        },
    },
    Case {
        job: "plain-redrive",
        text: None,
        source: "invoices-dlq",
        destinations: &["invoices"],
        identities: ALONE,
        seeds: || vec![with_id("m-1", json!({})), with_id("m-2", json!({}))],
    },
    Case {
        job: "queue-to-queue",
        text: None,
        source: "events.fifo",
        destinations: &["events.fifo"],
        identities: &["default", "old-account", "arn:aws:iam::222222222222:role/redrive"],
        seeds: || {
            let of = |id: &str| Seed {
                group: Some("g".to_owned()),
                deduplication: Some(id.to_owned()),
                ..with_id(id, json!({}))
            };
            vec![of("m-1"), of("m-2")]
        },
    },
    Case {
        job: "reshape-with-jq",
        text: None,
        source: "orders-dlq",
        destinations: &["orders", "orders-review"],
        identities: ALONE,
        seeds: || {
            let of =
                |total: f64| json!({"version": 1, "total": total, "items": [{"sku": "a", "price": 2, "quantity": 2}]});
            vec![with_id("m-1", of(4.0)), with_id("m-2", of(5.0)), with_id("m-3", json!({}))]
        },
    },
    Case {
        job: "retry-cap-with-archive",
        text: None,
        source: "orders-dlq",
        destinations: &["orders"],
        identities: ALONE,
        seeds: || {
            let exhausted = with_id("m-2", json!({})).attribute("retryCount", MessageAttribute::number("3"));
            vec![with_id("m-1", json!({})), exhausted]
        },
    },
    Case {
        job: "selective-redrive",
        text: None,
        source: "payments-dlq",
        destinations: &["payments", "payments-review"],
        identities: ALONE,
        seeds: || {
            let timeout = with_id("m-2", json!({"error": {"type": "Timeout"}}));
            vec![
                with_id("m-1", json!({"payment": {"amount": 20_000}})),
                timeout.attribute("tenant", MessageAttribute::string("eu-1")),
                with_id("m-3", json!({})),
            ]
        },
    },
    Case {
        job: "unparsable-to-dlq",
        text: None,
        source: "shipments",
        destinations: &["shipments-dlq"],
        identities: ALONE,
        seeds: || vec![seed("m-1", &Value::from("no shipment")), with_id("m-2", json!({"shipment": {"id": "S-1"}}))],
    },
    Case {
        job: "guarded-redrive",
        text: None,
        source: "orders-backlog",
        destinations: &["orders"],
        identities: ALONE,
        seeds: || vec![with_id("m-1", json!({})), with_id("m-2", json!({}))],
    },
];

fn case(job: &str) -> &'static Case {
    CASES.iter().find(|case| case.job == job).expect("a case")
}

impl Case {
    /// How its run ends: a message whose body is missing is blocked.
    fn end(&self) -> i32 {
        if self.job == "follows-pointers" { 6 } else { 0 }
    }
}

/// A message two hours old that came from the queue `orders`, or from the case's first destination.
fn seed(id: &str, body: &Value) -> Seed {
    let body = if body.is_string() { format!("{body} {id}") } else { body.to_string() };
    Seed { age_ms: 2 * 60 * 60 * 1000, receive_count: 3, ..Seed::new(body) }
}

fn with_id(id: &str, mut body: Value) -> Seed {
    body["id"] = Value::from(id);
    seed(id, &body)
}

/// A case on a stage of its own. Its messages go to the stage's sandbox; they come from there too, or from an account of their own.
struct Trial {
    case: &'static Case,
    stage: Stage,
    old_account: Option<Sandbox>,
}

impl Trial {
    async fn new(case: &'static Case) -> Self {
        let options = |region: &str, account: &str| Options {
            region: region.to_owned(),
            account: account.to_owned(),
            ..Options::default()
        };
        let (stage, old_account) = if case.job == "queue-to-queue" {
            let old = Sandbox::start(options("eu-west-1", "111111111111")).await.expect("a sandbox");
            (Stage::with_options(options("eu-central-1", "222222222222")).await, Some(old))
        } else {
            (Stage::new().await, None)
        };
        let trial = Self { case, stage, old_account };
        trial.fill();
        if case.job == "follows-pointers" {
            let s3 = Admin::at(&trial.stage.sandbox.endpoint_url()).s3;
            for (key, error) in [("m-1", "Timeout"), ("m-2", "Other")] {
                let body = json!({"error": error}).to_string().into_bytes();
                s3.put_object().bucket("bodies").key(key).body(body.into()).send().await.expect("an object");
            }
            trial.stage.sandbox.clear_log();
        }
        trial
    }

    fn fill(&self) {
        let Case { job, text, source, destinations, seeds, .. } = self.case;
        let read = || std::fs::read_to_string(format!("{}/jobs/{job}.toml", env!("CARGO_MANIFEST_DIR")));
        let text = text.map_or_else(|| read().expect("a job"), str::to_owned);
        self.stage.file("job.toml", &text);
        let mut config = String::new();
        for (profile, sandbox) in [("default", &self.stage.sandbox), ("profile old-account", self.source())] {
            let _ = writeln!(
                config,
                "[{profile}]\naws_access_key_id = sandbox\naws_secret_access_key = sandbox\nregion = eu-west-1\nendpoint_url = {}",
                sandbox.endpoint_url()
            );
        }
        self.stage.file("config", &config);
        let key = |name: &str| format!("arn:aws:kms:eu-west-1:000000000000:key/{name}");
        let fifo = source.strip_suffix(".fifo").map(|_| ("FifoQueue", "true"));
        let (dlq_key, key) = (key("source"), key("destination"));
        let attributes: Vec<_> = fifo.into_iter().chain([("KmsMasterKeyId", dlq_key.as_str())]).collect();
        self.source().create_queue(source, &attributes, None).expect("a queue");
        // What is watched over is the dead-letter queue of a destination.
        let is_watched = *job == "guarded-redrive";
        if is_watched {
            self.stage
                .sandbox
                .create_queue("orders-dlq", &[("KmsMasterKeyId", dlq_key.as_str())], None)
                .expect("a queue");
        }
        let dead_letters = if is_watched { "orders-dlq" } else { source };
        let arn = self.source().queue(dead_letters).expect("made").arn;
        let redrive = format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":\"3\"}}");
        for (position, destination) in destinations.iter().enumerate() {
            let is_origin = position == 0 && self.old_account.is_none() && *job != "unparsable-to-dlq";
            let mut attributes: Vec<_> = fifo.into_iter().chain([("KmsMasterKeyId", key.as_str())]).collect();
            attributes.extend(is_origin.then_some(("RedrivePolicy", redrive.as_str())));
            self.stage.sandbox.create_queue(destination, &attributes, None).expect("a queue");
        }
        for bucket in ["redrive-archive", "bodies"] {
            self.stage.sandbox.create_bucket(bucket).expect("a bucket");
            self.stage
                .sandbox
                .encrypt_bucket(bucket, &format!("arn:aws:kms:eu-west-1:000000000000:key/{bucket}"))
                .expect("a bucket");
        }
        let origin = self.stage.sandbox.queue(destinations[0]).expect("made").arn;
        let is_dlq = !["queue-to-queue", "unparsable-to-dlq", "guarded-redrive"].contains(job);
        let seeds = seeds().into_iter().map(|seed| Seed { source_arn: is_dlq.then(|| origin.clone()), ..seed });
        self.source().seed(source, seeds).expect("seeded");
    }

    fn source(&self) -> &Sandbox {
        self.old_account.as_ref().unwrap_or(&self.stage.sandbox)
    }

    async fn redrive(&self, arguments: &[&str]) -> Ran {
        let mut command = self.stage.command(arguments);
        for name in ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", self.stage.path("config"));
        Ran::of(command.output().await.expect("the program runs"))
    }

    /// The statements that are printed, with the identity that each is for.
    async fn printed(&self, more: &[&str]) -> Vec<(&'static str, Value)> {
        let mut statements = Vec::new();
        for identity in self.case.identities {
            let arguments = [&["policy", "job.toml", "--identity", identity], more].concat();
            let document: Value = serde_json::from_str(&self.redrive(&arguments).await.expect(0).stdout).expect("JSON");
            assert_eq!(document["Version"], "2012-10-17");
            let list = document["Statement"].as_array().expect("statements");
            statements.extend(list.iter().map(|statement| (*identity, statement.clone())));
        }
        statements
    }

    /// Holds everybody to these statements.
    fn enforce(&self, statements: &[(&'static str, Value)]) {
        let statements: Vec<&Value> = statements.iter().map(|(_, statement)| statement).collect();
        let policy = Policy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string());
        let policy = policy.expect("a valid policy");
        self.stage.sandbox.set_policy(Some(policy.clone()));
        self.source().set_policy(Some(policy));
    }

    /// In how many places each message is.
    fn places(&self) -> Vec<usize> {
        let mut bodies: Vec<String> = Vec::new();
        let mut queues = self.stage.sandbox.state();
        queues.extend(self.old_account.iter().flat_map(Sandbox::state));
        bodies.extend(queues.into_iter().flat_map(|queue| queue.messages).map(|message| message.body));
        bodies.extend(self.stage.envelopes("redrive-archive").iter().map(ToString::to_string));
        let ids = 1..=(self.case.seeds)().len();
        ids.map(|id| bodies.iter().filter(|body| body.contains(&format!("m-{id}"))).count()).collect()
    }

    /// The answer to the first put is lost, so that the object is met again.
    fn lose_an_answer(&self) {
        self.stage.sandbox.faults().add(Rule::new(Fault::Cut { when: When::After }).action("PutObject").nth(1));
    }
}

/// All that a command printed, on one line: text for a terminal is broken into several.
fn printed(ran: &Ran) -> String {
    format!("{} {}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a failure names the action that is missing. Answers to HEAD have no words.
fn says(ran: &Ran, statement: &Value) -> bool {
    let said = printed(ran);
    let actions = statement["Action"].as_array().expect("actions");
    let named = |action: &Value| {
        let action = action.as_str().expect("text");
        said.contains(&format!("perform: {action}"))
            || said.contains(&format!("perform: {}", action.to_ascii_lowercase()))
            || (action == "s3:ListBucket" && said.contains("HeadBucket on redrive-archive: not permitted"))
    };
    actions.iter().any(named)
}

/// Without one statement a command fails and names what is missing; nothing is lost, and the whole policy finishes the run.
async fn without(case: &'static Case, left_out: usize) {
    let trial = Trial::new(case).await;
    let statements = trial.printed(&[]).await;
    let mut fewer = statements.clone();
    let (identity, statement) = fewer.remove(left_out);
    let name = format!("{} without {} of {identity}", case.job, statement["Sid"]);
    trial.lose_an_answer();
    trial.enforce(&fewer);
    let plan = trial.redrive(&["plan", "job.toml", "--out", "plan.json"]).await;
    let mut told = says(&plan, &statement);
    if plan.code != Some(0) {
        assert!(told && plan.code == Some(1), "{name}: {plan:?}");
        assert!(!trial.stage.path("plan.json").exists(), "{name}");
        trial.enforce(&statements);
        trial.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        trial.enforce(&fewer);
    }
    let apply = trial.redrive(&["apply", "plan.json"]).await;
    if statement["Sid"] == "SeeMoveTasks" {
        assert!(says(&apply, &statement), "{name}: {apply:?}");
    } else if statement["Sid"] != "FindOriginQueues" {
        told |= says(&apply, &statement);
        assert!(matches!(apply.code, Some(1 | 3 | 6)) && says(&apply, &statement), "{name}: {apply:?}");
    }
    assert!(told, "{name}: {plan:?}");
    assert!(trial.places().iter().all(|&places| places > 0), "{name}: {:?}", trial.places());
    trial.enforce(&statements);
    let resumed = trial.redrive(&["apply", "plan.json"]).await;
    assert_eq!(resumed.code, Some(case.end()), "{name}: {resumed:?}");
    assert!(trial.places().iter().all(|&places| places == 1), "{name}: {:?}", trial.places());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_is_needed_and_without_it_nothing_is_lost() {
    let mut cases = Vec::new();
    for case in &CASES {
        let printed = Trial::new(case).await.printed(&[]).await;
        cases.extend((0..printed.len()).map(|left_out| (case, left_out)));
    }
    assert!(cases.len() > 40, "{}", cases.len());
    each_of(6, cases, |(case, left_out)| without(case, left_out)).await;
}

/// The calls that a command makes, as IAM's actions.
fn asked(trial: &Trial) -> BTreeSet<&'static str> {
    let mut log = trial.stage.sandbox.log();
    log.extend(trial.old_account.iter().flat_map(Sandbox::log));
    let calls: BTreeSet<String> =
        log.into_iter().map(|entry| entry.action).filter(|call| call != "GetCallerIdentity").collect();
    trial.stage.sandbox.clear_log();
    trial.source().clear_log();
    calls
        .iter()
        .map(|call| action_of(call).unwrap_or_else(|| panic!("{call} is missing in the list of calls")))
        .collect()
}

/// The actions of a printed policy, but those on keys, which are not called by us.
fn allowed(statements: &[(&str, Value)]) -> BTreeSet<String> {
    let actions = statements.iter().flat_map(|(_, statement)| statement["Action"].as_array().expect("actions"));
    actions
        .map(|action| action.as_str().expect("text").to_owned())
        .filter(|action| !action.starts_with("kms:"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_apply_and_resume_call_what_their_own_policy_allows_and_nothing_else() {
    let tested = each_of(4, CASES.iter().collect(), |case: &'static Case| async move {
        let trial = Trial::new(case).await;
        let (plan, apply) = (trial.printed(&["--for", "plan"]).await, trial.printed(&["--for", "apply"]).await);
        trial.lose_an_answer();
        trial.stage.sandbox.clear_log();
        trial.source().clear_log();
        trial.enforce(&plan);
        trial.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        let planned: BTreeSet<String> = asked(&trial).into_iter().map(str::to_owned).collect();
        // Which of the bodies in S3 is missing, S3 tells those who may list the bucket; nothing is called for it.
        let is_called = |action: &String| case.job != "follows-pointers" || action != "s3:ListBucket";
        let used = |statements: &[(&'static str, Value)]| -> BTreeSet<String> {
            allowed(statements).into_iter().filter(is_called).collect()
        };
        assert_eq!(planned, used(&plan), "{}", case.job);
        // A right that changes something is not in a plan's policy.
        let changes = ["sqs:SendMessage", "sqs:DeleteMessage", "s3:PutObject"];
        assert!(changes.iter().all(|action| !planned.contains(*action)), "{planned:?}");
        trial.enforce(&apply);
        trial.source().faults().add(Rule::new(Fault::AccessDenied).action("DeleteMessageBatch").nth(1));
        trial.redrive(&["apply", "plan.json"]).await.expect(3);
        trial.redrive(&["apply", "plan.json"]).await.expect(case.end());
        let applied: BTreeSet<String> = asked(&trial).into_iter().map(str::to_owned).collect();
        // Messages that nothing holds up are neither extended nor given back.
        let idle = |action: &&String| *action == "sqs:ChangeMessageVisibility" && !applied.contains(*action);
        let used: BTreeSet<String> = used(&apply).iter().filter(|action| !idle(action)).cloned().collect();
        assert_eq!(applied, used, "{}", case.job);
        assert!(trial.places().iter().all(|&places| places == 1), "{}: {:?}", case.job, trial.places());
    });
    assert_eq!(tested.await.len(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_s_key_that_is_named_without_its_account_is_allowed_wherever_it_is() {
    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let trial = Trial::new(case("retry-cap-with-archive")).await;
    let encrypted_with = |key: &str| trial.stage.sandbox.encrypt_bucket("redrive-archive", key).expect("a bucket");
    encrypted_with("alias/archive");
    let by_alias = trial.redrive(&["policy", "job.toml"]).await.expect(0);
    assert!(by_alias.stdout.contains("arn:*:kms:*:*:key/REPLACE-WITH-THE-KEY-OF-archive"), "{}", by_alias.stdout);
    assert!(by_alias.stderr.contains("alias/archive: policies name keys by ID"), "{}", by_alias.stderr);
    encrypted_with("alias/aws/s3");
    let of_aws = trial.redrive(&["policy", "job.toml"]).await.expect(0);
    assert!(!of_aws.stdout.contains("arn:*"), "AWS's own key needs no permission: {}", of_aws.stdout);
    encrypted_with(ID);
    let terraform = trial.redrive(&["policy", "job.toml", "--format", "terraform"]).await.expect(0).stdout;
    let comment = format!("# the bucket redrive-archive is encrypted with the KMS key {ID}");
    assert!(terraform.contains(&comment) && terraform.contains("in any region and account"), "{terraform}");
    let statements = trial.printed(&[]).await;
    let without: Vec<_> = statements
        .iter()
        .cloned()
        .map(|(identity, mut statement)| {
            let resources = statement["Resource"].as_array_mut().expect("resources");
            resources.retain(|resource| *resource != format!("arn:*:kms:*:*:key/{ID}"));
            (identity, statement)
        })
        .collect();
    assert_ne!(without, statements);
    trial.enforce(&without);
    trial.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let denied = trial.redrive(&["apply", "plan.json"]).await.expect(3);
    let needed = json!({"Action": ["kms:GenerateDataKey"]});
    assert!(says(&denied, &needed), "{denied:?}");
    assert!(printed(&denied).contains("allow kms:GenerateDataKey on"), "{denied:?}");
    trial.enforce(&statements);
    trial.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_eq!(trial.stage.envelopes("redrive-archive").len(), 1);
}

/// `jobs/` has no job that is not tried here.
#[test]
fn every_job_of_the_repository_is_tried() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs")).expect("jobs");
    let names: BTreeSet<_> =
        files.map(|file| file.expect("a file").path().file_stem().expect("a name").to_owned()).collect();
    let tried = CASES.iter().filter(|case| case.text.is_none());
    assert_eq!(names, tried.map(|case| case.job.into()).collect());
}

/// The page on permissions has the list that the program goes by.
#[test]
fn the_page_on_permissions_lists_what_the_program_goes_by() {
    let page = include_str!("../../docs/howto/permissions.md");
    for purpose in Purpose::ALL {
        let actions: Vec<_> = purpose.actions().iter().map(|action| format!("`{action}`")).collect();
        let yes = |phase| if purpose.is_for(phase) { "yes" } else { "no" };
        let row = format!(
            "| `{}` | {} | {} | {} | {} | {} |",
            purpose.sid(),
            actions.join(", "),
            yes(Phase::Plan),
            yes(Phase::Apply),
            purpose.place(),
            purpose.reason(),
        );
        assert!(page.contains(&row), "the page lacks\n{row}");
    }
    let listed: BTreeSet<_> = Purpose::ALL.iter().flat_map(|purpose| purpose.actions()).copied().collect();
    // One for a hint, one for `redrive policy` itself.
    let besides = ["sqs:ListQueues", "s3:GetEncryptionConfiguration"];
    let called: BTreeSet<_> =
        CALLS.iter().map(|(_, action)| *action).filter(|action| !besides.contains(action)).collect();
    assert!(called.is_subset(&listed), "{called:?}");
    assert!(besides.iter().all(|action| page.contains(&format!("`{action}`"))), "they are on the page as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_it_asks_nobody_and_marks_what_it_cannot_know() {
    let trial = Trial::new(case("orders-dlq")).await;
    trial.stage.sandbox.clear_log();
    let offline = trial.redrive(&["policy", "job.toml", "--offline"]).await.expect(0);
    assert!(trial.stage.sandbox.log().is_empty());
    for words in [
        "arn:aws:sqs:REPLACE-REGION:REPLACE-ACCOUNT:orders-dlq",
        "arn:aws:sqs:REPLACE-REGION:REPLACE-ACCOUNT:REPLACE-WITH-EACH-ORIGIN-QUEUE",
        "key/REPLACE-WITH-THE-KEY-OF-orders-dlq",
        "arn:aws:s3:::redrive-archive/unprocessed/*",
    ] {
        assert!(offline.stdout.contains(words), "{words} in {}", offline.stdout);
    }
    assert!(offline.stderr.contains("note: whether orders-dlq is encrypted"), "{}", offline.stderr);
    // A network that denies everything leaves the same, with the reason.
    trial.enforce(&[]);
    let denied = trial.redrive(&["policy", "job.toml"]).await.expect(0);
    assert_eq!(denied.stdout, offline.stdout);
    assert!(
        denied.stderr.contains("orders-dlq could not be looked at (GetQueueUrl on orders-dlq: AccessDenied"),
        "{}",
        denied.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_several_identities_says_which_there_are() {
    let trial = Trial::new(case("queue-to-queue")).await;
    let several = trial.redrive(&["policy", "job.toml"]).await.expect(2);
    assert!(several.stderr.contains("--identity old-account"), "{}", several.stderr);
    let other = trial.redrive(&["policy", "job.toml", "--identity", "nobody"]).await.expect(2);
    assert!(other.stderr.contains("the job has no identity \"nobody\""), "{}", other.stderr);
    let terraform = trial.redrive(&["policy", "job.toml", "--format", "terraform"]).await.expect(0).stdout;
    assert_eq!(terraform.matches("data \"aws_iam_policy_document\"").count(), 3, "{terraform}");
    let markdown = trial.redrive(&["policy", "job.toml", "--format", "markdown"]).await.expect(0).stdout;
    assert!(markdown.contains("| FindQueues |") && markdown.contains("the role "), "{markdown}");
}
