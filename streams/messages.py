"""What travels between processes: an event with the headers that name it, as it arrived and as it leaves."""

from __future__ import annotations

from typing import NamedTuple

from domain.codec import Encoded
from domain.events_base import Event


class Headers(NamedTuple):
    """Who sent a message and which of his it is.

    Attributes:
        source: The producer: a feed, a venue, the operators, or a group's owner.
        sequence: The producer's own count in this topic; it grows, and names the message for ever.
        group: The group of stages that sent it; empty for what comes from outside.
        epoch: Of the owner who sent it; -1 for what comes from outside.
        applied: References to the inputs applied since the last message on this effects topic; empty elsewhere.
        cause: What it came of, for people who follow a trail: `topic-partition@offset` or a name; else empty.
    """

    source: str
    sequence: int
    group: str = ""
    epoch: int = -1
    applied: bytes = b""
    cause: str = ""


class Arrived(NamedTuple):
    """A message as read from a topic."""

    topic: str
    partition: int
    offset: int
    headers: Headers
    message: Encoded
    event: Event


class Outgoing(NamedTuple):
    """A message to be published. `partition` None lets the key decide."""

    topic: str
    partition: int | None
    key: str
    headers: Headers
    message: Encoded
