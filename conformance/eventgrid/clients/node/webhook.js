// Microsoft's reader of events for JavaScript is the webhook that the fake whose URL is given delivers to.
//
// It makes the handshakes of both schemas and reads every delivery. Any surprise ends with a stack and exit code 1.
"use strict";

// Node 18 has it under this name only.
globalThis.crypto ??= require("node:crypto").webcrypto;

const assert = require("node:assert/strict");
const http = require("node:http");
const { EventGridDeserializer, EventGridPublisherClient, AzureKeyCredential, isSystemEvent } = require("@azure/eventgrid");

const url = process.argv[2];
const key = new AzureKeyCredential("a2V5MTIzNDU2Nzg5MA==");
const options = { allowInsecureConnection: true };
const reader = new EventGridDeserializer();
const seen = [];

async function read(request, body) {
  if (request.method === "OPTIONS") {
    return [200, "", { "WebHook-Allowed-Origin": request.headers["webhook-request-origin"] }];
  }
  if (request.url === "/grid") {
    const events = await reader.deserializeEventGridEvents(body);
    if (isSystemEvent("Microsoft.EventGrid.SubscriptionValidationEvent", events[0])) {
      return [200, JSON.stringify({ validationResponse: events[0].data.validationCode })];
    }
    seen.push(...events);
    return [200];
  }
  seen.push(...(await reader.deserializeCloudEvents(body)));
  return [204];
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const [status, body, headers] = await read(request, Buffer.concat(chunks).toString());
  response.writeHead(status, headers).end(body);
});

async function admin(method, path, body) {
  const answer = await fetch(`${url}/_/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer;
}

async function main() {
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const endpoint = `http://127.0.0.1:${server.address().port}`;
  await admin("PUT", "custom/grid/own", { endpoint: `${endpoint}/grid`, max_events_per_batch: 10 });
  await admin("PUT", "custom/grid/mapped", { endpoint, delivery_schema: "CloudEventSchemaV1_0" });
  await admin("PUT", "custom/default/hook", { endpoint, max_events_per_batch: 10 });
  // Nothing is due, so this returns when the handshakes have ended.
  await admin("POST", "advance", { seconds: 0 });
  for (const name of ["grid/own", "grid/mapped", "default/hook"]) {
    assert.equal((await (await admin("GET", `custom/${name}`)).json()).standing, "Active", name);
  }

  const own = { id: "1", subject: "s", eventType: "t", eventTime: new Date(0), data: { k: 1 }, dataVersion: "1.0" };
  await new EventGridPublisherClient(`${url}/grid/api/events`, "EventGrid", key, { ...options }).send([own]);
  const bytes = { id: "3", source: "/s", type: "t", data: Uint8Array.from([0, 1]), datacontenttype: "a/b" };
  const events = [{ id: "2", source: "/s", type: "t", data: { k: 2 }, extensionAttributes: { ext1: "x" } }, bytes];
  await new EventGridPublisherClient(`${url}/api/events`, "CloudEvent", key, { ...options }).send(events);
  await admin("POST", "advance", { seconds: 0 });

  const byId = (id) => seen.filter((event) => event.id === id);
  assert.equal(seen.length, 4);
  const [grid] = byId("1").filter((event) => event.eventType);
  assert.deepEqual([grid.subject, grid.eventType, grid.dataVersion, grid.data], ["s", "t", "1.0", { k: 1 }]);
  assert.deepEqual(grid.eventTime, new Date(0));
  const [mapped] = byId("1").filter((event) => event.type);
  assert.deepEqual([mapped.source, mapped.type, mapped.dataschema], [grid.topic, "t", "#1.0"]);
  assert.deepEqual(byId("2")[0].data, { k: 2 });
  assert.deepEqual(byId("2")[0].extensionAttributes, { ext1: "x" });
  assert.deepEqual([...byId("3")[0].data], [0, 1]);
}

main()
  .then(() => console.log("node: every delivery is as the reader expects it"))
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => {
    server.close();
    server.closeAllConnections();
  });
