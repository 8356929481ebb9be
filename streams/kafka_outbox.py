"""What waits for the broker: in order, bounded, and a newer quote takes the place of an older one.

A lane is one partition of one topic. Messages leave it in the order in which they came, a batch at a time. While the
broker is slow or gone, an event of a kind in `SUPERSEDING` takes the place of the one of its underlying that still
waits; the quotes of contracts are merged, so that a contract whose quote is in the older message alone keeps it. So
memory holds one of them for each kind and underlying at most; the others are bounded by whoever fills the lane.
"""

from __future__ import annotations

from asyncio import Event as Signal
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from domain.codec import decode, encode
from domain.events import (
    ExposureChanged,
    ForwardImplied,
    GreeksComputed,
    NbboUpdated,
    PnlMarked,
    SurfaceFitted,
    UnderlyingUpdated,
)
from domain.frames import NbboFrame
from streams.kafka_message import Place, pack
from streams.messages import Outgoing

SUPERSEDING: Final = frozenset(
    kind.__name__
    for kind in (
        UnderlyingUpdated,
        NbboUpdated,
        ForwardImplied,
        SurfaceFitted,
        GreeksComputed,
        ExposureChanged,
        PnlMarked,
    )
)
"""A newer one says all that an older one of the same underlying said. Not so prints, orders, fills and commands."""

_OVERHEAD: Final = 256
"""Bytes that a message takes beside its payload and headers, in memory and in a batch: more than either needs."""


@dataclass(slots=True, kw_only=True)
class Waiting:
    """One message that has not been acknowledged.

    Attributes:
        outgoing: The message; None for a dead letter, which is bytes alone.
        queued_ns: Since when it waits, by the monotonic clock.
        done: Is given the offset, where somebody waits for it.
    """

    key: bytes | None
    payload: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    queued_ns: int
    outgoing: Outgoing | None = None
    done: Future[int] | None = None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.payload or b"") + sum(len(n) + len(v or b"") for n, v in self.headers) + _OVERHEAD

    @property
    def supersedes(self) -> tuple[str, str] | None:
        """Schema and underlying of those whose place it takes; None where each one counts."""
        if self.outgoing is None or self.done is not None or self.outgoing.headers.applied:
            return None  # what names inputs is a log: a hole in it could not be repaired
        schema = self.outgoing.message.schema
        return (schema, self.outgoing.key) if schema in SUPERSEDING else None


def waiting(outgoing: Outgoing, now_ns: int, done: Future[int] | None = None) -> Waiting:
    """A message as its lane holds it."""
    return Waiting(
        key=outgoing.key.encode(),
        payload=outgoing.message.payload,
        headers=pack(outgoing),
        queued_ns=now_ns,
        outgoing=outgoing,
        done=done,
    )


@dataclass(slots=True)
class Lane:
    """The messages of one partition that wait, oldest first."""

    place: Place
    wake: Signal = field(default_factory=Signal)
    in_flight: int = 0
    _waiting: dict[int, Waiting] = field(default_factory=dict)
    _newest: dict[tuple[str, str], int] = field(default_factory=dict)
    _next: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is on its way."""
        return not self._waiting and not self.in_flight

    def put(self, message: Waiting) -> tuple[int, bool]:
        """Add a message; an older one of its kind that still waits makes way.

        Returns:
            By how many bytes the lane grew, and whether one made way.
        """
        grown, kind = 0, message.supersedes
        older = None
        if kind is not None:
            older = self._waiting.pop(self._newest.get(kind, -1), None)
            if older is not None:
                grown -= older.size
                message = merged(older, message)
            self._newest[kind] = self._next
        self._waiting[self._next] = message
        self._next += 1
        self.wake.set()
        return grown + message.size, older is not None

    def take(self, limit: int) -> list[Waiting]:
        """Take the oldest messages, up to so many bytes, but at least one. They are in flight until `settle`."""
        taken: list[Waiting] = []
        total = 0
        while self._waiting:
            oldest = next(iter(self._waiting))
            total += self._waiting[oldest].size
            if taken and total > limit:
                break
            taken.append(self._waiting.pop(oldest))
        self.in_flight = len(taken)
        if not self._waiting:
            self.wake.clear()
        return taken

    def take_all(self) -> list[Waiting]:
        """Take everything that waits: it will not be sent."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        self.wake.clear()
        return taken

    def settle(self) -> None:
        """What was taken has been acknowledged."""
        self.in_flight = 0


def merged(older: Waiting, newer: Waiting) -> Waiting:
    """The newer message; quotes of contracts that only the older one has are added to it."""
    if older.outgoing is None or newer.outgoing is None or newer.outgoing.message.schema != NbboUpdated.__name__:
        return newer
    before, after = decode(*older.outgoing.message), decode(*newer.outgoing.message)
    if not isinstance(before, NbboUpdated) or not isinstance(after, NbboUpdated):
        return newer
    event = msgspec.structs.replace(after, frame=latest_quotes(before.frame, after.frame))
    return waiting(newer.outgoing._replace(message=encode(event)), older.queued_ns)


def latest_quotes(older: NbboFrame, newer: NbboFrame) -> NbboFrame:
    """The last quote of each contract in either frame, ordered by contract."""
    contract = np.concatenate([older.contract, newer.contract])
    _, from_end = np.unique(contract[::-1], return_index=True)
    last = len(contract) - 1 - from_end
    theirs = newer.columns()
    return NbboFrame.from_columns(
        {name: np.concatenate([mine, theirs[name]])[last] for name, mine in older.columns().items()}
    )
