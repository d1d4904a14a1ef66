"""AWS's client for Python against an endpoint: the round trip, FIFO, move tasks, every typed exception, STS, and S3.

    boto3_client.py ENDPOINT ACCESS_KEY SECRET_KEY IN_FLIGHT_LIMIT

Prints "ok NAME" for each part, and ends with another code than 0 at the first that does not hold. What botocore verifies
by itself (MD5s of bodies, the shapes of answers) it verifies here too. Before 1.29 it speaks the Query protocol.
"""

import base64
import io
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(service, access_key=sys.argv[2], secret_key=sys.argv[3], token=None):
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name="eu-west-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        # What the client would refuse by itself has to reach the server. It retries nothing, so that each answer is seen.
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


sqs = client("sqs")
# The older name, which the newer client knows too.
IS_QUERY = sqs.meta.service_model.metadata["protocol"] == "query"
SYSTEM_ATTRIBUTES = "AttributeNames" if IS_QUERY else "MessageSystemAttributeNames"


def queue(name, **attributes):
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def arn(url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(url, **more):
    asked = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 2, "MessageAttributeNames": ["All"]}
    asked[SYSTEM_ATTRIBUTES] = ["All"]
    return sqs.receive_message(QueueUrl=url, **{**asked, **more}).get("Messages", [])


def exception(name):
    # The older client has fewer types.
    return getattr(sqs.exceptions, name, ClientError) if IS_QUERY else getattr(sqs.exceptions, name)


def raises(name, code, call, /, *, status=400, **parameters):
    """The call is refused as this exception of the client, with this code and status."""
    try:
        call(**parameters)
    except exception(name) as error:
        found = error.response["Error"]
        assert found["Code"] == code, f"{name} has the code {found['Code']}, not {code}"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error.response
        assert found["Message"], error.response
        return
    raise AssertionError(f"{call.__name__} is not refused with {name}")


