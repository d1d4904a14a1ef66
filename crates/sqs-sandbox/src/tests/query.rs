//! The Query protocol and STS, by raw requests: no SDK of today speaks the former.

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::raw::{exchange, http};
use super::{Stage, bodies, entry};
use crate::{Fault, Rule};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";

/// What stands between the first such tags, if they are there.
fn within<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let from = xml.find(&open)? + open.len();
    Some(&xml[from..from + xml[from..].find(&close)?])
}

async fn post(stage: &Stage, path: &str, form: &str) -> String {
    exchange(&stage.sandbox, &http("POST", path, FORM, form)).await
}

/// Answered with success by the action's own element.
async fn done(stage: &Stage, path: &str, form: &str) -> String {
    let answer = post(stage, path, form).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{form}: {answer}");
    let action = form.strip_prefix("Action=").unwrap().split('&').next().unwrap();
    assert!(answer.contains(&format!("<{action}Response xmlns=")) && answer.contains("<RequestId>"), "{answer}");
    answer
}

#[tokio::test]
async fn every_action_is_there_in_the_query_protocol_too() {
    let stage = Stage::new().await;
    let create = "Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=7&Tag.1.Key=a&Tag.1.Value=b";
    let answer = done(&stage, "/", create).await;
    assert!(within(&answer, "QueueUrl").unwrap().ends_with("/000000000000/q"), "{answer}");
    let path = "/000000000000/q";
    assert!(done(&stage, "/", "Action=GetQueueUrl&QueueName=q").await.contains("/000000000000/q</QueueUrl>"));
    assert!(done(&stage, "/", "Action=ListQueues").await.contains("/000000000000/q</QueueUrl>"));
    assert!(done(&stage, path, "Action=ListQueueTags").await.contains("<Tag><Key>a</Key><Value>b</Value></Tag>"));
    done(&stage, path, "Action=TagQueue&Tag.1.Key=c&Tag.1.Value=d").await;
    done(&stage, path, "Action=UntagQueue&TagKey.1=a").await;
    assert!(!done(&stage, path, "Action=ListQueueTags").await.contains("<Key>a</Key>"));
    done(&stage, path, "Action=SetQueueAttributes&Attribute.Name=DelaySeconds&Attribute.Value=0").await;
    let attributes = done(&stage, path, "Action=GetQueueAttributes&AttributeName.1=VisibilityTimeout").await;
    assert!(attributes.contains("<Attribute><Name>VisibilityTimeout</Name><Value>7</Value></Attribute>"));

    let sent = done(
        &stage,
        path,
        "Action=SendMessage&MessageBody=a+%26+b&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String\
         &MessageAttribute.1.Value.StringValue=v",
    )
    .await;
    assert_eq!(within(&sent, "MD5OfMessageBody"), Some("9fed43e0f68e6c705d96bd051704f1f2"), "{sent}");
    let receive = "Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=All&WaitTimeSeconds=1";
    let received = done(&stage, path, receive).await;
    assert_eq!(within(&received, "Body"), Some("a &amp; b"), "{received}");
    assert!(received.contains("<Name>n</Name><Value><DataType>String</DataType><StringValue>v</StringValue></Value>"));
    assert!(received.contains("<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>"));
    let handle = within(&received, "ReceiptHandle").unwrap().replace('+', "%2B").replace('/', "%2F");
    done(&stage, path, &format!("Action=ChangeMessageVisibility&ReceiptHandle={handle}&VisibilityTimeout=9")).await;
    let entry = "ChangeMessageVisibilityBatchRequestEntry.1";
    let request = format!(
        "Action=ChangeMessageVisibilityBatch&{entry}.Id=x&{entry}.ReceiptHandle={handle}&{entry}.VisibilityTimeout=9"
    );
    assert!(done(&stage, path, &request).await.contains("<ChangeMessageVisibilityBatchResultEntry><Id>x</Id>"));
    let entry = "DeleteMessageBatchRequestEntry";
    let request = format!(
        "Action=DeleteMessageBatch&{entry}.1.Id=x&{entry}.1.ReceiptHandle={handle}&{entry}.2.Id=y&{entry}.2.ReceiptHandle=z"
    );
    let deleted = done(&stage, path, &request).await;
    assert!(deleted.contains("<DeleteMessageBatchResultEntry><Id>x</Id>"), "{deleted}");
    let failed = within(&deleted, "BatchResultErrorEntry").unwrap();
    assert!(failed.contains("<Id>y</Id>") && failed.contains("<Code>ReceiptHandleIsInvalid</Code>"), "{deleted}");
    assert!(failed.contains("<SenderFault>true</SenderFault>"), "{deleted}");

    let sends = "SendMessageBatchRequestEntry";
    let batch = format!(
        "Action=SendMessageBatch&{sends}.1.Id=a&{sends}.1.MessageBody=1&{sends}.2.Id=b&{sends}.2.MessageBody=2"
    );
    assert_eq!(done(&stage, path, &batch).await.matches("<SendMessageBatchResultEntry>").count(), 2);
    let receipt = within(&done(&stage, path, "Action=ReceiveMessage&WaitTimeSeconds=1").await, "ReceiptHandle")
        .unwrap()
        .to_owned();
    let receipt = receipt.replace('+', "%2B").replace('/', "%2F");
    done(&stage, path, &format!("Action=DeleteMessage&ReceiptHandle={receipt}")).await;
    done(&stage, path, "Action=PurgeQueue").await;
    assert!(stage.sandbox.queue("q").unwrap().messages.is_empty());
    done(&stage, path, "Action=AddPermission&Label=l&AWSAccountId.1=111111111111&ActionName.1=SendMessage").await;
    done(&stage, path, "Action=RemovePermission&Label=l").await;

    let dlq = "arn:aws:sqs:eu-west-1:000000000000:q";
    let policy = format!("{{\"deadLetterTargetArn\":\"{dlq}\",\"maxReceiveCount\":3}}");
    stage.queue("source", &[(Name::RedrivePolicy, &policy)]).await;
    assert!(done(&stage, path, "Action=ListDeadLetterSourceQueues").await.contains("/source</QueueUrl>"));
    assert!(done(&stage, "/", &format!("Action=StartMessageMoveTask&SourceArn={dlq}")).await.contains("<TaskHandle>"));
    let tasks = done(&stage, "/", &format!("Action=ListMessageMoveTasks&SourceArn={dlq}")).await;
    assert!(tasks.contains("<ListMessageMoveTasksResultEntry>"), "{tasks}");
    // {"taskId":"x","sourceArn":"arn:aws:sqs:eu-west-1:000000000000:q"}
    let unknown = "eyJ0YXNrSWQiOiJ4Iiwic291cmNlQXJuIjoiYXJuOmF3czpzcXM6ZXUtd2VzdC0xOjAwMDAwMDAwMDAwMDpxIn0=";
    for (handle, status, code) in [("x", 400, "InvalidParameterValue"), (unknown, 404, "ResourceNotFoundException")] {
        let cancelled = post(&stage, "/", &format!("Action=CancelMessageMoveTask&TaskHandle={handle}")).await;
        assert!(cancelled.starts_with(&format!("HTTP/1.1 {status}")), "{cancelled}");
        assert_eq!(within(&cancelled, "Code"), Some(code), "{cancelled}");
    }
    assert!(post(&stage, path, "Action=ListQueues").await.contains("<Code>InvalidAction</Code>"), "it is no queue's");
    done(&stage, path, "Action=DeleteQueue").await;
}

