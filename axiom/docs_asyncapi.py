"""docs/asyncapi.json: topics, messages, headers and payloads for programs, from the tables of topics and schemas.

AsyncAPI 3.0, https://www.asyncapi.com/docs/reference/specification/v3.0.0; Kafka bindings 0.5.0. A frame's payload is
an Arrow IPC stream, which JSON Schema cannot describe: `x-arrow` lists its columns, and the metadatum of its schema
that holds the scalar fields.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

import msgspec

from domain.codec import ARROW_TYPE, HEADER_KEY, JSON_TYPE, SCHEMAS
from domain.events_base import Event
from domain.topics import CONTROL, DEAD_LETTERS, TOPICS, Topic
from streams.groups import GROUPS
from streams.kafka_message import DEAD_PREFIX
from streams.kafka_topics import config_of

_BINDING: Final = "0.5.0"
_REF: Final = "#/components/schemas/{name}"
_EFFECTS: Final = frozenset(group.effects for group in GROUPS.values())
_FROM_PEOPLE: Final = frozenset({"ops.commands"})

HEADERS: Final[dict[str, tuple[str, str, bool]]] = {
    "schema": ("Event type; with `version` it says how to read the payload", r"^[A-Za-z]+$", True),
    "version": ("Version of the schema", r"^[0-9]+$", True),
    "content-type": (f"{JSON_TYPE} or {ARROW_TYPE}", r"^application/", True),
    "source": ("Who produced the message", r"^.+$", True),
    "sequence": ("The producer's own count in this topic: with `source` the name of the message", r"^-?[0-9]+$", True),
    "group": ("Group of stages that sent it; absent on what comes from outside", r"^[a-z]+$", False),
    "epoch": ("Of the owner who sent it: a lower one than seen before is void", r"^-?[0-9]+$", False),
    "applied": ("References to applied inputs, binary: for owners of partitions alone", "", False),
    "cause": ("What it came of, where that is known", r"^.+$", False),
}
"""Name: meaning, pattern of the text, whether it is always there. Checked against what is sent."""

DEAD: Final = {
    "reason": "Why nobody could read it",
    "error": "The reader's words",
    "topic": "Where it was",
    "partition": "Where it was",
    "offset": "Where it was",
    "payload_bytes": "Length of its payload before it was cut to fit",
    "headers": "How many headers it had",
}


def document() -> dict[str, Any]:
    """The whole document."""
    kinds = sorted({kind for topic in TOPICS for kind in _carried(topic)}, key=lambda kind: kind.__name__)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Axiom",
            "version": version("axiom-mm"),
            "description": "Topics of an options market maker. The key of every message is the underlying. Prices are"
            " integer units of 1/10,000 dollar, times are nanoseconds since the epoch, UTC. Generated from"
            " domain/topics.py and domain/codec.py by `python -m axiom.docs`; do not edit.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Apache Kafka 3.3 or later",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092", "description": "host:port of a broker"}},
            }
        },
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {
            f"{'receive' if topic.name in _FROM_PEOPLE else 'send'}.{topic.name}": _operation(topic) for topic in TOPICS
        },
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in kinds} | {"DeadLetter": _dead_letter()},
            "schemas": _schemas(kinds),
        },
    }


def render() -> str:
    """The document as it is written."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


def _carried(topic: Topic) -> tuple[type[Event], ...]:
    return topic.carries + (CONTROL if topic.name in _EFFECTS else ())


def _channel(topic: Topic) -> dict[str, Any]:
    names = [kind.__name__ for kind in _carried(topic)] or ["DeadLetter"]
    config = config_of(topic)
    return {
        "address": topic.name,
        "description": f"{topic.about}.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {
                    "cleanup.policy": [config["cleanup.policy"]],
                    "retention.ms": int(config["retention.ms"]),
                    "max.message.bytes": int(config["max.message.bytes"]),
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    return {
        "action": "receive" if topic.name in _FROM_PEOPLE else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"{topic.about}.",
    }


def _message(kind: type[Event]) -> dict[str, Any]:
    schema = SCHEMAS[kind.__name__]
    summary = " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
    payload: dict[str, Any] = {"$ref": _REF.format(name=kind.__name__)}
    if schema.frame is not None:
        payload = {
            "type": "string",
            "format": "binary",
            "description": "Arrow IPC stream of one record batch.",
            "x-arrow": {
                "metadata": {HEADER_KEY.decode(): {"$ref": _REF.format(name=schema.header.__name__)}},
                "fields": [
                    {"name": name, "type": dtype.name, "nullable": False} for name, dtype in schema.frame.dtypes.items()
                ],
            },
        }
    return {
        "name": kind.__name__,
        "title": f"{kind.__name__} v{schema.version}",
        "summary": summary,
        "contentType": JSON_TYPE if schema.frame is None else ARROW_TYPE,
        "headers": {"$ref": _REF.format(name="MessageHeaders")},
        "payload": payload,
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": _BINDING}},
    }


_KEY: Final = {"type": "string", "description": "The underlying; empty for the whole firm."}


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "DeadLetter",
        "title": "DeadLetter",
        "summary": f"{DEAD_LETTERS.about}.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": _REF.format(name="DeadLetterHeaders")},
        "payload": {"type": "string", "format": "binary", "description": "The bytes as they came."},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": _BINDING}},
    }


def _schemas(kinds: list[type[Event]]) -> dict[str, Any]:
    """JSON Schemas of small events, of the scalar fields of frames, and of headers."""
    described = [SCHEMAS[kind.__name__].header for kind in kinds]
    _, components = msgspec.json.schema_components(described, ref_template=_REF)
    text = {"type": "string", "description": "UTF-8 text."}
    own: dict[str, Any] = {
        "MessageHeaders": {
            "type": "object",
            "properties": {
                name: {**text, "description": about, **({"pattern": pattern} if pattern else {"format": "binary"})}
                for name, (about, pattern, _) in HEADERS.items()
            },
            "required": [name for name, (_, _, is_needed) in HEADERS.items() if is_needed],
        },
        "DeadLetterHeaders": {
            "type": "object",
            "description": "Those that the message came with, and why it is here.",
            "properties": {DEAD_PREFIX + name: {**text, "description": about} for name, about in DEAD.items()},
            "required": [DEAD_PREFIX + name for name in DEAD],
        },
    }
    return dict(sorted((components | own).items()))
