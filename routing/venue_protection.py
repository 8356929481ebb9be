"""A venue's own market-maker protection: counters over a rolling window, latched until we purge."""

from __future__ import annotations

from collections import deque
from typing import Any

from routing.venues import Protections


class RollingProtection:
    """Counts executions of our quotes; `rule` is the limit that tripped, empty while none has."""

    def __init__(self, limits: Protections) -> None:
        self.rule = ""
        self._limits = limits
        self._recent: deque[tuple[int, int]] = deque()

    def count(self, quantity: int, ts: int) -> str:
        """Count one execution.

        Returns:
            The rule that it tripped, or nothing.
        """
        recent, limits = self._recent, self._limits
        recent.append((ts, quantity))
        while recent[0][0] <= ts - limits.window_ms * 1_000_000:
            recent.popleft()
        if len(recent) >= limits.max_fills:
            self.rule = "fills"
        elif sum(each for _, each in recent) >= limits.max_contracts:
            self.rule = "contracts"
        return self.rule

    def reset(self) -> None:
        """Start again: we purged our quotes."""
        self.rule = ""
        self._recent.clear()

    def state(self) -> dict[str, Any]:
        """Return the window and the latch, for a snapshot."""
        return {"rule": self.rule, "recent": list(self._recent)}

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.rule = state["rule"]
        self._recent = deque((ts, quantity) for ts, quantity in state["recent"])
