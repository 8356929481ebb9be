"""Message rate over a rolling window of event time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from risk.bounds import MS
from risk.limits import Limits


class MessageRate:
    """Counts what was cleared, cancels too: messages and quote entries."""

    def __init__(self) -> None:
        """Nothing was sent."""
        self._sent: deque[tuple[int, int]] = deque()
        self._entries = 0

    def counts(self, now: int, limits: Limits) -> tuple[int, int]:
        """Return messages and entries sent in the window that ends now, ns."""
        start = now - limits.rate_window_ms * MS
        while self._sent and self._sent[0][0] <= start:
            self._entries -= self._sent.popleft()[1]
        return len(self._sent), self._entries

    def add(self, now: int, entries: int) -> None:
        """One message with that many quote entries was sent."""
        self._sent.append((now, entries))
        self._entries += entries

    def state(self) -> list[tuple[int, int]]:
        """All of it, for a snapshot."""
        return list(self._sent)

    def restore(self, state: Sequence[Sequence[int]]) -> None:
        """Take over what `state` gave."""
        self._sent = deque((int(ts), int(entries)) for ts, entries in state)
        self._entries = sum(entries for _, entries in self._sent)