def round_trip():
    url = queue("round-trip", VisibilityTimeout="60")
    attributes = {
        "tenant": {"DataType": "String", "StringValue": "eu-ä"},
        "count": {"DataType": "Number.int", "StringValue": "3"},
        "picture": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff\x89PNG"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5-6"}}
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="ä 😀\t<&>", MessageAttributes=attributes, MessageSystemAttributes=trace
    )
    (message,) = receive(url)
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "ä 😀\t<&>"
    assert message["MessageAttributes"] == attributes, message["MessageAttributes"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["AWSTraceHeader"] == "Root=1-5-6"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = receive(url)
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert receive(url, WaitTimeSeconds=1) == []


def batches():
    url = queue("batches")
    entries = [{"Id": str(n), "MessageBody": f"body {n}"} for n in range(9)] + [{"Id": "bad", "MessageBody": "\x01"}]
    sent = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert len(sent["Successful"]) == 9
    (failed,) = sent["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidMessageContents", True)
    received = []
    while len(received) < 9:
        received += receive(url)
    handles = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(received)]
    changed = [{**handle, "VisibilityTimeout": 90} for handle in handles]
    assert len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=changed)["Successful"]) == 9
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=handles + [{"Id": "x", "ReceiptHandle": "x"}])
    assert len(deleted["Successful"]) == 9 and deleted["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"


def fifo():
    url = queue("fifo.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    first = sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g")
    assert sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g")["MessageId"] == first["MessageId"]
    sqs.send_message(QueueUrl=url, MessageBody="2", MessageGroupId="g")
    received = receive(url)
    assert [message["Body"] for message in received] == ["1", "2"]
    assert received[0]["Attributes"]["SequenceNumber"] == first["SequenceNumber"]


def queues():
    url = queue("queues", DelaySeconds="5")
    sqs.tag_queue(QueueUrl=url, Tags={"team": "payments", "env": "test"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["env"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "payments"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert shown["DelaySeconds"] == "0" and shown["QueueArn"].endswith(":queues")
    for number in range(5):
        queue(f"page-{number}")
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="page-", PaginationConfig={"PageSize": 2})
    assert len([url for page in pages for url in page["QueueUrls"]]) == 5
    # A queue is found by its account and name, whatever host its URL names.
    elsewhere = "https://sqs.eu-west-1.amazonaws.com/" + "/".join(url.split("/")[-2:])
    assert sqs.list_queue_tags(QueueUrl=elsewhere)["Tags"] == {"team": "payments"}
    sqs.purge_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)


def with_dead_letters(name, count):
    dlq = queue(f"{name}-dlq")
    url = queue(name, RedrivePolicy=f'{{"deadLetterTargetArn":"{arn(dlq)}","maxReceiveCount":"1"}}')
    for number in range(count):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    deadline = time.monotonic() + 60
    moved = 0
    while moved < count and time.monotonic() < deadline:
        receive(url, VisibilityTimeout=0, WaitTimeSeconds=1)
        shown = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["ApproximateNumberOfMessages"])
        moved = int(shown["Attributes"]["ApproximateNumberOfMessages"])
    assert moved == count, moved
    return url, dlq


def ended(source):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        task = sqs.list_message_move_tasks(SourceArn=source)["Results"][0]
        if task["Status"] not in ("RUNNING", "CANCELLING"):
            return task
        time.sleep(0.2)
    raise AssertionError("the task does not end")


def move_tasks():
    url, dlq = with_dead_letters("tasks", 12)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"] == [url]
    (dead, *_) = receive(dlq, VisibilityTimeout=0)
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == arn(url)
    source = arn(dlq)
    assert sqs.start_message_move_task(SourceArn=source)["TaskHandle"]
    task = ended(source)
    assert task["Status"] == "COMPLETED" and task["ApproximateNumberOfMessagesMoved"] == 12, task
    url, dlq = with_dead_letters("slow", 12)
    source = arn(dlq)
    handle = sqs.start_message_move_task(SourceArn=source, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    assert sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] < 12
    assert ended(source)["Status"] == "CANCELLED"


def typed_exceptions():
    url = queue("exceptions")
    fifo_url = queue("exceptions.fifo", FifoQueue="true")
    namespace = "AWS.SimpleQueueService"
    nowhere = url.replace("/exceptions", "/nowhere")
    entry = {"Id": "a", "MessageBody": "x"}
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = receive(url)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    # Received by somebody else, so that this handle is an older one, and given back.
    receive(url, VisibilityTimeout=0)

    raises("QueueDoesNotExist", f"{namespace}.NonExistentQueue", sqs.get_queue_url, QueueName="nowhere")
    for call, more in [
        (sqs.send_message, {"MessageBody": "x"}),
        (sqs.send_message_batch, {"Entries": [entry]}),
        (sqs.receive_message, {}),
        (sqs.delete_message, {"ReceiptHandle": "x"}),
        (sqs.change_message_visibility, {"ReceiptHandle": "x", "VisibilityTimeout": 0}),
        (sqs.get_queue_attributes, {}),
        (sqs.set_queue_attributes, {"Attributes": {}}),
        (sqs.purge_queue, {}),
        (sqs.delete_queue, {}),
        (sqs.list_queue_tags, {}),
        (sqs.list_dead_letter_source_queues, {}),
    ]:
        raises("QueueDoesNotExist", f"{namespace}.NonExistentQueue", call, QueueUrl=nowhere, **more)
    raises("QueueNameExists", "QueueAlreadyExists", queue, name="exceptions", DelaySeconds="9")
    raises("InvalidAttributeName", "InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["X"])
    raises("InvalidAttributeValue", "InvalidAttributeValue", queue, name="bad-value", DelaySeconds="901")
    raises("InvalidMessageContents", "InvalidMessageContents", sqs.send_message, QueueUrl=url, MessageBody="\x01")
    raises("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
    raises(
        "MessageNotInflight",
        f"{namespace}.MessageNotInflight",
        sqs.change_message_visibility,
        QueueUrl=url,
        ReceiptHandle=handle,
        VisibilityTimeout=5,
    )
    send_batch = sqs.send_message_batch
    for name, entries in [
        ("EmptyBatchRequest", []),
        ("TooManyEntriesInBatchRequest", [{"Id": str(n), "MessageBody": "x"} for n in range(11)]),
        ("BatchEntryIdsNotDistinct", [entry, entry]),
        ("InvalidBatchEntryId", [{"Id": "a b", "MessageBody": "x"}]),
        ("BatchRequestTooLong", [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)]),
    ]:
        raises(name, f"{namespace}.{name}", send_batch, QueueUrl=url, Entries=entries)
    sqs.purge_queue(QueueUrl=url)
    raises("PurgeQueueInProgress", f"{namespace}.PurgeQueueInProgress", sqs.purge_queue, status=403, QueueUrl=url)
    missing = arn(url).replace("exceptions", "nowhere")
    unknown = base64.b64encode(f'{{"taskId":"x","sourceArn":"{arn(url)}"}}'.encode()).decode()
    for call, more in [
        (sqs.start_message_move_task, {"SourceArn": missing}),
        (sqs.cancel_message_move_task, {"TaskHandle": unknown}),
    ]:
        raises("ResourceNotFoundException", "ResourceNotFoundException", call, status=404, **more)
    sqs.delete_queue(QueueUrl=fifo_url)
    raises(
        "QueueDeletedRecently",
        f"{namespace}.QueueDeletedRecently",
        queue,
        name="exceptions.fifo",
        FifoQueue="true",
    )
    # The server allows fewer messages in flight than it does otherwise.
    small = queue("small")
    sqs.send_message_batch(QueueUrl=small, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)])
    in_flight = 0
    while in_flight < int(sys.argv[4]):
        in_flight += len(receive(small))
    raises("OverLimit", "OverLimit", sqs.receive_message, status=403, QueueUrl=small)


