"""One table says where every event travels."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from domain import commands as c
from domain.codec import SCHEMAS
from domain.topics import BY_NAME, CONTROL, DEAD_LETTERS, MAX_MESSAGE_BYTES, TOPIC_OF, TOPICS, Topic


def test_every_schema_is_on_exactly_one_topic() -> None:
    carried = Counter(kind.__name__ for topic in TOPICS for kind in topic.carries)
    carried.update(kind.__name__ for kind in CONTROL)
    assert sorted(carried) == sorted(SCHEMAS)
    assert set(carried.values()) == {1}


def test_names_are_unique_and_legal() -> None:
    """Kafka: letters, digits, dot, underscore, hyphen, at most 249; a dot and an underscore must not collide."""
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(\.[a-z]+)+", name) and len(name) <= 249 for name in names)
    assert {topic.name: topic for topic in TOPICS} == BY_NAME


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_topic_says_what_it_is_for_and_how_long_it_stays(topic: Topic) -> None:
    assert topic.about
    assert topic.carries or topic is DEAD_LETTERS
    assert topic.retention_ms >= 3_600_000
    assert all(TOPIC_OF[kind] is topic for kind in topic.carries)


def test_nothing_uncleared_shares_a_topic_with_what_the_gate_let_through() -> None:
    """A gateway reads `orders.cleared` alone."""
    cleared = BY_NAME["orders.cleared"]
    assert {kind.__name__ for kind in cleared.carries} == {name for name in SCHEMAS if name.endswith("Cleared")}
    assert not any(issubclass(kind, c.Command) for kind in cleared.carries)


def test_every_operators_command_travels_on_its_own_topic() -> None:
    ops = {kind for kind in TOPIC_OF if issubclass(kind, c.OperatorCommand)}
    assert ops == set(BY_NAME["ops.commands"].carries)


def test_messages_may_hold_the_greeks_of_the_largest_chain() -> None:
    """16 columns of 8 bytes and two small ones for 20,000 contracts, and as much again."""
    assert MAX_MESSAGE_BYTES > 2 * 20_000 * (16 * 8 + 4 + 1)
