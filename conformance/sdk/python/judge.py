"""The SDK for Python: writes the events that it is told to, and tells what it reads. One JSON object a line, in and out;
what each may be stands in conformance/sdk/README.md."""

import base64
import json
import sys
import urllib.error
import urllib.request
from datetime import datetime

from cloudevents.core.bindings import http, kafka
from cloudevents.core.v1.event import CloudEvent


def unpacked(text):
    return None if text is None else base64.b64decode(text)


def packed(data, kind=None):
    if data is None:
        return None
    if isinstance(data, str) and kind != "application/json":
        data = data.encode()
    if not isinstance(data, (bytes, bytearray)):
        data = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.b64encode(data).decode()


def extension(value):
    kind, text = value["Kind"], value["Value"]
    if kind == "flag":
        return text == "true"
    if kind == "count":
        return int(text)
    return text


def made(told):
    names = {"ID": "id", "Source": "source", "Type": "type", "Subject": "subject", "DataSchema": "dataschema"}
    attributes = {name: told[key] for key, name in names.items() if told.get(key)}
    attributes["specversion"] = "1.0"
    if told.get("Time"):
        attributes["time"] = datetime.fromisoformat(told["Time"])
    for name, value in told.get("Extensions", {}).items():
        attributes[name] = extension(value)
    data = unpacked(told.get("data_base64"))
    kind = told.get("DataContentType")
    if kind:
        attributes["datacontenttype"] = kind
    if data is not None and kind == "application/json":
        data = json.loads(data)
    elif data is not None and kind and (kind.startswith("text/") or kind.endswith("xml")):
        data = data.decode()
    return CloudEvent(attributes, data)


def seen(event):
    attributes = {}
    for name, value in event.get_attributes().items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, datetime):
            value = value.isoformat()
        attributes[name] = str(value)
    return {"attributes": attributes, "data_base64": packed(event.get_data(), event.get_datacontenttype())}


def post(to, headers, body):
    request = urllib.request.Request(to, data=body, headers=headers, method="POST")
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refused:
        raise ValueError(f"{refused.code} {refused.read()[:300]}") from refused


def send(asked):
    write = {"binary": http.to_binary_event, "structured": http.to_structured_event}[asked["Mode"]]
    status = 0
    for told in asked["Events"]:
        message = write(made(told))
        status = post(asked["To"], message.headers, message.body)
    return {"status": status}


def record(asked):
    write = {"binary": kafka.to_binary_event, "structured": kafka.to_structured_event}[asked["Mode"]]
    message = write(made(asked["Event"]))
    headers = [[name, packed(value)] for name, value in message.headers.items()]
    return {"headers": headers, "key": packed(message.key), "value": packed(message.value)}


def read_http(asked):
    headers = {pair["Name"]: unpacked(pair["Value"]).decode() for pair in asked["Headers"]}
    message = http.HTTPMessage(headers=headers, body=unpacked(asked["Value"]))
    return {"events": [seen(http.from_http_event(message))]}


def read_record(asked):
    headers = {pair["Name"]: unpacked(pair["Value"]) for pair in asked["Headers"]}
    message = kafka.KafkaMessage(headers=headers, key=unpacked(asked["Key"]), value=unpacked(asked["Value"]))
    return {"events": [seen(kafka.from_kafka_event(message))]}


VERBS = {"send": send, "record": record, "read-http": read_http, "read-record": read_record}

for line in sys.stdin:
    try:
        asked = json.loads(line)
        answer = VERBS[asked["Do"]](asked)
    except Exception as problem:  # whatever it is, the test judges it
        answer = {"error": f"{type(problem).__name__}: {problem}"}
    print(json.dumps(answer), flush=True)
