"""The script that is typed at night: receive ten, then send one and delete one, until a receive comes back empty.

    classic.py SOURCE_URL DESTINATION_URL
"""

import sys

import boto3

sqs = boto3.client("sqs")
source, destination = sys.argv[1:]
while True:
    messages = sqs.receive_message(
        QueueUrl=source, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
    ).get("Messages", [])
    if not messages:
        break
    for message in messages:
        sqs.send_message(
            QueueUrl=destination,
            MessageBody=message["Body"],
            MessageAttributes=message.get("MessageAttributes", {}),
        )
        sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
