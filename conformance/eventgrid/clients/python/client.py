"""Microsoft's client for Python sends, receives and settles against the fake whose URL is given, and is refused.

The fake's clock stands; this moves it. Any surprise ends with a traceback and exit code 1.
"""

import datetime
import json
import sys
import urllib.request

from azure.core.credentials import AccessToken, AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridConsumerClient, EventGridEvent, EventGridPublisherClient, generate_sas

URL = sys.argv[1]
KEY = AzureKeyCredential("a2V5MTIzNDU2Nzg5MA==")
# A refusal is told at once, not after the client's own attempts.
ONCE = {"retry_total": 0}


class Token:
    """A credential whose token the fake takes as it is."""

    def get_token(self, *scopes, **_):
        assert scopes == ("https://eventgrid.azure.net/.default",), scopes
        return AccessToken("eyJ.fake.token", 4102444800)


def advance(seconds):
    body = json.dumps({"seconds": seconds}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{URL}/_/advance", data=body, method="POST")).read()


def refused(error, status, call):
    try:
        call()
    except error as refusal:
        assert refusal.status_code == status or refusal.__cause__.status_code == status, refusal
    else:
        raise AssertionError(f"the fake should have refused with {status}")


def event(number, data):
    return CloudEvent(id=number, source="/s", type="t", data=data, extensions={"ext1": "x"})


def tokens(received):
    return [one.broker_properties.lock_token for one in received]


def counts(received):
    return {one.event.id: one.broker_properties.delivery_count for one in received}


def namespace():
    publisher = EventGridPublisherClient(URL, KEY, namespace_topic="t1", **ONCE)
    consumer = EventGridConsumerClient(URL, KEY, namespace_topic="t1", subscription="s1", **ONCE)
    publisher.send(event("1", {"k": 1.5}))
    publisher.send([event("2", b"\x00\x01"), event("3", "text")])

    received = consumer.receive(max_events=10, max_wait_time=10)
    assert counts(received) == {"1": 1, "2": 1, "3": 1}, received
    assert [one.event.data for one in received] == [{"k": 1.5}, b"\x00\x01", "text"], received
    assert all(one.event.extensions == {"ext1": "x"} for one in received), received
    first, second, third = tokens(received)
    assert consumer.acknowledge(lock_tokens=[first]).succeeded_lock_tokens == [first]
    assert consumer.release(lock_tokens=[second]).succeeded_lock_tokens == [second]
    assert consumer.reject(lock_tokens=[third]).succeeded_lock_tokens == [third]

    received = consumer.receive(max_events=10, max_wait_time=10)
    assert counts(received) == {"2": 2}, received
    (token,) = tokens(received)
    advance(59)
    assert consumer.renew_locks(lock_tokens=[token]).succeeded_lock_tokens == [token]
    advance(59)
    assert consumer.release(lock_tokens=[token], release_delay=10).failed_lock_tokens == []
    advance(10)
    received = consumer.receive(max_events=10, max_wait_time=10)
    assert counts(received) == {"2": 3}, received
    (token,) = tokens(received)
    result = consumer.acknowledge(lock_tokens=[token, first, "none"])
    assert result.succeeded_lock_tokens == [token], result
    codes = {failed.lock_token: failed.error.code for failed in result.failed_lock_tokens}
    assert codes == {first: "TokenLost", "none": "BadToken"}, result

    publisher.send(event("4", 4))
    (one,) = consumer.receive()
    advance(60)
    failed = consumer.acknowledge(lock_tokens=tokens([one])).failed_lock_tokens
    assert [token.error.code for token in failed] == ["TokenLost"], failed
    (again,) = consumer.receive()
    assert again.broker_properties.delivery_count == 2, again
    assert consumer.acknowledge(lock_tokens=tokens([again])).failed_lock_tokens == []


def bearer():
    publisher = EventGridPublisherClient(URL, Token(), namespace_topic="t1", **ONCE)
    consumer = EventGridConsumerClient(URL, Token(), namespace_topic="t1", subscription="s1", **ONCE)
    publisher.send(event("5", 5), enforce_https=False)
    (one,) = consumer.receive(enforce_https=False)
    assert consumer.acknowledge(lock_tokens=tokens([one]), enforce_https=False).failed_lock_tokens == []


def custom_topics():
    cloud, grid = f"{URL}/api/events", f"{URL}/grid/api/events"
    EventGridPublisherClient(cloud, KEY).send([event("1", 1), event("2", b"\x00")])
    later = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
    signature = AzureSasCredential(generate_sas(cloud, KEY.key, later))
    EventGridPublisherClient(cloud, signature).send(event("3", 3))
    EventGridPublisherClient(cloud, Token()).send(event("4", 4), enforce_https=False)
    own = EventGridEvent(subject="s", event_type="t", data={"k": 1}, data_version="1.0")
    EventGridPublisherClient(grid, KEY).send([own, own])

    expired = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    signature = AzureSasCredential(generate_sas(cloud, KEY.key, expired))
    refused(ClientAuthenticationError, 401, lambda: EventGridPublisherClient(cloud, signature).send(event("x", 1)))
    refused(HttpResponseError, 400, lambda: EventGridPublisherClient(grid, KEY).send(event("x", 1)))
    refused(HttpResponseError, 415, lambda: EventGridPublisherClient(cloud, KEY).send(own))


def refusals():
    wrong = AzureKeyCredential("d3Jvbmc=")
    publisher = EventGridPublisherClient(URL, wrong, namespace_topic="t1", **ONCE)
    refused(ClientAuthenticationError, 401, lambda: publisher.send(event("x", 1)))
    publisher = EventGridPublisherClient(URL, KEY, namespace_topic="t9", **ONCE)
    refused(ResourceNotFoundError, 404, lambda: publisher.send(event("x", 1)))
    publisher = EventGridPublisherClient(URL, KEY, namespace_topic="t1", **ONCE)
    refused(HttpResponseError, 413, lambda: publisher.send(event("x", "x" * (1 << 20))))
    refused(HttpResponseError, 400, lambda: publisher.send([event("x", 1)] * 1001))
    consumer = EventGridConsumerClient(URL, KEY, namespace_topic="t1", subscription="s1", **ONCE)
    refused(HttpResponseError, 400, lambda: consumer.receive(max_events=101))
    refused(HttpResponseError, 400, lambda: consumer.release(lock_tokens=["x"], release_delay=11))


namespace()
bearer()
custom_topics()
refusals()
print("python: all is as the client expects it")
