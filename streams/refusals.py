"""Records that a feed does not take as they stand. Nothing is left out without being counted here.

Sans I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.calendar import SECOND_NS, Session
from domain.events import FeedDegraded

Column = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MINUTE_NS: Final = 60 * SECOND_NS


class Refusals:
    """Records that were not taken as they stood: counted by minute, source and reason, with one example each.

    A record without a readable time counts at the open, one outside the session at the nearer end of it.
    """

    def __init__(self, hours: Session) -> None:
        self.hours = hours
        self._counts: dict[tuple[int, str, str], tuple[int, str]] = {}

    def add(self, source: str, reason: str, example: str, *, ts: int | None = None, count: int = 1) -> None:
        """Count records that share a reason. `example` describes one of them, `ts` is its time, ns."""
        opens, closes = self.hours.open_ns, self.hours.close_ns
        minute = opens if ts is None else min(max(-(-ts // MINUTE_NS) * MINUTE_NS, opens), closes)
        key = minute, source, reason
        before, first = self._counts.get(key, (0, example))
        self._counts[key] = before + count, first

    def add_rows(self, source: str, reason: str, ts: Ints, example: Callable[[int], str]) -> None:
        """Count rows. `ts` holds their times, ns, shape (n,); `example` describes the row at a position of it."""
        minutes, first, counts = np.unique(-(-ts // MINUTE_NS), return_index=True, return_counts=True)
        for minute, position, count in zip(minutes.tolist(), first.tolist(), counts.tolist(), strict=True):
            self.add(source, reason, example(position), ts=minute * MINUTE_NS, count=count)

    def total(self, reason: str) -> int:
        """How many records share that reason."""
        return sum(count for (_, _, name), (count, _) in self._counts.items() if name == reason)

    def events(self, underlying: str) -> tuple[FeedDegraded, ...]:
        """The refusals as events, ordered by time, source and reason."""
        return tuple(
            FeedDegraded(
                ts_event=ts,
                ts_init=ts,
                underlying=underlying,
                source=source,
                reason=reason,
                count=count,
                example=example,
            )
            for (ts, source, reason), (count, example) in sorted(self._counts.items())
        )


class Sieve:
    """Rows under examination: those that fail a check are left out and counted, the others stay in order.

    Attributes:
        columns: Columns of equal length; `ts` is the time of a row, ns, and `line` what `example` asks for.
    """

    def __init__(
        self, columns: dict[str, Column], refusals: Refusals, source: str, example: Callable[[int], str]
    ) -> None:
        self.columns = columns
        self._refusals = refusals
        self._source = source
        self._example = example

    def __len__(self) -> int:
        """Number of rows that are left."""
        return len(self.columns["ts"])

    def note(self, rows: Mask, reason: str) -> None:
        """Count rows and keep them."""
        if rows.any():
            lines = self.columns["line"][rows]
            self._refusals.add_rows(
                self._source, reason, self.columns["ts"][rows], lambda at: self._example(int(lines[at]))
            )

    def keep(self, rows: Mask, reason: str) -> None:
        """Leave out the other rows, and count them."""
        if not rows.all():
            self.note(~rows, reason)
            self.select(rows)

    def select(self, rows: Column) -> None:
        """Go on with some rows, a mask or positions, without counting the others."""
        self.columns = {name: values[rows] for name, values in self.columns.items()}

    def keep_inside(self, hours: Session, length_ns: int) -> None:
        """Leave out rows that begin before the open or whose `length_ns` ends after the close."""
        self.keep(self.columns["ts"] >= hours.open_ns, "before the open")
        self.keep(self.columns["ts"] + length_ns <= hours.close_ns, "after the close")

    def keep_moving(self, key: str, *, strictly: bool) -> None:
        """Leave out rows earlier than one before them with the same key; `strictly`, also those of the same time."""
        reason = "clock did not move on" if strictly else "clock ran backwards"
        self.keep(moves_on(self.columns[key], self.columns["ts"], strictly=strictly), reason)

    def close_sides(self) -> None:
        """Take a side with a price and no size, or the reverse, as absent; count those that had a price."""
        for side in ("bid", "ask"):
            price, size = self.columns[side], self.columns[f"{side}_size"]
            self.note((price > 0) & (size == 0), "price without size, side left out")
            there = (price > 0) & (size > 0)
            self.columns[side], self.columns[f"{side}_size"] = np.where(there, price, 0), np.where(there, size, 0)

    def note_crossed(self) -> None:
        """Count crossed quotes. They stay: the two sides of a bar or window need not be simultaneous."""
        bid, ask = self.columns["bid"], self.columns["ask"]
        self.note((bid > ask) & (ask > 0), "crossed, published as it is")


def moves_on(key: Ints, ts: Ints, *, strictly: bool) -> Mask:
    """Whether each row is later than all earlier rows of its key, or as late where that need not be strict.

    Args:
        key: Integers from 0 to some tens of thousands. Shape (n,).
        ts: Times, ns, all within a few days. Shape (n,).
        strictly: Whether an equal time is none that moved on.
    """
    if not len(ts):
        return np.ones(0, np.bool_)
    since = ts - ts.min()
    span = int(since.max()) + 1
    order = np.argsort(key, kind="stable")
    ordered = key[order] * span + since[order]
    before = np.concatenate([ordered[:1] - 1, np.maximum.accumulate(ordered)[:-1]])
    result = np.empty(len(ts), np.bool_)
    result[order] = ordered > before if strictly else ordered >= before
    return result
