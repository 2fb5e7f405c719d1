// The SDK for JavaScript: writes the events that it is told to, and tells what it reads. One JSON object a line, in and
// out; what each may be stands in conformance/sdk/README.md.
"use strict";
const http = require("node:http");
const readline = require("node:readline");
const { CloudEvent, HTTP, Kafka, Mode, emitterFor } = require("cloudevents");

const unpacked = (text) => (text === null || text === undefined ? undefined : Buffer.from(text, "base64"));

function packed(data, kind) {
  if (data === null || data === undefined) return null;
  if (Buffer.isBuffer(data)) return data.toString("base64");
  if (ArrayBuffer.isView(data)) return Buffer.from(Array.from(data)).toString("base64");
  return Buffer.from(typeof data === "string" && kind !== "application/json" ? data : JSON.stringify(data)).toString("base64");
}

function extension({ Kind, Value }) {
  if (Kind === "flag") return Value === "true";
  if (Kind === "count") return Number(Value);
  return Value;
}

function made(told) {
  const data = unpacked(told.data_base64);
  const kind = told.DataContentType || undefined;
  const of = { id: told.ID, source: told.Source, type: told.Type, datacontenttype: kind };
  if (told.Subject) of.subject = told.Subject;
  if (told.Time) of.time = told.Time;
  if (told.DataSchema) of.dataschema = told.DataSchema;
  for (const [name, value] of Object.entries(told.Extensions || {})) of[name] = extension(value);
  if (data !== undefined) {
    if (kind === "application/json") of.data = JSON.parse(data.toString());
    else if (kind && (kind.startsWith("text/") || kind.endsWith("xml"))) of.data = data.toString();
    else of.data = new Uint8Array(data);
  }
  return new CloudEvent(of);
}

function seen(event) {
  const attributes = {};
  for (const [name, value] of Object.entries(event)) {
    if (value !== undefined && name !== "data" && name !== "data_base64") attributes[name] = String(value);
  }
  if (event.time) attributes.time = event.time;
  return { attributes, data_base64: packed(event.data, event.datacontenttype) };
}

const post = (to) => ({ headers, body }) =>
  new Promise((resolve, reject) => {
    const request = http.request(to, { method: "POST", headers }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        if (answer.statusCode >= 300) reject(new Error(`${answer.statusCode} ${Buffer.concat(parts)}`));
        else resolve(answer.statusCode);
      });
    });
    request.on("error", reject);
    request.end(body);
  });

async function send(asked) {
  const mode = { binary: Mode.BINARY, structured: Mode.STRUCTURED }[asked.Mode];
  const emit = emitterFor(post(asked.To), { binding: HTTP, mode });
  let status = 0;
  for (const told of asked.Events) status = await emit(made(told));
  return { status };
}

function record(asked) {
  const message = Kafka[asked.Mode](made(asked.Event));
  // As kafkajs takes them: texts and bytes, and nothing for what is undefined.
  const headers = Object.entries(message.headers).filter(([, value]) => value !== undefined);
  return {
    headers: headers.map(([name, value]) => [name, packed(typeof value === "string" ? value : String(value))]),
    key: packed(message.key),
    value: packed(message.value),
  };
}

function read(binding, message) {
  const events = binding.toEvent(message);
  return { events: (Array.isArray(events) ? events : [events]).map(seen) };
}

function readHttp(asked) {
  const headers = Object.fromEntries(asked.Headers.map(({ Name, Value }) => [Name, unpacked(Value).toString()]));
  // As a server that reads text: binary data has no business in a string.
  const kind = headers["content-type"] || "";
  const body = unpacked(asked.Value);
  return read(HTTP, { headers, body: kind.startsWith("application/octet-stream") ? body : body.toString() });
}

function readRecord(asked) {
  const headers = Object.fromEntries(asked.Headers.map(({ Name, Value }) => [Name, unpacked(Value).toString()]));
  const key = unpacked(asked.Key);
  return read(Kafka, { headers, key: key && key.toString(), value: unpacked(asked.Value) });
}

const verbs = { send, record, "read-http": readHttp, "read-record": readRecord };

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const asked = JSON.parse(line);
      answer = await verbs[asked.Do](asked);
    } catch (problem) {
      answer = { error: `${problem.name}: ${problem.message}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
})();
