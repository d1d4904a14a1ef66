// AWS's SDKs for JavaScript against the sandbox: version 3, version 2, and sqs-consumer, which is made on version 3.
//
//     node javascript_clients.js INSTALLED ENDPOINT ACCESS_KEY SECRET_KEY
//
// Prints "ok NAME" for each part, and ends with another code than 0 at the first that does not hold.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { createRequire } = require("node:module");

const [installed, endpoint, accessKeyId, secretAccessKey] = process.argv.slice(2);
const installedRequire = createRequire(path.join(path.resolve(installed), "package.json"));
const { SQS } = installedRequire("@aws-sdk/client-sqs");
const { S3 } = installedRequire("@aws-sdk/client-s3");
const AWS = installedRequire("aws-sdk");
const { Consumer } = installedRequire("sqs-consumer");

const region = "eu-west-1";
const credentials = { accessKeyId, secretAccessKey };
const MIB = 1024 * 1024;

/** A call that is to be refused; gives the error. */
async function refused(call) {
  return call.then(
    () => assert.fail("it was not refused"),
    (error) => error,
  );
}

async function tour(sqs, name, codeOf) {
  const { QueueUrl: dlq } = await sqs.createQueue({ QueueName: `${name}-dlq` });
  const arn = (await sqs.getQueueAttributes({ QueueUrl: dlq, AttributeNames: ["QueueArn"] })).Attributes.QueueArn;
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 1 });
  const { QueueUrl } = await sqs.createQueue({ QueueName: name, Attributes: { RedrivePolicy } });

  const binary = Buffer.from([0, 255, 137, 80]);
  const MessageAttributes = {
    tenant: { DataType: "String", StringValue: "eu-ä" },
    picture: { DataType: "Binary.png", BinaryValue: binary },
  };
  const Entries = [..."abc"].map((Id) => ({ Id, MessageBody: `ä 😀 <&> ${Id}`, MessageAttributes }));
  const sent = await sqs.sendMessageBatch({ QueueUrl, Entries: [...Entries, { Id: "bad", MessageBody: "\u0001" }] });
  assert.equal(sent.Successful.length, 3);
  assert.deepEqual(sent.Failed.map(({ Id, SenderFault }) => [Id, SenderFault]), [["bad", true]]);

  const receive = { QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: ["All"] };
  const messages = [];
  while (messages.length < 3) messages.push(...((await sqs.receiveMessage(receive)).Messages ?? []));
  for (const message of messages) {
    assert.match(message.Body, /^ä 😀 <&> [abc]$/u);
    assert.deepEqual(Buffer.from(message.MessageAttributes.picture.BinaryValue), binary);
    assert.equal(message.MessageAttributes.tenant.StringValue, "eu-ä");
  }
  const [first, second, third] = messages.map(({ ReceiptHandle }) => ReceiptHandle);
  await sqs.deleteMessage({ QueueUrl, ReceiptHandle: first });
  const deleted = await sqs.deleteMessageBatch({ QueueUrl, Entries: [{ Id: "x", ReceiptHandle: second }] });
  assert.equal(deleted.Successful.length, 1);
  // Received once, it has had all its chances.
  await sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle: third, VisibilityTimeout: 0 });
  assert.deepEqual((await sqs.receiveMessage(receive)).Messages ?? [], []);
  const dead = await sqs.receiveMessage({ ...receive, QueueUrl: dlq });
  assert.equal(dead.Messages[0].Body, messages[2].Body);

  const fifo = await sqs.createQueue({ QueueName: `${name}.fifo`, Attributes: { FifoQueue: "true" } });
  for (const body of ["1", "2", "2"]) {
    const ids = { MessageGroupId: "g", MessageDeduplicationId: body };
    await sqs.sendMessage({ QueueUrl: fifo.QueueUrl, MessageBody: body, ...ids });
  }
  const ordered = await sqs.receiveMessage({ ...receive, QueueUrl: fifo.QueueUrl });
  assert.deepEqual(ordered.Messages.map(({ Body }) => Body), ["1", "2"]);

  const missing = await refused(sqs.getQueueUrl({ QueueName: "nowhere" }));
  assert.equal(codeOf(missing), "AWS.SimpleQueueService.NonExistentQueue");
  const bad = await refused(sqs.deleteMessage({ QueueUrl, ReceiptHandle: "x" }));
  assert.match(codeOf(bad), /ReceiptHandleIsInvalid/);
}