#[tokio::test]
async fn errors_faults_and_the_log_are_the_same_in_the_query_protocol() {
    let stage = Stage::new().await;
    let missing = post(&stage, "/", "Action=GetQueueUrl&QueueName=missing").await;
    assert!(missing.starts_with("HTTP/1.1 400"), "{missing}");
    assert_eq!(within(&missing, "Code"), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(within(&missing, "Message"), Some("The specified queue does not exist for this wsdl version."));
    stage.queue("q", &[]).await;
    // As a link: a GET with parameters is SQS's, not S3's.
    let get = http("GET", "/000000000000/q?Action=SendMessage&MessageBody=x", "", "");
    assert!(exchange(&stage.sandbox, &get).await.contains("<MessageId>"));
    assert_eq!(stage.sandbox.queue("q").unwrap().messages.len(), 1);
    stage.sandbox.faults().add(Rule::new(Fault::Throttle).action("SendMessage").resource("q"));
    let throttled = post(&stage, "/000000000000/q", "Action=SendMessage&MessageBody=y").await;
    assert_eq!(within(&throttled, "Code"), Some("RequestThrottled"), "{throttled}");
    let log = stage.sandbox.log();
    let last = log.last().unwrap();
    assert_eq!((last.action.as_str(), last.resource.as_str(), last.status), ("SendMessage", "q", 403));
    assert_eq!(log[log.len() - 2].messages.len(), 1, "what was sent is in the log");
}

#[tokio::test]
async fn who_wants_json_gets_json() {
    let stage = Stage::new().await;
    let url = stage.queue("q", &[]).await;
    stage.send(&url, "<x>").await;
    let ask = async |action: &str| {
        let headers = format!("{FORM}Accept: application/json\r\n");
        let answer = exchange(&stage.sandbox, &http("POST", "/000000000000/q", &headers, action)).await;
        assert!(answer.contains("content-type: application/json"), "{answer}");
        serde_json::from_str::<serde_json::Value>(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    };
    let received = ask("Action=ReceiveMessage&WaitTimeSeconds=1").await;
    let message = &received["ReceiveMessageResponse"]["ReceiveMessageResult"]["messages"][0];
    assert_eq!(message["Body"], "<x>", "{received}");
    let purged = ask("Action=PurgeQueue").await;
    assert!(purged["PurgeQueueResponse"]["ResponseMetadata"]["RequestId"].is_string(), "{purged}");
}

#[tokio::test]
async fn sts_says_who_it_is_and_lets_roles_be_assumed() {
    let stage = Stage::new().await;
    let who = done(&stage, "/", "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(within(&who, "Account"), Some("000000000000"));
    let role = "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role/team/mover&RoleSessionName=night";
    let assumed = done(&stage, "/", role).await;
    assert_eq!(within(&assumed, "Arn"), Some("arn:aws:sts::123456789012:assumed-role/mover/night"), "{assumed}");
    let key = within(&assumed, "AccessKeyId").unwrap();
    let authorization = format!(
        "{FORM}Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=0\r\n"
    );
    let who = exchange(&stage.sandbox, &http("POST", "/", &authorization, "Action=GetCallerIdentity")).await;
    assert_eq!(within(&who, "Arn"), within(&assumed, "Arn"), "{who}");
    assert_eq!(within(&who, "Account"), Some("123456789012"), "{who}");
    for wrong in [
        "RoleArn=role&RoleSessionName=night",
        "RoleArn=arn:aws:iam::123456789012:user/x&RoleSessionName=night",
        "RoleArn=arn:aws:iam::123456789012:role/x&RoleSessionName=n",
        "RoleArn=arn:aws:iam::123456789012:role/x&RoleSessionName=night&DurationSeconds=899",
    ] {
        let refused = post(&stage, "/", &format!("Action=AssumeRole&{wrong}")).await;
        assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("ValidationError"), "{wrong}: {refused}");
    }
}

#[tokio::test]
async fn permissions_are_kept_in_the_policy() {
    let stage = Stage::new().await;
    let url = stage.queue("q", &[]).await;
    let add = |label: &str, accounts: &[&str]| {
        let accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
        let call = stage.sqs.add_permission().queue_url(&url).label(label).set_aws_account_ids(Some(accounts));
        call.actions("ReceiveMessage").send()
    };
    let policy = async || {
        let call = stage.sqs.get_queue_attributes().queue_url(&url).attribute_names(Name::Policy);
        let attributes = call.send().await.unwrap().attributes?;
        Some(serde_json::from_str::<serde_json::Value>(attributes.get(&Name::Policy)?).unwrap())
    };
    add("both", &["111111111111", "222222222222"]).await.unwrap();
    assert!(add("both", &["111111111111"]).await.is_err(), "the label is taken");
    add("one", &["111111111111"]).await.unwrap();
    let statements = policy().await.unwrap()["Statement"].clone();
    assert_eq!(statements[0]["Principal"]["AWS"][1], "arn:aws:iam::222222222222:root");
    assert_eq!(statements[1]["Principal"]["AWS"], "arn:aws:iam::111111111111:root");
    assert_eq!(statements[1]["Action"], "SQS:ReceiveMessage");
    for label in ["both", "one"] {
        stage.sqs.remove_permission().queue_url(&url).label(label).send().await.unwrap();
    }
    assert_eq!(policy().await, None);
    assert!(stage.sqs.remove_permission().queue_url(&url).label("one").send().await.is_err());
}

#[tokio::test]
async fn permissions_that_cannot_be_given_are_refused() {
    let stage = Stage::new().await;
    let url = stage.queue("q", &[]).await;
    let add = |accounts: &[&str], actions: &[&str]| {
        let all = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        let call = stage.sqs.add_permission().queue_url(&url).label("other");
        call.set_aws_account_ids(all(accounts)).set_actions(all(actions)).send()
    };
    let owner = "111111111111";
    let seven = [
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
    ];
    for (accounts, actions, status, words) in [
        (&[][..], &["ReceiveMessage"][..], 400, "Value [] for parameter PrincipalId is invalid."),
        (&[owner], &[], 400, "The request must contain the parameter Actions."),
        (&[owner], &["SendMessage", "TagQueue"], 400, "Only the queue owner is allowed to invoke this action."),
        (&[owner], &["SendLetter"], 400, "Value SQS:SendLetter for parameter ActionName is invalid."),
        (&[owner], &["ReceiveMessage"; 8], 403, "8 Actions were found, maximum allowed is 7."),
    ] {
        let error = add(accounts, actions).await.unwrap_err();
        assert!(error.message().is_some_and(|message| message.contains(words)), "{error:?}");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status, "{words}");
    }
    assert!(!stage.sandbox.queue("q").unwrap().attributes.contains_key("Policy"), "nothing was added");
    add(&[owner], &seven).await.unwrap();
    stage.sqs.remove_permission().queue_url(&url).label("other").send().await.unwrap();
    add(&[owner], &["*"]).await.unwrap();
}

#[tokio::test]
async fn the_trace_of_a_request_is_that_of_its_messages() {
    let stage = Stage::new().await;
    stage.queue("q", &[]).await;
    let traced = |own: &str| {
        let headers =
            "X-Amz-Target: AmazonSQS.SendMessage\r\nX-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n";
        http("POST", "/", headers, &format!("{{\"QueueUrl\":\"q\",\"MessageBody\":\"x\"{own}}}"))
    };
    let own = ",\"MessageSystemAttributes\":{\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"Root=2\"}}";
    for request in [traced(""), traced(own)] {
        assert!(exchange(&stage.sandbox, &request).await.starts_with("HTTP/1.1 200"));
    }
    let of_messages: Vec<_> =
        stage.sandbox.queue("q").unwrap().messages.into_iter().map(|one| one.trace_header).collect();
    assert_eq!(of_messages, [Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned()), Some("Root=2".to_owned())]);
}

