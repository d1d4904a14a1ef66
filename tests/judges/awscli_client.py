"""AWS's command line, version 1, against an endpoint: a little tour of SQS and S3, as an operator types it.

    awscli_client.py ENDPOINT ACCESS_KEY SECRET_KEY

Prints "ok NAME" for each part, and ends with another code than 0 at the first that does not hold. The command line runs in
this process: what it does is what `aws` does, but for the start of a Python each time.
"""

import contextlib
import io
import json
import os
import sys
import tempfile

ENDPOINT = sys.argv[1]
os.environ.update(
    AWS_ACCESS_KEY_ID=sys.argv[2],
    AWS_SECRET_ACCESS_KEY=sys.argv[3],
    AWS_DEFAULT_REGION="eu-west-1",
    AWS_MAX_ATTEMPTS="1",
    AWS_PAGER="",
)

from awscli.clidriver import create_clidriver  # noqa: E402: it reads the environment


def run(*arguments):
    """A command: its exit code, and what it printed and complained of."""
    out, err = io.StringIO(), io.StringIO()
    # It wants bytes to write to as well, as the real ones have.
    out.buffer, err.buffer = io.BytesIO(), io.BytesIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = create_clidriver().main(["--endpoint-url", ENDPOINT, *arguments])
    printed = out.getvalue() + out.buffer.getvalue().decode()
    return code, printed, err.getvalue() + err.buffer.getvalue().decode()


def aws(*arguments):
    code, printed, complaint = run(*arguments)
    assert code == 0, (arguments, code, complaint)
    return json.loads(printed) if printed.startswith("{") else printed


def queues():
    dlq = aws("sqs", "create-queue", "--queue-name", "cli-dlq")["QueueUrl"]
    dlq_arn = aws("sqs", "get-queue-attributes", "--queue-url", dlq, "--attribute-names", "All")["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dlq_arn, "maxReceiveCount": 1})
    attributes = json.dumps({"RedrivePolicy": policy})
    url = aws("sqs", "create-queue", "--queue-name", "cli", "--attributes", attributes)["QueueUrl"]
    assert aws("sqs", "list-queues", "--queue-name-prefix", "cli")["QueueUrls"] == [url, dlq]

    # This version takes bytes as they are typed, and shows them in base64.
    attributes = {"picture": {"DataType": "Binary.png", "BinaryValue": "\x7f\t<&>"}}
    shown = {"picture": {"DataType": "Binary.png", "BinaryValue": "fwk8Jj4="}}
    entries = [{"Id": str(n), "MessageBody": f"ä {n}", "MessageAttributes": attributes} for n in range(3)]
    sent = aws("sqs", "send-message-batch", "--queue-url", url, "--entries", json.dumps(entries))
    assert len(sent["Successful"]) == 3
    received = []
    while len(received) < 3:
        page = aws("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10",
                   "--wait-time-seconds", "1", "--message-attribute-names", "All")
        received += page["Messages"] if page else []
    assert all(message["MessageAttributes"] == shown for message in received), received
    assert sorted(message["Body"] for message in received) == ["ä 0", "ä 1", "ä 2"]
    first, *rest = [message["ReceiptHandle"] for message in received]
    aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", first)
    for handle in rest:
        aws("sqs", "change-message-visibility", "--queue-url", url, "--receipt-handle", handle,
            "--visibility-timeout", "0")
    # They were received once, which is all that the policy allows.
    assert aws("sqs", "receive-message", "--queue-url", url, "--wait-time-seconds", "1",
               "--max-number-of-messages", "10") == ""
    moved = aws("sqs", "get-queue-attributes", "--queue-url", dlq, "--attribute-names", "All")["Attributes"]
    assert moved["ApproximateNumberOfMessages"] == "2"
    aws("sqs", "purge-queue", "--queue-url", dlq)


def fifo():
    url = aws("sqs", "create-queue", "--queue-name", "cli.fifo", "--attributes", "FifoQueue=true")["QueueUrl"]
    for body in ("1", "2", "2"):
        aws("sqs", "send-message", "--queue-url", url, "--message-body", body, "--message-group-id", "g",
            "--message-deduplication-id", body)
    got = aws("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10",
              "--wait-time-seconds", "1")["Messages"]
    assert [message["Body"] for message in got] == ["1", "2"]


def errors():
    code, _, complaint = run("sqs", "get-queue-url", "--queue-name", "nowhere")
    assert code != 0 and "AWS.SimpleQueueService.NonExistentQueue" in complaint, complaint
    code, _, complaint = run("s3api", "get-bucket-versioning", "--bucket", "nowhere")
    assert code != 0 and "NoSuchBucket" in complaint, complaint


def objects():
    aws("s3", "mb", "s3://cli")
    code, _, complaint = run("s3api", "put-bucket-versioning", "--bucket", "cli", "--versioning-configuration",
                             "Status=Enabled")
    assert code != 0 and "NotImplemented" in complaint, complaint
    with tempfile.TemporaryDirectory() as directory:
        small, big, back = (os.path.join(directory, name) for name in ("small", "big", "back"))
        with open(small, "w", encoding="utf-8") as file:
            file.write("hello")
        with open(big, "wb") as file:
            # Beyond 8 MiB it uploads in parts.
            file.write(os.urandom(9 * 1024 * 1024))
        for key in ("x/a+b", "x/a%20b", "x/a b", "y/other"):
            aws("s3", "cp", small, f"s3://cli/{key}")
        aws("s3", "cp", big, "s3://cli/big")
        aws("s3", "cp", "s3://cli/big", back)
        with open(big, "rb") as sent, open(back, "rb") as got:
            assert sent.read() == got.read()
    head = aws("s3api", "head-object", "--bucket", "cli", "--key", "big")
    assert head["ETag"].endswith('-2"'), head
    code, _, complaint = run("s3api", "delete-object", "--bucket", "cli", "--key", "big", "--version-id", "other")
    assert code != 0, "another version is not deleted"
    # Of keys that a listing wrote wrongly others would go.
    aws("s3", "rm", "--recursive", "s3://cli/x/")
    left = aws("s3api", "list-objects-v2", "--bucket", "cli")["Contents"]
    assert [(one["Key"], one["StorageClass"]) for one in left] == [("big", "STANDARD"), ("y/other", "STANDARD")], left
    aws("s3", "rb", "--force", "s3://cli")


for part in (queues, fifo, errors, objects):
    part()
    print("ok", part.__name__, flush=True)
