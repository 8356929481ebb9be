"""Notices what has stopped: a partition that is not read while messages wait, and a loop that does not turn.

Clients of Kafka are known to stop reading without an error. Nothing inside the process cures that reliably, so the
process ends with a status of its own, and whoever supervises it starts it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from streams.kafka_message import Place

STALLED: Final = 75
"""Exit status of a process that ended itself because it made no progress (EX_TEMPFAIL of sysexits.h: try again)."""


class Progress:
    """Judges partitions by their positions: one that does not move while messages wait is stalled.

    Args:
        patience_s: For how long it may stand.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience = patience_s
        self._seen: dict[Place, tuple[int, float]] = {}

    def look(self, positions: Mapping[Place, int], lag: Mapping[Place, int], now: float) -> list[Place]:
        """Note where the partitions are.

        Args:
            positions: The next offset of each partition that is read.
            lag: How many messages of each wait.
            now: Seconds, by a clock that does not jump.

        Returns:
            Those that have stood for too long.
        """
        stalled: list[Place] = []
        seen: dict[Place, tuple[int, float]] = {}
        for place, position in positions.items():
            before, since = self._seen.get(place, (-1, now))
            if position != before or not lag.get(place):
                since = now
            seen[place] = (position, since)
            if now - since >= self._patience:
                stalled.append(place)
        self._seen = seen
        return stalled

    def excuse(self) -> None:
        """Begin anew: the broker was away, or nothing was to be read."""
        self._seen.clear()


class LoopGuard:
    """A thread that sees whether the event loop turns, and calls `stalled` once when it does not.

    It counts its own looks and not the clock: a process that was frozen as a whole is not stalled.

    Args:
        patience_s: For how long the loop may stand.
        stalled: What is done then; it runs in the thread.
        look_s: Between two looks.
    """

    def __init__(self, patience_s: float, stalled: Callable[[], None], look_s: float = 0.5) -> None:
        self._looks = max(round(patience_s / look_s), 2)
        self._stalled = stalled
        self._look_s = look_s
        self._turns = 0
        self._standing = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-guard", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @property
    def is_turning(self) -> bool:
        """Whether the loop turned since the look before the last."""
        return self._standing < 2

    def turned(self) -> None:
        """The loop turns."""
        self._turns += 1

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()

    def _watch(self) -> None:
        seen = -1
        while not self._is_over.wait(self._look_s):
            self._standing = self._standing + 1 if self._turns == seen else 0
            seen = self._turns
            if self._standing >= self._looks:
                self._stalled()
                return
