"""Event time against the clock on the wall."""

from __future__ import annotations

import time
from typing import Final

from streams.embedded import Control

_NAP_S: Final = 0.05


class MaxSpeed:
    """As fast as the machine goes."""

    def wait(self, until_ts: int, control: Control) -> bool:  # noqa: ARG002  # the protocol of `streams.embedded.Pace`
        """Never wait."""
        return True


class Paced:
    """Event time runs `speed` times as fast as the clock; long gaps without trading are skipped.

    Args:
        speed: Event seconds per second.
        skip_ns: A gap in event time above this is not waited for.
    """

    def __init__(self, speed: float, skip_ns: int = 30 * 1_000_000_000) -> None:
        self._speed = speed
        self._skip_ns = skip_ns
        self._anchor: tuple[int, float] | None = None
        self._last = 0

    def wait(self, until_ts: int, control: Control) -> bool:
        """Sleep in short naps until `until_ts` is due; False when somebody wants something."""
        if self._anchor is None or until_ts - self._last > self._skip_ns:
            self._anchor = (until_ts, time.monotonic())
        start_ts, start = self._anchor
        due = start + (until_ts - start_ts) * 1e-9 / self._speed
        remaining = due - time.monotonic()
        if remaining > 0:
            time.sleep(min(remaining, _NAP_S))
            if remaining > _NAP_S or control.should_stop:
                return False
        self._last = until_ts
        return True
