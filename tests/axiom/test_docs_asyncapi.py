"""The AsyncAPI document is what its specification asks for, and says what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema
import pyarrow as pa
import pytest

from axiom.docs_asyncapi import DEAD, HEADERS, document, render
from domain.codec import SCHEMAS, Encoded, content_type
from domain.topics import BY_NAME, CONTROL, TOPIC_OF, TOPICS
from streams.kafka_message import DeadLetter, Place, pack
from streams.messages import Headers, Outgoing

CHECKOUT: Final = Path(__file__).resolve().parents[2]
GOLDEN: Final = CHECKOUT / "tests" / "golden" / "events"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def validator(described: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """Of one schema of the document, whose references lead into the document."""
    return jsonschema.Draft202012Validator({**schema, "components": described["components"]})


def test_the_document_holds_to_the_published_schema_of_asyncapi(
    described: dict[str, Any], node_modules: Callable[[Path], Path]
) -> None:
    modules = node_modules(CHECKOUT / "tests" / "schemas")
    schema = json.loads((modules / "@asyncapi" / "specs" / "schemas" / "3.0.0.json").read_bytes())
    validate = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validate.iter_errors(described)] == []
    broken = described | {"channels": {"a": {"address": 7}}}
    assert not validate.is_valid(broken), "the check can fail"


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def walk(node: Any) -> None:  # noqa: ANN401  # any JSON
        if isinstance(node, dict):
            if isinstance(target := node.get("$ref"), str):
                found: Any = described
                for part in target.removeprefix("#/").split("/"):
                    found = found[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(described)


def test_the_file_is_the_document() -> None:
    assert (CHECKOUT / "docs" / "asyncapi.json").read_text(encoding="utf-8") == render()


def test_every_topic_and_every_event_is_in_it(described: dict[str, Any]) -> None:
    assert list(described["channels"]) == [topic.name for topic in TOPICS]
    for kind, topic in TOPIC_OF.items():
        assert kind.__name__ in described["channels"][topic.name]["messages"]
    for kind in CONTROL:
        assert kind.__name__ in described["channels"]["orders.cleared"]["messages"]
    assert set(described["components"]["messages"]) == set(SCHEMAS) | {"DeadLetter"}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_sample_of_every_event_is_as_described(described: dict[str, Any], name: str) -> None:
    message, schema = described["components"]["messages"][name], SCHEMAS[name]
    payload = (GOLDEN / f"{name}.v{schema.version}").read_bytes()
    assert message["contentType"] == content_type(name)
    if schema.frame is None:
        validator(described, message["payload"]).validate(json.loads(payload))
        return
    told = message["payload"]["x-arrow"]
    found = pa.ipc.open_stream(payload).schema
    assert [(field["name"], field["nullable"]) for field in told["fields"]] == [(f.name, f.nullable) for f in found]
    assert [pa.type_for_alias(field["type"]) for field in told["fields"]] == found.types
    for key, header in told["metadata"].items():
        validator(described, header).validate(json.loads((found.metadata or {})[key.encode()]))


@pytest.mark.parametrize("is_full", [False, True])
def test_the_headers_that_are_sent_are_as_described(described: dict[str, Any], is_full: bool) -> None:  # noqa: FBT001
    named = Headers("feed.a", 7, "quote", 12, b"\x00", "a-0@1") if is_full else Headers("feed.a", 7)
    sent = pack(Outgoing("market.nbbo", 0, "GOOG", named, Encoded("NbboUpdated", 1, b"")))
    values = {name: value.decode() for name, value in sent}
    validator(described, described["components"]["schemas"]["MessageHeaders"]).validate(values)
    if is_full:
        assert set(values) == set(HEADERS)


def test_the_headers_of_dead_letters_are_as_described() -> None:
    letter = DeadLetter(
        reason="payload damaged", error="", place=Place("a", 1), offset=2, key=b"", payload=b"", headers=[]
    )
    _, _, headers = letter.forwarded(1_000)
    assert {name.removeprefix("dead.") for name, _ in headers} == set(DEAD)


def test_settings_of_topics_are_those_that_are_declared(described: dict[str, Any]) -> None:
    for name, channel in described["channels"].items():
        told = channel["bindings"]["kafka"]["topicConfiguration"]
        assert told["retention.ms"] == BY_NAME[name].retention_ms
        assert told["cleanup.policy"] == ["compact" if BY_NAME[name].is_compacted else "delete"]
