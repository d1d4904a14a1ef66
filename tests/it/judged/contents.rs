//! What messages hold, through the whole program on each server: random ones that nothing changes, and bodies in S3 that the
//! Extended Client's pointers lead to.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use sqs_sandbox::MessageAttribute;

use super::{Bench, value};
use crate::end_to_end::differences;
use crate::language::any_message;
use crate::support::stage::{Content, count, shown};

type Sent = (String, BTreeMap<String, MessageAttribute>);

fn content((body, attributes): &Sent) -> Content {
    (body.clone(), attributes.iter().map(|(name, attribute)| (name.clone(), shown(attribute))).collect())
}

impl Bench {
    /// Makes `in` and `out`, and sends these to `in`.
    async fn with_messages(&self, messages: &[Sent]) {
        let source = self.admin.queue(&self.name("in"), &[]).await;
        self.admin.queue(&self.name("out"), &[]).await;
        for ten in messages.chunks(10) {
            let entries = ten.iter().cloned().enumerate().map(|(position, (body, attributes))| {
                let attributes = attributes.into_iter().map(|(name, attribute)| (name, value(attribute))).collect();
                let entry = SendMessageBatchRequestEntry::builder().id(position.to_string()).message_body(body);
                entry.set_message_attributes(Some(attributes)).build().expect("an entry")
            });
            let call = self.admin.sqs.send_message_batch().queue_url(&source).set_entries(Some(entries.collect()));
            assert!(call.send().await.expect("sent").failed.is_empty());
        }
    }

    /// Writes a job from `in` to `out`.
    fn job_through(&self, source: &str, rules: &str) {
        let job = format!(
            "version = 1\nname = \"contents\"\n[source]\nqueue = \"{}\"\n{source}\n[destination.out]\n\
             sqs = {{ queue = \"{}\" }}\n{rules}",
            self.name("in"),
            self.name("out")
        );
        std::fs::write(self.directory.path().join("job.toml"), job).expect("written");
    }

    async fn object(&self, key: &str) -> Vec<u8> {
        let got = self.admin.s3.get_object().bucket(self.name("bodies")).key(key).send().await.expect("an object");
        got.body.collect().await.expect("its content").to_vec()
    }
}

/// The same ones each time.
pub(super) async fn random_messages_arrive_as_they_were(bench: Bench) {
    const TOTAL: usize = 300;
    let (mut runner, any) = (TestRunner::deterministic(), any_message());
    let messages: Vec<Sent> = (0..TOTAL).map(|_| any.new_tree(&mut runner).expect("a message").current()).collect();
    bench.with_messages(&messages).await;
    bench.job_through(
        "",
        "[[rule]]\nname = \"all\"\nwhen = [{ not = { body = \"$..a[?@.x]\", equals = \"none\" } }]\nto = \"out\"\n",
    );
    let ran = bench
        .redrive(&["apply", "job.toml", "--auto-approve", "--sample", "50", "--allow-drift", "--format", "json"])
        .await;
    assert_eq!(ran.expect(0).summary()["moved"], TOTAL);
    let expected = count(messages.iter().map(content));
    assert_eq!(differences(&bench.inventory("out").await, &expected), Vec::<String>::new());
}

/// Bodies of a mebibyte and more: one goes as it is, one becomes a new object, one is a MiB of its own in the queue.
pub(super) async fn bodies_in_s3_are_judged_and_changed_by_copy(bench: Bench) {
    bench.admin.bucket(&bench.name("bodies")).await;
    let pointer = |key: &str| {
        let bucket = bench.name("bodies");
        format!(
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"{bucket}","s3Key":"{key}"}}]"#
        )
    };
    let long = |kind: &str| format!("{{\"kind\": \"{kind}\", \"n\": 1.10, \"long\": \"{}\"}}", "é".repeat(1_000_000));
    let mut messages = Vec::new();
    for kind in ["change", "keep", "stay"] {
        let body = long(kind);
        let size =
            BTreeMap::from([("ExtendedPayloadSize".to_owned(), MessageAttribute::number(body.len().to_string()))]);
        bench
            .admin
            .s3
            .put_object()
            .bucket(bench.name("bodies"))
            .key(kind)
            .body(body.into_bytes().into())
            .send()
            .await
            .expect("put");
        messages.push((pointer(kind), size));
    }
    bench.with_messages(&messages).await;
    bench.job_through(
        &format!("extended_client = true\nextended_client_buckets = [\"{}\"]", bench.name("bodies")),
        "[[rule]]\nname = \"change\"\nwhen = [{ body = \"$.kind\", equals = \"change\" }]\n\
         transform = [{ set = \"$.again\", value = true }]\nto = \"out\"\n\
         [[rule]]\nname = \"as they are\"\nwhen = [{ body = \"$.kind\", equals = \"keep\" }]\nto = \"out\"\n",
    );
    bench.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(0);
    let summary = bench.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_eq!((&summary["moved"], &summary["kept"]), (&Value::from(2), &Value::from(1)), "{summary}");
    let arrived = bench.inventory("out").await;
    assert!(arrived.contains_key(&content(&messages[1])), "the pointer as it was");
    let (changed, attributes) = arrived.keys().find(|(body, _)| body.contains("change.redrive-")).expect("a new one");
    let key = changed.split('"').find(|part| part.starts_with("change.redrive-")).expect("a key");
    let expected = long("change").replace("\"}", "\", \"again\": true}");
    assert_eq!(bench.object(key).await, expected.as_bytes());
    assert_eq!(attributes["ExtendedPayloadSize"], format!("Number:{}", expected.len()));
    assert_eq!(bench.object("change").await, long("change").as_bytes(), "the old object is as it was");
}

/// The longest message that SQS takes: judged, changed and sent, and blocked where the change makes it too long.
pub(super) async fn a_body_of_a_mebibyte_is_judged_changed_and_moved(bench: Bench) {
    const MOST: usize = 1 << 20;
    let body = |kind: &str, length: usize| {
        let text = format!("{{\"kind\":\"{kind}\",\"debug\":true,\"long\":\"");
        format!("{text}{}\"}}", "x".repeat(length - text.len() - 2))
    };
    let messages = [("shorter", MOST), ("longer", MOST), ("as it is", MOST)];
    let messages = messages.map(|(kind, length)| (body(kind, length), BTreeMap::new()));
    let source = bench.admin.queue(&bench.name("in"), &[]).await;
    bench.admin.queue(&bench.name("out"), &[]).await;
    for (body, _) in &messages {
        bench.admin.sqs.send_message().queue_url(&source).message_body(body).send().await.expect("sent");
    }
    bench.job_through(
        "",
        "[[rule]]\nname = \"shorter\"\nwhen = [{ body = \"$.kind\", equals = \"shorter\" }]\n\
         transform = [{ remove = \"$.debug\" }]\nto = \"out\"\n\
         [[rule]]\nname = \"longer\"\nwhen = [{ jq = '.kind == \"longer\"' }]\n\
         transform = [{ set = \"$.more\", value = 1 }]\nto = \"out\"\n[unmatched]\nto = \"out\"\n",
    );
    let ran = bench.redrive(&["apply", "job.toml", "--auto-approve", "--format", "json"]).await;
    let summary = ran.expect(6).summary();
    assert_eq!((&summary["moved"], &summary["blocked"]), (&Value::from(2), &Value::from(1)), "{summary}");
    let shorter = messages[0].0.replace("\"debug\":true,", "");
    let expected = count([(shorter, BTreeMap::new()), content(&messages[2])]);
    assert!(bench.inventory("out").await == expected, "two bodies of a mebibyte");
}
