"""What holds quoting back. Each latch is set and released on its own; quoting goes on when none is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

Latch = Literal[
    # the session is not open yet, or over
    "closed",
    # the session is about to close: what would trade now could not be hedged in time
    "closing",
    # the market of the underlying is halted
    "halt",
    # the kill switch is engaged
    "kill",
    # a person paused or flattened
    "pause",
    # our market-maker protection tripped
    "protection",
    # the underlying or the theos are too old
    "stale",
    # the run is ending
    "stop",
]

ORDER: Final[tuple[Latch, ...]] = get_args(Latch)
"""In which they are reported."""


class Latches:
    """The latches of one underlying. It starts closed and stale."""

    def __init__(self) -> None:
        self._is_on: dict[Latch, bool] = dict.fromkeys(ORDER, False)
        self._is_on["closed"] = self._is_on["stale"] = True

    def __contains__(self, latch: Latch) -> bool:
        return self._is_on[latch]

    @property
    def held_by(self) -> tuple[Latch, ...]:
        """Those that hold, in `ORDER`."""
        return tuple(latch for latch in ORDER if self._is_on[latch])

    @property
    def is_free(self) -> bool:
        """Whether quotes may be shown."""
        return True not in self._is_on.values()

    def change(self, **latches: bool) -> bool:
        """Set or release latches by name. Returns whether anything changed."""
        before = self.held_by
        for latch in ORDER:
            self._is_on[latch] = latches.get(latch, self._is_on[latch])
        return self.held_by != before

    def restore(self, held_by: Iterable[Latch]) -> None:
        """Take over what `held_by` gave."""
        self._is_on = dict.fromkeys(ORDER, False) | dict.fromkeys(held_by, True)
