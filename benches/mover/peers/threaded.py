"""What a careful script does: batches of ten, in several threads, and only what was sent is deleted.

    threaded.py SOURCE_URL DESTINATION_URL THREADS
"""

import sys
import threading

import boto3
from botocore.config import Config

source, destination, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
sqs = boto3.client("sqs", config=Config(max_pool_connections=threads))


def work():
    while True:
        messages = sqs.receive_message(
            QueueUrl=source, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        ).get("Messages", [])
        if not messages:
            return
        entries = [
            {
                "Id": str(number),
                "MessageBody": message["Body"],
                "MessageAttributes": message.get("MessageAttributes", {}),
            }
            for number, message in enumerate(messages)
        ]
        sent = sqs.send_message_batch(QueueUrl=destination, Entries=entries).get("Successful", [])
        deletes = [{"Id": entry["Id"], "ReceiptHandle": messages[int(entry["Id"])]["ReceiptHandle"]} for entry in sent]
        if deletes:
            sqs.delete_message_batch(QueueUrl=source, Entries=deletes)


workers = [threading.Thread(target=work) for _ in range(threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
