"""A mass quote on its way, and how sides of quotes are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Rows = slice | npt.NDArray[np.intp]

FAR: Final = np.int64(1 << 60)
"""The price of an absent offer, above every real one: comparisons need no mask. An absent bid is 0."""


@dataclass(slots=True)
class InFlight:
    """A mass quote that venues have not answered in full. All arrays have one element per entry of the message."""

    number: int
    rows: npt.NDArray[np.intp]
    bid: Ints
    bid_size: Ints
    ask: Ints
    ask_size: Ints
    is_open: npt.NDArray[np.bool_]

    def fill(self, row: int, *, is_buy: bool, quantity: int) -> int:
        """Take a fill off the open entry of a row; return what remains of that side, -1 without such an entry."""
        found = np.flatnonzero(self.is_open & (self.rows == row))
        if not len(found):
            return -1
        at = int(found[0])
        size = np.array(self.bid_size if is_buy else self.ask_size, np.int64)  # the column is read-only
        remaining = max(int(size[at]) - quantity, 0)
        size[at] = remaining
        if is_buy:
            self.bid_size = size
        else:
            self.ask_size = size
        return remaining
