"""The deterministic runtime: journal in, events and digest out. Nothing here can reach a venue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple

import msgspec
import numpy as np

from domain.codec import canonical
from domain.errors import ReplayDiverged
from domain.events_base import Event
from domain.frames import Frame
from streams.digest import Digest
from streams.journal import Kind, Record
from streams.shard import Shard
from streams.topology import PINNED_SCHEMAS

_SHOWN: Final = 160
"""Characters of a value that the explanation of a difference shows: all settings are one value."""

Group = tuple[Record, list[Record]]
"""An input record and the records of what came of it."""


def grouped(records: Iterable[Record], start: int = 0) -> Iterator[Group]:
    """Inputs with their outputs, from the input at sequence number `start` on."""
    current: Group | None = None
    for record in records:
        if record.sequence < start:
            continue
        if record.kind is Kind.INPUT:
            if current is not None:
                yield current
            current = (record, [])
        elif current is not None:
            current[1].append(record)
    if current is not None:
        yield current


class Replayed(NamedTuple):
    """What a replay found."""

    digest: str
    journal_digest: str
    inputs: int
    outputs: int
    difference: str

    @property
    def is_equal(self) -> bool:
        """Whether the replay gave what the journal holds."""
        return self.digest == self.journal_digest and not self.difference


@dataclass(slots=True)
class Replay:
    """Runs the journal's inputs through a fresh shard and compares what comes out.

    `on_event` sees (is_input, source, event) of the replayed run.
    """

    shard: Shard
    on_event: Callable[[bool, str, Event], None] | None = None

    def run(self, groups: Iterable[Group]) -> Replayed:
        """Replay everything. Kernel results are recomputed, checked within tolerance, and taken from the journal.

        The last input of a killed run may lack outputs: they are not compared.
        """
        replayed, journaled = Digest(), Digest()
        inputs = outputs = 0
        difference = ""
        for record, records, is_last in _with_last(groups):
            event = record.event()
            expected = [output.event() for output in records]
            is_cut = is_last and record.message.schema != "RunEnded"
            pins = None if is_cut else [item for item in expected if type(item).__name__ in PINNED_SCHEMAS]
            try:
                found = self.shard.handle(record.source, record.offset, event, pins)
            except ReplayDiverged as error:
                return Replayed(
                    replayed.hex(), journaled.hex(), inputs, outputs, f"sequence {record.sequence}: {error}"
                )
            if self.on_event is not None:
                self.on_event(True, record.source, event)  # mirrors the columns of a journal
                for item in found:
                    self.on_event(False, record.source, item)
            if is_cut:
                expected = found
            if not difference:
                difference = first_difference(record.sequence, found, expected)
            replayed.update(event, found)
            journaled.update(event, expected)
            inputs += 1
            outputs += len(found)
        return Replayed(replayed.hex(), journaled.hex(), inputs, outputs, difference)


def first_difference(sequence: int, found: list[Event], expected: list[Event]) -> str:
    """Name the first event of two lists that differs and how, or give an empty string."""
    for position, (mine, theirs) in enumerate(zip_longest(found, expected)):
        if mine is None or theirs is None:
            lonely = mine if theirs is None else theirs
            side = "first" if theirs is None else "second"
            return f"sequence {sequence}, output {position}: {type(lonely).__name__} only in the {side}"
        if canonical(mine) != canonical(theirs):
            return f"sequence {sequence}, output {position}: {_explain(mine, theirs)}"
    return ""


def diff(left: Iterable[Record], right: Iterable[Record]) -> str:
    """The first event that differs between two journals, with its time and field, or an empty string."""
    for mine, theirs in zip_longest(left, right):
        if mine is None or theirs is None:
            lonely = mine if theirs is None else theirs
            side = "first" if theirs is None else "second"
            return f"sequence {lonely.sequence}: {lonely.message.schema} only in the {side} journal"
        same_place = (mine.kind, mine.source, mine.offset) == (theirs.kind, theirs.source, theirs.offset)
        if same_place and mine.message == theirs.message:
            continue
        if not same_place:
            return f"sequence {mine.sequence}: {_place(mine)} against {_place(theirs)}"
        first, second = mine.event(), theirs.event()
        if canonical(first) != canonical(second):
            return f"sequence {mine.sequence} ({mine.kind.name.lower()} of {mine.source}): {_explain(first, second)}"
    return ""


def _place(record: Record) -> str:
    event = record.event()
    return f"{record.kind.name.lower()} {record.source}@{record.offset} {record.message.schema} at {event.ts_event}"


def _explain(first: Event, second: Event) -> str:
    if type(first) is not type(second):
        return f"{type(first).__name__} at {first.ts_event} against {type(second).__name__} at {second.ts_event}"
    for name in first.__struct_fields__:
        if name in {"ts_init", "seal", "run"}:
            continue
        mine, theirs = getattr(first, name), getattr(second, name)
        if isinstance(mine, Frame):
            text = _explain_frame(mine, theirs)
            if text:
                return f"{type(first).__name__} at {first.ts_event}: {text}"
        elif msgspec.json.encode(mine) != msgspec.json.encode(theirs):
            shown, against = _apart(repr(mine), repr(theirs))
            return f"{type(first).__name__} at {first.ts_event}: {name} {shown} against {against}"
    return f"{type(first).__name__} at {first.ts_event}: equal but for its encoding"


def _apart(first: str, second: str) -> tuple[str, str]:
    """Two texts as they are, or where they are long, what stands around the first character that differs."""
    pairs = enumerate(zip(first, second, strict=False))
    at = next((place for place, (mine, theirs) in pairs if mine != theirs), min(len(first), len(second)))
    begin = max(at - _SHOWN // 2, 0)

    def around(text: str) -> str:
        if len(text) <= _SHOWN:
            return text
        return f"{'…' if begin else ''}{text[begin : begin + _SHOWN]}{'…' if begin + _SHOWN < len(text) else ''}"

    return around(first), around(second)


def _explain_frame(mine: Frame, theirs: Frame) -> str:
    if len(mine) != len(theirs):
        return f"{len(mine)} rows against {len(theirs)}"
    for name, column in mine.columns().items():
        other = getattr(theirs, name)
        is_nan = np.zeros(len(column), bool) if column.dtype.kind != "f" else np.isnan(column) & np.isnan(other)
        rows = np.flatnonzero((column != other) & ~is_nan)
        if len(rows):
            row = int(rows[0])
            return f"column {name}, row {row}: {column[row]!r} against {other[row]!r}"
    return ""


def _with_last(groups: Iterable[Group]) -> Iterator[tuple[Record, list[Record], bool]]:
    held: Group | None = None
    for group in groups:
        if held is not None:
            yield (*held, False)
        held = group
    if held is not None:
        yield (*held, True)
