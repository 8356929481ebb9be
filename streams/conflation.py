"""Rows that arrive in any order of contracts and leave in the order of time, conflated, in bounded memory.

A row belongs to a flush window. Rows are put aside by minute in a scratch stream and fetched minute by minute. The
windows of a minute hold the last quote of each contract, and one bar of its prints.
"""

from __future__ import annotations

from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

WINDOW: Final = 0
CONTRACT: Final = 1
WIDTH: Final = 6
"""Columns of a row: window, contract, then bid, bid size, ask, ask size, or price, low, high, volume."""

_KEY: Final = 1 << 24
"""Contracts are fewer than this."""


class Scratch:
    """Rows by minute in a binary stream that can be written, read and positioned."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._parts: dict[int, list[tuple[int, int]]] = {}
        self._end = 0

    def put(self, minute: Ints, rows: Ints) -> None:
        """Put rows, shape (n, WIDTH), aside under their minutes, shape (n,). Order within a minute is kept."""
        if not len(rows):
            return
        order = np.argsort(minute, kind="stable")
        values, starts = np.unique(minute[order], return_index=True)
        ordered = np.ascontiguousarray(rows[order], dtype="<i8")
        self._stream.seek(self._end)
        self._stream.write(ordered.tobytes())
        stops = [*starts[1:].tolist(), len(ordered)]
        for value, start, stop in zip(values.tolist(), starts.tolist(), stops, strict=True):
            place = self._end + start * WIDTH * 8
            self._parts.setdefault(value, []).append((place, stop - start))
        self._end += ordered.nbytes

    def get(self, minute: int) -> Ints:
        """Fetch the rows of a minute in the order in which they were put, shape (n, WIDTH)."""
        parts = []
        for place, count in self._parts.get(minute, ()):
            self._stream.seek(place)
            parts.append(np.frombuffer(self._stream.read(count * WIDTH * 8), dtype="<i8").reshape(count, WIDTH))
        return np.concatenate(parts).astype(np.int64) if parts else np.empty((0, WIDTH), np.int64)


def last_quotes(rows: Ints) -> Ints:
    """Keep the last row of each window and contract; ordered by window and contract. Shape (n, WIDTH)."""
    _, from_end = np.unique(_keys(rows)[::-1], return_index=True)
    return rows[len(rows) - 1 - from_end]


def bars_of_trades(rows: Ints) -> Ints:
    """Make one bar of the prints of each window and contract; ordered as `last_quotes` does."""
    if not len(rows):
        return rows
    keys = _keys(rows)
    order = np.argsort(keys, kind="stable")
    _, starts = np.unique(keys[order], return_index=True)
    ordered = rows[order]
    bars: npt.NDArray[Any] = ordered[np.append(starts[1:], len(ordered)) - 1].copy()
    bars[:, 3] = np.minimum.reduceat(ordered[:, 3], starts)
    bars[:, 4] = np.maximum.reduceat(ordered[:, 4], starts)
    bars[:, 5] = np.add.reduceat(ordered[:, 5], starts)
    return bars


def _keys(rows: Ints) -> Ints:
    return rows[:, WINDOW] * _KEY + rows[:, CONTRACT]