async function objects(s3, Bucket, textOf, codeOf) {
  await s3.createBucket({ Bucket });
  for (const Key of ["x/a+b", "x/a b", "x/a%20b", "x/ä"]) {
    await s3.putObject({ Bucket, Key, Body: Key, ContentType: "text/plain", Metadata: { run: "r-1" } });
  }
  const listed = await s3.listObjectsV2({ Bucket, Prefix: "x/" });
  assert.deepEqual(listed.Contents.map(({ Key }) => Key), ["x/a b", "x/a%20b", "x/a+b", "x/ä"]);
  const got = await s3.getObject({ Bucket, Key: "x/a+b" });
  assert.equal(await textOf(got.Body), "x/a+b");
  assert.deepEqual([got.ContentType, got.Metadata.run, got.ETag], ["text/plain", "r-1", listed.Contents[2].ETag]);

  const part = Buffer.alloc(5 * MIB, 1);
  const { UploadId } = await s3.createMultipartUpload({ Bucket, Key: "big" });
  const Parts = [];
  for (const [index, Body] of [part, Buffer.from("end")].entries()) {
    const PartNumber = index + 1;
    const { ETag } = await s3.uploadPart({ Bucket, Key: "big", UploadId, PartNumber, Body });
    Parts.push({ PartNumber, ETag });
  }
  const backwards = { Bucket, Key: "big", UploadId, MultipartUpload: { Parts: [...Parts].reverse() } };
  assert.equal(codeOf(await refused(s3.completeMultipartUpload(backwards))), "InvalidPartOrder");
  await s3.completeMultipartUpload({ Bucket, Key: "big", UploadId, MultipartUpload: { Parts } });
  assert.equal((await s3.headObject({ Bucket, Key: "big" })).ContentLength, 5 * MIB + 3);

  const Objects = [...listed.Contents.map(({ Key }) => ({ Key })), { Key: "big" }];
  const deleted = await s3.deleteObjects({ Bucket, Delete: { Objects } });
  assert.equal(deleted.Deleted.length, 5);
  assert.equal(codeOf(await refused(s3.getObject({ Bucket, Key: "x/ä" }))), "NoSuchKey");
  await s3.deleteBucket({ Bucket });
}

async function version3() {
  await tour(new SQS({ endpoint, region, credentials }), "v3", (error) => error.Code ?? error.name);
  const s3 = new S3({ endpoint, region, credentials, forcePathStyle: true });
  await objects(s3, "objects-v3", (body) => body.transformToString(), (error) => error.name);
}

async function version2() {
  process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
  // Its calls give a request, which becomes a promise only if it is told to.
  const promising = (client) =>
    new Proxy(client, { get: (_, name) => (parameters) => client[name](parameters).promise() });
  const options = { endpoint, region, credentials: new AWS.Credentials(credentials) };
  await tour(promising(new AWS.SQS(options)), "v2", (error) => error.code);
  const s3 = new AWS.S3({ ...options, s3ForcePathStyle: true, signatureVersion: "v4" });
  await objects(promising(s3), "objects-v2", (body) => body.toString(), (error) => error.code);
  // A URL that was signed beforehand, and a client that knows nothing of AWS.
  await s3.createBucket({ Bucket: "signed" }).promise();
  const url = (operation) => s3.getSignedUrl(operation, { Bucket: "signed", Key: "a b+c", Expires: 60 });
  assert.equal((await fetch(url("putObject"), { method: "PUT", body: "hello" })).status, 200);
  assert.equal(await (await fetch(url("getObject"))).text(), "hello");
  const forged = url("getObject").replace(/Signature=[0-9a-f]{8}/, "Signature=00000000");
  assert.equal((await fetch(forged)).status, 403);
}

async function consumer() {
  const sqs = new SQS({ endpoint, region, credentials });
  const { QueueUrl: queueUrl } = await sqs.createQueue({ QueueName: "consumed" });
  const bodies = ["one", "two", "three", "fails"];
  const Entries = bodies.map((MessageBody, index) => ({ Id: `${index}`, MessageBody }));
  await sqs.sendMessageBatch({ QueueUrl: queueUrl, Entries });
  const seen = [];
  let failures = 0;
  await new Promise((resolve, reject) => {
    const consumer = Consumer.create({
      queueUrl,
      sqs,
      waitTimeSeconds: 1,
      // What fails is given back at once, and comes again.
      terminateVisibilityTimeout: true,
      handleMessage: async (message) => {
        if (message.Body === "fails" && failures++ === 0) throw new Error("on purpose");
        seen.push(message.Body);
        return message;
      },
    });
    consumer.on("error", reject);
    consumer.on("processing_error", () => {});
    consumer.on("message_processed", () => seen.length === bodies.length && consumer.stop());
    consumer.on("stopped", resolve);
    consumer.start();
  });
  assert.deepEqual(seen.sort(), bodies.sort());
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
  let left;
  do {
    const { Attributes } = await sqs.getQueueAttributes({ QueueUrl: queueUrl, AttributeNames: names });
    left = names.reduce((sum, name) => sum + Number(Attributes[name]), 0);
    // The last delete may still be on its way when the consumer has stopped.
    if (left > 0) await new Promise((again) => setTimeout(again, 100));
  } while (left > 0);
}

(async () => {
  for (const part of [version3, version2, consumer]) {
    await part();
    console.log(`ok ${part.name}`);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
