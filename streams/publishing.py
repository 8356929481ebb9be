"""What a feed publishes of recorded and synthetic days: every event in order, named so that it can come twice.

The events of a day are those that the embedded run applies from outside: the run and its settings, the recording,
positions before the open, a timer each second of event time while the session is open, the end. They are numbered
densely under the name of the recording. Reading a day twice gives the same events under the same numbers, so a feed
that was killed goes on where it was, and what it publishes again is recognised.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from domain.events import PositionsImported, RunEnded, RunStarted, SessionChanged
from domain.events_base import Event
from streams.recorded import FeedItem, Recording
from streams.timers import Timers

SECOND_NS: Final = 1_000_000_000


class Day(NamedTuple):
    """One day of one underlying, and what comes with it.

    Attributes:
        started: The run; its time is set to that of the first event.
        recording: The market.
        imported: Positions before the open.
    """

    started: RunStarted
    recording: Recording
    imported: Sequence[PositionsImported]


class Published(NamedTuple):
    """Something to publish, and when: ns of event time since the open of its own session."""

    since_open: int
    item: FeedItem


def published(day: Day) -> Iterator[Published]:
    """Everything that is published of a day, in order of time; timers come after the market of the same instant."""
    for number, event in enumerate(_events(day)):
        yield Published(event.ts_event - day.recording.open_ns, FeedItem(day.recording.name, number, event))


def merged(days: Sequence[Day]) -> Iterator[Published]:
    """Several days side by side, whatever their dates: by the time since the open, then in the order of `days`."""
    return heapq.merge(*(published(day) for day in days), key=lambda each: each.since_open)


def _events(day: Day) -> Iterator[Event]:
    recording = day.recording
    timers = Timers("1s", SECOND_NS, recording.underlying)
    now = 0
    for item in recording.items():
        event = item.event
        while timers.due is not None and timers.due < event.ts_event:
            yield timers.fire()
        if not now:
            yield msgspec.structs.replace(day.started, ts_event=event.ts_event, ts_init=event.ts_event)
        now = event.ts_event
        yield event
        if not isinstance(event, SessionChanged):
            continue
        if event.state == "pre_open":
            for statement in day.imported:
                yield msgspec.structs.replace(statement, ts_event=event.ts_event, ts_init=event.ts_init)
        elif event.state == "open":
            timers.start(event.ts_event)
        elif event.state == "closed":
            timers.stop()
    yield RunEnded(ts_event=now, ts_init=now, underlying=recording.underlying, reason="end of feed")
