"""How many single sends, receives and deletes a second an SQS server takes, whichever it is: for a comparison of servers.

    python3 servers.py http://127.0.0.1:9324 [MESSAGES [PID]]

Raw HTTP on four connections, each waiting for its answer; no SDK, which would be what is measured. Bodies have 1,024 bytes. With
the server's process ID (on Linux), also how many it takes in a second of its own processor time, whoever else is at work.
"""

import http.client
import json
import os
import sys
import threading
import time
import urllib.parse

CONNECTIONS = 4
BODY = "x" * 1024
server = urllib.parse.urlsplit(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
process = sys.argv[3] if len(sys.argv) > 3 else None


def used():
    """The seconds of processor time that the server has used, user's and system's."""
    with open(f"/proc/{process}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Client:
    def __init__(self):
        self.connection = http.client.HTTPConnection(server.hostname, server.port)

    def call(self, action, **members):
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{action}",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
        }
        self.connection.request("POST", "/", json.dumps(members), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text or "{}")


url = Client().call("CreateQueue", QueueName=f"speed-{time.time_ns()}")["QueueUrl"]
handles = []


def send(client, share):
    for _ in range(share):
        client.call("SendMessage", QueueUrl=url, MessageBody=BODY)


def receive(client, share):
    got = 0
    while got < share:
        found = client.call("ReceiveMessage", QueueUrl=url, VisibilityTimeout=3600, WaitTimeSeconds=1).get("Messages", [])
        handles.extend(message["ReceiptHandle"] for message in found)
        got += len(found)


def delete(client, share):
    for _ in range(share):
        client.call("DeleteMessage", QueueUrl=url, ReceiptHandle=handles.pop())


for phase in (send, receive, delete):
    share = count // CONNECTIONS
    threads = [threading.Thread(target=phase, args=(Client(), share)) for _ in range(CONNECTIONS)]
    begun, before = time.monotonic(), used() if process else 0.0
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made, took = share * CONNECTIONS, time.monotonic() - begun
    of_its_own = f", {made / max(used() - before, 0.01):,.0f} a second of processor time" if process else ""
    print(f"{phase.__name__}: {made / took:,.0f} a second{of_its_own}")
