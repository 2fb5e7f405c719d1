// Microsoft's clients for JavaScript send, receive and settle against the fake whose URL is given, and are refused.
//
// The fake's clock stands; this moves it. Any surprise ends with a stack and exit code 1.
"use strict";

// Node 18 has it under this name only.
globalThis.crypto ??= require("node:crypto").webcrypto;

const assert = require("node:assert/strict");
const { EventGridPublisherClient, generateSharedAccessSignature, AzureKeyCredential, AzureSASCredential } = require("@azure/eventgrid");
const { EventGridSenderClient, EventGridReceiverClient } = require("@azure/eventgrid-namespaces");

const url = process.argv[2];
const key = new AzureKeyCredential("a2V5MTIzNDU2Nzg5MA==");
// A refusal is told at once, not after the client's own attempts. Anew for each client: they write into it.
const options = () => ({ allowInsecureConnection: true, retryOptions: { maxRetries: 0 } });

async function advance(seconds) {
  const answer = await fetch(`${url}/_/advance`, { method: "POST", body: JSON.stringify({ seconds }) });
  assert.equal(answer.status, 200);
}

async function refused(status, call) {
  await assert.rejects(call, (error) => {
    // The client for namespaces throws the answer's body, in which there is no status.
    const codes = { 400: "BadRequest", 401: "Unauthorized", 404: "NotFound", 413: "PayloadTooLarge" };
    const told = error.statusCode ?? error.error?.code ?? error.code;
    assert.ok(told === status || told === codes[status], `${status}, not ${JSON.stringify(error)}`);
    return true;
  });
}

const event = (id, data, more) => ({ id, source: "/s", type: "t", data, ...more });
const tokens = (received) => received.details.map((one) => one.brokerProperties.lockToken);
const counts = (received) =>
  Object.fromEntries(received.details.map((one) => [one.event.id, one.brokerProperties.deliveryCount]));

async function namespace() {
  const sender = new EventGridSenderClient(url, key, "t1", options());
  const receiver = new EventGridReceiverClient(url, key, "t1", "s1", options());
  await sender.sendEvents(event("1", { k: 1.5 }));
  const bytes = event("2", Uint8Array.from([0, 1]), { dataContentType: "application/octet-stream" });
  await sender.sendEvents([bytes, event("3", { text: "ü" })]);

  let received = await receiver.receiveEvents({ maxEvents: 10, maxWaitTime: 10 });
  assert.deepEqual(counts(received), { 1: 1, 2: 1, 3: 1 });
  assert.deepEqual(received.details[0].event.data, { k: 1.5 });
  // This version of the client leaves base64 as it is.
  assert.equal(received.details[1].event.data, "AAE=");
  assert.deepEqual(received.details[2].event.data, { text: "ü" });
  const [first, second, third] = tokens(received);
  assert.deepEqual((await receiver.acknowledgeEvents([first])).succeededLockTokens, [first]);
  assert.deepEqual((await receiver.releaseEvents([second])).succeededLockTokens, [second]);
  assert.deepEqual((await receiver.rejectEvents([third])).succeededLockTokens, [third]);

  received = await receiver.receiveEvents({ maxEvents: 10, maxWaitTime: 10 });
  assert.deepEqual(counts(received), { 2: 2 });
  let [token] = tokens(received);
  await advance(59);
  assert.deepEqual((await receiver.renewEventLocks([token])).succeededLockTokens, [token]);
  await advance(59);
  assert.deepEqual((await receiver.releaseEvents([token], { releaseDelay: 10 })).failedLockTokens, []);
  await advance(10);
  received = await receiver.receiveEvents({ maxEvents: 10, maxWaitTime: 10 });
  assert.deepEqual(counts(received), { 2: 3 });
  [token] = tokens(received);
  const result = await receiver.acknowledgeEvents([token, first, "none"]);
  assert.deepEqual(result.succeededLockTokens, [token]);
  const codes = result.failedLockTokens.map((failed) => [failed.lockToken, failed.error.code]);
  assert.deepEqual(codes, [[first, "TokenLost"], ["none", "BadToken"]]);
}

async function customTopics() {
  const [cloud, grid] = [`${url}/api/events`, `${url}/grid/api/events`];
  const events = [event("1", { k: 1 }), { ...event("2", Uint8Array.from([0])), datacontenttype: "application/octet-stream" }];
  await new EventGridPublisherClient(cloud, "CloudEvent", key, options()).send(events);
  const signature = (until) => generateSharedAccessSignature(cloud, key, new Date(until));
  const signed = new AzureSASCredential(await signature("2100-01-01"));
  await new EventGridPublisherClient(cloud, "CloudEvent", signed, options()).send([event("3", { k: 3 })]);
  const own = { id: "1", subject: "s", eventType: "t", eventTime: new Date(0), data: { k: 1 }, dataVersion: "1.0" };
  await new EventGridPublisherClient(grid, "EventGrid", key, options()).send([own, own]);

  const expired = new AzureSASCredential(await signature("2020-01-01"));
  const late = new EventGridPublisherClient(cloud, "CloudEvent", expired, options());
  await refused(401, () => late.send([event("x", { k: 1 })]));
  const wrong = new EventGridPublisherClient(grid, "CloudEvent", key, options());
  await refused(400, () => wrong.send([event("x", { k: 1 })]));
}

async function refusals() {
  const stranger = new EventGridSenderClient(url, new AzureKeyCredential("d3Jvbmc="), "t1", options());
  await refused(401, () => stranger.sendEvents(event("x", 1)));
  const lost = new EventGridSenderClient(url, key, "t9", options());
  await refused(404, () => lost.sendEvents(event("x", 1)));
  const sender = new EventGridSenderClient(url, key, "t1", options());
  await refused(413, () => sender.sendEvents(event("x", "x".repeat(1 << 20))));
  const receiver = new EventGridReceiverClient(url, key, "t1", "s1", options());
  await refused(400, () => receiver.receiveEvents({ maxEvents: 101 }));
  await refused(400, () => receiver.releaseEvents(["x"], { releaseDelay: 11 }));
}

namespace()
  .then(customTopics)
  .then(refusals)
  .then(() => console.log("node: all is as the clients expect it"))
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
