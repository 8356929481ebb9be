"""Folds events into the last values of an underlying. Pure: it reads no clock and writes nothing.

Most kinds are the last event of one type, as it travelled. Three are put together from many events, because each of
those tells only what changed:

| kind | from | as |
|---|---|---|
| nbbo | NbboUpdated | NbboUpdated with every contract seen so far |
| quotes | QuotesCleared, QuoteCancelCleared | QuoteFrame: what the gate let through and nobody of us cancelled since |
| positions | PositionChanged | PositionFrame, with STOCK (-1) for shares |

`quotes` are what we asked for: what a venue refused or removed of them is on `orders.reports`. A row whose sides are
both empty is left out, and so is a position of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from domain.arrow_stream import write_stream
from domain.codec import ARROW_TYPE, HEADER_KEY, Encoded, content_type, encode
from domain.errors import DataError, InputError
from domain.events import (
    ChainListed,
    ExposureChanged,
    GreeksComputed,
    NbboUpdated,
    PnlMarked,
    PositionChanged,
    QuoteCancelCleared,
    QuotesCleared,
    SessionChanged,
    UnderlyingUpdated,
)
from domain.events_base import Event
from domain.frames import Column, Frame, NbboFrame, PositionFrame, QuoteFrame
from domain.topics import TOPIC_OF
from store.cached import Cached, Kind

LAST: Final[dict[type[Event], Kind]] = {
    SessionChanged: "session",
    ChainListed: "chain",
    UnderlyingUpdated: "underlying",
    GreeksComputed: "greeks",
    ExposureChanged: "exposure",
    PnlMarked: "pnl",
}
"""Kinds that are one event each."""

FOLDED: Final[dict[type[Event], Kind]] = {
    NbboUpdated: "nbbo",
    QuotesCleared: "quotes",
    QuoteCancelCleared: "quotes",
    PositionChanged: "positions",
}
"""Kinds that are put together."""

READ: Final = LAST | FOLDED
TOPICS: Final = tuple(sorted({TOPIC_OF[kind].name for kind in READ}))
"""Where they come from."""

_FRAMES: Final[dict[Kind, type[Frame]]] = {"nbbo": NbboFrame, "quotes": QuoteFrame, "positions": PositionFrame}

Make = Callable[[], Cached]


class _Rows:
    """Rows of a frame by key, in columns that grow; copying them out is one operation for each column."""

    def __init__(self, frame: type[Frame], keys: tuple[str, ...]) -> None:
        self._frame = frame
        self._keys = keys
        self._place: dict[tuple[int, ...], int] = {}
        self._columns = {name: np.zeros(64, dtype) for name, dtype in frame.dtypes.items()}

    def put(self, frame: Frame) -> None:
        """Each row replaces the one with its key."""
        columns = frame.columns()
        places = self._places(zip(*(columns[key].tolist() for key in self._keys), strict=True))
        for name, values in columns.items():
            self._columns[name][places] = values

    def empty(self, names: tuple[str, ...], is_chosen: Callable[[Mapping[str, Column]], Column]) -> None:
        """Set columns of chosen rows to 0."""
        used = {name: values[: len(self._place)] for name, values in self._columns.items()}
        chosen = is_chosen(used)
        for name in names:
            used[name][chosen] = 0

    def copy(self, is_kept: Callable[[Mapping[str, Column]], Column]) -> Frame:
        """The rows worth keeping, sorted by key."""
        used = {name: values[: len(self._place)] for name, values in self._columns.items()}
        rows = np.flatnonzero(is_kept(used))
        order = rows[np.lexsort([used[key][rows] for key in reversed(self._keys)])]
        return self._frame.from_columns({name: values[order] for name, values in used.items()})

    def _places(self, keys: zip[tuple[int, ...]]) -> list[int]:
        places = [self._place.setdefault(key, len(self._place)) for key in keys]
        size = len(next(iter(self._columns.values())))
        if len(self._place) > size:
            longer = max(2 * size, len(self._place))
            for name, values in self._columns.items():
                self._columns[name] = np.concatenate([values, np.zeros(longer - size, values.dtype)])
        return places


class _Folded(NamedTuple):
    """How a kind is put together."""

    rows: _Rows
    is_kept: Callable[[Mapping[str, Column]], Column]


def _is_any(columns: Mapping[str, Column]) -> Column:
    return np.ones(len(columns["contract"]), np.bool_)


def _is_shown(columns: Mapping[str, Column]) -> Column:
    return np.asarray((columns["bid_size"] > 0) | (columns["ask_size"] > 0))


def _is_held(columns: Mapping[str, Column]) -> Column:
    return np.asarray(columns["quantity"] != 0)


def frame_of(value: Cached) -> Frame:
    """The frame of a value that was put together.

    Raises:
        DataError: It is damaged, or of a kind that has none.
    """
    frame = _FRAMES.get(value.kind)
    if frame is None:
        raise DataError("cached value has no frame", kind=value.kind)
    try:
        with pa.ipc.open_stream(pa.py_buffer(value.payload)) as reader:
            table = reader.read_all()
        return frame.from_columns({name: table[name].to_numpy() for name in table.column_names})
    except (pa.ArrowException, InputError, OSError) as error:
        raise DataError("cached value is damaged", kind=value.kind, error=str(error)) from error


class LastValues:
    """The last values of one underlying."""

    def __init__(self, underlying: str) -> None:
        self._underlying = underlying
        self._folded: dict[Kind, _Folded] = {
            "nbbo": _Folded(_Rows(NbboFrame, ("contract",)), _is_any),
            "quotes": _Folded(_Rows(QuoteFrame, ("venue", "contract")), _is_shown),
            "positions": _Folded(_Rows(PositionFrame, ("contract",)), _is_held),
        }
        self._last: dict[Kind, tuple[Event, Encoded | None]] = {}
        self._at: dict[Kind, tuple[int, int]] = {}

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Those that have a value."""
        return tuple(self._at)

    def take(self, event: Event, sequence: int, encoded: Encoded | None = None) -> Kind | None:
        """Take in one event of the underlying.

        Args:
            event: It.
            sequence: Its place in its log. Places of one kind grow; an event from an earlier one is dropped.
            encoded: As it travelled, where it did.

        Returns:
            The kind that changed; None for events that no kind is made of.
        """
        kind = READ.get(type(event))
        if kind is None:
            return None
        held, _ = self._at.get(kind, (-1, 0))
        if sequence < held:
            return None
        self._at[kind] = sequence, event.ts_event
        match event:
            case NbboUpdated(frame=frame) | QuotesCleared(frame=frame):
                self._folded[kind].rows.put(frame)
            case QuoteCancelCleared():
                self._cancel(event)
            case PositionChanged():
                row = PositionFrame(contract=np.array([event.contract]), quantity=np.array([event.quantity]))
                self._folded[kind].rows.put(row)
            case _:
                self._last[kind] = event, encoded
        return kind

    def resume(self, kind: Kind, frame: Frame, sequence: int, ts_event: int) -> None:
        """Go on from what is cached, or held elsewhere. What follows may repeat what is in it, in order."""
        self._folded[kind].rows.put(frame)
        self._at.setdefault(kind, (sequence, ts_event))

    def copied(self, kind: Kind) -> Make:
        """A copy of a kind as it is now; calling it encodes it, at any later time and in any thread."""
        sequence, ts = self._at[kind]
        underlying = self._underlying
        if kind in self._last:
            event, encoded = self._last[kind]
            return lambda: _cached(underlying, kind, sequence, ts, encoded or encode(event))
        folded = self._folded[kind]
        frame = folded.rows.copy(folded.is_kept)
        if isinstance(frame, NbboFrame):
            nbbo = NbboUpdated(ts_event=ts, ts_init=ts, underlying=underlying, frame=frame)
            return lambda: _cached(underlying, kind, sequence, ts, encode(nbbo))
        head = msgspec.json.encode({"ts_event": ts, "ts_init": ts, "underlying": underlying})
        name = type(frame).__name__

        def make() -> Cached:
            payload = write_stream(frame, HEADER_KEY, head)
            return Cached(underlying, kind, sequence, ts, name, 1, ARROW_TYPE, payload)

        return make

    def _cancel(self, event: QuoteCancelCleared) -> None:
        venue, contracts = event.cancel.venue, np.array(event.cancel.contracts, np.int32)

        def is_cancelled(columns: Mapping[str, Column]) -> Column:
            chosen = _is_any(columns) if venue < 0 else columns["venue"] == venue
            return chosen & np.isin(columns["contract"], contracts) if len(contracts) else chosen

        self._folded["quotes"].rows.empty(("bid", "bid_size", "ask", "ask_size"), is_cancelled)


def _cached(underlying: str, kind: Kind, sequence: int, ts: int, message: Encoded) -> Cached:
    schema, version, payload = message
    return Cached(underlying, kind, sequence, ts, schema, version, content_type(schema), payload)