#[tokio::test]
async fn a_fifo_batch_that_lacks_an_id_fails_as_a_whole() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[(Name::FifoQueue, "true")]).await;
    let whole = |id: &str| {
        let mut one = entry(id, "x");
        (one.message_group_id, one.message_deduplication_id) = (Some("g".to_owned()), Some(id.to_owned()));
        one
    };
    let (mut no_group, mut no_id) = (whole("b"), whole("b"));
    (no_group.message_group_id, no_id.message_deduplication_id) = (None, None);
    for broken in [no_group, no_id] {
        let batch = stage.sqs.send_message_batch().queue_url(&url).entries(whole("a")).entries(broken);
        assert_eq!(batch.send().await.unwrap_err().code(), Some("InvalidParameterValue"));
        assert!(stage.sandbox.queue("q.fifo").unwrap().messages.is_empty(), "nothing is sent");
    }
}

#[tokio::test]
async fn a_purge_forgets_deduplication_ids_and_an_odd_url_is_of_no_queue() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[(Name::FifoQueue, "true"), (Name::ContentBasedDeduplication, "true")]).await;
    let send = |url: &str| stage.sqs.send_message().queue_url(url).message_body("x").message_group_id("g").send();
    send(&url).await.unwrap();
    stage.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    send("q.fifo").await.expect("a bare name will do");
    assert_eq!(bodies(&stage.receive(&url).await), ["x"]);
    for odd in ["http://localhost/q.fifo", "other", "http://", "ftp://x/000000000000/", "/"] {
        let error = send(odd).await.unwrap_err().into_service_error();
        assert!(error.is_queue_does_not_exist(), "{odd}: {error:?}");
    }
}

#[tokio::test]
async fn a_queue_that_is_asked_for_no_action_says_so_and_is_no_bucket() {
    let stage = Stage::new().await;
    stage.queue("q", &[]).await;
    let answer = exchange(&stage.sandbox, &http("GET", "/000000000000/q", "", "")).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("<UnknownOperationException/>"), "{answer}");
    let elsewhere = exchange(&stage.sandbox, &http("GET", "/000000000000/other", "", "")).await;
    assert!(elsewhere.contains("<Code>NoSuchBucket</Code>"), "{elsewhere}");
}