def roles():
    sts = client("sts")
    assert sts.get_caller_identity()["Account"] == "000000000000"
    role = "arn:aws:iam::123456789012:role/mover"
    assumed = sts.assume_role(RoleArn=role, RoleSessionName="night", DurationSeconds=900)
    keys = assumed["Credentials"]
    session = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert client("sts", *session).get_caller_identity()["Arn"] == assumed["AssumedRoleUser"]["Arn"]
    client("sqs", *session).list_queues()


def refused(call, /, **parameters):
    """The code and status with which S3 refuses it."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("it is not refused")


def objects():
    s3 = client("s3")
    s3.create_bucket(Bucket="tour", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket="tour")["LocationConstraint"] == "eu-west-1"
    put = s3.put_object(Bucket="tour", Key="x/a+b", Body=b"hello", ContentType="text/plain", Metadata={"run": "r-1"})
    for key in ("x/a%20b", "x/a b", "x"):
        s3.put_object(Bucket="tour", Key=key, Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="tour", PaginationConfig={"PageSize": 2})
    listed = [one for page in pages for one in page["Contents"]]
    assert [one["Key"] for one in listed] == ["x", "x/a b", "x/a%20b", "x/a+b"]
    assert (listed[3]["ETag"], listed[3]["StorageClass"], listed[3]["Size"]) == (put["ETag"], "STANDARD", 5)
    prefixes = s3.list_objects(Bucket="tour", Delimiter="/")["CommonPrefixes"]
    assert [one["Prefix"] for one in prefixes] == ["x/"]
    got = s3.get_object(Bucket="tour", Key="x/a+b")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"hello", "text/plain", {"run": "r-1"})
    assert s3.get_object(Bucket="tour", Key="x")["ContentType"] == "binary/octet-stream"
    assert s3.get_object(Bucket="tour", Key="x/a+b", Range="bytes=1-2")["Body"].read() == b"el"
    assert refused(s3.get_object, Bucket="tour", Key="x/a+b", IfNoneMatch=put["ETag"]) == ("304", 304)
    assert refused(s3.get_object, Bucket="tour", Key="nothing") == ("NoSuchKey", 404)
    assert refused(s3.delete_object, Bucket="tour", Key="x", VersionId="other")[1] == 400
    settings = {"Bucket": "tour", "VersioningConfiguration": {"Status": "Enabled"}}
    assert refused(s3.put_bucket_versioning, **settings) == ("NotImplemented", 501)
    encryption = s3.get_bucket_encryption(Bucket="tour")["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"

    # Beyond 8 MiB it uploads in parts.
    big = bytes(range(256)) * (9 * 4096)
    s3.upload_fileobj(io.BytesIO(big), "tour", "big")
    fetched = io.BytesIO()
    s3.download_fileobj("tour", "big", fetched)
    assert fetched.getvalue() == big
    upload = {"Bucket": "tour", "Key": "parts", "UploadId": s3.create_multipart_upload(Bucket="tour", Key="parts")["UploadId"]}
    parts = []
    for number, body in enumerate((b"short", b"end"), 1):
        etag = s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    complete = s3.complete_multipart_upload
    for wrong, code in [
        (parts[::-1], "InvalidPartOrder"),
        (parts, "EntityTooSmall"),
        ([parts[0], {**parts[1], "ETag": parts[0]["ETag"]}], "InvalidPart"),
    ]:
        assert refused(complete, **upload, MultipartUpload={"Parts": wrong}) == (code, 400)
    complete(**upload, MultipartUpload={"Parts": parts[:1]})
    assert s3.get_object(Bucket="tour", Key="parts")["Body"].read() == b"short"

    signer = boto3.client(
        "s3",
        endpoint_url=sys.argv[1],
        region_name="eu-west-1",
        aws_access_key_id=sys.argv[2],
        aws_secret_access_key=sys.argv[3],
        config=Config(signature_version="s3v4"),
    )
    signer.create_bucket(Bucket="signed", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    signer.put_object(Bucket="signed", Key="a b+c", Body=b"hello")
    url = signer.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "a b+c"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"hello"
    try:
        urllib.request.urlopen(url[:-4] + "0000")
        raise AssertionError("a forged URL is not refused")
    except urllib.error.HTTPError as error:
        assert error.code == 403
    keys = [{"Key": one["Key"]} for one in s3.list_objects_v2(Bucket="tour")["Contents"]]
    assert len(s3.delete_objects(Bucket="tour", Delete={"Objects": keys})["Deleted"]) == 6
    s3.delete_bucket(Bucket="tour")


for part in (round_trip, batches, fifo, queues, move_tasks, typed_exceptions, roles, objects):
    part()
    print("ok", part.__name__, flush=True)
