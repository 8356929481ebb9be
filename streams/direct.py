"""The venues in this process, and the outlet in front of them.

The outlet is the only way out: it verifies the seal of every clearance and refuses what the gate did not issue. A venue
sees a message one latency after it was sent, and its answer is seen one latency after it was given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from domain.arrow_stream import prepare
from domain.codec import Encoded, decode, encode
from domain.errors import ClearanceRefused, DataError, InvariantError
from domain.events import (
    Clearance,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdersCancelCleared,
    OrderStatusCleared,
    QuoteCancelCleared,
    QuotesCleared,
)
from domain.events_base import Event
from domain.frames import QuoteFrame
from domain.state import pack, unpack


class DirectVenue(Protocol):
    """What the outlet needs of a venue: `routing.exchange.Exchange`, or a misbehaving one around it."""

    def submit(self, clearance: Clearance, ts: int) -> Sequence[Event]:
        """Take a message at venue time `ts` and answer."""
        ...

    def on_market(self, event: Event) -> Sequence[Event]:
        """Follow the recorded market and report what traded."""
        ...

    def positions(self) -> tuple[npt.NDArray[np.int64], int]:
        """The sum of our fills in the venue's own book: contracts by index, and shares."""
        ...

    def cash(self) -> int:
        """What our fills in the venue's own book paid us, fees taken off, in 1/10,000 dollar."""
        ...

    def snapshot(self) -> bytes:
        """The venue's whole state."""
        ...

    def restore(self, state: bytes) -> None:
        """Take over a state."""
        ...


class HeldVenue(DirectVenue, Protocol):
    """A venue in a process of its own whose market goes on in step with ours."""

    def begin_market(self, event: Event) -> None:
        """Have the venue take a market event; `on_market` gives its answers. All begin before one is waited for."""
        ...

    def skip_market(self) -> None:
        """Count a market event that the venue has seen: a run that is resumed repeats its journal without it."""
        ...


class VenuePort(NamedTuple):
    """How a venue is reached. `remote` is `exchange` again where that is in another process."""

    mic: str
    takes_quotes: bool
    latency_ns: int
    exchange: DirectVenue
    remote: HeldVenue | None = None


class Ledger(Protocol):
    """Refuses what the gate did not issue (`risk.seal`)."""

    def admit(self, clearance: Clearance) -> None:
        """Raise ClearanceRefused unless the seal is good and the sequence number is new."""
        ...

    def last(self, gate: str) -> int:
        """The last sequence number taken from a gate."""
        ...

    def resume(self, gate: str, last: int) -> None:
        """Go on after a sequence number: a snapshot holds what was taken before."""
        ...


class Parcel(NamedTuple):
    """One serialised message on its way to one venue."""

    venue: int
    arrives: int
    clearance: Clearance
    wire: Encoded


class DirectOutlet:
    """Verifies, splits by venue, serialises.

    Args:
        ledgers: By gate name.
        ports: By venue index.
        max_entries: Quote entries in one mass quote message at most.
    """

    def __init__(self, ledgers: Mapping[str, Ledger], ports: Sequence[VenuePort], max_entries: int) -> None:
        self._ledgers = ledgers
        self._ports = ports
        self._max_entries = max_entries
        prepare(QuoteFrame, max_entries)
        self.admitted = 0
        self.refused = 0
        self.quote_entries = 0
        self.quote_messages = 0

    def send(self, clearance: Clearance, now: int) -> list[Parcel]:
        """The messages that leave for one clearance.

        Raises:
            ClearanceRefused: The gate did not issue it, or its content was changed.
            InvariantError: Its gate or a venue in it is unknown. In either case nothing leaves.
        """
        try:
            if not isinstance(clearance, Clearance):  # the type says so; the door asks all the same
                raise ClearanceRefused(why="no clearance", type=type(clearance).__name__)
            ledger = self._ledgers.get(clearance.gate)
            if ledger is None:
                raise ClearanceRefused(why="unknown gate", gate=clearance.gate)
            ledger.admit(clearance)
        except ClearanceRefused:
            self.refused += 1
            raise
        self.admitted += 1
        return [
            Parcel(venue, now + self._ports[venue].latency_ns, part, encode(part))
            for venue, part in self._split(clearance)
        ]

    def state(self) -> dict[str, int]:
        """The last sequence number of each gate, for a snapshot."""
        return {gate: ledger.last(gate) for gate, ledger in self._ledgers.items()}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Take over the state of a snapshot."""
        for gate, last in state.items():
            self._ledgers[gate].resume(gate, last)

    def _split(self, clearance: Clearance) -> Iterator[tuple[int, Clearance]]:
        if not isinstance(clearance, QuotesCleared):
            for venue in self._targets(clearance):
                self._check(venue, clearance)
                yield venue, clearance
            return
        frame = clearance.frame
        if (frame.venue[1:] < frame.venue[:-1]).any():  # the quoter writes by venue: slices of that copy nothing
            frame = frame.take(np.argsort(frame.venue, kind="stable"))
        for venue in frame.venue[[0, -1]] if len(frame) else ():
            self._check(venue, clearance)
        ends = np.searchsorted(frame.venue, np.arange(len(self._ports)), side="right").tolist()
        for venue, (begin, end) in enumerate(itertools.pairwise([0, *ends])):
            for start in range(begin, end, self._max_entries):
                part = frame.take(slice(start, min(start + self._max_entries, end)))
                self.quote_entries += len(part)
                self.quote_messages += 1
                yield venue, msgspec.structs.replace(clearance, frame=part)

    def _check(self, venue: int, clearance: Clearance) -> None:
        if not 0 <= venue < len(self._ports):
            raise InvariantError("clearance for an unknown venue", venue=int(venue), sequence=clearance.sequence)

    def _targets(self, clearance: Clearance) -> Sequence[int]:
        every = range(len(self._ports))
        match clearance:
            case OrderCleared(order=order):
                return (order.venue,)
            case OrderReplaceCleared(replace=replace):
                return (replace.venue,)
            case OrderCancelCleared(cancel=cancel):
                return (cancel.venue,)
            case OrderStatusCleared(request=request):
                return (request.venue,)
            case QuoteCancelCleared(cancel=quotes):
                return [venue for venue in every if self._ports[venue].takes_quotes and quotes.venue in {-1, venue}]
            case OrdersCancelCleared(cancel=orders):
                return [venue for venue in every if orders.venue in {-1, venue}]
            case _:
                raise InvariantError("clearance of an unknown kind", kind=type(clearance).__name__)


class Pending(NamedTuple):
    """Something that will happen: a message reaches a venue, or its answer reaches us. Ordered by time, then by age."""

    due: int
    order: int
    venue: int
    is_answer: bool
    event: Event


def pack_pending(items: Sequence[Pending]) -> bytes:
    """Pending messages for a snapshot."""
    rows = []
    for item in sorted(items, key=lambda pending: (pending.due, pending.order)):
        message = encode(item.event)
        rows.append(
            [item.due, item.order, item.venue, item.is_answer, message.schema, message.version, message.payload]
        )
    return pack("pending", 1, {"rows": rows})


def unpack_pending(data: bytes) -> list[Pending]:
    """Pending messages of a snapshot; already a heap."""
    found = []
    for due, order, venue, is_answer, schema, version, payload in unpack("pending", 1, data)["rows"]:
        event = decode(schema, version, payload)
        if not isinstance(event, Event):
            raise DataError("pending message is not an event", schema=schema)
        found.append(Pending(due, order, venue, is_answer, event))
    return found
