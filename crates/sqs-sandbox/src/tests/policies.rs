//! A policy is enforced, in AWS's words, in both protocols of SQS and in S3.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::QueueAttributeName;

use super::raw::{exchange, http};
use super::{Stage, entry};
use crate::{Options, Policy, Sandbox};

const KEY: &str = "arn:aws:kms:eu-west-1:000000000000:key/k";

async fn stage(statements: &str) -> Stage {
    let policy = Policy::parse(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statements}]}}")).unwrap();
    let sandbox = Sandbox::start(Options { policy: Some(policy), ..Options::default() }).await.unwrap();
    sandbox.create_queue("orders", &[], None).unwrap();
    sandbox.create_queue("secret", &[("KmsMasterKeyId", KEY)], None).unwrap();
    sandbox.create_bucket("archive").unwrap();
    Stage::of(sandbox, "tester", "secret")
}

fn allow(actions: &str, resource: &str) -> String {
    format!("{{\"Effect\":\"Allow\",\"Action\":{actions},\"Resource\":\"{resource}\"}}")
}

fn url(stage: &Stage, queue: &str) -> String {
    format!("{}/000000000000/{queue}", stage.sandbox.endpoint_url())
}

#[tokio::test]
async fn a_batch_needs_the_permission_of_the_single_call_and_a_denied_one_has_no_effect() {
    let allowed = stage(&allow("\"sqs:SendMessage\"", "arn:aws:sqs:*:*:orders")).await;
    let send = allowed.sqs.send_message_batch().queue_url(url(&allowed, "orders")).entries(entry("a", "x"));
    send.clone().send().await.unwrap();
    allowed.sandbox.set_policy(Some(Policy::parse(r#"{"Statement":[]}"#).unwrap()));
    let denied = send.clone().send().await.unwrap_err();
    let words = "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: sqs:sendmessage on resource: \
                 arn:aws:sqs:eu-west-1:000000000000:orders because no identity-based policy allows the sqs:sendmessage action";
    assert_eq!((denied.code(), denied.message()), (Some("AccessDenied"), Some(words)));
    assert_eq!(denied.raw_response().unwrap().status().as_u16(), 403);
    let form = "Action=SendMessage&MessageBody=x";
    let query = exchange(
        &allowed.sandbox,
        &http("POST", "/000000000000/orders", "Content-Type: application/x-www-form-urlencoded\r\n", form),
    )
    .await;
    assert!(query.contains(words) && query.contains("<Code>AccessDenied</Code>"), "{query}");
    assert_eq!(allowed.sandbox.queue("orders").unwrap().messages.len(), 1);
    allowed.sandbox.set_policy(None);
    send.send().await.unwrap();
}

#[tokio::test]
async fn an_explicit_deny_says_so() {
    let deny = r#"{"Effect":"Deny","Action":"sqs:*","Resource":"*"}"#;
    let stage = stage(&format!("{},{deny}", allow("\"*\"", "*"))).await;
    let denied = stage.sqs.get_queue_url().queue_name("orders").send().await.unwrap_err();
    assert!(denied.message().unwrap().ends_with(":orders with an explicit deny in an identity-based policy"));
    stage.s3.head_bucket().bucket("archive").send().await.unwrap();
}

#[tokio::test]
async fn an_encrypted_queue_needs_its_key() {
    let sqs = allow("\"sqs:*\"", "*");
    let stage = stage(&sqs).await;
    let url = url(&stage, "secret");
    let denied = stage.sqs.send_message().queue_url(&url).message_body("x").send().await.unwrap_err();
    assert_eq!(denied.code(), Some("KMS.AccessDeniedException"));
    assert!(denied.message().unwrap().contains(&format!("perform: kms:GenerateDataKey on resource: {KEY} because")));
    let kms = allow(r#"["kms:GenerateDataKey","kms:Decrypt"]"#, KEY);
    stage.sandbox.set_policy(Some(Policy::parse(&format!("{{\"Statement\":[{sqs},{kms}]}}")).unwrap()));
    stage.send(&url, "x").await;
    assert_eq!(stage.receive(&url).await.len(), 1);
    stage.sandbox.set_policy(Some(Policy::parse(&format!("{{\"Statement\":[{sqs}]}}")).unwrap()));
    let denied = stage.sqs.receive_message().queue_url(&url).send().await.unwrap_err();
    assert!(denied.message().unwrap().contains("perform: kms:Decrypt"));
    let plain = stage.sqs.set_queue_attributes().queue_url(&url);
    plain.attributes(QueueAttributeName::KmsMasterKeyId, "alias/aws/sqs").send().await.unwrap();
    stage.sqs.receive_message().queue_url(&url).send().await.unwrap();
}

#[tokio::test]
async fn objects_and_buckets_are_judged_apart() {
    let put = allow(r#"["s3:PutObject","s3:GetObject"]"#, "arn:aws:s3:::archive/in/*");
    let stage = stage(&put).await;
    let object = |key: &str| stage.s3.put_object().bucket("archive").key(key).body(ByteStream::from_static(b"x"));
    object("in/a").send().await.unwrap();
    let denied = object("out/<a>").send().await.unwrap_err();
    let words = "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: s3:PutObject on resource: \
                 \"arn:aws:s3:::archive/out/<a>\" because no identity-based policy allows the s3:PutObject action";
    assert_eq!((denied.code(), denied.message()), (Some("AccessDenied"), Some(words)));
    stage.s3.get_object().bucket("archive").key("in/a").send().await.unwrap();
    // Only who may list a bucket learns that an object is not there.
    let missing = stage.s3.get_object().bucket("archive").key("in/none");
    let denied = missing.clone().send().await.unwrap_err();
    assert!(denied.message().unwrap().contains("perform: s3:ListBucket on resource: \"arn:aws:s3:::archive\""));
    assert!(
        stage.s3.head_bucket().bucket("archive").send().await.unwrap_err().raw_response().unwrap().status().as_u16()
            == 403
    );
    let list = allow("\"s3:ListBucket\"", "arn:aws:s3:::archive");
    stage.sandbox.set_policy(Some(Policy::parse(&format!("{{\"Statement\":[{put},{list}]}}")).unwrap()));
    stage.s3.head_bucket().bucket("archive").send().await.unwrap();
    assert_eq!(missing.send().await.unwrap_err().code(), Some("NoSuchKey"));
    let delete = stage.s3.delete_object().bucket("archive").key("in/a").send().await.unwrap_err();
    assert!(delete.message().unwrap().contains("s3:DeleteObject"));
}

#[tokio::test]
async fn a_role_is_assumed_only_by_who_may() {
    let stage = stage(&allow("\"sts:AssumeRole\"", "arn:aws:iam::222222222222:role/mover")).await;
    let ask = |role: &str| {
        format!(
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=night&RoleArn=arn:aws:iam::222222222222:role/{role}"
        )
    };
    let header = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = exchange(&stage.sandbox, &http("POST", "/", header, &ask("mover"))).await;
    assert!(answer.contains("<AccessKeyId>"), "{answer}");
    let answer = exchange(&stage.sandbox, &http("POST", "/", header, &ask("other"))).await;
    assert!(
        answer.contains(
            "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/other<"
        ),
        "{answer}"
    );
    let who = exchange(&stage.sandbox, &http("POST", "/", header, "Action=GetCallerIdentity&Version=2011-06-15")).await;
    assert!(who.contains("user/sandbox"), "{who}");
}
