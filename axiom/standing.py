"""What a process with one loop says to the probes of `axiom.health`: whether the loop turns, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from axiom.health import Finding


class Standing:
    """Reasons and facts of a process. Probes come on threads of their own: they read only.

    Args:
        name: Of the process.
        stall_s: Seconds without a `beat` after which it makes no progress.
    """

    def __init__(self, name: str, stall_s: float = 15.0) -> None:
        self._name = name
        self._stall_s = stall_s
        self._last = time.monotonic()
        self._reasons: dict[str, Callable[[], str]] = {}
        self._facts: dict[str, Callable[[], Any]] = {}

    def beat(self) -> None:
        """The loop turns."""
        self._last = time.monotonic()

    def needs(self, name: str, reason: Callable[[], str]) -> None:
        """Be ready only while `reason` gives an empty string."""
        self._reasons[name] = reason

    def tells(self, name: str, fact: Callable[[], Any]) -> None:
        """Add a fact to the answers."""
        self._facts[name] = fact

    def live(self) -> Finding:
        """Whether it makes progress."""
        silent = time.monotonic() - self._last
        return Finding(silent <= self._stall_s, {"name": self._name, "silent_s": round(silent, 3)})

    def ready(self) -> Finding:
        """Whether it does its work."""
        missing = {name: found for name, reason in self._reasons.items() if (found := reason())}
        facts = {name: fact() for name, fact in self._facts.items()}
        return Finding(not missing, {"name": self._name, "not_ready": missing, **facts})
