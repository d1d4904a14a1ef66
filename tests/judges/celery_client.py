"""Celery with SQS as its broker: a worker that is sent tasks, and one that fails and comes again.

    celery_client.py ENDPOINT ACCESS_KEY SECRET_KEY

Prints "ok NAME" for each part, and ends with another code than 0 at the first that does not hold.
"""

import sys
import threading
import urllib.parse

import boto3
from celery import Celery
from celery.contrib.testing.worker import start_worker

endpoint = urllib.parse.urlsplit(sys.argv[1])
quoted = [urllib.parse.quote(part, safe="") for part in sys.argv[2:4]]
app = Celery("tour", broker=f"sqs://{quoted[0]}:{quoted[1]}@{endpoint.netloc}", set_as_current=True)
app.conf.update(
    broker_transport_options={"region": "eu-west-1", "is_secure": False, "wait_time_seconds": 1, "polling_interval": 0.1},
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_default_queue="celery-tour",
    worker_enable_remote_control=False,
)
COUNT = 20
seen = []
done = threading.Event()


@app.task(bind=True, max_retries=3)
def note(self, number, text):
    if number == 7 and self.request.retries == 0:
        raise self.retry(countdown=0)
    seen.append((number, text))
    if len(seen) == COUNT:
        done.set()


def tasks():
    for number in range(COUNT):
        note.delay(number, "ä <&>")
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=60):
        assert done.wait(120), seen
    assert sorted(seen) == [(number, "ä <&>") for number in range(COUNT)]


def acknowledged():
    sqs = boto3.client(
        "sqs",
        endpoint_url=sys.argv[1],
        region_name="eu-west-1",
        aws_access_key_id=sys.argv[2],
        aws_secret_access_key=sys.argv[3],
    )
    url = sqs.get_queue_url(QueueName="celery-tour")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert set(shown.values()) == {"0"}, shown


for part in (tasks, acknowledged):
    part()
    print("ok", part.__name__, flush=True)
