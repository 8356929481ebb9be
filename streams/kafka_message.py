"""A message of Kafka: an event, its key and its headers; and what becomes of bytes that are none.

Headers are UTF-8 text, so that any language reads them; `applied` alone is binary.

| header | value |
|---|---|
| schema, version | what decodes the payload (`domain.codec`) |
| content-type | `application/json` or `application/vnd.apache.arrow.stream` |
| source, sequence | who produced it, and its own count: the name of the message, whatever Kafka's offset |
| group, epoch | the group of stages and the owner that produced it; absent on what comes from outside |
| applied | references to inputs (`streams.references`), on effects topics alone |
| cause | what it came of, where that is known: `topic-partition@offset` or a name |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from domain.codec import Encoded, content_type, decode
from domain.errors import DataError, InputError, SchemaUnknown
from domain.events import FeedDegraded
from domain.topics import CONTROL, TOPIC_OF
from streams.messages import Arrived, Headers, Outgoing

RawHeaders = Sequence[tuple[str, bytes | None]]
"""As they travel: a name may come twice, a value may be absent."""

_NEEDED: Final = ("schema", "version", "source", "sequence")
DEAD_PREFIX: Final = "dead."
_LARGEST: Final = 2**63 - 1

Reason = Literal[
    "header missing",
    "header malformed",
    "schema unknown",
    "payload damaged",
    "payload missing",
    "key differs",
    "wrong topic",
    "clearance refused",
]


class Place(NamedTuple):
    """A partition of a topic. Equal to any other pair of the two."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was not, as it came."""

    reason: Reason
    error: str
    place: Place
    offset: int
    key: bytes | None
    payload: bytes | None
    headers: RawHeaders

    def forwarded(self, limit: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
        """Key, payload and headers as they go to the dead letters: the original ones, and `dead.*` that say why.

        Args:
            limit: Bytes of payload and original headers that still fit. A longer payload is cut, which
                `dead.payload_bytes` then shows; headers that do not fit are left out and counted in `dead.headers`.
        """
        payload = self.payload
        headers = list(self.headers)
        about = {
            "reason": self.reason,
            "error": self.error[:2_000],
            "topic": self.place.topic,
            "partition": str(self.place.partition),
            "offset": str(self.offset),
            "payload_bytes": str(len(payload or b"")),
            "headers": str(len(headers)),
        }
        kept: list[tuple[str, bytes | None]] = []
        for name, value in headers:
            size = len(name) + len(value or b"") + 16
            if size > limit // 8:
                continue
            limit -= size
            kept.append((name, value))
        if payload is not None and len(payload) > limit:
            payload = payload[:limit]
        return self.key, payload, [*kept, *((DEAD_PREFIX + name, text.encode()) for name, text in about.items())]


class Gap(NamedTuple):
    """Messages that were removed before they were read: retention was shorter than our absence."""

    place: Place
    expected: int
    found: int

    def event(self, ts: int) -> FeedDegraded:
        """As an event, stamped by the reader."""
        return FeedDegraded(
            ts_event=ts,
            ts_init=ts,
            underlying="",
            source=str(self.place),
            reason="messages expired before they were read",
            count=self.found - self.expected,
            example=f"offset {self.expected}",
        )


def pack(outgoing: Outgoing) -> list[tuple[str, bytes]]:
    """The headers of a message that leaves."""
    message, named = outgoing.message, outgoing.headers
    headers = [
        ("schema", message.schema.encode()),
        ("version", b"%d" % message.version),
        ("content-type", content_type(message.schema).encode()),
        ("source", named.source.encode()),
        ("sequence", b"%d" % named.sequence),
    ]
    if named.group:
        headers += [("group", named.group.encode()), ("epoch", b"%d" % named.epoch)]
    if named.applied:
        headers.append(("applied", named.applied))
    if named.cause:
        headers.append(("cause", named.cause.encode()))
    return headers


def unpack(
    place: Place, offset: int, key: bytes | None, payload: bytes | None, headers: RawHeaders
) -> Arrived | DeadLetter:
    """Read one message. Whatever the bytes are, one of the two comes back."""
    try:
        return _read(place, offset, key, payload, {name: value for name, value in headers if value is not None})
    except _Unreadable as error:
        return DeadLetter(
            reason=error.reason,
            error=str(error),
            place=place,
            offset=offset,
            key=key,
            payload=payload,
            headers=headers,
        )


class _Unreadable(Exception):  # ends in `unpack`
    def __init__(self, reason: Reason, error: str) -> None:
        super().__init__(error)
        self.reason = reason


def _read(place: Place, offset: int, key: bytes | None, payload: bytes | None, named: Mapping[str, bytes]) -> Arrived:
    if absent := [name for name in _NEEDED if name not in named]:
        raise _Unreadable("header missing", ", ".join(absent))
    if payload is None:
        raise _Unreadable("payload missing", "a deletion marker, or a producer that sends none")
    try:
        schema, version = named["schema"].decode(), _number(named["version"])
        found = Headers(
            source=named["source"].decode(),
            sequence=_number(named["sequence"]),
            group=named.get("group", b"").decode(),
            epoch=_number(named.get("epoch", b"-1")),
            applied=named.get("applied", b""),
            cause=named.get("cause", b"").decode(),
        )
        text = (key or b"").decode()
    except ValueError as error:  # UnicodeDecodeError is one
        raise _Unreadable("header malformed", str(error)) from error
    try:
        event = decode(schema, version, payload)
    except SchemaUnknown as error:
        raise _Unreadable("schema unknown", str(error)) from error
    except (DataError, InputError) as error:
        raise _Unreadable("payload damaged", str(error)) from error
    if event.underlying != text:
        raise _Unreadable("key differs", f"key {text!r}, underlying {event.underlying!r}")
    if not isinstance(event, CONTROL) and TOPIC_OF[type(event)].name != place.topic:
        raise _Unreadable("wrong topic", f"{schema} travels on {TOPIC_OF[type(event)].name}")
    return Arrived(place.topic, place.partition, offset, found, Encoded(schema, version, payload), event)


def _number(text: bytes) -> int:
    digits = text.removeprefix(b"-")
    if len(digits) > 19 or not digits.isdigit() or int(digits) > _LARGEST:
        raise ValueError(f"not a whole number of 64 bits: {text[:40]!r}")
    return int(text)
